/* PKCS#11 return values: their names, and what the worker does about each (a class).
 *
 * Thread: any; pure functions.
 */
#ifndef KMS_HSM_HSM_RV_H
#define KMS_HSM_HSM_RV_H

#include <p11-kit/pkcs11.h>

/* Ours, never the module's: a key that was there a moment ago is not found any more. */
#define HSM_RV_VANISHED (CKR_VENDOR_DEFINED | 0x5ea10c01UL)
/* Ours: what the module encrypted has not the length that the profile says, so IV and tag are elsewhere. */
#define HSM_RV_SHAPE (CKR_VENDOR_DEFINED | 0x5ea10c02UL)
/* Ours: the token answered, and what it gave is provably wrong. */
#define HSM_RV_WRONG (CKR_VENDOR_DEFINED | 0x5ea10c03UL)

enum hsm_rv_class {
	HSM_RV_OK,
	HSM_RV_SESSION, /* A: this session is gone; open another and try once more */
	HSM_RV_LOGIN, /* B: the login is gone; stop the pool, log in once, try once more */
	HSM_RV_OBJECT, /* C: the handle is stale; find the object again, try once more */
	HSM_RV_TOKEN, /* D: the token or the link to it is gone; initialise everything again, try
			 once more */
	HSM_RV_BUSY, /* E: wait a little and try again, a few times; then ask the canary */
	HSM_RV_DATA, /* F: the caller's bytes, if the canary agrees */
	HSM_RV_UNCLEAR, /* CKR_GENERAL_ERROR: F with a good canary, D with a bad one */
	HSM_RV_PIN, /* G: the PIN was refused; never try again by oneself */
	HSM_RV_CONFIG, /* G: the token cannot do it; trying again is useless */
};

enum hsm_rv_class hsm_rv_class(CK_RV rv);

/* "CKR_DEVICE_REMOVED", or "CKR_?" for a number that is not in the standard. Static storage. */
const char *hsm_rv_name(CK_RV rv);

#endif
