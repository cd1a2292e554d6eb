/* signatures of keys in the HSM: through sealock.so and kmsd, beside the token called directly */
#include <openssl/crypto.h>
#include <libgen.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness/place.h"
#include "kms/kms_bench.h"
#include "kmsclient/life.h"

#define THREADS 8u
#define AAD_BYTES 64u

static struct ctx {
	char root[64];
	struct kb_daemon kmsd;
	struct kb_token raw_token;
	struct kb_raw *raw;
	OSSL_LIB_CTX *libctx;
	EVP_PKEY *keys[2]; /* P-256, RSA_2048 */
	unsigned ops;
	bool failed;
} ctx;

/* --- what is compared --- */

static void
raw_loop(void *arg)
{
	(void)arg;
	if (!kb_raw_sign(ctx.raw, ctx.ops))
		ctx.failed = true;
}

static bool
sign(EVP_PKEY *key, unsigned count)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char signature[512];
	bool good = md != NULL;

	for (unsigned i = 0; good && i < count; i++) {
		size_t len = sizeof(signature);
		good = EVP_DigestSignInit_ex(md, NULL, "SHA256", ctx.libctx, NULL, key, NULL) ==
				1 &&
			EVP_DigestSign(md, signature, &len, (const unsigned char *)&i, sizeof(i)) ==
				1;
	}
	EVP_MD_CTX_free(md);
	return good;
}

static void
alone(void *arg)
{
	if (!sign(arg, ctx.ops))
		ctx.failed = true;
}

static void *
thread(void *arg)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all); /* the bench itself sits on one core */
	return sign(arg, ctx.ops / THREADS) ? arg : NULL;
}

static void
eight_at_once(void *arg)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread, arg) != 0)
			abort();
	for (unsigned i = 0; i < THREADS; i++) {
		void *result;
		if (pthread_join(threads[i], &result) != 0 || result == NULL)
			ctx.failed = true;
	}
}

/* --- set-up --- */

static EVP_PKEY *
open_key(const char *uri)
{
	OSSL_STORE_CTX *store =
		OSSL_STORE_open_ex(uri, ctx.libctx, NULL, NULL, NULL, NULL, NULL, NULL);
	OSSL_STORE_INFO *info = store != NULL ? OSSL_STORE_load(store) : NULL;
	EVP_PKEY *key = info != NULL ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;

	OSSL_STORE_INFO_free(info);
	if (store != NULL)
		OSSL_STORE_close(store);
	return key;
}

static int
make_key(const char *spec, EVP_PKEY **out, struct slk_error *err)
{
	const struct kmsc_key_kind kind = {.spec = spec, .usage = "SIGN_VERIFY"};
	struct kmsc_key *key = malloc(sizeof(*key));
	struct kmsc *c = NULL;
	char uri[KMSC_ARN_MAX + 16];

	int rc = key != NULL ? kmsc_new(ctx.kmsd.socket, 20000, &c) : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = kmsc_create_key_with(c, &kind, key, err);
	if (rc == SLK_OK) {
		snprintf(uri, sizeof(uri), "sealock:%s", key->arn);
		*out = open_key(uri);
		if (*out == NULL)
			rc = slk_fail(err, SLK_INTERNAL, "the provider does not open %s", uri);
	}
	kmsc_free(c);
	free(key);
	return rc;
}

static int
load_provider(struct slk_error *err)
{
	if (setenv("SEALOCK_KMS_SOCKET", ctx.kmsd.socket, 1) != 0)
		return slk_fail_errno(err, "setenv");
	char module[BENCH_PLACE_MAX];
	int rc = bench_place(BENCH_PROVIDER, module, err);
	if (rc != SLK_OK)
		return rc;
	ctx.libctx = OSSL_LIB_CTX_new();
	if (ctx.libctx == NULL ||
		OSSL_PROVIDER_set_default_search_path(ctx.libctx, dirname(module)) != 1 ||
		OSSL_PROVIDER_load(ctx.libctx, "default") == NULL ||
		OSSL_PROVIDER_load(ctx.libctx, "sealock") == NULL)
		return slk_fail(
			err, SLK_UNSUPPORTED, "cannot load the provider from %.256s", module);
	return SLK_OK;
}

