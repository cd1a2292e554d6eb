#!/usr/bin/env bash
# Every kind of destination meets every fault, all at once in one deliverd: faults_drive.py. Needs root (uids, mounts, no accounts).
# Prints the matrix, and "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: faults_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
needs
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || skip_all "PostgreSQL is not installed"
probe=$(mktemp -d)
mount -t tmpfs none "$probe" 2>/dev/null && umount "$probe" || skip_all "file systems cannot be mounted here"
rmdir "$probe"
key_age=1
delivery_make
remove_all() {
	stop "${driver:-}"
	umount -l "$site"/dirs/* "$site/room" 2>/dev/null
	delivery_remove
}
trap remove_all EXIT
for name in web poison large locked; do
	sealock key create --alias "alias/$name" --json | json_from .arn >"$site/$name.key"
	sealock stream create "$name" --key "alias/$name" --shards 2 >/dev/null
done
ingestd_start
role deliver kms:Decrypt kms:GenerateDataKey
role fired kms:Decrypt kms:GenerateDataKey
python3 "$here/faults_drive.py" "$site" &
driver=$!
wait "$driver"
code=$?
driver=
[ $code = 0 ] || tail -n 20 "$site/deliverd.log" "$site/kmsd.log" "$site/ingestd.log"
exit $code
