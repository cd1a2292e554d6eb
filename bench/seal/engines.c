/* lib/seal against its engines called directly, 64 B to 16 KiB. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "seal_bench.h"

#define SET_PAYLOAD_BYTES (64u << 10)
#define PASSES 4u

void
run_lib_seal(void *arg)
{
	struct seal_set *s = arg;

	for (uint32_t pass = 0; pass < s->passes; pass++) {
		for (uint32_t i = 0; i < s->count; i += BURST)
			seal_burst(s->keys->thread, s->keys->key, &s->items[i],
				s->count - i < BURST ? s->count - i : BURST);
	}
}

void
run_lib_openssl(void *arg)
{
	struct seal_set *s = arg;

	for (uint32_t pass = 0; pass < s->passes; pass++) {
		for (uint32_t i = 0; i < s->count; i += BURST)
			seal_burst(s->keys->openssl_thread, s->keys->openssl_key, &s->items[i],
				s->count - i < BURST ? s->count - i : BURST);
	}
}

/* The loops an application would write itself, one per key length, over the same items. */
#define DIRECT(bits) \
	static void direct_##bits(struct seal_set *s) \
	{ \
		struct seal_keys *k = s->keys; \
		for (uint32_t i = 0; i < s->count; i++) { \
			struct seal_item *it = &s->items[i]; \
			IMB_AES##bits##_GCM_ENC(k->mgr, k->schedule, &k->work, it->out, \
				it->in[0].iov_base, it->in[0].iov_len, it->nonce, it->aad, \
				it->aad_len, it->tag, SEAL_TAG_BYTES); \
		} \
	} \
	static void direct_pieces_##bits(struct seal_set *s) \
	{ \
		struct seal_keys *k = s->keys; \
		for (uint32_t i = 0; i < s->count; i++) { \
			struct seal_item *it = &s->items[i]; \
			uint8_t *out = it->out; \
			IMB_AES##bits##_GCM_INIT( \
				k->mgr, k->schedule, &k->work, it->nonce, it->aad, it->aad_len); \
			for (uint32_t j = 0; j < it->in_count; j++) { \
				IMB_AES##bits##_GCM_ENC_UPDATE(k->mgr, k->schedule, &k->work, out, \
					it->in[j].iov_base, it->in[j].iov_len); \
				out += it->in[j].iov_len; \
			} \
			IMB_AES##bits##_GCM_ENC_FINALIZE( \
				k->mgr, k->schedule, &k->work, it->tag, SEAL_TAG_BYTES); \
		} \
	}
DIRECT(128)
DIRECT(256)

void
run_direct(void *arg)
{
	struct seal_set *s = arg;

	for (uint32_t pass = 0; pass < s->passes; pass++) {
		if (s->keys->key_len == 16)
			direct_128(s);
		else
			direct_256(s);
	}
}

void
run_direct_pieces(void *arg)
{
	struct seal_set *s = arg;

	for (uint32_t pass = 0; pass < s->passes; pass++) {
		if (s->keys->key_len == 16)
			direct_pieces_128(s);
		else
			direct_pieces_256(s);
	}
}

/* A refused call leaves the tag as it was, which the hash shows. */
static void
evp_one(EVP_CIPHER_CTX *ctx, struct seal_item *it)
{
	uint8_t *out = it->out;
	int n = 0;

	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, it->nonce) != 1 ||
		EVP_EncryptUpdate(ctx, NULL, &n, it->aad, (int)it->aad_len) != 1)
		return;
	for (uint32_t j = 0; j < it->in_count; j++) {
		if (EVP_EncryptUpdate(ctx, out, &n, it->in[j].iov_base, (int)it->in[j].iov_len) !=
			1)
			return;
		out += n;
	}
	if (EVP_EncryptFinal_ex(ctx, out, &n) == 1)
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, it->tag);
}

void
run_evp(void *arg)
{
	struct seal_set *s = arg;

	for (uint32_t pass = 0; pass < s->passes; pass++) {
		for (uint32_t i = 0; i < s->count; i++)
			evp_one(s->keys->evp, &s->items[i]);
	}
}

bool
seal_set_hash(const struct seal_set *set, char out[65])
{
	uint8_t digest[32];
	unsigned len = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		EVP_DigestUpdate(md, set->out, set->out_len) == 1 &&
		EVP_DigestUpdate(md, set->tags, set->count * sizeof(set->tags[0])) == 1 &&
		EVP_DigestFinal_ex(md, digest, &len) == 1 && len == sizeof(digest);

	EVP_MD_CTX_free(md);
	if (ok)
		slk_hex(slk_span(digest, sizeof(digest)), out, 65);
	return ok;
}

/* Lay out as many items of size bytes as the set holds, in 1 or 4 pieces; every payload byte is
 * generated. */
