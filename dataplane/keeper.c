#include "keeper.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/attest.h"
#include "kmsclient/kmsclient.h"

#define PAUSE_NS (100 * SLK_NS_PER_MS)
#define RETRY_NS SLK_NS_PER_S
#define TRIM_NS (10 * SLK_NS_PER_S)
#define HOUR_NS (3600 * SLK_NS_PER_S)
#define MIB (1024ull * 1024ull)
#define LAST_NS (3 * SLK_NS_PER_S)

struct dp_keeper {
	const struct slk_clock *clock;
	struct kmsc *kms;
	struct jnl_notary *notary; /* NULL: integrity is off */
	bool failing; /* said so already */
	uint64_t retry_at_ns;
	struct jnl *journal;
	const struct jnl_mirror *mirror;
	struct jnl_retention retention;
	uint64_t trim_at_ns;
	bool trim_failing;
	_Atomic uint64_t trimmed_files, trimmed_bytes, kept_files, kept_bytes, oldest_ns,
		trim_failures;
	_Atomic bool stop;
};

static int
sign(void *ctx, const uint8_t statement[FMT_PROOF_STATEMENT_BYTES],
	const uint8_t digest[FMT_PROOF_HASH_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	struct dp_keeper *k = ctx;
	struct kmsc_attestation *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = kmsc_attest_statement(
		k->kms, slk_span(statement, FMT_PROOF_STATEMENT_BYTES), digest, a, err);
	if (rc == SLK_OK &&
		(a->signature_len > sizeof(out->signature) ||
			a->public_key_len > sizeof(out->public_key) ||
			strlen(a->key_arn) >= sizeof(out->key_arn)))
		rc = slk_fail(err, SLK_MALFORMED, "kmsd gave a signature that is too long");
	if (rc == SLK_OK) {
		memcpy(out->signature, a->signature, a->signature_len);
		out->signature_len = a->signature_len;
		memcpy(out->public_key, a->public_key, a->public_key_len);
		out->public_key_len = a->public_key_len;
		strcpy(out->key_arn, a->key_arn);
	}
	free(a);
	return rc;
}

/* A journal that was put back would give numbers again that readers have seen. Whatever else keeps kmsd from answering is no
 * reason not to start: it will look at the first statement. */
static int
check_opening(struct dp_keeper *k, struct slk_error *err)
{
	struct slk_error why = {0};
	int rc = jnl_notary_check_opening(k->notary, &why);

	if (rc == SLK_INVALID_STATE)
		return slk_fail(err, rc, "%s (docs/OPERATIONS.md, \"put back\")", why.text);
	if (rc != SLK_OK)
		slk_warn("whether the journal was put back to an older state is not known yet",
			slk_kv("error", why.text));
	return SLK_OK;
}

int
dp_keeper_new(const struct dp_config *config, struct jnl *journal, struct dp_keeper **out_keeper,
	struct slk_error *err)
{
	struct dp_keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the journal's keeper");
	k->clock = slk_clock_system();
	k->journal = journal;
	k->retention = (struct jnl_retention){.age_ns = config->journal.retention.hours * HOUR_NS,
		.bytes = config->journal.retention.max_mb * MIB};
	int rc = kmsc_new(config->kms.socket, config->kms.timeout_ms, &k->kms);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "no client of sealock-kmsd can be made: %s",
			slk_status_sentence(rc));
	else if (dp_config_integrity(config))
		rc = jnl_notary_new(journal, NULL, k, &k->notary, err);
	if (rc == SLK_OK && k->notary != NULL) {
		jnl_notary_sign_with(k->notary, sign);
		rc = check_opening(k, err);
	}
	if (rc != SLK_OK) {
		dp_keeper_free(k);
		return rc;
	}
	*out_keeper = k;
	return SLK_OK;
}

void
dp_keeper_watch(struct dp_keeper *k, const struct jnl_mirror *mirror)
{
	k->mirror = mirror;
}

