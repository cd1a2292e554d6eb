/* The fault shim: a PKCS#11 module in front of another, see p11shim.h. */
#include "p11shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define HANDLES 4096u
#define SESSIONS 1024u

static struct p11shim *ctl;
static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;

/* What a session is in the middle of. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct session {
	bool searching_victim;
	bool ecb_of_victim;
	bool decrypting;
	bool fed; /* one match of the present search was given */
} sessions[SESSIONS];
static _Atomic CK_SESSION_HANDLE last_session;
static _Atomic CK_SLOT_ID last_slot;
static struct {
	CK_OBJECT_HANDLE handle;
	CK_SESSION_HANDLE owner;
} owners[HANDLES];

static struct session *
state_of(CK_SESSION_HANDLE s)
{
	return &sessions[s % SESSIONS];
}

/* Count the call, wait, behave as told. True: return *out_rv without making it. */
static bool
strike(enum p11shim_function f, CK_RV *out_rv)
{
	struct p11shim_fault *fault = &ctl->faults[f];
	uint64_t n = atomic_fetch_add(&fault->calls, 1) + 1;
	uint64_t first = atomic_load(&fault->first);

	if (atomic_exchange(&ctl->lose_login, 0) != 0)
		(void)real->C_Logout(last_session);
	if (atomic_exchange(&ctl->lose_sessions, 0) != 0)
		(void)real->C_CloseAllSessions(last_slot);
	if (first != 0 && n >= first && n <= atomic_load(&fault->last)) {
		uint64_t ms = atomic_load(&fault->delay_ms);
		struct timespec ts = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
		if (ms > 0)
			(void)nanosleep(&ts, NULL);
		*out_rv = atomic_load(&fault->rv);
		if (*out_rv != CKR_OK)
			return true;
	}
	if (atomic_load(&ctl->gone) != 0 && f != P11SHIM_C_Initialize && f != P11SHIM_C_Finalize) {
		*out_rv = CKR_DEVICE_REMOVED;
		return true;
	}
	return false;
}

#define STRIKE(name) \
	CK_RV struck; \
	if (strike(P11SHIM_##name, &struck)) \
	return struck

static CK_RV
shim_initialize(void *args)
{
	STRIKE(C_Initialize);
	const CK_C_INITIALIZE_ARGS *a = args;
	/* The worker has to ask for locks: a module without them breaks under two threads. */
	if (a == NULL || (a->flags & CKF_OS_LOCKING_OK) == 0)
		return CKR_CANT_LOCK;
	return real->C_Initialize(args);
}

static CK_RV
shim_finalize(void *reserved)
{
	STRIKE(C_Finalize);
	return real->C_Finalize(reserved);
}

static CK_RV
shim_get_slot_list(unsigned char present, CK_SLOT_ID *slots, unsigned long *count)
{
	CK_RV rv;
	if (strike(P11SHIM_C_GetSlotList, &rv)) {
		*count = 0;
		return atomic_load(&ctl->gone) != 0 ? CKR_OK : rv;
	}
	return real->C_GetSlotList(present, slots, count);
}

static CK_RV
shim_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	STRIKE(C_GetTokenInfo);
	return real->C_GetTokenInfo(slot, info);
}

static CK_RV
shim_get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	STRIKE(C_GetMechanismInfo);
	if (type == CKM_AES_GCM && atomic_load(&ctl->no_gcm) != 0)
		return CKR_MECHANISM_INVALID;
	return real->C_GetMechanismInfo(slot, type, info);
}

static CK_RV
shim_open_session(
	CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *out)
{
	STRIKE(C_OpenSession);
	if (atomic_load(&ctl->need_rw) != 0 && (flags & CKF_RW_SESSION) == 0)
		return CKR_FUNCTION_FAILED;
	CK_RV rv = real->C_OpenSession(slot, flags, app, notify, out);
	if (rv == CKR_OK) {
		last_session = *out;
		last_slot = slot;
	}
	return rv;
}

