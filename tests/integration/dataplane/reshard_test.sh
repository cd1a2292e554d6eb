#!/usr/bin/env bash
# Streams that change under load: shards are split, merged and counted, encryption starts, changes and stops, streams come and go; ingestd
# and kmsd are killed with -9 while changes are intended, performed or told. Every acknowledged record is read back once, in order,
# parents before children; each change is performed; no put is acknowledged into a stream that is gone. Needs root. ROUNDS (default 4).
# Prints "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: reshard_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
rounds=${ROUNDS:-4}
ingest_needs
[ -x "$build/tests/reshard_drive" ] || skip_all "reshard_drive was not built"
ingest_site
install -m 0755 "$build/tests/reshard_drive" "$site/bin/"
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed (SEED=$seed draws the same numbers)"
sealock key create --alias alias/other --json >/dev/null || die_with_log "$site/kmsd.log" "key create"
sealock stream create web --shards 2 --key alias/test >/dev/null || die_with_log "$site/kmsd.log" "stream create"
sealock stream create plain --shards 3 >/dev/null || die_with_log "$site/kmsd.log" "stream create"
ingest_config "  - {name: wire, type: ring, ipv4: 10.77.1.2}" ""
ingest_start ""
begin_load() { # NAME STREAM...
	reshard_drive "$site/acks.$1" "${@:2}" &
	load=$!
	wait_for 10 '[ -s "$site/acks.'"$1"'" ]'
}
end_load() {
	kill -TERM $load
	wait $load
}
is_active() { [ "$(sealock stream describe "$1" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["status"])')" = ACTIVE ]; }
field() { sealock stream describe "$1" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }
settled() { wait_for 20 "is_active $1"; }
open_shards() { sealock stream shards "$1" --json | python3 -c 'import json,sys
print(*[s["number"] for s in sorted(json.load(sys.stdin)["shards"], key=lambda s: int(s["starting_hash_key"])) if s["state"] == "OPEN"])'; }
change() { # STREAM: one change, drawn
	local open count at
	read -ra open <<<"$(open_shards "$1")"
	count=${#open[@]}
	at=$((RANDOM % count))
	case $((RANDOM % 4)) in
	0) sealock stream split "$1" "${open[at]}" >/dev/null ;;
	1) [ $count = 1 ] || sealock stream merge "$1" "${open[at > 0 ? at - 1 : 0]}" "${open[at > 0 ? at : 1]}" >/dev/null ;;
	2) sealock stream reshard "$1" $(((count + 1) / 2 + RANDOM % (2 * count - (count + 1) / 2 + 1))) >/dev/null 2>&1 ||
		sealock stream split "$1" "${open[at]}" >/dev/null ;;
	3) if [ "$(field "$1" encryption)" = NONE ]; then sealock stream encrypt "$1" alias/other >/dev/null
		elif [ $((RANDOM % 2)) = 0 ]; then sealock stream unencrypt "$1" >/dev/null
		else sealock stream encrypt "$1" "$([ "$(field "$1" key_name)" = alias/test ] && echo alias/other || echo alias/test)" >/dev/null; fi ;;
	esac
}
verify() { # STREAM ACKS
	read_back "$1" --format json
	cp "$out" "$site/records.$1"
	sealock stream shards "$1" --json >"$site/shards.$1"
	run python3 "$here/reshard_check.py" "$1" "$site/acks.$2" "$site/records.$1" "$site/shards.$1"
}

# --- each change by itself, under load ---

begin_load first web plain
run sealock stream split web 0 --wait
check "a split is performed under load" '[ $code = 0 ] && [ "$(open_shards web)" = "2 3 1" ]'
run sealock stream merge web 3 1 --wait
check "so is a merge" '[ $code = 0 ] && [ "$(open_shards web)" = "2 4" ]'
run sealock stream reshard web 4 --wait
check "so is a series of both" '[ $code = 0 ] && [ "$(open_shards web | wc -w)" = 4 ]'
run sealock stream encrypt plain alias/test --wait --json
check "encryption starts" '[ $code = 0 ] && json_is .encryption KMS && json_is .status ACTIVE'
sleep 0.3
run sealock stream encrypt plain alias/other --wait --json
check "its key is changed" '[ $code = 0 ] && json_is .key_name alias/other'
sleep 0.3
run sealock stream unencrypt plain --wait --json
check "and it stops" '[ $code = 0 ] && json_is .encryption NONE && json_is .status ACTIVE'
sleep 0.3
end_load
for stream in web plain; do
	verify $stream first
	check "$stream: all that was acknowledged is read back once, in order, in its shard" '[ $code = 0 ]'
	cat "$out"
