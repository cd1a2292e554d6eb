/* The front's loop: RPC, HSM link, signals and one tick a second, in one thread.
 *
 * A turn: wait -> take requests -> take the HSM's answers -> write the audit lines of all of them
 * at once -> answer when they are on the disk, which may be turns later.
 */
#include "front.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "dual.h"
#include "flusher.h"
#include "hsm/profile.h"
#include "rpc.h"
#include "sandbox.h"
#include "service.h"

#define TICK_NS SLK_NS_PER_S
#define STOP_NS (2 * SLK_NS_PER_S) /* for the last head of the audit log */
#define BUSY_MS 1
#define FRAMES_KEPT 64u /* answers of one turn, a page each */

enum { EXIT_CLEAN = 0, EXIT_LATER = 1, EXIT_USELESS = 2 };

struct front {
	const struct kms_config *config;
	const struct slk_clock *clock;
	struct kms_policy *policy;
	struct kms_principals *principals;
	struct kms_catalog *catalog;
	struct kms_flusher *flusher, *second_flusher; /* NULL: the kernel has none, or not needed */
	struct kms_audit *audit;
	struct hsm_link *link;
	struct kms_service *service;
	struct kms_rpc *rpc;
	int signal_fd, epoll_fd;
	bool heeds_clients; /* their requests end the wait */
};

static int
on_request(void *arg, const struct slk_peer *peer, const Kmsp__Request *request, void *ticket)
{
	struct front *f = arg;

	return kms_service_handle(f->service, peer, request, kms_rpc_answer, ticket);
}

/* The gateway asks for many. */
static unsigned
pending_max(void *arg, uid_t uid)
{
	const struct front *f = arg;

	return (kms_principals_classes(f->principals, uid) & KMS_CLASS_GATEWAY) != 0
		? f->config->gateway_requests
		: KMS_RPC_PENDING_PER_UID;
}

static int
listen_at(const struct kms_config_socket *socket, int *out_fd, struct slk_error *err)
{
	gid_t gid = (gid_t)-1;

	if (socket->group != NULL) {
		const struct group *group = getgrnam(socket->group);
		if (group == NULL)
			return slk_fail(err, SLK_CONFIG,
				"socket.group: this machine has no group '%s'", socket->group);
		gid = group->gr_gid;
	}
	int rc = slk_sock_listen(socket->path, socket->mode, out_fd, err);
	if (rc != SLK_OK)
		return rc;
	if (gid != (gid_t)-1 && chown(socket->path, (uid_t)-1, gid) != 0) {
		rc = slk_fail_errno(err,
			"cannot give %s to group %s; the user of the front must be a member of it",
			socket->path, socket->group);
		close(*out_fd);
		*out_fd = -1;
	}
	return rc;
}

/* Which descriptor is ready; a set. */
enum ready {
	READY_CLIENTS = 1,
	READY_LINK = 2,
	READY_SIGNAL = 4,
	READY_FLUSHER = 8,
	READY_ALL = 15, /* the time is over: whatever it is */
};

static int
watch(struct front *f, int fd, uint32_t events, enum ready what, struct slk_error *err)
{
	struct epoll_event ev = {.events = events, .data.u32 = what};

	return epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0
		? SLK_OK
		: slk_fail_errno(err, "cannot watch a descriptor");
}

static int
catch_signals(struct front *f, struct slk_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return slk_fail_errno(err, "cannot block signals");
	f->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (f->signal_fd < 0)
		return slk_fail_errno(err, "cannot take signals");
	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return f->epoll_fd >= 0 ? SLK_OK : slk_fail_errno(err, "cannot make an epoll descriptor");
}

static const struct kms_flush_ops *
make_flusher(struct kms_flusher **out_flusher)
{
	if (kms_flusher_new(out_flusher) == SLK_OK)
		return kms_flusher_ops(*out_flusher);
	slk_warn("no asynchronous I/O here: while a disk of the audit log hangs, everything does");
	return NULL;
}

static int
open_audit(struct front *f, struct slk_error *err)
{
	const struct kms_config_audit *c = &f->config->audit;
	const struct slk_fs *fs = slk_fs_posix();

	int rc = kms_audit_open(c->path, fs, f->clock, &f->audit, err);
	if (rc != SLK_OK)
		return rc;
	kms_audit_deadline(f->audit, c->deadline_ms * SLK_NS_PER_MS);
	kms_audit_reserve(f->audit, (uint64_t)c->reserve_mb << 20);
	kms_audit_background(f->audit, make_flusher(&f->flusher));
	if (c->second.file != NULL)
		rc = kms_audit_second_file(
			f->audit, c->second.file, fs, make_flusher(&f->second_flusher), err);
	else if (c->second.syslog != NULL)
		rc = kms_audit_second_syslog(f->audit, c->second.syslog, err);
	return rc;
}

