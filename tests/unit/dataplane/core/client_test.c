/* A client of the local port that writes whatever it likes into the memory that it shares: what is taken lies within the ring. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client.h"

#define RING (1u << 16)
#define COMPLETIONS 64u

static struct dp_client client;
static uint8_t *theirs; /* the client's mapping of the same memory */
static size_t bytes;

static int
setup(void **state)
{
	(void)state;
	const struct fmt_port_memory memory = {RING, COMPLETIONS, 1u << 20};
	int fd = -1;

	client = (struct dp_client){.fd = -1};
	assert_ok(dp_client_open(&client, &memory, &fd));
	bytes = fmt_port_memory_bytes(&memory);
	/* Its seals are final. */
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_not_equal(ftruncate(fd, 4096), 0);
	theirs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(theirs != MAP_FAILED);
	close(fd);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dp_client_close(&client);
	munmap(theirs, bytes);
	return 0;
}

static void
write_number(size_t at, uint64_t value)
{
	slk_put_le64(theirs + at, value);
}

static uint64_t
number(size_t at)
{
	return slk_get_le64(theirs + at);
}

static uint32_t
write_record(uint64_t at, uint64_t tag, uint16_t key_len, uint32_t data_len)
{
	const struct fmt_port_entry e = {.type = FMT_PORT_RECORD,
		.entry_bytes = fmt_port_record_bytes(key_len, data_len),
		.key_len = key_len,
		.data_len = data_len,
		.tag = tag,
		.handle = 1};

	fmt_port_entry_encode(&e, theirs + FMT_PORT_PAGE_BYTES + at % RING);
	return e.entry_bytes;
}

static int
next(struct fmt_port_entry *out_entry)
{
	const uint8_t *at = NULL;
	int rc = dp_client_next(&client, out_entry, &at);

	if (rc == SLK_OK) {
		const uint8_t *ring = client.map + FMT_PORT_PAGE_BYTES;
		assert_true(at >= ring + FMT_PORT_RECORD_BYTES);
		assert_true(at + out_entry->key_len + out_entry->data_len <= ring + RING);
	}
	return rc;
}

static void
records_are_taken_and_completed(void **state)
{
	(void)state;
	struct fmt_port_entry e;

	assert_int_equal(next(&e), SLK_AGAIN);
	assert_false(dp_client_has_more(&client));
	uint32_t n = write_record(0, 7, 3, 100);
	write_number(FMT_PORT_AT_SUBMITTED, n);
	assert_true(dp_client_has_more(&client));
	assert_ok(next(&e));
	assert_int_equal(e.tag, 7);
	dp_client_took(&client, &e);
	assert_int_equal(number(FMT_PORT_AT_TAKEN), 0); /* not said yet */
	dp_client_publish(&client);
	assert_int_equal(number(FMT_PORT_AT_TAKEN), n);
	assert_int_equal(number(FMT_PORT_AT_COMPLETED), 0);
	dp_client_complete(&client, &(struct fmt_port_completion){.tag = 7, .status = SLK_DENIED});
	theirs[FMT_PORT_AT_CLIENT_SLEEPS] = 1;
	dp_client_publish(&client);
	assert_true(client.bell);
	assert_int_equal(number(FMT_PORT_AT_COMPLETED), 1);
	dp_client_sleeps(&client, true);
	assert_int_equal(theirs[FMT_PORT_AT_INGESTD_SLEEPS], 1);
	dp_client_sleeps(&client, false);
	assert_int_equal(theirs[FMT_PORT_AT_INGESTD_SLEEPS], 0);
}

static void
no_record_is_taken_without_room_for_its_completion(void **state)
{
	(void)state;
	struct fmt_port_entry e;
	uint64_t at = 0;

	for (unsigned i = 0; i < COMPLETIONS + 1; i++)
		at += write_record(at, i, 1, 1);
	write_number(FMT_PORT_AT_SUBMITTED, at);
	for (unsigned i = 0; i < COMPLETIONS; i++) {
		assert_ok(next(&e));
		dp_client_took(&client, &e);
	}
	assert_int_equal(next(&e), SLK_AGAIN);
	assert_false(dp_client_has_more(&client));
	for (unsigned i = 0; i < COMPLETIONS; i++)
		dp_client_complete(
			&client, &(struct fmt_port_completion){.tag = i, .status = SLK_DENIED});
	dp_client_publish(&client);
	assert_int_equal(next(&e), SLK_AGAIN); /* complete, and not read */
	write_number(FMT_PORT_AT_READ, 1);
	assert_true(dp_client_has_more(&client));
	assert_ok(next(&e));
	/* What was read does not become unread, and what was not written is not read. */
	write_number(FMT_PORT_AT_READ, 0);
	assert_int_equal(next(&e), SLK_MALFORMED);
	write_number(FMT_PORT_AT_READ, COMPLETIONS + 1);
	assert_int_equal(next(&e), SLK_MALFORMED);
}

