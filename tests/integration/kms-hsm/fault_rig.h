/* What the tests of failing tokens share: a worker with one key in use, one data key wrapped under it, and bursts of requests. */
#ifndef SLK_TESTS_FAULT_RIG_H
#define SLK_TESTS_FAULT_RIG_H

#include "slk_test.h"

#include <string.h>

#include <p11-kit/pkcs11.h>

#include "hsm/worker.h"
#include "hsm_rig.h"

extern struct hsm_rig rig;
extern uint8_t kcv[3];
extern struct hsm_reply wrapped;
extern uint8_t wrapped_bytes[48], plain[32];

/* A worker with one key in use and one data key wrapped under it. */
void start_with_key(void);
int teardown(void **state);

int unwrap(struct hsm_reply *out);
void expect_unwraps(void);
/* Of the module, since the rig was made. */
uint64_t calls(enum p11shim_function f);

struct burst {
	int answered, good;
	char error[HSM_ERROR_MAX]; /* of the last that failed */
};

/* What a request of a burst is answered with: the callback of hsm_link_submit(). */
void count(void *burst, const struct hsm_reply *reply);
void submit_generate(struct burst *b);
/* What has come, or comes within that time. */
void turn(int timeout_ms);
/* Until that many were answered in all. */
void finish(struct burst *b, int count_wanted);

#endif
