/* Kinesis Data Streams: what a thread and the process keep for it. Internal to aws/.
 *
 * A thread has a producer of its own (records go to ingestd without waiting) and remembers streams with their shards until kmsd
 * says that some changed. Readers are threads that may wait for files and keys: readers.h.
 */
#ifndef GATEWAY_AWS_KINESIS_H
#define GATEWAY_AWS_KINESIS_H

#include "aws/call.h"
#include "aws/sequence.h"
#include "aws/ticket.h"
#include "kmsclient/streams.h"

MUST_USE int gw_kinesis_shared_new(const struct gw_app_config *config,
	struct gw_kinesis_shared **out_shared, struct slk_error *err);
void gw_kinesis_shared_free(struct gw_kinesis_shared *shared); /* NULL allowed */
const uint8_t *gw_kinesis_ticket_key(const struct gw_kinesis_shared *shared);

struct gw_throughput; /* NULL: shards have no limits */
struct gw_throughput *gw_kinesis_throughput(const struct gw_kinesis_shared *shared);
/* "Rate exceeded for shard ...", as an error's text. */
void gw_shard_rate_text(
	const struct gw_call *call, const char *stream, uint32_t shard, char *out, size_t cap);

MUST_USE int gw_kinesis_start(struct gw_thread *t);
void gw_kinesis_stop(struct gw_thread *t);
void gw_kinesis_turn(struct gw_thread *t); /* at the end of each turn of the loop */
void gw_kinesis_rights_changed(struct gw_thread *t);
/* kmsd's number for the streams as they are remembered; another one was told: they are looked at anew. */
uint64_t gw_kinesis_stream_changes(const struct gw_kinesis *k);
void gw_kinesis_streams_changed(struct gw_thread *t, uint64_t stream_changes);

/* --- names --- */

/* The stream that the request names, by StreamName or StreamARN or both, as name and ARN. false: the fault is set. */
struct gw_stream_name {
	char name[GW_TICKET_NAME_MAX];
	char arn[KMSC_ARN_MAX];
};
MUST_USE bool gw_stream_named(struct gw_call *call, struct gw_stream_name *out);
MUST_USE bool gw_stream_arn_is_ours(
	struct gw_call *call, const char *arn, struct gw_stream_name *out);
bool gw_stream_missing(struct gw_call *call, const char *name); /* sets the fault; false */

/* --- streams with their shards --- */

struct gw_stream {
	struct gw_stream *next;
	char name[GW_TICKET_NAME_MAX];
	char arn[KMSC_ARN_MAX];
	uint64_t id;
	char status[16], mode[16];
	uint64_t created_ns;
	uint32_t retention_hours, open_count;
	bool encrypted_kms;
	char key_name[KMSC_ARN_MAX];
	char own_key_arn
		[KMSC_ARN_MAX]; /* the appliance's: what lies under it has no SSE; "": there is none */
	struct kmsc_shard *shards; /* all whose records have not expired, by number */
	size_t shards_count;
	uint64_t read_ns; /* monotonic: when kmsd told it */
};

/* The stream as it is now, or was a few seconds ago. on_stream is called at once or later; stream is borrowed for that call.
 * fresh: as it is now. What is not there fails the call: ResourceNotFoundException. */
MUST_USE bool gw_stream_get(struct gw_call *call, const char *name, bool fresh,
	void (*on_stream)(struct gw_call *call, const struct gw_stream *stream));
/* The stream if it is remembered, or NULL. */
const struct gw_stream *gw_stream_remembered(struct gw_thread *t, const char *name);
const struct kmsc_shard *gw_stream_shard(
	const struct gw_stream *stream, uint32_t number); /* or NULL */
/* kmsd's message as a shard. SLK_MALFORMED. */
MUST_USE int gw_shard_from(const Kmsp__Shard *in, struct kmsc_shard *out);
void gw_streams_forget(struct gw_thread *t);

/* As Kinesis describes it. */
void gw_write_shard(struct gw_writer *w, const struct kmsc_shard *shard);
void gw_sequence_of(struct gw_sequence_run *run, const struct kmsc_shard *shard, uint64_t sequence,
	uint64_t arrival_ns, char out[GW_SEQUENCE_TEXT]);

/* --- operations --- */
bool gw_kinesis_put_record(struct gw_call *call);
bool gw_kinesis_put_records(struct gw_call *call);
bool gw_kinesis_get_shard_iterator(struct gw_call *call);
bool gw_kinesis_get_records(struct gw_call *call);

bool gw_kinesis_describe_stream(struct gw_call *call);
bool gw_kinesis_describe_stream_summary(struct gw_call *call);
bool gw_kinesis_list_streams(struct gw_call *call);
bool gw_kinesis_list_shards(struct gw_call *call);
bool gw_kinesis_create_stream(struct gw_call *call);
bool gw_kinesis_delete_stream(struct gw_call *call);
bool gw_kinesis_split_shard(struct gw_call *call);
bool gw_kinesis_merge_shards(struct gw_call *call);
bool gw_kinesis_update_shard_count(struct gw_call *call);
bool gw_kinesis_increase_retention(struct gw_call *call);
bool gw_kinesis_decrease_retention(struct gw_call *call);
bool gw_kinesis_start_encryption(struct gw_call *call);
bool gw_kinesis_stop_encryption(struct gw_call *call);
bool gw_kinesis_add_tags(struct gw_call *call);
bool gw_kinesis_remove_tags(struct gw_call *call);
bool gw_kinesis_list_tags(struct gw_call *call);
bool gw_kinesis_describe_limits(struct gw_call *call);
bool gw_kinesis_update_stream_mode(struct gw_call *call);
bool gw_kinesis_put_resource_policy(struct gw_call *call);
bool gw_kinesis_get_resource_policy(struct gw_call *call);
bool gw_kinesis_delete_resource_policy(struct gw_call *call);

/* --- the thread's own --- */
struct gw_puts; /* puts.c */
struct gw_kinesis {
	struct gw_stream *streams;
	size_t streams_count;
	uint64_t stream_changes;
	struct gw_puts *puts; /* NULL: no ingestd is configured */
};
MUST_USE int gw_puts_start(struct gw_thread *t, struct gw_puts **out_puts);
void gw_puts_stop(struct gw_puts *puts); /* NULL allowed */
void gw_puts_turn(struct gw_puts *puts);

struct gw_readers; /* readers.h */
MUST_USE int gw_readers_new(
	const struct gw_app_config *config, struct gw_readers **out_readers, struct slk_error *err);
void gw_readers_free(struct gw_readers *readers); /* NULL allowed */
struct gw_readers *gw_kinesis_readers(const struct gw_kinesis_shared *shared);
void gw_readers_forget(struct gw_readers *readers); /* keys that were unwrapped */
void gw_readers_turn(struct gw_thread *t); /* hand out what readers have finished */
void gw_readers_stop(struct gw_thread *t); /* no job of the thread is under way when this returns */

#endif
