#!/usr/bin/env bash
# Dual control of a real kmsd through sealock: two of three, what is shown, who may, and over a restart. Needs root (uids, no
# accounts).
set -uo pipefail
build=${1:?usage: cli_dual_test.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/harness.sh"

skip_all() { echo "skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "this test needs root, to run programs under several uids"
for program in sealock sealock-kmsd sealock-hsm-worker; do
	[ -x "$build/bin/$program" ] || skip_all "$program was not built"
done
[ -n "$(softhsm_module)" ] || skip_all "SoftHSM is not installed"

site_make
trap site_remove EXIT
sed -i "s|^admins: .*|admins: [root, \"$uid_reader\", \"$uid_auditor\"]|" "$site/kmsd.yaml"
cat >>"$site/kmsd.yaml" <<-END
	  - {effect: Allow, principals: [user/reader, user/auditor], actions: ["kms:ScheduleKeyDeletion"], resources: ["key/*"]}
	dual_control:
	  approvals: 2
	  actions: ["kms:ScheduleKeyDeletion", "iam:*"]
END
run sealock hsm init --config "$site/kmsd.yaml"
kmsd_start
key=$(sealock key create --alias alias/old | head -1 | grep -o '[0-9a-f-]\{36\}' | head -1)
[ -n "$key" ] || key=$(sealock key describe alias/old --json | json_from .id)
state() { sealock key describe "$key" --json | json_from .state; }

run sealock key schedule-deletion "$key" --days 7
id=$(grep -o '[0-9a-f]\{8\}-[0-9a-f-]\{27\} has' "$err" | cut -d' ' -f1)
check "what is under dual control is refused and names a proposal" '[ $code = 1 ] && said ApprovalRequired && [ -n "$id" ] && [ "$(state)" = Enabled ]'
run sealock approval list --json
check "the proposal is listed, with what is under dual control" '[ $code = 0 ] && json_is .proposals.0.id "$id" && json_is .dual_control.approvals 2 && json_is .dual_control.actions.0 kms:ScheduleKeyDeletion'
run as $uid_reader sealock approval show "$id" --json
check "it is shown with every parameter" '[ $code = 0 ] && json_is .action kms:ScheduleKeyDeletion && grep -q "\"schedule_key_deletion.pending_window_days\": \"7\"" "$out" && grep -q "\"schedule_key_deletion.key\": \"$key\"" "$out"'
run sealock approval approve "$id"
check "the requester cannot approve" '[ $code = 1 ] && said "own request"'
run as $uid_outsider sealock approval approve "$id"
check "who is no administrator cannot" '[ $code = 1 ] && said AccessDenied'
run as $uid_reader sealock approval approve "$id"
check "the first approves" '[ $code = 0 ] && said "1 more approval is needed" && grep -q "1/2" "$out"'
run as $uid_reader sealock approval approve "$id"
check "and counts once" '[ $code = 1 ] && said "already"'
kmsd_stop
kmsd_start
run sealock key schedule-deletion "$key" --days 7
check "one of two is not enough, also after a restart" '[ $code = 1 ] && said "has 1 of 2 approvals" && said "$id" && [ "$(state)" = Enabled ]'
run as $uid_auditor sealock approval approve "$id"
check "the second approves" '[ $code = 0 ] && said "can ask again now"'
run sealock key schedule-deletion "$key" --days 8
check "another window is another request" '[ $code = 1 ] && said "has 0 of 2 approvals" && [ "$(state)" = Enabled ]'
kmsd_stop
kmsd_start
run sealock key schedule-deletion "$key" --days 7
check "the same request goes through, once" '[ $code = 0 ] && [ "$(state)" = PendingDeletion ]'
run sealock key cancel-deletion "$key"
run sealock key schedule-deletion "$key" --days 7
check "the approval is spent" '[ $code = 1 ] && said "has 0 of 2 approvals" && ! said "$id" && [ "$(state)" = Disabled ]'
run sealock approval list --all --json
check "what was used is kept for the auditor" '[ $code = 0 ] && grep -q "\"state\": \"Used\"" "$out"'
export SEALOCK_AUDIT=$site/kms/audit.log
run sealock audit search --action sealock:ApproveProposal --outcome allowed --json
check "the log has both approvals, by name and proposal" '[ $(wc -l <"$out") = 2 ] && grep -q "user/reader" "$out" && grep -q "user/auditor" "$out" && [ $(grep -c "\"proposalId\":\"$id\"" "$out") = 2 ]'
sed -i 's/"iam:\*"\]/"kms:DeleteKey"]/' "$site/kmsd.yaml"
kmsd_stop
run timeout 20 sealock-kmsd --config "$site/kmsd.yaml"
check "a pattern that names nothing stops kmsd at its start" '[ $code != 0 ] && [ $code != 124 ] && grep -q "kms:DeleteKey" "$out" "$err"'
finish
