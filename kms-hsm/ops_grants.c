/* Grants: create, list, retire, revoke. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "call.h"
#include "grants.h"

#define ID_TEXT (2 * KMS_GRANT_ID_BYTES + 1)
#define TOKEN_BYTES (KMS_GRANT_ID_BYTES + 16u) /* the id, and what makes each token another */
#define TOKEN_TEXT (2 * TOKEN_BYTES + 1)
#define TOKENS_MAX 10u
#define PAGE_BYTES_MAX (KMSP_REPLY_MAX - 2048u)

/* --- ids and tokens --- */

static bool
parse_hex(const char *text, uint8_t *out, size_t len)
{
	return strlen(text) == 2 * len && slk_unhex(text, out, len) == SLK_OK;
}

/* A token says which grant it is of and gives no right: who may retire the grant is asked all the same. */
static int
print_token(const uint8_t *id, char out[TOKEN_TEXT])
{
	uint8_t token[TOKEN_BYTES];

	memcpy(token, id, KMS_GRANT_ID_BYTES);
	int rc = slk_random(token + KMS_GRANT_ID_BYTES, sizeof(token) - KMS_GRANT_ID_BYTES);
	if (rc == SLK_OK)
		slk_hex(slk_span(token, sizeof(token)), out, TOKEN_TEXT);
	return rc;
}

static const struct kms_grant *
grant_of_token(const struct kms_service *s, const char *text)
{
	uint8_t token[TOKEN_BYTES];

	return parse_hex(text, token, sizeof(token)) ? kms_grants_get(s->grants, token) : NULL;
}

static void
bad_token(struct kms_call *call)
{
	kms_call_fail(call, SLK_INVALID, "InvalidGrantTokenException", "%s", "");
}

int
kms_call_check_tokens(struct kms_call *call, char *const *tokens, size_t count)
{
	if (count > TOKENS_MAX) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value at 'grantTokens' failed to satisfy "
			"constraint: "
			"Member must have length less than or equal to %u",
			TOKENS_MAX);
		return SLK_INVALID;
	}
	for (size_t i = 0; i < count; i++)
		if (grant_of_token(call->service, tokens[i]) == NULL) {
			bad_token(call);
			return SLK_INVALID;
		}
	return SLK_OK;
}

/* --- reading a request --- */

static int
invalid(struct kms_call *call, const char *exception, const char *what, const char *text)
{
	kms_call_fail(call, SLK_INVALID, exception, "%s%.300s", what, text);
	return SLK_INVALID;
}

/* A user, a role or the account itself; no pattern. */
static int
take_principal(struct kms_call *call, const char *text, char out[KMS_ARN_MAX])
{
	const struct kms_realm *realm = &call->service->parts.realm;
	char own[KMS_ARN_MAX];

	if (strncmp(text, "arn:aws:iam::", 13) != 0 || strpbrk(text, "*?") != NULL ||
		kms_arn_principal(realm, text, out) != SLK_OK)
		return invalid(call, "InvalidArnException",
			"a principal of a grant is the ARN of a user, a role or the account's "
			"root, not ",
			text);
	/* One of another account cannot be known here. */
	(void)snprintf(own, sizeof(own), "arn:aws:iam::%s:", realm->account);
	if (strncmp(out, own, strlen(own)) == 0 && kms_iam_find(call->service->iam, out) == NULL)
		return invalid(call, "InvalidArnException",
			"ARN does not refer to a valid principal: ", text);
	return SLK_OK;
}

static int
take_operations(struct kms_call *call, char *const *list, size_t count, uint32_t *out)
{
	const uint32_t possible = kms_grant_operations_of(call->key.spec, call->key.usage);
	enum kms_grant_operation operation;

	*out = 0;
	for (size_t i = 0; i < count; i++) {
		if (!kms_grant_operation_parse(list[i], &operation))
			return invalid(call, "ValidationException",
				"no operation of a grant is called ", list[i]);
		if ((possible & KMS_BIT(operation)) == 0)
			return invalid(call, "ValidationException",
				"a key of this kind cannot do what a grant would allow: ", list[i]);
		*out |= KMS_BIT(operation);
	}
	if (*out == 0)
		return invalid(call, "ValidationException", "a grant needs an operation", "");
	return SLK_OK;
}

