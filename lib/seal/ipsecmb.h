/* libipsec-mb's direct AES-GCM calls, by code path: what lib/seal's engines and the OpenSSL provider are built on. Internal to
 * the rooms that seal; the appliance's own code goes through seal/seal.h.
 *
 * The manager is only a table of functions here: nothing of it is written after it was made, so one may serve any number of
 * threads. The calls are void: the library drops a call whose arguments it refuses, so its caller checks them. Works with
 * libipsec-mb 1.x and 2.x.
 */
#ifndef SLK_SEAL_IPSECMB_H
#define SLK_SEAL_IPSECMB_H

#include <intel-ipsec-mb.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/status.h"

/* Best first; the last two are those which the library chooses by itself on lesser CPUs (AVX-512 without VAES; AVX without
 * AVX2, gone in 2.0). */
enum seal_ipsecmb_path {
	SEAL_IPSECMB_AVX512,
	SEAL_IPSECMB_AVX2,
	SEAL_IPSECMB_SSE,
	SEAL_IPSECMB_AVX512_NO_VAES,
	SEAL_IPSECMB_AVX,
};

struct seal_ipsecmb_calls {
	aes_gcm_enc_dec_t whole[2]; /* [0] seals, [1] opens */
	aes_gcm_init_t init;
	aes_gcm_init_var_iv_t init_var_iv;
	aes_gcm_enc_dec_update_t update[2];
	aes_gcm_enc_dec_finalize_t finalize[2];
	aes_gcm_pre_t expand;
};

/* A manager with that path's code. name is for the sentence. SLK_UNSUPPORTED (this CPU or this library lacks it),
 * SLK_SELF_TEST, SLK_NO_MEMORY. */
MUST_USE int seal_ipsecmb_new(
	enum seal_ipsecmb_path path, const char *name, IMB_MGR **out_mgr, struct slk_error *err);
void seal_ipsecmb_free(IMB_MGR *mgr); /* NULL allowed */

/* For keys of 16, 24 and 32 bytes, in this order. They are the library's functions, good without mgr, too. */
void seal_ipsecmb_calls(const IMB_MGR *mgr, struct seal_ipsecmb_calls out_calls[3]);

/* Does that path need AVX-512? */
bool seal_ipsecmb_is_avx512(enum seal_ipsecmb_path path);

#endif
