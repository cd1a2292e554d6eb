#include "s3_answer.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16u
#define RETRY_AFTER_MAX_S 3600u

/* --- XML --- */

struct reading {
	XML_Parser parser;
	struct dlv_s3_reply *out;
	unsigned depth;
	char *text; /* of the element that is open at depth 2, if it is a known one */
	size_t cap;
	bool too_large;
};

static void
open_text(struct reading *r, const char *name)
{
	const struct {
		const char *name;
		char *text;
		size_t cap;
	} known[] = {
		{"Code", r->out->code, sizeof(r->out->code)},
		{"Message", r->out->message, sizeof(r->out->message)},
		{"Region", r->out->region, sizeof(r->out->region)},
		{"UploadId", r->out->upload_id, sizeof(r->out->upload_id)},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		/* The first of a name counts. */
		if (strcmp(name, known[i].name) == 0 && known[i].text[0] == '\0') {
			r->text = known[i].text;
			r->cap = known[i].cap;
		}
	}
}

static void
on_start(void *arg, const char *name, const char **attributes)
{
	struct reading *r = arg;

	(void)attributes;
	r->text = NULL;
	if (++r->depth > DEPTH_MAX)
		XML_StopParser(r->parser, XML_FALSE);
	else if (r->depth == 1)
		snprintf(r->out->root, sizeof(r->out->root), "%s", name);
	else if (r->depth == 2)
		open_text(r, name);
}

static void
on_end(void *arg, const char *name)
{
	struct reading *r = arg;

	(void)name;
	r->text = NULL;
	r->depth--;
}

/* An upload id that is cut would be another one. */
static void
on_text(void *arg, const char *bytes, int len)
{
	struct reading *r = arg;

	if (r->text == NULL)
		return;
	size_t have = strlen(r->text), room = r->cap - 1 - have;
	size_t n = (size_t)len < room ? (size_t)len : room;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		r->text[have + i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	r->text[have + n] = '\0';
	if (n < (size_t)len && r->text == r->out->upload_id) {
		r->too_large = true;
		XML_StopParser(r->parser, XML_FALSE);
	}
}

static void
on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
	struct reading *r = arg;

	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	XML_StopParser(r->parser, XML_FALSE);
}

int
dlv_s3_reply_read(struct slk_span body, struct dlv_s3_reply *out)
{
	struct reading r = {.out = out};
	int rc = SLK_OK;

	memset(out, 0, sizeof(*out));
	if (body.len > DLV_S3_ANSWER_MAX)
		return SLK_TOO_LARGE;
	r.parser = XML_ParserCreate("UTF-8");
	if (r.parser == NULL)
		return SLK_NO_MEMORY;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	if (XML_Parse(r.parser, (const char *)body.ptr, (int)body.len, 1) != XML_STATUS_OK)
		rc = r.too_large                                            ? SLK_TOO_LARGE
			: XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? SLK_NO_MEMORY
									    : SLK_MALFORMED;
	XML_ParserFree(r.parser);
	if (rc != SLK_OK)
		memset(out, 0, sizeof(*out));
	return rc;
}

/* --- verdicts --- */

