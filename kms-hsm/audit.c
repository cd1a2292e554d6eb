#include "audit.h"

#include <stdlib.h>

#include "audit_file.h"
#include "audit_line.h"
#include "audit_queue.h"
#include "audit_syslog.h"
#include "base/log.h"

#define RETRY_NS (10 * SLK_NS_PER_MS) /* for a sink that nothing tells of */

/* One of the two ways out. */
struct way {
	const char *name;
	struct kms_sink sink;
	bool there;
	uint64_t done; /* offset in the queue up to which it has everything */
	struct fmt_audit_point point; /* of the line that ends there */
	uint64_t flying_to; /* 0: nothing is under way */
	bool late; /* what is under way has outlived a deadline */
	bool broken; /* it took nothing when it was asked last */
	struct slk_error err;
};

struct kms_audit {
	const struct slk_clock *clock;
	uint64_t deadline_ns;
	struct kms_audit_queue *queue;
	struct kms_audit_file *file, *second_file;
	struct kms_audit_syslog *syslog;
	struct way first, second;
	/* The flush that goes on. */
	bool going;
	uint64_t going_to; /* offset in the queue */
	uint64_t going_first_seq, going_last_seq;
	uint64_t mono_end_ns;
	/* Answers that did not leave, and no line says so yet. */
	uint64_t withheld_first, withheld_last, uncounted;
	uint64_t withheld_total;
};

static void
way_init(struct way *way, const char *name, struct kms_sink sink, const struct kms_audit *a)
{
	*way = (struct way){.name = name, .sink = sink, .there = true};
	way->done = kms_audit_queue_end(a->queue);
	way->point = *kms_audit_queue_point(a->queue);
}

/* The next line has to say what a crash left in a file. */
static int
say_torn(struct kms_audit *a, const struct kms_audit_torn *torn)
{
	uint8_t body[FMT_AUDIT_NOTE_MAX];
	struct slk_writer w = slk_writer(body, sizeof(body));

	if (torn->len == 0)
		return SLK_OK;
	slk_warn("the audit log ended within a line or a write; the torn part is marked",
		slk_kv("offset", torn->offset), slk_kv("bytes", torn->len));
	fmt_audit_put_torn(&w, slk_wall_ns(a->clock), torn->offset, torn->len, torn->sha256);
	return w.status == SLK_OK ? kms_audit_queue_add(a->queue, slk_span(body, w.len)) : w.status;
}

int
kms_audit_open(const char *path, const struct slk_fs *fs, const struct slk_clock *clock,
	struct kms_audit **out_audit, struct slk_error *err)
{
	struct kms_audit *a = calloc(1, sizeof(*a));
	struct kms_audit_torn torn;

