/* What a program pays that calls the token itself: one process, one session, the handle at hand. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "format/blob.h"
#include "kms_bench.h"

#define IV_BYTES 12u
#define TAG_BYTES 16u

struct kb_raw {
	CK_FUNCTION_LIST *fn;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE *keys, pair; /* pair: the private half */
	bool pair_is_rsa;
	unsigned keys_count;
	uint64_t counter;
	size_t aad_len;
	uint8_t aad[FMT_BLOB_AAD_MAX];
	char version[32];
};

static CK_RV
load(struct kb_raw *r)
{
	CK_RV (*get_list)(CK_FUNCTION_LIST **);
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	CK_INFO info;

	void *library = dlopen(KB_SOFTHSM, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return CKR_GENERAL_ERROR;
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	if (get_list == NULL)
		return CKR_GENERAL_ERROR;
	CK_RV rv = get_list(&r->fn);
	if (rv == CKR_OK)
		rv = r->fn->C_Initialize(&args);
	if (rv == CKR_OK)
		rv = r->fn->C_GetInfo(&info);
	if (rv == CKR_OK)
		snprintf(r->version, sizeof(r->version), "%u.%u", info.libraryVersion.major,
			info.libraryVersion.minor);
	return rv;
}

/* The token is the only initialised one of its directory, and SoftHSM lists it first. */
static CK_RV
log_in(struct kb_raw *r, const char *pin_file)
{
	CK_SLOT_ID slots[4];
	CK_ULONG count = 4;
	char pin[128];

	int fd = open(pin_file, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, pin, sizeof(pin)) : -1;
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return CKR_PIN_INCORRECT;
	if (pin[len - 1] == '\n')
		len--;
	CK_RV rv = r->fn->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv == CKR_OK && count == 0)
		rv = CKR_TOKEN_NOT_PRESENT;
	if (rv == CKR_OK)
		rv = r->fn->C_OpenSession(
			slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &r->session);
	if (rv == CKR_OK)
		rv = r->fn->C_Login(r->session, CKU_USER, (unsigned char *)pin, (CK_ULONG)len);
	explicit_bzero(pin, sizeof(pin));
	return rv;
}

static CK_RV
make_key(struct kb_raw *r, CK_OBJECT_HANDLE *out_key)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32;
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE template[] = {
		{CKA_VALUE_LEN, &len, sizeof(len)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
	};

	return r->fn->C_GenerateKey(
		r->session, &mechanism, template, sizeof(template) / sizeof(template[0]), out_key);
}

int
kb_raw_keys(struct kb_raw *raw, unsigned count, struct slk_error *err)
{
	CK_OBJECT_HANDLE *grown = reallocarray(raw->keys, count, sizeof(*grown));

	if (grown == NULL)
		return SLK_NO_MEMORY;
	raw->keys = grown;
	for (; raw->keys_count < count; raw->keys_count++) {
		CK_RV rv = make_key(raw, &raw->keys[raw->keys_count]);
		if (rv != CKR_OK)
			return slk_fail(
				err, SLK_HSM, "the raw loop's token makes no key: 0x%lx", rv);
	}
	return SLK_OK;
}

int
kb_raw_new(const struct kb_token *t, size_t aad_len, struct kb_raw **out_raw, struct slk_error *err)
{
	struct kb_raw *r = calloc(1, sizeof(*r));
	uint64_t seed = 1;

	if (r == NULL)
		return SLK_NO_MEMORY;
	r->aad_len = aad_len;
	bench_fill(&seed, r->aad, aad_len);
	if (setenv("SOFTHSM2_CONF", t->conf, 1) != 0) {
		free(r);
		return slk_fail_errno(err, "cannot set SOFTHSM2_CONF");
	}
	CK_RV rv = load(r);
	if (rv == CKR_OK)
		rv = log_in(r, t->pin_file);
	if (rv != CKR_OK) {
		free(r);
		return slk_fail(err, SLK_HSM, "the raw loop's token fails: 0x%lx", rv);
	}
	int rc = kb_raw_keys(r, 1, err);
	if (rc != SLK_OK) {
		kb_raw_free(r);
		return rc;
	}
	*out_raw = r;
	return SLK_OK;
}

void
kb_raw_free(struct kb_raw *raw)
{
	if (raw == NULL)
		return;
	(void)raw->fn->C_Finalize(NULL);
	free(raw->keys);
	free(raw);
}

