#include "monitor_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yajl/yajl_gen.h>

#define PREFIX "sealock_deliverd_"
#define SECONDS(ns) ((double)(ns) / 1e9)

/* --- all streams at one moment --- */

struct streams {
	struct dlv_service_stream *list; /* texts are copies */
	size_t count, cap;
	bool failed;
};

static void
copy_stream(void *arg, const struct dlv_service_stream *stream)
{
	struct streams *s = arg;

	if (s->count == s->cap) {
		size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
		struct dlv_service_stream *bigger = realloc(s->list, cap * sizeof(*bigger));
		if (bigger == NULL) {
			s->failed = true;
			return;
		}
		s->list = bigger;
		s->cap = cap;
	}
	struct dlv_service_stream *copy = &s->list[s->count++];
	*copy = *stream;
	copy->name = strdup(stream->name);
	copy->arn = strdup(stream->arn);
	copy->stream_arn = strdup(stream->stream_arn);
	copy->trouble = strdup(stream->trouble);
	s->failed = s->failed || copy->name == NULL || copy->arn == NULL ||
		copy->stream_arn == NULL || copy->trouble == NULL;
}

static void
streams_fini(struct streams *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free((char *)s->list[i].name);
		free((char *)s->list[i].arn);
		free((char *)s->list[i].stream_arn);
		free((char *)s->list[i].trouble);
	}
	free(s->list);
}

static int
streams_take(const struct dlv_sources *sources, struct streams *out)
{
	*out = (struct streams){0};
	dlv_service_each(sources->service, copy_stream, out);
	if (!out->failed)
		return SLK_OK;
	streams_fini(out);
	return SLK_NO_MEMORY;
}

/* --- metrics --- */

static void
family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void
put(FILE *f, const char *name, const char *type, const char *help, double value)
{
	family(f, name, type, help);
	fprintf(f, PREFIX "%s %.15g\n", name, value);
}

/* One number of a delivery stream, by row of the table below. */
static double
value_of(const struct dlv_service_stream *s, unsigned row)
{
	const struct dlv_flow_view *v = &s->view;
	const double values[] = {(double)v->records, (double)v->bytes, (double)v->batches,
		(double)v->retries, (double)v->backed_up_records, (double)v->failed_records,
		(double)v->lag_records, (double)v->lag_bytes, SECONDS(v->lag_ns),
		s->runs && v->code[0] == '\0' ? 1 : 0, SECONDS(v->delivered_ns)};

	return values[row];
}

static const char *const rows[][3] = {
	{"records_total", "counter", "Records of batches that ended."},
	{"bytes_total", "counter", "Bytes of their data."},
	{"batches_total", "counter", "Batches that ended: delivered, or in the backup."},
	{"retries_total", "counter", "Attempts beyond the first of a batch."},
	{"backed_up_records_total", "counter",
		"Records of batches that were given up and are in the error output."},
	{"failed_records_total", "counter",
		"Records that the destination refused alone; they are in the error output."},
	{"lag_records", "gauge", "Records that are durable and not delivered."},
	{"lag_bytes", "gauge",
		"Bytes of them; of those that are not read yet, by the mean size so far."},
	{"lag_seconds", "gauge", "Age of the oldest of them."},
	{"ok", "gauge", "1 if nothing stands in the way of delivery."},
	{"last_delivery_timestamp_seconds", "gauge",
		"When the last batch ended, Unix time; 0: none yet."},
};

static const char *
destination_of(const struct dlv_service_stream *s)
{
	return s->runs ? s->view.destination : "none";
}

static void
put_rows(FILE *f, const struct streams *s)
{
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		family(f, rows[r][0], rows[r][1], rows[r][2]);
		/* The name is [a-zA-Z0-9_.-]: nothing to escape. */
		for (size_t i = 0; i < s->count; i++)
			fprintf(f, PREFIX "%s{delivery_stream=\"%s\",destination=\"%s\"} %.15g\n",
				rows[r][0], s->list[i].name, destination_of(&s->list[i]),
				value_of(&s->list[i], r));
	}
}

static void
put_outcomes(FILE *f, const struct streams *s)
{
	static const char *const names[] = {"delivered", "delivered_rest", "failed", "refused"};

	family(f, "attempts_total", "counter", "Attempts to deliver a batch, by their outcome.");
	for (size_t i = 0; i < s->count; i++) {
		for (unsigned o = 0; o < 4; o++)
			fprintf(f,
				PREFIX "attempts_total{delivery_stream=\"%s\",outcome=\"%s\"} "
				       "%llu\n",
				s->list[i].name, names[o],
				(unsigned long long)s->list[i].view.outcomes[o]);
	}
}

