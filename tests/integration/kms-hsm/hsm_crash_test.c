/* Half-made and foreign objects: workers killed while they make or destroy keys, and what a stranger left on the token. */
#include "slk_test.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "hsm_rig.h"
#include "p11_direct.h"

static struct hsm_rig rig;

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	hsm_rig_fini(&rig);
	return 0;
}

static struct hsm_request
pair_request(enum hsm_op op, uint8_t fill)
{
	struct hsm_request q = {
		.op = op, .spec = KMS_SPEC_ECC_NIST_P256, .usage = KMS_USAGE_SIGN_VERIFY};

	memset(q.key_id, fill, sizeof(q.key_id));
	return q;
}

struct answer {
	bool done;
	struct hsm_reply reply;
};

static void
keep(void *arg, const struct hsm_reply *reply)
{
	struct answer *a = arg;

	a->done = true;
	a->reply = *reply;
}

static void
wait_for(struct answer *a)
{
	for (int i = 0; i < 1000 && !a->done; i++) {
		struct pollfd p = {.fd = hsm_link_fd(rig.link), .events = POLLIN};
		(void)poll(&p, 1, 20);
		assert_ok(hsm_link_poll(rig.link));
	}
	assert_true(a->done);
}

/* The worker dies before the n-th call of f that the request leads to, and the next one gets the request again. False: there
 * was no such call. */
static bool
crash_at(const struct hsm_request *q, enum p11shim_function f, uint64_t n, struct hsm_reply *out)
{
	struct answer a = {.done = false};

	uint64_t at = p11shim_fail_nth(rig.shim, f, n, P11SHIM_CRASH);
	assert_ok(hsm_link_submit(rig.link, q, keep, &a));
	while (!a.done && p11shim_calls(rig.shim, f) < at) {
		struct pollfd p = {.fd = hsm_link_fd(rig.link), .events = POLLIN};
		(void)poll(&p, 1, 5);
		assert_ok(hsm_link_poll(rig.link));
	}
	bool crashed = !a.done;
	if (crashed) {
		hsm_rig_wait_end(&rig);
		assert_int_equal(rig.exit_code, 128 + SIGKILL);
		p11shim_heal(rig.shim, f);
		hsm_rig_start(&rig);
		wait_for(&a);
	}
	p11shim_heal(rig.shim, f);
	*out = a.reply;
	return crashed;
}

static int
call(struct hsm_request q, struct hsm_reply *out)
{
	hsm_rig_call(&rig, &q, out);
	return out->status;
}

static int
sign(uint8_t fill, const uint8_t *kcv)
{
	static const uint8_t digest[32] = {1};
	struct hsm_request q = pair_request(HSM_SIGN, fill);
	struct hsm_reply reply;

	memcpy(q.kcv, kcv, 3);
	q.algorithm = KMS_ALG_ECDSA_SHA_256;
	q.data = slk_span(digest, sizeof(digest));
	return call(q, &reply);
}

static size_t
listed(void)
{
	struct hsm_request q = {.op = HSM_LIST_KEYS, .length = HSM_LIST_MAX};
	struct hsm_reply reply;

	assert_ok(call(q, &reply));
	return reply.output.len / HSM_LIST_ENTRY_BYTES;
}

static uint8_t *
create_pair(uint8_t fill)
{
	static uint8_t kcv[3];
	struct hsm_reply reply;

	assert_ok(call(pair_request(HSM_CREATE_KEY, fill), &reply));
	memcpy(kcv, reply.kcv, 3);
	return kcv;
}

static const enum p11shim_function steps[] = {P11SHIM_C_FindObjectsInit, P11SHIM_C_GenerateKeyPair,
	P11SHIM_C_GetAttributeValue, P11SHIM_C_SignInit, P11SHIM_C_Sign, P11SHIM_C_DestroyObject};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

static void
a_worker_killed_at_any_call_of_a_creation_is_finished_by_the_next(void **state)
{
	(void)state;
	struct hsm_reply reply;
	uint8_t fill = 1;

	for (size_t i = 0; i < STEPS; i++) {
		for (uint64_t n = 1;; n++, fill++) {
			struct hsm_request q = pair_request(HSM_CREATE_KEY, fill);
			bool crashed = crash_at(&q, steps[i], n, &reply);
			assert_ok(reply.status);
			assert_ok(sign(fill, reply.kcv));
			if (!crashed)
				break;
		}
	}
	assert_int_equal(listed(), fill);
	assert_true(fill > 5);
}