static CK_RV
shim_close_session(CK_SESSION_HANDLE s)
{
	STRIKE(C_CloseSession);
	return real->C_CloseSession(s);
}

static CK_RV
shim_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, unsigned char *pin, unsigned long len)
{
	STRIKE(C_Login);
	uint32_t tries = atomic_load(&ctl->pin_tries);
	if (tries > 0 && atomic_load(&ctl->wrong_pins) >= tries)
		return CKR_PIN_LOCKED;
	CK_RV rv = real->C_Login(s, user, pin, len);
	if (rv == CKR_PIN_INCORRECT)
		atomic_fetch_add(&ctl->wrong_pins, 1);
	return rv;
}

static bool
is_victim_id(const void *id, unsigned long len)
{
	return atomic_load(&ctl->victim) != 0 && len == sizeof(ctl->victim_id) &&
		memcmp(id, ctl->victim_id, sizeof(ctl->victim_id)) == 0;
}

static bool
is_victim(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
	uint8_t id[16];
	CK_ATTRIBUTE a = {CKA_ID, id, sizeof(id)};

	return real->C_GetAttributeValue(s, object, &a, 1) == CKR_OK &&
		is_victim_id(id, a.ulValueLen);
}

static CK_RV
shim_find_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE *template, unsigned long count)
{
	STRIKE(C_FindObjectsInit);
	struct session *st = state_of(s);
	st->searching_victim = st->fed = false;
	for (unsigned long i = 0; i < count; i++)
		st->searching_victim |= template[i].type == CKA_ID &&
			is_victim_id(template[i].pValue, template[i].ulValueLen);
	return real->C_FindObjectsInit(s, template, count);
}

static size_t
slot_of(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE handle)
{
	return (s * 131 + handle) % HANDLES;
}

static void
own(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE handle)
{
	pthread_mutex_lock(&lock);
	owners[slot_of(s, handle)].handle = handle;
	owners[slot_of(s, handle)].owner = s;
	pthread_mutex_unlock(&lock);
}

static bool
may_use(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE handle)
{
	pthread_mutex_lock(&lock);
	size_t i = slot_of(s, handle);
	bool mine = owners[i].handle == handle && owners[i].owner == s;
	pthread_mutex_unlock(&lock);
	return mine || atomic_load(&ctl->session_handles) == 0;
}

static CK_RV
shim_find(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *handles, unsigned long max, unsigned long *count)
{
	STRIKE(C_FindObjects);
	struct session *st = state_of(s);
	CK_RV rv = real->C_FindObjects(s, handles, max, count);
	if (rv != CKR_OK)
		return rv;
	for (unsigned long i = 0; i < *count; i++)
		own(s, handles[i]);
	if (st->searching_victim && atomic_load(&ctl->doubled) != 0 && *count > 0 && *count < max) {
		handles[*count] = handles[0] + 1;
		(*count)++;
	}
	return rv;
}

static CK_RV
shim_find_final(CK_SESSION_HANDLE s)
{
	STRIKE(C_FindObjectsFinal);
	return real->C_FindObjectsFinal(s);
}

static CK_RV
shim_get_attributes(
	CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, unsigned long count)
{
	STRIKE(C_GetAttributeValue);
	CK_RV rv = real->C_GetAttributeValue(s, object, template, count);
	if (atomic_load(&ctl->extractable) == 0 || !is_victim(s, object))
		return rv;
	for (unsigned long i = 0; i < count; i++) {
		if (template[i].type == CKA_EXTRACTABLE && template[i].pValue != NULL)
			*(CK_BBOOL *)template[i].pValue = CK_TRUE;
	}
	return rv;
}

static CK_RV
shim_generate_key(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template,
	unsigned long count, CK_OBJECT_HANDLE *out)
{
	STRIKE(C_GenerateKey);
	CK_RV rv = real->C_GenerateKey(s, mechanism, template, count, out);
	if (rv == CKR_OK)
		own(s, *out);
	return rv;
}

