/* sealock-kmsd as it is installed: monitor, front and HSM workers on a token behind the fault shim, asked through the client
 * library. */
#include "slk_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#include "base/clock.h"
#include "hsm_rig.h"
#include "kmsclient/kmsclient.h"

#define KMSD SLK_BUILD_DIR "/bin/sealock-kmsd"
#define FRONT_UID 65533
#define WAIT_S 10

static struct hsm_rig rig;
static char base[64], config[96], socket_path[96], log_path[96];
static pid_t kmsd;
static struct kmsc *client;
static unsigned deadline_ms;
static const char *module;
static unsigned workers_count;

/* --- the daemon --- */

static void
write_config(const char *extra)
{
	FILE *f = fopen(config, "we");

	assert_non_null(f);
	fprintf(f,
		"front_user: \"%d\"\nsocket:\n  path: %s\n  mode: 0666\ncatalog:\n  path: "
		"%s/kms/catalog.db\naudit:\n  path: %s/kms/audit.log\nhsm:\n",
		FRONT_UID, socket_path, base, base);
	hsm_rig_config(&rig, module, NULL, f);
	fprintf(f,
		"  worker_user: \"65534\"\n  workers: %u\n  deadline_ms: %u\n  start_deadline_ms: "
		"%u\n"
		"principals:\n  - user: \"%u\"\n    arn: user/tester\npolicy:\n"
		"  - effect: Allow\n    principals: [user/tester]\n    actions: [\"kms:*\"]\n"
		"    resources: [\"*\"]\n%s",
		workers_count, deadline_ms, deadline_ms, geteuid(), extra);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(config, 0644), 0);
}

static void
start_kmsd(void)
{
	kmsd = fork();
	assert_true(kmsd >= 0);
	if (kmsd == 0) {
		int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
		hsm_rig_environment(&rig);
		if (fd < 0 || dup2(fd, 2) < 0)
			_exit(126);
		execl(KMSD, KMSD, "--config", config, (char *)NULL);
		_exit(127);
	}
}

static int
wait_kmsd(void)
{
	int status = 0;

	assert_int_equal(waitpid(kmsd, &status, 0), kmsd);
	kmsd = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
setup(void **state)
{
	char dir[96];

	(void)state;
	hsm_rig_init(&rig, NULL);
	module = rig.module;
	workers_count = 1;
	deadline_ms = 5000;
	strcpy(base, "/tmp/slk_kmsd_XXXXXX");
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0755), 0);
	snprintf(dir, sizeof(dir), "%s/kms", base);
	assert_int_equal(mkdir(dir, 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(dir, FRONT_UID, FRONT_UID), 0);
	snprintf(config, sizeof(config), "%s/kmsd.yaml", base);
	snprintf(socket_path, sizeof(socket_path), "%s/kms/kms.sock", base);
	snprintf(log_path, sizeof(log_path), "%s/log", base);
	assert_ok(kmsc_new(socket_path, 3000, &client));
	write_config("");
	return 0;
}

static int
teardown(void **state)
{
	char command[128];

	(void)state;
	kmsc_free(client);
	client = NULL;
	if (kmsd > 0) {
		kill(kmsd, SIGTERM);
		(void)wait_kmsd();
	}
	hsm_rig_check_log(log_path);
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	assert_int_equal(system(command), 0);
	hsm_rig_fini(&rig);
	return 0;
}

static bool
logged(const char *text)
{
	static char buf[262144];
	FILE *f = fopen(log_path, "re");
	if (f == NULL)
		return false;
	size_t n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	return strstr(buf, text) != NULL;
}

static void
fail_with_log(const char *what)
{
	char command[256];

	snprintf(command, sizeof(command), "tail -20 '%s' >&2", log_path);
	(void)!system(command);
	fail_msg("%s", what);
}

/* --- processes --- */

