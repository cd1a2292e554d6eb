/* Records of a call go into the ring of the thread's producer and come back with a completion each.
 *
 * A call has a slot while records of it are under way; a completion's tag names slot, generation and record, so that one for a
 * call that ended finds nobody. Calls whose records do not fit the ring wait in order; one that waits for too long (ingestd is
 * away) fails. What was put may be stored then: the client repeats, as with the service.
 */
#include "aws/puts.h"

#include <stdlib.h>
#include <string.h>

#include "aws/kinesis.h"
#include "sealock/producer.h"

#define SLOTS 4096u
#define RING_BYTES (16u << 20)
#define UNDER_WAY 16384u
#define WAIT_NS (4 * SLK_NS_PER_S)
#define LOOK_NS (200 * SLK_NS_PER_MS)
#define COMPLETIONS 256u
#define ROUNDS 64u /* of completions in one turn */

struct gw_puts {
	struct gw_thread *t;
	struct sealock_producer *producer;
	struct http_watch watch;
	struct http_timer timer;
	struct {
		struct gw_put *put;
		uint32_t generation;
	} slots[SLOTS];
	uint32_t next_slot;
	struct gw_put *first, **tail;
};

/* --- ends of calls --- */

static void
leave(struct gw_puts *p, struct gw_put *put)
{
	if (put->has_slot) {
		p->slots[put->slot].put = NULL;
		p->slots[put->slot].generation++;
		put->has_slot = false;
	}
	if (!put->waits)
		return;
	for (struct gw_put **at = &p->first; *at != NULL; at = &(*at)->next)
		if (*at == put) {
			*at = put->next;
			if (p->tail == &put->next)
				p->tail = at;
			break;
		}
	put->waits = false;
}

static void
cancel(struct gw_call *call)
{
	struct gw_thread *t = call->thread;

	if (t->kinesis != NULL && t->kinesis->puts != NULL)
		leave(t->kinesis->puts, call->user);
}

/* Why its stream takes no records, or what became of its one record. */
static void
fail(struct gw_puts *p, struct gw_put *put, int status, const char *sentence)
{
	leave(p, put);
	p->t->counters.records_put_failed += put->count;
	put->failed(put->call, status, sentence);
}

static bool
is_of_kms(int status)
{
	return status == SLK_DENIED || status == SLK_DISABLED || status == SLK_INVALID_STATE;
}

static void
finish(struct gw_puts *p, struct gw_put *put)
{
	const struct gw_put_record *first = &put->records[0];
	uint32_t stored = 0;

	leave(p, put);
	for (uint32_t i = 0; i < put->count; i++)
		stored += put->records[i].status == SLK_OK;
	if (stored == 0 && (put->single || is_of_kms(first->status))) {
		fail(p, put, first->status, slk_status_sentence(first->status));
	} else {
		p->t->counters.records_put += stored;
		p->t->counters.records_put_failed += put->count - stored;
		put->done(put->call);
	}
}

/* --- into the ring --- */

/* SLK_OK: all of it is there; SLK_AGAIN: not now; else why the stream takes none. */
static int
give(struct gw_puts *p, struct gw_put *put, const char **out_sentence)
{
	struct sealock_stream_info info;

	int rc = sealock_producer_stream(p->producer, put->attached, &info);
	*out_sentence = "";
	if (rc == SLK_OK) {
		rc = info.status;
		*out_sentence = info.sentence;
	}
	while (rc == SLK_OK && put->given < put->count) {
		struct gw_put_record *r = &put->records[put->given];
		if (r->status == SLK_THROTTLED) {
			put->finished++;
			put->given++;
			continue;
		}
		const struct sealock_put one = {.stream = put->attached,
			.tag = (uint64_t)put->slot << 48 |
				(uint64_t)(p->slots[put->slot].generation & 0xffffffffu) << 16 |
				put->given,
			.key = r->key,
			.data = r->data,
			.hash = r->has_hash ? r->hash : NULL};
		rc = sealock_producer_put(p->producer, &one);
		if (rc == SLK_TOO_LARGE || rc == SLK_INVALID) {
			r->status = rc;
			put->finished++;
			rc = SLK_OK;
		}
		if (rc == SLK_OK)
			put->given++;
	}
	return rc;
}

static void
give_waiting(struct gw_puts *p)
{
	while (p->first != NULL) {
		struct gw_put *put = p->first;
		const char *sentence = "";
		int rc = give(p, put, &sentence);
		if (rc == SLK_AGAIN)
			break;
		p->first = put->next;
		if (p->first == NULL)
			p->tail = &p->first;
		put->waits = false;
		if (rc != SLK_OK)
			fail(p, put, rc, sentence);
		else if (put->finished == put->count)
			finish(p, put);
	}
	sealock_producer_flush(p->producer);
}

