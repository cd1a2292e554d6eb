/* What ops_streams.c, ops_shards.c, ops_settings.c and ops_changes.c share. Internal to them. */
#ifndef KMS_HSM_STREAM_CALLS_H
#define KMS_HSM_STREAM_CALLS_H

#include "call.h"
#include "catalog_streams.h"

/* Of all streams together. ingestd writes 1,024 streams. */
#define KMS_SHARD_LIMIT 20000u
#define KMS_ON_DEMAND_STREAM_LIMIT 1024u
#define KMS_ON_DEMAND_SHARDS 4u /* that an ON_DEMAND stream begins with */

/* Steps that a handler takes; each ends the call if it does not return SLK_OK. */

/* The stream that text names into call->stream, once the caller may do the call's action with it. */
MUST_USE int kms_call_find_stream(struct kms_call *call, const char *text);
/* Of any kind, without a question; unless it is being deleted, and with its key in call->key. */
MUST_USE int kms_call_stream_and_key(struct kms_call *call, const char *name);
/* May call->principal use call->key for puts into call->stream (kms:GenerateDataKey), or for gets (kms:Decrypt)? The call's
 * resource is the stream's ARN. */
MUST_USE int kms_call_authorize_stream_key(struct kms_call *call, bool is_put);
/* The end of Authorize about a delivery stream, whose action the policies allow. */
void kms_call_authorize_delivery(struct kms_call *call, const char *name);
/* Is it ACTIVE? */
MUST_USE int kms_call_stream_active(struct kms_call *call);
/* May there be so many open shards more? */
MUST_USE int kms_call_shard_room(struct kms_call *call, uint64_t more);
/* Did it happen less than most times in the last 24 hours? */
MUST_USE int kms_call_stream_rate(
	struct kms_call *call, enum kms_stream_event event, uint32_t most, const char *what);
/* PROVISIONED or ON_DEMAND, of which there may be one more. */
MUST_USE int kms_call_take_mode(struct kms_call *call, const char *text, bool *out_on_demand);
/* Tags of a request, as Kinesis checks them; out has room for KMS_TAGS_MAX. */
MUST_USE int kms_call_take_stream_tags(
	struct kms_call *call, Kmsp__Tag *const *in, size_t count, struct kms_tag *out);
/* Find a key for a stream: symmetric, Enabled, not the appliance's, and the caller may see it. Refusals have the names that
 * Kinesis gives them; the call's resource stays the stream's. */
MUST_USE int kms_call_find_stream_key(struct kms_call *call, const char *text);

#endif
