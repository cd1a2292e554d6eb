/* Client of sealock-kmsd's local RPC: blocking calls with a deadline over one SOCK_SEQPACKET connection.
 *
 * Identity is never sent: kmsd takes it from the socket's peer credentials. A call that fails leaves a sentence in *err
 * which names action, resource and principal where kmsd refused it. A lost connection is reopened by the next call.
 * After fork the child must make a client of its own (calls answer SLK_INVALID_STATE).
 * Thread: a client belongs to one thread; make one per thread. No call may be made from a poll loop.
 *
 * Errors of all calls: SLK_UNAVAILABLE (no kmsd, HSM away: retry later), SLK_TIMEOUT, SLK_DENIED, SLK_NOT_FOUND,
 * SLK_DISABLED, SLK_INVALID_STATE, SLK_INVALID, SLK_LIMIT, SLK_INVALID_CIPHERTEXT, SLK_UNSUPPORTED, SLK_INTERNAL.
 */
#ifndef SLK_KMSCLIENT_KMSCLIENT_H
#define SLK_KMSCLIENT_KMSCLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/status.h"
#include "format/context.h"

#define KMSC_DEFAULT_SOCKET "/run/sealock/kms/kms.sock"
#define KMSC_ARN_MAX 320u /* with terminator */
#define KMSC_NAME_MAX 260u /* alias and stream names, with terminator */
#define KMSC_BLOB_MAX 8192u
#define KMSC_DESCRIPTION_MAX 32769u /* 8,192 characters of UTF-8, with terminator */
#define KMSC_ALGORITHM_MAX 32u /* with terminator */
#define KMSC_ALGORITHMS_MAX 8u
#define KMSC_CORRELATION_MAX 65u /* with terminator */
#define KMSC_MATERIAL_MAX 65u /* hex, with terminator */

struct kmsc;

/* path: NULL for $SEALOCK_KMS_SOCKET, or else KMSC_DEFAULT_SOCKET. timeout_ms: per call, 0 for 5,000. Does not connect. */
MUST_USE int kmsc_new(const char *path, unsigned timeout_ms, struct kmsc **out_client);
void kmsc_free(struct kmsc *client); /* NULL allowed */
/* What its next calls are called in kmsd's audit log, so that they are found there; "": nothing. At first it is
 * $SEALOCK_CORRELATION_ID. Copied. SLK_TOO_LARGE beyond 64 bytes (kmsc_new() says so, too). */
MUST_USE int kmsc_correlate(struct kmsc *c, const char *id);

/* About 33 KiB: a description may be long. */
struct kmsc_key {
	char id[64]; /* UUID */
	char arn[KMSC_ARN_MAX];
	char description[KMSC_DESCRIPTION_MAX];
	char state[32]; /* Creating, Enabled, Disabled, PendingDeletion, Unavailable */
	char spec[32]; /* SYMMETRIC_DEFAULT, RSA_2048, ... */
	char usage[32]; /* ENCRYPT_DECRYPT, SIGN_VERIFY */
	char manager[32]; /* CUSTOMER or AWS (appliance-owned) */
	char backing_id[40]; /* CKA_ID of the current key material, hex; "" in a list */
	char material_id[KMSC_MATERIAL_MAX]; /* CurrentKeyMaterialId; "" unless symmetric */
	char algorithms[KMSC_ALGORITHMS_MAX][KMSC_ALGORITHM_MAX]; /* that this token can do */
	size_t algorithms_count;
	uint64_t created_ns; /* wall clock */
	uint64_t deletion_ns; /* wall clock, earliest; 0 unless PendingDeletion */
	uint32_t pending_window_days; /* 0 unless PendingDeletion */
	uint64_t streams_count; /* streams that name the key */
	/* Two things; not in a list. The second is the word of kmsd's configuration (hsm.certificate). */
	bool approved_algorithms; /* all that the key can do is approved */
	bool validated_module;
};

struct kmsc_alias {
	char name[KMSC_NAME_MAX]; /* alias/... */
	char arn[KMSC_ARN_MAX];
	char key_id[64];
};

struct kmsc_stream {
	char name[KMSC_NAME_MAX];
	char arn[KMSC_ARN_MAX];
	uint64_t id; /* never given twice, not even after deletion */
	uint32_t shard_count; /* open ones; lib/kmsclient/streams.h lists all */
	bool encrypted_kms; /* EncryptionType KMS; false: NONE, sealed under the appliance's own key */
	char key_arn[KMSC_ARN_MAX]; /* the CMK that new epochs use */
	char key_name[KMSC_ARN_MAX]; /* as it was named when the stream got it; "" with NONE */
	char status[16]; /* CREATING, ACTIVE, UPDATING, DELETING */
	char mode[16]; /* PROVISIONED, ON_DEMAND */
	uint64_t created_ns;
	uint32_t retention_hours; /* 24..8,760 */
	uint32_t shards_count; /* that there ever were: numbers are below */
	uint64_t change; /* counts what ingestd has to perform */
};

