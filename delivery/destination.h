/* Where batches go. One table of functions per kind: file and S3 (one kind, two stores), PostgreSQL, Redshift, search, HTTP.
 *
 *     open ─► ( begin ─► gather ... gather ─► seal ─► deliver ─► done [─► deliver again ...] ─► release )* ─► close
 *
 * begin, gather, seal and release run in a thread of the pool, may compute, and may not wait for anything but a local disk.
 * deliver runs in the loop (loop.h) and may wait for nothing: it starts what it needs (web.h, a socket watched by the loop, or
 * dlv_loop_work() for what is computed or written locally) and calls done exactly once, from the loop, later. A destination has
 * one batch under way at a time and one being gathered; they do not share state but through the destination's own lock.
 */
#ifndef DELIVERY_DESTINATION_H
#define DELIVERY_DESTINATION_H

#include "base/error.h"
#include "batch.h"
#include "delivery/spec.h"

struct dlv_loop; /* loop.h */
struct dlv_role; /* role.h: the sessions of the delivery role; data keys under its rights */
struct dlv_stores; /* stores.h: what deliverd.yaml says of buckets */
struct dlv_databases; /* databases.h: what it says of databases; NULL: nothing */
struct dlv_endpoints; /* endpoints.h: what it says of search clusters and HTTP endpoints; NULL: nothing */

enum dlv_outcome {
	DLV_DELIVERED, /* all of it is durable there */
	/* Some records are refused for good and will be again: failed[] names them; all others are there. */
	DLV_DELIVERED_REST,
	DLV_FAILED, /* try again later: away, slow, busy, full */
	/* Will not get better by itself: credentials, rights, a missing bucket or table. Tried again more slowly, until mended. */
	DLV_REFUSED,
};

struct dlv_failed {
	uint32_t index; /* into batch->entries */
	int http_status; /* or 0 */
	char code[48], message[160]; /* what the destination said; no content of records */
};

struct dlv_result {
	enum dlv_outcome outcome;
	struct slk_error error; /* a sentence, unless DLV_DELIVERED */
	char code[48]; /* for counters and status: "S3.SlowDown", "KMS.AccessDenied" */
	/* Borrowed during done. With DLV_FAILED and DLV_REFUSED: what is missing so far, if some of the batch is there: only that needs a
	 * backup. None: all of it is missing. */
	const struct dlv_failed *failed;
	size_t failed_count;
	uint64_t retry_after_ns; /* what the destination asked for; 0: nothing */
};
typedef void (*dlv_done)(void *arg, const struct dlv_result *result);

/* What a destination may use; borrowed until close. */
struct dlv_env {
	const char *name, *arn; /* of the delivery stream */
	const char *account, *region;
	const struct dlv_spec *spec;
	/* Of dlv_s3_ops: where its objects go: &spec->s3 or &spec->source_backup. Whoever else needs a bucket takes spec->s3. */
	const struct dlv_s3 *s3;
	/* Of dlv_s3_ops: NULL, or the type of an error output, "processing-failed": keys are made with error_prefix and this type, and
	 * each record is a whole line already (no delimiter is added). */
	const char *error_type;
	uint64_t version; /* of the delivery stream */
	struct dlv_loop *loop;
	struct dlv_role *role;
	const struct dlv_stores *stores;
	const struct dlv_databases *databases;
	const struct dlv_endpoints *endpoints;
	struct dlv_pool *pool;
	const struct slk_clock *clock;
};

struct dlv_destination_ops {
	const char *name; /* "s3", "postgres", ... in status and metrics */
	bool keeps_raw; /* batch->raw and entries are kept: records can fail alone, or are backed up */
	/* Nothing is connected yet. SLK_CONFIG with a sentence: deliverd.yaml lacks what it needs; SLK_NO_MEMORY. */
	int (*open)(const struct dlv_env *env, void **out_dest, struct slk_error *err);
	void (*close)(void *dest); /* nothing is under way */
	/* Before a batch's first record: its number, id and version are set. */
	int (*begin)(void *dest, struct dlv_batch *batch, struct slk_error *err);
	/* Append records to batch->body. SLK_LIMIT: no memory now; nothing of the call was appended. What came in one call is there
	 * as a whole or not at all. */
	int (*gather)(void *dest, struct dlv_batch *batch, const struct dlv_record *records,
		size_t count, struct slk_error *err);
	/* The last record is in: count, oldest_ns and planned_ns are final. Codes as gather, and those of KMS. */
	int (*seal)(void *dest, struct dlv_batch *batch, struct slk_error *err);
	void (*deliver)(void *dest, struct dlv_batch *batch, dlv_done done, void *arg);
	/* The retry duration is over, and the records are in the error output or (Redshift) in the bucket: leave word of it where the
	 * destination has it so (a manifest under errors/). As deliver. NULL: there is nothing to do. */
	void (*give_up)(void *dest, struct dlv_batch *batch, dlv_done done, void *arg);
	/* What records in the error output are called: "AmazonOpenSearchService-failed"; NULL: nothing goes there. */
	const char *error_type;
	/* Stop what is under way; done is not called any more. Whatever it did may have happened. */
	void (*cancel)(void *dest, struct dlv_batch *batch);
	void (*release)(void *dest, struct dlv_batch *batch); /* batch->work */
};

extern const struct dlv_destination_ops dlv_s3_ops, dlv_postgres_ops, dlv_redshift_ops,
	dlv_search_ops, dlv_http_ops;

#endif
