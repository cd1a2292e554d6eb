/* A flow: when batches are closed, what becomes of them, faults at each call, power cuts at each turn. */
#include "flow_rig.h"

#include <stdio.h>
#include <string.h>

#define SECOND SLK_NS_PER_S

/* --- buffering --- */

static void
a_full_batch_goes_at_once(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig_put(0, 25);
	rig_start();
	rig_run();
	assert_int_equal(rig.sent_count, 2);
	assert_int_equal(rig.sent[0].count, 10);
	assert_int_equal(rig.sent[1].number, 2);
	assert_int_equal(rig_delivered_total(), 20);
	assert_int_equal(rig_view().lag_records, 5);
	assert_int_equal(rig_view().lag_bytes, 500);
	rig_teardown();
}

static void
time_closes_a_batch_that_is_not_full(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig_put(0, 3);
	rig_start();
	rig_pass(59 * SECOND);
	assert_int_equal(rig.sent_count, 0);
	rig_pass(2 * SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.sent[0].count, 3);
	rig_pass(200 * SECOND);
	assert_int_equal(rig.sent_count, 1); /* nothing came: nothing goes */
	rig_put(1, 1);
	rig_pass(61 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	rig_check_all();
	rig_teardown();
}

static void
one_is_gathered_while_one_is_sent(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] = (struct rig_order){.takes_ns = 5 * SECOND};
	rig.main.orders_count = 1;
	rig_put(0, 40);
	rig_start();
	rig_run();
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.main.begins, 2); /* the next one is gathered, and no third */
	rig_pass(6 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	rig_pass(20 * SECOND);
	assert_int_equal(rig_delivered_total(), 40);
	rig_check_all();
	rig_teardown();
}

/* The end of a batch and the plan of one that waits behind it are one write of two flushes. */
static void
a_batch_that_waits_shares_a_write(void **state)
{
	(void)state;
	for (unsigned batches = 1; batches <= 4; batches++) {
		rig_setup(false, DLV_BACKUP_NONE);
		rig.main.orders[0] = (struct rig_order){.takes_ns = 5 * SECOND};
		rig.main.orders_count = 1;
		rig.fs.ops = FAULTFS_SYNC;
		rig_put(0, 10 * batches);
		rig_start();
		rig_pass(60 * SECOND);
		assert_int_equal(rig.sent_count, batches);
		assert_int_equal(rig_delivered_total(), 10 * batches);
		assert_int_equal(rig.fs.calls, 2 * (batches + 1));
		rig_check_all();
		rig_teardown();
	}
}

/* --- retry, backup, refusal --- */

static void
a_failure_is_tried_again_with_the_same_id(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0].outcome = rig.main.orders[1].outcome = DLV_FAILED;
	rig.main.orders[2].outcome = DLV_DELIVERED;
	rig.main.orders_count = 3;
	rig_put(0, 10);
	rig_start();
	rig_run();
	struct dlv_flow_view view = rig_view();
	assert_string_equal(view.batch_state, "RETRY");
	assert_string_equal(view.state, "retrying");
	assert_string_equal(view.code, "Test.Busy");
	assert_non_null(strstr(view.error, "says no"));
	rig_pass(10 * SECOND);
	assert_int_equal(rig.sent_count, 3);
	assert_int_equal(rig.sent[2].attempts, 3);
	view = rig_view();
	assert_string_equal(view.state, "delivering");
	assert_string_equal(view.code, "");
	assert_int_equal(view.outcomes[DLV_FAILED], 2);
	assert_int_equal(view.retries, 2);
	assert_string_equal(view.codes[0].code, "Test.Busy");
	assert_int_equal(view.codes[0].count, 2);
	rig_check_all();
	rig_teardown();
}

static void
a_destination_says_when(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] =
		(struct rig_order){.outcome = DLV_FAILED, .retry_after_ns = 100 * SECOND};
	rig.main.orders_count = 2;
	rig_put(0, 10);
	rig_start();
	rig_pass(99 * SECOND);
	assert_int_equal(rig.sent_count, 1);
	rig_pass(2 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	rig_teardown();
}