/* Codes come from servers: what is no letter of a name becomes '_'. */
static void
put_codes(FILE *f, const struct streams *s)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	family(f, "errors_total", "counter", "What stood in the way of delivery, by its code.");
	for (size_t i = 0; i < s->count; i++) {
		const struct dlv_flow_view *v = &s->list[i].view;
		for (size_t c = 0; c < v->codes_count; c++) {
			char code[DLV_CODE_MAX];
			snprintf(code, sizeof(code), "%s", v->codes[c].code);
			for (char *p = code; *p != '\0'; p++)
				*p = strchr(good, *p) != NULL ? *p : '_';
			fprintf(f, PREFIX "errors_total{delivery_stream=\"%s\",code=\"%s\"} %llu\n",
				s->list[i].name, code, (unsigned long long)v->codes[c].count);
		}
	}
}

static void
put_losses(FILE *f, const struct streams *s)
{
	family(f, "lost_records_total", "counter",
		"Records that were gone before they were delivered, by reason.");
	for (size_t i = 0; i < s->count; i++) {
		const struct dlv_feed_loss *lost = &s->list[i].view.lost;
		fprintf(f,
			PREFIX
			"lost_records_total{delivery_stream=\"%s\",reason=\"retention\"} "
			"%llu\n" PREFIX
			"lost_records_total{delivery_stream=\"%s\",reason=\"damage\"} %llu\n",
			s->list[i].name, (unsigned long long)lost->trimmed, s->list[i].name,
			(unsigned long long)lost->damaged);
	}
}

int
dlv_text_metrics(const struct dlv_sources *sources, char **out_text, size_t *out_len)
{
	struct slk_error ignored;
	struct streams streams;
	char *text = NULL;
	size_t len = 0;

	if (streams_take(sources, &streams) != SLK_OK)
		return SLK_NO_MEMORY;
	FILE *f = open_memstream(&text, &len);
	if (f == NULL) {
		streams_fini(&streams);
		return SLK_NO_MEMORY;
	}
	family(f, "build_info", "gauge", "The version, as a label.");
	fprintf(f, PREFIX "build_info{version=\"%s\"} 1\n", sources->version);
	put(f, "uptime_seconds", "gauge", "Since the start.", SECONDS(sources->uptime_ns));
	put(f, "kms_up", "gauge", "1 if kmsd answered the last question for delivery streams.",
		dlv_service_kms_up(sources->service, &ignored));
	put(f, "memory_used_bytes", "gauge", "Locked memory of batches.",
		(double)dlv_pool_used(sources->pool));
	put(f, "memory_limit_bytes", "gauge", "What they may take: memory.max_mb.",
		(double)sources->memory_max_bytes);
	put_rows(f, &streams);
	put_outcomes(f, &streams);
	put_codes(f, &streams);
	put_losses(f, &streams);
	streams_fini(&streams);
	bool bad = ferror(f) != 0;
	if (fclose(f) != 0 || bad) {
		free(text);
		return SLK_NO_MEMORY;
	}
	*out_text = text;
	*out_len = len;
	return SLK_OK;
}

/* --- the document --- */

static void
key(yajl_gen g, const char *name)
{
	yajl_gen_string(g, (const unsigned char *)name, strlen(name));
}

static void
text_of(yajl_gen g, const char *name, const char *text)
{
	key(g, name);
	/* What is no UTF-8 was no sentence. */
	if (yajl_gen_string(g, (const unsigned char *)text, strlen(text)) != yajl_gen_status_ok)
		yajl_gen_string(g, (const unsigned char *)"?", 1);
}

static void
number_of(yajl_gen g, const char *name, uint64_t value)
{
	key(g, name);
	yajl_gen_integer(g, (long long)value);
}

static void
seconds_of(yajl_gen g, const char *name, uint64_t ns)
{
	char text[40];
	int n = snprintf(text, sizeof(text), "%.3f", SECONDS(ns));

	key(g, name);
	yajl_gen_number(g, text, (size_t)n);
}

/* RFC 3339; null for 0. */
static void
time_of(yajl_gen g, const char *name, uint64_t ns)
{
	char text[40];
	struct tm tm;
	time_t s = (time_t)(ns / SLK_NS_PER_S);

	key(g, name);
	if (ns == 0 || gmtime_r(&s, &tm) == NULL) {
		yajl_gen_null(g);
		return;
	}
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	yajl_gen_string(g, (const unsigned char *)text, n);
}

