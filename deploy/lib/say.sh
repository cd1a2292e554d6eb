# Output of the quickstart: steps with their time, logs shown on failure, one sentence when it ends badly.
say() { printf '   %s\n' "$*"; }
warn() { printf '   note: %s\n' "$*" >&2; }
die() {
	printf '\ndeploy/quickstart: %s\n' "$*" >&2
	died=1
	exit 1
}

step_name=start died=0
step() {
	step_name=$*
	printf '== %s\n' "$*"
}

# logged NAME COMMAND...: run with output into a log; show its end if it fails.
logged() {
	local name=$1 log=$log_dir/$1.log
	shift
	if ! "$@" >"$log" 2>&1; then
		grep -E 'error|FAILED|Error|E: ' "$log" | head -n 20 >&2 || true
		tail -n 20 "$log" >&2
		die "'$name' failed; see above, or the whole log in $log"
	fi
}

# An unexpected end names the command that failed, so that it can be reported.
failed_at=
set -E
trap 'failed_at="${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
on_exit() {
	local code=$?
	if [ "$code" != 0 ] && [ "$died" = 0 ]; then
		printf '\ndeploy/quickstart: stopped at "%s" (%s); logs are in %s\n' "$step_name" "$failed_at" "$log_dir" >&2
	fi
	exit "$code"
}
trap on_exit EXIT
