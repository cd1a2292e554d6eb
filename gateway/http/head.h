/* The head of a request while it comes, and what it says about the body: the same for both versions of HTTP.
 *
 * Texts are copied, terminated, into rooms that do not move, so that what http_request has stays valid as long as the head.
 * The first rule that is broken is what is refused; a head that refused something is of no more use. Thread: its own.
 */
#ifndef GATEWAY_HTTP_HEAD_H
#define GATEWAY_HTTP_HEAD_H

#include "http/counters.h"
#include "http/http.h"

#define HTTP_TARGET_MAX 8192u
#define HTTP_METHOD_MAX 32u
#define HTTP_HEAD_FIRST_BYTES 1536u
#define HTTP_HEAD_FIRST_COUNT 24u

struct http_head_limits {
	size_t bytes; /* names and values, and 32 for each header, as RFC 9113, 6.5.2, counts */
	unsigned headers_count;
};

struct http_head_room;

struct http_head {
	struct http_head_limits limits;
	size_t bytes; /* so far, as limits.bytes */
	struct http_head_room *rooms; /* beyond `first` */
	char *at; /* free */
	size_t left; /* there */
	struct http_header *headers; /* first_headers, or allocated */
	size_t headers_count, headers_cap;
	/* What was seen; ptr NULL: not. */
	struct http_text method, target, path, query, pseudo_authority, host, target_authority;
	unsigned version;
	bool has_length, is_chunked, has_coding, has_expect, expects_continue;
	bool wants_close; /* Connection: close */
	bool has_type, has_authorization;
	uint64_t length_bytes;
	struct http_header first_headers[HTTP_HEAD_FIRST_COUNT];
	char first[HTTP_HEAD_FIRST_BYTES];
};

/* HTTP_REFUSAL_COUNT stands for: nothing was refused. */
#define HTTP_NOT_REFUSED HTTP_REFUSAL_COUNT

/* The status that answers a refusal, such as 400; 0: there is nobody to answer, or no sense in it. */
unsigned http_refusal_status(enum http_refusal refusal);

void http_head_init(struct http_head *head, const struct http_head_limits *limits);
void http_head_fini(struct http_head *head);

/* The three parts of a request line, or :method and :path. version: 10, 11 or 20. */
MUST_USE enum http_refusal http_head_method(struct http_head *head, const char *text, size_t len);
MUST_USE enum http_refusal http_head_target(struct http_head *head, const char *text, size_t len);
MUST_USE enum http_refusal http_head_authority(
	struct http_head *head, const char *text, size_t len); /* :authority */
/* A header; the name in any case, the value with blanks around it. */
MUST_USE enum http_refusal http_head_add(struct http_head *head, const char *name, size_t name_len,
	const char *value, size_t value_len);
/* All is there: what belongs together is checked, and *out_request is set (but for client and head_ns). */
MUST_USE enum http_refusal http_head_finish(
	struct http_head *head, unsigned version, struct http_request *out_request);

#endif
