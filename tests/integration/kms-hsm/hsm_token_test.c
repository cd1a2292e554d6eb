/* The worker on a healthy SoftHSM token. */
#include "slk_test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hsm/wire.h"
#include "hsm/worker.h"
#include "hsm_rig.h"

static struct hsm_rig rig;

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	hsm_rig_start(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	hsm_rig_fini(&rig);
	return 0;
}

static void
a_data_key_comes_back_under_its_master_key(void **state)
{
	(void)state;
	struct hsm_reply made, back;
	uint8_t kcv[3], plain[32];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	assert_int_equal(made.plaintext.len, 32);
	assert_int_equal(made.ciphertext.len, 48);
	assert_memory_not_equal(made.plaintext.ptr, made.ciphertext.ptr, 32);
	memcpy(plain, made.plaintext.ptr, 32);
	assert_ok(hsm_rig_unwrap(&rig, 7, kcv, &made, &back));
	assert_int_equal(back.plaintext.len, 32);
	assert_memory_equal(back.plaintext.ptr, plain, 32);
}

static void
two_data_keys_share_neither_iv_nor_bytes(void **state)
{
	(void)state;
	struct hsm_reply a, b;
	uint8_t kcv[3], plain[32], iv[12];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &a));
	memcpy(plain, a.plaintext.ptr, 32);
	memcpy(iv, a.iv, 12);
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &b));
	assert_memory_not_equal(b.plaintext.ptr, plain, 32);
	assert_memory_not_equal(b.iv, iv, 12);
}

static void
creating_twice_makes_one_key(void **state)
{
	(void)state;
	struct hsm_request q = {.op = HSM_CREATE_KEY};
	struct hsm_reply first, second;

	memset(q.key_id, 9, 16);
	hsm_rig_call(&rig, &q, &first);
	assert_ok(first.status);
	assert_false(first.existed);
	uint64_t made = p11shim_calls(rig.shim, P11SHIM_C_GenerateKey);
	hsm_rig_call(&rig, &q, &second);
	assert_ok(second.status);
	assert_true(second.existed);
	assert_memory_equal(first.kcv, second.kcv, 3);
	assert_memory_equal(first.kcv_cmac, second.kcv_cmac, 5);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_GenerateKey), made);
}

static void
every_flipped_bit_and_every_cut_is_an_invalid_ciphertext(void **state)
{
	(void)state;
	struct hsm_request q = {.op = HSM_UNWRAP, .aad = slk_span_str("additional data")};
	struct hsm_reply made, reply;
	uint8_t kcv[3], bytes[48];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	memset(q.key_id, 7, 16);
	memcpy(q.kcv, kcv, 3);
	memcpy(q.iv, made.iv, 12);
	memcpy(bytes, made.ciphertext.ptr, 48);
	uint64_t logins = hsm_rig_health(&rig).logins_count;
	for (unsigned bit = 0; bit < 48 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		q.data = slk_span(bytes, 48);
		hsm_rig_call(&rig, &q, &reply);
		assert_int_equal(reply.status, SLK_INVALID_CIPHERTEXT);
		assert_int_equal(reply.plaintext.len, 0);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 17; len < 48; len++) {
		q.data = slk_span(bytes, len);
		hsm_rig_call(&rig, &q, &reply);
		assert_int_equal(reply.status, SLK_INVALID_CIPHERTEXT);
	}
	q.data = slk_span(bytes, 48);
	q.aad = slk_span_str("additional datb");
	hsm_rig_call(&rig, &q, &reply);
	assert_int_equal(reply.status, SLK_INVALID_CIPHERTEXT);
	q.aad = slk_span_str("additional data");
	q.iv[0] ^= 1;
	hsm_rig_call(&rig, &q, &reply);
	assert_int_equal(reply.status, SLK_INVALID_CIPHERTEXT);
	/* SoftHSM says CKR_GENERAL_ERROR to all of these; none was taken for a lost token. */
	struct hsm_health h = hsm_rig_health(&rig);
	assert_int_equal(h.state, HSM_READY);
	assert_int_equal(h.recoveries_count, 0);
	assert_int_equal(h.logins_count, logins);
}

