/* AWS Signature Version 4, the server's side: what a request says about who signed it, and whether it was signed so.
 *
 *     gw_sigv4_parse()      form, time, scope and the set of signed headers: needs no key
 *     (the signing key of the scope comes from kmsd)
 *     gw_sigv4_matches()    the canonical request, hashed, and its HMAC; in constant time
 *
 * Both forms are known: the Authorization header and the presigned query. A request is refused whose signature does not cover
 * what decides about it: host (or :authority over HTTP/2), its date, and every x-amz-* header that it has. Payloads are always
 * hashed as received; UNSIGNED-PAYLOAD and streaming signatures belong to S3 and are refused. No nonce is kept: equal calls
 * within a second have equal signatures, so a replay within the skew is not told from an honest repetition.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html; texts and codes of errors as the
 * service words them. Nothing that was computed from a key is ever part of an error. Thread: an engine belongs to one.
 */
#ifndef GATEWAY_AWS_SIGV4_H
#define GATEWAY_AWS_SIGV4_H

#include "aws/fault.h"
#include "base/bytes.h"
#include "http/http.h"

#define GW_SIGV4_KEY_ID_MAX 129u /* with terminator */
#define GW_SIGV4_NAME_MAX 65u /* region, service; with terminator */
#define GW_SIGV4_TIME_MAX 17u /* "20150830T123600Z" */
#define GW_SIGV4_SIGNED_MAX 4096u /* of SignedHeaders */
#define GW_SIGV4_TOKEN_MAX 8192u
#define GW_SHA256_BYTES 32u
#define GW_SIGV4_SKEW_S 300u
#define GW_SIGV4_EXPIRES_MAX_S 604800u

/* What a server accepts. */
struct gw_sigv4_policy {
	const char *region, *service; /* of the endpoint and of the target */
	uint64_t now_s; /* Unix time */
	uint32_t skew_s; /* each way; GW_SIGV4_SKEW_S */
};

/* What a request says. Texts are terminated and without control characters. */
struct gw_sigv4 {
	bool presigned;
	char key_id[GW_SIGV4_KEY_ID_MAX];
	char date[9]; /* of the scope: YYYYMMDD */
	char region[GW_SIGV4_NAME_MAX], service[GW_SIGV4_NAME_MAX];
	char time[GW_SIGV4_TIME_MAX]; /* as it is signed */
	char signed_headers[GW_SIGV4_SIGNED_MAX];
	char *token; /* of a session, or NULL; owned */
	uint8_t signature[GW_SHA256_BYTES];
};

/* Is there anything about a signature at all? */
bool gw_sigv4_is_there(const struct http_request *request);

/* Fill *out, to be given to gw_sigv4_fini() also after a fault. false: *out_fault says why. */
MUST_USE bool gw_sigv4_parse(const struct http_request *request,
	const struct gw_sigv4_policy *policy, struct gw_sigv4 *out, struct gw_fault *out_fault);
void gw_sigv4_fini(struct gw_sigv4 *sig);

struct gw_sigv4_engine;
MUST_USE int gw_sigv4_engine_new(struct gw_sigv4_engine **out_engine);
void gw_sigv4_engine_free(struct gw_sigv4_engine *engine); /* wipes; NULL allowed */

/* The canonical request as text, borrowed until the engine's next call: for tests, and never for an answer. normalise: dot
 * segments and double slashes of the path, as all services but S3 have it. SLK_NO_MEMORY, SLK_LIMIT. */
MUST_USE int gw_sigv4_canonical(struct gw_sigv4_engine *engine, const struct http_request *request,
	const struct gw_sigv4 *sig, const uint8_t payload[GW_SHA256_BYTES], bool normalise,
	struct slk_span *out_text);
/* The signature that key (32 bytes) makes of the request. As above, and SLK_INTERNAL. */
MUST_USE int gw_sigv4_sign(struct gw_sigv4_engine *engine, const struct http_request *request,
	const struct gw_sigv4 *sig, const uint8_t payload[GW_SHA256_BYTES], const uint8_t *key,
	uint8_t out_signature[GW_SHA256_BYTES]);
/* Is it the one that the request brought, and is x-amz-content-sha256, where it is there, that of the payload? key NULL: the
 * caller is unknown; the same work is done for nothing. */
MUST_USE bool gw_sigv4_matches(struct gw_sigv4_engine *engine, const struct http_request *request,
	const struct gw_sigv4 *sig, const uint8_t payload[GW_SHA256_BYTES], const uint8_t *key,
	struct gw_fault *out_fault);

/* --- hashes of payloads as they come --- */
struct gw_hash; /* SHA-256 */
MUST_USE int gw_hash_new(struct gw_sigv4_engine *engine, struct gw_hash **out_hash);
MUST_USE int gw_hash_add(struct gw_hash *hash, const void *bytes, size_t len);
MUST_USE int gw_hash_end(struct gw_hash *hash, uint8_t out[GW_SHA256_BYTES]);
void gw_hash_free(struct gw_hash *hash); /* NULL allowed */

/* The value of a parameter of a query or form, percent-decoded (plus: '+' is a blank) into out with a terminator.
 * SLK_NOT_FOUND, SLK_EXISTS (there are two), SLK_MALFORMED (bad escape, NUL), SLK_FULL. */
MUST_USE int gw_query_value(
	struct slk_span query, const char *name, bool plus, char *out, size_t cap, size_t *out_len);

#endif