static void
a_worker_killed_at_any_call_of_a_destruction_is_finished_by_the_next(void **state)
{
	(void)state;
	struct hsm_reply reply;
	unsigned crashes = 0;

	for (size_t i = 0; i < STEPS; i++) {
		bool crashed = true;
		for (uint64_t n = 1; crashed; n++) {
			struct hsm_request q = pair_request(HSM_DESTROY_KEY, 9);
			memcpy(q.kcv, create_pair(9), 3);
			crashed = crash_at(&q, steps[i], n, &reply);
			assert_ok(reply.status);
			assert_int_equal(listed(), 0);
			crashes += crashed ? 1 : 0;
		}
	}
	assert_true(crashes > 5);
}

/* Killed at no call in particular, also in the middle of the module's writing. */
static void
a_worker_killed_at_random_is_finished_by_the_next(void **state)
{
	(void)state;
	for (uint8_t fill = 1; fill <= 24; fill++) {
		struct hsm_request q = pair_request(HSM_CREATE_KEY, fill);
		struct answer a = {.done = false};
		assert_ok(hsm_link_submit(rig.link, &q, keep, &a));
		usleep(fill * 150);
		kill(rig.worker, SIGKILL);
		hsm_rig_wait_end(&rig);
		hsm_rig_start(&rig);
		wait_for(&a);
		assert_ok(a.reply.status);
		assert_ok(sign(fill, a.reply.kcv));
	}
	assert_int_equal(listed(), 24);
}

static void
remove_public(struct p11_direct *d, uint8_t fill)
{
	p11_direct_check(
		d->fn->C_DestroyObject(d->session, p11_direct_find(d, CKO_PUBLIC_KEY, fill)),
		"C_DestroyObject");
}

static void
remove_private(struct p11_direct *d, uint8_t fill)
{
	p11_direct_check(
		d->fn->C_DestroyObject(d->session, p11_direct_find(d, CKO_PRIVATE_KEY, fill)),
		"C_DestroyObject");
}

static bool
removed(void)
{
	return hsm_rig_logged(&rig, "removing what is left of a key");
}

static void
a_public_half_alone_is_refused_and_replaced_when_the_pair_is_made_again(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	struct hsm_reply reply;
	uint8_t kcv[3];

	memcpy(kcv, create_pair(5), 3);
	hsm_rig_stop(&rig);
	p11_direct_run(&rig, remove_private, 5);
	hsm_rig_start(&rig);
	assert_int_equal(sign(5, kcv), SLK_CORRUPT);
	assert_int_equal(listed(), 1);
	assert_ok(call(pair_request(HSM_CREATE_KEY, 5), &reply));
	assert_false(reply.existed);
	assert_memory_not_equal(reply.kcv, kcv, 3);
	assert_ok(sign(5, reply.kcv));
	assert_true(removed());
	assert_int_equal(listed(), 1);
}

static void
a_private_half_alone_is_destroyed_without_a_check_value_only(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	struct hsm_reply reply;
	uint8_t kcv[3];

	memcpy(kcv, create_pair(5), 3);
	hsm_rig_stop(&rig);
	p11_direct_run(&rig, remove_public, 5);
	hsm_rig_start(&rig);
	assert_int_equal(sign(5, kcv), SLK_CORRUPT);
	uint64_t destroyed = p11shim_calls(rig.shim, P11SHIM_C_DestroyObject);
	struct hsm_request q = pair_request(HSM_DESTROY_KEY, 5);
	memcpy(q.kcv, kcv, 3);
	assert_int_equal(call(q, &reply), SLK_CORRUPT); /* it has no check value */
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_DestroyObject), destroyed);
	assert_int_equal(listed(), 1);
	assert_ok(call(pair_request(HSM_DESTROY_KEY, 5), &reply));
	assert_true(reply.existed);
	assert_int_equal(listed(), 0);
}

