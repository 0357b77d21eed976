#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install_test.sh - what make install puts where, which names it exports, that programs built against it get what the
# commands give, and that make uninstall takes it all away.
set -u
. "${TEST_SRCDIR:?}/tests/tap.sh"
# A test is run by make; what that one was told is not meant for these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

run_make() { make -C "${TEST_BUILDDIR:?}" "$1" DESTDIR="$folder/root"; }

# The one installed file of that name.
installed() { find "$folder/root" -path "*/$1" ! -type d; }

all_there()
{
	for file in bin/baldistill include/baldistill.h libbaldistill.so pkgconfig/baldistill.pc man1/baldistill.1 \
		man3/baldistill.3 man5/baldistill-data.5 man5/baldistill-plan.5; do
		[ "$(installed "$file" | wc -l)" -eq 1 ] || { echo "no $file"; return 1; }
	done
}

# exports FILE PATTERN: every symbol FILE defines matches, and there is one
exports()
{
	nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' >"$folder/names"
	[ -s "$folder/names" ] && ! grep -vE "$2" "$folder/names"
}

# Every module that was built is there and has one name.
modules_export()
{
	installed 'baldistill/baldistill-*.so' >"$folder/modules"
	built=$(find "$TEST_BUILDDIR/backends" -maxdepth 1 -name 'baldistill-*.la' | wc -l)
	[ "$built" -gt 0 ] || { echo 'this build has no module'; return 77; }
	[ "$(wc -l <"$folder/modules")" -eq "$built" ] || { echo "not the $built modules that were built"; return 1; }
	while read -r module; do
		exports "$module" '^baldistill_backend$' || return 1
	done <"$folder/modules"
}

# builds NAME WORDS...: a program from the installed header and library alone; words are the compiler's
builds()
{
	built=$1 library=$(dirname "$(installed libbaldistill.so)")
	shift
	${TEST_CC:?} -Wall -Wextra -Werror -Wno-missing-field-initializers \
		-I "$(dirname "$(installed include/baldistill.h)")" "$@" -o "$folder/$built" \
		-x none -L "$library" -lbaldistill -Wl,-rpath,"$library"
}

use_library()
{
	builds use "$TEST_SRCDIR/tests/api_program.c" &&
		[ "baldistill $("$folder/use" version)" = "$("$(installed bin/baldistill)" --version | head -n 1)" ]
}

use_from_cxx()
{
	echo 'int main() { return 0; }' >"$folder/empty.cc"
	${TEST_CC:?} "$folder/empty.cc" -o "$folder/empty" || { echo "no C++ compiler"; return 77; }
	builds use_cxx -x c++ "$TEST_SRCDIR/tests/api_program.c" &&
		[ "$("$folder/use_cxx" version)" = "$("$folder/use" version)" ]
}

tiny=$TEST_SRCDIR/data/tiny
BALDISTILL_STATE_DIR=$folder/state
export BALDISTILL_STATE_DIR
baldistill() { "$(installed bin/baldistill)" "$@"; }

# The program of baldistill(3), and the commands on the same rows.
example_of_the_page()
{
	sed -n '/^\.EX$/,/^\.EE$/{/^\.E[XE]$/!p;}' "$(installed man3/baldistill.3)" |
		sed 's/\\e/\\/g; s/\\-/-/g' >"$folder/example.c"
	builds example "$folder/example.c" &&
		"$folder/example" "$tiny" "$tiny/rows.jsonl" "$folder/made.jsonl" "$folder/scored.jsonl" 2>"$folder/said" &&
		grep -q 'generate:.*rows' "$folder/said" && grep -q 'score:.*passes' "$folder/said" || return 1
	baldistill generate --quiet --model "$tiny" --data "$tiny/rows.jsonl" --max-new-tokens 20 | cmp - "$folder/made.jsonl" &&
		baldistill score --quiet --model "$tiny" --data "$folder/made.jsonl" | cmp - "$folder/scored.jsonl" &&
		[ "$(wc -l <"$folder/scored.jsonl")" -eq "$(grep -c . "$tiny/rows.jsonl")" ]
}

# silently WORDS...: the test program says nothing
silently()
{
	"$folder/use" "$@" >"$folder/out" 2>&1
	status=$?
	cat "$folder/out"
	[ $status -eq 0 ] && [ ! -s "$folder/out" ]
}

trains_like_the_command()
{
	silently train "$tiny" "$tiny/rows.jsonl" "$folder/by_library" &&
		baldistill train --quiet --model "$tiny" --data "$tiny/rows.jsonl" --output "$folder/by_command" --threads 2 \
			--num-train-epochs 1 --per-device-train-batch-size 2 --learning-rate 0.01 &&
		cmp "$folder/by_library/adapter_model.safetensors" "$folder/by_command/adapter_model.safetensors"
}

# A run that the library begins, goes on with and ends is the command's run.
runs_like_the_command()
{
	for by in library command; do
		cp -R "$tiny" "$folder/plan_$by" && chmod -R u+w "$folder/plan_$by" && rm -rf "$folder/plan_$by/run" || return 1
	done
	silently run "$folder/plan_library/plan.yaml" 0.select && [ -s "$folder/plan_library/run/stage-0/scores.jsonl" ] &&
		[ ! -e "$folder/plan_library/run/metrics.json" ] && silently run "$folder/plan_library/plan.yaml" &&
		baldistill run --quiet "$folder/plan_command/plan.yaml" || return 1
	for file in metrics.json predictions.jsonl report.html stage-2/train.jsonl final/adapter/adapter_model.safetensors; do
		cmp "$folder/plan_library/run/$file" "$folder/plan_command/run/$file" || return 1
	done
}

# A caller whose numbers have a comma: what is read and written has a point.
trains_in_any_locale()
{
	mkdir -p "$folder/locale" && localedef -i de_DE -f UTF-8 "$folder/locale/de_DE.UTF-8" ||
		{ echo "no localedef, or no de_DE for it"; return 77; }
	[ "$(LOCPATH=$folder/locale LC_ALL=de_DE.UTF-8 locale decimal_point)" = , ] || return 1
	LOCPATH=$folder/locale LC_ALL=de_DE.UTF-8 silently train "$tiny" "$tiny/rows.jsonl" "$folder/by_comma" &&
		cmp "$folder/by_library/README.md" "$folder/by_comma/README.md" &&
		cmp "$folder/by_library/adapter_model.safetensors" "$folder/by_comma/adapter_model.safetensors"
}

limited() { silently limit "$tiny" "$tiny/rows.jsonl" "$folder/limited.jsonl" && [ ! -e "$folder/limited.jsonl" ]; }
refuses() { silently refuse "$tiny" "$tiny/rows.jsonl"; }

nothing_left() { run_make uninstall && [ -z "$(find "$folder/root" ! -type d)" ]; }

check "make install" run_make install
check "program, header, library, pkg-config file and man page are installed" all_there
check "the library exports bd_ names only" exports "$(installed libbaldistill.so)" '^bd_'
check "each module exports baldistill_backend only" modules_export
check "a program builds against the installed library and runs" use_library
check "the same program is C++" use_from_cxx
check "the example of baldistill(3) gives what the commands give" example_of_the_page
check "bd_train trains the command's adapter" trains_like_the_command
check "and in a locale with a decimal comma" trains_in_any_locale
check "bd_run runs the command's run, and goes on with it" runs_like_the_command
check "bd_ functions refuse with code and message" refuses
check "a file that may not grow is BD_IO, and the caller's signals are as before" limited
check "make uninstall leaves nothing" nothing_left
echo "1..$cases"
