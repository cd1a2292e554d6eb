# The network of the quickstart: a namespace with a sender in it, and a veth pair whose other end DPDK takes.
netns=sealock-sender
wire=sealock0
sender=sender0
wire_ip=10.77.0.2
sender_ip=10.77.0.1
wire_mtu=3300 # AF_XDP on a veth refuses more than about 3,500

wire_down() {
	ip link delete "$wire" 2>/dev/null || true
	ip netns delete "$netns" 2>/dev/null || true
}

# One queue at each end: an AF_XDP socket sees one queue only, and what a second one carried would be lost in silence.
# Offloads are off, so that frames are whole and carry real checksums.
wire_up() {
	ip netns add "$netns"
	ip link add "$wire" mtu "$wire_mtu" numtxqueues 1 numrxqueues 1 type veth \
		peer name "$sender" netns "$netns" mtu "$wire_mtu" numtxqueues 1 numrxqueues 1
	ip netns exec "$netns" ethtool -K "$sender" tx off gso off tso off >/dev/null 2>&1 ||
		die "ethtool cannot switch the offloads of $sender off"
	ethtool -K "$wire" gro off gso off tso off tx off rx off >/dev/null 2>&1 || true
	# No stray frames: nothing on this link but what the show sends.
	sysctl -q -w "net.ipv6.conf.$wire.disable_ipv6=1" 2>/dev/null || true
	ip netns exec "$netns" sysctl -q -w "net.ipv6.conf.$sender.disable_ipv6=1" 2>/dev/null || true
	ip -n "$netns" link set lo up
	ip -n "$netns" addr add "$sender_ip/24" dev "$sender"
	ip -n "$netns" link set "$sender" up
	ip link set "$wire" up
}

in_netns() { ip netns exec "$netns" "$@"; }

# Capabilities of this process by name: net_raw and so on.
has_capability() {
	local bit
	case $1 in
	net_admin) bit=12 ;;
	net_raw) bit=13 ;;
	ipc_lock) bit=14 ;;
	sys_admin) bit=21 ;;
	esac
	(((0x$(awk '/^CapBnd/ {print $2}' /proc/self/status) & 0x$(awk '/^CapEff/ {print $2}' /proc/self/status)) >> bit & 1))
}

# Which port this machine can have, and why.
wire_choose_port() {
	local capability missing=
	for capability in net_raw net_admin ipc_lock; do
		has_capability $capability || die "CAP_${capability^^} is missing here, and no port can do without it"
	done
	has_capability sys_admin || missing="CAP_SYS_ADMIN is missing here"
	python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW, 0)' 2>/dev/null || missing="this kernel has no AF_XDP sockets"
	if [ -z "$missing" ]; then
		port_type=af_xdp
		port_capabilities="net_raw net_admin ipc_lock sys_admin"
		port_sentence="DPDK af_xdp on $wire"
	else
		port_type=af_packet
		port_capabilities="net_raw net_admin ipc_lock"
		port_sentence="DPDK af_packet on $wire, since $missing"
	fi
}
