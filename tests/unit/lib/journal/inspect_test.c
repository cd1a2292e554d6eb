/* Verification of a journal with more epochs than their keys fit into locked memory. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/inspect.h"
#include "journal/journal.h"
#include "tempdir.h"

#define EPOCHS 2500u
#define LOCKED_KIB_MAX 6000u /* of the 8 MiB that a process has by default */
#define ARN "arn:aws:kinesis:local:000000000000:stream/web"

static char dir[256];
static struct seal_thread *seal;
static struct slk_secret *data_key;
static unsigned asked;
static unsigned long locked_max_kib;

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	assert_ok(seal_thread_new("openssl", &seal, NULL));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &data_key));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	seal_thread_free(seal);
	slk_secret_free(data_key);
	tempdir_remove(dir);
	return 0;
}

static void
settle(struct jnl_lane *lane, int until)
{
	int rc;

	do {
		rc = jnl_lane_turn(lane);
	} while (rc > 0);
	assert_int_equal(rc, until);
}

static void
write_epoch(struct jnl_lane *lane, const struct fmt_context *context)
{
	const struct jnl_epoch_params params = {.stream_id = 7,
		.stream_arn = ARN,
		.key_arn = "arn:key",
		.context = context,
		.wrapped = slk_span("wrapped", 7),
		.data_key = data_key};
	const struct fmt_record r = {.key = slk_span("k", 1),
		.data = slk_span("data", 4),
		.arrival_ns = 1000,
		.source = FMT_SOURCE_PUT};
	struct seal_epoch *epoch = NULL;
	struct jnl_append done;
	int rc;

	assert_ok(jnl_lane_epoch_begin(lane, seal, &params, &epoch));
	while ((rc = jnl_lane_append(lane, seal, epoch, 0, &r, 1, &done)) == SLK_AGAIN)
		settle(lane, 0);
	assert_ok(rc);
	jnl_lane_epoch_end(lane, epoch);
}

static void
write_journal(void)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = 1,
		.file_bytes = 1u << 20,
		.group_bytes = 128 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.io = "sync"};
	struct fmt_context *context = NULL;
	struct jnl_recovery report;
	struct jnl *j = NULL;
	int rc;

	assert_ok(fmt_context_for_stream(ARN, &context));
	assert_ok(jnl_open(&config, &j, &report, NULL));
	for (unsigned i = 0; i < EPOCHS; i++)
		write_epoch(jnl_lane(j, 0), context);
	while ((rc = jnl_lane_close(jnl_lane(j, 0))) == SLK_AGAIN)
		settle(jnl_lane(j, 0), 0);
	assert_ok(rc);
	settle(jnl_lane(j, 0), SLK_END);
	jnl_close(j);
	fmt_context_free(context);
}

static unsigned long
locked_kib(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmLck:", 6) == 0)
			kib = strtoul(line + 6, NULL, 10);
	fclose(f);
	return kib;
}

static int
give_key(void *arg, const struct jnl_epoch_info *info, struct slk_secret **out_data_key)
{
	(void)arg;
	(void)info;
	if (asked++ % 100 == 0 && locked_kib() > locked_max_kib)
		locked_max_kib = locked_kib();
	return slk_secret_from(slk_secret_peek(data_key), 32, out_data_key);
}

static void
keys_of_epochs_that_ended_are_given_back(void **state)
{
	(void)state;
	const struct jnl_verify_config config = {.dir = dir, .seal = seal, .data_key = give_key};
	struct jnl_verify_report report = {0};

	write_journal();
	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.findings, 0);
	assert_int_equal(report.epochs, EPOCHS);
	assert_int_equal(report.tags_checked, EPOCHS);
	assert_int_equal(report.tags_unchecked, 0);
	assert_int_equal(asked, EPOCHS);
	assert_in_range(locked_max_kib, 1, LOCKED_KIB_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			keys_of_epochs_that_ended_are_given_back, setup, teardown),
	};

	return cmocka_run_group_tests_name("journal_inspect", tests, NULL, NULL);
}
