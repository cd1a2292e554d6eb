/* The fault shim: a PKCS#11 module in front of another, see p11shim.h. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "p11shim_inner.h"

#define HANDLES 65536u
#define SESSIONS 4096u
#define LOCKED_BYTE (1 << 20) /* of the control file, far behind its end */

struct p11shim *p11shim_ctl;
CK_FUNCTION_LIST *p11shim_real;
static CK_FUNCTION_LIST list;

static struct session sessions[SESSIONS];
static int control_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of owners */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t open_sessions;
static _Atomic CK_SESSION_HANDLE last_session;
static _Atomic CK_SLOT_ID last_slot;
static struct {
	CK_OBJECT_HANDLE handle;
	CK_SESSION_HANDLE owner;
} owners[HANDLES];

struct session *
p11shim_state_of(CK_SESSION_HANDLE s)
{
	return &sessions[s % SESSIONS];
}

static void
pause_us(uint64_t us)
{
	struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

	(void)nanosleep(&ts, NULL);
}

/* A delay ends early when its fault is healed. */
static void
wait_for(const struct p11shim_fault *fault, uint64_t us)
{
	const uint64_t slice_us = 5000;

	for (; us > slice_us && atomic_load(&fault->first) != 0; us -= slice_us)
		pause_us(slice_us);
	if (us <= slice_us && us > 0)
		pause_us(us);
}

static bool
is_throttled(enum p11shim_function f)
{
	uint32_t every = atomic_load(&ctl->throttle_every);

	if (every == 0 ||
		(f != P11SHIM_C_EncryptInit && f != P11SHIM_C_DecryptInit &&
			f != P11SHIM_C_GenerateRandom && f != P11SHIM_C_FindObjectsInit))
		return false;
	return (atomic_fetch_add(&ctl->throttled, 1) + 1) % every == 0;
}

bool
p11shim_strike(enum p11shim_function f, CK_RV *out_rv)
{
	struct p11shim_fault *fault = &ctl->faults[f];
	uint64_t n = atomic_fetch_add(&fault->calls, 1) + 1;
	uint64_t first = atomic_load(&fault->first);
	uint64_t every_us = atomic_load(&ctl->every_delay_us);

	if (every_us > 0)
		pause_us(every_us);
	if (atomic_exchange(&ctl->lose_login, 0) != 0)
		(void)real->C_Logout(last_session);
	if (atomic_exchange(&ctl->lose_sessions, 0) != 0)
		(void)real->C_CloseAllSessions(last_slot);
	if (first != 0 && n >= first && n <= atomic_load(&fault->last)) {
		wait_for(fault, atomic_load(&fault->delay_us));
		*out_rv = atomic_load(&fault->rv);
		if (*out_rv == P11SHIM_CRASH)
			(void)raise(SIGKILL);
		if (*out_rv != CKR_OK)
			return true;
	}
	if (atomic_load(&ctl->gone) != 0 && f != P11SHIM_C_Initialize && f != P11SHIM_C_Finalize) {
		*out_rv = CKR_DEVICE_REMOVED;
		return true;
	}
	*out_rv = CKR_FUNCTION_FAILED;
	return is_throttled(f);
}

static void
lock_file(short type)
{
	struct flock range = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = LOCKED_BYTE, .l_len = 1};

	while (fcntl(control_fd, F_OFD_SETLKW, &range) != 0 && errno == EINTR)
		;
}

void
p11shim_turn_begin(void)
{
	pthread_mutex_lock(&turn);
	lock_file(F_WRLCK);
}

void
p11shim_turn_end(void)
{
	lock_file(F_UNLCK);
	pthread_mutex_unlock(&turn);
}

/* A function that only counts and fails. */
#define PLAIN(name, function, parameters, arguments) \
	static CK_RV function parameters \
	{ \
		STRIKE(name); \
		return REAL(name arguments); \
	}

PLAIN(C_Finalize, shim_finalize, (void *reserved), (reserved))
PLAIN(C_GetTokenInfo, shim_get_token_info, (CK_SLOT_ID slot, CK_TOKEN_INFO *info), (slot, info))
PLAIN(C_GetSlotInfo, shim_get_slot_info, (CK_SLOT_ID slot, CK_SLOT_INFO *info), (slot, info))
PLAIN(C_FindObjectsFinal, shim_find_final, (CK_SESSION_HANDLE s), (s))
PLAIN(C_GetSessionInfo, shim_get_session_info, (CK_SESSION_HANDLE s, CK_SESSION_INFO *info),
	(s, info))
