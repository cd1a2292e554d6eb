/* Key policies and grants. */
#include <string.h>

#include "aws/kms.h"

/* --- policies --- */

/* The one name that there is. */
static bool
names_default(struct gw_call *call)
{
	const char *name = gw_text(call->in, "PolicyName");

	return name[0] == '\0' || strcmp(name, "default") == 0 ||
		gw_fault_set(&call->fault, "NotFoundException", "No such policy exists");
}

bool
gw_kms_put_key_policy(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__PutKeyPolicy, KMSP__PUT_KEY_POLICY__INIT, PUT_KEY_POLICY,
		put_key_policy);

	m.key = gw_kmsp_text(call, "KeyId");
	m.policy = gw_kmsp_text(call, "Policy");
	m.bypass_lockout_check = gw_bool(call->in, "BypassPolicyLockoutSafetyCheck");
	return names_default(call) && gw_kms_ask(call, &r, gw_kms_done);
}

static void
policy_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!gw_call_write(call, 2 * strlen(reply->document->text), false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_text(&call->w, "Policy", reply->document->text);
	gw_write_text(&call->w, "PolicyName", "default");
	gw_write_close(&call->w);
	gw_call_send(call);
}

bool
gw_kms_get_key_policy(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyPolicy, KMSP__KEY_POLICY__INIT, GET_KEY_POLICY, get_key_policy);

	m.key = gw_kmsp_text(call, "KeyId");
	m.name = (char *)(uintptr_t) "default";
	return names_default(call) && gw_kms_ask(call, &r, policy_told);
}

static void
policies_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_open_list(&call->w, "PolicyNames");
	for (size_t i = 0; i < reply->names->n_names; i++)
		gw_write_text(&call->w, NULL, reply->names->names[i]);
	gw_write_close_list(&call->w);
	gw_kms_write_next(call, reply->names->next);
	gw_write_close(&call->w);
	gw_call_send(call);
}

bool
gw_kms_list_key_policies(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListOfKey, KMSP__LIST_OF_KEY__INIT, LIST_KEY_POLICIES,
		list_key_policies);

	m.key = gw_kmsp_text(call, "KeyId");
	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 100);
	return gw_kms_ask(call, &r, policies_told);
}

/* --- grants --- */

static void
grant_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_text(&call->w, "GrantToken", reply->grant->token);
	gw_write_text(&call->w, "GrantId", reply->grant->id);
	gw_write_close(&call->w);
	gw_call_send(call);
}

/* Constraints are a member of their own: its maps are read as the request's are. */
static bool
take_constraints(struct gw_call *call, Kmsp__CreateGrant *m)
{
	struct gw_value *request = call->in, *constraints = gw_get(call->in, "Constraints");

	if (constraints == NULL)
		return true;
	call->in = constraints;
	m->source_arn = gw_kmsp_text(call, "SourceArn");
	bool ok = gw_kms_pairs(call, "EncryptionContextEquals", &m->context_equals,
			  &m->n_context_equals) &&
		gw_kms_pairs(
			call, "EncryptionContextSubset", &m->context_subset, &m->n_context_subset);
	call->in = request;
	return ok;
}

bool
gw_kms_create_grant(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__CreateGrant, KMSP__CREATE_GRANT__INIT, CREATE_GRANT, create_grant);

	if (!gw_kms_without(call, "GranteeServicePrincipal") ||
		!gw_kms_without(call, "RetiringServicePrincipal"))
		return false;
	m.key = gw_kmsp_text(call, "KeyId");
	m.grantee = gw_kmsp_text(call, "GranteePrincipal");
	m.retiring = gw_kmsp_text(call, "RetiringPrincipal");
	m.name = gw_kmsp_text(call, "Name");
	return take_constraints(call, &m) &&
		gw_kms_strings(call, "Operations", &m.operations, &m.n_operations) &&
		gw_kms_ask(call, &r, grant_told);
}

