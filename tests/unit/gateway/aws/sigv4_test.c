/* Signatures: every case of the published suite in both forms, what they do not cover (:authority, skew, scope), and every refusal. */
#include "slk_test.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "aws/sigv4.h"
#include "aws_request.h"

#define SUITE SLK_SOURCE_DIR "/../shared/vectors/aws-sigv4-suite/tests/aws-signing-test-suite/v4"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define WHEN_S 1440938160ull /* 2015-08-30T12:36:00Z */

static struct gw_sigv4_engine *engine;

static int
setup(void **state)
{
	(void)state;
	assert_ok(gw_sigv4_engine_new(&engine));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	gw_sigv4_engine_free(engine);
	return 0;
}

static void
mac(const void *key, size_t key_len, const char *text, uint8_t out[32])
{
	unsigned len = 32;

	assert_non_null(HMAC(
		EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out, &len));
}

static void
derive(const char *secret, const char *date, const char *region, const char *service,
	uint8_t out[32])
{
	char first[128];

	snprintf(first, sizeof(first), "AWS4%s", secret);
	mac(first, strlen(first), date, out);
	mac(out, 32, region, out);
	mac(out, 32, service, out);
	mac(out, 32, "aws4_request", out);
}

static void
hash(const void *bytes, size_t len, uint8_t out[32])
{
	assert_int_equal(EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL), 1);
}

/* --- the suite --- */

static bool
read_file(const char *name, const char *file, char *out, size_t cap, size_t *out_len)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s/%s", SUITE, name, file);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return false;
	*out_len = fread(out, 1, cap - 1, f);
	assert_true(*out_len < cap - 1);
	out[*out_len] = '\0';
	fclose(f);
	return true;
}

static bool
is_normalised(const char *name)
{
	const char *path[] = {"normalize", NULL};
	char text[4096], error[256];
	size_t len;

	assert_true(read_file(name, "context.json", text, sizeof(text), &len));
	yajl_val tree = yajl_tree_parse(text, error, sizeof(error));
	assert_non_null(tree);
	bool yes = YAJL_IS_TRUE(yajl_tree_get(tree, path, yajl_t_any));
	yajl_tree_free(tree);
	return yes;
}

static unsigned
check(const char *name, const char *form)
{
	const struct gw_sigv4_policy policy = {"us-east-1", "service", WHEN_S, GW_SIGV4_SKEW_S};
	char request[8192], expected[8192], file[64];
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault = {.type = NULL};
	uint8_t payload[32], key[32];
	struct slk_span canonical;
	size_t len, expected_len;

	snprintf(file, sizeof(file), "%s-signed-request.txt", form);
	if (!read_file(name, file, request, sizeof(request), &len))
		return 0;
	assert_true(aws_request_from(request, len, &r));
	hash(r.body, r.body_len, payload);
	bool parsed = gw_sigv4_parse(&r.http, &policy, &sig, &fault);
	if (strcmp(name, "post-sts-header-after") == 0 && strcmp(form, "header") == 0) {
		assert_false(parsed); /* its token is not covered by the signature */
		assert_string_equal(fault.type, "InvalidSignatureException");
		gw_sigv4_fini(&sig);
		return 1;
	}
	if (!parsed)
		fail_msg("%s, %s: %s: %s", name, form, fault.type, fault.message);

	snprintf(file, sizeof(file), "%s-canonical-request.txt", form);
	assert_true(read_file(name, file, expected, sizeof(expected), &expected_len));
	bool normalise = is_normalised(name);
	assert_ok(gw_sigv4_canonical(engine, &r.http, &sig, payload, normalise, &canonical));
	bool token_after = strcmp(name, "post-sts-header-after") == 0;
	if (!token_after &&
		(canonical.len != expected_len ||
			memcmp(canonical.ptr, expected, expected_len) != 0))
		fail_msg("%s, %s:\n%.*s\nnot\n%s", name, form, (int)canonical.len,
			(const char *)canonical.ptr, expected);

	derive(SECRET, sig.date, sig.region, sig.service, key);
	bool same = gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault);
	bool plain_path = strstr(name, "unnormalized") == NULL || strcmp(r.http.path.ptr, "/") == 0;
	if (plain_path && !token_after && !same)
		fail_msg("%s, %s: %s", name, form, fault.message);
	if (token_after)
		assert_false(same);
	if (same) {
		payload[7] ^= 1;
		assert_false(gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault));
		payload[7] ^= 1;
		key[31] ^= 1;
		assert_false(gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault));
		assert_string_equal(fault.type, "InvalidSignatureException");
		assert_false(gw_sigv4_matches(engine, &r.http, &sig, payload, NULL, &fault));
		assert_string_equal(fault.type, "UnrecognizedClientException");
	}
	gw_sigv4_fini(&sig);
	return 1;
}

