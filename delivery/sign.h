/* AWS Signature Version 4, the client's side, as S3 wants it.
 *
 *     target:  the path encoded once, byte by byte but for A-Z a-z 0-9 - . _ ~ and /, neither normalised nor encoded twice;
 *              parameters encoded, sorted, "name=" where there is no value. What is signed is what is sent.
 *     headers: all that are given are signed, with host, x-amz-date, x-amz-content-sha256 (S3) and x-amz-security-token; sorted
 *              by name. What is added on the way (Content-Length, User-Agent, Accept) is not.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. The key of a day is derived once. Thread: a
 * signer belongs to one at a time.
 */
#ifndef DELIVERY_SIGN_H
#define DELIVERY_SIGN_H

#include "keys.h"
#include "web.h"

struct dlv_signer;
/* service: "s3"; another one has no x-amz-content-sha256. SLK_INVALID: a name is too long; SLK_NO_MEMORY. */
MUST_USE int dlv_signer_new(
	const char *region, const char *service, struct dlv_signer **out_signer);
void dlv_signer_free(struct dlv_signer *signer); /* wipes; NULL allowed */

struct dlv_param {
	const char *name, *value; /* as they are, not encoded */
};

struct dlv_sign_request {
	const char *method;
	const char *host; /* as the Host header will be: with a port that is not the scheme's own */
	const char *path; /* from the first slash on, not encoded */
	const struct dlv_param *params;
	size_t params_count; /* at most 8 */
	const struct dlv_web_header *headers;
	size_t headers_count; /* at most DLV_WEB_HEADERS_MAX - 4 */
	/* 32 bytes; NULL: the signature does not cover the body (UNSIGNED-PAYLOAD), which S3 takes over TLS. */
	const uint8_t *payload_sha256;
	uint64_t wall_ns;
};

struct dlv_signed {
	char *target; /* path and query, encoded */
	/* Those of the request (borrowed from it) and those of the signature. */
	struct dlv_web_header headers[DLV_WEB_HEADERS_MAX];
	size_t headers_count;
	struct slk_secret *texts; /* what the latter point to */
	/* The canonical request: for tests, and never for a log, as it may have a session's token in it. */
	struct slk_span canonical;
};

/* keys: those of generation (keys.h). SLK_TOO_LARGE, SLK_NO_MEMORY, SLK_INTERNAL. */
MUST_USE int dlv_sign(struct dlv_signer *signer, const struct dlv_keys *keys, uint64_t generation,
	const struct dlv_sign_request *request, struct dlv_signed *out_signed);
void dlv_signed_fini(struct dlv_signed *signed_request); /* wipes; zeroed is allowed */

/* Percent-encode text (keep_slash: not '/') to out, with a terminator. SLK_FULL. */
MUST_USE int dlv_uri_encode(const char *text, bool keep_slash, char *out, size_t cap);

#endif
