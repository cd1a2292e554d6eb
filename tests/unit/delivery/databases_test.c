#include "slk_test.h"

#include <string.h>

#include "databases.h"

static void
three_names_of_sslmode_and_no_other(void **state)
{
	(void)state;
	enum dlv_sslmode mode = DLV_SSL_DEFAULT;
	struct slk_error err = {0, ""};
	static const char *const wrong[] = {
		"", "require", "prefer", "allow", "Verify-Full", "none"};

	assert_ok(dlv_sslmode_parse("verify-full", &mode, &err));
	assert_int_equal(mode, DLV_SSL_VERIFY_FULL);
	assert_ok(dlv_sslmode_parse("verify-ca", &mode, &err));
	assert_int_equal(mode, DLV_SSL_VERIFY_CA);
	assert_ok(dlv_sslmode_parse("disable", &mode, &err));
	assert_int_equal(mode, DLV_SSL_DISABLE);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(dlv_sslmode_parse(wrong[i], &mode, &err), SLK_CONFIG);
		assert_int_equal(mode, DLV_SSL_DISABLE);
	}
}

static void
without_an_entry_only_loopback_may_go_without_tls(void **state)
{
	(void)state;
	static const char *const near[] = {
		"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"};
	static const char *const far[] = {"db.example.net", "10.0.0.1", "128.0.0.1", "::2",
		"localhost.example.net", "127.0.0.1.example.net", "0.0.0.0", "::ffff:127.0.0.1"};
	const struct dlv_databases none = {NULL, 0};

	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
		assert_int_equal(dlv_databases_find(&none, near[i]).sslmode, DLV_SSL_PREFER);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		assert_int_equal(dlv_databases_find(NULL, far[i]).sslmode, DLV_SSL_VERIFY_FULL);
	struct dlv_database_entry entry = dlv_databases_find(&none, "db");
	assert_string_equal(entry.ca, "/etc/ssl/certs/ca-certificates.crt");
	assert_null(entry.iam_role);
	assert_int_equal(entry.connect_ms, 10000);
	assert_int_equal(entry.statement_ms, 900000);
	assert_int_equal(entry.lock_ms, 30000);
}

static void
the_first_entry_that_fits_is_taken(void **state)
{
	(void)state;
	const struct dlv_database_entry entries[] = {
		{.host = "plain.db.example.net", .sslmode = DLV_SSL_DISABLE},
		{.host = "*.DB.example.net", .ca = "/ca.pem", .connect_ms = 1},
		{.host = "localhost"},
		{.host = "a*b*c", .sslmode = DLV_SSL_VERIFY_CA, .iam_role = "arn:x"},
	};
	const struct dlv_databases all = {entries, 4};

	assert_int_equal(dlv_databases_find(&all, "PLAIN.db.example.net").sslmode, DLV_SSL_DISABLE);
	struct dlv_database_entry entry = dlv_databases_find(&all, "a.b.db.example.net");
	assert_int_equal(entry.sslmode, DLV_SSL_VERIFY_FULL);
	assert_string_equal(entry.ca, "/ca.pem");
	assert_int_equal(entry.connect_ms, 1);
	assert_string_equal(dlv_databases_find(&all, "db.example.net").ca,
		"/etc/ssl/certs/ca-certificates.crt");
	/* What is listed is verified unless the entry says otherwise, loopback or not. */
	assert_int_equal(dlv_databases_find(&all, "localhost").sslmode, DLV_SSL_VERIFY_FULL);
	assert_string_equal(dlv_databases_find(&all, "a-bb-b-c").iam_role, "arn:x");
	assert_null(dlv_databases_find(&all, "a-bb-b-cd").iam_role);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_names_of_sslmode_and_no_other),
		cmocka_unit_test(without_an_entry_only_loopback_may_go_without_tls),
		cmocka_unit_test(the_first_entry_that_fits_is_taken),
	};

	return cmocka_run_group_tests_name("delivery_databases", tests, NULL, NULL);
}
