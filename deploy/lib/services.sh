# Starting, stopping and watching the services by pid files; no systemd is needed.

pid_file() { echo "$run_dir/$1.pid"; }

# The pid of a service that runs, checked against its program, so that a reused pid is never believed.
service_pid() {
	local pid
	pid=$(cat "$(pid_file "$1")" 2>/dev/null) || return 1
	[ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe" 2>/dev/null | sed 's/ (deleted)$//')" = "$bin/$1" ] || return 1
	echo "$pid"
}

# service_start NAME COMMAND...: in the background, in a session of its own, with a log.
service_start() {
	local name=$1
	shift
	: >"$log_dir/$name.log"
	setsid "$@" </dev/null >>"$log_dir/$name.log" 2>&1 9>&- &
	echo $! >"$(pid_file "$name")"
}

# service_wait NAME SECONDS WHAT COMMAND...: until the command succeeds; shows the log if the service ends before.
service_wait() {
	local name=$1 limit=$2 what=$3 tries
	shift 3
	for ((tries = limit * 10; tries > 0; tries--)); do
		"$@" >/dev/null 2>&1 && return 0
		if ! service_pid "$name" >/dev/null && [ $tries -lt $((limit * 10 - 10)) ]; then
			tail -n 15 "$log_dir/$name.log" >&2
			die "$name ended before $what; its log is $log_dir/$name.log"
		fi
		sleep 0.1
	done
	tail -n 15 "$log_dir/$name.log" >&2
	die "$name runs, but did not reach this within $limit s: $what; its log is $log_dir/$name.log"
}

service_stop() {
	local name=$1 pid tries
	if pid=$(service_pid "$name"); then
		kill -TERM "$pid" 2>/dev/null || true
		for ((tries = 100; tries > 0; tries--)); do
			service_pid "$name" >/dev/null || break
			sleep 0.1
		done
		if service_pid "$name" >/dev/null; then
			warn "$name did not end within 10 s and is killed"
			kill -KILL "$pid" 2>/dev/null || true
			sleep 0.2
		fi
	fi
	rm -f "$(pid_file "$name")"
}

# Everything that runs one of the quickstart's programs, monitor's children included.
services_left() {
	local exe
	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe" 2>/dev/null) in
		"$bin"/sealock-kmsd* | "$bin"/sealock-hsm-worker* | "$bin"/sealock-ingestd* | "$bin"/sealock-gatewayd* | "$bin"/sealock-deliverd* | "$bin"/sealock-send*)
			exe=${exe%/exe}
			echo "${exe#/proc/}"
			;;
		esac
	done
}

services_stop() {
	local pids
	service_stop sealock-deliverd
	service_stop sealock-gatewayd
	service_stop sealock-ingestd
	service_stop sealock-kmsd
	pids=$(services_left)
	if [ -n "$pids" ]; then # orphans of a killed monitor
		kill -KILL $pids 2>/dev/null || true
		sleep 0.2
	fi
	[ -z "$(services_left)" ] || die "these processes cannot be ended: $(services_left)"
}

services_start_kmsd() {
	service_start sealock-kmsd "$bin/sealock-kmsd" --config "$etc/kmsd.yaml"
	service_wait sealock-kmsd 20 "its socket answers and the HSM is ready" hsm_ready
}

hsm_ready() {
	local status
	status=$(sealock status --json 2>/dev/null || true) # ingestd is not there yet
	[ "$(json .kms.hsm.state <<<"$status" 2>/dev/null)" = ready ]
}

# ingestd is never root: it gets just the capabilities that its port needs, and drops them once the port is up. Where
# af_xdp does not come up for a reason that was not foreseen, af_packet takes its place.
services_start_ingestd() {
	ingestd_launch
	if [ "$port_type" = af_xdp ] && ! ingestd_comes_up; then
		wire_use_af_packet "af_xdp did not come up: $(grep level=error "$log_dir/sealock-ingestd.log" | tail -n 1 | sed 's/^.* msg=//')"
		say "port: $port_sentence"
		site_config
		ingestd_launch
	fi
	service_wait sealock-ingestd 30 "it answers on its status socket" sealock status --json
	wire_find_neighbour
}

ingestd_launch() {
	local caps
	service_stop sealock-ingestd
	caps=$(printf ',+%s' $port_capabilities)
	service_start sealock-ingestd setpriv --reuid sealock-ingest --regid sealock-ingest --init-groups \
		--inh-caps "-all$caps" --ambient-caps "-all$caps" --bounding-set "-all$caps" --no-new-privs \
		"$bin/sealock-ingestd" --config "$etc/ingestd.yaml"
}

# Until it answers, or ends.
ingestd_comes_up() {
	local tries
	for ((tries = 300; tries > 0; tries--)); do
		! sealock status --json >/dev/null 2>&1 || return 0
		[ $tries -gt 290 ] || service_pid sealock-ingestd >/dev/null || return 1
		sleep 0.1
	done
}

as_user() { # NAME COMMAND...
	local name=$1
	shift
	setpriv --reuid "$name" --regid "$name" --init-groups --inh-caps=-all --bounding-set=-all --no-new-privs "$@"
}

# json PATH: print a value of the JSON on stdin; .a.b.0 walks maps and arrays.
json() {
	python3 -c '
import json, sys
value = json.load(sys.stdin)
for part in sys.argv[1].split(".")[1:]:
    value = value[int(part)] if isinstance(value, list) else value[part]
print(value if not isinstance(value, bool) else str(value).lower())' "$1"
}

services_status() {
	local name pid code=0
	for name in sealock-kmsd sealock-ingestd sealock-gatewayd sealock-deliverd; do
		if pid=$(service_pid "$name"); then
			printf '%-16s runs, pid %s, since %s\n' "$name" "$pid" "$(ps -o lstart= -p "$pid")"
		else
			printf '%-16s does not run\n' "$name"
			code=1
		fi
	done
	[ $code = 0 ] || { echo "Start with deploy/quickstart."; return 1; }
	echo
	. "$root/env"
	sealock status
}
