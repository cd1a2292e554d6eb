/* Condition keys of a call: what AWS calls them, and their values. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "decide.h"
#include "facts.h"
#include "session.h"

#define ALIASES_MAX 50u

/* Of one question; one thread. */
static struct {
	struct pol_value list[POL_VALUES_MAX];
	const char *single[POL_VALUES_MAX]; /* the value of list[i] that has one */
	size_t count;
	bool full;
	char text[262144]; /* names and values that are made here */
	size_t used;
	const char *context_keys[FMT_CONTEXT_PAIRS_MAX];
	const char *tag_keys[KMS_TAGS_MAX];
	const char *aliases[ALIASES_MAX];
} now;

/* prefix and text, terminated; NULL if there is no room. */
static const char *
keep(const char *prefix, const void *text, size_t len)
{
	size_t head = strlen(prefix);
	char *out = now.text + now.used;

	if (head + len + 1 > sizeof(now.text) - now.used) {
		now.full = true;
		return NULL;
	}
	memcpy(out, prefix, head);
	memcpy(out + head, text, len);
	out[head + len] = '\0';
	now.used += head + len + 1;
	return out;
}

static void
put_list(const char *key, const char *const *values, size_t count)
{
	if (key == NULL || now.count == POL_VALUES_MAX) {
		now.full = true;
		return;
	}
	now.list[now.count++] = (struct pol_value){key, values, count};
}

/* A value that is NULL: the request does not have the key. */
static void
put(const char *key, const char *value)
{
	if (value == NULL)
		return;
	put_list(key, &now.single[now.count], 1);
	if (!now.full)
		now.single[now.count - 1] = value;
}

static void
put_truth(const char *key, enum kms_truth truth)
{
	if (truth != KMS_ABSENT)
		put(key, truth == KMS_TRUE ? "true" : "false");
}

static void
put_number(const char *key, uint64_t number)
{
	char digits[24];

	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
	put(key, keep("", digits, (size_t)len));
}

/* Under names that are made of a prefix and their keys. */
static void
put_tags(const char *prefix, const struct kms_tag *tags, size_t count)
{
	for (size_t i = 0; i < count && !now.full; i++)
		put(keep(prefix, tags[i].key, strlen(tags[i].key)), tags[i].value);
}

static void
put_date(const char *key, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / 1000000000ull);
	char date[32];
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL)
		return;
	size_t len = strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
	put(key, keep("", date, len));
}

/* --- who --- */

static void
put_service(const struct kms_identity *who, const char *account)
{
	put("aws:PrincipalIsAWSService", "true");
	put("aws:PrincipalServiceName", who->arn);
	put("aws:SourceAccount", account);
}

/* Tags of the session take the place of the role's with the same keys. */
static void
put_role_tags(const struct kms_identity *who, const struct kms_session_view *session)
{
	for (size_t i = 0; i < who->tags_count; i++) {
		bool again = false;
		for (size_t k = 0; k < session->tags_count && !again; k++)
			again = strcasecmp(session->tags[k].key, who->tags[i].key) == 0;
		if (!again)
			put_tags("aws:PrincipalTag/", &who->tags[i], 1);
	}
}

static void
put_session(const struct kms_identity *who, const struct kms_session_view *session)
{
	put("aws:userid", session->user_id);
	put("aws:SourceIdentity", session->source_identity);
	put_date("aws:TokenIssueTime", session->issued_ns);
	put_tags("aws:PrincipalTag/", session->tags, session->tags_count);
	put_role_tags(who, session);
}

