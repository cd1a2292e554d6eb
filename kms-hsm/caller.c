#include "caller.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"

#define SERVICE_MAX 32u /* of kinesis.REGION.amazonaws.com */

static bool
is_for_delivery(const struct kms_row *row)
{
	return row->handler == kms_op_decrypt || row->handler == kms_op_generate_data_key ||
		row->handler == kms_op_encrypt || row->handler == kms_op_authorize;
}

bool
kms_caller_may(const struct kms_row *row, unsigned classes)
{
	static const char *const rooms[] = {"kms:", "kinesis:", "firehose:", "sts:"};

	if ((classes & KMS_CLASS_DELIVER) != 0 && is_for_delivery(row))
		return true;
	if ((classes & KMS_CLASS_GATEWAY) == 0)
		return false;
	if (row->handler == kms_op_authorize)
		return true;
	if ((row->classes & (KMS_CLASS_USER | KMS_CLASS_ADMIN)) == 0)
		return false;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		if (strncmp(row->action, rooms[i], strlen(rooms[i])) == 0)
			return true;
	return false;
}

const char *
kms_caller_delivery(const struct kms_call *call)
{
	static const char prefix[] = "arn:aws:firehose:";

	return strncmp(call->behind, prefix, sizeof(prefix) - 1) == 0 ? call->behind : NULL;
}

/* --- refusals --- */

/* Services of the query protocol have other names for the same. */
static bool
speaks_query(const struct kms_call *call)
{
	return strncmp(call->action, "sts:", 4) == 0;
}

static int
refuse(struct kms_call *call)
{
	kms_call_fail(call, SLK_DENIED,
		speaks_query(call) ? "InvalidClientTokenId" : "UnrecognizedClientException",
		"The security token included in the request is invalid.");
	return SLK_DENIED;
}

static int
refuse_expired(struct kms_call *call)
{
	kms_call_fail(call, SLK_DENIED,
		speaks_query(call) ? "ExpiredToken" : "ExpiredTokenException",
		"The security token included in the request is expired");
	return SLK_DENIED;
}

static int
invalid(struct kms_call *call, const char *sentence)
{
	kms_call_fail(call, SLK_INVALID, "ValidationException", "%s", sentence);
	return SLK_INVALID;
}

/* --- the way it came --- */

int
kms_call_take_address(struct kms_call *call, const char *text, bool over_tls)
{
	uint8_t address[sizeof(struct in6_addr)];

	if (text[0] == '\0')
		return SLK_OK;
	if (strlen(text) >= sizeof(call->source_ip) ||
		(inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1))
		return invalid(call, "the address of the caller is no address of IPv4 or IPv6");
	strcpy(call->source_ip, text);
	call->facts.source_ip = call->source_ip;
	call->facts.over_tls = over_tls ? KMS_TRUE : KMS_FALSE;
	return SLK_OK;
}

/* "kinesis.local.amazonaws.com": of this region. */
static bool
is_service(const struct kms_call *call, const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	char rest[KMS_VIA_MAX];

	(void)snprintf(rest, sizeof(rest), ".%s.amazonaws.com", call->service->parts.realm.region);
	return len > 0 && len <= SERVICE_MAX && strcmp(text + len, rest) == 0;
}

static int
take_service(struct kms_call *call, const Kmsp__Caller *in)
{
	char name[KMS_STREAM_MAX];

	if (in->via_service[0] == '\0')
		return in->source_arn[0] == '\0'
			? SLK_OK
			: invalid(call, "a caller has a source_arn only with a via_service");
	if (!is_service(call, in->via_service))
		return invalid(call,
			"via_service is not a service of this region, such as "
			"kinesis.REGION.amazonaws.com");
	if (in->source_arn[0] != '\0' &&
		(strncmp(in->source_arn, "arn:", 4) != 0 ||
			strlen(in->source_arn) >= sizeof(call->source_arn) ||
			kms_any_stream_parse(&call->service->parts.realm, in->source_arn, name) !=
				SLK_OK))
		return invalid(call, "source_arn is not the ARN of a stream of this account");
	strcpy(call->via_service, in->via_service);
	strcpy(call->source_arn, in->source_arn);
	call->facts.via_service = call->via_service;
	call->facts.source_arn = call->source_arn[0] != '\0' ? call->source_arn : NULL;
	return SLK_OK;
}

/* --- users and roles --- */

/* The user whose access key it is. */
static int
take_access_key(struct kms_call *call, const char *id)
{
	struct kms_access_key_row row;
	int rc = SLK_NOT_FOUND;

	if (kms_access_id_is(id)) {
		strcpy(call->credential.access_key_id, id);
		rc = kms_catalog_access_key_get(call->service->parts.catalog, id, &row);
	}
	if (rc == SLK_OK)
		rc = kms_user_arn(&call->service->parts.realm, row.user, call->principal);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && !row.active))
		return refuse(call);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	strcpy(call->credential.principal_id, row.user_id);
	return rc;
}

