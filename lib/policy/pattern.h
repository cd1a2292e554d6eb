/* Text patterns of a policy: * matches any text (also / and :), ? one byte, ${...} what the request says.
 *
 * A pattern is compiled once; kinds that need no backtracking (no wildcard, a prefix) are matched by a comparison. Policy
 * variables are those of Version 2012-10-17: ${key}, ${key, 'default'}, and ${*} ${?} ${$} for the characters themselves.
 * What a variable brings is literal, wildcards in it included. Matching takes linear time but for parts with ? between stars,
 * which POL_ONES_MAX bounds: who may write a policy can make nobody's decisions slow.
 * Thread: read-only once compiled.
 */
#ifndef SLK_POLICY_PATTERN_H
#define SLK_POLICY_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "policy/arena.h"
#include "policy/same.h"

#define POL_PATTERN_MAX 2048u /* bytes as written, and with its variables filled in */
#define POL_VARIABLES_MAX 8u /* in one pattern */
#define POL_ONES_MAX 32u /* likewise: how many ? */

enum pol_pattern_kind {
	POL_PATTERN_EXACT,
	POL_PATTERN_PREFIX, /* text, then one * */
	POL_PATTERN_ANY, /* one * */
	POL_PATTERN_GLOB,
	POL_PATTERN_VARIABLE,
};

struct pol_variable {
	const char *key; /* as written */
	const char *fallback; /* NULL: none */
};

/* bytes: literal text with the marks below; control characters are in no pattern otherwise. */
struct pol_pattern {
	enum pol_pattern_kind kind;
	uint32_t len;
	const char *bytes; /* terminated */
	struct pol_variable *variables;
	uint32_t variables_count;
};

enum { POL_MARK_STAR = 1, POL_MARK_ONE = 2, POL_MARK_VARIABLE = 3 };

enum pol_pattern_flags {
	POL_PATTERN_FOLD = 1, /* ASCII letters are stored in lower case: match lower-case text */
	POL_PATTERN_VARIABLES = 2, /* ${...} is a variable */
	POL_PATTERN_LITERAL = 4, /* * and ? stand for themselves */
};

/* SLK_MALFORMED with a reason (static text): control characters, an unfinished ${, an unknown form, too many of
 * something; SLK_TOO_LARGE,
 * SLK_LIMIT (the arena's). */
MUST_USE int pol_pattern_compile(struct pol_arena *arena, struct slk_span text, unsigned flags,
	struct pol_pattern *out_pattern, const char **out_reason);

/* Do marks and text as such match, for patterns whose variables were filled in? */
bool pol_glob(const char *bytes, size_t bytes_len, const char *text, size_t len);

/* Does a pattern without variables match? One with variables does not. */
static inline bool
pol_pattern_match(const struct pol_pattern *pattern, const char *text, size_t len)
{
	switch (pattern->kind) {
	case POL_PATTERN_ANY:
		return true;
	case POL_PATTERN_EXACT:
		return len == pattern->len && pol_same(text, pattern->bytes, len);
	case POL_PATTERN_PREFIX:
		return len >= pattern->len - 1 && pol_same(text, pattern->bytes, pattern->len - 1);
	case POL_PATTERN_GLOB:
		return pol_glob(pattern->bytes, pattern->len, text, len);
	case POL_PATTERN_VARIABLE:
		break;
	}
	return false;
}

/* The value of a variable: NULL if the request has none, or more than one. *out_len is its length. */
typedef const char *(*pol_variable_fn)(const void *ctx, const char *key, size_t *out_len);

/* Fill the variables in. The result is out (POL_PATTERN_MAX bytes, not terminated) or, without variables, the pattern's own
 * bytes. False if a variable has neither value nor default or one with control characters, or the result is too long: nothing
 * matches then; what that means for a negated pattern is its caller's to say. */
MUST_USE bool pol_pattern_fill(const struct pol_pattern *pattern, pol_variable_fn value,
	const void *ctx, char *out, const char **out_bytes, size_t *out_len);

#endif