#define KMSC_WORKERS_MAX 8

struct kmsc_hsm_worker {
	uint32_t pid;
	char state[32]; /* as hsm_state */
	char error[256]; /* a sentence when it is not ready */
	uint64_t calls, failures, logins, recoveries, last_rv;
	uint32_t sessions, keys, keys_refused;
};

struct kmsc_audit {
	uint64_t seq; /* of the last line that a sink has */
	uint64_t withheld; /* answers that did not leave since the start */
	bool low; /* its disk is full: nothing is given out */
	char error[256]; /* of the log's file: a sentence; "" if it took the last lines */
	char second[8]; /* none, ok, failed */
	char second_error[256];
	uint64_t head_seq,
		head_unix_ns; /* the last head that was signed since the start; 0: none */
	char head_error[256]; /* why the last one could not be signed; "" if it could */
};

struct kmsc_status {
	bool hsm_ok;
	char hsm_state[32]; /* ready, reconnecting, failed */
	char hsm_error[256]; /* last error sentence, "" if none */
	char token_label[40];
	char token_serial[24];
	char module[256];
	uint64_t uptime_s;
	uint64_t requests;
	uint64_t denied;
	uint64_t errors;
	uint64_t hsm_calls;
	uint64_t hsm_recoveries;
	uint64_t hsm_worker_restarts;
	uint64_t data_keys_issued;
	uint64_t policy_decisions; /* made since the start */
	uint64_t right_changes; /* another number than before: answers of Authorize may differ */
	uint64_t stream_changes; /* another number than before: kmsc_list_streams() may differ */
	char hsm_profile[16];
	uint32_t hsm_workers_ready, hsm_workers_count; /* of hsm_workers */
	struct kmsc_hsm_worker hsm_workers[KMSC_WORKERS_MAX];
	struct kmsc_audit audit;
};

/* --- keys. key_id: id, ARN, alias name ("alias/x") or alias ARN --- */
MUST_USE int kmsc_create_key(
	struct kmsc *c, const char *description, struct kmsc_key *out_key, struct slk_error *err);
MUST_USE int kmsc_describe_key(
	struct kmsc *c, const char *key_id, struct kmsc_key *out_key, struct slk_error *err);
/* Up to cap keys after marker ("" first); *out_next is "" at the end (buffer of 64 bytes). Only id
 * and arn are filled in, as in AWS; kmsc_describe_key() says the rest. */
MUST_USE int kmsc_list_keys(struct kmsc *c, const char *marker, struct kmsc_key *out_keys,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err);
MUST_USE int kmsc_create_alias(
	struct kmsc *c, const char *alias, const char *key_id, struct slk_error *err);
