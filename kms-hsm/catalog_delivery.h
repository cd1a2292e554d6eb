/* The catalog's rows about delivery streams.
 *
 * States of a delivery stream, the only function that assigns each, and what holds in it:
 *
 *     (none)                     --kms_catalog_delivery_create()--> Creating
 *     Creating                   --kms_catalog_delivery_settle()--> Active, CreatingFailed
 *     Active, CreatingFailed     --kms_catalog_delivery_doom()----> Deleting
 *     Deleting (any, by force)   --kms_catalog_delivery_delete()--> (none)
 *
 *     Creating        its description is sound and its key was there; deliverd has not taken it up yet
 *     Active          deliverd carries it out
 *     CreatingFailed  deliverd could not begin; failure_type and failure_details say why
 *     Deleting        deliverd is to let go of it, and to say so
 *
 * One of direct puts has a stream of its own in the journal (names.h), which is made with it in one transaction, and is
 * Deleting, for ingestd, from the transaction on in which the delivery stream goes. Until ingestd has let go of that, its name
 * is taken. What is to be performed is in the rows alone, so a crash at any point leaves one of these states.
 *
 * The description is sealed (delivery_seal.h). Roles that it names are beside it, so that who deletes a role learns who needs
 * it. Outputs are untouched on error. Errors and thread: catalog.h.
 */
#ifndef KMS_HSM_CATALOG_DELIVERY_H
#define KMS_HSM_CATALOG_DELIVERY_H

#include "catalog_access.h"
#include "catalog_streams.h"

#define KMS_DELIVERIES_MAX 5000u
#define KMS_DELIVERY_ROLES_MAX 4u
#define KMS_FAILURE_TYPE_MAX 64u /* with terminator */
#define KMS_FAILURE_DETAILS_MAX 512u /* likewise */

/* In the catalog's rows: never change a number. */
enum kms_delivery_state {
	KMS_DELIVERY_CREATING = 0,
	KMS_DELIVERY_CREATING_FAILED = 1,
	KMS_DELIVERY_ACTIVE = 2,
	KMS_DELIVERY_DELETING = 3,
};
#define KMS_DELIVERY_STATES 4u

/* Of direct puts: whose key it is under. Likewise. */
enum kms_delivery_key {
	KMS_DELIVERY_NO_KEY = 0,
	KMS_DELIVERY_OWNED_KEY = 1,
	KMS_DELIVERY_CUSTOMER_KEY = 2
};
#define KMS_DELIVERY_KEYS 3u

struct kms_delivery {
	uint64_t id; /* assigned by kms_catalog_delivery_create(), never given twice */
	char name[KMS_DELIVERY_MAX];
	uint64_t version; /* of the description */
	enum kms_delivery_state state;
	char failure_type[KMS_FAILURE_TYPE_MAX], failure_details[KMS_FAILURE_DETAILS_MAX]; /* "" */
	char stream[KMS_STREAM_MAX]; /* of the journal, that it reads */
	uint64_t stream_id;
	enum kms_delivery_key key;
	uint64_t created_ns, updated_ns;
};

/* A description as it lies in the catalog. */
struct kms_delivery_sealed {
	uint8_t id[KMS_ID_BYTES]; /* random, of this text alone */
	struct kms_sealed_secret key; /* under the appliance's own */
	const uint8_t *text; /* ciphertext and tag */
	size_t text_len;
	char roles[KMS_DELIVERY_ROLES_MAX][KMS_ARN_MAX];
	size_t roles_count;
};

bool kms_delivery_is_direct(const struct kms_delivery *delivery);

/* Of *delivery, name, stream, stream_id, key and created_ns are taken; version is 1. own: the stream of direct puts that is
 * made with it, and whose id it gets; NULL: it reads another one. SLK_EXISTS: there is one of that name, or its stream is still
 * there. SLK_LIMIT: KMS_DELIVERIES_MAX, or tags. SLK_NOT_FOUND: the key of own. */
MUST_USE int kms_catalog_delivery_create(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, const struct kms_delivery_sealed *sealed,
	const struct kms_stream *own, const struct kms_tag *tags, size_t tags_count);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_delivery_get(
	struct kms_catalog *catalog, const char *name, struct kms_delivery *out_delivery);
enum kms_delivery_kind {
	KMS_DELIVERY_ALL = 0,
	KMS_DELIVERY_DIRECT = 1,
	KMS_DELIVERY_OF_STREAM = 2
};
/* By name, after the name after (""). */
MUST_USE int kms_catalog_delivery_list(struct kms_catalog *catalog, const char *after,
	enum kms_delivery_kind kind, struct kms_delivery *out_deliveries, size_t cap,
	size_t *out_count);
/* text: KMS_DELIVERY_TEXT_MAX bytes of the caller's, which *out borrows. SLK_NOT_FOUND: there is none, or it has another
 * version. */
#define KMS_DELIVERY_TEXT_MAX (65536u + 16u)
MUST_USE int kms_catalog_delivery_sealed(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, uint8_t *text, struct kms_delivery_sealed *out);
/* The next version. SLK_NOT_FOUND: another one than delivery->version is current, or it is not Active. */
MUST_USE int kms_catalog_delivery_update(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, const struct kms_delivery_sealed *sealed,
	uint64_t wall_ns);
/* Creating to state. SLK_NOT_FOUND: it is not Creating, or has another version. */
MUST_USE int kms_catalog_delivery_settle(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, enum kms_delivery_state state,
	const char *failure_type, const char *failure_details);
MUST_USE int kms_catalog_delivery_doom(
	struct kms_catalog *catalog, const struct kms_delivery *delivery);
/* Gone; its own stream is Deleting. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_delivery_delete(
	struct kms_catalog *catalog, const struct kms_delivery *delivery);
/* Another key of direct puts: the delivery stream's and its own stream's row at once. event: as kms_catalog_stream_set(). */
MUST_USE int kms_catalog_delivery_key_set(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, const struct kms_stream *own,
	enum kms_stream_event event, uint64_t wall_ns);

/* One that reads the stream, whatever its state. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_delivery_of_stream(
	struct kms_catalog *catalog, uint64_t stream_id, struct kms_delivery *out_delivery);
/* One whose description names the role. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_delivery_of_role(
	struct kms_catalog *catalog, const char *role_arn, struct kms_delivery *out_delivery);
/* Does its description name the role? SLK_NOT_FOUND. */
MUST_USE int kms_catalog_delivery_has_role(
	struct kms_catalog *catalog, const struct kms_delivery *delivery, const char *role_arn);

/* SLK_LIMIT: more than KMS_TAGS_MAX; nothing is changed then. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_delivery_tags_set(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, const struct kms_tag *tags, size_t count);
/* What is not there is no error. */
MUST_USE int kms_catalog_delivery_tags_remove(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, const char *const *tag_keys, size_t count);
/* By key, after the key after (""). */
MUST_USE int kms_catalog_delivery_tags(struct kms_catalog *catalog,
	const struct kms_delivery *delivery, const char *after, struct kms_tag *out_tags,
	size_t cap, size_t *out_count);

#endif
