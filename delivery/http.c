/* HTTP endpoints, by the protocol of Firehose: one request for each batch, with the batch's id over all retries.
 * https://docs.aws.amazon.com/firehose/latest/dev/httpdeliveryrequestresponse.html */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "destination.h"
#include "endpoints.h"
#include "http_answer.h"
#include "http_body.h"
#include "http_headers.h"
#include "remark.h"
#include "verdict.h"
#include "web.h"

#define CODE "HttpEndpoint" /* of codes, as Firehose has it */
#define TOTAL_MS 180000u /* an endpoint has three minutes */
#define ANSWER_MAX (1u << 20)

struct http_flight {
	struct dlv_batch *batch;
	dlv_done done;
	void *arg;
	struct dlv_timer timer; /* begins, so that deliver() never calls done itself */
	struct dlv_web_call *call; /* NULL: none is under way */
};

struct http {
	struct dlv_env env;
	const struct dlv_http *spec;
	const struct dlv_endpoint *endpoint;
	char who[320]; /* "the endpoint https://host:port" */
	struct slk_secret *access_key, *attributes; /* header values, or NULL */
	struct http_flight flight;
};

/* batch->work */
struct http_batch {
	struct http_body *body;
	size_t bytes; /* that the body may take */
};

/* --- open, close --- */

static void
http_close(void *dest)
{
	struct http *h = dest;

	if (h == NULL)
		return;
	slk_secret_free(h->access_key);
	slk_secret_free(h->attributes);
	free(h);
}

static int
http_set(struct http *h, struct slk_error *err)
{
	char origin[256];

	int rc = dlv_endpoints_check(h->env.endpoints, h->spec->url, &h->endpoint, err);
	if (rc != SLK_OK)
		return rc == SLK_INVALID ? SLK_CONFIG : rc;
	dlv_endpoints_origin(h->spec->url, origin, sizeof(origin));
	snprintf(h->who, sizeof(h->who), "the endpoint %s", origin);
	rc = http_access_key(h->spec, &h->access_key, err);
	if (rc == SLK_OK)
		rc = http_attributes(h->spec, &h->attributes, err);
	return rc;
}

static int
http_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for an HTTP endpoint");
	h->env = *env;
	h->spec = &env->spec->http;
	int rc = http_set(h, err);
	if (rc != SLK_OK) {
		http_close(h);
		return rc;
	}
	*out_dest = h;
	return SLK_OK;
}

/* --- gather --- */

static void
http_release(void *dest, struct dlv_batch *batch)
{
	struct http_batch *work = batch->work;

	(void)dest;
	if (work == NULL)
		return;
	http_body_free(work->body);
	free(work);
	batch->work = NULL;
}

static int
http_begin(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	const struct http *h = dest;
	struct http_batch *work = calloc(1, sizeof(*work));
	int rc = work != NULL ? http_body_new(h->env.pool, h->spec->gzip, &work->body)
			      : SLK_NO_MEMORY;

	if (rc != SLK_OK) {
		free(work);
		return slk_fail(err, rc, "no memory for a request");
	}
	work->bytes = HTTP_BODY_EXTRA;
	batch->work = work;
	return SLK_OK;
}

/* The body is made when the last record is in, out of raw; here its room is kept, so that it cannot fail for lack of memory. */
static int
http_gather(void *dest, struct dlv_batch *batch, const struct dlv_record *records, size_t count,
	struct slk_error *err)
{
	struct http_batch *work = batch->work;
	size_t bytes = work->bytes;

	(void)dest;
	for (size_t i = 0; i < count; i++)
		bytes += http_body_record_max(records[i].data.len);
	int rc = dlv_buffer_reserve(&batch->body, bytes);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for a larger request now");
	work->bytes = bytes;
	return SLK_OK;
}

static int
http_seal(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	struct http_batch *work = batch->work;

	(void)dest;
	return http_body_make(work->body, batch, err);
}

/* --- deliver --- */

static void
finish(struct http *h, const struct dlv_result *result)
{
	struct http_flight *f = &h->flight;

	f->batch = NULL;
	f->done(f->arg, result); /* the destination may be gone behind it */
}

/* What the endpoint says, as far as it quotes nothing. */
static void
add_words(const struct http_answer *answer, struct dlv_result *result)
{
	char words[160];
	size_t len = strlen(result->error.text);

	dlv_remark(slk_span_str(answer->said), NULL, NULL, words, sizeof(words));
	if (words[0] != '\0')
		snprintf(result->error.text + len, sizeof(result->error.text) - len,
			"; it says: %s", words);
}

static bool
is_json(const struct dlv_web_answer *answer)
{
	static const char type[] = "application/json";
	const char *header = answer->header(answer, "Content-Type");
	size_t len = sizeof(type) - 1;

	return strncasecmp(header, type, len) == 0 && strchr("; \t", header[len]) != NULL;
}

