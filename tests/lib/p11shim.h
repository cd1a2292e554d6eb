/* Control block of the fault shim, a PKCS#11 module for tests that stands in front of a real one.
 *
 * The worker loads p11shim.so; P11SHIM_MODULE names the real module, P11SHIM_CONTROL a file of
 * sizeof(struct p11shim) bytes that shim and test both map. Tests switch faults while the worker
 * runs and read how often each function was called, across all workers that used the file. All
 * members are atomic; zero means no fault. What a member models, and who says that tokens do so, is said beside it;
 * "standard" is the text of PKCS#11 2.40, base specification.
 */
#ifndef SLK_TESTS_LIB_P11SHIM_H
#define SLK_TESTS_LIB_P11SHIM_H

#include <stdatomic.h>
#include <stdint.h>

#define P11SHIM_FUNCTIONS(X) \
	X(C_Initialize) \
	X(C_Finalize) \
	X(C_GetSlotList) \
	X(C_GetTokenInfo) \
	X(C_GetMechanismInfo) \
	X(C_OpenSession) \
	X(C_CloseSession) \
	X(C_Login) \
	X(C_FindObjectsInit) \
	X(C_FindObjects) \
	X(C_FindObjectsFinal) \
	X(C_GetAttributeValue) \
	X(C_GenerateKey) \
	X(C_DestroyObject) \
	X(C_GenerateRandom) \
	X(C_EncryptInit) \
	X(C_Encrypt) \
	X(C_DecryptInit) \
	X(C_Decrypt) \
	X(C_GetSessionInfo) \
	X(C_CreateObject) \
	X(C_GenerateKeyPair) \
	X(C_SignInit) \
	X(C_Sign) \
	X(C_VerifyInit) \
	X(C_Verify) \
	X(C_GetSlotInfo) \
	X(C_GetMechanismList) \
	X(C_CloseAllSessions) \
	X(C_Logout) \
	X(C_CopyObject) \
	X(C_SetAttributeValue) \
	X(C_WrapKey) \
	X(C_UnwrapKey) \
	X(C_DeriveKey)

enum p11shim_function {
#define X(name) P11SHIM_##name,
	P11SHIM_FUNCTIONS(X)
#undef X
		P11SHIM_COUNT
};

/* As rv of a fault: the process is killed before the call is made. */
#define P11SHIM_CRASH UINT64_MAX

#define P11SHIM_CHAT "INFO: connected to the HSM" /* see chatty */

struct p11shim_fault {
	_Atomic uint64_t calls; /* so far */
	_Atomic uint64_t first; /* number of the first call that fails, from 1; 0: none */
	_Atomic uint64_t last; /* of the last one */
	_Atomic uint64_t rv; /* what it returns instead of being made; 0: it is made */
	_Atomic uint64_t
		delay_us; /* how long it waits before; ends when it is healed. Modules hang for minutes
				      (Pkcs11Interop issue 214) */
};

