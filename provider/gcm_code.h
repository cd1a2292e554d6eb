/* Which AES-GCM code the provider's ciphers run: chosen once per process by CPU probe and known-answer test.
 *
 * Thread: any.
 */
#ifndef SEALOCK_PROV_GCM_CODE_H
#define SEALOCK_PROV_GCM_CODE_H

#include "seal/ipsecmb.h"

/* The calls for keys of 16, 24 and 32 bytes: an array of three. NULL: this CPU has no AES-NI, or the known-answer test
 * failed. $SEALOCK_PROVIDER_CODE (avx512, avx2, sse) overrides the probe, for measurements. Makes it on the first call. */
const struct seal_ipsecmb_calls *prov_gcm_code(void);
const char *prov_gcm_code_name(void); /* "none" if there is none */

/* Known answers again, on demand. */
bool prov_gcm_code_test(void);

/* Does this CPU run OpenSSL's own wide GCM code (VAES and VPCLMULQDQ on AVX-512), which OpenSSL has since 3.1? */
bool prov_cpu_has_wide_vaes(void);

#endif