static void
every_case_of_the_suite_is_read_and_signed_alike(void **state)
{
	(void)state;
	unsigned count = 0;
	DIR *dir = opendir(SUITE);

	if (dir == NULL) {
		print_message("the suite is not there: " SUITE "\n");
		skip();
	}
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		count += check(e->d_name, "header") + check(e->d_name, "query");
	}
	closedir(dir);
	assert_true(count >= 70);
}

static void
asymmetric_signatures_are_refused(void **state)
{
	(void)state;
	const struct gw_sigv4_policy policy = {"us-east-1", "service", WHEN_S, GW_SIGV4_SKEW_S};
	char text[] =
		"GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n"
		"Authorization:AWS4-ECDSA-P256-SHA256 Credential=A/20150830/service/aws4_request, "
		"SignedHeaders=host, Signature=00\n\n";
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;

	assert_true(aws_request_from(text, strlen(text), &r));
	assert_false(gw_sigv4_parse(&r.http, &policy, &sig, &fault));
	assert_string_equal(fault.type, "IncompleteSignatureException");
	gw_sigv4_fini(&sig);
}

/* --- requests of our own --- */

#define SIGNED "host;x-amz-date;x-amz-target"
#define CREDENTIAL "Credential=AKIDEXAMPLE/20150830/local/kinesis/aws4_request"
#define HEX64 "0000000000000000000000000000000000000000000000000000000000000000"
#define AUTHORIZATION "AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=" SIGNED ", Signature=" HEX64

/* Names and values in pairs; NULL ends. Returns what gw_sigv4_parse() says. */
static bool
parse(const char *target, const char *const *headers, const struct gw_sigv4_policy *policy,
	struct aws_request *r, struct gw_sigv4 *sig, struct gw_fault *fault)
{
	static char line[16384];

	snprintf(line, sizeof(line), "POST %s HTTP/1.1\n\n", target);
	assert_true(aws_request_from(line, strlen(line), r));
	for (size_t i = 0; headers[i] != NULL; i += 2)
		aws_request_add(r, headers[i], headers[i + 1]);
	*fault = (struct gw_fault){.type = NULL};
	return gw_sigv4_parse(&r->http, policy, sig, fault);
}

static const struct gw_sigv4_policy kinesis = {"local", "kinesis", WHEN_S, GW_SIGV4_SKEW_S};

static void
refused(const char *target, const char *const *headers, const char *type, const char *message)
{
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;

	bool ok = parse(target, headers, &kinesis, &r, &sig, &fault);
	gw_sigv4_fini(&sig);
	if (ok || strcmp(fault.type, type) != 0 || strcmp(fault.message, message) != 0)
		fail_msg("%s: \"%s\", not %s: \"%s\"", ok ? "taken" : fault.type, fault.message,
			type, message);
}