static void
set_fill(struct seal_set *s, uint8_t *memory, uint32_t size, uint32_t pieces)
{
	uint32_t count = SET_PAYLOAD_BYTES / size;
	uint64_t seed = size;

	s->count = count > ITEMS_MAX / 2 ? ITEMS_MAX / 2 : count;
	s->passes = PASSES;
	s->out_len = (size_t)s->count * size;
	s->out = memory + s->out_len;
	bench_fill(&seed, memory, s->out_len);
	bench_fill(&seed, s->aads, s->count * sizeof(s->aads[0]));
	for (uint32_t i = 0; i < s->count; i++) {
		struct iovec *in = &s->in[i * (size_t)pieces];
		uint8_t *p = memory + (size_t)i * size;
		/* Cut where nothing is a multiple of the block length, as records do. */
		const uint32_t cuts[5] = {0, size / 4 + 3, size / 2 - 2, size / 4 * 3 - 5, size};
		for (uint32_t j = 0; j < pieces; j++)
			in[j] = pieces == 1 ? (struct iovec){p, size}
					    : (struct iovec){p + cuts[j], cuts[j + 1] - cuts[j]};
		s->items[i] = (struct seal_item){.in = in,
			.in_count = pieces,
			.out = s->out + (size_t)i * size,
			.aad = s->aads[i],
			.aad_len = AAD_BYTES,
			.tag = s->tags[i]};
		slk_put_be64(s->items[i].nonce + 4, i);
	}
}

static uint64_t
set_bytes(const struct seal_set *s, uint32_t pieces)
{
	return 2 * s->out_len +
		s->count *
		(uint64_t)(sizeof(s->items[0]) + pieces * sizeof(s->in[0]) + sizeof(s->tags[0]) +
			sizeof(s->aads[0])) +
		sizeof(*s->keys->schedule);
}

static int
same_results(struct bench *b, struct seal_set *s, const struct bench_shape *shape,
	const struct bench_contender *c, uint32_t count)
{
	char hashes[BENCH_CONTENDERS_MAX][65];

	for (uint32_t i = 0; i < count; i++) {
		memset(s->out, 0, s->out_len);
		memset(s->tags, 0, s->count * sizeof(s->tags[0]));
		c[i].run(c[i].arg);
		if (!seal_set_hash(s, hashes[i]))
			return SLK_INTERNAL;
	}
	bench_same_hash(b, shape, c, count, hashes);
	return SLK_OK;
}

static double
lower(double a, double b)
{
	return a < b ? a : b;
}

static int
one_size(struct bench *b, struct seal_set *s, uint8_t *memory, uint32_t size, const char *label,
	uint32_t pieces, struct engine_ratios *out)
{
	const struct bench_contender c[] = {
		{"ipsec-mb direct", pieces == 1 ? run_direct : run_direct_pieces, s},
		{"lib/seal", run_lib_seal, s},
		{"OpenSSL EVP reused", run_evp, s},
		{"lib/seal on OpenSSL", run_lib_openssl, s},
	};
	struct bench_stats st[4];

	set_fill(s, memory, size, pieces);
	const struct bench_shape shape = {.group = s->keys->key_len == 16
			? (pieces == 1 ? "AES-128-GCM, one piece" : "AES-128-GCM, four pieces")
			: (pieces == 1 ? "AES-256-GCM, one piece" : "AES-256-GCM, four pieces"),
		.label = label,
		.ops = (uint64_t)s->count * s->passes,
		.bytes_per_op = size,
		.working_set_bytes = set_bytes(s, pieces)};
	bench_compare(b, &shape, c, 4, st);
	double to_direct = st[0].best / st[1].best;
	if (pieces == 1)
		out->burst_to_direct = lower(out->burst_to_direct, to_direct);
	else
		out->scatter_to_direct = lower(out->scatter_to_direct, to_direct);
	if (pieces == 1 && size >= 1024) {
		out->burst_to_evp = lower(out->burst_to_evp, st[2].best / st[1].best);
		out->direct_to_evp = lower(out->direct_to_evp, st[2].best / st[0].best);
	}
	if (shape.working_set_bytes > out->working_set)
		out->working_set = shape.working_set_bytes;
	return same_results(b, s, &shape, c, 4);
}

int
bench_engines(struct bench *b, struct seal_set *s, uint8_t *memory, struct engine_ratios *out)
{
	static const struct {
		uint32_t size;
		const char *label;
	} sizes[] = {{64, "64 B"}, {128, "128 B"}, {256, "256 B"}, {512, "512 B"}, {1024, "1 KiB"},
		{2048, "2 KiB"}, {4096, "4 KiB"}, {8192, "8 KiB"}, {16384, "16 KiB"}};
	static const struct bench_contender names[] = {{"ipsec-mb direct", NULL, NULL},
		{"lib/seal", NULL, NULL}, {"OpenSSL EVP reused", NULL, NULL},
		{"lib/seal on OpenSSL", NULL, NULL}};
	char title[64];

	for (uint32_t pieces = 1; pieces <= 4; pieces += 3) {
		snprintf(title, sizeof(title), "AES-%u-GCM, AAD %u B, %s",
			(unsigned)s->keys->key_len * 8, AAD_BYTES,
			pieces == 1 ? "one piece" : "four pieces");
		bench_heading(b, title, names, 4);
		for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			int rc = one_size(b, s, memory, sizes[i].size, sizes[i].label, pieces, out);
			if (rc != SLK_OK)
				return rc;
		}
	}
	return SLK_OK;
}
