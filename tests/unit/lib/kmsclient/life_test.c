/* The life of keys against a scripted kmsd: what is asked, what comes back, and answers that cannot be. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/life.h"

static struct kmsc *client;
static struct slk_error err;
/* What the answer is, and what was asked. */
static Kmsp__Reply reply;
static Kmsp__Key key_out;
static char asked[256];
static bool hang_up_first;
static struct kmsc_key key; /* large */
static char long_text[KMSC_DESCRIPTION_MAX + 1];

static const char *
name_of_key(const Kmsp__Request *q)
{
	switch (q->call_case) {
	case KMSP__REQUEST__CALL_ENABLE_KEY:
		return q->enable_key->key;
	case KMSP__REQUEST__CALL_DISABLE_KEY:
		return q->disable_key->key;
	case KMSP__REQUEST__CALL_CANCEL_KEY_DELETION:
		return q->cancel_key_deletion->key;
	case KMSP__REQUEST__CALL_DISABLE_KEY_ROTATION:
		return q->disable_key_rotation->key;
	case KMSP__REQUEST__CALL_GET_KEY_ROTATION_STATUS:
		return q->get_key_rotation_status->key;
	case KMSP__REQUEST__CALL_ROTATE_KEY_ON_DEMAND:
		return q->rotate_key_on_demand->key;
	case KMSP__REQUEST__CALL_DESCRIBE_KEY:
		return q->describe_key->key;
	default:
		return "?";
	}
}

static void
note(const Kmsp__Request *q)
{
	char *to = asked;
	size_t cap = sizeof(asked);

	switch (q->call_case) {
	case KMSP__REQUEST__CALL_CREATE_KEY:
		snprintf(to, cap, "%s|%s|%s|%zu", q->create_key->description, q->create_key->spec,
			q->create_key->usage, q->create_key->n_tags);
		break;
	case KMSP__REQUEST__CALL_UPDATE_KEY_DESCRIPTION:
		snprintf(to, cap, "%s|%s", q->update_key_description->key,
			q->update_key_description->description);
		break;
	case KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION:
		snprintf(to, cap, "%s|%u", q->schedule_key_deletion->key,
			q->schedule_key_deletion->pending_window_days);
		break;
	case KMSP__REQUEST__CALL_UPDATE_ALIAS:
		snprintf(to, cap, "%s|%s", q->update_alias->alias, q->update_alias->key);
		break;
	case KMSP__REQUEST__CALL_TAG_RESOURCE:
		snprintf(to, cap, "%s|%zu|%s=%s", q->tag_resource->key, q->tag_resource->n_tags,
			q->tag_resource->tags[0]->key, q->tag_resource->tags[0]->value);
		break;
	case KMSP__REQUEST__CALL_UNTAG_RESOURCE:
		snprintf(to, cap, "%s|%zu|%s", q->untag_resource->key,
			q->untag_resource->n_tag_keys, q->untag_resource->tag_keys[1]);
		break;
	case KMSP__REQUEST__CALL_LIST_RESOURCE_TAGS:
		snprintf(to, cap, "%s|%s|%u", q->list_resource_tags->key,
			q->list_resource_tags->marker, q->list_resource_tags->limit);
		break;
	case KMSP__REQUEST__CALL_LIST_KEY_ROTATIONS:
		snprintf(to, cap, "%s|%s|%u", q->list_key_rotations->key,
			q->list_key_rotations->marker, q->list_key_rotations->limit);
		break;
	case KMSP__REQUEST__CALL_LIST_ORPHANS:
		snprintf(to, cap, "%s|%u", q->list_orphans->marker, q->list_orphans->limit);
		break;
	case KMSP__REQUEST__CALL_ENABLE_KEY_ROTATION:
		snprintf(to, cap, "%s|%u", q->enable_key_rotation->key,
			q->enable_key_rotation->period_days);
		break;
	default:
		snprintf(to, cap, "%d|%s", q->call_case, name_of_key(q));
		break;
	}
}

static int
answer(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	if (hang_up_first && turn == 0)
		return -1;
	note(request);
	reply.id = request->id;
	return fake_kmsd_reply(request, &reply, out);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-kmsc-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	memset(&err, 0, sizeof(err));
	memset(&key, 0, sizeof(key));
	memset(long_text, 'd', sizeof(long_text));
	long_text[KMSC_DESCRIPTION_MAX] = '\0';
	kmsp__reply__init(&reply);
	kmsp__key__init(&key_out);
	key_out.id = (char *)"k";
	asked[0] = '\0';
	hang_up_first = false;
	fake_kmsd_start(answer);
	return kmsc_new(fake_kmsd.path, 2000, &client);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	fake_kmsd_stop();
	return rmdir(fake_kmsd.dir);
}

