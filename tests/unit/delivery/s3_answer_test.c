/* What S3 stores answer: read within bounds, and what it means. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3_answer.h"

static int
read_text(const char *text, struct dlv_s3_reply *out)
{
	return dlv_s3_reply_read(slk_span_str(text), out);
}

/* --- XML --- */

static void
known_elements_are_read(void **state)
{
	(void)state;
	struct dlv_s3_reply r;

	assert_ok(read_text(
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code>"
		"<Message>The &lt;bucket&gt; does\nnot exist</Message><BucketName>b</BucketName>"
		"<Region>eu-west-1</Region></Error>",
		&r));
	assert_string_equal(r.root, "Error");
	assert_string_equal(r.code, "NoSuchBucket");
	assert_string_equal(r.message, "The <bucket> does?not exist");
	assert_string_equal(r.region, "eu-west-1");
	assert_string_equal(r.upload_id, "");
	assert_ok(read_text(
		"<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Bucket>b</Bucket><Key>k</Key><UploadId>2~ab.c-_</UploadId>"
		"</InitiateMultipartUploadResult>",
		&r));
	assert_string_equal(r.root, "InitiateMultipartUploadResult");
	assert_string_equal(r.upload_id, "2~ab.c-_");
}

/* What is deeper, or comes twice, is not taken for it. */
static void
only_the_first_at_its_place_counts(void **state)
{
	(void)state;
	struct dlv_s3_reply r;

	assert_ok(read_text(
		"<Error><Detail><Code>Inner</Code></Detail><Code>Outer</Code><Code>Second</Code>"
		"<Message>a<b>c</b>d</Message></Error>",
		&r));
	assert_string_equal(r.code, "Outer");
	assert_string_equal(r.message, "a");
}

static void
what_is_none_is_refused_and_leaves_nothing(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "{}", "<html><body>hello", "<Error><Code>x</Error>",
		"<Error><Code>A</Code></Error>trailing", "\x16\x03\x01", "<!DOCTYPE x><Error/>",
		"<!DOCTYPE x [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>",
		"<Error><Code>&unknown;</Code></Error>", "<Error><Code>\xff\xfe</Code></Error>"};
	static const struct dlv_s3_reply zero;
	struct dlv_s3_reply r;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (read_text(texts[i], &r) != SLK_MALFORMED)
			fail_msg("taken: %s", texts[i]);
		assert_memory_equal(&r, &zero, sizeof(r));
	}
	char deep[1024] = "";
	for (int i = 0; i < 20; i++)
		strcat(deep, "<a>");
	for (int i = 0; i < 20; i++)
		strcat(deep, "</a>");
	assert_int_equal(read_text(deep, &r), SLK_MALFORMED);
}

static void
texts_are_cut_but_an_upload_id_never(void **state)
{
	(void)state;
	char text[4096], long_text[1025];
	struct dlv_s3_reply r;

	memset(long_text, 'm', 1024);
	long_text[1024] = '\0';
	snprintf(text, sizeof(text), "<Error><Message>%s</Message></Error>", long_text);
	assert_ok(read_text(text, &r));
	assert_int_equal(strlen(r.message), sizeof(r.message) - 1);
	snprintf(text, sizeof(text), "<R><UploadId>%.512s</UploadId></R>", long_text);
	assert_ok(read_text(text, &r));
	assert_int_equal(strlen(r.upload_id), 512);
	snprintf(text, sizeof(text), "<R><UploadId>%.513s</UploadId></R>", long_text);
	assert_int_equal(read_text(text, &r), SLK_TOO_LARGE);
	assert_string_equal(r.upload_id, "");
	char *huge = calloc(1, DLV_S3_ANSWER_MAX + 2);
	assert_non_null(huge);
	memset(huge, ' ', DLV_S3_ANSWER_MAX + 1);
	assert_int_equal(read_text(huge, &r), SLK_TOO_LARGE);
	free(huge);
}

/* --- verdicts --- */

static const struct dlv_s3_asked asked = {
	"PutObject", "https://s3.example", "archive", "us-east-1", "AKID", NULL};

static const char *retry_after, *bucket_region;