static void
each_refusal_is_worded_as_by_aws(void **state)
{
	(void)state;
	const char *date = "20150830T123600Z";
#define H(authorization, time) \
	(const char *const[]){"host", "h", "x-amz-date", time, "x-amz-target", "t", \
		"authorization", authorization, NULL}

	refused("/", (const char *const[]){"host", "h", NULL},
		"MissingAuthenticationTokenException", "Missing Authentication Token");
	refused("/?X-Amz-Algorithm=AWS4-HMAC-SHA256", H(AUTHORIZATION, date),
		"InvalidSignatureException",
		"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
		"header.");
	refused("/",
		(const char *const[]){"host", "h", "authorization", "AWS4-HMAC-SHA256 x=y", NULL},
		"IncompleteSignatureException",
		"Authorization header requires 'Credential' parameter. Authorization header "
		"requires "
		"'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
		"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' "
		"header. "
		"Authorization=AWS4-HMAC-SHA256 x=y");
	refused("/", H("Bearer abc", date), "IncompleteSignatureException",
		"Authorization header requires 'Credential' parameter. Authorization header "
		"requires "
		"'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
		"Authorization=Bearer abc");
	refused("/?X-Amz-Algorithm=AWS4-HMAC-SHA256", (const char *const[]){"host", "h", NULL},
		"IncompleteSignatureException",
		"AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string "
		"parameters "
		"must include 'X-Amz-Signature'. AWS query-string parameters must include "
		"'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. "
		"Re-examine the query-string parameters.");
	refused("/", H(AUTHORIZATION, "20150830T123059Z"), "InvalidSignatureException",
		"Signature expired: 20150830T123059Z is now earlier than 20150830T123100Z "
		"(20150830T123600Z - 5 min.)");
	refused("/", H(AUTHORIZATION, "20150830T124101Z"), "InvalidSignatureException",
		"Signature not yet current: 20150830T124101Z is still later than 20150830T124100Z "
		"(20150830T123600Z + 5 min.)");
	refused("/", H(AUTHORIZATION, "20150831T123600Z"), "InvalidSignatureException",
		"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
		"from HTTP: "
		"'20150830' != '20150831', from '20150831T123600Z'.");
	refused("/", H(AUTHORIZATION, "20150230T123600Z"), "IncompleteSignatureException",
		"Date must be in ISO-8601 'basic format'. Got '20150230T123600Z'. See "
		"http://en.wikipedia.org/wiki/ISO_8601");
	refused("/",
		H("AWS4-HMAC-SHA256 "
		  "Credential=A/20150830/local/kms/aws4_request,SignedHeaders=" SIGNED
		  ",Signature=" HEX64,
			date),
		"InvalidSignatureException",
		"Credential should be scoped to correct service: 'kinesis'. ");
	refused("/",
		H("AWS4-HMAC-SHA256 "
		  "Credential=A/20150830/mars/kinesis/aws4_request,SignedHeaders=" SIGNED
		  ",Signature=" HEX64,
			date),
		"InvalidSignatureException",
		"Credential should be scoped to a valid region, not 'mars'. ");
	refused("/",
		H("AWS4-HMAC-SHA256 Credential=A/20150830/local/kinesis/aws5,SignedHeaders=" SIGNED
		  ",Signature=" HEX64,
			date),
		"InvalidSignatureException",
		"Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'.");
	refused("/",
		H("AWS4-HMAC-SHA256 Credential=A/20150830/local,SignedHeaders=" SIGNED
		  ",Signature=" HEX64,
			date),
		"InvalidSignatureException",
		"Credential must have exactly 5 slash-delimited elements, e.g. "
		"keyid/date/region/service/term");
#undef H
}

static void
what_decides_has_to_be_signed(void **state)
{
	(void)state;
	static const struct {
		const char *signed_headers, *message;
	} cases[] = {
		{"x-amz-date;x-amz-target",
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS "
			"Authorization."},
		{"host;x-amz-target",
			"'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."},
		{"host;x-amz-date",
			"'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."},
		{":authority;x-amz-date;x-amz-target",
			"':authority' is signed, but the request has none."},
		{"Host;host;x-amz-date;x-amz-target", "SignedHeaders must be in lower case."},
	};
	char authorization[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(authorization, sizeof(authorization),
			"AWS4-HMAC-SHA256 " CREDENTIAL ", SignedHeaders=%s, Signature=" HEX64,
			cases[i].signed_headers);
		refused("/",
			(const char *const[]){"host", "h", "x-amz-date", "20150830T123600Z",
				"x-amz-target", "t", "authorization", authorization, NULL},
			"InvalidSignatureException", cases[i].message);
	}
}

static void
payloads_of_other_services_are_refused(void **state)
{
	(void)state;
	static const char *const forms[] = {
		"UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ""};
	char message[256];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		snprintf(message, sizeof(message),
			"x-amz-content-sha256 must be the hex SHA-256 of the payload, not '%s'.",
			forms[i]);
		refused("/",
			(const char *const[]){"host", "h", "x-amz-date", "20150830T123600Z",
				"x-amz-content-sha256", forms[i], "authorization",
				"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=host;x-amz-content-"
				"sha256;x-amz-date,Signature=" HEX64,
				NULL},
			"InvalidSignatureException", message);
	}
}