static void
answer_with_key(void)
{
	reply.result_case = KMSP__REPLY__RESULT_KEY;
	reply.key = &key_out;
}

static void
a_key_comes_whole_with_the_longest_description(void **state)
{
	(void)state;
	char *names[] = {(char *)"RSAES_OAEP_SHA_1", (char *)"RSAES_OAEP_SHA_256"};

	answer_with_key();
	key_out.description = long_text + 1; /* 8,192 characters of four bytes */
	key_out.material_id = (char *)"0123";
	key_out.backing_id = (char *)"4567";
	key_out.algorithms = names;
	key_out.n_algorithms = 2;
	key_out.deletion_ns = 5;
	key_out.pending_window_days = 7;
	key_out.streams_count = 3;
	assert_ok(kmsc_describe_key(client, "k", &key, &err));
	assert_int_equal(strlen(key.description), KMSC_DESCRIPTION_MAX - 1);
	assert_string_equal(key.material_id, "0123");
	assert_string_equal(key.backing_id, "4567");
	assert_int_equal(key.algorithms_count, 2);
	assert_string_equal(key.algorithms[1], "RSAES_OAEP_SHA_256");
	assert_int_equal(key.deletion_ns, 5);
	assert_int_equal(key.pending_window_days, 7);
	assert_int_equal(key.streams_count, 3);
}

static void
a_key_with_more_than_there_can_be_is_refused(void **state)
{
	(void)state;
	char *names[KMSC_ALGORITHMS_MAX + 1];

	for (size_t i = 0; i <= KMSC_ALGORITHMS_MAX; i++)
		names[i] = (char *)"a";
	answer_with_key();
	strcpy(key.id, "untouched");
	key_out.description = long_text;
	assert_int_equal(kmsc_describe_key(client, "k", &key, &err), SLK_INTERNAL);
	key_out.description = (char *)"";
	key_out.algorithms = names;
	key_out.n_algorithms = KMSC_ALGORITHMS_MAX + 1;
	assert_int_equal(kmsc_describe_key(client, "k", &key, &err), SLK_INTERNAL);
	assert_string_equal(key.id, "untouched");
	key_out.n_algorithms--;
	assert_ok(kmsc_describe_key(client, "k", &key, &err));
}

static void
create_says_what_kind_of_key(void **state)
{
	(void)state;
	static struct kmsc_tag tags[KMSC_TAGS_MAX + 1] = {{"env", "prod"}};
	struct kmsc_key_kind kind = {.description = "d",
		.spec = "RSA_2048",
		.usage = "SIGN_VERIFY",
		.tags = tags,
		.tags_count = 2};

	answer_with_key();
	assert_ok(kmsc_create_key_with(client, &kind, &key, &err));
	assert_string_equal(asked, "d|RSA_2048|SIGN_VERIFY|2");
	assert_string_equal(key.id, "k");
	assert_ok(kmsc_create_key_with(client, &(struct kmsc_key_kind){0}, &key, &err));
	assert_string_equal(asked, "|||0");
	asked[0] = '\0';
	kind.tags_count = KMSC_TAGS_MAX + 1;
	assert_int_equal(kmsc_create_key_with(client, &kind, &key, &err), SLK_LIMIT);
	kind.tags_count = 0;
	static char longer[KMSP_FRAME_MAX];
	memset(longer, 'd', sizeof(longer) - 1);
	kind.description = longer;
	assert_int_equal(kmsc_create_key_with(client, &kind, &key, &err), SLK_TOO_LARGE);
	assert_string_equal(asked, ""); /* kmsd would end the connection */
}

/* The largest description and tags, of characters of four bytes, in one request. */
static void
all_that_aws_allows_fits_one_request(void **state)
{
	(void)state;
	static struct kmsc_tag tags[KMSC_TAGS_MAX];
	const char *names[KMSC_TAGS_MAX];
	const struct kmsc_key_kind kind = {.description = long_text + 1, /* 8,192 of four bytes */
		.spec = "RSA_4096",
		.usage = "SIGN_VERIFY",
		.tags = tags,
		.tags_count = KMSC_TAGS_MAX};

	for (size_t i = 0; i < KMSC_TAGS_MAX; i++) {
		memset(tags[i].key, 'k', KMSC_TAG_KEY_MAX - 1);
		memset(tags[i].value, 'v', KMSC_TAG_VALUE_MAX - 1);
	}
	answer_with_key();
	assert_ok(kmsc_create_key_with(client, &kind, &key, &err));
	assert_int_equal(asked[0], 'd');
	reply.result_case = KMSP__REPLY__RESULT__NOT_SET;
	assert_ok(kmsc_tag_resource(client, "k", tags, KMSC_TAGS_MAX, &err));
	assert_memory_equal(asked, "k|50|kkkk", 9);
	for (size_t i = 0; i < KMSC_TAGS_MAX; i++)
		names[i] = tags[i].key;
	assert_ok(kmsc_untag_resource(client, "k", names, KMSC_TAGS_MAX, &err));
	assert_memory_equal(asked, "k|50|kkkk", 9);
}

