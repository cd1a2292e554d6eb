/* One request to an API of AWS, from its head to its answer. Internal to aws/.
 *
 *     head ── signature read ── (day key asked) ── body hashed as it comes ── end ── signature checked ── body read, bound
 *       ── operation begins ── (kmsd, ingestd, a reader) ── answered ── done
 *
 * A call belongs to its loop's thread. What it waits for holds its address: gw_call_free() takes that back first. An operation
 * that begins either answers, fails the call, or leaves something under way that will. Texts of its tree and of messages that it
 * makes live in its arena until it ends; body and arena are wiped then.
 */
#ifndef GATEWAY_AWS_CALL_H
#define GATEWAY_AWS_CALL_H

#include "app.h"
#include "aws/daykeys.h"
#include "aws/decisions.h"
#include "aws/shapes.h"
#include "aws/writer.h"
#include "format/uuid.h"
#include "kmsclient/async.h"

struct gw_call;

enum gw_service { GW_KINESIS, GW_KMS, GW_STS, GW_FIREHOSE, GW_SERVICES };

/* What a service can do; ends with a NULL name. */
struct gw_operation {
	const char *name;
	/* false: the call has failed (gw_fault_set(&call->fault ...)). */
	bool (*begin)(struct gw_call *call);
};
extern const struct gw_operation gw_kms_operations[], gw_sts_operations[], gw_kinesis_operations[],
	gw_firehose_operations[];
#define GW_KEPT_BODY_MAX 65536u

/* Operations that AWS has and we do not: each with its answer; ends with a NULL name. */
struct gw_unserved {
	enum gw_service service;
	const char *name, *type, *message;
};
extern const struct gw_unserved gw_unserved_operations[];

/* What a thread counts; one writer. X(name, sentence) */
#define GW_COUNTER_LIST(X) \
	X(requests, "requests for an API of AWS") \
	X(succeeded, "requests that were answered with success") \
	X(failed, "requests that were answered with an error of AWS") \
	X(unauthenticated, "requests whose signature was missing, wrong, too old or of nobody") \
	X(denied, "requests that their caller was not allowed") \
	X(malformed, "requests whose body was no JSON, or not what the operation takes") \
	X(unknown_operations, "requests for an operation that is not served") \
	X(unavailable, "requests that failed because kmsd or ingestd was away") \
	X(day_keys_asked, "signing keys asked of kmsd") \
	X(day_keys_hits, "signing keys that were at hand") \
	X(decisions_asked, "decisions asked of kmsd") \
	X(decisions_hits, "decisions that were at hand") \
	X(rights_changed, "times that all keys and decisions were dropped because rights changed") \
	X(throttled, "records and reads above what their shard takes or gives") \
	X(records_put, "records that were stored") \
	X(records_put_failed, "records that were not stored") \
	X(records_got, "records that were read")

struct gw_counters {
#define X(name, sentence) uint64_t name;
	GW_COUNTER_LIST(X)
#undef X
};

struct gw_kinesis_shared; /* what all threads share of it */
struct gw_kinesis; /* a thread's producer and its readers: kinesis.h */
struct gw_delivery; /* a delivery stream */
struct gw_deliveries; /* a thread's delivery streams: firehose.h */

struct gw_thread {
	struct gw_app *app;
	struct http_loop *loop;
	struct kmsc_async *kms;
	struct http_watch kms_watch;
	struct http_timer kms_timer;
	struct http_turn turn;
	struct gw_sigv4_engine *engine;
	struct gw_day_keys *keys;
	struct gw_decisions *decisions;
	uint64_t rights_asked; /* id of the question whether rights have changed; 0: none */
	struct http_timer rights_timer;
	bool rights_known;
	uint64_t right_changes;
	struct gw_kinesis *kinesis;
	struct gw_deliveries *deliveries;
	uint64_t warned_ns; /* of reads that failed: when it was logged */
	struct gw_counters counters;
};

