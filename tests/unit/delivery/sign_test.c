/* Signatures of requests: the published suite, where S3's rules are the same, and what S3 has of its own. */
#include "slk_test.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws_request.h"
#include "sign.h"

#define SUITE SLK_SOURCE_DIR "/../shared/vectors/aws-sigv4-suite/tests/aws-signing-test-suite/v4"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define WHEN_NS (1440938160ull * SLK_NS_PER_S) /* 2015-08-30T12:36:00Z */

static struct dlv_keys keys;
static struct dlv_signer *signer;

static void
set_keys(const char *key_id, const char *secret, const char *token)
{
	dlv_keys_fini(&keys);
	snprintf(keys.key_id, sizeof(keys.key_id), "%s", key_id);
	assert_ok(slk_secret_from(secret, strlen(secret), &keys.secret));
	if (token != NULL)
		assert_ok(slk_secret_from(token, strlen(token), &keys.token));
}

static int
teardown(void **state)
{
	(void)state;
	dlv_signer_free(signer);
	signer = NULL;
	dlv_keys_fini(&keys);
	return 0;
}

static void
hash(const void *bytes, size_t len, uint8_t out[32])
{
	assert_int_equal(EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL), 1);
}

/* --- the suite --- */

static bool
read_file(const char *name, const char *file, char *out, size_t cap)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s/%s", SUITE, name, file);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return false;
	size_t len = fread(out, 1, cap - 1, f);
	out[len] = '\0';
	fclose(f);
	return true;
}

static void
text_of(struct slk_span s, char *out, size_t cap)
{
	assert_true(s.len < cap);
	memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
}