static int
set_up(struct slk_error *err)
{
	strcpy(ctx.root, "/tmp/sealock-signatures.XXXXXX");
	if (mkdtemp(ctx.root) == NULL)
		return slk_fail_errno(err, "cannot make a directory in /tmp");
	ctx.kmsd = (struct kb_daemon){.name = "kmsd"};
	char command[96];
	snprintf(command, sizeof(command), "chmod 0755 %s", ctx.root);
	int rc = system(command) == 0 ? kb_token_make(&ctx.raw_token, ctx.root, false, err)
				      : SLK_SYSTEM;
	if (rc == SLK_OK)
		rc = kb_raw_new(&ctx.raw_token, AAD_BYTES, &ctx.raw, err);
	if (rc == SLK_OK)
		rc = kb_daemon_start(&ctx.kmsd, ctx.root, err);
	if (rc == SLK_OK)
		rc = load_provider(err);
	if (rc == SLK_OK)
		rc = make_key("ECC_NIST_P256", &ctx.keys[0], err);
	return rc == SLK_OK ? make_key("RSA_2048", &ctx.keys[1], err) : rc;
}

static void
tear_down(void)
{
	char command[96];

	EVP_PKEY_free(ctx.keys[0]);
	EVP_PKEY_free(ctx.keys[1]);
	OSSL_LIB_CTX_free(ctx.libctx);
	kb_raw_free(ctx.raw);
	kb_daemon_stop(&ctx.kmsd);
	snprintf(command, sizeof(command), "rm -rf %s", ctx.root);
	if (system(command) != 0)
		fprintf(stderr, "bench signatures: %s stays behind\n", ctx.root);
}

static int
compare(struct bench *b, unsigned kind, struct slk_error *err)
{
	static const char *const labels[] = {"P-256", "RSA_2048"};
	const struct bench_contender contenders[] = {{"raw PKCS#11", raw_loop, NULL},
		{"sealock.so, 8 threads", eight_at_once, ctx.keys[kind]},
		{"sealock.so, alone", alone, ctx.keys[kind]}};
	struct bench_stats stats[3];
	char goal[128];

	ctx.ops = bench_quick(b) ? 16 : 400;
	const struct bench_shape shape = {
		.group = "signatures", .label = labels[kind], .ops = ctx.ops};
	int rc = kb_raw_pair(ctx.raw, kind == 1, err);
	if (rc != SLK_OK)
		return rc;
	bench_compare(b, &shape, contenders, 3, stats);
	snprintf(goal, sizeof(goal),
		"issue 7: %s through kmsd with 8 in flight >= 0.85 x a raw PKCS#11 loop",
		labels[kind]);
	bench_goal(b, goal, 0.85, stats[0].best / stats[1].best, true);
	bench_note(b,
		"%s alone: %.0f us, the raw loop takes %.0f us; a line of the audit log is on the "
		"disk before each signature",
		labels[kind], stats[2].best / 1000, stats[0].best / 1000);
	return SLK_OK;
}

int
main(int argc, char **argv)
{
	struct slk_error err = {0};
	struct bench *b;

	int rc = bench_new(argc, argv, "signatures", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? 0 : 2;
	bench_library(b, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
	rc = set_up(&err);
	if (rc == SLK_OK)
		bench_library(b, "softhsm", kb_raw_version(ctx.raw));
	const struct bench_contender names[] = {{"raw PKCS#11", NULL, NULL},
		{"sealock.so, 8 threads", NULL, NULL}, {"sealock.so, alone", NULL, NULL}};
	if (rc == SLK_OK)
		bench_heading(b, "signatures, SHA-256", names, 3);
	for (unsigned kind = 0; rc == SLK_OK && kind < 2; kind++)
		rc = compare(b, kind, &err);
	tear_down();
	if (rc != SLK_OK || ctx.failed)
		return bench_abort(b, "%s", rc != SLK_OK ? err.text : "a signature failed");
	return bench_finish(b);
}
