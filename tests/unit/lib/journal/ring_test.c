/* The latest groups of a lane in shared memory: what a reader gets is what was published, or nothing. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "journal/ring.h"
#include "journal_rig.h"
#include "slk_test.h"

#define SLOTS 4u
#define SLOT_BYTES 65536u

struct fixture {
	char dir[64];
	uint8_t uuid[16];
	struct jnl_ring ring;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->dir, "/tmp/slk-ring-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_ok(slk_random(f->uuid, sizeof(f->uuid)));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	jnl_ring_close(&f->ring);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void
make(struct fixture *f)
{
	struct slk_error err = {0};

	if (jnl_ring_new(&f->ring, f->dir, f->uuid, 3, SLOTS, SLOT_BYTES, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

static void
put(struct fixture *f, uint32_t slot, uint64_t file_id, uint64_t pos, uint32_t len, uint8_t fill)
{
	jnl_ring_begin(&f->ring, slot);
	memset(jnl_ring_buffer(&f->ring, slot), fill, len);
	jnl_ring_publish(&f->ring, slot, file_id, pos, len);
}

static void
what_was_published_is_read_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	uint8_t out[SLOT_BYTES];

	make(f);
	int fd = jnl_ring_open(f->dir, f->uuid, 3);
	assert_true(fd >= 0);
	assert_int_equal(jnl_ring_read(fd, 7, 4096, out, 100), 0);
	put(f, 0, 7, 4096, 8192, 0x11);
	put(f, 1, 7, 12288, 4096, 0x22);
	assert_int_equal(jnl_ring_read(fd, 7, 4096, out, sizeof(out)), 8192);
	for (size_t i = 0; i < 8192; i++)
		assert_int_equal(out[i], 0x11);
	assert_int_equal(jnl_ring_read(fd, 7, 12287, out, 100), 1);
	assert_int_equal(out[0], 0x11);
	assert_int_equal(jnl_ring_read(fd, 7, 12288, out, 100), 100);
	assert_int_equal(out[99], 0x22);
	assert_int_equal(jnl_ring_read(fd, 7, 16384, out, 100), 0); /* behind the last */
	assert_int_equal(jnl_ring_read(fd, 7, 4095, out, 100), 0); /* before the first */
	assert_int_equal(jnl_ring_read(fd, 8, 4096, out, 100), 0); /* another file */
	jnl_ring_begin(&f->ring, 0);
	assert_int_equal(jnl_ring_read(fd, 7, 4096, out, 100), 0); /* is being filled again */
	assert_int_equal(jnl_ring_read(fd, 7, 12288, out, 100), 100);
	close(fd);
	assert_int_equal(jnl_ring_read(-1, 7, 12288, out, 100), 0);
}