/* A 200: is it one of the protocol, for this request? */
static void
judge_200(const struct http *h, const struct dlv_web_answer *answer, int read,
	const struct http_answer *said, struct dlv_result *out)
{
	if (answer->body_cut)
		dlv_verdict_set(out, DLV_FAILED, CODE, "ResponseTooLarge",
			"%s answers 200 with more than %u bytes", h->who, ANSWER_MAX);
	else if (!is_json(answer))
		dlv_verdict_set(out, DLV_FAILED, CODE, "InvalidResponseFromDestination",
			"%s answers 200, but not as application/json", h->who);
	else if (read != SLK_OK)
		dlv_verdict_set(out, DLV_FAILED, CODE, "InvalidResponseFromDestination",
			"%s answers 200 with what is no answer of the protocol", h->who);
	else if (strcmp(said->request_id, h->flight.batch->id) != 0)
		dlv_verdict_set(out, DLV_FAILED, CODE, "InvalidResponseFromDestination",
			"%s answers 200 with the requestId of another request, or none", h->who);
	else
		*out = (struct dlv_result){.outcome = DLV_DELIVERED};
}

static void
answered(void *arg, const struct dlv_web_answer *answer)
{
	struct http *h = arg;
	struct http_answer said = {0};
	struct dlv_result result;

	h->flight.call = NULL;
	int read = answer->status == SLK_OK ? http_answer_read(answer->body, &said) : SLK_MALFORMED;
	dlv_verdict(answer, CODE, h->who, &result);
	/* An endpoint may mean the records by a 400: after the retry duration they go to the backup, and the stream goes on. */
	if (strcmp(result.code, CODE ".BadRequest") == 0)
		result.outcome = DLV_FAILED;
	if (result.outcome == DLV_DELIVERED)
		judge_200(h, answer, read, &said, &result);
	if (result.outcome != DLV_DELIVERED && read == SLK_OK)
		add_words(&said, &result);
	slk_wipe(&said, sizeof(said));
	finish(h, &result);
}

static size_t
put_headers(const struct http *h, struct dlv_web_header *headers)
{
	size_t count = 0;

	headers[count++] = (struct dlv_web_header){"Content-Type", "application/json"};
	headers[count++] = (struct dlv_web_header){"X-Amz-Firehose-Protocol-Version", "1.0"};
	headers[count++] =
		(struct dlv_web_header){"X-Amz-Firehose-Request-Id", h->flight.batch->id};
	headers[count++] = (struct dlv_web_header){"X-Amz-Firehose-Source-Arn", h->env.arn};
	if (h->spec->gzip)
		headers[count++] = (struct dlv_web_header){"Content-Encoding", "gzip"};
	if (h->access_key != NULL)
		headers[count++] = (struct dlv_web_header){
			"X-Amz-Firehose-Access-Key", (const char *)slk_secret_peek(h->access_key)};
	if (h->attributes != NULL)
		headers[count++] = (struct dlv_web_header){"X-Amz-Firehose-Common-Attributes",
			(const char *)slk_secret_peek(h->attributes)};
	return count;
}

static void
begin(void *arg)
{
	struct http *h = arg;
	struct dlv_web_header headers[DLV_WEB_HEADERS_MAX];
	const struct dlv_web_request request = {
		.method = "POST",
		.url = h->spec->url,
		.headers = headers,
		.headers_count = put_headers(h, headers),
		.body = slk_span(h->flight.batch->body.bytes, h->flight.batch->body.len),
		.ca_file = h->endpoint->ca,
		.total_ms = TOTAL_MS,
		.low_bytes_per_second = DLV_WEB_ANY_SPEED,
		.answer_max = ANSWER_MAX,
	};
	struct dlv_result result;

	int rc = dlv_web_send(dlv_loop_web(h->env.loop), &request, answered, h, &h->flight.call);
	if (rc == SLK_OK)
		return;
	dlv_verdict_set(&result, rc == SLK_NO_MEMORY ? DLV_FAILED : DLV_REFUSED, CODE,
		rc == SLK_NO_MEMORY ? "NoMemory" : "BadRequest", "%s cannot be asked: %s", h->who,
		slk_status_sentence(rc));
	finish(h, &result);
}

static void
http_deliver(void *dest, struct dlv_batch *batch, dlv_done done, void *arg)
{
	struct http *h = dest;

	h->flight.batch = batch;
	h->flight.done = done;
	h->flight.arg = arg;
	dlv_timer_set(h->env.loop, &h->flight.timer, slk_mono_ns(h->env.clock), begin, h);
}

static void
http_cancel(void *dest, struct dlv_batch *batch)
{
	struct http *h = dest;
	struct http_flight *f = &h->flight;

	if (f->batch != batch)
		return;
	dlv_timer_stop(h->env.loop, &f->timer);
	if (f->call != NULL)
		dlv_web_cancel(f->call);
	f->call = NULL;
	f->batch = NULL;
}

const struct dlv_destination_ops dlv_http_ops = {
	.name = "http",
	.keeps_raw = true,
	.error_type = "http-endpoint-failed",
	.open = http_open,
	.close = http_close,
	.begin = http_begin,
	.gather = http_gather,
	.seal = http_seal,
	.deliver = http_deliver,
	.cancel = http_cancel,
	.release = http_release,
};
