/* An app for tests of sealock-gatewayd's frame: it tells what it was configured with, and echoes bodies. */
#include "app.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct gw_app {
	struct gw_app_config config;
	unsigned requests; /* __atomic */
};

int
gw_app_new(const struct gw_app_config *config, struct gw_app **out_app, struct slk_error *err)
{
	struct gw_app *app = calloc(1, sizeof(*app));

	if (app == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	app->config = *config;
	*out_app = app;
	return SLK_OK;
}

void
gw_app_free(struct gw_app *app)
{
	free(app);
}

static void
head(void *thread, struct http_exchange *x)
{
	struct gw_app *app = thread;

	__atomic_fetch_add(&app->requests, 1, __ATOMIC_RELAXED);
	http_exchange_note(x, "operation", "Echo\"\n\x7f");
	http_exchange_note(x, "principal", "arn:aws:iam::000000000000:user/tester");
	http_exchange_note(x, "secret", "never in the log");
	if (http_exchange_gather(x, 1u << 20) != SLK_OK)
		http_answer_bytes(x, 413, NULL, 0, "too large", 9);
}

static void
answer_config(const struct gw_app *app, struct http_exchange *x)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s %s %s %s %s uid=%u\n", app->config.region,
		app->config.account, app->config.kms_socket,
		app->config.put_socket != NULL ? app->config.put_socket : "-",
		app->config.journal != NULL ? app->config.journal : "-", geteuid());

	http_answer_bytes(x, 200, NULL, 0, text, (size_t)n);
}

static void
end(void *thread, struct http_exchange *x, int status)
{
	const struct http_buf *body = http_exchange_body(x);

	if (status != SLK_OK)
		http_answer_bytes(x, 413, NULL, 0, "too large", 9);
	else if (strcmp(http_exchange_request(x)->path.ptr, "/config") == 0)
		answer_config(thread, x);
	else if (strcmp(http_exchange_request(x)->path.ptr, "/never") != 0)
		http_answer_bytes(x, 200, NULL, 0, body->bytes, body->len);
}

const struct http_handler *
gw_app_handler(const struct gw_app *app)
{
	static const struct http_handler handler = {.head = head, .end = end};

	(void)app;
	return &handler;
}

void *
gw_app_handler_arg(struct gw_app *app)
{
	return app;
}

void
gw_app_metrics(struct gw_app *app, FILE *out)
{
	fprintf(out,
		"# HELP sealock_gatewayd_echoes_total Requests.\n# TYPE "
		"sealock_gatewayd_echoes_total "
		"counter\nsealock_gatewayd_echoes_total %u\n",
		__atomic_load_n(&app->requests, __ATOMIC_RELAXED));
}
