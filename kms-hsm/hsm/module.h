/* A PKCS#11 module, loaded by its path and called through its function list.
 *
 * Loading sets OPENSSL_CONF=/dev/null first: the module may bring OpenSSL with it, whose
 * configuration could load our own provider, which would call this very worker. C_Initialize always
 * asks for the operating system's locks, for modules switch theirs off otherwise. After
 * C_Initialize the process must not fork. Thread: start-up loads; initialise and finalise are
 * called by one thread while no other calls the module.
 */
#ifndef KMS_HSM_HSM_MODULE_H
#define KMS_HSM_HSM_MODULE_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/status.h"
#include "hsm/options.h"

struct hsm_module {
	void *library;
	CK_FUNCTION_LIST *fn;
	enum hsm_init_kind init;
	const char *parameters; /* borrowed from the options */
	bool initialised;
};

/* SLK_CONFIG with a sentence: not there, not a module, or (SLK_DENIED) writable by others than root
 * and its owner. */
MUST_USE int hsm_module_load(
	const struct hsm_options *options, struct hsm_module *out_module, struct slk_error *err);

/* The raw CK_RV. CKR_CRYPTOKI_ALREADY_INITIALIZED is an error here: nobody else may have done it.
 */
MUST_USE CK_RV hsm_module_initialise(struct hsm_module *module);

/* Nothing if it is not initialised. Errors are of no use to anybody. */
void hsm_module_finalise(struct hsm_module *module);

/* The library stays mapped: several vendors' libraries do not survive dlclose(). */

/* A PKCS#11 text field (blank-padded, not terminated) as a string. out has len + 1 bytes. */
void hsm_module_text(const unsigned char *field, size_t len, char *out);

#endif