static int
unhex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place; the suite's targets are encoded here and there. */
static void
decode(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++) {
		if (text[0] == '%' && unhex_digit(text[1]) >= 0 && unhex_digit(text[2]) >= 0) {
			*out++ = (char)(unhex_digit(text[1]) * 16 + unhex_digit(text[2]));
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

static size_t
params_of(char *query, struct dlv_param *out)
{
	size_t count = 0;
	char *save = NULL;

	for (char *p = strtok_r(query, "&", &save); p != NULL; p = strtok_r(NULL, "&", &save)) {
		char *equals = strchr(p, '=');
		if (equals != NULL)
			*equals = '\0';
		decode(p);
		if (equals != NULL)
			decode(equals + 1);
		assert_true(count < 8);
		out[count++] = (struct dlv_param){p, equals != NULL ? equals + 1 : ""};
	}
	return count;
}

/* Host, date and token are the signer's to add. */
static size_t
headers_of(const struct aws_request *r, char texts[][512], struct dlv_web_header *out, char *host)
{
	size_t count = 0;

	for (size_t i = 0; i < r->http.headers_count; i++) {
		const struct http_header *h = &r->http.headers[i];
		char *name = texts[2 * count], *value = texts[2 * count + 1];
		text_of(slk_span(h->name.ptr, h->name.len), name, 512);
		text_of(slk_span(h->value.ptr, h->value.len), value, 512);
		if (strcasecmp(name, "host") == 0) {
			strcpy(host, value);
			continue;
		}
		if (strcasecmp(name, "x-amz-date") == 0 ||
			strcasecmp(name, "x-amz-security-token") == 0)
			continue;
		out[count++] = (struct dlv_web_header){name, value};
	}
	return count;
}

static unsigned
check(const char *name)
{
	char request[8192], canonical[8192], signature[128], context[2048];
	static char texts[2 * DLV_WEB_HEADERS_MAX][512];
	char host[512] = "", path[1024], query[2048];
	struct dlv_web_header headers[DLV_WEB_HEADERS_MAX];
	struct dlv_param params[8];
	struct dlv_signed out = {.target = NULL};
	struct aws_request r;
	uint8_t payload[32];

	if (!read_file(name, "request.txt", request, sizeof(request)))
		return 0;
	assert_true(read_file(name, "header-canonical-request.txt", canonical, sizeof(canonical)));
	assert_true(read_file(name, "header-signature.txt", signature, sizeof(signature)));
	assert_true(read_file(name, "context.json", context, sizeof(context)));
	assert_true(aws_request_from(request, strlen(request), &r));
	text_of(slk_span(r.http.path.ptr, r.http.path.len), path, sizeof(path));
	text_of(slk_span(r.http.query.ptr, r.http.query.len), query, sizeof(query));
	decode(path);
	/* S3 does not normalise paths. */
	if (strstr(name, "-normalized") != NULL && strcmp(name, "get-space-normalized") != 0)
		return 0;
	const char *token = strstr(context, "\"token\": \"");
	char token_text[1024];
	if (token != NULL)
		snprintf(token_text, sizeof(token_text), "%.*s", (int)strcspn(token + 10, "\""),
			token + 10);
	bool with_token = token != NULL && strcmp(name, "post-sts-header-after") != 0;
	set_keys("AKIDEXAMPLE", SECRET, with_token ? token_text : NULL);
	hash(r.body, r.body_len, payload);
	char method[16];
	text_of(slk_span(r.http.method.ptr, r.http.method.len), method, sizeof(method));
	struct dlv_sign_request sign = {.method = method,
		.host = host,
		.path = path,
		.params = params,
		.params_count = params_of(query, params),
		.headers = headers,
		.headers_count = headers_of(&r, texts, headers, host),
		.payload_sha256 = payload,
		.wall_ns = WHEN_NS};
	/* The service of the suite is not S3, so the signer does not add this one. */
	char hex[65];
	slk_hex(slk_span(payload, 32), hex, sizeof(hex));
	if (strstr(context, "\"sign_body\": true") != NULL)
		headers[sign.headers_count++] =
			(struct dlv_web_header){"x-amz-content-sha256", hex};
	assert_ok(dlv_sign(signer, &keys, 1, &sign, &out));
	if (!slk_span_equal(out.canonical, slk_span_str(canonical)))
		fail_msg("%s:\n%.*s\nnot\n%s", name, (int)out.canonical.len,
			(const char *)out.canonical.ptr, canonical);
	const char *authorization = out.headers[out.headers_count - 1].value;
	assert_string_equal(out.headers[out.headers_count - 1].name, "Authorization");
	if (strstr(authorization, signature) == NULL)
		fail_msg("%s: %s, not %s", name, authorization, signature);
	dlv_signed_fini(&out);
	return 1;
}

static void
the_suite_is_signed_alike(void **state)
{
	(void)state;
	unsigned count = 0;
	DIR *dir = opendir(SUITE);

	if (dir == NULL) {
		print_message("the suite is not there: " SUITE "\n");
		skip();
	}
	assert_ok(dlv_signer_new("us-east-1", "service", &signer));
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (e->d_name[0] != '.')
			count += check(e->d_name);
	}
	closedir(dir);
	assert_true(count >= 28);
}

/* --- S3's own --- */

/* The example of S3's documentation, "PUT Object" with a header-based signature. */
static void
the_put_of_s3s_documentation_is_signed_alike(void **state)
{
	(void)state;
	const struct dlv_web_header headers[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
		{"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
	uint8_t payload[32];
	struct dlv_signed out = {.target = NULL};

	hash("Welcome to Amazon S3.", 21, payload);
	set_keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL);
	assert_ok(dlv_signer_new("us-east-1", "s3", &signer));
	struct dlv_sign_request sign = {.method = "PUT",
		.host = "examplebucket.s3.amazonaws.com",
		.path = "/test$file.text",
		.headers = headers,
		.headers_count = 2,
		.payload_sha256 = payload,
		.wall_ns = 1369353600ull * SLK_NS_PER_S};
	assert_ok(dlv_sign(signer, &keys, 1, &sign, &out));
	assert_string_equal(out.target, "/test%24file.text");
	assert_string_equal(out.headers[out.headers_count - 1].value,
		"AWS4-HMAC-SHA256 "
		"Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
		"SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
		"Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	dlv_signed_fini(&out);
}

/* The rows of what libcurl's own signature gets wrong. */
static void
targets_and_headers_are_as_s3_wants_them(void **state)
{
	(void)state;
	const struct dlv_web_header headers[] = {
		{"x-amz-server-side-encryption-aws-kms-key-id", "k"},
		{"x-amz-server-side-encryption", "aws:kms"}};
	const struct dlv_param params[] = {{"uploads", ""}, {"partNumber", "7"}, {"a b", "c/d+é"}};
	uint8_t payload[32];
	struct dlv_signed out = {.target = NULL};

	hash("", 0, payload);
	set_keys("A", "s", "session/token==");
	assert_ok(dlv_signer_new("eu", "s3", &signer));
	struct dlv_sign_request sign = {.method = "POST",
		.host = "localhost:7443",
		.path = "/b/k=1:2@3+4 é/../~x//y",
		.params = params,
		.params_count = 3,
		.headers = headers,
		.headers_count = 2,
		.payload_sha256 = payload,
		.wall_ns = WHEN_NS};
	assert_ok(dlv_sign(signer, &keys, 1, &sign, &out));
	assert_string_equal(out.target,
		"/b/k%3D1%3A2%403%2B4%20%C3%A9/../~x//"
		"y?a%20b=c%2Fd%2B%C3%A9&partNumber=7&uploads=");
	char text[8192];
	text_of(out.canonical, text, sizeof(text));
	assert_string_equal(text,
		"POST\n/b/k%3D1%3A2%403%2B4%20%C3%A9/../~x//"
		"y\na%20b=c%2Fd%2B%C3%A9&partNumber=7&uploads=\n"
		"host:localhost:7443\n"
		"x-amz-content-sha256:"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
		"x-amz-date:20150830T123600Z\n"
		"x-amz-security-token:session/token==\n"
		"x-amz-server-side-encryption:aws:kms\n"
		"x-amz-server-side-encryption-aws-kms-key-id:k\n\n"
		"host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-server-side-"
		"encryption;"
		"x-amz-server-side-encryption-aws-kms-key-id\n"
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	/* Those of the request first, as they are; then ours. */
	assert_int_equal(out.headers_count, 6);
	assert_string_equal(out.headers[0].name, "x-amz-server-side-encryption-aws-kms-key-id");
	assert_string_equal(out.headers[4].value, "session/token==");
	assert_null(strstr(out.headers[5].value, "session/token"));
	dlv_signed_fini(&out);
}

static void
signature_of(uint64_t generation, uint64_t wall_ns, char out_text[65])
{
	uint8_t payload[32] = {0};
	struct dlv_signed out = {.target = NULL};
	struct dlv_sign_request sign = {.method = "GET",
		.host = "h",
		.path = "/",
		.payload_sha256 = payload,
		.wall_ns = wall_ns};

	assert_ok(dlv_sign(signer, &keys, generation, &sign, &out));
	const char *at = strstr(out.headers[out.headers_count - 1].value, "Signature=");
	assert_non_null(at);
	snprintf(out_text, 65, "%s", at + 10);
	dlv_signed_fini(&out);
}

/* The derived key is kept for its day and its access key, and for nothing else. */
static void
another_day_or_another_secret_is_another_key(void **state)
{
	(void)state;
	char first[65], again[65], other[65], next[65];

	set_keys("A", "one", NULL);
	assert_ok(dlv_signer_new("r", "s3", &signer));
	signature_of(1, WHEN_NS, first);
	signature_of(1, WHEN_NS, again);
	assert_string_equal(first, again);
	signature_of(1, WHEN_NS + 86400 * SLK_NS_PER_S, next);
	assert_string_not_equal(first, next);
	set_keys("A", "two", NULL);
	signature_of(2, WHEN_NS, other);
	assert_string_not_equal(first, other);
	set_keys("A", "one", NULL);
	signature_of(3, WHEN_NS, again);
	assert_string_equal(first, again);
}

static void
what_is_too_much_is_refused(void **state)
{
	(void)state;
	static char long_value[40000];
	struct dlv_web_header headers[DLV_WEB_HEADERS_MAX];
	struct dlv_param params[9];
	uint8_t payload[32] = {0};
	struct dlv_signed out = {.target = NULL};
	struct dlv_sign_request sign = {.method = "GET",
		.host = "h",
		.path = "/",
		.headers = headers,
		.params = params,
		.payload_sha256 = payload,
		.wall_ns = WHEN_NS};
	char name[100];

	memset(long_value, 'v', sizeof(long_value) - 1);
	for (size_t i = 0; i < DLV_WEB_HEADERS_MAX; i++)
		headers[i] = (struct dlv_web_header){"x", long_value};
	set_keys("A", "s", NULL);
	assert_ok(dlv_signer_new("r", "s3", &signer));
	sign.headers_count = 1;
	assert_int_equal(dlv_sign(signer, &keys, 1, &sign, &out), SLK_TOO_LARGE);
	sign.headers_count = DLV_WEB_HEADERS_MAX - 3;
	assert_int_equal(dlv_sign(signer, &keys, 1, &sign, &out), SLK_TOO_LARGE);
	sign.headers_count = 0;
	sign.params_count = 9;
	assert_int_equal(dlv_sign(signer, &keys, 1, &sign, &out), SLK_TOO_LARGE);
	assert_null(out.target);
	memset(name, 'n', 99);
	name[99] = '\0';
	struct dlv_signer *none = NULL;
	assert_int_equal(dlv_signer_new(name, "s3", &none), SLK_INVALID);
	assert_null(none);
}

#define CASE(name) cmocka_unit_test_teardown(name, teardown)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_suite_is_signed_alike),
		CASE(the_put_of_s3s_documentation_is_signed_alike),
		CASE(targets_and_headers_are_as_s3_wants_them),
		CASE(another_day_or_another_secret_is_another_key),
		CASE(what_is_too_much_is_refused),
	};

	return cmocka_run_group_tests_name("delivery/sign", tests, NULL, NULL);
}
