/* Finding out what a PKCS#11 module and its token can do: what `sealock hsm probe` does.
 *
 * A child process loads the module and writes what it learns into memory that it shares with the caller, so that a module
 * which hangs or crashes costs the child, and the report holds what was learnt before it, and the call. Without a token
 * label only what needs no login is asked. With one, there is one C_Login at most, remembered in the state file of
 * hsm/pin.h like the worker's; then trials on session keys, and at last the worker's own checks (hsm/selftest.h, hsm/aes.h,
 * hsm/caps.h) under the row of hsm/profile.h that fits. Nothing is left on the token. Neither PIN nor keys nor
 * ciphertexts come into the report; the token's label and serial number do, and the check value of a key that is gone.
 * AAD is never empty, for some builds crash.
 *
 * Thread: the process must have one thread.
 */
#ifndef KMS_HSM_HSM_PROBE_H
#define KMS_HSM_HSM_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"
#include "hsm/profile.h"

#define HSM_PROBE_SLOTS_MAX 64u
#define HSM_PROBE_MECHANISMS_MAX 512u
#define HSM_PROBE_SESSIONS_MAX 64u
#define HSM_PROBE_SESSIONS_MIN 3u /* of a worker: the login's, the keeper's and one that works */
#define HSM_PROBE_TAGS 9u
#define HSM_PROBE_LAYOUTS 2u /* enum hsm_gcm_layout */
#define HSM_PROBE_FORMS 4u /* enum hsm_iv_from */
#define HSM_PROBE_KCV_BYTES 3u
#define HSM_PROBE_NOT_TRIED UINT64_MAX /* as a return value of the module */
#define HSM_PROBE_OK 0u /* CKR_OK, for those who have no PKCS#11 headers */

struct hsm_probe_request {
	const char *module;
	const char *softhsm_conf; /* NULL: environment untouched */
	const char *module_parameters; /* NULL: none */
	const char *token_label; /* NULL: no login */
	const char *pin_file, *state_file; /* with a token_label */
	const char *
		user; /* to become; NULL: as root the owner of the PIN file, else the caller's own */
	uint64_t
		deadline_ns; /* of one call of the module; the whole may take thirty times as long */
};

struct hsm_probe_slot {
	uint64_t id;
	char description[65];
	bool present; /* a token is in it, and the rest is of the token */
	char label[33], manufacturer[33], model[17], serial[17];
	uint8_t hardware_major, hardware_minor, firmware_major, firmware_minor;
	uint64_t flags; /* CKF_ of CK_TOKEN_INFO */
	uint64_t sessions_max; /* as the token says; 0: no limit or unknown */
};

struct hsm_probe_mechanism {
	uint64_t type, flags, key_min, key_max; /* as the module says, bits or bytes */
};

/* Two encryptions of the same bytes with IVs from there and in that layout, and their decryption. */
struct hsm_probe_gcm {
	uint64_t rv; /* of the first call that failed, CKR_OK or HSM_PROBE_NOT_TRIED */
	bool iv_kept; /* a random IV of ours was left as it was */
	bool zero_iv_used; /* a zeroed buffer was taken for an IV */
	bool same_iv; /* made by the HSM, twice the same */
	bool same_ciphertext;
	bool round_trip; /* what was encrypted came back */
	uint32_t iv_bytes; /* of the IV; 12 is the only length there is room for */
};

struct hsm_probe_key {
	uint64_t rv; /* of C_GenerateKey */
	uint64_t copyable_rv; /* the same with CKA_COPYABLE in the template */
	uint64_t read_rv; /* of reading the next six */
	bool sensitive, extractable, always_sensitive, never_extractable, local, on_token;
	uint64_t value_rv; /* of asking how long CKA_VALUE is; CKR_OK is bad */
	uint64_t other_session_rv; /* of using its handle in another session */
	uint64_t check_value_rv; /* of reading CKA_CHECK_VALUE, which not all tokens know */
	uint8_t check_value[HSM_PROBE_KCV_BYTES];
};

/* The worker's own checks under one row. */
struct hsm_probe_checks {
	uint32_t row; /* hsm_profile_at(); UINT32_MAX: not begun */
	bool ended;
	uint64_t key_rv, selftest_rv, caps_rv; /* CKR_OK, and then: */
	struct slk_error key, selftest; /* SLK_OK, or why a key or the token is not served */
	uint8_t kcv[HSM_PROBE_KCV_BYTES]; /* computed, of the session key */
	uint32_t specs, algorithms; /* sets of hsm/keyspec.h */
};