static void
a_private_half_alone_is_replaced_when_the_pair_is_made_again(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	struct hsm_reply reply;
	uint8_t kcv[3];

	memcpy(kcv, create_pair(5), 3);
	hsm_rig_stop(&rig);
	p11_direct_run(&rig, remove_public, 5);
	hsm_rig_start(&rig);
	assert_ok(call(pair_request(HSM_CREATE_KEY, 5), &reply));
	assert_false(reply.existed);
	assert_memory_not_equal(reply.kcv, kcv, 3);
	assert_ok(sign(5, reply.kcv));
	assert_int_equal(listed(), 1);
}

/* --- objects that the module had begun: there, with all that was asked for, but not made by it --- */

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void
begin_object(struct p11_direct *d, CK_ATTRIBUTE *template, CK_ULONG rows, uint8_t fill)
{
	CK_OBJECT_HANDLE object;
	uint8_t id[16];
	char label[12 + 33];

	memset(id, fill, sizeof(id));
	snprintf(label, sizeof(label), "sealock-cmk-");
	slk_hex(slk_span(id, sizeof(id)), label + 12, sizeof(label) - 12);
	template[0] = (CK_ATTRIBUTE){CKA_ID, id, sizeof(id)};
	template[1] = (CK_ATTRIBUTE){CKA_LABEL, label, sizeof(label) - 1};
	template[2] = (CK_ATTRIBUTE){CKA_TOKEN, &yes, 1};
	p11_direct_check(
		d->fn->C_CreateObject(d->session, template, rows, &object), "C_CreateObject");
}

static void
begin_aes(struct p11_direct *d, uint8_t fill)
{
	static CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	static CK_KEY_TYPE type = CKK_AES;
	static uint8_t value[32] = {1};
	CK_ATTRIBUTE template[] = {{0}, {0}, {0}, {CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_VALUE, value, sizeof(value)},
		{CKA_PRIVATE, &yes, 1}, {CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}};

	begin_object(d, template, 9, fill);
}

static void
begin_private(struct p11_direct *d, uint8_t fill)
{
	static CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	static CK_KEY_TYPE type = CKK_EC;
	static uint8_t p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, value[32] = {1};
	CK_ATTRIBUTE template[] = {{0}, {0}, {0}, {CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)}, {CKA_VALUE, value, sizeof(value)},
		{CKA_EC_PARAMS, p256, sizeof(p256)}, {CKA_PRIVATE, &yes, 1},
		{CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}, {CKA_SIGN, &yes, 1}};

	remove_private(d, fill);
	begin_object(d, template, 11, fill);
}

static void
an_aes_key_that_was_begun_is_made_anew(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	struct hsm_reply reply;
	uint8_t kcv[3];

	hsm_rig_stop(&rig);
	p11_direct_run(&rig, begin_aes, 5);
	hsm_rig_start(&rig);
	memset(kcv, 0, sizeof(kcv));
	assert_int_equal(hsm_rig_generate(&rig, 5, kcv, &reply), SLK_CORRUPT);
	assert_false(removed());
	assert_ok(hsm_rig_create(&rig, 5, kcv));
	assert_ok(hsm_rig_generate(&rig, 5, kcv, &reply));
	assert_int_equal(listed(), 1);
	assert_true(removed());
}

static void
a_pair_whose_private_half_was_begun_is_made_anew(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	struct hsm_reply reply;
	uint8_t kcv[3];

	memcpy(kcv, create_pair(5), 3);
	hsm_rig_stop(&rig);
	p11_direct_run(&rig, begin_private, 5);
	hsm_rig_start(&rig);
	assert_int_equal(sign(5, kcv), SLK_CORRUPT);
	assert_ok(call(pair_request(HSM_CREATE_KEY, 5), &reply));
	assert_false(reply.existed);
	assert_memory_not_equal(reply.kcv, kcv, 3);
	assert_ok(sign(5, reply.kcv));
	assert_int_equal(listed(), 1);
}