static void
put_principal(const struct kms_identity *who, const struct kms_session_view *session)
{
	static const char *const types[] = {
		[KMS_IS_ROOT] = "Account", [KMS_IS_USER] = "User", [KMS_IS_ROLE] = "AssumedRole"};

	put("aws:PrincipalIsAWSService", "false");
	put("aws:PrincipalArn", who->arn);
	put("aws:PrincipalAccount", who->account);
	put("kms:CallerAccount", who->account);
	if (who->type != KMS_IS_OTHER)
		put("aws:PrincipalType", types[who->type]);
	if (who->type == KMS_IS_USER)
		put("aws:username", who->name);
	if (session != NULL) {
		put_session(who, session);
		return;
	}
	if (who->unique_id[0] != '\0')
		put("aws:userid", who->unique_id);
	else if (who->type == KMS_IS_ROOT)
		put("aws:userid", who->account);
	put_tags("aws:PrincipalTag/", who->tags, who->tags_count);
}

/* --- when and from where --- */

static void
put_time(uint64_t wall_ns)
{
	put_number("aws:EpochTime", wall_ns / 1000000000ull);
	put_date("aws:CurrentTime", wall_ns);
}

static void
put_way(const struct kms_realm *realm, const struct kms_identity *who, const struct kms_facts *f)
{
	put("kms:ViaService", f->via_service);
	put("aws:RequestedRegion", realm->region);
	if (who->type != KMS_IS_SERVICE)
		put_truth("aws:ViaAWSService", f->via_service != NULL ? KMS_TRUE : KMS_FALSE);
	put("aws:SourceArn", f->source_arn);
	put("aws:SourceIp", f->source_ip);
	if (f->source_ip != NULL)
		put_truth("aws:SecureTransport", f->over_tls);
}

/* --- what --- */

/* kms:EncryptionContext:K for each pair, and kms:EncryptionContextKeys. */
static void
put_context(const struct fmt_context *context)
{
	size_t count = context != NULL ? fmt_context_count(context) : 0;
	struct slk_span key, value;

	for (size_t i = 0; i < count && !now.full; i++) {
		fmt_context_pair(context, i, &key, &value);
		now.context_keys[i] = keep("", key.ptr, key.len);
		put(keep("kms:EncryptionContext:", key.ptr, key.len),
			keep("", value.ptr, value.len));
	}
	if (count > 0)
		put_list("kms:EncryptionContextKeys", now.context_keys, count);
}

static void
put_key(const struct kms_key *key)
{
	put("kms:KeySpec", kms_spec_name(key->spec));
	put("kms:KeyUsage", kms_usage_name(key->usage));
	put("kms:KeyOrigin", "AWS_KMS");
	put("kms:MultiRegion", "false");
}

static int
put_key_tags(struct kms_catalog *catalog, const struct kms_key *key)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	size_t count = 0;

	int rc = kms_catalog_tag_list(catalog, key->id, "", tags, KMS_TAGS_MAX, &count);
	if (rc == SLK_OK)
		put_tags("aws:ResourceTag/", tags, count);
	return rc;
}

/* An absent key and one without values are not the same. More aliases than fit are none that could be relied on. */
static int
put_aliases(struct kms_catalog *catalog, const struct kms_key *key)
{
	static struct kms_alias aliases[ALIASES_MAX + 1]; /* one thread */
	size_t count = 0;

	int rc = kms_catalog_alias_list(catalog, key->id, "", aliases, ALIASES_MAX + 1, &count);
	if (rc != SLK_OK)
		return rc;
	if (count > ALIASES_MAX)
		return SLK_LIMIT;
	for (size_t i = 0; i < count; i++)
		now.aliases[i] = aliases[i].name;
	if (count > 0)
		put_list("kms:ResourceAliases", now.aliases, count);
	return SLK_OK;
}

static void
put_tag_keys(const struct kms_facts *f)
{
	if (f->request_tags_count > 0) {
		put_tags("aws:RequestTag/", f->request_tags, f->request_tags_count);
		for (size_t i = 0; i < f->request_tags_count; i++)
			now.tag_keys[i] = f->request_tags[i].key;
		put_list("aws:TagKeys", now.tag_keys, f->request_tags_count);
	} else if (f->tag_keys_count > 0) {
		put_list("aws:TagKeys", f->tag_keys, f->tag_keys_count);
	}
}

