#include "audit_line.h"

#include "format/audit.h"
#include "format/utf8.h"
#include "names.h"

#define EVENT_VERSION "1.11"

#define PUT(w, text) slk_write_bytes((w), (text), sizeof(text) - 1)

static void
put_escape(struct slk_writer *w, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};

	if (c == '"' || c == '\\') {
		escape[1] = (char)c;
		slk_write_bytes(w, escape, 2);
	} else {
		slk_write_bytes(w, escape, sizeof(escape));
	}
}

/* A string (RFC 8259, 7). */
static void
put_string(struct slk_writer *w, struct slk_span text)
{
	size_t from = 0;

	if (!fmt_utf8_is_text(text)) {
		PUT(w, "\"(not UTF-8)\"");
		return;
	}
	PUT(w, "\"");
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		slk_write_bytes(w, text.ptr + from, i - from);
		put_escape(w, c);
		from = i + 1;
	}
	slk_write_bytes(w, text.ptr + from, text.len - from);
	PUT(w, "\"");
}

/* Members of one object, with commas between them. */
struct object {
	struct slk_writer *w;
	bool some;
};

static struct object
object_begin(struct slk_writer *w)
{
	PUT(w, "{");
	return (struct object){w, false};
}

static void
object_end(const struct object *o)
{
	PUT(o->w, "}");
}

/* name: our own, needs no escapes. */
static void
put_name(struct object *o, const char *name)
{
	if (o->some)
		PUT(o->w, ",");
	o->some = true;
	PUT(o->w, "\"");
	slk_write_bytes(o->w, name, strlen(name));
	PUT(o->w, "\":");
}

static void
put_text(struct object *o, const char *name, const char *value)
{
	if (value == NULL)
		return;
	put_name(o, name);
	put_string(o->w, slk_span_str(value));
}

static void
put_number(struct object *o, const char *name, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put_name(o, name);
	slk_write_bytes(o->w, text + at, sizeof(text) - at);
}

static void
put_pid(struct object *o, const char *name, pid_t pid)
{
	put_number(o, name, pid > 0 ? (uint64_t)pid : 0);
}

static bool
ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* CloudTrail's words for who it was. */
static const char *
identity_type(const char *arn)
{
	if (arn == NULL)
		return "Unknown";
	if (strncmp(arn, "arn:", 4) != 0)
		return "AWSService";
	if (strstr(arn, ":assumed-role/") != NULL || strstr(arn, ":role/") != NULL)
		return "AssumedRole";
	return ends_with(arn, ":root") ? "Root" : "IAMUser";
}

static void
put_some(struct object *o, const char *name, const char *value)
{
	put_text(o, name, value[0] != '\0' ? value : NULL);
}

/* The role of a session. */
static void
put_session(struct object *who, const struct kms_audit_entry *e)
{
	put_name(who, "sessionContext");
	struct object session = object_begin(who->w);
	put_some(&session, "sourceIdentity", e->credential->source_identity);
	put_name(&session, "sessionIssuer");
	struct object issuer = object_begin(who->w);
	put_text(&issuer, "type", "Role");
	put_text(&issuer, "arn", e->principal);
	object_end(&issuer);
	object_end(&session);
}

/* The credential that a call hands out or changes. */
static void
put_response(struct object *o, const struct kms_audit_entry *e)
{
	const struct kms_audit_credential *c = e->issued;

	if (c == NULL || e->status != SLK_OK)
		return;
	put_name(o, "responseElements");
	struct object r = object_begin(o->w);
	put_some(&r, "accessKeyId", c->access_key_id);
	if (c->session[0] != '\0') {
		put_name(&r, "assumedRoleUser");
		struct object user = object_begin(o->w);
		put_some(&user, "assumedRoleId", c->principal_id);
		put_text(&user, "arn", c->session);
		object_end(&user);
		put_some(&r, "sourceIdentity", c->source_identity);
	}
	object_end(&r);
}

