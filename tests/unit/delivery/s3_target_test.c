/* Puts to a store: the requests that are made of them, what each answer leads to, and a directory behind the same call. The store
 * is a server that answers by script; that requests are right is shown with a real one (tests/integration/delivery). */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bad_server.h"
#include "s3_target.h"
#include "tempdir.h"
#include "web.h"

#define MIB (1u << 20)
#define CREATED \
	"<InitiateMultipartUploadResult><UploadId>U+1</UploadId></InitiateMultipartUploadResult>"
#define COMPLETED "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
#define KMS "x-amz-server-side-encryption: aws:kms\r\n"
#define ETAG "ETag: \"abc\"\r\n"
#define ERROR(code) "<Error><Code>" code "</Code><Message>told</Message></Error>"

static struct bad_server *server;
static struct dlv_loop *loop;
static struct dlv_web *web;
static char dir[256], credentials[300], url[64];
static struct dlv_store store;
static struct dlv_s3_target *target;

static void
write_credentials(const char *text)
{
	FILE *f = fopen(credentials, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(credentials, 0600), 0);
}

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(credentials, sizeof(credentials), "%s/credentials", dir);
	write_credentials("[default]\naws_access_key_id=AKID\naws_secret_access_key=topsecret\n");
	server = bad_server_start(NULL, NULL);
	snprintf(url, sizeof(url), "http://localhost:%u", bad_server_port(server));
	assert_ok(dlv_loop_new(2, NULL, &loop, NULL));
	assert_ok(dlv_web_new(loop, &web, NULL));
	store = (struct dlv_store){.bucket = "bucket",
		.url = url,
		.credentials = credentials,
		.path_style = true,
		.part_bytes = 5 * MIB};
	assert_ok(dlv_s3_target_open(
		&store, "bucket", loop, slk_clock_system(), NULL, &target, NULL));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dlv_s3_target_close(target);
	dlv_web_free(web);
	dlv_loop_free(loop);
	bad_server_stop(server);
	tempdir_remove(dir);
	return 0;
}

/* --- one put --- */

static struct {
	unsigned calls;
	struct dlv_result result;
} seen;

static void
on_done(void *arg, const struct dlv_result *result)
{
	(void)arg;
	seen.calls++;
	seen.result = *result;
}

static uint8_t body[13 * MIB];
static struct dlv_s3_part parts[3];
static struct dlv_s3_object object;

static void
make_object(size_t len)
{
	object = (struct dlv_s3_object){.key = "a/b=c d",
		.body = slk_span(body, len),
		.part_bytes = dlv_s3_part_bytes(&store, len),
		.parts = parts,
		.content_type = "application/octet-stream"};
	do {
		size_t at = object.parts_count * object.part_bytes;
		size_t n = len - at < object.part_bytes ? len - at : object.part_bytes;
		assert_ok(dlv_s3_part_hash(
			&store, slk_span(body + at, n), &parts[object.parts_count++]));
	} while (object.parts_count * object.part_bytes < len);
}

static void
put_with(struct bad_reply *replies, size_t count)
{
	struct dlv_s3_call *call = NULL;

	bad_server_forget(server);
	bad_server_script(server, replies, count);
	seen.calls = 0;
	assert_ok(dlv_s3_target_put(target, &object, slk_span(NULL, 0), on_done, NULL, &call));
	assert_int_equal(seen.calls, 0);
	for (unsigned turns = 0; seen.calls == 0; turns++) {
		assert_true(turns < 100000);
		assert_ok(dlv_loop_turn(loop, 1000, NULL));
	}
	for (unsigned i = 0; i < 3; i++)
		assert_ok(dlv_loop_turn(loop, 0, NULL));
	assert_int_equal(seen.calls, 1);
	bad_server_script(server, NULL, 0); /* requests that were cancelled may come late */
}

#define PUT(...) \
	do { \
		struct bad_reply replies_[] = {__VA_ARGS__}; \
		put_with(replies_, sizeof(replies_) / sizeof(replies_[0])); \
	} while (0)

static void
assert_result(enum dlv_outcome outcome, const char *code)
{
	if (seen.result.outcome != outcome || strcmp(seen.result.code, code) != 0)
		fail_msg("%d %s: %s", (int)seen.result.outcome, seen.result.code,
			seen.result.error.text);
	assert_null(strstr(seen.result.error.text, "topsecret"));
}

