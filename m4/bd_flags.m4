# SPDX-License-Identifier: Apache-2.0
# bd_flags.m4 - small helpers: flags that the compiler may not know, libraries from pkg-config.

# BD_CFLAGS(VARIABLE, FLAGS, [PROGRAM])
# Append each of FLAGS to VARIABLE that the C compiler takes without a warning; optimising, as all that is built is, since
# some C libraries warn of _FORTIFY_SOURCE where it is not.
AC_DEFUN([BD_CFLAGS], [
  for bd_flag in $2; do
    AC_MSG_CHECKING([whether $CC takes $bd_flag])
    bd_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -O2 $$1 $bd_flag -Werror"
    AC_COMPILE_IFELSE([m4_default([$3], [AC_LANG_PROGRAM([[#include <string.h>]], [[]])])],
      [AC_MSG_RESULT([yes]); $1="$$1 $bd_flag"], [AC_MSG_RESULT([no])])
    CFLAGS=$bd_save_CFLAGS
  done
])

# BD_LDFLAGS(VARIABLE, FLAGS)
# Append each of FLAGS to VARIABLE that links a program.
AC_DEFUN([BD_LDFLAGS], [
  for bd_flag in $2; do
    AC_MSG_CHECKING([whether the linker takes $bd_flag])
    bd_save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS $bd_flag -Werror"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
      [AC_MSG_RESULT([yes]); $1="$$1 $bd_flag"], [AC_MSG_RESULT([no])])
    LDFLAGS=$bd_save_LDFLAGS
  done
])

# BD_LEVEL(NAME, FLAGS, FUNCTION-ATTRIBUTE)
# One CPU level of the vector files: VEC_NAME_CFLAGS, conditional and config.h symbol HAVE_VEC_NAME,
# where the target is x86-64 and the compiler takes all the flags.
AC_DEFUN([BD_LEVEL], [
  AC_MSG_CHECKING([whether $CC compiles for $1])
  bd_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -O2 $2 -Werror"
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#ifndef __x86_64__
#error not x86-64
#endif
#include <immintrin.h>
__m256 half(__m128i x) { return _mm256_fmadd_ps(_mm256_cvtph_ps(x), _mm256_cvtph_ps(x), _mm256_cvtph_ps(x)); }
#ifdef __AVX512F__
__m512 wide(__m512 x) { return _mm512_fmadd_ps(x, x, x); }
#endif
#ifdef __AVX512BF16__
__m512i narrow(__m512 x) { return (__m512i)_mm512_cvtne2ps_pbh(x, x); }
#endif
]])], [bd_level=1], [bd_level=0])
  CFLAGS=$bd_save_CFLAGS
  AS_IF([test $bd_level = 1], [AC_MSG_RESULT([yes]); bd_levels="$bd_levels $1"], [AC_MSG_RESULT([no])])
  AC_SUBST(VEC_[]m4_toupper([$1])_CFLAGS, ["$2"])
  AC_DEFINE_UNQUOTED(HAVE_VEC_[]m4_toupper([$1]), [$bd_level], [1 where the vector files are compiled for $1 too])
  AM_CONDITIONAL(VEC_[]m4_toupper([$1]), [test $bd_level = 1])
])

# BD_SYSTEM_HEADERS(VARIABLE)
# Turn -I into -isystem: a foreign header's warnings are not ours. /usr/include is searched anyway, and naming
# it breaks the include_next of C++ headers.
AC_DEFUN([BD_SYSTEM_HEADERS], [
  $1=`AS_ECHO([" $$1"]) | sed -e 's| -I */usr/include/* | |' -e 's| -I */usr/include/*$||' -e 's| -I *| -isystem |g'`
])

# BD_PREFIX(NAME, DIRECTORY, HEADER, LIBRARY)
# The library installed in DIRECTORY and no other: NAME_CFLAGS and NAME_LIBS, both empty where it is not there.
AC_DEFUN([BD_PREFIX], [
  $1_CFLAGS= $1_LIBS=
  for bd_dir in "$2/lib64" "$2/lib"; do
    AS_IF([test -f "$2/include/$3" && test -f "$bd_dir/lib$4.so"],
      [$1_CFLAGS="-isystem $2/include" $1_LIBS="-L$bd_dir -Wl,-rpath,$bd_dir -l$4"])
  done
])

# BD_LIBRARY(VARIABLE, MODULE, MINIMUM, DEBIAN-PACKAGE, FEDORA-PACKAGE)
# A required library: VARIABLE_CFLAGS and VARIABLE_LIBS. What is missing is collected for BD_LIBRARIES_REQUIRED.
AC_DEFUN([BD_LIBRARY], [
  PKG_CHECK_MODULES([$1], [$2 >= $3], [BD_SYSTEM_HEADERS([$1_CFLAGS])], [
    AC_MSG_RESULT([no])
    bd_missing="$bd_missing $2 >= $3,"
    bd_missing_debian="$bd_missing_debian $4"
    bd_missing_fedora="$bd_missing_fedora $5"
  ])
])

# BD_LIBRARIES_REQUIRED
# One error for everything that is missing, with the line that installs it.
AC_DEFUN([BD_LIBRARIES_REQUIRED], [
  AS_IF([test -n "$bd_missing"], [AC_MSG_ERROR([these libraries are missing or too old:${bd_missing%,}
  Debian, Ubuntu: apt-get install$bd_missing_debian
  Fedora:         dnf install$bd_missing_fedora
  (./quickstart check does it; --enable-kernels-only builds the numeric part without them)])])
])
