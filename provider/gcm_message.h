/* One AES-GCM context: key, IV, AAD, running message. Internal to gcm.c, gcm_tls.c and pipeline.c.
 *
 * Who calls has checked lengths and says what went wrong only by false: the error was raised here. States of the IV: gcm.h.
 */
#ifndef SEALOCK_PROV_GCM_MESSAGE_H
#define SEALOCK_PROV_GCM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gcm_code.h"
#include "prov.h"

#define GCM_IV_BYTES 12u /* unless set */
#define GCM_IV_MAX 128u
#define GCM_TAG_MAX 16u
#define GCM_TLS_AAD_BYTES 13u
#define GCM_TLS_EXPLICIT_IV_BYTES 8u
#define GCM_AAD_INLINE 64u
#define GCM_ALIGNMENT 64u /* what ipsec-mb's key schedule wants */

enum gcm_iv_state { GCM_IV_NONE, GCM_IV_WAITING, GCM_IV_RUNNING, GCM_IV_FINISHED };

struct gcm {
	struct gcm_key_data schedule __attribute__((aligned(GCM_ALIGNMENT)));
	struct gcm_context_data
		work; /* of the running message: counter, hash, left-over key stream */
	const struct seal_ipsecmb_calls *calls;
	void *memory; /* what the allocator gave for this */
	const struct prov *prov;
	size_t key_len;
	bool key_set;
	bool sealing;
	enum gcm_iv_state iv_state;
	bool iv_counts; /* TLS 1.2: the IV is a fixed part and a counter of ours (or of the peer) */
	size_t iv_len;
	uint8_t iv[GCM_IV_MAX]; /* as the program sees it: of TLS 1.2, the next one */
	uint8_t message_iv[GCM_IV_MAX]; /* of the message that waits or runs */
	uint8_t tag[GCM_TAG_MAX]; /* made, or to be checked */
	size_t tag_len; /* 0: none */
	uint8_t *aad; /* aad_inline, or allocated */
	size_t aad_len, aad_cap;
	uint8_t aad_inline[GCM_AAD_INLINE];
	uint64_t done; /* bytes of the running message */
	bool begun; /* ipsec-mb has the IV and the AAD */
	bool tls; /* the next cipher call is one TLS 1.2 record with tls_aad */
	uint8_t tls_aad[GCM_TLS_AAD_BYTES];
	uint64_t tls_records; /* sealed under this key */
	struct gcm **pipes; /* pipeline.c; NULL: none */
	size_t pipes_count;
};

/* --- the context --- */
/* key_len: 16, 24 or 32. NULL: an error was raised. */
struct gcm *prov_gcm_new(void *provctx, size_t key_len);
void prov_gcm_free(void *vctx); /* wipes; NULL allowed */
void *prov_gcm_dup(void *vctx);

/* --- the message (gcm_message.c) --- */
void prov_gcm_set_key(struct gcm *g, const uint8_t *key);
/* len: 1..GCM_IV_MAX. What was running is over. */
void prov_gcm_set_iv(struct gcm *g, const uint8_t *iv, size_t len);
/* May a message go on, or begin? Sealing without an IV takes a random one. */
bool prov_gcm_may_run(struct gcm *g);
bool prov_gcm_add_aad(struct gcm *g, const uint8_t *aad, size_t len);
bool prov_gcm_add_data(struct gcm *g, uint8_t *out, const uint8_t *in, size_t len);
/* The tag is made, or checked. Whatever comes of it, the IV is used up. */
bool prov_gcm_end(struct gcm *g);

/* --- TLS 1.2 records, RFC 5288 (gcm_tls.c) --- */
/* The next message gets the IV of ours that is next; out_part: the last len bytes of it. */
void prov_gcm_tls_next_iv(struct gcm *g, uint8_t *out_part, size_t len);
bool prov_gcm_tls_take_aad(struct gcm *g, const uint8_t *aad, size_t len);
/* len: of the fixed part; (size_t)-1: the whole IV, as programs restore it. */
bool prov_gcm_tls_fixed_iv(struct gcm *g, const uint8_t *iv, size_t len);
/* Explicit IV, data, tag, in place. */
bool prov_gcm_tls_record(
	struct gcm *g, uint8_t *out, size_t *out_len, const uint8_t *in, size_t len);

#endif