static void
write_context(struct gw_writer *w, const char *name, Kmsp__Pair *const *pairs, size_t count)
{
	if (count == 0)
		return;
	gw_write_open(w, name);
	for (size_t i = 0; i < count; i++) {
		char key[1024];
		size_t len = pairs[i]->key.len < sizeof(key) ? pairs[i]->key.len : sizeof(key) - 1;
		memcpy(key, pairs[i]->key.data, len);
		key[len] = '\0';
		gw_write_span(w, key, slk_span(pairs[i]->value.data, pairs[i]->value.len));
	}
	gw_write_close(w);
}

static void
write_grant(struct gw_writer *w, const Kmsp__Grant *g)
{
	gw_write_open(w, NULL);
	gw_write_text(w, "KeyId", g->key_arn);
	gw_write_text(w, "GrantId", g->id);
	gw_write_text_if(w, "Name", g->name);
	gw_write_time(w, "CreationDate", g->created_ns);
	gw_write_text_if(w, "GranteePrincipal", g->grantee);
	gw_write_text_if(w, "RetiringPrincipal", g->retiring);
	gw_write_text_if(w, "IssuingAccount", g->issuer);
	gw_write_open_list(w, "Operations");
	for (size_t i = 0; i < g->n_operations; i++)
		gw_write_text(w, NULL, g->operations[i]);
	gw_write_close_list(w);
	if (g->n_context_equals > 0 || g->n_context_subset > 0 || g->source_arn[0] != '\0') {
		gw_write_open(w, "Constraints");
		write_context(w, "EncryptionContextEquals", g->context_equals, g->n_context_equals);
		write_context(w, "EncryptionContextSubset", g->context_subset, g->n_context_subset);
		gw_write_text_if(w, "SourceArn", g->source_arn);
		gw_write_close(w);
	}
	gw_write_close(w);
}

static void
grants_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_open_list(&call->w, "Grants");
	for (size_t i = 0; i < reply->grants->n_grants; i++)
		write_grant(&call->w, reply->grants->grants[i]);
	gw_write_close_list(&call->w);
	gw_kms_write_next(call, reply->grants->next);
	gw_write_close(&call->w);
	gw_call_send(call);
}

bool
gw_kms_list_grants(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListGrants, KMSP__LIST_GRANTS__INIT, LIST_GRANTS, list_grants);

	if (!gw_kms_without(call, "GranteeServicePrincipal"))
		return false;
	m.key = gw_kmsp_text(call, "KeyId");
	m.grant_id = gw_kmsp_text(call, "GrantId");
	m.grantee = gw_kmsp_text(call, "GranteePrincipal");
	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 50);
	return gw_kms_ask(call, &r, grants_told);
}

bool
gw_kms_list_retirable_grants(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListRetirableGrants, KMSP__LIST_RETIRABLE_GRANTS__INIT,
		LIST_RETIRABLE_GRANTS, list_retirable_grants);

	m.retiring = gw_kmsp_text(call, "RetiringPrincipal");
	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 50);
	return gw_kms_ask(call, &r, grants_told);
}

bool
gw_kms_retire_grant(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__RetireGrant, KMSP__RETIRE_GRANT__INIT, RETIRE_GRANT, retire_grant);

	m.token = gw_kmsp_text(call, "GrantToken");
	m.key = gw_kmsp_text(call, "KeyId");
	m.grant_id = gw_kmsp_text(call, "GrantId");
	return gw_kms_ask(call, &r, gw_kms_done);
}

bool
gw_kms_revoke_grant(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__RevokeGrant, KMSP__REVOKE_GRANT__INIT, REVOKE_GRANT, revoke_grant);

	m.key = gw_kmsp_text(call, "KeyId");
	m.grant_id = gw_kmsp_text(call, "GrantId");
	return gw_kms_ask(call, &r, gw_kms_done);
}