struct gw_call {
	struct gw_thread *thread;
	struct http_exchange *x;
	enum gw_service service;
	bool is_query; /* protocol of STS */
	bool is_json; /* false as well: refused before it is clear for whom it is */
	char operation[64];
	const struct gw_operation *op;
	bool keeps_body; /* body is the request as it came: binding changes it */
	const struct gw_unserved *unserved;
	const struct gw_input *input; /* of JSON operations */
	char request_id[FMT_UUID_TEXT];
	struct gw_fault fault;

	struct gw_sigv4 sig;
	bool has_sig; /* to be freed */
	bool by_uid; /* not signed: a program of this host */
	uint32_t uid;
	struct gw_hash *hash;
	uint8_t credential[GW_SHA256_BYTES];
	bool body_is_there, key_asked;
	struct gw_identity who;

	struct gw_arena *arena;
	struct gw_value *in; /* bound */
	struct slk_span form; /* of the query protocol */
	struct slk_span body; /* with keeps_body; in the arena */

	uint64_t rpc; /* under way; 0: none */
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply);
	void (*on_fault)(struct gw_call *call); /* before it is answered; NULL: nothing to do */
	void (*on_allowed)(struct gw_call *call);
	void (*on_delivery)(struct gw_call *call, const struct gw_delivery *delivery);
	uint8_t decision[GW_SHA256_BYTES];
	char source_ip[HTTP_ADDRESS_MAX];
	char source_arn[KMSC_ARN_MAX]; /* with via_service */
	bool via_kinesis;
	void *user; /* the operation's own, in the arena */
	void *wanted; /* a stream that is asked for: kinesis.c */
	void (*cancel)(struct gw_call
			*call); /* takes back what the operation has under way; NULL: nothing */

	struct http_buf *out;
	struct gw_writer w;
};

/* Zeroed memory of the call's arena; without any the call's fault is set and NULL returned. */
void *gw_call_take(struct gw_call *call, size_t bytes);

/* The caller as kmsd is told it; borrows from the call. */
void gw_call_caller(const struct gw_call *call, struct kmsc_caller *out);
/* Ask kmsd in the caller's name; on_reply gets what it says if it is a success. Otherwise the call fails with what kmsd says.
 * false: the fault is set. */
MUST_USE bool gw_call_ask(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply));
/* The same in the gateway's own name: for what it has to know of a thing that the caller may use. */
MUST_USE bool gw_call_ask_own(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply));
/* May the caller do this? on_allowed is called, at once or later; otherwise the call fails with kmsd's sentence. */
MUST_USE bool gw_call_authorize(struct gw_call *call, const char *action, const char *resource,
	void (*on_allowed)(struct gw_call *call));

/* Forget an answer that was begun. */
void gw_call_drop_answer(struct gw_call *call);
/* Begin an answer's body: call->w. Secret: it is wiped after it was sent. false: no memory, the fault is set. */
MUST_USE bool gw_call_write(struct gw_call *call, size_t bytes_hint, bool secret);
/* Send it: 200. Or, if the writer failed, an error. */
void gw_call_send(struct gw_call *call);
void gw_call_send_empty(struct gw_call *call); /* 200 without a body */
/* Send call->fault. */
void gw_call_fail(struct gw_call *call);
/* The fault of what kmsd says. */
void gw_call_fault_of(struct gw_call *call, const Kmsp__Reply *reply);
/* A key that Firehose cannot use: InvalidKMSResourceException, with KMS's exception as its code. */
bool gw_call_fault_key(struct gw_call *call, int status, const char *sentence);
/* A status of the library as a fault: for what is away or broken. */
bool gw_call_fault_status(struct gw_call *call, int status, const char *sentence);

/* What the call holds of a stream that is being asked for. */
void gw_stream_drop_wanted(struct gw_call *call);

/* Escaped, for answers of the query protocol. */
void gw_xml_text(struct gw_writer *w, const char *text);

/* "ARN:..." of a resource of this account and region. */
void gw_call_arn(const struct gw_call *call, const char *service, const char *resource,
	char out[KMSC_ARN_MAX]);

struct gw_kinesis_shared *gw_app_kinesis(const struct gw_app *app);
const struct gw_app_config *gw_app_config_of(const struct gw_app *app);
uint64_t gw_call_wall_ns(const struct gw_call *call);

#endif
