/* The lane thread: write, flush, publish, prepare.
 *
 * A group goes IDLE -> WRITING -> WRITTEN -> done; one that closes a file goes through a second write, WRITTEN ->
 * TRAILER_WRITING -> TRAILER_WRITTEN -> done, whose trailer is submitted only after everything before it was flushed: a
 * file that looks closed is whole. One flush is in flight at a time and covers a prefix of groups of one file whose writes
 * were reaped before it was submitted; later groups are written meanwhile. A small group that comes alone is written and
 * flushed in one go.
 *
 * Any failed write or flush ends the directory for good. A flush is never repeated: what it should have covered goes along to
 * another directory (enum jnl_leave in internal.h), or is never acknowledged. */
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "journal/internal.h"

#define SPIN_NS 50000u

enum { TAG_WRITE, TAG_TRAILER, TAG_SYNC };

static struct jnl_group *
group(struct jnl_lane *l, uint64_t number)
{
	return &l->groups[number % l->journal->config.group_count];
}

/* SLK_AGAIN: the lane goes on elsewhere. */
static int
fail(struct jnl_lane *l, unsigned dir, int status)
{
	if (jnl_dir_fail(l->journal, dir, status)) {
		atomic_store(&l->leave, JNL_LEAVE_DRAINING);
		return SLK_AGAIN;
	}
	atomic_store(&l->status, SLK_DISK_FAILED);
	return SLK_DISK_FAILED;
}

/* Does anything that is not durable lie, or go, where a disk has failed? Another lane may have found out. */
static bool
must_leave(struct jnl_lane *l)
{
	const unsigned failed =
		atomic_load_explicit(&l->journal->dirs->failed, memory_order_relaxed);
	const uint64_t submitted = atomic_load(&l->submitted);

	if (failed == 0)
		return false;
	unsigned used = 1u << atomic_load(&l->dir);
	for (uint64_t n = atomic_load(&l->flushed); n < submitted; n++)
		used |= 1u << group(l, n)->dir;
	return (failed & used) != 0;
}

static int
put_write(struct jnl_lane *l, const struct jnl_group *g, const uint8_t *bytes, uint32_t len,
	uint64_t pos, uint64_t tag)
{
	int rc = l->io.write(l->io_instance, g->fd, bytes, len, pos, tag);

	if (rc != SLK_OK)
		return fail(l, g->dir, rc);
	l->in_flight++;
	return SLK_OK;
}

static int
publish(struct jnl_lane *l, const struct jnl_group *g)
{
	struct jnl_mark *mark = &l->marks[g->dir];
	struct fmt_watermark m = l->published;

	m.change_count = mark->now.change_count;
	m.file_id = g->file_id;
	m.position = g->pos + g->len;
	m.records = g->records_end;
	m.plain_bytes = g->plain_end;
	atomic_store_explicit(&l->durable_pos, m.position, memory_order_relaxed);
	atomic_store_explicit(&l->durable_file, m.file_id, memory_order_release);
	int rc = jnl_mark_set(mark, &m);
	if (rc != SLK_OK)
		return fail(l, g->dir, rc);
	l->published = m;
	if (l->note_left) {
		l->note_left = false;
		jnl_dirs_note_left(l, g->dir);
	}
	atomic_store_explicit(&l->durable_lsn, g->lsn_end, memory_order_release);
	return SLK_OK;
}

/* A flush came back: everything up to sync_to is durable. */
static int
flushed(struct jnl_lane *l)
{
	uint64_t took = slk_mono_ns(l->journal->clock) - l->sync_started_ns;
	uint64_t flushed_to = atomic_load_explicit(&l->flushed, memory_order_relaxed);

	l->sync_busy = false;
	atomic_fetch_add_explicit(&l->stat_flushes, 1, memory_order_relaxed);
	atomic_store_explicit(&l->stat_flush_last_ns, took, memory_order_relaxed);
	if (took > atomic_load_explicit(&l->stat_flush_max_ns, memory_order_relaxed))
		atomic_store_explicit(&l->stat_flush_max_ns, took, memory_order_relaxed);
	while (flushed_to < l->sync_to) {
		struct jnl_group *g = group(l, flushed_to);
		if (g->closes_file && g->state == JNL_G_WRITTEN) {
			g->state = JNL_G_TRAILER_WRITING;
			int rc = put_write(l, g, g->trailer, FMT_JFILE_PAGE_BYTES, g->trailer_pos,
				flushed_to << 2 | TAG_TRAILER);
			if (rc != SLK_OK)
				return rc;
			break;
		}
		int rc = publish(l, g);
		if (rc != SLK_OK)
			return rc;
		if (g->closes_file)
			(void)l->journal->fs->close(l->journal->fs->ctx, g->fd);
		g->state = JNL_G_IDLE;
		flushed_to++;
		atomic_fetch_add_explicit(&l->stat_groups, 1, memory_order_relaxed);
		atomic_store_explicit(&l->flushed, flushed_to, memory_order_release);
	}
	return SLK_OK;
}

