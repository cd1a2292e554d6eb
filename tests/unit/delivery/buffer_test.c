/* Buffers: they grow without a copy left behind, are locked and out of dumps, and the pool bounds them together. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"

#define KIB 1024u
#define STEP (64u * KIB)

static struct dlv_pool *
pool_of(uint64_t max_bytes)
{
	struct dlv_pool *pool = NULL;

	assert_ok(dlv_pool_new(max_bytes, true, &pool));
	return pool;
}

static void
fill(uint8_t *out, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 31 + seed);
}

static void
grows_and_keeps_its_bytes(void **state)
{
	(void)state;
	struct dlv_pool *pool = pool_of(64u << 20);
	struct dlv_buffer buffer;
	uint8_t part[5000], want[5000];

	dlv_buffer_init(&buffer, pool);
	for (unsigned i = 0; i < 200; i++) {
		fill(part, sizeof(part), i);
		assert_ok(dlv_buffer_append(&buffer, slk_span(part, sizeof(part))));
	}
	assert_int_equal(buffer.len, 1000000);
	for (unsigned i = 0; i < 200; i++) {
		fill(want, sizeof(want), i);
		assert_memory_equal(buffer.bytes + i * sizeof(want), want, sizeof(want));
	}
	assert_int_equal(dlv_pool_used(pool), buffer.cap);
	dlv_buffer_fini(&buffer);
	assert_int_equal(dlv_pool_used(pool), 0);
	assert_null(buffer.bytes);
	dlv_pool_free(pool);
}

static void
the_pool_is_the_limit(void **state)
{
	(void)state;
	struct dlv_pool *pool = pool_of(4 * STEP);
	struct dlv_buffer one, two;

	dlv_buffer_init(&one, pool);
	dlv_buffer_init(&two, pool);
	assert_ok(dlv_buffer_reserve(&one, 3 * STEP));
	assert_ok(dlv_buffer_append(&two, slk_span("x", 1)));
	uint8_t *bytes = two.bytes;
	assert_int_equal(dlv_buffer_reserve(&two, STEP), SLK_LIMIT);
	assert_ptr_equal(two.bytes, bytes);
	assert_int_equal(two.len, 1);
	assert_int_equal(two.cap, STEP);
	assert_int_equal(dlv_pool_used(pool), 4 * STEP);
	assert_int_equal(dlv_buffer_reserve(&two, SIZE_MAX - 10), SLK_LIMIT);
	dlv_buffer_fini(&one);
	/* Half as much again is not there; what is needed is. */
	assert_ok(dlv_buffer_reserve(&two, 4 * STEP - 1));
	assert_int_equal(dlv_pool_used(pool), 4 * STEP);
	dlv_buffer_fini(&two);
	dlv_pool_free(pool);
}

static void
pages_are_used_again_wiped_and_give_way(void **state)
{
	(void)state;
	struct dlv_pool *pool = pool_of(16 * STEP);
	struct dlv_buffer one, two;
	uint8_t part[1000];

	fill(part, sizeof(part), 9);
	dlv_buffer_init(&one, pool);
	dlv_buffer_init(&two, pool);
	assert_ok(dlv_buffer_reserve(&one, 8 * STEP));
	assert_ok(dlv_buffer_append(&one, slk_span(part, sizeof(part))));
	uint8_t *bytes = one.bytes;
	dlv_buffer_fini(&one);
	assert_int_equal(dlv_pool_used(pool), 0);
	/* A small one stays small, and leaves them to the next batch. */
	assert_ok(dlv_buffer_reserve(&one, 1));
	assert_int_equal(one.cap, STEP);
	assert_ok(dlv_buffer_reserve(&two, 4 * STEP));
	assert_ptr_equal(two.bytes, bytes); /* the same pages, more than was asked for */
	assert_int_equal(two.cap, 8 * STEP);
	assert_int_equal(two.len, 0);
	assert_int_equal(dlv_pool_used(pool), 9 * STEP);
	dlv_buffer_fini(&one);
	for (size_t i = 0; i < two.cap; i++)
		assert_int_equal(two.bytes[i], 0);
	dlv_buffer_fini(&two);

	/* What is kept takes nobody's room. */
	assert_ok(dlv_buffer_reserve(&one, 16 * STEP));
	assert_int_equal(dlv_pool_used(pool), 16 * STEP);
	dlv_buffer_fini(&one);

	/* Where memory is scarce, a small buffer does not get a large mapping. */
	assert_ok(dlv_buffer_reserve(&one, STEP));
	assert_int_equal(one.cap, STEP);
	dlv_buffer_fini(&one);
	dlv_pool_free(pool);
}

