/* Threats, row 9: the front is killed at every disk call of CreateKey, RotateKeyOnDemand and the destruction of a key,
 * with the HSM having done its part, having done it unheard, or not having done it. After the restart every key is
 * usable or absent, what was answered is there, and the token has no object without a row. */
#include "slk_test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "faultvfs.h"
#include "kms_rig.h"

#define CALLS_MAX 200u

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];
static uint8_t blob[512];
static size_t blob_len;

#define ASK(CASE, key) rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_##CASE, (key))

/* What the HSM does while the front dies. */
enum hsm { HSM_WELL, HSM_UNHEARD, HSM_AWAY, HSM_WAYS };

static void
disarm(struct kms_rig *r)
{
	(void)r;
	faultvfs_arm(0, false, SQLITE_OK);
}

static void
tick_turns(unsigned turns)
{
	kms_service_tick(rig.service);
	while (turns-- > 0)
		rig_turn(&rig);
}

/* A key with a blob under it. */
static void
begin(void)
{
	disarm(NULL);
	rig_start(&rig, "");
	rig.closed = disarm;
	rig_new_key(&rig, key_arn);
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key_arn, "", slk_span_str("text"));
	assert_answered(reply, SLK_OK);
	blob_len = reply->cipher->blob.len;
	memcpy(blob, reply->cipher->blob.data, blob_len);
}

/* From here on no disk call succeeds from the n-th on; and nothing that is done afterwards reaches the disk. */
static void
arm(unsigned n, enum hsm hsm)
{
	if (hsm == HSM_UNHEARD)
		fake_hsm_lose_answer(rig.link, SLK_UNAVAILABLE);
	if (hsm == HSM_AWAY)
		fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	faultvfs_arm(n, true, SQLITE_IOERR_WRITE);
}

/* The front dies and is started again; the HSM is well. */
static void
die_and_start_again(void)
{
	fake_hsm_fail(rig.link, SLK_OK, 0);
	fake_hsm_lose_answer(rig.link, SLK_OK);
	rig_restart(&rig);
	for (int i = 0; i < 3; i++)
		tick_turns(4);
}

/* --- what must hold --- */

static const Kmsp__Keys *
list_keys(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List call = KMSP__LIST__INIT;

	request.call_case = KMSP__REQUEST__CALL_LIST_KEYS;
	request.list_keys = &call;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_answered(reply, SLK_OK);
	return reply->keys;
}

static size_t
orphans_count(void)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List call = KMSP__LIST__INIT;

	request.call_case = KMSP__REQUEST__CALL_LIST_ORPHANS;
	request.list_orphans = &call;
	const Kmsp__Reply *reply = rig_call(&rig, RIG_ROOT, &request);
	assert_answered(reply, SLK_OK);
	return reply->orphans->n_orphans;
}

static void
assert_usable(const char *arn)
{
	uint8_t wrapped[512];

	const Kmsp__Reply *reply = rig_describe_key(&rig, RIG_ROOT, arn);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->key->state, "Enabled");
	reply = rig_generate(&rig, RIG_ROOT, arn, "", true);
	assert_answered(reply, SLK_OK);
	size_t len = reply->cipher->blob.len;
	memcpy(wrapped, reply->cipher->blob.data, len);
	assert_answered(rig_decrypt(&rig, RIG_ROOT, "", "", slk_span(wrapped, len)), SLK_OK);
}

static void
assert_opens_what_it_sealed(void)
{
	const Kmsp__Reply *reply = rig_decrypt(&rig, RIG_ROOT, "", "", slk_span(blob, blob_len));

	assert_answered(reply, SLK_OK);
	assert_memory_equal(reply->cipher->plaintext.data, "text", 4);
}

/* Every key that is listed is usable; how many there are. */
static size_t
assert_all_usable(void)
{
	char arns[4][KMS_ARN_MAX];
	const Kmsp__Keys *keys = list_keys();
	size_t count = keys->n_keys;

	assert_in_range(count, 0, 4);
	for (size_t i = 0; i < count; i++)
		snprintf(arns[i], sizeof(arns[i]), "%s", keys->keys[i]->arn);
	for (size_t i = 0; i < count; i++)
		assert_usable(arns[i]);
	assert_int_equal(orphans_count(), 0);
	return count;
}

