#include "seal/digest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#ifdef SLK_HAVE_IPSECMB
#include <intel-ipsec-mb.h>
#endif

#include "base/clock.h"

#define JOB_BYTES_MAX 65534u /* ipsec-mb keeps the lengths of its lanes in 16 bits */
#define JOBS_MIN 4u /* below, lanes stay empty */
#define TRIAL_BYTES 16384u
#define TRIALS 5u

struct seal_digest {
	EVP_MD *algorithm; /* fetched once: a fetch costs more than a short hash */
	EVP_MD_CTX *running;
	EVP_MD_CTX *one;
#ifdef SLK_HAVE_IPSECMB
	IMB_MGR *mgr; /* NULL: libcrypto does many, too */
#endif
};

static int choose_many(struct seal_digest *d);
static void free_many(struct seal_digest *d);

int
seal_digest_new(struct seal_digest **out_digest)
{
	struct seal_digest *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return SLK_NO_MEMORY;
	d->algorithm = EVP_MD_fetch(NULL, "SHA256", "?provider=default");
	d->running = EVP_MD_CTX_new();
	d->one = EVP_MD_CTX_new();
	if (d->algorithm == NULL || d->running == NULL || d->one == NULL ||
		seal_digest_begin(d) != SLK_OK || choose_many(d) != SLK_OK) {
		seal_digest_free(d);
		return SLK_NO_MEMORY;
	}
	*out_digest = d;
	return SLK_OK;
}

void
seal_digest_free(struct seal_digest *d)
{
	if (d == NULL)
		return;
	free_many(d);
	EVP_MD_CTX_free(d->running);
	EVP_MD_CTX_free(d->one);
	EVP_MD_free(d->algorithm);
	free(d);
}

int
seal_digest_begin(struct seal_digest *d)
{
	return EVP_DigestInit_ex2(d->running, d->algorithm, NULL) == 1 ? SLK_OK : SLK_INTERNAL;
}

int
seal_digest_update(struct seal_digest *d, struct slk_span in)
{
	return EVP_DigestUpdate(d->running, in.ptr, in.len) == 1 ? SLK_OK : SLK_INTERNAL;
}

int
seal_digest_value(const struct seal_digest *d, uint8_t out[SEAL_SHA256_BYTES])
{
	return EVP_MD_CTX_copy_ex(d->one, d->running) == 1 &&
			EVP_DigestFinal_ex(d->one, out, NULL) == 1
		? SLK_OK
		: SLK_INTERNAL;
}

int
seal_digest_one(struct seal_digest *d, struct slk_span in, uint8_t out[SEAL_SHA256_BYTES])
{
	return EVP_DigestInit_ex2(d->one, d->algorithm, NULL) == 1 &&
			EVP_DigestUpdate(d->one, in.ptr, in.len) == 1 &&
			EVP_DigestFinal_ex(d->one, out, NULL) == 1
		? SLK_OK
		: SLK_INTERNAL;
}

static int
one_by_one(struct seal_digest *d, const struct slk_span *in, unsigned count,
	uint8_t out[][SEAL_SHA256_BYTES])
{
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < count; i++)
		rc = seal_digest_one(d, in[i], out[i]);
	return rc;
}

#ifdef SLK_HAVE_IPSECMB

static unsigned
completed(const IMB_JOB *job)
{
	return job != NULL && job->status == IMB_STATUS_COMPLETED;
}

/* Those that a job can take; the others one by one. */
static int
by_jobs(struct seal_digest *d, const struct slk_span *in, unsigned count,
	uint8_t out[][SEAL_SHA256_BYTES])
{
	unsigned given = 0, done = 0;
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		if (in[i].len == 0 || in[i].len > JOB_BYTES_MAX) {
			rc = seal_digest_one(d, in[i], out[i]);
			continue;
		}
		IMB_JOB *job = IMB_GET_NEXT_JOB(d->mgr);
		memset(job, 0, sizeof(*job));
		job->cipher_mode = IMB_CIPHER_NULL;
		job->cipher_direction = IMB_DIR_ENCRYPT;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->hash_alg = IMB_AUTH_SHA_256;
		job->src = in[i].ptr;
		job->msg_len_to_hash_in_bytes = in[i].len;
		job->auth_tag_output = out[i];
		job->auth_tag_output_len_in_bytes = SEAL_SHA256_BYTES;
		given++;
		for (job = IMB_SUBMIT_JOB(d->mgr); job != NULL; job = IMB_GET_COMPLETED_JOB(d->mgr))
			done += completed(job);
	}
	for (IMB_JOB *job; (job = IMB_FLUSH_JOB(d->mgr)) != NULL;)
		done += completed(job);
	return rc == SLK_OK && done != given ? SLK_INTERNAL : rc;
}