/* A key that was whole once may be in use. */
static void
a_pair_that_was_whole_is_not_made_anew(void **state)
{
	(void)state;
	struct hsm_request random = {.op = HSM_RANDOM, .length = 8};
	struct hsm_reply reply;
	uint8_t kcv[3];

	memcpy(kcv, create_pair(5), 3);
	p11shim_fail(rig.shim, P11SHIM_C_GenerateRandom, 1, CKR_DEVICE_REMOVED);
	assert_ok(call(random, &reply)); /* a new world, in which the pair is looked at anew */
	p11shim_heal(rig.shim, P11SHIM_C_GenerateRandom);
	atomic_store(&rig.shim->wrong_signatures, 1);
	assert_int_equal(call(pair_request(HSM_CREATE_KEY, 5), &reply), SLK_CORRUPT);
	assert_false(removed());
	atomic_store(&rig.shim->wrong_signatures, 0);
	hsm_rig_stop(&rig); /* and what was thought of it is forgotten */
	hsm_rig_start(&rig);
	assert_ok(sign(5, kcv));
}

static void
a_token_that_makes_bad_pairs_is_not_worn_out(void **state)
{
	(void)state;
	struct hsm_reply reply;

	atomic_store(&rig.shim->wrong_signatures, 1);
	assert_int_equal(call(pair_request(HSM_CREATE_KEY, 5), &reply), SLK_CORRUPT);
	assert_true(removed());
	uint64_t made = p11shim_calls(rig.shim, P11SHIM_C_GenerateKeyPair);
	for (int i = 0; i < 3; i++)
		assert_int_equal(call(pair_request(HSM_CREATE_KEY, 5), &reply), SLK_CORRUPT);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_GenerateKeyPair), made);
	assert_int_equal(listed(), 1);
	atomic_store(&rig.shim->wrong_signatures, 0);
	assert_ok(call(pair_request(HSM_CREATE_KEY, 5), &reply));
	assert_ok(sign(5, reply.kcv));
}

/* --- what a power cut could take --- */

/* SoftHSM flushes nothing. A key whose files may not be on disk is not answered as made, nor as destroyed. */
static void
a_key_counts_as_made_and_destroyed_once_its_files_are_flushed(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "NSS flushes its database by itself");
	hsm_rig_skip_on(RIG_CLOUDHSM, "the cloudhsm profile has no files to flush");
	struct hsm_reply reply;

	assert_int_equal(
		chmod(rig.tokens, 0300), 0); /* SoftHSM works in it, and nobody can open it */
	assert_int_equal(call(pair_request(HSM_CREATE_KEY, 5), &reply), SLK_HSM);
	assert_non_null(strstr(reply.error, "to flush it"));
	assert_int_equal(reply.output.len, 0);
	assert_int_equal(chmod(rig.tokens, 0700), 0);
	assert_ok(call(pair_request(HSM_CREATE_KEY, 5), &reply));
	assert_true(reply.existed);
	assert_ok(sign(5, reply.kcv));
	assert_int_equal(chmod(rig.tokens, 0300), 0);
	assert_int_equal(call(pair_request(HSM_DESTROY_KEY, 5), &reply), SLK_HSM);
	assert_int_equal(call(pair_request(HSM_DESTROY_KEY, 5), &reply), SLK_HSM);
	assert_int_equal(chmod(rig.tokens, 0700), 0);
	assert_ok(call(pair_request(HSM_DESTROY_KEY, 5), &reply));
	assert_int_equal(listed(), 0);
}

/* --- strangers' objects --- */

static void
make_stranger(struct p11_direct *d, uint8_t fill, bool with_label)
{
	static const uint8_t p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
	uint8_t id[16];
	char label[] = "sealock-cmk-00000000000000000000000000000000";
	CK_MECHANISM m = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_OBJECT_HANDLE public, private;
	CK_ULONG label_len = with_label ? sizeof(label) - 1 : 5;
	CK_ATTRIBUTE public_template[] = {{CKA_TOKEN, &yes, 1}, {CKA_VERIFY, &yes, 1},
		{CKA_ID, id, 16}, {CKA_WRAP, &no, 1}, {CKA_ENCRYPT, &no, 1},
		{CKA_LABEL, label, label_len}, {CKA_EC_PARAMS, (void *)p256, sizeof(p256)}};
	CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1},
		{CKA_ID, id, 16}, {CKA_LABEL, label, label_len}, {CKA_SIGN, &yes, 1},
		{CKA_DECRYPT, &no, 1}, {CKA_UNWRAP, &no, 1}, {CKA_DERIVE, &no, 1},
		{CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, with_label ? &yes : &no, 1}};

	memset(id, fill, sizeof(id));
	p11_direct_check(d->fn->C_GenerateKeyPair(d->session, &m, public_template, 7,
				 private_template, 10, &public, &private),
		"C_GenerateKeyPair");
}

