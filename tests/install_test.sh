#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_test.sh - what make install puts where, which names it exports, and that make uninstall takes it all away.
set -u
. "${TEST_SRCDIR:?}/tests/tap.sh"
# A test is run by make; what that one was told is not meant for these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

run_make() { make -C "${TEST_BUILDDIR:?}" "$1" DESTDIR="$folder/root"; }

# The one installed file of that name.
installed() { find "$folder/root" -path "*/$1" ! -type d; }

all_there()
{
	for file in bin/baldistill include/baldistill.h libbaldistill.so pkgconfig/baldistill.pc man1/baldistill.1; do
		[ "$(installed "$file" | wc -l)" -eq 1 ] || { echo "no $file"; return 1; }
	done
}

# exports FILE PATTERN: every symbol FILE defines matches, and there is one
exports()
{
	nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' >"$folder/names"
	[ -s "$folder/names" ] && ! grep -vE "$2" "$folder/names"
}

modules_export()
{
	installed 'baldistill/baldistill-*.so' | while read -r module; do
		exports "$module" '^baldistill_backend$' || exit 1
	done
}

# A program of three lines, built from the installed header and library alone.
use_library()
{
	cat >"$folder/use.c" <<-'END'
	#include <baldistill.h>
	#include <stdio.h>
	int main(void) { return puts(bd_version()) < 0; }
	END
	library=$(dirname "$(installed libbaldistill.so)")
	${TEST_CC:?} -I "$(dirname "$(installed include/baldistill.h)")" "$folder/use.c" -o "$folder/use" \
		-L "$library" -lbaldistill -Wl,-rpath,"$library" || return 1
	[ "baldistill $("$folder/use")" = "$("$(installed bin/baldistill)" --version | head -n 1)" ]
}

nothing_left() { run_make uninstall && [ -z "$(find "$folder/root" ! -type d)" ]; }

echo 1..6
check "make install" run_make install
check "program, header, library, pkg-config file and man page are installed" all_there
check "the library exports bd_ names only" exports "$(installed libbaldistill.so)" '^bd_'
check "each module exports baldistill_backend only" modules_export
check "a program builds against the installed library and runs" use_library
check "make uninstall leaves nothing" nothing_left
