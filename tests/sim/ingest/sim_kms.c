/* kmsd as ingestd sees it: streams, rights, data keys, signatures, and how all of that fails. The calls of lib/kmsclient are
 * wrapped at link time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/attest.h"
#include "kmsclient/kmsclient.h"
#include "kmsclient/streams.h"
#include "kmsclient/watch.h"
#include "sim.h"

#define CALL_NS 300000u
#define HANG_NS (5 * SLK_NS_PER_S)
#define WATCH_NS (10 * SLK_NS_PER_S)
#define APART_NS (20 * SLK_NS_PER_MS)
#define ROLE "arn:aws:iam::000000000000:role/r"

/* --- the appliance --- */

static void
make_stream(struct sim *s, unsigned slot)
{
	struct sim_stream *st = &s->kms.streams[slot];

	if (s->kms.next_stream_id == SIM_STREAM_IDS)
		return;
	*st = (struct sim_stream){.exists = true,
		.id = s->kms.next_stream_id++,
		.shard_count = 1 + (uint32_t)sim_below(s, SIM_SHARDS),
		.key_status = SLK_OK};
	snprintf(st->name, sizeof(st->name), "s%u", slot);
	snprintf(st->arn, sizeof(st->arn), "arn:aws:kinesis:local:000000000000:stream/s%u", slot);
	s->kms.stream_changes++;
}

void
sim_kms_init(struct sim *s)
{
	s->kms = (struct sim_kms){
		.hsm_there = true, .right_changes = 1, .stream_changes = 1, .next_stream_id = 1};
	s->kms.keys = calloc(SIM_KEYS_MAX, sizeof(*s->kms.keys));
	SIM_CHECK(s, SIM_STUCK, s->kms.keys != NULL);
	s->kms.key_count = 1;
	for (unsigned i = 0; i < SIM_STREAMS; i++)
		make_stream(s, i);
	for (unsigned i = 0; i < SIM_LISTENERS; i++)
		s->kms.role_allowed[i] = true;
	for (unsigned i = 0; i < SIM_UIDS; i++)
		s->kms.uid_allowed[i] = true;
}

void
sim_kms_step(struct sim *s)
{
	static const int statuses[] = {
		SLK_DENIED, SLK_DISABLED, SLK_INVALID_STATE, SLK_NOT_FOUND, SLK_THROTTLED};
	struct sim_kms *k = &s->kms;
	struct sim_stream *st = &k->streams[sim_below(s, SIM_STREAMS)];

	switch (sim_below(s, 8)) {
	case 0:
	case 1:
		k->answer = k->answer != SIM_KMS_UP
			? SIM_KMS_UP
			: (enum sim_answer)(1 + sim_below(s, SIM_KMS_CLOSES));
		break;
	case 2:
	case 3:
		st->key_status = st->key_status != SLK_OK ? SLK_OK : statuses[sim_below(s, 5)];
		break;
	case 4: {
		unsigned i = (unsigned)sim_below(s, SIM_LISTENERS);
		k->role_allowed[i] = !k->role_allowed[i];
		k->right_changes++;
		break;
	}
	case 5: {
		unsigned i = (unsigned)sim_below(s, SIM_UIDS);
		k->uid_allowed[i] = !k->uid_allowed[i];
		k->right_changes++;
		break;
	}
	case 6:
		if (st->exists && sim_below(s, 2) == 0) {
			st->cmk++; /* another CMK */
		} else if (st->exists) {
			st->deleting = true;
		} else {
			make_stream(s, (unsigned)(st - k->streams));
		}
		k->stream_changes++;
		break;
	default:
		k->hsm_there = !k->hsm_there;
		break;
	}
}

/* --- data keys: the wrapped one is its number --- */

static void
key_bytes(const struct sim *s, uint64_t number, uint8_t out[32])
{
	memcpy(out, SIM_KEY_MARK, 8);
	slk_put_le64(out + 8, number);
	slk_put_le64(out + 16, s->seed);
	slk_put_le64(out + 24, (number ^ s->seed) * 0x9e3779b97f4a7c15ull);
}

struct sim_key *
sim_kms_key(struct sim *s, struct slk_span wrapped)
{
	if (wrapped.len != 8)
		return NULL;
	uint64_t number = slk_get_le64(wrapped.ptr);
	return number > 0 && number < s->kms.key_count ? &s->kms.keys[number] : NULL;
}

int
sim_kms_unwrap(struct sim *s, struct slk_span wrapped, struct slk_secret **out)
{
	struct sim_key *key = sim_kms_key(s, wrapped);
	uint8_t bytes[32];

	if (key == NULL)
		return SLK_INVALID_CIPHERTEXT;
	key->unwrapped = true;
	s->kms.unwraps++;
	key_bytes(s, (uint64_t)(key - s->kms.keys), bytes);
	return slk_secret_from(bytes, sizeof(bytes), out);
}

