/* Rotation at the service: on demand, by period, by wear; conflicts and limits; with the HSM failing in between. */
#include "slk_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/blob.h"
#include "kms_rig.h"

#define MINUTE_NS (60 * SLK_NS_PER_S)

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, key_arn);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

#define ASK(CASE, key) rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_##CASE, (key))

static void
tick_turns(unsigned turns)
{
	kms_service_tick(rig.service);
	while (turns-- > 0)
		rig_turn(&rig);
}

static struct kms_key
read_key(void)
{
	const struct kms_realm realm = {rig.config->account, rig.config->region};
	struct kms_ref ref;
	struct kms_key key;

	assert_ok(kms_ref_parse(&realm, key_arn, &ref));
	assert_ok(kms_catalog_key_get(rig.catalog, ref.id, &key));
	return key;
}

static size_t
rotations_count(void)
{
	return ASK(LIST_KEY_ROTATIONS, key_arn)->rotations->n_rotations;
}

static void
assert_refused(const Kmsp__Reply *reply, const char *exception, const char *part)
{
	assert_string_equal(reply->exception, exception);
	assert_contains(reply->message, part);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

/* --- on demand --- */

static void
rotation_in_progress_is_a_conflict_until_it_is_finished(void **state)
{
	(void)state;
	fake_hsm_lose_answer(rig.link, SLK_UNAVAILABLE);
	assert_refused(ASK(ROTATE_KEY_ON_DEMAND, key_arn), "KeyUnavailableException", "HSM");
	const Kmsp__Reply *reply = ASK(GET_KEY_ROTATION_STATUS, key_arn);
	assert_int_equal(reply->rotation->on_demand_start_ns, rig.wall_ns);
	assert_false(reply->rotation->enabled);
	assert_refused(ASK(ROTATE_KEY_ON_DEMAND, key_arn), "ConflictException", key_arn);
	assert_int_equal(rotations_count(), 1); /* what is not finished has wrapped nothing */
	assert_answered(rig_generate(&rig, RIG_ROOT, key_arn, "", true), SLK_OK);
	tick_turns(3);
	assert_int_equal(rotations_count(), 2);
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->on_demand_start_ns, 0);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2); /* found again, not made twice */
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
}

static void
conflict_outlives_a_restart_and_ends_with_the_rotation(void **state)
{
	(void)state;
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 3);
	assert_refused(ASK(ROTATE_KEY_ON_DEMAND, key_arn), "KeyUnavailableException", "HSM");
	rig_restart(&rig); /* tries once, and fails */
	assert_refused(ASK(ROTATE_KEY_ON_DEMAND, key_arn), "ConflictException", "in progress");
	fake_hsm_fail(rig.link, SLK_OK, 0);
	tick_turns(3);
	assert_int_equal(rotations_count(), 2);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
}

static void
automatic_rotation_within_20_minutes_is_a_conflict(void **state)
{
	(void)state;
	assert_answered(ASK(ENABLE_KEY_ROTATION, key_arn), SLK_OK);
	uint64_t due_ns = ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->next_ns;
	assert_int_equal(due_ns, rig.wall_ns + 365 * KMS_DAY_NS);
	rig.wall_ns = due_ns - 20 * MINUTE_NS;
	assert_refused(ASK(ROTATE_KEY_ON_DEMAND, key_arn), "ConflictException", "20 minutes");
	assert_int_equal(rotations_count(), 1);
	rig.wall_ns = due_ns - 20 * MINUTE_NS - 1;
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
	/* It does not move the other. */
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->next_ns, due_ns);
	rig.wall_ns = due_ns;
	tick_turns(3);
	assert_int_equal(rotations_count(), 3);
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->next_ns,
		due_ns + 365 * KMS_DAY_NS);
}

