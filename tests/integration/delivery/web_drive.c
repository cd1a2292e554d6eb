/* One batch through a destination's table of functions, by the loop, as the flow does it.
 *
 *     delivery_drive search|http KEY=VALUE... < RECORDS
 *
 * RECORDS: one on each line. Keys: url, pattern (of the entry of deliverd.yaml; the url), ca, auth (basic, aws), credentials, region,
 * plain, request_bytes, index, type, rotation, gzip, access_key, attribute (name=value), id, oldest_s, pool_mb, attempts,
 * backoff_ms, cancel_ms. Writes a line of JSON for each attempt; ends with 0 whatever the outcome, with 2 if it could not begin.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "destination.h"
#include "endpoints.h"
#include "web.h"

#define ATTRIBUTES_MAX 8u
#define BURST 500u
#define FAILED_PRINTED 1000u

struct drive {
	const struct dlv_destination_ops *ops;
	struct dlv_endpoint endpoint;
	struct dlv_endpoints endpoints;
	struct dlv_spec spec;
	struct dlv_attribute attributes[ATTRIBUTES_MAX];
	struct dlv_env env;
	void *dest;
	struct dlv_batch batch;
	char *input;
	struct dlv_record *records;
	size_t records_count;
	unsigned attempts, backoff_ms, cancel_ms;
	uint64_t pool_mb;
	struct dlv_timer again, cancel;
	struct slk_error err;
};

/* --- arguments --- */

static enum dlv_rotation
rotation_of(const char *value)
{
	static const char *const names[] = {
		"NoRotation", "OneHour", "OneDay", "OneWeek", "OneMonth"};

	for (unsigned i = 0; i < 5; i++) {
		if (strcmp(value, names[i]) == 0)
			return (enum dlv_rotation)i;
	}
	fprintf(stderr, "no rotation: %s\n", value);
	exit(2);
}

static void
take_attribute(struct drive *d, char *value)
{
	char *equals = strchr(value, '=');

	if (equals == NULL || d->spec.http.attributes_count == ATTRIBUTES_MAX)
		exit(2);
	*equals = '\0';
	d->attributes[d->spec.http.attributes_count++] = (struct dlv_attribute){value, equals + 1};
}

static void
take_access_key(struct drive *d, const char *value)
{
	struct slk_secret *secret;

	if (slk_secret_from(value, strlen(value), &secret) != SLK_OK)
		exit(2);
	d->spec.http.access_key = secret;
}

static bool
take_endpoint(struct drive *d, const char *key, const char *value)
{
	struct dlv_endpoint *e = &d->endpoint;

	if (strcmp(key, "pattern") == 0)
		e->url = value;
	else if (strcmp(key, "ca") == 0)
		e->ca = value;
	else if (strcmp(key, "auth") == 0)
		e->auth = strcmp(value, "aws") == 0 ? DLV_AUTH_AWS : DLV_AUTH_BASIC;
	else if (strcmp(key, "credentials") == 0)
		e->credentials = value;
	else if (strcmp(key, "region") == 0)
		e->region = value;
	else if (strcmp(key, "plain") == 0)
		e->plain = strcmp(value, "true") == 0;
	else if (strcmp(key, "request_bytes") == 0)
		e->request_bytes = (uint32_t)strtoul(value, NULL, 10);
	else
		return false;
	return true;
}

static bool
take_search(struct dlv_search *s, const char *key, const char *value)
{
	if (strcmp(key, "url") == 0)
		s->endpoint = value;
	else if (strcmp(key, "index") == 0)
		s->index = value;
	else if (strcmp(key, "type") == 0)
		s->type = value;
	else if (strcmp(key, "rotation") == 0)
		s->rotation = rotation_of(value);
	else
		return false;
	return true;
}

static bool
take_http(struct drive *d, const char *key, char *value)
{
	if (strcmp(key, "url") == 0)
		d->spec.http.url = value;
	else if (strcmp(key, "gzip") == 0)
		d->spec.http.gzip = strcmp(value, "true") == 0;
	else if (strcmp(key, "attribute") == 0)
		take_attribute(d, value);
	else if (strcmp(key, "access_key") == 0)
		take_access_key(d, value);
	else
		return false;
	return true;
}

