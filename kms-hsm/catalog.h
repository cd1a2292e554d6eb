/* The catalog: metadata of keys, their backing keys, tags, aliases and streams, in one SQLite file.
 *
 * A change is durable when its function returns (WAL, synchronous = FULL). The file belongs to one
 * process at a time: a second one is refused. After an input or output error the catalog takes no
 * more changes until it is opened again (what a failed flush left behind is known only then);
 * reading goes on. A file of an older release is brought up to date when it is opened.
 *
 * States of a key, the only function that assigns each, and what holds in it:
 *
 *     (none)          --kms_catalog_key_begin()---------> Creating
 *     Creating        --kms_catalog_key_enable()--------> Enabled
 *     Enabled         --kms_catalog_key_switch()--------> Disabled, and back
 *     Enabled, Disabled --kms_catalog_key_schedule()----> PendingDeletion
 *     PendingDeletion --kms_catalog_key_cancel()--------> Disabled
 *     PendingDeletion --kms_catalog_key_doom()----------> Destroying
 *     Creating        --kms_catalog_key_abandon()-------> Destroying
 *     Destroying      --kms_catalog_backing_destroyed()--------> Destroyed
 *
 *     Creating         the row names the backing key's CKA_ID; the token may or may not have the object
 *     Enabled          the token made the object and tried it; its key check value is in the row
 *     Disabled         as Enabled, not used
 *     PendingDeletion  as Disabled; deletion_ns and deletion_left_ns say when it ends
 *     Destroying       aliases, tags, policy and grants are gone; the token may or may not have objects of the key
 *     Destroyed        the token has none any more; the row stays, so that no id is given twice
 *
 * Destroying and Destroyed keys are SLK_NOT_FOUND to every function but kms_catalog_backing_doomed(),
 * kms_catalog_backing_get() and kms_catalog_backing_known().
 *
 * States of a backing key: Creating --(kms_catalog_key_enable() for the first of a key,
 * kms_catalog_backing_switch() for its successors)--> Current --(the successor becomes
 * Current)--> Old, which decrypts only; and Destroyed, by kms_catalog_backing_destroyed(). A key has
 * at most one Creating and, once it is Enabled, exactly one Current.
 *
 * A backing key in Creating is found again at every start and finished (HSM_CREATE_KEY may be
 * repeated), so no object on the token is ever without a row. Nothing is deleted because the token
 * lacks it.
 *
 * Wraps of a backing key are counted ahead: a reservation of KMS_WRAP_CHUNK is committed before the
 * first of them is used, so a crash loses some but never counts too few. Random IVs are good for
 * 2^32 (SP 800-38D 8.3); half of that is kept as a margin. At KMS_WRAP_ROTATE a successor is due, at
 * KMS_WRAP_LIMIT the backing key is refused.
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

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"
#include "keyspec.h"
#include "names.h"

#define KMS_ID_BYTES FMT_UUID_BYTES
#define KMS_KCV_BYTES 3u
#define KMS_KCV_CMAC_BYTES 5u
#define KMS_DESCRIPTION_CHARS_MAX 8192u
#define KMS_DESCRIPTION_MAX (4u * KMS_DESCRIPTION_CHARS_MAX + 1u) /* UTF-8, with terminator */
#define KMS_TAG_KEY_MAX 513u /* 128 characters of UTF-8, with terminator */
#define KMS_TAG_VALUE_MAX 1025u /* 256 characters, likewise */
#define KMS_TAGS_MAX 50u /* of one key */
#define KMS_DAY_NS (86400ull * 1000000000ull)
#define KMS_WRAP_CHUNK 65536u
#define KMS_WRAP_LIMIT (1ull << 31)
/* 2^27 wraps are left for the time that a rotation takes: 44 minutes at 50,000 a second. */
#define KMS_WRAP_ROTATE (KMS_WRAP_LIMIT - (1ull << 27))
#define KMS_WRAP_SLACK \
	64u /* always in hand, for what a call costs beyond its own wrap (known-answer tests) */

