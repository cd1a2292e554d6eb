#include "iterator_key.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

#define SECRET_MIN 32u
#define SECRET_MAX 65536u

static int
derive(const uint8_t *secret, size_t len, uint8_t out[GW_ITERATOR_KEY_BYTES])
{
	static const char name[] = "sealock-gatewayd: shard iterators, 1";
	unsigned n = 0;

	return HMAC(EVP_sha256(), secret, (int)len, (const uint8_t *)name, sizeof(name) - 1, out,
		       &n) != NULL &&
			n == GW_ITERATOR_KEY_BYTES
		? SLK_OK
		: SLK_INTERNAL;
}

static int
from_file(const char *path, uint8_t out[GW_ITERATOR_KEY_BYTES], struct slk_error *err)
{
	uint8_t secret[SECRET_MAX + 1];
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return slk_fail_errno(err, "iterator_key: cannot open %s", path);
	do {
		n = read(fd, secret + len, sizeof(secret) - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && len < sizeof(secret));
	close(fd);
	int rc = n < 0 ? slk_fail_errno(err, "iterator_key: cannot read %s", path)
		: len < SECRET_MIN || len > SECRET_MAX
		? slk_fail(err, SLK_CONFIG, "iterator_key: %s does not hold %u to %u bytes", path,
			  SECRET_MIN, SECRET_MAX)
		: derive(secret, len, out);
	slk_wipe(secret, sizeof(secret));
	return rc;
}

/* SLK_NOT_FOUND: not a private key that lies in the file itself. */
static int
from_private_key(const char *path, uint8_t out[GW_ITERATOR_KEY_BYTES])
{
	BIO *bio = BIO_new_file(path, "r");
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
	uint8_t *der = NULL;
	int len = key != NULL ? i2d_PrivateKey(key, &der) : -1;
	int rc = len > 0 ? derive(der, (size_t)len, out) : SLK_NOT_FOUND;

	if (len > 0)
		slk_wipe(der, (size_t)len);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return rc;
}

int
gw_iterator_key(const char *file, const char *tls_key, uint8_t out_key[GW_ITERATOR_KEY_BYTES],
	bool *out_found, struct slk_error *err)
{
	int rc = SLK_NOT_FOUND;

	*out_found = false;
	if (file != NULL)
		rc = from_file(file, out_key, err);
	else if (tls_key != NULL)
		rc = from_private_key(tls_key, out_key);
	if (rc == SLK_NOT_FOUND && file == NULL)
		return SLK_OK;
	*out_found = rc == SLK_OK;
	return rc;
}
