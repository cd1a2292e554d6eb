/* Delivery streams through all of kmsd, as it is installed, by the client that deliverd and the CLI use: another user of the
 * machine is deliverd, who assumes a role by its trust policy, is let in and kept out by what an administrator puts, at the next
 * call, and finds everything as it was after the front was killed. */
#include "slk_test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmsclient/caller.h"
#include "kmsclient/delivery.h"
#include "kmsclient/policies.h"
#include "kmsd_rig.h"

#define DELIVER_UID 65501
#define ROLE "arn:aws:iam::000000000000:role/deliver"
#define ARN "arn:aws:firehose:local:000000000000:deliverystream/dd"
#define PASSWORD "Tr0ub4dor-and-3"
#define TRUST(account) \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{" \
	"\"Service\":\"firehose.amazonaws.com\"},\"Action\":\"sts:AssumeRole\",\"Condition\":{" \
	"\"StringEquals\":{\"sts:ExternalId\":\"" account "\"}}}]}"
#define ALLOW \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":" \
	"[\"kms:GenerateDataKey\",\"kms:Decrypt\"],\"Resource\":\"*\"}}"
#define S3 "\"RoleARN\":\"" ROLE "\",\"BucketARN\":\"arn:aws:s3:::archive\""
#define TO_POSTGRES \
	"{\"RedshiftDestinationConfiguration\":{\"RoleARN\":\"" ROLE \
	"\",\"ClusterJDBCURL\":\"jdbc:postgresql://db.example.net:5432/logs\"," \
	"\"CopyCommand\":{\"DataTableName\":\"t\"},\"Username\":\"loader\",\"Password\":" \
	"\"" PASSWORD "\",\"S3Configuration\":{" S3 "}}}"
#define TO_S3 "{\"ExtendedS3DestinationConfiguration\":{" S3 "}}"

static struct kmsd_rig rig;
static struct slk_error err;
static struct kmsc_key key;
static const struct kmsc_who role = {true, "deliver"};
static bool started;

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static void
refused(int rc, int status, const char *exception, const char *part)
{
	assert_int_equal(rc, status);
	assert_string_equal(kmsc_refusal(rig.client)->exception, exception);
	assert_non_null(strstr(kmsc_refusal(rig.client)->message, part));
}

static int
group_setup(void **state)
{
	static struct kmsc_identity identity;
	const struct kmsc_role_kind kind = {
		.name = "deliver", .trust_policy = TRUST("111111111111")};
	const struct kmsc_key_kind key_kind = {.description = "for the delivery test"};

	(void)state;
	if (geteuid() != 0 || !kmsd_rig_possible())
		return 0;
	kmsd_rig_init(&rig);
	rig.more_lines = "deliver_user: \"65501\"\n";
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	ok(kmsc_create_key_with(rig.client, &key_kind, &key, &err));
	ok(kmsc_create_role(rig.client, &kind, &identity, &err));
	started = true;
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	if (started)
		kmsd_rig_fini(&rig);
	return 0;
}

/* --- deliverd: a process of another user, which is told what to try by a letter and answers with one --- */

static struct {
	pid_t pid;
	int ask[2], answer[2];
} deliverd;

static struct kmsc *client;
static char token[8192];

static char
letter_of(int rc)
{
	return rc == SLK_OK ? 'y' : rc == SLK_DENIED ? 'n' : '?';
}

static char
assume(void)
{
	struct kmsc_session session = {.secret = NULL};
	int rc = kmsc_assume_delivery_role(client, "dd", ROLE, &session, &err);

	if (rc == SLK_OK)
		(void)snprintf(token, sizeof(token), "%.*s", (int)slk_secret_len(session.token),
			(const char *)slk_secret_peek(session.token));
	kmsc_session_wipe(&session);
	return letter_of(rc);
}

