/* Requests of an AWS client, signed with Signature Version 4. */
#ifndef BENCH_GATEWAY_REQUEST_H
#define BENCH_GATEWAY_REQUEST_H

#include "gateway/load.h"

struct gwb_signer {
	char key_id[32], secret[64];
	uint16_t port;
};

/* POST of a body to an operation ("Kinesis_20131202.PutRecord"), of now. request->bytes is the caller's to free. SLK_NO_MEMORY,
 * SLK_INTERNAL. */
MUST_USE int gwb_request_sign(const struct gwb_signer *signer, const char *service,
	const char *target, struct slk_span body, struct gwb_request *out_request);

/* Bodies, by malloc(); NULL without memory. Data are bytes of the generator, keys differ. records 0: of a PutRecord. */
char *gwb_body_put(const char *stream, unsigned records, size_t data_len, uint64_t *seed);
char *gwb_body_get(const char *iterator, unsigned limit);

/* The text of a member in an answer's JSON, into out. SLK_NOT_FOUND, SLK_FULL. */
MUST_USE int gwb_answer_text(struct slk_span body, const char *name, char *out, size_t cap);

#endif
