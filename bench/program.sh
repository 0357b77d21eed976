# SPDX-License-Identifier: Apache-2.0
# program.sh, read by the scripts beside it: their failures, and the program that they run.

# fail STATUS MESSAGE
fail()
{
	echo "$(basename "$0"): $2" >&2
	exit "$1"
}

# $program: what BALDISTILL names, by path or by name.
find_program()
{
	[ -n "${BALDISTILL-}" ] || fail 64 'BALDISTILL is not set: set it to the program'
	program=$(command -v "$BALDISTILL") || fail 66 "no program '$BALDISTILL': set BALDISTILL to one, by path or by name"
	program=$(realpath "$program")
	[ -z "${BALDISTILL_MODULE_DIR-}" ] || BALDISTILL_MODULE_DIR=$(realpath "$BALDISTILL_MODULE_DIR")
}