/* Whoever is stuck holds one batch, and pauses longer from time to time, for ever without an error output. */
static void
who_is_stuck_holds_one_batch(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0].outcome = DLV_FAILED;
	rig.main.orders_count = 1;
	rig_put(0, 100);
	rig_start();
	rig_pass(3600 * SECOND);
	assert_in_range(rig.sent_count, 60, 130);
	assert_int_equal(rig.main.begins - rig.main.releases, 1);
	assert_int_equal(rig_view().lag_records, 100);
	assert_int_equal(rig_delivered_total(), 0);
	rig.main.orders[0].outcome = DLV_DELIVERED;
	rig_pass(120 * SECOND);
	assert_int_equal(rig_delivered_total(), 100);
	rig_check_all();
	rig_teardown();
}

static void
after_the_retry_duration_all_goes_to_the_error_output(void **state)
{
	(void)state;
	rig_setup(true, DLV_BACKUP_FAILED);
	rig.main.orders[0].outcome = DLV_FAILED;
	rig.main.orders_count = 1;
	rig_put(0, 10);
	rig_start();
	rig_pass(299 * SECOND);
	assert_int_equal(rig.errors.begins, 0);
	rig_pass(70 * SECOND);
	assert_int_equal(rig.errors.begins, 1);
	struct dlv_flow_view view = rig_view();
	assert_int_equal(view.backed_up_records, 10);
	assert_int_equal(view.batches, 1);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(rig.erred[i], 1);
	assert_int_equal(rig_delivered_total(), 0);
	rig_check_all();
	rig_teardown();
}

static void
without_backup_either_delivery_pauses(void **state)
{
	(void)state;
	rig_setup(true, DLV_BACKUP_FAILED);
	rig.spec.retry_seconds = 0;
	rig.main.orders[0].outcome = DLV_FAILED;
	rig.main.orders_count = 1;
	rig.errors.orders[0].outcome = DLV_REFUSED;
	rig.errors.orders_count = 1;
	rig_put(0, 30);
	rig_start();
	rig_pass(1000 * SECOND);
	assert_int_equal(rig_view().batches, 0);
	assert_string_equal(rig_view().state, "paused");
	rig.errors.orders[0].outcome = DLV_DELIVERED;
	rig.main.orders[0].outcome = DLV_DELIVERED;
	rig_pass(100 * SECOND);
	assert_int_equal(rig_view().batches, 3);
	assert_int_equal(rig_view().backed_up_records, 10);
	rig_check_all();
	rig_teardown();
}

static void
what_is_refused_is_not_backed_up(void **state)
{
	(void)state;
	rig_setup(true, DLV_BACKUP_FAILED);
	rig.spec.retry_seconds = 10;
	rig.main.orders[0].outcome = DLV_REFUSED;
	rig.main.orders_count = 1;
	rig_put(0, 10);
	rig_start();
	rig_run();
	assert_string_equal(rig_view().state, "paused");
	rig_pass(4 * SECOND);
	assert_int_equal(rig.sent_count, 1); /* more slowly than a failure */
	rig_pass(3600 * SECOND);
	assert_int_equal(rig.errors.begins, 0);
	assert_in_range(rig.sent_count, 50, 130);
	rig.main.orders[0].outcome = DLV_DELIVERED;
	rig_pass(61 * SECOND);
	assert_int_equal(rig_delivered_total(), 10);
	assert_string_equal(rig_view().code, "");
	rig_teardown();
}

static size_t
read_errors(const char *suffix, char *out, size_t cap)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s.%llu.errors.jsonl%s", rig.dir, rig.env.name, 7ull,
		suffix);
	FILE *f = fopen(path, "r");
	size_t len = f != NULL ? fread(out, 1, cap - 1, f) : 0;
	out[len] = '\0';
	if (f != NULL)
		fclose(f);
	return len;
}

