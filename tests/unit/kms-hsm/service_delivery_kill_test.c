/* The front is killed at every disk call of what makes, changes and ends a delivery stream, with the HSM having done its part or
 * having done it unheard. After the restart the delivery stream is as it was before or as it was wanted, its description
 * opens, it and its stream of direct puts are there together, and what was answered holds; and each step can be done again. */
#include "slk_test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "delivery_rig.h"
#include "faultvfs.h"
#include "iam_rig.h"

#define CALLS_MAX 200u
#define OWN "deliverystream/dd"

static struct kms_rig rig;
static char key[KMS_ARN_MAX];

static void
disarm(struct kms_rig *r)
{
	(void)r;
	faultvfs_arm(0, false, SQLITE_OK);
}

static void
begin(bool is_there)
{
	disarm(NULL);
	rig_start(&rig, "");
	rig.closed = disarm;
	rig_new_key(&rig, key);
	delivery_role(&rig, DELIVERY_TRUST);
	/* The appliance's key is there: making it is service_kill_test.c's. */
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_OK);
	if (is_there)
		delivery_active(&rig, "dd", DELIVERY_TO_POSTGRES, NULL);
}

/* From here on no disk call succeeds from the n-th on. */
static void
arm(unsigned n, bool unheard)
{
	if (unheard)
		fake_hsm_lose_answer(rig.link, SLK_UNAVAILABLE);
	faultvfs_arm(n, true, SQLITE_IOERR_WRITE);
}

static bool
die_and_start_again(void)
{
	bool hit = faultvfs_hit();

	fake_hsm_lose_answer(rig.link, SLK_OK);
	rig_restart(&rig);
	return hit;
}

/* --- what must hold --- */

/* "" if there is none; its description opens, and its stream is there with it. */
static const char *
state_of(uint64_t *out_version)
{
	static char state[32];
	const Kmsp__Reply *reply = delivery_work(&rig, RIG_DELIVER, "dd");

	if (reply->status == SLK_NOT_FOUND)
		return "";
	assert_answered(reply, SLK_OK);
	const Kmsp__DeliveryStream *d = reply->delivery_stream;
	assert_non_null(
		memmem(d->spec.data, d->spec.len, DELIVERY_PASSWORD, strlen(DELIVERY_PASSWORD)));
	snprintf(state, sizeof(state), "%s", d->state);
	if (out_version != NULL)
		*out_version = d->version;
	reply = rig_describe_stream(&rig, RIG_INGEST, OWN);
	assert_answered(reply, SLK_OK);
	assert_string_not_equal(reply->stream->status, "DELETING");
	assert_answered(rig_stream_key(&rig, RIG_INGEST, DELIVERY_ARN("dd")), SLK_OK);
	return state;
}

static void
ingestd_ends_the_stream(void)
{
	Kmsp__StreamChanged call = KMSP__STREAM_CHANGED__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	const Kmsp__Reply *reply = rig_describe_stream(&rig, RIG_INGEST, OWN);

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->stream->status, "DELETING");
	call.stream = (char *)(uintptr_t)OWN;
	call.stream_id = reply->stream->id;
	call.change = reply->stream->change;
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_STREAM_CHANGED;
	request.stream_changed = &call;
	assert_answered(rig_call(&rig, RIG_INGEST, &request), SLK_OK);
}

/* --- sweeps --- */

static bool
die_in_create(unsigned n, bool unheard)
{
	begin(false);
	arm(n, unheard);
	bool answered =
		delivery_create(&rig, RIG_ROOT, "dd", DELIVERY_TO_POSTGRES, "")->status == SLK_OK;
	bool hit = die_and_start_again();
	const char *state = state_of(NULL);
	if (state[0] == '\0') {
		assert_false(answered);
		assert_answered(rig_describe_stream(&rig, RIG_INGEST, OWN), SLK_NOT_FOUND);
		assert_answered(
			delivery_create(&rig, RIG_ROOT, "dd", DELIVERY_TO_POSTGRES, ""), SLK_OK);
	}
	assert_string_equal(state_of(NULL), "CREATING");
	rig_stop(&rig);
	return hit;
}

