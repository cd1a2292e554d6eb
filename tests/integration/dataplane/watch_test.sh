#!/usr/bin/env bash
# ingestd hears of kmsd's changes by a call that stands, not by asking: a stream that is made or deleted reaches it at once, an idle
# appliance asks nothing, and a kmsd that was killed and started again is found, with what happened in between. Needs root. Prints
# "N passed, N failed, N skipped" at the end.
set -uo pipefail
build=${1:?usage: watch_test.sh BUILD_DIR}
. "$(dirname "$0")/ingest.sh"
ingest_needs
ingest_site
requests() { sealock status --json 2>/dev/null | json_from .kms.requests; }
logged() { grep -q -- "$1" "$site/ingestd.log"; }
made_ms() { # STREAM: milliseconds from its creation until its listener takes records
	local before
	before=$(date +%s%N)
	sealock stream create "$1" --key alias/test >/dev/null || return 1
	wait_for 8 "logged 'listener takes records.*stream=$1'" || return 1
	echo $((($(date +%s%N) - before) / 1000000))
}
# How often in ten seconds the threads of that name fell asleep to be woken again.
wakeups() { # PID NAME SECONDS
	local before
	before=$(sleeps_of "$1" "$2")
	sleep "$3"
	echo $(((($(sleeps_of "$1" "$2") - before) * 10) / $3))
}
sleeps_of() { # PID NAME
	local task sum=0
	for task in /proc/"$1"/task/*; do
		[[ $(<"$task/comm") = *"$2"* ]] || continue
		sum=$((sum + $(awk '/^voluntary_ctxt/ {print $2}' "$task/status")))
	done
	echo $sum
}

ingest_config "  - {name: none, type: ring, ipv4: 10.77.0.2}" "$(listener first 5514)
$(listener second 5515)
$(listener third 5516)"
ingest_start ""

ms=$(made_ms first)
code=$?
check "a new stream reaches ingestd (${ms:-never} ms, a client's start included)" '[ $code = 0 ]'
sleep 1
before=$(requests)
own=$(($(requests) - before)) # of a status itself
front=$(pgrep -P "$kmsd_pid" -f sealock-kmsd | head -n 1)
idle=$(wakeups "$ingestd_pid" control 6)
asked=$(($(requests) - before - 2 * own))
# Two listeners have no stream yet: they ask less and less often. Asking twice a second would be twelve more.
check "in six quiet seconds kmsd is asked next to nothing ($asked requests)" '[ $asked -le 8 ]'
echo "in ten seconds ingestd's control thread falls asleep $idle times, kmsd's front $(wakeups "${front:-$kmsd_pid}" sealock-kmsd 6) times"

sealock stream delete first >/dev/null
wait_for 8 'logged "stream was deleted.*stream=first"'
check "a deletion reaches it" 'logged "stream was deleted.*stream=first"'

# --- kmsd is killed, and started again ---

kill -KILL "$kmsd_pid"
wait "$kmsd_pid" 2>/dev/null
wait_for 5 'logged "kmsd does not answer"'
check "a kmsd that died is missed" 'logged "kmsd does not answer"'
missed=$(grep -c "kmsd does not answer" "$site/ingestd.log")
cpu=$(awk '{print $14 + $15}' /proc/$ingestd_pid/stat)
sleep 3
check "and not looked for without end" '[ $(($(awk "{print \$14 + \$15}" /proc/$ingestd_pid/stat) - cpu)) -lt 150 ]'
check "nor said again and again" '[ "$(grep -c "kmsd does not answer" "$site/ingestd.log")" = $missed ]'
answers=$(grep -c "msg=\"kmsd answers\"" "$site/ingestd.log")
kmsd_start
wait_for 8 '[ "$(grep -c "msg=\"kmsd answers\"" "$site/ingestd.log")" -gt $answers ]'
check "started again, it is found" '[ $(($(grep -c "msg=\"kmsd answers\"" "$site/ingestd.log") - answers)) = 1 ]'
ms=$(made_ms second)
code=$?
check "and watched as before (${ms:-never} ms)" '[ $code = 0 ]'

# --- a change that was made while ingestd could not hear of it ---

kill -STOP "$ingestd_pid"
sealock stream create third --key alias/test >/dev/null
kill -KILL "$kmsd_pid"
wait "$kmsd_pid" 2>/dev/null
kmsd_start
kill -CONT "$ingestd_pid"
wait_for 8 'logged "listener takes records.*stream=third"'
check "what changed before the restart is not missed" 'logged "listener takes records.*stream=third"'
ingest_term
check "it ends with status 0" '[ $code = 0 ]'
finish
