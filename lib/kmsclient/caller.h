/* Acting for a caller: what the gateway asks of kmsd in the name of whom it authenticated. kmsclient.h has what most callers
 * need, access.h the keys that signatures are checked with.
 *
 * kmsd trusts one uid to name callers (gateway_user: in kmsd.yaml), and refuses the request of anybody else that names one,
 * whatever it asks for. Between kmsc_act_for() and kmsc_act_for(c, NULL) every call of the client, of this header and of all
 * others, is decided and audited as that caller, with the gateway as the door it came through; CreateKey and its like need
 * a policy that allows them and no entry under admins:.
 *
 * Errors beyond those of kmsclient.h: SLK_DENIED with UnrecognizedClientException (no such caller, an access key that is
 * Inactive or gone or another's, a token that is none) or ExpiredTokenException (the session ended); of sts: actions with
 * InvalidClientTokenId or ExpiredToken. SLK_INVALID: source_ip is no address, via_service or source_arn is of elsewhere.
 * kmsc_refusal() has these names apart from the sentence. Nothing is kept by kmsd between calls, so a changed policy, a
 * deleted user or a deactivated key acts at the next one. Thread: the client's.
 */
#ifndef SLK_KMSCLIENT_CALLER_H
#define SLK_KMSCLIENT_CALLER_H

#include "kmsclient/access.h"

/* NULL is "none". Exactly one of principal and session_token, or access_key_id alone: then it is the user whose key it is; or by_uid,
 * with none of them and no source_ip. */
struct kmsc_caller {
	/* ARN of a user, with an access key beside it, or of a role under roles: in kmsd.yaml. */
	const char *principal;
	const char *session_token; /* of AssumeRole or GetSessionToken */
	const char *
		access_key_id; /* with which the request was signed: has to be the caller's, and Active */
	const char *source_ip; /* NULL: a caller on this host */
	bool over_tls; /* with a source_ip */
	/* The service that asks in the caller's name, and for which stream: condition keys kms:ViaService and aws:SourceArn. */
	const char *via_service; /* "kinesis.REGION.amazonaws.com" */
	const char *source_arn;
	/* A program of this host: whom kmsd.yaml lists with that uid under principals:, a user or a role. Only where it says
	 * gateway_peers: on; SLK_DENIED with a sentence otherwise. */
	bool by_uid;
	uint32_t uid;
};

/* Whose calls those that follow are; NULL: the client's own again. caller and its texts are borrowed until the next
 * kmsc_act_for() or kmsc_free(). */
void kmsc_act_for(struct kmsc *c, const struct kmsc_caller *caller);

/* May the caller do this? SLK_OK, or SLK_DENIED with the sentence.
 *
 * action on resource_arn: any kinesis: action on a stream's ARN or "*", or any kms: action on a key (id, ARN, alias) or "*".
 * context: of a kms: action, the encryption context; NULL: none.
 * - kinesis:PutRecord, PutRecords (GetRecords, SubscribeToShard) on a stream under SSE-KMS ask for kms:GenerateDataKey
 *   (kms:Decrypt) with its key as well, as kmsc_authorize_uid() does; KMSAccessDeniedException then.
 * - A stream has to exist, but for kinesis:CreateStream: ResourceNotFoundException, told only to who is allowed.
 * - A kms: action that uses key material wants an Enabled key: DisabledException, KMSInvalidStateException.
 * Each answer is in the audit log, and holds until Status.right_changes is another number. */
MUST_USE int kmsc_authorize_caller(struct kmsc *c, const char *action, const char *resource_arn,
	const struct fmt_context *context, struct slk_error *err);

struct kmsc_caller_identity {
	char arn[KMSC_ARN_MAX]; /* of a session its own, arn:aws:sts::...:assumed-role/... */
	char user_id
		[KMSC_PRINCIPAL_ID_MAX]; /* AIDA..., AROA...:SESSION, the account's number for root; "": only
					    kmsd.yaml knows it */
	char account[16];
};
/* sts:GetCallerIdentity: no policy is asked, no Deny stops it. */
MUST_USE int kmsc_get_caller_identity(
	struct kmsc *c, struct kmsc_caller_identity *out_identity, struct slk_error *err);

/* sts:GetSessionToken: credentials of the caller, a user, for duration_s (900..129,600; 0: 12 hours). out_session->arn and id
 * are the user's. SLK_DENIED for sessions and roles. */
MUST_USE int kmsc_get_session_token(struct kmsc *c, uint32_t duration_s,
	struct kmsc_session *out_session, struct slk_error *err);

/* What kmsd answered when the last call of the client failed; all "" if it was not kmsd that refused it. */
struct kmsc_refusal {
	char exception[64]; /* as AWS names it: "AccessDeniedException" */
	char message[1024];
	char request_id[40]; /* that of the audit line; of a success, too */
};
const struct kmsc_refusal *kmsc_refusal(const struct kmsc *c);

#endif