static char
use_key(bool as_session)
{
	static struct kmsc_data_key made;
	const struct kmsc_caller caller = {.session_token = token};

	kmsc_act_for(client, as_session ? &caller : NULL);
	int rc = kmsc_generate_data_key(client, key.arn, NULL, &made, &err);
	kmsc_act_for(client, NULL);
	if (rc == SLK_OK)
		kmsc_data_key_fini(&made);
	if (rc == SLK_DENIED && as_session &&
		strstr(err.text,
			"assumed-role/deliver/dd is not authorized to perform: "
			"kms:GenerateDataKey") == NULL)
		return '!';
	return letter_of(rc);
}

static char
take_up(void)
{
	struct kmsc_delivery_stream d = {.spec = NULL};
	char said = '?';

	if (kmsc_delivery_work(client, "dd", &d, &err) != SLK_OK)
		return 'w';
	if (memmem(slk_secret_peek(d.spec), d.spec_len, PASSWORD, strlen(PASSWORD)) == NULL)
		said = 'p';
	else if (kmsc_delivery_state(client, "dd", d.version, KMSC_DELIVERY_ACTIVE, "", "", &err) ==
		SLK_OK)
		said = 'y';
	kmsc_delivery_stream_fini(&d);
	return said;
}

static char
let_go(void)
{
	struct kmsc_delivery_stream d = {.spec = NULL};
	size_t count = 0;
	bool more = false;

	if (kmsc_list_delivery_streams(client, "", 0, &d, 1, &count, &more, &err) != SLK_OK ||
		count != 1 || d.state != KMSC_DELIVERY_DELETING)
		return 'l';
	return letter_of(kmsc_delivery_state(
		client, d.name, d.version, KMSC_DELIVERY_DELETING, "", "", &err));
}

static int
be_deliverd(void)
{
	uint64_t number = 0;
	char letter;

	if (setgid(DELIVER_UID) != 0 || setuid(DELIVER_UID) != 0 ||
		kmsc_new(rig.socket, 10000, &client) != SLK_OK)
		return 2;
	while (read(deliverd.ask[0], &letter, 1) == 1) {
		switch (letter) {
		case 'a':
			letter = assume();
			break;
		case 'k':
			letter = use_key(true);
			break;
		case 'o':
			letter = use_key(false);
			break;
		case 't':
			letter = take_up();
			break;
		case 'g':
			letter = let_go();
			break;
		default:
			letter = letter_of(kmsc_delivery_changes(client, &number, &err));
		}
		if (write(deliverd.answer[1], &letter, 1) != 1)
			break;
	}
	kmsc_free(client);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	if (!started)
		return 0;
	assert_int_equal(pipe(deliverd.ask), 0);
	assert_int_equal(pipe(deliverd.answer), 0);
	deliverd.pid = fork();
	assert_true(deliverd.pid >= 0);
	if (deliverd.pid == 0) {
		close(deliverd.ask[1]);
		close(deliverd.answer[0]);
		_exit(be_deliverd());
	}
	close(deliverd.ask[0]);
	close(deliverd.answer[1]);
	return 0;
}

static int
teardown(void **state)
{
	int status = -1;

	(void)state;
	if (!started)
		return 0;
	close(deliverd.ask[1]);
	close(deliverd.answer[0]);
	assert_int_equal(waitpid(deliverd.pid, &status, 0), deliverd.pid);
	int rc = kmsc_delete_delivery_stream(rig.client, "dd", true, &err);
	return status != 0 || (rc != SLK_OK && rc != SLK_NOT_FOUND);
}

static char
tell(char letter)
{
	struct pollfd p = {.fd = deliverd.answer[0], .events = POLLIN};

	assert_int_equal(write(deliverd.ask[1], &letter, 1), 1);
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_int_equal(read(deliverd.answer[0], &letter, 1), 1);
	return letter;
}