static int
take_constraint(struct kms_call *call, const Kmsp__CreateGrant *in, struct kms_grant *grant)
{
	const size_t pairs = in->n_context_equals + in->n_context_subset;

	if (pairs == 0)
		return SLK_OK;
	if (in->n_context_equals > 0 && in->n_context_subset > 0)
		return invalid(call, "ValidationException",
			"a grant has EncryptionContextEquals or EncryptionContextSubset, not both",
			"");
	if (pairs > KMS_GRANT_PAIRS_MAX)
		return invalid(call, "ValidationException", "a constraint has up to 8 pairs", "");
	if (!kms_spec_is_symmetric(call->key.spec))
		return invalid(call, "ValidationException",
			"an encryption context constrains grants on symmetric keys only", "");
	bool equals = in->n_context_equals > 0;
	grant->constraint = equals ? KMS_GRANT_EQUALS : KMS_GRANT_SUBSET;
	return kms_call_take_context(
		call, equals ? in->context_equals : in->context_subset, pairs, &grant->context);
}

/* [a-zA-Z0-9:/_-]{0,256} */
static int
take_name(struct kms_call *call, const char *name, char out[KMS_GRANT_NAME_MAX])
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/_-";

	if (strlen(name) >= KMS_GRANT_NAME_MAX || name[strspn(name, letters)] != '\0')
		return invalid(call, "ValidationException",
			"a grant's name is up to 256 of a-z A-Z 0-9 : / _ -, not ", name);
	strcpy(out, name);
	return SLK_OK;
}

static int
take_grant(struct kms_call *call, const Kmsp__CreateGrant *in, struct kms_grant *grant)
{
	int rc = take_principal(call, in->grantee, grant->grantee);

	if (rc == SLK_OK && in->retiring[0] != '\0')
		rc = take_principal(call, in->retiring, grant->retiring);
	if (rc == SLK_OK)
		rc = take_name(call, in->name, grant->name);
	if (rc == SLK_OK)
		rc = take_operations(call, in->operations, in->n_operations, &grant->operations);
	if (rc == SLK_OK && strlen(in->source_arn) >= sizeof(grant->source_arn))
		rc = invalid(call, "ValidationException", "no ARN is so long: ", in->source_arn);
	if (rc == SLK_OK)
		rc = take_constraint(call, in, grant);
	if (rc != SLK_OK)
		return rc;
	strcpy(grant->source_arn, in->source_arn);
	strcpy(grant->issuer, call->principal);
	memcpy(grant->key_id, call->key.id, sizeof(grant->key_id));
	grant->created_ns = slk_wall_ns(call->service->parts.clock);
	return SLK_OK;
}

/* --- create --- */

static bool
same(const struct kms_grant *a, const struct kms_grant *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->grantee, b->grantee) == 0 &&
		strcmp(a->retiring, b->retiring) == 0 && strcmp(a->issuer, b->issuer) == 0 &&
		strcmp(a->source_arn, b->source_arn) == 0 && a->operations == b->operations &&
		a->constraint == b->constraint && fmt_context_equal(a->context, b->context);
}

/* With a name, the same request again is the same grant. */
static const struct kms_grant *
find_same(const struct kms_service *s, const struct kms_grant *grant)
{
	const struct kms_grant_filter filter = {grant->key_id, grant->grantee, NULL};
	const struct kms_grant *page[KMSP_PAGE_MAX];
	const uint8_t *after = NULL;

	for (size_t found = KMSP_PAGE_MAX; grant->name[0] != '\0' && found == KMSP_PAGE_MAX;) {
		found = kms_grants_list(s->grants, &filter, after, page, KMSP_PAGE_MAX);
		for (size_t i = 0; i < found; i++)
			if (same(page[i], grant))
				return page[i];
		after = found > 0 ? page[found - 1]->id : after;
	}
	return NULL;
}

