/* lib/seal against ipsec-mb and OpenSSL called directly, and what blocks and scattered input buy */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "seal/seal_bench.h"

#define CACHE_LINE 64u

static void
keys_free(struct seal_keys *k)
{
	seal_key_free(k->key);
	seal_key_free(k->openssl_key);
	seal_thread_free(k->thread);
	seal_thread_free(k->openssl_thread);
	if (k->mgr != NULL)
		free_mb_mgr(k->mgr);
	free(k->schedule);
	EVP_CIPHER_CTX_free(k->evp);
	memset(k, 0, sizeof(*k));
}

/* The same key for every contender; it protects nothing. */
static int
keys_new(struct seal_keys *k, size_t key_len, struct slk_error *err)
{
	uint8_t raw[32];
	uint64_t seed = key_len;

	memset(k, 0, sizeof(*k));
	k->key_len = key_len;
	bench_fill(&seed, raw, sizeof(raw));
	int rc = seal_thread_new(NULL, &k->thread, err);
	if (rc == SLK_OK)
		rc = seal_thread_new("openssl", &k->openssl_thread, err);
	if (rc == SLK_OK)
		rc = seal_key_new(k->thread, raw, key_len, &k->key);
	if (rc == SLK_OK)
		rc = seal_key_new(k->openssl_thread, raw, key_len, &k->openssl_key);
	if (rc != SLK_OK)
		return rc;
	k->mgr = alloc_mb_mgr(0);
	k->schedule = aligned_alloc(
		CACHE_LINE, (sizeof(*k->schedule) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
	k->evp = EVP_CIPHER_CTX_new();
	if (k->mgr == NULL || k->schedule == NULL || k->evp == NULL)
		return SLK_NO_MEMORY;
	init_mb_mgr_auto(k->mgr, NULL);
	if (imb_get_errno(k->mgr) != 0)
		return SLK_UNSUPPORTED;
	if (key_len == 16)
		IMB_AES128_GCM_PRE(k->mgr, raw, k->schedule);
	else
		IMB_AES256_GCM_PRE(k->mgr, raw, k->schedule);
	const EVP_CIPHER *cipher = key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	return EVP_EncryptInit_ex(k->evp, cipher, NULL, raw, NULL) == 1 ? SLK_OK : SLK_INTERNAL;
}

static int
measure(struct bench *b, struct seal_set *set, uint8_t *memory, struct engine_ratios *engines,
	struct record_ratios *records, struct slk_error *err)
{
	struct seal_keys keys;
	int rc = SLK_OK;

	set->keys = &keys;
	for (size_t key_len = 32; rc == SLK_OK && key_len >= 16; key_len -= 16) {
		rc = keys_new(&keys, key_len, err);
		if (rc == SLK_OK && key_len == 32)
			bench_note(b, "lib/seal runs on %s", seal_thread_engine(keys.thread));
		if (rc == SLK_OK)
			rc = bench_engines(b, set, memory, engines);
		if (rc == SLK_OK && key_len == 32)
			rc = bench_records(b, set, memory, records);
		keys_free(&keys);
	}
	return rc;
}

static void
goals(struct bench *b, const struct engine_ratios *e, const struct record_ratios *r)
{
	uint64_t set = e->working_set > r->working_set ? e->working_set : r->working_set;

	bench_goal(b,
		"issue 2: seal burst >= 0.95 x ipsec-mb direct at every size, 64 B to 16 KiB, "
		"AES-256 and AES-128",
		0.95, e->burst_to_direct, true);
	bench_goal(b, "issue 2: seal burst >= 3.5 x OpenSSL EVP with context reuse at >= 1 KiB",
		3.5, e->burst_to_evp, true);
	bench_goal(b, "issue 2: working set <= 262144 bytes", WORKING_SET_MAX, (double)set, false);
	bench_goal(b,
		"issue 2: 64 B records, sealed as a block >= 8 x the records/s of each sealed by "
		"itself",
		8, r->block_to_alone, true);
	bench_goal(b,
		"issue 2: 64 B records, framed and sealed as a block >= 3.5 x each framed and "
		"sealed by itself",
		3.5, r->framed_block_to_alone, true);
	bench_goal(b,
		"issue 2: 1 KiB records from scattered buffers into a block <= 0.75 x the time of "
		"copy, then seal",
		0.75, r->scatter_to_copy, false);
	bench_goal(b,
		"issue 2: 1 KiB records from a whole mempool's buffers in turn into a block <= "
		"0.75 x copy, then seal",
		0.75, r->pool_scatter_to_copy, false);
	bench_note(b, "lowest ratio to ipsec-mb's init/update/finalize with four pieces: %.3f",
		e->scatter_to_direct);
	bench_note(b,
		"bounds on this CPU: bare ipsec-mb calls are %.2f x EVP at >= 1 KiB; sealing alone "
		"is %.2f x "
		"the time of copy, then seal",
		e->direct_to_evp, r->seal_to_copy);
}

int
main(int argc, char **argv)
{
	struct engine_ratios engines = {INFINITY, INFINITY, INFINITY, INFINITY, 0};
	struct record_ratios records = {0};
	struct slk_error err = {0};
	struct bench *b = NULL;
	int rc = bench_new(argc, argv, "seal", &b);

	if (rc != SLK_OK)
		return rc == SLK_END ? 0 : 2;
	bench_library(b, "libipsec-mb", imb_get_version_str());
	bench_library(b, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
	uint8_t *memory = aligned_alloc(CACHE_LINE, 2 * (size_t)WORKING_SET_MAX);
	struct seal_set *set = aligned_alloc(CACHE_LINE, sizeof(*set));
	if (set != NULL)
		memset(set, 0, sizeof(*set));
	rc = memory != NULL && set != NULL ? measure(b, set, memory, &engines, &records, &err)
					   : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		goals(b, &engines, &records);
	free(set);
	free(memory);
	if (rc != SLK_OK)
		return bench_abort(
			b, "%s", err.status != SLK_OK ? err.text : slk_status_sentence(rc));
	return bench_finish(b);
}
