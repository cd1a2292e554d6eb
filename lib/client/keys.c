#include "client/keys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/sides.h"
#include "client/unwrap.h"
#include "seal/epoch.h"

#define KEYS_DEFAULT 256u
#define KEYS_MAX 65536u
#define AGE_DEFAULT_S 300u
#define TIMEOUT_DEFAULT_MS 5000u

/* What tells one epoch key from all others: the commitment is a hash of the key, the epoch id and the stream id. */
struct identity {
	uint64_t epoch_id;
	uint64_t stream_id;
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
};

/* State: ASKED while its first getter asks for it and others wait; then READY, or FAILED, when it is in the table no more. */
struct client_key {
	struct identity identity;
	uint64_t asked_ns; /* before the question, so that a slow answer makes no key live longer */
	enum { ASKED, READY, FAILED } state;
	unsigned holders; /* the table is one */
	bool listed;
	struct client_key *in_bucket; /* next */
	struct client_key *older, *newer;
	struct jnl_epoch_key *key;
	int status; /* FAILED */
	struct slk_error err;
};

struct sealock_keys {
	sealock_unwrap unwrap;
	void *ctx;
	struct client_unwrap *built_in; /* NULL: the caller has its own */
	struct client_sides *sides;
	const struct slk_clock *clock;
	char engine[32];
	uint64_t age_max_ns;
	uint32_t keys_max;
	_Atomic uint64_t unwraps;

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t answered;
	struct client_key **buckets;
	uint32_t bucket_mask;
	uint32_t ready; /* listed and READY */
	struct client_key *oldest, *newest; /* listed, in the order of questions */
};

/* --- the table; under the lock --- */

static struct client_key **
bucket(struct sealock_keys *k, const struct identity *id)
{
	return &k->buckets[slk_get_le32(id->commitment) & k->bucket_mask];
}

static bool
same(const struct identity *a, const struct identity *b)
{
	return a->epoch_id == b->epoch_id && a->stream_id == b->stream_id &&
		memcmp(a->commitment, b->commitment, sizeof(a->commitment)) == 0;
}

static void
enlist(struct sealock_keys *k, struct client_key *key)
{
	struct client_key **head = bucket(k, &key->identity);

	key->in_bucket = *head;
	*head = key;
	key->older = k->newest;
	if (k->newest != NULL)
		k->newest->newer = key;
	else
		k->oldest = key;
	k->newest = key;
	key->listed = true;
	key->holders++;
}

static void
let_go(struct client_key *key)
{
	if (--key->holders > 0)
		return;
	jnl_epoch_key_free(key->key);
	free(key);
}

static void
delist(struct sealock_keys *k, struct client_key *key)
{
	struct client_key **at = bucket(k, &key->identity);

	while (*at != key)
		at = &(*at)->in_bucket;
	*at = key->in_bucket;
	if (k->oldest == key)
		k->oldest = key->newer;
	else
		key->older->newer = key->newer;
	if (k->newest == key)
		k->newest = key->older;
	else
		key->newer->older = key->older;
	key->older = key->newer = NULL;
	key->listed = false;
	if (key->state == READY)
		k->ready--;
	let_go(key);
}

static void
expire(struct sealock_keys *k)
{
	uint64_t now = slk_mono_ns(k->clock);

	while (k->oldest != NULL && k->oldest->state != ASKED &&
		now - k->oldest->asked_ns >= k->age_max_ns)
		delist(k, k->oldest);
}

static void
drop_oldest_ready(struct sealock_keys *k)
{
	struct client_key *key = k->oldest;

	while (key != NULL && key->state != READY)
		key = key->newer;
	if (key != NULL)
		delist(k, key);
}

static struct client_key *
find(struct sealock_keys *k, const struct identity *id)
{
	struct client_key *key = *bucket(k, id);

	while (key != NULL && !same(&key->identity, id))
		key = key->in_bucket;
	return key;
}

/* --- asking --- */

struct asking {
	struct sealock_keys *keys;
	const char *stream_arn;
};

