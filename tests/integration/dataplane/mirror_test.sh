#!/usr/bin/env bash
# A journal in two directories: records are in both before put returns; one disk loses its power, and ingestd goes on in the other
# or ends, as it was told; afterwards both are alike again.
# Needs root and loop devices. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: mirror_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/ingest.sh"

ingest_needs
command -v mkfs.ext4 >/dev/null || skip_all "mkfs.ext4 is not installed"
ingest_site
mirror=$site/mirror
truncate -s 256M "$site/disk.img"
mkfs.ext4 -q "$site/disk.img" 2>/dev/null
mkdir "$mirror"
power_on() { mount -o loop "$site/disk.img" "$mirror"; }
# The kernel lets go of what a process that has ended still held a little later.
power_off() { wait_for 10 'umount "$mirror" 2>/dev/null'; }
power_cut() {
	python3 -IS -c 'import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))' "$mirror"
}
power_on 2>/dev/null || skip_all "loop devices cannot be mounted here"
trap 'umount -l "$mirror" 2>/dev/null; ingest_site_remove' EXIT
chown $uid_ingest:$gid_read "$mirror"
chmod 2750 "$mirror"
rmdir "$mirror/lost+found"

configure() { # ON_FAILURE
	journal_more="reserve_mb: 16, mirror: {dir: $mirror, on_failure: $1}"
	ingest_config "  - {name: loop, type: ring, ipv4: 10.77.1.2}" "" "allow_unlocked_memory: true"
}
put() { seq "$1" "$2" | run_piped sealock put web --lines --partition-key k; code=$(cat "$site/code"); rm -f "$site/code"; }
has() { run as $uid_reader sealock tail web --no-follow --journal "$1"; [ $code = 0 ] && seq 1 "$2" | cmp -s - "$out"; }

configure go_on
sealock stream create web --key alias/test >/dev/null
ingest_start ""
put 1 100
check "what is acknowledged is in both" '[ $code = 0 ] && has "$site/journal" 100 && has "$mirror" 100'
check "the status says so" 'status_is .journal.mirrored True && status_is .journal.mirror_failed 0'
power_cut
put 101 200
check "one disk fails: ingestd goes on in the other" '[ $code = 0 ] && has "$site/journal" 200'
check "and says so, once" 'status_is .journal.mirror_failed 1 && [ "$(grep -c "acknowledged from the other alone" "$site/ingestd.log")" = 1 ] && grep -q "$mirror" "$site/ingestd.log"'
ingest_term
check "it ends well" '[ $code = 0 ]'

power_off
power_on
ingest_start ""
put 201 300
check "at the next start both are alike, and go on together" '[ $code = 0 ] && has "$site/journal" 300 && has "$mirror" 300 && status_is .journal.mirror_failed 0'
ingest_kill
ingest_start ""
ingest_term
run as $uid_reader sealock journal verify --mirror "$mirror" --json
check "also after a crash" '[ $code = 0 ] && [ "$(json_of .mirror_files)" -gt 2 ]'
file=$(cd "$mirror" && ls 0*.slj | head -n 1)
printf x | dd of="$mirror/$file" bs=1 seek=4200 conv=notrunc status=none
run as $uid_reader sealock journal verify --mirror "$mirror"
check "a difference is named" '[ $code = 1 ] && grep -q "$file at 4200: the two directories" "$out"'
printf y | dd of="$site/journal/$file" bs=1 seek=4200 conv=notrunc status=none

configure stop
ingest_start ""
put 301 310
check "told to stop, it takes records too" '[ $code = 0 ]'
power_cut
put 311 320
check "and takes none when one disk fails" '[ $code != 0 ]'
wait "$ingestd_pid"
code=$?
ingestd_pid=
check "but ends with a sentence" '[ $code = 1 ] && grep -q "one of the journal.s two directories has failed" "$site/ingestd.log"'
power_off

echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
