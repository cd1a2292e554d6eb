/* ipsec-mb's direct AES-GCM calls: one-shot for an item in one piece, init/update/finalize for a
 * scattered one. The job and burst calls were measured slower at every size (docs/decisions).
 *
 * These calls are void: the library drops a call whose arguments it refuses and says nothing.
 * all_plain() or seal_item_check() make sure beforehand that it has no reason to.
 */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/secret.h"
#include "seal/engine.h"
#include "seal/ipsecmb.h"

#define PREFETCH_BYTES 256u

struct ipsecmb_state {
	struct seal_ipsecmb_calls calls[3]; /* by seal_key_len_index() */
	struct gcm_context_data *work; /* holds key stream during a call: in secret memory */
	struct slk_secret *work_memory;
	IMB_MGR *mgr;
	bool (*all_plain)(const struct seal_item *items, uint32_t count);
};

struct ipsecmb_key {
	struct seal_key head;
	unsigned calls_index;
	const struct gcm_key_data *schedule;
	struct slk_secret *memory;
};

typedef uint64_t words __attribute__((vector_size(64), aligned(8), may_alias));
typedef uint32_t halves __attribute__((vector_size(64), aligned(8), may_alias));
typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));

static_assert(sizeof(struct seal_item) == sizeof(words), "an item is one vector");
static_assert(offsetof(struct seal_item, in) == 0 && offsetof(struct seal_item, in_count) == 8 &&
		offsetof(struct seal_item, out) == 16 && offsetof(struct seal_item, aad) == 24 &&
		offsetof(struct seal_item, aad_len) == 32 && offsetof(struct seal_item, tag) == 48,
	"lanes of all_plain_body()");
static_assert(sizeof(struct iovec) == sizeof(pair), "base and length");

/* Whether every item of the burst is valid, one piece and not empty, which seal_item_check() would find out one by one.
 * At 64 bytes those branches cost 9 % of the whole seal, as nothing of them overlaps with the library's code; this costs
 * 4 %. No pointer of a process has its top bit set, so a zero among pointers (or lengths) is the sign of the union of
 * their predecessors. */
static inline __attribute__((always_inline)) bool
all_plain_body(const struct seal_item *items, uint32_t count)
{
	words none = {0}; /* sign: a pointer was NULL */
	halves bits = {0}; /* in_count: 1 if all were 1; aad_len: sign if 0 or too long */
	pair in_none = {0}; /* sign: base was NULL or length 0 */
	uint64_t in_len = 0;

#pragma GCC unroll 2
	for (const struct seal_item *item = items; item != items + count; item++) {
		if (item->in == NULL)
			return false;
		words w = *(const words *)item;
		halves h = (halves)w;
		none |= w - 1;
		bits |= (h - 1) | h;
		in_none |= *(const pair *)item->in - 1;
		in_len |= item->in->iov_len;
	}
	uint64_t signs = none[2] | none[3] | none[6] | in_none[0] | in_none[1];
	return (signs >> 63 | in_len >> 31 | bits[8] >> 31 | (bits[2] ^ 1)) == 0;
}

static bool
all_plain(const struct seal_item *items, uint32_t count)
{
	return all_plain_body(items, count);
}

static __attribute__((target("avx512f"))) bool
all_plain_avx512(const struct seal_item *items, uint32_t count)
{
	return all_plain_body(items, count);
}

static void
state_free(void *state)
{
	struct ipsecmb_state *s = state;

	if (s == NULL)
		return;
	seal_ipsecmb_free(s->mgr);
	slk_secret_free(s->work_memory);
	free(s);
}

static int
state_new(const struct seal_engine *engine, void **out_state, struct slk_error *err)
{
	struct ipsecmb_state *s = calloc(1, sizeof(*s));
	int rc = s != NULL ? slk_secret_new(sizeof(*s->work), &s->work_memory) : SLK_NO_MEMORY;

	if (rc != SLK_OK) {
		slk_fail(err, rc, "engine %s: no locked memory (see ulimit -l)", engine->name);
		goto out;
	}
	s->work = (struct gcm_context_data *)slk_secret_bytes(s->work_memory);
	rc = seal_ipsecmb_new((enum seal_ipsecmb_path)engine->path, engine->name, &s->mgr, err);
	if (rc != SLK_OK)
		goto out;
	/* The path's own check has passed in seal_ipsecmb_new(). */
	s->all_plain = seal_ipsecmb_is_avx512((enum seal_ipsecmb_path)engine->path)
		? all_plain_avx512
		: all_plain;
	seal_ipsecmb_calls(s->mgr, s->calls);
	*out_state = s;
	s = NULL; /* now the caller's */
out:
	state_free(s);
	return rc;
}

