/* Readers of the journal: threads that may wait for files and for kmsd, in place of loops, which may not.
 *
 * A job goes to a reader and comes back to its loop, which writes the answer while it holds the consumer. Consumers are kept by
 * the place where they stand, so that the next GetRecords of an iterator goes on without looking for it; they are given back when
 * memory that can be locked, or descriptors, run short. Keys that were unwrapped are kept per caller: one caller's right to
 * decrypt opens nothing for another. A call that ends leaves its job without a call; the job is freed when it comes back.
 * Thread: gw_readers_forget() any; the rest the loop's. Internal to aws/.
 */
#ifndef GATEWAY_AWS_READERS_H
#define GATEWAY_AWS_READERS_H

#include "aws/kinesis.h"
#include "sealock/consumer.h"

enum gw_job_kind { GW_JOB_READ, GW_JOB_LATEST };

struct gw_job {
	struct gw_job *next;
	struct gw_readers *readers;
	struct gw_thread *thread;
	struct gw_call *call; /* NULL: it ended. The loop's only */
	/* In the loop, with a call: consumer and batch are valid until it returns. */
	void (*done)(struct gw_call *call, struct gw_job *job);
	enum gw_job_kind kind;
	uint64_t stream_id;
	uint32_t shard;
	char stream_arn[KMSC_ARN_MAX], own_key_arn[KMSC_ARN_MAX]; /* of kinesis.h */
	struct sealock_position position;
	size_t records_max;
	/* For whom: */
	uint8_t credential[GW_SHA256_BYTES];
	char key_id[GW_SIGV4_KEY_ID_MAX], source_ip[HTTP_ADDRESS_MAX];
	char *token;
	bool over_tls, by_uid; /* by_uid: no key_id */
	uint32_t uid;
	/* What came of it: */
	int status;
	struct slk_error err;
	char refusal[64]; /* kmsd's exception when a key was refused */
	struct sealock_consumer *consumer;
	struct sealock_batch batch;
	bool *encrypted_kms; /* of each record of the batch */
	uint64_t latest;
};

/* The job is the readers' then; freed, with its token, after done() or when its call has ended. Its call's cancel is reset
 * before done(). false: too many are under way; it is still the caller's. */
MUST_USE bool gw_readers_submit(struct gw_readers *readers, struct gw_job *job);

#endif