static void
states_and_deletion_name_key_and_days(void **state)
{
	(void)state;
	char want[64];

	assert_ok(kmsc_update_key_description(client, "k", "text", &err));
	assert_string_equal(asked, "k|text");
	assert_ok(kmsc_enable_key(client, "k", &err));
	snprintf(want, sizeof(want), "%d|k", KMSP__REQUEST__CALL_ENABLE_KEY);
	assert_string_equal(asked, want);
	assert_ok(kmsc_disable_key(client, "k", &err));
	snprintf(want, sizeof(want), "%d|k", KMSP__REQUEST__CALL_DISABLE_KEY);
	assert_string_equal(asked, want);
	assert_ok(kmsc_update_alias(client, "alias/a", "k", &err));
	assert_string_equal(asked, "alias/a|k");
	answer_with_key();
	key_out.deletion_ns = 9;
	assert_ok(kmsc_schedule_key_deletion(client, "k", 7, &key, &err));
	assert_string_equal(asked, "k|7");
	assert_int_equal(key.deletion_ns, 9);
	assert_ok(kmsc_cancel_key_deletion(client, "k", &key, &err));
	snprintf(want, sizeof(want), "%d|k", KMSP__REQUEST__CALL_CANCEL_KEY_DELETION);
	assert_string_equal(asked, want);
	/* An answer of another kind is none. */
	assert_int_equal(kmsc_enable_key(client, "k", &err), SLK_INTERNAL);
}

static void
what_does_no_harm_twice_is_asked_again_and_the_rest_is_not(void **state)
{
	(void)state;
	struct kmsc_rotation rotation;

	hang_up_first = true;
	assert_ok(kmsc_disable_key(client, "k", &err));
	assert_int_equal(fake_kmsd.turns, 2);
	fake_kmsd.turns = 0;
	assert_int_equal(kmsc_rotate_key_on_demand(client, "k", &rotation, &err), SLK_UNAVAILABLE);
	assert_int_equal(fake_kmsd.turns, 1);
	fake_kmsd.turns = 0;
	assert_int_equal(kmsc_schedule_key_deletion(client, "k", 7, &key, &err), SLK_UNAVAILABLE);
	assert_int_equal(fake_kmsd.turns, 1);
	assert_non_null(strstr(err.text, "before you repeat it"));
}

static void
tags_are_set_removed_and_listed_by_pages(void **state)
{
	(void)state;
	static struct kmsc_tag tags[2] = {{"env", "prod"}, {"team", ""}}, got[2];
	const char *const names[] = {"env", "team"};
	char next[KMSC_MARKER_MAX] = "?";
	size_t count = 9;
	Kmsp__Tag storage[3], *list[3];
	Kmsp__Tags page = KMSP__TAGS__INIT;

	assert_ok(kmsc_tag_resource(client, "k", tags, 2, &err));
	assert_string_equal(asked, "k|2|env=prod");
	assert_ok(kmsc_untag_resource(client, "k", names, 2, &err));
	assert_string_equal(asked, "k|2|team");
	assert_int_equal(
		kmsc_untag_resource(client, "k", names, KMSC_TAGS_MAX + 1, &err), SLK_LIMIT);
	for (size_t i = 0; i < 3; i++) {
		kmsp__tag__init(&storage[i]);
		storage[i].key = (char *)"env";
		storage[i].value = (char *)"prod";
		list[i] = &storage[i];
	}
	page.tags = list;
	page.n_tags = 2;
	page.next = (char *)"env";
	reply.result_case = KMSP__REPLY__RESULT_TAGS;
	reply.tags = &page;
	assert_ok(kmsc_list_resource_tags(client, "k", "m", got, 2, &count, next, &err));
	assert_string_equal(asked, "k|m|2");
	assert_int_equal(count, 2);
	assert_string_equal(got[1].value, "prod");
	assert_string_equal(next, "env");
	page.n_tags = 3;
	count = 9;
	assert_int_equal(
		kmsc_list_resource_tags(client, "k", "", got, 2, &count, next, &err), SLK_INTERNAL);
	page.n_tags = 1;
	storage[0].key = long_text;
	assert_int_equal(
		kmsc_list_resource_tags(client, "k", "", got, 2, &count, next, &err), SLK_INTERNAL);
	assert_int_equal(count, 9);
	assert_int_equal(
		kmsc_list_resource_tags(client, "k", "", got, 0, &count, next, &err), SLK_INVALID);
}

