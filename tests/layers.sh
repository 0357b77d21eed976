#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# layers.sh - the house rules that include lines show. A file may include its own room and rooms of lower rank;
# include lines are relative to the root; each foreign library has one owner; every file names its licence.
set -u
root=${TEST_SRCDIR-$(dirname "$0")/..}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# Path prefix, room and its rank. Rooms of equal rank do not see each other.
rooms='
reference/ reference 0
src/base/ base 0
backends/ backends 1
src/text/ text 1
src/dataset/ dataset 1
src/ledger/ ledger 1
src/model/ model 2
src/teacher/ teacher 2
src/student/ student 3
src/pipeline/ pipeline 4
src/cmd/ cmd 5
src/baldistill.h api 5
src/api.c api 5
bench/ bench 6
tests/ tests 7
'

# Start of a foreign header's name, and the path prefix of those that may include it.
owners='
json-c/ src/base/
json.h src/base/
yaml.h src/base/
openssl/ src/base/
sqlite3 src/ledger/
curl/ src/teacher/
pcre2 src/text/
utf8proc src/text/
cblas backends/openblas/
openblas_config backends/openblas/
oneapi/ backends/onednn/
dnnl backends/onednn/
cuda backends/cuda/
cublas backends/cuda/
cudnn backends/cuda/
cooperative_groups backends/cuda/
nccl backends/cuda/
mma.h backends/cuda/
omp.h backends/
baldistill.h tests/
gtest/ tests/
gmock/ tests/
'

# Headers of C, POSIX, Linux and the compiler: anybody's. Any other header needs a line above first.
system='alloca assert cpuid ctype dirent dlfcn elf endian errno execinfo fcntl fenv float ftw getopt immintrin inttypes langinfo libgen
limits link locale malloc math memory netdb poll pthread pwd sched search semaphore setjmp signal spawn stdalign stdarg
stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings sysexits syslog termios tgmath threads time ucontext unistd wchar
wctype arm_neon
sys/ linux/ arpa/ net/ netinet/ asm/'

list_sources()
{
	(cd "$1" && find reference src backends bench tests -type f \
		\( -name '*.[ch]' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' \) 2>/dev/null | sort)
}

# check_includes ROOT - print every include line that breaks a rule.
check_includes()
{
	(cd "$1" && list_sources . | xargs grep -HnE '^[ 	]*#[ 	]*include' | sed 's/^\.\///') |
	awk -v root="$1" -v rooms="$rooms" -v owners="$owners" -v words="$system" '
	function room_of(path,    start)
	{
		for (start in room)
			if (index(path, start) == 1)
				return room[start]
		return ""
	}
	function complain(text) { print place ": " text }
	function check_own(file, name,    from, to)
	{
		from = room_of(file)
		to = room_of(name)
		if (from == "")
			complain("\"" file "\" is in no room")
		else if (name == "config.h")
			{ if (from == "reference") complain("the reference depends on no configuration") }
		else if (to == "" || (getline line < (root "/" name)) < 0)
			complain("\"" name "\" is no file relative to the root")
		else if (from != to && rank[to] >= rank[from])
			complain(from " (rank " rank[from] ") may not include " to " (rank " rank[to] ")")
		else if (from == "backends" && to == "base" && name !~ /\/(err|mem)\.h$/)
			complain("backends include err.h and mem.h of src/base only")
		close(root "/" name)
	}
	function check_foreign(file, name,    start)
	{
		if (file ~ /^tests\/|\.cuh?$/ && name !~ /\./)
			return # the C++ library
		for (start in owner)
			if (index(name, start) == 1) {
				if (index(file, owner[start]) != 1)
					complain("<" name "> belongs to " owner[start])
				return
			}
		for (start in known)
			if (name == start ".h" || start ~ /\/$/ && index(name, start) == 1)
				return
		complain("<" name "> has no owner; name one in tests/layers.sh")
	}
	BEGIN {
		n = split(rooms, part)
		for (i = 1; i < n; i += 3) {
			room[part[i]] = part[i + 1]
			rank[part[i + 1]] = part[i + 2]
		}
		n = split(owners, part)
		for (i = 1; i < n; i += 2)
			owner[part[i]] = part[i + 1]
		n = split(words, part)
		for (i = 1; i <= n; i++)
			known[part[i]] = 1
	}
	{
		split($0, field, ":")
		place = field[1] ":" field[2]
		if (match($0, /"[^"]*"/))
			check_own(field[1], substr($0, RSTART + 1, RLENGTH - 2))
		else if (match($0, /<[^>]*>/))
			check_foreign(field[1], substr($0, RSTART + 1, RLENGTH - 2))
		else
			complain("cannot read this include line")
	}'
}

# check_licences ROOT - print every file without the licence line in its first two lines.
check_licences()
{
	(cd "$1" && {
		list_sources .
		find tests bench data man -name '*.sh' -o -name '*.py' -o -name '*.sql' -o -name '*.[1-8]'
		ls build-aux/gtest-driver.sh build-aux/nvcc-wrapper.sh m4/bd_*.m4 configure.ac Makefile.am baldistill.pc.in
		ls quickstart .ci/run
	} 2>/dev/null | while read -r file; do
		sed 2q "$file" | grep -q 'SPDX-License-Identifier: Apache-2\.0' || echo "$file: no SPDX line"
	done)
}

number=0
# report NAME OUTPUT - a test that passes where OUTPUT is empty.
report()
{
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		echo "$2" | sed 's/^/# /'
	fi
}

# planted NAME FILE LINE CHECK - a copy of the tree with LINE in a new FILE must fail CHECK, which names that file.
planted()
{
	mkdir -p "$work/tree/$(dirname "$2")"
	printf '%s\n' "$3" >"$work/tree/$2"
	found=$("$4" "$work/tree")
	rm "$work/tree/$2"
	if printf '%s\n' "$found" | grep -q "^$2:"; then
		report "found: $1" ""
	else
		report "found: $1" "planted in $2, not reported: $found"
	fi
}

echo 1..11
report "the tree has sources" "$([ "$(list_sources "$root" | wc -l)" -gt 20 ] || echo "too few in $root")"
report "include lines point down, libraries have one owner" "$(check_includes "$root")"
report "every file names its licence" "$(check_licences "$root")"

mkdir "$work/tree"
(cd "$root" && tar cf - reference src backends tests/layers.sh build-aux m4 configure.ac Makefile.am) | (cd "$work/tree" && tar xf -)
chmod -R u+w "$work/tree"
spdx='// SPDX-License-Identifier: Apache-2.0
'
planted "upward" src/base/planted.c "$spdx#include \"src/cmd/cmd.h\"" check_includes
planted "sideways" reference/planted.c "$spdx#include \"src/base/err.h\"" check_includes
planted "not relative to the root" src/base/planted.c "$spdx#include \"err.h\"" check_includes
planted "more of src/base than a backend may see" backends/planted.c "$spdx#include \"src/base/file.h\"" check_includes
planted "a foreign library" src/cmd/planted.c "$spdx#  include <openssl/evp.h>" check_includes
planted "a library nobody owns" src/base/planted.c "$spdx#include <zlib.h>" check_includes
planted "a room nobody knows" src/attic/planted.c "$spdx#include \"src/base/err.h\"" check_includes
planted "no licence line" src/base/planted.c "int x;" check_licences