static void
only_the_journals_own_is_opened(void **state)
{
	struct fixture *f = *state;
	uint8_t other[16] = {1};
	char path[64];

	assert_int_equal(jnl_ring_open(f->dir, f->uuid, 3), -1);
	make(f);
	assert_int_equal(jnl_ring_open(f->dir, f->uuid, 4), -1);
	assert_int_equal(jnl_ring_open(f->dir, other, 3), -1);
	assert_int_equal(jnl_ring_open("/nowhere", f->uuid, 3), -1);

	struct stat st;
	memcpy(path, f->ring.path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(jnl_ring_open(f->dir, f->uuid, 3), -1);
	assert_int_equal(chmod(path, 0640), 0);
	int fd = jnl_ring_open(f->dir, f->uuid, 3);
	assert_true(fd >= 0);
	close(fd);

	/* Garbage in its place. */
	jnl_ring_close(&f->ring);
	assert_int_equal(stat(path, &st), -1);
	fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0640);
	assert_true(fd >= 0 && write(fd, "short", 5) == 5);
	close(fd);
	assert_int_equal(jnl_ring_open(f->dir, f->uuid, 3), -1);
	make(f); /* what a killed writer left is replaced */
	fd = jnl_ring_open(f->dir, f->uuid, 3);
	assert_true(fd >= 0);
	close(fd);

	/* A link is not followed. */
	jnl_ring_close(&f->ring);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(jnl_ring_open(f->dir, f->uuid, 3), -1);
	make(f);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

/* --- a writer and a reader at the same time --- */

struct race {
	struct fixture *f;
	_Atomic bool stop;
	uint64_t groups;
};

/* Each group's bytes are its number's. */
static void *
write_on(void *arg)
{
	struct race *r = arg;

	for (uint64_t n = 0; !atomic_load(&r->stop); n++) {
		put(r->f, n % SLOTS, 1, n * SLOT_BYTES, SLOT_BYTES, (uint8_t)n);
		r->groups = n + 1;
	}
	return NULL;
}

static void
no_torn_group_is_read(void **state)
{
	struct fixture *f = *state;
	struct race r = {.f = f};
	uint8_t *out = malloc(SLOT_BYTES);
	uint64_t hits = 0;
	pthread_t writer;

	assert_non_null(out);
	make(f);
	int fd = jnl_ring_open(f->dir, f->uuid, 3);
	assert_true(fd >= 0);
	assert_int_equal(pthread_create(&writer, NULL, write_on, &r), 0);
	for (uint64_t tries = 0, n = 0; tries < 2000000 && hits < 300; tries++, n++) {
		size_t len = jnl_ring_read(fd, 1, n * SLOT_BYTES, out, SLOT_BYTES);
		if (len == 0) { /* look where the writer is now */
			n = *(volatile uint64_t *)&r.groups;
			continue;
		}
		hits++;
		assert_int_equal(len, SLOT_BYTES);
		for (size_t i = 0; i < len; i++) {
			if (out[i] != (uint8_t)n)
				fail_msg("group %llu: byte %zu is of another one",
					(unsigned long long)n, i);
		}
	}
	atomic_store(&r.stop, true);
	pthread_join(writer, NULL);
	assert_true(hits > 0);
	close(fd);
	free(out);
}

/* --- a reader of the journal --- */

/* Whatever the disk gives back of the lane files, from now on. */
static void
spoil_files(const struct journal_rig *rig)
{
	static const uint8_t garbage[4096];
	char path[512];

	for (uint64_t id = 1; id < 4; id++) {
		(void)snprintf(
			path, sizeof(path), "%s/%020llu.slj", rig->dir, (unsigned long long)id);
		int fd = open(path, O_WRONLY);
		for (unsigned page = 1; fd >= 0 && page < 64; page++)
			assert_int_equal(pwrite(fd, garbage, sizeof(garbage), page * 4096), 4096);
		if (fd >= 0)
			close(fd);
	}
}

static unsigned
read_blocks(struct jnl_reader *reader, int *out_end)
{
	struct jnl_block block;
	unsigned n = 0;

	while ((*out_end = jnl_reader_next(reader, &block, NULL)) == SLK_OK)
		n++;
	return n;
}

static void
the_tip_is_read_without_the_file(void **state)
{
	struct journal_rig rig;
	struct jnl_reader *reader = NULL;
	int end = SLK_OK;

	(void)state;
	journal_rig_init(&rig);
	rig.share_tail = true;
	journal_rig_open(&rig);
	assert_string_equal(jnl_lane_tail_error(jnl_lane(rig.journal, 0)), "");
	const struct jnl_reader_config config = {
		.dir = rig.dir, .any_stream = true, .any_shard = true};
	assert_ok(jnl_reader_new(&config, &reader, NULL));
	assert_int_equal(read_blocks(reader, &end), 0);
	journal_rig_append(&rig, 1, 3, 1);
	spoil_files(&rig);
	assert_int_equal(read_blocks(reader, &end), 3);
	assert_int_equal(end, SLK_AGAIN);
	jnl_reader_free(reader);

	/* Without the ring the damage shows: the reader above did not read the file. */
	rig.share_tail = false;
	journal_rig_close(&rig, false);
	assert_ok(jnl_reader_new(&config, &reader, NULL));
	assert_int_equal(read_blocks(reader, &end), 0);
	assert_int_equal(end, SLK_CORRUPT);
	jnl_reader_free(reader);
	journal_rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_published_is_read_and_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_journals_own_is_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(no_torn_group_is_read, setup, teardown),
		cmocka_unit_test(the_tip_is_read_without_the_file),
	};

	return cmocka_run_group_tests_name("journal_ring", tests, NULL, NULL);
}
