/* Descriptions of delivery streams, sealed and opened. They may hold a database's password or an endpoint's access key.
 *
 *     call->held --(the HSM draws a key of its own)--> AES-256-GCM --> catalog: id, wrapped key, ciphertext
 *     catalog --(the HSM unwraps its key)--> call->found, and the call is begun anew
 *
 * A key seals one text, under an IV of zeros. The AAD binds it to its row:
 * "sealock-description-1" 0x00, id, be64 version, name, 0x00. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "delivery_calls.h"
#include "gcm.h"
#include "own.h"

#define AAD_MAX (22u + KMS_ID_BYTES + 8u + KMS_DELIVERY_MAX)

#define ROWS_OF(array) (sizeof(array) / sizeof((array)[0]))
static_assert(ROWS_OF(((struct kms_delivery_sealed *)NULL)->roles) >= DLV_ROLES_MAX,
	"a row has room for each role of a description");
static_assert(sizeof(((struct kms_delivery *)NULL)->name) >= DLV_NAME_MAX,
	"a row has room for each name");

static const uint8_t zero_iv[KMS_GCM_IV_BYTES];

static struct slk_span
write_aad(const uint8_t id[KMS_ID_BYTES], const struct kms_delivery *row, uint8_t out[AAD_MAX])
{
	static const char label[] = "sealock-description-1"; /* with its terminator */
	struct slk_writer w = slk_writer(out, AAD_MAX);

	slk_write_bytes(&w, label, sizeof(label));
	slk_write_bytes(&w, id, KMS_ID_BYTES);
	slk_write_be64(&w, row->version);
	slk_write_bytes(&w, row->name, strlen(row->name) + 1);
	return slk_span(out, w.len);
}

/* The audit line is of the operation, not of the key that it needed. */
static void
forget_own(struct kms_call *call)
{
	fmt_context_free(call->context);
	call->context = NULL;
	call->has_backing = false;
}

static void
fail(struct kms_call *call, int rc, const char *what)
{
	kms_call_fail(call, rc == SLK_NO_MEMORY ? rc : SLK_INTERNAL, "KMSInternalException",
		"the description of a delivery stream cannot be %s: %s", what,
		slk_status_sentence(rc));
}

void
kms_call_fail_spec(struct kms_call *call, int rc, const struct dlv_fault *fault)
{
	if (rc == SLK_INVALID && fault != NULL)
		kms_call_fail(call, rc, fault->type, "%s", fault->message);
	else
		fail(call, rc, "read");
}

static int
own_context(struct kms_call *call, const struct kms_delivery *row, const uint8_t id[KMS_ID_BYTES])
{
	char arn[KMS_ARN_MAX];

	kms_arn_delivery(&call->service->parts.realm, row->name, arn);
	return kms_own_context_delivery(call, arn, id);
}

/* --- sealing --- */

static int
take_roles(struct kms_call *call, const struct dlv_spec *spec, struct kms_description *d)
{
	const char *roles[DLV_ROLES_MAX];
	size_t count = dlv_spec_roles(spec, roles);

	for (size_t i = 0; i < count && i < KMS_DELIVERY_ROLES_MAX; i++) {
		if (strlen(roles[i]) >= KMS_ARN_MAX) {
			kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
				"RoleARN is not the ARN of a role of this account");
			return SLK_INVALID;
		}
		strcpy(d->sealed.roles[i], roles[i]);
	}
	d->sealed.roles_count = count;
	return SLK_OK;
}

int
kms_description_take(struct kms_call *call, const struct dlv_spec *spec, struct kms_description *d)
{
	struct slk_secret *text = NULL;
	size_t len = 0;

	int rc = take_roles(call, spec, d);
	if (rc != SLK_OK)
		return rc;
	rc = dlv_spec_print(spec, &text, &len);
	if (rc == SLK_OK)
		rc = slk_random(d->sealed.id, sizeof(d->sealed.id));
	if (rc == SLK_TOO_LARGE) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"the description is larger than %u bytes", DLV_SPEC_JSON_MAX);
	} else if (rc != SLK_OK) {
		fail(call, rc, "written");
	} else {
		slk_secret_free(call->held);
		call->held = text;
		call->held_len = len;
		return SLK_OK;
	}
	slk_secret_free(text);
	return rc;
}