	if (a == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	a->clock = clock;
	a->deadline_ns = KMS_AUDIT_DEADLINE_NS;
	int rc = kms_audit_file_open(path, fs, clock, &a->file, &torn, err);
	if (rc != SLK_OK) {
		kms_audit_close(a);
		return rc;
	}
	const struct fmt_audit_point *point = kms_audit_file_point(a->file);
	rc = kms_audit_queue_new(point, &a->queue);
	if (rc == SLK_OK) {
		way_init(&a->first, "file", kms_audit_file_sink(a->file), a);
		rc = say_torn(a, &torn);
	}
	if (rc != SLK_OK) {
		kms_audit_close(a);
		return slk_fail(err, rc, "cannot begin the audit log: %s", slk_status_sentence(rc));
	}
	*out_audit = a;
	return SLK_OK;
}

void
kms_audit_close(struct kms_audit *audit)
{
	if (audit == NULL)
		return;
	kms_audit_file_close(audit->file);
	kms_audit_file_close(audit->second_file);
	kms_audit_syslog_free(audit->syslog);
	kms_audit_queue_free(audit->queue);
	free(audit);
}

void
kms_audit_deadline(struct kms_audit *audit, uint64_t deadline_ns)
{
	audit->deadline_ns = deadline_ns;
}

void
kms_audit_background(struct kms_audit *audit, const struct kms_flush_ops *ops)
{
	kms_audit_file_background(audit->file, ops);
}

void
kms_audit_reserve(struct kms_audit *audit, uint64_t bytes)
{
	kms_audit_file_reserve(audit->file, bytes);
}

int
kms_audit_second_file(struct kms_audit *audit, const char *path, const struct slk_fs *fs,
	const struct kms_flush_ops *ops, struct slk_error *err)
{
	struct kms_audit_torn torn;

	int rc = kms_audit_file_open(path, fs, audit->clock, &audit->second_file, &torn, err);
	if (rc != SLK_OK)
		return rc;
	kms_audit_file_background(audit->second_file, ops);
	const struct fmt_audit_point *theirs = kms_audit_file_point(audit->second_file);
	const struct fmt_audit_point *ours = kms_audit_queue_point(audit->queue);
	if (theirs->seq > ours->seq) {
		slk_warn("the second audit log has lines that the first one lost; the chain goes "
			 "on from there",
			slk_kv("first", ours->seq), slk_kv("second", theirs->seq));
		kms_audit_queue_go_on(audit->queue, theirs);
		audit->first.point = *theirs;
	}
	way_init(&audit->second, "second file", kms_audit_file_sink(audit->second_file), audit);
	rc = say_torn(audit, &torn);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "out of memory");
}

int
kms_audit_second_syslog(struct kms_audit *audit, const char *socket_path, struct slk_error *err)
{
	int rc = kms_audit_syslog_new(socket_path, &audit->syslog, err);

	if (rc == SLK_OK)
		way_init(&audit->second, "syslog", kms_audit_syslog_sink(audit->syslog), audit);
	return rc;
}

/* --- adding --- */

int
kms_audit_add(struct kms_audit *audit, const struct kms_audit_entry *entry)
{
	struct slk_writer w;

	int rc;
	for (size_t room = 2048;; room *= 4) {
		rc = kms_audit_queue_room(audit->queue, room, &w);
		if (rc != SLK_OK)
			break;
		kms_audit_line_body(&w, entry, slk_wall_ns(audit->clock));
		if (w.status != SLK_FULL)
			break;
	}
	if (rc == SLK_OK)
		rc = kms_audit_queue_use(audit->queue, &w);
	if (rc != SLK_OK)
		audit->uncounted++;
	return rc;
}

int
kms_audit_add_head(struct kms_audit *audit, const struct fmt_audit_point *of,
	const char *public_key, const char *signature)
{
	uint8_t body[FMT_AUDIT_NOTE_MAX];
	struct slk_writer w = slk_writer(body, sizeof(body));

	fmt_audit_put_head(&w, slk_wall_ns(audit->clock), of, public_key, signature);
	return w.status == SLK_OK ? kms_audit_queue_add(audit->queue, slk_span(body, w.len))
				  : w.status;
}

bool
kms_audit_waits(const struct kms_audit *audit)
{
	return kms_audit_queue_waits(audit->queue);
}

/* --- the ways out --- */

static void
advance(struct kms_audit *a, struct way *way, uint64_t to)
{
	if (to > way->done) {
		kms_audit_queue_point_at(a->queue, to, &way->point);
		way->done = to;
	}
	way->flying_to = 0;
	way->late = false;
}

static void
say(struct way *way, bool broken, const struct slk_error *err)
{
	if (broken)
		way->err = *err;
	if (broken && !way->broken)
		slk_error_log("audit log: a sink takes nothing", slk_kv("sink", way->name),
			slk_kv("error", (const char *)err->text));
	else if (!broken && way->broken)
		slk_info("audit log: a sink is well again", slk_kv("sink", way->name));
	way->broken = broken;
}

