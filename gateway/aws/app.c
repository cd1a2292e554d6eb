/* The app that the gateway's frame serves: what it has once, and once per thread. */
#include <stdlib.h>
#include <string.h>

#include "aws/call.h"
#include "aws/exchange.h"
#include "aws/firehose.h"
#include "aws/kinesis.h"
#include "base/log.h"

#define THREADS_MAX 64u
#define RIGHTS_WAIT_MS 8000u /* kmsd answers earlier when something changes */
#define RIGHTS_TIMEOUT_MS 12000u
#define RIGHTS_PAUSE_NS (1 * SLK_NS_PER_S) /* after a failure */

struct gw_app {
	struct gw_app_config config;
	char *texts[6]; /* what config points to */
	struct gw_kinesis_shared *kinesis;
	struct gw_thread *threads
		[THREADS_MAX]; /* by index of their loop; set once, read by gw_app_metrics() */
};

const struct gw_app_config *
gw_app_config_of(const struct gw_app *app)
{
	return &app->config;
}

static int
copy(struct gw_app *app, size_t index, const char **text)
{
	if (*text == NULL)
		return SLK_OK;
	app->texts[index] = strdup(*text);
	*text = app->texts[index];
	return *text != NULL ? SLK_OK : SLK_NO_MEMORY;
}

