#include "hsm/inspect.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>

#include "hsm/object.h"
#include "hsm/selftest.h"

#define UNTOLD 0xffffffffu

/* --- a key's objects --- */

/* In the order of enum hsm_attribute. */
static const CK_ATTRIBUTE_TYPE attribute_types[HSM_ATTRIBUTE_COUNT] = {
	[HSM_ATTRIBUTE_TOKEN] = CKA_TOKEN,
	[HSM_ATTRIBUTE_PRIVATE] = CKA_PRIVATE,
	[HSM_ATTRIBUTE_SENSITIVE] = CKA_SENSITIVE,
	[HSM_ATTRIBUTE_ALWAYS_SENSITIVE] = CKA_ALWAYS_SENSITIVE,
	[HSM_ATTRIBUTE_EXTRACTABLE] = CKA_EXTRACTABLE,
	[HSM_ATTRIBUTE_NEVER_EXTRACTABLE] = CKA_NEVER_EXTRACTABLE,
	[HSM_ATTRIBUTE_LOCAL] = CKA_LOCAL,
	[HSM_ATTRIBUTE_MODIFIABLE] = CKA_MODIFIABLE,
	[HSM_ATTRIBUTE_ENCRYPT] = CKA_ENCRYPT,
	[HSM_ATTRIBUTE_DECRYPT] = CKA_DECRYPT,
	[HSM_ATTRIBUTE_WRAP] = CKA_WRAP,
	[HSM_ATTRIBUTE_UNWRAP] = CKA_UNWRAP,
	[HSM_ATTRIBUTE_SIGN] = CKA_SIGN,
	[HSM_ATTRIBUTE_VERIFY] = CKA_VERIFY,
	[HSM_ATTRIBUTE_DERIVE] = CKA_DERIVE,
};

/* One by one: what a token says to a template with one attribute that it does not know differs. */
static CK_RV
read_one(struct hsm_session *session, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE_TYPE type, void *out,
	CK_ULONG len, bool *out_told)
{
	CK_ATTRIBUTE read = {type, out, len};

	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, &read, 1);
	*out_told = rv == CKR_OK && read.ulValueLen == len;
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
		rv == CKR_BUFFER_TOO_SMALL)
		return CKR_OK;
	return rv;
}

static CK_RV
read_attributes(struct hsm_session *session, CK_OBJECT_HANDLE handle, uint16_t *out_told,
	uint16_t *out_true)
{
	*out_told = *out_true = 0;
	for (unsigned i = 0; i < HSM_ATTRIBUTE_COUNT; i++) {
		CK_BBOOL value = CK_FALSE;
		bool told = false;
		CK_RV rv =
			read_one(session, handle, attribute_types[i], &value, sizeof(value), &told);
		if (rv != CKR_OK)
			return rv;
		*out_told |= told ? KMS_BIT(i) : 0;
		*out_true |= told && value == CK_TRUE ? KMS_BIT(i) : 0;
	}
	return CKR_OK;
}

static uint8_t
class_code(CK_OBJECT_CLASS class)
{
	return class == CKO_SECRET_KEY     ? HSM_OBJECT_SECRET
		: class == CKO_PRIVATE_KEY ? HSM_OBJECT_PRIVATE
					   : HSM_OBJECT_PUBLIC;
}

static CK_RV
inspect_object(struct hsm_session *session, const struct hsm_object *o, struct slk_writer *w)
{
	uint16_t told = 0, true_ones = 0;
	CK_MECHANISM_TYPE generator = 0;
	uint8_t check[HSM_KCV_BYTES] = {0};
	bool generator_told = false, check_told = false;

	CK_RV rv = read_attributes(session, o->handle, &told, &true_ones);
	if (rv == CKR_OK)
		rv = read_one(session, o->handle, CKA_KEY_GEN_MECHANISM, &generator,
			sizeof(generator), &generator_told);
	if (rv == CKR_OK)
		rv = read_one(
			session, o->handle, CKA_CHECK_VALUE, check, sizeof(check), &check_told);
	slk_write_u8(w, class_code(o->class));
	slk_write_u8(w, check_told);
	slk_write_le16(w, told);
	slk_write_le16(w, true_ones);
	slk_write_zeros(w, 2);
	slk_write_le32(w, generator_told && generator < UNTOLD ? (uint32_t)generator : UNTOLD);
	slk_write_le32(w, o->type < UNTOLD ? (uint32_t)o->type : UNTOLD);
	slk_write_bytes(w, check, sizeof(check));
	slk_write_zeros(w, HSM_OBJECT_BYTES - 19);
	return rv;
}

