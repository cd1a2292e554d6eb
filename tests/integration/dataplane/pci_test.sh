#!/usr/bin/env bash
# A NIC that DPDK drives through vfio: in a virtual machine with an emulated IOMMU and an emulated Intel NIC (QEMU, no KVM needed), which
# sees this machine's files and starts the programs that were just built. Minutes: only with SLK_TEST_LONG=1.
set -uo pipefail
build=$(realpath "${1:?usage: pci_test.sh BUILD_DIR}")
here=$(cd "$(dirname "$0")" && pwd)

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
fail() { echo "FAILED: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
[ "${SLK_TEST_LONG:-0}" != 0 ] || skip_all "a long test: SLK_TEST_LONG=1 runs it"
[ "$(id -u)" = 0 ] || skip_all "this test needs root: its machine sees all files"
for program in qemu-system-x86_64 busybox cpio depmod modprobe dpkg; do
	command -v $program >/dev/null || skip_all "$program is not installed (deploy/packages install long)"
done
[ -x "$build/bin/sealock-ingestd" ] || skip_all "sealock-ingestd was not built"

work=$(mktemp -d "$build/pci-test-XXXXXX") || fail "no directory for the machine"
trap 'rm -rf "$work"' EXIT
cd "$work" || fail "cannot enter $work"

# Debian's kernel, unpacked beside: nothing is installed.
package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -1)
chmod 0777 .
apt-get -q download "${package:-linux-image-amd64}" >apt.log 2>&1 || skip_all "Debian's kernel cannot be downloaded here: $(tail -1 apt.log)"
dpkg -x linux-image-*.deb kernel || fail "the kernel's package cannot be unpacked"
version=$(ls kernel/lib/modules)
depmod -b kernel "$version" || fail "depmod"
modules() {
	local m
	for m in "$@"; do modprobe -d "$work/kernel" -S "$version" --show-depends "$m"; done |
		awk '/^insmod/ && !seen[$2]++ {print $2}'
}

# The first programs of the machine: this machine's root beneath a layer of memory, then the test.
mkdir -p first/{bin,proc,sys,dev,lower,over,newroot,modules}
cp "$(command -v busybox)" first/bin/busybox
n=10
for m in $(modules virtio_pci 9pnet_virtio 9p overlay virtio_net vfio-pci vfio_iommu_type1); do
	cp "$m" "first/modules/$n-$(basename "$m")"
	n=$((n + 1))
done
cat >first/init <<-'END'
	#!/bin/busybox sh
	/bin/busybox --install -s /bin
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t devtmpfs dev /dev
	for m in /modules/*; do insmod $m || echo "cannot load $m"; done
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root /lower
	mount -t tmpfs tmpfs /over
	mkdir /over/upper /over/work
	mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work overlay /newroot
	for d in proc sys dev; do mount --move /$d /newroot/$d; done
	mount -t tmpfs -o mode=0755 tmpfs /newroot/run
	mkdir -p /newroot/dev/shm /newroot/dev/pts
	mount -t tmpfs tmpfs /newroot/dev/shm
	mount -t devpts devpts /newroot/dev/pts
	ln -s /proc/self/fd /newroot/dev/fd
	for n in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${n%:*} /newroot/dev/${n#*:}; done
	line=$(cat /newroot/proc/cmdline)
	chroot /newroot /bin/ip link set lo up
	chroot /newroot /bin/bash ${line##*slk.run=} </newroot/dev/null
	poweroff -f
END
chmod 0755 first/init
(cd first && find . | cpio -o -H newc 2>/dev/null | gzip -1) >first.gz || fail "cpio"

cpu=max accel=tcg,thread=multi
timeout -k 10 "${SLK_PCI_TEST_SECONDS:-900}" qemu-system-x86_64 -machine q35 -cpu $cpu -accel $accel -smp 2 -m 3072 -nographic -no-reboot \
	-kernel kernel/boot/vmlinuz-* -initrd first.gz \
	-append "console=ttyS0 quiet panic=-1 intel_iommu=on no_timer_check slk.run=$here/pci_guest.sh $build" \
	-device intel-iommu,caching-mode=on \
	-virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap \
	-netdev hubport,id=a,hubid=0 -device e1000e,netdev=a,mac=02:00:00:00:02:02,addr=6,romfile= \
	-netdev hubport,id=b,hubid=0 -device virtio-net-pci,netdev=b,mac=02:00:00:00:01:01,addr=7,romfile=,host_mtu=9000 \
	-net none </dev/null 2>&1 | tr -d '\r' | tee serial.log
# The console's control sequences stand in front of it.
result=$(grep -aoE '[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' serial.log | tail -1)
[ -n "$result" ] || fail "the machine ended without a result"
echo "$result"
[[ $result = *" 0 failed"* ]]