static const struct code {
	const char *name;
	enum dlv_outcome outcome;
	const char *advice;
} codes[] = {
	{"AccessDenied", DLV_REFUSED,
		"give the access key s3:PutObject on the bucket and, if the object is encrypted "
		"under a "
		"KMS key, rights on that"},
	{"AccountProblem", DLV_REFUSED, "see to the account at the store"},
	{"AllAccessDisabled", DLV_REFUSED, "see to the bucket at the store"},
	{"ExpiredToken", DLV_REFUSED, "put new credentials in the file"},
	{"InvalidToken", DLV_REFUSED, "mend aws_session_token in the file of credentials"},
	{"InvalidAccessKeyId", DLV_REFUSED,
		"mend aws_access_key_id in the file of credentials; Ceph says this of a KMS key, "
		"too"},
	{"SignatureDoesNotMatch", DLV_REFUSED,
		"mend aws_secret_access_key in the file of credentials, and the store's region"},
	{"RequestTimeTooSkewed", DLV_REFUSED,
		"the clocks of this host and of the store differ by too much; set them"},
	{"NoSuchBucket", DLV_REFUSED, "make the bucket at the store, or mend BucketARN"},
	{"InvalidBucketName", DLV_REFUSED, "mend BucketARN"},
	{"KeyTooLongError", DLV_REFUSED, "make the prefix shorter"},
	{"KeyTooLong", DLV_REFUSED, "make the prefix shorter"},
	{"EntityTooLarge", DLV_REFUSED, "make the buffer of the delivery stream smaller"},
	{"InvalidRequest", DLV_REFUSED, NULL},
	{"BadDigest", DLV_FAILED, "the bytes were changed on their way"},
	{"XAmzContentSHA256Mismatch", DLV_FAILED, "the bytes were changed on their way"},
	{"XAmzContentChecksumMismatch", DLV_FAILED, "the bytes were changed on their way"},
	{"InvalidDigest", DLV_FAILED, "the bytes were changed on their way"},
	{"IncompleteBody", DLV_FAILED, NULL},
	{"RequestTimeout", DLV_FAILED, NULL},
	{"SlowDown", DLV_FAILED, NULL},
	{"ServiceUnavailable", DLV_FAILED, NULL},
	{"InternalError", DLV_FAILED, NULL},
	{"OperationAborted", DLV_FAILED, NULL},
	{"NoSuchUpload", DLV_FAILED, "somebody else aborted the multipart upload"},
	{"InvalidPart", DLV_FAILED, NULL},
	{"InvalidPartOrder", DLV_FAILED, NULL},
	{"QuotaExceeded", DLV_FAILED,
		"the bucket or its owner is over quota; raise it or make room"},
	{"KMS.ThrottlingException", DLV_FAILED, NULL},
	{"KMS.KMSInternalException", DLV_FAILED, NULL},
	{"KMS.DependencyTimeoutException", DLV_FAILED, NULL},
};

static bool
begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static struct code
find_code(const char *name)
{
	for (size_t i = 0; name[0] != '\0' && i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].name, name) == 0)
			return codes[i];
	}
	if (begins_with(name, "KMS."))
		return (struct code){
			name, DLV_REFUSED, "see to the KMS key that the delivery stream names"};
	return (struct code){NULL, DLV_FAILED, NULL};
}

static enum dlv_outcome
outcome_of_http(unsigned status)
{
	bool again = status >= 500 || status < 300 || status == 408 || status == 409 ||
		status == 425 || status == 429;

	return again ? DLV_FAILED : DLV_REFUSED;
}

static void
put_code(struct dlv_result *out, const char *prefix, const char *name)
{
	snprintf(out->code, sizeof(out->code), "%s%.40s", prefix, name);
	/* It becomes a label of a metric. */
	for (char *c = out->code; *c != '\0'; c++) {
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			    (*c >= '0' && *c <= '9') || *c == '.'))
			*c = '_';
	}
}

static uint64_t
retry_after_ns(const struct dlv_web_answer *answer)
{
	const char *text = answer->header != NULL ? answer->header(answer, "Retry-After") : "";
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 4 || text[digits] != '\0')
		return 0;
	unsigned long seconds = strtoul(text, NULL, 10);
	return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * SLK_NS_PER_S;
}

static void
no_answer(const struct dlv_s3_asked *asked, const struct dlv_web_answer *answer,
	struct dlv_result *out)
{
	const char *name = answer->status == SLK_TIMEOUT ? "Timeout"
		: answer->status == SLK_CLOSED           ? "ConnectionClosed"
		: answer->status == SLK_DENIED           ? "Certificate"
		: answer->status == SLK_MALFORMED        ? "NotHttp"
		: answer->status == SLK_NO_MEMORY        ? "NoMemory"
							 : "Unreachable";

	out->outcome = answer->status == SLK_DENIED ? DLV_REFUSED : DLV_FAILED;
	put_code(out, "S3.", name);
	(void)slk_fail(&out->error, answer->status, "bucket %s at %s, %s: %s", asked->bucket,
		asked->url, asked->what, answer->sentence);
}