static void
key_free(struct seal_key *key)
{
	struct ipsecmb_key *k = (struct ipsecmb_key *)key;

	slk_secret_free(k->memory);
	free(k);
}

static int
key_new(void *state, const uint8_t *key, size_t key_len, struct seal_key **out_key)
{
	/* The library wants 64-byte alignment, which its header does not ask the compiler for;
	 * slk_secret gives it to every length that is a multiple of 64. */
	const size_t schedule_bytes = (sizeof(struct gcm_key_data) + 63) / 64 * 64;
	const struct ipsecmb_state *s = state;
	struct ipsecmb_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return SLK_NO_MEMORY;
	int rc = slk_secret_new(schedule_bytes, &k->memory);
	if (rc != SLK_OK) {
		free(k);
		return rc;
	}
	struct gcm_key_data *schedule = (struct gcm_key_data *)slk_secret_bytes(k->memory);
	k->calls_index = seal_key_len_index(key_len);
	k->schedule = schedule;
	s->calls[k->calls_index].expand(key, schedule);
	*out_key = &k->head;
	return SLK_OK;
}

/* The hardware does not see the next packet buffer coming, but goes on by itself once it was led there: a tenth less time
 * for 1 KiB pieces out of a mempool. */
static inline void
prefetch_start(const void *piece)
{
	for (unsigned i = 0; i < PREFETCH_BYTES; i += 64)
		__builtin_prefetch((const void *)((uintptr_t)piece + i));
}

static void
run_pieces(const struct seal_ipsecmb_calls *calls, enum seal_dir dir,
	const struct gcm_key_data *schedule, struct gcm_context_data *work,
	const struct seal_item *item, uint8_t *tag)
{
	aes_gcm_enc_dec_update_t update = calls->update[dir];
	uint8_t *out = item->out;

	calls->init(schedule, work, item->nonce, item->aad, item->aad_len);
	for (uint32_t i = 0; i < item->in_count; i++) {
		const struct iovec *in = &item->in[i];
		if (in->iov_len == 0)
			continue;
		if (i + 1 < item->in_count)
			prefetch_start(in[1].iov_base);
		update(schedule, work, out, in->iov_base, in->iov_len);
		out += in->iov_len;
	}
	calls->finalize[dir](schedule, work, tag, SEAL_TAG_BYTES);
}

/* Nothing but the calls. */
static uint32_t
seal_plain(aes_gcm_enc_dec_t whole, const struct gcm_key_data *schedule,
	struct gcm_context_data *work, struct seal_item *items, uint32_t count)
{
	for (struct seal_item *item = items; item != items + count; item++) {
		item->status = SLK_OK;
		whole(schedule, work, item->out, item->in[0].iov_base, item->in[0].iov_len,
			item->nonce, item->aad, item->aad_len, item->tag, SEAL_TAG_BYTES);
	}
	return count;
}

/* Run a valid item in either direction; the tag that was computed goes to tag. */
static void
run_one(const struct seal_ipsecmb_calls *calls, enum seal_dir dir,
	const struct gcm_key_data *schedule, struct gcm_context_data *work,
	const struct seal_item *item, uint8_t *tag)
{
	if (item->in_count == 1)
		calls->whole[dir](schedule, work, item->out, item->in[0].iov_base,
			item->in[0].iov_len, item->nonce, item->aad, item->aad_len, tag,
			SEAL_TAG_BYTES);
	else
		run_pieces(calls, dir, schedule, work, item, tag);
}

static uint32_t
seal(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	const struct ipsecmb_state *s = state;
	const struct ipsecmb_key *k = (const struct ipsecmb_key *)key;
	const struct seal_ipsecmb_calls *calls = &s->calls[k->calls_index];
	uint32_t good = 0;
	size_t len;

	if (count > 0 && items[0].in_count == 1 && s->all_plain(items, count))
		return seal_plain(calls->whole[SEAL_DIR_SEAL], k->schedule, s->work, items, count);
	for (uint32_t i = 0; i < count; i++) {
		struct seal_item *item = &items[i];
		item->status = SLK_INVALID;
		if (!seal_item_check(item, &len))
			continue;
		run_one(calls, SEAL_DIR_SEAL, k->schedule, s->work, item, item->tag);
		item->status = SLK_OK;
		good++;
	}
	return good;
}

