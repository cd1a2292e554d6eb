#!/usr/bin/env bash
# A journal in several directories on different disks: workers are spread over them; one disk loses its power in the middle of a load,
# and ingestd goes on in the other: no put fails, and no record is lost or comes twice; a full one is passed over. Directories are added
# and taken away by configuration.
# Needs root and loop devices. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: directories_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/ingest.sh"

ingest_needs
command -v mkfs.ext4 >/dev/null || skip_all "mkfs.ext4 is not installed"
ingest_site
one=$site/one two=$site/two
trap 'umount -l "$one" "$two" 2>/dev/null; ingest_site_remove' EXIT
power_on() { mount -o loop "$site/disk.img" "$one"; }
# The kernel lets go of what a process that has ended still held a little later.
power_off() { wait_for 10 'umount "$one" 2>/dev/null'; }
power_cut() {
	python3 -IS -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$one"
}
give() { chown $uid_ingest:$gid_read "$1" && chmod 2750 "$1"; }
truncate -s 256M "$site/disk.img"
mkfs.ext4 -q "$site/disk.img" 2>/dev/null
mkdir "$one" "$two"
power_on 2>/dev/null || skip_all "loop devices cannot be mounted here"
rmdir "$one/lost+found"
mount -t tmpfs -o size=160m sealock-test "$two" || skip_all "tmpfs cannot be mounted here"
give "$one"
give "$two"

configure() { # DIR MORE_DIRS
	ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" "" "allow_unlocked_memory: true"
	sed -i "s|^journal:.*|journal: {dir: $1, more_dirs: [$2], file_mb: 8, reserve_mb: 16, direct: false}|" "$site/ingestd.yaml"
}
put() { seq "$1" "$2" | run_piped sealock put web --lines --partition-key k; code=$(cat "$site/code"); rm -f "$site/code"; }
# All from 1 on, once and in order.
has() { run as $uid_reader sealock tail web --no-follow --journal "$1"; [ $code = 0 ] && seq 1 "$2" | cmp -s - "$out"; }
verifies() { run as $uid_reader sealock journal verify --journal "$1"; [ $code = 0 ]; }
files() { find "$1" -name '0*.slj' | wc -l; }

configure "$one" "$two"
sealock stream create web --key alias/test >/dev/null
ingest_start ""
put 1 100
check "records go to the first directory" '[ $code = 0 ] && [ $(files "$one") -gt 0 ] && status_is .journal.directories.0.lanes 1'
check "readers see them by the path of either" 'has "$one" 100 && has "$two" 100'

# A load that goes on while the disk fails: each put is answered once.
for n in $(seq 101 300); do echo $n; sleep 0.01; done | run_piped sealock put web --lines --partition-key k &
load=$!
sleep 1
power_cut
wait $load
code=$(cat "$site/code"); rm -f "$site/code"
check "a disk fails in the middle of a load: no put fails" '[ $code = 0 ]'
put 301 400
check "ingestd goes on in the other directory" '[ $code = 0 ] && status_is .journal.directories.0.state failed && status_is .journal.directories.1.lanes 1 && status_is .workers.0.moves 1'
check "and says so once, and what to do" '[ "$(grep -c "a directory of the journal has failed" "$site/ingestd.log")" = 1 ] && grep -q "$one" "$site/ingestd.log" && grep -q "a restart of ingestd takes it back" "$site/ingestd.log"'
ingest_term
check "it ends well" '[ $code = 0 ]'

power_off
ingest_start ""
check "a start does without a directory that everything had left" 'status_is .journal.directories.0.state failed'
put 401 410
check "and takes records" '[ $code = 0 ]'
run as $uid_reader sealock tail web --no-follow --journal "$two"
check "what is in the missing one is not passed over" '[ $code != 0 ] && grep -q "$one" "$err"'
ingest_term
power_on
ingest_start ""
check "it is back at the next start" 'status_is .journal.directories.0.state ok && status_is .journal.directories.0.lanes 1'
check "with every record, once and in order" 'has "$two" 410 && has "$one" 410'
put 411 420
check "and takes records again" '[ $code = 0 ] && has "$two" 420'
check "nothing is wrong with the files" 'verifies "$one"'
if /usr/bin/python3 -c "import cryptography" 2>/dev/null; then
	cat >"$site/bin/unwrap" <<-'END'
		#!/bin/sh
		exec sealock key decrypt --context "$1"
	END
	chmod 0755 "$site/bin/unwrap"
	install -m 0644 "$here/../cli/second_reader.py" "$site/second_reader.py"
	second() { run as $uid_reader /usr/bin/python3 "$site/second_reader.py" "$two" "$@"; }
	second verify
	check "nor for a reader made from the document alone" '[ $code = 0 ]'
	second read arn:aws:kinesis:local:000000000000:stream/web "$site/bin/unwrap"
	check "which opens what was moved from the failed disk" '[ $code = 0 ] && python3 -c "import json, sys; print(*[json.loads(l)[\"data\"] for l in open(sys.argv[1])], sep=chr(10))" "$out" | cmp -s - <(seq 1 420)'
fi

# Fill the first one beyond its reserve.
fallocate -l $(($(stat -f -c '%a*%S' "$one") - 20*1024*1024)) "$one/ballast" || die_with_log "$site/ingestd.log" "no ballast"
before=$(files "$two")
head -c 40000000 /dev/urandom | base64 -w 20000 >"$site/bulk"
run_piped sealock put web --lines --partition-key k <"$site/bulk"
code=$(cat "$site/code"); rm -f "$site/code"
check "a full disk is passed over" '[ $code = 0 ] && [ $(files "$two") -gt $before ] && status_is .journal.directories.0.state ok && ! status_is .workers.0.disk DiskFull'
rm -f "$one/ballast"
ingest_kill
ingest_start ""
check "also after a crash all is well" 'verifies "$two"'
ingest_term

# The first one retires: its files go to the second.
configure "$two" ""
ingest_refuses ""
check "a directory with files cannot just be left out" '[ $code = 1 ] && grep -q "$one" "$err" && grep -q "move its" "$err"'
mv "$one"/0*.slj "$one"/0*.slp "$two"
configure "$two" ""
ingest_start ""
put 421 430
run as $uid_reader sealock tail web --no-follow --journal "$two"
check "once they are moved, it can" '[ $code = 0 ] && grep -v "^.\{100\}" "$out" | cmp -s - <(seq 1 430) && status_is .journal.directories.0.path "$two"'
ingest_term
check "nothing is wrong with the files then" 'verifies "$two"'

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