MUST_USE int kmsc_delete_alias(struct kmsc *c, const char *alias, struct slk_error *err);
/* As kmsc_list_keys(); key_id may be NULL for all; out_next: KMSC_NAME_MAX bytes. */
MUST_USE int kmsc_list_aliases(struct kmsc *c, const char *key_id, const char *marker,
	struct kmsc_alias *out_aliases, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

/* --- cryptography --- */
struct kmsc_data_key {
	struct slk_secret *plaintext; /* 32 bytes; NULL from ..._without_plaintext */
	uint8_t blob[KMSC_BLOB_MAX]; /* the wrapped key: a KMS ciphertext blob (docs/FORMATS.md) */
	size_t blob_len;
	char key_arn[KMSC_ARN_MAX];
	bool encrypted_kms; /* of a stream's key: its EncryptionType was KMS */
	uint64_t stream_change; /* likewise: its `change` then */
};
void kmsc_data_key_fini(struct kmsc_data_key *dk); /* wipes and frees the plaintext */

/* context may be NULL (empty). An AES-256 data key. */
MUST_USE int kmsc_generate_data_key(struct kmsc *c, const char *key_id,
	const struct fmt_context *context, struct kmsc_data_key *out_dk, struct slk_error *err);
MUST_USE int kmsc_generate_data_key_without_plaintext(struct kmsc *c, const char *key_id,
	const struct fmt_context *context, struct kmsc_data_key *out_dk, struct slk_error *err);
/* plaintext: 1..4096 bytes. */
MUST_USE int kmsc_encrypt(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	const struct slk_secret *plaintext, uint8_t *out_blob, size_t cap, size_t *out_len,
	struct slk_error *err);
/* key_id may be NULL: the blob names its key. *out_plaintext is to be freed. out_key_arn: KMSC_ARN_MAX bytes or NULL. */
MUST_USE int kmsc_decrypt(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	struct slk_span blob, struct slk_secret **out_plaintext, char *out_key_arn,
	struct slk_error *err);

/* --- many at once --- */
#define KMSC_BATCH_MAX 16u /* what kmsd takes of one connection at once */

/* One ReEncrypt of a batch. in: borrowed. */
struct kmsc_re_encrypt_item {
	struct slk_span blob;
	const struct fmt_context *context; /* of the old and of the new wrap */
	/* Out: */
	int status; /* of this item; the other members are set on SLK_OK */
	struct slk_error err;
	uint8_t new_blob[KMSC_BLOB_MAX];
	size_t new_blob_len;
	char source_key_arn[KMSC_ARN_MAX];
	char key_arn[KMSC_ARN_MAX];
};
/* ReEncrypt count (1..KMSC_BATCH_MAX) blobs under key_id, all in flight at once on the client's connection: the plaintexts
 * stay in the HSM worker. SLK_OK: every item has its status. Otherwise no item may be used (kmsd went away, or did not
 * answer all of them in time); doing it again is harmless. */
MUST_USE int kmsc_re_encrypt_many(struct kmsc *c, const char *key_id,
	struct kmsc_re_encrypt_item *items, size_t count, struct slk_error *err);

/* --- attestation: for ingestd (purpose "journal") and administrators (all others) --- */
struct kmsc_attestation {
	uint8_t signature[512];
	size_t signature_len;
	uint8_t public_key[576]; /* DER SubjectPublicKeyInfo */
	size_t public_key_len;
	char key_arn[KMSC_ARN_MAX];
};
/* Let the appliance sign that it saw digest (SHA-256, 32 bytes) for purpose; what is signed: format/attest.h. The signature
 * is not checked here: seal_attest_verify(). SLK_UNSUPPORTED: the token has no P-256. */
MUST_USE int kmsc_attest(struct kmsc *c, const char *purpose, const uint8_t digest[32],
	struct kmsc_attestation *out_attestation, struct slk_error *err);

/* The same for a journal's statement (format/proof.h), which kmsd remembers: SLK_INVALID_STATE, if the journal was put back to an
 * older state. digest: of the statement. */
MUST_USE int kmsc_attest_statement(struct kmsc *c, struct slk_span statement,
	const uint8_t digest[32], struct kmsc_attestation *out_attestation, struct slk_error *err);

/* --- service principal calls, for ingestd only --- */
/* A data key for a stream's epoch: kmsd looks the stream's CMK up itself, uses {"aws:kinesis:arn": arn} as context and
 * authorises ingestd as the service principal of that stream (kms:ViaService, aws:SourceArn). */
MUST_USE int kmsc_generate_stream_key(struct kmsc *c, const char *stream_arn,
	struct kmsc_data_key *out_dk, struct slk_error *err);
/* May the principal of uid do this? SLK_OK or SLK_DENIED with the sentence. Only doors (ingestd) may ask; audited. For a
 * put: action "kinesis:PutRecord" on the stream; kmsd adds kms:GenerateDataKey on the stream's CMK by itself when the
 * stream's encryption type is KMS. */
MUST_USE int kmsc_authorize_uid(struct kmsc *c, uid_t uid, const char *action,
	const char *resource_arn, struct slk_error *err);
/* The same for a configured role principal (plain listeners). */
MUST_USE int kmsc_authorize_role(struct kmsc *c, const char *principal_arn, const char *action,
	const char *resource_arn, struct slk_error *err);

/* --- streams --- */
/* key_id: NULL for EncryptionType NONE (the appliance's own key). shard_count: 1..1024. */
MUST_USE int kmsc_create_stream(struct kmsc *c, const char *name, uint32_t shard_count,
	const char *key_id, struct kmsc_stream *out_stream, struct slk_error *err);
/* name_or_arn. */
MUST_USE int kmsc_describe_stream(struct kmsc *c, const char *name_or_arn,
	struct kmsc_stream *out_stream, struct slk_error *err);
MUST_USE int kmsc_list_streams(struct kmsc *c, const char *marker, struct kmsc_stream *out_streams,
	size_t cap, size_t *out_count, char *out_next /* KMSC_NAME_MAX */, struct slk_error *err);
/* The same for ingestd: with the streams of delivery streams, which are called deliverystream/NAME and have the ARN of their
 * delivery stream. */
MUST_USE int kmsc_list_all_streams(struct kmsc *c, const char *marker,
	struct kmsc_stream *out_streams, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);
MUST_USE int kmsc_delete_stream(struct kmsc *c, const char *name, struct slk_error *err);

/* --- service --- */
MUST_USE int kmsc_status(struct kmsc *c, struct kmsc_status *out_status, struct slk_error *err);

#endif
