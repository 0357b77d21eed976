# SPDX-License-Identifier: Apache-2.0
# bd_gtest.m4 - GoogleTest, as an installed library or built from its sources.

# BD_GTEST
# --with-gtest=DIR builds it from DIR; by default the installed library, then Debian's sources. Sets
# GTEST_CFLAGS, GTEST_LIBS (installed), GTEST_DIR (sources) and bd_gtest (yes, sources or no).
AC_DEFUN([BD_GTEST], [
  AC_ARG_WITH([gtest], [AS_HELP_STRING([--with-gtest=DIR],
    [build GoogleTest from its sources in DIR @<:@the installed library@:>@])], [], [with_gtest=auto])
  bd_gtest=no GTEST_DIR=
  AS_CASE([$with_gtest], [yes|no|auto], [
    AS_IF([test $with_gtest != no], [PKG_CHECK_MODULES([GTEST], [gtest_main >= 1.10],
      [bd_gtest=yes; BD_SYSTEM_HEADERS([GTEST_CFLAGS])], [AC_MSG_RESULT([no]); with_gtest=/usr/src/googletest])])],
    [AC_SUBST([GTEST_CFLAGS]) AC_SUBST([GTEST_LIBS])])
  AS_CASE([$with_gtest], [/*|.*|*/*], [
    for bd_dir in "$with_gtest" "$with_gtest/googletest"; do
      AS_IF([test -f "$bd_dir/src/gtest-all.cc"], [bd_gtest=sources; GTEST_DIR=`cd "$bd_dir" && pwd`
        GTEST_CFLAGS="-isystem $GTEST_DIR/include" GTEST_LIBS=-lpthread])
    done
    AS_IF([test $bd_gtest = no && test "$with_gtest" != /usr/src/googletest],
      [AC_MSG_ERROR([no src/gtest-all.cc in '$with_gtest'])])])
  AC_SUBST([GTEST_DIR])
  AM_CONDITIONAL([GTEST], [test $bd_gtest != no])
  AM_CONDITIONAL([GTEST_SOURCES], [test $bd_gtest = sources])
])
