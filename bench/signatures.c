/* signatures of keys in the HSM: through sealock.so and kmsd, beside the token called directly; nginx's handshakes with them */
#include <libgen.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/place.h"
#include "kms/kms_bench.h"
#include "kmsclient/life.h"
#include "signatures/nginx.h"

#define THREADS 8u
#define AAD_BYTES 64u
#define PIN_MAX 64u
#define LIBP11 "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so"

static const struct kind {
	const char *label, *spec, *token_name, *newkey, *reference;
} kinds[2] = {
	{"P-256", "ECC_NIST_P256", "p256", "-newkey ec -pkeyopt ec_paramgen_curve:P-256", "EC"},
	{"RSA_2048", "RSA_2048", "rsa", "-newkey rsa:2048", "RSA"},
};

/* A kmsd, and an OpenSSL whose provider asks it. */
struct side {
	struct kb_daemon kmsd;
	OSSL_LIB_CTX *libctx;
	char config[2 * KB_PATH_MAX]; /* openssl.cnf's path */
	struct signer {
		struct side *side;
		EVP_PKEY *key;
		char uri[KMSC_ARN_MAX + 16];
	} keys[2];
};

static struct ctx {
	char root[64], shm[64];
	struct side disk, ram; /* where the audit log lies */
	struct kb_token raw_token;
	struct kb_raw *raw;
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
sign(const struct signer *s, unsigned count)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char signature[512];
	bool good = md != NULL;

