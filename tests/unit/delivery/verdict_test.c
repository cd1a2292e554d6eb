/* What HTTP answers mean: every status, every failure of the transport. */
#include "slk_test.h"

#include <string.h>
#include <strings.h>

#include "verdict.h"

static const char *
header(const struct dlv_web_answer *answer, const char *name)
{
	return strcasecmp(name, "Retry-After") == 0 ? (const char *)answer->inner : "";
}

static struct dlv_result
verdict(int status, unsigned http_status, const char *retry_after)
{
	const struct dlv_web_answer answer = {.status = status,
		.sentence = status == SLK_OK ? "" : "because",
		.http_status = http_status,
		.header = header,
		.inner = (void *)(uintptr_t)retry_after};
	struct dlv_result result;

	dlv_verdict(&answer, "Search", "the cluster", &result);
	assert_int_equal(result.failed_count, 0);
	return result;
}

static void
test_statuses(void **state)
{
	static const struct {
		unsigned status;
		enum dlv_outcome outcome;
		const char *code;
	} rows[] = {
		{200, DLV_DELIVERED, ""},
		{100, DLV_FAILED, "Search.BadAnswer"},
		{201, DLV_FAILED, "Search.BadAnswer"},
		{204, DLV_FAILED, "Search.BadAnswer"},
		{301, DLV_REFUSED, "Search.Redirected"},
		{307, DLV_REFUSED, "Search.Redirected"},
		{400, DLV_REFUSED, "Search.BadRequest"},
		{401, DLV_REFUSED, "Search.AccessDenied"},
		{403, DLV_REFUSED, "Search.AccessDenied"},
		{404, DLV_REFUSED, "Search.NotFound"},
		{405, DLV_REFUSED, "Search.BadRequest"},
		{408, DLV_FAILED, "Search.Throttled"},
		{410, DLV_REFUSED, "Search.NotFound"},
		{413, DLV_FAILED, "Search.TooLarge"},
		{425, DLV_FAILED, "Search.Throttled"},
		{429, DLV_FAILED, "Search.Throttled"},
		{500, DLV_FAILED, "Search.ServerError"},
		{502, DLV_FAILED, "Search.ServerError"},
		{503, DLV_FAILED, "Search.Throttled"},
		{504, DLV_FAILED, "Search.ServerError"},
		{600, DLV_FAILED, "Search.BadAnswer"},
		{999, DLV_FAILED, "Search.BadAnswer"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dlv_result result = verdict(SLK_OK, rows[i].status, "");
		assert_int_equal(result.outcome, rows[i].outcome);
		assert_string_equal(result.code, rows[i].code);
		if (rows[i].outcome == DLV_DELIVERED)
			assert_string_equal(result.error.text, "");
		else
			assert_memory_equal(result.error.text, "the cluster answers ", 20);
	}
}

static void
test_transport(void **state)
{
	static const struct {
		int status;
		enum dlv_outcome outcome;
		const char *code;
	} rows[] = {
		{SLK_UNAVAILABLE, DLV_FAILED, "Search.Unavailable"},
		{SLK_TIMEOUT, DLV_FAILED, "Search.Timeout"},
		{SLK_CLOSED, DLV_FAILED, "Search.ConnectionReset"},
		{SLK_DENIED, DLV_REFUSED, "Search.Certificate"},
		{SLK_MALFORMED, DLV_FAILED, "Search.BadAnswer"},
		{SLK_NO_MEMORY, DLV_FAILED, "Search.NoMemory"},
		{SLK_INTERNAL, DLV_FAILED, "Search.Unavailable"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dlv_result result = verdict(rows[i].status, 0, "");
		assert_int_equal(result.outcome, rows[i].outcome);
		assert_string_equal(result.code, rows[i].code);
		assert_non_null(strstr(result.error.text, "because"));
	}
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} rows[] = {{"", 0}, {"0", 0}, {"7", 7}, {"3600", 3600}, {"3601", 3600}, {"-1", 0},
		{"+1", 0}, {" 1", 0}, {"1.5", 0}, {"1 ", 0}, {"99999999999999999999", 3600},
		{"Wed, 21 Oct 2015 07:28:00 GMT", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(verdict(SLK_OK, 503, rows[i].text).retry_after_ns,
			rows[i].seconds * SLK_NS_PER_S);
	assert_int_equal(verdict(SLK_OK, 200, "7").retry_after_ns, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests_name("delivery_verdict", tests, NULL, NULL);
}
