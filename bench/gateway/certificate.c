#include "gateway/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (x == NULL)
		return NULL;
	X509_NAME *name = X509_get_subject_name(x);
	if (X509_set_version(x, X509_VERSION_3) != 1 ||
		ASN1_INTEGER_set(X509_get_serialNumber(x), 1) != 1 ||
		X509_gmtime_adj(X509_getm_notBefore(x), -60) == NULL ||
		X509_gmtime_adj(X509_getm_notAfter(x), 86400) == NULL ||
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0) != 1 ||
		X509_set_issuer_name(x, name) != 1 || X509_set_pubkey(x, key) != 1 ||
		X509_sign(x, key, EVP_sha256()) == 0) {
		X509_free(x);
		return NULL;
	}
	return x;
}

static int
write_pem(const char *dir, const char *name, EVP_PKEY *key, X509 *certificate)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	BIO *bio = BIO_new_file(path, "w");
	if (bio == NULL)
		return SLK_IO;
	int ok = key != NULL ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
			     : PEM_write_bio_X509(bio, certificate);
	BIO_free(bio);
	return ok == 1 ? SLK_OK : SLK_IO;
}

int
gwb_certificate_make(const char *dir)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key != NULL ? make_certificate(key) : NULL;
	int rc = certificate != NULL ? write_pem(dir, "cert.pem", NULL, certificate) : SLK_INTERNAL;

	if (rc == SLK_OK)
		rc = write_pem(dir, "key.pem", key, NULL);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return rc;
}