enum hsm_probe_verdict {
	HSM_PROBE_OPEN, /* not everything was tried: no login, or not to its end */
	HSM_PROBE_REFUSED, /* kmsd would serve nothing from this token */
	HSM_PROBE_FITS, /* with report->profile */
};

struct hsm_probe_report {
	/* written by the child as it goes */
	char call[32]; /* the function that is being called, or was last; "": none yet */
	char step[64]; /* what for */
	uint64_t call_since_ns; /* 0: none */
	bool finished; /* everything that was asked for was tried */
	struct slk_error err; /* why not */

	bool initialised;
	uint8_t cryptoki_major, cryptoki_minor, library_major, library_minor;
	char manufacturer[33], library[33];
	uint32_t slots_count;
	struct hsm_probe_slot slots[HSM_PROBE_SLOTS_MAX];
	int32_t slot; /* index whose mechanisms are listed; -1: none */
	uint32_t mechanisms_count, mechanisms_listed; /* kept here; in the token's list */
	struct hsm_probe_mechanism mechanisms[HSM_PROBE_MECHANISMS_MAX];

	bool logged_in;
	uint64_t read_only_rv, read_write_rv;
	uint32_t sessions_opened; /* of HSM_PROBE_SESSIONS_MAX */
	uint64_t sessions_rv; /* of the one that was not opened; CKR_OK if all were */
	uint64_t random_rv;
	bool random_repeats;
	struct hsm_probe_key key;
	struct hsm_probe_gcm gcm[HSM_PROBE_LAYOUTS][HSM_PROBE_FORMS];
	/* The next are tried in the form that works. */
	bool works;
	enum hsm_gcm_layout layout;
	enum hsm_iv_from iv;
	uint64_t tag_rv[HSM_PROBE_TAGS]; /* of encrypting with hsm_probe_tag_bits() */
	uint64_t bad_tag_rv; /* of decrypting; CKR_OK is bad */
	uint32_t data_max_bytes; /* the longest plaintext that was taken */
	uint64_t data_rv; /* of the next longer one; CKR_OK if all were taken */
	struct hsm_probe_checks checks;
	uint32_t random_count, encrypt_count; /* that were timed; the second as the worker wraps */
	uint64_t random_p50_ns, random_p99_ns, encrypt_p50_ns, encrypt_p99_ns;

	/* written by hsm_probe_judge() */
	enum hsm_probe_verdict verdict;
	const struct hsm_profile *profile; /* that is to be configured; NULL: none */
	uint32_t sessions; /* hsm.sessions to write; 0: the profile's own will do */
	char reason[512];
};

uint32_t hsm_probe_tag_bits(unsigned index); /* index < HSM_PROBE_TAGS */

/* What the worker does with a mechanism, NULL if nothing; and its name, NULL if it is none of ours. Static storage. */
const char *hsm_probe_use(uint64_t mechanism);
const char *hsm_probe_mechanism_name(uint64_t mechanism);
/* "CKR_..." as hsm_rv_name(), "not tried". Static storage. */
const char *hsm_probe_rv_name(uint64_t rv);
/* The mechanisms of ours, in the order of their need; HSM_PROBE_NOT_TRIED behind the last (0 is one of them). */
uint64_t hsm_probe_ours(unsigned index);

/* --- pure functions of a report --- */

/* Does the token list the mechanism, with all these CKF_? */
bool hsm_probe_lists(const struct hsm_probe_report *report, uint64_t mechanism, uint64_t flags);
/* The row that fits how the token behaves, NULL if none does. parameters: of C_Initialize, NULL: none. */
const struct hsm_profile *hsm_probe_choose(
	const struct hsm_probe_report *report, const char *parameters);
/* Has the PIN the shape that this product takes? As hsm_profile_login_fault(), by what is known before the login. */
const char *hsm_probe_login_fault(
	const struct hsm_probe_report *report, const uint8_t *pin, size_t len);
/* Fill in verdict, profile, sessions and reason. */
void hsm_probe_judge(struct hsm_probe_report *report, const char *parameters);

/* Probe. Always fills *out with what was learnt, judged. SLK_OK: all was tried (the verdict may still be a refusal).
 * SLK_TIMEOUT: a call hung and the child was killed; SLK_HSM: it crashed, or a call failed without which nothing can be
 * learnt; SLK_CONFIG, SLK_DENIED: the module, the user, or the PIN file; SLK_PIN: the PIN was refused now or before;
 * SLK_UNAVAILABLE: a worker holds the token; SLK_NOT_FOUND: no such token, or none at all. With a sentence. */
MUST_USE int hsm_probe_run(const struct hsm_probe_request *request, struct hsm_probe_report *out,
	struct slk_error *err);

#endif
