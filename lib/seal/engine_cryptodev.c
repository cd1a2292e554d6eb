/* rte_cryptodev as an engine: operations, mbufs and sessions are made beforehand, a burst fills them in.
 *
 * The mbufs are heads only, which point at the caller's memory; no driver frees an mbuf that it is given, so they need no
 * pool and no reference count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "base/secret.h"
#include "seal/engine_cryptodev.h"

#define DEPTH 32u /* operations under way, per thread */
#define PIECES_MAX 64u /* of one item's input, as the device sees it */
#define SEGMENTS_MAX (ITEM_BYTES_MAX / SEGMENT_BYTES + 1)
#define SESSIONS_PER_KEY 8u
#define IV_OFFSET (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))

struct cd_slot {
	struct rte_crypto_op *op;
	struct seal_item *item;
	uint32_t len;
	struct rte_mbuf *in; /* PIECES_MAX of them */
	struct rte_mbuf *out;
};

struct cd_state {
	struct seal_cryptodev *device;
	uint16_t queue;
	bool is_broken; /* operations are lost in the device */
	struct seal_thread *cpu;
	struct rte_mempool *ops;
	struct rte_mbuf *heads; /* of all slots, and SEGMENTS_MAX for the large item */
	struct rte_mbuf *segments;
	struct cd_slot slots[DEPTH];
	struct cd_slot *idle[DEPTH];
	uint32_t idle_count;
};

struct cd_session {
	uint32_t aad_len;
	enum seal_dir dir;
	void *session;
};

/* A session is for one direction and one length of AAD; they are made when they are first needed. */
struct cd_key {
	struct seal_key head;
	struct seal_cryptodev *device;
	struct slk_secret *raw;
	struct seal_key *cpu; /* for what the device does not take */
	atomic_flag making;
	_Atomic uint32_t count;
	struct cd_session sessions[SESSIONS_PER_KEY];
};

static struct seal_cryptodev *
device_of(const struct seal_engine *engine)
{
	return (struct seal_cryptodev *)(uintptr_t)engine;
}

/* --- keys --- */

static void *
session_make(const struct cd_key *k, enum seal_dir dir, uint32_t aad_len)
{
	struct rte_crypto_sym_xform form = {.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = {.op = dir == SEAL_DIR_SEAL ? RTE_CRYPTO_AEAD_OP_ENCRYPT
						    : RTE_CRYPTO_AEAD_OP_DECRYPT,
			.algo = RTE_CRYPTO_AEAD_AES_GCM,
			.key = {.data = slk_secret_peek(k->raw),
				.length = (uint16_t)slk_secret_len(k->raw)},
			.iv = {.offset = IV_OFFSET, .length = SEAL_NONCE_BYTES},
			.digest_length = SEAL_TAG_BYTES,
			.aad_length = (uint16_t)aad_len}};

	return rte_cryptodev_sym_session_create(k->device->id, &form, k->device->sessions);
}

static void *
session_find(const struct cd_key *k, enum seal_dir dir, uint32_t aad_len)
{
	uint32_t count = atomic_load_explicit(&k->count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++) {
		if (k->sessions[i].aad_len == aad_len && k->sessions[i].dir == dir)
			return k->sessions[i].session;
	}
	return NULL;
}

/* NULL: no room. Another thread that makes one is waited for: a few microseconds, once per key. */
static void *
session_of(struct cd_key *k, enum seal_dir dir, uint32_t aad_len)
{
	void *session = session_find(k, dir, aad_len);

	if (session != NULL || aad_len > UINT16_MAX)
		return session;
	while (atomic_flag_test_and_set_explicit(&k->making, memory_order_acquire))
		rte_pause();
	session = session_find(k, dir, aad_len);
	uint32_t count = atomic_load_explicit(&k->count, memory_order_relaxed);
	if (session == NULL && count < SESSIONS_PER_KEY)
		session = session_make(k, dir, aad_len);
	if (session != NULL && session_find(k, dir, aad_len) == NULL) {
		k->sessions[count] = (struct cd_session){aad_len, dir, session};
		atomic_store_explicit(&k->count, count + 1, memory_order_release);
	}
	atomic_flag_clear_explicit(&k->making, memory_order_release);
	return session;
}

static void
key_free(struct seal_key *key)
{
	struct cd_key *k = (struct cd_key *)key;

	if (k == NULL)
		return;
	for (uint32_t i = 0; i < atomic_load(&k->count); i++)
		(void)rte_cryptodev_sym_session_free(k->device->id, k->sessions[i].session);
	slk_secret_free(k->raw);
	seal_key_free(k->cpu);
	free(k);
}

