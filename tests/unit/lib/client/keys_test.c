/* The cache of opened epoch keys, with a KMS that the test is. */
#include "slk_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "client/keys.h"
#include "format/context.h"
#include "seal/epoch.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define STREAM_ID 7u

#define AGE_NS (300 * SLK_NS_PER_S)
#define KEYS_MAX 8u

struct fixture {
	char dir[32]; /* without side files */
	uint64_t now_ns;
	struct slk_clock clock;
	struct seal_thread *seal;
	struct sealock_keys *keys;
	uint8_t canonical[FMT_CONTEXT_MAX];
	size_t canonical_len;
	_Atomic int asked;
	int answer; /* status that the fake KMS gives */
	uint8_t wrong; /* xor into the data key */
	sem_t *entered, *leave; /* hold the KMS */
};

static uint64_t
fake_now(void *ctx)
{
	return ((struct fixture *)ctx)->now_ns;
}

/* The data key of an epoch is its blob's first byte, 32 times. */
static int
fake_unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *err)
{
	struct fixture *f = ctx;
	uint8_t key[32];

	f->asked++;
	if (f->entered != NULL) {
		sem_post(f->entered);
		sem_wait(f->leave);
	}
	if (strcmp(epoch->stream_arn, ARN) != 0)
		return slk_fail(err, SLK_INTERNAL, "not the stream's ARN");
	if (f->answer != SLK_OK)
		return slk_fail(err, f->answer, "user/reader may not kms:Decrypt with key/1");
	memset(key, epoch->wrapped.ptr[0] ^ f->wrong, sizeof(key));
	return slk_secret_from(key, sizeof(key), out_data_key);
}