static bool
comm_is(pid_t pid, const char *name)
{
	char path[64], comm[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	bool same = fgets(comm, sizeof(comm), f) != NULL && strncmp(comm, name, strlen(name)) == 0;
	fclose(f);
	return same;
}

/* The monitor's child of that name, 0 if there is none at the moment. */
static pid_t
child_of(pid_t monitor, const char *name)
{
	char path[64];
	int pid;
	pid_t found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", monitor, monitor);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (found == 0 && fscanf(f, "%d", &pid) == 1) {
		if (comm_is(pid, name))
			found = pid;
	}
	fclose(f);
	return found;
}

static pid_t
front(void)
{
	return child_of(kmsd, "sealock-kmsd");
}

static pid_t
worker(void)
{
	return child_of(kmsd, "sealock-hsm-wor");
}

static uint64_t
now_ns(void)
{
	return slk_mono_ns(slk_clock_system());
}

static void
wait_gone(pid_t pid)
{
	uint64_t limit = now_ns() + WAIT_S * SLK_NS_PER_S;

	while (kill(pid, 0) == 0) {
		if (now_ns() > limit)
			fail_with_log("a process does not end");
		usleep(5000);
	}
}

/* Has every thread of it stopped? The signal reaches them one after the other. */
static bool
has_stopped(pid_t pid)
{
	char path[300], text[256];
	bool all = true;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	assert_non_null(tasks);
	for (struct dirent *e; all && (e = readdir(tasks)) != NULL;) {
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", (int)pid, e->d_name);
		FILE *f = e->d_name[0] != '.' ? fopen(path, "re") : NULL;
		if (f == NULL)
			continue;
		const char *name_end =
			fgets(text, sizeof(text), f) != NULL ? strrchr(text, ')') : NULL;
		fclose(f);
		all = name_end != NULL && name_end[1] == ' ' && name_end[2] == 'T';
	}
	closedir(tasks);
	return all;
}

static void
stop_process(pid_t pid)
{
	uint64_t limit = now_ns() + WAIT_S * SLK_NS_PER_S;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	while (!has_stopped(pid)) {
		if (now_ns() > limit)
			fail_with_log("a process does not stop");
		usleep(1000);
	}
}

/* --- through the client --- */

static char key_id[64];
static struct kmsc_data_key data_key;

static void
create_key(void)
{
	uint64_t limit = now_ns() + WAIT_S * SLK_NS_PER_S;
	struct kmsc_key key;
	struct slk_error err = {0};

	/* The daemon has just been started. */
	while (kmsc_create_key(client, "test", &key, &err) != SLK_OK) {
		if (now_ns() > limit)
			fail_with_log(err.text);
		usleep(10000);
	}
	strcpy(key_id, key.id);
	if (kmsc_generate_data_key(client, key_id, NULL, &data_key, &err) != SLK_OK)
		fail_with_log(err.text);
}

static int
decrypt(struct slk_error *err)
{
	struct slk_secret *plain = NULL;

	int rc = kmsc_decrypt(
		client, NULL, NULL, slk_span(data_key.blob, data_key.blob_len), &plain, NULL, err);
	if (rc != SLK_OK)
		return rc;
	assert_int_equal(slk_secret_len(plain), 32);
	assert_memory_equal(slk_secret_peek(plain), slk_secret_peek(data_key.plaintext), 32);
	slk_secret_free(plain);
	return SLK_OK;
}

/* Decryption works now or soon, and never gives anything else than "later" before. */
static void
decrypts_soon(void)
{
	uint64_t limit = now_ns() + WAIT_S * SLK_NS_PER_S;
	struct slk_error err = {0};
	int rc;

	while ((rc = decrypt(&err)) != SLK_OK) {
		if (slk_status_class(rc) != SLK_CLASS_RETRY || now_ns() > limit)
			fail_with_log(err.text);
		usleep(10000);
	}
}

static void
start_with_key(void)
{
	start_kmsd();
	create_key();
}

static int
forget_key(void **state)
{
	kmsc_data_key_fini(&data_key);
	memset(&data_key, 0, sizeof(data_key));
	return teardown(state);
}

static void
a_data_key_comes_back_through_all_three_processes(void **state)
{
	(void)state;
	struct slk_error err = {0};

	start_with_key();
	assert_ok(decrypt(&err));
	assert_int_not_equal(front(), 0);
	assert_int_not_equal(worker(), 0);
}

