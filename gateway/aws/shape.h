/* Shapes of requests, as the service models have them, and the check of a tree against one.
 *
 * Tables say names, types, which members are required, and limits; gw_bind() holds a tree against them with AWS's errors:
 * SerializationException for a wrong type (the first one), then ValidationException for all constraints that are not met (ten
 * at most). Unknown members are ignored, null is absent. Binding makes the tree easy to read: blobs are decoded where they lie,
 * strings end with a NUL and have none within. Thread: any; a tree by one at a time.
 */
#ifndef GATEWAY_AWS_SHAPE_H
#define GATEWAY_AWS_SHAPE_H

#include "aws/fault.h"
#include "aws/value.h"

enum gw_kind {
	GW_KIND_STRING,
	GW_KIND_INT, /* 32 bits */
	GW_KIND_LONG,
	GW_KIND_BOOL,
	GW_KIND_BLOB,
	GW_KIND_TIME,
	GW_KIND_LIST,
	GW_KIND_MAP,
	GW_KIND_STRUCT,
};

#define GW_ANY (-1)

struct gw_pattern {
	const char *text; /* for the message */
	bool (*fits)(struct slk_span text);
};

struct gw_member;
struct gw_shape {
	enum gw_kind kind;
	bool sensitive; /* never in a message */
	int64_t min, max; /* characters, bytes, entries, or the value; GW_ANY: none */
	const struct gw_pattern *pattern;
	const char *const *values; /* of an enum; ends with NULL */
	const struct gw_member *members; /* of a struct; ends with a NULL name */
	const struct gw_shape *item; /* of a list, or a map's values */
	const struct gw_shape *key; /* of a map */
};
struct gw_member {
	const char *name;
	const struct gw_shape *shape;
	bool required;
};

/* false: *out_fault says why. root may be changed. */
MUST_USE bool gw_bind(
	const struct gw_shape *shape, struct gw_value *root, struct gw_fault *out_fault);

/* Patterns of the service models that the tables use. */
extern const struct gw_pattern gw_pattern_stream_name, gw_pattern_stream_arn, gw_pattern_hash_key,
	gw_pattern_sequence, gw_pattern_alias, gw_pattern_word, gw_pattern_latin, gw_pattern_policy,
	gw_pattern_principal, gw_pattern_shard_id, gw_pattern_tag_key, gw_pattern_tag_value,
	gw_pattern_arn, gw_pattern_digits, gw_pattern_destination_id, gw_pattern_any;

#endif
