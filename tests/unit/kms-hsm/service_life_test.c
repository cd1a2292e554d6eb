#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kms_rig.h"

static struct kms_rig rig;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
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

/* Threats, row 7. */
static void
deletion_waits_for_both_clocks_and_leaves_a_tombstone(void **state)
{
	(void)state;
	const uint64_t start = rig.wall_ns;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	rig.wall_ns = start + 3650 * KMS_DAY_NS; /* the clock jumps ten years ahead */
	tick_turns(3);
	assert_string_equal(ASK(DESCRIBE_KEY, arn)->key->state, "PendingDeletion");
	rig.wall_ns = start - 3650 * KMS_DAY_NS; /* and back */
	rig.mono_ns += 7 * KMS_DAY_NS;
	tick_turns(3);
	assert_string_equal(ASK(DESCRIBE_KEY, arn)->key->state, "PendingDeletion");
	rig.wall_ns = start + 7 * KMS_DAY_NS - SLK_NS_PER_S; /* T - 1 s */
	assert_string_equal(ASK(CANCEL_KEY_DELETION, arn)->key->state, "Disabled");
	assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	rig.wall_ns += 7 * KMS_DAY_NS + SLK_NS_PER_S; /* T + 1 s */
	rig.mono_ns += 7 * KMS_DAY_NS + SLK_NS_PER_S;
	assert_answered(ASK(CANCEL_KEY_DELETION, arn), SLK_NOT_FOUND);
	assert_answered(ASK(DESCRIBE_KEY, arn), SLK_NOT_FOUND);
	tick_turns(4);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	assert_contains(rig_audit(&rig), "\"eventName\":\"DeleteKey\"");
}

static void
let_deletion_come_due(void)
{
	rig.wall_ns += 7 * KMS_DAY_NS;
	rig.mono_ns += 7 * KMS_DAY_NS;
}

static void
key_is_not_destroyed_before_its_line_is_on_disk(void **state)
{
	(void)state;
	static const unsigned ops[] = {FAULTFS_WRITE, FAULTFS_SYNC};
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	let_deletion_come_due();
	for (size_t i = 0; i < 2; i++) {
		faultfs_init(&rig.ff, slk_fs_posix(), ops[i], 1, true, SLK_IO);
		for (int k = 0; k < 3; k++)
			tick_turns(3);
		assert_true(faultfs_hit(&rig.ff));
		assert_int_equal(fake_hsm_keys_count(rig.link), 1);
		assert_int_equal(fake_hsm_calls_count(rig.link, HSM_DESTROY_KEY), 0);
		faultfs_init(&rig.ff, slk_fs_posix(), 0, 0, false, SLK_IO);
		rig.mono_ns += SLK_NS_PER_S;
		assert_string_equal(rig_describe_key(&rig, RIG_ROOT, arn)->exception, "");
	}
	rig_restart(&rig);
	for (int k = 0; k < 2; k++)
		tick_turns(3);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	assert_contains(rig_audit(&rig), "\"eventName\":\"DeleteKey\"");
}

/* Nobody asks anything meanwhile, and the service is stopped: the line is there. */
static void
what_it_does_by_itself_needs_no_request_to_be_audited(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	let_deletion_come_due();
	tick_turns(2);
	assert_contains(rig_audit_last(&rig), "\"eventName\":\"DeleteKey\"");
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

static void
many_keys_end_at_once_with_a_line_each(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];
	unsigned lines = 0;

	for (int i = 0; i < 20; i++) {
		rig_new_key(&rig, arn);
		assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	}
	let_deletion_come_due();
	kms_service_tick(rig.service);
	kms_service_tick(rig.service); /* before the first lines are on disk */
	tick_turns(40);
	tick_turns(40);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	for (const char *at = rig_audit(&rig); (at = strstr(at, "\"DeleteKey\"")) != NULL; at++)
		lines++;
	assert_int_equal(lines, 20);
}

/* A Destroying key whose backing key has this id, with an object on the token. */
static void
make_ending_key(uint8_t number)
{
	const struct kms_check check = {.kcv = {0}}; /* any */
	struct kms_key key = {.created_ns = rig.wall_ns};

	assert_ok(fmt_uuid_new(key.id));
	memset(key.backing_id, number, sizeof(key.backing_id));
	fake_hsm_plant(rig.link, key.backing_id, key.spec, key.usage);
	assert_ok(kms_catalog_key_begin(rig.catalog, &key, NULL, NULL, 0));
	assert_ok(kms_catalog_key_enable(rig.catalog, key.id, &check));
	assert_ok(kms_catalog_key_schedule(rig.catalog, key.id, rig.wall_ns, 7));
}

