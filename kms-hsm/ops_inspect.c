/* InspectKey and About: what an auditor asks of token, module and programs. Administrators may look, unless a policy denies
 * it. Both ask the token; nothing is changed. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "crypt.h"
#include "digest.h"

#define FACTS_MAX 64u

static int
authorize(struct kms_call *call, const char *resource)
{
	char sentence[KMS_SENTENCE_MAX] = "";
	const struct kms_question q = {.principal = call->principal,
		.action = call->action,
		.resource = resource,
		.granted = true};

	(void)snprintf(call->resource, sizeof(call->resource), "%s", resource);
	int rc = kms_call_ask(call, &q, sentence);
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

/* --- InspectKey --- */

static const char *const attribute_names[HSM_ATTRIBUTE_COUNT] = {
	[HSM_ATTRIBUTE_TOKEN] = "CKA_TOKEN",
	[HSM_ATTRIBUTE_PRIVATE] = "CKA_PRIVATE",
	[HSM_ATTRIBUTE_SENSITIVE] = "CKA_SENSITIVE",
	[HSM_ATTRIBUTE_ALWAYS_SENSITIVE] = "CKA_ALWAYS_SENSITIVE",
	[HSM_ATTRIBUTE_EXTRACTABLE] = "CKA_EXTRACTABLE",
	[HSM_ATTRIBUTE_NEVER_EXTRACTABLE] = "CKA_NEVER_EXTRACTABLE",
	[HSM_ATTRIBUTE_LOCAL] = "CKA_LOCAL",
	[HSM_ATTRIBUTE_MODIFIABLE] = "CKA_MODIFIABLE",
	[HSM_ATTRIBUTE_ENCRYPT] = "CKA_ENCRYPT",
	[HSM_ATTRIBUTE_DECRYPT] = "CKA_DECRYPT",
	[HSM_ATTRIBUTE_WRAP] = "CKA_WRAP",
	[HSM_ATTRIBUTE_UNWRAP] = "CKA_UNWRAP",
	[HSM_ATTRIBUTE_SIGN] = "CKA_SIGN",
	[HSM_ATTRIBUTE_VERIFY] = "CKA_VERIFY",
	[HSM_ATTRIBUTE_DERIVE] = "CKA_DERIVE",
};

#define OBJECTS_MAX 8u
struct objects {
	Kmsp__TokenObject storage[OBJECTS_MAX], *list[OBJECTS_MAX];
	char *yes[OBJECTS_MAX][HSM_ATTRIBUTE_COUNT], *no[OBJECTS_MAX][HSM_ATTRIBUTE_COUNT];
	size_t count;
};

static const char *
class_name(uint8_t class)
{
	return class == HSM_OBJECT_SECRET     ? "CKO_SECRET_KEY"
		: class == HSM_OBJECT_PRIVATE ? "CKO_PRIVATE_KEY"
					      : "CKO_PUBLIC_KEY";
}

/* One object as link.h has it. */
static void
take_object(struct objects *all, const uint8_t *raw)
{
	size_t at = all->count++;
	Kmsp__TokenObject *o = &all->storage[at];
	struct slk_reader r = slk_reader(slk_span(raw, HSM_OBJECT_BYTES));

	kmsp__token_object__init(o);
	o->object_class = kms_text(class_name(slk_read_u8(&r)));
	bool has_check = slk_read_u8(&r) != 0;
	uint16_t told = slk_read_le16(&r), yes = slk_read_le16(&r);
	(void)slk_read_le16(&r);
	o->generated_by = slk_read_le32(&r);
	o->key_type = slk_read_le32(&r);
	if (has_check)
		o->check_value = kms_bytes(slk_span(raw + 16, KMS_KCV_BYTES));
	o->true_attributes = all->yes[at];
	o->false_attributes = all->no[at];
	for (unsigned i = 0; i < HSM_ATTRIBUTE_COUNT; i++) {
		if ((told & KMS_BIT(i)) == 0)
			continue;
		if ((yes & KMS_BIT(i)) != 0)
			all->yes[at][o->n_true_attributes++] = kms_text(attribute_names[i]);
		else
			all->no[at][o->n_false_attributes++] = kms_text(attribute_names[i]);
	}
	all->list[at] = o;
}