static void
errors_are_logged_where_the_description_says(void **state)
{
	(void)state;
	char text[8192];

	rig_setup(false, DLV_BACKUP_NONE);
	rig.spec.s3.logging = rig.spec.logging =
		(struct dlv_logging){true, "/aws/kinesisfirehose/x", "a \"b\""};
	rig.main.orders[0] = (struct rig_order){.outcome = DLV_FAILED};
	rig.main.orders[1] = (struct rig_order){.outcome = DLV_DELIVERED};
	rig.main.orders_count = 2;
	rig_put(0, 10);
	rig_start();
	rig_pass(30 * SECOND);
	assert_int_equal(rig_delivered_total(), 10);
	assert_true(read_errors("", text, sizeof(text)) > 0);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one attempt, one line */
	assert_non_null(strstr(
		text, "\"logGroup\":\"/aws/kinesisfirehose/x\",\"logStream\":\"a \\\"b\\\"\""));
	assert_non_null(strstr(text, "\"attempts\":1,\"deliveryId\":\""));
	assert_non_null(strstr(text, rig.sent[0].id));
	assert_non_null(strstr(text, "\"lost\":0}"));
	assert_int_equal(read_errors(".1", text, sizeof(text)), 0);
	rig_teardown();

	/* Without it there is no file. */
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] = (struct rig_order){.outcome = DLV_FAILED};
	rig.main.orders[1] = (struct rig_order){.outcome = DLV_DELIVERED};
	rig.main.orders_count = 2;
	rig_put(0, 10);
	rig_start();
	rig_pass(30 * SECOND);
	assert_int_equal(read_errors("", text, sizeof(text)), 0);
	rig_teardown();
}

static void
records_that_fail_alone_go_to_the_error_output(void **state)
{
	(void)state;
	rig_setup(true, DLV_BACKUP_FAILED);
	rig.main.orders[0] = (struct rig_order){
		.outcome = DLV_DELIVERED_REST, .failed = {2, 5}, .failed_count = 2};
	rig.main.orders[1].outcome = DLV_DELIVERED;
	rig.main.orders_count = 2;
	rig_put(0, 20);
	rig_start();
	rig_run();
	assert_int_equal(rig.erred[2], 1);
	assert_int_equal(rig.erred[5], 1);
	assert_int_equal(rig.delivered[2] + rig.delivered[5], 0);
	assert_int_equal(rig_delivered_total(), 18);
	struct dlv_flow_view view = rig_view();
	assert_int_equal(view.failed_records, 2);
	assert_int_equal(view.backed_up_records, 0);
	assert_int_equal(view.batches, 2);
	rig_check_all();
	rig_teardown();
}

static void
of_a_batch_that_is_partly_there_the_rest_is_backed_up(void **state)
{
	(void)state;
	rig_setup(true, DLV_BACKUP_FAILED);
	rig.spec.retry_seconds = 0;
	rig.main.orders[0] =
		(struct rig_order){.outcome = DLV_FAILED, .failed = {2, 5}, .failed_count = 2};
	rig.main.orders_count = 1;
	rig_put(0, 10);
	rig_start();
	rig_pass(10 * SECOND);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(rig.erred[i], i == 2 || i == 5);
	assert_int_equal(rig_view().failed_records, 2);
	assert_int_equal(rig_view().backed_up_records, 0);
	rig_teardown();
}

static void
failed_records_without_an_error_output_are_not_dropped(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] =
		(struct rig_order){.outcome = DLV_DELIVERED_REST, .failed = {2}, .failed_count = 1};
	rig.main.orders_count = 1;
	rig_put(0, 10);
	rig_start();
	rig_pass(60 * SECOND);
	assert_int_equal(rig_view().batches, 0);
	assert_string_equal(rig_view().state, "paused");
	rig_teardown();
}