/* --- a call --- */

static int
enter(struct slk_error *err)
{
	struct sim *s = sim_now;

	simdisk_advance(s->disk, CALL_NS + sim_below(s, CALL_NS));
	if (s->kms.answer == SIM_KMS_UP)
		return SLK_OK;
	if (s->kms.answer == SIM_KMS_HANGS)
		simdisk_advance(s->disk, HANG_NS);
	s->kms.away_ns = sim_time(s);
	s->kms.ever_away++;
	return slk_fail(err,
		s->kms.answer == SIM_KMS_AWAY            ? SLK_UNAVAILABLE
			: s->kms.answer == SIM_KMS_HANGS ? SLK_TIMEOUT
							 : SLK_CLOSED,
		"kmsd is away");
}

static void
asked(const char *principal, const char *action, const char *resource)
{
	if (sim_now->kms.asked != NULL)
		sim_now->kms.asked(sim_now, principal, action, resource);
}

static struct sim_stream *
stream_of(const char *name_or_arn)
{
	for (unsigned i = 0; i < SIM_STREAMS; i++) {
		struct sim_stream *st = &sim_now->kms.streams[i];
		if (st->exists &&
			(strcmp(st->name, name_or_arn) == 0 || strcmp(st->arn, name_or_arn) == 0))
			return st;
	}
	return NULL;
}

static void
describe(const struct sim_stream *st, struct kmsc_stream *out)
{
	*out = (struct kmsc_stream){.id = st->id,
		.shard_count = st->shard_count,
		.shards_count = st->shard_count,
		.encrypted_kms = true,
		.retention_hours = 24};
	snprintf(out->name, sizeof(out->name), "%s", st->name);
	snprintf(out->arn, sizeof(out->arn), "%s", st->arn);
	snprintf(out->key_arn, sizeof(out->key_arn), "arn:aws:kms:local:000000000000:key/%u",
		st->cmk);
	snprintf(out->status, sizeof(out->status), "%s", st->deleting ? "DELETING" : "ACTIVE");
	snprintf(out->mode, sizeof(out->mode), "PROVISIONED");
}

int __wrap_kmsc_new(const char *path, unsigned timeout_ms, struct kmsc **out);
void __wrap_kmsc_free(struct kmsc *c);
int __wrap_kmsc_watch_new(const struct kmsc_watch_config *config, struct kmsc_watch **out);
void __wrap_kmsc_watch_free(struct kmsc_watch *w);
bool __wrap_kmsc_watch_turn(struct kmsc_watch *w, struct kmsc_watch_news *out);
uint64_t __wrap_kmsc_watch_next_ns(const struct kmsc_watch *w);
int __wrap_kmsc_describe_stream(
	struct kmsc *c, const char *name, struct kmsc_stream *out, struct slk_error *err);
int __wrap_kmsc_list_all_streams(struct kmsc *c, const char *marker, struct kmsc_stream *out,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err);
int __wrap_kmsc_list_shards(struct kmsc *c, const char *stream,
	const struct kmsc_shard_query *query, const char *marker, struct kmsc_shard *out,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err);
int __wrap_kmsc_stream_changed(struct kmsc *c, const struct kmsc_stream *stream,
	const struct kmsc_shard_end *ends, size_t count, struct slk_error *err);
int __wrap_kmsc_generate_stream_key(
	struct kmsc *c, const char *arn, struct kmsc_data_key *out, struct slk_error *err);
int __wrap_kmsc_authorize_uid(
	struct kmsc *c, uid_t uid, const char *action, const char *arn, struct slk_error *err);
int __wrap_kmsc_authorize_role(struct kmsc *c, const char *role, const char *action,
	const char *arn, struct slk_error *err);
int __wrap_kmsc_stream_changed(struct kmsc *c, const struct kmsc_stream *stream,
	const struct kmsc_shard_end *ends, size_t count, struct slk_error *err);
int __wrap_kmsc_attest_statement(struct kmsc *c, struct slk_span statement,
	const uint8_t digest[32], struct kmsc_attestation *out, struct slk_error *err);

int
__wrap_kmsc_new(const char *path, unsigned timeout_ms, struct kmsc **out)
{
	(void)path;
	(void)timeout_ms;
	*out = malloc(1);
	return *out != NULL ? SLK_OK : SLK_NO_MEMORY;
}

void
__wrap_kmsc_free(struct kmsc *c)
{
	free(c);
}

/* --- the long-standing question --- */

int
__wrap_kmsc_watch_new(const struct kmsc_watch_config *config, struct kmsc_watch **out)
{
	(void)config;
	sim_now->kms.watch = (struct sim_watch){.pause_ns = 0};
	*out = malloc(1);
	return *out != NULL ? SLK_OK : SLK_NO_MEMORY;
}

