/* Threats, rows 3, 5 and 8, through front, worker and token (SoftHSM behind the shim in CloudHSM mode): a key that the token
 * handles badly is refused with an exception and an alarm, every other key is served, nothing is deleted, and the key is
 * back when the token is in order again. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kmsclient/crypto.h"
#include "kmsclient/life.h"
#include "kmsd_rig.h"

static struct kmsd_rig rig;
static struct slk_error err;

/* A key with a data key wrapped under it. */
struct subject {
	struct kmsc_key key;
	struct kmsc_ciphertext blob;
	uint8_t plain[32];
};
static struct subject victim, other;

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

/* --- what a key can do --- */

static int
wraps(const struct subject *s)
{
	struct kmsc_ciphertext blob;
	struct slk_secret *plain = NULL;
	int rc = kmsc_data_key(rig.client, s->key.arn, NULL, 32, &blob, &plain, &err);

	assert_true((rc == SLK_OK) == (plain != NULL));
	slk_secret_free(plain);
	return rc;
}

static int
unwraps(const struct subject *s)
{
	struct kmsc_plaintext back = {.bytes = NULL};
	int rc = kmsc_decrypt_with(
		rig.client, NULL, NULL, NULL, slk_span(s->blob.bytes, s->blob.len), &back, &err);

	assert_true((rc == SLK_OK) == (back.bytes != NULL));
	if (rc == SLK_OK) {
		assert_int_equal(slk_secret_len(back.bytes), 32);
		assert_memory_equal(slk_secret_peek(back.bytes), s->plain, 32);
	}
	slk_secret_free(back.bytes);
	return rc;
}

static int
moves(const struct subject *from, const struct subject *to)
{
	const struct kmsc_re_encryption how = {.key_id = to->key.arn};
	struct kmsc_re_encrypted out;

	return kmsc_re_encrypt(
		rig.client, &how, slk_span(from->blob.bytes, from->blob.len), &out, &err);
}

static void
make(struct subject *s)
{
	struct slk_secret *plain = NULL;

	ok(kmsc_create_key(rig.client, "", &s->key, &err));
	ok(kmsc_data_key(rig.client, s->key.arn, NULL, 32, &s->blob, &plain, &err));
	memcpy(s->plain, slk_secret_peek(plain), 32);
	slk_secret_free(plain);
}

static void
assert_serves(const struct subject *s)
{
	ok(wraps(s));
	ok(unwraps(s));
}

static void
assert_refused(int rc, const char *why)
{
	assert_int_equal(rc, SLK_HSM);
	assert_non_null(strstr(err.text, "KMSInternalException"));
	if (strstr(err.text, why) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, why);
}

/* The front asks about once a second. */
static void
wait_keys_refused(uint32_t count)
{
	uint64_t limit_ns = slk_mono_ns(slk_clock_system()) + 10 * SLK_NS_PER_S;
	struct kmsc_status status;

	for (;;) {
		ok(kmsc_status(rig.client, &status, &err));
		assert_true(status.hsm_ok); /* the token is not thought lost */
		if (status.hsm_workers[0].keys_refused == count)
			return;
		if (slk_mono_ns(slk_clock_system()) > limit_ns)
			fail_msg("%u keys are refused and not %u",
				status.hsm_workers[0].keys_refused, count);
		usleep(20000);
	}
}

static void
assert_audited(const char *text)
{
	static char log[1 << 20];
	char path[128];

	snprintf(path, sizeof(path), "%s/kms/audit.log", rig.base);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	size_t n = fread(log, 1, sizeof(log) - 1, f);
	fclose(f);
	log[n] = '\0';
	if (strstr(log, text) == NULL)
		fail_msg("the audit log does not say '%s'", text);
}

static void
start(void)
{
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	make(&victim);
	make(&other);
}

static int
setup(void **state)
{
	(void)state;
	kmsd_rig_init(&rig);
	rig.log_level = "warn";
	start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kmsd_rig_fini(&rig);
	return 0;
}

/* --- row 3: who makes the IV, and how badly --- */

