#include "slk_test.h"

#include "fake_iam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "proto_text.h"

struct fake_iam fake_iam;

static char *
as_text(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* Pages 1, 2, 3: the second is empty. */
static size_t
turn_page(const char *marker, char **out_next)
{
	static char next[16];
	unsigned page = marker[0] == '\0' ? 1 : (unsigned)atoi(marker) + 1;

	snprintf(next, sizeof(next), "%u", page);
	*out_next = page < FAKE_IAM_PAGES ? next : as_text("");
	return page == 2 ? 0 : 1;
}

static Kmsp__Identity *
an_identity(bool is_role)
{
	static Kmsp__Identity out;
	static Kmsp__Tag tag, *tags[] = {&tag};

	kmsp__identity__init(&out);
	kmsp__tag__init(&tag);
	tag.key = as_text("team");
	tag.value = as_text("w\x1b[2J");
	out.name = as_text(is_role ? "reader" : "alice");
	out.arn = as_text(is_role ? "arn:aws:iam::123456789012:role/reader"
				  : "arn:aws:iam::123456789012:user/alice");
	out.id = as_text(is_role ? "AROA1" : "AIDA1");
	out.created_ns = 1763978400000000000ull;
	out.tags = tags;
	out.n_tags = 1;
	out.trust_policy = as_text(is_role ? fake_iam.kept : "");
	out.max_session_s = is_role ? 7200 : 0;
	return &out;
}

static Kmsp__Document *
a_document(void)
{
	static Kmsp__Document out;

	kmsp__document__init(&out);
	out.name = as_text("p");
	out.arn = as_text("arn:aws:iam::123456789012:policy/p");
	out.text = as_text(fake_iam.kept);
	out.attachments_count = 2;
	return &out;
}

static void
answer_identities(Kmsp__Reply *r, const char *marker, bool roles)
{
	static Kmsp__Identities out;
	static Kmsp__Identity *list[1];

	kmsp__identities__init(&out);
	list[0] = an_identity(roles);
	list[0]->n_tags = 0;
	list[0]->trust_policy = as_text("");
	out.identities = list;
	out.n_identities = turn_page(marker, &out.next);
	r->result_case = KMSP__REPLY__RESULT_IDENTITIES;
	r->identities = &out;
}

static void
answer_names(Kmsp__Reply *r, const char *marker)
{
	static Kmsp__Names out;
	static char *list[] = {NULL};

	kmsp__names__init(&out);
	list[0] = as_text(marker[0] == '\0' ? "first" : "last");
	out.names = list;
	out.n_names = turn_page(marker, &out.next);
	r->result_case = KMSP__REPLY__RESULT_NAMES;
	r->names = &out;
}

static void
answer_policies(Kmsp__Reply *r, const char *marker)
{
	static Kmsp__Policies out;
	static Kmsp__Document *list[1];

	kmsp__policies__init(&out);
	list[0] = a_document();
	list[0]->text = as_text("");
	out.policies = list;
	out.n_policies = turn_page(marker, &out.next);
	r->result_case = KMSP__REPLY__RESULT_POLICIES;
	r->policies = &out;
}

static void
answer_grants(Kmsp__Reply *r, const char *marker)
{
	static Kmsp__Pair pair, *pairs[] = {&pair};
	static char *operations[] = {NULL};
	static Kmsp__Grant one, *list[] = {&one};
	static Kmsp__Grants out;

	kmsp__pair__init(&pair);
	pair.key = (ProtobufCBinaryData){4, (uint8_t *)as_text("dept")};
	pair.value = (ProtobufCBinaryData){2, (uint8_t *)as_text("it")};
	operations[0] = as_text("Decrypt");
	kmsp__grant__init(&one);
	one.id = as_text(marker[0] == '\0' ? "aa" : "bb");
	one.grantee = as_text("arn:g");
	one.operations = operations;
	one.n_operations = 1;
	one.context_subset = pairs;
	one.n_context_subset = 1;
	kmsp__grants__init(&out);
	out.grants = list;
	out.n_grants = turn_page(marker, &out.next);
	r->result_case = KMSP__REPLY__RESULT_GRANTS;
	r->grants = &out;
}

static void
answer_explanation(Kmsp__Reply *r, bool allowed)
{
	static Kmsp__ExplainedStatement first, second, *statements[] = {&first, &second};
	static Kmsp__ExplainedPolicy policy, *policies[] = {&policy};
	static Kmsp__Condition value, *values[] = {&value};
	static char *texts[2];
	static Kmsp__Explanation out;

	kmsp__explained_statement__init(&first);
	kmsp__explained_statement__init(&second);
	first.line = 3;
	first.sid = as_text("s\x1b");
	first.stage = as_text("Matched");
	first.decided = allowed;
	second.index = 1;
	second.line = 9;
	second.deny = true;
	second.stage = as_text("Condition");
	second.condition_operator = as_text("StringEquals");
	second.condition_key = as_text("kms:ViaService");
	kmsp__explained_policy__init(&policy);
	policy.kind = as_text("identity");
	policy.name = as_text("inline/p");
	policy.statements = statements;
	policy.n_statements = 2;
	kmsp__condition__init(&value);
	value.key = as_text("kms:ViaService");
	texts[0] = as_text("a");
	texts[1] = as_text("b");
	value.values = texts;
	value.n_values = 2;
	kmsp__explanation__init(&out);
	out.allowed = allowed;
	out.sentence = as_text("because of it");
	out.reason = as_text("AllowedByIdentityPolicy");
	out.policies = policies;
	out.n_policies = 1;
	out.values = values;
	out.n_values = 1;
	r->result_case = KMSP__REPLY__RESULT_EXPLANATION;
	r->explanation = &out;
}

static void
answer_access_keys(Kmsp__Reply *r, const char *marker)
{
	static Kmsp__AccessKey one, *list[] = {&one};
	static Kmsp__AccessKeys out;

	kmsp__access_key__init(&one);
	one.id = as_text("AKIA1");
	one.user = as_text("alice");
	kmsp__access_keys__init(&out);
	out.keys = list;
	out.n_keys = turn_page(marker, &out.next);
	r->result_case = KMSP__REPLY__RESULT_ACCESS_KEYS;
	r->access_keys = &out;
}

static void
answer_one(const Kmsp__Request *q, Kmsp__Reply *r)
{
	static Kmsp__Key key;
	static Kmsp__Grant grant;
	static Kmsp__AccessKey access;
	static Kmsp__Session session;

	switch (q->call_case) {
	case KMSP__REQUEST__CALL_CREATE_KEY:
	case KMSP__REQUEST__CALL_DESCRIBE_KEY:
		kmsp__key__init(&key);
		key.id = as_text(FAKE_IAM_KEY);
		key.arn = as_text("arn:aws:kms:local:123456789012:key/" FAKE_IAM_KEY);
		r->result_case = KMSP__REPLY__RESULT_KEY;
		r->key = &key;
		return;
	case KMSP__REQUEST__CALL_CREATE_GRANT:
		kmsp__grant__init(&grant);
		grant.id = as_text("aa");
		grant.token = as_text("tt");
		r->result_case = KMSP__REPLY__RESULT_GRANT;
		r->grant = &grant;
		return;
	case KMSP__REQUEST__CALL_CREATE_ACCESS_KEY:
		kmsp__access_key__init(&access);
		access.id = as_text("AKIA1");
		access.secret = as_text("0123456789012345678901234567890123456789");
		access.user = as_text("alice");
		access.active = true;
		r->result_case = KMSP__REPLY__RESULT_ACCESS_KEY;
		r->access_key = &access;
		return;
	case KMSP__REQUEST__CALL_ASSUME_ROLE:
		kmsp__session__init(&session);
		session.access_key_id = as_text("ASIA1");
		session.secret_access_key = as_text("0123456789012345678901234567890123456789");
		session.session_token = as_text("tokentoken");
		session.arn = as_text("arn:session");
		session.expires_ns = 1763978400000000000ull;
		r->result_case = KMSP__REPLY__RESULT_SESSION;
		r->session = &session;
		return;
	case KMSP__REQUEST__CALL_EXPLAIN:
		answer_explanation(r, strcmp(q->explain->action, "a:Allowed") == 0);
		return;
	default: /* nothing */
		return;
	}
}

static void
fill(const Kmsp__Request *q, Kmsp__Reply *r)
{
	switch (q->call_case) {
	case KMSP__REQUEST__CALL_CREATE_USER:
	case KMSP__REQUEST__CALL_CREATE_ROLE:
	case KMSP__REQUEST__CALL_GET_IDENTITY:
		r->result_case = KMSP__REPLY__RESULT_IDENTITY;
		r->identity = an_identity(q->call_case == KMSP__REQUEST__CALL_CREATE_ROLE ||
			(q->call_case == KMSP__REQUEST__CALL_GET_IDENTITY &&
				q->get_identity->who_case == KMSP__WHO__WHO_ROLE));
		return;
	case KMSP__REQUEST__CALL_CREATE_POLICY:
	case KMSP__REQUEST__CALL_UPDATE_POLICY:
	case KMSP__REQUEST__CALL_GET_POLICY:
	case KMSP__REQUEST__CALL_GET_INLINE_POLICY:
	case KMSP__REQUEST__CALL_GET_KEY_POLICY:
	case KMSP__REQUEST__CALL_GET_RESOURCE_POLICY:
		r->result_case = KMSP__REPLY__RESULT_DOCUMENT;
		r->document = a_document();
		return;
	case KMSP__REQUEST__CALL_LIST_USERS:
	case KMSP__REQUEST__CALL_LIST_ROLES:
		answer_identities(
			r, q->list_users->marker, q->call_case == KMSP__REQUEST__CALL_LIST_ROLES);
		return;
	case KMSP__REQUEST__CALL_LIST_POLICY_HOLDERS:
		answer_identities(r, q->list_policy_holders->marker, true);
		return;
	case KMSP__REQUEST__CALL_LIST_INLINE_POLICIES:
		answer_names(r, q->list_inline_policies->marker);
		return;
	case KMSP__REQUEST__CALL_LIST_KEY_POLICIES:
		answer_names(r, q->list_key_policies->marker);
		return;
	case KMSP__REQUEST__CALL_LIST_POLICIES:
		answer_policies(r, q->list_policies->marker);
		return;
	case KMSP__REQUEST__CALL_LIST_ATTACHED_POLICIES:
		answer_policies(r, q->list_attached_policies->marker);
		return;
	case KMSP__REQUEST__CALL_LIST_GRANTS:
		answer_grants(r, q->list_grants->marker);
		return;
	case KMSP__REQUEST__CALL_LIST_RETIRABLE_GRANTS:
		answer_grants(r, q->list_retirable_grants->marker);
		return;
	case KMSP__REQUEST__CALL_LIST_ACCESS_KEYS:
		answer_access_keys(r, q->list_access_keys->marker);
		return;
	default:
		answer_one(q, r);
		return;
	}
}

static int
answer(const Kmsp__Request *q, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;
	size_t len = strlen(fake_iam.asked);

	(void)turn;
	proto_text(q, fake_iam.asked + len, sizeof(fake_iam.asked) - len - 1);
	strcat(fake_iam.asked, "\n");
	if (q->call_case == fake_iam.refuse && fake_iam.refuse_turns-- == 0) {
		fake_iam.refuse_turns = 0;
		r.status = SLK_DENIED;
		r.exception = as_text("Refused");
		r.message = as_text("by the test");
	} else {
		fill(q, &r);
	}
	return fake_kmsd_reply(q, &r, out);
}

int
fake_iam_setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-cli-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	fake_iam.asked[0] = '\0';
	fake_iam.kept = "{\"a\": [1, 2]}";
	fake_iam.refuse = KMSP__REQUEST__CALL__NOT_SET;
	fake_iam.refuse_turns = 0;
	fake_kmsd_start(answer);
	return setenv("SEALOCK_KMS_SOCKET", fake_kmsd.path, 1);
}

int
fake_iam_teardown(void **state)
{
	(void)state;
	fake_kmsd_stop();
	unsetenv("SEALOCK_KMS_SOCKET");
	return rmdir(fake_kmsd.dir);
}