/* The status of one item that is opened; tag is scratch. */
static int
open_one(const struct seal_ipsecmb_calls *calls, const struct gcm_key_data *schedule,
	struct gcm_context_data *work, const struct seal_item *item, uint8_t *tag)
{
	size_t len = 0;

	if (!seal_item_check(item, &len))
		return SLK_INVALID;
	run_one(calls, SEAL_DIR_OPEN, schedule, work, item, tag);
	if (seal_tag_equal(tag, item->tag))
		return SLK_OK;
	if (len > 0)
		memset(item->out, 0, len);
	return SLK_BAD_TAG;
}

static uint32_t
open_all(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	const struct ipsecmb_state *s = state;
	const struct ipsecmb_key *k = (const struct ipsecmb_key *)key;
	uint8_t tag[SEAL_TAG_BYTES];
	uint32_t good = 0;

	for (uint32_t i = 0; i < count; i++) {
		items[i].status =
			open_one(&s->calls[k->calls_index], k->schedule, s->work, &items[i], tag);
		good += items[i].status == SLK_OK;
	}
	slk_wipe(tag, sizeof(tag)); /* the right tag of a forged item is nobody's to see */
	return good;
}

struct ipsecmb_stream {
	const struct seal_ipsecmb_calls *calls;
	const struct gcm_key_data *schedule;
	struct gcm_context_data *work;
	struct slk_secret *work_memory;
	enum seal_dir dir;
};

static void
stream_free(void *stream)
{
	struct ipsecmb_stream *s = stream;

	slk_secret_free(s->work_memory);
	free(s);
}

static int
stream_new(void *state, const struct seal_key *key, enum seal_dir dir,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	void **out_stream)
{
	const struct ipsecmb_state *of_thread = state;
	const struct ipsecmb_key *k = (const struct ipsecmb_key *)key;
	struct ipsecmb_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SLK_NO_MEMORY;
	int rc = slk_secret_new(sizeof(*s->work), &s->work_memory);
	if (rc != SLK_OK) {
		free(s);
		return rc;
	}
	s->work = (struct gcm_context_data *)slk_secret_bytes(s->work_memory);
	s->calls = &of_thread->calls[k->calls_index];
	s->schedule = k->schedule;
	s->dir = dir;
	s->calls->init(s->schedule, s->work, nonce, aad, aad_len);
	*out_stream = s;
	return SLK_OK;
}

static int
stream_update(void *stream, const uint8_t *in, uint8_t *out, size_t len)
{
	struct ipsecmb_stream *s = stream;

	s->calls->update[s->dir](s->schedule, s->work, out, in, len);
	return SLK_OK;
}

static int
stream_end(void *stream, uint8_t tag[SEAL_TAG_BYTES])
{
	struct ipsecmb_stream *s = stream;
	uint8_t computed[SEAL_TAG_BYTES];
	int rc = SLK_OK;

	s->calls->finalize[s->dir](s->schedule, s->work, computed, SEAL_TAG_BYTES);
	if (s->dir == SEAL_DIR_SEAL)
		memcpy(tag, computed, SEAL_TAG_BYTES);
	else if (!seal_tag_equal(computed, tag))
		rc = SLK_BAD_TAG;
	slk_wipe(computed, sizeof(computed));
	return rc;
}

#define IPSECMB_ENGINE(engine_name, engine_path) \
	{ \
		.name = (engine_name), .path = (engine_path), .state_new = state_new, \
		.state_free = state_free, .key_new = key_new, .key_free = key_free, .seal = seal, \
		.open = open_all, .stream_new = stream_new, .stream_free = stream_free, \
		.stream_update = stream_update, .stream_end = stream_end, \
	}

static const struct seal_engine all[] = {
	IPSECMB_ENGINE("ipsec-mb-avx512", SEAL_IPSECMB_AVX512),
	IPSECMB_ENGINE("ipsec-mb-avx2", SEAL_IPSECMB_AVX2),
	IPSECMB_ENGINE("ipsec-mb-sse", SEAL_IPSECMB_SSE),
	IPSECMB_ENGINE("ipsec-mb-avx512-no-vaes", SEAL_IPSECMB_AVX512_NO_VAES),
#if IMB_VERSION_NUM < 0x20000
	IPSECMB_ENGINE("ipsec-mb-avx", SEAL_IPSECMB_AVX),
#endif
};

const struct seal_engine *
seal_engine_ipsecmb_path(unsigned index)
{
	return index < sizeof(all) / sizeof(all[0]) ? &all[index] : NULL;
}