static unsigned
count_of(const char *what)
{
	unsigned count = 0;

	for (const char *at = bad_server_seen(server); (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static void
assert_header(const char *line)
{
	if (strcasestr(bad_server_last_head(server), line) == NULL)
		fail_msg("no %s in:\n%s", line, bad_server_last_head(server));
}

static void
assert_no_header(const char *name)
{
	assert_null(strcasestr(bad_server_last_head(server), name));
}

/* --- in one request --- */

static void
a_small_object_is_one_request(void **state)
{
	(void)state;
	make_object(1000);
	PUT({"PUT", "/bucket/a/b%3Dc%20d", 200, ETAG, "", 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_string_equal(bad_server_seen(server), "PUT /bucket/a/b%3Dc%20d HTTP/1.1\n");
	assert_header("\r\nContent-Length: 1000\r\n");
	assert_header("\r\ncontent-type: application/octet-stream\r\n");
	assert_header("\r\nx-amz-content-sha256: "
		      "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53\r\n");
	assert_header("\r\nx-amz-checksum-crc32c: ");
	assert_header("==\r\n");
	assert_header("\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKID/");
	assert_no_header("x-amz-server-side-encryption");
	assert_no_header("content-encoding");
	assert_no_header("Expect");
	assert_null(strstr(bad_server_last_head(server), "topsecret"));
	make_object(0);
	PUT({"PUT", "/bucket/", 200, ETAG, "", 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_header("\r\nContent-Length: 0\r\n");
	assert_header("AAAAAA==");
}

static void
encryption_and_metadata_are_headers(void **state)
{
	(void)state;
	const struct dlv_metadata metadata[] = {
		{"x-amz-key-v2", "d3JhcHBlZA=="}, {"x-amz-iv", "aXY="}};

	make_object(10);
	object.content_encoding = "gzip";
	object.metadata = metadata;
	object.metadata_count = 2;
	object.sse = "aws:kms";
	object.kms_key = "testkey-1";
	object.kms_context = "e30=";
	store.bucket_key = true;
	/* The first one is not sent before the store has said that it encrypts. */
	PUT({"POST", "?uploads=", 200, KMS, CREATED, 0, false},
		{"PUT", "?partNumber=1&", 200, ETAG, "", 0, false},
		{"POST", "?uploadId=", 200, "", COMPLETED, 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_int_equal(count_of("\n"), 3);
	PUT({"PUT", "/bucket/", 200, ETAG KMS, "", 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_header("\r\ncontent-encoding: gzip\r\n");
	assert_header("\r\nx-amz-server-side-encryption: aws:kms\r\n");
	assert_header("\r\nx-amz-server-side-encryption-aws-kms-key-id: testkey-1\r\n");
	assert_header("\r\nx-amz-server-side-encryption-context: e30=\r\n");
	assert_header("\r\nx-amz-server-side-encryption-bucket-key-enabled: true\r\n");
	assert_header("\r\nx-amz-meta-x-amz-key-v2: d3JhcHBlZA==\r\n");
	assert_header("\r\nx-amz-meta-x-amz-iv: aXY=\r\n");
	assert_header("x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id;");
	store.bucket_key = false;
}

static void
a_store_that_does_not_encrypt_gets_nothing(void **state)
{
	(void)state;
	make_object(10);
	object.sse = "AES256";
	/* It was asked for another encryption so far, and answers without a word of it: so this is told afterwards. */
	PUT({"PUT", "/bucket/", 200, ETAG, "", 0, false});
	assert_result(DLV_REFUSED, "S3.NotEncrypted");
	assert_header("\r\nx-amz-server-side-encryption: AES256\r\n");
	assert_no_header("kms-key-id");
	for (unsigned i = 0; i < 2; i++) {
		PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
			{"DELETE", "?uploadId=", 204, "", "", 0, false});
		assert_result(DLV_REFUSED, "S3.NotEncrypted");
		assert_int_equal(count_of("PUT"), 0);
		assert_int_equal(count_of("DELETE"), 1);
	}
}

static void
refusals_and_failures_are_told(void **state)
{
	(void)state;
	make_object(100);
	PUT({"PUT", "/", 403, "", ERROR("AccessDenied"), 0, false});
	assert_result(DLV_REFUSED, "S3.AccessDenied");
	assert_non_null(strstr(seen.result.error.text, "as AKID"));
	PUT({"PUT", "/", 503, "Retry-After: 9\r\n", ERROR("SlowDown"), 0, false});
	assert_result(DLV_FAILED, "S3.SlowDown");
	assert_int_equal(seen.result.retry_after_ns, 9 * SLK_NS_PER_S);
	PUT({"PUT", "/", 301, "x-amz-bucket-region: eu-west-3\r\n", ERROR("PermanentRedirect"), 0,
		false});
	assert_result(DLV_REFUSED, "S3.PermanentRedirect");
	assert_non_null(strstr(seen.result.error.text, "eu-west-3"));
	PUT({"PUT", "/", 200, "", "<html>hello</html>", 0, false});
	assert_result(DLV_FAILED, "S3.BadAnswer");
	PUT({"PUT", "/", 200, ETAG, ERROR("InternalError"), 0, false});
	assert_result(DLV_FAILED, "S3.InternalError");
	PUT({"PUT", "/", 500, "", "\x01\x02 garbage <", 0, false});
	assert_result(DLV_FAILED, "S3.Http500");
	make_object(4 * MIB);
	PUT({"PUT", "/", 0, "", "", 0, true});
	assert_result(DLV_FAILED, "S3.ConnectionClosed");
}

static void
credentials_are_read_when_they_are_needed(void **state)
{
	(void)state;
	make_object(100);
	write_credentials("[default]\naws_access_key_id=AKID\n");
	PUT({"PUT", "/", 200, ETAG, "", 0, false});
	assert_result(DLV_REFUSED, "S3.Credentials");
	assert_non_null(strstr(seen.result.error.text, credentials));
	assert_string_equal(bad_server_seen(server), "");
	write_credentials("[default]\naws_access_key_id=OTHER\naws_secret_access_key=s\naws_"
			  "session_token=t\n");
	PUT({"PUT", "/", 200, ETAG, "", 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_header("Credential=OTHER/");
	assert_header("\r\nx-amz-security-token: t\r\n");
	write_credentials("[default]\naws_access_key_id=AKID\naws_secret_access_key=topsecret\n");
}

static void
a_bucket_may_be_in_the_hosts_name(void **state)
{
	(void)state;
	struct dlv_s3_target *path_style = target;
	struct dlv_store by_name = store;
	char head[64];

	by_name.path_style = false;
	assert_ok(dlv_s3_target_open(
		&by_name, "bucket", loop, slk_clock_system(), NULL, &target, NULL));
	make_object(10);
	PUT({"PUT", "/a/b%3Dc%20d", 200, ETAG, "", 0, false});
	/* bucket.localhost is this host by RFC 6761, and libcurl knows that. */
	assert_result(DLV_DELIVERED, "");
	assert_string_equal(bad_server_seen(server), "PUT /a/b%3Dc%20d HTTP/1.1\n");
	snprintf(head, sizeof(head), "\r\nHost: bucket.localhost:%u\r\n", bad_server_port(server));
	assert_header(head);
	dlv_s3_target_close(target);
	target = path_style;
}

/* --- in parts --- */

static void
a_large_object_is_put_in_parts(void **state)
{
	(void)state;
	make_object(13 * MIB);
	assert_int_equal(object.parts_count, 3);
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=", 200, ETAG, "", 0, false},
		{"POST", "?uploadId=U%2B1", 200, "", COMPLETED, 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_int_equal(count_of("POST /bucket/a/b%3Dc%20d?uploads= "), 1);
	assert_int_equal(count_of("?partNumber=1&uploadId=U%2B1 "), 1);
	assert_int_equal(count_of("?partNumber=2&uploadId=U%2B1 "), 1);
	assert_int_equal(count_of("?partNumber=3&uploadId=U%2B1 "), 1);
	assert_int_equal(count_of("POST /bucket/a/b%3Dc%20d?uploadId=U%2B1 "), 1);
	assert_int_equal(count_of("DELETE"), 0);
	assert_int_equal(count_of("\n"), 5);
}

static void
a_part_that_fails_ends_it_and_is_what_is_told(void **state)
{
	(void)state;
	make_object(13 * MIB);
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=2&", 503, "", ERROR("SlowDown"), 0, false},
		{"PUT", "?partNumber=", 200, ETAG, "", 0, false},
		{"DELETE", "?uploadId=U%2B1", 204, "", "", 0, false});
	assert_result(DLV_FAILED, "S3.SlowDown");
	assert_int_equal(count_of("DELETE /bucket/a/b%3Dc%20d?uploadId=U%2B1 "), 1);
	assert_int_equal(count_of("POST"), 1);
	/* Whatever the abort comes to. */
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=3&", 0, "", "", 0, true},
		{"PUT", "?partNumber=", 200, ETAG, "", 0, false},
		{"DELETE", "?uploadId=U%2B1", 500, "", ERROR("InternalError"), 0, false});
	assert_result(DLV_FAILED, "S3.ConnectionClosed");
	assert_int_equal(count_of("DELETE"), 1);
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=", 200, "", "", 0, false},
		{"DELETE", "?uploadId=U%2B1", 204, "", "", 0, false});
	assert_result(DLV_FAILED, "S3.BadAnswer");
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=", 200, "ETag: a<b\r\n", "", 0, false},
		{"DELETE", "?uploadId=U%2B1", 204, "", "", 0, false});
	assert_result(DLV_FAILED, "S3.BadAnswer");
	assert_int_equal(count_of("DELETE"), 1);
}

static void
a_creation_that_fails_has_nothing_to_abort(void **state)
{
	(void)state;
	make_object(13 * MIB);
	PUT({"POST", "?uploads=", 404, "", ERROR("NoSuchBucket"), 0, false});
	assert_result(DLV_REFUSED, "S3.NoSuchBucket");
	assert_int_equal(count_of("POST"), 1);
	assert_int_equal(count_of("DELETE"), 0);
	PUT({"POST", "?uploads=", 200, "", "<html/>", 0, false});
	assert_result(DLV_FAILED, "S3.BadAnswer");
	assert_int_equal(count_of("POST"), 1);
	assert_int_equal(count_of("DELETE"), 0);
}

static void
a_completion_that_says_200_with_an_error_inside_is_one(void **state)
{
	(void)state;
	make_object(13 * MIB);
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=", 200, ETAG, "", 0, false},
		{"POST", "?uploadId=", 200, "", ERROR("InternalError"), 0, false},
		{"DELETE", "?uploadId=", 204, "", "", 0, false});
	assert_result(DLV_FAILED, "S3.InternalError");
	assert_int_equal(count_of("DELETE"), 1);
	PUT({"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=", 200, ETAG, "", 0, false},
		{"POST", "?uploadId=", 200, "", "    ", 0, false},
		{"DELETE", "?uploadId=", 204, "", "", 0, false});
	assert_result(DLV_FAILED, "S3.BadAnswer");
}

/* --- cancellation, and the directory --- */

static void
a_cancelled_put_is_not_heard_of_again(void **state)
{
	(void)state;
	struct bad_reply replies[] = {{"POST", "?uploads=", 200, "", CREATED, 0, false},
		{"PUT", "?partNumber=", 200, ETAG, "", 0, false},
		{"POST", "?uploadId=", 200, "", COMPLETED, 0, false}};
	struct dlv_s3_call *call = NULL;

	make_object(13 * MIB);
	for (unsigned turns = 0; turns < 12; turns++) {
		bad_server_forget(server);
		bad_server_script(server, replies, 3);
		seen.calls = 0;
		assert_ok(dlv_s3_target_put(
			target, &object, slk_span(NULL, 0), on_done, NULL, &call));
		for (unsigned i = 0; i < turns && seen.calls == 0; i++)
			assert_ok(dlv_loop_turn(loop, 20, NULL));
		if (seen.calls != 0)
			continue;
		dlv_s3_target_cancel(call);
		for (unsigned i = 0; i < 5; i++)
			assert_ok(dlv_loop_turn(loop, 2, NULL));
		assert_int_equal(seen.calls, 0);
	}
	bad_server_script(server, NULL, 0);
}

static void
a_directory_is_behind_the_same_call(void **state)
{
	(void)state;
	struct dlv_s3_target *remote = target;
	const struct dlv_store here = {.bucket = "*", .dir = dir};
	struct dlv_s3_call *call = NULL;
	char path[600];
	struct stat st;

	assert_ok(
		dlv_s3_target_open(&here, "bucket", loop, slk_clock_system(), NULL, &target, NULL));
	make_object(5000);
	put_with(NULL, 0);
	assert_result(DLV_DELIVERED, "");
	snprintf(path, sizeof(path), "%s/bucket/a/b=c d", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5000);
	object.key = "../x";
	put_with(NULL, 0);
	assert_result(DLV_REFUSED, "File.BadKey");
	object.key = "k";
	seen.calls = 0;
	for (unsigned i = 0; i < 50; i++) {
		assert_ok(dlv_s3_target_put(
			target, &object, slk_span(NULL, 0), on_done, NULL, &call));
		usleep(i * 10); /* queued, being written, written */
		dlv_s3_target_cancel(call);
		assert_ok(dlv_loop_turn(loop, 0, NULL));
	}
	assert_int_equal(seen.calls, 0);
	put_with(NULL, 0); /* whatever was posted has been run */
	dlv_s3_target_close(target);
	target = remote;
}

/* Over TLS the signature leaves the body to TLS and its checksum, unless the store is to have it. */
static void
bodies_are_hashed_where_nothing_else_keeps_them(void **state)
{
	(void)state;
	struct dlv_store other = store;
	struct dlv_s3_part part;

	assert_ok(dlv_s3_part_hash(&other, slk_span("123456789", 9), &part));
	assert_true(part.hashed);
	assert_int_equal(part.crc32c, 0xe3069283);
	other.url = "https://localhost";
	assert_ok(dlv_s3_part_hash(&other, slk_span("123456789", 9), &part));
	assert_false(part.hashed);
	assert_int_equal(part.crc32c, 0xe3069283);
	other.sign_payload = true;
	assert_ok(dlv_s3_part_hash(&other, slk_span("123456789", 9), &part));
	assert_true(part.hashed);
	make_object(100);
	parts[0].hashed = false;
	PUT({"PUT", "/bucket/", 200, ETAG, "", 0, false});
	assert_result(DLV_DELIVERED, "");
	assert_header("\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n");
	assert_header("\r\nx-amz-checksum-crc32c: ");
}

static void
parts_grow_with_the_object(void **state)
{
	(void)state;
	assert_int_equal(dlv_s3_part_bytes(&store, 0), 5 * MIB);
	assert_int_equal(dlv_s3_part_bytes(&store, 100ull * MIB), 5 * MIB);
	uint64_t huge = 200000ull * MIB, bytes = dlv_s3_part_bytes(&store, huge);
	assert_true(huge / bytes < DLV_S3_PARTS_MAX);
	const struct dlv_store usual = {.bucket = "b"};
	assert_int_equal(dlv_s3_part_bytes(&usual, 1), 32 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_object_is_one_request),
		cmocka_unit_test(encryption_and_metadata_are_headers),
		cmocka_unit_test(a_store_that_does_not_encrypt_gets_nothing),
		cmocka_unit_test(refusals_and_failures_are_told),
		cmocka_unit_test(credentials_are_read_when_they_are_needed),
		cmocka_unit_test(a_bucket_may_be_in_the_hosts_name),
		cmocka_unit_test(a_large_object_is_put_in_parts),
		cmocka_unit_test(a_part_that_fails_ends_it_and_is_what_is_told),
		cmocka_unit_test(a_creation_that_fails_has_nothing_to_abort),
		cmocka_unit_test(a_completion_that_says_200_with_an_error_inside_is_one),
		cmocka_unit_test(a_cancelled_put_is_not_heard_of_again),
		cmocka_unit_test(a_directory_is_behind_the_same_call),
		cmocka_unit_test(bodies_are_hashed_where_nothing_else_keeps_them),
		cmocka_unit_test(parts_grow_with_the_object),
	};

	return cmocka_run_group_tests_name("delivery/s3_target", tests, setup, teardown);
}
