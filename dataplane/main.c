/* sealock-ingestd: start, watch, stop. What runs where is in dataplane/README.md. */
#include <pthread.h>
#include <rte_launch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/daemon.h"
#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "base/secret.h"
#include "config.h"
#include "control.h"
#include "door.h"
#include "eal.h"
#include "journal/mirror.h"
#include "keeper.h"
#include "journal/journal.h"
#include "metrics.h"
#include "port.h"
#include "priv.h"
#include "status_doc.h"
#include "telemetry.h"
#include "worker.h"

#define WATCH_NS (100 * SLK_NS_PER_MS)
#define MIB (1024ull * 1024ull)

struct lane_thread {
	pthread_t thread;
	bool runs;
	struct jnl_lane *lane;
	int result;
};

struct ingestd {
	const char *path; /* of the configuration */
	struct dp_config *config;
	struct dp_eal eal;
	bool eal_runs;
	bool memory_locked;
	struct dp_port ports[DP_PORTS_MAX];
	unsigned ports_open;
	struct dp_port shares[DP_PORTS_MAX]
			     [DP_CORES_MAX]; /* of queues 1.. of a port with several workers */
	struct dp_port *of_worker[DP_CORES_MAX][DP_PORTS_MAX];
	struct seal_cryptodev *cryptodev; /* NULL: the CPU seals */
	struct jnl *journal;
	struct jnl_mirror *mirror; /* NULL: one directory */
	struct dp_worker *workers[DP_CORES_MAX];
	unsigned workers_made;
	unsigned workers_run;
	struct lane_thread lanes[DP_CORES_MAX];
	struct dp_control *control;
	struct dp_door *door;
	struct dp_keeper *keeper;
	struct dp_ages *ages;
	struct dp_vmgen vmgen;
	struct dp_metrics *metrics; /* NULL: nobody wants them */
	pthread_t control_thread, door_thread, keeper_thread, metrics_thread;
	bool control_runs, door_runs, keeper_runs, metrics_run;
	int control_fd, door_fd;
	sigset_t signals;
	uint64_t started_ns;
};

/* --- start, step by step; each undone by stop_all() --- */

static int
open_ports(struct ingestd *d, struct slk_error *err)
{
	bool keep_net_admin = false;

	for (unsigned i = 0; i < d->config->ports_count; i++) {
		int rc = dp_port_open(d->config, i, &d->ports[i], err);
		if (rc != SLK_OK)
			return rc;
		d->ports_open++;
		keep_net_admin = keep_net_admin || dp_port_needs_net_admin(&d->config->ports[i]);
		slk_info("port is up", slk_kv("port", (const char *)d->config->ports[i].name),
			slk_kv("type", dp_port_type_name(d->config->ports[i].type)),
			slk_kv("mtu", d->ports[i].mtu));
	}
	return dp_priv_drop(d->config->run_as, keep_net_admin, err);
}

static int
start_dpdk(struct ingestd *d, struct slk_error *err)
{
	int rc = dp_eal_start(d->config, &d->eal, err);

	if (rc != SLK_OK)
		return rc;
	d->eal_runs = true;
	rc = dp_priv_lock_memory(d->config->allow_unlocked_memory, &d->memory_locked, err);
	if (rc == SLK_OK)
		rc = dp_eal_hide_memory(&d->eal, err);
	if (rc == SLK_OK && !d->memory_locked)
		slk_warn(
			"memory is not locked: records may be swapped out (allow_unlocked_memory)");
	return rc;
}

/* Nothing that is in memory may reach the disk any more: the device may still write to it. The journal recovers. */
static void
cryptodev_lost(void *arg)
{
	const struct dp_config *config = arg;

	slk_error_log("the crypto device has stopped and keeps what it was given; ending at once",
		slk_kv("engine", config->engine));
	_exit(EXIT_FAILURE);
}