struct p11shim {
	struct p11shim_fault faults[P11SHIM_COUNT];
	/* Every call waits so long: a network HSM. */
	_Atomic uint64_t every_delay_us;
	/* No token: every function but C_Initialize and C_Finalize gives CKR_DEVICE_REMOVED, and there are no slots.
	 * (Standard: removing a token closes all its sessions.) */
	_Atomic uint32_t gone;
	/* Once: C_Logout behind the worker's back. Standard: C_Logout on one session logs all of an application out, and
	 * closing its last session does so, too (crypto11 issue 9). */
	_Atomic uint32_t lose_login;
	/* Once: C_CloseAllSessions behind the worker's back; what removing the last card of an OCS does (nShield's
	 * documentation of its PKCS#11 library). */
	_Atomic uint32_t lose_sessions;
	/* AWS CloudHSM, user guide "PKCS #11 supported mechanisms", note on CKM_AES_GCM: the HSM makes the IV, and the
	 * buffer that pIv points to must be zeroed; php-pkcs11 issue 73, crypto11 PR 59. A non-zero IV is refused, a zero one
	 * is overwritten. */
	_Atomic uint32_t hsm_iv;
	/* The same guide: CKM_CLOUDHSM_AES_GCM (0x80001087, cloudhsm_pkcs11_vendor_defs.h) with pIv NULL; the IV stands
	 * before the ciphertext, in both directions. */
	_Atomic uint32_t prefix_gcm;
	/* Luna in FIPS mode: pIv NULL and ulIvLen 0 for encryption (pkcs11js issue 107, rust-cryptoki issue 247), the IV stands
	 * behind the tag, and from firmware 7.9.3 on has ulIvBits bits (Thales, "CKM_AES_GCM"); 16 bytes if it is 0. */
	_Atomic uint32_t suffix_iv;
	_Atomic uint32_t same_iv; /* an HSM that makes IVs, and always the same one: broken */
	/* CloudHSM SDK 5, migration guide: read-write sessions only; CKR_FUNCTION_FAILED otherwise. */
	_Atomic uint32_t need_rw;
	/* CloudHSM, known issues: handles are specific to a session. */
	_Atomic uint32_t session_handles;
	/* CloudHSM, user guide: 16,224 bytes are the most for AES-GCM. The standard's code for that. 0: no limit */
	_Atomic uint32_t data_max_bytes;
	/* CloudHSM: CKA_ID must be unique; the guide names no code, here it is CKR_ATTRIBUTE_VALUE_INVALID. */
	_Atomic uint32_t unique_ids;
	/* CloudHSM: C_CopyObject is not among the functions of the library, nor CKA_COPYABLE among its attributes. */
	_Atomic uint32_t no_copyable;
	/* CloudHSM, user guide "Log in with the PKCS #11 library": the PIN is user:password. */
	_Atomic uint32_t need_user;
	/* CloudHSM, "HSM throttling": CKR_FUNCTION_FAILED under load (SDK 5). Each n-th call that begins something fails; 0: none */
	_Atomic uint32_t throttle_every;
	_Atomic uint64_t throttled; /* calls counted for it */
	/* Standard: CKR_SESSION_COUNT if there are too many sessions. Of one process; 0: no limit. A YubiHSM 2 has 16. */
	_Atomic uint32_t sessions_max;
	_Atomic uint32_t no_gcm; /* CKM_AES_GCM is not there, as in a YubiHSM 2's module */
	_Atomic uint32_t
		no_bits; /* CK_GCM_PARAMS with ulIvBits is refused (Pkcs11Interop issue 126) */
	_Atomic uint32_t
		layout_without_bits; /* only the layout without the member is taken, as in the text of 2.40 */
	_Atomic uint32_t same_random; /* C_GenerateRandom always gives the same bytes: broken */
	_Atomic uint32_t wrong_signatures; /* C_Sign gives one bit wrong: broken */
	_Atomic uint32_t accept_tags; /* a bad tag is taken for good: broken */
	/* How a bad tag is answered: SoftHSM 2.6.1 gives CKR_GENERAL_ERROR, 2.7.0 and NSS CKR_ENCRYPTED_DATA_INVALID. 0: as
	 * the real module does */
	_Atomic uint64_t bad_tag_rv;
	/* An operation that fails in its second half stays active, and the next one is refused. Standard: so it is after
	 * CKR_BUFFER_TOO_SMALL; here it is so after CKR_DATA_LEN_RANGE, too */
	_Atomic uint32_t leave_open;
	_Atomic uint32_t chatty; /* prints on stdout, as vendors' modules do with their own log */
	_Atomic uint32_t
		pin_tries; /* wrong PINs until CKR_PIN_LOCKED (standard); 0: never, as SoftHSM */
	_Atomic uint32_t wrong_pins; /* so far */
	/* Calls of several processes follow one another, for a real module that is not safe for two (SoftHSM 2.6.1
	 * truncates its files and writes them without a lock). */
	_Atomic uint32_t one_at_a_time;
	/* The key with victim_id (set victim last): */
	uint8_t victim_id[16];
	_Atomic uint32_t victim; /* victim_id is set */
	_Atomic uint32_t doubled; /* is found twice: an import or a restored backup */
	_Atomic uint32_t extractable; /* reports CKA_EXTRACTABLE true */
	_Atomic uint32_t other_kcv; /* has another check value: another token of the same name */
};