void
__wrap_kmsc_watch_free(struct kmsc_watch *w)
{
	free(w);
}

static bool
watch_failed(struct sim_watch *w, int status, struct kmsc_watch_news *out)
{
	struct sim *s = sim_now;

	s->kms.away_ns = sim_time(s);
	s->kms.ever_away++;
	w->asking = w->known = false;
	w->pause_ns = w->pause_ns == 0 ? 100 * SLK_NS_PER_MS : 2 * w->pause_ns;
	w->pause_ns = w->pause_ns < 2 * SLK_NS_PER_S ? w->pause_ns : 2 * SLK_NS_PER_S;
	w->until_ns = sim_time(s) + w->pause_ns;
	*out = (struct kmsc_watch_news){.status = status};
	(void)slk_fail(&out->err, status, "kmsd is away");
	return true;
}

bool
__wrap_kmsc_watch_turn(struct kmsc_watch *handle, struct kmsc_watch_news *out)
{
	struct sim *s = sim_now;
	struct sim_kms *k = &s->kms;
	struct sim_watch *w = &k->watch;

	(void)handle;
	if (!w->asking) {
		if (sim_time(s) < w->until_ns)
			return false;
		w->asking = true;
		w->until_ns = sim_time(s) + WATCH_NS;
	}
	if (k->answer == SIM_KMS_AWAY || k->answer == SIM_KMS_CLOSES)
		return watch_failed(w, SLK_UNAVAILABLE, out);
	if (k->answer == SIM_KMS_HANGS)
		return sim_time(s) >= w->until_ns + HANG_NS && watch_failed(w, SLK_TIMEOUT, out);
	if (w->known && w->stream_changes == k->stream_changes &&
		w->right_changes == k->right_changes && sim_time(s) < w->until_ns)
		return false;
	*w = (struct sim_watch){.known = true,
		.stream_changes = k->stream_changes,
		.right_changes = k->right_changes,
		.until_ns = sim_time(s) + APART_NS};
	*out = (struct kmsc_watch_news){.changes = {.stream_changes = k->stream_changes,
						.right_changes = k->right_changes}};
	return true;
}

uint64_t
__wrap_kmsc_watch_next_ns(const struct kmsc_watch *handle)
{
	const struct sim_watch *w = &sim_now->kms.watch;

	(void)handle;
	return w->until_ns + (w->asking ? HANG_NS : 0);
}

int
__wrap_kmsc_describe_stream(
	struct kmsc *c, const char *name, struct kmsc_stream *out, struct slk_error *err)
{
	(void)c;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	const struct sim_stream *st = stream_of(name);
	if (st == NULL)
		return slk_fail(err, SLK_NOT_FOUND, "no stream %s", name);
	describe(st, out);
	return SLK_OK;
}

int
__wrap_kmsc_list_all_streams(struct kmsc *c, const char *marker, struct kmsc_stream *out,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err)
{
	(void)c;
	(void)marker;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	*out_count = 0;
	out_next[0] = '\0';
	for (unsigned i = 0; i < SIM_STREAMS && *out_count < cap; i++) {
		if (sim_now->kms.streams[i].exists)
			describe(&sim_now->kms.streams[i], &out[(*out_count)++]);
	}
	return SLK_OK;
}

/* As the stream was made: nothing is resharded here. */
int
__wrap_kmsc_list_shards(struct kmsc *c, const char *stream, const struct kmsc_shard_query *query,
	const char *marker, struct kmsc_shard *out, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	(void)c;
	(void)query;
	(void)marker;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	const struct sim_stream *st = stream_of(stream);
	if (st == NULL)
		return slk_fail(err, SLK_NOT_FOUND, "no stream %s", stream);
	SIM_CHECK(sim_now, SIM_STUCK, st->shard_count <= cap);
	for (uint32_t i = 0; i < st->shard_count; i++) {
		out[i] = (struct kmsc_shard){.number = i};
		dp_hash_key_range(i, st->shard_count, &out[i].start, &out[i].end);
	}
	*out_count = st->shard_count;
	out_next[0] = '\0';
	return SLK_OK;
}

int
__wrap_kmsc_stream_changed(struct kmsc *c, const struct kmsc_stream *stream,
	const struct kmsc_shard_end *ends, size_t count, struct slk_error *err)
{
	(void)c;
	(void)ends;
	(void)count;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	struct sim_stream *st = stream_of(stream->name);
	if (st == NULL || !st->deleting)
		return slk_fail(err, SLK_NOT_FOUND, "nothing is to be done");
	st->exists = false;
	sim_now->kms.stream_changes++;
	return SLK_OK;
}