/* The name is free once ingestd, which is not there, has let go of the stream of direct puts: so each test has a source. */
static void
make(const char *json)
{
	char arn[KMSC_ARN_MAX];

	ok(kmsc_update_trust_policy(rig.client, "deliver", TRUST("000000000000"), &err));
	ok(kmsc_create_delivery_stream(
		rig.client, "dd", slk_span_str(json), NULL, NULL, 0, arn, &err));
	assert_string_equal(arn, ARN);
}

#define SOURCE \
	"{\"DeliveryStreamType\":\"KinesisStreamAsSource\",\"KinesisStreamSourceConfiguration\":{" \
	"\"KinesisStreamARN\":\"arn:aws:kinesis:local:000000000000:stream/web\",\"RoleARN\":" \
	"\"" ROLE "\"},"

static void
a_wrong_account_is_refused_and_the_right_one_passes(void **state)
{
	struct kmsc_stream stream;
	char arn[KMSC_ARN_MAX];

	(void)state;
	if (!started)
		skip();
	ok(kmsc_create_stream(rig.client, "web", 1, NULL, &stream, &err));
	refused(kmsc_create_delivery_stream(rig.client, "dd",
			slk_span_str(SOURCE "\"ExtendedS3DestinationConfiguration\":{" S3 "}}"),
			NULL, NULL, 0, arn, &err),
		SLK_INVALID, "InvalidArgumentException", "sts:ExternalId of its trust policy");
	make(SOURCE "\"ExtendedS3DestinationConfiguration\":{" S3 "}}");
	assert_int_equal(tell('a'), 'y');
	ok(kmsc_update_trust_policy(rig.client, "deliver", TRUST("111111111111"), &err));
	assert_int_equal(tell('a'), 'n');
	ok(kmsc_update_trust_policy(rig.client, "deliver", TRUST("000000000000"), &err));
	assert_int_equal(tell('a'), 'y');
}

static void
rights_count_at_the_next_call(void **state)
{
	(void)state;
	if (!started)
		skip();
	make(SOURCE "\"ExtendedS3DestinationConfiguration\":{" S3 "}}");
	assert_int_equal(tell('a'), 'y');
	assert_int_equal(tell('k'), 'n');
	ok(kmsc_put_inline_policy(rig.client, role, "use", ALLOW, &err));
	assert_int_equal(tell('k'), 'y');
	assert_int_equal(tell('o'), 'n'); /* deliverd itself has no right */
	ok(kmsc_delete_inline_policy(rig.client, role, "use", &err));
	assert_int_equal(tell('k'), 'n');
	ok(kmsc_put_inline_policy(rig.client, role, "use", ALLOW, &err));
	ok(kmsc_disable_key(rig.client, key.id, &err));
	assert_int_equal(tell('k'), '?');
	ok(kmsc_enable_key(rig.client, key.id, &err));
	assert_int_equal(tell('k'), 'y');
	ok(kmsc_delete_inline_policy(rig.client, role, "use", &err));
}