/* Which way is faster here? And do both give the same? Then, and only then, jobs are used. */
static pthread_once_t measured = PTHREAD_ONCE_INIT;
static _Atomic bool jobs_win;

static uint64_t
time_of(struct seal_digest *d, const struct slk_span *in, bool jobs,
	uint8_t out[][SEAL_SHA256_BYTES])
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < TRIALS; i++) {
		uint64_t begin = slk_mono_ns(slk_clock_system());
		int rc = jobs ? by_jobs(d, in, SEAL_DIGEST_MANY, out)
			      : one_by_one(d, in, SEAL_DIGEST_MANY, out);
		uint64_t took = slk_mono_ns(slk_clock_system()) - begin;
		if (rc != SLK_OK)
			return UINT64_MAX;
		best = took < best ? took : best;
	}
	return best;
}

static struct seal_digest *measuring;

static void
measure(void)
{
	struct seal_digest *d = measuring;
	struct slk_span in[SEAL_DIGEST_MANY];
	uint8_t a[SEAL_DIGEST_MANY][SEAL_SHA256_BYTES], b[SEAL_DIGEST_MANY][SEAL_SHA256_BYTES];
	uint8_t *bytes = malloc(TRIAL_BYTES + SEAL_DIGEST_MANY);

	if (bytes == NULL)
		return;
	for (unsigned i = 0; i < TRIAL_BYTES + SEAL_DIGEST_MANY; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 8));
	for (unsigned i = 0; i < SEAL_DIGEST_MANY; i++)
		in[i] = slk_span(bytes + i, TRIAL_BYTES);
	const uint64_t alone = time_of(d, in, false, a);
	const uint64_t together = time_of(d, in, true, b);
	free(bytes);
	atomic_store(&jobs_win, together < alone && memcmp(a, b, sizeof(a)) == 0);
}

static pthread_mutex_t measuring_lock = PTHREAD_MUTEX_INITIALIZER;

static int
choose_many(struct seal_digest *d)
{
	d->mgr = alloc_mb_mgr(0);
	if (d->mgr == NULL)
		return SLK_OK;
	init_mb_mgr_auto(d->mgr, NULL);
	if (imb_get_errno(d->mgr) == 0) {
		pthread_mutex_lock(&measuring_lock);
		measuring = d;
		pthread_once(&measured, measure);
		measuring = NULL;
		pthread_mutex_unlock(&measuring_lock);
		if (atomic_load(&jobs_win))
			return SLK_OK;
	}
	free_many(d);
	return SLK_OK;
}

static void
free_many(struct seal_digest *d)
{
	if (d->mgr != NULL)
		free_mb_mgr(d->mgr);
	d->mgr = NULL;
}

int
seal_digest_many(struct seal_digest *d, const struct slk_span *in, unsigned count,
	uint8_t out[][SEAL_SHA256_BYTES])
{
	if (count > SEAL_DIGEST_MANY)
		return SLK_RANGE;
	int rc = d->mgr != NULL && count >= JOBS_MIN ? by_jobs(d, in, count, out) : SLK_INTERNAL;
	return rc == SLK_OK ? rc : one_by_one(d, in, count, out);
}

const char *
seal_digest_many_name(const struct seal_digest *d)
{
	return d->mgr != NULL ? "ipsec-mb" : "libcrypto";
}

#else

static int
choose_many(struct seal_digest *d)
{
	(void)d;
	return SLK_OK;
}

static void
free_many(struct seal_digest *d)
{
	(void)d;
}

int
seal_digest_many(struct seal_digest *d, const struct slk_span *in, unsigned count,
	uint8_t out[][SEAL_SHA256_BYTES])
{
	return count > SEAL_DIGEST_MANY ? SLK_RANGE : one_by_one(d, in, count, out);
}

const char *
seal_digest_many_name(const struct seal_digest *d)
{
	(void)d;
	return "libcrypto";
}

#endif