/* engine: cryptodev:NAME. Before privileges are given up: hardware may need them. */
static int
start_cryptodev(struct ingestd *d, struct slk_error *err)
{
	static const char prefix[] = DP_ENGINE_CRYPTODEV;
	const char *engine = d->config->engine;

	if (engine == NULL || strncmp(engine, prefix, sizeof(prefix) - 1) != 0)
		return SLK_OK;
	/* A stream has a key that it writes with, and one that was fetched ahead. */
	int rc = seal_cryptodev_new(engine + sizeof(prefix) - 1, d->eal.workers,
		2 * DP_STREAMS_MAX * d->eal.workers, &d->cryptodev, err);
	if (rc == SLK_OK)
		seal_cryptodev_on_lost(d->cryptodev, cryptodev_lost, d->config);
	return rc;
}

static void
report_recovery(const struct jnl_recovery *r)
{
	slk_info("journal is open", slk_kv("files", r->files),
		slk_kv("unclosed", r->files_unclosed), slk_kv("torn_bytes", r->torn_bytes));
	if (r->corrupt_blocks > 0 || r->corrupt_bytes > 0)
		slk_error_log("the journal is damaged below what was durable: records are lost; "
			      "run 'sealock "
			      "journal verify'",
			slk_kv("blocks", r->corrupt_blocks), slk_kv("bytes", r->corrupt_bytes));
}

/* From the lane's thread, and once: what follows is acknowledged from one disk only, or not at all. */
static void
mirror_failed(void *arg, unsigned side, int status)
{
	const struct dp_journal_config *j = arg;
	const bool goes_on = j->mirror.on_failure == DP_MIRROR_GO_ON;

	slk_error_log(goes_on ? "one of the journal's two directories has failed; records are "
				"acknowledged from the other alone until ingestd is started again"
			      : "one of the journal's two directories has failed",
		slk_kv("directory", side == 0 ? j->dir : j->mirror.dir),
		slk_kv("error", slk_status_sentence(status)));
}

/* Once for each; the lanes go on in the others, if there are any. */
static void
directory_failed(void *arg, const char *dir, int status)
{
	(void)arg;
	slk_error_log(
		"a directory of the journal has failed; nothing more is written there. Look at its "
		"disk; once it is mended, a restart of ingestd takes it back",
		slk_kv("directory", dir), slk_kv("error", slk_status_sentence(status)));
}

static int
open_mirror(struct ingestd *d, struct slk_error *err)
{
	struct dp_journal_config *j = &d->config->journal;
	const struct jnl_mirror_config mc = {.dirs = {j->dir, j->mirror.dir},
		.policy = j->mirror.on_failure == DP_MIRROR_GO_ON ? JNL_MIRROR_GO_ON
								  : JNL_MIRROR_STOP,
		.io = j->io,
		.failed = mirror_failed,
		.arg = j};
	struct jnl_mirror_report report;

	if (j->mirror.dir == NULL)
		return SLK_OK;
	int rc = jnl_mirror_open(&mc, &d->mirror, &report, err);
	if (rc == SLK_OK)
		slk_info("the journal's two directories are alike",
			slk_kv("repaired_blocks", report.repaired_blocks),
			slk_kv("copied_files", report.copied_files),
			slk_kv("copied_bytes", report.copied_bytes),
			slk_kv("removed_files", report.removed_files));
	return rc;
}

