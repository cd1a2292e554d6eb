/* The catalog: metadata of keys, their backing keys, aliases and streams, in one SQLite file.
 *
 * A change is durable when its function returns (WAL, synchronous = FULL). The file belongs to one
 * process at a time: a second one is refused. After an input or output error the catalog takes no
 * more changes until it is opened again (what a failed flush left behind is known only then);
 * reading goes on.
 *
 * States of a key, the only function that assigns each, and what holds in it:
 *
 *     (none) --kms_catalog_key_begin()--> Creating --kms_catalog_key_enable()--> Enabled
 *
 *     Creating   the row names the backing key's CKA_ID; the token may or may not have the object
 *     Enabled    the token made the object and tried it; its key check value is in the row
 *
 * A row in Creating is found again at every start and finished (HSM_CREATE_KEY may be repeated), so
 * no object on the token is ever without a row. Nothing is deleted because the token lacks it.
 * Disabled and PendingDeletion are read and obeyed; the operations that assign them are not here
 * yet.
 *
 * Wraps of a backing key are counted ahead: a reservation of KMS_WRAP_CHUNK is committed before the
 * first of them is used, so a crash loses some but never counts too few. At KMS_WRAP_LIMIT the key
 * is refused: random IVs are good for 2^32 (SP 800-38D 8.3), and half of that is kept as a margin
 * until rotation exists.
 *
 * Thread: one, the front's loop. Errors of all functions: SLK_DISK_FULL, SLK_IO, SLK_CORRUPT,
 * SLK_NO_MEMORY, SLK_UNAVAILABLE (locked by another process), SLK_INTERNAL; others are named.
 * Outputs are untouched on error.
 */
#ifndef KMS_HSM_CATALOG_H
#define KMS_HSM_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"
#include "names.h"

#define KMS_ID_BYTES FMT_UUID_BYTES
#define KMS_KCV_BYTES 3u
#define KMS_KCV_CMAC_BYTES 5u
#define KMS_DESCRIPTION_MAX 257u /* with terminator */
#define KMS_WRAP_CHUNK 65536u
#define KMS_WRAP_LIMIT (1ull << 31)
#define KMS_WRAP_SLACK \
	64u /* always in hand, for what a call costs beyond its own wrap (known-answer tests) */

struct kms_catalog;

enum kms_key_state {
	KMS_KEY_CREATING,
	KMS_KEY_ENABLED,
	KMS_KEY_DISABLED,
	KMS_KEY_PENDING_DELETION
};
enum kms_key_manager { KMS_MANAGER_CUSTOMER, KMS_MANAGER_APPLIANCE };

struct kms_key {
	uint8_t id[KMS_ID_BYTES];
	char description[KMS_DESCRIPTION_MAX];
	enum kms_key_state state;
	enum kms_key_manager manager;
	uint64_t created_ns;
	uint8_t backing_id[KMS_ID_BYTES]; /* the current backing key */
	uint8_t kcv[KMS_KCV_BYTES]; /* its check value; zero while Creating */
};

struct kms_backing {
	uint8_t id[KMS_ID_BYTES]; /* CKA_ID */
	uint8_t key_id[KMS_ID_BYTES];
	uint8_t kcv[KMS_KCV_BYTES];
};

struct kms_alias {
	char name[KMS_ALIAS_MAX];
	uint8_t key_id[KMS_ID_BYTES];
};

struct kms_stream {
	uint64_t id; /* assigned by kms_catalog_stream_create(), never given twice */
	char name[KMS_STREAM_MAX];
	uint32_t shard_count;
	bool encrypted_kms;
	uint8_t key_id[KMS_ID_BYTES];
	uint64_t created_ns;
};

/* Opens or creates path (mode 0600, owner checked). SLK_BAD_VERSION for a catalog of a later
 * release, SLK_DENIED, SLK_UNAVAILABLE if another process has it; each with a sentence. */
MUST_USE int kms_catalog_open(
	const char *path, struct kms_catalog **out_catalog, struct slk_error *err);
void kms_catalog_close(struct kms_catalog *catalog); /* NULL allowed */
/* The sentence of the last error, for the log. Borrowed until the next call. */
const char *kms_catalog_error(const struct kms_catalog *catalog);

/* key->state and kcv are ignored. SLK_EXISTS. */
MUST_USE int kms_catalog_key_begin(struct kms_catalog *catalog, const struct kms_key *key);
/* SLK_NOT_FOUND unless the key is Creating. */
MUST_USE int kms_catalog_key_enable(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	const uint8_t kcv[KMS_KCV_BYTES], const uint8_t kcv_cmac[KMS_KCV_CMAC_BYTES]);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_get(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], struct kms_key *out_key);
/* The appliance's own key, in whatever state. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_appliance(struct kms_catalog *catalog, struct kms_key *out_key);
/* Up to cap keys with ids above after (NULL: from the first), in order. */
MUST_USE int kms_catalog_key_list(struct kms_catalog *catalog, const uint8_t *after,
	struct kms_key *out_keys, size_t cap, size_t *out_count);
/* One key that is Creating, with an id above after (NULL: the first). SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_creating(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_key *out_key);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_backing_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_backing *out_backing);

/* SLK_EXISTS, SLK_NOT_FOUND (no such key). */
MUST_USE int kms_catalog_alias_create(
	struct kms_catalog *catalog, const struct kms_alias *alias, uint64_t created_ns);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_alias_delete(struct kms_catalog *catalog, const char *name);
MUST_USE int kms_catalog_alias_get(
	struct kms_catalog *catalog, const char *name, struct kms_alias *out_alias);
/* Up to cap aliases with names above after (""), of key_id or of all keys (NULL). */
MUST_USE int kms_catalog_alias_list(struct kms_catalog *catalog, const uint8_t *key_id,
	const char *after, struct kms_alias *out_aliases, size_t cap, size_t *out_count);

/* stream->id is ignored; *out_id is the new one. SLK_EXISTS, SLK_NOT_FOUND (no such key). */
MUST_USE int kms_catalog_stream_create(
	struct kms_catalog *catalog, const struct kms_stream *stream, uint64_t *out_id);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_stream_get(
	struct kms_catalog *catalog, const char *name, struct kms_stream *out_stream);
MUST_USE int kms_catalog_stream_delete(struct kms_catalog *catalog, const char *name);
MUST_USE int kms_catalog_stream_list(struct kms_catalog *catalog, const char *after,
	struct kms_stream *out_streams, size_t cap, size_t *out_count);

/* Count one wrap under a backing key, reserving more where it is needed. SLK_LIMIT at
 * KMS_WRAP_LIMIT, SLK_NOT_FOUND. */
MUST_USE int kms_catalog_wrap_take(
	struct kms_catalog *catalog, const uint8_t backing_id[KMS_ID_BYTES]);
/* Count extra wraps that a call turned out to have cost; they come out of the slack. */
void kms_catalog_wrap_add(
	struct kms_catalog *catalog, const uint8_t backing_id[KMS_ID_BYTES], uint32_t extra);
/* What is reserved on disk and what is used of it in this process. For tests and status.
 * SLK_NOT_FOUND. */
MUST_USE int kms_catalog_wrap_count(struct kms_catalog *catalog,
	const uint8_t backing_id[KMS_ID_BYTES], uint64_t *out_reserved, uint64_t *out_used);

#endif
