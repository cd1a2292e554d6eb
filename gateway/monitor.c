#include "monitor.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PREFIX "sealock_gatewayd_"

static void
family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void
put(FILE *f, const char *name, const char *type, const char *help, uint64_t value)
{
	family(f, name, type, help);
	fprintf(f, PREFIX "%s %llu\n", name, (unsigned long long)value);
}

/* Help is a sentence: the list's have no capital and no end. */
static void
put_counter(FILE *f, const char *name, const char *sentence, uint64_t value)
{
	char total[64], help[256];

	snprintf(total, sizeof(total), "%s_total", name);
	snprintf(help, sizeof(help), "Server: %s.", sentence);
	put(f, total, "counter", help, value);
}

static void
put_server(FILE *f, const struct http_counters *c)
{
#define X(name, sentence) put_counter(f, #name, sentence, c->name);
	HTTP_COUNTER_LIST(X)
#undef X
	put(f, "connections", "gauge", "Connections now.", c->connections);
	put(f, "exchanges", "gauge", "Requests that are not answered yet.", c->exchanges);
	put(f, "buffer_bytes", "gauge", "Bytes of bodies in buffers.", c->buffer_bytes);
	family(f, "refused_total", "counter",
		"Connections and requests that were refused or broken off, by reason "
		"(gateway/http/counters.h).");
	for (unsigned r = 0; r < HTTP_REFUSAL_COUNT; r++)
		fprintf(f, PREFIX "refused_total{reason=\"%s\"} %llu\n", http_refusal_name(r),
			(unsigned long long)c->refused[r]);
}

static void
put_frame(FILE *f, const struct gw_monitor *m)
{
	uint64_t now = slk_mono_ns(slk_clock_system());
	int days = http_server_certificate_days(m->server);

	family(f, "build_info", "gauge", "The version, as a label.");
	fprintf(f, PREFIX "build_info{version=\"%s\"} 1\n", m->version);
	put(f, "uptime_seconds", "gauge", "Time since the start.",
		(now - m->started_ns) / SLK_NS_PER_S);
	if (days != INT32_MAX) {
		family(f, "certificate_remaining_seconds", "gauge",
			"Until the TLS certificate expires, in whole days; negative: it has.");
		fprintf(f, PREFIX "certificate_remaining_seconds %lld\n", days * 86400ll);
	}
	if (m->access_log == NULL)
		return;
	struct gw_access_counts counts;
	gw_access_log_counts(m->access_log, &counts);
	put(f, "access_log_lines_total", "counter", "Lines of the access log.", counts.lines);
	put(f, "access_log_dropped_total", "counter",
		"Lines that were dropped because the disk was too slow.", counts.dropped);
	put(f, "access_log_failures_total", "counter", "Writes of the access log that failed.",
		counts.failed_writes);
}

int
gw_monitor_metrics(const struct gw_monitor *m, char **out_text, size_t *out_len)
{
	struct http_counters counters;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return SLK_NO_MEMORY;
	http_server_counters(m->server, &counters);
	put_frame(f, m);
	put_server(f, &counters);
	gw_app_metrics(m->app, f);
	if (fclose(f) != 0) {
		free(text);
		return SLK_NO_MEMORY;
	}
	*out_text = text;
	*out_len = len;
	return SLK_OK;
}

static void
answer_metrics(const struct gw_monitor *m, struct http_exchange *x)
{
	static const struct http_field type = {
		"content-type", "text/plain; version=0.0.4; charset=utf-8"};
	char *text = NULL;
	size_t len = 0;

	if (gw_monitor_metrics(m, &text, &len) != SLK_OK) {
		http_answer_bytes(x, 503, NULL, 0, "no memory\n", 10);
		return;
	}
	http_answer_bytes(x, 200, &type, 1, text, len);
	free(text);
}

static void
head(void *thread, struct http_exchange *x)
{
	static const struct http_field type = {"content-type", "text/plain; charset=utf-8"};
	static const struct http_field allow[] = {{"allow", "GET, HEAD"}};
	const struct gw_monitor *m = thread;
	const struct http_request *r = http_exchange_request(x);

	if (strcmp(r->method.ptr, "GET") != 0 && strcmp(r->method.ptr, "HEAD") != 0)
		http_answer_bytes(x, 405, allow, 1, "GET\n", 4);
	else if (strcmp(r->path.ptr, "/metrics") == 0)
		answer_metrics(m, x);
	else if (strcmp(r->path.ptr, "/healthz") != 0)
		http_answer_bytes(x, 404, &type, 1, "/metrics, /healthz\n", 19);
	else if (__atomic_load_n(&m->is_draining, __ATOMIC_RELAXED))
		http_answer_bytes(x, 503, &type, 1, "draining\n", 9);
	else
		http_answer_bytes(x, 200, &type, 1, "ok\n", 3);
}

static void
end(void *thread, struct http_exchange *x, int status)
{
	(void)thread;
	(void)x;
	(void)status; /* head() has answered */
}

const struct http_handler gw_monitor_handler = {.head = head, .end = end};
