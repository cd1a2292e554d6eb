/* Every function that changes the catalog, with the disk failing at each call beneath it in turn: the answer is a typed
 * error or the truth, and the change is there in full or not at all, after a crash, after a restart, and when it is tried
 * again. */
#include "slk_test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_world.h"
#include "faultvfs.h"

#define LOG_CHANGES 300u /* more than the log holds */

/* --- changes --- */

static const struct kms_tag more_tags[] = {{"team", "new"}, {"cost", "7"}};

static int
do_key_begin(void)
{
	return begin_key(0x61, more_tags, 2);
}

static int
do_key_enable(void)
{
	return kms_catalog_key_enable(catalog, id_of(NEW), check_of(NEW));
}

static int
do_key_abandon(void)
{
	return kms_catalog_key_abandon(catalog, id_of(NEW));
}

static int
do_description_set(void)
{
	return kms_catalog_description_set(catalog, id_of(TURNED), "other");
}

static int
do_key_switch(void)
{
	return kms_catalog_key_switch(catalog, id_of(TURNED), false);
}

static int
do_key_schedule(void)
{
	return kms_catalog_key_schedule(catalog, id_of(TURNED), WORLD_START, 30);
}

static int
do_key_cancel(void)
{
	return kms_catalog_key_cancel(catalog, id_of(PENDING));
}

static int
do_time_passed(void)
{
	return kms_catalog_time_passed(catalog, WORLD_START / 2, KMS_DAY_NS);
}

static int
do_key_doom(void)
{
	return kms_catalog_key_doom(catalog, id_of(PENDING));
}

static int
do_backing_destroyed(void)
{
	return kms_catalog_backing_destroyed(catalog, id_of(ENDING));
}

static int
do_backing_begin(void)
{
	return kms_catalog_backing_begin(
		catalog, id_of(TURNED), id_of(0x13), KMS_BACKING_ON_DEMAND, WORLD_START);
}

static int
do_backing_switch(void)
{
	return kms_catalog_backing_switch(catalog, id_of(0x52), check_of(0x52), WORLD_START + 1);
}

static int
do_rotation_set(void)
{
	return kms_catalog_rotation_set(catalog, id_of(TURNED), 365, WORLD_START);
}

static int
do_tags_set(void)
{
	return kms_catalog_tags_set(catalog, id_of(TURNED), more_tags, 2);
}

static int
do_tags_remove(void)
{
	static const char *const keys[] = {"absent", "team"};

	return kms_catalog_tags_remove(catalog, id_of(TURNED), keys, 2);
}

static int
do_alias_create(void)
{
	const struct kms_alias alias = alias_of("alias/other", TURNED);

	return kms_catalog_alias_create(catalog, &alias, WORLD_START);
}

static int
do_alias_update(void)
{
	const struct kms_alias alias = alias_of("alias/turned", TURNING);

	return kms_catalog_alias_update(catalog, &alias);
}

static int
do_alias_delete(void)
{
	return kms_catalog_alias_delete(catalog, "alias/turned");
}

static int
do_stream_create(void)
{
	const struct kms_stream stream = stream_of("t");
	uint64_t id = 77;
	int rc = kms_catalog_stream_create(catalog, &stream, NULL, 0, &id);

	assert_int_equal(id, rc == SLK_OK ? 3 : 77);
	return rc;
}

static int
do_stream_set(void)
{
	struct kms_stream stream;
	int rc = kms_catalog_stream_get(catalog, "s", &stream);

	if (rc != SLK_OK)
		return rc;
	stream.retention_hours = 48;
	return kms_catalog_stream_set(catalog, &stream, KMS_EVENT_NONE, WORLD_START);
}

static int
do_stream_note(void)
{
	struct kms_stream stream;
	int rc = kms_catalog_stream_get(catalog, "s", &stream);

	if (rc != SLK_OK)
		return rc;
	return kms_catalog_stream_set(catalog, &stream, KMS_EVENT_ENCRYPTION, WORLD_START);
}

