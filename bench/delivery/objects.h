/* The file destination as a bench drives it, and the bare program beside it. */
#ifndef SLK_BENCH_DELIVERY_OBJECTS_H
#define SLK_BENCH_DELIVERY_OBJECTS_H

#include "base/error.h"
#include "base/secret.h"
#include "delivery_bench.h"
#include "delivery/spec.h"

#define OBJECTS_DATA_KEY "0123456789abcdef0123456789abcdef"
#define OBJECTS_RECORD_BYTES 1024u
#define OBJECTS_BLOCK_RECORDS 62u /* of a block of the journal */

/* The content: records one behind the other, the same for all contenders. */
struct objects_content {
	uint8_t *bytes; /* one block of records; all blocks hold the same */
	size_t block_bytes;
	uint64_t blocks, object_blocks; /* in all; in one object */
	char sha256[65]; /* of all */
};

/* --- deliverd's way: feed, flow and S3 destination over a real journal, into a directory --- */

struct objects_flow {
	const struct objects_content *content;
	char root[300]; /* the bench's directory */
	struct dlv_loop *loop;
	struct dlv_web *web;
	struct dlv_pool *pool;
	struct dlv_spec spec;
	bool sealed;
	uint64_t pool_peak; /* bytes */
	bool keep; /* what was delivered stays, to be looked at */
	bool stopped;
	struct slk_error err;
	int status; /* of any run */
};
void objects_flow_run(void *flow);

/* What a run left, opened again: bytes and SHA-256 of all content. Removes it. */
MUST_USE int objects_check(
	const struct objects_flow *flow, char out_sha256[65], struct slk_error *err);
int objects_remove(const char *path); /* with all that is in it */

/* --- a bare program: blocks of AES-256-GCM in a file, opened, sealed as objects, written by a second thread --- */

struct objects_bare;
MUST_USE int objects_bare_new(const struct objects_content *content, const char *root,
	struct objects_bare **out_bare, struct slk_error *err);
void objects_bare_free(struct objects_bare *bare); /* NULL allowed */
void objects_bare_run(void *bare);
int objects_bare_status(const struct objects_bare *bare);

#endif