static const char *
header(const struct dlv_web_answer *answer, const char *name)
{
	(void)answer;
	if (strcmp(name, "Retry-After") == 0 && retry_after != NULL)
		return retry_after;
	return strcmp(name, "x-amz-bucket-region") == 0 && bucket_region != NULL ? bucket_region
										 : "";
}

static struct dlv_result
verdict(unsigned http_status, const char *code, const char *message)
{
	struct dlv_web_answer answer = {
		.status = SLK_OK, .sentence = "", .http_status = http_status, .header = header};
	struct dlv_s3_reply reply = {.root = "Error"};
	struct dlv_result result;

	snprintf(reply.code, sizeof(reply.code), "%s", code);
	snprintf(reply.message, sizeof(reply.message), "%s", message);
	dlv_s3_verdict(&asked, &answer, &reply, &result);
	return result;
}

static void
each_error_has_its_outcome_and_its_name(void **state)
{
	(void)state;
	static const struct {
		unsigned http_status;
		const char *code;
		enum dlv_outcome outcome;
		const char *name, *in_sentence;
	} cases[] = {
		{503, "SlowDown", DLV_FAILED, "S3.SlowDown", "answered 503 SlowDown"},
		{503, "", DLV_FAILED, "S3.Http503", "answered 503"},
		{500, "InternalError", DLV_FAILED, "S3.InternalError",
			"archive at https://s3.example"},
		{502, "Whatever", DLV_FAILED, "S3.Whatever", "Whatever"},
		{400, "RequestTimeout", DLV_FAILED, "S3.RequestTimeout", ""},
		{400, "BadDigest", DLV_FAILED, "S3.BadDigest", "changed on their way"},
		{400, "XAmzContentSHA256Mismatch", DLV_FAILED, "S3.XAmzContentSHA256Mismatch",
			"changed on their way"},
		{409, "OperationAborted", DLV_FAILED, "S3.OperationAborted", ""},
		{429, "", DLV_FAILED, "S3.Http429", ""},
		{403, "AccessDenied", DLV_REFUSED, "S3.AccessDenied",
			"PutObject as AKID: answered 403"},
		{403, "", DLV_REFUSED, "S3.Http403", ""},
		{403, "InvalidAccessKeyId", DLV_REFUSED, "S3.InvalidAccessKeyId",
			"aws_access_key_id"},
		{403, "SignatureDoesNotMatch", DLV_REFUSED, "S3.SignatureDoesNotMatch",
			"aws_secret_access_key"},
		{403, "RequestTimeTooSkewed", DLV_REFUSED, "S3.RequestTimeTooSkewed", "clocks"},
		{404, "NoSuchBucket", DLV_REFUSED, "S3.NoSuchBucket", "make the bucket"},
		{404, "NoSuchUpload", DLV_FAILED, "S3.NoSuchUpload", ""},
		{403, "QuotaExceeded", DLV_FAILED, "S3.QuotaExceeded", "quota"},
		{400, "KMS.DisabledException", DLV_REFUSED, "KMS.DisabledException", "KMS key"},
		{400, "KMS.NotFoundException", DLV_REFUSED, "KMS.NotFoundException", "KMS key"},
		{400, "KMS.ThrottlingException", DLV_FAILED, "KMS.ThrottlingException", ""},
		{400, "SomethingNew", DLV_REFUSED, "S3.SomethingNew", "SomethingNew"},
		{400, "Odd<name>\"", DLV_REFUSED, "S3.Odd_name__", ""},
		{200, "InternalError", DLV_FAILED, "S3.InternalError",
			"answered 200 InternalError"},
		{200, "Odd", DLV_FAILED, "S3.Odd", ""},
		{404, "KeyTooLongError", DLV_REFUSED, "S3.KeyTooLongError", "prefix"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_result r = verdict(cases[i].http_status, cases[i].code, "told");
		if (r.outcome != cases[i].outcome || strcmp(r.code, cases[i].name) != 0 ||
			strstr(r.error.text, cases[i].in_sentence) == NULL)
			fail_msg("%s: %d %s: %s", cases[i].code, (int)r.outcome, r.code,
				r.error.text);
		assert_non_null(strstr(r.error.text, "(told)"));
		assert_int_equal(r.failed_count, 0);
	}
}

static void
a_bucket_elsewhere_names_its_region(void **state)
{
	(void)state;
	bucket_region = "eu-central-1";
	struct dlv_result r = verdict(301, "PermanentRedirect", "");
	assert_int_equal(r.outcome, DLV_REFUSED);
	assert_string_equal(r.code, "S3.PermanentRedirect");
	assert_non_null(strstr(r.error.text, "region eu-central-1, not us-east-1"));
	r = verdict(307, "", "");
	assert_string_equal(r.code, "S3.Redirect");
	r = verdict(400, "AuthorizationHeaderMalformed", "");
	assert_non_null(strstr(r.error.text, "eu-central-1"));
	bucket_region = NULL;
	r = verdict(301, "PermanentRedirect", "");
	assert_int_equal(r.outcome, DLV_REFUSED);
	assert_non_null(strstr(r.error.text, "does not say where"));
}

static void
what_the_store_asks_for_is_kept_within_an_hour(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t seconds;
	} cases[] = {{"7", 7}, {"0", 0}, {"9999", 3600}, {"99999", 0}, {"-1", 0}, {"soon", 0},
		{"", 0}, {"Wed, 21 Oct 2026 07:28:00 GMT", 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		retry_after = cases[i].text;
		struct dlv_result r = verdict(503, "SlowDown", "");
		assert_int_equal(r.retry_after_ns, cases[i].seconds * SLK_NS_PER_S);
	}
	retry_after = NULL;
}

static void
no_answer_is_named_by_what_happened(void **state)
{
	(void)state;
	static const struct {
		int status;
		enum dlv_outcome outcome;
		const char *name;
	} cases[] = {{SLK_TIMEOUT, DLV_FAILED, "S3.Timeout"},
		{SLK_CLOSED, DLV_FAILED, "S3.ConnectionClosed"},
		{SLK_UNAVAILABLE, DLV_FAILED, "S3.Unreachable"},
		{SLK_MALFORMED, DLV_FAILED, "S3.NotHttp"},
		{SLK_NO_MEMORY, DLV_FAILED, "S3.NoMemory"},
		{SLK_DENIED, DLV_REFUSED, "S3.Certificate"}};
	const struct dlv_s3_reply none = {.root = ""};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_web_answer answer = {.status = cases[i].status, .sentence = "it was so"};
		struct dlv_result r;
		dlv_s3_verdict(&asked, &answer, &none, &r);
		assert_int_equal(r.outcome, cases[i].outcome);
		assert_string_equal(r.code, cases[i].name);
		assert_non_null(strstr(r.error.text, "it was so"));
		assert_int_equal(r.error.status, cases[i].status);
	}
}

