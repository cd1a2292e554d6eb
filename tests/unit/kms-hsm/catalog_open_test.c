/* Reading and opening the catalog, with the disk failing at each call beneath it in turn. */
#include "slk_test.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_world.h"
#include "faultvfs.h"

/* --- reading --- */

/* Enough for any output; filled with 0x5a before each call. */
static union {
	uint8_t bytes[1 << 17];
	struct kms_key key;
	struct kms_key keys[4];
	struct kms_backing backing;
	struct kms_backing backings[4];
	struct kms_alias alias;
	struct kms_alias aliases[4];
	struct kms_stream stream;
	struct kms_stream streams[4];
	struct kms_shard shard;
	struct kms_shard shards[8];
	struct kms_stream_totals totals;
	struct kms_tag tags[KMS_TAGS_MAX];
	struct kms_identity_row identity;
	struct kms_identity_row identities[4];
	struct kms_policy_row policy;
	struct kms_policy_row policies[4];
	char names[4][KMS_POLICY_NAME_MAX];
	uint32_t u32;
	uint64_t u64;
	char text[KMS_DESCRIPTION_MAX];
} out;
static_assert(sizeof(out) == sizeof(out.bytes), "all of it is compared as bytes");
static size_t out_count;

static int
get_key(void)
{
	return kms_catalog_key_get(catalog, id_of(TURNED), &out.key);
}

static int
get_appliance(void)
{
	int rc = kms_catalog_key_appliance(catalog, KMS_USAGE_ENCRYPT_DECRYPT, &out.key);

	return rc == SLK_NOT_FOUND ? SLK_OK : rc; /* there is none in this world */
}

static int
list_keys(void)
{
	return kms_catalog_key_list(catalog, NULL, out.keys, 4, &out_count);
}

static int
get_public_key(void)
{
	int rc = kms_catalog_public_key_get(
		catalog, id_of(NEW), out.bytes, sizeof(out.bytes), &out_count);

	return rc == SLK_NOT_FOUND ? SLK_OK : rc; /* Creating */
}

static int
get_description(void)
{
	return kms_catalog_description_get(catalog, id_of(TURNED), out.text, sizeof(out.text));
}

static int
get_due(void)
{
	int rc = kms_catalog_key_due(catalog, UINT32_MAX, NULL, &out.key);

	return rc == SLK_NOT_FOUND ? SLK_OK : rc; /* by one clock only */
}

static int
get_doomed(void)
{
	return kms_catalog_backing_doomed(catalog, NULL, &out.backing);
}

static int
get_backing(void)
{
	return kms_catalog_backing_get(catalog, id_of(0x12), &out.backing);
}

static int
know_backing(void)
{
	return kms_catalog_backing_known(catalog, id_of(0x12));
}

static int
list_backings(void)
{
	return kms_catalog_backing_list(catalog, id_of(TURNED), 0, out.backings, 4, &out_count);
}

static int
get_creating(void)
{
	return kms_catalog_backing_creating(catalog, NULL, &out.backing);
}

static int
get_next(void)
{
	return kms_catalog_backing_next(catalog, id_of(TURNING), &out.backing);
}

static int
count_on_demand(void)
{
	return kms_catalog_on_demand_count(catalog, id_of(TURNED), &out.u32);
}

static int
get_rotation_due(void)
{
	int rc = kms_catalog_rotation_due(catalog, WORLD_START, NULL, &out.key);

	return rc == SLK_NOT_FOUND ? SLK_OK : rc; /* it has a successor already */
}

static int
list_tags(void)
{
	return kms_catalog_tag_list(catalog, id_of(TURNED), "", out.tags, 4, &out_count);
}

static int
get_alias(void)
{
	return kms_catalog_alias_get(catalog, "alias/turned", &out.alias);
}

static int
list_aliases(void)
{
	return kms_catalog_alias_list(catalog, NULL, "", out.aliases, 4, &out_count);
}

static int
get_stream(void)
{
	return kms_catalog_stream_get(catalog, "s", &out.stream);
}

