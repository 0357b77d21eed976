# SPDX-License-Identifier: Apache-2.0
# bd_cuda.m4 - the CUDA Toolkit: nvcc, cuBLAS and the architectures to compile for.

# BD_CUDA
# --with-cuda[=yes|no|auto|DIR], --with-cuda-arch=LIST. Sets NVCC, NVCC_ARCH, CUDA_CFLAGS, CUDA_LIBS, bd_cuda (yes
# or no) and bd_cuda_note. No GPU is needed to build.
AC_DEFUN([BD_CUDA], [
  AC_ARG_WITH([cuda], [AS_HELP_STRING([--with-cuda@<:@=DIR@:>@],
    [CUDA backend: auto, yes, no, or where the CUDA Toolkit is installed @<:@auto@:>@])], [], [with_cuda=auto])
  AC_ARG_WITH([cuda-arch], [AS_HELP_STRING([--with-cuda-arch=LIST],
    [compute capabilities to compile for, separated by ; @<:@80;90a@:>@; PTX of compute_90 is always added])])
  AC_ARG_VAR([NVCC], [CUDA compiler])
  AC_ARG_VAR([NVCCFLAGS], [flags for the CUDA compiler])
  bd_cuda=no bd_cuda_note="no nvcc"
  AS_CASE([$with_cuda],
    [no], [bd_cuda_note="switched off"],
    [yes|auto], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin])],
    [AC_PATH_PROG([NVCC], [nvcc], [], [$with_cuda/bin])])
  AS_IF([test "x$with_cuda" != xno && test -n "$NVCC"], [BD_CUDA_OLD
    AS_IF([test $bd_cuda_old = no], [BD_CUDA_TRY])])
  AS_IF([test $bd_cuda = no], [AS_CASE([$with_cuda], [no|auto], [],
    [AC_MSG_ERROR([CUDA: $bd_cuda_note; install nvidia-cuda-toolkit (Debian non-free, Ubuntu) or the vendor's CUDA Toolkit with cuBLAS, or give --with-cuda=DIR or --with-cuda=no])])])
  AC_SUBST([NVCC_ARCH])
  AC_SUBST([CUDA_CFLAGS])
  AC_SUBST([CUDA_LIBS])
])

# Older toolkits do not know compute_90, whose PTX is always added; 11.8 does not know 90a. What does not say its version
# may try.
AC_DEFUN([BD_CUDA_OLD], [
  bd_cuda_old=no
  bd_cuda_version=`$NVCC --version 2>&AS_MESSAGE_LOG_FD | sed -n 's/.*release \([[0-9.]]*\).*/\1/p'`
  AS_VERSION_COMPARE([${bd_cuda_version:-11.8}], [11.8],
    [bd_cuda_old=yes bd_cuda_note="$NVCC is of CUDA $bd_cuda_version, and 11.8 is the oldest that will do"])
  bd_hopper=90a
  AS_VERSION_COMPARE([${bd_cuda_version:-12}], [12], [bd_hopper=90])
  : ${with_cuda_arch="80;$bd_hopper"}
])

# The objects are linked by the C linker, which knows nothing of C++ or CUDA: the runtimes are named here. cudart
# is static, so that a machine without the toolkit still opens everything but this one module.
AC_DEFUN([BD_CUDA_TRY], [
  NVCC_ARCH=
  for bd_arch in `AS_ECHO(["$with_cuda_arch"]) | tr ';,' '  '`; do
    NVCC_ARCH="$NVCC_ARCH -gencode arch=compute_$bd_arch,code=sm_$bd_arch"
  done
  NVCC_ARCH="$NVCC_ARCH -gencode arch=compute_90,code=compute_90"
  bd_root=`dirname "\`dirname "$NVCC"\`"`
  bd_libdir=
  # The Toolkit's name of an aarch64 server is sbsa.
  for bd_dir in "$bd_root/lib64" "$bd_root/targets/$host_cpu-linux/lib" "$bd_root/targets/sbsa-linux/lib" "$bd_root/lib" \
    "$bd_root/lib/$host_cpu-linux-gnu"; do
    AS_IF([test -z "$bd_libdir" && test -f "$bd_dir/libcudart_static.a"], [bd_libdir=$bd_dir])
  done
  AS_IF([test "x$bd_root" != x/usr], [CUDA_CFLAGS="-isystem $bd_root/include"
    bd_rpath="-L$bd_libdir -Wl,-rpath,$bd_libdir"])
  CUDA_LIBS="$bd_rpath -lcublas -lcublasLt -lcudart_static -lstdc++ -ldl -lrt -lpthread"
  AC_MSG_CHECKING([whether $NVCC compiles for $with_cuda_arch])
  cat > conftest.cu <<'BD_EOF'
#include <cublas_v2.h>
__global__ void twice(float *x) { x[[threadIdx.x]] *= 2; }
extern "C" int probe(void) { cublasHandle_t h; return cublasCreate(&h); }
BD_EOF
  AS_IF([$NVCC $NVCCFLAGS $NVCC_ARCH -c conftest.cu -o conftest_cuda.o >&AS_MESSAGE_LOG_FD 2>&1],
    [AC_MSG_RESULT([yes])
     bd_save_LIBS=$LIBS
     LIBS="conftest_cuda.o $CUDA_LIBS $LIBS"
     AC_MSG_CHECKING([whether the C compiler links CUDA and cuBLAS])
     AC_LINK_IFELSE([AC_LANG_PROGRAM([[int probe(void);]], [[return probe();]])],
       [AC_MSG_RESULT([yes]); bd_cuda=yes
        bd_cuda_note="CUDA $bd_cuda_version for $with_cuda_arch"],
       [AC_MSG_RESULT([no]); bd_cuda_note="cuBLAS or the static runtime is missing beside $NVCC"])
     LIBS=$bd_save_LIBS],
    [AC_MSG_RESULT([no]); bd_cuda_note="$NVCC cannot compile for $with_cuda_arch: config.log says why"])
  rm -f conftest.cu conftest_cuda.o
])