static void
put_identity(struct object *o, const struct kms_audit_entry *e)
{
	const struct kms_audit_credential *c = e->credential;

	put_name(o, "userIdentity");
	struct object who = object_begin(o->w);
	put_text(&who, "type", identity_type(e->principal));
	if (c != NULL && c->session[0] != '\0') {
		put_some(&who, "principalId", c->principal_id);
		put_text(&who, "arn", c->session);
		put_session(&who, e);
	} else {
		if (c != NULL)
			put_some(&who, "principalId", c->principal_id);
		put_text(&who, "arn", e->principal);
	}
	if (c != NULL)
		put_some(&who, "accessKeyId", c->access_key_id);
	if (!e->by_door || e->uid_known)
		put_number(&who, "uid", e->uid);
	if (!e->by_door)
		put_pid(&who, "pid", e->pid);
	put_text(&who, "invokedBy", e->via_service);
	if (e->by_door) {
		put_name(&who, "door");
		struct object door = object_begin(o->w);
		put_number(&door, "uid", e->door_uid);
		put_pid(&door, "pid", e->door_pid);
		put_text(&door, "name", e->door);
		object_end(&door);
	}
	object_end(&who);
}

static void
put_context(struct object *o, const char *name, const struct fmt_context *context)
{
	if (context == NULL || fmt_context_count(context) == 0)
		return;
	put_name(o, name);
	struct object pairs = object_begin(o->w);
	for (size_t i = 0; i < fmt_context_count(context); i++) {
		struct slk_span key, value;
		fmt_context_pair(context, i, &key, &value);
		if (pairs.some)
			PUT(o->w, ",");
		pairs.some = true;
		put_string(o->w, key);
		PUT(o->w, ":");
		put_string(o->w, value);
	}
	object_end(&pairs);
}

static bool
has_context(const struct fmt_context *context)
{
	return context != NULL && fmt_context_count(context) > 0;
}

static void
put_parameters(struct object *o, const struct kms_audit_entry *e)
{
	bool two = e->from_resource != NULL;
	char hex[65];

	if (!has_context(e->context) && !has_context(e->from_context) && e->source_arn == NULL &&
		e->attest_purpose == NULL && e->policy_name == NULL && e->document_digest == NULL)
		return;
	put_name(o, "requestParameters");
	struct object p = object_begin(o->w);
	put_context(&p, "sourceEncryptionContext", e->from_context);
	put_context(&p, two ? "destinationEncryptionContext" : "encryptionContext", e->context);
	put_text(&p, "sourceArn", e->source_arn);
	if (e->attest_purpose != NULL) {
		put_text(&p, "purpose", e->attest_purpose);
		slk_hex(slk_span(e->attest_digest, 32), hex, sizeof(hex));
		put_text(&p, "digest", hex);
	}
	put_text(&p, "policyName", e->policy_name);
	if (e->document_digest != NULL) {
		slk_hex(slk_span(e->document_digest, 32), hex, sizeof(hex));
		put_text(&p, "policyDocumentSha256", hex);
	}
	object_end(&p);
}

static void
put_resources(struct object *o, const struct kms_audit_entry *e)
{
	if (e->resource == NULL && e->from_resource == NULL)
		return;
	put_name(o, "resources");
	PUT(o->w, "[");
	const char *const arns[] = {e->resource, e->from_resource};
	for (size_t i = 0; i < 2; i++) {
		if (arns[i] == NULL)
			continue;
		if (i > 0 && arns[0] != NULL)
			PUT(o->w, ",");
		struct object r = object_begin(o->w);
		put_text(&r, "ARN", arns[i]);
		object_end(&r);
	}
	PUT(o->w, "]");
}

/* KeyMaterialId as clients see it, whose second half is the backing key; that half alone where resource is no key. */
static void
put_material(struct object *o, const char *name, const char *resource, const uint8_t *backing_id)
{
	const size_t uuid_len = FMT_UUID_TEXT - 1;
	char text[KMS_MATERIAL_TEXT];
	uint8_t key_id[FMT_UUID_BYTES];
	size_t len = resource != NULL ? strlen(resource) : 0;

	if (backing_id == NULL)
		return;
	if (len > uuid_len && fmt_uuid_parse(resource + len - uuid_len, key_id) == SLK_OK)
		kms_material_print(key_id, backing_id, text);
	else
		slk_hex(slk_span(backing_id, 16), text, sizeof(text));
	put_text(o, name, text);
}

