/* One request in progress. Internal to service.c and ops_*.c.
 *
 *     begun --(handler)--> [waiting for the HSM --(done)-->] finished --(kms_service_flush)-->
 * answered, freed
 *
 * A handler ends in exactly one of kms_call_ok(), kms_call_fail*(), kms_call_hsm() (which goes on
 * in done) or kms_call_appliance_key() (which may begin the handler anew).
 */
#ifndef KMS_HSM_CALL_H
#define KMS_HSM_CALL_H

#include <sys/queue.h>

#include "catalog_access.h"
#include "catalog_streams.h"
#include "format/blob.h"
#include "chores.h"
#include "decisions.h"
#include "dual.h"
#include "facts.h"
#include "grants.h"
#include "iam.h"
#include "heads.h"
#include "service.h"
#include "session.h"

#define KMS_IDS_AHEAD 64u /* one system call for so many ids of requests */
#define KMS_ATTEST_PURPOSE_MAX 33u /* with terminator */
#define KMS_ATTEST_DIGEST_BYTES 32u
#define KMS_CORRELATION_MAX 65u /* with terminator */
#define KMS_VIA_MAX 96u /* likewise */
#define KMS_ADDRESS_MAX 46u /* likewise, as inet_ntop() writes it */

struct kms_call;
typedef void (*kms_call_fn)(struct kms_call *call);
typedef void (*kms_call_done_fn)(struct kms_call *call, const struct hsm_reply *reply);

/* Which class of peer may send which request; the policy decides after that. */
struct kms_row {
	unsigned classes;
	const char *action; /* in the audit and the policy */
	void (*handler)(struct kms_call *call, const Kmsp__Request *request);
	bool silent; /* success is no use of a key or a stream, and leaves no audit line */
};

struct kms_call {
	STAILQ_ENTRY(kms_call) entry;
	LIST_ENTRY(kms_call) making; /* in the service's list, if it makes */
	bool makes; /* asks the HSM for a new backing key, backing_id */
	struct kms_service *service;
	const struct kms_row *row;
	kms_answer_fn answer;
	void *arg;
	uint64_t id; /* the client's */
	char correlation[KMS_CORRELATION_MAX]; /* how the client calls it; "": not at all */
	char request_id[FMT_UUID_TEXT];
	struct slk_peer peer;
	unsigned classes;
	uint64_t mono_deadline_ns;

	/* What the audit line will say. */
	char principal[KMS_ARN_MAX]; /* "": unknown */
	bool by_grant; /* the right on the key comes from a grant, not from a policy */
	bool by_door, uid_known;
	uid_t caller_uid;
	const char *door; /* what it is called, if by_door */
	const char *action;
	char resource[KMS_ARN_MAX]; /* "": none */
	char source_arn[KMS_ARN_MAX];
	char via_service[KMS_VIA_MAX]; /* "": none */
	char source_ip[KMS_ADDRESS_MAX]; /* "": a caller on this host */
	bool is_decision; /* Authorize: nothing is done */
	struct fmt_context *context;
	bool has_backing;
	char from_arn[KMS_ARN_MAX]; /* the source of ReEncrypt; "": none */
	struct fmt_context *from_context;
	uint8_t from_backing_id[KMS_ID_BYTES];
	uint8_t other_key_id[KMS_ID_BYTES]; /* facts.other_key_id points here */
	char attest_purpose[KMS_ATTEST_PURPOSE_MAX]; /* "": no Attest */
	uint8_t attest_digest[KMS_ATTEST_DIGEST_BYTES];

	char policy_name[KMS_POLICY_NAME_MAX]; /* "": none */
	bool has_document;
	uint8_t document_digest[KMS_ATTEST_DIGEST_BYTES]; /* of a policy that came */
	struct kms_audit_credential credential; /* with which it is made */
	struct kms_audit_credential issued; /* that it hands out or changes */
	/* Dual control. */
	const Kmsp__Request *request; /* until the handler returns; NULL then */
	bool is_approved; /* a proposal was spent on this call */
	struct kms_proposal *proposal; /* what the audit line names; NULL: none */

	/* For conditions of policies. */
	struct kms_facts facts;
	char request_alias[KMS_ALIAS_MAX];
	const struct kms_session_view *session; /* of a caller that a door named; NULL: none */

	/* Of a caller that the gateway named (caller.h). */
	bool for_caller;
	char behind
		[KMS_ARN_MAX]; /* whoever assumed the first role of its session; "": no session */
	struct slk_secret *kept; /* the request, while it waits to be begun anew */
	size_t kept_len;
	struct slk_secret *found; /* what it waited for: a description, opened */
	size_t found_len;
	uint8_t found_id[KMS_ID_BYTES]; /* which one */