static void
all_is_copied_if_all_is_backed_up(void **state)
{
	size_t copies = 0;

	(void)state;
	rig_setup(true, DLV_BACKUP_ALL);
	rig.copy.orders[0].outcome = DLV_FAILED;
	rig.copy.orders[1].outcome = DLV_DELIVERED;
	rig.copy.orders_count = 2;
	rig_put(0, 10);
	rig_start();
	rig_run();
	assert_int_equal(rig_delivered_total(), 10);
	assert_int_equal(rig_view().batches, 0); /* its copy is not there */
	rig_pass(2 * SECOND);
	assert_int_equal(rig_view().batches, 1);
	for (size_t i = 0; i < rig.sent_count; i++) {
		if (rig.sent[i].dest == &rig.copy) {
			assert_string_equal(rig.sent[i].id, rig.sent[0].id);
			assert_int_equal(rig.sent[i].count, 10);
			copies++;
		}
	}
	assert_int_equal(copies, 2);
	rig_check_all();
	rig_teardown();
}

/* --- keys --- */

static void
a_refused_key_pauses_and_mends(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.feed_status = SLK_DENIED;
	rig_put(0, 10);
	rig_start();
	rig_run();
	struct dlv_flow_view view = rig_view();
	assert_string_equal(view.state, "paused");
	assert_string_equal(view.code, "KMS.AccessDenied");
	assert_non_null(strstr(view.error, "kms:Decrypt"));
	unsigned reads = rig.feed_reads;
	rig_pass(4 * SECOND);
	assert_int_equal(rig.feed_reads, reads); /* not asked again so soon */
	rig_pass(300 * SECOND);
	assert_in_range(rig.feed_reads - reads, 15, 60);
	assert_int_equal(rig.sent_count, 0);
	rig.feed_status = SLK_OK;
	rig_pass(21 * SECOND);
	assert_int_equal(rig_delivered_total(), 10);
	assert_string_equal(rig_view().code, "");
	rig_teardown();
}

/* What was opened before the key was refused is delivered when its time is over. */
static void
a_refused_key_does_not_hold_what_is_opened(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig_put(0, 7);
	rig_start();
	rig_run();
	rig.feed_status = SLK_DISABLED;
	rig_put(0, 7);
	rig_pass(61 * SECOND);
	assert_int_equal(rig_delivered_total(), 7);
	rig.feed_status = SLK_OK;
	rig_pass(100 * SECOND);
	assert_int_equal(rig_delivered_total(), 14);
	rig_teardown();
}

static void
a_seal_that_is_refused_is_gathered_again_under_its_id(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.fail_at = 4; /* after begin, gather of 7, gather of 3 */
	rig.main.for_ever = true;
	rig.main.fail_status = SLK_DENIED;
	rig_put(0, 25);
	rig_start();
	rig_pass(100 * SECOND);
	assert_int_equal(rig_delivered_total(), 0);
	assert_string_equal(rig_view().code, "KMS.AccessDenied");
	rig.main.for_ever = false;
	rig_pass(100 * SECOND);
	assert_int_equal(rig_delivered_total(), 25);
	assert_int_equal(rig.sent[0].count, 10);
	rig_check_all();
	rig_teardown();
}

/* --- memory --- */

static void
without_memory_what_there_is_goes(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.fail_at = 3;
	rig.main.fail_status = SLK_LIMIT;
	rig_put(0, 25);
	rig_start();
	rig_pass(61 * SECOND);
	assert_int_equal(rig.sent[0].count, 7); /* cut where memory ended */
	assert_int_equal(rig_delivered_total(), 25);
	rig_check_all();
	rig_teardown();
}

/* Nothing of it can be gathered: others may give memory back soon; after a while it is told. */
static void
without_any_memory_it_is_told(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.fail_at = 1;
	rig.main.for_ever = true;
	rig.main.fail_status = SLK_NO_MEMORY;
	rig_put(0, 10);
	rig_start();
	rig_pass(1 * SECOND);
	assert_string_equal(rig_view().code, "");
	rig_pass(10 * SECOND);
	assert_string_equal(rig_view().code, "Memory.NoMemory");
	assert_string_equal(rig_view().state, "paused");
	rig.main.for_ever = false;
	rig_pass(1 * SECOND);
	assert_string_equal(rig_view().code, "");
	assert_int_equal(rig_delivered_total(), 10);
	rig_teardown();
}

