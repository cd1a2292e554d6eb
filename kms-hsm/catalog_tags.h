/* Tags of keys, streams, delivery streams and identities: one table for each kind, all of the same shape. Internal to catalog*.c.
 * Thread: the catalog's. */
#ifndef KMS_HSM_CATALOG_TAGS_H
#define KMS_HSM_CATALOG_TAGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "catalog.h"

enum kms_tagged_kind {
	KMS_TAGGED_KEY,
	KMS_TAGGED_STREAM,
	KMS_TAGGED_DELIVERY,
	KMS_TAGGED_IDENTITY,
};

struct kms_tagged { /* who bears the tags */
	enum kms_tagged_kind kind;
	const uint8_t *key_id; /* of a key: KMS_ID_BYTES */
	uint64_t id; /* of all others: its row */
};

/* Within a transaction. Tags of the same name are replaced. SLK_LIMIT: then more than KMS_TAGS_MAX would be there. */
MUST_USE int kms_db_tags_put(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const struct kms_tag *tags, size_t count);
/* The same in a transaction of its own. */
MUST_USE int kms_db_tags_set(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const struct kms_tag *tags, size_t count);
/* In a transaction of its own. Names that are not there are no mistake. */
MUST_USE int kms_db_tags_remove(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const char *const *tag_keys, size_t count);
/* By name, those above after ("": all), cap at most. */
MUST_USE int kms_db_tags_list(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const char *after, struct kms_tag *out_tags, size_t cap, size_t *out_count);

#endif