static int
key_new(void *state, const uint8_t *key, size_t key_len, struct seal_key **out_key)
{
	struct cd_state *s = state;
	struct cd_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return SLK_NO_MEMORY;
	k->device = s->device;
	atomic_flag_clear(&k->making);
	int rc = slk_secret_from(key, key_len, &k->raw);
	if (rc == SLK_OK)
		rc = seal_key_new(s->cpu, key, key_len, &k->cpu);
	if (rc != SLK_OK) {
		key_free(&k->head);
		return rc;
	}
	*out_key = &k->head;
	return SLK_OK;
}

/* --- one operation --- */

static void
point(struct rte_mbuf *m, void *bytes, size_t len)
{
	m->buf_addr = bytes;
	rte_mbuf_iova_set(m, (rte_iova_t)(uintptr_t)bytes);
	m->buf_len = (uint16_t)len;
	m->data_off = 0;
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	m->nb_segs = 1;
	m->next = NULL;
}

static void
chain(struct rte_mbuf *first, struct rte_mbuf *last, struct rte_mbuf *m)
{
	if (m == first)
		return;
	last->next = m;
	first->nb_segs++;
	first->pkt_len += m->data_len;
}

/* The pieces of the input as mbufs; NULL: there are too many, or one is too long. */
static struct rte_mbuf *
chain_pieces(struct cd_slot *slot)
{
	const struct seal_item *item = slot->item;
	uint32_t used = 0;

	if (slot->len > SEGMENT_BYTES)
		return NULL;
	for (uint32_t i = 0; i < item->in_count; i++) {
		if (item->in[i].iov_len == 0)
			continue;
		if (used == PIECES_MAX)
			return NULL;
		point(&slot->in[used], item->in[i].iov_base, item->in[i].iov_len);
		chain(slot->in, &slot->in[used > 0 ? used - 1 : 0], &slot->in[used]);
		used++;
	}
	if (used == 0)
		point(slot->in, item->tag, 0); /* nothing is read there */
	return slot->in;
}

/* The output, to which the input was copied, as mbufs. */
static struct rte_mbuf *
chain_output(struct cd_state *s, const struct cd_slot *slot)
{
	uint32_t used = 0;

	for (size_t at = 0; at < slot->len; at += SEGMENT_BYTES, used++) {
		size_t len = slot->len - at < SEGMENT_BYTES ? slot->len - at : SEGMENT_BYTES;
		point(&s->segments[used], slot->item->out + at, len);
		chain(s->segments, &s->segments[used > 0 ? used - 1 : 0], &s->segments[used]);
	}
	return s->segments;
}

static void
copy_input(const struct seal_item *item)
{
	uint8_t *out = item->out;

	for (uint32_t i = 0; i < item->in_count; i++) {
		if (item->in[i].iov_len == 0)
			continue;
		memmove(out, item->in[i].iov_base, item->in[i].iov_len);
		out += item->in[i].iov_len;
	}
}

static void
fill_in(struct cd_state *s, struct cd_slot *slot, void *session)
{
	const struct seal_item *item = slot->item;
	struct rte_crypto_op *op = slot->op;
	struct rte_mbuf *in = chain_pieces(slot);
	bool in_place = in == NULL;

	if (in_place) {
		copy_input(item);
		in = chain_output(s, slot);
	} else if (item->in_count == 1 && item->in[0].iov_base == item->out) {
		in_place = true;
	}
	if (!in_place)
		point(slot->out, slot->len > 0 ? item->out : item->tag, slot->len);
	op->type = RTE_CRYPTO_OP_TYPE_SYMMETRIC;
	op->status = RTE_CRYPTO_OP_STATUS_NOT_PROCESSED;
	op->sess_type = RTE_CRYPTO_OP_WITH_SESSION;
	op->sym->session = session;
	op->sym->m_src = in;
	op->sym->m_dst = in_place || slot->len == 0 ? NULL : slot->out;
	op->sym->aead.data.offset = 0;
	op->sym->aead.data.length = slot->len;
	op->sym->aead.digest.data = item->tag;
	op->sym->aead.digest.phys_addr = (rte_iova_t)(uintptr_t)item->tag;
	op->sym->aead.aad.data = (uint8_t *)(uintptr_t)item->aad;
	op->sym->aead.aad.phys_addr = (rte_iova_t)(uintptr_t)item->aad;
	memcpy(rte_crypto_op_ctod_offset(op, uint8_t *, IV_OFFSET), item->nonce, SEAL_NONCE_BYTES);
	/* Which one it is, for the way back. */
	const uint32_t index = (uint32_t)(slot - s->slots);
	memcpy(rte_crypto_op_ctod_offset(op, uint8_t *, IV_OFFSET + SEAL_NONCE_BYTES), &index,
		sizeof(index));
}