static void
answer_grant(struct kms_call *call, const uint8_t *id)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Grant out = KMSP__GRANT__INIT;
	char text[ID_TEXT], token[TOKEN_TEXT];

	if (print_token(id, token) != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException", "no random bytes");
		return;
	}
	slk_hex(slk_span(id, KMS_GRANT_ID_BYTES), text, sizeof(text));
	out.id = text;
	out.token = token;
	reply.result_case = KMSP__REPLY__RESULT_GRANT;
	reply.grant = &out;
	kms_call_ok(call, &reply);
}

/* Whose right to make grants comes from a grant passes on no more than that. */
static bool
may_pass_on(struct kms_call *call, const struct kms_grant *grant)
{
	if (!call->by_grant ||
		kms_grants_parent(call->service->grants, call->principal, grant) != NULL)
		return true;
	kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
		"User: %s is not authorized to perform: kms:CreateGrant on resource: %s because "
		"the grant that "
		"allows it does not allow all that the new one would, or has a stricter constraint",
		kms_call_who(call), call->resource);
	return false;
}

/* What conditions of policies ask about CreateGrant; the request is borrowed for the call's handler. */
static void
set_facts(struct kms_call *call, const Kmsp__CreateGrant *in)
{
	call->facts.grant_operations = (const char *const *)in->operations;
	call->facts.grant_operations_count = in->n_operations;
	call->facts.grantee = in->grantee;
	call->facts.retiring = in->retiring[0] != '\0' ? in->retiring : NULL;
	call->facts.grant_for_service = KMS_FALSE;
	if (in->n_context_equals > 0)
		call->facts.grant_constraint = "EncryptionContextEquals";
	else if (in->n_context_subset > 0)
		call->facts.grant_constraint = "EncryptionContextSubset";
}

void
kms_op_create_grant(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__CreateGrant *in = request->create_grant;
	struct kms_service *s = call->service;
	struct kms_grant grant = {0};

	set_facts(call, in);
	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK ||
		kms_call_key_usable(call, &call->key) != SLK_OK)
		return;
	if (take_grant(call, in, &grant) != SLK_OK || !may_pass_on(call, &grant))
		goto out;
	const struct kms_grant *there = find_same(s, &grant);
	if (there != NULL) {
		answer_grant(call, there->id);
		goto out;
	}
	int rc = slk_random(grant.id, sizeof(grant.id));
	if (rc == SLK_OK)
		rc = kms_grants_add(s->grants, &grant);
	if (rc == SLK_OK) {
		grant.context = NULL; /* now the store's */
		answer_grant(call, grant.id);
	} else if (rc == SLK_LIMIT) {
		kms_call_fail(call, rc, "LimitExceededException",
			"this key has %u grants, which is the limit", KMS_GRANTS_OF_KEY_MAX);
	} else {
		kms_call_fail_catalog(call, rc);
	}
out:
	fmt_context_free(grant.context);
}

/* --- list --- */

/* What one entry of a page borrows. */
struct grant_text {
	char id[ID_TEXT], key_arn[KMS_ARN_MAX];
	char *operations[KMS_GRANT_OPERATIONS];
	Kmsp__Pair pairs[KMS_GRANT_PAIRS_MAX], *list[KMS_GRANT_PAIRS_MAX];
	Kmsp__Grant out;
};

static ProtobufCBinaryData
borrow(struct slk_span bytes)
{
	return (ProtobufCBinaryData){bytes.len, (uint8_t *)(uintptr_t)bytes.ptr};
}

