/* Each operation against each class of error at the n-th call of each function that it makes, n = 1, 2, 3 ... until the
 * operation passes without meeting the fault.
 *
 * Whatever happens: no hang, at most one login, nothing secret beside an error, the exact status, and the key works
 * afterwards. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

#include "hsm_rig.h"

#define RUNS_MAX 64u

static struct hsm_rig rig;
static uint8_t aes_kcv[3], next_kcv[3], ec_kcv[3], rsa_kcv[3];
static uint8_t iv[12], wrapped[48], rsa_ciphertext[256];
static uint16_t fresh; /* number of a key made for one run; its id comes behind all others */
static uint8_t fresh_kcv[3];

enum { AES = 7, NEXT = 8, EC = 9, RSA = 10 };

static struct hsm_request
request(enum hsm_op op, uint8_t fill, const uint8_t *kcv)
{
	struct hsm_request q = {.op = op};

	memset(q.key_id, fill, sizeof(q.key_id));
	if (kcv != NULL)
		memcpy(q.kcv, kcv, sizeof(q.kcv));
	return q;
}

/* --- the operations --- */

static struct hsm_request
ask_sign(void)
{
	static const uint8_t digest[32] = {1};
	struct hsm_request q = request(HSM_SIGN, EC, ec_kcv);

	q.spec = KMS_SPEC_ECC_NIST_P256;
	q.usage = KMS_USAGE_SIGN_VERIFY;
	q.algorithm = KMS_ALG_ECDSA_SHA_256;
	q.data = slk_span(digest, sizeof(digest));
	return q;
}

static struct hsm_request
ask_verify(void)
{
	static const uint8_t nonsense[] = {0x30, 6, 2, 1, 1, 2, 1, 1};
	struct hsm_request q = ask_sign();

	q.op = HSM_VERIFY;
	q.extra = slk_span(nonsense, sizeof(nonsense));
	return q;
}

static struct hsm_request
ask_encrypt(void)
{
	struct hsm_request q = request(HSM_ENCRYPT, RSA, rsa_kcv);

	q.spec = KMS_SPEC_RSA_2048;
	q.usage = KMS_USAGE_ENCRYPT_DECRYPT;
	q.algorithm = KMS_ALG_RSAES_OAEP_SHA_1;
	q.data = slk_span_str("a secret");
	return q;
}

static struct hsm_request
ask_decrypt(void)
{
	struct hsm_request q = ask_encrypt();

	q.op = HSM_DECRYPT;
	q.data = slk_span(rsa_ciphertext, sizeof(rsa_ciphertext));
	return q;
}

static struct hsm_request
ask_rewrap(void)
{
	struct hsm_request q = request(HSM_REWRAP, AES, aes_kcv);

	q.aad = slk_span_str("additional data");
	q.extra = slk_span_str("other data");
	q.data = slk_span(wrapped, sizeof(wrapped));
	memcpy(q.iv, iv, sizeof(iv));
	memset(q.to_key_id, NEXT, sizeof(q.to_key_id));
	memcpy(q.to_kcv, next_kcv, 3);
	return q;
}

static struct hsm_request
ask_list(void)
{
	struct hsm_request q = {.op = HSM_LIST_KEYS, .length = HSM_LIST_MAX};

	return q;
}

static void
as_pair(struct hsm_request *q)
{
	q->spec = KMS_SPEC_ECC_NIST_P256;
	q->usage = KMS_USAGE_SIGN_VERIFY;
}

static void
take_fresh_id(void)
{
	fresh++;
}

static struct hsm_request
request_fresh(enum hsm_op op, uint16_t number, const uint8_t *kcv)
{
	struct hsm_request q = request(op, 0xf0, kcv);

	slk_put_be16(q.key_id + 14, number);
	return q;
}

static struct hsm_request
ask_create(void)
{
	return request_fresh(HSM_CREATE_KEY, fresh, NULL);
}

static struct hsm_request
ask_create_pair(void)
{
	struct hsm_request q = ask_create();

	as_pair(&q);
	return q;
}

