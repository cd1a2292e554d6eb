/* A JSON text as a tree whose nodes know where they stand. Internal to lib/policy.
 *
 * Strict, because a policy that two readers understand differently is a hole: RFC 8259 in UTF-8, no comments, one value,
 * no key twice in an object (compared byte by byte after unescaping), no NUL in a string, no deeper than POL_JSON_DEPTH_MAX,
 * no more keys in an object than POL_JSON_MEMBERS_MAX.
 * libyajl does the lexing. Thread: a tree is read-only once parsed.
 */
#ifndef SLK_POLICY_JSON_H
#define SLK_POLICY_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "policy/arena.h"

#define POL_JSON_DEPTH_MAX 16u
#define POL_JSON_MEMBERS_MAX 1024u /* each new key is compared with those before it */

enum pol_json_type {
	POL_JSON_NULL,
	POL_JSON_BOOL,
	POL_JSON_NUMBER,
	POL_JSON_STRING,
	POL_JSON_ARRAY,
	POL_JSON_OBJECT,
};

struct pol_json {
	enum pol_json_type type;
	bool boolean;
	size_t offset; /* where the value begins */
	struct slk_span
		text; /* of a string, unescaped, or of a number as written; NUL-terminated */
	struct slk_span key; /* in an object */
	struct pol_json *first; /* child */
	struct pol_json *next; /* sibling */
	size_t count; /* children */
};

/* What was wrong and where. Offsets count bytes from 0. */
struct pol_json_error {
	size_t offset;
	char text[160];
};

/* Parse in into nodes of the arena. SLK_MALFORMED with *out_error set; SLK_LIMIT (the arena's), SLK_NO_MEMORY. */
MUST_USE int pol_json_parse(struct pol_arena *arena, struct slk_span in, struct pol_json **out_root,
	struct pol_json_error *out_error);

/* The member of an object, or NULL. */
const struct pol_json *pol_json_member(const struct pol_json *object, const char *key);

#endif
