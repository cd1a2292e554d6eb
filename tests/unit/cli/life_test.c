/* The life of keys by the command line, against a scripted kmsd: what is asked for an alias, lists of many pages, and what
 * is said when half of a command succeeds. On a real kmsd: tests/integration/cli/cli_life_test.sh. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "cli_run.h"
#include "fake_kmsd.h"

#define ID "0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01"
#define ARN "arn:aws:kms:local:000000000000:key/" ID
#define PAGES 3u

static struct cli_run run;
/* What was asked, one after another: "NUMBER key|marker;". */
static char asked[1024];
/* The call that is refused, and how; 0: none. */
static Kmsp__Request__CallCase refuse;
static int refuse_status;
static unsigned refuse_turns; /* so many of them are answered first */

static void
note(const Kmsp__Request *q)
{
	const char *key = "", *marker = "";
	size_t len = strlen(asked);

	if (q->call_case == KMSP__REQUEST__CALL_DESCRIBE_KEY ||
		q->call_case == KMSP__REQUEST__CALL_ENABLE_KEY ||
		q->call_case == KMSP__REQUEST__CALL_GET_KEY_ROTATION_STATUS)
		key = q->describe_key->key; /* a KeyName, all three */
	if (q->call_case == KMSP__REQUEST__CALL_LIST_RESOURCE_TAGS ||
		q->call_case == KMSP__REQUEST__CALL_LIST_KEY_ROTATIONS) {
		key = q->list_resource_tags->key; /* a ListOfKey, both */
		marker = q->list_resource_tags->marker;
	}
	if (q->call_case == KMSP__REQUEST__CALL_LIST_ORPHANS)
		marker = q->list_orphans->marker;
	snprintf(asked + len, sizeof(asked) - len, "%d %s|%s;", q->call_case, key, marker);
}

/* Pages 1, 2, 3: the second is empty, as one of orphans may be. */
static unsigned
page_of(const char *marker)
{
	return marker[0] == '\0' ? 1 : (unsigned)atoi(marker) + 1;
}

static char *
next_of(unsigned page)
{
	static char next[16];

	snprintf(next, sizeof(next), "%u", page);
	return page < PAGES ? next : (char *)"";
}

static void
answer_orphans(const Kmsp__Request *q, Kmsp__Reply *r)
{
	static Kmsp__Orphan one, *list[] = {&one};
	static Kmsp__Orphans out;
	unsigned page = page_of(q->list_orphans->marker);

	kmsp__orphan__init(&one);
	kmsp__orphans__init(&out);
	one.backing_id = (char *)(page == 1 ? "aa11" : "bb33");
	one.is_pair = page == 3;
	out.orphans = list;
	out.n_orphans = page != 2;
	out.next = next_of(page);
	r->result_case = KMSP__REPLY__RESULT_ORPHANS;
	r->orphans = &out;
}

static void
answer_tags(const Kmsp__Request *q, Kmsp__Reply *r)
{
	static Kmsp__Tag one, *list[] = {&one};
	static Kmsp__Tags out;
	unsigned page = page_of(q->list_resource_tags->marker);

	kmsp__tag__init(&one);
	kmsp__tags__init(&out);
	one.key = (char *)(page == 1 ? "team" : "x\x1b[2J");
	one.value = (char *)"web";
	out.tags = list;
	out.n_tags = page != 2;
	out.next = next_of(page);
	r->result_case = KMSP__REPLY__RESULT_TAGS;
	r->tags = &out;
}

static void
answer_materials(const Kmsp__Request *q, Kmsp__Reply *r)
{
	static Kmsp__RotationEntry one, *list[] = {&one};
	static Kmsp__Rotations out;
	unsigned page = page_of(q->list_key_rotations->marker);

	kmsp__rotation_entry__init(&one);
	kmsp__rotations__init(&out);
	one.backing_id = (char *)(page == 1 ? "aa11" : "bb33");
	one.first = page == 1;
	one.current = page == 3;
	out.rotations = list;
	out.n_rotations = page != 2;
	out.next = next_of(page);
	r->result_case = KMSP__REPLY__RESULT_ROTATIONS;
	r->rotations = &out;
}

