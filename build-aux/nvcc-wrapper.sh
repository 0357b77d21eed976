#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# nvcc-wrapper.sh NVCC ARGUMENT... - run nvcc with a C compiler's arguments.
#
# libtool compiles a .cu file as if nvcc were the C compiler and adds -fPIC; sanitizers, hardening and warnings are
# the host compiler's too. nvcc takes none of these by itself: each goes through -Xcompiler, what is for the linker
# through -Xlinker. nvcc splits such values at commas, hence one option for each part of -fsanitize=a,b.

# host FLAG - one argument of the host compiler as an argument of nvcc.
host()
{
	case $1 in
	-Wl,*) echo "-Xlinker=${1#-Wl,}" ;;
	-fsanitize=*,*) for part in $(echo "${1#-fsanitize=}" | tr ',' ' '); do echo "-Xcompiler=-fsanitize=$part"; done ;;
	-Wp,* | -Wa,*) ;; # assembler and preprocessor pass-through has no form without commas
	*) echo "-Xcompiler=$1" ;;
	esac
}

nvcc=$1
shift
for argument; do
	shift
	case $argument in
	-[fmW]* | -pthread | -pie | --coverage) for word in $(host "$argument"); do set -- "$@" "$word"; done ;;
	*) set -- "$@" "$argument" ;;
	esac
done
exec "$nvcc" "$@"
