/* The whole front process, over a fake HSM, against real clients: what only a process of its own shows. */
#include "slk_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "config.h"
#include "fake_hsm.h"
#include "front.h"
#include "kmsclient/kmsclient.h"
#include "tempdir.h"

static char dir[256], config_path[300], socket_path[300];
static pid_t front = -1;
static struct kmsc *client;
static struct slk_error err;

static void
write_config(const char *more)
{
	FILE *f = fopen(config_path, "w");

	assert_non_null(f);
	assert_true(fprintf(f,
			    "socket:\n  path: %s\n  mode: 0666\n"
			    "catalog:\n  path: %s/catalog.db\n"
			    "audit:\n  path: %s/audit.log\n"
			    "hsm:\n  profile: softhsm\n  module: /usr/lib/softhsm/libsofthsm2.so\n"
			    "  token_label: fake\n  pin_file: /nowhere/pin\n"
			    "ingest_user: %u\n"
			    "policy:\n"
			    "  - {effect: Allow, principals: [root], actions: ['*'], resources: "
			    "['*']}\n%s",
			    socket_path, dir, dir, (unsigned)geteuid(), more) > 0);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(fclose(f), 0);
}

static void
wait_for_socket(void)
{
	for (int i = 0; i < 500; i++) {
		int fd = -1;
		if (slk_sock_connect(socket_path, &fd, NULL) == SLK_OK) {
			close(fd);
			return;
		}
		usleep(10000);
	}
	fail_msg("the front does not listen");
}

static void
start_front(void)
{
	front = fork();
	assert_true(front >= 0);
	if (front == 0) {
		struct kms_config *config = NULL;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		slk_log_init("front", SLK_LOG_WARN);
		_exit(kms_config_load(config_path, &config, NULL) == SLK_OK
				? kms_front_run(config, -1)
				: 99);
	}
	wait_for_socket();
}

static int
end_front(int signal)
{
	int status = -1;

	if (front <= 0)
		return -1;
	assert_int_equal(kill(front, signal), 0);
	assert_int_equal(waitpid(front, &status, 0), front);
	front = -1;
	return status;
}