static void
inspected(struct kms_call *call, const struct hsm_reply *hsm)
{
	static struct objects objects; /* one thread */
	struct kms_backing backing;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Inspection out = KMSP__INSPECTION__INIT;
	char hex[2 * KMS_ID_BYTES + 1];

	int rc = kms_catalog_backing_get(call->service->parts.catalog, call->backing_id, &backing);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	objects.count = 0;
	for (size_t at = 0; at + HSM_OBJECT_BYTES <= hsm->output.len && objects.count < OBJECTS_MAX;
		at += HSM_OBJECT_BYTES)
		take_object(&objects, hsm->output.ptr + at);
	slk_hex(slk_span(backing.id, sizeof(backing.id)), hex, sizeof(hex));
	out.key_arn = call->resource;
	out.backing_id = hex;
	out.spec = kms_text(kms_spec_name(backing.spec));
	out.usage = kms_text(kms_usage_name(backing.usage));
	out.generation = backing.generation;
	out.current = memcmp(backing.id, call->key.backing_id, sizeof(backing.id)) == 0;
	out.created_ns = backing.created_ns;
	out.kcv = kms_bytes(slk_span(backing.kcv, sizeof(backing.kcv)));
	out.token_kcv = kms_bytes(slk_span(hsm->kcv, sizeof(hsm->kcv)));
	if (kms_spec_is_symmetric(backing.spec))
		out.token_kcv_cmac = kms_bytes(slk_span(hsm->kcv_cmac, sizeof(hsm->kcv_cmac)));
	out.objects = objects.list;
	out.n_objects = objects.count;
	reply.result_case = KMSP__REPLY__RESULT_INSPECTION;
	reply.inspection = &out;
	kms_call_ok(call, &reply);
}

/* Any key of the catalog, the appliance's own, too. */
static int
find(struct kms_call *call, const Kmsp__InspectKey *in, struct kms_backing *out_backing)
{
	struct kms_catalog *catalog = call->service->parts.catalog;
	uint8_t id[KMS_ID_BYTES];
	struct kms_ref ref;

	int rc = kms_ref_parse(&call->service->parts.realm, in->key, &ref);
	if (rc == SLK_OK && ref.kind != KMS_REF_KEY)
		rc = SLK_NOT_FOUND;
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(catalog, ref.id, &call->key);
	memcpy(id, call->key.backing_id, rc == SLK_OK ? sizeof(id) : 0);
	if (rc == SLK_OK && in->backing_id[0] != '\0' &&
		(strlen(in->backing_id) != 2 * sizeof(id) ||
			slk_unhex(in->backing_id, id, sizeof(id)) != SLK_OK))
		rc = SLK_NOT_FOUND;
	if (rc == SLK_OK)
		rc = kms_catalog_backing_get(catalog, id, out_backing);
	if (rc == SLK_OK && memcmp(out_backing->key_id, call->key.id, sizeof(call->key.id)) != 0)
		rc = SLK_NOT_FOUND;
	if (rc == SLK_NOT_FOUND || rc == SLK_INVALID)
		kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException",
			"no key '%.200s' with that material", in->key);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

void
kms_op_inspect_key(struct kms_call *call, const Kmsp__Request *request)
{
	char arn[KMS_ARN_MAX];
	struct kms_backing backing;
	struct hsm_request ask = {
		.op = HSM_INSPECT_KEY, .mono_deadline_ns = kms_call_hsm_deadline(call)};

	if (authorize(call, "*") != SLK_OK || find(call, request->inspect_key, &backing) != SLK_OK)
		return;
	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	strcpy(call->resource, arn);
	kms_crypt_name_backing(call, backing.id);
	memcpy(ask.key_id, backing.id, sizeof(ask.key_id));
	memcpy(ask.kcv, backing.kcv, sizeof(ask.kcv));
	ask.spec = backing.spec;
	ask.usage = backing.usage;
	kms_call_hsm(call, &ask, inspected);
}

/* --- About --- */

struct facts {
	Kmsp__Fact storage[FACTS_MAX], *list[FACTS_MAX];
	char text[HSM_OUTPUT_MAX + 1]; /* the token's, cut into lines */
	size_t count;
};