static void
a_success_that_is_none_is_tried_again(void **state)
{
	(void)state;
	struct dlv_result r;

	dlv_s3_not_s3(&asked, "an ETag", &r);
	assert_int_equal(r.outcome, DLV_FAILED);
	assert_string_equal(r.code, "S3.BadAnswer");
	assert_non_null(strstr(r.error.text, "without an ETag"));
	dlv_s3_not_encrypted(&asked, "AES256", &r);
	assert_int_equal(r.outcome, DLV_REFUSED);
	assert_string_equal(r.code, "S3.NotEncrypted");
	assert_non_null(strstr(r.error.text, "(AES256)"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_elements_are_read),
		cmocka_unit_test(only_the_first_at_its_place_counts),
		cmocka_unit_test(what_is_none_is_refused_and_leaves_nothing),
		cmocka_unit_test(texts_are_cut_but_an_upload_id_never),
		cmocka_unit_test(each_error_has_its_outcome_and_its_name),
		cmocka_unit_test(a_bucket_elsewhere_names_its_region),
		cmocka_unit_test(what_the_store_asks_for_is_kept_within_an_hour),
		cmocka_unit_test(no_answer_is_named_by_what_happened),
		cmocka_unit_test(a_success_that_is_none_is_tried_again),
	};

	return cmocka_run_group_tests_name("delivery/s3_answer", tests, NULL, NULL);
}
