/* Clients of the local port: rights are asked for as the door does, records go to the workers by their rings, and every one
 * gets one answer. */
#include <stdlib.h>
#include <string.h>

#include "renew.h"
#include "sim.h"

#define RIGHT_NS (300 * SLK_NS_PER_S)
#define DENIED_NS (2 * SLK_NS_PER_S)

static void
ask(struct sim *s, struct sim_right *r, unsigned uid, unsigned stream)
{
	r->ask = (struct dp_ask){.owner = r, .uid = uid};
	memcpy(r->ask.stream, s->kms.streams[stream].name, sizeof(s->kms.streams[stream].name));
	r->asking = true;
	dp_control_ask(s->control, &r->ask);
}

static void
take_answers(struct sim *s)
{
	struct dp_ask *a;

	while ((a = dp_control_answer(s->control)) != NULL) {
		struct sim_right *r = a->owner;
		r->asking = false;
		r->known = a->era == dp_control_rights_era(s->control);
		r->status = a->status;
		r->until_ns = sim_time(s) + (a->status == SLK_OK ? RIGHT_NS : DENIED_NS);
		SIM_CHECK(s, SIM_UNTYPED,
			a->status == SLK_OK || a->status == SLK_DENIED ||
				a->status == SLK_NOT_FOUND || dp_renew_unavailable(a->status));
		SIM_CHECK(s, SIM_UNTYPED, a->status == SLK_OK || a->error.text[0] != '\0');
	}
}

static void
push(struct sim *s, const struct sim_right *r, unsigned stream)
{
	static const char *const keys[] = {"", "k", "another-key", "0123456789abcdef"};
	const char *key = keys[sim_below(s, 4)];
	uint8_t data[2048];
	unsigned place = 0;

	while (place < SIM_PUTS_MAX && s->puts[place].put != NULL)
		place++;
	if (place == SIM_PUTS_MAX)
		return;
	uint64_t id = sim_record_new(s, stream, true);
	size_t len = sim_record_bytes(s, id, data, sizeof(data)), key_len = strlen(key);
	struct dp_put *put = calloc(1, sizeof(*put) + key_len + len);
	SIM_CHECK(s, SIM_STUCK, put != NULL);
	put->tag = id;
	put->client = 1;
	put->stream_id = r->ask.stream_id;
	put->slot = r->ask.slot;
	put->worker = r->ask.worker;
	put->key_len = (uint32_t)key_len;
	put->data_len = (uint32_t)len;
	slk_put_le64(put->hash, sim_below(s, UINT64_MAX));
	slk_put_le64(put->hash + 8, sim_below(s, UINT64_MAX));
	memcpy(put->bytes, key, key_len);
	memcpy(put->bytes + key_len, data, len);
	if (!dp_spsc_push(&s->worker[put->worker]->put_in, put)) {
		free(put);
		return;
	}
	s->records[id].copies = 1;
	s->records[id].delivered_ns = sim_time(s);
	s->records[id].stream_id = put->stream_id;
	s->puts[place] = (struct sim_put){put, id};
}

void
sim_put_send(struct sim *s)
{
	unsigned uid = (unsigned)sim_below(s, SIM_UIDS);
	unsigned stream = (unsigned)sim_below(s, SIM_STREAMS);
	struct sim_right *r = &s->rights[uid][stream];

	take_answers(s);
	if (r->asking)
		return;
	if (!r->known || sim_time(s) >= r->until_ns ||
		r->ask.era != dp_control_rights_era(s->control)) {
		ask(s, r, uid, stream);
		return;
	}
	if (r->status == SLK_OK)
		push(s, r, stream);
}

/* A status that a client may get, and only if there was a cause. */
static void
check_status(struct sim *s, int status)
{
	switch (status) {
	case SLK_OK:
	case SLK_NOT_FOUND: /* its stream was deleted */
	case SLK_THROTTLED: /* the staging is full */
		return;
	case SLK_UNAVAILABLE:
	case SLK_TIMEOUT:
	case SLK_CLOSED:
		SIM_CHECK(s, SIM_UNTYPED,
			s->stopping || s->kms.ever_away > 0 || s->kms.ever_refused > 0);
		return;
	case SLK_DENIED:
	case SLK_DISABLED:
	case SLK_INVALID_STATE:
		SIM_CHECK(s, SIM_UNTYPED, s->kms.ever_refused > 0);
		return;
	case SLK_DISK_FULL:
	case SLK_DISK_FAILED:
		SIM_CHECK(s, SIM_UNTYPED, s->disk_failed);
		return;
	default:
		sim_violation(s, SIM_UNTYPED, "a put failed with %s", slk_status_name(status));
	}
}

static void
answered(struct sim *s, struct dp_put *put)
{
	unsigned place = 0;

	while (place < SIM_PUTS_MAX && s->puts[place].put != put)
		place++;
	SIM_CHECK(s, SIM_TWICE, place < SIM_PUTS_MAX); /* answered once */
	check_status(s, put->status);
	if (put->status == SLK_OK) {
		struct sim_shard *shard = sim_shard(s, put->stream_id, put->shard);
		SIM_CHECK(s, SIM_SEQUENCE, put->sequence < shard->next);
		SIM_CHECK(s, SIM_SEQUENCE, shard->ids[put->sequence] == s->puts[place].id);
		if (shard->acked <= put->sequence)
			shard->acked = put->sequence + 1; /* the client believes it */
		s->puts_done++;
	} else {
		s->puts_failed[put->worker]++;
	}
	free(put);
	s->puts[place] = (struct sim_put){0};
}

void
sim_put_reap(struct sim *s)
{
	struct dp_put *put;

	for (unsigned i = 0; i < s->workers; i++) {
		while ((put = dp_spsc_pop(&s->worker[i]->put_out)) != NULL)
			answered(s, put);
	}
}

void
sim_put_forget(struct sim *s)
{
	for (unsigned i = 0; i < SIM_PUTS_MAX; i++) {
		free(s->puts[i].put);
		s->puts[i] = (struct sim_put){0};
	}
	memset(s->rights, 0, sizeof(s->rights));
}