static int
do_stream_reshard(void)
{
	struct kms_stream stream;
	struct kms_reshard plan;
	struct kms_shard shard[2];
	size_t count = 0;
	const struct kms_shard_filter all = {.all = true};

	int rc = kms_catalog_stream_get(catalog, "s", &stream);
	if (rc == SLK_OK)
		rc = kms_catalog_shard_list(catalog, stream.id, &all, 0, shard, 2, &count);
	if (rc != SLK_OK)
		return rc;
	assert_ok(kms_reshard_merge(&shard[0], &shard[1], 2, 7, &plan));
	stream.state = KMS_STREAM_UPDATING;
	stream.change = 1;
	stream.shards_count = 3;
	rc = kms_catalog_stream_reshard(
		catalog, &stream, &plan, KMS_EVENT_SHARD_COUNT, WORLD_START);
	kms_reshard_fini(&plan);
	return rc;
}

static int
do_stream_settle(void)
{
	const struct kms_shard_end end = {.shard = 1, .end_sequence = 90};
	struct kms_stream stream;
	int rc = kms_catalog_stream_get(catalog, "u", &stream);

	if (rc != SLK_OK)
		return rc;
	return kms_catalog_stream_settle(catalog, &stream, &end, 1, WORLD_START + 5);
}

static int
do_stream_tags_set(void)
{
	const struct kms_tag tags[] = {{"team", "ops"}, {"cost", ""}};

	return kms_catalog_stream_tags_set(catalog, 1, tags, 2);
}

static int
do_stream_tags_remove(void)
{
	const char *const keys[] = {"team", "none"};

	return kms_catalog_stream_tags_remove(catalog, 1, keys, 2);
}

static int
do_stream_delete(void)
{
	return kms_catalog_stream_delete(catalog, "s");
}

static int
do_wrap_take(void)
{
	return kms_catalog_wrap_take(catalog, id_of(0x12));
}

static int
do_key_begin_under(void)
{
	struct kms_key key = {.created_ns = WORLD_START};

	memcpy(key.id, id_of(0x61), sizeof(key.id));
	memcpy(key.backing_id, id_of(0x61), sizeof(key.backing_id));
	return kms_catalog_key_begin_under(catalog, &key, "a key", more_tags, 2, "{k}");
}

static int
do_identity_create(void)
{
	const struct kms_identity_row row = {.name = "bob", .unique_id = "AIDA3"};
	uint64_t id;

	return kms_catalog_identity_create(catalog, &row, NULL, more_tags, 2, &id);
}

static int
do_identity_delete(void)
{
	return kms_catalog_identity_delete(catalog, ROLE);
}

static int
do_trust_set(void)
{
	return kms_catalog_trust_set(catalog, ROLE, "{u}");
}

static int
do_boundary_set(void)
{
	return kms_catalog_boundary_set(catalog, ALICE, UNHELD);
}

static int
do_identity_tags_set(void)
{
	return kms_catalog_identity_tags_set(catalog, ALICE, more_tags, 2);
}

static int
do_identity_tags_remove(void)
{
	const char *const keys[] = {"team"};

	return kms_catalog_identity_tags_remove(catalog, ALICE, keys, 1);
}

static int
do_inline_put(void)
{
	return kms_catalog_inline_put(catalog, ALICE, "in", "{j}");
}

static int
do_inline_delete(void)
{
	return kms_catalog_inline_delete(catalog, ALICE, "in");
}

static int
do_policy_create(void)
{
	const struct kms_policy_row row = {.name = "new"};
	uint64_t id;

	return kms_catalog_policy_create(catalog, &row, "{n}", &id);
}

static int
do_policy_set(void)
{
	return kms_catalog_policy_set(catalog, HELD, "{o}", 9);
}

static int
do_policy_delete(void)
{
	return kms_catalog_policy_delete(catalog, UNHELD);
}

static int
do_attach(void)
{
	return kms_catalog_attach(catalog, ROLE, HELD);
}

static int
do_detach(void)
{
	return kms_catalog_detach(catalog, ALICE, HELD);
}

static int
do_key_policy_put(void)
{
	return kms_catalog_key_policy_put(catalog, id_of(TURNED), "{l}");
}

static int
do_grant_create(void)
{
	const struct kms_grant grant = grant_of(2);

	return kms_catalog_grant_create(catalog, &grant);
}

/* Those whose time is over end in the same step. */
static int
do_proposal_create(void)
{
	struct kms_proposal p = proposal_of(3);

	p.created_ns = WORLD_START + 1000;
	return kms_catalog_proposal_create(catalog, &p, slk_span_str("request"));
}

static int
do_proposal_end(void)
{
	return kms_catalog_proposal_end(
		catalog, id_of(1), KMS_PROPOSAL_USED, "arn:aws:iam::000000000000:root", 3000);
}

