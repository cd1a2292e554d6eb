#include "slk_test.h"

#include <string.h>

#include "base/secret.h"
#include "epochs.h"
#include "seal/epoch.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define OTHER_ARN "arn:aws:kinesis:local:000000000000:stream/other"
#define STREAM_ID 7u

struct fixture {
	uint64_t now_ns;
	struct slk_clock clock;
	struct seal_thread *seal;
	struct cli_unwrap unwrap;
	struct cli_epochs *epochs;
	uint8_t canonical[FMT_CONTEXT_MAX];
	size_t canonical_len;
	int asked;
	int answer; /* status that the fake KMS gives */
	uint8_t wrong; /* xor into the data key */
};

static uint64_t
fake_now(void *ctx)
{
	return ((struct fixture *)ctx)->now_ns;
}

/* The data key of an epoch is its blob's first byte, 32 times. */
static int
fake_decrypt(void *ctx, const struct fmt_context *context, struct slk_span blob,
	struct slk_secret **out_plaintext, struct slk_error *err)
{
	struct fixture *f = ctx;
	uint8_t key[32];

	assert_int_equal(fmt_context_count(context), 1);
	f->asked++;
	if (f->answer != SLK_OK)
		return slk_fail(err, f->answer, "user/reader may not kms:Decrypt with key/1");
	memset(key, blob.ptr[0] ^ f->wrong, sizeof(key));
	return slk_secret_from(key, sizeof(key), out_plaintext);
}

static int
setup(void **state)
{
	static struct fixture f;
	struct fmt_context *context = NULL;

	memset(&f, 0, sizeof(f));
	f.now_ns = 1000 * SLK_NS_PER_S;
	f.clock = (struct slk_clock){fake_now, fake_now, &f};
	f.unwrap = (struct cli_unwrap){fake_decrypt, &f};
	assert_ok(seal_thread_new("openssl", &f.seal, NULL));
	assert_ok(cli_epochs_new(f.seal, &f.unwrap, &f.clock, &f.epochs));
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

	cli_epochs_free(f->epochs);
	seal_thread_free(f->seal);
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

static void
an_epoch_is_asked_for_once(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *first = NULL;
	const struct jnl_epoch_key *second = NULL;
	struct epoch e;

	make_epoch(f, 1, &e);
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &first, NULL));
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &second, NULL));
	assert_ptr_equal(first, second);
	assert_int_equal(f->asked, 1);
}

static void
use_does_not_make_a_key_live_longer(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *key = NULL;
	struct epoch e;

	make_epoch(f, 1, &e);
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL));
	f->now_ns += CLI_EPOCH_TTL_NS - 1;
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL));
	assert_int_equal(f->asked, 1);
	f->now_ns += 1;
	f->answer = SLK_DENIED; /* the right was taken away meanwhile */
	assert_int_equal(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL), SLK_DENIED);
	assert_int_equal(f->asked, 2);
	assert_int_equal(cli_epochs_count(f->epochs), 0);
}

static void
an_idle_follower_wipes_what_is_too_old(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *key = NULL;
	struct epoch e;

	make_epoch(f, 1, &e);
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL));
	f->now_ns += CLI_EPOCH_TTL_NS;
	cli_epochs_expire(f->epochs);
	assert_int_equal(cli_epochs_count(f->epochs), 0);
}

static void
the_oldest_goes_when_the_cache_is_full(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *key = NULL;
	struct epoch e;

	for (uint64_t id = 1; id <= CLI_EPOCHS_MAX + 1; id++) {
		make_epoch(f, id, &e);
		assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL));
	}
	assert_int_equal(cli_epochs_count(f->epochs), CLI_EPOCHS_MAX);
	make_epoch(f, 2, &e);
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL));
	assert_int_equal(f->asked, CLI_EPOCHS_MAX + 1); /* 2 was still there */
	make_epoch(f, 1, &e);
	assert_ok(cli_epochs_get(f->epochs, &e.info, ARN, &key, NULL));
	assert_int_equal(f->asked, CLI_EPOCHS_MAX + 2);
}

static void
a_refusal_keeps_its_sentence_and_names_the_epoch(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *key = NULL;
	struct slk_error err = {0};
	struct epoch e;

	make_epoch(f, 0x2a, &e);
	f->answer = SLK_DENIED;
	assert_int_equal(cli_epochs_get(f->epochs, &e.info, ARN, &key, &err), SLK_DENIED);
	assert_null(key);
	assert_int_equal(err.status, SLK_DENIED);
	assert_non_null(strstr(err.text, "000000000000002a"));
	assert_non_null(strstr(err.text, "user/reader may not kms:Decrypt with key/1"));
}

static void
a_key_block_of_another_stream_is_never_asked_for(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *key = NULL;
	struct slk_error err = {0};
	struct epoch e;

	make_epoch(f, 1, &e);
	assert_int_equal(cli_epochs_get(f->epochs, &e.info, OTHER_ARN, &key, &err), SLK_CORRUPT);
	assert_int_equal(f->asked, 0);
	assert_null(key);
}

static void
a_data_key_that_is_not_the_one_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct jnl_epoch_key *key = NULL;
	struct slk_error err = {0};
	struct epoch e;

	make_epoch(f, 1, &e);
	f->wrong = 1;
	assert_int_equal(cli_epochs_get(f->epochs, &e.info, ARN, &key, &err), SLK_BAD_COMMITMENT);
	assert_null(key);
	assert_int_equal(cli_epochs_count(f->epochs), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_epoch_is_asked_for_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			use_does_not_make_a_key_live_longer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_idle_follower_wipes_what_is_too_old, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_oldest_goes_when_the_cache_is_full, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_refusal_keeps_its_sentence_and_names_the_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_key_block_of_another_stream_is_never_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_data_key_that_is_not_the_one_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("cli_epochs", tests, NULL, NULL);
}