static void
skew_is_five_minutes_to_the_second(void **state)
{
	(void)state;
	static const char *const good[] = {
		"20150830T123100Z", "20150830T124100Z", "20150830T123600Z"};
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;

	for (size_t i = 0; i < 3; i++) {
		const char *const headers[] = {"host", "h", "x-amz-date", good[i], "x-amz-target",
			"t", "authorization", AUTHORIZATION, NULL};
		assert_true(parse("/", headers, &kinesis, &r, &sig, &fault));
		assert_string_equal(sig.time, good[i]);
		assert_string_equal(sig.key_id, "AKIDEXAMPLE");
		gw_sigv4_fini(&sig);
	}
}

static void
a_date_header_does_where_x_amz_date_is_missing(void **state)
{
	(void)state;
	const char *const headers[] = {"host", "h", "date", "Sun, 30 Aug 2015 12:36:00 GMT",
		"authorization",
		"AWS4-HMAC-SHA256 " CREDENTIAL ",SignedHeaders=date;host,Signature=" HEX64, NULL};
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;

	assert_true(parse("/", headers, &kinesis, &r, &sig, &fault));
	assert_string_equal(sig.time, "20150830T123600Z");
	gw_sigv4_fini(&sig);
}

static void
the_authority_of_http_2_is_signed_in_place_of_host(void **state)
{
	(void)state;
	static const char body[] = "{}";
	const char *const headers[] = {"x-amz-date", "20150830T123600Z", "x-amz-target", "t",
		"authorization",
		"AWS4-HMAC-SHA256 " CREDENTIAL
		",SignedHeaders=:authority;x-amz-date;x-amz-target,Signature=" HEX64,
		NULL};
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;
	struct slk_span canonical;
	uint8_t payload[32], key[32];

	char line[] = "POST / HTTP/1.1\n\n";
	assert_true(aws_request_from(line, strlen(line), &r));
	for (size_t i = 0; headers[i] != NULL; i += 2)
		aws_request_add(&r, headers[i], headers[i + 1]);
	r.http.version = 20;
	r.http.has_authority_pseudo = true;
	r.http.authority = (struct http_text){"kinesis.local:8443", 18};
	if (!gw_sigv4_parse(&r.http, &kinesis, &sig, &fault))
		fail_msg("%s", fault.message);
	hash(body, 2, payload);
	assert_ok(gw_sigv4_canonical(engine, &r.http, &sig, payload, true, &canonical));
	static const char expected[] =
		"POST\n/"
		"\n\n:authority:kinesis.local:8443\nx-amz-date:20150830T123600Z\nx-amz-target:t\n\n"
		":authority;x-amz-date;x-amz-target\n"
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
	assert_int_equal(canonical.len, sizeof(expected) - 1);
	assert_memory_equal(canonical.ptr, expected, canonical.len);

	derive(SECRET, sig.date, sig.region, sig.service, key);
	assert_ok(gw_sigv4_sign(engine, &r.http, &sig, payload, key, sig.signature));
	assert_true(gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault));
	r.http.authority = (struct http_text){"kinesis.local:8444", 18};
	assert_false(gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault));
	gw_sigv4_fini(&sig);
}

static void
a_told_payload_hash_has_to_be_that_of_the_payload(void **state)
{
	(void)state;
	const char *const headers[] = {"host", "h", "x-amz-date", "20150830T123600Z",
		"x-amz-content-sha256",
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b", "authorization",
		"AWS4-HMAC-SHA256 " CREDENTIAL
		",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" HEX64,
		NULL};
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;
	uint8_t payload[32], key[32] = {1};

	assert_true(parse("/", headers, &kinesis, &r, &sig, &fault));
	hash("{}", 2, payload);
	assert_ok(gw_sigv4_sign(engine, &r.http, &sig, payload, key, sig.signature));
	assert_false(gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault));
	gw_sigv4_fini(&sig);
}

/* --- presigned --- */

#define QUERY(expires, more) \
	"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Flocal%" \
	"2Fkinesis%2F" \
	"aws4_request&X-Amz-Date=20150830T110000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=" HEX64 \
	"&X-Amz-Expires=" expires more