int
gw_app_new(const struct gw_app_config *config, struct gw_app **out_app, struct slk_error *err)
{
	struct gw_app *app = calloc(1, sizeof(*app));

	if (app == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the gateway");
	app->config = *config;
	const char **const texts[] = {&app->config.region, &app->config.account,
		&app->config.kms_socket, &app->config.put_socket, &app->config.status_socket,
		&app->config.journal};
	int rc = SLK_OK;
	for (size_t i = 0; rc == SLK_OK && i < sizeof(texts) / sizeof(texts[0]); i++)
		rc = copy(app, i, texts[i]);
	if (rc != SLK_OK)
		rc = slk_fail(err, rc, "no memory for the gateway");
	if (rc == SLK_OK)
		rc = gw_kinesis_shared_new(&app->config, &app->kinesis, err);
	app->config.iterator_key = NULL; /* the caller's */
	if (rc != SLK_OK) {
		gw_app_free(app);
		return rc;
	}
	*out_app = app;
	return SLK_OK;
}

void
gw_app_free(struct gw_app *app)
{
	if (app == NULL)
		return;
	gw_kinesis_shared_free(app->kinesis);
	for (size_t i = 0; i < sizeof(app->texts) / sizeof(app->texts[0]); i++)
		free(app->texts[i]);
	for (size_t i = 0; i < THREADS_MAX; i++)
		free(app->threads[i]);
	free(app);
}

struct gw_kinesis_shared *
gw_app_kinesis(const struct gw_app *app)
{
	return app->kinesis;
}

/* --- kmsd's connection in the loop --- */

static void
kms_ready(struct http_watch *watch, uint32_t events)
{
	struct gw_thread *t = watch->arg;

	(void)events;
	kmsc_async_ready(t->kms);
}

static void
kms_watch(void *arg, int fd, bool write)
{
	struct gw_thread *t = arg;

	http_loop_unwatch(t->loop, &t->kms_watch);
	if (fd < 0)
		return;
	t->kms_watch = (struct http_watch){.ready = kms_ready, .arg = t, .fd = fd};
	/* Without it requests run into their deadlines: told, not lost. */
	if (http_loop_watch(t->loop, &t->kms_watch, EPOLLIN | (write ? EPOLLOUT : 0u)) != SLK_OK)
		slk_warn("kmsd's connection cannot be watched");
}

static void set_kms_timer(struct gw_thread *t);

static void
kms_late(struct http_timer *timer, uint64_t now_ns)
{
	struct gw_thread *t = timer->arg;

	(void)now_ns;
	kmsc_async_tick(t->kms);
	set_kms_timer(t);
}

static void
set_kms_timer(struct gw_thread *t)
{
	uint64_t at_ns = kmsc_async_next_ns(t->kms);

	if (at_ns == UINT64_MAX)
		http_timer_cancel(t->loop, &t->kms_timer);
	else if (http_timer_set(t->loop, &t->kms_timer, at_ns) != SLK_OK)
		slk_warn("the deadlines of requests to kmsd cannot be watched");
}

/* --- are rights still what they were? --- */

static void ask_rights(struct gw_thread *t);

static void
rights_again(struct http_timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	ask_rights(timer->arg);
}

static void
forget_rights(struct gw_thread *t)
{
	gw_day_keys_forget(t->keys);
	gw_decisions_forget(t->decisions);
	gw_kinesis_rights_changed(t);
	gw_deliveries_forget(t->deliveries);
	t->counters.rights_changed++;
}

static void
rights_told(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	struct gw_thread *t = arg;

	(void)sentence;
	t->rights_asked = 0;
	if (status == SLK_OK && reply->status == SLK_OK &&
		reply->result_case == KMSP__REPLY__RESULT_CHANGES) {
		if (!t->rights_known || t->right_changes != reply->changes->right_changes)
			forget_rights(t);
		if (gw_kinesis_stream_changes(t->kinesis) != reply->changes->stream_changes)
			gw_deliveries_forget(t->deliveries);
		gw_kinesis_streams_changed(t, reply->changes->stream_changes);
		t->right_changes = reply->changes->right_changes;
		t->rights_known = true;
		ask_rights(t);
		return;
	}
	/* Whether something changed meanwhile is not known: what was allowed is asked again. */
	if (t->rights_known)
		forget_rights(t);
	t->rights_known = false;
	if (http_timer_set(t->loop, &t->rights_timer,
		    http_loop_now_ns(t->loop) + RIGHTS_PAUSE_NS) != SLK_OK)
		slk_warn("changes of rights cannot be watched");
}

static void
ask_rights(struct gw_thread *t)
{
	Kmsp__WatchStreams watch = KMSP__WATCH_STREAMS__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	watch.right_changes = t->rights_known ? t->right_changes : 0;
	watch.stream_changes = gw_kinesis_stream_changes(t->kinesis);
	watch.wait_ms = t->rights_known ? RIGHTS_WAIT_MS : 1;
	request.call_case = KMSP__REQUEST__CALL_WATCH_STREAMS;
	request.watch_streams = &watch;
	int rc = kmsc_async_send_within(
		t->kms, &request, NULL, RIGHTS_TIMEOUT_MS, rights_told, t, &t->rights_asked, NULL);
	if (rc != SLK_OK)
		rights_told(t, rc, NULL, "");
}

/* --- threads --- */

static void
each_turn(struct http_turn *turn)
{
	struct gw_thread *t = turn->arg;

	gw_kinesis_turn(t);
	set_kms_timer(t);
}

static void
thread_end(struct gw_thread *t)
{
	http_timer_cancel(t->loop, &t->kms_timer);
	http_timer_cancel(t->loop, &t->rights_timer);
	gw_kinesis_stop(t);
	gw_deliveries_free(t->deliveries);
	t->deliveries = NULL;
	kmsc_async_free(t->kms);
	t->kms = NULL;
	gw_day_keys_free(t->keys);
	gw_decisions_free(t->decisions);
	gw_sigv4_engine_free(t->engine);
	t->keys = NULL;
	t->decisions = NULL;
	t->engine = NULL;
}

static int
thread_start(void *arg, struct http_loop *loop, void **out_thread, struct slk_error *err)
{
	struct gw_app *app = arg;
	unsigned index = http_loop_index(loop);

	if (index >= THREADS_MAX)
		return slk_fail(err, SLK_LIMIT, "the gateway has at most %u threads", THREADS_MAX);
	struct gw_thread *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a thread");
	t->app = app;
	t->loop = loop;
	t->kms_timer = (struct http_timer){.fire = kms_late, .arg = t};
	t->rights_timer = (struct http_timer){.fire = rights_again, .arg = t};
	const struct kmsc_async_config config = {.path = app->config.kms_socket,
		.clock = http_loop_clock(loop),
		.watch = kms_watch,
		.watch_arg = t};
	int rc = kmsc_async_new(&config, &t->kms);
	if (rc == SLK_OK)
		rc = gw_sigv4_engine_new(&t->engine);
	if (rc == SLK_OK)
		rc = gw_day_keys_new(&t->keys);
	if (rc == SLK_OK)
		rc = gw_decisions_new(&t->decisions);
	if (rc == SLK_OK)
		rc = gw_kinesis_start(t);
	if (rc == SLK_OK)
		rc = gw_deliveries_new(&t->deliveries);
	if (rc != SLK_OK) {
		thread_end(t);
		free(t);
		return slk_fail(err, rc, "a thread of the gateway cannot start: %s",
			slk_status_sentence(rc));
	}
	t->turn = (struct http_turn){.call = each_turn, .arg = t};
	http_loop_each_turn(loop, &t->turn);
	ask_rights(t);
	free(app->threads[index]);
	__atomic_store_n(&app->threads[index], t, __ATOMIC_RELEASE);
	*out_thread = t;
	return SLK_OK;
}

/* Its counters stay to be read until the app ends. */
static void
thread_stop(void *thread)
{
	thread_end(thread);
}

static const struct http_handler handler = {
	.start = thread_start,
	.stop = thread_stop,
	.head = gw_exchange_head,
	.body = gw_exchange_body,
	.end = gw_exchange_end,
	.done = gw_exchange_done,
};

const struct http_handler *
gw_app_handler(const struct gw_app *app)
{
	(void)app;
	return &handler;
}

void *
gw_app_handler_arg(struct gw_app *app)
{
	return app;
}

/* --- metrics --- */

static uint64_t
sum(const struct gw_app *app, size_t offset)
{
	uint64_t n = 0;

	for (size_t i = 0; i < THREADS_MAX; i++) {
		const struct gw_thread *t = __atomic_load_n(&app->threads[i], __ATOMIC_ACQUIRE);
		if (t != NULL)
			n += __atomic_load_n(
				(const uint64_t *)(const void *)((const char *)&t->counters +
					offset),
				__ATOMIC_RELAXED);
	}
	return n;
}

void
gw_app_metrics(struct gw_app *app, FILE *out)
{
#define X(name, sentence) \
	fprintf(out, \
		"# HELP sealock_gatewayd_aws_" #name "_total " sentence ".\n" \
		"# TYPE sealock_gatewayd_aws_" #name "_total counter\n" \
		"sealock_gatewayd_aws_" #name "_total %llu\n", \
		(unsigned long long)sum(app, offsetof(struct gw_counters, name)));
	GW_COUNTER_LIST(X)
#undef X
}