static void
put_proposal(struct object *o, const struct kms_audit_entry *e)
{
	char id[FMT_UUID_TEXT], digest[65];

	if (e->proposal_id == NULL)
		return;
	fmt_uuid_print(e->proposal_id, id);
	slk_hex(slk_span(e->proposal_digest, 32), digest, sizeof(digest));
	put_text(o, "proposalId", id);
	put_text(o, "proposalDigest", digest);
}

static void
put_additional(struct object *o, const struct kms_audit_entry *e)
{
	bool two = e->from_resource != NULL;

	if (e->backing_id == NULL && e->from_backing_id == NULL && e->correlation == NULL &&
		e->proposal_id == NULL && !e->is_decision)
		return;
	put_name(o, "additionalEventData");
	struct object a = object_begin(o->w);
	put_material(&a, "sourceKeyMaterialId", e->from_resource, e->from_backing_id);
	put_material(
		&a, two ? "destinationKeyMaterialId" : "keyMaterialId", e->resource, e->backing_id);
	put_text(&a, "correlationId", e->correlation);
	put_proposal(&a, e);
	if (e->is_decision) {
		put_name(&a, "decisionOnly");
		PUT(a.w, "true");
	}
	object_end(&a);
}

static bool
is_of_aws(const char *service, size_t len)
{
	static const char *const services[] = {"firehose", "iam", "kinesis", "kms", "sts"};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strlen(services[i]) == len && memcmp(services[i], service, len) == 0)
			return true;
	return false;
}

static void
put_source(struct object *o, const char *service, size_t len)
{
	PUT(o->w, "\"");
	slk_write_bytes(o->w, service, len);
	PUT(o->w, ".amazonaws.com\"");
}

static void
put_action(struct object *o, const char *action)
{
	const char *colon = strchr(action, ':');
	size_t len = colon != NULL ? (size_t)(colon - action) : 0;

	put_name(o, "eventSource");
	if (is_of_aws(action, len))
		put_source(o, action, len);
	else
		put_string(o->w, len > 0 ? slk_span(action, len) : slk_span_str("sealock"));
	put_text(o, "eventName", colon != NULL ? colon + 1 : action);
}

/* Nothing that is kept is changed by it. */
static bool
is_read_only(const char *action)
{
	static const char *const begins[] = {"Describe", "List", "Get", "Decrypt", "Encrypt",
		"GenerateDataKey", "GenerateRandom", "ReEncrypt", "Sign", "Verify", "Attest",
		"Status", "Authorize", "AssumeRole", "DeriveSigningKey", "DeliveryWork"};
	const char *colon = strchr(action, ':');
	const char *name = colon != NULL ? colon + 1 : action;

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(name, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static void
put_outcome(struct object *o, const struct kms_audit_entry *e)
{
	bool text = e->message != NULL && e->message[0] != '\0';

	if (e->status != SLK_OK) {
		put_text(o, "errorCode", e->exception);
		put_text(o, "errorMessage", text ? e->message : NULL);
	}
	put_text(o, "requestID", e->request_id);
	put_name(o, "readOnly");
	if (is_read_only(e->action))
		PUT(o->w, "true");
	else
		PUT(o->w, "false");
	put_text(o, "outcome",
		e->status == SLK_OK               ? "allowed"
			: e->status == SLK_DENIED ? "denied"
						  : "failed");
}

void
kms_audit_line_body(struct slk_writer *w, const struct kms_audit_entry *entry, uint64_t wall_ns)
{
	char when[FMT_AUDIT_TIME_TEXT];
	struct object o = object_begin(w);

	put_text(&o, "eventVersion", EVENT_VERSION);
	fmt_audit_time(wall_ns, when);
	put_text(&o, "eventTime", when);
	put_action(&o, entry->action);
	put_text(&o, "sourceIPAddress", entry->source_ip);
	put_identity(&o, entry);
	put_parameters(&o, entry);
	put_response(&o, entry);
	put_resources(&o, entry);
	put_additional(&o, entry);
	put_outcome(&o, entry);
}
