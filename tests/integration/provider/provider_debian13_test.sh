#!/usr/bin/env bash
# The provider's tests once more, built and run in a Debian 13 root (OpenSSL 3.5) that debootstrap makes. Minutes: only with
# SLK_TEST_LONG=1, which tests/run --long sets. Needs root and Debian's archive.
set -uo pipefail
build=${1:?usage: provider_debian13_test.sh BUILD_DIR}
source=$(cd "$(dirname "$0")/../../.." && pwd)
root=$build/debian13
mirror=${SLK_DEBIAN_MIRROR:-http://deb.debian.org/debian}

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "${SLK_TEST_LONG:-0}" = 1 ] || skip_all "it takes minutes; set SLK_TEST_LONG=1"
[ "$(id -u)" = 0 ] || skip_all "debootstrap needs root"
command -v debootstrap >/dev/null || skip_all "debootstrap is not installed"

if [ ! -e "$root/.made" ]; then
	rm -rf "$root"
	debootstrap --variant=minbase trixie "$root" "$mirror" >"$build/debian13.log" 2>&1 ||
		skip_all "debootstrap failed: $(tail -n 1 "$build/debian13.log")"
	touch "$root/.made"
fi
cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null
cp /etc/resolv.conf "$root/etc/"
rm -rf "$root/src"
mkdir -p "$root/src/tree"
(cd "$source" && tar cf - --exclude=./build --exclude=./.git .) | tar xf - -C "$root/src/tree"
[ ! -d "$source/../shared/vectors" ] || { mkdir -p "$root/src/shared" && cp -r "$source/../shared/vectors" "$root/src/shared/"; }

cat >"$root/src/inside" <<'END'
set -e
unset CMAKE_C_COMPILER_LAUNCHER
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get -q update
# DPDK stays away: rooms that need it are left out.
apt-get -q -y install --no-install-recommends $(/src/tree/deploy/packages list build test | grep -v -e dpdk -e clang-format)
cd /src/tree
cmake --preset dev
cmake --build build/dev -j"$(nproc)" --target sealock_provider sealock sealock-kmsd sealock-hsm-worker p11shim \
	provider_gcm_test provider_tls_record_test provider_vectors_test provider_hsm_keys_test provider_tls_load_test
mkdir -p build/dev/test-results
CMOCKA_MESSAGE_OUTPUT=XML ctest --test-dir build/dev -R '^(unit|integration)/provider_(gcm|tls_record|vectors|keys|hsm_keys|tls_load)_test' \
	--output-junit "$PWD/build/dev/test-results/ctest.xml" || true
openssl version
python3 tests/summary.py build/dev/test-results
END
unshare -m -p -f bash -c '
	root=$1
	mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount -t sysfs sys "$root/sys" &&
	mount --rbind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/run" && exec chroot "$root" bash /src/inside
' bash "$root" </dev/null >"$build/debian13.log" 2>&1
code=$?
grep -q '^[0-9]* passed, [0-9]* failed' "$build/debian13.log" || {
	tail -n 20 "$build/debian13.log"
	echo "FAILED  the build or the tests in Debian 13 (exit status $code); the whole log is $build/debian13.log"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
grep -E '^OpenSSL|FAILED' "$build/debian13.log"
grep '^[0-9]* passed, [0-9]* failed' "$build/debian13.log" | tail -n 1
exit $code
