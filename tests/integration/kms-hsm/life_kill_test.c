/* Threats, row 9. kill -9 at every point of creation, rotation and destruction: of the front, of the worker, and of all three
 * processes. After each: every key that is listed works, what was answered is there, what is gone is gone, and the token holds
 * what the catalog names and no more. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kill_rig.h"
#include "p11_direct.h"

#define DAY_NS (86400 * SLK_NS_PER_S)

static struct kill_rig rig;

static int
setup(void **state)
{
	(void)state;
	kill_rig_init(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kill_rig_fini(&rig);
	return 0;
}

/* --- creation --- */

static struct kmsc_key made;

static int
create(struct kmsc *c, const char *spec, const char *usage, struct kmsc_key *out)
{
	const struct kmsc_key_kind kind = {.spec = spec, .usage = usage};
	struct slk_error err = {0};

	return kmsc_create_key_with(c, &kind, out, &err);
}

static int
create_aes(struct kill_rig *r)
{
	return create(r->actor, NULL, NULL, &made);
}

static int
create_p256(struct kill_rig *r)
{
	return create(r->actor, "ECC_NIST_P256", "SIGN_VERIFY", &made);
}

/* All or nothing; and all, if that was answered. */
static void
check_created(struct kill_rig *r, int rc, size_t before)
{
	size_t now = kill_rig_keys_settled(r, rc == SLK_OK ? made.id : "");

	assert_true(now == before + 1 || (now == before && rc != SLK_OK));
}

static const struct kill_sweep aes = {NULL, create_aes, check_created};
static const struct kill_sweep p256 = {NULL, create_p256, check_created};

/* --- rotation --- */

static struct kmsc_key subject;
static struct kmsc_ciphertext old;
static size_t materials;
static uint32_t turned; /* so many had, when it began */

static size_t
materials_of_subject(void)
{
	struct slk_error err = {0};
	size_t count = kill_rig_materials(rig.kmsd.client, subject.id, &err);

	kill_rig_need(&rig, err.status, &err);
	return count;
}

static void
prepare_subject(struct kill_rig *r)
{
	assert_ok(create(r->kmsd.client, NULL, NULL, &subject));
	kill_rig_encrypts(r, subject.id, &old);
	materials = materials_of_subject();
	assert_int_equal(materials, 1);
}

static int
rotate(struct kill_rig *r)
{
	struct kmsc_rotation rotation;
	struct slk_error err = {0};

	return kmsc_rotate_key_on_demand(r->actor, subject.id, &rotation, &err);
}

static void
check_rotated(struct kill_rig *r, int rc, size_t before)
{
	struct kmsc_ciphertext new;

	assert_int_equal(kill_rig_keys_settled(r, subject.id), before);
	size_t now = materials_of_subject();
	assert_true(now == materials + 1 || (now == materials && rc != SLK_OK));
	kill_rig_decrypts(r, &old);
	kill_rig_encrypts(r, subject.id, &new);
	/* What wraps now is the new material, if there is one. */
	assert_int_equal(strcmp(new.material_id, old.material_id) != 0, now == materials + 1);
}

static void
prepare_periodic(struct kill_rig *r)
{
	struct slk_error err = {0};

	prepare_subject(r);
	kill_rig_need(r, kmsc_enable_key_rotation(r->kmsd.client, subject.id, 90, &err), &err);
	turned = atomic_load(&r->points->turned);
}

static bool
is_held(const struct kill_rig *r)
{
	return atomic_load(&r->points->held) != 0;
}

static int
let_period_end(struct kill_rig *r)
{
	atomic_fetch_add(&r->points->wall_ahead_ns, 91 * DAY_NS);
	while (atomic_load(&r->points->turned) == turned && !is_held(r))
		usleep(1000);
	return is_held(r) ? SLK_CLOSED : SLK_OK;
}

static bool
subject_has_turned(struct kill_rig *r)
{
	(void)r;
	return materials_of_subject() > materials;
}