static CK_RV
shim_destroy_object(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
	STRIKE(C_DestroyObject);
	return real->C_DestroyObject(s, object);
}

static CK_RV
shim_generate_random(CK_SESSION_HANDLE s, unsigned char *out, unsigned long len)
{
	STRIKE(C_GenerateRandom);
	if (atomic_load(&ctl->same_random) != 0) {
		memset(out, 0x77, len);
		return CKR_OK;
	}
	return real->C_GenerateRandom(s, out, len);
}

/* Give the IV as an HSM that makes it by itself does. */
static CK_RV
make_iv(CK_SESSION_HANDLE s, CK_GCM_PARAMS *p)
{
	static const uint8_t zero[12];

	if (p->iv_ptr == NULL || p->iv_len != sizeof(zero) ||
		memcmp(p->iv_ptr, zero, sizeof(zero)) != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	if (atomic_load(&ctl->same_iv) != 0) {
		memset(p->iv_ptr, 0x11, sizeof(zero));
		return CKR_OK;
	}
	return real->C_GenerateRandom(s, p->iv_ptr, p->iv_len);
}

static CK_RV
check_gcm(CK_SESSION_HANDLE s, const CK_MECHANISM *m, CK_OBJECT_HANDLE key, bool encrypting)
{
	if (!may_use(s, key))
		return CKR_KEY_HANDLE_INVALID;
	if (m->mechanism != CKM_AES_GCM)
		return CKR_OK;
	CK_GCM_PARAMS *p = m->pParameter;
	if (m->ulParameterLen != sizeof(*p) || (atomic_load(&ctl->no_bits) != 0 && p->iv_bits != 0))
		return CKR_MECHANISM_PARAM_INVALID;
	/* What must never reach a module. */
	if (p->iv_len != 12 || p->tag_bits != 128 || p->aad_len == 0)
		abort();
	return encrypting && atomic_load(&ctl->hsm_iv) != 0 ? make_iv(s, p) : CKR_OK;
}

static CK_RV
shim_encrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_EncryptInit);
	CK_RV rv = check_gcm(s, m, key, true);
	if (rv != CKR_OK)
		return rv;
	state_of(s)->ecb_of_victim = m->mechanism == CKM_AES_ECB && is_victim(s, key);
	return real->C_EncryptInit(s, m, key);
}

static CK_RV
shim_encrypt(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len)
{
	CK_RV struck;
	bool hit = strike(P11SHIM_C_Encrypt, &struck);
	CK_RV rv = real->C_Encrypt(s, in, len, out, out_len);
	if (hit) /* an error ends the operation all the same */
		return struck;
	if (rv == CKR_OK && state_of(s)->ecb_of_victim && atomic_load(&ctl->other_kcv) != 0)
		out[0] ^= 0xff;
	return rv;
}

static CK_RV
shim_decrypt_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_DecryptInit);
	CK_RV rv = check_gcm(s, m, key, false);
	return rv != CKR_OK ? rv : real->C_DecryptInit(s, m, key);
}

static CK_RV
shim_decrypt(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len)
{
	CK_RV struck;
	bool hit = strike(P11SHIM_C_Decrypt, &struck);
	CK_RV rv = real->C_Decrypt(s, in, len, out, out_len);
	if (hit)
		return struck;
	if (rv != CKR_OK && atomic_load(&ctl->accept_tags) != 0) {
		*out_len = len - 16;
		return CKR_OK;
	}
	return rv;
}

static CK_RV
shim_get_session_info(CK_SESSION_HANDLE s, CK_SESSION_INFO *info)
{
	STRIKE(C_GetSessionInfo);
	return real->C_GetSessionInfo(s, info);
}