static void
add(struct facts *f, const char *name, const char *value)
{
	if (f->count == FACTS_MAX)
		return;
	kmsp__fact__init(&f->storage[f->count]);
	f->storage[f->count].name = kms_text(name);
	f->storage[f->count].value = kms_text(value);
	f->list[f->count] = &f->storage[f->count];
	f->count++;
}

static void
add_token(struct facts *f, struct slk_span lines)
{
	char *rest = NULL;
	size_t len = lines.len < sizeof(f->text) ? lines.len : sizeof(f->text) - 1;

	memcpy(f->text, lines.ptr, len);
	f->text[len] = '\0';
	for (char *line = strtok_r(f->text, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');
		if (value == NULL)
			continue;
		*value = '\0';
		add(f, line, value + 1);
	}
}

/* FIPS 180-4's "abc", for each hash that the front makes. */
static bool
digests_are_right(const struct kms_digests *digests)
{
	static const struct {
		enum kms_algorithm algorithm;
		uint8_t begins[8];
	} known[] = {
		{KMS_ALG_ECDSA_SHA_256, {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea}},
		{KMS_ALG_ECDSA_SHA_384, {0xcb, 0x00, 0x75, 0x3f, 0x45, 0xa3, 0x5e, 0x8b}},
		{KMS_ALG_ECDSA_SHA_512, {0xdd, 0xaf, 0x35, 0xa1, 0x93, 0x61, 0x7a, 0xba}},
	};
	uint8_t out[KMS_DIGEST_MAX];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (kms_digest(digests, known[i].algorithm, slk_span_str("abc"), out) != SLK_OK ||
			memcmp(out, known[i].begins, sizeof(known[i].begins)) != 0)
			return false;
	return true;
}

/* Two different things: whether the algorithm is approved, and whether somebody validated what carries it out. This program
 * cannot know of a certificate; it knows that SoftHSM has none. */
static const char *
validation(const struct kms_service *s, char *out, size_t cap)
{
	if (s->parts.certificate != NULL)
		(void)snprintf(out, cap,
			"claimed by the configuration: %s; compare module, model and firmware with "
			"the certificate",
			s->parts.certificate);
	else
		(void)snprintf(out, cap, "%s",
			strcmp(s->health.profile, "softhsm") == 0
				? "no: SoftHSM is software without a FIPS 140 certificate"
				: "not claimed: compare module, model and firmware with the "
				  "vendor's FIPS 140 certificate, and name it under "
				  "hsm.certificate");
	return out;
}

static void
about_told(struct kms_call *call, const struct hsm_reply *hsm)
{
	static struct facts facts; /* one thread */
	struct kms_service *s = call->service;
	char validated[512];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Facts out = KMSP__FACTS__INIT;

	facts.count = 0;
	add(&facts, "kmsd_version", SLK_VERSION);
	add(&facts, "kernel", s->kernel);
	add(&facts, "front_openssl", OpenSSL_version(OPENSSL_VERSION));
	add(&facts, "hsm_profile", s->health.profile);
	add(&facts, "hsm_module", s->parts.module != NULL ? s->parts.module : "");
	add(&facts, "hsm_iv",
		s->health.iv_from_hsm ? "made by the HSM" : "drawn from the HSM's RNG");
	add(&facts, "approved_algorithms",
		"yes: AES-256-GCM (SP 800-38D), RSA >= 2048 (FIPS 186-5, SP 800-56B), ECDSA P-256, "
		"P-384, P-521 (FIPS 186-5), SHA-2 (FIPS 180-4); but for RSAES_OAEP_SHA_1, which is "
		"offered and does not count as approved. Each answer says which it was");
	add(&facts, "validated_module", validation(s, validated, sizeof(validated)));
	add_token(&facts, hsm->output);
	if (call->limit == 1)
		add(&facts, "self_test_front",
			digests_are_right(s->digests) ? "passed" : "failed: a hash is wrong");
	out.facts = facts.list;
	out.n_facts = facts.count;
	reply.result_case = KMSP__REPLY__RESULT_FACTS;
	reply.facts = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_about(struct kms_call *call, const Kmsp__Request *request)
{
	const struct hsm_request ask = {.op = HSM_INSPECT_TOKEN,
		.length = request->about->self_test ? 1 : 0,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};

	call->limit = ask.length; /* of the answer: were there self-tests? */
	if (authorize(call, "*") == SLK_OK)
		kms_call_hsm(call, &ask, about_told);
}