static bool
destroy_fresh(void)
{
	struct hsm_request q = request_fresh(HSM_DESTROY_KEY, fresh, NULL);
	struct hsm_reply reply;

	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	return reply.existed;
}

static void
make_one(bool pair)
{
	struct hsm_reply reply;

	take_fresh_id();
	struct hsm_request q = pair ? ask_create_pair() : ask_create();
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	memcpy(fresh_kcv, reply.kcv, 3);
}

static void
make_aes(void)
{
	make_one(false);
}

static void
make_pair(void)
{
	make_one(true);
}

static struct hsm_request
ask_destroy(void)
{
	return request_fresh(HSM_DESTROY_KEY, fresh, fresh_kcv);
}

static struct hsm_request
ask_destroy_pair(void)
{
	struct hsm_request q = ask_destroy();

	as_pair(&q);
	return q;
}

static void
expect_destroyed(const struct hsm_reply *reply)
{
	struct hsm_request q = request_fresh(HSM_LIST_KEYS, (uint16_t)(fresh - 1), NULL);
	struct hsm_reply rest;

	if (reply->status == SLK_OK)
		assert_true(reply->existed);
	else
		(void)destroy_fresh(); /* it may have gone, and the proof failed */
	q.length = HSM_LIST_MAX;
	hsm_rig_call(&rig, &q, &rest);
	assert_ok(rest.status);
	assert_int_equal(rest.output.len, 0);
}

/* A half-made key may be left by a creation that failed; asked again it is completed. */
static void
expect_one_made(const struct hsm_reply *reply)
{
	struct hsm_request q = request_fresh(HSM_LIST_KEYS, (uint16_t)(fresh - 1), NULL);
	struct hsm_reply list;

	q.length = HSM_LIST_MAX;
	if (reply->status == SLK_OK) {
		hsm_rig_call(&rig, &q, &list);
		assert_int_equal(list.output.len, HSM_LIST_ENTRY_BYTES);
		assert_true(destroy_fresh());
	}
}

static void
expect_listed(const struct hsm_reply *reply)
{
	if (reply->status == SLK_OK)
		assert_int_equal(reply->output.len, 4 * HSM_LIST_ENTRY_BYTES);
}

/* The keeper's beat, once in five seconds, may run into a fault that was meant for a call. */
static unsigned disturbed;

static bool
was_disturbed(const struct hsm_reply *reply)
{
	if (reply->status != SLK_UNAVAILABLE)
		return false;
	hsm_rig_wait_state(&rig, HSM_READY);
	return disturbed++ < 3;
}

/* All that is known is forgotten: a new world, in which each key is looked for and checked. */
static void
forget_all(void)
{
	struct hsm_request q = {.op = HSM_RANDOM, .length = 8};
	struct hsm_reply reply;

	do {
		p11shim_fail(rig.shim, P11SHIM_C_GenerateRandom, 1, CKR_DEVICE_REMOVED);
		hsm_rig_call(&rig, &q, &reply);
		p11shim_heal(rig.shim, P11SHIM_C_GenerateRandom);
	} while (was_disturbed(&reply));
	assert_ok(reply.status);
}

struct row {
	const char *name;
	struct hsm_request (*ask)(void);
	void (*before)(void);
	void (*after)(const struct hsm_reply *reply);
	int good; /* the status without a fault */
	bool ciphertext; /* the caller's, decrypted by the first C_Decrypt */
};

static const CK_RV codes[] = {CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN,
	CKR_OBJECT_HANDLE_INVALID, CKR_DEVICE_REMOVED, CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR,
	CKR_MECHANISM_INVALID};
#define CODES (sizeof(codes) / sizeof(codes[0]))

static bool
may_answer(const struct row *row, enum p11shim_function f, CK_RV rv, int status)
{
	if (rv == CKR_MECHANISM_INVALID && status == SLK_UNSUPPORTED)
		return true;
	/* No token tells its own trouble from bad data with this word; the canary does, and it sings. */
	if (row->ciphertext && f == P11SHIM_C_Decrypt && rv == CKR_GENERAL_ERROR &&
		status == SLK_INVALID_CIPHERTEXT)
		return true;
	return status == row->good;
}