static void
what_it_is_outlasts_a_kill_at_each_step(void **state)
{
	struct kmsc_delivery_stream d = {.spec = NULL};

	(void)state;
	if (!started)
		skip();
	make(SOURCE "\"RedshiftDestinationConfiguration\":{\"RoleARN\":\"" ROLE
		    "\",\"ClusterJDBCURL\":\"jdbc:postgresql://db.example.net:5432/logs\","
		    "\"CopyCommand\":{\"DataTableName\":\"t\"},\"Username\":\"loader\","
		    "\"Password\":\"" PASSWORD "\",\"S3Configuration\":{" S3 "}}}");
	kmsd_rig_replace(&rig, kmsd_rig_front);
	ok(kmsc_describe_delivery_stream(rig.client, "dd", &d, &err));
	assert_int_equal(d.state, KMSC_DELIVERY_CREATING);
	assert_null(memmem(slk_secret_peek(d.spec), d.spec_len, PASSWORD, strlen(PASSWORD)));
	kmsc_delivery_stream_fini(&d);
	assert_int_equal(tell('t'), 'y');
	kmsd_rig_replace(&rig, kmsd_rig_worker);
	ok(kmsc_update_destination(rig.client, ARN, 1,
		slk_span_str("{\"RedshiftDestinationUpdate\":{\"Username\":\"other\"}}"), &err));
	kmsd_rig_replace(&rig, kmsd_rig_front);
	ok(kmsc_describe_delivery_stream(rig.client, "dd", &d, &err));
	assert_int_equal(d.state, KMSC_DELIVERY_ACTIVE);
	assert_int_equal(d.version, 2);
	assert_false(d.direct_put);
	kmsc_delivery_stream_fini(&d);
	assert_int_equal(tell('t'), 'y');
	refused(kmsc_update_destination(rig.client, "dd", 1, slk_span_str("{}"), &err),
		SLK_INVALID_STATE, "ConcurrentModificationException", "do not match");
	ok(kmsc_delete_delivery_stream(rig.client, "dd", false, &err));
	kmsd_rig_replace(&rig, kmsd_rig_front);
	assert_int_equal(tell('g'), 'y');
	refused(kmsc_describe_delivery_stream(rig.client, "dd", &d, &err), SLK_NOT_FOUND,
		"ResourceNotFoundException", "Firehose dd under account");
}

static void
direct_puts_tags_and_keys_by_the_client(void **state)
{
	static struct kmsc_tag out[4];
	static const char *const names[] = {"a"};
	const struct kmsc_tag tags[] = {{"a", "1"}, {"b", "2"}};
	struct kmsc_delivery_stream d = {.spec = NULL};
	char arn[KMSC_ARN_MAX], next[KMSC_MARKER_MAX];
	size_t count = 0;

	(void)state;
	if (!started)
		skip();
	ok(kmsc_update_trust_policy(rig.client, "deliver", TRUST("000000000000"), &err));
	ok(kmsc_create_delivery_stream(
		rig.client, "dd", slk_span_str(TO_POSTGRES), key.arn, tags, 2, arn, &err));
	ok(kmsc_describe_delivery_stream(rig.client, "dd", &d, &err));
	assert_true(d.direct_put);
	assert_string_equal(d.stream_arn, ARN);
	assert_string_equal(d.encryption_status, "ENABLED");
	assert_string_equal(d.key_type, "CUSTOMER_MANAGED_CMK");
	assert_string_equal(d.key_arn, key.arn);
	kmsc_delivery_stream_fini(&d);
	assert_int_equal(tell('t'), 'y');
	ok(kmsc_untag_delivery_stream(rig.client, "dd", names, 1, &err));
	ok(kmsc_tag_delivery_stream(rig.client, "dd", &tags[1], 1, &err));
	ok(kmsc_list_tags_for_delivery_stream(rig.client, "dd", "", out, 4, &count, next, &err));
	assert_int_equal(count, 1);
	assert_string_equal(out[0].value, "2");
	ok(kmsc_start_delivery_stream_encryption(rig.client, "dd", "", &err));
	ok(kmsc_describe_delivery_stream(rig.client, "dd", &d, &err));
	assert_string_equal(d.encryption_status, "ENABLING"); /* ingestd is not there */
	assert_string_equal(d.key_type, "AWS_OWNED_CMK");
	kmsc_delivery_stream_fini(&d);
	refused(kmsc_stop_delivery_stream_encryption(rig.client, "dd", &err), SLK_INVALID_STATE,
		"ResourceInUseException", "is being changed");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_wrong_account_is_refused_and_the_right_one_passes),
		TEST(rights_count_at_the_next_call),
		TEST(what_it_is_outlasts_a_kill_at_each_step),
		TEST(direct_puts_tags_and_keys_by_the_client),
	};
	return cmocka_run_group_tests_name("delivery_use", tests, group_setup, group_teardown);
}
