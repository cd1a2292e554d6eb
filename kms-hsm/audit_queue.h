/* Lines of the audit log from their making until every sink has them: bodies that wait, then sealed lines in the order of
 * the chain. Offsets count the bytes of all sealed lines since the start. Thread: the front's loop. */
#ifndef KMS_HSM_AUDIT_QUEUE_H
#define KMS_HSM_AUDIT_QUEUE_H

#include <stdbool.h>

#include "base/bytes.h"
#include "format/audit.h"

struct kms_audit_queue;

/* The chain goes on from point. SLK_NO_MEMORY, SLK_INTERNAL. */
MUST_USE int kms_audit_queue_new(
	const struct fmt_audit_point *point, struct kms_audit_queue **out_queue);
void kms_audit_queue_free(struct kms_audit_queue *queue); /* NULL allowed */
/* Before the first line: the chain goes on from another point. */
void kms_audit_queue_go_on(struct kms_audit_queue *queue, const struct fmt_audit_point *point);

/* Room for a body of a use, to be written in place and then taken by _use(), with nothing else in between.
 * SLK_UNAVAILABLE: there is none; SLK_NO_MEMORY. _use(): the writer's status, SLK_TOO_LARGE. */
MUST_USE int kms_audit_queue_room(
	struct kms_audit_queue *queue, size_t len, struct slk_writer *out_writer);
MUST_USE int kms_audit_queue_use(struct kms_audit_queue *queue, const struct slk_writer *writer);
/* A body of another kind. Errors as above. */
MUST_USE int kms_audit_queue_add(struct kms_audit_queue *queue, struct slk_span body);
/* Bodies are there. */
bool kms_audit_queue_waits(const struct kms_audit_queue *queue);

/* Bodies become lines. durable_seq: the last line that is on the disk. SLK_NO_MEMORY, SLK_INTERNAL: none has. */
MUST_USE int kms_audit_queue_seal(struct kms_audit_queue *queue, uint64_t durable_seq);

/* The last sealed line, and where it ends. */
const struct fmt_audit_point *kms_audit_queue_point(const struct kms_audit_queue *queue);
uint64_t kms_audit_queue_end(const struct kms_audit_queue *queue);
/* The last sealed line that is no head; the point of the start if there is none. */
uint64_t kms_audit_queue_last_seq(const struct kms_audit_queue *queue);
/* Lines from an offset on that was not forgotten; borrowed until the next call that is not const. */
struct slk_span kms_audit_queue_from(const struct kms_audit_queue *queue, uint64_t offset);
/* The line that ends at offset. */
void kms_audit_queue_point_at(
	const struct kms_audit_queue *queue, uint64_t offset, struct fmt_audit_point *out_point);
/* Lines before offset are needed no more. */
void kms_audit_queue_forget(struct kms_audit_queue *queue, uint64_t offset);

#endif
