/* Errors and random bytes. */
#include "prov.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdint.h>

/* OSSL_ITEM points to what may be written; nobody does. */
#define REASON(number, text) \
	{ \
		(number), (void *)(uintptr_t)(text) \
	}

const OSSL_ITEM prov_reason_strings[] = {
	REASON(PROV_E_MEMORY, "out of memory"),
	REASON(PROV_E_NO_KEY, "no key was set"),
	REASON(PROV_E_KEY_LENGTH, "the key has another length"),
	REASON(PROV_E_IV_LENGTH, "IV length out of range"),
	REASON(PROV_E_NO_IV, "each message needs an IV of its own: set one first"),
	REASON(PROV_E_AAD_AFTER_DATA, "additional data after data"),
	REASON(PROV_E_TOO_LONG, "the message is longer than GCM allows"),
	REASON(PROV_E_BUFFER_TOO_SMALL, "output buffer too small"),
	REASON(PROV_E_TAG_LENGTH, "tag length out of range"),
	REASON(PROV_E_NO_TAG, "no tag to check was set"),
	REASON(PROV_E_BAD_TAG,
		"the tag does not fit: key, IV, additional data or ciphertext differ"),
	REASON(PROV_E_TLS_RECORD, "not a TLS record of this cipher"),
	REASON(PROV_E_RANDOM, "no random bytes"),
	REASON(PROV_E_PARAMETER, "a parameter has the wrong type or size"),
	REASON(PROV_E_SELF_TEST, "known-answer test failed"),
	REASON(PROV_E_KMS, "sealock-kmsd"),
	REASON(PROV_E_KEY_REFERENCE, "not the name of a key in the HSM"),
	REASON(PROV_E_ALGORITHM, "the key cannot do this"),
	REASON(PROV_E_DATA_KEY, "named data key"),
	{0, NULL},
};

void
prov_raise_at(const struct prov *prov, enum prov_reason reason, const char *file, int line,
	const char *function, const char *format, ...)
{
	va_list args;

	if (prov->new_error == NULL || prov->set_error_debug == NULL || prov->vset_error == NULL)
		return;
	va_start(args, format);
	prov->new_error(prov->handle);
	prov->set_error_debug(prov->handle, file, line, function);
	prov->vset_error(prov->handle, reason, format, args);
	va_end(args);
}

bool
prov_random(const struct prov *prov, unsigned char *out, size_t len)
{
	if (RAND_bytes_ex(prov->libctx, out, len, 0) == 1)
		return true;
	prov_raise(prov, PROV_E_RANDOM, NULL);
	return false;
}
