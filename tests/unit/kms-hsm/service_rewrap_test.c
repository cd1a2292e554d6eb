/* A data key that was re-encrypted in time outlives the destruction of the key that it was generated under. */
#include "slk_test.h"

#include <string.h>

#include "format/blob.h"
#include "kms_rig.h"

#define CONTEXT "aws:kinesis:arn=s"

static struct kms_rig rig;
static char from[KMS_ARN_MAX], to[KMS_ARN_MAX];

struct kept {
	uint8_t bytes[FMT_BLOB_MAX];
	size_t len;
};

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, from);
	rig_new_key(&rig, to);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static struct slk_span
keep(ProtobufCBinaryData bytes, struct kept *out)
{
	assert_in_range(bytes.len, 1, sizeof(out->bytes));
	memcpy(out->bytes, bytes.data, bytes.len);
	out->len = bytes.len;
	return slk_span(out->bytes, out->len);
}

static const Kmsp__Reply *
schedule_deletion(const char *key, uint32_t days)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ScheduleKeyDeletion call = KMSP__SCHEDULE_KEY_DELETION__INIT;

	call.key = (char *)(uintptr_t)key;
	call.pending_window_days = days;
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION;
	request.schedule_key_deletion = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
days_pass(unsigned days)
{
	for (unsigned i = 0; i < days; i++) {
		rig.mono_ns += KMS_DAY_NS;
		rig.wall_ns += KMS_DAY_NS;
		kms_service_tick(rig.service);
		for (int turn = 0; turn < 5; turn++)
			rig_turn(&rig);
	}
}

static void
a_rewrapped_data_key_outlives_the_key_it_came_from(void **state)
{
	(void)state;
	static struct kept old_blob, new_blob;
	uint8_t plain[32];

	const Kmsp__Reply *reply = rig_generate(&rig, RIG_ROOT, from, CONTEXT, false);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->cipher->plaintext.len, sizeof(plain));
	memcpy(plain, reply->cipher->plaintext.data, sizeof(plain));
	struct slk_span before = keep(reply->cipher->blob, &old_blob);
	const struct rig_re how = {
		.source_context = CONTEXT, .key = to, .context = CONTEXT, .source_key = ""};
	reply = rig_re_encrypt(&rig, RIG_ROOT, before, &how);
	assert_answered(reply, SLK_OK);
	struct slk_span after = keep(reply->re_encrypted->blob, &new_blob);

	size_t keys = fake_hsm_keys_count(rig.link);
	assert_answered(schedule_deletion(from, 7), SLK_OK);
	assert_answered(rig_decrypt(&rig, RIG_ROOT, "", CONTEXT, before), SLK_INVALID_STATE);
	days_pass(9);
	assert_int_equal(fake_hsm_keys_count(rig.link), keys - 1);
	assert_answered(rig_decrypt(&rig, RIG_ROOT, "", CONTEXT, before), SLK_INVALID_CIPHERTEXT);
	reply = rig_decrypt(&rig, RIG_ROOT, "", CONTEXT, after);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->cipher->key_arn, to);
	assert_int_equal(reply->cipher->plaintext.len, sizeof(plain));
	assert_memory_equal(reply->cipher->plaintext.data, plain, sizeof(plain));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_rewrapped_data_key_outlives_the_key_it_came_from, setup, teardown),
	};

	return cmocka_run_group_tests_name("kms_service_rewrap", tests, NULL, NULL);
}
