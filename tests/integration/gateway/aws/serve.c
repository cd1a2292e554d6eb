/* The gateway's services behind a TLS listener, and nothing else of the daemon: for tests of the services.
 *
 *     gateway_serve KMS_SOCKET PUT_SOCKET JOURNAL CERTIFICATE KEY PORT
 *
 * Says "serving" once it does; ends with SIGTERM; prints its metrics with SIGUSR1.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "app.h"
#include "base/log.h"

static void
wait_for_end(struct gw_app *app)
{
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	do {
		if (sigwait(&set, &sig) == 0 && sig == SIGUSR1)
			gw_app_metrics(app, stderr);
	} while (sig != SIGTERM);
}

static int
serve(struct gw_app *app, char **argv, struct slk_error *err)
{
	const struct http_listener listener = {.via = HTTP_VIA_TLS,
		.host = "127.0.0.1",
		.port = (uint16_t)atoi(argv[6]),
		.fd = -1,
		.handler = gw_app_handler(app),
		.arg = gw_app_handler_arg(app)};
	const struct http_server_config config = {.threads = 2,
		.listeners = &listener,
		.listeners_count = 1,
		.tls = {.certificate = argv[4], .key = argv[5]}};
	struct http_server *server = NULL;

	int rc = http_server_new(&config, &server, err);
	if (rc == SLK_OK)
		rc = http_server_start(server, err);
	if (rc == SLK_OK) {
		(void)puts("serving");
		(void)fflush(stdout);
		wait_for_end(app);
	}
	http_server_free(server);
	return rc;
}

int
main(int argc, char **argv)
{
	struct slk_error err = {.text = ""};
	struct gw_app *app = NULL;
	sigset_t set;

	if (argc != 7) {
		(void)fprintf(
			stderr, "usage: gateway_serve KMS PUT JOURNAL CERTIFICATE KEY PORT\n");
		return 2;
	}
	slk_log_init("gateway_serve", SLK_LOG_INFO);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return 1;
	const struct gw_app_config config = {.region = "local",
		.account = "000000000000",
		.kms_socket = argv[1],
		.put_socket = argv[2],
		.journal = argv[3],
		.threads = 2};
	int rc = gw_app_new(&config, &app, &err);
	if (rc == SLK_OK)
		rc = serve(app, argv, &err);
	gw_app_free(app);
	if (rc != SLK_OK)
		(void)fprintf(stderr, "%s\n", err.text);
	return rc == SLK_OK ? 0 : 1;
}
