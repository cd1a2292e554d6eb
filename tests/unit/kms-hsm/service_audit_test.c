/* The service and its audit log: signed heads, what callers call their requests, a disk that is full or hangs. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "audit_check.h"
#include "kms_rig.h"
#include "seal/audithead.h"

#define POLICY "  - {effect: Allow, principals: [user/alice], actions: ['*'], resources: ['*']}\n"

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
	rig.head_interval_s = 60;
	rig_restart(&rig);
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

static void
ticks(unsigned count)
{
	for (; count > 0; count--) {
		kms_service_tick(rig.service);
		rig_turn(&rig);
		rig_turn(&rig);
	}
}

/* --- heads --- */

struct heads {
	unsigned count;
	struct fmt_audit_point of;
	uint8_t key[SEAL_AUDIT_KEY_MAX];
	size_t key_len;
};

static int
on_line(void *arg, const struct fmt_audit_line *line, struct slk_span text, uint64_t offset)
{
	struct heads *h = arg;

	(void)text;
	(void)offset;
	if (line->kind != FMT_AUDIT_HEAD)
		return SLK_OK;
	assert_ok(seal_audit_head_verify(line, h->key, &h->key_len));
	h->of = line->named;
	h->count++;
	return SLK_OK;
}

/* All heads of a sound log, whose signatures fit. */
static struct heads
heads(void)
{
	struct seal_scan_result result;
	struct seal_scan *scan = NULL;
	struct heads h = {.count = 0};
	uint8_t *bytes;
	size_t len = audit_read_bytes(rig.audit_path, &bytes);

	assert_ok(seal_scan_new(1024, &scan));
	if (seal_scan_file(scan, slk_span(bytes, len), on_line, &h, &result) != SLK_OK)
		fail_msg("%s", result.text);
	if (h.count > 0) {
		char hash[FMT_AUDIT_HASH_TEXT];
		assert_ok(seal_scan_hash(scan, h.of.seq, hash));
		assert_string_equal(hash, h.of.hash);
	}
	seal_scan_free(scan);
	return h;
}

static void
head_is_signed_after_its_interval_and_not_again_without_a_line(void **state)
{
	(void)state;
	ticks(3);
	assert_int_equal(heads().count, 0);
	rig.mono_ns += 60 * SLK_NS_PER_S;
	ticks(3); /* the key is made first */
	struct heads h = heads();
	assert_int_equal(h.count, 1);
	assert_true(h.of.seq >= 1);
	rig.mono_ns += 600 * SLK_NS_PER_S;
	ticks(3);
	assert_int_equal(heads().count, 1);
	rig_describe_key(&rig, RIG_ROOT, key_arn);
	ticks(3);
	struct heads again = heads();
	assert_int_equal(again.count, 2);
	assert_true(again.of.seq > h.of.seq);
	assert_memory_equal(again.key, h.key, h.key_len);
}

static void
head_is_signed_at_once_after_rotation_of_the_file(void **state)
{
	(void)state;
	char rotated[320];

	rig.mono_ns += 60 * SLK_NS_PER_S;
	ticks(3);
	snprintf(rotated, sizeof(rotated), "%s.1", rig.audit_path);
	assert_int_equal(rename(rig.audit_path, rotated), 0);
	rig_describe_key(&rig, RIG_ROOT, key_arn);
	ticks(2);
	assert_int_equal(heads().count, 1);
	assert_true(heads().of.seq > 0);
}

static void
stop_signs_what_is_not_signed_yet_and_makes_no_key_for_it(void **state)
{
	(void)state;
	size_t keys = fake_hsm_keys_count(rig.link);

	kms_service_stop(rig.service);
	rig_turn(&rig);
	assert_true(kms_service_quiet(rig.service));
	assert_int_equal(heads().count, 0);
	assert_int_equal(fake_hsm_keys_count(rig.link), keys);
	rig_restart(&rig);
	rig.mono_ns += 60 * SLK_NS_PER_S;
	ticks(3);
	rig_describe_key(&rig, RIG_ROOT, key_arn);
	assert_int_equal(heads().count, 1);
	kms_service_stop(rig.service);
	assert_false(kms_service_quiet(rig.service));
	rig_turn(&rig);
	rig_turn(&rig);
	assert_true(kms_service_quiet(rig.service));
	assert_int_equal(heads().count, 2);
}

static void
head_waits_for_the_hsm_and_no_answer_waits_for_the_head(void **state)
{
	(void)state;
	rig.mono_ns += 60 * SLK_NS_PER_S;
	ticks(3);
	rig_describe_key(&rig, RIG_ROOT, key_arn);
	rig.mono_ns += 60 * SLK_NS_PER_S;
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	ticks(1);
	assert_int_equal(heads().count, 1);
	assert_answered(rig_describe_key(&rig, RIG_ROOT, key_arn), SLK_OK);
	fake_hsm_fail(rig.link, SLK_OK, 0);
	ticks(1);
	assert_int_equal(heads().count, 1);
	rig.mono_ns += 5 * SLK_NS_PER_S;
	ticks(2);
	assert_int_equal(heads().count, 2);
}

static void
nobody_else_has_a_head_signed(void **state)
{
	(void)state;
	static uint8_t digest[32];
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Attest call = KMSP__ATTEST__INIT;
	static const uid_t uids[] = {RIG_ROOT, RIG_INGEST, RIG_ALICE};

	call.purpose = (char *)(uintptr_t) "audit";
	call.digest = (ProtobufCBinaryData){sizeof(digest), digest};
	request.call_case = KMSP__REQUEST__CALL_ATTEST;
	request.attest = &call;
	for (size_t i = 0; i < 3; i++) {
		const Kmsp__Reply *reply = rig_call(&rig, uids[i], &request);
		assert_answered(reply, SLK_DENIED);
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_SIGN), 0);
}