static CK_RV
shim_create_object(
	CK_SESSION_HANDLE s, CK_ATTRIBUTE *template, unsigned long count, CK_OBJECT_HANDLE *out)
{
	STRIKE(C_CreateObject);
	CK_RV rv = real->C_CreateObject(s, template, count, out);
	if (rv == CKR_OK)
		own(s, *out);
	return rv;
}

static CK_RV
shim_generate_key_pair(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *public,
	unsigned long public_count, CK_ATTRIBUTE *private, unsigned long private_count,
	CK_OBJECT_HANDLE *out_public, CK_OBJECT_HANDLE *out_private)
{
	STRIKE(C_GenerateKeyPair);
	CK_RV rv = real->C_GenerateKeyPair(
		s, m, public, public_count, private, private_count, out_public, out_private);
	if (rv == CKR_OK) {
		own(s, *out_public);
		own(s, *out_private);
	}
	return rv;
}

static CK_RV
shim_sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_SignInit);
	return may_use(s, key) ? real->C_SignInit(s, m, key) : CKR_KEY_HANDLE_INVALID;
}

static CK_RV
shim_sign(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len)
{
	CK_RV struck;
	bool hit = strike(P11SHIM_C_Sign, &struck);
	CK_RV rv = real->C_Sign(s, in, len, out, out_len);
	if (hit) /* an error ends the operation all the same */
		return struck;
	if (rv == CKR_OK && atomic_load(&ctl->wrong_signatures) != 0)
		out[*out_len - 1] ^= 1;
	return rv;
}

static CK_RV
shim_verify_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_VerifyInit);
	return may_use(s, key) ? real->C_VerifyInit(s, m, key) : CKR_KEY_HANDLE_INVALID;
}

static CK_RV
shim_verify(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *signature,
	unsigned long signature_len)
{
	CK_RV struck;
	bool hit = strike(P11SHIM_C_Verify, &struck);
	CK_RV rv = real->C_Verify(s, in, len, signature, signature_len);
	return hit ? struck : rv;
}

static bool
open_control(void)
{
	const char *path = getenv("P11SHIM_CONTROL");
	if (path == NULL)
		return false;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	void *map = mmap(NULL, sizeof(*ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return false;
	ctl = map;
	return true;
}

static bool
open_real(void)
{
	const char *path = getenv("P11SHIM_MODULE");
	void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	CK_RV (*get_list)(CK_FUNCTION_LIST **);

	if (library == NULL)
		return false;
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	return get_list != NULL && get_list(&real) == CKR_OK;
}

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **out)
{
	if (real == NULL && (!open_control() || !open_real()))
		return CKR_GENERAL_ERROR;
	list = *real;
	list.C_Initialize = shim_initialize;
	list.C_Finalize = shim_finalize;
	list.C_GetSlotList = shim_get_slot_list;
	list.C_GetTokenInfo = shim_get_token_info;
	list.C_GetMechanismInfo = shim_get_mechanism_info;
	list.C_OpenSession = shim_open_session;
	list.C_CloseSession = shim_close_session;
	list.C_Login = shim_login;
	list.C_FindObjectsInit = shim_find_init;
	list.C_FindObjects = shim_find;
	list.C_FindObjectsFinal = shim_find_final;
	list.C_GetAttributeValue = shim_get_attributes;
	list.C_GenerateKey = shim_generate_key;
	list.C_DestroyObject = shim_destroy_object;
	list.C_GenerateRandom = shim_generate_random;
	list.C_EncryptInit = shim_encrypt_init;
	list.C_Encrypt = shim_encrypt;
	list.C_DecryptInit = shim_decrypt_init;
	list.C_Decrypt = shim_decrypt;
	list.C_GetSessionInfo = shim_get_session_info;
	list.C_CreateObject = shim_create_object;
	list.C_GenerateKeyPair = shim_generate_key_pair;
	list.C_SignInit = shim_sign_init;
	list.C_Sign = shim_sign;
	list.C_VerifyInit = shim_verify_init;
	list.C_Verify = shim_verify;
	*out = &list;
	return CKR_OK;
}