CK_RV
hsm_inspect_key(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES], uint8_t *out,
	size_t *out_len)
{
	struct hsm_object objects[HSM_OBJECTS_MAX];
	struct slk_writer w = slk_writer(out, (size_t)HSM_OBJECTS_MAX * HSM_OBJECT_BYTES);
	CK_ULONG count = 0;

	CK_RV rv = hsm_objects_of_id(session, id, objects, &count);
	for (CK_ULONG i = 0; i < count && rv == CKR_OK; i++)
		rv = inspect_object(session, &objects[i], &w);
	if (rv == CKR_OK)
		rv = hsm_objects_logged_in(session);
	if (rv == CKR_OK)
		*out_len = w.len;
	return rv;
}

/* --- the token --- */

static void __attribute__((format(printf, 2, 3))) say(struct slk_writer *w, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	int len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	if ((size_t)len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (int i = 0; i < len; i++)
		if (line[i] < 0x20 || line[i] > 0x7e)
			line[i] = '?';
	line[len++] = '\n';
	slk_write_bytes(w, line, (size_t)len);
}

/* Fields of PKCS #11 are padded with blanks. */
static void
say_field(struct slk_writer *w, const char *name, const unsigned char *field, size_t len)
{
	while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0'))
		len--;
	say(w, "%s=%.*s", name, (int)len, (const char *)field);
}

static void
say_version(struct slk_writer *w, const char *name, const CK_VERSION *v)
{
	say(w, "%s=%u.%u", name, (unsigned)v->major, (unsigned)v->minor);
}

static CK_RV
say_module(struct hsm_session *session, struct slk_writer *w)
{
	CK_INFO info = {0};

	CK_RV rv = HSM_CALL(session->token, &session->probe, C_GetInfo, &info);
	if (rv != CKR_OK)
		return rv;
	say_version(w, "cryptoki_version", &info.cryptokiVersion);
	say_field(
		w, "library_description", info.libraryDescription, sizeof(info.libraryDescription));
	say_version(w, "library_version", &info.libraryVersion);
	say_field(w, "library_manufacturer", info.manufacturerID, sizeof(info.manufacturerID));
	return rv;
}

static CK_RV
say_token(struct hsm_session *session, struct slk_writer *w)
{
	struct hsm_token *token = session->token;
	CK_TOKEN_INFO info = {0};

	CK_RV rv = HSM_CALL(token, &session->probe, C_GetTokenInfo, token->slot, &info);
	if (rv != CKR_OK)
		return rv;
	say_field(w, "token_label", info.label, sizeof(info.label));
	say_field(w, "token_serial", info.serialNumber, sizeof(info.serialNumber));
	say_field(w, "token_model", info.model, sizeof(info.model));
	say_field(w, "token_manufacturer", info.manufacturerID, sizeof(info.manufacturerID));
	say_version(w, "token_firmware_version", &info.firmwareVersion);
	say_version(w, "token_hardware_version", &info.hardwareVersion);
	return rv;
}

static CK_RV
say_self_test(struct hsm_session *session, struct slk_writer *w)
{
	struct slk_error err = {0};

	CK_RV rv = hsm_selftest(session, &err);
	if (rv == CKR_OK)
		say(w, "self_test_token=%s", err.status == SLK_OK ? "passed" : err.text);
	return rv;
}

CK_RV
hsm_inspect_token(
	struct hsm_session *session, bool self_test, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	CK_RV rv = say_module(session, &w);
	if (rv == CKR_OK)
		rv = say_token(session, &w);
	say(&w, "worker_openssl=%s", OpenSSL_version(OPENSSL_VERSION));
	if (rv == CKR_OK && self_test)
		rv = say_self_test(session, &w);
	if (rv == CKR_OK)
		*out_len = w.len;
	return rv;
}
