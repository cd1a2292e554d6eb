/* Threats, row 9, through all of kmsd: front, worker or everything is killed while the token makes the key of a CreateKey
 * or of a RotateKeyOnDemand. Soon after, without an operator, every key of the catalog is usable, what was sealed before
 * opens, and the token has no object without a row. (The front at every disk call: kms_service_kill_test; the worker at
 * every call of the module: hsm_crash_test.) */
#include "slk_test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kmsclient/crypto.h"
#include "kmsclient/life.h"
#include "kmsd_rig.h"

#define LIMIT_NS (20 * SLK_NS_PER_S)
#define KEYS_MAX 50u

static struct kmsd_rig rig;
static struct slk_error err;
static struct kmsc_key key;
static struct kmsc_ciphertext blob;

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static uint64_t
limit_ns(void)
{
	return slk_mono_ns(slk_clock_system()) + LIMIT_NS;
}

static bool
is_over(uint64_t limit)
{
	usleep(5000);
	return slk_mono_ns(slk_clock_system()) > limit;
}

static int
setup(void **state)
{
	struct slk_secret *plain = NULL;

	(void)state;
	kmsd_rig_init(&rig);
	rig.log_level = "warn";
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	ok(kmsc_create_key(rig.client, "", &key, &err));
	ok(kmsc_data_key(rig.client, key.arn, NULL, 32, &blob, &plain, &err));
	slk_secret_free(plain);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kmsd_rig_fini(&rig);
	return 0;
}

/* --- a client that asks, and whose answer is nobody's business --- */

static int
create(struct kmsc *client)
{
	struct kmsc_key made;

	return kmsc_create_key(client, "asked for", &made, &err);
}

static int
rotate(struct kmsc *client)
{
	struct kmsc_rotation rotation;

	return kmsc_rotate_key_on_demand(client, key.id, &rotation, &err);
}

static pid_t
ask_aside(int (*ask)(struct kmsc *))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	struct kmsc *client = NULL;
	int rc = kmsc_new(rig.socket, 3000, &client);
	_exit(rc == SLK_OK && ask(client) == SLK_OK ? 0 : 1);
}

/* --- what must hold --- */

static bool
is_settled(const struct kmsc_key *keys, size_t count)
{
	struct kmsc_rotation rotation;

	for (size_t i = 0; i < count; i++) {
		struct kmsc_key described;
		if (kmsc_describe_key(rig.client, keys[i].id, &described, &err) != SLK_OK ||
			strcmp(described.state, "Enabled") != 0)
			return false;
	}
	return kmsc_get_key_rotation_status(rig.client, key.id, &rotation, &err) == SLK_OK &&
		rotation.on_demand_start_ns == 0;
}

static size_t
wait_settled(struct kmsc_key keys[KEYS_MAX])
{
	uint64_t limit = limit_ns();
	char next[64];
	size_t count = 0;

	while (kmsc_list_keys(rig.client, "", keys, KEYS_MAX, &count, next, &err) != SLK_OK ||
		!is_settled(keys, count)) {
		if (is_over(limit))
			fail_msg("keys are not finished: %s", err.text);
	}
	return count;
}

static void
assert_usable(const struct kmsc_key *k)
{
	struct kmsc_ciphertext wrapped;
	struct kmsc_plaintext back;
	struct slk_secret *plain = NULL;

	ok(kmsc_data_key(rig.client, k->id, NULL, 32, &wrapped, &plain, &err));
	ok(kmsc_decrypt_with(
		rig.client, NULL, NULL, NULL, slk_span(wrapped.bytes, wrapped.len), &back, &err));
	assert_true(slk_equal_ct(slk_secret_peek(plain), slk_secret_peek(back.bytes), 32));
	slk_secret_free(plain);
	slk_secret_free(back.bytes);
}

