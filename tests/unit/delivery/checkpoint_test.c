/* Checkpoints: bytes, damage, places, and stores that are interrupted at each call. */
#include "slk_test.h"

#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultfs.h"
#include "golden.h"
#include "tempdir.h"

#define NAME "web"

static void
make(struct dlv_checkpoint *cp)
{
	struct dlv_place *p;

	*cp = (struct dlv_checkpoint){.delivery_id = 7,
		.stream_id = 9,
		.number = 3,
		.begun_ns = 1000,
		.reached_ns = 2000,
		.planned_ns = 3000,
		.oldest_ns = 2500,
		.plan_records = 5};
	assert_ok(dlv_checkpoint_get(cp, 2, 4, &p));
	assert_ok(dlv_checkpoint_get(cp, 0, 10, &p));
	p->plan_end = 15;
}

static void
golden_bytes(void **state)
{
	uint8_t golden[256], *bytes = NULL;
	size_t golden_len = golden_read("checkpoint/golden", golden, sizeof(golden)), len = 0;
	struct dlv_checkpoint cp, back;

	(void)state;
	make(&cp);
	assert_ok(dlv_checkpoint_encode(&cp, &bytes, &len));
	assert_int_equal(len, golden_len);
	assert_memory_equal(bytes, golden, len);
	assert_ok(dlv_checkpoint_decode(slk_span(golden, golden_len), &back));
	assert_int_equal(back.number, 3);
	assert_int_equal(back.count, 2);
	assert_int_equal(dlv_checkpoint_find(&back, 0)->plan_end, 15);
	assert_int_equal(dlv_checkpoint_find(&back, 2)->next, 4);
	assert_null(dlv_checkpoint_find(&back, 1));
	dlv_checkpoint_fini(&back);
	dlv_checkpoint_fini(&cp);
	free(bytes);
}

