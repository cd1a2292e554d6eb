#!/usr/bin/env bash
# Streams and listeners that come and go while ingestd runs: a stream is written to as soon as it is made, a deleted one refuses by name
# and its epochs end, one of the same name is another one; listeners come, go and change by SIGHUP; a wrong file changes nothing; and all
# the while another listener takes records, of which none is lost. Needs root. Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: live_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs sealock-send
wire_possible || skip_all "no network namespaces here"
ingest_site
wire_up || skip_all "no veth pairs here"
ip -n $netns neigh add 10.77.0.2 lladdr 02:00:00:00:02:02 dev $vgen nud permanent
make() { sealock stream create "$1" ${2:-} --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create $1"; }
wire="  - {name: wire, type: af_packet, interface: $vdp, ipv4: 10.77.0.2/24}"
config() { ingest_config "$wire" "$1"; }
reload() { # EXPRESSION that becomes true
	kill -HUP $ingestd_pid
	wait_for 5 "$1"
}
send_to() { # PORT FILE [MORE...]
	run from_sender sealock-send --to 10.77.0.2:$1 --framing ${3:-datagram} --unpaced "$2"
}
logged() { grep -q -- "$1" "$site/ingestd.log"; }
drops_of() { ingest_status ".drops.$1"; }
stream_of_status() { ingest_status .streams | python3 -c 'import json,sys; print(sum(s["name"] == sys.argv[1] for s in json.load(sys.stdin)))' "$1"; }

make steady
config "$(listener steady 5514)
$(listener later 5515)"
ingest_start net_raw,net_admin
wait_for 10 'logged "listener takes records.*udp_port=5514"'
echo "one" >"$site/one"

# --- the load that nothing below may disturb: 100,000 records ---

seq -f "steady %.0f" 1 100000 >"$site/steady"
from_sender sealock-send --to 10.77.0.2:5514 --framing datagram --rate 4000 "$site/steady" >"$site/load.out" 2>"$site/load.err" &
load=$!
sleep 0.2
kill -0 $load 2>/dev/null
code=$?
check "the load runs" '[ $code = 0 ]'

# --- streams are made ---

send_to 5515 "$site/one"
wait_for 5 '[ "$(drops_of unknown_stream)" = 1 ]'
check "records of a listener without a stream are counted" '[ "$(drops_of unknown_stream)" = 1 ]'
make later
wait_for 3 'logged "listener takes records.*udp_port=5515"'
check "once its stream is made the listener takes records, without anybody's help" 'logged "listener takes records.*udp_port=5515"'
send_to 5515 "$site/one"
wait_for 5 '[ "$(as $uid_reader sealock tail later --no-follow)" = one ]'
check "and they come back" '[ "$(as $uid_reader sealock tail later --no-follow)" = one ]'
make young "--shards 2"
run sealock put young --partition-key k "$site/one"
check "a stream that was just made takes a put" '[ $code = 0 ]'

# --- streams are deleted ---

mkfifo "$site/puts"
python3 "$here/live_put.py" "$SEALOCK_INGEST_SOCKET" <"$site/puts" >"$site/answers" &
putter=$!
exec 7>"$site/puts"
ask() { # STREAM: the answer to one more put of the connection
	local n
	n=$(wc -l <"$site/answers")
	echo "$1 again" >&7
	wait_for 10 "[ \$(wc -l <'$site/answers') -gt $n ]"
	tail -n 1 "$site/answers"
}
answer=$(ask young)
check "a connection that stays puts into it, too" '[ "$answer" = "ok 1" ]' || echo "        $answer"
sealock stream delete young >/dev/null || die_with_log "$site/kmsd.log" "stream delete"
wait_for 3 '! sealock stream describe young >/dev/null 2>&1'
check "a deleted stream is gone from ingestd within seconds, its key with it" '[ "$(stream_of_status young)" = 0 ] && logged "stream was deleted.*young"'
answer=$(ask young)
check "the connection's next put is refused as NOT_FOUND, by name" '[ "${answer%% *}" -lt 0 ] && [[ "$answer" == *young* ]]' || echo "        $answer"
run sealock put young --partition-key k "$site/one"
check "and so is a new one" '[ $code = 1 ] && said young'
make young
answer=$(ask young)
check "a stream made again under the name is another one, from sequence number 0, at once" '[ "$answer" = "ok 0" ]' || echo "        $answer"
for round in 1 2 3 4 5; do # the connection's cached right is for a stream that is gone, its next put is for the new one
	sealock stream delete young >/dev/null
	wait_for 3 '! sealock stream describe young >/dev/null 2>&1'
	make young
	answer=$(ask young)
	[ "$answer" = "ok 0" ] || break
done
check "five times over" '[ "$answer" = "ok 0" ]' || echo "        $answer"
run read_back young
check "a reader sees the last one's record alone" '[ "$(cat "$out")" = again ]'

# --- listeners come, change and go ---

config "$(listener steady 5514)
$(listener later 5515 'framing: lines, partition: {rule: source}')
$(listener young 5516 'framing: u16, partition: {rule: round-robin}')"
reload 'logged "listener takes records.*udp_port=5516"'
check "SIGHUP opens a listener and changes one" 'logged "listener is opened.*5516" && logged "listener is closed.*5515" && logged "listener is opened.*5515"'
check "the one that stays is not touched" '! logged "listener is closed.*5514"'
wait_for 5 '[ $(grep -c "listener takes records.*udp_port=5515" "$site/ingestd.log") = 2 ]'
printf 'two\nthree\n' >"$site/two"
cat >"$site/send.py" <<-'END'
	import socket, sys
	socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(open(sys.argv[2], "rb").read(), ("10.77.0.2", int(sys.argv[1])))
END
from_sender python3 "$site/send.py" 5515 "$site/two"
wait_for 5 '[ "$(as $uid_reader sealock tail later --no-follow | wc -l)" = 3 ]'
read_back later
check "the changed one cuts its datagrams into lines" '[ "$(tr "\n" " " <"$out")" = "one two three " ]'
printf '\0\4four' >"$site/four"
from_sender python3 "$site/send.py" 5516 "$site/four"
wait_for 5 '[ "$(as $uid_reader sealock tail young --no-follow | wc -l)" = 2 ]'
read_back young
check "the new one takes length-prefixed records" '[ "$(tr "\n" " " <"$out")" = "again four " ]'
config "$(listener steady 5514)"
reload 'logged "listener is closed.*5516"'
before=$(drops_of udp_port)
from_sender python3 "$site/send.py" 5516 "$site/four"
wait_for 5 '[ "$(drops_of udp_port)" = $((before + 1)) ]'
check "SIGHUP closes listeners: their datagrams are counted as udp_port" '[ "$(drops_of udp_port)" = $((before + 1)) ]'

# --- what is refused ---

config "$(listener steady 5514)
$(listener steady 5514)"
reload 'logged "not reloaded.*two listeners have UDP port 5514"'
check "a wrong file is refused with a sentence and changes nothing" 'logged "not reloaded.*two listeners have UDP port 5514"'
wire="${wire%\}}, mtu: 1400}"
config "$(listener steady 5514)
$(listener young 5517)"
reload 'logged "not reloaded.*ports was changed"'
check "a change of ports is refused: it needs a restart" 'logged "not reloaded.*ports was changed" && ! logged "listener is opened.*5517"'

# --- the load ---

for ((i = 0; i < 30; i++)); do # streams and reloads to the end of it
	kill -0 $load 2>/dev/null || break
	make brief$i
	printf x | sealock put brief$i --partition-key k >/dev/null || break
	sealock stream delete brief$i >/dev/null
	kill -HUP $ingestd_pid
done
check "streams are made, written and deleted under load" '[ $i -ge 3 ]'
wait $load
code=$?
check "the load was sent" '[ $code = 0 ]' || cat "$site/load.err"
wait_for 10 '[ "$(as $uid_reader sealock tail steady --no-follow | wc -l)" = 100000 ]'
read_back steady
check "of 100,000 records meanwhile none is lost, and all are in order" '[ $code = 0 ] && cmp -s "$out" "$site/steady"'
exec 7>&-
wait $putter
ingest_term
check "it ends with status 0" '[ $code = 0 ]'
run as $uid_reader sealock journal verify --json
check "the journal is right" '[ $code = 0 ] && json_is .ok true'
finish