static void
a_key_that_is_not_there_is_not_found_and_not_made(void **state)
{
	(void)state;
	struct hsm_reply reply;
	const uint8_t kcv[3] = {1, 2, 3};

	hsm_rig_wait_state(&rig, HSM_READY);
	uint64_t made = p11shim_calls(rig.shim, P11SHIM_C_GenerateKey);
	assert_int_equal(hsm_rig_generate(&rig, 5, kcv, &reply), SLK_NOT_FOUND);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_GenerateKey), made);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
}

static void
keys_of_every_allowed_size_come_back(void **state)
{
	(void)state;
	static uint8_t data[HSM_DATA_MAX];
	static const size_t sizes[] = {1, 15, 16, 17, 4095, 4096};
	struct hsm_reply wrapped, back;
	uint8_t kcv[3];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct hsm_request q = {.op = HSM_WRAP, .aad = slk_span_str("additional data")};
		memset(q.key_id, 7, 16);
		memcpy(q.kcv, kcv, 3);
		q.data = slk_span(data, sizes[i]);
		hsm_rig_call(&rig, &q, &wrapped);
		assert_ok(wrapped.status);
		assert_int_equal(wrapped.ciphertext.len, sizes[i] + 16);
		assert_ok(hsm_rig_unwrap(&rig, 7, kcv, &wrapped, &back));
		assert_true(slk_span_equal(back.plaintext, q.data));
	}
}

static void
a_restarted_worker_serves_the_same_keys(void **state)
{
	(void)state;
	struct hsm_reply made, back;
	uint8_t kcv[3], again[3];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	hsm_rig_stop(&rig);
	assert_int_equal(rig.exit_code, HSM_EXIT_CLEAN);
	hsm_rig_start(&rig);
	assert_ok(hsm_rig_unwrap(&rig, 7, kcv, &made, &back));
	assert_ok(hsm_rig_create(&rig, 7, again));
	assert_memory_equal(kcv, again, 3);
}

static void
a_worker_killed_at_any_time_loses_no_key(void **state)
{
	(void)state;
	struct hsm_reply made, back;
	uint8_t kcv[3];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	for (int i = 0; i < 3; i++) {
		kill(rig.worker, SIGKILL);
		hsm_rig_wait_end(&rig);
		hsm_rig_start(&rig);
		assert_ok(hsm_rig_unwrap(&rig, 7, kcv, &made, &back));
	}
}

static void
sigterm_ends_the_worker_cleanly(void **state)
{
	(void)state;
	hsm_rig_wait_state(&rig, HSM_READY);
	kill(rig.worker, SIGTERM);
	hsm_rig_wait_end(&rig);
	assert_int_equal(rig.exit_code, HSM_EXIT_CLEAN);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_Finalize), 1);
}

static void
a_second_worker_on_the_same_token_is_refused(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "several workers may share this token");
	struct hsm_rig second = rig;

	hsm_rig_wait_state(&rig, HSM_READY);
	second.link = NULL;
	second.worker = 0;
	hsm_rig_start(&second);
	hsm_rig_wait_end(&second);
	assert_int_equal(second.exit_code, HSM_EXIT_START);
	assert_true(hsm_rig_logged(&rig, "another HSM worker holds"));
	hsm_rig_stop(&second);
	assert_int_equal(hsm_rig_health(&rig).state, HSM_READY);
}

static void
random_bytes_come_from_the_token(void **state)
{
	(void)state;
	struct hsm_request q = {.op = HSM_RANDOM, .length = 64};
	struct hsm_reply reply;

	uint64_t calls = p11shim_calls(rig.shim, P11SHIM_C_GenerateRandom);
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	assert_int_equal(reply.plaintext.len, 64);
	assert_true(p11shim_calls(rig.shim, P11SHIM_C_GenerateRandom) > calls);
}

