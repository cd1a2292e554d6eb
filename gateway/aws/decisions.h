/* What kmsd decided about who may do what: remembered, so that not every PutRecords asks again.
 *
 * One cache per thread, bounded, entries of a minute at most; all go when kmsd says that rights have changed
 * (gw_decisions_forget()). Only what was allowed is remembered: a refusal is asked again and audited again. Thread: the loop's.
 */
#ifndef GATEWAY_AWS_DECISIONS_H
#define GATEWAY_AWS_DECISIONS_H

#include "aws/sigv4.h"

#define GW_DECISIONS_MAX 4096u
#define GW_DECISION_LIFE_S 60u

struct gw_decisions;
MUST_USE int gw_decisions_new(struct gw_decisions **out_decisions);
void gw_decisions_free(struct gw_decisions *decisions); /* NULL allowed */

/* credential: as gw_day_key_name(). where: the address and way it came, which policies may ask for. SLK_INTERNAL, SLK_NO_MEMORY. */
MUST_USE int gw_decision_name(struct gw_sigv4_engine *engine,
	const uint8_t credential[GW_SHA256_BYTES], const char *action, const char *resource,
	const char *where, uint8_t out_name[GW_SHA256_BYTES]);
bool gw_decisions_has(const struct gw_decisions *decisions, const uint8_t name[GW_SHA256_BYTES],
	uint64_t mono_ns);
void gw_decisions_put(
	struct gw_decisions *decisions, const uint8_t name[GW_SHA256_BYTES], uint64_t mono_ns);
void gw_decisions_forget(struct gw_decisions *decisions);

#endif