	/* State of the operation. */
	struct kms_key key;
	uint8_t backing_id[KMS_ID_BYTES];
	uint32_t wraps_taken; /* counted before the HSM was asked */
	uint8_t charged_id
		[KMS_ID_BYTES]; /* the backing key that pays for what it costs beyond that */
	enum kms_algorithm algorithm, from_algorithm;
	char from_material[KMS_MATERIAL_TEXT];
	uint32_t bytes_wanted; /* of a data key or of random */
	struct kms_stream stream;
	bool stream_names; /* refusals of a key have the names that Kinesis gives them */
	bool delivery_names; /* or the one that Firehose gives them */
	bool without_plaintext;
	uint32_t limit; /* of a list */
	kms_call_done_fn done;
	kms_call_fn resume; /* once the appliance's key is there */
	enum kms_usage wait_usage; /* of which usage */
	void *work; /* what the operation has beyond this; freed with the call */
	struct slk_secret *held; /* likewise, if it is secret */
	size_t held_len; /* of a description */
	kms_call_fn after_seal; /* likewise */
	kms_call_done_fn own_done; /* own.h */
	struct kms_session_key_row session_key; /* credentials.h */
	kms_call_fn session_resume;

	/* The answer. */
	int status;
	const char *exception;
	char message[KMS_SENTENCE_MAX];
	struct slk_secret *frame;
};
STAILQ_HEAD(kms_calls, kms_call);
LIST_HEAD(kms_makers, kms_call);

/* What is known of one HSM worker. */
struct kms_hsm_worker {
	struct kms_service *service;
	uint32_t index;
	bool asked;
	uint32_t pid; /* 0: none was seen yet */
	struct hsm_health health;
};

struct kms_service {
	struct kms_service_parts parts;
	struct kms_iam *iam;
	struct kms_decisions *decisions;
	struct kms_calls finished; /* wait for the next flush of the audit log */
	struct kms_calls flushing; /* wait for the one that goes on */
	struct kms_calls waiters; /* for a key of the appliance */
	struct kms_calls watchers; /* of streams, for a change */
	struct kms_makers
		makers; /* wait for the HSM to make a key; the chores leave these to them */
	struct hsm_health health; /* of all workers together: the first that is ready speaks */
	struct kms_hsm_worker workers[HSM_WORKERS_MAX];
	uint32_t workers_count, workers_ready_count;
	uint64_t mono_start_ns;
	uint64_t mono_counted_ns; /* up to here uptime was counted for pending deletions */
	uint32_t able_algorithms; /* what the token said when it was last there; 0: never */
	bool chores_wanted; /* something may be due */
	bool chores_anew; /* since the pass began: it may have gone by */
	bool chore_in_flight;
	bool chore_for_waiters; /* it was asked for out of turn */
	bool chores_destroy; /* the pass has come to backing keys that are to be destroyed */
	int chores_error; /* of the last tick */
	uint32_t dooms_waiting, rotations_waiting; /* for their audit lines to be on the disk */
	bool stopping; /* the link to the HSM is gone */
	struct kms_backing chore; /* the one that the HSM was asked about */
	uint8_t chores_after[KMS_ID_BYTES]; /* how far the pass came */
	bool audit_ok;
	bool audit_going; /* what `flushing` waits for goes on */
	struct kms_heads heads;
	uint64_t requests, denied, errors, worker_restarts, data_keys;
	/* All count on from the wall clock at the start, so that a restart shows, too. */
	uint64_t stream_changes, right_changes, delivery_changes;
	struct kms_digests *digests;
	struct kms_hmac *hmac;
	struct kms_sessions *sessions;
	struct kms_gcm *gcm;
	uint8_t ids[KMS_IDS_AHEAD][FMT_UUID_BYTES]; /* random bytes for ids of requests */
	unsigned ids_left; /* the first so many are unused */
	char kernel[256]; /* what runs here; asked at the start, for the sandbox may forbid it */
	struct kms_grants *grants;
};

/* How sentences name the caller: a session by its own ARN. */
const char *kms_call_who(const struct kms_call *call);

