/* Which epochs are wrapped anew: by key and material of their newest wrap that may be believed. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "rewrap_plan.h"
#include "tempdir.h"

enum { OLD = 1, NEW = 2, APPLIANCE = 3, UNKNOWN = 4 };

static char dir[256];
static struct jnl_rewraps *rewraps;
static struct cli_rewrap_plan plan;
static unsigned asked;

static void
id_of(int key, uint8_t out[16])
{
	memset(out, key * 0x11, 16);
}

static int
describe(void *ctx, const char *arn, struct kmsc_key *out_key)
{
	(void)ctx;
	asked++;
	memset(out_key, 0, sizeof(*out_key));
	if (arn[0] == '0' + UNKNOWN)
		return SLK_DENIED;
	strcpy(out_key->state, "Enabled");
	strcpy(out_key->manager, arn[0] == '0' + APPLIANCE ? "AWS" : "CUSTOMER");
	return SLK_OK;
}

static void
target(int key, int material)
{
	struct kmsc_key k = {.manager = "CUSTOMER"};
	uint8_t bytes[16];

	id_of(key, bytes);
	snprintf(k.id, sizeof(k.id),
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", bytes[0],
		bytes[0], bytes[0], bytes[0], bytes[0], bytes[0], bytes[0], bytes[0], bytes[0],
		bytes[0], bytes[0], bytes[0], bytes[0], bytes[0], bytes[0], bytes[0]);
	id_of(material, bytes);
	slk_hex(slk_span(bytes, 16), k.backing_id, sizeof(k.backing_id));
	if (key == APPLIANCE)
		strcpy(k.manager, "AWS");
	assert_ok(cli_rewrap_plan_target(&plan, &k));
}

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	const struct jnl_rewraps_config config = {.dir = dir, .any_stream = true};
	assert_ok(jnl_rewraps_new(&config, &rewraps, NULL));
	memset(&plan, 0, sizeof(plan));
	plan.rewraps = rewraps;
	plan.describe = describe;
	asked = 0;
	target(NEW, 7);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cli_rewrap_plan_fini(&plan);
	jnl_rewraps_free(rewraps);
	tempdir_remove(dir);
	return 0;
}

/* An epoch whose key block holds a wrap under key and material. */
static int
look(uint64_t epoch_id, int key, int material, enum cli_rewrap_class *out)
{
	static uint8_t commitment[32], bytes[FMT_BLOB_MAX];
	struct fmt_blob blob = {
		.sealed = slk_span("0123456789abcdef0123456789abcdef0123456789abcdef", 48)};
	char arn[8];
	size_t len = 0;

	id_of(key, blob.key_id);
	id_of(material, blob.backing_id);
	memset(blob.iv, 1, sizeof(blob.iv));
	assert_ok(fmt_blob_encode(&blob, bytes, sizeof(bytes), &len));
	snprintf(arn, sizeof(arn), "%d", key);
	const struct jnl_epoch_info info = {.epoch_id = epoch_id,
		.stream_id = 1,
		.stream_arn = "s",
		.key_arn = arn,
		.wrapped = slk_span(bytes, len),
		.commitment = slk_span(commitment, 32)};
	return cli_rewrap_plan_look(&plan, &info, out);
}

static enum cli_rewrap_class
class_of(uint64_t epoch_id, int key, int material)
{
	enum cli_rewrap_class class = CLI_REWRAP_CLASSES;

	assert_ok(look(epoch_id, key, material, &class));
	return class;
}

static void
key_and_material_decide(void **state)
{
	(void)state;
	assert_int_equal(class_of(1, OLD, 5), CLI_REWRAP_TODO);
	assert_int_equal(class_of(2, NEW, 6), CLI_REWRAP_TODO); /* before its rotation */
	assert_int_equal(class_of(3, NEW, 7), CLI_REWRAP_CURRENT);
	assert_int_equal(class_of(4, APPLIANCE, 8), CLI_REWRAP_NO_SSE);
	assert_int_equal(class_of(5, UNKNOWN, 9), CLI_REWRAP_TODO); /* kmsd will say */
	assert_int_equal(plan.counts[CLI_REWRAP_TODO], 3);
}

