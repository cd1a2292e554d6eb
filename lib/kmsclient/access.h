/* Credentials from kmsd: access keys of users, sessions of roles, signing keys of a day. kmsclient.h has what most callers
 * need, docs/credentials.md what the rules are.
 *
 * As there: what is wrong leaves a sentence in *err; outputs are untouched on error. Secrets come in memory of their own, which
 * the caller frees. Lists come page by page: up to cap entries after marker ("" first); *out_next, a buffer of
 * KMSC_ACCESS_ID_MAX bytes, is "" at the end. Thread: the client's.
 *
 * Errors beyond those of kmsclient.h: SLK_LIMIT, a user has its two keys already. After a lost answer,
 * kmsc_create_access_key() and kmsc_delete_access_key() are not asked again but answer SLK_UNAVAILABLE: look before you
 * repeat them; a secret that was lost on its way is lost.
 */
#ifndef SLK_KMSCLIENT_ACCESS_H
#define SLK_KMSCLIENT_ACCESS_H

#include "base/secret.h"
#include "kmsclient/life.h"

#define KMSC_ACCESS_ID_MAX 21u /* with terminator */
#define KMSC_USER_MAX 65u /* likewise; a role, too */
#define KMSC_PRINCIPAL_ID_MAX 96u
#define KMSC_SIGNING_KEY_BYTES 32u

struct kmsc_access_key {
	char id[KMSC_ACCESS_ID_MAX];
	char user[KMSC_USER_MAX];
	bool active;
	uint64_t created_ns;
	uint64_t last_used_ns; /* 0: never; exact to a quarter of an hour */
};

/* --- for administrators; user: a name, "" is the caller's own --- */

/* *out_secret: 40 characters without a terminator, this once. */
MUST_USE int kmsc_create_access_key(struct kmsc *c, const char *user,
	struct kmsc_access_key *out_key, struct slk_secret **out_secret, struct slk_error *err);
MUST_USE int kmsc_list_access_keys(struct kmsc *c, const char *user, const char *marker,
	struct kmsc_access_key *out_keys, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);
MUST_USE int kmsc_update_access_key(
	struct kmsc *c, const char *user, const char *id, bool active, struct slk_error *err);
MUST_USE int kmsc_delete_access_key(
	struct kmsc *c, const char *user, const char *id, struct slk_error *err);

/* --- sessions --- */

/* NULL and 0 are "none", of duration_s an hour. */
struct kmsc_assume {
	const char *role; /* name or ARN */
	const char *session_name; /* 2..64 of a-z A-Z 0-9 _+=,.@- */
	uint32_t duration_s; /* 900..43,200 */
	const char *external_id;
	const char *policy; /* JSON; limits what the session may do */
	const char *const *policies; /* managed ones, by name or ARN: likewise */
	size_t policies_count;
	const struct kmsc_tag *tags;
	size_t tags_count; /* 0..KMSC_TAGS_MAX */
	const char *source_identity;
};

struct kmsc_session {
	char access_key_id[KMSC_ACCESS_ID_MAX];
	struct slk_secret *secret; /* 40 characters */
	struct slk_secret *token; /* text; both without a terminator */
	uint64_t expires_ns; /* wall clock */
	char arn[KMSC_ARN_MAX];
	char id[KMSC_PRINCIPAL_ID_MAX]; /* of the role, colon, session name */
};

/* SLK_DENIED names the caller, sts:AssumeRole and the role. */
MUST_USE int kmsc_assume_role(struct kmsc *c, const struct kmsc_assume *how,
	struct kmsc_session *out_session, struct slk_error *err);
/* What *session holds; NULL allowed. */
void kmsc_session_wipe(struct kmsc_session *session);

/* --- for doors --- */

/* May a session do this on the stream? token: of its caller, text; source_ip: NULL for a local one, else it came over TLS or
 * not. SLK_DENIED names the session; also for a token that is none or has ended. */
MUST_USE int kmsc_authorize_session(struct kmsc *c, const char *token, const char *action,
	const char *resource_arn, const char *source_ip, bool over_tls, struct slk_error *err);

/* --- for the gateway --- */

struct kmsc_scope {
	const char *access_key_id;
	const char *date; /* YYYYMMDD, UTC; yesterday, today or tomorrow */
	const char *region, *service;
	const char *session_token; /* NULL: none */
};

struct kmsc_signing_key {
	struct slk_secret *key; /* KMSC_SIGNING_KEY_BYTES */
	char principal[KMSC_ARN_MAX]; /* of the user, or of the role */
	char session[KMSC_ARN_MAX]; /* ""; of a session its ARN */
	char user_id[KMSC_PRINCIPAL_ID_MAX];
	uint64_t expires_ns; /* of the session, wall clock; 0: none */
};

/* SLK_DENIED: the credential is unknown, inactive, expired or not what the token says; SLK_INVALID: the scope is none. */
MUST_USE int kmsc_derive_signing_key(struct kmsc *c, const struct kmsc_scope *scope,
	struct kmsc_signing_key *out_key, struct slk_error *err);

#endif