struct kms_catalog;

/* The numbers are on disk. */
enum kms_key_state {
	KMS_KEY_CREATING = 0,
	KMS_KEY_ENABLED = 1,
	KMS_KEY_DISABLED = 2,
	KMS_KEY_PENDING_DELETION = 3,
	KMS_KEY_DESTROYING = 4,
	KMS_KEY_DESTROYED = 5,
};
enum kms_key_manager { KMS_MANAGER_CUSTOMER = 0, KMS_MANAGER_APPLIANCE = 1 };
enum kms_backing_state {
	KMS_BACKING_CREATING = 0,
	KMS_BACKING_CURRENT = 1,
	KMS_BACKING_OLD = 2,
	KMS_BACKING_DESTROYED = 3,
};
enum kms_backing_kind { /* why it was made */
	KMS_BACKING_FIRST = 0,
	KMS_BACKING_AUTOMATIC = 1, /* the period ended, or the one before was worn */
	KMS_BACKING_ON_DEMAND = 2,
};

struct kms_key {
	uint8_t id[KMS_ID_BYTES];
	enum kms_key_state state;
	enum kms_key_manager manager;
	enum kms_spec spec;
	enum kms_usage usage;
	uint64_t created_ns;
	uint8_t backing_id[KMS_ID_BYTES]; /* the current backing key */
	uint8_t kcv[KMS_KCV_BYTES]; /* its check value; zero while Creating */
	/* 0 unless PendingDeletion: wall clock of the end, the window that was asked for, and how
	 * much of it kmsd has not seen pass yet. */
	uint64_t deletion_ns;
	uint32_t deletion_days;
	uint64_t deletion_left_ns;
	/* Automatic rotation; 0: off. */
	uint32_t rotation_days;
	uint64_t rotation_next_ns; /* wall clock */
};

struct kms_backing {
	uint8_t id[KMS_ID_BYTES]; /* CKA_ID */
	uint8_t key_id[KMS_ID_BYTES];
	uint8_t kcv[KMS_KCV_BYTES]; /* zero while Creating */
	enum kms_backing_state state;
	enum kms_backing_kind kind;
	uint32_t generation; /* 1, 2, ... of its key */
	uint64_t created_ns; /* its row */
	uint64_t current_ns; /* when it became Current; 0 before */
	uint64_t wraps_reserved;
	enum kms_spec spec; /* of the key */
	enum kms_usage usage;
};

/* What the token said about an object that it made. */
struct kms_check {
	uint8_t kcv[KMS_KCV_BYTES];
	uint8_t kcv_cmac[KMS_KCV_CMAC_BYTES];
	struct slk_span public_key; /* DER; empty for symmetric keys */
};

struct kms_tag {
	char key[KMS_TAG_KEY_MAX];
	char value[KMS_TAG_VALUE_MAX];
};

struct kms_alias {
	char name[KMS_ALIAS_MAX];
	uint8_t key_id[KMS_ID_BYTES];
};

/* In the catalog's rows: never change a number. */
enum kms_stream_state {
	KMS_STREAM_CREATING = 0, /* for what is performed before the first record; none is yet */
	KMS_STREAM_ACTIVE = 1,
	KMS_STREAM_UPDATING = 2, /* until ingestd has performed the change */
	KMS_STREAM_DELETING = 3, /* until ingestd takes no more records of it */
};

#define KMS_STREAM_STATES 4u

/* The life of a stream is in catalog_streams.h. */
struct kms_stream {
	uint64_t id; /* assigned by kms_catalog_stream_create(), never given twice */
	char name[KMS_STREAM_MAX];
	enum kms_stream_state state;
	uint32_t shard_count; /* open ones */
	uint32_t shards_count; /* that there ever were: the next one's number */
	bool encrypted_kms;
	bool on_demand;
	uint8_t key_id[KMS_ID_BYTES];
	char key_name
		[KMS_ARN_MAX]; /* as StartStreamEncryption or CreateStream named it; "": by its ARN */
	uint32_t retention_hours;
	uint64_t created_ns;
	uint64_t change; /* counts what ingestd has to perform */
};