/* It is due until it is done. */
static void
check_rotated_by_period(struct kill_rig *r, int rc, size_t before)
{
	struct slk_error err = {0};

	(void)rc;
	kill_rig_wait(r, subject_has_turned, "the key does not rotate");
	kill_rig_need(r, kmsc_disable_key_rotation(r->kmsd.client, subject.id, &err), &err);
	check_rotated(r, SLK_OK, before);
}

static const struct kill_sweep on_demand = {prepare_subject, rotate, check_rotated};
static const struct kill_sweep by_period = {
	prepare_periodic, let_period_end, check_rotated_by_period};

/* --- destruction --- */

static unsigned files;
static uint32_t destroyed;

/* Two backing keys. */
static void
prepare_doomed(struct kill_rig *r)
{
	struct kmsc_rotation rotation;
	struct kmsc_key key;
	struct slk_error err = {0};

	prepare_subject(r);
	kill_rig_need(
		r, kmsc_rotate_key_on_demand(r->kmsd.client, subject.id, &rotation, &err), &err);
	kill_rig_need(
		r, kmsc_schedule_key_deletion(r->kmsd.client, subject.id, 7, &key, &err), &err);
	files = kill_rig_files(r);
	destroyed = atomic_load(&r->points->destroyed);
}

static int
let_waiting_end(struct kill_rig *r)
{
	atomic_fetch_add(&r->points->wall_ahead_ns, 8 * DAY_NS);
	atomic_store(&r->points->uptime_ns, 8 * DAY_NS);
	while (atomic_load(&r->points->destroyed) < destroyed + 2 && !is_held(r))
		usleep(1000);
	return is_held(r) ? SLK_CLOSED : SLK_OK;
}

static bool
subject_is_gone(struct kill_rig *r)
{
	struct slk_error err = {0};
	struct kmsc_key key;

	return kmsc_describe_key(r->kmsd.client, subject.id, &key, &err) == SLK_NOT_FOUND &&
		kill_rig_files(r) + 2 <= files;
}

static void
check_destroyed(struct kill_rig *r, int rc, size_t before)
{
	struct kmsc_plaintext back = {.bytes = NULL};
	struct slk_error err = {0};

	(void)rc;
	/* A kill may lose uptime that was not counted yet; too much of it destroys nothing else here. */
	atomic_store(&r->points->uptime_ns, 8 * DAY_NS);
	kill_rig_wait(r, subject_is_gone, "the key does not end");
	assert_int_equal(kill_rig_keys_settled(r, ""), before - 1);
	assert_int_equal(kmsc_decrypt_with(r->kmsd.client, NULL, NULL, NULL,
				 slk_span(old.bytes, old.len), &back, &err),
		SLK_INVALID_CIPHERTEXT);
	assert_null(back.bytes);
}

static const struct kill_sweep destruction = {prepare_doomed, let_waiting_end, check_destroyed};

/* --- the tests --- */

static void
creation_survives_the_end_of_the_front(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_FRONT, &aes);
}

static void
creation_survives_the_end_of_the_worker(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_WORKER, &aes);
}

static void
creation_survives_the_end_of_all(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_ALL, &aes);
}

static void
creation_of_a_pair_survives_the_end_of_the_front(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_FRONT, &p256);
}

static void
creation_of_a_pair_survives_the_end_of_the_worker(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_WORKER, &p256);
}

static void
creation_of_a_pair_survives_the_end_of_all(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_ALL, &p256);
}

static void
rotation_on_demand_survives_the_end_of_the_front(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_FRONT, &on_demand);
}

static void
rotation_on_demand_survives_the_end_of_the_worker(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_WORKER, &on_demand);
}

static void
rotation_on_demand_survives_the_end_of_all(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_ALL, &on_demand);
}

static void
rotation_by_period_survives_the_end_of_the_front(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_FRONT, &by_period);
}