static void
from_leaves_other_keys_alone(void **state)
{
	(void)state;
	plan.has_from = true;
	id_of(OLD, plan.from_id);
	assert_int_equal(class_of(1, OLD, 5), CLI_REWRAP_TODO);
	assert_int_equal(class_of(2, UNKNOWN, 5), CLI_REWRAP_OTHER_KEY);
	assert_int_equal(class_of(3, NEW, 6), CLI_REWRAP_OTHER_KEY);
	assert_int_equal(class_of(4, NEW, 7), CLI_REWRAP_CURRENT);
	assert_int_equal(class_of(5, APPLIANCE, 8), CLI_REWRAP_OTHER_KEY);
	assert_int_equal(asked, 1);
}

static void
the_appliance_key_is_renewed_in_place_and_takes_no_other(void **state)
{
	(void)state;
	target(APPLIANCE, 9);
	assert_int_equal(class_of(1, APPLIANCE, 8), CLI_REWRAP_TODO);
	assert_int_equal(class_of(2, APPLIANCE, 9), CLI_REWRAP_CURRENT);
	assert_int_equal(class_of(3, OLD, 5), CLI_REWRAP_OTHER_KEY);
}

static void
an_epoch_counts_once_and_a_key_is_asked_once(void **state)
{
	(void)state;
	enum cli_rewrap_class class;

	for (uint64_t id = 0; id < 5000; id++)
		assert_int_equal(class_of(id << 24, OLD, 5), CLI_REWRAP_TODO);
	for (uint64_t id = 0; id < 5000; id++)
		assert_int_equal(look(id << 24, OLD, 5, &class), SLK_EXISTS);
	assert_int_equal(plan.counts[CLI_REWRAP_TODO], 5000);
	assert_int_equal(asked, 1);
	assert_int_equal(plan.source_count, 1);
	assert_int_equal(plan.sources[0].epochs, 5000);
	cli_rewrap_plan_again(&plan);
	assert_int_equal(plan.counts[CLI_REWRAP_TODO], 0);
	assert_int_equal(class_of(0, OLD, 5), CLI_REWRAP_TODO);
	assert_int_equal(asked, 1);
	assert_int_equal(plan.sources[0].epochs, 1);
}

static void
what_is_no_blob_is_left_to_kmsd(void **state)
{
	(void)state;
	enum cli_rewrap_class class = CLI_REWRAP_CURRENT;
	const struct jnl_epoch_info info = {
		.epoch_id = 1, .key_arn = "x", .stream_arn = "s", .wrapped = slk_span("junk", 4)};

	assert_ok(cli_rewrap_plan_look(&plan, &info, &class));
	assert_int_equal(class, CLI_REWRAP_TODO);
}

static void
a_target_without_ids_is_refused(void **state)
{
	(void)state;
	struct kmsc_key key = {.id = "no-uuid", .manager = "CUSTOMER"};

	assert_int_equal(cli_rewrap_plan_target(&plan, &key), SLK_MALFORMED);
	strcpy(key.id, "11111111-1111-1111-1111-111111111111");
	assert_int_equal(cli_rewrap_plan_target(&plan, &key), SLK_MALFORMED); /* no material */
	assert_int_equal(plan.to_id[0], NEW * 0x11);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(key_and_material_decide),
		CASE(from_leaves_other_keys_alone),
		CASE(the_appliance_key_is_renewed_in_place_and_takes_no_other),
		CASE(an_epoch_counts_once_and_a_key_is_asked_once),
		CASE(what_is_no_blob_is_left_to_kmsd),
		CASE(a_target_without_ids_is_refused),
	};

	return cmocka_run_group_tests_name("cli_rewrap_plan", tests, NULL, NULL);
}
