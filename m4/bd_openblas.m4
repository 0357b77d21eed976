# SPDX-License-Identifier: Apache-2.0
# bd_openblas.m4 - OpenBLAS for the default CPU backend.

# BD_OPENBLAS
# --with-openblas[=yes|no|auto|DIR]. Sets OPENBLAS_CFLAGS, OPENBLAS_LIBS, bd_openblas (yes or no) and
# bd_openblas_note. DIR has include/ and lib/. Without DIR the OpenMP builds come first: one OpenMP runtime for
# everything, and a product called inside a parallel region then runs on its own thread only.
AC_DEFUN([BD_OPENBLAS], [
  AC_ARG_WITH([openblas], [AS_HELP_STRING([--with-openblas@<:@=DIR@:>@],
    [OpenBLAS backend: auto, yes, no, or where OpenBLAS is installed @<:@auto@:>@])], [], [with_openblas=auto])
  bd_openblas=no bd_openblas_note="not found"
  AS_CASE([$with_openblas],
    [no], [bd_openblas_note="switched off" OPENBLAS_LIBS=],
    [yes|auto], [
      for bd_module in openblas-openmp openblaso openblas; do
        bd_path=/usr/lib/$host_cpu-linux-gnu/openblas-openmp/pkgconfig
        AS_IF([PKG_CONFIG_PATH="$PKG_CONFIG_PATH:$bd_path" $PKG_CONFIG --exists $bd_module 2>/dev/null], [
          : ${OPENBLAS_CFLAGS=`PKG_CONFIG_PATH="$PKG_CONFIG_PATH:$bd_path" $PKG_CONFIG --cflags $bd_module`}
          : ${OPENBLAS_LIBS=`PKG_CONFIG_PATH="$PKG_CONFIG_PATH:$bd_path" $PKG_CONFIG --libs $bd_module`}
          break])
      done
      : ${OPENBLAS_LIBS=-lopenblas}],
    [BD_PREFIX([OPENBLAS], [$with_openblas], [cblas.h], [openblas])])
  BD_SYSTEM_HEADERS([OPENBLAS_CFLAGS])
  AS_IF([test -n "$OPENBLAS_LIBS"], [BD_OPENBLAS_TRY])
  AS_IF([test $bd_openblas = no], [AS_CASE([$with_openblas], [no|auto], [],
    [AC_MSG_ERROR([OpenBLAS $bd_openblas_note; install libopenblas-openmp-dev (Debian, Ubuntu), openblas-devel (Fedora), or give --with-openblas=no])])])
  AC_SUBST([OPENBLAS_CFLAGS])
  AC_SUBST([OPENBLAS_LIBS])
])

# BD_OPENBLAS_TRY - does it link, and is it the OpenMP build (asked of the library when not cross compiling)?
AC_DEFUN([BD_OPENBLAS_TRY], [
  AC_MSG_CHECKING([for OpenBLAS])
  bd_save_CPPFLAGS=$CPPFLAGS bd_save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $OPENBLAS_CFLAGS" LIBS="$OPENBLAS_LIBS $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <cblas.h>]],
      [[openblas_set_num_threads(1); cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1);]])],
    [bd_openblas=yes bd_openblas_note="$OPENBLAS_LIBS"])
  AS_IF([test $bd_openblas = yes],
    [AC_RUN_IFELSE([AC_LANG_PROGRAM([[#include <cblas.h>]], [[return openblas_get_parallel() != OPENBLAS_OPENMP;]])],
      [bd_openblas_note="OpenMP build"], [bd_openblas_note="not the OpenMP build; libopenblas-openmp-dev is better"],
      [bd_openblas_note="cross compiled"])])
  CPPFLAGS=$bd_save_CPPFLAGS LIBS=$bd_save_LIBS
  AC_MSG_RESULT([$bd_openblas, $bd_openblas_note])
])