const char *
kb_raw_version(const struct kb_raw *raw)
{
	return raw->version;
}

static CK_RV
one(struct kb_raw *r, CK_OBJECT_HANDLE key, bool random_iv)
{
	uint8_t plain[KB_DATA_KEY_BYTES], sealed[KB_DATA_KEY_BYTES + TAG_BYTES], iv[IV_BYTES] = {0};
	CK_ULONG len = sizeof(sealed);
	/* CK_GCM_PARAMS, in order: its members have other names in each release of p11-kit. */
	CK_GCM_PARAMS params = {iv, IV_BYTES, IV_BYTES * 8, r->aad, r->aad_len, TAG_BYTES * 8};
	CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof(params)};

	r->counter++;
	memcpy(iv, &r->counter, sizeof(r->counter));
	CK_RV rv = r->fn->C_GenerateRandom(r->session, plain, sizeof(plain));
	if (rv == CKR_OK && random_iv)
		rv = r->fn->C_GenerateRandom(r->session, iv, sizeof(iv));
	if (rv == CKR_OK)
		rv = r->fn->C_EncryptInit(r->session, &mechanism, key);
	if (rv == CKR_OK)
		rv = r->fn->C_Encrypt(r->session, plain, sizeof(plain), sealed, &len);
	return rv == CKR_OK && len != sizeof(sealed) ? CKR_GENERAL_ERROR : rv;
}

bool
kb_raw_run(struct kb_raw *raw, unsigned keys_count, unsigned count, bool random_iv,
	struct slk_hist *latency)
{
	uint64_t now_ns = slk_mono_ns(slk_clock_system());

	for (unsigned i = 0; i < count; i++) {
		uint64_t start_ns = now_ns;
		if (one(raw, raw->keys[raw->counter % keys_count], random_iv) != CKR_OK)
			return false;
		now_ns = slk_mono_ns(slk_clock_system());
		if (latency != NULL)
			slk_hist_add(latency, now_ns - start_ns, 1);
	}
	return true;
}

/* --- signatures --- */

int
kb_raw_pair(struct kb_raw *raw, bool rsa, struct slk_error *err)
{
	static unsigned char p256[] = {6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
	static char names[2][5] = {"p256", "rsa"};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = 2048;
	char *name = names[rsa];
	CK_MECHANISM mechanism = {rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_ATTRIBUTE public[] = {
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_VERIFY, &yes, sizeof(yes)},
		{CKA_LABEL, name, strlen(name)},
		{CKA_ID, name, strlen(name)},
		{rsa ? CKA_MODULUS_BITS : CKA_EC_PARAMS, rsa ? (void *)&bits : p256,
			rsa ? sizeof(bits) : sizeof(p256)},
	};
	CK_ATTRIBUTE private[] = {
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_SIGN, &yes, sizeof(yes)},
		{CKA_LABEL, name, strlen(name)},
		{CKA_ID, name, strlen(name)},
	};
	CK_OBJECT_HANDLE other;

	CK_RV rv = raw->fn->C_GenerateKeyPair(raw->session, &mechanism, public,
		sizeof(public) / sizeof(public[0]), private, sizeof(private) / sizeof(private[0]),
		&other, &raw->pair);
	raw->pair_is_rsa = rsa;
	return rv == CKR_OK
		? SLK_OK
		: slk_fail(err, SLK_HSM, "the raw loop's token makes no pair: 0x%lx", rv);
}

/* What kmsd asks the token for, too: RSA over a DigestInfo of SHA-256, ECDSA over the digest. */
bool
kb_raw_sign(struct kb_raw *raw, unsigned count)
{
	uint8_t text[51] = {
		0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20};
	CK_MECHANISM mechanism = {raw->pair_is_rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
	uint8_t signature[256];

	for (unsigned i = 0; i < count; i++) {
		CK_ULONG len = sizeof(signature);
		memcpy(text + 19, &i, sizeof(i));
		if (raw->fn->C_SignInit(raw->session, &mechanism, raw->pair) != CKR_OK ||
			raw->fn->C_Sign(raw->session, raw->pair_is_rsa ? text : text + 19,
				raw->pair_is_rsa ? 51 : 32, signature, &len) != CKR_OK)
			return false;
	}
	return true;
}
