/* kmsd's service over a fake HSM, a real catalog and a real audit log in a directory of its own;
 * turned by hand. */
#ifndef SLK_TESTS_LIB_KMS_RIG_H
#define SLK_TESTS_LIB_KMS_RIG_H

#include "fake_hsm.h"
#include "faultfs.h"
#include "service.h"

/* Peers of the rig. */
enum {
	RIG_ROOT = 0,
	RIG_ALICE = 1000,
	RIG_BOB = 1001,
	RIG_ADMIN = 1002,
	RIG_EVE = 1003,
	RIG_APP = 1004,
	RIG_INGEST = 2000,
	RIG_GATEWAY = 2001,
	RIG_DELIVER = 2002,
	RIG_STRANGER = 9999
};

#define RIG_ROOT_ARN "arn:aws:iam::000000000000:root"
#define RIG_ALICE_ARN "arn:aws:iam::000000000000:user/alice"
#define RIG_BOB_ARN "arn:aws:iam::000000000000:user/bob"
#define RIG_ADMIN_ARN "arn:aws:iam::000000000000:user/admin"
#define RIG_EVE_ARN "arn:aws:iam::111111111111:user/eve" /* of another account */

struct kms_rig {
	char dir[256], catalog_path[300], audit_path[300];
	struct kms_config *config;
	struct kms_policy *policy;
	struct kms_principals *principals;
	struct kms_catalog *catalog;
	struct faultfs ff; /* beneath the audit log */
	struct kms_audit *audit;
	uint32_t head_interval_s; /* of signed heads; 0: none is signed by the clock */
	struct hsm_link *link;
	struct kms_service *service;
	uint64_t mono_ns, wall_ns;
	struct slk_clock clock;
	Kmsp__Caller *caller; /* that every request names; NULL: none does */
	/* The last answer. */
	struct slk_secret *frame;
	struct kmsp_arena *arena;
	unsigned answers;
	uint8_t made_id[KMS_ID_BYTES]; /* of rig_new_key_of() */
	void (*closed)(struct kms_rig *rig); /* in a restart, before all is opened again; or NULL */
};

/* policy: YAML of the statements, as in kmsd.yaml, or "" for none. root may do everything with kms
 * and kinesis; admin is among admins: and may do nothing else. */
void rig_start(struct kms_rig *rig, const char *policy);
/* The same with other administrators than root ("[0, 1000]"). policy may go on with other settings. */
void rig_start_with(struct kms_rig *rig, const char *admins, const char *policy);
void rig_stop(struct kms_rig *rig);
/* As after a crash of the front: what is on disk stays, the rest begins anew. */
void rig_restart(struct kms_rig *rig);
/* The same, with one row of the catalog changed in between, by the hand of the test. */
void rig_restart_changed(struct kms_rig *rig, const char *sql);

/* Begin a request without turning. */
void rig_begin(struct kms_rig *rig, uid_t uid, const Kmsp__Request *request);
/* One turn of the loop: the HSM answers, the audit is flushed, answers come. */
void rig_turn(struct kms_rig *rig);
/* Begin, and turn until the answer is there. The reply lives until the next call. */
const Kmsp__Reply *rig_call(struct kms_rig *rig, uid_t uid, const Kmsp__Request *request);
/* The last answer that came. */
const Kmsp__Reply *rig_last(struct kms_rig *rig);

/* Requests. Text is borrowed. */
const Kmsp__Reply *rig_create_key(struct kms_rig *rig, uid_t uid, const char *description);
const Kmsp__Reply *rig_describe_key(struct kms_rig *rig, uid_t uid, const char *key);
const Kmsp__Reply *rig_create_alias(
	struct kms_rig *rig, uid_t uid, const char *alias, const char *key);
const Kmsp__Reply *rig_update_alias(
	struct kms_rig *rig, uid_t uid, const char *alias, const char *key);