static void
a_killed_worker_is_replaced_and_the_front_stays(void **state)
{
	(void)state;
	start_with_key();
	pid_t f = front();
	for (int i = 0; i < 3; i++) {
		pid_t w = worker();
		assert_int_not_equal(w, 0);
		kill(w, SIGKILL);
		decrypts_soon();
		assert_int_not_equal(worker(), w);
	}
	assert_int_equal(front(), f);
}

static void
a_killed_front_is_replaced_and_the_worker_stays(void **state)
{
	(void)state;
	start_with_key();
	pid_t w = worker();
	uint64_t logins = p11shim_calls(rig.shim, P11SHIM_C_Login);
	for (int i = 0; i < 3; i++) {
		pid_t f = front();
		assert_int_not_equal(f, 0);
		kill(f, SIGKILL);
		wait_gone(f);
		decrypts_soon();
	}
	assert_int_equal(worker(), w);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_Login), logins);
}

static void
nothing_is_left_when_the_monitor_is_killed(void **state)
{
	(void)state;
	start_with_key();
	pid_t f = front(), w = worker();
	kill(kmsd, SIGKILL);
	assert_int_equal(wait_kmsd(), 128 + SIGKILL);
	wait_gone(f);
	wait_gone(w);
	/* And the next one finds everything in order. */
	start_kmsd();
	decrypts_soon();
}

static void
sigterm_stops_all_in_order(void **state)
{
	(void)state;
	start_with_key();
	pid_t f = front(), w = worker();
	uint64_t finalised = p11shim_calls(rig.shim, P11SHIM_C_Finalize);
	kill(kmsd, SIGTERM);
	assert_int_equal(wait_kmsd(), 0);
	assert_int_not_equal(kill(f, 0), 0);
	assert_int_not_equal(kill(w, 0), 0);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_Finalize), finalised + 1);
	assert_false(logged("killing it"));
}

static void
a_hanging_module_call_costs_the_worker_only(void **state)
{
	(void)state;
	struct slk_error err = {0};

	deadline_ms = 300;
	write_config("");
	start_with_key();
	pid_t f = front(), w = worker();
	p11shim_delay(rig.shim, P11SHIM_C_Decrypt, 1, 60000);
	decrypts_soon();
	assert_int_not_equal(worker(), w);
	assert_int_equal(front(), f);
	assert_true(logged("the PKCS#11 module hangs"));
	assert_ok(decrypt(&err));
}

static void
a_worker_that_no_longer_turns_is_killed(void **state)
{
	(void)state;
	struct slk_error err = {0};
	struct kmsc *hasty = NULL;

	start_with_key();
	pid_t w = worker();
	assert_ok(kmsc_new(socket_path, 500, &hasty));
	stop_process(w);
	struct slk_secret *plain = NULL;
	int rc = kmsc_decrypt(
		hasty, NULL, NULL, slk_span(data_key.blob, data_key.blob_len), &plain, NULL, &err);
	assert_int_equal(slk_status_class(rc), SLK_CLASS_RETRY);
	kmsc_free(hasty);
	wait_gone(w);
	decrypts_soon();
	assert_true(logged("is stuck; killing it"));
}

static void
replace_pin(const char *pin)
{
	struct timespec times[2] = {{0, UTIME_NOW}, {0, 0}};

	assert_int_equal(unlink(rig.pin_file), 0);
	int fd = open(rig.pin_file, O_WRONLY | O_CREAT | O_EXCL, 0400);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, pin, strlen(pin)), (ssize_t)strlen(pin));
	if (rig.user != NULL)
		assert_int_equal(fchown(fd, 65534, 65534), 0);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void
wait_logged(const char *text)
{
	uint64_t limit = now_ns() + WAIT_S * SLK_NS_PER_S;

	while (!logged(text)) {
		if (now_ns() > limit)
			fail_with_log(text);
		usleep(10000);
	}
}