static void
message_constraint(const struct kms_grant *g, struct grant_text *t)
{
	size_t count = g->context != NULL ? fmt_context_count(g->context) : 0;

	for (size_t i = 0; i < count && i < KMS_GRANT_PAIRS_MAX; i++) {
		struct slk_span key, value;
		fmt_context_pair(g->context, i, &key, &value);
		kmsp__pair__init(&t->pairs[i]);
		t->pairs[i].key = borrow(key);
		t->pairs[i].value = borrow(value);
		t->list[i] = &t->pairs[i];
	}
	if (g->constraint == KMS_GRANT_EQUALS) {
		t->out.context_equals = t->list;
		t->out.n_context_equals = count;
	} else {
		t->out.context_subset = t->list;
		t->out.n_context_subset = count;
	}
}

static void
message_grant(const struct kms_service *s, const struct kms_grant *g, struct grant_text *t)
{
	kmsp__grant__init(&t->out);
	slk_hex(slk_span(g->id, sizeof(g->id)), t->id, sizeof(t->id));
	kms_arn_key(&s->parts.realm, g->key_id, t->key_arn);
	t->out.id = t->id;
	t->out.key_arn = t->key_arn;
	t->out.name = (char *)(uintptr_t)g->name;
	t->out.grantee = (char *)(uintptr_t)g->grantee;
	t->out.retiring = (char *)(uintptr_t)g->retiring;
	t->out.issuer = (char *)(uintptr_t)g->issuer;
	t->out.source_arn = (char *)(uintptr_t)g->source_arn;
	t->out.created_ns = g->created_ns;
	t->out.operations = t->operations;
	for (unsigned i = 0; i < KMS_GRANT_OPERATIONS; i++)
		if ((g->operations & KMS_BIT(i)) != 0)
			t->operations[t->out.n_operations++] =
				(char *)(uintptr_t)kms_grant_operation_name(
					(enum kms_grant_operation)i);
	message_constraint(g, t);
}

/* As many as the limit and one reply hold, after the marker. */
static void
answer_list(struct kms_call *call, const struct kms_grant_filter *filter, const char *marker,
	uint32_t wanted)
{
	static struct grant_text texts[KMSP_PAGE_MAX]; /* one thread */
	static Kmsp__Grant *list[KMSP_PAGE_MAX];
	const struct kms_grant *page[KMSP_PAGE_MAX + 1];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Grants out = KMSP__GRANTS__INIT;
	uint8_t after[KMS_GRANT_ID_BYTES];
	size_t limit = kms_page(wanted), bytes = 0;

	if (marker[0] != '\0' && !parse_hex(marker, after, sizeof(after))) {
		kms_call_bad_marker(call);
		return;
	}
	size_t found = kms_grants_list(
		call->service->grants, filter, marker[0] != '\0' ? after : NULL, page, limit + 1);
	out.grants = list;
	while (out.n_grants < found && out.n_grants < limit) {
		struct grant_text *t = &texts[out.n_grants];
		message_grant(call->service, page[out.n_grants], t);
		bytes += kmsp__grant__get_packed_size(&t->out) + 8;
		if (bytes > PAGE_BYTES_MAX)
			break;
		list[out.n_grants++] = &t->out;
	}
	if (found > out.n_grants && out.n_grants > 0)
		out.next = texts[out.n_grants - 1].id;
	reply.result_case = KMSP__REPLY__RESULT_GRANTS;
	reply.grants = &out;
	kms_call_ok(call, &reply);
}

static void
no_such_grant(struct kms_call *call, const char *id)
{
	kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException", "Grant ID %.100s not found", id);
}

/* One grant of the call's key by its id. */
static const struct kms_grant *
find_grant(struct kms_call *call, const char *id)
{
	uint8_t bytes[KMS_GRANT_ID_BYTES];
	const struct kms_grant *g = NULL;

	if (parse_hex(id, bytes, sizeof(bytes)))
		g = kms_grants_get(call->service->grants, bytes);
	if (g == NULL || memcmp(g->key_id, call->key.id, sizeof(g->key_id)) != 0) {
		no_such_grant(call, id);
		return NULL;
	}
	return g;
}