/* The IV of a blob is the one that the HSM wrote, and differs each time. */
static void
ivs_of_the_hsm_are_stored_in_the_blob(void **state)
{
	(void)state;
	static const uint8_t zero[12];
	struct kmsc_ciphertext blobs[16];
	struct slk_secret *plain = NULL;

	for (size_t i = 0; i < 16; i++) {
		ok(kmsc_data_key(rig.client, victim.key.arn, NULL, 32, &blobs[i], &plain, &err));
		slk_secret_free(plain);
		assert_memory_not_equal(blobs[i].bytes + 40, zero, 12);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(blobs[i].bytes + 40, blobs[k].bytes + 40, 12);
	}
	assert_serves(&victim);
}

/* Nothing is wrapped any more under material that the token was careless with; what is there opens and can move away, and
 * new material serves. */
static void
assert_quarantined(void)
{
	assert_refused(wraps(&victim), "IV");
	assert_refused(moves(&other, &victim), "IV");
	ok(unwraps(&victim));
	ok(moves(&victim, &other));
	assert_serves(&other);
	wait_keys_refused(1);
	assert_true(kmsd_rig_logged(&rig, "key quarantined"));
	assert_audited("\"eventName\":\"GenerateDataKey\"");
	assert_audited("KMSInternalException");
}

static void
assert_rotation_helps(void)
{
	struct kmsc_rotation rotation;

	ok(kmsc_rotate_key_on_demand(rig.client, victim.key.id, &rotation, &err));
	assert_serves(&victim); /* the old blob opens, too */
	ok(moves(&victim, &victim));
}

static void
a_repeated_iv_quarantines_its_key_and_no_other(void **state)
{
	(void)state;
	atomic_store(&rig.hsm.shim->same_iv, 1);
	ok(wraps(&victim)); /* the IV for the first time */
	assert_refused(wraps(&victim), "repeated IV");
	atomic_store(&rig.hsm.shim->same_iv, 0);
	assert_quarantined();
	/* The loss of the token does not end it. */
	p11shim_fail(rig.hsm.shim, P11SHIM_C_Decrypt, 1, 0x32 /* CKR_DEVICE_REMOVED */);
	ok(unwraps(&victim));
	assert_refused(wraps(&victim), "IV");
	assert_rotation_helps();
}

/* The trap of a token that takes the zeroed buffer for an IV. */
static void
an_iv_of_zeros_quarantines_its_key_and_no_other(void **state)
{
	(void)state;
	atomic_store(&rig.hsm.shim->hsm_iv, 0);
	assert_refused(wraps(&victim), "zero");
	atomic_store(&rig.hsm.shim->hsm_iv, 1);
	assert_quarantined();
	assert_rotation_helps();
}

/* At start it is worse: nothing at all is wrapped, and the sentence says why. */
static void
a_token_that_leaves_ivs_zero_is_refused_at_start(void **state)
{
	(void)state;
	uint64_t limit_ns = slk_mono_ns(slk_clock_system()) + 10 * SLK_NS_PER_S;
	struct kmsc_status status;
	struct kmsc_key key;

	assert_int_equal(kmsd_rig_stop(&rig), 0);
	atomic_store(&rig.hsm.shim->hsm_iv, 0);
	kmsd_rig_start(&rig);
	while (kmsc_status(rig.client, &status, &err) != SLK_OK ||
		strcmp(status.hsm_state, "failed") != 0) {
		assert_true(slk_mono_ns(slk_clock_system()) < limit_ns);
		usleep(5000);
	}
	assert_non_null(strstr(status.hsm_error, "IV all zero"));
	assert_int_equal(wraps(&victim), SLK_UNAVAILABLE);
	assert_non_null(strstr(err.text, "KeyUnavailableException"));
	assert_int_equal(unwraps(&victim), SLK_UNAVAILABLE);
	assert_int_equal(kmsc_create_key(rig.client, "", &key, &err), SLK_UNAVAILABLE);
	ok(kmsc_describe_key(rig.client, victim.key.id, &key, &err));
	assert_string_equal(key.state, "Unavailable");
}

/* --- row 8: the object on the token is not the one that was made --- */

