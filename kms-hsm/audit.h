/* The one audit point: a line of JSON per use of kmsd, allowed or refused.
 *
 *     {"time":"2026-11-24T10:00:00.123456Z","requestId":"...","principal":"arn:...","uid":1000,"pid":77,
 *      "action":"kms:Decrypt","resource":"arn:...","encryptionContext":{...},"backingKey":"<hex>",
 *      "source":{"resource":..,"encryptionContext":{..},"backingKey":..},   (ReEncrypt)
 *      "viaService":"kinesis.local.amazonaws.com","sourceArn":"arn:...","door":{"uid":..,"pid":..},
 *      "attested":{"purpose":"rewrap","digest":"<hex>"},
 *      "outcome":"denied","error":"AccessDeniedException","message":"..."}
 *
 * Lines are added during a turn of the front's loop and written and flushed together at its end
 * (group commit), before any answer of that turn leaves; a flush may go on in the background while
 * the next turns begin calls and add their lines. If that fails, no answer of the turn
 * leaves: fail closed. A write that failed is done again in the next turn, from the same position;
 * a flush that failed is never believed again, and the log is out of service until it is opened
 * anew by a restart. A file that was renamed or removed (log rotation) is noticed at the next
 * flush, and a new one is begun.
 *
 * Never holds plaintext or ciphertext. The encryption context is logged in clear, as in AWS: no
 * secrets belong there. Hash chain, signed heads and a second sink join here. Thread: one, the
 * front's loop.
 */
#ifndef KMS_HSM_AUDIT_H
#define KMS_HSM_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "flusher.h"
#include "format/context.h"

/* Bytes of one turn; more is refused. All that one uid may have in progress, with the largest contexts, fits twice. */
#define KMS_AUDIT_PENDING_MAX (8u << 20)

struct kms_audit;

/* Absent members: NULL or 0, and left out of the line; outcome is from status. */
struct kms_audit_entry {
	const char *request_id;
	const char *principal; /* NULL: unknown uid */
	uid_t uid; /* of the peer; of the caller that a door named, where it named one by uid */
	pid_t pid;
	bool by_door; /* principal and uid are what a door said: door_uid and door_pid are the peer
		       */
	bool uid_known;
	uid_t door_uid;
	pid_t door_pid;
	const char *action;
	const char *resource;
	const struct fmt_context *context;
	const uint8_t *backing_id; /* 16 bytes */
	const char *
		from_resource; /* of ReEncrypt: the source; resource, context and backing_id are the target's */
	const struct fmt_context *from_context;
	const uint8_t *from_backing_id;
	const char *attest_purpose; /* of Attest */
	const uint8_t *attest_digest; /* 32 bytes */
	const char *via_service;
	const char *source_arn;
	int status; /* SLK_OK: allowed; SLK_DENIED: denied; else: failed */
	const char *exception;
	const char *message;
};

/* Opens path for appending, or makes it (0600). SLK_DENIED, SLK_IO ..., with a sentence. fs, clock:
 * borrowed. */
MUST_USE int kms_audit_open(const char *path, const struct slk_fs *fs,
	const struct slk_clock *clock, struct kms_audit **out_audit, struct slk_error *err);
/* Lines that were not flushed are dropped, as the answers were. NULL allowed. */
void kms_audit_close(struct kms_audit *audit);

/* Add a line to this turn. SLK_UNAVAILABLE if the log is out of service or the turn is full;
 * SLK_NO_MEMORY. */
MUST_USE int kms_audit_add(struct kms_audit *audit, const struct kms_audit_entry *entry);

/* Write and flush this turn's lines; nothing to do is SLK_OK. SLK_UNAVAILABLE with a sentence: the
 * turn's lines are dropped, and its answers must not leave. */
MUST_USE int kms_audit_flush(struct kms_audit *audit, struct slk_error *err);

/* Have flushes done in the background by ops (borrowed, for the life of the log). */
void kms_audit_background(struct kms_audit *audit, const struct kms_flush_ops *ops);
/* As kms_audit_flush(), but SLK_AGAIN if a flush goes on in the background: the lines are written,
 * kms_audit_poll() tells when they are on the disk. Lines may be added meanwhile; they belong to the
 * next flush. Not while one goes on. */
MUST_USE int kms_audit_begin(struct kms_audit *audit, struct slk_error *err);
/* SLK_AGAIN while the flush goes on (never with wait); then what kms_audit_flush() would have said.
 */
MUST_USE int kms_audit_poll(struct kms_audit *audit, bool wait, struct slk_error *err);

#endif
