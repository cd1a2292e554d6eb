# The network of the quickstart: a namespace with a sender in it, and a veth pair whose other end DPDK takes. Where no
# namespace can be made (CAP_SYS_ADMIN is missing), both ends stay here; what is sent still leaves through one end and
# arrives at the other as frames, since 10.77.0.2 is no address of this machine.
netns=sealock-sender
wire=sealock0
sender=sender0
wire_ip=10.77.0.2
sender_ip=10.77.0.1
wire_mtu=3400 # AF_XDP on a veth refuses more than about 3,500

wire_down() {
	ip link delete "$wire" 2>/dev/null || true
	ip netns delete "$netns" 2>/dev/null || true
}

# One queue at each end: an AF_XDP socket sees one queue only, and what a second one carried would be lost in silence.
# Offloads are off, so that frames are whole and carry real checksums. IPv6 is off, so that nothing is on this link but
# what the show sends.
wire_up() {
	local namespace=()
	if has_capability sys_admin; then
		ip netns add "$netns"
		namespace=(netns "$netns")
		in_netns ip link set lo up
	else
		say "CAP_SYS_ADMIN is missing here: the sender gets no network namespace of its own"
	fi
	ip link add "$wire" mtu "$wire_mtu" numtxqueues 1 numrxqueues 1 type veth \
		peer name "$sender" "${namespace[@]}" mtu "$wire_mtu" numtxqueues 1 numrxqueues 1
	in_netns ethtool -K "$sender" tx off gso off tso off >/dev/null 2>&1 ||
		die "ethtool cannot switch the offloads of $sender off"
	ethtool -K "$wire" gro off gso off tso off tx off rx off >/dev/null 2>&1 || true
	sysctl -q -w "net.ipv6.conf.$wire.disable_ipv6=1" 2>/dev/null || true
	in_netns sysctl -q -w "net.ipv6.conf.$sender.disable_ipv6=1" 2>/dev/null || true
	in_netns ip addr add "$sender_ip/24" dev "$sender"
	in_netns ip link set "$sender" up
	ip link set "$wire" up
}

in_netns() {
	if has_capability sys_admin; then ip netns exec "$netns" "$@"; else "$@"; fi
}

# The kernel may send a later datagram before those that wait for the neighbour's answer, so ask for it first. One
# datagram to a port without a listener does; ingestd counts it as such.
wire_find_neighbour() {
	local tries
	for ((tries = 50; tries > 0; tries--)); do
		in_netns bash -c "echo >/dev/udp/$wire_ip/9" 2>/dev/null || true
		if in_netns ip neigh show "$wire_ip" dev "$sender" | grep -q lladdr; then return; fi
		sleep 0.1
	done
	die "nobody answers ARP for $wire_ip on $wire; is sealock-ingestd's port up? See $log_dir/sealock-ingestd.log"
}

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
	local capability why=
	for capability in net_raw net_admin ipc_lock; do
		has_capability $capability || die "CAP_${capability^^} is missing here, and no port can do without it"
	done
	if ! has_capability sys_admin; then
		why="CAP_SYS_ADMIN is missing here"
	elif ! python3 -c 'import socket; socket.socket(44, socket.SOCK_RAW, 0)' 2>/dev/null; then
		why="this kernel has no AF_XDP sockets"
	fi
	if [ -z "$why" ]; then
		port_type=af_xdp
		port_capabilities="net_raw net_admin ipc_lock sys_admin"
		port_sentence="DPDK af_xdp on $wire"
	else
		wire_use_af_packet "$why"
	fi
}

wire_use_af_packet() { # WHY
	port_type=af_packet
	port_capabilities="net_raw net_admin ipc_lock"
	port_sentence="DPDK af_packet on $wire, since $1"
}
