/* What differs between HSMs: one row per profile, chosen by name in kmsd.yaml.
 *
 * A row says who makes the IVs, how GCM parameters are laid out, how the module is initialised, what a
 * login looks like, and what the token tolerates; the start-up self-test checks that the token does as
 * its profile says. Changing the iv mode of a key in use is forbidden by SP 800-38D 8.2: it means a new
 * profile and new keys. `sealock hsm probe` finds out which row fits a token. Thread: any; all data are
 * constant, functions are pure.
 *
 *     profile          IVs of GCM             parameters      login           workers  what it was tried on
 *     softhsm          ours                   with ulIvBits   PIN             1        SoftHSM 2.6.1
 *     nss              ours                   with ulIvBits   PIN             1        NSS softokn 3.87
 *     cloudhsm         HSM, into our buffer   with ulIvBits   user:password   2        fault shim only
 *     cloudhsm-prefix  HSM, before the text   with ulIvBits   user:password   2        fault shim only
 *     luna-fips        HSM, behind the tag    with ulIvBits   PIN             2        fault shim only
 *     generic          ours                   with ulIvBits   PIN             1        fault shim, NSS
 *     generic-no-bits  ours                   without         PIN             1        fault shim only
 *     generic-hsm-iv   HSM, into our buffer   with ulIvBits   PIN             1        fault shim only
 */
#ifndef KMS_HSM_HSM_PROFILE_H
#define KMS_HSM_HSM_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HSM_SESSIONS_MAX 16u
#define HSM_WORKERS_MAX 8u

enum hsm_iv_from {
	HSM_IV_OURS, /* drawn from the token's generator and passed in */
	HSM_IV_BUFFER, /* the module overwrites a zeroed buffer of ours (CloudHSM, CKM_AES_GCM) */
	HSM_IV_PREFIX, /* no IV is passed; it stands before the ciphertext, in both directions
			  (CKM_CLOUDHSM_AES_GCM) */
	HSM_IV_SUFFIX, /* none is passed for encryption; it stands behind the tag (Luna in FIPS mode) */
};

enum hsm_gcm_layout {
	HSM_GCM_WITH_BITS, /* CK_GCM_PARAMS of the normative header, with ulIvBits */
	HSM_GCM_WITHOUT_BITS, /* of the text of PKCS#11 2.40, without */
};

enum hsm_login_format {
	HSM_LOGIN_PIN, /* any string */
	HSM_LOGIN_USER_PASSWORD, /* user:password, 1..31 and 7..32 bytes */
};

enum hsm_init_kind {
	HSM_INIT_PLAIN, /* CK_C_INITIALIZE_ARGS with CKF_OS_LOCKING_OK, pReserved NULL */
	HSM_INIT_PARAMETERS, /* the same with hsm.module_parameters, if any, as a string in pReserved */
	HSM_INIT_NSS, /* NSS softokn's own struct with LibraryParameters */
};

enum hsm_sandbox {
	HSM_SANDBOX_ALLOW, /* only the system calls that the module is known to need; no sockets */
	HSM_SANDBOX_DENY, /* everything but new programs, new processes, tracing, mounting and
			     loading code */
};

struct hsm_profile {
	const char *name;
	enum hsm_iv_from iv;
	enum hsm_gcm_layout layout;
	uint64_t mechanism; /* of GCM: CKM_AES_GCM or a vendor's own */
	enum hsm_login_format login;
	enum hsm_init_kind init;
	enum hsm_sandbox sandbox;
	bool handles_per_session; /* an object handle is valid in the session that found it only */
	bool copyable_unknown; /* CKA_COPYABLE in a template breaks it */
	bool local_unset; /* CKA_LOCAL is false even of keys that it made; the other attributes tell */
	bool store_unflushed; /* keys lie in files that the module does not flush: store.h does */
	bool one_process; /* a second process on this token is not safe: workers_max is 1 */
	bool one_at_a_time; /* its quick calls are no faster by several threads, which only wait for each other */
	uint32_t workers_count, workers_max; /* worker processes: default and limit */
	uint32_t sessions_count, sessions_max; /* of one worker; each is a thread */
	uint32_t data_max_bytes; /* limit of one GCM call, plaintext or ciphertext */
};

/* NULL if there is none of that name. */
const struct hsm_profile *hsm_profile_find(const char *name);

/* The profiles in the order of the table, NULL behind the last; for the probe. */
const struct hsm_profile *hsm_profile_at(size_t index);

/* Why a name has no profile: a sentence for an HSM that is known and cannot serve ("yubihsm", ...), or the list
 * of the profiles there are. Static storage. */
const char *hsm_profile_refusal(const char *name);

/* "softhsm, nss, ..." for messages. Static storage. */
const char *hsm_profile_names(void);

/* Has the PIN the shape that the profile's tokens take? NULL if so, else a sentence that does not quote it. Asked
 * before an attempt, for an attempt may lock. */
const char *hsm_profile_login_fault(
	const struct hsm_profile *profile, const uint8_t *pin, size_t len);

/* Who makes the IVs, in words: "caller", "hsm (buffer)", "hsm (prefix)", "hsm (suffix)". */
const char *hsm_iv_name(enum hsm_iv_from iv);

#endif