static void
rotation_by_period_survives_the_end_of_all(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_ALL, &by_period);
}

static void
destruction_survives_the_end_of_the_front(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_FRONT, &destruction);
}

static void
destruction_survives_the_end_of_the_worker(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_WORKER, &destruction);
}

static void
destruction_survives_the_end_of_all(void **state)
{
	(void)state;
	kill_rig_sweep(&rig, KILL_ALL, &destruction);
}

/* --- orphans --- */

static void
plant(struct p11_direct *d, uint8_t fill)
{
	static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	static char label[] = "sealock-cmk-5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
	uint8_t id[16];
	CK_ULONG len = 32;
	CK_MECHANISM m = {CKM_AES_KEY_GEN, NULL, 0};
	CK_OBJECT_HANDLE object;
	CK_ATTRIBUTE template[] = {{CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1},
		{CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}, {CKA_ENCRYPT, &yes, 1},
		{CKA_DECRYPT, &yes, 1}, {CKA_LABEL, label, sizeof(label) - 1}, {CKA_ID, id, 16},
		{CKA_VALUE_LEN, &len, sizeof(len)}};

	memset(id, fill, sizeof(id));
	p11_direct_check(
		d->fn->C_GenerateKey(d->session, &m, template, 9, &object), "C_GenerateKey");
}

static void
object_without_metadata_is_listed_and_kept(void **state)
{
	(void)state;
	char first[40] = "";

	assert_ok(create_aes(&rig));
	assert_int_equal(kill_rig_orphans(&rig, first), 0);
	unsigned before = kill_rig_files(&rig);
	assert_int_equal(kmsd_rig_stop(&rig.kmsd), 0);
	p11_direct_run(&rig.kmsd.hsm, plant, 0x5a);
	kill_rig_start(&rig);
	assert_int_equal(kill_rig_orphans(&rig, first), 1);
	assert_string_equal(first, "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
	assert_int_equal(kill_rig_all_works(&rig), 1);
	assert_int_equal(kill_rig_files(&rig), before + 1);
}

/* --- the program under test is not the one that is installed --- */

static bool
program_names_failpoints(const char *path)
{
	static char bytes[1 << 24];
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	size_t len = fread(bytes, 1, sizeof(bytes), f);
	assert_true(feof(f) && !ferror(f));
	fclose(f);
	return memmem(bytes, len, FAILPOINTS_ENV, sizeof(FAILPOINTS_ENV)) != NULL;
}

static void
only_the_test_program_has_failpoints(void **state)
{
	(void)state;
	assert_true(program_names_failpoints(SLK_BUILD_DIR "/tests/failpoints/sealock-kmsd"));
	assert_false(program_names_failpoints(SLK_BUILD_DIR "/bin/sealock-kmsd"));
	assert_false(program_names_failpoints(SLK_BUILD_DIR "/bin/sealock-hsm-worker"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(creation_survives_the_end_of_the_front),
		T(creation_survives_the_end_of_the_worker),
		T(creation_survives_the_end_of_all),
		T(creation_of_a_pair_survives_the_end_of_the_front),
		T(creation_of_a_pair_survives_the_end_of_the_worker),
		T(creation_of_a_pair_survives_the_end_of_all),
		T(rotation_on_demand_survives_the_end_of_the_front),
		T(rotation_on_demand_survives_the_end_of_the_worker),
		T(rotation_on_demand_survives_the_end_of_all),
		T(rotation_by_period_survives_the_end_of_the_front),
		T(rotation_by_period_survives_the_end_of_all),
		T(destruction_survives_the_end_of_the_front),
		T(destruction_survives_the_end_of_the_worker),
		T(destruction_survives_the_end_of_all),
		T(object_without_metadata_is_listed_and_kept),
		cmocka_unit_test(only_the_test_program_has_failpoints),
	};
	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("kmsd_life_kill", tests, NULL, NULL);
}