static void
rotation_says_when_and_what(void **state)
{
	(void)state;
	Kmsp__Rotation out = KMSP__ROTATION__INIT;
	struct kmsc_rotation rotation;
	char want[64];

	assert_ok(kmsc_enable_key_rotation(client, "k", 90, &err));
	assert_string_equal(asked, "k|90");
	assert_ok(kmsc_disable_key_rotation(client, "k", &err));
	out.key_arn = (char *)"arn:k";
	out.enabled = true;
	out.period_days = 90;
	out.next_ns = 8;
	out.on_demand_start_ns = 4;
	reply.result_case = KMSP__REPLY__RESULT_ROTATION;
	reply.rotation = &out;
	assert_ok(kmsc_get_key_rotation_status(client, "k", &rotation, &err));
	assert_string_equal(rotation.key_arn, "arn:k");
	assert_true(rotation.enabled);
	assert_int_equal(rotation.period_days, 90);
	assert_int_equal(rotation.next_ns, 8);
	assert_int_equal(rotation.on_demand_start_ns, 4);
	assert_ok(kmsc_rotate_key_on_demand(client, "k", &rotation, &err));
	snprintf(want, sizeof(want), "%d|k", KMSP__REQUEST__CALL_ROTATE_KEY_ON_DEMAND);
	assert_string_equal(asked, want);
	out.key_arn = long_text;
	rotation.period_days = 77;
	assert_int_equal(kmsc_get_key_rotation_status(client, "k", &rotation, &err), SLK_INTERNAL);
	assert_int_equal(rotation.period_days, 77);
}

static void
history_and_orphans_come_by_pages(void **state)
{
	(void)state;
	Kmsp__RotationEntry entry = KMSP__ROTATION_ENTRY__INIT, *entries[2] = {&entry, &entry};
	Kmsp__Rotations rotations = KMSP__ROTATIONS__INIT;
	Kmsp__Orphan orphan = KMSP__ORPHAN__INIT, *list[2] = {&orphan, &orphan};
	Kmsp__Orphans orphans = KMSP__ORPHANS__INIT;
	struct kmsc_material materials[1];
	struct kmsc_orphan found[1];
	char next[KMSC_MARKER_MAX];
	size_t count;

	entry.material_id = (char *)"aa";
	entry.backing_id = (char *)"bb";
	entry.on_demand = entry.current = true;
	entry.wraps_reserved = 4096;
	rotations.rotations = entries;
	rotations.n_rotations = 1;
	reply.result_case = KMSP__REPLY__RESULT_ROTATIONS;
	reply.rotations = &rotations;
	assert_ok(kmsc_list_key_rotations(client, "k", "3", materials, 1, &count, next, &err));
	assert_string_equal(asked, "k|3|1");
	assert_string_equal(materials[0].material_id, "aa");
	assert_string_equal(materials[0].backing_id, "bb");
	assert_true(materials[0].on_demand && materials[0].current && !materials[0].first);
	assert_int_equal(materials[0].wraps_reserved, 4096);
	rotations.n_rotations = 2;
	assert_int_equal(kmsc_list_key_rotations(client, "k", "", materials, 1, &count, next, &err),
		SLK_INTERNAL);

	orphan.backing_id = (char *)"cc";
	orphan.is_pair = true;
	orphans.orphans = list;
	orphans.n_orphans = 1;
	orphans.next = (char *)"cc";
	reply.result_case = KMSP__REPLY__RESULT_ORPHANS;
	reply.orphans = &orphans;
	assert_ok(kmsc_list_orphans(client, "", found, 1, &count, next, &err));
	assert_string_equal(asked, "|1");
	assert_string_equal(found[0].backing_id, "cc");
	assert_true(found[0].is_pair);
	assert_string_equal(next, "cc");
	orphans.n_orphans = 2;
	assert_int_equal(kmsc_list_orphans(client, "", found, 1, &count, next, &err), SLK_INTERNAL);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_key_comes_whole_with_the_longest_description),
		CASE(a_key_with_more_than_there_can_be_is_refused),
		CASE(create_says_what_kind_of_key),
		CASE(all_that_aws_allows_fits_one_request),
		CASE(states_and_deletion_name_key_and_days),
		CASE(what_does_no_harm_twice_is_asked_again_and_the_rest_is_not),
		CASE(tags_are_set_removed_and_listed_by_pages),
		CASE(rotation_says_when_and_what),
		CASE(history_and_orphans_come_by_pages),
	};

	return cmocka_run_group_tests_name("kmsclient_life", tests, NULL, NULL);
}
