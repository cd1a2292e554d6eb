#include "slk_test.h"

#include "kill_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p11_direct.h"

#define WAIT_NS (20 * SLK_NS_PER_S)
#define POINTS_MAX 60u
#define TEXT "it is here"
#define ENDED "\"ended by a signal\" program="

static uint64_t
now_ns(void)
{
	return slk_mono_ns(slk_clock_system());
}

static void
fail_with_log(struct kill_rig *rig, const char *what)
{
	char command[256];

	snprintf(command, sizeof(command), "tail -30 '%s' >&2", rig->kmsd.log);
	(void)!system(command);
	fail_msg("%s", what);
}

void
kill_rig_need(struct kill_rig *rig, int rc, const struct slk_error *err)
{
	if (rc != SLK_OK)
		fail_with_log(rig, err->text);
}

void
kill_rig_wait(struct kill_rig *rig, bool (*seen)(struct kill_rig *), const char *what)
{
	uint64_t limit = now_ns() + WAIT_NS;

	while (!seen(rig)) {
		if (now_ns() > limit)
			fail_with_log(rig, what);
		usleep(1000);
	}
}

/* --- the three processes --- */

static void
map_points(struct kill_rig *rig)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/kms/failpoints", rig->kmsd.base);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0666), 0);
	assert_int_equal(ftruncate(fd, sizeof(*rig->points)), 0);
	rig->points = mmap(NULL, sizeof(*rig->points), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(rig->points != MAP_FAILED);
	close(fd);
	assert_int_equal(setenv(FAILPOINTS_ENV, path, 1), 0);
}

static bool
is_settled(struct kill_rig *rig)
{
	struct kmsc_status status = {0};
	struct slk_error err = {0};

	rig->worker = kmsd_rig_worker(&rig->kmsd);
	rig->front = kmsd_rig_front(&rig->kmsd);
	/* A child is called as its parent until it is another program. */
	if (rig->worker == 0 || rig->front == 0 || rig->front == rig->worker)
		return false;
	/* One that is dead and not yet buried is still listed. */
	if (rig->worker == rig->dead_worker || rig->front == rig->dead_front)
		return false;
	return kmsc_status(rig->kmsd.client, &status, &err) == SLK_OK && status.hsm_ok &&
		status.hsm_workers_count == 1 && status.hsm_workers[0].pid == (uint32_t)rig->worker;
}

void
kill_rig_settle(struct kill_rig *rig)
{
	kill_rig_wait(rig, is_settled, "kmsd does not come up");
}

void
kill_rig_start(struct kill_rig *rig)
{
	kmsd_rig_start(&rig->kmsd);
	kill_rig_settle(rig);
}

void
kill_rig_init(struct kill_rig *rig)
{
	static char worker[] = "  worker_program: " SLK_BUILD_DIR "/bin/sealock-hsm-worker\n";

	memset(rig, 0, sizeof(*rig));
	if (access("/dev/shm", W_OK | X_OK) == 0)
		assert_int_equal(setenv("TMPDIR", "/dev/shm", 1), 0);
	kmsd_rig_init(&rig->kmsd);
	rig->kmsd.program = SLK_BUILD_DIR "/tests/failpoints/sealock-kmsd";
	rig->kmsd.hsm_lines = worker;
	map_points(rig);
	assert_ok(kmsc_new(rig->kmsd.socket, 10000, &rig->actor));
	assert_ok(slk_secret_from(TEXT, sizeof(TEXT) - 1, &rig->plain));
	kill_rig_start(rig);
}

void
kill_rig_fini(struct kill_rig *rig)
{
	atomic_store(&rig->points->released, 1);
	slk_secret_free(rig->plain);
	kmsc_free(rig->actor);
	kmsd_rig_fini(&rig->kmsd);
	(void)munmap(rig->points, sizeof(*rig->points));
}

unsigned
kill_rig_files(const struct kill_rig *rig)
{
	char path[256];
	unsigned count = 0;
	struct dirent *e;
	DIR *tokens = opendir(rig->kmsd.hsm.tokens);

	assert_non_null(tokens);
	while ((e = readdir(tokens)) != NULL) {
		snprintf(path, sizeof(path), "%s/%.100s", rig->kmsd.hsm.tokens, e->d_name);
		struct dirent *o;
		DIR *token = e->d_name[0] != '.' ? opendir(path) : NULL;
		while (token != NULL && (o = readdir(token)) != NULL) {
			size_t len = strlen(o->d_name);
			count += len > 7 && strcmp(o->d_name + len - 7, ".object") == 0;
		}
		if (token != NULL)
			closedir(token);
	}
	closedir(tokens);
	return count;
}