static struct cd_slot *
slot_of(struct cd_state *s, struct rte_crypto_op *op)
{
	uint32_t index = 0;

	memcpy(&index, rte_crypto_op_ctod_offset(op, uint8_t *, IV_OFFSET + SEAL_NONCE_BYTES),
		sizeof(index));
	return &s->slots[index];
}

static int
outcome(const struct cd_slot *slot)
{
	int rc = slot->op->status == RTE_CRYPTO_OP_STATUS_SUCCESS      ? SLK_OK
		: slot->op->status == RTE_CRYPTO_OP_STATUS_AUTH_FAILED ? SLK_BAD_TAG
								       : SLK_INTERNAL;

	if (rc != SLK_OK && slot->len > 0)
		memset(slot->item->out, 0, slot->len);
	return rc;
}

/* --- a burst --- */

/* What came back, in any order. Returns how many. */
static uint32_t
take_back(struct cd_state *s, uint32_t *good)
{
	struct rte_crypto_op *ops[DEPTH];
	uint32_t n = rte_cryptodev_dequeue_burst(s->device->id, s->queue, ops, DEPTH);

	for (uint32_t i = 0; i < n; i++) {
		struct cd_slot *slot = slot_of(s, ops[i]);
		slot->item->status = outcome(slot);
		*good += slot->item->status == SLK_OK;
		s->idle[s->idle_count++] = slot;
	}
	return n;
}

/* Until no more than left are under way; false: the device has stopped. */
static bool
wait_back(struct cd_state *s, uint32_t left, uint32_t *good)
{
	uint64_t limit = rte_get_tsc_cycles() + rte_get_tsc_hz();

	while (DEPTH - s->idle_count > left) {
		if (take_back(s, good) > 0)
			limit = rte_get_tsc_cycles() + rte_get_tsc_hz();
		else if (rte_get_tsc_cycles() > limit)
			return false;
	}
	return true;
}

/* SLK_OK; SLK_UNSUPPORTED: the driver does not take such an operation; SLK_TIMEOUT. */
static int
send_one(struct cd_state *s, struct cd_slot *slot, uint32_t *good)
{
	uint64_t limit = rte_get_tsc_cycles() + rte_get_tsc_hz();

	while (rte_cryptodev_enqueue_burst(s->device->id, s->queue, &slot->op, 1) != 1) {
		if (slot->op->status != RTE_CRYPTO_OP_STATUS_NOT_PROCESSED)
			return SLK_UNSUPPORTED;
		if (take_back(s, good) > 0)
			limit = rte_get_tsc_cycles() + rte_get_tsc_hz();
		else if (rte_get_tsc_cycles() > limit)
			return SLK_TIMEOUT;
	}
	return SLK_OK;
}

/* The device holds memory that is not ours to use again. */
static void
give_up(struct cd_state *s)
{
	s->is_broken = true;
	if (s->device->lost != NULL)
		s->device->lost(s->device->lost_arg);
}

/* SLK_OK: it is under way, or done. Otherwise its status. */
static int
begin_item(struct cd_state *s, struct cd_key *k, enum seal_dir dir, struct seal_item *item,
	uint32_t *good)
{
	size_t len = 0;

	if (!seal_item_check(item, &len))
		return SLK_INVALID;
	if (len > s->device->item_max) {
		*good += dir == SEAL_DIR_SEAL ? seal_burst(s->cpu, k->cpu, item, 1)
					      : seal_open_burst(s->cpu, k->cpu, item, 1);
		return item->status;
	}
	void *session = session_of(k, dir, item->aad_len);
	if (session == NULL)
		return SLK_INTERNAL;
	/* The segments of a large item are one set for all. */
	bool is_large = len > SEGMENT_BYTES || item->in_count > PIECES_MAX;
	if ((is_large && !wait_back(s, 0, good)) || !wait_back(s, DEPTH - 1, good)) {
		give_up(s);
		return SLK_INTERNAL;
	}
	struct cd_slot *slot = s->idle[--s->idle_count];
	slot->item = item;
	slot->len = (uint32_t)len;
	item->status = SLK_INTERNAL; /* until it is back */
	fill_in(s, slot, session);
	int rc = send_one(s, slot, good);
	if (rc != SLK_OK) {
		if (rc == SLK_TIMEOUT)
			give_up(s);
		s->idle[s->idle_count++] = slot;
		if (len > 0)
			memset(item->out, 0, len);
		return SLK_INTERNAL;
	}
	if (is_large && !wait_back(s, 0, good))
		give_up(s);
	return SLK_OK;
}