static bool
take_run(struct drive *d, const char *key, const char *value)
{
	if (strcmp(key, "id") == 0)
		snprintf(d->batch.id, sizeof(d->batch.id), "%s", value);
	else if (strcmp(key, "oldest_s") == 0)
		d->batch.oldest_ns = strtoull(value, NULL, 10) * SLK_NS_PER_S;
	else if (strcmp(key, "pool_mb") == 0)
		d->pool_mb = strtoull(value, NULL, 10);
	else if (strcmp(key, "attempts") == 0)
		d->attempts = (unsigned)strtoul(value, NULL, 10);
	else if (strcmp(key, "backoff_ms") == 0)
		d->backoff_ms = (unsigned)strtoul(value, NULL, 10);
	else if (strcmp(key, "cancel_ms") == 0)
		d->cancel_ms = (unsigned)strtoul(value, NULL, 10);
	else
		return false;
	return true;
}

static void
take_argument(struct drive *d, char *argument)
{
	char *value = strchr(argument, '=');

	if (value == NULL)
		exit(2);
	*value++ = '\0';
	bool taken = take_run(d, argument, value) || take_endpoint(d, argument, value) ||
		(d->ops == &dlv_search_ops ? take_search(&d->spec.search, argument, value)
					   : take_http(d, argument, value));
	if (!taken) {
		fprintf(stderr, "no such key: %s\n", argument);
		exit(2);
	}
}

static void
set_out(struct drive *d, int argc, char **argv)
{
	if (argc < 2)
		exit(2);
	d->ops = strcmp(argv[1], "http") == 0 ? &dlv_http_ops : &dlv_search_ops;
	if (d->ops == &dlv_search_ops)
		d->spec.search = (struct dlv_search){.index = "records", .type = ""};
	else
		d->spec.http = (struct dlv_http){.attributes = d->attributes};
	d->attempts = 1;
	d->pool_mb = 256;
	d->batch.number = 1;
	for (int i = 2; i < argc; i++)
		take_argument(d, argv[i]);
	if (d->endpoint.url == NULL)
		d->endpoint.url =
			d->ops == &dlv_search_ops ? d->spec.search.endpoint : d->spec.http.url;
	d->endpoints = (struct dlv_endpoints){&d->endpoint, 1};
}

/* --- records --- */

static void
read_records(struct drive *d)
{
	size_t cap = 1u << 20, len = 0, n, lines = 0;

	d->input = malloc(cap);
	while (d->input != NULL && (n = fread(d->input + len, 1, cap - len, stdin)) > 0) {
		len += n;
		if (len == cap)
			d->input = realloc(d->input, cap *= 2);
	}
	for (size_t i = 0; d->input != NULL && i < len; i++)
		lines += d->input[i] == '\n';
	d->records = calloc(lines + 1, sizeof(*d->records));
	if (d->input == NULL || d->records == NULL)
		exit(2);
	for (char *at = d->input; at < d->input + len;) {
		char *end = memchr(at, '\n', (size_t)(d->input + len - at));
		if (end == NULL)
			break;
		d->records[d->records_count] = (struct dlv_record){
			.data = slk_span(at, (size_t)(end - at)),
			.sequence = 1000 + d->records_count,
			.arrival_ns = d->batch.oldest_ns,
			.shard = (uint32_t)(d->records_count % 3),
		};
		d->records_count++;
		at = end + 1;
	}
}

/* As flow.c keeps them. */
static int
keep_raw(struct drive *d, const struct dlv_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		d->batch.entries[d->batch.count++] = (struct dlv_entry){
			.offset = d->batch.raw.len,
			.len = (uint32_t)records[i].data.len,
			.shard = records[i].shard,
			.sequence = records[i].sequence,
			.arrival_ns = records[i].arrival_ns,
		};
		int rc = dlv_buffer_append(&d->batch.raw, records[i].data);
		if (rc != SLK_OK)
			return rc;
		d->batch.raw_bytes += records[i].data.len;
	}
	return SLK_OK;
}

static int
gather(struct drive *d)
{
	int rc = d->ops->begin(d->dest, &d->batch, &d->err);

	for (size_t i = 0; rc == SLK_OK && i < d->records_count; i += BURST) {
		size_t n = d->records_count - i < BURST ? d->records_count - i : BURST;
		rc = d->ops->gather(d->dest, &d->batch, d->records + i, n, &d->err);
		if (rc == SLK_OK)
			rc = keep_raw(d, d->records + i, n);
	}
	return rc == SLK_OK ? d->ops->seal(d->dest, &d->batch, &d->err) : rc;
}

/* --- attempts --- */