static void
plant_extractable(struct p11_direct *d, uint8_t fill)
{
	make_stranger(d, fill, true);
}

/* A second pair: its public half takes the place of the first one's. */
static void
swap_public(struct p11_direct *d, uint8_t fill)
{
	uint8_t id[16];
	CK_ATTRIBUTE rename = {CKA_ID, id, sizeof(id)};

	make_stranger(d, 0x77, false);
	remove_public(d, fill);
	memset(id, fill, sizeof(id));
	p11_direct_check(d->fn->C_SetAttributeValue(
				 d->session, p11_direct_find(d, CKO_PUBLIC_KEY, 0x77), &rename, 1),
		"C_SetAttributeValue");
}

static void
plant_without_label(struct p11_direct *d, uint8_t fill)
{
	make_stranger(d, fill, false);
}

static void
an_extractable_pair_is_refused_and_never_adopted(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	struct hsm_reply reply;

	hsm_rig_stop(&rig);
	p11_direct_run(&rig, plant_extractable, 6);
	hsm_rig_start(&rig);
	assert_int_equal(call(pair_request(HSM_CREATE_KEY, 6), &reply), SLK_CORRUPT);
	assert_non_null(strstr(reply.error, "CKA_EXTRACTABLE"));
	assert_int_equal(reply.output.len, 0);
	/* It does not bear our label with that id, so it is nobody's to remove here. */
	assert_int_equal(call(pair_request(HSM_DESTROY_KEY, 6), &reply), SLK_CORRUPT);
	assert_false(reply.existed);
	assert_false(removed());
	assert_int_equal(call(pair_request(HSM_OPEN_KEY, 6), &reply), SLK_CORRUPT);
	assert_int_equal(hsm_rig_health(&rig).keys_refused_count, 1);
	assert_true(hsm_rig_logged(&rig, "key refused"));
}

static void
halves_of_two_pairs_are_refused_together(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	uint8_t kcv[3], other[3];

	memcpy(kcv, create_pair(5), 3);
	memcpy(other, create_pair(6), 3);
	hsm_rig_stop(&rig);
	p11_direct_run(&rig, swap_public, 5);
	hsm_rig_start(&rig);
	assert_int_equal(sign(5, kcv), SLK_CORRUPT);
	assert_true(hsm_rig_logged(&rig, "do not belong together"));
	assert_ok(sign(6, other));
	/* The token was started anew once, to be sure. */
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 1);
}

static void
objects_without_our_label_are_not_listed(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "strangers' objects are made with SoftHSM here");
	hsm_rig_stop(&rig);
	p11_direct_run(&rig, plant_without_label, 6);
	hsm_rig_start(&rig);
	assert_int_equal(listed(), 0);
	(void)create_pair(5);
	assert_int_equal(listed(), 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_worker_killed_at_any_call_of_a_creation_is_finished_by_the_next),
		T(a_worker_killed_at_any_call_of_a_destruction_is_finished_by_the_next),
		T(a_worker_killed_at_random_is_finished_by_the_next),
		T(a_public_half_alone_is_refused_and_replaced_when_the_pair_is_made_again),
		T(a_private_half_alone_is_destroyed_without_a_check_value_only),
		T(a_private_half_alone_is_replaced_when_the_pair_is_made_again),
		T(an_aes_key_that_was_begun_is_made_anew),
		T(a_pair_whose_private_half_was_begun_is_made_anew),
		T(a_pair_that_was_whole_is_not_made_anew),
		T(a_token_that_makes_bad_pairs_is_not_worn_out),
		T(a_key_counts_as_made_and_destroyed_once_its_files_are_flushed),
		T(an_extractable_pair_is_refused_and_never_adopted),
		T(halves_of_two_pairs_are_refused_together),
		T(objects_without_our_label_are_not_listed),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_crash", tests, NULL, NULL);
}
