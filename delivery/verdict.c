#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Nobody asks for more. */
#define RETRY_AFTER_MAX_S 3600u

void
dlv_verdict_set(struct dlv_result *out, enum dlv_outcome outcome, const char *prefix,
	const char *code, const char *fmt, ...)
{
	va_list args;

	*out = (struct dlv_result){.outcome = outcome};
	snprintf(out->code, sizeof(out->code), "%s.%s", prefix, code);
	va_start(args, fmt);
	vsnprintf(out->error.text, sizeof(out->error.text), fmt, args);
	va_end(args);
	out->error.status = outcome == DLV_REFUSED ? SLK_DENIED : SLK_UNAVAILABLE;
}

static const struct {
	int status;
	enum dlv_outcome outcome;
	const char *code, *what;
} transport[] = {
	{SLK_UNAVAILABLE, DLV_FAILED, "Unavailable", "cannot be reached"},
	{SLK_TIMEOUT, DLV_FAILED, "Timeout", "does not answer in time"},
	{SLK_CLOSED, DLV_FAILED, "ConnectionReset", "closed the connection half-way"},
	{SLK_DENIED, DLV_REFUSED, "Certificate", "has a certificate that is not trusted"},
	{SLK_MALFORMED, DLV_FAILED, "BadAnswer", "answers what is no HTTP"},
	{SLK_NO_MEMORY, DLV_FAILED, "NoMemory", "could not be asked for lack of memory"},
};

static void
of_transport(const struct dlv_web_answer *answer, const char *prefix, const char *who,
	struct dlv_result *out)
{
	for (size_t i = 0; i < sizeof(transport) / sizeof(transport[0]); i++) {
		if (transport[i].status == answer->status) {
			dlv_verdict_set(out, transport[i].outcome, prefix, transport[i].code,
				"%s %s: %s", who, transport[i].what, answer->sentence);
			return;
		}
	}
	dlv_verdict_set(out, DLV_FAILED, prefix, "Unavailable", "%s could not be asked: %s", who,
		answer->sentence);
}

/* The first row whose range has it. */
static const struct {
	unsigned from, to;
	enum dlv_outcome outcome;
	const char *code, *hint;
} answers[] = {
	{401, 401, DLV_REFUSED, "AccessDenied", ": the credentials are refused"},
	{403, 403, DLV_REFUSED, "AccessDenied", ": the credentials lack a right"},
	{404, 404, DLV_REFUSED, "NotFound", ": there is nothing at that address"},
	{410, 410, DLV_REFUSED, "NotFound", ": there is nothing at that address any more"},
	{408, 408, DLV_FAILED, "Throttled", ""},
	{413, 413, DLV_FAILED, "TooLarge", ": the request is too large for it"},
	{425, 425, DLV_FAILED, "Throttled", ""},
	{429, 429, DLV_FAILED, "Throttled", ": too many requests"},
	{503, 503, DLV_FAILED, "Throttled", ": it is busy or down"},
	{300, 399, DLV_REFUSED, "Redirected", ": redirects are not followed"},
	{400, 499, DLV_REFUSED, "BadRequest", ""},
	{500, 599, DLV_FAILED, "ServerError", ""},
};

/* Seconds only: a date would need the two clocks to agree. */
static uint64_t
retry_after(const struct dlv_web_answer *answer)
{
	const char *text = answer->header != NULL ? answer->header(answer, "Retry-After") : "";
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return 0;
	unsigned long seconds = strtoul(text, &end, 10);
	if (*end != '\0')
		return 0;
	return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * SLK_NS_PER_S;
}

void
dlv_verdict(const struct dlv_web_answer *answer, const char *prefix, const char *who,
	struct dlv_result *out)
{
	*out = (struct dlv_result){.outcome = DLV_DELIVERED};
	if (answer->status != SLK_OK) {
		of_transport(answer, prefix, who, out);
		return;
	}
	unsigned status = answer->http_status;
	if (status == 200)
		return;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (status >= answers[i].from && status <= answers[i].to) {
			dlv_verdict_set(out, answers[i].outcome, prefix, answers[i].code,
				"%s answers %u%s", who, status, answers[i].hint);
			out->retry_after_ns = retry_after(answer);
			return;
		}
	}
	dlv_verdict_set(out, DLV_FAILED, prefix, "BadAnswer", "%s answers %u", who, status);
}