static void
print_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void
print_result(const struct dlv_result *result)
{
	static const char *const outcomes[] = {"delivered", "rest", "failed", "refused"};

	printf("{\"outcome\":\"%s\",\"code\":\"%s\",\"retry_after_ms\":%" PRIu64
	       ",\"failed_count\":%zu,\"text\":",
		outcomes[result->outcome], result->code,
		(uint64_t)(result->retry_after_ns / SLK_NS_PER_MS), result->failed_count);
	print_text(result->error.text);
	printf(",\"failed\":[");
	for (size_t i = 0; i < result->failed_count && i < FAILED_PRINTED; i++) {
		const struct dlv_failed *f = &result->failed[i];
		printf("%s[%" PRIu32 ",%d,", i > 0 ? "," : "", f->index, f->http_status);
		print_text(f->code);
		putchar(',');
		print_text(f->message);
		putchar(']');
	}
	printf("]}\n");
	fflush(stdout);
}

static void done(void *arg, const struct dlv_result *result);

static void
attempt(void *arg)
{
	struct drive *d = arg;

	d->batch.attempts++;
	d->ops->deliver(d->dest, &d->batch, done, d);
}

static void
done(void *arg, const struct dlv_result *result)
{
	struct drive *d = arg;

	print_result(result);
	if (result->outcome <= DLV_DELIVERED_REST || d->batch.attempts >= d->attempts) {
		dlv_timer_stop(d->env.loop, &d->cancel);
		dlv_loop_stop(d->env.loop);
		return;
	}
	uint64_t at = slk_mono_ns(d->env.clock) + d->backoff_ms * SLK_NS_PER_MS;
	dlv_timer_set(d->env.loop, &d->again, at, attempt, d);
}

static void
cancelled(void *arg)
{
	struct drive *d = arg;

	dlv_timer_stop(d->env.loop, &d->again);
	d->ops->cancel(d->dest, &d->batch);
	printf("{\"outcome\":\"cancelled\"}\n");
	dlv_loop_stop(d->env.loop);
}

static int
run(struct drive *d)
{
	d->batch.entries = calloc(d->records_count + 1, sizeof(*d->batch.entries));
	if (d->batch.entries == NULL)
		return SLK_NO_MEMORY;
	int rc = d->ops->open(&d->env, &d->dest, &d->err);
	if (rc == SLK_OK)
		rc = gather(d);
	if (rc != SLK_OK)
		return rc;
	attempt(d);
	if (d->cancel_ms != 0)
		dlv_timer_set(d->env.loop, &d->cancel,
			slk_mono_ns(d->env.clock) + d->cancel_ms * SLK_NS_PER_MS, cancelled, d);
	return dlv_loop_run(d->env.loop, &d->err);
}

int
main(int argc, char **argv)
{
	static struct drive d = {.batch.id = "01234567-89ab-cdef-0123-456789abcdef"};
	struct dlv_web *web = NULL;

	set_out(&d, argc, argv);
	read_records(&d);
	d.env = (struct dlv_env){.name = "drive",
		.arn = "arn:aws:firehose:eu-central-1:000000000000:deliverystream/drive",
		.account = "000000000000",
		.region = "eu-central-1",
		.spec = &d.spec,
		.version = 1,
		.endpoints = &d.endpoints,
		.clock = slk_clock_system()};
	int rc = dlv_loop_new(1, NULL, &d.env.loop, &d.err);
	if (rc == SLK_OK)
		rc = dlv_web_new(d.env.loop, &web, &d.err);
	if (rc == SLK_OK)
		rc = dlv_pool_new(d.pool_mb << 20, false, &d.env.pool);
	if (rc == SLK_OK) {
		dlv_buffer_init(&d.batch.body, d.env.pool);
		dlv_buffer_init(&d.batch.raw, d.env.pool);
		d.batch.planned_ns = slk_wall_ns(d.env.clock);
		rc = run(&d);
		d.ops->release(d.dest, &d.batch);
		d.ops->close(d.dest);
		dlv_buffer_fini(&d.batch.body);
		dlv_buffer_fini(&d.batch.raw);
		if (rc == SLK_OK && dlv_pool_used(d.env.pool) != 0)
			rc = slk_fail(&d.err, SLK_INTERNAL, "memory of the pool is left over");
		dlv_pool_free(d.env.pool);
	}
	dlv_web_free(web);
	dlv_loop_free(d.env.loop);
	slk_secret_free(
		(struct slk_secret *)(uintptr_t)(d.ops == &dlv_http_ops ? d.spec.http.access_key
									: NULL));
	free(d.batch.entries);
	free(d.records);
	free(d.input);
	if (rc != SLK_OK)
		fprintf(stderr, "%s\n",
			d.err.text[0] != '\0' ? d.err.text : slk_status_sentence(rc));
	return rc == SLK_OK ? 0 : 2;
}
