/* The S3 destination by its table of functions: what is asked of the role, what lies in a directory, what a store is told. The role
 * is the test's; the store answers by script. */
#include "slk_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "bad_server.h"
#include "delivery/sealedhead.h"
#include "destination.h"
#include "role.h"
#include "s3.h"
#include "tempdir.h"
#include "web.h"

#define KEY_ARN "arn:aws:kms:us-east-1:000000000000:key/1234-abcd"
#define ARN "arn:aws:firehose:us-east-1:000000000000:deliverystream/web"
#define OLDEST_NS (1764018030ull * SLK_NS_PER_S) /* 2025-11-24T21:00:30Z */
#define ID "00112233-4455-6677-8899-aabbccddeeff"
#define OBJECT "2025/11/24/21/web-3-2025-11-24-21-00-30-" ID

/* --- a role of the test's --- */

static struct {
	int status; /* of the next answers */
	unsigned data_keys, mays;
	char key_arn[256], context[2048], action[64];
} asked;

int
dlv_role_data_key(struct dlv_role *role, const char *key_arn, const char *context_json,
	struct slk_secret **out_data_key, uint8_t *wrapped, size_t cap, size_t *out_len,
	struct slk_error *err)
{
	(void)role;
	asked.data_keys++;
	snprintf(asked.key_arn, sizeof(asked.key_arn), "%s", key_arn);
	snprintf(asked.context, sizeof(asked.context), "%s", context_json);
	if (asked.status != SLK_OK)
		return slk_fail(err, asked.status, "the role may not");
	assert_true(cap >= 100);
	memset(wrapped, 'w', 100);
	*out_len = 100;
	return slk_secret_from("0123456789abcdef0123456789abcdef", 32, out_data_key);
}

int
dlv_role_may(struct dlv_role *role, const char *action, const char *resource_arn,
	const char *context_json, struct slk_error *err)
{
	(void)role;
	asked.mays++;
	snprintf(asked.action, sizeof(asked.action), "%s", action);
	snprintf(asked.key_arn, sizeof(asked.key_arn), "%s", resource_arn);
	snprintf(asked.context, sizeof(asked.context), "%s", context_json);
	return asked.status == SLK_OK ? SLK_OK : slk_fail(err, asked.status, "the role may not");
}

/* --- the stage --- */

static struct bad_server *server;
static char dir[256], root[300], credentials[300], url[64];
static struct dlv_store store;
static struct dlv_stores stores = {&store, 1};
static struct dlv_s3 s3;
static struct dlv_spec spec;
static struct dlv_env env;
static struct dlv_web *web;
static struct dlv_batch batch;
static void *dest;
static struct {
	unsigned calls;
	struct dlv_result result;
} seen;

