#!/bin/bash
# What every installed program owes whoever types its name: --version with the release, --help with status 0, and wrong
# usage refused with status 2 and a sentence that names it.
set -u
build=$1
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
passed=0 failed=0

check() { # WHAT CONDITION...
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $what: $out" >&2
	fi
}
says() { [[ $out == *"$1"* ]]; }

for program in "$build"/bin/sealock "$build"/bin/sealock-*; do
	name=$(basename "$program")
	out=$(timeout 10 "$program" --version 2>&1)
	check "$name --version ends with 0" [ $? = 0 ]
	check "$name --version names the release" says "$name $version"
	out=$(timeout 10 "$program" --help 2>&1)
	check "$name --help ends with 0" [ $? = 0 ]
	check "$name --help shows its usage" says "Usage: $name"
	out=$(timeout 10 "$program" --no-such-option 2>&1)
	check "$name refuses an option that it does not have with 2" [ $? = 2 ]
	check "$name names it" says no-such-option
done

printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ "$failed" = 0 ]