/* Give buffers back to the worker: what is durable, and hashed where hashes are kept. No acknowledgement waits for one.
 * Thread: the hasher's, if there is one, else the lane's. */
static void
release(struct jnl_lane *l, int *work)
{
	uint64_t done = atomic_load_explicit(&l->done, memory_order_relaxed);
	const uint64_t to = atomic_load_explicit(&l->flushed, memory_order_acquire);
	const bool integrity = l->journal->config.integrity;

	if (!integrity)
		l->hashed = atomic_load_explicit(&l->next_write, memory_order_acquire);
	for (; done < to && done < l->hashed; (*work)++) {
		/* Nothing behind the end of a file is hashed before that was released: what is stated is the file's end. */
		if (integrity && group(l, done)->closes_file)
			jnl_chapters_end(l);
		done++;
		atomic_store_explicit(&l->done, done, memory_order_release);
	}
	if (!integrity)
		return;
	if (done == l->hashed)
		jnl_chapters_checkpoint(l);
	if (jnl_chapters_hash(l))
		(*work)++;
}

/* Wake whoever hashes: a group was written, or is durable. */
static void
wake_hasher(struct jnl_lane *l)
{
	if (l->hasher_runs && atomic_exchange(&l->hasher_sleeps, false))
		(void)sem_post(&l->hash_work); /* it cannot overflow: one for each sleep */
}

/* Hashing takes as long as sealing: a thread of its own, so that no flush waits for a slice of it. */
static void *
hasher_main(void *arg)
{
	struct jnl_lane *l = arg;

	for (;;) {
		int work = 0;
		bool last = atomic_load(&l->hasher_stop);
		struct timespec until;
		release(l, &work);
		if (work > 0)
			continue;
		if (last)
			return NULL;
		atomic_store(&l->hasher_sleeps, true);
		release(l, &work); /* what came just before it was said */
		if (work == 0) {
			/* The time-out makes checkpoints of what lies still. */
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 100 * 1000 * 1000;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
			(void)sem_timedwait(&l->hash_work, &until);
		}
		atomic_store(&l->hasher_sleeps, false);
	}
}

static int
reap(struct jnl_lane *l, int *work)
{
	struct jnl_io_done done[JNL_IO_DEPTH];
	unsigned n = l->io.reap(l->io_instance, done, JNL_IO_DEPTH);

	l->in_flight -= n;
	for (unsigned i = 0; i < n; i++) {
		struct jnl_group *g = group(l, done[i].tag >> 2);
		(*work)++;
		if (done[i].status != SLK_OK)
			return fail(l, g->dir, done[i].status);
		switch (done[i].tag & 3) {
		case TAG_WRITE:
			g->state = JNL_G_WRITTEN;
			break;
		case TAG_TRAILER:
			g->state = JNL_G_TRAILER_WRITTEN;
			break;
		default: {
			int rc = flushed(l);
			if (rc != SLK_OK)
				return rc;
			break;
		}
		}
	}
	return SLK_OK;
}

/* A flush of the groups up to `to` is about to begin. */
static void
announce_flush(struct jnl_lane *l, uint64_t to, uint64_t bytes)
{
	l->sync_busy = true;
	l->sync_to = to;
	l->sync_started_ns = slk_mono_ns(l->journal->clock);
	atomic_store_explicit(&l->flushing_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&l->flushing, to, memory_order_release);
}