static void
health_names_token_and_profile(void **state)
{
	(void)state;
	hsm_rig_wait_state(&rig, HSM_READY);
	struct hsm_health h = hsm_rig_health(&rig);
	assert_string_equal(h.profile, rig.profile);
	assert_string_equal(h.token_label, "rig");
	assert_int_equal(strlen(h.token_serial), 16);
	assert_int_equal(h.worker_pid, rig.worker);
	assert_int_equal(h.logins_count, 1);
	assert_int_equal(h.iv_from_hsm, rig.token == RIG_CLOUDHSM);
}

static void
the_worker_runs_as_its_own_user_and_cannot_be_traced(void **state)
{
	(void)state;
	char path[64];
	struct stat st;

	hsm_rig_wait_state(&rig, HSM_READY);
	snprintf(path, sizeof(path), "/proc/%d/status", rig.worker);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	char line[256];
	bool seccomp = false, no_new_privs = false, uid = rig.user == NULL;
	while (fgets(line, sizeof(line), f) != NULL) {
		seccomp |= strcmp(line, "Seccomp:\t2\n") == 0;
		no_new_privs |= strcmp(line, "NoNewPrivs:\t1\n") == 0;
		uid |= strcmp(line, "Uid:\t65534\t65534\t65534\t65534\n") == 0;
	}
	fclose(f);
	assert_true(seccomp && no_new_privs && uid);
	/* An undumpable process's files in /proc belong to root. */
	snprintf(path, sizeof(path), "/proc/%d/environ", rig.worker);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
}

static void
a_message_that_does_not_decode_ends_the_worker(void **state)
{
	(void)state;
	uint8_t byte;

	hsm_rig_stop(&rig);
	int fd = hsm_rig_start_raw(&rig);
	assert_int_equal(send(fd, "nonsense", 8, 0), 8);
	hsm_rig_wait_end(&rig);
	assert_int_equal(rig.exit_code, HSM_EXIT_PROTOCOL);
	assert_int_equal(recv(fd, &byte, 1, 0), 0); /* and got no answer */
	close(fd);
}

static void
a_request_without_aad_ends_the_worker_before_the_module_sees_it(void **state)
{
	(void)state;
	struct hsm_wire_request m = {
		.call_id = 1, .request = {.op = HSM_WRAP, .mono_deadline_ns = UINT64_MAX}};
	uint8_t bytes[HSM_MESSAGE_MAX];
	size_t len;

	hsm_rig_stop(&rig);
	m.request.key_id[0] = 1;
	m.request.aad = slk_span_str("a");
	m.request.data = slk_span_str("d");
	assert_ok(hsm_wire_encode_request(&m, bytes, sizeof(bytes), &len));
	slk_put_le32(bytes + 60, 0); /* no AAD, two bytes of data */
	slk_put_le32(bytes + 64, 2);
	int fd = hsm_rig_start_raw(&rig);
	assert_int_equal(send(fd, bytes, len, 0), (ssize_t)len);
	hsm_rig_wait_end(&rig);
	assert_int_equal(rig.exit_code, HSM_EXIT_PROTOCOL);
	close(fd);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_data_key_comes_back_under_its_master_key),
		T(two_data_keys_share_neither_iv_nor_bytes),
		T(creating_twice_makes_one_key),
		T(every_flipped_bit_and_every_cut_is_an_invalid_ciphertext),
		T(a_key_that_is_not_there_is_not_found_and_not_made),
		T(keys_of_every_allowed_size_come_back),
		T(a_restarted_worker_serves_the_same_keys),
		T(a_worker_killed_at_any_time_loses_no_key),
		T(sigterm_ends_the_worker_cleanly),
		T(a_second_worker_on_the_same_token_is_refused),
		T(random_bytes_come_from_the_token),
		T(health_names_token_and_profile),
		T(the_worker_runs_as_its_own_user_and_cannot_be_traced),
		T(a_message_that_does_not_decode_ends_the_worker),
		T(a_request_without_aad_ends_the_worker_before_the_module_sees_it),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_token", tests, NULL, NULL);
}
