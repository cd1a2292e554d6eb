#include "fault_rig.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

struct hsm_rig rig;
uint8_t kcv[3];
struct hsm_reply wrapped;
uint8_t wrapped_bytes[48], plain[32];

/* A worker with one key in use and one data key wrapped under it. */
void
start_with_key(void)
{
	hsm_rig_start(&rig);
	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &wrapped));
	memcpy(wrapped_bytes, wrapped.ciphertext.ptr, 48);
	memcpy(plain, wrapped.plaintext.ptr, 32);
	wrapped.ciphertext.ptr = wrapped_bytes;
}

int
teardown(void **state)
{
	(void)state;
	hsm_rig_fini(&rig);
	return 0;
}

int
unwrap(struct hsm_reply *out)
{
	return hsm_rig_unwrap(&rig, 7, kcv, &wrapped, out);
}

void
expect_unwraps(void)
{
	struct hsm_reply back;

	int rc = unwrap(&back);
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), back.error);
	assert_int_equal(back.plaintext.len, 32);
	assert_memory_equal(back.plaintext.ptr, plain, 32);
}

uint64_t
calls(enum p11shim_function f)
{
	return p11shim_calls(rig.shim, f);
}

void
count(void *arg, const struct hsm_reply *reply)
{
	struct burst *b = arg;

	b->answered++;
	if (reply->status != SLK_OK)
		snprintf(b->error, sizeof(b->error), "%s", reply->error);
	b->good += reply->status == SLK_OK ? 1 : 0;
}

void
submit_generate(struct burst *b)
{
	struct hsm_request q = {
		.op = HSM_GENERATE_DATA_KEY, .length = 32, .aad = slk_span_str("additional data")};

	memset(q.key_id, 7, 16);
	memcpy(q.kcv, kcv, 3);
	assert_ok(hsm_link_submit(rig.link, &q, count, b));
}

void
turn(int timeout_ms)
{
	struct pollfd p = {.fd = hsm_link_fd(rig.link), .events = POLLIN};

	(void)poll(&p, 1, timeout_ms);
	assert_ok(hsm_link_poll(rig.link));
}

void
finish(struct burst *b, int count_wanted)
{
	for (int i = 0; i < 20000 && b->answered < count_wanted; i++)
		turn(1000);
	assert_int_equal(b->answered, count_wanted);
	if (b->good != b->answered)
		print_message("%d of %d: %s\n", b->answered - b->good, b->answered, b->error);
}
