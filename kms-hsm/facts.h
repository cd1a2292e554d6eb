/* What a call is about, as far as conditions of policies ask for it. Everything is borrowed for the decision; what is NULL, 0
 * or KMS_ABSENT is a condition key that the request does not have. Thread: the front's loop.
 */
#ifndef KMS_HSM_FACTS_H
#define KMS_HSM_FACTS_H

#include "catalog.h"
#include "format/context.h"
#include "policy/query.h"

enum kms_truth { KMS_ABSENT, KMS_FALSE, KMS_TRUE };

struct kms_facts {
	const struct kms_key *key; /* that the resource is: its spec, usage, tags and aliases */
	const struct kms_key *new_key; /* that is to be created: spec and usage */
	const char *request_alias; /* "alias/x", as the caller named the key */
	const struct fmt_context *context; /* encryption context */
	const char *encryption_algorithm, *signing_algorithm;
	const char *message_type; /* "RAW", "DIGEST" */
	const uint8_t *other_key_id; /* of ReEncrypt: the key on its other side */
	uint32_t rotation_days, window_days;
	enum kms_truth bypass_lockout_check;
	const struct kms_tag *request_tags;
	size_t request_tags_count;
	const char *const *tag_keys; /* of tags that are to be removed */
	size_t tag_keys_count;
	/* Who asks for whom. */
	const char *
		via_service; /* that asks for its caller or for itself: "kinesis.local.amazonaws.com" */
	const char *source_arn; /* the stream for which it asks */
	const char *source_ip; /* of a caller on the network */
	enum kms_truth over_tls;
	/* CreateGrant. */
	const char *const *grant_operations;
	size_t grant_operations_count;
	const char *grantee, *retiring;
	const char *grant_constraint; /* "EncryptionContextEquals", "EncryptionContextSubset" */
	enum kms_truth grant_for_service;
	/* iam:PassRole: to which service, and for what. */
	const char *passed_to, *associated_arn;
	/* sts:AssumeRole. */
	const char *external_id, *session_name, *source_identity;
	uint32_t duration_s;

	uint64_t wall_ns; /* now */

	/* Before all others: condition keys that an explanation was asked for with. */
	const struct pol_value *given;
	size_t given_count;
};

#endif