static int
list_streams(void)
{
	return kms_catalog_stream_list(catalog, "", false, out.streams, 4, &out_count);
}

static int
count_streams(void)
{
	return kms_catalog_streams_of_key(catalog, id_of(TURNED), &out.u64);
}

static int
get_totals(void)
{
	return kms_catalog_stream_totals(catalog, &out.totals);
}

static int
count_events(void)
{
	return kms_catalog_stream_events(catalog, 2, KMS_EVENT_SHARD_COUNT, 0, &out.u64);
}

static int
get_shard(void)
{
	return kms_catalog_shard_get(catalog, 2, 3, &out.shard);
}

static int
list_shards(void)
{
	const struct kms_shard_filter all = {.all = true};

	return kms_catalog_shard_list(catalog, 2, &all, 0, out.shards, 8, &out_count);
}

static int
list_open_shards(void)
{
	struct kms_shard *shards = NULL;
	int rc = kms_catalog_shards_open(catalog, 2, &shards, &out_count);

	free(shards);
	return rc;
}

static int
list_stream_tags(void)
{
	return kms_catalog_stream_tags(catalog, 1, "", out.tags, KMS_TAGS_MAX, &out_count);
}

static int
count_wraps(void)
{
	uint64_t used;

	return kms_catalog_wrap_count(catalog, id_of(0x12), &out.u64, &used);
}

static int
get_identity(void)
{
	return kms_catalog_identity_get(catalog, KMS_USER, "alice", &out.identity);
}

static int
list_identities(void)
{
	return kms_catalog_identity_list(catalog, KMS_ROLE, "", out.identities, 4, &out_count);
}

static int
get_trust(void)
{
	return kms_catalog_trust_get(catalog, ROLE, out.text, sizeof(out.text));
}

static int
list_identity_tags(void)
{
	return kms_catalog_identity_tags(catalog, ALICE, out.tags, &out_count);
}

static int
get_inline(void)
{
	return kms_catalog_inline_get(catalog, ALICE, "in", out.text, sizeof(out.text));
}

static int
list_inline(void)
{
	return kms_catalog_inline_list(catalog, ALICE, "", out.names, 4, &out_count);
}

static int
get_policy(void)
{
	return kms_catalog_policy_get(catalog, "held", &out.policy);
}

static int
list_policies(void)
{
	return kms_catalog_policy_list(catalog, "", out.policies, 4, &out_count);
}

static int
get_policy_text(void)
{
	return kms_catalog_policy_text(catalog, HELD, out.text, sizeof(out.text));
}

static int
list_attached(void)
{
	return kms_catalog_attached_list(catalog, ALICE, "", out.policies, 4, &out_count);
}

static int
list_holders(void)
{
	return kms_catalog_holder_list(catalog, HELD, 0, out.identities, 4, &out_count);
}

static int
get_key_policy(void)
{
	return kms_catalog_key_policy_get(catalog, id_of(TURNED), out.text, sizeof(out.text));
}

static int
next_key_policy(void)
{
	uint8_t id[KMS_ID_BYTES];

	return kms_catalog_key_policy_next(catalog, NULL, id, out.text, sizeof(out.text));
}

static int
get_stream_policy(void)
{
	return kms_catalog_stream_policy_get(catalog, 1, out.text, sizeof(out.text));
}

static int
next_stream_policy(void)
{
	uint64_t id;

	return kms_catalog_stream_policy_next(catalog, 0, &id, out.text, sizeof(out.text));
}

static int (*const reads[])(void) = {get_key, get_appliance, list_keys, get_public_key,
	get_description, get_due, get_doomed, get_backing, know_backing, list_backings,
	get_creating, get_next, count_on_demand, get_rotation_due, list_tags, get_alias,
	list_aliases, get_stream, list_streams, count_streams, get_totals, count_events, get_shard,
	list_shards, list_open_shards, list_stream_tags, count_wraps, get_identity, list_identities,
	get_trust, list_identity_tags, get_inline, list_inline, get_policy, list_policies,
	get_policy_text, list_attached, list_holders, get_key_policy, next_key_policy,
	get_stream_policy, next_stream_policy};