static int
open_journal(struct ingestd *d, struct slk_error *err)
{
	const struct dp_journal_config *j = &d->config->journal;
	int rc = open_mirror(d, err);
	if (rc != SLK_OK)
		return rc;
	const struct jnl_config jc = {.dir = j->dir,
		.more_dirs = (const char *const *)j->more_dirs,
		.more_count = j->more_dirs_count,
		.dir_failed = directory_failed,
		.fs = d->mirror != NULL ? jnl_mirror_fs(d->mirror) : NULL,
		.sim_io = d->mirror != NULL ? jnl_mirror_io(d->mirror) : NULL,
		.lane_count = d->eal.workers,
		.file_bytes = j->file_mb * MIB,
		.group_bytes = j->group_kb * 1024u,
		.group_count = j->group_count,
		.reserve_bytes = j->reserve_mb * MIB,
		.io = j->io,
		.direct = dp_config_direct(d->config),
		.integrity = dp_config_integrity(d->config),
		.share_tail = dp_config_share_tail(d->config)};
	struct jnl_recovery report;

	rc = jnl_open(&jc, &d->journal, &report, err);
	if (rc == SLK_OK)
		report_recovery(&report);
	for (unsigned i = 0; rc == SLK_OK && i < d->eal.workers; i++) {
		const char *reason = jnl_lane_tail_error(jnl_lane(d->journal, i));
		if (reason[0] != '\0')
			slk_warn("readers at the tip will read the disk", slk_kv("lane", i),
				slk_kv("reason", reason));
	}
	return rc;
}

static int
make_eventfds(struct ingestd *d, struct slk_error *err)
{
	d->control_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->door_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (d->control_fd < 0 || d->door_fd < 0)
		return slk_fail_errno(err, "cannot make an eventfd");
	return SLK_OK;
}

/* The queues that are the worker's. */
static int
take_queues(struct ingestd *d, unsigned index, struct dp_worker_config *wc, struct slk_error *err)
{
	int rc = SLK_OK;

	for (unsigned p = 0; p < d->ports_open; p++) {
		const struct dp_port_config *c = &d->config->ports[p];
		for (uint16_t q = 0; q < dp_port_queues(c) && rc == SLK_OK; q++) {
			struct dp_port *port = q == 0 ? &d->ports[p] : &d->shares[p][q];
			if (dp_port_worker(c, q) != index)
				continue;
			if (q > 0)
				rc = dp_port_share(&d->ports[p], q, port, err);
			if (rc == SLK_OK)
				d->of_worker[index][wc->port_count++] = port;
		}
	}
	return rc;
}

static int
make_worker(struct ingestd *d, unsigned index, struct slk_error *err)
{
	struct dp_worker_config wc = {.index = index,
		.ports = d->of_worker[index],
		.config = d->config,
		.lane = jnl_lane(d->journal, index),
		.cryptodev = d->cryptodev,
		.clock = slk_clock_system(),
		.vmgen = &d->vmgen,
		.control_fd = d->control_fd,
		.door_fd = d->door_fd,
		.workers = d->workers,
		.worker_count = d->eal.workers};

	int rc = take_queues(d, index, &wc, err);
	if (rc == SLK_OK)
		rc = dp_worker_new(&wc, &d->workers[index], err);
	if (rc == SLK_OK)
		d->workers_made++;
	return rc;
}