static void
presigned_requests_live_as_long_as_they_say(void **state)
{
	(void)state;
	const char *const headers[] = {"host", "h", NULL};
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault;

	/* 96 minutes old. */
	assert_true(parse(
		QUERY("5760", "&X-Amz-Security-Token=a%2Bb"), headers, &kinesis, &r, &sig, &fault));
	assert_true(sig.presigned);
	assert_string_equal(sig.token, "a+b");
	gw_sigv4_fini(&sig);
	refused(QUERY("5759", ""), headers, "InvalidSignatureException",
		"Signature expired: 20150830T123600Z is now later than 20150830T123559Z");
	assert_true(parse(QUERY("604800", ""), headers, &kinesis, &r, &sig, &fault));
	gw_sigv4_fini(&sig);
	refused(QUERY("604801", ""), headers, "IncompleteSignatureException",
		"X-Amz-Expires must be at least 1 second and less than a week (604800 seconds)");
	refused(QUERY("0", ""), headers, "IncompleteSignatureException",
		"X-Amz-Expires must be at least 1 second and less than a week (604800 seconds)");
	refused(QUERY("1h", ""), headers, "IncompleteSignatureException",
		"X-Amz-Expires should be a number");
	refused(QUERY("60", "&X-Amz-Date=20150830T123600Z"), headers,
		"IncompleteSignatureException",
		"AWS query-string parameters must include 'X-Amz-Date'. Re-examine the "
		"query-string "
		"parameters.");
}

static void
values_of_queries_are_decoded_strictly(void **state)
{
	(void)state;
	char out[8];
	size_t len = 99;

	assert_ok(gw_query_value(slk_span_str("a=1&b=%41+c"), "b", true, out, sizeof(out), &len));
	assert_string_equal(out, "A c");
	assert_ok(gw_query_value(slk_span_str("&&b="), "b", true, out, sizeof(out), &len));
	assert_int_equal(len, 0);
	assert_ok(gw_query_value(slk_span_str("%62"), "b", true, out, sizeof(out), &len));
	assert_int_equal(gw_query_value(slk_span_str("a=1"), "b", true, out, sizeof(out), &len),
		SLK_NOT_FOUND);
	assert_int_equal(gw_query_value(slk_span_str("b=1&b=2"), "b", true, out, sizeof(out), &len),
		SLK_EXISTS);
	static const char *const broken[] = {"b=%", "b=%4", "b=%4g", "b=%00"};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			gw_query_value(slk_span_str(broken[i]), "b", true, out, sizeof(out), &len),
			SLK_MALFORMED);
	assert_ok(gw_query_value(slk_span_str("b=1234567"), "b", true, out, sizeof(out), &len));
	assert_int_equal(
		gw_query_value(slk_span_str("b=12345678"), "b", true, out, sizeof(out), &len),
		SLK_FULL);
}

/* --- names of the query protocol --- */

static void
types_have_their_names_and_statuses(void **state)
{
	(void)state;

	assert_int_equal(gw_fault_status("ValidationException"), 400);
	assert_int_equal(gw_fault_status("KMSInternalException"), 500);
	assert_int_equal(gw_fault_status("ServiceUnavailableException"), 503);
	assert_string_equal(
		gw_fault_query("InvalidSignatureException").code, "SignatureDoesNotMatch");
	assert_int_equal(gw_fault_query("InvalidSignatureException").status, 403);
	assert_string_equal(
		gw_fault_query("UnrecognizedClientException").code, "InvalidClientTokenId");
	assert_string_equal(gw_fault_query("InternalFailure").blame, "Receiver");
	assert_string_equal(gw_fault_query("ValidationException").blame, "Sender");
	assert_null(gw_fault_type("NoSuchException"));
	assert_string_equal(gw_fault_type("DisabledException"), "DisabledException");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case_of_the_suite_is_read_and_signed_alike),
		cmocka_unit_test(asymmetric_signatures_are_refused),
		cmocka_unit_test(each_refusal_is_worded_as_by_aws),
		cmocka_unit_test(what_decides_has_to_be_signed),
		cmocka_unit_test(payloads_of_other_services_are_refused),
		cmocka_unit_test(skew_is_five_minutes_to_the_second),
		cmocka_unit_test(a_date_header_does_where_x_amz_date_is_missing),
		cmocka_unit_test(the_authority_of_http_2_is_signed_in_place_of_host),
		cmocka_unit_test(a_told_payload_hash_has_to_be_that_of_the_payload),
		cmocka_unit_test(presigned_requests_live_as_long_as_they_say),
		cmocka_unit_test(values_of_queries_are_decoded_strictly),
		cmocka_unit_test(types_have_their_names_and_statuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