static int
open_stores(struct front *f, struct slk_error *err)
{
	int rc = kms_principals_new(f->config, &f->principals, err);

	if (rc == SLK_OK)
		rc = kms_policy_new(f->config, &f->policy, err);
	if (rc == SLK_OK)
		rc = kms_dual_check(&f->config->dual_control, err);
	if (rc == SLK_OK)
		rc = kms_catalog_open(f->config->catalog.path, &f->catalog, err);
	return rc == SLK_OK ? open_audit(f, err) : rc;
}

static int
open_doors(struct front *f, struct slk_error *err)
{
	const struct kms_service_parts parts = {
		.realm = {f->config->account, f->config->region},
		.catalog = f->catalog,
		.audit = f->audit,
		.link = f->link,
		.policy = f->policy,
		.principals = f->principals,
		.clock = f->clock,
		.module = f->config->hsm.module,
		.certificate = f->config->hsm.certificate,
		.workers_count = f->config->hsm.workers,
		.dual = &f->config->dual_control,
		.gateway_peers = f->config->gateway_peers == KMS_CONFIG_ON,
		.on_demand_max = f->config->on_demand_rotations,
		.head_interval_s = f->config->audit.head_interval_s,
		.head_lines = f->config->audit.head_lines,
	};
	int fd = -1;

	int rc = kms_service_new(&parts, &f->service);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "out of memory");
	rc = listen_at(&f->config->socket, &fd, err);
	if (rc != SLK_OK)
		return rc;
	rc = kms_rpc_new(fd, slk_sock_accept, on_request, f, &f->rpc);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot serve %s: %s", f->config->socket.path,
			slk_status_sentence(rc));
	kms_rpc_set_pending(f->rpc, pending_max, f);
	rc = watch(f, kms_rpc_fd(f->rpc), EPOLLIN, READY_CLIENTS, err);
	f->heeds_clients = rc == SLK_OK;
	if (rc == SLK_OK)
		rc = watch(f, hsm_link_fd(f->link), EPOLLIN, READY_LINK, err);
	if (rc == SLK_OK)
		rc = watch(f, f->signal_fd, EPOLLIN, READY_SIGNAL, err);
	/* By edge: a flush may be reaped before its end is signalled, and nobody reads that signal.
	 */
	if (rc == SLK_OK && f->flusher != NULL)
		rc = watch(f, kms_flusher_fd(f->flusher), EPOLLIN | EPOLLET, READY_FLUSHER, err);
	if (rc == SLK_OK && f->second_flusher != NULL)
		rc = watch(f, kms_flusher_fd(f->second_flusher), EPOLLIN | EPOLLET, READY_FLUSHER,
			err);
	return rc;
}

static bool
takes_together(const struct kms_config *config)
{
	const struct hsm_profile *profile = hsm_profile_find(config->hsm.profile);

	return profile != NULL && profile->one_at_a_time;
}

/* monitor_fd is the link's from the first line on, whatever happens. */
static int
start(struct front *f, int monitor_fd, struct slk_error *err)
{
	int rc = hsm_link_new(monitor_fd, f->clock, &f->link);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot make the link to the HSM worker: %s",
			slk_status_sentence(rc));
	hsm_link_gather(f->link, takes_together(f->config));
	slk_secret_keep(FRAMES_KEPT);
	rc = slk_process_harden(err);
	if (rc == SLK_OK)
		rc = catch_signals(f, err);
	if (rc == SLK_OK)
		rc = open_stores(f, err);
	if (rc == SLK_OK)
		rc = open_doors(f, err);
	if (rc == SLK_OK)
		rc = kms_sandbox_front(f->config, err);
	return rc;
}

/* Calls that wait are answered, then everything is closed, in the order of who uses whom. */
static void
stop(struct front *f)
{
	hsm_link_free(f->link);
	kms_service_free(f->service);
	if (f->rpc != NULL)
		(void)unlink(f->config->socket.path);
	kms_rpc_free(f->rpc);
	kms_audit_close(f->audit);
	kms_flusher_free(f->flusher);
	kms_flusher_free(f->second_flusher);
	kms_catalog_close(f->catalog);
	kms_policy_free(f->policy);
	kms_principals_free(f->principals);
	slk_secret_keep(0);
	if (f->signal_fd >= 0)
		close(f->signal_fd);
	if (f->epoll_fd >= 0)
		close(f->epoll_fd);
}