/* An automatic rotation that is in progress, too; and no date on demand is shown for it. */
static void
automatic_rotation_in_progress_is_a_conflict(void **state)
{
	(void)state;
	assert_answered(ASK(ENABLE_KEY_ROTATION, key_arn), SLK_OK);
	rig.wall_ns += 365 * KMS_DAY_NS;
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	tick_turns(1);
	assert_refused(ASK(ROTATE_KEY_ON_DEMAND, key_arn), "ConflictException", "in progress");
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->on_demand_start_ns, 0);
	tick_turns(3);
	const Kmsp__Reply *reply = ASK(LIST_KEY_ROTATIONS, key_arn);
	assert_int_equal(reply->rotations->n_rotations, 2);
	assert_false(reply->rotations->rotations[1]->on_demand);
}

static void
key_rotates_25_times_on_demand(void **state)
{
	(void)state;
	char sentence[512];

	for (unsigned i = 0; i < KMS_ON_DEMAND_MAX; i++)
		assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
	snprintf(sentence, sizeof(sentence),
		"The on-demand rotations limit has been reached for the given keyId. No more "
		"on-demand rotations can be performed for this key: %s",
		key_arn);
	for (int i = 0; i < 2; i++) {
		const Kmsp__Reply *reply = ASK(ROTATE_KEY_ON_DEMAND, key_arn);
		assert_answered(reply, SLK_LIMIT);
		assert_string_equal(reply->exception, "LimitExceededException");
		assert_string_equal(reply->message, sentence);
		rig_restart(&rig);
	}
	assert_int_equal(rotations_count(), KMS_ON_DEMAND_MAX + 1);
	assert_int_equal(fake_hsm_keys_count(rig.link), KMS_ON_DEMAND_MAX + 1);
	/* By period it goes on. */
	assert_answered(ASK(ENABLE_KEY_ROTATION, key_arn), SLK_OK);
	rig.wall_ns += 365 * KMS_DAY_NS;
	tick_turns(3);
	assert_int_equal(rotations_count(), KMS_ON_DEMAND_MAX + 2);
}

static void
limit_of_rotations_is_what_the_configuration_says(void **state)
{
	(void)state;
	rig.config->on_demand_rotations = 2;
	rig_restart(&rig);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_LIMIT);
}

static void
key_that_is_disabled_in_between_is_finished_and_stays_disabled(void **state)
{
	(void)state;
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_UNAVAILABLE);
	assert_answered(ASK(DISABLE_KEY, key_arn), SLK_OK);
	tick_turns(3);
	assert_int_equal(read_key().state, KMS_KEY_DISABLED);
	assert_int_equal(rotations_count(), 2);
}

/* A successor that was begun is not made for a key that ends, and is not left on the token either. */
static void
rotation_of_a_key_that_ends_leaves_nothing(void **state)
{
	(void)state;
	fake_hsm_lose_answer(rig.link, SLK_UNAVAILABLE); /* made, and not known */
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_UNAVAILABLE);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, key_arn), SLK_OK);
	tick_turns(3);
	assert_int_equal(rotations_count(), 1);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2);
	rig.wall_ns += 7 * KMS_DAY_NS;
	rig.mono_ns += 7 * KMS_DAY_NS;
	tick_turns(6);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

static void
keys_that_cannot_rotate_are_told_so(void **state)
{
	(void)state;
	char pair[KMS_ARN_MAX];

	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_SIGN_VERIFY, pair);
	const Kmsp__Request__CallCase cases[] = {KMSP__REQUEST__CALL_ROTATE_KEY_ON_DEMAND,
		KMSP__REQUEST__CALL_ENABLE_KEY_ROTATION, KMSP__REQUEST__CALL_DISABLE_KEY_ROTATION};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const Kmsp__Reply *reply = rig_ask_key(&rig, RIG_ROOT, cases[i], pair);
		assert_answered(reply, SLK_UNSUPPORTED);
		assert_string_equal(reply->exception, "UnsupportedOperationException");
		assert_string_equal(reply->message, "");
	}
	/* Tools ask this of every key. */
	const Kmsp__Reply *reply = ASK(GET_KEY_ROTATION_STATUS, pair);
	assert_answered(reply, SLK_OK);
	assert_false(reply->rotation->enabled);
	assert_int_equal(reply->rotation->period_days, 0);
}

