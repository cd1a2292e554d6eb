/* An HSM without token and worker, in place of kms-hsm/hsm/link.c: the functions of hsm/link.h over
 * keys in memory. AES-256-GCM, RSA and ECDSA by OpenSSL, so that blobs and signatures are real. Requests are held to
 * the table of hsm/link.h, as by the real link. Link it (and fake_pairs.c) as an object; the archive's link.c is then not
 * taken. */
#ifndef SLK_TESTS_LIB_FAKE_HSM_H
#define SLK_TESTS_LIB_FAKE_HSM_H

#include "hsm/link.h"

/* Calls are answered by hsm_link_poll(); while held they wait (or run out of time). */
void fake_hsm_hold(struct hsm_link *link, bool hold);
/* The next calls (but HSM_STATUS) end with status, this many times. */
void fake_hsm_fail(struct hsm_link *link, int status, unsigned times);
/* As if the answer were lost: the next call is done, and then ends with status. */
void fake_hsm_lose_answer(struct hsm_link *link, int status);
/* Another, empty token, or the first one again. */
void fake_hsm_swap_token(struct hsm_link *link, bool other);
/* What HSM_STATUS says. */
void fake_hsm_set_state(struct hsm_link *link, enum hsm_state state);
/* Encryptions reported per wrap, default 1. */
void fake_hsm_set_cost(struct hsm_link *link, uint32_t encryptions_count);

/* What the token can make and use (sets as in struct hsm_health); everything until this is called. */
void fake_hsm_set_able(struct hsm_link *link, uint32_t specs, uint32_t algorithms);
/* An object that nobody asked for: an orphan. */
void fake_hsm_plant(struct hsm_link *link, const uint8_t id[HSM_KEY_ID_BYTES], enum kms_spec spec,
	enum kms_usage usage);

/* Does the present token hold it? */
bool fake_hsm_holds(const struct hsm_link *link, const uint8_t id[HSM_KEY_ID_BYTES]);
size_t fake_hsm_keys_count(const struct hsm_link *link); /* objects on the present token */
size_t fake_hsm_calls_count(const struct hsm_link *link, enum hsm_op op);

#endif