static void
answer_key(Kmsp__Reply *r)
{
	static Kmsp__Key key;

	kmsp__key__init(&key);
	key.id = (char *)ID;
	key.arn = (char *)ARN;
	r->result_case = KMSP__REPLY__RESULT_KEY;
	r->key = &key;
}

static void
answer_rotation(Kmsp__Reply *r)
{
	static Kmsp__Rotation rotation;

	kmsp__rotation__init(&rotation);
	rotation.key_arn = (char *)ARN;
	r->result_case = KMSP__REPLY__RESULT_ROTATION;
	r->rotation = &rotation;
}

static int
answer(const Kmsp__Request *q, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;

	(void)turn;
	note(q);
	r.id = q->id;
	if (q->call_case == refuse && refuse_turns-- == 0) {
		refuse_turns = 0;
		r.status = refuse_status;
		r.exception = (char *)"Refused";
		r.message = (char *)"by the test";
		return fake_kmsd_reply(q, &r, out);
	}
	if (q->call_case == KMSP__REQUEST__CALL_LIST_ORPHANS)
		answer_orphans(q, &r);
	else if (q->call_case == KMSP__REQUEST__CALL_LIST_RESOURCE_TAGS)
		answer_tags(q, &r);
	else if (q->call_case == KMSP__REQUEST__CALL_LIST_KEY_ROTATIONS)
		answer_materials(q, &r);
	else if (q->call_case == KMSP__REQUEST__CALL_GET_KEY_ROTATION_STATUS)
		answer_rotation(&r);
	else if (q->call_case == KMSP__REQUEST__CALL_DESCRIBE_KEY ||
		q->call_case == KMSP__REQUEST__CALL_CREATE_KEY)
		answer_key(&r);
	return fake_kmsd_reply(q, &r, out);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-cli-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	asked[0] = '\0';
	refuse = KMSP__REQUEST__CALL__NOT_SET;
	refuse_turns = 0;
	fake_kmsd_start(answer);
	return setenv("SEALOCK_KMS_SOCKET", fake_kmsd.path, 1);
}

static int
teardown(void **state)
{
	(void)state;
	fake_kmsd_stop();
	unsetenv("SEALOCK_KMS_SOCKET");
	return rmdir(fake_kmsd.dir);
}

static void
an_alias_is_resolved_once_and_its_key_is_managed(void **state)
{
	static const char *const names[] = {
		"alias/web", "arn:aws:kms:local:000000000000:alias/web"};
	char want[256];
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		asked[0] = '\0';
		cli_run_args(&run, "key", "enable", names[i]);
		assert_int_equal(run.code, CLI_EXIT_OK);
		snprintf(want, sizeof(want), "%d %s|;%d " ID "|;", KMSP__REQUEST__CALL_DESCRIBE_KEY,
			names[i], KMSP__REQUEST__CALL_ENABLE_KEY);
		assert_string_equal(asked, want);
		assert_string_equal(run.out, "key " ID " is enabled\n");
	}
}

static void
an_id_or_arn_is_left_to_kmsd(void **state)
{
	static const char *const names[] = {ID, ARN, "arn:aws:kms:elsewhere:1:key/alias/web",
		"arn:", "arn:aws:kms:alias/web", "aliases/web"};
	char want[256];
	(void)state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		asked[0] = '\0';
		cli_run_args(&run, "key", "enable", names[i]);
		snprintf(want, sizeof(want), "%d %s|;", KMSP__REQUEST__CALL_ENABLE_KEY, names[i]);
		assert_string_equal(asked, want);
	}
}

static void
a_name_that_nothing_can_have_is_not_sent(void **state)
{
	static char name[400];
	(void)state;

	memset(name, 'k', sizeof(name) - 1);
	cli_run_args(&run, "key", "enable", name);
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "too long"));
	assert_string_equal(asked, "");
}