/* --- what has to hold --- */

void
kill_rig_signs(struct kill_rig *rig, const char *id)
{
	const struct kmsc_message message = {slk_span_str(TEXT), false};
	struct kmsc *c = rig->kmsd.client;
	struct kmsc_signature s;
	struct slk_error err = {0};

	kill_rig_need(rig, kmsc_sign(c, id, "ECDSA_SHA_256", &message, &s, &err), &err);
	kill_rig_need(rig,
		kmsc_verify(c, id, "ECDSA_SHA_256", &message, slk_span(s.bytes, s.len), NULL, &err),
		&err);
}

void
kill_rig_decrypts(struct kill_rig *rig, const struct kmsc_ciphertext *blob)
{
	struct kmsc_plaintext back = {.bytes = NULL};
	struct slk_error err = {0};

	kill_rig_need(rig,
		kmsc_decrypt_with(rig->kmsd.client, NULL, NULL, NULL,
			slk_span(blob->bytes, blob->len), &back, &err),
		&err);
	assert_int_equal(slk_secret_len(back.bytes), sizeof(TEXT) - 1);
	assert_memory_equal(slk_secret_peek(back.bytes), TEXT, sizeof(TEXT) - 1);
	slk_secret_free(back.bytes);
}

void
kill_rig_encrypts(struct kill_rig *rig, const char *id, struct kmsc_ciphertext *out)
{
	struct slk_error err = {0};

	kill_rig_need(rig,
		kmsc_encrypt_with(rig->kmsd.client, id, NULL, NULL, rig->plain, out, &err), &err);
	kill_rig_decrypts(rig, out);
}

size_t
kill_rig_materials(struct kmsc *c, const char *id, struct slk_error *err)
{
	static struct kmsc_material materials[64];
	char next[KMSC_MARKER_MAX];
	size_t count = 0;

	if (kmsc_list_key_rotations(c, id, "", materials, 64, &count, next, err) != SLK_OK)
		return 0;
	assert_true(count < 64);
	return count;
}

size_t
kill_rig_orphans(struct kill_rig *rig, char out_first[40])
{
	struct kmsc_orphan orphans[8];
	char next[KMSC_MARKER_MAX] = "";
	struct slk_error err = {0};
	size_t count = 0;

	do { /* pages may be empty */
		kill_rig_need(rig,
			kmsc_list_orphans(rig->kmsd.client, next, orphans, 8, &count, next, &err),
			&err);
	} while (count == 0 && next[0] != '\0');
	if (count > 0)
		memcpy(out_first, orphans[0].backing_id, sizeof(orphans[0].backing_id));
	return count;
}

static size_t
list(struct kill_rig *rig, struct kmsc_key out[KILL_RIG_KEYS_MAX])
{
	struct slk_error err = {0};
	char next[64] = "";
	size_t total = 0, count;

	do {
		kill_rig_need(rig,
			kmsc_list_keys(rig->kmsd.client, next, out + total,
				KILL_RIG_KEYS_MAX - total, &count, next, &err),
			&err);
		total += count;
		assert_true(total < KILL_RIG_KEYS_MAX);
	} while (next[0] != '\0');
	return total;
}

static bool
is_at_rest(struct kill_rig *rig, const char *id, struct kmsc_key *out)
{
	struct kmsc *c = rig->kmsd.client;
	struct kmsc_rotation rotation = {.on_demand_start_ns = 0};
	struct slk_error err = {0};

	kill_rig_need(rig, kmsc_describe_key(c, id, out, &err), &err);
	if (strcmp(out->state, "Creating") == 0 || strcmp(out->state, "Unavailable") == 0)
		return false;
	if (out->spec[0] == 'S')
		kill_rig_need(rig, kmsc_get_key_rotation_status(c, id, &rotation, &err), &err);
	return rotation.on_demand_start_ns == 0;
}

static const char *restless; /* the key that is waited for */
static struct kmsc_key rested;