/* Everything that is known of AWS CloudHSM's Client SDK 5, on a token whose PIN is user:password. */
static inline void
p11shim_be_cloudhsm(struct p11shim *s)
{
	atomic_store(&s->hsm_iv, 1);
	atomic_store(&s->prefix_gcm, 1);
	atomic_store(&s->need_rw, 1);
	atomic_store(&s->session_handles, 1);
	atomic_store(&s->data_max_bytes, 16224);
	atomic_store(&s->unique_ids, 1);
	atomic_store(&s->no_copyable, 1);
	atomic_store(&s->need_user, 1);
	atomic_store(&s->pin_tries, 5);
	atomic_store(&s->bad_tag_rv, 0x40); /* CKR_ENCRYPTED_DATA_INVALID */
	atomic_store(&s->one_at_a_time, 1);
}

/* Let the next `times` calls of f return rv. */
static inline void
p11shim_fail(struct p11shim *s, enum p11shim_function f, uint64_t times, uint64_t rv)
{
	uint64_t calls = atomic_load(&s->faults[f].calls);

	atomic_store(&s->faults[f].first, 0);
	atomic_store(&s->faults[f].rv, rv);
	atomic_store(&s->faults[f].delay_us, 0);
	atomic_store(&s->faults[f].last, times == UINT64_MAX ? times : calls + times);
	atomic_store(&s->faults[f].first, calls + 1);
}

/* Let the next `times` calls of f wait first. */
static inline void
p11shim_delay(struct p11shim *s, enum p11shim_function f, uint64_t times, uint64_t delay_ms)
{
	p11shim_fail(s, f, times, 0);
	atomic_store(&s->faults[f].delay_us, delay_ms * 1000);
}

/* Let the n-th call of f from now (1: the next) return rv, once. */
static inline void
p11shim_fail_at(struct p11shim *s, enum p11shim_function f, uint64_t n, uint64_t rv)
{
	uint64_t calls = atomic_load(&s->faults[f].calls);

	atomic_store(&s->faults[f].first, 0);
	atomic_store(&s->faults[f].rv, rv);
	atomic_store(&s->faults[f].delay_us, 0);
	atomic_store(&s->faults[f].last, calls + n);
	atomic_store(&s->faults[f].first, calls + n);
}

/* Let the n-th call of f from now on wait first. */
static inline void
p11shim_delay_nth(struct p11shim *s, enum p11shim_function f, uint64_t n, uint64_t delay_ms)
{
	uint64_t calls = atomic_load(&s->faults[f].calls);

	atomic_store(&s->faults[f].first, 0);
	atomic_store(&s->faults[f].rv, 0);
	atomic_store(&s->faults[f].delay_us, delay_ms * 1000);
	atomic_store(&s->faults[f].last, calls + n);
	atomic_store(&s->faults[f].first, calls + n);
}

/* Let the next `times` calls of f hang until it is healed. */
static inline void
p11shim_hang(struct p11shim *s, enum p11shim_function f, uint64_t times)
{
	p11shim_delay(s, f, times, 86400000);
}

/* Let the n-th call of f from now return rv, and no other. Returns the number of that call. */
static inline uint64_t
p11shim_fail_nth(struct p11shim *s, enum p11shim_function f, uint64_t n, uint64_t rv)
{
	uint64_t at = atomic_load(&s->faults[f].calls) + n;

	atomic_store(&s->faults[f].first, 0);
	atomic_store(&s->faults[f].rv, rv);
	atomic_store(&s->faults[f].delay_us, 0);
	atomic_store(&s->faults[f].last, at);
	atomic_store(&s->faults[f].first, at);
	return at;
}

static inline void
p11shim_heal(struct p11shim *s, enum p11shim_function f)
{
	atomic_store(&s->faults[f].first, 0);
}

static inline uint64_t
p11shim_calls(struct p11shim *s, enum p11shim_function f)
{
	return atomic_load(&s->faults[f].calls);
}

#endif