static int
do_approval_add(void)
{
	const struct kms_approval approval = {"arn:aws:iam::000000000000:user/bob", 1001, 2000};

	return kms_catalog_approval_add(catalog, id_of(1), &approval);
}

static int
do_grant_delete(void)
{
	return kms_catalog_grant_delete(catalog, grant_of(1).id);
}

static int
do_stream_policy_put(void)
{
	return kms_catalog_stream_policy_put(catalog, 1, "{t}");
}

static int
do_stream_policy_delete(void)
{
	return kms_catalog_stream_policy_delete(catalog, 1);
}

static int
do_access_key_create(void)
{
	const struct kms_access_key_row row = access_key_of("AKIA2");

	return kms_catalog_access_key_create(catalog, &row);
}

static int
do_access_key_switch(void)
{
	return kms_catalog_access_key_switch(catalog, ALICE, "AKIA1", false);
}

static int
do_access_key_delete(void)
{
	return kms_catalog_access_key_delete(catalog, ALICE, "AKIA1");
}

static int
do_access_key_used(void)
{
	return kms_catalog_access_key_used(catalog, "AKIA1", 77);
}

static int
do_session_key_add(void)
{
	const struct kms_session_key_row row = session_key_of(3);

	return kms_catalog_session_key_add(catalog, &row);
}

/* A second time, the change is refused, or it is there already, or it is one more. */
enum again { REFUSED, SAME, MORE };

static const struct change {
	const char *name;
	int (*act)(void);
	enum again again;
} changes[] = {
	{"key_begin", do_key_begin, REFUSED},
	{"key_enable", do_key_enable, REFUSED},
	{"key_abandon", do_key_abandon, REFUSED},
	{"description_set", do_description_set, SAME},
	{"key_switch", do_key_switch, SAME},
	{"key_schedule", do_key_schedule, REFUSED},
	{"key_cancel", do_key_cancel, REFUSED},
	{"time_passed", do_time_passed, MORE},
	{"key_doom", do_key_doom, REFUSED},
	{"backing_destroyed", do_backing_destroyed, REFUSED},
	{"backing_begin", do_backing_begin, REFUSED},
	{"backing_switch", do_backing_switch, REFUSED},
	{"rotation_set", do_rotation_set, SAME},
	{"tags_set", do_tags_set, SAME},
	{"tags_remove", do_tags_remove, SAME},
	{"alias_create", do_alias_create, REFUSED},
	{"alias_update", do_alias_update, SAME},
	{"alias_delete", do_alias_delete, REFUSED},
	{"stream_create", do_stream_create, REFUSED},
	{"stream_set", do_stream_set, SAME},
	{"stream_note", do_stream_note, MORE},
	{"stream_reshard", do_stream_reshard, REFUSED},
	{"stream_settle", do_stream_settle, SAME},
	{"stream_tags_set", do_stream_tags_set, SAME},
	{"stream_tags_remove", do_stream_tags_remove, SAME},
	{"stream_delete", do_stream_delete, REFUSED},
	{"wrap_take", do_wrap_take, MORE},
	{"key_begin_under", do_key_begin_under, REFUSED},
	{"identity_create", do_identity_create, REFUSED},
	{"identity_delete", do_identity_delete, REFUSED},
	{"trust_set", do_trust_set, SAME},
	{"boundary_set", do_boundary_set, SAME},
	{"identity_tags_set", do_identity_tags_set, SAME},
	{"identity_tags_remove", do_identity_tags_remove, SAME},
	{"inline_put", do_inline_put, SAME},
	{"inline_delete", do_inline_delete, REFUSED},
	{"policy_create", do_policy_create, REFUSED},
	{"policy_set", do_policy_set, SAME},
	{"policy_delete", do_policy_delete, REFUSED},
	{"attach", do_attach, SAME},
	{"detach", do_detach, REFUSED},
	{"key_policy_put", do_key_policy_put, SAME},
	{"stream_policy_put", do_stream_policy_put, SAME},
	{"stream_policy_delete", do_stream_policy_delete, REFUSED},
	{"grant_create", do_grant_create, REFUSED},
	{"grant_delete", do_grant_delete, REFUSED},
	{"proposal_create", do_proposal_create, REFUSED},
	{"proposal_end", do_proposal_end, REFUSED},
	{"approval_add", do_approval_add, REFUSED},
	{"access_key_create", do_access_key_create, REFUSED},
	{"access_key_switch", do_access_key_switch, SAME},
	{"access_key_delete", do_access_key_delete, REFUSED},
	{"access_key_used", do_access_key_used, SAME},
	{"session_key_add", do_session_key_add, REFUSED},
};