static void
assert_nothing_is_lost_or_left(void)
{
	static struct kmsc_key keys[KEYS_MAX];
	struct kmsc_orphan orphans[4];
	struct kmsc_plaintext back;
	char next[64];
	size_t orphans_count = 9, count = wait_settled(keys);

	for (size_t i = 0; i < count; i++)
		assert_usable(&keys[i]);
	ok(kmsc_decrypt_with(
		rig.client, NULL, NULL, NULL, slk_span(blob.bytes, blob.len), &back, &err));
	slk_secret_free(back.bytes);
	ok(kmsc_list_orphans(rig.client, "", orphans, 4, &orphans_count, next, &err));
	assert_int_equal(orphans_count, 0);
}

/* --- who is killed --- */

static void
kill_one(pid_t pid)
{
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void
kill_front(void)
{
	kill_one(kmsd_rig_front(&rig));
}

static void
kill_worker(void)
{
	kill_one(kmsd_rig_worker(&rig));
}

static void
kill_both(void)
{
	kill_front();
	kill_worker();
}

/* Its children end with it; all is started anew. */
static void
kill_monitor(void)
{
	const pid_t children[] = {kmsd_rig_front(&rig), kmsd_rig_worker(&rig)};
	uint64_t limit = limit_ns();

	kill_one(rig.kmsd);
	assert_int_equal(kmsd_rig_wait_end(&rig), 128 + SIGKILL);
	for (size_t i = 0; i < 2; i++) {
		while (children[i] > 0 && kill(children[i], 0) == 0)
			assert_false(is_over(limit));
	}
	kmsd_rig_start(&rig);
}

/* Objects that the catalog knows on the token: each key's first, and what the rotations of ours made. */
static size_t
materials_count(void)
{
	static struct kmsc_key keys[KEYS_MAX];
	static struct kmsc_material materials[KEYS_MAX];
	char next[64];
	size_t keys_count = wait_settled(keys), count = 0;

	ok(kmsc_list_key_rotations(
		rig.client, key.id, "", materials, KEYS_MAX, &count, next, &err));
	return keys_count - 1 + count;
}

static void
kill_while_the_token_makes_a_key(int (*ask)(struct kmsc *), void (*kill_them)(void))
{
	uint64_t calls = p11shim_calls(rig.hsm.shim, P11SHIM_C_GenerateKey), limit = limit_ns();
	size_t before = materials_count();

	p11shim_delay(rig.hsm.shim, P11SHIM_C_GenerateKey, 1, 300);
	pid_t client = ask_aside(ask);
	while (p11shim_calls(rig.hsm.shim, P11SHIM_C_GenerateKey) == calls)
		assert_false(is_over(limit));
	kill_them();
	assert_nothing_is_lost_or_left();
	assert_int_equal(waitpid(client, NULL, 0), client);
	assert_nothing_is_lost_or_left(); /* whatever the client did after that */
	assert_int_equal(materials_count(), before + 1); /* what was begun is finished, once */
	p11shim_heal(rig.hsm.shim, P11SHIM_C_GenerateKey);
}

#define KILL_CASE(name, ask, kill_them) \
	static void name(void **state) \
	{ \
		(void)state; \
		kill_while_the_token_makes_a_key(ask, kill_them); \
	}
KILL_CASE(front_killed_in_create, create, kill_front)
KILL_CASE(worker_killed_in_create, create, kill_worker)
KILL_CASE(both_killed_in_create, create, kill_both)
KILL_CASE(everything_killed_in_create, create, kill_monitor)
KILL_CASE(front_killed_in_rotate, rotate, kill_front)
KILL_CASE(worker_killed_in_rotate, rotate, kill_worker)
KILL_CASE(both_killed_in_rotate, rotate, kill_both)
KILL_CASE(everything_killed_in_rotate, rotate, kill_monitor)

int
main(void)
{
	/* One after the other on the same token: what one leaves behind the next would find. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(front_killed_in_create),
		cmocka_unit_test(worker_killed_in_create),
		cmocka_unit_test(both_killed_in_create),
		cmocka_unit_test(everything_killed_in_create),
		cmocka_unit_test(front_killed_in_rotate),
		cmocka_unit_test(worker_killed_in_rotate),
		cmocka_unit_test(both_killed_in_rotate),
		cmocka_unit_test(everything_killed_in_rotate),
	};

	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("kmsd_kill", tests, setup, teardown);
}
