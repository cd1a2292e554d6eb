#include "datakey.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "kms.h"

#define LABEL "sealock named data key 1"
#define KEPT_NS (300 * SLK_NS_PER_S)
#define KEPT_MAX 64u
#define KEY_BYTES 32u

struct kept {
	uint8_t handle[FMT_DATAKEY_HANDLE_BYTES];
	struct slk_secret *key; /* NULL: the place is free */
	uint64_t since_ns;
};

struct prov_data_keys {
	_Atomic pid_t holder; /* of the table; 0: nobody */
	pid_t pid; /* secrets are wiped in a child */
	struct kept kept[KEPT_MAX];
};

/* Who holds the table when the process forks does not give it back in the child: a holder of another process is none. */
static void
lock(struct prov_data_keys *keys)
{
	const struct timespec pause = {.tv_nsec = 200000};
	const pid_t self = getpid();

	for (;;) {
		pid_t holder = 0;
		if (atomic_compare_exchange_strong(&keys->holder, &holder, self) ||
			(holder != self &&
				atomic_compare_exchange_strong(&keys->holder, &holder, self)))
			return;
		(void)nanosleep(&pause, NULL);
	}
}

static void
unlock(struct prov_data_keys *keys)
{
	atomic_store(&keys->holder, 0);
}

/* --- what is kept; under the lock --- */

static void
forget(struct kept *kept)
{
	slk_secret_free(kept->key);
	kept->key = NULL;
}

static void
forget_old(struct prov_data_keys *keys, uint64_t now)
{
	const bool child = keys->pid != getpid();

	for (size_t i = 0; i < KEPT_MAX; i++)
		if (child || now - keys->kept[i].since_ns >= KEPT_NS)
			forget(&keys->kept[i]);
	keys->pid = getpid();
}

/* NULL: it is not there. */
static struct kept *
find(struct prov_data_keys *keys, const uint8_t *handle)
{
	for (size_t i = 0; i < KEPT_MAX; i++)
		if (keys->kept[i].key != NULL &&
			memcmp(keys->kept[i].handle, handle, FMT_DATAKEY_HANDLE_BYTES) == 0)
			return &keys->kept[i];
	return NULL;
}

/* A free place, or that of the oldest. */
static struct kept *
place(struct prov_data_keys *keys)
{
	struct kept *oldest = &keys->kept[0];

	for (size_t i = 0; i < KEPT_MAX; i++) {
		if (keys->kept[i].key == NULL)
			return &keys->kept[i];
		if (keys->kept[i].since_ns < oldest->since_ns)
			oldest = &keys->kept[i];
	}
	forget(oldest);
	return oldest;
}

/* --- fetching --- */

/* Does the handle's end fit its beginning? */
static bool
handle_is_sound(const struct prov *prov, const uint8_t *handle, uint8_t id[FMT_DATAKEY_ID_BYTES])
{
	uint8_t hash[32];
	size_t len = 0;

	return fmt_datakey_handle_id(handle, id) == SLK_OK &&
		EVP_Q_digest(prov->libctx, "SHA256", NULL, handle, FMT_DATAKEY_HANDLE_HASHED, hash,
			&len) == 1 &&
		memcmp(hash, handle + FMT_DATAKEY_HANDLE_HASHED,
			FMT_DATAKEY_HANDLE_BYTES - FMT_DATAKEY_HANDLE_HASHED) == 0;
}

static bool
read_file(const struct prov *prov, const uint8_t *id, uint8_t *out, size_t *out_len)
{
	char name[FMT_DATAKEY_FILE_NAME_MAX], path[4096];
	const char *dir = prov->data_keys_dir != NULL ? prov->data_keys_dir : PROV_DATA_KEYS_DIR;

	fmt_datakey_file_name(id, name);
	int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = len > 0 && (size_t)len < sizeof(path)
		? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
		: -1;
	ssize_t n = fd >= 0 ? read(fd, out, FMT_DATAKEY_FILE_MAX + 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n > 0) {
		*out_len = (size_t)n;
		return true;
	}
	prov_raise(prov, PROV_E_DATA_KEY,
		"cannot read %s; 'sealock key data list' shows what is there", path);
	return false;
}