static void
every_page_is_read_also_behind_an_empty_one(void **state)
{
	(void)state;
	cli_run_args(&run, "key", "orphans");
	assert_string_equal(run.out, "aa11  AES key\nbb33  key pair\n");
	assert_string_equal(run.err, "");
	cli_run_args(&run, "key", "tags", ID);
	assert_string_equal(run.out, "team=web\nx\\x1b[2J=web\n");
	cli_run_args(&run, "key", "rotation", ID);
	assert_non_null(strstr(run.out, "\naa11 "));
	assert_non_null(strstr(run.out, "creation"));
	assert_non_null(strstr(run.out, "\nbb33 "));
	assert_null(strstr(strstr(run.out, "MATERIAL") + 1, "MATERIAL")); /* one title */
	assert_non_null(strstr(run.out, "current\n"));
}

static void
a_page_that_fails_leaves_no_half_of_a_list(void **state)
{
	static const char *const lines[][4] = {
		{"key", "orphans"}, {"key", "tags", ID}, {"key", "orphans", "--json"}};
	static const Kmsp__Request__CallCase calls[] = {KMSP__REQUEST__CALL_LIST_ORPHANS,
		KMSP__REQUEST__CALL_LIST_RESOURCE_TAGS, KMSP__REQUEST__CALL_LIST_ORPHANS};
	(void)state;

	for (size_t i = 0; i < 3; i++) {
		refuse = calls[i];
		refuse_status = SLK_DENIED;
		refuse_turns = PAGES - 1;
		cli_run(&run, NULL, lines[i]);
		assert_int_equal(run.code, CLI_EXIT_FAILED);
		assert_string_equal(run.out, "");
		assert_non_null(strstr(run.err, "Refused: by the test"));
	}
}

static void
materials_that_may_not_be_seen_are_left_out(void **state)
{
	(void)state;
	refuse = KMSP__REQUEST__CALL_LIST_KEY_ROTATIONS;
	refuse_status = SLK_DENIED;
	cli_run_args(&run, "key", "rotation", ID, "--json");
	assert_int_equal(run.code, CLI_EXIT_OK);
	assert_non_null(strstr(run.out, "\"enabled\": false"));
	assert_null(strstr(run.out, "materials"));
	assert_non_null(strstr(run.err, "Refused: by the test"));
	refuse_status = SLK_UNAVAILABLE;
	cli_run_args(&run, "key", "rotation", ID, "--json");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.out, "");
}

static void
what_was_done_is_said_when_the_rest_fails(void **state)
{
	(void)state;
	refuse = KMSP__REQUEST__CALL_CREATE_ALIAS;
	refuse_status = SLK_EXISTS;
	cli_run_args(&run, "key", "create", "--alias", "alias/x");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_string_equal(run.out, "");
	assert_non_null(strstr(run.err, "key " ID " was created, but not its alias: Refused"));
	refuse = KMSP__REQUEST__CALL_GET_KEY_ROTATION_STATUS;
	refuse_status = SLK_DENIED;
	cli_run_args(&run, "key", "rotation", ID, "--enable");
	assert_int_equal(run.code, CLI_EXIT_FAILED);
	assert_non_null(strstr(run.err, "was switched on, but is not shown: Refused"));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_alias_is_resolved_once_and_its_key_is_managed),
		CASE(an_id_or_arn_is_left_to_kmsd),
		CASE(a_name_that_nothing_can_have_is_not_sent),
		CASE(every_page_is_read_also_behind_an_empty_one),
		CASE(a_page_that_fails_leaves_no_half_of_a_list),
		CASE(materials_that_may_not_be_seen_are_left_out),
		CASE(what_was_done_is_said_when_the_rest_fails),
	};

	return cmocka_run_group_tests_name("cli_life", tests, NULL, NULL);
}