/* A refusal ends the grace of the key before it. */
static int
refuse(struct sim_stream *st, struct slk_error *err)
{
	struct sim *s = sim_now;

	s->kms.ever_refused++;
	for (uint64_t i = s->kms.key_count; i-- > 1;) {
		struct sim_key *k = &s->kms.keys[i];
		if (k->stream_id != st->id)
			continue;
		if (k->refused_ns == 0)
			k->refused_ns = sim_time(s);
		break;
	}
	return slk_fail(err, st->key_status, "kms:GenerateDataKey is refused");
}

int
__wrap_kmsc_generate_stream_key(
	struct kmsc *c, const char *arn, struct kmsc_data_key *out, struct slk_error *err)
{
	struct sim *s = sim_now;
	uint64_t asked_ns = sim_time(s);
	uint8_t bytes[32];

	(void)c;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	struct sim_stream *st = stream_of(arn);
	if (st == NULL || st->deleting) {
		s->kms.ever_refused++;
		return slk_fail(err, SLK_NOT_FOUND, "no stream %s", arn);
	}
	if (!s->kms.hsm_there) {
		s->kms.away_ns = sim_time(s);
		s->kms.ever_away++;
		return slk_fail(err, SLK_UNAVAILABLE, "the HSM is away");
	}
	if (st->key_status != SLK_OK)
		return refuse(st, err);
	asked(st->arn, "kms:GenerateDataKey", st->arn);
	SIM_CHECK(s, SIM_STUCK, s->kms.key_count < SIM_KEYS_MAX);
	uint64_t number = s->kms.key_count++;
	s->kms.keys[number] = (struct sim_key){.stream_id = st->id, .asked_ns = asked_ns};
	s->kms.generated++;
	key_bytes(s, number, bytes);
	*out = (struct kmsc_data_key){.blob_len = 8, .encrypted_kms = true};
	slk_put_le64(out->blob, number);
	snprintf(out->key_arn, sizeof(out->key_arn), "arn:aws:kms:local:000000000000:key/%u",
		st->cmk);
	return slk_secret_from(bytes, sizeof(bytes), &out->plaintext);
}

int
__wrap_kmsc_authorize_uid(
	struct kmsc *c, uid_t uid, const char *action, const char *arn, struct slk_error *err)
{
	struct sim *s = sim_now;

	(void)c;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	SIM_CHECK(s, SIM_REFUSED, strcmp(action, "kinesis:PutRecord") == 0);
	const struct sim_stream *st = stream_of(arn);
	if (st == NULL || st->deleting)
		return slk_fail(err, SLK_NOT_FOUND, "no such stream");
	if (s->kms.uid_allowed[uid % SIM_UIDS] || s->plant == SIM_PLANT_ALLOW_ALL)
		return SLK_OK;
	s->kms.ever_refused++;
	return slk_fail(err, SLK_DENIED, "uid %u may not", (unsigned)uid);
}

int
__wrap_kmsc_authorize_role(struct kmsc *c, const char *role, const char *action, const char *arn,
	struct slk_error *err)
{
	struct sim *s = sim_now;

	(void)c;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	SIM_CHECK(s, SIM_REFUSED, strcmp(action, "kinesis:PutRecord") == 0);
	SIM_CHECK(s, SIM_REFUSED, strncmp(role, ROLE, strlen(ROLE)) == 0);
	const struct sim_stream *st = stream_of(arn);
	if (st == NULL || st->deleting)
		return slk_fail(err, SLK_NOT_FOUND, "no such stream");
	unsigned i = (unsigned)atoi(role + strlen(ROLE));
	uint64_t now_ns = sim_time(s);
	asked(role, action, arn);
	if (s->kms.role_allowed[i]) {
		s->kms.role_refused_ns[i] = 0;
		return SLK_OK;
	}
	s->kms.ever_refused++;
	if (s->kms.role_refused_ns[i] == 0)
		s->kms.role_refused_ns[i] = now_ns;
	if (s->plant == SIM_PLANT_ALLOW_ALL)
		return SLK_OK;
	return slk_fail(err, SLK_DENIED, "%s may not", role);
}

int
__wrap_kmsc_attest_statement(struct kmsc *c, struct slk_span statement, const uint8_t digest[32],
	struct kmsc_attestation *out, struct slk_error *err)
{
	struct sim *s = sim_now;

	(void)c;
	(void)statement;
	int rc = enter(err);
	if (rc != SLK_OK)
		return rc;
	if (!s->kms.hsm_there)
		return slk_fail(err, SLK_UNAVAILABLE, "the HSM is away");
	s->kms.attested++;
	out->signature_len = attester_sign(s->attester, FMT_ATTEST_JOURNAL, digest, out->signature);
	struct slk_span der = attester_der(s->attester);
	memcpy(out->public_key, der.ptr, der.len);
	out->public_key_len = der.len;
	snprintf(out->key_arn, sizeof(out->key_arn), "arn:aws:kms:local:000000000000:key/a");
	return SLK_OK;
}