/* --- the file --- */

/* Opens or creates path (mode 0600, owner checked). SLK_BAD_VERSION for a catalog of a later
 * release, SLK_DENIED, SLK_UNAVAILABLE if another process has it; each with a sentence. */
MUST_USE int kms_catalog_open(
	const char *path, struct kms_catalog **out_catalog, struct slk_error *err);
void kms_catalog_close(struct kms_catalog *catalog); /* NULL allowed */
/* The sentence of the last error, for the log. Borrowed until the next call. */
const char *kms_catalog_error(const struct kms_catalog *catalog);

/* --- keys --- */

/* A row in Creating, for key->backing_id. Of *key, id, manager, spec, usage, created_ns, backing_id,
 * rotation_days and rotation_next_ns are taken. description: NULL for "". SLK_EXISTS, also for a
 * second key of the appliance with the same usage. */
MUST_USE int kms_catalog_key_begin(struct kms_catalog *catalog, const struct kms_key *key,
	const char *description, const struct kms_tag *tags, size_t tags_count);
/* SLK_NOT_FOUND unless the key is Creating. */
MUST_USE int kms_catalog_key_enable(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], const struct kms_check *check);
/* The token cannot make such keys. SLK_NOT_FOUND unless Creating. */
MUST_USE int kms_catalog_key_abandon(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES]);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_get(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], struct kms_key *out_key);
/* The appliance's own key of that usage, in whatever state: ENCRYPT_DECRYPT wraps the keys of
 * streams without SSE-KMS, SIGN_VERIFY attests. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_appliance(
	struct kms_catalog *catalog, enum kms_usage usage, struct kms_key *out_key);
/* Up to cap keys with ids above after (NULL: from the first), in order. */
MUST_USE int kms_catalog_key_list(struct kms_catalog *catalog, const uint8_t *after,
	struct kms_key *out_keys, size_t cap, size_t *out_count);
/* DER SubjectPublicKeyInfo of the current backing key. SLK_NOT_FOUND (no such key, a symmetric
 * one, or still Creating), SLK_FULL. */
MUST_USE int kms_catalog_public_key_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	uint8_t *out, size_t cap, size_t *out_len);
/* out: KMS_DESCRIPTION_MAX bytes suffice. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_description_get(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], char *out, size_t cap);
MUST_USE int kms_catalog_description_set(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], const char *description);
/* Enabled or Disabled. SLK_NOT_FOUND unless the key is one of the two. */
MUST_USE int kms_catalog_key_switch(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], bool enabled);

/* --- deletion --- */

/* The key ends days after wall_ns, and not before kmsd has run that long. SLK_NOT_FOUND unless the
 * key is Enabled or Disabled. */
MUST_USE int kms_catalog_key_schedule(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	uint64_t wall_ns, uint32_t days);
/* SLK_NOT_FOUND unless PendingDeletion. */
MUST_USE int kms_catalog_key_cancel(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES]);
/* waited_ns more of uptime have passed for every PendingDeletion; and no automatic rotation is
 * farther away than its period, whatever the wall clock was when it was set. */
MUST_USE int kms_catalog_time_passed(
	struct kms_catalog *catalog, uint64_t wall_ns, uint64_t waited_ns);
/* A PendingDeletion key whose time has come by both clocks, with an id above after (NULL: the first).
 * SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_due(struct kms_catalog *catalog, uint64_t wall_ns,
	const uint8_t *after, struct kms_key *out_key);
/* SLK_NOT_FOUND unless PendingDeletion. Its aliases, tags and description go. */
MUST_USE int kms_catalog_key_doom(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES]);
/* A backing key of a Destroying key that is not Destroyed, with an id above after (NULL: the
 * first). SLK_NOT_FOUND. */
MUST_USE int kms_catalog_backing_doomed(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_backing *out_backing);
/* The token has it no more; with the last one its key becomes Destroyed. SLK_NOT_FOUND unless it is
 * one of a Destroying key. */