static void
put_batch(yajl_gen g, const struct dlv_flow_view *v)
{
	key(g, "batch");
	yajl_gen_map_open(g);
	number_of(g, "number", v->batch_number);
	text_of(g, "id", v->batch_id);
	text_of(g, "state", v->batch_state);
	number_of(g, "attempts", v->attempts);
	uint64_t now = slk_mono_ns(slk_clock_system());
	seconds_of(g, "retry_in_s", v->retry_ns > now ? v->retry_ns - now : 0);
	yajl_gen_map_close(g);
}

static void
put_error(yajl_gen g, const struct dlv_flow_view *v)
{
	key(g, "error");
	if (v->code[0] == '\0') {
		yajl_gen_null(g);
		return;
	}
	yajl_gen_map_open(g);
	text_of(g, "code", v->code);
	text_of(g, "message", v->error);
	time_of(g, "since", v->error_since_ns);
	yajl_gen_map_close(g);
}

static void
put_counters(yajl_gen g, const struct dlv_flow_view *v)
{
	number_of(g, "batches", v->batches);
	number_of(g, "records", v->records);
	number_of(g, "bytes", v->bytes);
	number_of(g, "retries", v->retries);
	number_of(g, "backed_up_records", v->backed_up_records);
	number_of(g, "failed_records", v->failed_records);
	time_of(g, "delivered", v->delivered_ns);
	key(g, "errors");
	yajl_gen_map_open(g);
	for (size_t i = 0; i < v->codes_count; i++)
		number_of(g, v->codes[i].code, v->codes[i].count);
	yajl_gen_map_close(g);
	key(g, "lag");
	yajl_gen_map_open(g);
	number_of(g, "records", v->lag_records);
	number_of(g, "bytes", v->lag_bytes);
	seconds_of(g, "seconds", v->lag_ns);
	yajl_gen_map_close(g);
	key(g, "lost");
	yajl_gen_map_open(g);
	number_of(g, "retention", v->lost.trimmed);
	number_of(g, "damage", v->lost.damaged);
	text_of(g, "last", v->lost.sentence);
	yajl_gen_map_close(g);
}

static void
put_stream(yajl_gen g, const struct dlv_service_stream *s)
{
	yajl_gen_map_open(g);
	text_of(g, "name", s->name);
	text_of(g, "arn", s->arn);
	text_of(g, "source", s->stream_arn);
	text_of(g, "status", s->kms_state);
	number_of(g, "version", s->version);
	text_of(g, "state", s->runs ? s->view.state : "not running");
	if (s->runs) {
		text_of(g, "destination", s->view.destination);
		put_error(g, &s->view);
		put_batch(g, &s->view);
		put_counters(g, &s->view);
	} else {
		text_of(g, "trouble", s->trouble);
	}
	yajl_gen_map_close(g);
}

static void
put_kms(yajl_gen g, struct dlv_service *service)
{
	struct slk_error err = {0};
	bool up = dlv_service_kms_up(service, &err);

	key(g, "kms");
	yajl_gen_map_open(g);
	key(g, "up");
	yajl_gen_bool(g, up);
	text_of(g, "error", up ? "" : err.text);
	yajl_gen_map_close(g);
}

static void
put_document(yajl_gen g, const struct dlv_sources *sources, const struct streams *streams)
{
	yajl_gen_map_open(g);
	text_of(g, "version", sources->version);
	seconds_of(g, "uptime_s", sources->uptime_ns);
	put_kms(g, sources->service);
	key(g, "memory");
	yajl_gen_map_open(g);
	number_of(g, "used_bytes", dlv_pool_used(sources->pool));
	number_of(g, "limit_bytes", sources->memory_max_bytes);
	yajl_gen_map_close(g);
	key(g, "delivery_streams");
	yajl_gen_array_open(g);
	for (size_t i = 0; i < streams->count; i++)
		put_stream(g, &streams->list[i]);
	yajl_gen_array_close(g);
	yajl_gen_map_close(g);
}

int
dlv_text_status(const struct dlv_sources *sources, char **out_text, size_t *out_len)
{
	struct streams streams;
	const unsigned char *bytes = NULL;
	size_t len = 0;
	int rc = streams_take(sources, &streams);

	if (rc != SLK_OK)
		return rc;
	yajl_gen g = yajl_gen_alloc(NULL);
	if (g == NULL) {
		streams_fini(&streams);
		return SLK_NO_MEMORY;
	}
	yajl_gen_config(g, yajl_gen_validate_utf8, 1);
	put_document(g, sources, &streams);
	streams_fini(&streams);
	yajl_gen_get_buf(g, &bytes, &len);
	char *text = malloc(len + 1);
	if (text != NULL) {
		memcpy(text, bytes, len);
		text[len] = '\n';
		*out_text = text;
		*out_len = len + 1;
	}
	yajl_gen_free(g);
	return text != NULL ? SLK_OK : SLK_NO_MEMORY;
}