static const Kmsp__Reply *
enable_rotation(uint32_t days)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__EnableKeyRotation call = KMSP__ENABLE_KEY_ROTATION__INIT;

	call.key = key_arn;
	call.period_days = days;
	request.call_case = KMSP__REQUEST__CALL_ENABLE_KEY_ROTATION;
	request.enable_key_rotation = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
period_is_90_to_2560_days(void **state)
{
	(void)state;
	assert_refused(enable_rotation(89), "ValidationException", "'rotationPeriodInDays'");
	assert_refused(enable_rotation(2561), "ValidationException", "'rotationPeriodInDays'");
	assert_false(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->enabled);
	assert_answered(enable_rotation(90), SLK_OK);
	assert_answered(enable_rotation(2560), SLK_OK);
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->period_days, 2560);
	assert_answered(ASK(DISABLE_KEY_ROTATION, key_arn), SLK_OK);
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->next_ns, 0);
	/* Pending deletion reports false; a cancelled one has its rotation back. */
	assert_answered(enable_rotation(100), SLK_OK);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, key_arn), SLK_OK);
	assert_false(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->enabled);
	assert_answered(ASK(CANCEL_KEY_DELETION, key_arn), SLK_OK);
	assert_int_equal(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->period_days, 100);
}

/* Threats, row 7: a clock ten years ahead rotates once; back again, the next rotation is no farther away than a period. */
static void
clock_that_jumps_ten_years_rotates_once(void **state)
{
	(void)state;
	const uint64_t start_ns = rig.wall_ns, ten_years_ns = 3650 * KMS_DAY_NS;

	assert_answered(enable_rotation(90), SLK_OK);
	rig.wall_ns = start_ns + ten_years_ns;
	for (int i = 0; i < 3; i++)
		tick_turns(3);
	assert_int_equal(rotations_count(), 2);
	rig.wall_ns = start_ns;
	rig.mono_ns += 61 * SLK_NS_PER_S;
	tick_turns(3);
	assert_int_equal(rotations_count(), 2);
	assert_true(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->next_ns <=
		start_ns + 90 * KMS_DAY_NS);
}

/* --- by wear --- */

/* A restart, as if the current backing key had wrapped so often before. */
static void
wear(uint64_t wraps_reserved)
{
	const struct kms_key key = read_key();
	char id[2 * KMS_ID_BYTES + 1], sql[160];

	slk_hex(slk_span(key.backing_id, sizeof(key.backing_id)), id, sizeof(id));
	snprintf(sql, sizeof(sql),
		"UPDATE backings SET wraps_reserved = %" PRIu64 " WHERE id = x'%s'", wraps_reserved,
		id);
	rig_restart_changed(&rig, sql);
}

static void
worn_key_rotates_without_being_told(void **state)
{
	(void)state;
	uint8_t blob[512];
	struct fmt_blob parts;

	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "", slk_span_str("text"));
	size_t len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, len);
	const struct kms_key before = read_key();
	wear(KMS_WRAP_ROTATE - KMS_WRAP_CHUNK); /* not yet */
	tick_turns(3);
	assert_int_equal(rotations_count(), 1);
	assert_answered(
		rig_generate(&rig, RIG_ROOT, key_arn, "", true), SLK_OK); /* takes a chunk */
	tick_turns(4);
	assert_int_equal(rotations_count(), 2);
	assert_contains(rig_audit(&rig), "\"eventName\":\"RotateKey\"");
	assert_memory_not_equal(read_key().backing_id, before.backing_id, KMS_ID_BYTES);
	assert_false(ASK(LIST_KEY_ROTATIONS, key_arn)->rotations->rotations[1]->on_demand);
	/* New wraps are under the new one, and the old one opens. */
	reply = rig_generate(&rig, RIG_ROOT, key_arn, "", true);
	assert_ok(fmt_blob_decode(
		slk_span(reply->cipher->blob.data, reply->cipher->blob.len), &parts));
	assert_memory_equal(parts.backing_id, read_key().backing_id, KMS_ID_BYTES);
	reply = rig_decrypt(&rig, RIG_ROOT, "", "", slk_span(blob, len));
	assert_answered(reply, SLK_OK);
	assert_memory_equal(reply->cipher->plaintext.data, "text", 4);
	tick_turns(3);
	assert_int_equal(rotations_count(), 2);
	assert_false(ASK(GET_KEY_ROTATION_STATUS, key_arn)->rotation->enabled);
}