/* The victim's material is what the shim lies about; the next worker looks at it anew. */
static void
lie_about(_Atomic uint32_t *lie)
{
	memcpy(rig.hsm.shim->victim_id, victim.blob.bytes + 24, 16);
	atomic_store(&rig.hsm.shim->victim, 1);
	atomic_store(lie, 1);
	kmsd_rig_replace(&rig, kmsd_rig_worker);
}

static void
refused_while_it_lasts(_Atomic uint32_t *lie, const char *why)
{
	struct kmsc_key key;

	lie_about(lie);
	assert_refused(wraps(&victim), why);
	assert_refused(unwraps(&victim), why);
	assert_refused(moves(&victim, &other), why);
	assert_refused(moves(&other, &victim), why);
	assert_serves(&other);
	assert_true(kmsd_rig_logged(&rig, "key refused"));
	wait_keys_refused(1);
	/* Its row is untouched, and so is the object: both are needed again. */
	ok(kmsc_describe_key(rig.client, victim.key.id, &key, &err));
	assert_string_equal(key.state, "Enabled");
	assert_string_equal(key.backing_id, victim.key.backing_id);
	atomic_store(lie, 0);
	kmsd_rig_replace(&rig, kmsd_rig_worker);
	assert_serves(&victim);
	assert_serves(&other);
}

static void
an_extractable_object_is_refused_and_others_served(void **state)
{
	(void)state;
	refused_while_it_lasts(&rig.hsm.shim->extractable, "CKA_EXTRACTABLE");
}

static void
another_check_value_is_refused_and_others_served(void **state)
{
	(void)state;
	refused_while_it_lasts(&rig.hsm.shim->other_kcv, "check value");
}

static void
two_objects_with_one_id_are_refused_and_others_served(void **state)
{
	(void)state;
	refused_while_it_lasts(&rig.hsm.shim->doubled, "more than one");
}

/* --- row 5, on a real token --- */

static struct fmt_context *
context_of(const char *const *pairs)
{
	struct fmt_context *c = NULL;

	assert_ok(fmt_context_new(&c));
	for (; *pairs != NULL; pairs += 2)
		assert_ok(fmt_context_add(c, slk_span_str(pairs[0]), slk_span_str(pairs[1])));
	return c;
}

static void
only_the_same_context_opens(void **state)
{
	(void)state;
	static const char *const sealed[] = {"a", "1", "b", "2", NULL};
	static const char *const others[][7] = {{NULL}, {"a", "1", NULL},
		{"a", "1", "b", "3", NULL}, {"a", "1", "B", "2", NULL},
		{"a", "1", "b", "2", "c", "3", NULL}, {"a", "2", "b", "1", NULL},
		{"a1", "b2", NULL}};
	static const char *const reordered[] = {"b", "2", "a", "1", NULL};
	struct fmt_context *context = context_of(sealed);
	struct kmsc_ciphertext blob;
	struct slk_secret *plain = NULL;
	struct kmsc_plaintext back = {.bytes = NULL};

	ok(kmsc_data_key(rig.client, victim.key.arn, context, 32, &blob, &plain, &err));
	slk_secret_free(plain);
	fmt_context_free(context);
	const struct slk_span bytes = slk_span(blob.bytes, blob.len);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		context = context_of(others[i]);
		assert_int_equal(
			kmsc_decrypt_with(rig.client, NULL, NULL, context, bytes, &back, &err),
			SLK_INVALID_CIPHERTEXT);
		assert_null(back.bytes);
		fmt_context_free(context);
	}
	context = context_of(reordered);
	ok(kmsc_decrypt_with(rig.client, NULL, NULL, context, bytes, &back, &err));
	slk_secret_free(back.bytes);
	fmt_context_free(context);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ivs_of_the_hsm_are_stored_in_the_blob),
		T(a_repeated_iv_quarantines_its_key_and_no_other),
		T(an_iv_of_zeros_quarantines_its_key_and_no_other),
		T(a_token_that_leaves_ivs_zero_is_refused_at_start),
		T(an_extractable_object_is_refused_and_others_served),
		T(another_check_value_is_refused_and_others_served),
		T(two_objects_with_one_id_are_refused_and_others_served),
		T(only_the_same_context_opens),
	};

	setenv("SLK_TEST_TOKEN", "cloudhsm", 1);
	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("kmsd_threats", tests, NULL, NULL);
}
