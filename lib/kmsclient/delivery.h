/* Delivery streams, as Amazon Data Firehose has them, in kmsd's catalog.
 *
 * As in kmsclient.h: what is wrong leaves a sentence in *err; outputs are untouched on error; name is a delivery stream's name
 * or ARN (arn:aws:firehose:REGION:ACCOUNT:deliverystream/NAME). A description is JSON of lib/delivery/spec.h. Thread: the
 * client's.
 *
 * A delivery stream is CREATING when the call returns, and ACTIVE or CREATING_FAILED when deliverd has said so; DELETING until
 * deliverd has let go of it. One of direct puts has a stream of its own in the journal, which no list of streams shows and only
 * its delivery stream's ARN names: ingestd attaches it by that ARN. Roles that a description names are passed: the caller
 * needs iam:PassRole on each.
 *
 * Errors beyond those of kmsclient.h: SLK_EXISTS (ResourceInUseException), SLK_NOT_FOUND (ResourceNotFoundException), SLK_LIMIT
 * (LimitExceededException), SLK_INVALID (InvalidArgumentException, ValidationException, SerializationException),
 * SLK_INVALID_STATE (ResourceInUseException); with the names in kmsc_refusal(); a stale version is SLK_INVALID_STATE with
 * ConcurrentModificationException. What KMS refuses about a key keeps its code (SLK_DENIED, SLK_DISABLED, SLK_NOT_FOUND,
 * SLK_INVALID_STATE) and is InvalidKMSResourceException, whose sentence begins with what KMS calls it and a colon:
 * "DisabledException: ...". A role that may not be passed is AccessDeniedException; one that Firehose may not assume
 * InvalidArgumentException, with the condition of its trust policy that is not met. A description is checked when it comes; it
 * lies sealed, so that describing one needs the HSM and listing does not.
 */
#ifndef SLK_KMSCLIENT_DELIVERY_H
#define SLK_KMSCLIENT_DELIVERY_H

#include "kmsclient/kmsclient.h"
#include "kmsclient/access.h"
#include "kmsclient/life.h"

enum kmsc_delivery_state {
	KMSC_DELIVERY_CREATING,
	KMSC_DELIVERY_CREATING_FAILED,
	KMSC_DELIVERY_ACTIVE,
	KMSC_DELIVERY_DELETING,
	KMSC_DELIVERY_DELETING_FAILED,
};

#define KMSC_DELIVERY_NAME_MAX 65u /* with terminator */
#define KMSC_DELIVERY_SPEC_MAX 65536u
#define KMSC_DELIVERY_STREAMS_MAX 5000u

struct kmsc_delivery_stream {
	char name[KMSC_DELIVERY_NAME_MAX];
	char arn[KMSC_ARN_MAX];
	uint64_t id; /* never given twice */
	uint64_t version; /* 1 when it is made, one more with each UpdateDestination */
	enum kmsc_delivery_state state;
	char failure_type[64], failure_details[512]; /* "" */
	bool direct_put;
	/* The journal's stream that it reads: of direct puts its own, whose ARN is that of the delivery stream; else the source. */
	uint64_t stream_id;
	char stream_arn[KMSC_ARN_MAX];
	/* Encryption of direct puts. key_arn "": the appliance's own key. */
	char encryption_status
		[24]; /* "DISABLED", "ENABLING", "ENABLED", "DISABLING", "ENABLING_FAILED", ... */
	char key_type[24]; /* "", "AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK" */
	char key_arn[KMSC_ARN_MAX];
	uint64_t created_ns, updated_ns; /* Unix time */
	/* The description. Of kmsc_describe_delivery_stream() without its secrets' values; with them for deliverd alone
	 * (kmsc_delivery_work()). NULL in lists. Owned by the struct. */
	struct slk_secret *spec;
	size_t spec_len;
};
void kmsc_delivery_stream_fini(struct kmsc_delivery_stream *stream); /* frees spec, zeroes */

/* json: body of CreateDeliveryStream (DeliveryStreamName, Tags and DeliveryStreamEncryptionConfigurationInput in it are not
 * looked at). key: NULL: no encryption; "": AWS_OWNED_CMK; else id, ARN or alias of a key. */
