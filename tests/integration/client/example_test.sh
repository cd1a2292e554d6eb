#!/usr/bin/env bash
# libsealock as it is installed: the programs in docs/client.md are compiled with what pkg-config says, and put and read records. Needs
# root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: example_test.sh BUILD_DIR}
. "$(dirname "$0")/../dataplane/ingest.sh"
ingest_needs
command -v pkg-config >/dev/null || skip_all "pkg-config is not installed"
[ -e "$build/lib/libsealock.so" ] || skip_all "libsealock was not built"
ingest_site
prefix=$site/prefix
cmake --install "$build" --component libsealock --prefix "$prefix" >"$out" 2>"$err" || die_with_log "$err" "cmake --install"
pc=$(dirname "$(find "$prefix" -name sealock.pc)")
chmod -R a+rX "$prefix"
# Its paths are those of the build's own prefix.
sealock_flags() { PKG_CONFIG_PATH=$pc pkg-config --define-variable=prefix="$prefix" --define-variable=includedir="$prefix/include" \
	--define-variable=libdir="$(dirname "$pc")" "$@" sealock; }
for program in producer consumer; do
	awk -v name="$program.c" '/^```/ { on = ($2 == name); next } on' "$(dirname "$0")/../../../docs/client.md" >"$site/$program.c"
	run cc -std=c11 -Wall -Wextra -Werror -o "$site/bin/$program" "$site/$program.c" $(sealock_flags --cflags --libs) \
		-Wl,-rpath,"$(dirname "$pc")"
	check "the $program of docs/client.md compiles without a warning" '[ $code = 0 ]'
done
check "nothing but its interface can be seen" '[ -z "$(nm -D --defined-only "$build/lib/libsealock.so" | grep -v " A " | grep -v " [TDBR] \(sealock_\|slk_\)")" ]'
sealock stream create web --shards 1 --key alias/test --json >"$site/stream" || die_with_log "$site/kmsd.log" "stream create"
ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" ""
ingest_start ""
seq -f 'line %.0f' 0 9999 >"$site/lines"
producer web <"$site/lines" >"$out" 2>"$err"
code=$?
check "it puts" '[ $code = 0 ] && grep -qx "10000 of 10000 records are durable" "$out"'
stream() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$site/stream" "$1"; }
run as $uid_reader consumer "$site/journal" "$(stream arn)" "$(stream id)"
check "and reads" '[ $code = 0 ] && cut -d" " -f2- "$out" | cmp -s - "$site/lines"'
run as $uid_auditor consumer "$site/journal" "$(stream arn)" "$(stream id)"
check "without the right it reads nothing, and says why" '[ $code = 1 ] && [ ! -s "$out" ] && said "kms:Decrypt"'
run as $uid_reader producer web
check "without the right it puts nothing, and says why" '[ $code = 1 ] && said "kinesis:PutRecord"'
finish
