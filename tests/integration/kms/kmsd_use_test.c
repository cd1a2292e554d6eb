/* All of kmsd on a token, as ingestd and readers use it: streams, epochs, bad ciphertexts, memory. */
#include "slk_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "hsm_rig.h"
#include "kmsclient/kmsclient.h"
#include "tempdir.h"

#define KMSD SLK_BUILD_DIR "/bin/sealock-kmsd"
#define NOBODY_UID 65533

static struct hsm_rig rig;
static char dir[256], config_path[300], socket_path[300], audit_path[300];
static pid_t kmsd;
static struct kmsc *client;
static struct slk_error err;

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static void
write_config(void)
{
	FILE *f = fopen(config_path, "w");

	assert_non_null(f);
	assert_true(fprintf(f,
			    "front_user: \"%d\"\nsocket:\n  path: %s\n  mode: 0666\n"
			    "catalog:\n  path: %s/kms/catalog.db\naudit:\n  path: %s\nhsm:\n",
			    NOBODY_UID, socket_path, dir, audit_path) > 0);
	hsm_rig_config(&rig, rig.token == RIG_CLOUDHSM ? NULL : rig.real_module, NULL, f);
	assert_true(fprintf(f,
			    "  worker_user: \"65534\"\n  workers: 1\n"
			    "ingest_user: \"%u\"\nadmins: [\"%u\"]\n"
			    "policy:\n"
			    "  - {effect: Allow, principals: [root], actions: ['*'], resources: "
			    "['*']}\n",
			    (unsigned)geteuid(), (unsigned)geteuid()) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(config_path, 0644), 0);
}

static void
wait_until_ready(void)
{
	struct kmsc_status status = {0};

	for (int i = 0; i < 500; i++) {
		if (kmsc_status(client, &status, &err) == SLK_OK && status.hsm_ok)
			return;
		usleep(20000);
	}
	fail_msg("kmsd is not ready: %s %s", err.text, status.hsm_error);
}