static void
drawn(struct kms_call *call, const struct hsm_reply *reply)
{
	static uint8_t text[KMS_DELIVERY_TEXT_MAX]; /* one thread; ciphertext */
	struct kms_description *d = call->work;
	uint8_t aad[AAD_MAX];

	if (kms_own_sealed(call, reply, &d->sealed.key) != SLK_OK)
		return;
	int rc = kms_gcm_seal(call->service->gcm, reply->plaintext.ptr, zero_iv,
		write_aad(d->sealed.id, &d->row, aad),
		slk_span(slk_secret_peek(call->held), call->held_len), text);
	if (rc != SLK_OK) {
		fail(call, rc, "sealed");
		return;
	}
	d->sealed.text = text;
	d->sealed.text_len = call->held_len + KMS_GCM_TAG_BYTES;
	forget_own(call);
	call->after_seal(call);
}

void
kms_description_seal(struct kms_call *call, kms_call_fn done)
{
	const struct kms_description *d = call->work;

	call->after_seal = done;
	if (own_context(call, &d->row, d->sealed.id) == SLK_OK)
		kms_own_make(call, KMS_GCM_KEY_BYTES, drawn);
}

/* --- opening --- */

/* What call->work has while the HSM unwraps a key. */
struct opening {
	struct kms_delivery row;
	struct kms_delivery_sealed sealed;
	uint8_t text[KMS_DELIVERY_TEXT_MAX];
};
static_assert(sizeof(((struct opening *)NULL)->text) >= DLV_SPEC_JSON_MAX + KMS_GCM_TAG_BYTES,
	"a row has room for each description");

static void
unwrapped(struct kms_call *call, const struct hsm_reply *reply)
{
	struct opening *o = call->work;
	struct slk_span sealed = slk_span(o->text, o->sealed.text_len);
	uint8_t aad[AAD_MAX];

	int rc = sealed.len > KMS_GCM_TAG_BYTES
		? slk_secret_new(sealed.len - KMS_GCM_TAG_BYTES, &call->found)
		: SLK_CORRUPT;
	if (rc == SLK_OK)
		rc = kms_gcm_open(call->service->gcm, reply->plaintext.ptr, zero_iv,
			write_aad(o->sealed.id, &o->row, aad), sealed,
			slk_secret_bytes(call->found));
	if (rc != SLK_OK) {
		fail(call, rc == SLK_BAD_TAG ? SLK_CORRUPT : rc, "opened");
		return;
	}
	call->found_len = sealed.len - KMS_GCM_TAG_BYTES;
	memcpy(call->found_id, o->sealed.id, sizeof(call->found_id));
	free(call->work);
	call->work = NULL;
	forget_own(call);
	kms_call_again(call);
}

int
kms_description_open(
	struct kms_call *call, const Kmsp__Request *request, const struct kms_delivery *delivery)
{
	struct opening *o = NULL;

	int rc = kms_call_keep(call, request);
	if (rc != SLK_OK)
		return rc;
	o = kms_call_work(call, sizeof(*o));
	if (o == NULL)
		return SLK_NO_MEMORY;
	o->row = *delivery;
	rc = kms_catalog_delivery_sealed(
		call->service->parts.catalog, delivery, o->text, &o->sealed);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (call->found != NULL && memcmp(call->found_id, o->sealed.id, KMS_ID_BYTES) == 0) {
		free(call->work);
		call->work = NULL;
		return SLK_OK;
	}
	slk_secret_free(call->found); /* it changed while this one was opened */
	call->found = NULL;
	if (own_context(call, delivery, o->sealed.id) == SLK_OK)
		kms_own_open(call, &o->sealed.key, KMS_GCM_KEY_BYTES, unwrapped);
	return SLK_UNAVAILABLE;
}

int
kms_description_parse(struct kms_call *call, struct dlv_spec **out_spec)
{
	struct dlv_fault fault;
	int rc = dlv_spec_parse(
		slk_span(slk_secret_peek(call->found), call->found_len), out_spec, &fault);

	if (rc == SLK_INVALID)
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException",
			"the description in the catalog is not one of this release: %s",
			fault.message);
	else if (rc != SLK_OK)
		fail(call, rc, "read");
	return rc;
}
