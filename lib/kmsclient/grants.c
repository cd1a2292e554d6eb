#include "kmsclient/grants.h"

#include "kmsclient/convert.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

void
kmsc_grants_fini(struct kmsc_grant *grants, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fmt_context_free(grants[i].context_equals);
		fmt_context_free(grants[i].context_subset);
		grants[i].context_equals = grants[i].context_subset = NULL;
	}
}

/* --- answers --- */

/* Memory is the only thing that may be missing here; pairs that are no context are not from kmsd. */
static int
constraint_from(Kmsp__Pair *const *pairs, size_t count, struct fmt_context **out)
{
	if (count == 0)
		return SLK_OK;
	int rc = kmsp_context_build(pairs, count, out);
	return rc == SLK_OK || rc == SLK_NO_MEMORY ? rc : SLK_MALFORMED;
}

static int
operations_from(const Kmsp__Grant *in, struct kmsc_grant *out)
{
	int rc = in->n_operations > KMSC_GRANT_OPERATIONS_MAX ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_operations; i++)
		rc = TEXT(rc, in->operations[i], out->operations[i]);
	if (rc == SLK_OK)
		out->operations_count = in->n_operations;
	return rc;
}

/* Leaves nothing to end on error. */
static int
grant_from(const Kmsp__Grant *in, struct kmsc_grant *out)
{
	int rc = TEXT(SLK_OK, in->id, out->id);

	out->context_equals = out->context_subset = NULL;
	out->created_ns = in->created_ns;
	rc = TEXT(rc, in->key_arn, out->key_arn);
	rc = TEXT(rc, in->name, out->name);
	rc = TEXT(rc, in->grantee, out->grantee);
	rc = TEXT(rc, in->retiring, out->retiring);
	rc = TEXT(rc, in->issuer, out->issuer);
	rc = TEXT(rc, in->source_arn, out->source_arn);
	if (rc == SLK_OK)
		rc = operations_from(in, out);
	if (rc == SLK_OK)
		rc = constraint_from(
			in->context_equals, in->n_context_equals, &out->context_equals);
	if (rc == SLK_OK)
		rc = constraint_from(
			in->context_subset, in->n_context_subset, &out->context_subset);
	if (rc != SLK_OK)
		kmsc_grants_fini(out, 1);
	return rc;
}

static int
grants_from(const Kmsp__Grants *in, struct kmsc_grant *out, size_t cap, char *out_next)
{
	int rc = in->n_grants > cap ? SLK_MALFORMED : SLK_OK;
	size_t made = 0;

	while (rc == SLK_OK && made < in->n_grants) {
		rc = grant_from(in->grants[made], &out[made]);
		made += rc == SLK_OK;
	}
	if (rc == SLK_OK)
		rc = kmsc_text(in->next, out_next, KMSC_MARKER_MAX);
	if (rc != SLK_OK)
		kmsc_grants_fini(out, made);
	return rc;
}

static int
call_grants(struct kmsc *c, Kmsp__Request *request, struct kmsc_grant *out, size_t cap,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_GRANTS, &reply, err);
	if (rc == SLK_OK) {
		rc = grants_from(reply->grants, out, cap, out_next);
		if (rc == SLK_NO_MEMORY)
			(void)slk_fail(err, rc, "there is no memory for a list of grants");
	}
	if (rc == SLK_OK)
		*out_count = reply->grants->n_grants;
	return kmsc_call_end(c, rc, err);
}

/* --- calls --- */

static int
call_create(struct kmsc *c, Kmsp__Request *request, char *out_id, char *out_token,
	struct slk_error *err)
{
	char id[KMSC_GRANT_ID_MAX], token[KMSC_GRANT_TOKEN_MAX];
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_ONCE, KMSP__REPLY__RESULT_GRANT, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->grant->id, id, sizeof(id));
	if (rc == SLK_OK)
		rc = kmsc_text(reply->grant->token, token, sizeof(token));
	if (rc == SLK_OK)
		rc = kmsc_text(id, out_id, sizeof(id));
	if (rc == SLK_OK)
		rc = kmsc_text(token, out_token, sizeof(token));
	return kmsc_call_end(c, rc, err);
}