static int
setup(void **state)
{
	(void)state;
	memset(&err, 0, sizeof(err));
	tempdir_make(dir, sizeof(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(config_path, sizeof(config_path), "%s/kmsd.yaml", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/kms.sock", dir);
	write_config("");
	start_front();
	return kmsc_new(socket_path, 3000, &client);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	client = NULL;
	(void)end_front(SIGKILL);
	tempdir_remove(dir);
	return 0;
}

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static void
client_uses_every_call(void **state)
{
	(void)state;
	struct kmsc_key key, keys[3];
	struct kmsc_alias aliases[2];
	struct kmsc_stream stream, streams[2];
	struct kmsc_data_key dk;
	struct kmsc_status status;
	struct slk_secret *plain = NULL;
	struct fmt_context *context = NULL;
	char next[KMSC_NAME_MAX], arn[KMSC_ARN_MAX];
	uint8_t blob[KMSC_BLOB_MAX];
	size_t count = 0, len = 0;

	ok(kmsc_create_key(client, "one", &key, &err));
	ok(kmsc_describe_key(client, key.id, &key, &err));
	assert_string_equal(key.description, "one");
	ok(kmsc_create_alias(client, "alias/one", key.id, &err));
	ok(kmsc_list_aliases(client, NULL, "", aliases, 2, &count, next, &err));
	assert_int_equal(count, 1);
	assert_string_equal(aliases[0].name, "alias/one");
	ok(kmsc_create_stream(client, "web", 4, "alias/one", &stream, &err));
	ok(kmsc_create_stream(client, "plain", 1, NULL, &stream, &err));
	assert_false(stream.encrypted_kms);
	ok(kmsc_list_keys(client, "", keys, 3, &count, next, &err));
	assert_int_equal(count, 2);
	assert_string_equal(next, "");
	ok(kmsc_list_streams(client, "", streams, 1, &count, next, &err));
	assert_int_equal(count, 1);
	assert_string_equal(next, "plain");
	ok(kmsc_list_streams(client, next, streams, 2, &count, next, &err));
	assert_string_equal(streams[0].name, "web");
	assert_string_equal(streams[0].key_arn, key.arn);
	ok(kmsc_authorize_uid(client, geteuid(), "kinesis:PutRecord", streams[0].arn, &err));
	ok(kmsc_generate_stream_key(client, streams[0].arn, &dk, &err));
	ok(fmt_context_for_stream(streams[0].arn, &context));
	ok(kmsc_decrypt(client, NULL, context, slk_span(dk.blob, dk.blob_len), &plain, arn, &err));
	assert_string_equal(arn, key.arn);
	assert_true(slk_equal_ct(slk_secret_peek(plain), slk_secret_peek(dk.plaintext), 32));
	kmsc_data_key_fini(&dk);
	ok(kmsc_generate_data_key(client, "alias/one", NULL, &dk, &err));
	ok(kmsc_encrypt(client, key.arn, context, plain, blob, sizeof(blob), &len, &err));
	slk_secret_free(plain);
	plain = NULL;
	assert_int_equal(kmsc_decrypt(client, NULL, NULL, slk_span(blob, len), &plain, NULL, &err),
		SLK_INVALID_CIPHERTEXT);
	assert_null(plain);
	kmsc_data_key_fini(&dk);
	ok(kmsc_generate_data_key_without_plaintext(client, key.id, context, &dk, &err));
	assert_null(dk.plaintext);
	kmsc_data_key_fini(&dk);
	ok(kmsc_describe_stream(client, "web", &stream, &err));
	ok(kmsc_delete_stream(client, "web", &err));
	ok(kmsc_describe_stream(client, "web", &stream, &err));
	assert_string_equal(stream.status, "DELETING"); /* until ingestd has let go of it */
	ok(kmsc_delete_alias(client, "alias/one", &err));
	ok(kmsc_status(client, &status, &err));
	assert_int_equal(status.data_keys_issued, 3);
	fmt_context_free(context);
}

static void
client_survives_a_killed_front_and_nothing_committed_is_lost(void **state)
{
	(void)state;
	struct kmsc_key key, again;
	struct kmsc_stream stream;

	ok(kmsc_create_key(client, "stays", &key, &err));
	ok(kmsc_create_stream(client, "web", 1, key.id, &stream, &err));
	(void)end_front(SIGKILL);
	assert_int_equal(kmsc_describe_key(client, key.id, &again, &err), SLK_UNAVAILABLE);
	start_front();
	ok(kmsc_describe_key(client, key.id, &again, &err));
	assert_string_equal(again.description, "stays");
	ok(kmsc_describe_stream(client, "web", &stream, &err));
	assert_string_equal(stream.key_arn, key.arn);
}

static void
sigterm_is_a_clean_stop(void **state)
{
	(void)state;
	struct kmsc_status status;

	ok(kmsc_status(client, &status, &err));
	assert_int_equal(end_front(SIGTERM), 0);
	assert_int_equal(access(socket_path, F_OK), -1);
	start_front();
	ok(kmsc_status(client, &status, &err));
}

static void
second_front_on_the_same_files_ends_with_a_status(void **state)
{
	(void)state;
	int status = -1;
	struct kmsc_status answer;
	pid_t second = fork();

	assert_true(second >= 0);
	if (second == 0) {
		struct kms_config *config = NULL;
		slk_log_init("second", SLK_LOG_ERROR);
		slk_log_set_fd(open("/dev/null", O_WRONLY));
		_exit(kms_config_load(config_path, &config, NULL) == SLK_OK
				? kms_front_run(config, -1)
				: 99);
	}
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(WEXITSTATUS(status), 1);
	ok(kmsc_status(client, &answer, &err)); /* the first one did not notice */
}

static void
policy_that_cannot_be_makes_a_restart_useless(void **state)
{
	(void)state;
	int status = -1;

	(void)end_front(SIGTERM);
	write_config("  - {effect: Maybe, principals: [root], actions: ['*'], resources: ['*']}\n");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct kms_config *config = NULL;
		slk_log_set_fd(open("/dev/null", O_WRONLY));
		_exit(kms_config_load(config_path, &config, NULL) == SLK_OK
				? kms_front_run(config, -1)
				: 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 2);
}

/* Another uid, as the kernel sees it. */
static void
unknown_uid_is_denied_over_the_socket(void **state)
{
	(void)state;
	int status = -1;

	if (geteuid() != 0)
		skip(); /* needs root to become another user */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct kmsc *other = NULL;
		struct kmsc_status answer;
		struct slk_error why = {0};
		if (setgid(54321) != 0 || setuid(54321) != 0 ||
			kmsc_new(socket_path, 2000, &other) != SLK_OK)
			_exit(1);
		int rc = kmsc_status(other, &answer, &why);
		_exit(rc == SLK_DENIED && strstr(why.text, "uid 54321") != NULL ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
garbage_floods_and_the_front_still_answers(void **state)
{
	(void)state;
	static uint8_t garbage[20000];
	struct kmsc_status status;

	for (int i = 0; i < 300; i++) {
		int fd = -1;
		ok(slk_sock_connect(socket_path, &fd, &err));
		memset(garbage, i, sizeof(garbage));
		(void)!send(fd, garbage, (size_t)(i * 61 % 20000) + 1, MSG_NOSIGNAL);
		close(fd);
		if (i % 50 == 0)
			ok(kmsc_status(client, &status, &err));
	}
	ok(kmsc_status(client, &status, &err));
}

static long
status_kib(pid_t pid, const char *field)
{
	char path[64], line[256];
	long kib = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, field, strlen(field)) == 0)
			kib = strtol(line + strlen(field), NULL, 10);
	fclose(f);
	return kib;
}

static void
memory_stays_small_under_use(void **state)
{
	(void)state;
	struct kmsc_key key;

	ok(kmsc_create_key(client, "busy", &key, &err));
	for (int i = 0; i < 500; i++) {
		struct kmsc_data_key dk;
		ok(kmsc_generate_data_key(client, key.id, NULL, &dk, &err));
		kmsc_data_key_fini(&dk);
	}
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_in_range(status_kib(front, "VmRSS:"), 1, 32 * 1024);
#endif
	assert_true(status_kib(front, "VmLck:") > 0); /* what holds keys is locked */
}

static void
front_can_neither_be_dumped_nor_gain_privileges(void **state)
{
	(void)state;
	char path[300];
	struct stat st;

	assert_int_equal(status_kib(front, "NoNewPrivs:"), 1);
	if (geteuid() != 0) {
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)front);
		assert_int_equal(open(path, O_RDONLY), -1);
	}
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	snprintf(path, sizeof(path), "%s/catalog.db", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
}

/* No plaintext of a data key in what the front writes. */
static void
files_hold_no_plaintext(void **state)
{
	(void)state;
	static uint8_t content[1 << 20];
	static const char *const names[] = {"catalog.db", "catalog.db-wal", "audit.log"};
	struct kmsc_data_key dk;
	struct kmsc_key key;

	ok(kmsc_create_key(client, "k", &key, &err));
	ok(kmsc_generate_data_key(client, key.id, NULL, &dk, &err));
	for (size_t i = 0; i < 3; i++) {
		char path[300];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		int fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		ssize_t len = read(fd, content, sizeof(content));
		close(fd);
		assert_true(len >= 0);
		assert_null(memmem(content, (size_t)len, slk_secret_peek(dk.plaintext), 32));
		assert_null(memmem(content, (size_t)len, dk.blob, dk.blob_len));
	}
	kmsc_data_key_fini(&dk);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(client_uses_every_call),
		CASE(client_survives_a_killed_front_and_nothing_committed_is_lost),
		CASE(sigterm_is_a_clean_stop),
		CASE(second_front_on_the_same_files_ends_with_a_status),
		CASE(policy_that_cannot_be_makes_a_restart_useless),
		CASE(unknown_uid_is_denied_over_the_socket),
		CASE(garbage_floods_and_the_front_still_answers),
		CASE(memory_stays_small_under_use),
		CASE(front_can_neither_be_dumped_nor_gain_privileges),
		CASE(files_hold_no_plaintext),
	};

	return cmocka_run_group_tests_name("kms_front", tests, NULL, NULL);
}