PLAIN(C_Logout, shim_logout, (CK_SESSION_HANDLE s), (s))
PLAIN(C_SetAttributeValue, shim_set_attributes,
	(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, unsigned long count),
	(s, object, template, count))
PLAIN(C_WrapKey, shim_wrap_key,
	(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key,
		unsigned char *out, unsigned long *out_len),
	(s, m, by, key, out, out_len))
PLAIN(C_UnwrapKey, shim_unwrap_key,
	(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE by, unsigned char *in,
		unsigned long len, CK_ATTRIBUTE *template, unsigned long count,
		CK_OBJECT_HANDLE *out),
	(s, m, by, in, len, template, count, out))
PLAIN(C_DeriveKey, shim_derive_key,
	(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *template,
		unsigned long count, CK_OBJECT_HANDLE *out),
	(s, m, base, template, count, out))

static CK_RV
shim_initialize(void *args)
{
	static const char chat[] = P11SHIM_CHAT "\n";
	STRIKE(C_Initialize);
	if (atomic_load(&ctl->chatty) != 0 && write(STDOUT_FILENO, chat, sizeof(chat) - 1) < 0)
		return CKR_GENERAL_ERROR;
	const CK_C_INITIALIZE_ARGS *a = args;
	/* The worker has to ask for locks: a module without them breaks under two threads. */
	if (a == NULL || (a->flags & CKF_OS_LOCKING_OK) == 0)
		return CKR_CANT_LOCK;
	atomic_store(&open_sessions, 0);
	return REAL(C_Initialize(args));
}

static CK_RV
shim_get_slot_list(unsigned char present, CK_SLOT_ID *slots, unsigned long *count)
{
	CK_RV rv;
	if (p11shim_strike(P11SHIM_C_GetSlotList, &rv)) {
		*count = 0;
		return atomic_load(&ctl->gone) != 0 ? CKR_OK : rv;
	}
	return REAL(C_GetSlotList(present, slots, count));
}

/* CKM_CLOUDHSM_AES_GCM stands beside CKM_AES_GCM. */
static CK_RV
shim_get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *types, unsigned long *count)
{
	STRIKE(C_GetMechanismList);
	unsigned long room = *count;
	bool more = atomic_load(&ctl->prefix_gcm) != 0;
	if (types != NULL && more && room > 0)
		(*count)--;
	CK_RV rv = REAL(C_GetMechanismList(slot, types, count));
	if (rv != CKR_OK || !more)
		return rv;
	if (types != NULL && *count < room)
		types[*count] = CLOUDHSM_AES_GCM;
	(*count)++;
	return CKR_OK;
}

static CK_RV
shim_get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	STRIKE(C_GetMechanismInfo);
	if (type == CKM_AES_GCM && atomic_load(&ctl->no_gcm) != 0)
		return CKR_MECHANISM_INVALID;
	if (type == CLOUDHSM_AES_GCM && atomic_load(&ctl->prefix_gcm) != 0)
		type = CKM_AES_GCM;
	return REAL(C_GetMechanismInfo(slot, type, info));
}

static CK_RV
shim_open_session(
	CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *out)
{
	STRIKE(C_OpenSession);
	uint32_t most = atomic_load(&ctl->sessions_max);
	if (atomic_load(&ctl->need_rw) != 0 && (flags & CKF_RW_SESSION) == 0)
		return CKR_FUNCTION_FAILED;
	if (most != 0 && atomic_load(&open_sessions) >= most)
		return CKR_SESSION_COUNT;
	CK_RV rv = REAL(C_OpenSession(slot, flags, app, notify, out));
	if (rv == CKR_OK) {
		atomic_fetch_add(&open_sessions, 1);
		last_session = *out;
		last_slot = slot;
	}
	return rv;
}

/* Handles die with the session that found them. */
static void
disown(CK_SESSION_HANDLE s, bool all)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < HANDLES; i++) {
		if (all || owners[i].owner == s)
			owners[i].handle = owners[i].owner = 0;
	}
	pthread_mutex_unlock(&lock);
}

