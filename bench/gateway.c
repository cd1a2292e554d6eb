/* The gateway: its HTTP server, idle connections, PutRecords beside kinesalite, what encryption costs, GetRecords, data keys */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/parts.h"

/* All of it, unless SEALOCK_BENCH_PARTS names some: "http", "puts", "emulator", "keys", "sealing", or of
 * the last "sealone", "sealmany", "gets" alone. */
bool
gwb_wanted(const char *part)
{
	const char *parts = getenv("SEALOCK_BENCH_PARTS");

	return parts == NULL || strstr(parts, part) != NULL;
}

static int
measure_http(struct bench *b, SSL_CTX *ctx, struct slk_error *err)
{
	struct gwb_server server = {.pid = -1};
	int rc = gwb_server_start(&server, err);

	if (rc == SLK_OK) {
		rc = gwb_idle_measure(b, &server, ctx);
		if (rc == SLK_OK)
			rc = gwb_http_measure(b, &server, ctx, 300, "300 B");
		if (rc == SLK_OK)
			rc = gwb_http_measure(b, &server, ctx, 16384, "16 KiB");
		if (rc != SLK_OK)
			(void)slk_fail(err, rc, "a client failed: %s", slk_status_sentence(rc));
	}
	gwb_server_stop(&server);
	return rc;
}

static int
measure_calls(struct bench *b, SSL_CTX *ctx, struct slk_error *err)
{
	static struct gwb_site site;
	const char *why = NULL;
	cpu_set_t all;

	if (geteuid() != 0) {
		bench_note(b,
			"calls of AWS are left out: their daemons have users of their own, which "
			"needs root");
		return SLK_OK;
	}
	/* Several programs: they run where they would without a bench. */
	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
	int rc = gwb_site_start(&site, !bench_quick(b) && gwb_wanted("emulator"), &why, err);
	if (rc == SLK_OK && why != NULL)
		bench_note(b, "kinesalite is left out: %s", why);
	if (rc == SLK_OK)
		rc = gwb_wait_ready(&site, ctx, err);
	if (rc == SLK_OK && gwb_wanted("puts"))
		rc = gwb_puts_measure(b, &site, ctx, err);
	if (rc == SLK_OK && gwb_wanted("keys"))
		rc = gwb_data_keys_measure(b, &site, ctx, err);
	if (rc == SLK_OK)
		rc = gwb_sealing_measure(b, &site, ctx, err);
	gwb_site_stop(&site);
	return rc;
}

int
main(int argc, char **argv)
{
	struct bench *b = NULL;
	struct slk_error err = {.text = ""};
	int rc = bench_new(argc, argv, "gateway", &b);

	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	bench_library(b, "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING));
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return bench_abort(b, "no memory for TLS");
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	rc = gwb_wanted("http") ? measure_http(b, ctx, &err) : SLK_OK;
	if (rc == SLK_OK)
		rc = measure_calls(b, ctx, &err);
	SSL_CTX_free(ctx);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