static void
take(struct gw_puts *p, const struct sealock_completion *c)
{
	uint32_t slot = (uint32_t)(c->tag >> 48), index = (uint32_t)(c->tag & 0xffff);
	struct gw_put *put = slot < SLOTS ? p->slots[slot].put : NULL;

	if (put == NULL || (uint32_t)(c->tag >> 16) != p->slots[slot].generation ||
		index >= put->given)
		return; /* its client did not wait */
	struct gw_put_record *r = &put->records[index];
	r->status = c->status;
	r->shard = c->shard;
	r->sequence = c->sequence;
	r->arrival_ns = c->arrival_ns;
	r->encrypted_kms = c->encryption == SEALOCK_ENCRYPTION_KMS;
	put->finished++;
	if (put->finished == put->count && !put->waits)
		finish(p, put);
}

/* false: nothing came. */
static bool
take_all(struct gw_puts *p)
{
	struct sealock_completion completions[COMPLETIONS];
	size_t count = 0;

	if (sealock_producer_poll(p->producer, completions, COMPLETIONS, &count) != SLK_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		take(p, &completions[i]);
	return count > 0;
}

void
gw_puts_turn(struct gw_puts *puts)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		bool came = take_all(puts);
		give_waiting(puts);
		if (!came && sealock_producer_arm(puts->producer) == SLK_OK)
			return;
	}
	http_loop_wake(puts->t->loop); /* others get their turn first */
}

static void
ready(struct http_watch *watch, uint32_t events)
{
	(void)watch; /* the turn looks */
	(void)events;
}

static void
look(struct http_timer *timer, uint64_t now_ns)
{
	struct gw_puts *p = timer->arg;

	while (p->first != NULL && p->first->deadline_ns <= now_ns)
		fail(p, p->first, SLK_UNAVAILABLE, "");
	if (p->first != NULL && http_timer_set(p->t->loop, timer, now_ns + LOOK_NS) != SLK_OK)
		fail(p, p->first, SLK_NO_MEMORY, "");
}

int
gw_puts_start(struct gw_thread *t, struct gw_puts **out_puts)
{
	const struct sealock_producer_config config = {
		.socket = gw_app_config_of(t->app)->put_socket,
		.ring_bytes = RING_BYTES,
		.records_max = UNDER_WAY};
	struct gw_puts *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return SLK_NO_MEMORY;
	p->t = t;
	p->tail = &p->first;
	p->timer = (struct http_timer){.fire = look, .arg = p};
	int rc = sealock_producer_new_lazy(&config, &p->producer, NULL);
	if (rc == SLK_OK) {
		p->watch = (struct http_watch){
			.ready = ready, .arg = p, .fd = sealock_producer_fd(p->producer)};
		rc = http_loop_watch(t->loop, &p->watch, EPOLLIN);
	}
	if (rc != SLK_OK) {
		gw_puts_stop(p);
		return rc;
	}
	*out_puts = p;
	return SLK_OK;
}

void
gw_puts_stop(struct gw_puts *puts)
{
	if (puts == NULL)
		return;
	http_timer_cancel(puts->t->loop, &puts->timer);
	http_loop_unwatch(puts->t->loop, &puts->watch);
	sealock_producer_free(puts->producer);
	free(puts);
}

static bool
take_slot(struct gw_puts *p, struct gw_put *put)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t slot = (p->next_slot + i) % SLOTS;
		if (p->slots[slot].put != NULL)
			continue;
		p->slots[slot].put = put;
		p->next_slot = (slot + 1) % SLOTS;
		put->slot = slot;
		put->has_slot = true;
		return true;
	}
	return false;
}

struct gw_put *
gw_put_new(struct gw_call *call, size_t bytes, uint32_t count)
{
	struct gw_put *put;

	if (call->thread->kinesis->puts == NULL) {
		(void)gw_call_fault_status(call, SLK_INTERNAL, "");
		return NULL;
	}
	put = gw_call_take(call, bytes);
	if (put == NULL)
		return NULL;
	put->records = gw_call_take(call, count * sizeof(*put->records));
	if (put->records == NULL)
		return NULL;
	put->call = call;
	put->count = count;
	call->user = put;
	call->cancel = cancel;
	return put;
}

void
gw_put_begin(struct gw_put *put)
{
	struct gw_call *call = put->call;
	struct gw_puts *p = call->thread->kinesis->puts;

	int rc = sealock_producer_attach(
		p->producer, put->target, SEALOCK_ATTACH_TRUSTED, &put->attached);
	if (rc == SLK_OK && !take_slot(p, put))
		rc = SLK_LIMIT;
	put->deadline_ns = http_loop_now_ns(call->thread->loop) + WAIT_NS;
	if (rc == SLK_OK && p->timer.place == 0)
		rc = http_timer_set(call->thread->loop, &p->timer,
			http_loop_now_ns(call->thread->loop) + LOOK_NS);
	if (rc != SLK_OK) {
		fail(p, put, rc, "");
		return;
	}
	put->next = NULL;
	put->waits = true;
	*p->tail = put;
	p->tail = &put->next;
}