static void
what_is_too_large_together_goes_apart(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.fail_at = 3;
	rig.main.fail_status = SLK_TOO_LARGE;
	rig_put(0, 25);
	rig_start();
	rig_pass(61 * SECOND);
	assert_int_equal(rig_delivered_total(), 25);
	rig_check_all();
	rig_teardown();
}

/* --- stopping --- */

static void
a_stop_lets_what_is_sent_end(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] = (struct rig_order){.takes_ns = 3 * SECOND};
	rig.main.orders_count = 1;
	rig_put(0, 10);
	rig_start();
	rig_run();
	rig_stop(10 * SECOND);
	assert_int_equal(rig.main.cancels, 0);
	assert_int_equal(rig_delivered_total(), 10);
	rig_start();
	rig_pass(100 * SECOND);
	assert_int_equal(rig_delivered_total(), 10); /* once */
	rig_teardown();
}

static void
a_stop_cancels_what_hangs(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] = (struct rig_order){.hangs = true};
	rig.main.orders_count = 1;
	rig_put(0, 30);
	rig_start();
	rig_run();
	rig_stop(10 * SECOND);
	assert_int_equal(rig.main.cancels, 1);
	rig.main.orders[0].hangs = false;
	rig_start();
	rig_pass(100 * SECOND);
	assert_int_equal(rig_delivered_total(), 30);
	rig_check_all();
	rig_teardown();
}

/* --- losses --- */

static void
a_plan_whose_records_are_gone_ends(void **state)
{
	(void)state;
	rig_setup(false, DLV_BACKUP_NONE);
	rig.main.orders[0] = (struct rig_order){.hangs = true};
	rig.main.orders_count = 1;
	rig_put(0, 10);
	rig_start();
	rig_run();
	rig_kill();
	rig.lost_below = 10;
	rig.main.orders[0].hangs = false;
	rig_put(0, 10);
	rig_start();
	rig_pass(100 * SECOND);
	assert_int_equal(rig_view().lost.trimmed, 10);
	assert_int_equal(rig.sent[1].number, 2); /* no number is used for two */
	assert_int_equal(rig_delivered_total(), 10);
	rig_check_all();
	rig_teardown();
}

/* --- faults at the n-th call --- */

static void
put_some(void)
{
	for (uint32_t i = 0; i < 12; i++)
		rig_put(i % RIG_SHARDS, 1 + i % 3);
	rig_put(2, 9);
}

static void
with_orders(void)
{
	rig.main.orders[0] = (struct rig_order){
		.outcome = DLV_DELIVERED_REST, .failed = {1}, .failed_count = 1, .takes_ns = 1000};
	rig.main.orders[1] = (struct rig_order){.outcome = DLV_FAILED};
	rig.main.orders[2] = (struct rig_order){.outcome = DLV_REFUSED};
	rig.main.orders[3] = (struct rig_order){.outcome = DLV_DELIVERED, .takes_ns = SECOND};
	rig.main.orders_count = 4;
	rig.copy.orders[0] = (struct rig_order){.outcome = DLV_FAILED};
	rig.copy.orders[1] = (struct rig_order){.outcome = DLV_DELIVERED};
	rig.copy.orders_count = 2;
	rig.errors.orders[0] = (struct rig_order){.outcome = DLV_FAILED};
	rig.errors.orders[1] = (struct rig_order){.outcome = DLV_DELIVERED};
	rig.errors.orders_count = 2;
}