/* Has what is under way ended? SLK_UNAVAILABLE: badly; its turn fails before it is tried again. */
static int
reap(struct kms_audit *a, struct way *way, uint64_t wait_ns)
{
	struct slk_error err = {0};

	if (way->flying_to == 0)
		return SLK_OK;
	int rc = way->sink.poll(way->sink.ctx, wait_ns, &err);
	if (rc == SLK_AGAIN)
		return SLK_OK;
	advance(a, way, rc == SLK_OK ? way->flying_to : 0);
	say(way, rc != SLK_OK, &err);
	return rc;
}

/* Give it what it has not got yet. */
static void
push(struct kms_audit *a, struct way *way)
{
	struct slk_error err = {0};
	size_t taken = 0;
	uint64_t end = kms_audit_queue_end(a->queue);

	if (!way->there || way->flying_to != 0 || way->done == end)
		return;
	struct slk_span lines = kms_audit_queue_from(a->queue, way->done);
	int rc = way->sink.take(way->sink.ctx, lines, &way->point, &taken, &err);
	if (rc == SLK_AGAIN) {
		way->flying_to = end;
		return;
	}
	advance(a, way, way->done + taken);
	if (rc != SLK_OK || taken > 0)
		say(way, rc != SLK_OK, &err);
}

/* What no way needs any more leaves the queue. A second sink that lags behind by half of it misses the rest. */
static void
forget(struct kms_audit *a)
{
	uint64_t keep = a->first.done;

	if (a->second.there && a->second.done < keep) {
		if (keep - a->second.done <= KMS_AUDIT_PENDING_MAX / 2) {
			keep = a->second.done;
		} else {
			a->second.done = keep;
			a->second.point = a->first.point;
		}
	}
	kms_audit_queue_forget(a->queue, keep);
}

static void
move(struct kms_audit *a, uint64_t wait_ns)
{
	int first = reap(a, &a->first, wait_ns), second = reap(a, &a->second, 0);

	if (first == SLK_OK)
		push(a, &a->first);
	if (second == SLK_OK)
		push(a, &a->second);
	forget(a);
}

/* --- a turn --- */

/* What a turn came to, or SLK_AGAIN. A second sink that is neither there nor broken gets the time up to the deadline. */
static int
verdict(struct kms_audit *a, bool last_chance)
{
	struct way *first = &a->first, *second = &a->second;
	bool expired = last_chance || slk_mono_ns(a->clock) >= a->mono_end_ns;

	if (first->done >= a->going_to)
		return SLK_OK;
	if (first->flying_to != 0 && expired)
		first->late = true;
	bool first_out = first->flying_to == 0 || first->late;
	if (first_out && second->there && second->done >= a->going_to)
		return SLK_OK;
	if (!first_out)
		return SLK_AGAIN;
	return second->there && !second->broken && !expired ? SLK_AGAIN : SLK_UNAVAILABLE;
}

/* A line that says which answers did not leave. If there is no room for it now, it comes later. */
static void
say_withheld(struct kms_audit *a)
{
	uint8_t body[FMT_AUDIT_NOTE_MAX];
	struct slk_writer w = slk_writer(body, sizeof(body));

	if (a->withheld_last == 0 && a->uncounted == 0)
		return;
	fmt_audit_put_withheld(
		&w, slk_wall_ns(a->clock), a->withheld_first, a->withheld_last, a->uncounted);
	if (w.status != SLK_OK || kms_audit_queue_add(a->queue, slk_span(body, w.len)) != SLK_OK)
		return;
	a->withheld_first = a->withheld_last = a->uncounted = 0;
}

static int
end_turn(struct kms_audit *a, int rc, struct slk_error *err)
{
	a->going = false;
	if (rc == SLK_OK) {
		say_withheld(a);
		return SLK_OK;
	}
	if (a->withheld_last == 0)
		a->withheld_first = a->going_first_seq;
	a->withheld_last = a->going_last_seq;
	a->withheld_total += a->going_last_seq - a->going_first_seq + 1;
	if (a->first.flying_to != 0)
		return slk_fail(err, SLK_UNAVAILABLE,
			"a flush of the audit log takes longer than %llu ms",
			(unsigned long long)(a->deadline_ns / SLK_NS_PER_MS));
	*err = a->first.err;
	return SLK_UNAVAILABLE;
}