static void
every_bit_matters(void **state)
{
	uint8_t bytes[256];
	size_t len = golden_read("checkpoint/golden", bytes, sizeof(bytes));
	struct dlv_checkpoint cp = {0};

	(void)state;
	for (size_t i = 0; i < len * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_int_not_equal(dlv_checkpoint_decode(slk_span(bytes, len), &cp), SLK_OK);
		bytes[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(dlv_checkpoint_decode(slk_span(bytes, cut), &cp), SLK_OK);
	assert_null(cp.places);
}

static int
decode_again(struct dlv_checkpoint *cp)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	struct dlv_checkpoint back = {0};

	assert_ok(dlv_checkpoint_encode(cp, &bytes, &len));
	int rc = dlv_checkpoint_decode(slk_span(bytes, len), &back);
	dlv_checkpoint_fini(&back);
	free(bytes);
	return rc;
}

static void
senseless_places_are_refused(void **state)
{
	struct dlv_checkpoint cp;

	(void)state;
	make(&cp);
	assert_ok(decode_again(&cp));
	cp.places[0].plan_end = 9; /* before next */
	assert_int_equal(decode_again(&cp), SLK_MALFORMED);
	cp.places[0].plan_end = 15;
	cp.planned_ns = 0; /* a plan without its time */
	assert_int_equal(decode_again(&cp), SLK_MALFORMED);
	cp.planned_ns = 3000;
	cp.places[1].shard = 0; /* twice */
	assert_int_equal(decode_again(&cp), SLK_MALFORMED);
	dlv_checkpoint_fini(&cp);
}

static void
what_is_passed_is_no_plan_any_more(void **state)
{
	struct dlv_checkpoint cp;

	(void)state;
	make(&cp);
	dlv_checkpoint_pass(&cp, 2700);
	assert_int_equal(cp.number, 4);
	assert_int_equal(cp.reached_ns, 2700);
	assert_int_equal(cp.planned_ns, 0);
	assert_int_equal(dlv_checkpoint_find(&cp, 0)->next, 15);
	assert_int_equal(dlv_checkpoint_find(&cp, 2)->next, 4);
	dlv_checkpoint_pass(&cp, 1); /* a clock that was put back */
	assert_int_equal(cp.reached_ns, 2700);
	dlv_checkpoint_fini(&cp);
}

static void
many_shards_stay_in_order(void **state)
{
	struct dlv_checkpoint cp = {0};
	struct dlv_place *p;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_ok(dlv_checkpoint_get(&cp, (i * 7919u) % 1000u, i, &p));
	assert_int_equal(cp.count, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(cp.places[i].shard, i);
	dlv_checkpoint_fini(&cp);
}

static void
there_are_not_too_many_shards(void **state)
{
	struct dlv_checkpoint cp = {0};
	struct dlv_place *p;

	(void)state;
	for (uint32_t i = 0; i < DLV_CHECKPOINT_SHARDS_MAX; i++)
		assert_ok(dlv_checkpoint_get(&cp, i, 0, &p));
	assert_int_equal(dlv_checkpoint_get(&cp, DLV_CHECKPOINT_SHARDS_MAX, 0, &p), SLK_LIMIT);
	assert_ok(dlv_checkpoint_get(&cp, 5, 77, &p));
	assert_int_equal(p->next, 0);
	assert_int_equal(cp.count, DLV_CHECKPOINT_SHARDS_MAX);
	dlv_checkpoint_fini(&cp);
}

/* --- files --- */

static void
store_load_remove(void **state)
{
	char dir[256];
	struct slk_error err = {0};
	struct dlv_checkpoint cp, back = {0};

	(void)state;
	tempdir_make(dir, sizeof(dir));
	struct dlv_checkpoint_file file = {
		.dir = dir, .name = NAME, .delivery_id = 7, .stream_id = 9};
	make(&cp);
	assert_int_equal(dlv_checkpoint_load(&file, &back, &err), SLK_NOT_FOUND);
	assert_ok(dlv_checkpoint_store(&file, &cp, &err));
	cp.number = 4;
	assert_ok(dlv_checkpoint_store(&file, &cp, &err));
	assert_ok(dlv_checkpoint_load(&file, &back, &err));
	assert_int_equal(back.number, 4);
	dlv_checkpoint_fini(&back);
	assert_ok(dlv_checkpoint_remove(&file, &err));
	assert_ok(dlv_checkpoint_remove(&file, &err));
	assert_int_equal(dlv_checkpoint_load(&file, &back, &err), SLK_NOT_FOUND);
	dlv_checkpoint_fini(&cp);
	tempdir_remove(dir);
}

static void
plant(const char *dir, const void *bytes, size_t len)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/" NAME ".7.checkpoint", dir);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void
a_foreign_or_damaged_file_is_named(void **state)
{
	char dir[256];
	uint8_t bytes[256];
	size_t len = golden_read("checkpoint/golden", bytes, sizeof(bytes));
	struct slk_error err = {0};
	struct dlv_checkpoint back = {0};

	(void)state;
	tempdir_make(dir, sizeof(dir));
	struct dlv_checkpoint_file file = {
		.dir = dir, .name = NAME, .delivery_id = 7, .stream_id = 8};
	plant(dir, bytes, len);
	assert_int_equal(dlv_checkpoint_load(&file, &back, &err), SLK_CORRUPT);
	assert_non_null(strstr(err.text, "web.7.checkpoint is the checkpoint of another"));
	bytes[30] ^= 1;
	plant(dir, bytes, len);
	assert_int_equal(dlv_checkpoint_load(&file, &back, &err), SLK_CORRUPT);
	assert_non_null(strstr(err.text, "web.7.checkpoint is damaged"));
	plant(dir, "", 0);
	assert_int_equal(dlv_checkpoint_load(&file, &back, &err), SLK_CORRUPT);
	assert_null(back.places);
	tempdir_remove(dir);
}

/* Whatever fails: afterwards the old one or the new one is there, whole. */
static void
a_store_that_fails_leaves_old_or_new(void **state)
{
	char dir[256];
	struct slk_error err = {0};
	struct dlv_checkpoint cp, back;
	struct faultfs ff;
	bool hit = true;

	(void)state;
	tempdir_make_in_memory(dir, sizeof(dir));
	struct dlv_checkpoint_file file = {
		.dir = dir, .name = NAME, .delivery_id = 7, .stream_id = 9};
	make(&cp);
	for (uint64_t n = 1; hit; n++) {
		for (int for_ever = 0; for_ever < 2; for_ever++) {
			cp.number = 10;
			file.fs = NULL;
			assert_ok(dlv_checkpoint_store(&file, &cp, &err));
			faultfs_init(&ff, slk_fs_posix(), FAULTFS_ALL, n, for_ever != 0, SLK_IO);
			file.fs = &ff.fs;
			cp.number = 11;
			int rc = dlv_checkpoint_store(&file, &cp, &err);
			hit = faultfs_hit(&ff);
			assert_int_equal(rc == SLK_OK, !hit);
			file.fs = NULL;
			assert_ok(dlv_checkpoint_load(&file, &back, &err));
			assert_true(back.number == 11 || (rc != SLK_OK && back.number == 10));
			dlv_checkpoint_fini(&back);
		}
	}
	dlv_checkpoint_fini(&cp);
	tempdir_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(every_bit_matters),
		cmocka_unit_test(senseless_places_are_refused),
		cmocka_unit_test(what_is_passed_is_no_plan_any_more),
		cmocka_unit_test(many_shards_stay_in_order),
		cmocka_unit_test(there_are_not_too_many_shards),
		cmocka_unit_test(store_load_remove),
		cmocka_unit_test(a_foreign_or_damaged_file_is_named),
		cmocka_unit_test(a_store_that_fails_leaves_old_or_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