static void
put_grant(const struct kms_facts *f)
{
	if (f->grant_operations_count > 0)
		put_list("kms:GrantOperations", f->grant_operations, f->grant_operations_count);
	put("kms:GranteePrincipal", f->grantee);
	put("kms:RetiringPrincipal", f->retiring);
	put("kms:GrantConstraintType", f->grant_constraint);
	put_truth("kms:GrantIsForAWSResource", f->grant_for_service);
}

static int
put_facts(const struct kms_iam *iam, const struct kms_facts *f, unsigned needs)
{
	const struct kms_key *key = f->key != NULL ? f->key : f->new_key;
	int rc = SLK_OK;

	if (key != NULL)
		put_key(key);
	put("kms:RequestAlias", f->request_alias);
	put("kms:EncryptionAlgorithm", f->encryption_algorithm);
	put("kms:SigningAlgorithm", f->signing_algorithm);
	put("kms:MessageType", f->message_type);
	if (f->other_key_id != NULL && f->key != NULL)
		put_truth("kms:ReEncryptOnSameKey",
			memcmp(f->other_key_id, f->key->id, sizeof(f->key->id)) == 0 ? KMS_TRUE
										     : KMS_FALSE);
	if (f->rotation_days > 0)
		put_number("kms:RotationPeriodInDays", f->rotation_days);
	if (f->window_days > 0)
		put_number("kms:ScheduleKeyDeletionPendingWindowInDays", f->window_days);
	put_truth("kms:BypassPolicyLockoutSafetyCheck", f->bypass_lockout_check);
	put("sts:ExternalId", f->external_id);
	put("sts:RoleSessionName", f->session_name);
	put("sts:SourceIdentity", f->source_identity);
	put("iam:PassedToService", f->passed_to);
	put("iam:AssociatedResourceArn", f->associated_arn);
	if (f->duration_s > 0)
		put_number("sts:DurationSeconds", f->duration_s);
	put_tag_keys(f);
	put_grant(f);
	if ((needs & KMS_NEEDS_CONTEXT) != 0)
		put_context(f->context);
	if ((needs & KMS_NEEDS_TAGS) != 0 && f->key != NULL)
		rc = put_key_tags(kms_iam_catalog(iam), f->key);
	if (rc == SLK_OK && (needs & KMS_NEEDS_ALIASES) != 0 && f->key != NULL)
		rc = put_aliases(kms_iam_catalog(iam), f->key);
	return rc;
}

/* Is it among those that a person gave instead of kmsd's? */
static bool
is_given(const struct kms_facts *f, const char *key)
{
	for (size_t i = 0; i < f->given_count; i++)
		if (strcasecmp(f->given[i].key, key) == 0)
			return true;
	return false;
}

static void
put_given(const struct kms_facts *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < now.count; i++)
		if (!is_given(f, now.list[i].key))
			now.list[kept++] = now.list[i];
	now.count = kept;
	for (size_t i = 0; i < f->given_count && !now.full; i++)
		put_list(f->given[i].key, f->given[i].values, f->given[i].count);
}

int
kms_values_gather(const struct kms_iam *iam, const struct kms_identity *who,
	const struct kms_question *question, unsigned needs, const struct pol_value **out_values,
	size_t *out_count)
{
	const struct kms_realm realm = kms_iam_realm(iam);
	const struct kms_facts *f = question->facts;
	int rc = SLK_OK;

	now.count = now.used = 0;
	now.full = false;
	if (needs != 0) {
		if (who->type == KMS_IS_SERVICE)
			put_service(who, realm.account);
		else
			put_principal(who, question->session);
		if (f != NULL) {
			put_time(f->wall_ns);
			put_way(&realm, who, f);
			rc = put_facts(iam, f, needs);
			put_given(f);
		}
	}
	if (rc == SLK_OK && now.full)
		rc = SLK_LIMIT;
	if (rc != SLK_OK)
		return rc;
	*out_values = now.list;
	*out_count = now.count;
	return SLK_OK;
}
