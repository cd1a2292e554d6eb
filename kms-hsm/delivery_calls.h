/* What the operations on delivery streams share. Internal to ops_delivery*.c and description.c.
 *
 * A step that does not return SLK_OK has ended the call, with the exception and the words that Firehose has for it. Thread: the
 * front's loop.
 */
#ifndef KMS_HSM_DELIVERY_CALLS_H
#define KMS_HSM_DELIVERY_CALLS_H

#include "catalog_delivery.h"
#include "delivery/spec.h"
#include "stream_calls.h"

/* A delivery stream's name and ARN out of either. */
MUST_USE int kms_call_parse_delivery(struct kms_call *call, const char *text,
	char name[KMS_DELIVERY_MAX], char arn[KMS_ARN_MAX]);
/* The one that text names, once the caller may do the call's action with it; call->resource is its ARN. */
MUST_USE int kms_call_find_delivery(
	struct kms_call *call, const char *text, struct kms_delivery *out);
/* The same without a question, for deliverd. */
MUST_USE int kms_call_get_delivery(
	struct kms_call *call, const char *text, struct kms_delivery *out);
void kms_call_missing_delivery(struct kms_call *call, const char *name);
MUST_USE int kms_call_delivery_active(struct kms_call *call, const struct kms_delivery *delivery);
MUST_USE int kms_call_delivery_direct(struct kms_call *call, const struct kms_delivery *delivery);
/* Why the key of direct puts that is being put in use cannot be: a FailureDescription's Type, as Firehose has it. Static; NULL:
 * nothing is in the way that kmsd knows of. own: the delivery stream's own stream. */
const char *kms_delivery_key_trouble(struct kms_call *call, const struct kms_delivery *delivery,
	const struct kms_stream *own, const char **out_details);
const char *kms_delivery_state_name(enum kms_delivery_state state);
/* Tags of a request; out has room for KMS_TAGS_MAX. */
MUST_USE int kms_call_take_delivery_tags(
	struct kms_call *call, Kmsp__Tag *const *in, size_t count, struct kms_tag *out);
/* A key for direct puts: symmetric, Enabled, and the caller may see it. Into call->key and call->stream.key_name. */
MUST_USE int kms_call_find_delivery_key(struct kms_call *call, const char *text);

/* May the caller pass each role of the description to Firehose, and does each role's trust policy let Firehose assume it for
 * this delivery stream? ops_delivery_role.c. */
MUST_USE int kms_call_pass_roles(
	struct kms_call *call, const struct dlv_spec *spec, const char *delivery_arn);

/* --- descriptions: description.c --- */

/* The fault of a description, as Firehose says it. rc: what lib/delivery returned; fault: with SLK_INVALID, NULL if there can be
 * none. */
void kms_call_fail_spec(struct kms_call *call, int rc, const struct dlv_fault *fault);

/* A description on its way into the catalog. call->work begins with one. */
struct kms_description {
	struct kms_delivery row; /* name, and the version that it will have */
	struct kms_delivery_sealed sealed; /* id, roles; then the rest */
};
/* Print it into call->held, and note id and roles. */
MUST_USE int kms_description_take(
	struct kms_call *call, const struct dlv_spec *spec, struct kms_description *d);
/* Seal what call->held has. done: the key of the appliance is call->key, and sealed is all there, for as long as done runs. */
void kms_description_seal(struct kms_call *call, kms_call_fn done);

/* The description of *delivery: SLK_OK once it is in call->found; until then the call waits and is begun anew, as request.
 * SLK_NOT_FOUND: it changed meanwhile, and the call goes on. */
MUST_USE int kms_description_open(
	struct kms_call *call, const Kmsp__Request *request, const struct kms_delivery *delivery);
/* Parsed; freed by dlv_spec_free(). */
MUST_USE int kms_description_parse(struct kms_call *call, struct dlv_spec **out_spec);

#endif