/* --- correlation --- */

static const Kmsp__Reply *
describe_as(const char *correlation)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = key_arn;
	request.correlation = (char *)(uintptr_t)correlation;
	request.call_case = KMSP__REQUEST__CALL_DESCRIBE_KEY;
	request.describe_key = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
what_the_caller_calls_its_request_is_in_the_line(void **state)
{
	(void)state;
	char text[100];

	assert_answered(describe_as("order-4711"), SLK_OK);
	assert_contains(rig_audit_last(&rig), "\"correlationId\":\"order-4711\"");
	memset(text, 'x', 65);
	text[65] = '\0';
	assert_answered(describe_as(text), SLK_INVALID);
	assert_lacks(rig_audit_last(&rig), "xxxx");
	text[64] = '\0';
	assert_answered(describe_as(text), SLK_OK);
	assert_contains(rig_audit_last(&rig), text);
}

/* --- sinks --- */

/* Threats, rows 23 and 24: a full disk gives nothing out, and its refusals are logged on what the reserve gave up. */
static void
full_disk_refuses_with_a_line_until_it_has_room(void **state)
{
	(void)state;
	kms_audit_reserve(rig.audit, 100000);
	faultfs_init(&rig.ff, slk_fs_posix(), FAULTFS_WRITE, 1, false, SLK_DISK_FULL);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
	size_t asked = fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY);
	faultfs_init(&rig.ff, slk_fs_posix(), 0, 0, false, SLK_DISK_FULL);
	const Kmsp__Reply *reply = rig_generate(&rig, RIG_ALICE, key_arn, "", false);
	assert_answered(reply, SLK_UNAVAILABLE);
	assert_string_equal(reply->exception, "KMSInternalException");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), asked);
	assert_contains(
		rig_audit_last(&rig), "\"errorMessage\":\"the disk of the audit log is full");
	assert_answered(rig_status(&rig, RIG_ALICE), SLK_OK);
	ticks(1);
	assert_answered(rig_generate(&rig, RIG_ALICE, key_arn, "", false), SLK_OK);
	audit_sound(rig.audit_path);
}

static bool flush_ended;
static uint64_t waited_ns; /* the longest that a flush was waited for in place */

static int
start_flush(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return SLK_OK;
}

static int
reap_flush(void *ctx, uint64_t wait_ns, int *out_result)
{
	(void)ctx;
	*out_result = SLK_OK;
	waited_ns = wait_ns > waited_ns ? wait_ns : waited_ns;
	return flush_ended || wait_ns == UINT64_MAX ? SLK_OK : SLK_AGAIN;
}

static const struct kms_flush_ops hanging_disk = {start_flush, reap_flush, NULL};

static void
begin_describe(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = key_arn;
	request.call_case = KMSP__REQUEST__CALL_DESCRIBE_KEY;
	request.describe_key = &call;
	rig_begin(&rig, RIG_ROOT, &request);
}

static void
hanging_disk_refuses_at_the_deadline_and_goes_on_by_itself(void **state)
{
	(void)state;
	unsigned before = rig.answers;

	flush_ended = false;
	kms_audit_background(rig.audit, &hanging_disk);
	begin_describe();
	rig_turn(&rig);
	assert_int_equal(rig.answers, before);
	assert_int_equal(kms_service_wake_ns(rig.service), rig.mono_ns + KMS_AUDIT_DEADLINE_NS);
	rig.mono_ns += KMS_AUDIT_DEADLINE_NS;
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 1);
	assert_answered(rig_last(&rig), SLK_UNAVAILABLE);
	begin_describe(); /* the next one does not wait */
	rig_turn(&rig);
	assert_int_equal(rig.answers, before + 2);
	assert_answered(rig_last(&rig), SLK_UNAVAILABLE);
	flush_ended = true;
	assert_answered(rig_describe_key(&rig, RIG_ROOT, key_arn), SLK_OK);
	rig_turn(&rig);
	assert_contains(rig_audit_last(&rig), "{\"kind\":\"withheld\"");
	kms_audit_background(rig.audit, NULL);
	audit_sound(rig.audit_path);
}

/* Answers leave at the end of the turn: the flush of those that come after them is not waited for before. */
static void
answers_do_not_wait_for_the_next_flush(void **state)
{
	(void)state;
	unsigned before = rig.answers;

	flush_ended = false;
	kms_audit_background(rig.audit, &hanging_disk);
	begin_describe();
	rig_turn(&rig);
	assert_true(waited_ns > 0); /* alone */
	begin_describe();
	waited_ns = 0;
	flush_ended = true;
	kms_service_flush(rig.service);
	assert_int_equal(rig.answers, before + 1);
	assert_int_equal(waited_ns, 0);
	kms_service_flush(rig.service);
	assert_int_equal(rig.answers, before + 2);
	kms_audit_background(rig.audit, NULL);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(head_is_signed_after_its_interval_and_not_again_without_a_line),
		CASE(head_is_signed_at_once_after_rotation_of_the_file),
		CASE(stop_signs_what_is_not_signed_yet_and_makes_no_key_for_it),
		CASE(head_waits_for_the_hsm_and_no_answer_waits_for_the_head),
		CASE(nobody_else_has_a_head_signed),
		CASE(what_the_caller_calls_its_request_is_in_the_line),
		CASE(full_disk_refuses_with_a_line_until_it_has_room),
		CASE(answers_do_not_wait_for_the_next_flush),
		CASE(hanging_disk_refuses_at_the_deadline_and_goes_on_by_itself),
	};

	return cmocka_run_group_tests_name("kms_service_audit", tests, NULL, NULL);
}
