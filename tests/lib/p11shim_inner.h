/* Inside of the fault shim: what its two sources share. */
#ifndef SLK_TESTS_LIB_P11SHIM_INNER_H
#define SLK_TESTS_LIB_P11SHIM_INNER_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "p11shim.h"

#define IV_BYTES 12u
#define TAG_BYTES 16u
#define CLOUDHSM_AES_GCM (CKM_VENDOR_DEFINED | CKM_AES_GCM)

extern struct p11shim *p11shim_ctl;
extern CK_FUNCTION_LIST *p11shim_real;
#define ctl p11shim_ctl
#define real p11shim_real

/* CK_GCM_PARAMS, whose members have other names in each release of p11-kit. */
struct gcm_params {
	unsigned char *iv_ptr;
	unsigned long iv_len;
	unsigned long iv_bits;
	unsigned char *aad_ptr;
	unsigned long aad_len;
	unsigned long tag_bits;
};

/* What a session is in the middle of. */
struct session {
	bool searching_victim;
	bool ecb_of_victim;
	bool gcm;
	enum { IV_NOWHERE, IV_BEFORE, IV_BEHIND } iv_place;
	uint8_t iv[IV_BYTES + 4]; /* where the IV goes into the ciphertext */
	unsigned long iv_len;
	/* Decryption with the IV in the ciphertext begins when it is there. */
	CK_OBJECT_HANDLE key;
	uint8_t *aad;
	unsigned long aad_len;
};

struct session *p11shim_state_of(CK_SESSION_HANDLE s);

/* Count the call, wait, behave as told. True: return *out_rv without making it. */
bool p11shim_strike(enum p11shim_function f, CK_RV *out_rv);
/* Around a call of the real module, if calls of several processes have to follow one another. */
void p11shim_turn_begin(void);
void p11shim_turn_end(void);
/* May the object be used in this session? */
bool p11shim_may_use(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE handle);
bool p11shim_is_victim(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object);

/* A call of the real module, alone among all processes if it has to be. */
#define REAL(call) \
	({ \
		bool alone_ = atomic_load(&ctl->one_at_a_time) != 0; \
		if (alone_) \
			p11shim_turn_begin(); \
		CK_RV rv_ = real->call; \
		if (alone_) \
			p11shim_turn_end(); \
		rv_; \
	})

#define STRIKE(name) \
	CK_RV struck; \
	if (p11shim_strike(P11SHIM_##name, &struck)) \
	return struck

/* p11shim_gcm.c: encryption and decryption. */
CK_RV p11shim_encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key);
CK_RV p11shim_encrypt(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len);
CK_RV p11shim_decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key);
CK_RV p11shim_decrypt(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len);

#endif