/* --- sweeps --- */

static bool
die_in_create(unsigned n, enum hsm hsm)
{
	char arn[KMS_ARN_MAX] = "";

	begin();
	arm(n, hsm);
	const Kmsp__Reply *reply = rig_create_key(&rig, RIG_ROOT, "second");
	bool hit = faultvfs_hit(), answered = reply->status == SLK_OK;
	if (answered)
		snprintf(arn, sizeof(arn), "%s", reply->key->arn);
	die_and_start_again();
	assert_true(fake_hsm_keys_count(rig.link) == assert_all_usable());
	assert_opens_what_it_sealed();
	if (answered)
		assert_usable(arn);
	rig_stop(&rig);
	return hit;
}

static bool
die_in_rotate(unsigned n, enum hsm hsm)
{
	begin();
	arm(n, hsm);
	bool answered = ASK(ROTATE_KEY_ON_DEMAND, key_arn)->status == SLK_OK;
	bool hit = faultvfs_hit();
	die_and_start_again();
	assert_int_equal(assert_all_usable(), 1);
	assert_opens_what_it_sealed();
	size_t generations = ASK(LIST_KEY_ROTATIONS, key_arn)->rotations->n_rotations;
	assert_int_equal(generations, fake_hsm_keys_count(rig.link));
	assert_true(generations == 2 || (generations == 1 && !answered));
	rig_stop(&rig);
	return hit;
}

/* A key with two generations whose time has come. */
static bool
die_in_destroy(unsigned n, enum hsm hsm)
{
	begin();
	assert_answered(ASK(ROTATE_KEY_ON_DEMAND, key_arn), SLK_OK);
	assert_answered(ASK(SCHEDULE_KEY_DELETION, key_arn), SLK_OK);
	rig.wall_ns += 7 * KMS_DAY_NS;
	rig.mono_ns += 7 * KMS_DAY_NS;
	arm(n, hsm);
	for (int i = 0; i < 3; i++)
		tick_turns(4);
	bool hit = faultvfs_hit();
	rig.mono_ns += 7 * KMS_DAY_NS; /* what was not written was not waited */
	die_and_start_again();
	rig.mono_ns += 7 * KMS_DAY_NS;
	for (int i = 0; i < 3; i++)
		tick_turns(4);
	assert_answered(ASK(DESCRIBE_KEY, key_arn), SLK_NOT_FOUND);
	assert_int_equal(list_keys()->n_keys, 0);
	assert_int_equal(fake_hsm_keys_count(rig.link), 0);
	assert_string_equal(
		rig_decrypt(&rig, RIG_ROOT, "", "", slk_span(blob, blob_len))->exception,
		"InvalidCiphertextException");
	assert_contains(rig_audit(&rig), "\"eventName\":\"DeleteKey\"");
	rig_stop(&rig);
	return hit;
}

static void
sweep(bool (*die)(unsigned, enum hsm))
{
	for (enum hsm hsm = HSM_WELL; hsm < HSM_WAYS; hsm++) {
		unsigned n = 1;
		while (die(n, hsm))
			assert_true(++n < CALLS_MAX);
		assert_true(n > 4);
	}
}

static void
front_killed_anywhere_in_create_leaves_usable_keys_or_none(void **state)
{
	(void)state;
	sweep(die_in_create);
}

static void
front_killed_anywhere_in_rotate_leaves_a_usable_key(void **state)
{
	(void)state;
	sweep(die_in_rotate);
}

static void
front_killed_anywhere_in_destroy_finishes_it(void **state)
{
	(void)state;
	sweep(die_in_destroy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(front_killed_anywhere_in_create_leaves_usable_keys_or_none),
		cmocka_unit_test(front_killed_anywhere_in_rotate_leaves_a_usable_key),
		cmocka_unit_test(front_killed_anywhere_in_destroy_finishes_it),
	};

	faultvfs_install();
	return cmocka_run_group_tests_name("kms_service_kill", tests, NULL, NULL);
}
