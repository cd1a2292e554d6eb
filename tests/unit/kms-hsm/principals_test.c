#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "principals.h"

static char account[] = "000000000000", region[] = "local";

static struct kms_config
config_of(struct kms_config_principal *principals, uint32_t count)
{
	return (struct kms_config){.account = account,
		.region = region,
		.principals = principals,
		.principals_count = count};
}

static void
uid_that_is_not_named_is_a_stranger(void **state)
{
	(void)state;
	struct kms_config_principal list[] = {{(char *)"1000", (char *)"user/alice"}};
	struct kms_config config = config_of(list, 1);
	struct kms_principals *p = NULL;

	assert_ok(kms_principals_new(&config, &p, NULL));
	assert_int_equal(kms_principals_classes(p, 1000), KMS_CLASS_USER);
	assert_string_equal(kms_principals_arn(p, 1000), "arn:aws:iam::000000000000:user/alice");
	assert_int_equal(kms_principals_classes(p, 1001), 0);
	assert_null(kms_principals_arn(p, 1001));
	assert_int_equal(kms_principals_classes(p, (uid_t)-1), 0);
	kms_principals_free(p);
}

static void
root_and_our_own_user_administer_unless_told_otherwise(void **state)
{
	(void)state;
	struct kms_config config = config_of(NULL, 0);
	char *admins[] = {(char *)"1000"};
	struct kms_principals *p = NULL;

	assert_ok(kms_principals_new(&config, &p, NULL));
	assert_int_equal(kms_principals_classes(p, 0), KMS_CLASS_USER | KMS_CLASS_ADMIN);
	assert_int_equal(kms_principals_classes(p, geteuid()), KMS_CLASS_USER | KMS_CLASS_ADMIN);
	assert_string_equal(kms_principals_arn(p, 0), "arn:aws:iam::000000000000:root");
	kms_principals_free(p);
	config.admins = admins;
	config.admins_count = 1;
	assert_ok(kms_principals_new(&config, &p, NULL));
	assert_int_equal(kms_principals_classes(p, 0), 0);
	assert_int_equal(kms_principals_classes(p, 1000), KMS_CLASS_USER | KMS_CLASS_ADMIN);
	kms_principals_free(p);
}

static void
one_uid_may_be_several_things(void **state)
{
	(void)state;
	struct kms_config_principal list[] = {{(char *)"0", (char *)"user/dev"}};
	struct kms_config config = config_of(list, 1);
	struct kms_principals *p = NULL;

	config.ingest_user = (char *)"0";
	assert_ok(kms_principals_new(&config, &p, NULL));
	assert_int_equal(
		kms_principals_classes(p, 0), KMS_CLASS_USER | KMS_CLASS_ADMIN | KMS_CLASS_DOOR);
	assert_string_equal(kms_principals_arn(p, 0), "arn:aws:iam::000000000000:user/dev");
	kms_principals_free(p);
}

static void
door_alone_has_no_principal_of_a_user(void **state)
{
	(void)state;
	struct kms_config config = config_of(NULL, 0);
	struct kms_principals *p = NULL;

	config.ingest_user = (char *)"2000";
	config.gateway_user = (char *)"2001";
	config.deliver_user = (char *)"2002";
	assert_ok(kms_principals_new(&config, &p, NULL));
	assert_int_equal(kms_principals_classes(p, 2000), KMS_CLASS_DOOR);
	assert_int_equal(kms_principals_classes(p, 2001), KMS_CLASS_GATEWAY);
	assert_int_equal(kms_principals_classes(p, 2002), KMS_CLASS_DELIVER);
	assert_null(kms_principals_arn(p, 2002));
	assert_null(kms_principals_arn(p, 2001));
	assert_null(kms_principals_arn(p, 2000));
	kms_principals_free(p);
}

static void
only_listed_roles_may_be_named(void **state)
{
	(void)state;
	char *roles[] = {(char *)"role/syslog"};
	struct kms_config config = config_of(NULL, 0);
	struct kms_principals *p = NULL;

	config.roles = roles;
	config.roles_count = 1;
	assert_ok(kms_principals_new(&config, &p, NULL));
	assert_true(kms_principals_has_role(p, "arn:aws:iam::000000000000:role/syslog"));
	assert_false(kms_principals_has_role(p, "arn:aws:iam::000000000000:role/other"));
	assert_false(kms_principals_has_role(p, "arn:aws:iam::000000000000:root"));
	kms_principals_free(p);
}

static void
refused(struct kms_config *config, const char *expected)
{
	struct slk_error err = {0};
	struct kms_principals *p = NULL;

	assert_int_equal(kms_principals_new(config, &p, &err), SLK_CONFIG);
	assert_null(p);
	if (strstr(err.text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, expected);
}

static void
bad_entries_are_refused_with_their_fault(void **state)
{
	(void)state;
	struct kms_config_principal nobody[] = {{(char *)"no-such-user-here", (char *)"user/x"}};
	struct kms_config_principal twice[] = {
		{(char *)"1", (char *)"user/x"}, {(char *)"1", (char *)"user/y"}};
	struct kms_config_principal pattern[] = {{(char *)"1", (char *)"user/*"}};
	struct kms_config_principal number[] = {{(char *)"4294967295", (char *)"user/x"}};
	char *roles[] = {(char *)"user/x"};
	struct kms_config a = config_of(nobody, 1), b = config_of(twice, 2),
			  c = config_of(pattern, 1), d = config_of(number, 1),
			  e = config_of(NULL, 0);

	refused(&a, "no-such-user-here");
	refused(&b, "one principal");
	refused(&c, "user/*");
	refused(&d, "not a uid");
	e.roles = roles;
	e.roles_count = 1;
	refused(&e, "role/NAME");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uid_that_is_not_named_is_a_stranger),
		cmocka_unit_test(root_and_our_own_user_administer_unless_told_otherwise),
		cmocka_unit_test(one_uid_may_be_several_things),
		cmocka_unit_test(door_alone_has_no_principal_of_a_user),
		cmocka_unit_test(only_listed_roles_may_be_named),
		cmocka_unit_test(bad_entries_are_refused_with_their_fault),
	};

	return cmocka_run_group_tests_name("kms_principals", tests, NULL, NULL);
}
