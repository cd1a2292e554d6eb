/* Decisions of the policy that were made lately: the same question under the same policies is answered without another.
 *
 * A reader asks for each key of a month of epochs, ingestd for a new one ahead of the end of the last, a gateway for rights
 * that it has had for some minutes: all of them would be decided anew, with the same outcome. What a decision follows from is
 * its question and the documents in force. So it holds for DECISION_NS (five minutes) at most, and not beyond a change of
 * what decides rights (the era). Not kept, and decided each time, is what follows from more than that: documents that look at
 * the clock, at tags or at aliases; sessions with policies of their own; questions of rare kinds or beyond 896 bytes. Every
 * request leaves its line in the audit log as before. Memory is fixed. Thread: the front's loop.
 */
#ifndef KMS_HSM_DECISIONS_H
#define KMS_HSM_DECISIONS_H

#include "iam.h"

#define KMS_DECISION_NS (300ull * 1000000000ull)

struct kms_decisions;

MUST_USE int kms_decisions_new(struct kms_decisions **out_decisions); /* SLK_NO_MEMORY */
void kms_decisions_free(struct kms_decisions *decisions); /* NULL allowed */

/* As kms_policy_decide(). era: another number after every change of policies, identities, grants and tags. mono_ns: now. */
MUST_USE int kms_decisions_ask(struct kms_decisions *decisions, const struct kms_iam *iam,
	const struct kms_question *question, uint64_t era, uint64_t mono_ns,
	char out_sentence[KMS_SENTENCE_MAX]);

/* How many were made; how many questions were answered by one of before. */
uint64_t kms_decisions_made(const struct kms_decisions *decisions);
uint64_t kms_decisions_reused(const struct kms_decisions *decisions);

#endif