/* False: the operation made no n-th call of f. */
static bool
run(const struct row *row, enum p11shim_function f, uint64_t n, CK_RV rv)
{
	struct hsm_reply reply;

	if (row->before != NULL)
		row->before();
	struct hsm_request q = row->ask();
	uint64_t logins = p11shim_calls(rig.shim, P11SHIM_C_Login);
	uint64_t started = p11shim_calls(rig.shim, P11SHIM_C_Initialize);
	uint64_t at = p11shim_fail_nth(rig.shim, f, n, rv);
	hsm_rig_call(&rig, &q, &reply);
	bool met = p11shim_calls(rig.shim, f) >= at;
	p11shim_heal(rig.shim, f);
	if (was_disturbed(&reply))
		return run(row, f, n, rv);
	if (!may_answer(row, f, rv, reply.status))
		fail_msg("%s, function %d, call %d, 0x%lx: %s %s", row->name, (int)f, (int)n, rv,
			slk_status_name(reply.status), reply.error);
	/* Never a second login in one world, and one start for one fault. But the keeper's beat may have met the fault of
	 * this run or of the last one, and repairs what it met in its own time: one login more, a few times in all. */
	uint64_t made = p11shim_calls(rig.shim, P11SHIM_C_Login) - logins;
	uint64_t worlds = p11shim_calls(rig.shim, P11SHIM_C_Initialize) - started;
	uint64_t due = worlds == 0 ? 1 : worlds;
	if (made > due + 1 || ((made > due || made > 1) && disturbed++ >= 3))
		fail_msg("%s, function %d, call %d, 0x%lx: %d logins, %d starts", row->name, (int)f,
			(int)n, rv, (int)made, (int)worlds);
	if (reply.status != SLK_OK) {
		assert_int_equal(reply.plaintext.len + reply.ciphertext.len + reply.output.len, 0);
		assert_true(strlen(reply.error) > 0);
	}
	if (row->after != NULL)
		row->after(&reply);
	return met;
}

static void
run_all(const struct row *row, size_t first_code, size_t step)
{
	uint64_t total = 0;

	for (int f = 0; f < P11SHIM_COUNT; f++) {
		for (size_t i = first_code; i < CODES; i += step) {
			uint64_t n = 1;
			while (n < RUNS_MAX && run(row, (enum p11shim_function)f, n, codes[i]))
				n++;
			assert_true(n < RUNS_MAX);
			total += n - 1;
		}
	}
	hsm_rig_wait_state(&rig, HSM_READY);
	struct hsm_request q = ask_sign();
	struct hsm_reply reply;
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	print_message("%s: %d faults met\n", row->name, (int)total);
	assert_true(total > 0);
}

static void
keys_in_use_survive_every_fault(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"sign", ask_sign, NULL, NULL, SLK_OK, false},
		{"decrypt", ask_decrypt, NULL, NULL, SLK_OK, true},
		{"rewrap", ask_rewrap, NULL, NULL, SLK_OK, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_all(&rows[i], 0, 1);
}

static void
keys_that_are_looked_for_survive_every_fault(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"verify, cold", ask_verify, forget_all, NULL, SLK_BAD_TAG, false},
		{"encrypt, cold", ask_encrypt, forget_all, NULL, SLK_OK, false},
		{"rewrap, cold", ask_rewrap, forget_all, NULL, SLK_OK, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_all(&rows[i], i, 3);
}

static void
listing_survives_every_fault(void **state)
{
	(void)state;
	static const struct row row = {"list", ask_list, NULL, expect_listed, SLK_OK, false};

	run_all(&row, 0, 1);
}

static struct hsm_request
ask_inspect(void)
{
	return request(HSM_INSPECT_KEY, AES, aes_kcv);
}

static struct hsm_request
ask_inspect_pair(void)
{
	struct hsm_request q = request(HSM_INSPECT_KEY, EC, ec_kcv);

	as_pair(&q);
	return q;
}