static int
make_all(struct ingestd *d, struct slk_error *err)
{
	int rc = make_eventfds(d, err);

	for (unsigned i = 0; i < d->eal.workers && rc == SLK_OK; i++)
		rc = make_worker(d, i, err);
	if (rc == SLK_OK &&
		dp_ages_new(d->config->journal.retention.hours * 3600 * SLK_NS_PER_S, &d->ages) !=
			SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for the retention of streams");
	const struct dp_control_config cc = {.config = d->config,
		.ages = d->ages,
		.clock = slk_clock_system(),
		.workers = d->workers,
		.worker_count = d->workers_made,
		.vmgen = &d->vmgen,
		.control_fd = d->control_fd,
		.door_fd = d->door_fd};
	if (rc == SLK_OK)
		rc = dp_control_new(&cc, &d->control, err);
	if (rc == SLK_OK)
		rc = dp_keeper_new(d->config, d->journal, &d->keeper, err);
	if (rc == SLK_OK)
		dp_keeper_watch(d->keeper, d->mirror);
	if (rc == SLK_OK)
		dp_keeper_keep(d->keeper, d->ages);
	const struct dp_door_config dc = {.config = d->config,
		.clock = slk_clock_system(),
		.control = d->control,
		.keeper = d->keeper,
		.journal = d->journal,
		.workers = d->workers,
		.worker_count = d->workers_made,
		.door_fd = d->door_fd};
	if (rc == SLK_OK)
		rc = dp_door_new(&dc, &d->door, err);
	if (rc == SLK_OK && d->config->eal.telemetry)
		rc = dp_telemetry_start(d->workers, d->workers_made, err);
	const struct dp_status_sources sources = {.control = d->control,
		.door = d->door != NULL ? dp_door_counters(d->door) : NULL,
		.workers = d->workers,
		.worker_count = d->workers_made,
		.journal = d->journal,
		.config = d->config,
		.uptime_ns = d->started_ns};
	if (rc == SLK_OK && d->config->metrics.listen != NULL)
		rc = dp_metrics_new(&sources, &d->metrics, err);
	return rc;
}

/* --- threads --- */

static void *
run_lane(void *arg)
{
	struct lane_thread *t = arg;

	if (dp_priv_thread_lower() != SLK_OK)
		slk_warn("a lane thread keeps a capability that it does not need");
	t->result = jnl_lane_run(t->lane);
	return NULL;
}

static void *
run_control(void *arg)
{
	if (dp_priv_thread_lower() != SLK_OK)
		slk_warn("the control thread keeps a capability that it does not need");
	return dp_control_run(arg);
}

static void *
run_door(void *arg)
{
	if (dp_priv_thread_lower() != SLK_OK)
		slk_warn("the door thread keeps a capability that it does not need");
	return dp_door_run(arg);
}

static void *
run_keeper(void *arg)
{
	if (dp_priv_thread_lower() != SLK_OK)
		slk_warn("the keeper thread keeps a capability that it does not need");
	return dp_keeper_run(arg);
}

static void *
run_metrics(void *arg)
{
	if (dp_priv_thread_lower() != SLK_OK)
		slk_warn("the metrics thread keeps a capability that it does not need");
	return dp_metrics_run(arg);
}

static int
start_thread(pthread_t *thread, const char *name, void *(*run)(void *), void *arg, bool *out_runs,
	struct slk_error *err)
{
	int code = pthread_create(thread, NULL, run, arg);

	if (code != 0)
		return slk_fail(
			err, SLK_SYSTEM, "cannot start the %s thread: %s", name, strerror(code));
	(void)pthread_setname_np(*thread, name);
	*out_runs = true;
	return SLK_OK;
}

static int
start_threads(struct ingestd *d, struct slk_error *err)
{
	int rc = SLK_OK;

	for (unsigned i = 0; i < d->workers_made && rc == SLK_OK; i++) {
		struct lane_thread *t = &d->lanes[i];
		t->lane = jnl_lane(d->journal, i);
		rc = start_thread(&t->thread, "slk-lane", run_lane, t, &t->runs, err);
	}
	if (rc == SLK_OK)
		rc = start_thread(&d->control_thread, "slk-control", run_control, d->control,
			&d->control_runs, err);
	if (rc == SLK_OK)
		rc = start_thread(&d->keeper_thread, "slk-keeper", run_keeper, d->keeper,
			&d->keeper_runs, err);
	if (rc == SLK_OK)
		rc = start_thread(
			&d->door_thread, "slk-door", run_door, d->door, &d->door_runs, err);
	if (rc == SLK_OK && d->metrics != NULL)
		rc = start_thread(&d->metrics_thread, "slk-metrics", run_metrics, d->metrics,
			&d->metrics_run, err);
	for (unsigned i = 0; i < d->workers_made && rc == SLK_OK; i++) {
		if (rte_eal_remote_launch(dp_worker_run, d->workers[i], i + 1) != 0)
			rc = slk_fail(err, SLK_SYSTEM, "worker %u does not start on CPU %u", i,
				d->eal.cpus[i]);
		else
			d->workers_run++;
	}
	return rc;
}

static int
start_all(struct ingestd *d, struct slk_error *err)
{
	int rc = slk_process_harden(err);

	if (rc == SLK_OK)
		rc = slk_signals_block(&d->signals, err);
	if (rc == SLK_OK)
		rc = start_dpdk(d, err);
	if (rc == SLK_OK)
		rc = start_cryptodev(d, err);
	if (rc == SLK_OK)
		rc = open_ports(d, err);
	if (rc == SLK_OK)
		rc = open_journal(d, err);
	if (rc == SLK_OK)
		rc = make_all(d, err);
	if (rc == SLK_OK)
		rc = dp_vmgen_start(&d->vmgen, err); /* before the first key is asked for */
	if (rc == SLK_OK)
		rc = start_threads(d, err);
	return rc;
}

/* --- watch --- */

static int
disk_status(const struct ingestd *d)
{
	for (unsigned i = 0; i < d->workers_made; i++) {
		int status = jnl_lane_status(jnl_lane(d->journal, i));
		if (status == SLK_DISK_FAILED)
			return status;
	}
	return SLK_OK;
}

/* SIGHUP: the file again. What is wrong with it is said, and changes nothing. */
static void
reload(struct ingestd *d)
{
	struct dp_config *next = NULL;
	struct slk_error err = {0};

	int rc = dp_config_load(d->path, &next, &err);
	if (rc == SLK_OK)
		rc = dp_config_reloadable(d->config, next, &err);
	if (rc != SLK_OK) {
		slk_error_log("the configuration is not reloaded",
			slk_kv("reason", (const char *)err.text));
		dp_config_free(next);
		return;
	}
	dp_control_reload(d->control, next);
}

/* Until a signal asks to stop (SLK_OK), or the journal can take nothing any more. */
static int
watch(struct ingestd *d, struct slk_error *err)
{
	const struct timespec pause = {0, WATCH_NS};

	for (;;) {
		int number = sigtimedwait(&d->signals, NULL, &pause);
		if (number == SIGTERM || number == SIGINT) {
			slk_info("stopping", slk_kv("signal", number));
			return SLK_OK;
		}
		if (number == SIGHUP)
			reload(d);
		if (disk_status(d) == SLK_DISK_FAILED)
			return slk_fail(err, SLK_DISK_FAILED,
				"the disk of journal %s%s failed a write or a flush; nothing more "
				"is "
				"acknowledged. "
				"Check the disk, then start again: recovery keeps what was durable",
				d->config->journal.dir,
				d->config->journal.more_dirs_count > 0
					? ", as those of its other directories,"
					: "");
	}
}

/* --- stop: seal, flush, close, detach --- */

static int
stop_workers(struct ingestd *d)
{
	int rc = SLK_OK;

	if (d->door_runs)
		dp_door_refuse(d->door);
	for (unsigned i = 0; i < d->workers_run; i++)
		atomic_store(&d->workers[i]->stop, 1);
	for (unsigned i = 0; i < d->workers_run; i++) {
		int one = rte_eal_wait_lcore(i + 1);
		rc = rc == SLK_OK ? one : rc;
		jnl_lane_abandon(d->lanes[i].lane);
	}
	/* A lane whose worker never ran is closed here, so that its thread ends. */
	for (unsigned i = d->workers_run; i < d->workers_made; i++) {
		while (d->lanes[i].runs && jnl_lane_close(d->lanes[i].lane) == SLK_AGAIN)
			usleep(1000);
	}
	for (unsigned i = 0; i < d->workers_made; i++) {
		if (!d->lanes[i].runs)
			continue;
		pthread_join(d->lanes[i].thread, NULL);
		rc = rc == SLK_OK ? d->lanes[i].result : rc;
	}
	return rc;
}

static void
stop_threads(struct ingestd *d)
{
	if (d->keeper_runs) {
		dp_keeper_stop(d->keeper);
		pthread_join(d->keeper_thread, NULL);
	}
	dp_vmgen_stop(&d->vmgen);
	dp_telemetry_stop();
	if (d->metrics_run) {
		dp_metrics_stop(d->metrics);
		pthread_join(d->metrics_thread, NULL);
	}
	dp_metrics_free(d->metrics);
	if (d->control_runs) {
		dp_control_stop(d->control);
		pthread_join(d->control_thread, NULL);
	}
	if (d->door_runs) {
		dp_door_stop(d->door);
		pthread_join(d->door_thread, NULL);
	}
	dp_door_free(d->door);
	dp_keeper_free(d->keeper);
	dp_control_free(d->control);
	dp_ages_free(d->ages);
}

static void
print_summary(const struct ingestd *d)
{
	struct dp_totals t;

	dp_status_totals(d->workers, d->workers_made, &t);
	slk_info("stopped", slk_kv("records", t.records), slk_kv("bytes", t.record_bytes),
		slk_kv("blocks", t.blocks), slk_kv("frames", t.frames), slk_kv("dropped", t.drops),
		slk_kv("keys", d->control != NULL ? dp_control_keys(d->control) : 0),
		slk_kv("uptime_s",
			(slk_mono_ns(slk_clock_system()) - d->started_ns) / SLK_NS_PER_S));
}

/* SLK_OK if everything that was received is durable. */
static int
stop_all(struct ingestd *d, bool started)
{
	int rc = stop_workers(d);

	if (started)
		print_summary(d);
	stop_threads(d);
	jnl_close(d->journal);
	jnl_mirror_close(d->mirror);
	for (unsigned i = 0; i < d->workers_made; i++)
		dp_worker_free(d->workers[i]);
	seal_cryptodev_free(d->cryptodev);
	for (unsigned i = 0; i < d->ports_open; i++) {
		for (unsigned q = 1; q < DP_CORES_MAX; q++)
			dp_port_unshare(&d->shares[i][q]);
		dp_port_close(&d->ports[i]);
	}
	if (d->eal_runs)
		dp_eal_stop();
	if (d->control_fd >= 0)
		close(d->control_fd);
	if (d->door_fd >= 0)
		close(d->door_fd);
	dp_config_free(d->config);
	return rc;
}

static int
run(const char *path, struct dp_config *config)
{
	static struct ingestd d;
	struct slk_error err = {0};

	d.path = path;
	d.config = config;
	d.control_fd = d.door_fd = -1;
	d.started_ns = slk_mono_ns(slk_clock_system());
	int rc = start_all(&d, &err);
	bool started = rc == SLK_OK;
	if (started) {
		slk_info("sealock-ingestd runs", slk_kv("workers", d.workers_run),
			slk_kv("engine", seal_thread_engine(d.workers[0]->thread)),
			slk_kv("hugepages", d.eal.hugepages),
			slk_kv("memory_locked", d.memory_locked));
		rc = watch(&d, &err);
	}
	int end = stop_all(&d, started);
	if (rc == SLK_OK && end != SLK_OK)
		rc = slk_fail(&err, end,
			"not everything that was received could be made durable: %s",
			slk_status_sentence(end));
	if (rc != SLK_OK)
		slk_error_log(err.text, slk_kv("status", slk_status_name(rc)));
	return rc == SLK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	static const struct slk_daemon daemon = {"sealock-ingestd", "/etc/sealock/ingestd.yaml",
		"Check the configuration and end",
		"Receive records, seal them, make them durable.\v"
		"Stops on SIGTERM: seals, flushes, closes, and ends with status 0. Reads its "
		"listeners again on SIGHUP. The annotated configuration is "
		"deploy/ingestd.yaml.example."};
	struct slk_daemon_args args;
	struct dp_config *config = NULL;
	struct slk_error err;

	slk_daemon_begin(&daemon, argc, argv, &args);
	if (dp_config_load(args.config, &config, &err) != SLK_OK) {
		slk_error_log(err.text);
		return EXIT_FAILURE;
	}
	if (args.check) {
		printf("%s is valid\n", args.config);
		dp_config_free(config);
		return EXIT_SUCCESS;
	}
	slk_daemon_log(&daemon, config->log);
	return run(args.config, config);
}