done
run sh -c 'grep -c ^refused "$1" || true' - "$site/acks.first"
check "no put was refused" '[ "$(cat "$out")" = 0 ]'
run as $uid_reader sealock tail plain --no-follow --format json
check "what was sealed under each key opens" '[ $code = 0 ]'

# --- kills at chosen points ---

begin_load second web plain
kill -STOP $ingestd_pid # the intent is there, and ingestd has not seen it
sealock stream split web "$(open_shards web | cut -d' ' -f1)" >/dev/null
ingest_kill
ingest_start ""
settled web
check "a change that was intended while ingestd died is performed by the next" 'is_active web'
kill -STOP $ingestd_pid
sealock stream merge web $(open_shards web | cut -d' ' -f1,2) >/dev/null
kill -KILL $kmsd_pid
wait $kmsd_pid 2>/dev/null
kmsd_start
kill -CONT $ingestd_pid
settled web
check "and one that was intended when kmsd died" 'is_active web'
for ((round = 0; round < rounds; round++)); do
	change web
	change plain
	sleep 0.$((RANDOM % 7))$((RANDOM % 10))
	if [ $((round % 3)) = 2 ]; then
		kill -KILL $kmsd_pid
		wait $kmsd_pid 2>/dev/null
		kmsd_start
	else
		ingest_kill
		ingest_start ""
	fi
	settled web && settled plain || break
done
check "each of $rounds changes was performed, whoever was killed" '[ $round = $rounds ]'
end_load
for stream in web plain; do
	verify $stream second
	check "$stream: kills lost nothing that was acknowledged" '[ $code = 0 ]'
	cat "$out"
done

# --- streams come and go under load ---

begin_load third web brief
for ((i = 0; i < 4; i++)); do
	sealock stream create brief --shards 2 --key alias/test >/dev/null || break
	wait_for 5 '[ -n "$(sealock tail brief --no-follow 2>/dev/null | head -n 1)" ]'
	sealock stream delete brief >/dev/null || break
	wait_for 10 '! sealock stream describe brief >/dev/null 2>&1' || break
	before=$(grep -c "^brief " "$site/acks.third")
	sleep 0.2
	[ "$(grep -c "^brief " "$site/acks.third")" = "$before" ] || break
done
check "a stream is made and deleted under load, four times, and takes nothing once it is gone" '[ $i = 4 ]'
end_load
verify web third
check "and the other stream loses nothing" '[ $code = 0 ]'

# --- a key that is refused by the time it is needed ---

sealock stream create locked --key alias/test >/dev/null
run sh -c 'printf one | sealock put locked --partition-key k'
check "a stream has an epoch under its key" '[ $code = 0 ]'
kill -STOP $ingestd_pid
sealock stream encrypt locked alias/other >/dev/null
sealock key disable alias/other >/dev/null
kill -CONT $ingestd_pid
settled locked
check "a change to a key that was disabled meanwhile ends, too" 'is_active locked'
run sh -c 'printf two | sealock put locked --partition-key k'
check "nothing more is sealed under the key before it: the put is refused by the KMS" '[ $code = 1 ] && said "[Dd]isabled"'
sealock key enable alias/other >/dev/null
wait_for 10 'printf three | sealock put locked --partition-key k >/dev/null 2>&1'
read_back locked
check "and taken once the key works" '[ $code = 0 ] && [ "$(cat "$out")" = "$(printf "one\nthree")" ]'
ingest_term
check "ingestd stops in peace" '[ $code = 0 ]'
run as $uid_reader sealock journal verify --with-keys --json
check "every tag in the journal is right" '[ $code = 0 ] && json_is .ok true'

finish
