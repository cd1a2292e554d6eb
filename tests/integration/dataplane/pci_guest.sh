#!/usr/bin/env bash
# In a virtual machine that pci_test.sh starts: ingestd drives a NIC through vfio and the machine's IOMMU, and takes what the kernel
# sends over another one on the same wire. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: pci_guest.sh BUILD_DIR}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/run/test
mkdir -p $TMPDIR
chmod 1777 $TMPDIR
. "$(dirname "$0")/ingest.sh"
ingest_needs
nic=0000:00:06.0
records=400

bind() { # DRIVER
	[ ! -e /sys/bus/pci/devices/$nic/driver ] || echo $nic >/sys/bus/pci/devices/$nic/driver/unbind
	echo "$1" >/sys/bus/pci/devices/$nic/driver_override
	echo $nic >/sys/bus/pci/drivers_probe
}
config() {
	ingest_config "  - {name: wire, type: pci, device: \"$nic\", ipv4: 10.77.0.2/24, mtu: 9000}" \
		"$(listener logs)"
	sed -i 's/memory_mb: 128/memory_mb: 256/' "$site/ingestd.yaml"
}
send() { # FIRST COUNT BYTES
	python3 - "$@" <<-'END'
		import socket, sys, time
		first, count, size = map(int, sys.argv[1:])
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		for i in range(first, first + count):
		    s.sendto((b"record %06d " % i).ljust(size, b"."), ("10.77.0.2", 5514))
		    time.sleep(0.002)
	END
}
taken() { ingest_status .workers.0.records; }
all_taken() { wait_for 60 "[ \"\$(taken)\" = $1 ]"; }

# The sender is the kernel, on the other NIC.
sender=$(basename /sys/bus/pci/devices/0000:00:07.0/virtio*/net/*)
ip addr add 10.77.0.1/24 dev "$sender"
ip link set "$sender" mtu 9000 up
ingest_site
sealock stream create logs --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"

config
ingest_refuses ""
check "a NIC that no driver has is refused, with what to run" '[ $code != 0 ] && said "dpdk-devbind.py --bind vfio-pci $nic"'
bind vfio-pci
group=/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)")
check "the IOMMU has a group for it" '[ -c "$group" ]'
chmod 0600 "$group"
ingest_refuses ""
check "a group that is not ingestd's to open is refused" '[ $code != 0 ] && said "cannot open $group"'
chown $uid_ingest "$group"
config
ingest_start ""
check "without a capability but memory locks ingestd drives the NIC" 'status_is .ports.0.type pci && status_is .ports.0.device $nic'
check "the link is up" 'wait_for 20 "status_is .ports.0.link up"'
check "the NIC verifies checksums" 'status_is .ports.0.udp_checksums device'
check "its MAC is the device's" 'status_is .ports.0.mac 02:00:00:00:02:02'
wait_for 30 'grep -q "listener takes records" "$site/ingestd.log"'
send 0 $records 1024
check "every datagram becomes a record" "all_taken $records"
send $records $records 8000
check "jumbo frames, too" "all_taken $((2 * records))"
python3 - "$sender" <<-'END'
	import socket, struct, sys
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind((sys.argv[1], 0))
	def fold(data):
	    t = sum(struct.unpack(f"!{len(data) // 2}H", data))
	    while t >> 16: t = (t & 0xffff) + (t >> 16)
	    return ~t & 0xffff
	def frame(wrong):
	    body = b"by hand."
	    a, b = socket.inet_aton("10.77.0.1"), socket.inet_aton("10.77.0.2")
	    udp = struct.pack("!HHHH", 4000, 5514, 8 + len(body), 0)
	    c = fold(a + b + struct.pack("!BBH", 0, 17, len(udp) + len(body)) + udp + body)
	    udp = struct.pack("!HHHH", 4000, 5514, 8 + len(body), c ^ wrong)
	    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(body), 1, 0, 64, 17, 0, a, b)
	    ip = ip[:10] + struct.pack("!H", fold(ip)) + ip[12:]
	    return bytes.fromhex("020000000202") + bytes.fromhex("020000000101") + b"\x08\x00" + ip + udp + body
	for i in range(10):
	    s.send(frame(0x1234))
	s.send(frame(0))
END
check "what the NIC finds wrong is dropped and counted as a wrong checksum" \
	'wait_for 30 "[ \"\$(ingest_status .drops.udp_checksum)\" = 10 ]"'
check "and what is right is taken" "all_taken $((2 * records + 1))"

ingest_kill
ingest_start ""
wait_for 30 'grep -q "listener takes records" "$site/ingestd.log"'
send $((2 * records)) 100 1024
check "after kill -9 the next one takes the NIC over" "all_taken 100"
ingest_term
check "SIGTERM ends it with status 0" '[ $code = 0 ]'
read_back logs --format json
cp "$out" "$site/records"
run python3 - "$site/records" $((2 * records + 100)) <<-'END'
	import json, sys
	seen = []
	for line in open(sys.argv[1]):
	    data = json.loads(line)["data"]
	    if data.startswith("record "):
	        seen.append(int(data[7:13]))
	want = list(range(int(sys.argv[2])))
	print(len(seen), seen == want)
	sys.exit(seen != want)
END
check "every record comes back once, in order ($(cat "$out"))" '[ $code = 0 ]'
bind ""
check "the NIC can be given back" '[ ! -e /sys/bus/pci/devices/$nic/driver ]'
finish