static int
start_flush(struct jnl_lane *l, int *work)
{
	uint64_t first = atomic_load_explicit(&l->flushed, memory_order_relaxed);
	uint64_t to = first, bytes = 0;

	if (l->sync_busy)
		return SLK_OK;
	while (to < l->next_write) {
		const struct jnl_group *g = group(l, to);
		if ((g->state != JNL_G_WRITTEN && g->state != JNL_G_TRAILER_WRITTEN) ||
			g->fd != group(l, first)->fd)
			break;
		to++;
		bytes += g->len;
		if (g->closes_file)
			break;
	}
	if (to == first)
		return SLK_OK;
	announce_flush(l, to, bytes);
	(*work)++;
	const struct jnl_group *g = group(l, first);
	int rc = l->io.sync(l->io_instance, g->fd, first << 2 | TAG_SYNC);
	if (rc != SLK_OK)
		return fail(l, g->dir, rc);
	l->in_flight++;
	return SLK_OK;
}

/* Is there a group whose write may start? A file is begun only when the one before is closed and durable: otherwise a
 * power cut could keep blocks of the new file and lose the end of the old one, a hole in the middle of a shard. */
static bool
may_write(struct jnl_lane *l)
{
	if (l->next_write == atomic_load(&l->submitted))
		return false;
	return l->next_write == atomic_load_explicit(&l->flushed, memory_order_relaxed) ||
		!group(l, l->next_write - 1)->closes_file;
}

/* A small group that comes while nothing is under way is written and flushed here: nobody else is to be woken for it, and what comes
 * meanwhile waits for its flush either way. */
static bool
may_wait_for(struct jnl_lane *l)
{
	const struct jnl_group *g = group(l, l->next_write);

	return l->io.may_wait && !l->sync_busy && g->len < JNL_SPARSE_BYTES && !g->closes_file &&
		l->next_write == atomic_load_explicit(&l->flushed, memory_order_relaxed) &&
		l->next_write + 1 == atomic_load(&l->submitted);
}

static int
commit_small(struct jnl_lane *l)
{
	const struct slk_fs *fs = l->journal->base;
	struct jnl_group *g = group(l, l->next_write);

	int rc = fs->pwrite(fs->ctx, g->fd, g->buf, g->len, g->pos);
	if (rc != SLK_OK)
		return fail(l, g->dir, rc);
	g->state = JNL_G_WRITTEN;
	l->next_write++;
	announce_flush(l, l->next_write, g->len);
	rc = fs->datasync(fs->ctx, g->fd);
	return rc == SLK_OK ? flushed(l) : fail(l, g->dir, rc);
}