/* --- ends of a call --- */
/* Pack reply (its id, status and request id are set here). */
void kms_call_ok(struct kms_call *call, Kmsp__Reply *reply);
void kms_call_fail(struct kms_call *call, int status, const char *exception, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Instead of the answer that is there: the audit log did not take its line. */
void kms_call_withdraw(struct kms_call *call);
/* The catalog said rc. */
void kms_call_fail_catalog(struct kms_call *call, int rc);
/* An empty answer for SLK_OK, and else what the catalog said. */
void kms_call_end(struct kms_call *call, int rc);
void kms_call_bad_marker(struct kms_call *call);
/* What ended badly at the HSM, for the key of the call. */
void kms_call_fail_hsm(struct kms_call *call, const struct hsm_reply *reply);
/* Ask the HSM; done is called only for SLK_OK, everything else ends the call. */
void kms_call_hsm(struct kms_call *call, const struct hsm_request *request, kms_call_done_fn done);
/* Zeroed memory for what the operation needs until its end, call->work; NULL: the call has ended. */
void *kms_call_work(struct kms_call *call, size_t len);
/* The request, so that it can be begun anew after a wait: decisions belong to the time in which its caller's session and facts
 * are there. It may have plaintext in it. */
MUST_USE int kms_call_keep(struct kms_call *call, const Kmsp__Request *request);
/* Begin the kept request anew; kms_call_keep() was before. */
void kms_call_again(struct kms_call *call);
/* What is left of the call's time for the HSM. */
uint64_t kms_call_hsm_deadline(const struct kms_call *call);

/* --- steps that a handler takes; each ends the call if it does not return SLK_OK --- */
/* May the caller do action on resource? shown: how a refusal names the resource (NULL: as it is).
 */
MUST_USE int kms_call_authorize(
	struct kms_call *call, const char *action, const char *resource, const char *shown);
/* The same for a key, whose spec, usage, tags and aliases conditions may ask for. */
MUST_USE int kms_call_authorize_key(
	struct kms_call *call, const char *action, const struct kms_key *key, const char *shown);
/* May principal do it? The answer alone; the call goes on. granted: struct kms_question. */
MUST_USE int kms_call_ask(struct kms_call *call, const struct kms_question *question,
	char out_sentence[KMS_SENTENCE_MAX]);
/* The caller has the right by something else than a policy; a Deny still wins. */
MUST_USE int kms_call_authorize_granted(
	struct kms_call *call, const char *action, const char *resource);
/* Is each of these the token of a grant? None is needed: grants work at once. */
MUST_USE int kms_call_check_tokens(struct kms_call *call, char *const *tokens, size_t count);
/* Is there a grant for it, on the key that its resource names? */
bool kms_call_has_grant(const struct kms_call *call, const struct kms_question *question);
/* Find the key that text names and authorise the call's action on it. */
MUST_USE int kms_call_find_key(
	struct kms_call *call, const char *action, const char *text, struct kms_key *out_key);
/* The same for operations that take an id or a key's ARN, and no alias. */
MUST_USE int kms_call_find_key_itself(
	struct kms_call *call, const char *action, const char *text, struct kms_key *out_key);
/* Is the key in one of these states (a set of enum kms_key_state)? */
MUST_USE int kms_call_key_in(struct kms_call *call, const struct kms_key *key, unsigned states);
/* Is the key Enabled? */
MUST_USE int kms_call_key_usable(struct kms_call *call, const struct kms_key *key);
/* May its caller use the key directly, or does it belong to the appliance? */
MUST_USE int kms_call_key_direct(struct kms_call *call, const struct kms_key *key);
/* Take an encryption context of a request; *out_context is the call's. */
MUST_USE int kms_call_take_context(struct kms_call *call, Kmsp__Pair *const *pairs, size_t count,
	struct fmt_context **out_context);

/* An answer was refused by the policy in kms_call_authorize(), with this exception in place of
 * AccessDeniedException. */
void kms_call_deny(struct kms_call *call, const char *exception, const char *sentence);

/* --- shared between operations --- */
/* Ids for a new key, and its row in Creating. Of *kind, manager, spec, usage and rotation_days are
 * taken. policy: NULL for the default one. */
MUST_USE int kms_key_begin(struct kms_service *service, const struct kms_key *kind,
	const char *description, const struct kms_tag *tags, size_t tags_count, const char *policy,
	struct kms_key *out_key);
/* Generate a data key under call->key with call->context and answer with it. */
void kms_data_key_generate(struct kms_call *call);
/* The algorithms of a key that this token has, as a set. */
uint32_t kms_key_algorithms(const struct kms_service *service, const struct kms_key *key);
/* The text that a Kmsp__Key borrows. */
struct kms_key_text {
	char id[FMT_UUID_TEXT];
	char arn[KMS_ARN_MAX];
	char material[KMS_MATERIAL_TEXT];
	char backing[2 * KMS_ID_BYTES + 1];
	char *algorithms[KMS_ALG_COUNT];
};
/* All but the description and the streams. */
void kms_message_key(const struct kms_service *service, const struct kms_key *key, Kmsp__Key *out,
	struct kms_key_text *text);
/* Answer with all that is known of call->key. */
void kms_answer_key(struct kms_call *call);
MUST_USE int kms_call_check_description(struct kms_call *call, const char *text);
/* Check tags of a request and take them; out has room for KMS_TAGS_MAX. */
MUST_USE int kms_call_take_tags(
	struct kms_call *call, Kmsp__Tag *const *in, size_t count, struct kms_tag *out);
/* Is it UTF-8 text of so many characters? */
bool kms_is_tag_text(const char *text, size_t chars_min, size_t chars_max);
/* Answer with the first of the tags found, at most limit, and as many as a reply holds. */
void kms_answer_tags(struct kms_call *call, struct kms_tag *tags, size_t found, size_t limit);
/* Is it a sound policy of the key, under which the caller could change it again? The key may not be there yet. */
MUST_USE int kms_call_check_key_policy(
	struct kms_call *call, const char *key_arn, const char *json, bool bypass);
/* The name and the ARN out of a stream's name or ARN. */
MUST_USE int kms_call_parse_stream(
	struct kms_call *call, const char *text, char name[KMS_STREAM_MAX], char arn[KMS_ARN_MAX]);
/* End the call: there is no such stream. */
void kms_call_missing_stream(struct kms_call *call, const char *name);
/* Counts what may change rights that were asked for. */
uint64_t kms_service_right_changes(const struct kms_service *service);
/* ops_changes.c: answer those who watch streams and have something to see, or all; when this is due next at the latest. */
void kms_watch_turn(struct kms_service *service, bool all);
uint64_t kms_watch_wake_ns(const struct kms_service *service);
/* How many entries a page of a list may have. */
static inline uint32_t
kms_page(uint32_t limit)
{
	return limit == 0 || limit > KMSP_PAGE_MAX ? KMSP_PAGE_MAX : limit;
}

/* The appliance's own key of a usage, which is made when it is first needed. SLK_OK: it is usable.
 * Anything else: the call has ended, or waits, and resume begins it anew once the key is there. */
MUST_USE int kms_call_appliance_key(
	struct kms_call *call, enum kms_usage usage, kms_call_fn resume, struct kms_key *out_key);

/* --- handlers, one per request --- */
void kms_op_create_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_describe_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_keys(struct kms_call *call, const Kmsp__Request *request);
void kms_op_create_alias(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_alias(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_aliases(struct kms_call *call, const Kmsp__Request *request);
void kms_op_generate_data_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_encrypt(struct kms_call *call, const Kmsp__Request *request);
void kms_op_decrypt(struct kms_call *call, const Kmsp__Request *request);
void kms_op_re_encrypt(struct kms_call *call, const Kmsp__Request *request);
void kms_op_sign(struct kms_call *call, const Kmsp__Request *request);
void kms_op_verify(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_public_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_generate_random(struct kms_call *call, const Kmsp__Request *request);
void kms_op_create_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_describe_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_streams(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_generate_stream_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_attest(struct kms_call *call, const Kmsp__Request *request);
void kms_op_authorize(struct kms_call *call, const Kmsp__Request *request);
void kms_op_status(struct kms_call *call, const Kmsp__Request *request);

/* ops_shards.c, ops_settings.c, ops_changes.c */
void kms_op_split_shard(struct kms_call *call, const Kmsp__Request *request);
void kms_op_merge_shards(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_shard_count(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_shards(struct kms_call *call, const Kmsp__Request *request);
void kms_op_describe_limits(struct kms_call *call, const Kmsp__Request *request);
void kms_op_increase_stream_retention(struct kms_call *call, const Kmsp__Request *request);
void kms_op_decrease_stream_retention(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_stream_mode(struct kms_call *call, const Kmsp__Request *request);
void kms_op_start_stream_encryption(struct kms_call *call, const Kmsp__Request *request);
void kms_op_stop_stream_encryption(struct kms_call *call, const Kmsp__Request *request);
void kms_op_add_tags_to_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_remove_tags_from_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_tags_for_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_stream_changed(struct kms_call *call, const Kmsp__Request *request);
void kms_op_watch_streams(struct kms_call *call, const Kmsp__Request *request);

/* ops_dual.c */
void kms_op_list_proposals(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_proposal(struct kms_call *call, const Kmsp__Request *request);
void kms_op_approve_proposal(struct kms_call *call, const Kmsp__Request *request);
void kms_op_reject_proposal(struct kms_call *call, const Kmsp__Request *request);

/* ops_inspect.c */
void kms_op_inspect_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_about(struct kms_call *call, const Kmsp__Request *request);

/* ops_aliases.c, ops_life.c, ops_rotation.c, ops_tags.c, ops_orphans.c */
void kms_op_update_alias(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_key_description(struct kms_call *call, const Kmsp__Request *request);
void kms_op_enable_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_disable_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_schedule_key_deletion(struct kms_call *call, const Kmsp__Request *request);
void kms_op_cancel_key_deletion(struct kms_call *call, const Kmsp__Request *request);
void kms_op_tag_resource(struct kms_call *call, const Kmsp__Request *request);
void kms_op_untag_resource(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_resource_tags(struct kms_call *call, const Kmsp__Request *request);
void kms_op_enable_key_rotation(struct kms_call *call, const Kmsp__Request *request);
void kms_op_disable_key_rotation(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_key_rotation_status(struct kms_call *call, const Kmsp__Request *request);
void kms_op_rotate_key_on_demand(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_key_rotations(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_orphans(struct kms_call *call, const Kmsp__Request *request);

/* ops_access.c, ops_assume.c, ops_signing.c */
void kms_op_create_access_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_access_keys(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_access_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_access_key(struct kms_call *call, const Kmsp__Request *request);
void kms_op_assume_role(struct kms_call *call, const Kmsp__Request *request);
void kms_op_derive_signing_key(struct kms_call *call, const Kmsp__Request *request);

/* ops_delivery.c, ops_delivery_life.c, ops_delivery_role.c, ops_delivery_tags.c */
void kms_op_create_delivery_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_describe_delivery_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_delivery_streams(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_destination(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_delivery_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_start_delivery_stream_encryption(struct kms_call *call, const Kmsp__Request *request);
void kms_op_stop_delivery_stream_encryption(struct kms_call *call, const Kmsp__Request *request);
void kms_op_tag_delivery_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_untag_delivery_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_tags_for_delivery_stream(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delivery_work(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delivery_state(struct kms_call *call, const Kmsp__Request *request);
void kms_op_assume_delivery_role(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delivery_changes(struct kms_call *call, const Kmsp__Request *request);

/* Authorize, in parts: call->action and call->resource are set, and call->principal in the second; the third is about a
 * caller that the gateway named. */
void kms_op_authorize_session(struct kms_call *call, const Kmsp__Authorize *in, const char *stream);
void kms_call_authorize_stream(struct kms_call *call, const char *stream);
/* What text, the resource of call->action, names: a stream for kinesis:, a delivery stream for firehose:, as
 * kms_any_stream_parse() has it. */
MUST_USE int kms_call_parse_target(
	struct kms_call *call, const char *text, char name[KMS_STREAM_MAX], char arn[KMS_ARN_MAX]);
void kms_op_authorize_caller(struct kms_call *call, const Kmsp__Authorize *in);
/* A caller's address; "": none. */
MUST_USE int kms_call_take_address(struct kms_call *call, const char *text, bool over_tls);

/* ops_callers.c */
void kms_op_get_caller_identity(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_session_token(struct kms_call *call, const Kmsp__Request *request);

/* ops_grants.c */
void kms_op_create_grant(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_grants(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_retirable_grants(struct kms_call *call, const Kmsp__Request *request);
void kms_op_retire_grant(struct kms_call *call, const Kmsp__Request *request);
void kms_op_revoke_grant(struct kms_call *call, const Kmsp__Request *request);

/* ops_identities.c, ops_policies.c, ops_keypolicy.c, ops_explain.c */
void kms_op_create_user(struct kms_call *call, const Kmsp__Request *request);
void kms_op_create_role(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_identity(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_users(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_roles(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_identity(struct kms_call *call, const Kmsp__Request *request);
void kms_op_tag_identity(struct kms_call *call, const Kmsp__Request *request);
void kms_op_untag_identity(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_trust_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_put_inline_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_inline_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_inline_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_inline_policies(struct kms_call *call, const Kmsp__Request *request);
void kms_op_create_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_update_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_policies(struct kms_call *call, const Kmsp__Request *request);
void kms_op_attach_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_detach_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_attached_policies(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_policy_holders(struct kms_call *call, const Kmsp__Request *request);
void kms_op_put_boundary(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_boundary(struct kms_call *call, const Kmsp__Request *request);
void kms_op_put_key_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_key_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_list_key_policies(struct kms_call *call, const Kmsp__Request *request);
void kms_op_put_resource_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_get_resource_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_delete_resource_policy(struct kms_call *call, const Kmsp__Request *request);
void kms_op_explain(struct kms_call *call, const Kmsp__Request *request);

#endif