static void
the_disk_may_fail_at_any_call(void **state)
{
	static const int statuses[] = {SLK_IO, SLK_DISK_FULL};
	bool hit = true;

	(void)state;
	for (uint64_t n = 1; hit; n++) {
		for (int for_ever = 0; for_ever < 2; for_ever++) {
			rig_setup(true, DLV_BACKUP_ALL);
			with_orders();
			put_some();
			rig.fs.fail_at = n;
			rig.fs.for_ever = for_ever != 0;
			rig.fs.status = statuses[n % 2];
			rig_start();
			rig_pass(200 * SECOND);
			hit = faultfs_hit(&rig.fs);
			if (hit && for_ever)
				assert_string_not_equal(rig_view().code, "");
			rig.fs.for_ever = false;
			rig_pass(400 * SECOND);
			rig_check_all();
			assert_string_equal(rig_view().code, "");
			rig_teardown();
		}
	}
}

/* begin, gather and seal of each destination, with each kind of error. */
static void
a_destination_may_refuse_any_call(void **state)
{
	static const int statuses[] = {
		SLK_LIMIT, SLK_NO_MEMORY, SLK_DENIED, SLK_UNAVAILABLE, SLK_IO};
	struct rig_dest *const dests[] = {&rig.main, &rig.copy, &rig.errors};

	(void)state;
	for (size_t d = 0; d < 3; d++) {
		bool hit = true;
		for (unsigned n = 1; hit; n++) {
			for (size_t s = 0; s < 5; s++) {
				rig_setup(true, DLV_BACKUP_ALL);
				with_orders();
				put_some();
				dests[d]->fail_at = n;
				dests[d]->fail_status = statuses[s];
				rig_start();
				rig_pass(600 * SECOND);
				hit = dests[d]->calls >= n;
				rig_check_all();
				rig_teardown();
			}
		}
	}
}

static void
the_feed_may_fail_at_any_read(void **state)
{
	unsigned reads = 1;

	(void)state;
	for (unsigned n = 1; n <= reads; n++) {
		rig_setup(true, DLV_BACKUP_ALL);
		with_orders();
		put_some();
		rig.feed_status = n % 2 == 0 ? SLK_UNAVAILABLE : SLK_DENIED;
		rig.feed_fail_at = n;
		rig_start();
		rig_pass(10 * SECOND);
		reads = rig.feed_reads < 40 ? rig.feed_reads : 40;
		rig_pass(300 * SECOND);
		rig_check_all();
		rig_teardown();
	}
}

/* --- power cuts --- */

static void
a_power_cut_at_any_turn_loses_nothing(void **state)
{
	uint64_t all = 1;

	(void)state;
	for (uint64_t cut = 1; cut <= all; cut++) {
		rig_setup(true, DLV_BACKUP_ALL);
		with_orders();
		put_some();
		rig_start();
		while (rig.turns < cut) {
			if (!rig_turn())
				rig_pass(SECOND / 4);
			if (rig.mono_ns > 1300 * SECOND)
				break;
		}
		all = rig.mono_ns > 1300 * SECOND ? rig.turns : cut + 1;
		rig_kill();
		put_some();
		rig_start();
		rig_pass(400 * SECOND);
		rig_check_all();
		rig_teardown();
		if (cut > 600)
			break;
	}
}

static void
power_cuts_one_after_another(void **state)
{
	uint64_t seed = 12345;

	(void)state;
	rig_setup(true, DLV_BACKUP_ALL);
	with_orders();
	for (unsigned round = 0; round < 60; round++) {
		put_some();
		rig_start();
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		for (uint64_t turns = (seed >> 33) % 60; turns > 0; turns--) {
			if (!rig_turn())
				rig_pass(SECOND);
		}
		rig_kill();
	}
	rig_start();
	rig_pass(2000 * SECOND);
	rig_check_all();
	assert_int_equal(rig_view().lag_records, 0);
	rig_teardown();
}

/* 1, 2, 3, of main's batches; the last. */
static uint64_t
check_numbers(void)
{
	uint64_t last = 0;

	for (size_t i = 0; i < rig.sent_count; i++) {
		if (rig.sent[i].dest != &rig.main)
			continue;
		assert_true(rig.sent[i].number == last + 1 ||
			(rig.sent[i].number == last && rig.sent[i].attempts > 1));
		last = rig.sent[i].number;
	}
	return last;
}