MUST_USE int kms_catalog_backing_destroyed(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES]);

/* --- backing keys and rotation --- */

/* In whatever state. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_backing_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_backing *out_backing);
/* Does a row name it that is not Destroyed? SLK_NOT_FOUND: the token should have no such object. */
MUST_USE int kms_catalog_backing_known(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES]);
/* Those of a key with generations above after (0: from the first) that have been Current, in order. */
MUST_USE int kms_catalog_backing_list(struct kms_catalog *catalog,
	const uint8_t key_id[KMS_ID_BYTES], uint32_t after, struct kms_backing *out_backings,
	size_t cap, size_t *out_count);
/* One that is Creating, of a key that is not PendingDeletion or beyond, with an id above after
 * (NULL: the first). SLK_NOT_FOUND. */
MUST_USE int kms_catalog_backing_creating(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_backing *out_backing);
/* The one of a key that is Creating. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_backing_next(struct kms_catalog *catalog,
	const uint8_t key_id[KMS_ID_BYTES], struct kms_backing *out_backing);
/* A successor in Creating. SLK_EXISTS if the key has one already, SLK_NOT_FOUND unless the key is
 * Enabled. */
MUST_USE int kms_catalog_backing_begin(struct kms_catalog *catalog,
	const uint8_t key_id[KMS_ID_BYTES], const uint8_t id[KMS_ID_BYTES],
	enum kms_backing_kind kind, uint64_t wall_ns);
/* The successor becomes Current, the one before Old. A rotation that was due begins its next
 * period at wall_ns. SLK_NOT_FOUND unless it is Creating. */
MUST_USE int kms_catalog_backing_switch(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	const struct kms_check *check, uint64_t wall_ns);
/* How many of a key's backing keys were made on demand. */
MUST_USE int kms_catalog_on_demand_count(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], uint32_t *out_count);
/* days 0: no automatic rotation. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_rotation_set(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	uint32_t days, uint64_t next_ns);
/* An Enabled key, with an id above after (NULL: the first), whose period has ended or whose backing
 * key is worn (KMS_WRAP_ROTATE), and that has no successor in Creating. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_rotation_due(struct kms_catalog *catalog, uint64_t wall_ns,
	const uint8_t *after, struct kms_key *out_key);

/* --- tags --- */

/* Set or replace. SLK_NOT_FOUND (no such key), SLK_LIMIT (more than KMS_TAGS_MAX). */
MUST_USE int kms_catalog_tags_set(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	const struct kms_tag *tags, size_t count);
/* Those that are not there are no error. */
MUST_USE int kms_catalog_tags_remove(struct kms_catalog *catalog,
	const uint8_t key_id[KMS_ID_BYTES], const char *const *tag_keys, size_t count);
/* Up to cap tags with keys above after (""). */
MUST_USE int kms_catalog_tag_list(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	const char *after, struct kms_tag *out_tags, size_t cap, size_t *out_count);

/* --- aliases --- */

/* SLK_EXISTS, SLK_NOT_FOUND (no such key). */
MUST_USE int kms_catalog_alias_create(
	struct kms_catalog *catalog, const struct kms_alias *alias, uint64_t created_ns);
/* Lead an alias elsewhere. SLK_NOT_FOUND (no such alias, or no such key). */
MUST_USE int kms_catalog_alias_update(struct kms_catalog *catalog, const struct kms_alias *alias);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_alias_delete(struct kms_catalog *catalog, const char *name);
MUST_USE int kms_catalog_alias_get(
	struct kms_catalog *catalog, const char *name, struct kms_alias *out_alias);
/* Up to cap aliases with names above after (""), of key_id or of all keys (NULL). */
MUST_USE int kms_catalog_alias_list(struct kms_catalog *catalog, const uint8_t *key_id,
	const char *after, struct kms_alias *out_aliases, size_t cap, size_t *out_count);

/* --- wraps --- */

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