static bool
unwrap(struct prov *prov, const struct fmt_datakey *file, struct slk_secret **out)
{
	struct fmt_context *context = NULL;

	if (fmt_datakey_context(file->name, &context) != SLK_OK) {
		prov_raise(prov, PROV_E_MEMORY, NULL);
		return false;
	}
	bool good = prov_kms_unwrap(prov, context, file->blob, out);
	fmt_context_free(context);
	if (good && slk_secret_len(*out) != KEY_BYTES) {
		prov_raise(prov, PROV_E_DATA_KEY, "%s is no key of 256 bits", file->name);
		slk_secret_free(*out);
		return false;
	}
	return good;
}

static bool
fetch(struct prov *prov, const uint8_t *handle, struct slk_secret **out)
{
	uint8_t bytes[FMT_DATAKEY_FILE_MAX + 1], id[FMT_DATAKEY_ID_BYTES];
	struct fmt_datakey file;
	size_t len = 0;

	if (!handle_is_sound(prov, handle, id)) {
		prov_raise(prov, PROV_E_DATA_KEY,
			"the key is no handle of a data key; 'sealock key data create NAME' makes "
			"one");
		return false;
	}
	if (!read_file(prov, id, bytes, &len))
		return false;
	if (fmt_datakey_decode(slk_span(bytes, len), &file) != SLK_OK ||
		memcmp(file.id, id, sizeof(id)) != 0) {
		prov_raise(prov, PROV_E_DATA_KEY, "the file of the data key is damaged");
		return false;
	}
	return unwrap(prov, &file, out);
}

/* Found or fetched; NULL: an error was raised. */
static const struct slk_secret *
get(struct prov *prov, const uint8_t *handle)
{
	struct prov_data_keys *keys = prov->data_keys;
	struct slk_secret *key = NULL;

	forget_old(keys, slk_mono_ns(slk_clock_system()));
	struct kept *kept = find(keys, handle);
	if (kept != NULL)
		return kept->key;
	if (!fetch(prov, handle, &key))
		return NULL;
	kept = place(keys);
	memcpy(kept->handle, handle, sizeof(kept->handle));
	kept->key = key;
	kept->since_ns = slk_mono_ns(slk_clock_system());
	return key;
}

/* --- the subkey --- */

static bool
derive(const struct prov *prov, const struct slk_secret *key, const uint8_t *handle,
	const uint8_t *salt, uint8_t *out)
{
	uint8_t info[sizeof(LABEL) - 1 + FMT_DATAKEY_HANDLE_BYTES];
	EVP_KDF *kdf = EVP_KDF_fetch(prov->libctx, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;

	memcpy(info, LABEL, sizeof(LABEL) - 1);
	memcpy(info + sizeof(LABEL) - 1, handle, FMT_DATAKEY_HANDLE_BYTES);
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA2-256", 8),
		OSSL_PARAM_octet_string(
			OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)slk_secret_peek(key), KEY_BYTES),
		OSSL_PARAM_octet_string(
			OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, PROV_SALT_BYTES),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info)),
		OSSL_PARAM_END,
	};
	bool good = ctx != NULL && EVP_KDF_derive(ctx, out, PROV_SUBKEY_BYTES, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	if (!good)
		prov_raise(prov, PROV_E_MEMORY, "HKDF failed");
	return good;
}

bool
prov_datakey_subkey(struct prov *prov, const uint8_t handle[FMT_DATAKEY_HANDLE_BYTES],
	const uint8_t salt[PROV_SALT_BYTES], uint8_t out[PROV_SUBKEY_BYTES])
{
	lock(prov->data_keys);
	const struct slk_secret *key = get(prov, handle);
	bool good = key != NULL && derive(prov, key, handle, salt, out);
	unlock(prov->data_keys);
	return good;
}

bool
prov_datakey_open(struct prov *prov)
{
	prov->data_keys = calloc(1, sizeof(*prov->data_keys));
	if (prov->data_keys == NULL)
		return false;
	prov->data_keys->pid = getpid();
	return true;
}

void
prov_datakey_close(struct prov *prov)
{
	if (prov->data_keys == NULL)
		return;
	for (size_t i = 0; i < KEPT_MAX; i++)
		forget(&prov->data_keys->kept[i]);
	free(prov->data_keys);
}
