/* Control block of the fault shim, a PKCS#11 module for tests that stands in front of a real one.
 *
 * The worker loads p11shim.so; P11SHIM_MODULE names the real module, P11SHIM_CONTROL a file of
 * sizeof(struct p11shim) bytes that shim and test both map. Tests switch faults while the worker
 * runs and read how often each function was called, across all workers that used the file. All
 * members are atomic; zero means no fault.
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
	X(C_Verify)

enum p11shim_function {
#define X(name) P11SHIM_##name,
	P11SHIM_FUNCTIONS(X)
#undef X
		P11SHIM_COUNT
};

struct p11shim_fault {
	_Atomic uint64_t calls; /* so far */
	_Atomic uint64_t first; /* number of the first call that fails, from 1; 0: none */
	_Atomic uint64_t last; /* of the last one */
	_Atomic uint64_t rv; /* what it returns instead of being made; 0: it is made */
	_Atomic uint64_t delay_ms; /* how long it waits before */
};

struct p11shim {
	struct p11shim_fault faults[P11SHIM_COUNT];
	_Atomic uint32_t gone; /* every function but C_Initialize and C_Finalize:
				  CKR_DEVICE_REMOVED; no slots */
	_Atomic uint32_t lose_login; /* once: C_Logout behind the worker's back */
	_Atomic uint32_t lose_sessions; /* once: C_CloseAllSessions behind the worker's back */
	_Atomic uint32_t
		hsm_iv; /* like CloudHSM: a non-zero IV is refused, a zero one is overwritten */
	_Atomic uint32_t same_iv; /* with hsm_iv: always with the same bytes */
	_Atomic uint32_t need_rw; /* like CloudHSM: read-only sessions are refused */
	_Atomic uint32_t session_handles; /* like CloudHSM: a handle is good in the session that
					     found it only */
	_Atomic uint32_t no_gcm; /* CKM_AES_GCM is not there */
	_Atomic uint32_t no_bits; /* CK_GCM_PARAMS with ulIvBits is refused */
	_Atomic uint32_t same_random; /* C_GenerateRandom always gives the same bytes */
	_Atomic uint32_t wrong_signatures; /* C_Sign gives one bit wrong */
	_Atomic uint32_t accept_tags; /* a bad tag is taken for good */
	_Atomic uint32_t pin_tries; /* wrong PINs until CKR_PIN_LOCKED; 0: never */
	_Atomic uint32_t wrong_pins; /* so far */
	/* The key with victim_id (set victim last): */
	uint8_t victim_id[16];
	_Atomic uint32_t victim; /* victim_id is set */
	_Atomic uint32_t doubled; /* is found twice */
	_Atomic uint32_t extractable; /* reports CKA_EXTRACTABLE true */
	_Atomic uint32_t other_kcv; /* has another check value */
};

/* Let the next `times` calls of f return rv. */
static inline void
p11shim_fail(struct p11shim *s, enum p11shim_function f, uint64_t times, uint64_t rv)
{
	uint64_t calls = atomic_load(&s->faults[f].calls);

	atomic_store(&s->faults[f].first, 0);
	atomic_store(&s->faults[f].rv, rv);
	atomic_store(&s->faults[f].delay_ms, 0);
	atomic_store(&s->faults[f].last, times == UINT64_MAX ? times : calls + times);
	atomic_store(&s->faults[f].first, calls + 1);
}

/* Let the next `times` calls of f wait first. */
static inline void
p11shim_delay(struct p11shim *s, enum p11shim_function f, uint64_t times, uint64_t delay_ms)
{
	p11shim_fail(s, f, times, 0);
	atomic_store(&s->faults[f].delay_ms, delay_ms);
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