/* --- sweeps over the changes --- */

/* After the fault: what the rows say, and whether that is before or after the change. */
static bool
happened(const struct change *c, const struct world_fault *m, unsigned n,
	const struct world_dump worlds[2])
{
	static struct world_dump now;

	world_dump(&now);
	bool after = world_same(&now, &worlds[1]);
	if (!after && !world_same(&now, &worlds[0]))
		fail_msg("%s, %s, call %u: half a change", c->name, m->name, n);
	return after;
}

/* What a failed flush left behind may be there after a restart, or not: so it may be refused, and then it is there. */
static void
try_again(const struct change *c, bool restarted, bool one_more, const struct world_dump *after)
{
	static struct world_dump now;

	int rc = c->act();
	if (rc != SLK_OK &&
		!(restarted && c->again == REFUSED && (rc == SLK_NOT_FOUND || rc == SLK_EXISTS)))
		fail_msg("%s again: %s", c->name, slk_status_name(rc));
	if (one_more)
		return;
	world_dump(&now);
	if (!world_same(&now, after))
		fail_msg("%s again: another outcome", c->name);
}

static bool
fail_once_at(const struct change *c, const struct world_fault *m, unsigned n,
	const struct world_dump worlds[2])
{
	struct kms_key key;

	world_begin();
	world_arm(m, n);
	int rc = c->act();
	bool hit = faultvfs_hit();
	world_disarm();
	if (rc != SLK_OK && rc != m->expected)
		fail_msg("%s, %s, call %u: %s", c->name, m->name, n, slk_status_name(rc));
	if (rc != SLK_OK)
		assert_true(hit && kms_catalog_error(catalog)[0] != '\0');
	bool done = happened(c, m, n, worlds);
	if (rc == SLK_OK)
		assert_true(done);
	assert_ok(kms_catalog_key_get(catalog, id_of(TURNING), &key)); /* reading goes on */
	if (rc == SLK_IO) /* and changes do not, until a restart */
		assert_int_equal(begin_key(0x71, NULL, 0), SLK_IO);
	if (!m->for_ever)
		return hit; /* what follows is the same */
	bool restart = rc != SLK_DISK_FULL || n % 2 == 0; /* a full disk needs none */
	if (restart)
		catalog_reopen();
	try_again(c, restart, restart && c->again == MORE && happened(c, m, n, worlds), &worlds[1]);
	return hit;
}

static void
every_change_is_there_in_full_or_not_at_all(void **state)
{
	static struct world_dump worlds[2];

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		world_begin();
		world_dump(&worlds[0]);
		assert_ok(changes[i].act());
		world_dump(&worlds[1]);
		assert_false(world_same(&worlds[0], &worlds[1]));
		for (size_t k = 0; k < WORLD_FAULTS; k++) {
			unsigned n = 1;
			while (fail_once_at(&changes[i], &world_faults[k], n, worlds))
				assert_true(++n < WORLD_CALLS_MAX);
			assert_true(n > 1); /* there was something to fail */
		}
	}
}

/* --- the power fails --- */

static const struct world_fault power = {"power fails", false, true, SQLITE_IOERR_WRITE, SLK_IO};

/* Before the n-th call of the disk, or after the change if there are fewer: false. */
static bool
cut_power_at(const struct change *c, unsigned n, enum faultvfs_left left,
	const struct world_dump worlds[2])
{
	world_begin();
	world_arm(&power, n);
	int rc = c->act();
	bool hit = faultvfs_hit();
	world_power_cut(left);
	bool done = happened(c, &power, n, worlds);
	if (rc == SLK_OK && !done)
		fail_msg("%s: answered, and lost when the power failed", c->name);
	return hit;
}