static void
a_wrong_pin_is_tried_once_whatever_is_restarted(void **state)
{
	(void)state;
	struct kmsc_key key;
	struct slk_error err = {0};

	replace_pin("crypto_user:this is not it");
	for (int i = 0; i < 3; i++) {
		unlink(log_path);
		start_kmsd();
		wait_logged("an operator is needed");
		pid_t w = worker();
		kill(w, SIGKILL);
		wait_gone(w);
		uint64_t limit = now_ns() + WAIT_S * SLK_NS_PER_S;
		while (worker() == 0 && now_ns() < limit)
			usleep(5000);
		assert_int_not_equal(kmsc_create_key(client, "no", &key, &err), SLK_OK);
		kill(kmsd, SIGTERM);
		assert_int_equal(wait_kmsd(), 0);
	}
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_Login), 1);
}

static void
the_token_may_go_and_come_back(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "NSS goes on with the database that it has open");
	char aside[128], command[320];
	struct slk_error err = {0};

	start_with_key();
	snprintf(aside, sizeof(aside), "%s.aside", rig.tokens);
	assert_int_equal(rename(rig.tokens, aside), 0);
	assert_int_equal(mkdir(rig.tokens, 0700), 0);
	if (rig.user != NULL)
		assert_int_equal(chown(rig.tokens, 65534, 65534), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(slk_status_class(decrypt(&err)), SLK_CLASS_RETRY);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig.tokens);
	assert_int_equal(system(command), 0);
	assert_int_equal(rename(aside, rig.tokens), 0);
	decrypts_soon();
}

static void
each_process_has_its_own_user(void **state)
{
	(void)state;
	struct stat st;
	char path[64];

	if (geteuid() != 0) {
		print_message("skipped: only root can start processes of other users\n");
		skip();
	}
	start_with_key();
	/* /proc/PID belongs to root for undumpable processes; task status tells the user. */
	const pid_t pids[] = {front(), worker()};
	const char *uids[] = {
		"Uid:\t65533\t65533\t65533\t65533\n", "Uid:\t65534\t65534\t65534\t65534\n"};
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/status", pids[i]);
		FILE *f = fopen(path, "re");
		assert_non_null(f);
		char line[256];
		bool found = false;
		while (fgets(line, sizeof(line), f) != NULL)
			found |= strcmp(line, uids[i]) == 0;
		fclose(f);
		assert_true(found);
		snprintf(path, sizeof(path), "/proc/%d/mem", pids[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, 0);
	}
}

static void
settings_that_cannot_work_end_it_with_a_sentence(void **state)
{
	(void)state;
	module = "/nonexistent/pkcs11.so";
	write_config("");
	start_kmsd();
	assert_int_equal(wait_kmsd(), 2);
	assert_true(logged("/nonexistent/pkcs11.so"));

	module = rig.module;
	write_config("colour: blue\n");
	start_kmsd();
	assert_int_equal(wait_kmsd(), 2);
	assert_true(logged("colour"));

	module = "/etc/hostname"; /* a file, and no module: found out by the worker */
	write_config("");
	start_kmsd();
	assert_int_equal(wait_kmsd(), 2);
	assert_true(logged("cannot load PKCS#11 module /etc/hostname"));
}

static void
a_configuration_can_be_checked(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), KMSD " --check --config '%s' >/dev/null 2>&1", config);
	assert_int_equal(system(command), 0);
	write_config("colour: blue\n");
	assert_int_not_equal(system(command), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, forget_key)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_data_key_comes_back_through_all_three_processes),
		T(a_killed_worker_is_replaced_and_the_front_stays),
		T(a_killed_front_is_replaced_and_the_worker_stays),
		T(nothing_is_left_when_the_monitor_is_killed),
		T(sigterm_stops_all_in_order),
		T(a_hanging_module_call_costs_the_worker_only),
		T(a_worker_that_no_longer_turns_is_killed),
		T(a_wrong_pin_is_tried_once_whatever_is_restarted),
		T(the_token_may_go_and_come_back),
		T(each_process_has_its_own_user),
		T(settings_that_cannot_work_end_it_with_a_sentence),
		T(a_configuration_can_be_checked),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("kmsd", tests, NULL, NULL);
}