static CK_RV
shim_close_session(CK_SESSION_HANDLE s)
{
	STRIKE(C_CloseSession);
	CK_RV rv = REAL(C_CloseSession(s));
	if (rv == CKR_OK) {
		atomic_fetch_sub(&open_sessions, 1);
		disown(s, false);
	}
	return rv;
}

static CK_RV
shim_close_all_sessions(CK_SLOT_ID slot)
{
	STRIKE(C_CloseAllSessions);
	atomic_store(&open_sessions, 0);
	disown(0, true);
	return REAL(C_CloseAllSessions(slot));
}

static CK_RV
shim_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, unsigned char *pin, unsigned long len)
{
	STRIKE(C_Login);
	uint32_t tries = atomic_load(&ctl->pin_tries);
	if (tries > 0 && atomic_load(&ctl->wrong_pins) >= tries)
		return CKR_PIN_LOCKED;
	CK_RV rv = atomic_load(&ctl->need_user) != 0 && memchr(pin, ':', len) == NULL
		? CKR_PIN_INCORRECT
		: REAL(C_Login(s, user, pin, len));
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

bool
p11shim_is_victim(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
	uint8_t id[16];
	CK_ATTRIBUTE a = {CKA_ID, id, sizeof(id)};

	return atomic_load(&ctl->victim) != 0 &&
		REAL(C_GetAttributeValue(s, object, &a, 1)) == CKR_OK &&
		is_victim_id(id, a.ulValueLen);
}

static CK_RV
shim_find_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE *template, unsigned long count)
{
	STRIKE(C_FindObjectsInit);
	struct session *st = p11shim_state_of(s);
	st->searching_victim = false;
	for (unsigned long i = 0; i < count; i++)
		st->searching_victim |= template[i].type == CKA_ID &&
			is_victim_id(template[i].pValue, template[i].ulValueLen);
	return REAL(C_FindObjectsInit(s, template, count));
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

bool
p11shim_may_use(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE handle)
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
	struct session *st = p11shim_state_of(s);
	CK_RV rv = REAL(C_FindObjects(s, handles, max, count));
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
shim_get_attributes(
	CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, unsigned long count)
{
	STRIKE(C_GetAttributeValue);
	if (!p11shim_may_use(s, object))
		return CKR_OBJECT_HANDLE_INVALID;
	CK_RV rv = REAL(C_GetAttributeValue(s, object, template, count));
	if (atomic_load(&ctl->extractable) == 0 || !p11shim_is_victim(s, object))
		return rv;
	for (unsigned long i = 0; i < count; i++) {
		if (template[i].type == CKA_EXTRACTABLE && template[i].pValue != NULL)
			*(CK_BBOOL *)template[i].pValue = CK_TRUE;
	}
	return rv;
}

static bool
id_exists(CK_SESSION_HANDLE s, const CK_ATTRIBUTE *id)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE wanted[] = {*id, {CKA_TOKEN, &yes, sizeof(yes)}};
	CK_OBJECT_HANDLE found;
	unsigned long count = 0;

	if (real->C_FindObjectsInit(s, wanted, 2) != CKR_OK)
		return false;
	if (real->C_FindObjects(s, &found, 1, &count) != CKR_OK)
		count = 0;
	(void)real->C_FindObjectsFinal(s);
	return count > 0;
}

/* What a template of a new object may not say. */
static CK_RV
check_template(CK_SESSION_HANDLE s, const CK_ATTRIBUTE *template, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		if (template[i].type == CKA_COPYABLE && atomic_load(&ctl->no_copyable) != 0)
			return CKR_ATTRIBUTE_TYPE_INVALID;
		if (template[i].type == CKA_ID && atomic_load(&ctl->unique_ids) != 0 &&
			id_exists(s, &template[i]))
			return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	return CKR_OK;
}