static uint32_t
burst(void *state, const struct seal_key *key, enum seal_dir dir, struct seal_item *items,
	uint32_t count)
{
	struct cd_state *s = state;
	struct cd_key *k = (struct cd_key *)(uintptr_t)key;
	uint32_t good = 0;

	for (uint32_t i = 0; i < count; i++) {
		int rc = s->is_broken ? SLK_INTERNAL : begin_item(s, k, dir, &items[i], &good);
		if (rc != SLK_OK)
			items[i].status = rc;
	}
	if (!s->is_broken && !wait_back(s, 0, &good))
		give_up(s);
	return good;
}

static uint32_t
seal(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	return burst(state, key, SEAL_DIR_SEAL, items, count);
}

static uint32_t
open_all(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	return burst(state, key, SEAL_DIR_OPEN, items, count);
}

/* --- a thread --- */

static void
state_free(void *state)
{
	struct cd_state *s = state;

	if (s == NULL)
		return;
	/* What a device that hangs still holds is never given back to anybody: its operations and the buffers' heads. */
	if (!s->is_broken) {
		for (unsigned i = 0; i < DEPTH; i++) {
			if (s->slots[i].op != NULL)
				rte_crypto_op_free(s->slots[i].op);
		}
		rte_mempool_free(s->ops);
		rte_free(s->heads);
	}
	seal_thread_free(s->cpu);
	free(s);
}

static int
slots_new(struct cd_state *s)
{
	const size_t per_slot = PIECES_MAX + 1;

	s->heads = rte_zmalloc("seal_cryptodev",
		(DEPTH * per_slot + SEGMENTS_MAX) * sizeof(*s->heads), RTE_CACHE_LINE_SIZE);
	if (s->heads == NULL)
		return SLK_NO_MEMORY;
	s->segments = s->heads + DEPTH * per_slot;
	for (unsigned i = 0; i < DEPTH; i++) {
		struct cd_slot *slot = &s->slots[i];
		slot->op = rte_crypto_op_alloc(s->ops, RTE_CRYPTO_OP_TYPE_SYMMETRIC);
		if (slot->op == NULL)
			return SLK_NO_MEMORY;
		slot->in = s->heads + i * per_slot;
		slot->out = slot->in + PIECES_MAX;
		s->idle[s->idle_count++] = slot;
	}
	return SLK_OK;
}

static int
state_new(const struct seal_engine *engine, void **out_state, struct slk_error *err)
{
	struct seal_cryptodev *d = device_of(engine);
	struct cd_state *s = calloc(1, sizeof(*s));
	char name[RTE_MEMPOOL_NAMESIZE];

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "engine %s: out of memory", engine->name);
	s->device = d;
	int rc = seal_thread_new(NULL, &s->cpu, err);
	if (rc != SLK_OK) {
		free(s);
		return rc;
	}
	unsigned queue = atomic_fetch_add(&d->queues_taken, 1);
	if (queue >= d->threads) {
		state_free(s);
		return slk_fail(err, SLK_LIMIT, "engine %s: it has %u queue pairs, all are taken",
			engine->name, d->threads);
	}
	s->queue = (uint16_t)queue;
	snprintf(name, sizeof(name), "slk_op_%u_%u", d->id, queue);
	s->ops = rte_crypto_op_pool_create(name, RTE_CRYPTO_OP_TYPE_SYMMETRIC, DEPTH, 0,
		SEAL_NONCE_BYTES + sizeof(uint32_t), SOCKET_ID_ANY);
	if (s->ops == NULL || slots_new(s) != SLK_OK) {
		state_free(s);
		return slk_fail(err, SLK_NO_MEMORY, "engine %s: DPDK has no memory for it (%s)",
			engine->name, rte_strerror(rte_errno));
	}
	*out_state = s;
	return SLK_OK;
}

const struct seal_engine seal_engine_cryptodev = {
	.name = "cryptodev",
	.state_new = state_new,
	.state_free = state_free,
	.key_new = key_new,
	.key_free = key_free,
	.seal = seal,
	.open = open_all,
};