int
kmsc_create_grant(struct kmsc *c, const struct kmsc_grant_kind *kind, char *out_id, char *out_token,
	struct slk_error *err)
{
	Kmsp__CreateGrant call = KMSP__CREATE_GRANT__INIT;
	char *operations[KMSC_GRANT_OPERATIONS_MAX];
	struct kmsc_pairs equals, subset;

	if (kind->operations_count > KMSC_GRANT_OPERATIONS_MAX)
		return slk_fail(err, SLK_LIMIT, "a grant has at most %u operations, not %zu",
			KMSC_GRANT_OPERATIONS_MAX, kind->operations_count);
	for (size_t i = 0; i < kind->operations_count; i++)
		operations[i] = kmsc_request_text(kind->operations[i]);
	kmsc_request_pairs(kind->context_equals, &equals);
	kmsc_request_pairs(kind->context_subset, &subset);
	call.key = kmsc_request_text(kind->key_id);
	call.grantee = kmsc_request_text(kind->grantee);
	call.retiring = kmsc_request_text(kind->retiring);
	call.source_arn = kmsc_request_text(kind->source_arn);
	call.name = kmsc_request_text(kind->name);
	call.operations = operations;
	call.n_operations = kind->operations_count;
	call.context_equals = equals.list;
	call.n_context_equals = equals.count;
	call.context_subset = subset.list;
	call.n_context_subset = subset.count;
	KMSC_REQUEST(request, CREATE_GRANT, create_grant) = &call;
	return call_create(c, &request, out_id, out_token, err);
}

int
kmsc_list_grants(struct kmsc *c, const char *key_id, const char *grantee, const char *marker,
	struct kmsc_grant *out_grants, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListGrants call = KMSP__LIST_GRANTS__INIT;

	if (cap == 0)
		return kmsc_no_room(err);
	call.key = kmsc_request_text(key_id);
	call.grantee = kmsc_request_text(grantee);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_GRANTS, list_grants) = &call;
	return call_grants(c, &request, out_grants, cap, out_count, out_next, err);
}

int
kmsc_get_grant(struct kmsc *c, const char *key_id, const char *grant_id,
	struct kmsc_grant *out_grant, struct slk_error *err)
{
	Kmsp__ListGrants call = KMSP__LIST_GRANTS__INIT;
	char next[KMSC_MARKER_MAX];
	struct kmsc_grant grant;
	size_t count = 0;

	call.key = kmsc_request_text(key_id);
	call.grant_id = kmsc_request_text(grant_id);
	call.limit = 1;
	KMSC_REQUEST(request, LIST_GRANTS, list_grants) = &call;
	int rc = call_grants(c, &request, &grant, 1, &count, next, err);
	if (rc != SLK_OK)
		return rc;
	if (count == 0)
		return slk_fail(err, SLK_NOT_FOUND, "the key has no grant %.64s", grant_id);
	*out_grant = grant;
	return SLK_OK;
}

int
kmsc_list_retirable_grants(struct kmsc *c, const char *retiring, const char *marker,
	struct kmsc_grant *out_grants, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListRetirableGrants call = KMSP__LIST_RETIRABLE_GRANTS__INIT;

	if (cap == 0)
		return kmsc_no_room(err);
	call.retiring = kmsc_request_text(retiring);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_RETIRABLE_GRANTS, list_retirable_grants) = &call;
	return call_grants(c, &request, out_grants, cap, out_count, out_next, err);
}

int
kmsc_retire_grant(struct kmsc *c, const char *token, const char *key_id, const char *grant_id,
	struct slk_error *err)
{
	Kmsp__RetireGrant call = KMSP__RETIRE_GRANT__INIT;

	call.token = kmsc_request_text(token);
	call.key = kmsc_request_text(key_id);
	call.grant_id = kmsc_request_text(grant_id);
	KMSC_REQUEST(request, RETIRE_GRANT, retire_grant) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_revoke_grant(struct kmsc *c, const char *key_id, const char *grant_id, struct slk_error *err)
{
	Kmsp__RevokeGrant call = KMSP__REVOKE_GRANT__INIT;

	call.key = kmsc_request_text(key_id);
	call.grant_id = kmsc_request_text(grant_id);
	KMSC_REQUEST(request, REVOKE_GRANT, revoke_grant) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}