static void
what_was_answered_is_there_when_the_power_fails(void **state)
{
	static struct world_dump worlds[2];

	(void)state;
	faultvfs_remember(true);
	for (size_t i = 0; i < COUNT(changes); i++) {
		world_begin();
		world_dump(&worlds[0]);
		assert_ok(changes[i].act());
		world_dump(&worlds[1]);
		unsigned n = 1;
		while (cut_power_at(&changes[i], n, FAULTVFS_LEFT_NONE, worlds)) {
			const enum faultvfs_left some = 1 + (n + i) % (FAULTVFS_LEFT_COUNT - 1);
			(void)cut_power_at(&changes[i], n, some, worlds);
			assert_true(++n < WORLD_CALLS_MAX);
		}
		assert_true(n > 1);
	}
	faultvfs_remember(false);
}

/* Changes until the power fails; how many were answered. */
static unsigned
describe_until(unsigned n)
{
	unsigned number = 0;
	char text[16];
	int rc = SLK_OK;

	world_arm(&power, n);
	while (rc == SLK_OK && number < LOG_CHANGES) {
		snprintf(text, sizeof(text), "%u", number + 1);
		rc = kms_catalog_description_set(catalog, id_of(TURNED), text);
		number += rc == SLK_OK;
	}
	return number;
}

/* The log is written back into the file now and then, and begun anew. */
static void
power_that_fails_while_the_log_is_written_back_takes_nothing(void **state)
{
	unsigned answered = 0;

	(void)state;
	faultvfs_remember(true);
	for (unsigned n = 1; answered < LOG_CHANGES; n += 5) {
		char text[64];
		world_begin();
		answered = describe_until(n);
		world_power_cut((enum faultvfs_left)(n % FAULTVFS_LEFT_COUNT));
		assert_ok(kms_catalog_description_get(catalog, id_of(TURNED), text, sizeof(text)));
		unsigned found = (unsigned)strtoul(text, NULL, 10);
		if (found != answered && found != answered + 1)
			fail_msg("call %u: %u were answered, %u is there", n, answered, found);
	}
	faultvfs_remember(false);
}

static void
run_sql(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
}

/* The disk of these tests does lose what is not flushed. */
static void
without_a_flush_at_each_commit_the_last_one_is_lost(void **state)
{
	char path[400], left[400];
	sqlite3 *db = NULL;

	(void)state;
	snprintf(path, sizeof(path), "%s/lazy.db", catalog_dir);
	snprintf(left, sizeof(left), "%s/left.db", catalog_dir);
	faultvfs_remember(true);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	run_sql(db,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = NORMAL; CREATE TABLE t (x);"
		"PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES (1)");
	faultvfs_power_cut(path, left, FAULTVFS_LEFT_NONE);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	faultvfs_remember(false);
	assert_int_equal(sqlite3_open(left, &db), SQLITE_OK);
	sqlite3_stmt *s = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT x FROM t", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Wraps: at the end of a chunk, with the disk failing, none is given that is not counted. */
static void
no_wrap_is_given_that_is_not_on_disk(void **state)
{
	uint64_t reserved = 0, used = 0;

	(void)state;
	world_begin();
	assert_ok(do_wrap_take());
	kms_catalog_wrap_add(catalog, id_of(0x12), KMS_WRAP_CHUNK - KMS_WRAP_SLACK - 1);
	faultvfs_arm(1, true, SQLITE_FULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(do_wrap_take(), SLK_DISK_FULL);
	world_disarm();
	assert_ok(kms_catalog_wrap_count(catalog, id_of(0x12), &reserved, &used));
	assert_int_equal(reserved, KMS_WRAP_CHUNK);
	assert_int_equal(used, KMS_WRAP_CHUNK - KMS_WRAP_SLACK);
	assert_ok(do_wrap_take()); /* there is room again */
	assert_ok(kms_catalog_wrap_count(catalog, id_of(0x12), &reserved, &used));
	assert_int_equal(reserved, 2 * KMS_WRAP_CHUNK);
	catalog_reopen();
	assert_ok(kms_catalog_wrap_count(catalog, id_of(0x12), &reserved, &used));
	assert_int_equal(used, 2 * KMS_WRAP_CHUNK);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, catalog_setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(every_change_is_there_in_full_or_not_at_all),
		CASE(what_was_answered_is_there_when_the_power_fails),
		CASE(power_that_fails_while_the_log_is_written_back_takes_nothing),
		CASE(without_a_flush_at_each_commit_the_last_one_is_lost),
		CASE(no_wrap_is_given_that_is_not_on_disk),
	};

	return cmocka_run_group_tests_name("kms_catalog_sweep", tests, world_setup, world_teardown);
}