static bool
rests(struct kill_rig *rig)
{
	return is_at_rest(rig, restless, &rested);
}

static void
wait_at_rest(struct kill_rig *rig, const char *id)
{
	restless = id;
	kill_rig_wait(rig, rests, "a key stays unfinished");
}

size_t
kill_rig_keys_settled(struct kill_rig *rig, const char *id)
{
	static struct kmsc_key keys[KILL_RIG_KEYS_MAX];
	char first[40] = "";
	size_t count = list(rig, keys);
	bool found = id[0] == '\0';

	for (size_t i = 0; i < count; i++) {
		wait_at_rest(rig, keys[i].id);
		found = found || strcmp(keys[i].id, id) == 0;
	}
	assert_true(found);
	if (kill_rig_orphans(rig, first) != 0)
		fail_with_log(rig, first);
	return count;
}

size_t
kill_rig_all_works(struct kill_rig *rig)
{
	static struct kmsc_key keys[KILL_RIG_KEYS_MAX];
	struct kmsc_ciphertext blob;
	struct slk_error err = {0};
	size_t count = list(rig, keys);

	rig->objects = 0;
	for (size_t i = 0; i < count; i++) {
		const char *id = keys[i].id;
		wait_at_rest(rig, id);
		bool pair = rested.spec[0] == 'E';
		size_t materials = pair ? 1 : kill_rig_materials(rig->kmsd.client, id, &err);
		assert_true(materials > 0);
		rig->objects += (unsigned)materials * (pair ? 2 : 1);
		if (strcmp(rested.state, "PendingDeletion") == 0)
			continue;
		assert_string_equal(rested.state, "Enabled");
		if (pair)
			kill_rig_signs(rig, id);
		else
			kill_rig_encrypts(rig, id, &blob);
	}
	return count;
}

/* In the child. Objects of ours on the token: as many as the catalog knows, no two of a class with one id. */
static unsigned objects_known;

static void
compare_token(struct p11_direct *d, uint8_t fill)
{
	static CK_OBJECT_HANDLE found[512];
	static struct {
		CK_OBJECT_CLASS class;
		uint8_t id[16];
	} ids[512];
	CK_ULONG count = 0, ours = 0;

	(void)fill;
	p11_direct_check(d->fn->C_FindObjectsInit(d->session, NULL, 0), "C_FindObjectsInit");
	p11_direct_check(d->fn->C_FindObjects(d->session, found, 512, &count), "C_FindObjects");
	for (CK_ULONG i = 0; i < count; i++) {
		char label[64] = "";
		CK_ATTRIBUTE a[] = {{CKA_CLASS, &ids[ours].class, sizeof(ids[ours].class)},
			{CKA_ID, ids[ours].id, 16}, {CKA_LABEL, label, sizeof(label) - 1}};
		if (d->fn->C_GetAttributeValue(d->session, found[i], a, 3) != CKR_OK ||
			strncmp(label, "sealock-cmk-", 12) != 0)
			continue;
		for (CK_ULONG j = 0; j < ours; j++) {
			bool twice = memcmp(&ids[j], &ids[ours], sizeof(ids[j])) == 0;
			p11_direct_check(twice ? CKR_GENERAL_ERROR : CKR_OK, "two of one id");
		}
		ours++;
	}
	if (ours != objects_known)
		fprintf(stderr, "the token has %lu objects, the catalog %u\n", ours, objects_known);
	p11_direct_check(ours == objects_known ? CKR_OK : CKR_GENERAL_ERROR, "comparing the token");
}

/* --- killing --- */

struct work {
	struct kill_rig *rig;
	int (*run)(struct kill_rig *);
	int rc;
	_Atomic bool done;
};

static void *
run_work(void *arg)
{
	struct work *w = arg;

	w->rc = w->run(w->rig);
	atomic_store(&w->done, true);
	return NULL;
}

/* All at once, and wait until they hold no file and no lock any more. */
static void
kill_at_once(struct kill_rig *rig, const pid_t *pids, nfds_t count)
{
	struct pollfd ends[3];

	for (nfds_t i = 0; i < count; i++) {
		assert_true(pids[i] > 0);
		ends[i] = (struct pollfd){.fd = pidfd_open(pids[i], 0), .events = POLLIN};
		if (ends[i].fd < 0)
			fail_with_log(rig, "a process is gone that was not killed");
	}
	for (nfds_t i = 0; i < count; i++) /* a child may end by itself once its parent has */
		(void)pidfd_send_signal(ends[i].fd, SIGKILL, NULL, 0);
	for (nfds_t i = 0; i < count; i++) {
		assert_int_equal(poll(&ends[i], 1, 10000), 1);
		close(ends[i].fd);
	}
}