/* A pool that is busy: between a task's end and the word of it, time passes. Each batch has a number of its own all the same. */
static void
time_passes_between_a_task_and_its_word(void **state)
{
	uint64_t seed = 4711;

	(void)state;
	rig_setup(true, DLV_BACKUP_ALL);
	rig.timers_first = true;
	rig_start();
	for (unsigned turn = 0; turn < 2500; turn++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		if ((seed >> 33) % 8 == 0)
			rig_put(turn % RIG_SHARDS, 10);
		rig.mono_ns += SECOND / 10;
		rig.wall_ns += SECOND / 10;
		(void)rig_turn();
	}
	rig.timers_first = false;
	rig_pass(100 * SECOND);
	rig_check_all();
	check_numbers();
	rig_teardown();
}

/* Between the turn that ends a batch and the word of it, a look for records begins: they are the next batch's. For each turn at which
 * that may happen. */
static void
a_batch_is_numbered_while_the_one_before_ends(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (unsigned turns = 0; turns < 40; turns++) {
		rig_setup(true, DLV_BACKUP_FAILED);
		rig_start();
		rig_put(0, 10);
		for (unsigned i = 0; i < turns; i++)
			(void)rig_turn();
		rig_put(0, 1);
		rig.timers_first = true;
		rig.mono_ns += 10 * SECOND;
		rig.wall_ns += 10 * SECOND;
		(void)rig_turn();
		rig.timers_first = false;
		rig_pass(100 * SECOND);
		rig_check_all();
		last = check_numbers();
		assert_true(last == 1 || last == 2);
		rig_teardown();
	}
	assert_int_equal(last, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_batch_goes_at_once),
		cmocka_unit_test(time_closes_a_batch_that_is_not_full),
		cmocka_unit_test(one_is_gathered_while_one_is_sent),
		cmocka_unit_test(a_batch_that_waits_shares_a_write),
		cmocka_unit_test(a_failure_is_tried_again_with_the_same_id),
		cmocka_unit_test(a_destination_says_when),
		cmocka_unit_test(who_is_stuck_holds_one_batch),
		cmocka_unit_test(after_the_retry_duration_all_goes_to_the_error_output),
		cmocka_unit_test(without_backup_either_delivery_pauses),
		cmocka_unit_test(what_is_refused_is_not_backed_up),
		cmocka_unit_test(errors_are_logged_where_the_description_says),
		cmocka_unit_test(records_that_fail_alone_go_to_the_error_output),
		cmocka_unit_test(of_a_batch_that_is_partly_there_the_rest_is_backed_up),
		cmocka_unit_test(failed_records_without_an_error_output_are_not_dropped),
		cmocka_unit_test(all_is_copied_if_all_is_backed_up),
		cmocka_unit_test(a_refused_key_pauses_and_mends),
		cmocka_unit_test(a_refused_key_does_not_hold_what_is_opened),
		cmocka_unit_test(a_seal_that_is_refused_is_gathered_again_under_its_id),
		cmocka_unit_test(without_memory_what_there_is_goes),
		cmocka_unit_test(without_any_memory_it_is_told),
		cmocka_unit_test(what_is_too_large_together_goes_apart),
		cmocka_unit_test(a_stop_lets_what_is_sent_end),
		cmocka_unit_test(a_stop_cancels_what_hangs),
		cmocka_unit_test(a_plan_whose_records_are_gone_ends),
		cmocka_unit_test(the_disk_may_fail_at_any_call),
		cmocka_unit_test(a_destination_may_refuse_any_call),
		cmocka_unit_test(the_feed_may_fail_at_any_read),
		cmocka_unit_test(a_power_cut_at_any_turn_loses_nothing),
		cmocka_unit_test(power_cuts_one_after_another),
		cmocka_unit_test(time_passes_between_a_task_and_its_word),
		cmocka_unit_test(a_batch_is_numbered_while_the_one_before_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