static int
until(uint64_t now_ns, uint64_t then_ns)
{
	return then_ns <= now_ns ? 0
				 : (int)((then_ns - now_ns + SLK_NS_PER_MS - 1) / SLK_NS_PER_MS);
}

static bool
signalled(const struct front *f)
{
	struct signalfd_siginfo info;

	return read(f->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info);
}

/* While the workers have enough to do, requests that come one by one need not end the wait one by one: they are looked for
 * when the next replies are there, or after BUSY_MS. */
static void
heed_clients(struct front *f, bool wanted)
{
	struct epoll_event ev = {.events = wanted ? EPOLLIN : 0, .data.u32 = READY_CLIENTS};

	if (f->heeds_clients != wanted &&
		epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, kms_rpc_fd(f->rpc), &ev) == 0)
		f->heeds_clients = wanted;
}

/* Until something is ready; *out_ready says what may be. False: it cannot be waited for. */
static bool
wait_ready(struct front *f, uint64_t now_ns, uint64_t wake_ns, unsigned *out_ready)
{
	struct epoll_event events[5];
	int wait_ms = until(now_ns, wake_ns);

	heed_clients(f, !hsm_link_is_busy(f->link));
	if (!f->heeds_clients && wait_ms > BUSY_MS)
		wait_ms = BUSY_MS;
	int n = epoll_wait(f->epoll_fd, events, 5, wait_ms);
	if (n < 0 && errno != EINTR) {
		slk_error_log("epoll_wait failed", slk_kv("error", (const char *)strerror(errno)));
		return false;
	}
	*out_ready = n <= 0 ? READY_ALL : 0;
	for (int i = 0; i < n; i++)
		*out_ready |= events[i].data.u32;
	if (!f->heeds_clients && (*out_ready & READY_LINK) != 0)
		*out_ready |= READY_CLIENTS;
	return true;
}

static int
run(struct front *f)
{
	uint64_t tick_ns = 0, stop_ns = UINT64_MAX;

	for (;;) {
		uint64_t now_ns = slk_mono_ns(f->clock);
		unsigned ready = 0;
		if (now_ns >= tick_ns) {
			kms_service_tick(f->service);
			tick_ns = now_ns + TICK_NS;
		}
		hsm_link_send(f->link); /* what the tick and the flush of the last turn asked for */
		uint64_t wake_ns = kms_service_wake_ns(f->service);
		if (!wait_ready(f, now_ns, wake_ns < tick_ns ? wake_ns : tick_ns, &ready))
			return EXIT_LATER;
		if ((ready & READY_SIGNAL) != 0 && signalled(f) && stop_ns == UINT64_MAX) {
			kms_service_stop(f->service);
			stop_ns = now_ns + STOP_NS;
		}
		if ((ready & READY_CLIENTS) != 0)
			kms_rpc_poll(f->rpc);
		hsm_link_send(f->link); /* before anything else is done: the token shall not wait */
		int rc = (ready & READY_LINK) != 0 ? hsm_link_poll(f->link) : SLK_OK;
		kms_service_flush(f->service);
		kms_rpc_send(f->rpc);
		if (rc == SLK_CLOSED) {
			slk_warn("the monitor is gone");
			return EXIT_LATER;
		}
		if (stop_ns != UINT64_MAX &&
			(kms_service_quiet(f->service) || slk_mono_ns(f->clock) >= stop_ns))
			return EXIT_CLEAN;
	}
}

static int
exit_status(int rc)
{
	return rc == SLK_CONFIG || rc == SLK_BAD_VERSION || rc == SLK_DENIED ? EXIT_USELESS
									     : EXIT_LATER;
}

int
kms_front_run(const struct kms_config *config, int monitor_fd)
{
	struct front f = {
		.config = config, .clock = slk_clock_system(), .signal_fd = -1, .epoll_fd = -1};
	struct slk_error err = {0};
	int status;

	int rc = start(&f, monitor_fd, &err);
	if (rc != SLK_OK) {
		slk_error_log("cannot start", slk_kv("error", (const char *)err.text));
		status = exit_status(rc);
	} else {
		slk_info("serving", slk_kv("socket", (const char *)config->socket.path));
		status = run(&f);
		slk_info("stopped", slk_kv("status", status));
	}
	stop(&f);
	return status;
}