void
dp_keeper_keep(struct dp_keeper *k, struct dp_ages *ages)
{
	k->retention.stream_age_ns = dp_ages_of;
	k->retention.arg = ages;
}

void
dp_keeper_free(struct dp_keeper *k)
{
	if (k == NULL)
		return;
	jnl_notary_free(k->notary);
	kmsc_free(k->kms);
	free(k);
}

/* Once when it begins to fail, once when it is well again. */
static void
tell(struct dp_keeper *k, int rc, const struct slk_error *err)
{
	if (rc < 0 && !k->failing)
		slk_warn("the journal is not signed now; records are taken all the same, and "
			 "signatures are made up for",
			slk_kv("error", err->text));
	else if (rc > 0 && k->failing)
		slk_info("the journal is signed again");
	if (rc != 0)
		k->failing = rc < 0;
}

/* True if anything was done. */
static bool
turn(struct dp_keeper *k)
{
	struct slk_error err = {0};

	if (k->notary == NULL || slk_mono_ns(k->clock) < k->retry_at_ns)
		return false;
	int rc = jnl_notary_turn(k->notary, &err);
	tell(k, rc, &err);
	if (rc < 0)
		k->retry_at_ns = slk_mono_ns(k->clock) + RETRY_NS;
	return rc > 0;
}

/* Every ten seconds: also without limits, for the counters. */
static void
trim(struct dp_keeper *k)
{
	struct jnl_retained t;
	struct slk_error err = {0};

	if (slk_mono_ns(k->clock) < k->trim_at_ns)
		return;
	k->trim_at_ns = slk_mono_ns(k->clock) + TRIM_NS;
	int rc = jnl_retain(k->journal, &k->retention, &t, &err);
	atomic_fetch_add(&k->trimmed_files, t.files);
	atomic_fetch_add(&k->trimmed_bytes, t.bytes);
	atomic_store(&k->kept_files, t.kept_files);
	atomic_store(&k->kept_bytes, t.kept_bytes);
	atomic_store(&k->oldest_ns, t.oldest_ns);
	if (t.files > 0)
		slk_info("the journal was trimmed", slk_kv("files", t.files),
			slk_kv("bytes", t.bytes));
	if (rc != SLK_OK)
		atomic_fetch_add(&k->trim_failures, 1);
	if (rc != SLK_OK && !k->trim_failing)
		slk_warn(err.text);
	k->trim_failing = rc != SLK_OK;
}

bool
dp_keeper_turn(struct dp_keeper *k)
{
	trim(k);
	return turn(k);
}

void *
dp_keeper_run(void *arg)
{
	const struct timespec pause = {0, PAUSE_NS};
	struct dp_keeper *k = arg;

	while (!atomic_load(&k->stop)) {
		if (!dp_keeper_turn(k))
			(void)nanosleep(&pause, NULL);
	}
	uint64_t until_ns = slk_mono_ns(k->clock) + LAST_NS;
	k->retry_at_ns = 0;
	while (turn(k) && slk_mono_ns(k->clock) < until_ns)
		;
	return NULL;
}

void
dp_keeper_stop(struct dp_keeper *k)
{
	atomic_store(&k->stop, true);
}

void
dp_keeper_stats(const struct dp_keeper *k, struct dp_keeper_stats *out)
{
	*out = (struct dp_keeper_stats){.integrity = k->notary != NULL,
		.trimmed = {.files = atomic_load(&k->trimmed_files),
			.bytes = atomic_load(&k->trimmed_bytes),
			.kept_files = atomic_load(&k->kept_files),
			.kept_bytes = atomic_load(&k->kept_bytes),
			.oldest_ns = atomic_load(&k->oldest_ns)},
		.trim_failures = atomic_load(&k->trim_failures)};
	if (k->mirror != NULL) {
		out->mirrored = true;
		out->mirror_failed = (unsigned)__builtin_popcount(jnl_mirror_failed(k->mirror));
	}
	if (k->notary != NULL)
		jnl_notary_stats(k->notary, &out->notary);
}
