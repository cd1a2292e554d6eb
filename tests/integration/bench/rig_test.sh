#!/bin/bash
# sealock-bench: real benches with tiny inputs, as built and as installed, and benches that fail in every way.
set -u
build=$(cd "$1" && pwd)
work=$(mktemp -d /tmp/sealock-rig.XXXXXX)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); }
not_ok() { failed=$((failed + 1)); echo "FAILED: $*" >&2; [ ! -s "$work/log" ] || sed 's/^/    | /' "$work/log" >&2; }
check() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@" >"$work/log" 2>&1; then ok; else not_ok "$what"; fi
}
exits() { # STATUS COMMAND...
	local wanted=$1 got=0
	shift
	"$@" || got=$?
	[ "$got" -eq "$wanted" ] || { echo "exit status $got"; return 1; }
}
holds() { grep -qF -- "$2" "$1"; } # FILE TEXT
lacks() { ! grep -qF -- "$2" "$1"; }
is_page() { python3 -c 'import sys, xml.dom.minidom as d; d.parse(sys.argv[1])' "$1"; }
rig=$build/bin/sealock-bench

# As it was built.
check "run of two benches" exits 0 "$rig" run policy --quick --out "$work/out"
check "noise was measured though it was not named" holds "$work/out/noise.json" '"noise floor: '
check "the figures are there" holds "$work/out/policy.json" '"median"'
check "each bench's own output is kept" holds "$work/out/policy.log" "issue 4: decision"
check "the page is well-formed" is_page "$work/out/report.html"
check "the page tells that --quick means nothing" holds "$work/out/report.html" "Such figures mean nothing"
check "the page has pictures" holds "$work/out/report.html" "<svg "
check "a page of objects that were written before" exits 0 "$rig" report "$work/out/policy.json" --out "$work/again.html"
check "it has that bench" holds "$work/again.html" 'id="bench-policy"'
check "and no other" lacks "$work/again.html" 'id="bench-noise"'
check "arguments behind -- reach the bench" exits 0 "$rig" run noise --quick --out "$work/out" -- --rounds 5
check "the bench took them" holds "$work/out/noise.json" '"rounds": 5'

# Commands that are wrong.
check "no command" exits 2 "$rig"
check "an unknown command" exits 2 "$rig" measure
check "an unknown bench" exits 2 "$rig" run sealing --out "$work/none"
check "nothing was begun for it" [ ! -e "$work/none" ]
check "an unknown option" exits 2 "$rig" run --fast
check "report without a file" exits 2 "$rig" report
check "report of what is no object" exits 1 "$rig" report "$work/out/policy.log" --out "$work/bad.html"
check "it leaves no page" [ ! -e "$work/bad.html" ]
check "help" exits 0 "$rig" --help

# Benches that fail; noise is real.
mkdir "$work/benches"
ln -s "$build/bench/bench_noise" "$work/benches/bench_noise"
bench() { cat >"$work/benches/bench_$1"; chmod +x "$work/benches/bench_$1"; }
printf '#!/bin/sh\necho begun\necho "no token here" >&2\nexit 3\n' | bench seal
printf '#!/bin/sh\nkill -SEGV $$\n' | bench hash
printf '#!/bin/sh\nexit 0\n' | bench policy
printf '#!/bin/sh\necho "{" >"$2"\n' | bench kms
printf '#!/bin/sh\ncp "%s" "$2"\n' "$work/out/policy.json" | bench audit
mkdir "$work/faults"
cp "$work/out/policy.json" "$work/faults/policy.json" # an old one
faults() { SEALOCK_BENCH_DIR=$work/benches "$rig" run seal hash policy kms audit provider --quick --out "$work/faults"; }
check "a run with benches that fail ends with 1" exits 1 faults
cp "$work/log" "$work/faults.log"
check "the others ran" holds "$work/faults.log" "noise        done"
check "an exit status and the reason" holds "$work/faults/seal.json" "exit status 3; its last line: no token here"
check "a signal" holds "$work/faults/hash.json" "ended by signal 11"
check "an old object does not pass for a new one" holds "$work/faults/policy.json" '"failed"'
check "what is no object" holds "$work/faults/kms.json" "is not JSON"
check "an object of another bench" holds "$work/faults/audit.json" "it calls itself policy"
check "a bench that is not installed" holds "$work/faults/provider.json" "is not installed"
check "the page is well-formed" is_page "$work/faults/report.html"
check "the page says what failed" holds "$work/faults/report.html" "no token here"
check "no directory of benches" env SEALOCK_BENCH_DIR=/nonexistent bash -c "! '$rig' list"

# As it is installed. The provider's place is absolute: it is the system's, so that bench stays out.
if "$rig" list | grep -q "not installed" || [ ! -x "$build/bin/sealock" ]; then
	skipped=$((skipped + 1))
	echo "skipped: sealock-bench as installed: only a part of $build is built" >&2
else
	check "install" env DESTDIR="$work/root" cmake --install "$build"
	installed=$(find "$work/root" -type f -name sealock-bench)
	check "list, installed" exits 0 "$installed" list
	check "run, installed" exits 0 "$installed" run noise policy --quick --out "$work/installed"
	chmod 0755 "$work" # the worker is another user
	check "kmsd and the fault shim are found, installed" exits 0 "$installed" run kms --quick --out "$work/installed"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