MUST_USE int kmsc_create_delivery_stream(struct kmsc *c, const char *name, struct slk_span json,
	const char *key, const struct kmsc_tag *tags, size_t tags_count, char out_arn[KMSC_ARN_MAX],
	struct slk_error *err);
MUST_USE int kmsc_describe_delivery_stream(struct kmsc *c, const char *name,
	struct kmsc_delivery_stream *out_stream, struct slk_error *err);
/* Up to cap by name, after the name after (""), all kinds or (kind 1) those of direct puts or (2) those of streams. */
MUST_USE int kmsc_list_delivery_streams(struct kmsc *c, const char *after, int kind,
	struct kmsc_delivery_stream *out_streams, size_t cap, size_t *out_count, bool *out_more,
	struct slk_error *err);
/* json: body of UpdateDestination. version: the one that the caller saw. */
MUST_USE int kmsc_update_destination(struct kmsc *c, const char *name, uint64_t version,
	struct slk_span json, struct slk_error *err);
/* DELETING until deliverd says that it has let go; one that is CREATING is SLK_INVALID_STATE. force: gone when the call
 * returns, whatever its state. The name of one of direct puts is free once ingestd has let go of its stream. */
MUST_USE int kmsc_delete_delivery_stream(
	struct kmsc *c, const char *name, bool force, struct slk_error *err);
/* Of direct puts only. key as in kmsc_create_delivery_stream(), not NULL. */
MUST_USE int kmsc_start_delivery_stream_encryption(
	struct kmsc *c, const char *name, const char *key, struct slk_error *err);
MUST_USE int kmsc_stop_delivery_stream_encryption(
	struct kmsc *c, const char *name, struct slk_error *err);
MUST_USE int kmsc_tag_delivery_stream(struct kmsc *c, const char *name, const struct kmsc_tag *tags,
	size_t count, struct slk_error *err);
MUST_USE int kmsc_untag_delivery_stream(struct kmsc *c, const char *name,
	const char *const *tag_keys, size_t count, struct slk_error *err);
/* By key, after marker ("" first). */
MUST_USE int kmsc_list_tags_for_delivery_stream(struct kmsc *c, const char *name,
	const char *marker, struct kmsc_tag *out_tags, size_t cap, size_t *out_count,
	char *out_next, struct slk_error *err);

/* --- for deliverd alone (deliver_user: in kmsd.yaml) --- */

/* As kmsc_describe_delivery_stream(), with secrets. By name. */
MUST_USE int kmsc_delivery_work(struct kmsc *c, const char *name,
	struct kmsc_delivery_stream *out_stream, struct slk_error *err);
/* How far it is: CREATING to ACTIVE or CREATING_FAILED, DELETING to gone (state DELETING again: deliverd has let go). May be
 * said again. SLK_INVALID_STATE: another version is current. */
MUST_USE int kmsc_delivery_state(struct kmsc *c, const char *name, uint64_t version,
	enum kmsc_delivery_state state, const char *failure_type, const char *failure_details,
	struct slk_error *err);
/* A session of a role that the delivery stream's description names, under the role's trust policy: the principal is the service
 * firehose.amazonaws.com, sts:ExternalId the account, aws:SourceArn the delivery stream. What comes after kmsc_act_for() with its
 * session_token is decided as the role: Decrypt, GenerateDataKey, Encrypt, Authorize, and nothing else. Conditions see the
 * delivery stream as aws:SourceArn, and as kms:ViaService what via_service of the caller says (firehose, kinesis or s3); NULL: what
 * the encryption context belongs to (aws:kinesis:arn, aws:s3:arn), else firehose. Epochs of direct puts under the appliance's
 * own key open without a right of the role, unless it is denied kms:Decrypt; those of a stream without SSE-KMS want
 * kinesis:GetRecords, those under a master key kms:Decrypt. */
MUST_USE int kmsc_assume_delivery_role(struct kmsc *c, const char *name, const char *role_arn,
	struct kmsc_session *out_session, struct slk_error *err);
/* Changes when a delivery stream is made, changed or deleted: deliverd lists again. */
MUST_USE int kmsc_delivery_changes(struct kmsc *c, uint64_t *out_number, struct slk_error *err);

#endif