static int
group_setup(void **state)
{
	char kms_dir[300];

	(void)state;
	hsm_rig_init(&rig, NULL);
	tempdir_make(dir, sizeof(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(kms_dir, sizeof(kms_dir), "%.280s/kms", dir);
	assert_int_equal(mkdir(kms_dir, 0755), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(kms_dir, NOBODY_UID, NOBODY_UID), 0);
	snprintf(config_path, sizeof(config_path), "%.280s/kmsd.yaml", dir);
	snprintf(socket_path, sizeof(socket_path), "%.280s/kms/s", dir);
	snprintf(audit_path, sizeof(audit_path), "%.280s/kms/audit", dir);
	write_config();
	kmsd = fork();
	assert_true(kmsd >= 0);
	if (kmsd == 0) {
		int log = open(rig.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		hsm_rig_environment(&rig);
		if (log < 0 || dup2(log, 2) < 0)
			_exit(126);
		execl(KMSD, KMSD, "--config", config_path, (char *)NULL);
		_exit(127);
	}
	assert_ok(kmsc_new(socket_path, 5000, &client));
	wait_until_ready();
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	if (kmsd > 0) {
		assert_int_equal(kill(kmsd, SIGTERM), 0);
		assert_int_equal(waitpid(kmsd, NULL, 0), kmsd);
		tempdir_remove(dir);
		hsm_rig_fini(&rig);
	}
	return 0;
}

static void
keys_of_streams_come_back_for_a_reader(void **state)
{
	(void)state;
	static const char *const keys[] = {"alias/streams", NULL};
	struct kmsc_key key;

	ok(kmsc_create_key(client, "streams", &key, &err));
	ok(kmsc_create_alias(client, "alias/streams", key.id, &err));
	for (int i = 0; i < 2; i++) {
		struct kmsc_stream stream;
		struct kmsc_data_key dk;
		struct fmt_context *context = NULL;
		struct slk_secret *plain = NULL;
		char arn[KMSC_ARN_MAX];
		ok(kmsc_create_stream(client, i == 0 ? "sse" : "plain", 2, keys[i], &stream, &err));
		assert_int_equal(stream.encrypted_kms, i == 0);
		ok(kmsc_generate_stream_key(client, stream.arn, &dk, &err));
		ok(fmt_context_for_stream(stream.arn, &context));
		ok(kmsc_decrypt(
			client, NULL, context, slk_span(dk.blob, dk.blob_len), &plain, arn, &err));
		assert_string_equal(arn, stream.key_arn);
		assert_true(
			slk_equal_ct(slk_secret_peek(plain), slk_secret_peek(dk.plaintext), 32));
		slk_secret_free(plain);
		kmsc_data_key_fini(&dk);
		fmt_context_free(context);
	}
}

/* Threats, row 4: a token that says CKR_GENERAL_ERROR to a bad tag is not a token that was lost. */
static void
bad_ciphertexts_are_not_taken_for_a_lost_token(void **state)
{
	(void)state;
	struct kmsc_status before, after;
	struct kmsc_data_key dk;
	struct kmsc_key key;
	struct slk_secret *plain = NULL;

	ok(kmsc_create_key(client, "flipped", &key, &err));
	ok(kmsc_generate_data_key(client, key.id, NULL, &dk, &err));
	ok(kmsc_status(client, &before, &err));
	for (size_t i = 0; i < dk.blob_len; i++) {
		dk.blob[i] ^= 1;
		assert_int_equal(kmsc_decrypt(client, NULL, NULL, slk_span(dk.blob, dk.blob_len),
					 &plain, NULL, &err),
			SLK_INVALID_CIPHERTEXT);
		dk.blob[i] ^= 1;
	}
	assert_null(plain);
	ok(kmsc_decrypt(client, NULL, NULL, slk_span(dk.blob, dk.blob_len), &plain, NULL, &err));
	slk_secret_free(plain);
	kmsc_data_key_fini(&dk);
	ok(kmsc_status(client, &after, &err));
	assert_true(after.hsm_ok);
	assert_int_equal(after.hsm_recoveries, before.hsm_recoveries);
	assert_int_equal(after.hsm_worker_restarts, before.hsm_worker_restarts);
}

static unsigned
audit_lines(void)
{
	unsigned lines = 0;
	FILE *f = fopen(audit_path, "r");

	assert_non_null(f);
	for (int c; (c = fgetc(f)) != EOF;)
		lines += c == '\n';
	fclose(f);
	return lines;
}

static void
every_use_is_in_the_audit_when_its_answer_is_there(void **state)
{
	(void)state;
	struct kmsc_key key;

	if (geteuid() != 0)
		skip(); /* the file is the front's alone */
	ok(kmsc_create_key(client, "audited", &key, &err));
	for (unsigned i = 0; i < 20; i++) {
		struct kmsc_data_key dk;
		unsigned before = audit_lines();
		ok(kmsc_generate_data_key(client, key.id, NULL, &dk, &err));
		assert_int_equal(audit_lines(), before + 1);
		kmsc_data_key_fini(&dk);
	}
}

static long
rss_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	fclose(f);
	return kib;
}

static void
all_three_processes_stay_below_32_mib(void **state)
{
	(void)state;
	char path[96];
	int pid, count = 1;
	long total = rss_kib(kmsd);
	struct kmsc_key key;

	ok(kmsc_create_key(client, "used", &key, &err));
	uint64_t begin_ns = slk_mono_ns(slk_clock_system());
	for (int i = 0; i < 300; i++) {
		struct kmsc_data_key dk;
		ok(kmsc_generate_data_key(client, key.id, NULL, &dk, &err));
		kmsc_data_key_fini(&dk);
	}
	uint64_t each_us = (slk_mono_ns(slk_clock_system()) - begin_ns) / 300 / SLK_NS_PER_US;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)kmsd, (int)kmsd);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	for (; fscanf(f, "%d", &pid) == 1; count++)
		total += rss_kib(pid);
	fclose(f);
	assert_int_equal(count, 3);
	print_message(
		"kmsd: %ld KiB resident in %d processes; a data key takes %u us, audit flushed\n",
		total, count, (unsigned)each_us);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_in_range(total, 1, 32 * 1024);
#endif
}

int
main(void)
{
#define CASE(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		CASE(keys_of_streams_come_back_for_a_reader),
		CASE(bad_ciphertexts_are_not_taken_for_a_lost_token),
		CASE(every_use_is_in_the_audit_when_its_answer_is_there),
		CASE(all_three_processes_stay_below_32_mib),
	};

	if (!hsm_rig_possible())
		return 77; /* it said why */
	return cmocka_run_group_tests_name("kmsd_use", tests, group_setup, group_teardown);
}