/* A user or a role of this account; root has no credentials, and a service asks for itself. A gateway that was broken into can
 * name whom it has seen, and not whose name it can guess: users by their access keys, roles by tokens, but for the roles that
 * an administrator lets doors name. */
static int
take_principal(struct kms_call *call, const char *arn)
{
	const struct kms_identity *who = kms_iam_find(call->service->iam, arn);

	if (who == NULL || (who->type != KMS_IS_USER && who->type != KMS_IS_ROLE) ||
		(call->principal[0] != '\0'
				? strcmp(call->principal, arn) != 0
				: !kms_principals_has_role(call->service->parts.principals, arn)))
		return refuse(call);
	strcpy(call->principal, who->arn);
	strcpy(call->credential.principal_id, who->unique_id);
	return SLK_OK;
}

static int
take_known(struct kms_call *call, const Kmsp__Caller *in)
{
	int rc = SLK_OK;

	if (in->access_key_id[0] != '\0')
		rc = take_access_key(call, in->access_key_id);
	/* It may have gone since the catalog was asked: then it is not known, and all is refused. */
	if (rc == SLK_OK)
		rc = take_principal(
			call, in->principal[0] != '\0' ? in->principal : call->principal);
	return rc;
}

/* A program of this host, by what the kernel told the gateway. A gateway that was broken into could name any uid, so an administrator
 * has to allow it, and nobody gets more by it than a user or a role has. */
static int
take_uid(struct kms_call *call, const Kmsp__Caller *in)
{
	const struct kms_service *s = call->service;
	const char *arn = kms_principals_arn(s->parts.principals, in->uid);

	if (!s->parts.gateway_peers) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"the gateway may not name callers by uid; an administrator may allow it: "
			"gateway_peers: in the configuration of sealock-kmsd");
		return SLK_DENIED;
	}
	if (in->principal[0] != '\0' || in->session_token[0] != '\0' ||
		in->access_key_id[0] != '\0' || in->source_ip[0] != '\0')
		return invalid(
			call, "a caller that is named by uid has no other name and no address");
	call->uid_known = true;
	call->caller_uid = in->uid;
	const struct kms_identity *who = arn != NULL ? kms_iam_find(s->iam, arn) : NULL;
	if (who == NULL || (who->type != KMS_IS_USER && who->type != KMS_IS_ROLE)) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"uid %u is no user and no role of this KMS; an administrator may list it "
			"under principals: in the configuration of sealock-kmsd",
			(unsigned)in->uid);
		return SLK_DENIED;
	}
	strcpy(call->principal, who->arn);
	strcpy(call->credential.principal_id, who->unique_id);
	return SLK_OK;
}

/* --- sessions --- */

int
kms_call_keep(struct kms_call *call, const Kmsp__Request *request)
{
	Kmsp__Request r = *request;

	if (call->kept != NULL)
		return SLK_OK;
	r.version = KMSP_VERSION;
	size_t len = kmsp__request__get_packed_size(&r);
	int rc = slk_secret_new(len, &call->kept);
	if (rc == SLK_OK)
		rc = kmsp_request_pack(&r, slk_secret_bytes(call->kept), len, &call->kept_len);
	if (rc != SLK_OK)
		kms_call_fail(
			call, SLK_NO_MEMORY, "KMSInternalException", "out of (locked) memory");
	return rc;
}

static int
open_token(struct kms_call *call, const Kmsp__Request *request, struct slk_span token,
	kms_call_fn resume, struct fmt_session *out)
{
	struct fmt_session_token outside;

	if (fmt_session_token_decode(token, &outside) != SLK_OK)
		return SLK_INVALID_CIPHERTEXT;
	if (!kms_sessions_has(call->service->sessions, outside.key_id)) {
		int rc = kms_call_keep(call, request);
		if (rc != SLK_OK)
			return rc;
	}
	return kms_session_open(call, token, resume, out);
}

/* Which service an encryption context belongs to, as it is in AWS: records of a stream are opened by Kinesis, objects are
 * sealed by S3, all else is Firehose's own. */
static const char *
service_of(const Kmsp__Request *request)
{
	Kmsp__Pair *const *pairs = NULL;
	size_t count = 0;

	if (request->call_case == KMSP__REQUEST__CALL_DECRYPT) {
		pairs = request->decrypt->context;
		count = request->decrypt->n_context;
	} else if (request->call_case == KMSP__REQUEST__CALL_GENERATE_DATA_KEY) {
		pairs = request->generate_data_key->context;
		count = request->generate_data_key->n_context;
	} else if (request->call_case == KMSP__REQUEST__CALL_ENCRYPT) {
		pairs = request->encrypt->context;
		count = request->encrypt->n_context;
	} else if (request->call_case == KMSP__REQUEST__CALL_AUTHORIZE) {
		pairs = request->authorize->context;
		count = request->authorize->n_context;
	}
	for (size_t i = 0; i < count; i++) {
		const struct slk_span key = slk_span(pairs[i]->key.data, pairs[i]->key.len);
		if (slk_span_equal(key, slk_span_str("aws:kinesis:arn")))
			return "kinesis";
		if (slk_span_equal(key, slk_span_str("aws:s3:arn")))
			return "s3";
	}
	return "firehose";
}