int
kms_audit_begin(struct kms_audit *audit, struct slk_error *err)
{
	if (!kms_audit_queue_waits(audit->queue))
		return SLK_OK;
	(void)reap(audit, &audit->first, 0); /* the lines will say how far it is */
	audit->going_first_seq = kms_audit_queue_point(audit->queue)->seq + 1;
	int rc = kms_audit_queue_seal(audit->queue, audit->first.point.seq);
	if (rc != SLK_OK)
		return slk_fail(err, SLK_UNAVAILABLE, "the audit log's chain cannot go on: %s",
			slk_status_sentence(rc));
	audit->going = true;
	audit->going_to = kms_audit_queue_end(audit->queue);
	audit->going_last_seq = kms_audit_queue_point(audit->queue)->seq;
	audit->mono_end_ns = slk_mono_ns(audit->clock) + audit->deadline_ns;
	move(audit, 0);
	rc = verdict(audit, false);
	return rc == SLK_AGAIN ? rc : end_turn(audit, rc, err);
}

int
kms_audit_poll(struct kms_audit *audit, uint64_t wait_ns, struct slk_error *err)
{
	if (!audit->going)
		return SLK_OK;
	move(audit, wait_ns);
	int rc = verdict(audit, false);
	return rc == SLK_AGAIN ? rc : end_turn(audit, rc, err);
}

int
kms_audit_flush(struct kms_audit *audit, struct slk_error *err)
{
	int rc = audit->going ? SLK_AGAIN : kms_audit_begin(audit, err);

	if (rc != SLK_AGAIN)
		return rc;
	move(audit, audit->deadline_ns);
	return end_turn(audit, verdict(audit, true), err);
}

uint64_t
kms_audit_wake_ns(const struct kms_audit *audit)
{
	const struct way *second = &audit->second;
	bool retry = second->there && second->flying_to == 0 &&
		second->done < kms_audit_queue_end(audit->queue);

	if (!audit->going)
		return UINT64_MAX;
	uint64_t retry_ns = retry ? slk_mono_ns(audit->clock) + RETRY_NS : UINT64_MAX;
	return retry_ns < audit->mono_end_ns ? retry_ns : audit->mono_end_ns;
}

void
kms_audit_tick(struct kms_audit *audit)
{
	kms_audit_file_tick(audit->file);
	if (audit->going)
		return;
	move(audit, 0);
	/* Nothing waits for the answer, but what was lost can be said now. */
	if (audit->first.done == kms_audit_queue_end(audit->queue))
		say_withheld(audit);
}

/* --- what is told --- */

bool
kms_audit_low(const struct kms_audit *audit)
{
	return kms_audit_file_low(audit->file);
}

bool
kms_audit_rotated(struct kms_audit *audit)
{
	return kms_audit_file_rotated(audit->file);
}

void
kms_audit_state(const struct kms_audit *audit, struct kms_audit_state *out_state)
{
	const struct way *first = &audit->first, *second = &audit->second;

	*out_state = (struct kms_audit_state){
		.durable =
			second->there && second->done > first->done ? second->point : first->point,
		.last_seq = kms_audit_queue_last_seq(audit->queue),
		.withheld = audit->withheld_total,
		.low = kms_audit_low(audit),
		.file_ok = !first->broken && !first->late,
		.second_there = second->there,
		.second_ok = second->there && !second->broken,
		.file_error = first->broken ? first->err.text
			: first->late       ? "its flush takes longer than the deadline"
					    : "",
		.second_error = second->broken ? second->err.text : "",
	};
}