	for (unsigned i = 0; good && i < count; i++) {
		size_t len = sizeof(signature);
		good = EVP_DigestSignInit_ex(
			       md, NULL, "SHA256", s->side->libctx, NULL, s->key, NULL) == 1 &&
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
open_key(OSSL_LIB_CTX *libctx, const char *uri)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
	OSSL_STORE_INFO *info = store != NULL ? OSSL_STORE_load(store) : NULL;
	EVP_PKEY *key = info != NULL ? OSSL_STORE_INFO_get1_PKEY(info) : NULL;

	OSSL_STORE_INFO_free(info);
	if (store != NULL)
		OSSL_STORE_close(store);
	return key;
}

static int
make_key(struct side *side, unsigned kind, struct slk_error *err)
{
	const struct kmsc_key_kind wish = {.spec = kinds[kind].spec, .usage = "SIGN_VERIFY"};
	struct kmsc_key *key = malloc(sizeof(*key));
	struct signer *s = &side->keys[kind];
	struct kmsc *c = NULL;

	int rc = key != NULL ? kmsc_new(side->kmsd.socket, 20000, &c) : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = kmsc_create_key_with(c, &wish, key, err);
	if (rc == SLK_OK) {
		s->side = side;
		snprintf(s->uri, sizeof(s->uri), "sealock:%s", key->arn);
		s->key = open_key(side->libctx, s->uri);
		if (s->key == NULL)
			rc = slk_fail(err, SLK_INTERNAL, "the provider does not open %s", s->uri);
	}
	kmsc_free(c);
	free(key);
	return rc;
}

/* openssl.cnf as deploy/openssl has it, for this kmsd; more than a second of patience, as the machine may be busy. */
static int
provider_config(const char *socket, char *out, size_t cap, struct slk_error *err)
{
	char module[BENCH_PLACE_MAX];
	int rc = bench_place(BENCH_PROVIDER, module, err);

	if (rc != SLK_OK)
		return rc;
	snprintf(out, cap,
		"openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\nsealock = s\n[d]\n"
		"activate = 1\n[s]\nmodule = %s\nactivate = 1\nkms_timeout_ms = 60000\n"
		"kms_socket = %s\n[req]\ndistinguished_name = n\n[n]\n",
		module, socket);
	return SLK_OK;
}

static int
open_side(struct side *side, struct slk_error *err)
{
	char text[BENCH_PLACE_MAX + 512];

	int rc = kb_daemon_start(&side->kmsd, ctx.root, err);
	if (rc == SLK_OK)
		rc = provider_config(side->kmsd.socket, text, sizeof(text), err);
	if (rc != SLK_OK)
		return rc;
	snprintf(side->config, sizeof(side->config), "%s/openssl.cnf", side->kmsd.dir);
	FILE *f = fopen(side->config, "we");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		return slk_fail_errno(err, "cannot write %s", side->config);
	side->libctx = OSSL_LIB_CTX_new();
	if (side->libctx == NULL || OSSL_LIB_CTX_load_config(side->libctx, side->config) != 1 ||
		OSSL_PROVIDER_available(side->libctx, "sealock") != 1)
		return slk_fail(
			err, SLK_UNSUPPORTED, "cannot load the provider by %s", side->config);
	rc = make_key(side, 0, err);
	return rc == SLK_OK ? make_key(side, 1, err) : rc;
}

static int
set_up(struct slk_error *err)
{
	strcpy(ctx.root, "/tmp/sealock-signatures.XXXXXX");
	if (mkdtemp(ctx.root) == NULL)
		return slk_fail_errno(err, "cannot make a directory in /tmp");
	snprintf(ctx.shm, sizeof(ctx.shm), "/dev/shm/sealock-signatures-%d", (int)getpid());
	/* Patience, as others may write to the disk. */
	ctx.disk.kmsd = (struct kb_daemon){.name = "disk", .audit_lines = "  deadline_ms: 60000\n"};
	ctx.ram.kmsd = (struct kb_daemon){.name = "ram", .audit_dir = ctx.shm};
	char command[96];
	snprintf(command, sizeof(command), "chmod 0755 %s", ctx.root);
	int rc = system(command) == 0 ? kb_token_make(&ctx.raw_token, ctx.root, false, err)
				      : SLK_SYSTEM;
	if (rc == SLK_OK)
		rc = kb_raw_new(&ctx.raw_token, AAD_BYTES, &ctx.raw, err);
	if (rc == SLK_OK)
		rc = open_side(&ctx.disk, err);
	return rc == SLK_OK ? open_side(&ctx.ram, err) : rc;
}

static void
close_side(struct side *side)
{
	EVP_PKEY_free(side->keys[0].key);
	EVP_PKEY_free(side->keys[1].key);
	OSSL_LIB_CTX_free(side->libctx);
	kb_daemon_stop(&side->kmsd);
}

static void
tear_down(void)
{
	char command[160];

	close_side(&ctx.ram);
	close_side(&ctx.disk);
	kb_raw_free(ctx.raw);
	snprintf(command, sizeof(command), "rm -rf %s %s", ctx.root, ctx.shm);
	if (system(command) != 0)
		fprintf(stderr, "bench signatures: %s stays behind\n", ctx.root);
}

/* --- signatures --- */

/* Of this process. */
static uint64_t
own_cpu_ns(void)
{
	struct timespec t = {0};

	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0
		? (uint64_t)t.tv_sec * SLK_NS_PER_S + (uint64_t)t.tv_nsec
		: 0;
}

/* Processor time per signature, which other programs on the machine change least. */
static void
note_cpu(struct bench *b, unsigned kind)
{
	struct kb_cpu before, after;
	const uint64_t began_ns = own_cpu_ns();

	kb_cpu_of(&ctx.ram.kmsd, &before);
	eight_at_once(&ctx.ram.keys[kind]);
	kb_cpu_of(&ctx.ram.kmsd, &after);
	const uint64_t ended_ns = own_cpu_ns();
	raw_loop(NULL);
	bench_note(b,
		"%s, 8 threads, audit in RAM: processor time per signature: worker %.1f us, front "
		"%.1f us, "
		"the program itself %.1f us; raw loop %.1f us",
		kinds[kind].label, (double)(after.worker_ns - before.worker_ns) / ctx.ops / 1e3,
		(double)(after.front_ns - before.front_ns) / ctx.ops / 1e3,
		(double)(ended_ns - began_ns) / ctx.ops / 1e3,
		(double)(own_cpu_ns() - ended_ns) / ctx.ops / 1e3);
}

static int
compare(struct bench *b, unsigned kind, struct slk_error *err)
{
	const struct bench_contender contenders[] = {{"raw PKCS#11", raw_loop, NULL},
		{"8 threads", eight_at_once, &ctx.disk.keys[kind]},
		{"8, audit in RAM", eight_at_once, &ctx.ram.keys[kind]},
		{"alone", alone, &ctx.disk.keys[kind]},
		{"alone, in RAM", alone, &ctx.ram.keys[kind]}};
	struct bench_stats stats[5];
	char goal[128];

	ctx.ops = bench_quick(b) ? 16 : 400;
	const struct bench_shape shape = {
		.group = "signatures", .label = kinds[kind].label, .ops = ctx.ops};
	int rc = kb_raw_pair(ctx.raw, kind == 1, err);
	if (rc != SLK_OK)
		return rc;
	bench_compare(b, &shape, contenders, 5, stats);
	snprintf(goal, sizeof(goal),
		"issue 7: %s through kmsd with 8 in flight >= 0.85 x a raw PKCS#11 loop",
		kinds[kind].label);
	bench_goal(b, goal, 0.85, stats[0].best / stats[1].best, true);
	bench_note(b,
		"%s: with the audit log in RAM, where only its flush costs nothing, %.2f x the raw "
		"loop",
		kinds[kind].label, stats[0].best / stats[2].best);
	bench_note(b, "%s alone: %.0f us, %.0f with the log in RAM; the raw loop takes %.0f us",
		kinds[kind].label, stats[3].best / 1000, stats[4].best / 1000,
		stats[0].best / 1000);
	note_cpu(b, kind);
	return SLK_OK;
}

/* --- nginx --- */

#define SERVERS 3u
#define LIBP11_AT 2u
#define WARM_UP 160u

static struct handshakes {
	struct sn_server server;
	bool failed;
} served[SERVERS] = {
	{.server.name = "file"}, {.server.name = "sealock"}, {.server.name = "libp11"}};

/* One that failed once is asked no more. */
static void
shake(void *arg)
{
	struct handshakes *h = arg;

	if (!h->failed && !sn_handshakes(&h->server, ctx.ops, THREADS))
		h->failed = true;
}

static int
start_file(unsigned kind, const char *dir, struct slk_error *err)
{
	const struct sn_key key = {.openssl = kinds[kind].newkey};

	return sn_start(&served[0].server, dir, "[req]\ndistinguished_name = n\n[n]\n", &key, err);
}

/* A PEM reference, as sealock key reference writes it. */
static int
write_reference(const char *path, unsigned kind, struct slk_error *err)
{
	unsigned char text[KMSC_ARN_MAX + 32], lines[2 * sizeof(text)];
	int len = snprintf((char *)text, sizeof(text), "%s %s\n", kinds[kind].reference,
		ctx.disk.keys[kind].uri);
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", path);
	EVP_EncodeBlock(lines, text, len);
	fputs("-----BEGIN SEALOCK KEY REFERENCE-----\n", f);
	for (size_t at = 0; at < strlen((char *)lines); at += 64)
		fprintf(f, "%.64s\n", (char *)lines + at);
	fputs("-----END SEALOCK KEY REFERENCE-----\n", f);
	return fclose(f) == 0 ? SLK_OK : slk_fail_errno(err, "cannot write %s", path);
}

static int
start_sealock(unsigned kind, const char *dir, struct slk_error *err)
{
	char config[BENCH_PLACE_MAX + 512], reference[160], arguments[KMSC_ARN_MAX + 32];
	const struct sn_key key = {.openssl = arguments, .nginx = reference};

	snprintf(reference, sizeof(reference), "%s/reference.pem", dir);
	snprintf(arguments, sizeof(arguments), "-key %s", ctx.disk.keys[kind].uri);
	int rc = provider_config(ctx.disk.kmsd.socket, config, sizeof(config), err);
	if (rc == SLK_OK)
		rc = write_reference(reference, kind, err);
	return rc == SLK_OK ? sn_start(&served[1].server, dir, config, &key, err) : rc;
}

static int
start_libp11(unsigned kind, const char *dir, struct slk_error *err)
{
	char config[1024], arguments[256], uri[160], pin[PIN_MAX] = "";
	const struct sn_key key = {.openssl = arguments, .nginx = uri};

	FILE *f = fopen(ctx.raw_token.pin_file, "re");
	bool read = f != NULL && fscanf(f, "%63s", pin) == 1;
	if (f == NULL || fclose(f) != 0 || !read)
		return slk_fail_errno(err, "cannot read %s", ctx.raw_token.pin_file);
	snprintf(config, sizeof(config),
		"openssl_conf = i\n[i]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\n"
		"dynamic_path = " LIBP11 "\nMODULE_PATH = " KB_SOFTHSM "\nPIN = %s\ninit = 1\n"
		"[req]\ndistinguished_name = n\n[n]\n",
		pin);
	snprintf(arguments, sizeof(arguments),
		"-engine pkcs11 -keyform engine -key 'pkcs11:object=%s;type=private'",
		kinds[kind].token_name);
	snprintf(uri, sizeof(uri), "engine:pkcs11:pkcs11:object=%s;type=private",
		kinds[kind].token_name);
	int rc = sn_start(&served[2].server, dir, config, &key, err);
	OPENSSL_cleanse(config, sizeof(config));
	OPENSSL_cleanse(pin, sizeof(pin));
	return rc;
}

/* Of libp11's engine, which may have hung: others' failures fail the bench. */
static void
libp11_text(const struct bench_stats *stats, char *out, size_t cap)
{
	if (served[LIBP11_AT].server.pid == 0)
		snprintf(out, cap, "not installed");
	else if (served[LIBP11_AT].failed)
		snprintf(out, cap, "a handshake failed or took more than 20 s");
	else
		snprintf(out, cap, "%.0f", 1e9 / stats->best);
}

static void
compare_servers(struct bench *b, unsigned kind, unsigned workers, unsigned count)
{
	struct bench_contender contenders[SERVERS];
	struct bench_stats stats[SERVERS];
	char label[64], theirs[64];

	for (unsigned i = 0; i < count; i++) {
		served[i].failed = false;
		contenders[i] = (struct bench_contender){served[i].server.name, shake, &served[i]};
	}
	/* With several workers it was seen to wait for ever: then it is no contender. */
	if (count == SERVERS && !sn_handshakes(&served[LIBP11_AT].server, WARM_UP, THREADS)) {
		served[LIBP11_AT].failed = true;
		count--;
	}
	snprintf(label, sizeof(label), "%s, %u worker%s", kinds[kind].label, workers,
		workers > 1 ? "s" : "");
	ctx.ops = bench_quick(b) ? 16 : 160;
	const struct bench_shape shape = {.group = "nginx", .label = label, .ops = ctx.ops};
	bench_compare(b, &shape, contenders, count, stats);
	ctx.failed = ctx.failed || served[0].failed || served[1].failed;
	libp11_text(&stats[LIBP11_AT], theirs, sizeof(theirs));
	bench_note(b,
		"nginx, %s, 8 clients: full handshakes per second with a key in a file %.0f, by "
		"sealock.so %.0f, by libp11's engine: %s",
		label, 1e9 / stats[0].best, 1e9 / stats[1].best, theirs);
}

static int
nginx(struct bench *b, unsigned kind, unsigned workers, bool with_libp11, struct slk_error *err)
{
	char dir[80];

	snprintf(dir, sizeof(dir), "%s/%s-%u", ctx.root, kinds[kind].token_name, workers);
	for (unsigned i = 0; i < SERVERS; i++)
		served[i].server.workers = workers;
	int rc = mkdir(dir, 0700) == 0 ? start_file(kind, dir, err)
				       : slk_fail_errno(err, "cannot make %s", dir);
	if (rc == SLK_OK)
		rc = start_sealock(kind, dir, err);
	if (rc == SLK_OK && with_libp11)
		rc = start_libp11(kind, dir, err);
	if (rc == SLK_OK)
		compare_servers(b, kind, workers, with_libp11 ? SERVERS : SERVERS - 1);
	for (unsigned i = 0; i < SERVERS; i++)
		sn_stop(&served[i].server);
	return rc;
}

static int
all(struct bench *b, struct slk_error *err)
{
	const bool with_libp11 = access(LIBP11, R_OK) == 0;
	const unsigned most = bench_quick(b) ? 1 : 4; /* workers of nginx */
	static const struct bench_contender calls[] = {{"raw PKCS#11", NULL, NULL},
		{"8 threads", NULL, NULL}, {"8, audit in RAM", NULL, NULL}, {"alone", NULL, NULL},
		{"alone, in RAM", NULL, NULL}};
	static const struct bench_contender servers[] = {
		{"file", NULL, NULL}, {"sealock", NULL, NULL}, {"libp11", NULL, NULL}};
	int rc = SLK_OK;

	bench_heading(b, "signatures, SHA-256; all but the first by sealock.so", calls, 5);
	for (unsigned kind = 0; rc == SLK_OK && kind < 2; kind++)
		rc = compare(b, kind, err);
	if (rc != SLK_OK)
		return rc;
	if (!sn_possible() || geteuid() != 0) {
		bench_note(b, "nginx is left out: it has to be installed, and this to run as root");
		return SLK_OK;
	}
	if (!with_libp11)
		bench_note(b, "libp11 is left out: %s is not there", LIBP11);
	bench_library(b, "nginx", sn_nginx_version());
	bench_heading(b, "nginx, TLS 1.3 handshakes by 8 clients", servers, with_libp11 ? 3 : 2);
	for (unsigned kind = 0; rc == SLK_OK && kind < 2; kind++)
		for (unsigned workers = 1; rc == SLK_OK && workers <= most; workers += 3)
			rc = nginx(b, kind, workers, with_libp11, err);
	return rc;
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
	if (rc == SLK_OK)
		rc = all(b, &err);
	if (rc == SLK_OK && !ctx.failed)
		tear_down();
	if (rc != SLK_OK || ctx.failed)
		return bench_abort(b, "%s", rc != SLK_OK ? err.text : "a signature failed");
	return bench_finish(b);
}