/* Ids of backing keys are random, and the pass goes up: what comes below is not left for a day when there is more to do. */
static void
key_that_ends_while_others_are_destroyed_is_not_passed_over(void **state)
{
	(void)state;
	make_ending_key(0x80);
	make_ending_key(0x81);
	let_deletion_come_due();
	fake_hsm_hold(rig.link, true);
	tick_turns(2); /* the first is in flight */
	make_ending_key(0x10);
	let_deletion_come_due();
	tick_turns(2);
	fake_hsm_hold(rig.link, false);
	tick_turns(6);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
}

/* The link goes first, and answers them; under AddressSanitizer nobody looks at it any more. */
static void
calls_in_flight_at_a_stop_are_answered(void **state)
{
	(void)state;
	static struct kms_rig own;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;

	rig_start(&own, "");
	request.call_case = KMSP__REQUEST__CALL_CREATE_KEY;
	request.create_key = &call;
	fake_hsm_hold(own.link, true);
	rig_begin(&own, RIG_ROOT, &request);
	rig_begin(&own, RIG_ROOT, &request);
	rig_turn(&own);
	assert_int_equal(own.answers, 0);
	rig_stop(&own);
	assert_int_equal(own.answers, 2);
}

static void
destruction_goes_on_after_a_restart(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, arn), SLK_OK);
	assert_int_equal(fake_hsm_keys_count(rig.link), 2);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, arn), SLK_OK);
	rig.wall_ns += 7 * KMS_DAY_NS;
	rig.mono_ns += 7 * KMS_DAY_NS;
	fake_hsm_lose_answer(rig.link, SLK_UNAVAILABLE); /* destroyed, and not known */
	kms_service_tick(rig.service);
	rig_turn(&rig);
	rig_restart(&rig);
	tick_turns(6);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	assert_answered(ASK(DESCRIBE_KEY, arn), SLK_NOT_FOUND);
}

/* Threats, row 6. */
static void
old_material_still_decrypts_after_rotations(void **state)
{
	(void)state;
	char arn[KMS_ARN_MAX];
	uint8_t blob[512];

	rig_new_key(&rig, arn);
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, arn, "", slk_span_str("text"));
	assert_answered(reply, SLK_OK);
	size_t len = reply->cipher->blob.len;
	assert_true(len <= sizeof(blob));
	memcpy(blob, reply->cipher->blob.data, len);
	assert_answered(ASK(ENABLE_KEY_ROTATION, arn), SLK_OK);
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, arn), SLK_OK);
	rig.wall_ns += 365 * KMS_DAY_NS;
	tick_turns(4);
	reply = ASK(LIST_KEY_ROTATIONS, arn);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->rotations->n_rotations, 3);
	assert_true(reply->rotations->rotations[0]->first);
	assert_true(reply->rotations->rotations[1]->on_demand);
	assert_true(reply->rotations->rotations[2]->current);
	reply = rig_decrypt(&rig, RIG_ROOT, "", "", slk_span(blob, len));
	assert_answered(reply, SLK_OK);
	assert_memory_equal(reply->cipher->plaintext.data, "text", 4);
	assert_contains(rig_audit(&rig), "\"eventName\":\"RotateKey\"");
}

static void
orphan_is_listed_and_left_alone(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List list = KMSP__LIST__INIT;
	uint8_t id[KMS_ID_BYTES];
	char arn[KMS_ARN_MAX];

	rig_new_key(&rig, arn);
	memset(id, 0xab, sizeof(id));
	fake_hsm_plant(rig.link, id, KMS_SPEC_SYMMETRIC_DEFAULT, KMS_USAGE_ENCRYPT_DECRYPT);
	request.call_case = KMSP__REQUEST__CALL_LIST_ORPHANS;
	request.list_orphans = &list;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->orphans->n_orphans, 1);
	assert_string_equal(
		reply->orphans->orphans[0]->backing_id, "abababababababababababababababab");
	assert_answered(rig_call(&rig, RIG_ALICE, &request), SLK_DENIED);
	assert_true(fake_hsm_holds(rig.link, id));
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(deletion_waits_for_both_clocks_and_leaves_a_tombstone),
		CASE(key_is_not_destroyed_before_its_line_is_on_disk),
		CASE(what_it_does_by_itself_needs_no_request_to_be_audited),
		CASE(many_keys_end_at_once_with_a_line_each),
		CASE(key_that_ends_while_others_are_destroyed_is_not_passed_over),
		CASE(calls_in_flight_at_a_stop_are_answered),
		CASE(destruction_goes_on_after_a_restart),
		CASE(old_material_still_decrypts_after_rotations),
		CASE(orphan_is_listed_and_left_alone),
	};

	return cmocka_run_group_tests_name("kms_service_life", tests, NULL, NULL);
}