static int
decrypt(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err)
{
	const struct asking *a = ctx;
	const struct sealock_epoch epoch = {.epoch_id = info->epoch_id,
		.stream_id = info->stream_id,
		.stream_arn = a->stream_arn,
		.key_arn = info->key_arn,
		.wrapped = wrapped};

	atomic_fetch_add_explicit(&a->keys->unwraps, 1, memory_order_relaxed);
	return a->keys->unwrap(a->keys->ctx, &epoch, out_data_key, err);
}

static int
ask(struct sealock_keys *k, struct seal_thread *thread, const struct client_epoch *epoch,
	struct jnl_epoch_key **out_key, struct slk_error *err)
{
	struct asking asking = {k, epoch->stream_arn};
	struct slk_secret *data_key = NULL;
	int rc = client_sides_data_key(
		k->sides, epoch->dir, epoch->info, decrypt, &asking, &data_key, err);

	if (rc != SLK_OK) {
		(void)slk_fail_prefix(err, "cannot open epoch %016llx",
			(unsigned long long)epoch->info->epoch_id);
		return rc;
	}
	rc = jnl_epoch_key_new(thread, epoch->info, data_key, out_key);
	slk_secret_free(data_key);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot open epoch %016llx: %s",
			(unsigned long long)epoch->info->epoch_id, slk_status_sentence(rc));
	return SLK_OK;
}

/* A key block is not authenticated by itself: what it says must be what the stream's own context is, so that the key of one
 * stream is never asked for in the name of another. */
static int
check_epoch(const struct client_epoch *epoch, struct identity *out_identity, struct slk_error *err)
{
	const struct jnl_epoch_info *info = epoch->info;

	if (!slk_span_equal(info->context, epoch->context) || info->stream_id != epoch->stream_id)
		return slk_fail(err, SLK_CORRUPT,
			"the key block of epoch %016llx is not of stream %s",
			(unsigned long long)info->epoch_id, epoch->stream_arn);
	if (info->commitment.len != SEAL_COMMITMENT_BYTES)
		return slk_fail(err, SLK_BAD_COMMITMENT,
			"the key block of epoch %016llx has no commitment",
			(unsigned long long)info->epoch_id);
	*out_identity = (struct identity){.epoch_id = info->epoch_id, .stream_id = info->stream_id};
	memcpy(out_identity->commitment, info->commitment.ptr, SEAL_COMMITMENT_BYTES);
	return SLK_OK;
}

/* The answer is there: for whoever waits, and for the table unless it was told to forget meanwhile. Under the lock. */
static void
answer(struct sealock_keys *k, struct client_key *key, int rc, struct jnl_epoch_key *opened,
	const struct slk_error *err)
{
	if (rc != SLK_OK) {
		if (key->listed)
			delist(k, key);
		key->status = rc;
		key->err = *err;
	}
	key->key = opened;
	key->state = rc == SLK_OK ? READY : FAILED;
	if (key->listed && ++k->ready > k->keys_max)
		drop_oldest_ready(k);
	pthread_cond_broadcast(&k->answered);
}

int
client_key_get(struct sealock_keys *k, struct seal_thread *thread, const struct client_epoch *epoch,
	struct client_key **out_key, struct slk_error *err)
{
	struct identity id;
	int rc = check_epoch(epoch, &id, err);

	if (rc != SLK_OK)
		return rc;
	pthread_mutex_lock(&k->lock);
	expire(k);
	struct client_key *key = find(k, &id);
	bool mine = key == NULL;
	if (mine) {
		key = calloc(1, sizeof(*key));
		if (key == NULL) {
			pthread_mutex_unlock(&k->lock);
			return slk_fail(err, SLK_NO_MEMORY, "out of memory");
		}
		key->identity = id;
		key->asked_ns = slk_mono_ns(k->clock);
		enlist(k, key);
	}
	key->holders++;
	if (mine) {
		struct jnl_epoch_key *opened = NULL;
		struct slk_error why = {0};
		pthread_mutex_unlock(&k->lock);
		rc = ask(k, thread, epoch, &opened, &why);
		pthread_mutex_lock(&k->lock);
		answer(k, key, rc, opened, &why);
	}
	while (key->state == ASKED)
		pthread_cond_wait(&k->answered, &k->lock);
	if (key->state == READY) {
		*out_key = key;
	} else {
		rc = slk_fail(err, key->status, "%s", key->err.text);
		let_go(key);
	}
	pthread_mutex_unlock(&k->lock);
	return rc;
}