static int
start_writes(struct jnl_lane *l, int *work)
{
	for (; may_write(l); l->next_write++) {
		struct jnl_group *g = group(l, l->next_write);
		(*work)++;
		if (may_wait_for(l))
			return commit_small(l);
		g->state = JNL_G_WRITING;
		int rc = put_write(l, g, g->buf, g->len, g->pos, l->next_write << 2 | TAG_WRITE);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

/* Is there a file to be prepared? */
static bool
wants_file(struct jnl_lane *l)
{
	const int leave = atomic_load(&l->leave);

	if (leave == JNL_LEAVE_PREPARING)
		return atomic_load(&l->refuge) == NULL;
	return leave == JNL_STAYS && atomic_load(&l->next) == NULL;
}

/* Have the next file ready. Without room the lane says SLK_DISK_FULL until there is some. */
static int
prepare(struct jnl_lane *l)
{
	const bool refuge = atomic_load(&l->leave) == JNL_LEAVE_PREPARING;
	struct jnl_file *f = NULL;
	int ok = SLK_OK, full = SLK_DISK_FULL;

	int rc = jnl_file_prepare(l, refuge, &f, NULL);
	if (rc == SLK_DISK_FULL) {
		atomic_compare_exchange_strong(&l->status, &ok, SLK_DISK_FULL);
		return rc;
	}
	if (rc != SLK_OK) {
		atomic_store(&l->status, SLK_DISK_FAILED);
		return SLK_DISK_FAILED;
	}
	atomic_store(refuge ? &l->refuge : &l->next, f);
	atomic_compare_exchange_strong(&l->status, &full, SLK_OK);
	return SLK_OK;
}

static void
wake_preparer(struct jnl_lane *l)
{
	pthread_mutex_lock(&l->prepare_lock);
	pthread_cond_signal(&l->prepare_cond);
	pthread_mutex_unlock(&l->prepare_lock);
}

static void start_hasher(struct jnl_lane *l);
static void stop_hasher(struct jnl_lane *l);

/* What was submitted comes back, whatever became of it; then nobody but the worker touches the groups. */
static int
drain(struct jnl_lane *l)
{
	struct jnl_io_done done[JNL_IO_DEPTH];
	unsigned n = l->io.reap(l->io_instance, done, JNL_IO_DEPTH);

	l->in_flight -= n;
	if (l->in_flight > 0)
		return (int)n;
	const uint64_t first = atomic_load(&l->flushed);
	l->left = (struct jnl_left){l->published.file_id, l->published.position};
	if (first < atomic_load(&l->submitted))
		l->left = (struct jnl_left){group(l, first)->file_id, group(l, first)->pos};
	l->hasher_was = l->hasher_runs;
	stop_hasher(l);
	atomic_store(&l->leave, JNL_LEAVE_PREPARING);
	wake_preparer(l);
	return 1;
}

/* One step of leaving a directory: enum jnl_leave. */
static int
leave(struct jnl_lane *l)
{
	int rc = SLK_OK;

	switch (atomic_load(&l->leave)) {
	case JNL_LEAVE_DRAINING:
		return drain(l);
	case JNL_LEAVE_PREPARING:
		if (!l->preparer_runs && atomic_load(&l->refuge) == NULL)
			rc = prepare(l);
		if (atomic_load(&l->refuge) == NULL)
			return rc == SLK_DISK_FAILED ? rc : 0;
		atomic_store(&l->leave, JNL_LEAVE_LEFT);
		return 1;
	case JNL_LEAVE_TAKEN:
		l->sync_busy = false;
		l->note_left = true;
		if (l->hasher_was)
			start_hasher(l);
		atomic_store(&l->leave, JNL_STAYS);
		wake_preparer(l);
		return 1;
	default:
		return 0;
	}
}

/* Reap, flush, write. */
static int
commit(struct jnl_lane *l, int *work)
{
	if (must_leave(l)) {
		atomic_store(&l->leave, JNL_LEAVE_DRAINING);
		return SLK_AGAIN;
	}
	int rc = reap(l, work);
	if (rc == SLK_OK)
		rc = start_flush(l, work);
	return rc == SLK_OK ? start_writes(l, work) : rc;
}

int
jnl_lane_turn(struct jnl_lane *l)
{
	int work = 0;

	if (l->ended)
		return SLK_END;
	if (atomic_load(&l->status) == SLK_DISK_FAILED)
		return SLK_DISK_FAILED;
	if (atomic_load(&l->leave) != JNL_STAYS)
		return leave(l);
	int rc = commit(l, &work);
	if (rc == SLK_AGAIN)
		return 1;
	if (rc != SLK_OK)
		return rc;
	if (!l->hasher_runs)
		release(l, &work);
	else if (work > 0)
		wake_hasher(l);
	bool closed = atomic_load(&l->closed);
	if (closed && !atomic_load(&l->carrying) &&
		atomic_load(&l->flushed) == atomic_load(&l->submitted) &&
		(l->hasher_runs || atomic_load(&l->done) == atomic_load(&l->submitted))) {
		l->ended = true;
		return SLK_END;
	}
	if (!closed && !l->preparer_runs && wants_file(l)) {
		rc = prepare(l);
		if (rc == SLK_DISK_FAILED)
			return rc;
		work++;
	}
	return work;
}

/* Filling a file takes as long as writing it: a thread of its own, so that no flush waits for it. */
static void *
preparer_main(void *arg)
{
	struct jnl_lane *l = arg;

	pthread_mutex_lock(&l->prepare_lock);
	while (!atomic_load(&l->preparer_stop) && atomic_load(&l->status) != SLK_DISK_FAILED) {
		if (wants_file(l)) {
			pthread_mutex_unlock(&l->prepare_lock);
			int rc = prepare(l);
			pthread_mutex_lock(&l->prepare_lock);
			if (rc == SLK_OK)
				continue;
		}
		/* The time-out looks for room again when the disk was full. */
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200 * 1000 * 1000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&l->prepare_cond, &l->prepare_lock, &until);
	}
	pthread_mutex_unlock(&l->prepare_lock);
	return NULL;
}

/* Who was just acknowledged often has more: being woken takes longer than that. Bounded, and only right after work. */
static bool
more_comes(struct jnl_lane *l)
{
	const uint64_t until_ns = slk_mono_ns(l->journal->clock) + SPIN_NS;

	do {
		for (unsigned i = 0; i < 64; i++) {
			if (may_write(l))
				return true;
			_mm_pause();
		}
	} while (slk_mono_ns(l->journal->clock) < until_ns);
	return false;
}

static void
wait_for_work(struct jnl_lane *l, bool just_flushed)
{
	struct pollfd p = {.fd = l->event_fd, .events = POLLIN};
	uint64_t count;

	const bool leaves = atomic_load(&l->leave) != JNL_STAYS;

	if (just_flushed && more_comes(l))
		return;
	atomic_store(&l->sleeping, true);
	if (leaves || !may_write(l))
		(void)poll(&p, 1, leaves ? 2 : 100); /* the time-out is a safety net only */
	atomic_store(&l->sleeping, false);
	ssize_t n = read(l->event_fd, &count, sizeof(count));
	(void)n;
}

static void
start_hasher(struct jnl_lane *l)
{
	atomic_store(&l->hasher_stop, false);
	l->hasher_runs = l->journal->config.integrity && sem_init(&l->hash_work, 0, 0) == 0;
	if (l->hasher_runs && pthread_create(&l->hasher, NULL, hasher_main, l) != 0) {
		(void)sem_destroy(&l->hash_work);
		l->hasher_runs = false; /* the lane thread does it then */
	}
}

/* It hashes what is left, and states the end. */
static void
stop_hasher(struct jnl_lane *l)
{
	if (!l->hasher_runs)
		return;
	atomic_store(&l->hasher_stop, true);
	(void)sem_post(&l->hash_work);
	pthread_join(l->hasher, NULL);
	(void)sem_destroy(&l->hash_work);
	l->hasher_runs = false;
}

int
jnl_lane_run(struct jnl_lane *l)
{
	int rc;

	if (pthread_create(&l->preparer, NULL, preparer_main, l) != 0)
		return SLK_NO_MEMORY;
	l->preparer_runs = true;
	start_hasher(l);
	uint64_t flushed_before = 0;
	do {
		rc = jnl_lane_turn(l);
		const uint64_t to = atomic_load_explicit(&l->flushed, memory_order_relaxed);
		if (rc == 0) {
			wait_for_work(l, to != flushed_before && to == atomic_load(&l->submitted));
			flushed_before = to;
		}
	} while (rc >= 0);
	stop_hasher(l);
	pthread_mutex_lock(&l->prepare_lock);
	atomic_store(&l->preparer_stop, true);
	pthread_cond_signal(&l->prepare_cond);
	pthread_mutex_unlock(&l->prepare_lock);
	pthread_join(l->preparer, NULL);
	return rc == SLK_END ? SLK_OK : rc;
}

void
jnl_lane_abandon(struct jnl_lane *l)
{
	if (atomic_load(&l->leave) != JNL_STAYS)
		atomic_store(&l->status, SLK_DISK_FAILED);
}

uint64_t
jnl_lane_durable(const struct jnl_lane *l)
{
	return atomic_load_explicit(&l->durable_lsn, memory_order_acquire);
}

int
jnl_lane_status(const struct jnl_lane *l)
{
	return atomic_load_explicit(&l->status, memory_order_acquire);
}

void
jnl_lane_stats(const struct jnl_lane *l, struct jnl_lane_stats *out)
{
#define READ(counter) atomic_load_explicit(&l->counter, memory_order_relaxed)
	*out = (struct jnl_lane_stats){
		.blocks = READ(stat_blocks),
		.records = READ(stat_records),
		.plain_bytes = READ(stat_plain),
		.written_bytes = READ(stat_written),
		.groups = READ(stat_groups),
		.flushes = READ(stat_flushes),
		.rolls = READ(stat_rolls),
		.epochs = READ(stat_epochs),
		.flush_ns_last = READ(stat_flush_last_ns),
		.flush_ns_max = READ(stat_flush_max_ns),
		.durable_lsn = READ(durable_lsn),
		.appended_lsn = READ(handed_lsn),
		.moves = READ(stat_moves),
	};
#undef READ
}
