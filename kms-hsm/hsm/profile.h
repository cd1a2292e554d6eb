/* What differs between HSMs: one row per profile, chosen by name in kmsd.yaml.
 *
 * A row says who makes the IVs, how the module is initialised and what it tolerates; the start-up
 * self-test checks that the token does as its profile says. Changing the iv mode of a key in use is
 * forbidden by SP 800-38D 8.2: it means a new profile and new keys. Thread: any; all data are
 * constant.
 */
#ifndef KMS_HSM_HSM_PROFILE_H
#define KMS_HSM_HSM_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#define HSM_SESSIONS_MAX 16u

enum hsm_init_kind {
	HSM_INIT_PLAIN, /* CK_C_INITIALIZE_ARGS with CKF_OS_LOCKING_OK, pReserved NULL */
	HSM_INIT_PARAMETERS, /* the same with hsm.module_parameters as a string in pReserved
				(YubiHSM and the like) */
	HSM_INIT_NSS, /* NSS softokn's own struct with LibraryParameters */
};

enum hsm_sandbox {
	HSM_SANDBOX_ALLOW, /* only the system calls that the module is known to need; no sockets */
	HSM_SANDBOX_DENY, /* everything but new programs, new processes, tracing, mounting and
			     loading code */
};

struct hsm_profile {
	const char *name;
	bool iv_from_hsm; /* the module fills a zeroed IV buffer; otherwise we draw it from the
			     token's generator */
	bool handles_per_session; /* an object handle is valid in the session that found it only */
	bool one_process; /* a second process on this token is not safe: the state file is locked */
	enum hsm_init_kind init;
	enum hsm_sandbox sandbox;
	uint32_t sessions_count; /* default; each is a thread */
	uint32_t data_max_bytes; /* limit of one GCM call, plaintext or ciphertext */
};

/* NULL if there is none of that name. */
const struct hsm_profile *hsm_profile_find(const char *name);

/* "softhsm, generic, ..." for messages. Static storage. */
const char *hsm_profile_names(void);

#endif