static bool
die_in_update(unsigned n, bool unheard)
{
	static const char more[] = "{'RedshiftDestinationUpdate':{'Username':'other'}}";
	uint64_t version = 0;

	begin(true);
	arm(n, unheard);
	bool answered = delivery_update(&rig, RIG_ROOT, "dd", 1, more)->status == SLK_OK;
	bool hit = die_and_start_again();
	assert_string_equal(state_of(&version), "ACTIVE");
	assert_true(version == 2 || (version == 1 && !answered));
	if (version == 1)
		assert_answered(delivery_update(&rig, RIG_ROOT, "dd", 1, more), SLK_OK);
	rig_stop(&rig);
	return hit;
}

static bool
die_in_encryption(unsigned n, bool unheard)
{
	begin(true);
	arm(n, unheard);
	bool answered = delivery_start(&rig, RIG_ROOT, "dd", key)->status == SLK_OK;
	bool hit = die_and_start_again();
	const Kmsp__Reply *reply = delivery_describe(&rig, RIG_ROOT, "dd");
	assert_answered(reply, SLK_OK);
	bool changed = strcmp(reply->delivery_stream->encryption_status, "ENABLING") == 0;
	assert_true(changed || !answered);
	assert_string_equal(
		reply->delivery_stream->key_type, changed ? "CUSTOMER_MANAGED_CMK" : "");
	reply = rig_describe_stream(&rig, RIG_INGEST, OWN);
	assert_int_equal(reply->stream->encrypted_kms, changed);
	assert_string_equal(reply->stream->status, changed ? "UPDATING" : "ACTIVE");
	rig_stop(&rig);
	return hit;
}

static bool
die_in_deletion(unsigned n, bool unheard)
{
	begin(true);
	arm(n, unheard);
	bool said = delivery_delete(&rig, RIG_ROOT, "dd", false)->status == SLK_OK;
	bool gone = said &&
		delivery_state(&rig, RIG_DELIVER, "dd", 1, "DELETING", "")->status == SLK_OK;
	bool hit = die_and_start_again();
	const char *state = state_of(NULL);
	if (state[0] != '\0') {
		assert_false(gone);
		assert_true(
			strcmp(state, "DELETING") == 0 || (strcmp(state, "ACTIVE") == 0 && !said));
		assert_answered(delivery_delete(&rig, RIG_ROOT, "dd", false), SLK_OK);
		assert_answered(delivery_state(&rig, RIG_DELIVER, "dd", 1, "DELETING", ""), SLK_OK);
	}
	ingestd_ends_the_stream();
	assert_answered(delivery_create(&rig, RIG_ROOT, "dd", DELIVERY_TO_POSTGRES, NULL), SLK_OK);
	rig_stop(&rig);
	return hit;
}

static void
sweep(bool (*die)(unsigned, bool))
{
	for (int unheard = 0; unheard < 2; unheard++) {
		unsigned n = 1;
		while (die(n, unheard != 0))
			assert_true(++n < CALLS_MAX);
		assert_true(n > 2 || unheard != 0);
	}
}

static void
killed_in_create_it_is_there_or_not(void **state)
{
	(void)state;
	sweep(die_in_create);
}

static void
killed_in_an_update_it_has_one_version_or_the_other(void **state)
{
	(void)state;
	sweep(die_in_update);
}

static void
killed_in_a_change_of_encryption_both_rows_agree(void **state)
{
	(void)state;
	sweep(die_in_encryption);
}

static void
killed_in_deletion_it_goes_on(void **state)
{
	(void)state;
	sweep(die_in_deletion);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_in_create_it_is_there_or_not),
		cmocka_unit_test(killed_in_an_update_it_has_one_version_or_the_other),
		cmocka_unit_test(killed_in_a_change_of_encryption_both_rows_agree),
		cmocka_unit_test(killed_in_deletion_it_goes_on),
	};

	faultvfs_install();
	return cmocka_run_group_tests_name("service_delivery_kill", tests, NULL, NULL);
}