static void
kill_victim(struct kill_rig *rig, enum kill_victim victim)
{
	const pid_t all[] = {rig->kmsd.kmsd, rig->front, rig->worker};

	rig->dead_front = victim != KILL_WORKER ? rig->front : 0;
	rig->dead_worker = victim != KILL_FRONT ? rig->worker : 0;
	if (victim == KILL_ALL) {
		kill_at_once(rig, all, 3);
		(void)kmsd_rig_wait_end(&rig->kmsd);
	} else {
		kill_at_once(rig, victim == KILL_FRONT ? &rig->front : &rig->worker, 1);
	}
}

static void
wait_held_or_done(struct kill_rig *rig, struct work *w)
{
	uint64_t limit = now_ns() + 2 * WAIT_NS;

	while (atomic_load(&rig->points->held) == 0 && !atomic_load(&w->done)) {
		if (now_ns() > limit)
			fail_with_log(rig, "the work does not end");
		usleep(200);
	}
}

/* False: the work was done without passing the n-th point of that kind. */
static bool
work_and_kill(struct kill_rig *rig, enum kill_victim victim, enum failpoint kind, unsigned n,
	struct work *w)
{
	struct failpoints *points = rig->points;
	pthread_t thread;

	atomic_store(&points->held, 0);
	atomic_store(&points->released, 0);
	atomic_store(&points->kind, kind);
	atomic_store(&points->armed, n);
	assert_int_equal(pthread_create(&thread, NULL, run_work, w), 0);
	wait_held_or_done(rig, w);
	atomic_store(&points->armed, 0);
	bool held = atomic_load(&points->held) != 0;
	if (held)
		kill_victim(rig, victim);
	atomic_store(&points->released, 1);
	if (held && victim == KILL_ALL)
		kmsd_rig_start(&rig->kmsd);
	(void)pthread_join(thread, NULL);
	kill_rig_settle(rig);
	return held;
}

/* One kind of points; how many there were. */
static unsigned
sweep_kind(struct kill_rig *rig, enum kill_victim victim, enum failpoint kind,
	const struct kill_sweep *sweep)
{
	static struct kmsc_key keys[KILL_RIG_KEYS_MAX];
	unsigned n = 0;
	bool held = true;

	while (held) {
		struct work w = {.rig = rig, .run = sweep->work, .rc = SLK_INTERNAL};
		assert_true(++n < POINTS_MAX);
		if (sweep->prepare != NULL)
			sweep->prepare(rig);
		size_t keys_count = list(rig, keys);
		held = work_and_kill(rig, victim, kind, n, &w);
		if (!held)
			assert_int_equal(w.rc, SLK_OK);
		sweep->check(rig, w.rc, keys_count);
	}
	assert_true(n > 1);
	return n - 1;
}

static void
end_sweep(struct kill_rig *rig, enum kill_victim victim)
{
	(void)kill_rig_all_works(rig);
	/* It was the victim that ended, and nobody else. */
	assert_int_equal(kmsd_rig_logged(&rig->kmsd, ENDED "front"), victim == KILL_FRONT);
	assert_int_equal(kmsd_rig_logged(&rig->kmsd, ENDED "hsm-worker"), victim == KILL_WORKER);
	assert_false(kmsd_rig_logged(&rig->kmsd, "Sanitizer"));
	assert_int_equal(kmsd_rig_stop(&rig->kmsd), 0);
	objects_known = rig->objects;
	p11_direct_run(&rig->kmsd.hsm, compare_token, 0);
}

void
kill_rig_sweep(struct kill_rig *rig, enum kill_victim victim, const struct kill_sweep *sweep)
{
	unsigned points = 0;

	for (int kind = FAILPOINT_NONE + 1; kind < FAILPOINT_COUNT; kind++)
		points += sweep_kind(rig, victim, (enum failpoint)kind, sweep);
	print_message("killed at %u points\n", points);
	end_sweep(rig, victim);
}
