/* Anchors: how far each lane of each journal had come when its last statement was signed (format/proof.h). A journal that says
 * less was put back to an older state. Thread: the catalog's. */
#ifndef KMS_HSM_CATALOG_ANCHORS_H
#define KMS_HSM_CATALOG_ANCHORS_H

#include <stdint.h>

#include "base/status.h"
#include "catalog.h"
#include "format/proof.h"

struct kms_anchor {
	uint8_t journal[16]; /* uuid */
	uint32_t lane;
	uint64_t run, file_id, position;
	uint8_t hash[FMT_PROOF_HASH_BYTES]; /* running, of the statement */
	uint64_t made_ns; /* when the statement was */
};

/* SLK_NOT_FOUND: nothing of the lane was ever signed. */
MUST_USE int kms_catalog_anchor_get(struct kms_catalog *catalog, const uint8_t journal[16],
	uint32_t lane, struct kms_anchor *out_anchor);
/* Make it the lane's. Durable when it returns. */
MUST_USE int kms_catalog_anchor_set(struct kms_catalog *catalog, const struct kms_anchor *anchor);

/* Does the statement come from a journal that has forgotten what the anchor knows? */
bool kms_anchor_is_behind(const struct kms_anchor *anchor, const struct fmt_proof_statement *s);
/* Is it further than the anchor? */
bool kms_anchor_is_ahead(const struct kms_anchor *anchor, const struct fmt_proof_statement *s);

#endif
