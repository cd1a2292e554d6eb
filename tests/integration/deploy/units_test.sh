#!/bin/bash
# The systemd units, users and directories of deploy/systemd, checked by systemd's own tools; nothing is started.
set -u
build=$1
units=$(cd "$(dirname "$0")/../../../deploy/systemd" && pwd)
examples=$units/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); }
not_ok() { failed=$((failed + 1)); echo "FAILED: $*" >&2; }
skip() { skipped=$((skipped + 1)); echo "skipped: $*" >&2; }
check() { # WHAT COMMAND...
	local what=$1
	shift
	if "$@"; then ok; else not_ok "$what"; fi
}

# The unit with the programs that were just built, and a user that every machine has.
built() { # NAME
	sed -e "s,=/usr/sbin/sealock,=$build/bin/sealock,; s,^\(User\|Group\)=sealock.*,\1=root,; /^SupplementaryGroups=/d" \
		"$units/$1" >"$work/$1"
}

verify() { # NAME: no error and no warning
	systemd-analyze verify "$work/$1" >"$work/out" 2>&1 && [ ! -s "$work/out" ] && return 0
	cat "$work/out" >&2
	return 1
}

exposed_at_most() { # NAME TENTHS
	systemd-analyze security --offline=true --threshold="$2" "$work/$1" >"$work/out" 2>&1 && return 0
	tail -n 2 "$work/out" >&2
	return 1
}

writable() { # UNIT PATH: beneath one of its ReadWritePaths
	local dir
	for dir in $(sed -n 's/^ReadWritePaths=//p' "$units/$1"); do
		case $2 in "$dir" | "$dir"/*) return 0 ;; esac
	done
	echo "$2 is beneath none of the ReadWritePaths of $1" >&2
	return 1
}

paths_of() { # FILE REGEX-OF-KEYS
	sed -n "s/^ *\($2\): *\([^ ]*\).*/\2/p" "$1"
}

owner_is() { # PATH USER GROUP MODE, by the names of the root's own passwd and group
	local uid gid
	uid=$(sed -n "s/^$2:[^:]*:\([0-9]*\):.*/\1/p" "$work/root/etc/passwd")
	gid=$(sed -n "s/^$3:[^:]*:\([0-9]*\):.*/\1/p" "$work/root/etc/group")
	[ "$(stat -c '%u %g %a' "$work/root$1")" = "$uid $gid $4" ] && return 0
	stat -c '%n is %u %g %a' "$work/root$1" >&2
	return 1
}

if command -v systemd-analyze >/dev/null; then
	built sealock-kmsd.service
	built sealock-ingestd.service
	check "kmsd's unit is sound" verify sealock-kmsd.service
	check "ingestd's unit is sound" verify sealock-ingestd.service
	check "kmsd's unit is closed enough" exposed_at_most sealock-kmsd.service 30
	check "ingestd's unit is closed enough" exposed_at_most sealock-ingestd.service 40
	built sealock-gatewayd.service
	if [ -x "$build/bin/sealock-gatewayd" ]; then
		check "gatewayd's unit is sound" verify sealock-gatewayd.service
	else
		skip "gatewayd's unit: the gateway is not built"
	fi
	check "gatewayd's unit is closed enough" exposed_at_most sealock-gatewayd.service 25
	built sealock-deliverd.service
	if [ -x "$build/bin/sealock-deliverd" ]; then
		check "deliverd's unit is sound" verify sealock-deliverd.service
	else
		skip "deliverd's unit: it is not built"
	fi
	check "deliverd's unit is closed enough" exposed_at_most sealock-deliverd.service 25
	# The tool does find faults.
	sed 's/^NoNewPrivileges=/NoNewPrivilege=/' "$work/sealock-kmsd.service" >"$work/wrong.service"
	check "a misspelt setting is found" eval '! verify wrong.service 2>/dev/null'
	grep -v '^\(Protect\|Restrict\|SystemCall\|Capability\)' "$work/sealock-kmsd.service" >"$work/open.service"
	check "an open unit is found" eval '! exposed_at_most open.service 30 2>/dev/null'
else
	skip "units: systemd-analyze is not installed"
fi

for path in $(paths_of "$examples/kmsd.yaml.example" 'path\|pin_file\|softhsm_conf'); do
	check "kmsd may write where its example says" writable sealock-kmsd.service "$path"
done
for path in $(paths_of "$examples/ingestd.yaml.example" 'dir'); do
	check "ingestd may write where its example says" writable sealock-ingestd.service "$path"
done
for path in $(paths_of "$examples/gatewayd.yaml.example" 'access_log\|#- unix'); do
	check "gatewayd may write where its example says" writable sealock-gatewayd.service "$path"
done
for path in $(paths_of "$examples/deliverd.yaml.example" '    dir\|  socket'); do
	case $path in /run/sealock/kms/*) continue ;; esac
	check "deliverd may write where its example says" writable sealock-deliverd.service "$path"
done
check "ingestd's sockets are in its own directory" writable sealock-ingestd.service /run/sealock/ingest/port.sock

if ! command -v systemd-sysusers >/dev/null || [ "$(id -u)" != 0 ]; then
	skip "users and directories: only root with systemd-sysusers and systemd-tmpfiles can make them"
else
	mkdir -p "$work/root/etc"
	check "users are made" eval 'systemd-sysusers --root="$work/root" - <"$units/sealock.sysusers.conf" >/dev/null 2>&1'
	check "directories are made" \
		systemd-tmpfiles --root="$work/root" --create "$units/sealock.tmpfiles.conf"
	check "the catalog is the front's" owner_is /var/lib/sealock/kms sealock-kms sealock-kms 700
	check "the token is the worker's" owner_is /var/lib/sealock/hsm sealock-hsm sealock-hsm 700
	check "the journal is read by a group" owner_is /var/lib/sealock/journal sealock-ingest sealock-read 2750
	check "checkpoints are deliverd's alone" owner_is /var/lib/sealock/deliver sealock-deliver sealock-deliver 700
	check "the access log is the gateway's" owner_is /var/log/sealock sealock-gate sealock-gate 750
	check "clients come by group" owner_is /run/sealock/kms sealock-kms sealock 750
	check "clients come by group" owner_is /run/sealock/ingest sealock-ingest sealock 750
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
