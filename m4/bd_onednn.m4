# SPDX-License-Identifier: Apache-2.0
# bd_onednn.m4 - oneDNN, 2.6 or 3.x, for bf16 products on CPUs.

# BD_ONEDNN
# --with-onednn[=yes|no|auto|DIR]. Sets ONEDNN_CFLAGS, ONEDNN_LIBS, bd_onednn (yes or no) and bd_onednn_note.
# The library has no pkg-config file of its own in either version, so its version is read from its header; the
# headers moved to oneapi/dnnl/ in 2.0, and 3.x needs no other name.
AC_DEFUN([BD_ONEDNN], [
  AC_ARG_WITH([onednn], [AS_HELP_STRING([--with-onednn@<:@=DIR@:>@],
    [oneDNN backend: auto, yes, no, or where oneDNN is installed @<:@auto@:>@])], [], [with_onednn=auto])
  bd_onednn=no bd_onednn_note="not found"
  AS_CASE([$with_onednn],
    [no], [bd_onednn_note="switched off" ONEDNN_LIBS=],
    [yes|auto], [: ${ONEDNN_LIBS=-ldnnl}],
    [BD_PREFIX([ONEDNN], [$with_onednn], [oneapi/dnnl/dnnl.h], [dnnl])])
  AS_IF([test -n "$ONEDNN_LIBS"], [BD_ONEDNN_TRY])
  AS_IF([test $bd_onednn = no], [AS_CASE([$with_onednn], [no|auto], [],
    [AC_MSG_ERROR([oneDNN >= 2.6 $bd_onednn_note; install libdnnl-dev (Debian, Ubuntu), onednn-devel (Fedora), or give --with-onednn=no])])])
  AC_SUBST([ONEDNN_CFLAGS])
  AC_SUBST([ONEDNN_LIBS])
])

AC_DEFUN([BD_ONEDNN_TRY], [
  AC_MSG_CHECKING([for oneDNN])
  bd_save_CPPFLAGS=$CPPFLAGS bd_save_LIBS=$LIBS
  CPPFLAGS="$CPPFLAGS $ONEDNN_CFLAGS" LIBS="$ONEDNN_LIBS $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <oneapi/dnnl/dnnl.h>
#if DNNL_VERSION_MAJOR < 2 || (DNNL_VERSION_MAJOR == 2 && DNNL_VERSION_MINOR < 6)
#error too old
#endif
]], [[return !dnnl_version();]])], [bd_onednn=yes
    AC_COMPUTE_INT([bd_major], [DNNL_VERSION_MAJOR], [[#include <oneapi/dnnl/dnnl_version.h>]])
    AC_COMPUTE_INT([bd_minor], [DNNL_VERSION_MINOR], [[#include <oneapi/dnnl/dnnl_version.h>]])
    bd_onednn_note="oneDNN $bd_major.$bd_minor"])
  CPPFLAGS=$bd_save_CPPFLAGS LIBS=$bd_save_LIBS
  AC_MSG_RESULT([$bd_onednn, $bd_onednn_note])
])
