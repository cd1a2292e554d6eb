/* A quick look at actions, before a statement itself is looked at. Internal to lib/policy.
 *
 * Most statements of an account are about other actions. A gate says in 16 bytes which actions a statement may be about: one
 * bit for each exact name, one for each service whose names it matches by wildcard. A closed gate means no match for certain;
 * an open one means nothing. Gates of a document lie side by side, so that a hundred of them are a few cache lines.
 */
#ifndef SLK_POLICY_GATE_H
#define SLK_POLICY_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pol_gate {
	uint64_t actions, services; /* bit = hash of the name in lower case, modulo 64 */
};

/* The bits of one action in lower case. Without a colon the action is its own service. */
struct pol_gate pol_gate_of(const char *folded_action, size_t len);

static inline bool
pol_gate_open(const struct pol_gate *gate, const struct pol_gate *asked)
{
	return ((gate->actions & asked->actions) | (gate->services & asked->services)) != 0;
}

#endif
