/* Identities and policies through all of kmsd, as it is installed: another user of the machine is let in and kept out by what
 * an administrator puts, at the next call and after the front was killed; the longest key policy goes both ways. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmsclient/policies.h"
#include "kmsd_rig.h"

#define ALICE_UID 65500
#define ALLOW \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\"," \
	"\"Action\":\"kms:GenerateDataKeyWithoutPlaintext\",\"Resource\":\"*\",\"Condition\":{" \
	"\"StringEquals\":" \
	"{\"aws:username\":\"alice\"}}}}"
#define KEY_POLICY \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":" \
	"\"000000000000\"},\"Action\":\"kms:*\",\"Resource\":\"*\"},{\"Effect\":\"Deny\"," \
	"\"Principal\":{\"AWS\":\"arn:aws:iam::000000000000:user/alice\"},\"Action\":" \
	"\"kms:GenerateDataKeyWithoutPlaintext\",\"Resource\":\"*\"}]}"

static struct kmsd_rig rig;
static struct slk_error err;
static struct kmsc_key key;
static const struct kmsc_who alice = {false, "alice"};
static bool started;

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static int
group_setup(void **state)
{
	static struct kmsc_identity identity;
	const struct kmsc_key_kind kind = {.description = "for the policy test"};

	(void)state;
	if (geteuid() != 0 || !kmsd_rig_possible())
		return 0;
	kmsd_rig_init(&rig);
	rig.more_lines = "principals:\n  - {user: \"65500\", arn: user/alice}\n";
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	ok(kmsc_create_key_with(rig.client, &kind, &key, &err));
	ok(kmsc_create_user(rig.client, "alice", NULL, 0, &identity, &err));
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

/* In a process of its own, as alice: 0 if kmsd gave a data key, 1 if alice was refused in her own name, else another. */
static int
ask_as_alice(void)
{
	struct kmsc_data_key made;
	struct kmsc *client = NULL;

	if (setgid(ALICE_UID) != 0 || setuid(ALICE_UID) != 0 ||
		kmsc_new(rig.socket, 10000, &client) != SLK_OK)
		return 2;
	int rc = kmsc_generate_data_key_without_plaintext(client, key.arn, NULL, &made, &err);
	kmsc_free(client);
	if (rc == SLK_OK)
		return 0;
	return rc == SLK_DENIED &&
			strstr(err.text,
				"user/alice is not authorized to perform: "
				"kms:GenerateDataKeyWithoutPlaintext") != NULL
		? 1
		: 3;
}

static bool
alice_may(void)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(ask_as_alice());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

static void
policy_counts_at_the_next_call_and_after_a_kill(void **state)
{
	(void)state;
	if (!started)
		skip();
	assert_false(alice_may());
	ok(kmsc_put_inline_policy(rig.client, alice, "use", ALLOW, &err));
	assert_true(alice_may());
	kmsd_rig_replace(&rig, kmsd_rig_front);
	assert_true(alice_may());
	ok(kmsc_put_key_policy(rig.client, key.arn, KEY_POLICY, false, &err));
	assert_false(alice_may());
	kmsd_rig_replace(&rig, kmsd_rig_front);
	assert_false(alice_may());
	ok(kmsc_delete_inline_policy(rig.client, alice, "use", &err));
	assert_false(alice_may());
}

static void
longest_key_policy_goes_both_ways(void **state)
{
	(void)state;
	static char text[KMSC_DOCUMENT_MAX], back[KMSC_DOCUMENT_MAX];

	if (!started)
		skip();
	memset(text, ' ', sizeof(text) - 1);
	memcpy(text, KEY_POLICY, sizeof(KEY_POLICY) - 1);
	ok(kmsc_put_key_policy(rig.client, key.arn, text, false, &err));
	ok(kmsc_get_key_policy(rig.client, key.arn, back, &err));
	assert_string_equal(back, text);
	text[5] = '!';
	assert_int_equal(kmsc_put_key_policy(rig.client, key.arn, text, false, &err), SLK_INVALID);
	assert_non_null(strstr(err.text, "line 1, column "));
	ok(kmsc_get_key_policy(rig.client, key.arn, back, &err));
	assert_string_not_equal(back, text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_counts_at_the_next_call_and_after_a_kill),
		cmocka_unit_test(longest_key_policy_goes_both_ways),
	};

	return cmocka_run_group_tests_name("kms_policy_use", tests, group_setup, group_teardown);
}
