/* SHA-256 of a journal's blocks: libcrypto beside ipsec-mb's multi-buffer jobs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include "base/bytes.h"
#include "harness/bench.h"
#include "seal/digest.h"

#define DATA_BYTES (2u << 20) /* a group */

struct hashing {
	const uint8_t *data;
	size_t piece, count;
	struct seal_digest *digest;
	IMB_MGR *mgr;
	uint8_t (*out)[SEAL_SHA256_BYTES];
	bool failed;
};

static void
by_libcrypto(void *arg)
{
	struct hashing *h = arg;

	for (size_t i = 0; i < h->count; i++)
		if (seal_digest_one(h->digest, slk_span(h->data + i * h->piece, h->piece),
			    h->out[i]) != SLK_OK)
			h->failed = true;
}

static void
by_jobs(void *arg)
{
	struct hashing *h = arg;
	size_t done = 0;

	for (size_t i = 0; i < h->count; i++) {
		IMB_JOB *job = IMB_GET_NEXT_JOB(h->mgr);
		memset(job, 0, sizeof(*job));
		job->cipher_mode = IMB_CIPHER_NULL;
		job->cipher_direction = IMB_DIR_ENCRYPT;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->hash_alg = IMB_AUTH_SHA_256;
		job->src = h->data + i * h->piece;
		job->msg_len_to_hash_in_bytes = h->piece;
		job->auth_tag_output = h->out[i];
		job->auth_tag_output_len_in_bytes = SEAL_SHA256_BYTES;
		for (job = IMB_SUBMIT_JOB(h->mgr); job != NULL; job = IMB_GET_COMPLETED_JOB(h->mgr))
			done += job->status == IMB_STATUS_COMPLETED;
	}
	for (IMB_JOB *job; (job = IMB_FLUSH_JOB(h->mgr)) != NULL;)
		done += job->status == IMB_STATUS_COMPLETED;
	if (done != h->count)
		h->failed = true;
}

/* Of all hashes together, so that both can be compared. */
static void
sum_up(struct hashing *h, char out[65])
{
	uint8_t all[SEAL_SHA256_BYTES];

	if (h->failed ||
		seal_digest_one(h->digest, slk_span(h->out, h->count * SEAL_SHA256_BYTES), all) !=
			SLK_OK)
		memset(all, 0, sizeof(all));
	slk_hex(slk_span(all, sizeof(all)), out, 65);
}

static void
compare(struct bench *b, struct hashing h[2], size_t piece, const char *label)
{
	const struct bench_contender c[] = {
		{"libcrypto", by_libcrypto, &h[0]}, {"ipsec-mb jobs", by_jobs, &h[1]}};
	char hashes[2][65];
	struct bench_shape shape = {.group = "SHA-256 of blocks", .label = label};

	/* A job takes less than 64 KiB. */
	unsigned contenders = piece < 65536 ? 2 : 1;
	for (unsigned i = 0; i < 2; i++) {
		h[i].piece = piece;
		h[i].count = DATA_BYTES / piece;
	}
	shape.ops = h[0].count;
	shape.bytes_per_op = piece;
	shape.working_set_bytes = DATA_BYTES;
	bench_compare(b, &shape, c, contenders, NULL);
	for (unsigned i = 0; i < contenders; i++)
		sum_up(&h[i], hashes[i]);
	bench_same_hash(b, &shape, c, contenders, hashes);
}

static bool
prepare(struct hashing h[2], uint8_t *data)
{
	for (size_t i = 0; i < DATA_BYTES; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 12));
	for (unsigned i = 0; i < 2; i++) {
		h[i].data = data;
		h[i].out = calloc(DATA_BYTES / 256, sizeof(*h[i].out));
		h[i].mgr = alloc_mb_mgr(0);
		if (h[i].out == NULL || h[i].mgr == NULL || seal_digest_new(&h[i].digest) != SLK_OK)
			return false;
		init_mb_mgr_auto(h[i].mgr, NULL);
	}
	return true;
}

int
main(int argc, char **argv)
{
	static const struct {
		size_t bytes;
		const char *label;
	} pieces[] = {{256, "256 B"}, {1024, "1 KiB"}, {4096, "4 KiB"}, {16384, "16 KiB"},
		{65536, "64 KiB"}, {262144, "256 KiB"}};
	struct hashing h[2] = {0};
	struct bench *b = NULL;
	uint8_t *data = malloc(DATA_BYTES);

	int rc = bench_new(argc, argv, "hash", &b);
	if (rc != SLK_OK || data == NULL || !prepare(h, data)) {
		free(data);
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	bench_library(b, "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING));
	bench_library(b, "ipsec-mb", imb_get_version_str());
	const struct bench_contender c[] = {
		{"libcrypto", by_libcrypto, &h[0]}, {"ipsec-mb jobs", by_jobs, &h[1]}};
	bench_heading(b, "SHA-256 of blocks", c, 2);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		compare(b, h, pieces[i].bytes, pieces[i].label);
	rc = bench_finish(b);
	for (unsigned i = 0; i < 2; i++) {
		seal_digest_free(h[i].digest);
		free_mb_mgr(h[i].mgr);
		free(h[i].out);
	}
	free(data);
	return rc == SLK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