/* Sessions of delivery streams come from deliverd alone, and no others do. It may do four things as one, by the services that
 * deliver, for its own delivery stream. */
static int
take_delivery(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__Caller *in = request->caller;
	static const char *const services[] = {"firehose.", "kinesis.", "s3."};
	const struct kms_service *s = call->service;
	const char *arn = kms_caller_delivery(call);
	unsigned classes = kms_principals_classes(s->parts.principals, call->peer.uid);
	bool is_known = in->via_service[0] == '\0';

	if ((classes & (arn != NULL ? KMS_CLASS_DELIVER : KMS_CLASS_GATEWAY)) == 0 ||
		(arn != NULL && !is_for_delivery(call->row)))
		return refuse(call);
	if (arn == NULL)
		return SLK_OK;
	call->door = "deliverd";
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		is_known =
			is_known || strncmp(in->via_service, services[i], strlen(services[i])) == 0;
	if (!is_known || (in->source_arn[0] != '\0' && strcmp(in->source_arn, arn) != 0))
		return invalid(call,
			"a session of a delivery stream asks by firehose, kinesis or s3, for its "
			"delivery stream");
	if (in->via_service[0] == '\0')
		(void)snprintf(call->via_service, sizeof(call->via_service), "%s.%s.amazonaws.com",
			service_of(request), s->parts.realm.region);
	(void)snprintf(call->source_arn, sizeof(call->source_arn), "%s", arn);
	call->facts.via_service = call->via_service;
	call->facts.source_arn = call->source_arn;
	return SLK_OK;
}

static int
take_session(struct kms_call *call, const Kmsp__Request *request, kms_call_fn resume,
	struct kms_session_parts **out_parts)
{
	const Kmsp__Caller *in = request->caller;
	uint8_t token[FMT_SESSION_MAX];
	struct fmt_session s;
	size_t len = 0;

	if (slk_base64_decode(SLK_BASE64_URL, slk_span_str(in->session_token), token, sizeof(token),
		    &len) != SLK_OK)
		return refuse(call);
	int rc = open_token(call, request, slk_span(token, len), resume, &s);
	if (rc == SLK_OK && in->access_key_id[0] != '\0' &&
		!slk_span_equal(s.access_key_id, slk_span_str(in->access_key_id)))
		rc = SLK_INVALID_CIPHERTEXT;
	if (rc == SLK_INVALID_CIPHERTEXT)
		return refuse(call);
	if (rc == SLK_END)
		return refuse_expired(call);
	if (rc != SLK_OK)
		return rc;
	(void)snprintf(call->behind, sizeof(call->behind), "%.*s", (int)s.caller.len,
		(const char *)s.caller.ptr);
	rc = take_delivery(call, request);
	if (rc != SLK_OK)
		return rc;
	rc = kms_session_view_new(call, &s, out_parts);
	if (rc != SLK_OK)
		return rc;
	call->session = kms_session_view(*out_parts);
	slk_secret_free(call->held); /* the claims; the operation may have its own there */
	call->held = NULL;
	return rc;
}

int
kms_caller_take(struct kms_call *call, const Kmsp__Request *request, kms_call_fn resume,
	struct kms_session_parts **out_parts)
{
	const Kmsp__Caller *in = request->caller;

	*out_parts = NULL;
	call->for_caller = call->by_door = true;
	call->door = "gateway";
	call->principal[0] = '\0';
	/* As if it were among admins:, whose table a policy decides alone. */
	call->classes = KMS_CLASS_USER | KMS_CLASS_ADMIN;
	int rc = kms_call_take_address(call, in->source_ip, in->over_tls);
	if (rc == SLK_OK)
		rc = take_service(call, in);
	if (rc != SLK_OK)
		return rc;
	if ((kms_principals_classes(call->service->parts.principals, call->peer.uid) &
		    KMS_CLASS_GATEWAY) == 0 &&
		(in->session_token[0] == '\0' || in->source_ip[0] != '\0'))
		return invalid(
			call, "deliverd names a session of AssumeDeliveryRole, and no address");
	if (in->by_uid)
		return take_uid(call, in);
	if (in->session_token[0] != '\0')
		return in->principal[0] == '\0'
			? take_session(call, request, resume, out_parts)
			: invalid(call, "a caller is a principal or a session, not both");
	return in->principal[0] != '\0' || in->access_key_id[0] != '\0'
		? take_known(call, in)
		: invalid(call, "a caller is named by principal, session_token or access_key_id");
}
