/* The life of keys, as kmsd keeps it: kinds, states, deletion, rotation, tags, aliases led elsewhere, orphans. kmsclient.h
 * has what most callers need.
 *
 * As there: what is wrong leaves a sentence in *err; outputs are untouched on error. key_id is an id or a key ARN: as in
 * AWS, management takes no alias (SLK_NOT_FOUND); kmsc_describe_key() resolves one. What is set to what it is already stays
 * so, without an error. Lists come page by page, as kmsc_list_keys(): up to cap entries after marker ("" first); *out_next,
 * a buffer of KMSC_MARKER_MAX bytes, is "" at the end. Thread: the client's.
 *
 * Errors beyond those of kmsclient.h: SLK_TOO_LARGE, a request that does not fit KMSP_FRAME_MAX (wire.h), for a description
 * beyond its limit. After a lost answer, kmsc_create_key_with(),
 * kmsc_schedule_key_deletion(), kmsc_cancel_key_deletion() and kmsc_rotate_key_on_demand() are not asked again but answer
 * SLK_UNAVAILABLE: look before you repeat them.
 */
#ifndef SLK_KMSCLIENT_LIFE_H
#define SLK_KMSCLIENT_LIFE_H

#include "kmsclient/kmsclient.h"

#define KMSC_MARKER_MAX 544u
#define KMSC_TAGS_MAX 50u /* of one key */
#define KMSC_TAG_KEY_MAX 513u /* 128 characters of UTF-8, with terminator */
#define KMSC_TAG_VALUE_MAX 1025u /* 256 */

struct kmsc_tag {
	char key[KMSC_TAG_KEY_MAX];
	char value[KMSC_TAG_VALUE_MAX];
};

/* What key to make. NULL: "", SYMMETRIC_DEFAULT, and ENCRYPT_DECRYPT for that; RSA and ECC keys need their usage said. */
struct kmsc_key_kind {
	const char *description, *spec, *usage;
	const struct kmsc_tag *tags;
	size_t tags_count; /* 0..KMSC_TAGS_MAX */
	const char *policy; /* the key's policy (policies.h); NULL: the default one */
	bool bypass_lockout_check; /* as kmsc_put_key_policy() */
};
/* SLK_UNSUPPORTED: the token has no such keys. */
MUST_USE int kmsc_create_key_with(struct kmsc *c, const struct kmsc_key_kind *kind,
	struct kmsc_key *out_key, struct slk_error *err);

MUST_USE int kmsc_update_key_description(
	struct kmsc *c, const char *key_id, const char *description, struct slk_error *err);
MUST_USE int kmsc_enable_key(struct kmsc *c, const char *key_id, struct slk_error *err);
MUST_USE int kmsc_disable_key(struct kmsc *c, const char *key_id, struct slk_error *err);

/* days: 7..30, or 0 for 30; they pass on the wall clock and in kmsd's uptime both. out_key says when, and how many streams
 * name the key. */
MUST_USE int kmsc_schedule_key_deletion(struct kmsc *c, const char *key_id, uint32_t days,
	struct kmsc_key *out_key, struct slk_error *err);
/* The key is Disabled then. */
MUST_USE int kmsc_cancel_key_deletion(
	struct kmsc *c, const char *key_id, struct kmsc_key *out_key, struct slk_error *err);

/* Lead an alias that is there to another key of the same kind. */
MUST_USE int kmsc_update_alias(
	struct kmsc *c, const char *alias, const char *key_id, struct slk_error *err);

/* Set tags; those with the same keys are replaced. count: 1..KMSC_TAGS_MAX. */
MUST_USE int kmsc_tag_resource(struct kmsc *c, const char *key_id, const struct kmsc_tag *tags,
	size_t count, struct slk_error *err);
MUST_USE int kmsc_untag_resource(struct kmsc *c, const char *key_id, const char *const *tag_keys,
	size_t count, struct slk_error *err);
MUST_USE int kmsc_list_resource_tags(struct kmsc *c, const char *key_id, const char *marker,
	struct kmsc_tag *out_tags, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

/* --- rotation, of symmetric keys --- */

struct kmsc_rotation {
	char key_arn[KMSC_ARN_MAX];
	bool enabled; /* by period */
	uint32_t period_days; /* 0 unless enabled */
	uint64_t next_ns; /* wall clock; 0 unless enabled */
	uint64_t on_demand_start_ns; /* wall clock; 0 unless one is in progress */
};
/* days: 90..2,560, or 0 for 365. */
MUST_USE int kmsc_enable_key_rotation(
	struct kmsc *c, const char *key_id, uint32_t days, struct slk_error *err);
MUST_USE int kmsc_disable_key_rotation(struct kmsc *c, const char *key_id, struct slk_error *err);
MUST_USE int kmsc_get_key_rotation_status(struct kmsc *c, const char *key_id,
	struct kmsc_rotation *out_rotation, struct slk_error *err);
/* New material wraps from now on, what is there stays readable. SLK_INVALID_STATE (ConflictException): one is in progress,
 * or due within 20 minutes; SLK_LIMIT: it was done too often. */
MUST_USE int kmsc_rotate_key_on_demand(struct kmsc *c, const char *key_id,
	struct kmsc_rotation *out_rotation, struct slk_error *err);

/* Material that a key has or had. */
struct kmsc_material {
	char material_id[KMSC_MATERIAL_MAX];
	char backing_id[40]; /* CKA_ID, hex */
	uint64_t date_ns; /* since when it wraps, wall clock */
	bool on_demand;
	bool first; /* not of a rotation: the key was created with it */
	bool current;
	uint64_t wraps_reserved; /* GCM wraps that were counted ahead under it */
};
/* Oldest first. */
MUST_USE int kmsc_list_key_rotations(struct kmsc *c, const char *key_id, const char *marker,
	struct kmsc_material *out_materials, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

/* --- orphans, for administrators --- */

/* An object on the token that bears the appliance's label and that no key of the catalog has. */
struct kmsc_orphan {
	char backing_id[40]; /* CKA_ID, hex */
	bool is_pair;
};
/* Asks the token. A page may be empty and yet have a next one. */
MUST_USE int kmsc_list_orphans(struct kmsc *c, const char *marker, struct kmsc_orphan *out_orphans,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err);

#endif