/* The header is the answer's to HEAD and PUT alike; the element comes in errors of the wrong region. */
static const char *
wanted_region(const struct dlv_web_answer *answer, const struct dlv_s3_reply *reply)
{
	const char *header =
		answer->header != NULL ? answer->header(answer, "x-amz-bucket-region") : "";

	return header[0] != '\0' ? header : reply->region;
}

static bool
is_redirect(const struct dlv_web_answer *answer, const struct dlv_s3_reply *reply)
{
	return (answer->http_status >= 300 && answer->http_status < 400) ||
		strcmp(reply->code, "AuthorizationHeaderMalformed") == 0 ||
		strcmp(reply->code, "IllegalLocationConstraintException") == 0;
}

static void
redirected(const struct dlv_s3_asked *asked, const struct dlv_web_answer *answer,
	const struct dlv_s3_reply *reply, struct dlv_result *out)
{
	const char *region = wanted_region(answer, reply);

	out->outcome = DLV_REFUSED;
	put_code(out, "S3.", reply->code[0] != '\0' ? reply->code : "Redirect");
	if (region[0] != '\0')
		(void)slk_fail(&out->error, SLK_CONFIG,
			"bucket %s at %s, %s: answered %u: the bucket is in region %.63s, not %s; "
			"mend "
			"region and url of the store",
			asked->bucket, asked->url, asked->what, answer->http_status, region,
			asked->region);
	else
		(void)slk_fail(&out->error, SLK_CONFIG,
			"bucket %s at %s, %s: answered %u: the bucket is elsewhere, and the store "
			"does not "
			"say where; mend region and url of the store",
			asked->bucket, asked->url, asked->what, answer->http_status);
}

void
dlv_s3_verdict(const struct dlv_s3_asked *asked, const struct dlv_web_answer *answer,
	const struct dlv_s3_reply *reply, struct dlv_result *out)
{
	char name[72];

	*out = (struct dlv_result){.outcome = DLV_FAILED};
	if (answer->status != SLK_OK) {
		no_answer(asked, answer, out);
		return;
	}
	out->retry_after_ns = retry_after_ns(answer);
	if (is_redirect(answer, reply)) {
		redirected(asked, answer, reply, out);
		return;
	}
	struct code code = find_code(reply->code);
	out->outcome = code.name != NULL ? code.outcome : outcome_of_http(answer->http_status);
	snprintf(name, sizeof(name), "Http%u", answer->http_status);
	if (reply->code[0] != '\0')
		snprintf(name, sizeof(name), "%s", reply->code);
	put_code(out, begins_with(name, "KMS.") ? "" : "S3.", name);
	(void)slk_fail(&out->error, out->outcome == DLV_REFUSED ? SLK_DENIED : SLK_UNAVAILABLE,
		"bucket %s at %s, %s as %.128s%s%.80s: answered %u %s%s%s%s%s%s", asked->bucket,
		asked->url, asked->what, asked->key_id,
		asked->kms_key != NULL ? " with KMS key " : "",
		asked->kms_key != NULL ? asked->kms_key : "", answer->http_status, reply->code,
		reply->message[0] != '\0' ? " (" : "", reply->message,
		reply->message[0] != '\0' ? ")" : "", code.advice != NULL ? "; " : "",
		code.advice != NULL ? code.advice : "");
}

void
dlv_s3_not_s3(const struct dlv_s3_asked *asked, const char *missing, struct dlv_result *out)
{
	*out = (struct dlv_result){.outcome = DLV_FAILED};
	put_code(out, "S3.", "BadAnswer");
	(void)slk_fail(&out->error, SLK_MALFORMED,
		"bucket %s at %s, %s: a success without %s: is that an S3 store?", asked->bucket,
		asked->url, asked->what, missing);
}

void
dlv_s3_not_encrypted(const struct dlv_s3_asked *asked, const char *sse, struct dlv_result *out)
{
	*out = (struct dlv_result){.outcome = DLV_REFUSED};
	put_code(out, "S3.", "NotEncrypted");
	(void)slk_fail(&out->error, SLK_UNSUPPORTED,
		"bucket %s at %s, %s: the store does not encrypt objects as asked (%s); set seal "
		"of the "
		"store to client, or to none",
		asked->bucket, asked->url, asked->what, sse);
}