static int
setup(void **state)
{
	static struct fixture f;
	struct fmt_context *context = NULL;

	memset(&f, 0, sizeof(f));
	strcpy(f.dir, "/tmp/slk_keys_XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	f.now_ns = 1000 * SLK_NS_PER_S;
	f.clock = (struct slk_clock){fake_now, fake_now, &f};
	const struct sealock_keys_config config = {
		.unwrap = fake_unwrap, .ctx = &f, .keys_max = KEYS_MAX, .clock = &f.clock};
	assert_ok(sealock_keys_new(&config, &f.keys, NULL));
	assert_ok(seal_thread_new(client_keys_engine(f.keys), &f.seal, NULL));
	assert_ok(fmt_context_for_stream(ARN, &context));
	assert_ok(fmt_context_encode(context, f.canonical, sizeof(f.canonical), &f.canonical_len));
	fmt_context_free(context);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	sealock_keys_free(f->keys);
	seal_thread_free(f->seal);
	assert_int_equal(rmdir(f->dir), 0);
	return 0;
}

struct epoch {
	uint8_t blob[1];
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
	struct jnl_epoch_info info;
};

static void
make_epoch(const struct fixture *f, uint64_t id, struct epoch *out)
{
	struct slk_secret *data_key = NULL;
	struct slk_secret *key = NULL;
	uint8_t bytes[32];

	out->blob[0] = (uint8_t)id;
	memset(bytes, out->blob[0], sizeof(bytes));
	assert_ok(slk_secret_from(bytes, sizeof(bytes), &data_key));
	assert_ok(seal_epoch_derive(data_key, id, STREAM_ID, &key, out->commitment));
	slk_secret_free(key);
	slk_secret_free(data_key);
	out->info = (struct jnl_epoch_info){
		.epoch_id = id,
		.stream_id = STREAM_ID,
		.stream_arn = ARN,
		.key_arn = "arn:aws:kms:local:000000000000:key/1",
		.context = slk_span(f->canonical, f->canonical_len),
		.wrapped = slk_span(out->blob, sizeof(out->blob)),
		.commitment = slk_span(out->commitment, sizeof(out->commitment)),
	};
}

static int
get(struct fixture *f, const struct jnl_epoch_info *info, uint64_t stream_id,
	struct client_key **out_key, struct slk_error *err)
{
	const struct client_epoch epoch = {.dir = f->dir,
		.stream_arn = ARN,
		.stream_id = stream_id,
		.context = slk_span(f->canonical, f->canonical_len),
		.info = info};

	return client_key_get(f->keys, f->seal, &epoch, out_key, err);
}

static void
get_ok(struct fixture *f, uint64_t id)
{
	struct client_key *key = NULL;
	struct epoch e;

	make_epoch(f, id, &e);
	assert_ok(get(f, &e.info, STREAM_ID, &key, NULL));
	assert_non_null(client_key_epoch(key));
	client_key_put(f->keys, key);
}

static int
get_fails(struct fixture *f, uint64_t id, struct slk_error *err)
{
	struct client_key *key = NULL;
	struct epoch e;

	make_epoch(f, id, &e);
	int rc = get(f, &e.info, STREAM_ID, &key, err);
	assert_null(key);
	return rc;
}

static void
an_epoch_is_asked_for_once(void **state)
{
	struct fixture *f = *state;

	get_ok(f, 1);
	get_ok(f, 1);
	assert_int_equal(f->asked, 1);
	assert_int_equal(sealock_keys_unwraps(f->keys), 1);
}

static void
use_does_not_make_a_key_live_longer(void **state)
{
	struct fixture *f = *state;

	get_ok(f, 1);
	f->now_ns += AGE_NS - 1;
	get_ok(f, 1);
	assert_int_equal(f->asked, 1);
	f->now_ns += 1;
	f->answer = SLK_DENIED; /* the right was taken away meanwhile */
	assert_int_equal(get_fails(f, 1, NULL), SLK_DENIED);
	assert_int_equal(f->asked, 2);
	assert_int_equal(get_fails(f, 1, NULL), SLK_DENIED); /* a refusal is not remembered */
	assert_int_equal(f->asked, 3);
	f->answer = SLK_OK;
	get_ok(f, 1);
}

static void
the_oldest_goes_when_the_cache_is_full(void **state)
{
	struct fixture *f = *state;

	for (uint64_t id = 1; id <= KEYS_MAX + 1; id++)
		get_ok(f, id);
	get_ok(f, 2);
	assert_int_equal(f->asked, KEYS_MAX + 1); /* 2 was still there */
	get_ok(f, 1);
	assert_int_equal(f->asked, KEYS_MAX + 2);
}

static void
a_key_that_is_held_outlives_the_cache(void **state)
{
	struct fixture *f = *state;
	struct client_key *key = NULL;
	struct epoch e;

	make_epoch(f, 1, &e);
	assert_ok(get(f, &e.info, STREAM_ID, &key, NULL));
	sealock_keys_forget(f->keys);
	assert_non_null(client_key_epoch(key));
	client_key_put(f->keys, key);
	get_ok(f, 1);
	assert_int_equal(f->asked, 2);
	f->now_ns += AGE_NS;
	sealock_keys_expire(f->keys);
	get_ok(f, 1);
	assert_int_equal(f->asked, 3);
}

static void
a_refusal_keeps_its_sentence_and_names_the_epoch(void **state)
{
	struct fixture *f = *state;
	struct slk_error err = {0};

	f->answer = SLK_DENIED;
	assert_int_equal(get_fails(f, 0x2a, &err), SLK_DENIED);
	assert_int_equal(err.status, SLK_DENIED);
	assert_non_null(strstr(err.text, "000000000000002a"));
	assert_non_null(strstr(err.text, "user/reader may not kms:Decrypt with key/1"));
}

static void
a_key_block_of_another_stream_is_never_asked_for(void **state)
{
	struct fixture *f = *state;
	struct client_key *key = NULL;
	struct slk_error err = {0};
	struct epoch e;

	make_epoch(f, 1, &e);
	assert_int_equal(get(f, &e.info, STREAM_ID + 1, &key, &err), SLK_CORRUPT);
	e.info.context.len--;
	assert_int_equal(get(f, &e.info, STREAM_ID, &key, &err), SLK_CORRUPT);
	e.info.context.len++;
	e.info.commitment.len--;
	assert_int_equal(get(f, &e.info, STREAM_ID, &key, &err), SLK_BAD_COMMITMENT);
	assert_int_equal(f->asked, 0);
	assert_null(key);
}

static void
a_data_key_that_is_not_the_one_is_refused(void **state)
{
	struct fixture *f = *state;

	f->wrong = 1;
	assert_int_equal(get_fails(f, 1, NULL), SLK_BAD_COMMITMENT);
	f->wrong = 0;
	get_ok(f, 1);
}

static void
the_same_epoch_id_of_another_journal_is_another_key(void **state)
{
	struct fixture *f = *state;
	struct client_key *key = NULL;
	struct epoch e, other;

	get_ok(f, 1);
	make_epoch(f, 2, &other);
	make_epoch(f, 1, &e);
	e.info.commitment = other.info.commitment;
	assert_int_equal(get(f, &e.info, STREAM_ID, &key, NULL), SLK_BAD_COMMITMENT);
	assert_int_equal(f->asked, 2); /* what is cached was not taken for it */
}

/* --- several threads --- */

struct getter {
	struct fixture *f;
	pthread_t thread;
	int rc;
	struct slk_error err;
};

static void *
run_getter(void *arg)
{
	struct getter *g = arg;
	struct client_key *key = NULL;
	struct seal_thread *seal = NULL;
	struct epoch e;

	make_epoch(g->f, 1, &e);
	const struct client_epoch epoch = {.dir = g->f->dir,
		.stream_arn = ARN,
		.stream_id = STREAM_ID,
		.context = slk_span(g->f->canonical, g->f->canonical_len),
		.info = &e.info};
	g->rc = seal_thread_new(client_keys_engine(g->f->keys), &seal, NULL);
	if (g->rc == SLK_OK)
		g->rc = client_key_get(g->f->keys, seal, &epoch, &key, &g->err);
	if (g->rc == SLK_OK)
		client_key_put(g->f->keys, key);
	seal_thread_free(seal);
	return NULL;
}

static void
threads_wait_for_one_answer(void **state)
{
	struct fixture *f = *state;
	struct getter getters[4] = {{0}};
	sem_t entered, leave;

	for (unsigned round = 0; round < 2; round++) {
		f->answer = round == 0 ? SLK_DENIED : SLK_OK;
		f->asked = 0;
		assert_int_equal(sem_init(&entered, 0, 0), 0);
		assert_int_equal(sem_init(&leave, 0, 0), 0);
		f->entered = &entered;
		f->leave = &leave;
		for (unsigned i = 0; i < 4; i++) {
			getters[i] = (struct getter){.f = f};
			assert_int_equal(
				pthread_create(&getters[i].thread, NULL, run_getter, &getters[i]),
				0);
		}
		sem_wait(
			&entered); /* one of them asks; who comes later asks again if it was refused */
		for (unsigned i = 0; i < 4; i++)
			sem_post(&leave);
		for (unsigned i = 0; i < 4; i++) {
			pthread_join(getters[i].thread, NULL);
			assert_int_equal(getters[i].rc, f->answer);
			assert_true(round == 1 || strstr(getters[i].err.text, "may not") != NULL);
		}
		assert_true(round == 0 ? f->asked >= 1 : f->asked == 1);
		f->entered = NULL;
		sem_destroy(&entered);
		sem_destroy(&leave);
	}
}

static void
what_is_forgotten_while_it_is_asked_for_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct getter g = {.f = f};
	sem_t entered, leave;

	assert_int_equal(sem_init(&entered, 0, 0), 0);
	assert_int_equal(sem_init(&leave, 0, 0), 0);
	f->entered = &entered;
	f->leave = &leave;
	assert_int_equal(pthread_create(&g.thread, NULL, run_getter, &g), 0);
	sem_wait(&entered);
	sealock_keys_forget(f->keys);
	sem_post(&leave);
	pthread_join(g.thread, NULL);
	assert_ok(g.rc); /* its question came before */
	f->entered = NULL;
	get_ok(f, 1);
	assert_int_equal(f->asked, 2);
	sem_destroy(&entered);
	sem_destroy(&leave);
}

static void
bad_configurations_are_refused(void **state)
{
	(void)state;
	struct sealock_keys *keys = NULL;
	struct slk_error err = {0};

	assert_int_equal(
		sealock_keys_new(&(struct sealock_keys_config){.keys_max = 65537}, &keys, &err),
		SLK_INVALID);
	assert_int_equal(sealock_keys_new(&(struct sealock_keys_config){.attestation_pem = "x"},
				 &keys, &err),
		SLK_CONFIG);
	assert_null(keys);
	sealock_keys_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(an_epoch_is_asked_for_once),
		TEST(use_does_not_make_a_key_live_longer),
		TEST(the_oldest_goes_when_the_cache_is_full),
		TEST(a_key_that_is_held_outlives_the_cache),
		TEST(a_refusal_keeps_its_sentence_and_names_the_epoch),
		TEST(a_key_block_of_another_stream_is_never_asked_for),
		TEST(a_data_key_that_is_not_the_one_is_refused),
		TEST(the_same_epoch_id_of_another_journal_is_another_key),
		TEST(threads_wait_for_one_answer),
		TEST(what_is_forgotten_while_it_is_asked_for_is_not_kept),
		TEST(bad_configurations_are_refused),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