static CK_RV
shim_generate_key(CK_SESSION_HANDLE s, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template,
	unsigned long count, CK_OBJECT_HANDLE *out)
{
	STRIKE(C_GenerateKey);
	CK_RV rv = check_template(s, template, count);
	if (rv == CKR_OK)
		rv = REAL(C_GenerateKey(s, mechanism, template, count, out));
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
	CK_RV rv = check_template(s, private, private_count);
	if (rv == CKR_OK)
		rv = REAL(C_GenerateKeyPair(s, m, public, public_count, private, private_count,
			out_public, out_private));
	if (rv == CKR_OK) {
		own(s, *out_public);
		own(s, *out_private);
	}
	return rv;
}

static CK_RV
shim_create_object(
	CK_SESSION_HANDLE s, CK_ATTRIBUTE *template, unsigned long count, CK_OBJECT_HANDLE *out)
{
	STRIKE(C_CreateObject);
	CK_RV rv = REAL(C_CreateObject(s, template, count, out));
	if (rv == CKR_OK)
		own(s, *out);
	return rv;
}

static CK_RV
shim_copy_object(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
	unsigned long count, CK_OBJECT_HANDLE *out)
{
	STRIKE(C_CopyObject);
	return atomic_load(&ctl->no_copyable) != 0
		? CKR_FUNCTION_NOT_SUPPORTED
		: REAL(C_CopyObject(s, object, template, count, out));
}

static CK_RV
shim_destroy_object(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
	STRIKE(C_DestroyObject);
	return p11shim_may_use(s, object) ? REAL(C_DestroyObject(s, object))
					  : CKR_OBJECT_HANDLE_INVALID;
}

static CK_RV
shim_generate_random(CK_SESSION_HANDLE s, unsigned char *out, unsigned long len)
{
	STRIKE(C_GenerateRandom);
	if (atomic_load(&ctl->same_random) != 0) {
		memset(out, 0x77, len);
		return CKR_OK;
	}
	return REAL(C_GenerateRandom(s, out, len));
}

static CK_RV
shim_sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_SignInit);
	return p11shim_may_use(s, key) ? REAL(C_SignInit(s, m, key)) : CKR_KEY_HANDLE_INVALID;
}

static CK_RV
shim_sign(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *out,
	unsigned long *out_len)
{
	CK_RV struck;
	bool hit = p11shim_strike(P11SHIM_C_Sign, &struck);
	CK_RV rv = REAL(C_Sign(s, in, len, out, out_len));
	if (hit)
		return struck;
	if (rv == CKR_OK && atomic_load(&ctl->wrong_signatures) != 0)
		out[*out_len - 1] ^= 1;
	return rv;
}

static CK_RV
shim_verify_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	STRIKE(C_VerifyInit);
	return p11shim_may_use(s, key) ? REAL(C_VerifyInit(s, m, key)) : CKR_KEY_HANDLE_INVALID;
}

static CK_RV
shim_verify(CK_SESSION_HANDLE s, unsigned char *in, unsigned long len, unsigned char *signature,
	unsigned long signature_len)
{
	CK_RV struck;
	bool hit = p11shim_strike(P11SHIM_C_Verify, &struck);
	CK_RV rv = REAL(C_Verify(s, in, len, signature, signature_len));
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
	if (map == MAP_FAILED) {
		close(fd);
		return false;
	}
	ctl = map;
	control_fd = fd;
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
	list.C_EncryptInit = p11shim_encrypt_init;
	list.C_Encrypt = p11shim_encrypt;
	list.C_DecryptInit = p11shim_decrypt_init;
	list.C_Decrypt = p11shim_decrypt;
	list.C_GetSessionInfo = shim_get_session_info;
	list.C_CreateObject = shim_create_object;
	list.C_GenerateKeyPair = shim_generate_key_pair;
	list.C_SignInit = shim_sign_init;
	list.C_Sign = shim_sign;
	list.C_VerifyInit = shim_verify_init;
	list.C_Verify = shim_verify;
	list.C_GetSlotInfo = shim_get_slot_info;
	list.C_GetMechanismList = shim_get_mechanism_list;
	list.C_CloseAllSessions = shim_close_all_sessions;
	list.C_Logout = shim_logout;
	list.C_CopyObject = shim_copy_object;
	list.C_SetAttributeValue = shim_set_attributes;
	list.C_WrapKey = shim_wrap_key;
	list.C_UnwrapKey = shim_unwrap_key;
	list.C_DeriveKey = shim_derive_key;
	*out = &list;
	return CKR_OK;
}