const Kmsp__Reply *rig_delete_alias(struct kms_rig *rig, uid_t uid, const char *alias);
/* A request that has nothing but a key in it, or nothing else that matters: a deletion in 7 days, a description, one
 * tag. */
const Kmsp__Reply *rig_ask_key(
	struct kms_rig *rig, uid_t uid, Kmsp__Request__CallCase what, const char *key);
const Kmsp__Reply *rig_create_stream(
	struct kms_rig *rig, uid_t uid, const char *name, uint32_t shards, const char *key);
const Kmsp__Reply *rig_describe_stream(struct kms_rig *rig, uid_t uid, const char *name);
const Kmsp__Reply *rig_delete_stream(struct kms_rig *rig, uid_t uid, const char *name);
/* ingestd says that it takes no more records of it. */
void rig_end_deletion(struct kms_rig *rig, const char *name);
const Kmsp__Reply *rig_stream_key(struct kms_rig *rig, uid_t uid, const char *arn);
const Kmsp__Reply *rig_authorize(
	struct kms_rig *rig, uid_t door, uid_t uid, const char *action, const char *resource);
const Kmsp__Reply *rig_status(struct kms_rig *rig, uid_t uid);

/* Up to four pairs as "k=v,k=v"; "" for none. */
const Kmsp__Reply *rig_generate(struct kms_rig *rig, uid_t uid, const char *key,
	const char *context, bool without_plaintext);
const Kmsp__Reply *rig_encrypt(struct kms_rig *rig, uid_t uid, const char *key, const char *context,
	struct slk_span plaintext);
const Kmsp__Reply *rig_decrypt(
	struct kms_rig *rig, uid_t uid, const char *key, const char *context, struct slk_span blob);

const Kmsp__Reply *rig_generate_bytes(
	struct kms_rig *rig, uid_t uid, const char *key, uint32_t number_of_bytes);
const Kmsp__Reply *rig_random(struct kms_rig *rig, uid_t uid, uint32_t number_of_bytes);

/* What ReEncrypt takes; NULL is "". */
struct rig_re {
	const char *source_key, *source_algorithm, *source_context;
	const char *key, *algorithm, *context;
};
const Kmsp__Reply *rig_re_encrypt(
	struct kms_rig *rig, uid_t uid, struct slk_span blob, const struct rig_re *how);

/* Messages: RAW, or digests. */
struct rig_sign {
	const char *key, *algorithm;
	struct slk_span message;
	bool is_digest;
};
const Kmsp__Reply *rig_sign(struct kms_rig *rig, uid_t uid, const struct rig_sign *what);
const Kmsp__Reply *rig_verify(
	struct kms_rig *rig, uid_t uid, const struct rig_sign *what, struct slk_span signature);
const Kmsp__Reply *rig_public_key(struct kms_rig *rig, uid_t uid, const char *key);
/* With an algorithm, and without a context. */
const Kmsp__Reply *rig_encrypt_with(struct kms_rig *rig, uid_t uid, const char *key,
	const char *algorithm, struct slk_span plaintext);
const Kmsp__Reply *rig_decrypt_with(struct kms_rig *rig, uid_t uid, const char *key,
	const char *algorithm, struct slk_span blob);

/* A key of that kind, Enabled. */
void rig_new_key_of(
	struct kms_rig *rig, enum kms_spec spec, enum kms_usage usage, char out_arn[KMS_ARN_MAX]);
/* The ARN of a key that root makes. */
void rig_new_key(struct kms_rig *rig, char out_arn[KMS_ARN_MAX]);

/* The whole audit log, terminated; borrowed until the next call. */
const char *rig_audit(struct kms_rig *rig);
/* Its last line. */
const char *rig_audit_last(struct kms_rig *rig);

#define assert_answered(reply, expected) assert_int_equal((reply)->status, (expected))
void assert_contains(const char *text, const char *part);
void assert_lacks(const char *text, const char *part);

#endif