void
client_key_put(struct sealock_keys *k, struct client_key *key)
{
	pthread_mutex_lock(&k->lock);
	let_go(key);
	pthread_mutex_unlock(&k->lock);
}

const struct jnl_epoch_key *
client_key_epoch(const struct client_key *key)
{
	return key->key;
}

const char *
client_keys_engine(const struct sealock_keys *k)
{
	return k->engine;
}

const struct slk_clock *
client_keys_clock(const struct sealock_keys *k)
{
	return k->clock;
}

/* --- public --- */

/* What the processor offers and passes its self-test, once for all threads. */
static int
choose_engine(struct sealock_keys *k, struct slk_error *err)
{
	struct seal_thread *thread = NULL;
	int rc = seal_thread_new(NULL, &thread, err);

	if (rc != SLK_OK)
		return rc;
	(void)snprintf(k->engine, sizeof(k->engine), "%s", seal_thread_engine(thread));
	seal_thread_free(thread);
	return SLK_OK;
}

static int
make_table(struct sealock_keys *k, struct slk_error *err)
{
	uint32_t buckets = 64;

	while (buckets < k->keys_max)
		buckets *= 2;
	k->buckets = calloc(buckets, sizeof(struct client_key *));
	k->bucket_mask = buckets - 1;
	return k->buckets != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "out of memory");
}

int
sealock_keys_new(const struct sealock_keys_config *config, struct sealock_keys **out_keys,
	struct slk_error *err)
{
	if (config->keys_max > KEYS_MAX)
		return slk_fail(err, SLK_INVALID, "keys_max is at most %u", KEYS_MAX);
	struct sealock_keys *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->answered, NULL);
	k->unwrap = config->unwrap != NULL ? config->unwrap : client_unwrap_decrypt;
	k->ctx = config->ctx;
	k->clock = config->clock != NULL ? config->clock : slk_clock_system();
	k->keys_max = config->keys_max != 0 ? config->keys_max : KEYS_DEFAULT;
	k->age_max_ns = (config->age_max_s != 0 ? config->age_max_s : AGE_DEFAULT_S) * SLK_NS_PER_S;
	int rc = choose_engine(k, err);
	if (rc == SLK_OK)
		rc = make_table(k, err);
	if (rc == SLK_OK)
		rc = client_sides_new(
			config->attestation_pem, config->note, config->ctx, &k->sides, err);
	if (rc == SLK_OK && config->unwrap == NULL) {
		rc = client_unwrap_new(config->kms_socket,
			config->kms_timeout_ms != 0 ? config->kms_timeout_ms : TIMEOUT_DEFAULT_MS,
			&k->built_in);
		if (rc != SLK_OK)
			(void)slk_fail(err, rc, "out of memory");
		k->ctx = k->built_in;
	}
	if (rc != SLK_OK) {
		sealock_keys_free(k);
		return rc;
	}
	*out_keys = k;
	return SLK_OK;
}

void
sealock_keys_free(struct sealock_keys *k)
{
	if (k == NULL)
		return;
	while (k->oldest != NULL)
		delist(k, k->oldest);
	client_sides_free(k->sides);
	client_unwrap_free(k->built_in);
	free(k->buckets);
	pthread_cond_destroy(&k->answered);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

void
sealock_keys_forget(struct sealock_keys *k)
{
	pthread_mutex_lock(&k->lock);
	while (k->oldest != NULL)
		delist(k, k->oldest);
	pthread_mutex_unlock(&k->lock);
}

void
sealock_keys_expire(struct sealock_keys *k)
{
	pthread_mutex_lock(&k->lock);
	expire(k);
	pthread_mutex_unlock(&k->lock);
}

uint64_t
sealock_keys_unwraps(const struct sealock_keys *k)
{
	return atomic_load_explicit(&k->unwraps, memory_order_relaxed);
}