/* The HSM makes no successor: it wraps up to the limit, and then no more; opening goes on. */
static void
worn_key_without_a_successor_stops_at_the_limit(void **state)
{
	(void)state;
	const struct rig_re move = {.key = key_arn};
	uint8_t blob[512];

	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "", slk_span_str("text"));
	size_t len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, len);
	fake_hsm_set_state(rig.link, HSM_LOST);
	wear(KMS_WRAP_LIMIT - KMS_WRAP_CHUNK);
	/* As if the last chunk were gone, but for one. */
	kms_catalog_wrap_add(
		rig.catalog, read_key().backing_id, KMS_WRAP_CHUNK - KMS_WRAP_SLACK - 1);
	assert_answered(rig_generate(&rig, RIG_ROOT, key_arn, "", true), SLK_OK);
	size_t calls = fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY);
	for (int i = 0; i < 2; i++) { /* a restart gives nothing back */
		assert_refused(rig_generate(&rig, RIG_ROOT, key_arn, "", true),
			"LimitExceededException", key_arn);
		assert_refused(rig_encrypt(&rig, RIG_ROOT, key_arn, "", slk_span_str("x")),
			"LimitExceededException", "rotate the key");
		assert_refused(rig_re_encrypt(&rig, RIG_ROOT, slk_span(blob, len), &move),
			"LimitExceededException", key_arn);
		rig_restart(&rig);
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), calls);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_REWRAP), 0);
	assert_answered(rig_decrypt(&rig, RIG_ROOT, "", "", slk_span(blob, len)), SLK_OK);
	fake_hsm_set_state(rig.link, HSM_READY);
	tick_turns(2); /* sees that it is back */
	tick_turns(3);
	assert_int_equal(rotations_count(), 2);
	assert_answered(rig_generate(&rig, RIG_ROOT, key_arn, "", true), SLK_OK);
}

static void
worn_key_that_is_disabled_rests(void **state)
{
	(void)state;
	assert_answered(ASK(DISABLE_KEY, key_arn), SLK_OK);
	wear(KMS_WRAP_ROTATE);
	tick_turns(3);
	assert_int_equal(rotations_count(), 1);
	assert_answered(ASK(ENABLE_KEY, key_arn), SLK_OK);
	tick_turns(3);
	assert_int_equal(rotations_count(), 2);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(rotation_in_progress_is_a_conflict_until_it_is_finished),
		CASE(conflict_outlives_a_restart_and_ends_with_the_rotation),
		CASE(automatic_rotation_within_20_minutes_is_a_conflict),
		CASE(automatic_rotation_in_progress_is_a_conflict),
		CASE(key_rotates_25_times_on_demand),
		CASE(limit_of_rotations_is_what_the_configuration_says),
		CASE(key_that_is_disabled_in_between_is_finished_and_stays_disabled),
		CASE(rotation_of_a_key_that_ends_leaves_nothing),
		CASE(keys_that_cannot_rotate_are_told_so),
		CASE(period_is_90_to_2560_days),
		CASE(clock_that_jumps_ten_years_rotates_once),
		CASE(worn_key_rotates_without_being_told),
		CASE(worn_key_without_a_successor_stops_at_the_limit),
		CASE(worn_key_that_is_disabled_rests),
	};

	return cmocka_run_group_tests_name("kms_service_rotation", tests, NULL, NULL);
}