/* Every object, and of a private one that it cannot leave the token: what the token does not tell is not made up. */
static void
expect_inspected(const struct hsm_reply *reply)
{
	if (reply->status != SLK_OK)
		return;
	assert_true(reply->output.len > 0 && reply->output.len % HSM_OBJECT_BYTES == 0);
	for (size_t at = 0; at < reply->output.len; at += HSM_OBJECT_BYTES) {
		const uint8_t *o = reply->output.ptr + at;
		uint16_t told = slk_get_le16(o + 2), yes = slk_get_le16(o + 4);
		assert_int_equal(yes & ~told, 0);
		if (o[0] == HSM_OBJECT_PUBLIC)
			continue;
		assert_true((yes & KMS_BIT(HSM_ATTRIBUTE_SENSITIVE)) != 0);
		assert_true((told & KMS_BIT(HSM_ATTRIBUTE_EXTRACTABLE)) != 0);
		assert_true((yes & KMS_BIT(HSM_ATTRIBUTE_EXTRACTABLE)) == 0);
	}
}

static struct hsm_request
ask_token(void)
{
	struct hsm_request q = {.op = HSM_INSPECT_TOKEN};

	return q;
}

static void
expect_told(const struct hsm_reply *reply)
{
	if (reply->status == SLK_OK)
		assert_non_null(
			memmem(reply->output.ptr, reply->output.len, "\ntoken_serial=", 14));
}

static void
inspecting_survives_every_fault(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"inspect", ask_inspect, NULL, expect_inspected, SLK_OK, false},
		{"inspect a pair", ask_inspect_pair, NULL, expect_inspected, SLK_OK, false},
		{"the token", ask_token, NULL, expect_told, SLK_OK, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_all(&rows[i], i, 3);
}

static void
creating_survives_every_fault_and_makes_one_key(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"create", ask_create, take_fresh_id, expect_one_made, SLK_OK, false},
		{"create a pair", ask_create_pair, take_fresh_id, expect_one_made, SLK_OK, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_all(&rows[i], i, 2);
}

static void
destroying_survives_every_fault_and_leaves_nothing(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"destroy", ask_destroy, make_aes, expect_destroyed, SLK_OK, false},
		{"destroy a pair", ask_destroy_pair, make_pair, expect_destroyed, SLK_OK, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_all(&rows[i], i, 2);
}

static void
create(struct hsm_request q, uint8_t *out_kcv)
{
	struct hsm_reply reply;

	q.op = HSM_CREATE_KEY;
	memset(q.kcv, 0, sizeof(q.kcv));
	q.algorithm = 0;
	q.data = slk_span(NULL, 0);
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	memcpy(out_kcv, reply.kcv, 3);
}

static int
group_setup(void **state)
{
	(void)state;
	struct hsm_reply reply;

	hsm_rig_init(&rig, NULL);
	rig.sessions = 1;
	hsm_rig_start(&rig);
	create(request(HSM_CREATE_KEY, AES, NULL), aes_kcv);
	create(request(HSM_CREATE_KEY, NEXT, NULL), next_kcv);
	create(ask_sign(), ec_kcv);
	create(ask_encrypt(), rsa_kcv);
	assert_ok(hsm_rig_generate(&rig, AES, aes_kcv, &reply));
	memcpy(iv, reply.iv, sizeof(iv));
	memcpy(wrapped, reply.ciphertext.ptr, sizeof(wrapped));
	struct hsm_request q = ask_encrypt();
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	memcpy(rsa_ciphertext, reply.ciphertext.ptr, sizeof(rsa_ciphertext));
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	hsm_rig_fini(&rig);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_in_use_survive_every_fault),
		cmocka_unit_test(keys_that_are_looked_for_survive_every_fault),
		cmocka_unit_test(listing_survives_every_fault),
		cmocka_unit_test(inspecting_survives_every_fault),
		cmocka_unit_test(creating_survives_every_fault_and_makes_one_key),
		cmocka_unit_test(destroying_survives_every_fault_and_leaves_nothing),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_matrix", tests, group_setup, group_teardown);
}
