/* The disk beneath the catalog fails at each call of CreateAccessKey and AssumeRole, once or for ever: what
 * was answered is good after a restart, what was not leaves nothing in the way. */
#include "slk_test.h"

#include <sqlite3.h>
#include <string.h>

#include "access_rig.h"
#include "faultvfs.h"

#define CALLS_MAX 200u
#define TRUST \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":" \
	"\"" RIG_ALICE_ARN "\"},\"Action\":\"sts:AssumeRole\"}}"

static struct kms_rig rig;
static struct access_credential got, made;

/* --- what is tried; a credential that was answered is in got --- */

static const Kmsp__Reply *
create(void)
{
	return access_create(&rig, RIG_ROOT, "carol");
}

static const Kmsp__Reply *
assume(void)
{
	return access_assume(&rig, RIG_ALICE, &(struct access_role){.role = "reader"});
}

static const Kmsp__Reply *
derive_with(const struct access_credential *c)
{
	return access_derive(
		&rig, RIG_GATEWAY, &(struct access_scope){.id = c->id, .token = c->token});
}

static void
start(void)
{
	faultvfs_arm(0, false, SQLITE_OK);
	rig_start(&rig, "");
	access_make_user(&rig, "carol");
	access_make_role(&rig, "reader", "AROAREADER", TRUST);
}

/* With the key of the appliance or without it, so that its making fails, too. */
static void
prepare(bool first)
{
	if (!first) {
		access_take(create(), &made);
		access_take(assume(), &got);
	}
}

static void
assert_good(const struct access_credential *c)
{
	const Kmsp__Reply *reply = derive_with(c);

	assert_answered(reply, SLK_OK);
	access_check_key(
		c, &(struct access_scope){.id = c->id, .token = c->token}, reply->signing_key);
}

/* False: the fault was not reached any more. */
static bool
try_at(const Kmsp__Reply *(*act)(void), bool first, unsigned n, bool for_ever, int code)
{
	start();
	prepare(first);
	memset(&got, 0, sizeof(got));
	faultvfs_arm(n, for_ever, code);
	const Kmsp__Reply *reply = act();
	bool hit = faultvfs_hit();
	if (reply->status == SLK_OK)
		access_take(reply, &got);
	else
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
	if (!hit)
		assert_answered(reply, SLK_OK);
	faultvfs_arm(0, false, SQLITE_OK);
	rig_restart(&rig);
	kms_service_tick(rig.service);
	rig_turn(&rig);
	if (got.id[0] != '\0')
		assert_good(&got);
	if (!first)
		assert_good(&made);
	/* And it goes on: at most the one that was never heard of is in the way. */
	access_take(assume(), &got);
	assert_good(&got);
	size_t keys = access_list(&rig, RIG_ROOT, "carol", "", 0)->access_keys->n_keys;
	assert_in_range(keys, first ? 0 : 1, 2);
	if (keys < 2) {
		access_take(create(), &got);
		assert_good(&got);
	}
	rig_stop(&rig);
	return hit;
}

static void
sweep(const Kmsp__Reply *(*act)(void), bool first)
{
	static const struct {
		bool for_ever;
		int code;
	} faults[] = {{false, SQLITE_IOERR_WRITE}, {true, SQLITE_FULL}};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned n = 1;
		while (try_at(act, first, n, faults[i].for_ever, faults[i].code))
			assert_true(++n < CALLS_MAX);
		assert_true(n > 1); /* there was something to fail */
	}
}

static void
the_first_access_key(void **state)
{
	(void)state;
	sweep(create, true);
}

static void
an_access_key(void **state)
{
	(void)state;
	sweep(create, false);
}

static void
the_first_session(void **state)
{
	(void)state;
	sweep(assume, true);
}

/* Nothing is kept of a session, so nothing fails. */
static void
a_session_needs_no_disk(void **state)
{
	(void)state;
	start();
	prepare(false);
	faultvfs_arm(1, true, SQLITE_FULL);
	assert_answered(assume(), SLK_OK);
	assert_false(faultvfs_hit());
	faultvfs_arm(0, false, SQLITE_OK);
	rig_stop(&rig);
}

/* That an access key was used cannot be noted: the signing key comes all the same. */
static void
a_signing_key(void **state)
{
	(void)state;
	start();
	prepare(false);
	faultvfs_arm(1, true, SQLITE_FULL);
	assert_answered(derive_with(&made), SLK_OK);
	assert_true(faultvfs_hit());
	faultvfs_arm(0, false, SQLITE_OK);
	rig_stop(&rig);
}

static int
group_setup(void **state)
{
	(void)state;
	faultvfs_install();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_access_key),
		cmocka_unit_test(an_access_key),
		cmocka_unit_test(the_first_session),
		cmocka_unit_test(a_session_needs_no_disk),
		cmocka_unit_test(a_signing_key),
	};

	return cmocka_run_group_tests_name("kms_service_access_fault", tests, group_setup, NULL);
}
