/* One published AES-GCM vector, run through every code path of every engine. */
#ifndef TESTS_SEAL_VECTOR_CASE_H
#define TESTS_SEAL_VECTOR_CASE_H

#include "every_engine.h"
#include "gcm_vectors.h"

struct vector_counts {
	unsigned ran; /* sealed and opened, or refused */
	unsigned sealed_only; /* a shorter tag: the prefix of ours when sealing; nothing opens with
				 it */
	unsigned outside; /* not expressible: another IV length, no AAD, or a forgery with a short
			     tag */
};

struct vector_run {
	const struct paths *paths;
	struct vector_counts counts;
};

/* Seal the case's plaintext and compare with as much of the tag as the case has. */
static inline void
case_seals(const struct gcm_vector *c, struct seal_thread *thread, int want)
{
	uint8_t out[GCM_FIELD_MAX];
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in = {(void *)c->plain.bytes, c->plain.len};
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = out,
		.aad = c->aad.bytes,
		.aad_len = (uint32_t)c->aad.len,
		.tag = tag};
	struct seal_key *key = NULL;

	assert_ok(seal_key_new(thread, c->key.bytes, c->key.len, &key));
	memcpy(item.nonce, c->nonce.bytes, sizeof(item.nonce));
	assert_int_equal(seal_burst(thread, key, &item, 1), want == SLK_OK);
	assert_int_equal(item.status, want);
	if (want == SLK_OK) {
		assert_memory_equal(out, c->sealed.bytes, c->sealed.len);
		assert_memory_equal(tag, c->tag.bytes, c->tag.len);
	}
	seal_key_free(key);
}

static inline void
case_opens(const struct gcm_vector *c, struct seal_thread *thread, int want)
{
	uint8_t out[GCM_FIELD_MAX];
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in = {(void *)c->sealed.bytes, c->sealed.len};
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = out,
		.aad = c->aad.bytes,
		.aad_len = (uint32_t)c->aad.len,
		.tag = tag};
	struct seal_key *key = NULL;

	assert_ok(seal_key_new(thread, c->key.bytes, c->key.len, &key));
	memcpy(item.nonce, c->nonce.bytes, sizeof(item.nonce));
	memcpy(tag, c->tag.bytes, sizeof(tag));
	memset(out, 0xa5, sizeof(out));
	assert_int_equal(seal_open_burst(thread, key, &item, 1), want == SLK_OK);
	assert_int_equal(item.status, want);
	for (size_t i = 0; i < c->sealed.len; i++)
		assert_int_equal(out[i],
			want == SLK_OK                ? c->plain.bytes[i]
				: want == SLK_BAD_TAG ? 0
						      : 0xa5);
	seal_key_free(key);
}

/* Run the case as far as it fits. A case without AAD must be refused as invalid. */
static inline void
case_run(void *arg, const struct gcm_vector *c)
{
	struct vector_run *run = arg;
	const struct paths *paths = run->paths;
	struct vector_counts *counts = &run->counts;
	bool nonce_fits = c->nonce.len == SEAL_NONCE_BYTES;
	bool tag_fits = c->tag.len == SEAL_TAG_BYTES;
	bool has_aad = c->aad.len > 0;
	bool seals = nonce_fits && !c->refused;
	bool opens = nonce_fits && tag_fits;

	for (unsigned p = 0; seals && p < paths->count; p++) {
		assert_int_equal(c->plain.len, c->sealed.len);
		case_seals(c, paths->thread[p], has_aad ? SLK_OK : SLK_INVALID);
	}
	for (unsigned p = 0; opens && p < paths->count; p++)
		case_opens(c, paths->thread[p],
			!has_aad             ? SLK_INVALID
				: c->refused ? SLK_BAD_TAG
					     : SLK_OK);
	if (has_aad && opens)
		counts->ran++;
	else if (has_aad && seals)
		counts->sealed_only++;
	else
		counts->outside++;
}

static inline void
counts_print(const struct vector_counts *counts, const struct paths *paths, const char *what)
{
	print_message("%s: %u code paths; %u cases sealed and opened or refused, %u sealed and "
		      "compared with "
		      "a shorter tag, %u outside the API (96-bit IV, 128-bit tag, AAD not empty)\n",
		what, paths->count, counts->ran, counts->sealed_only, counts->outside);
}

#endif