/* Lists fill their array row by row; what was found is known by the count, which stays untouched. */
static bool
is_list(int (*read)(void))
{
	return read == list_keys || read == list_backings || read == list_tags ||
		read == list_aliases || read == list_streams || read == list_shards ||
		read == list_open_shards || read == list_stream_tags || read == list_identities ||
		read == list_identity_tags || read == list_inline || read == list_policies ||
		read == list_attached || read == list_holders;
}

static bool
read_with_fault(int (*read)(void), unsigned n, bool for_ever)
{
	static uint8_t before[sizeof(out)];
	const size_t count_before = out_count = 0x5a5a;

	world_begin(); /* nothing is cached */
	memset(&out, 0x5a, sizeof(out));
	memset(before, 0x5a, sizeof(before));
	faultvfs_arm_reads(n, for_ever);
	int rc = read();
	bool hit = faultvfs_hit();
	world_disarm();
	assert_true(rc == SLK_OK || (hit && rc == SLK_IO));
	if (rc != SLK_OK) {
		assert_int_equal(out_count, count_before);
		assert_true(is_list(read) || memcmp(out.bytes, before, sizeof(before)) == 0);
	}
	assert_ok(read());
	return hit;
}

static void
failed_read_is_told_and_leaves_the_output_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(reads); i++)
		for (unsigned for_ever = 0; for_ever < 2; for_ever++) {
			unsigned n = 1;
			while (read_with_fault(reads[i], n, for_ever != 0))
				assert_true(++n < WORLD_CALLS_MAX);
			assert_true(n > 1);
		}
}

/* --- opening --- */

static bool
open_with_fault(const char *from, const struct world_fault *m, unsigned n,
	const struct world_dump *expected)
{
	static struct world_dump now;
	struct slk_error err = {0};

	world_copy(from);
	world_arm(m, n);
	int rc = kms_catalog_open(catalog_path, &catalog, &err);
	bool hit = faultvfs_hit();
	world_disarm();
	if (rc != SLK_OK) {
		assert_true(hit && catalog == NULL);
		if (rc != m->expected)
			fail_msg("%s, call %u: %s: %s", m->name, n, slk_status_name(rc), err.text);
		assert_non_null(strstr(err.text, catalog_path));
	}
	catalog_reopen();
	world_dump(&now);
	assert_true(world_same(&now, expected));
	return hit;
}

static void
sweep_open(const char *from)
{
	unsigned failures = 0;

	static struct world_dump expected;

	world_copy(from);
	catalog_reopen();
	world_dump(&expected);
	for (size_t k = 0; k < WORLD_FAULTS; k++) {
		unsigned n = 1;
		while (open_with_fault(from, &world_faults[k], n, &expected))
			assert_true(++n < WORLD_CALLS_MAX);
		failures += n - 1;
	}
	assert_true(failures > 0); /* what is not there is not read, what is complete not written */
}

static void
opening_fails_with_a_sentence_and_harms_nothing(void **state)
{
	char kept[400];

	(void)state;
	sweep_open("/nonexistent/catalog.db"); /* makes the tables */
	sweep_open(SLK_SOURCE_DIR
		"/tests/unit/kms-hsm/data/catalog_v1.db"); /* and brings them up to date */
	/* With what a crash left in the log. */
	world_begin();
	assert_ok(
		kms_catalog_backing_switch(catalog, id_of(0x52), check_of(0x52), WORLD_START + 1));
	snprintf(kept, sizeof(kept), "%s", world_keep("log.db"));
	sweep_open(kept);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, catalog_setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(failed_read_is_told_and_leaves_the_output_alone),
		CASE(opening_fails_with_a_sentence_and_harms_nothing),
	};

	return cmocka_run_group_tests_name("kms_catalog_open", tests, world_setup, world_teardown);
}