static void
answer_one(struct kms_call *call, const struct kms_grant *grant)
{
	static struct grant_text text; /* one thread */
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Grants out = KMSP__GRANTS__INIT;
	Kmsp__Grant *list[] = {&text.out};

	message_grant(call->service, grant, &text);
	out.grants = list;
	out.n_grants = 1;
	reply.result_case = KMSP__REPLY__RESULT_GRANTS;
	reply.grants = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_list_grants(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__ListGrants *in = request->list_grants;

	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK)
		return;
	if (in->grant_id[0] != '\0') {
		const struct kms_grant *grant = find_grant(call, in->grant_id);
		if (grant != NULL)
			answer_one(call, grant);
		return;
	}
	const struct kms_grant_filter filter = {
		call->key.id, in->grantee[0] != '\0' ? in->grantee : NULL, NULL};
	answer_list(call, &filter, in->marker, in->limit);
}

void
kms_op_list_retirable_grants(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__ListRetirableGrants *in = request->list_retirable_grants;
	char retiring[KMS_ARN_MAX];

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK ||
		take_principal(call, in->retiring, retiring) != SLK_OK)
		return;
	const struct kms_grant_filter filter = {NULL, NULL, retiring};
	answer_list(call, &filter, in->marker, in->limit);
}

/* --- revoke, retire --- */

static void
end_grant(struct kms_call *call, const uint8_t *id)
{
	kms_call_end(call, kms_grants_remove(call->service->grants, id));
}

void
kms_op_revoke_grant(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__RevokeGrant *in = request->revoke_grant;

	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK ||
		kms_call_key_direct(call, &call->key) != SLK_OK)
		return;
	const struct kms_grant *grant = find_grant(call, in->grant_id);
	if (grant != NULL)
		end_grant(call, grant->id);
}

/* By its token, or by key and id. Who may learn that there is none is whoever knows 256 bits of it. */
static const struct kms_grant *
find_retirable(struct kms_call *call, const Kmsp__RetireGrant *in)
{
	struct kms_ref ref;
	uint8_t id[KMS_GRANT_ID_BYTES];

	if (in->token[0] != '\0') {
		const struct kms_grant *grant = grant_of_token(call->service, in->token);
		if (grant == NULL)
			bad_token(call);
		return grant;
	}
	if (kms_ref_parse(&call->service->parts.realm, in->key, &ref) != SLK_OK ||
		ref.kind != KMS_REF_KEY) {
		kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException", "Invalid keyId '%.200s'",
			in->key);
		return NULL;
	}
	const struct kms_grant *grant = parse_hex(in->grant_id, id, sizeof(id))
		? kms_grants_get(call->service->grants, id)
		: NULL;
	if (grant == NULL || memcmp(grant->key_id, ref.id, sizeof(ref.id)) != 0) {
		no_such_grant(call, in->grant_id);
		return NULL;
	}
	return grant;
}

static bool
may_retire(const struct kms_call *call, const struct kms_grant *grant)
{
	char root[KMS_ARN_MAX];

	return strcmp(call->principal, grant->retiring) == 0 ||
		(strcmp(call->principal, grant->grantee) == 0 &&
			(grant->operations & KMS_BIT(KMS_GRANT_RETIRE_GRANT)) != 0) ||
		(kms_arn_principal(&call->service->parts.realm, "root", root) == SLK_OK &&
			strcmp(call->principal, root) == 0);
}

/* No policy gives this right: the grant does, and the account has it. A Deny takes it away. */
void
kms_op_retire_grant(struct kms_call *call, const Kmsp__Request *request)
{
	const struct kms_grant *grant = find_retirable(call, request->retire_grant);
	char arn[KMS_ARN_MAX];

	if (grant == NULL)
		return;
	kms_arn_key(&call->service->parts.realm, grant->key_id, arn);
	if (!may_retire(call, grant)) {
		strcpy(call->resource, arn);
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: kms:RetireGrant on resource: %s "
			"because "
			"neither is it the grant's retiring principal nor a grantee with "
			"RetireGrant",
			kms_call_who(call), arn);
		return;
	}
	if (kms_call_authorize_granted(call, call->action, arn) == SLK_OK)
		end_grant(call, grant->id);
}