static void
positions_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	static const uint64_t bad[] = {1, 4, 7, RING + 8, 1ull << 40, UINT64_MAX, UINT64_MAX - 7};
	struct fmt_port_entry e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_number(FMT_PORT_AT_SUBMITTED, bad[i]);
		assert_int_equal(next(&e), SLK_MALFORMED);
	}
	assert_int_equal(client.taken, 0);
}

static void
pads_end_where_the_ring_does(void **state)
{
	(void)state;
	const struct fmt_port_entry whole = {.type = FMT_PORT_PAD, .entry_bytes = RING};
	const struct fmt_port_entry part = {.type = FMT_PORT_PAD, .entry_bytes = RING - 8};
	struct fmt_port_entry e;

	write_number(FMT_PORT_AT_SUBMITTED, RING);
	fmt_port_entry_encode(&part, theirs + FMT_PORT_PAGE_BYTES);
	assert_int_equal(next(&e), SLK_MALFORMED);
	fmt_port_entry_encode(&whole, theirs + FMT_PORT_PAGE_BYTES);
	assert_int_equal(next(&e), SLK_AGAIN);
	assert_int_equal(client.taken, RING);
	/* Pads without an end are looked at one or two at a time. */
	write_number(FMT_PORT_AT_SUBMITTED, 2 * RING);
	assert_int_equal(next(&e), SLK_AGAIN);
	assert_int_equal(client.taken, 2 * RING);
}

/* SplitMix64 */
static uint64_t
draw(uint64_t *seed, uint64_t below)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % below;
}

static void
garbage_is_refused_or_lies_within_the_ring(void **state)
{
	(void)state;
	struct fmt_port_entry e;
	uint64_t seed = 1;
	unsigned taken = 0;

	for (unsigned round = 0; round < 3000; round++) {
		teardown(NULL);
		setup(NULL);
		uint64_t at = draw(&seed, RING / 8) * 8;
		client.taken = at; /* as if it had come so far */
		write_record(at, round, (uint16_t)(draw(&seed, 8) + 1), (uint32_t)draw(&seed, 64));
		uint8_t *entry = theirs + FMT_PORT_PAGE_BYTES + at % RING;
		for (unsigned i = 0; i < 2 && round % 4 != 0; i++) {
			size_t where = (size_t)draw(&seed, 40);
			if (entry + where < theirs + bytes)
				entry[where] = (uint8_t)draw(&seed, 256);
		}
		write_number(FMT_PORT_AT_SUBMITTED, at + draw(&seed, 64) * 8);
		taken += next(&e) == SLK_OK;
	}
	assert_true(taken > 150); /* and is no reason to refuse all */
}

static void
handles_that_were_given_back_are_nobodys(void **state)
{
	(void)state;
	struct dp_right *right = (struct dp_right *)&client; /* never looked at */
	uint32_t handle[DP_ATTACHING_MAX + 1];

	for (unsigned i = 0; i < DP_ATTACHING_MAX; i++)
		assert_ok(dp_client_attach(&client, right, i, &handle[i]));
	assert_int_equal(
		dp_client_attach(&client, right, 99, &handle[DP_ATTACHING_MAX]), SLK_LIMIT);
	struct dp_attachment *a = dp_client_attachment(&client, handle[5]);
	assert_non_null(a);
	assert_int_equal(a->request_id, 5);
	dp_client_detach(&client, a);
	assert_null(dp_client_attachment(&client, handle[5]));
	assert_ok(dp_client_attach(&client, right, 99, &handle[DP_ATTACHING_MAX]));
	assert_int_not_equal(handle[DP_ATTACHING_MAX], handle[5]);
	assert_null(dp_client_attachment(&client, handle[5]));
	assert_null(dp_client_attachment(&client, UINT32_MAX));
	assert_null(dp_client_attachment(&client, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(records_are_taken_and_completed),
		TEST(no_record_is_taken_without_room_for_its_completion),
		TEST(positions_that_make_no_sense_are_refused),
		TEST(pads_end_where_the_ring_does),
		TEST(garbage_is_refused_or_lies_within_the_ring),
		TEST(handles_that_were_given_back_are_nobodys),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