static int
setup_group(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(root, sizeof(root), "%s/root", dir);
	snprintf(credentials, sizeof(credentials), "%s/credentials", dir);
	FILE *f = fopen(credentials, "w");
	assert_non_null(f);
	fputs("[default]\naws_access_key_id=AKID\naws_secret_access_key=topsecret\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(credentials, 0600), 0);
	server = bad_server_start(NULL, NULL);
	snprintf(url, sizeof(url), "http://localhost:%u", bad_server_port(server));
	return 0;
}

static int
teardown_group(void **state)
{
	(void)state;
	bad_server_stop(server);
	tempdir_remove(dir);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	assert_true(mkdir(root, 0700) == 0 || errno == EEXIST);
	store = (struct dlv_store){.bucket = "archive", .dir = root};
	s3 = (struct dlv_s3){.role_arn = "arn:aws:iam::000000000000:role/r",
		.bucket = "archive",
		.prefix = "",
		.error_prefix = "",
		.extension = "",
		.time_zone = "UTC"};
	spec = (struct dlv_spec){.kind = DLV_TO_S3};
	env = (struct dlv_env){.name = "web",
		.arn = ARN,
		.account = "000000000000",
		.region = "us-east-1",
		.spec = &spec,
		.s3 = &s3,
		.version = 3,
		.stores = &stores,
		.clock = slk_clock_system()};
	assert_ok(dlv_loop_new(2, NULL, &env.loop, NULL));
	assert_ok(dlv_web_new(env.loop, &web, NULL));
	assert_ok(dlv_pool_new(256u << 20, false, &env.pool));
	memset(&batch, 0, sizeof(batch));
	dlv_buffer_init(&batch.body, env.pool);
	memset(&asked, 0, sizeof(asked));
	seen.calls = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bad_server_script(server, NULL, 0);
	if (dest != NULL) {
		dlv_s3_ops.release(dest, &batch);
		dlv_s3_ops.close(dest);
	}
	dest = NULL;
	dlv_buffer_fini(&batch.body);
	assert_int_equal(dlv_pool_used(env.pool), 0);
	dlv_pool_free(env.pool);
	dlv_web_free(web);
	dlv_loop_free(env.loop);
	return 0;
}

static void
use_server(enum dlv_sealing seal)
{
	store = (struct dlv_store){.bucket = "archive",
		.url = url,
		.credentials = credentials,
		.path_style = true,
		.seal = seal};
}

static void
open_dest(void)
{
	struct slk_error err;

	if (dlv_s3_ops.open(&env, &dest, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

static void
refused_at_open(const char *sentence)
{
	struct slk_error err;

	assert_int_equal(dlv_s3_ops.open(&env, &dest, &err), SLK_CONFIG);
	assert_null(dest);
	if (strstr(err.text, sentence) == NULL)
		fail_msg("%s", err.text);
}

static void
begin(void)
{
	batch.number = 1;
	batch.version = 3;
	snprintf(batch.id, sizeof(batch.id), "%s", ID);
	assert_ok(dlv_s3_ops.begin(dest, &batch, NULL));
}

static void
gather(const char *const *texts, size_t count)
{
	struct dlv_record records[8];

	assert_true(count <= 8);
	for (size_t i = 0; i < count; i++)
		records[i] = (struct dlv_record){
			.data = slk_span_str(texts[i]), .sequence = i, .arrival_ns = OLDEST_NS};
	assert_ok(dlv_s3_ops.gather(dest, &batch, records, count, NULL));
	batch.count += count;
	batch.oldest_ns = OLDEST_NS;
}

static void
on_done(void *arg, const struct dlv_result *result)
{
	(void)arg;
	seen.calls++;
	seen.result = *result;
}

static void
wait_for_done(void)
{
	for (unsigned turns = 0; seen.calls == 0; turns++) {
		assert_true(turns < 10000);
		assert_ok(dlv_loop_turn(env.loop, 1000, NULL));
	}
	assert_int_equal(seen.calls, 1);
	seen.calls = 0;
}

static void
deliver(enum dlv_outcome outcome)
{
	dlv_s3_ops.deliver(dest, &batch, on_done, NULL);
	assert_int_equal(seen.calls, 0);
	wait_for_done();
	if (seen.result.outcome != outcome)
		fail_msg("%d %s: %s", (int)seen.result.outcome, seen.result.code,
			seen.result.error.text);
}

static size_t
read_object(const char *name, uint8_t *out, size_t cap)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s is not there", path);
	size_t len = fread(out, 1, cap - 1, f);
	out[len] = '\0';
	fclose(f);
	return len;
}

/* --- to a directory --- */

static void
records_lie_joined_under_the_key_of_firehose(void **state)
{
	(void)state;
	uint8_t got[256];

	spec.delimiter = true;
	open_dest();
	begin();
	gather((const char *const[]){"one", "two"}, 2);
	gather((const char *const[]){"three"}, 1);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	assert_string_equal(dlv_s3_object_key(&batch), OBJECT);
	assert_ptr_equal(dlv_s3_store_of(dest), &store);
	deliver(DLV_DELIVERED);
	read_object(OBJECT, got, sizeof(got));
	assert_string_equal((char *)got, "one\ntwo\nthree\n");
	assert_int_equal(asked.data_keys + asked.mays, 0);
	/* Again, as after a restart before its end was noted: the same key, the same bytes. */
	deliver(DLV_DELIVERED);
	read_object(OBJECT, got, sizeof(got));
	assert_string_equal((char *)got, "one\ntwo\nthree\n");
}

static void
gzip_is_gzip(void **state)
{
	(void)state;
	uint8_t packed[512], got[512] = "";
	z_stream z = {.next_out = got, .avail_out = sizeof(got)};

	s3.compression = DLV_GZIP;
	open_dest();
	begin();
	gather((const char *const[]){"one", "two"}, 2);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	deliver(DLV_DELIVERED);
	z.avail_in = (uInt)read_object(OBJECT ".gz", packed, sizeof(packed));
	z.next_in = packed;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	inflateEnd(&z);
	assert_string_equal((char *)got, "onetwo");
}

static void
an_error_output_has_its_prefix_and_no_delimiter(void **state)
{
	(void)state;
	uint8_t got[256];

	spec.delimiter = true;
	s3.error_prefix = "bad/!{firehose:error-output-type}/";
	env.error_type = "AmazonOpenSearchService-failed";
	open_dest();
	begin();
	gather((const char *const[]){"{\"a\":1}\n"}, 1);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	deliver(DLV_DELIVERED);
	assert_int_equal(
		strncmp(dlv_s3_object_key(&batch), "bad/AmazonOpenSearchService-failed/", 35), 0);
	read_object(dlv_s3_object_key(&batch), got, sizeof(got));
	assert_string_equal((char *)got, "{\"a\":1}\n");
}

static void
what_is_sealed_for_the_client_has_its_metadata_beside_it(void **state)
{
	(void)state;
	uint8_t body[256], json[4096];
	static struct dlv_sealed_head head;
	struct fmt_context *context = NULL;

	store.seal = DLV_SEAL_CLIENT;
	s3.kms_key_arn = KEY_ARN;
	open_dest();
	begin();
	assert_int_equal(asked.data_keys, 1);
	assert_string_equal(asked.key_arn, KEY_ARN);
	assert_string_equal(asked.context, DLV_SEALED_CONTEXT);
	gather((const char *const[]){"a record's secret"}, 1);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	deliver(DLV_DELIVERED);
	size_t len = read_object(OBJECT, body, sizeof(body));
	assert_int_equal(len, 17 + DLV_SEALED_TAG_BYTES);
	assert_null(memmem(body, len, "secret", 6));
	len = read_object(OBJECT ".meta.json", json, sizeof(json));
	assert_ok(dlv_sealed_head_parse(slk_span(json, len), &head, &context, NULL));
	assert_int_equal(head.wrapped_len, 100);
	assert_int_equal(head.wrapped[99], 'w');
	fmt_context_free(context);
}

static void
without_the_right_nothing_is_begun(void **state)
{
	(void)state;
	struct slk_error err;

	store.seal = DLV_SEAL_CLIENT;
	s3.kms_key_arn = KEY_ARN;
	open_dest();
	asked.status = SLK_DENIED;
	assert_int_equal(dlv_s3_ops.begin(dest, &batch, &err), SLK_DENIED);
	assert_string_equal(err.text, "the role may not");
	assert_null(batch.work);
	asked.status = SLK_OK;
	begin();
}

/* --- to a store --- */

#define CREATED \
	"<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>"
#define KMS "x-amz-server-side-encryption: aws:kms\r\n"

static void
assert_header(const char *line)
{
	if (strcasestr(bad_server_last_head(server), line) == NULL)
		fail_msg("no %s in:\n%s", line, bad_server_last_head(server));
}

static void
a_key_of_our_kms_is_asked_for_before_the_store_is_told(void **state)
{
	(void)state;
	struct bad_reply replies[] = {{"POST", "?uploads=", 403, "",
		"<Error><Code>AccessDenied</Code></Error>", 0, false}};
	struct slk_error err;

	use_server(DLV_SEAL_SERVER);
	s3.kms_key_arn = KEY_ARN;
	open_dest();
	begin();
	gather((const char *const[]){"x"}, 1);
	asked.status = SLK_DENIED;
	bad_server_forget(server);
	assert_int_equal(dlv_s3_ops.seal(dest, &batch, &err), SLK_DENIED);
	assert_string_equal(err.text, "the role may not");
	assert_string_equal(bad_server_seen(server), "");
	asked.status = SLK_OK;
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	assert_int_equal(asked.mays, 2);
	assert_string_equal(asked.action, "kms:GenerateDataKey");
	assert_string_equal(asked.key_arn, KEY_ARN);
	assert_string_equal(asked.context,
		"{\"aws:firehose:arn\":\"" ARN "\",\"aws:s3:arn\":\"arn:aws:s3:::archive/" OBJECT
		"\"}");
	bad_server_script(server, replies, 1);
	deliver(DLV_REFUSED);
	assert_string_equal(seen.result.code, "S3.AccessDenied");
	assert_header("\r\nx-amz-server-side-encryption-aws-kms-key-id: 1234-abcd\r\n");
	assert_header("\r\nx-amz-server-side-encryption-context: "
		      "eyJhd3M6ZmlyZWhvc2U6YXJuIjoiYXJuOmF3czpmaXJlaG9zZTp1cy1lYXN0LTE6MDAwMDAwMDAw"
		      "MDAwOmRl"
		      "bGl2ZXJ5c3RyZWFtL3dlYiJ9\r\n");
}

static void
a_bucket_key_is_of_the_bucket_and_a_foreign_key_is_not_ours_to_ask_for(void **state)
{
	(void)state;
	use_server(DLV_SEAL_SERVER);
	store.bucket_key = true;
	s3.kms_key_arn = KEY_ARN;
	open_dest();
	begin();
	gather((const char *const[]){"x"}, 1);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	assert_string_equal(asked.context,
		"{\"aws:firehose:arn\":\"" ARN "\",\"aws:s3:arn\":\"arn:aws:s3:::archive\"}");
	dlv_s3_ops.release(dest, &batch);
	dlv_s3_ops.close(dest);
	dlv_buffer_cut(&batch.body, 0);
	s3.kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/other";
	asked.mays = 0;
	open_dest();
	begin();
	gather((const char *const[]){"x"}, 1);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	assert_int_equal(asked.mays, 0);
}

static void
delivery_may_be_cancelled_and_tried_again(void **state)
{
	(void)state;
	struct bad_reply replies[] = {{"PUT", "/archive/", 200, "ETag: \"e\"\r\n", "", 0, false}};

	use_server(DLV_SEAL_NONE);
	open_dest();
	begin();
	gather((const char *const[]){"x"}, 1);
	assert_ok(dlv_s3_ops.seal(dest, &batch, NULL));
	bad_server_script(server, replies, 1);
	for (unsigned turns = 0; turns < 5; turns++) {
		dlv_s3_ops.deliver(dest, &batch, on_done, NULL);
		for (unsigned i = 0; i < turns && seen.calls == 0; i++)
			assert_ok(dlv_loop_turn(env.loop, 10, NULL));
		if (seen.calls == 0)
			dlv_s3_ops.cancel(dest, &batch);
		seen.calls = 0;
	}
	deliver(DLV_DELIVERED);
}

static void
bytes_are_put_as_they_are(void **state)
{
	(void)state;
	struct dlv_s3_raw *raw = NULL;
	uint8_t got[64];

	s3.compression = DLV_GZIP;
	open_dest();
	assert_ok(dlv_s3_raw_put(dest, "manifests/m", slk_span_str("{\"entries\":[]}"),
		"application/json", on_done, NULL, &raw));
	wait_for_done();
	assert_int_equal(seen.result.outcome, DLV_DELIVERED);
	read_object("manifests/m", got, sizeof(got));
	assert_string_equal((char *)got, "{\"entries\":[]}");
	assert_ok(dlv_s3_raw_put(
		dest, "manifests/n", slk_span_str("x"), "application/json", on_done, NULL, &raw));
	dlv_s3_raw_cancel(raw);
	assert_ok(dlv_loop_turn(env.loop, 10, NULL));
	assert_int_equal(seen.calls, 0);
}

static void
what_deliverd_yaml_lacks_is_named(void **state)
{
	(void)state;
	s3.bucket = "other";
	refused_at_open("no store in deliverd.yaml holds bucket other");
	s3.bucket = "../etc";
	refused_at_open("names no bucket");
	s3.bucket = "archive";
	s3.kms_key_arn = KEY_ARN;
	refused_at_open("set its seal to client or server");
	use_server(DLV_SEAL_S3);
	refused_at_open("set its seal to client or server");
	s3.kms_key_arn = NULL;
	store.credentials = "/nonexistent-dir/credentials";
	refused_at_open("/nonexistent-dir/credentials");
	store = (struct dlv_store){.bucket = "archive", .dir = "/nonexistent-dir"};
	refused_at_open("/nonexistent-dir");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(records_lie_joined_under_the_key_of_firehose),
		CASE(gzip_is_gzip),
		CASE(an_error_output_has_its_prefix_and_no_delimiter),
		CASE(what_is_sealed_for_the_client_has_its_metadata_beside_it),
		CASE(without_the_right_nothing_is_begun),
		CASE(a_key_of_our_kms_is_asked_for_before_the_store_is_told),
		CASE(a_bucket_key_is_of_the_bucket_and_a_foreign_key_is_not_ours_to_ask_for),
		CASE(delivery_may_be_cancelled_and_tried_again),
		CASE(bytes_are_put_as_they_are),
		CASE(what_deliverd_yaml_lacks_is_named),
	};

	return cmocka_run_group_tests_name("delivery/s3", tests, setup_group, teardown_group);
}
