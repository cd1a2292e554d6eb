/* The one audit point: a line of JSON per use of kmsd, allowed or refused, in a chain (audit_line.h, format/audit.h).
 *
 * Lines are added during a turn of the front's loop, and sealed into the chain, written and flushed together at its end
 * (group commit), before any answer of that turn leaves; a flush may go on in the background while the next turns begin
 * calls and add their lines. What goes out and where:
 *
 *     add ──► pending ──begin──► sealed: number and hash ──► queue ──► file (audit_file.h)          answers leave when
 *                                                              └─────► second sink, if there is one   one has taken them
 *
 * The file comes first. Where it fails, or has not flushed within the deadline, the second sink suffices: a file on another
 * disk, or the system's log, which takes a line when its socket does. Where neither takes the lines in time, the answers of
 * the turn are withheld (fail closed), nothing waits on, and the lines stay in the queue: they are brought out when a sink is
 * well again, with a line that says that their answers did not leave. Lines that a full queue has no room for are counted
 * and said likewise. No sink is believed after a failed flush: the file is given up and a new one takes all that was not
 * durable.
 *
 * Never holds plaintext or ciphertext. The encryption context is logged in clear, as in AWS: no secrets belong there.
 * Thread: one, the front's loop.
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
#include "format/audit.h"
#include "format/context.h"

/* Bytes of one turn, and of what waits for a sink; more is refused. All that the gateway may have in progress, with
 * the largest contexts, fits twice. */
#define KMS_AUDIT_PENDING_MAX (32u << 20)
#define KMS_AUDIT_DEADLINE_NS (2 * SLK_NS_PER_S)

struct kms_audit;

/* What a call is made with, or what it hands out or changes. Never a secret. */
struct kms_audit_credential {
	char access_key_id[21]; /* "": there is none */
	char principal_id[96]; /* AIDA..., or AROA...:SESSION; "": not said */
	char session[320]; /* ARN; "": none */
	char source_identity[65]; /* "": none */
};

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
	const char *door; /* "gateway", "ingestd"; NULL: not said */
	const char *action;
	const char *resource;
	const struct fmt_context *context;
	const uint8_t *backing_id; /* 16 bytes */
	const char *
		from_resource; /* of ReEncrypt: the source; resource, context and backing_id are the target's */
	const struct fmt_context *from_context;
	const uint8_t *from_backing_id;
	const struct kms_audit_credential *credential; /* with which the call is made */
	const struct kms_audit_credential *issued; /* that it hands out or changes */
	const char *attest_purpose; /* of Attest */
	const uint8_t *attest_digest; /* 32 bytes */
	const uint8_t *proposal_id; /* dual control: 16 bytes */
	const uint8_t *proposal_digest; /* likewise: 32 bytes */
	const char *policy_name; /* that is put, attached, taken away */
	const uint8_t *document_digest; /* SHA-256 of the document that came: 32 bytes */
	const char *correlation; /* what the caller calls the request */
	const char *via_service;
	const char *source_arn;
	const char *source_ip; /* of a caller on the network */
	bool is_decision; /* it was asked whether it may be done, and not done */
	int status; /* SLK_OK: allowed; SLK_DENIED: denied; else: failed */
	const char *exception;
	const char *message;
};

/* Opens path for appending, or makes it (0600), and goes on with its chain. SLK_DENIED, SLK_IO ..., with a sentence. fs,
 * clock: borrowed. */
MUST_USE int kms_audit_open(const char *path, const struct slk_fs *fs,
	const struct slk_clock *clock, struct kms_audit **out_audit, struct slk_error *err);
/* Lines that no sink took are lost, as the answers were. NULL allowed. */
void kms_audit_close(struct kms_audit *audit);

/* Settings, before the first line. */
void kms_audit_deadline(struct kms_audit *audit, uint64_t deadline_ns);
/* Have flushes done in the background by ops (borrowed, for the life of the log; NULL: in the foreground). */
void kms_audit_background(struct kms_audit *audit, const struct kms_flush_ops *ops);
/* Keep bytes of the log's disk for refusals: see audit_file.h. */
void kms_audit_reserve(struct kms_audit *audit, uint64_t bytes);
/* The second sink: a file (flushed by ops, as above), or the socket of the system's log. Errors as of kms_audit_open(). */
MUST_USE int kms_audit_second_file(struct kms_audit *audit, const char *path,
	const struct slk_fs *fs, const struct kms_flush_ops *ops, struct slk_error *err);
MUST_USE int kms_audit_second_syslog(
	struct kms_audit *audit, const char *socket_path, struct slk_error *err);

/* Add a line to this turn. SLK_UNAVAILABLE if there is no room for it; SLK_NO_MEMORY. */
MUST_USE int kms_audit_add(struct kms_audit *audit, const struct kms_audit_entry *entry);
/* The same for a signed head; texts in base64. */
MUST_USE int kms_audit_add_head(struct kms_audit *audit, const struct fmt_audit_point *of,
	const char *public_key, const char *signature);
/* Lines wait for kms_audit_begin(). */
bool kms_audit_waits(const struct kms_audit *audit);

/* Seal, write and flush this turn's lines; nothing to do is SLK_OK. SLK_UNAVAILABLE with a sentence: its answers must not
 * leave. Waits until the deadline at most. */
MUST_USE int kms_audit_flush(struct kms_audit *audit, struct slk_error *err);
/* The same, but SLK_AGAIN if it goes on: kms_audit_poll() tells. Lines may be added meanwhile; they belong to the next
 * flush. Not while one goes on. */
MUST_USE int kms_audit_begin(struct kms_audit *audit, struct slk_error *err);
/* SLK_AGAIN while the flush goes on; waits for wait_ns at most. Then what kms_audit_flush() would have said. */
MUST_USE int kms_audit_poll(struct kms_audit *audit, uint64_t wait_ns, struct slk_error *err);
/* When kms_audit_poll() has to be called at the latest, by the monotonic clock; UINT64_MAX: no need. */
uint64_t kms_audit_wake_ns(const struct kms_audit *audit);
/* To be called about once a second: brings out what waits for a sink, makes the reserve again. */
void kms_audit_tick(struct kms_audit *audit);

/* The disk is full and the reserve in use: refuse everything, so that the refusals can be logged. */
bool kms_audit_low(const struct kms_audit *audit);

struct kms_audit_state {
	struct fmt_audit_point durable; /* the last line that a sink has */
	uint64_t last_seq; /* the last line that is no head, durable or not */
	uint64_t withheld; /* answers that did not leave since the start */
	bool low;
	bool file_ok; /* it took the last lines */
	bool second_there, second_ok;
	const char *file_error, *second_error; /* sentences; "" if ok */
};
void kms_audit_state(const struct kms_audit *audit, struct kms_audit_state *out_state);
/* The file was renamed, removed or given up, and another one begun, since this was asked last. */
bool kms_audit_rotated(struct kms_audit *audit);

#endif