static void
what_is_cut_off_is_wiped(void **state)
{
	(void)state;
	static const uint8_t zeros[100];
	struct dlv_pool *pool = pool_of(STEP);
	struct dlv_buffer buffer;
	uint8_t part[300];

	dlv_buffer_init(&buffer, pool);
	fill(part, sizeof(part), 7);
	assert_ok(dlv_buffer_append(&buffer, slk_span(part, sizeof(part))));
	dlv_buffer_cut(&buffer, 200);
	assert_int_equal(buffer.len, 200);
	assert_memory_equal(buffer.bytes, part, 200);
	assert_memory_equal(buffer.bytes + 200, zeros, 100);
	dlv_buffer_fini(&buffer);
	dlv_pool_free(pool);
}

/* The flags of the mapping that holds address: " lo " locked, " dd " not dumped, " wf " wiped in a child. */
static void
flags_of(const void *address, char *out, size_t cap)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	bool inside = false;

	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, cap, "%s", line);
	}
	fclose(f);
}

static void
stays_locked_and_undumped_when_it_grows(void **state)
{
	(void)state;
	struct dlv_pool *pool = pool_of(16 * STEP);
	struct dlv_buffer buffer;
	char flags[512];

	dlv_buffer_init(&buffer, pool);
	for (unsigned i = 1; i <= 2; i++) {
		assert_ok(dlv_buffer_reserve(&buffer, i * 4 * STEP));
		flags_of(buffer.bytes + buffer.cap - 1, flags, sizeof(flags));
		assert_non_null(strstr(flags, " lo"));
		assert_non_null(strstr(flags, " dd"));
		assert_non_null(strstr(flags, " wf"));
	}
	dlv_buffer_fini(&buffer);
	dlv_pool_free(pool);
}

/* In a child without the right to lock more than so much, which is less than the pool. What is not locked grows all the same, and
 * leaves to others what may be locked. */
static int
without_locks(bool lock, rlim_t bytes)
{
	const struct rlimit few = {bytes, bytes};
	uint8_t *other =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dlv_pool *pool = NULL;
	struct dlv_buffer buffer;

	if (other == MAP_FAILED || setrlimit(RLIMIT_MEMLOCK, &few) != 0 ||
		setresuid(65534, 65534, 65534) != 0)
		return 77;
	if (dlv_pool_new(4 * STEP, lock, &pool) != SLK_OK)
		return 1;
	dlv_buffer_init(&buffer, pool);
	int rc = dlv_buffer_append(&buffer, slk_span("x", 1));
	bool good = lock ? rc == SLK_NO_MEMORY && dlv_pool_used(pool) == 0 && buffer.cap == 0
			 : rc == SLK_OK && dlv_buffer_reserve(&buffer, 3 * STEP) == SLK_OK &&
			syscall(SYS_mlock, other, 4096) == 0;
	dlv_buffer_fini(&buffer);
	dlv_pool_free(pool);
	return good ? 0 : 1;
}

static void
memory_that_cannot_be_locked_is_refused_unless_told_otherwise(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	static const struct {
		bool lock;
		rlim_t bytes;
	} cases[] = {{false, 4096}, {true, 4096}, {false, 2 * STEP}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = 0;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(without_locks(cases[i].lock, cases[i].bytes));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_keeps_its_bytes),
		cmocka_unit_test(the_pool_is_the_limit),
		cmocka_unit_test(pages_are_used_again_wiped_and_give_way),
		cmocka_unit_test(what_is_cut_off_is_wiped),
		cmocka_unit_test(stays_locked_and_undumped_when_it_grows),
		cmocka_unit_test(memory_that_cannot_be_locked_is_refused_unless_told_otherwise),
	};

	return cmocka_run_group_tests_name("delivery/buffer", tests, NULL, NULL);
}
