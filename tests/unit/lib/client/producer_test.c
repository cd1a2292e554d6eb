/* The producer against the other end of the local port, turned by hand. */
#include "slk_test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fake_port.h"
#include "sealock/producer.h"

#define RING (1u << 16)

static struct fake_port port;
static struct sealock_producer *producer;
static struct sealock_completion done[8192];
static size_t count;
static struct slk_error err;

static int
setup(void **state)
{
	(void)state;
	fake_port_start(&port);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	sealock_producer_free(producer);
	producer = NULL;
	fake_port_stop(&port);
	return 0;
}

static void
start_with(uint32_t ring_bytes, uint32_t records_max)
{
	const struct sealock_producer_config config = {.socket = port.path,
		.ring_bytes = ring_bytes,
		.records_max = records_max,
		.timeout_ms = 2000};

	assert_ok(sealock_producer_new_lazy(&config, &producer, &err));
}

static void
poll_some(size_t cap)
{
	assert_ok(sealock_producer_poll(producer, done, cap, &count));
}

/* Until both ends have nothing more to say; the timer of a lost connection may have to run out. */
static void
connect_both(void)
{
	for (unsigned i = 0; i < 500 && !sealock_producer_connected(producer); i++) {
		poll_some(0);
		fake_port_turn(&port);
		usleep(500);
	}
	assert_true(sealock_producer_connected(producer));
}

static uint32_t
attach(const char *name)
{
	struct sealock_stream_info info = {.status = SLK_AGAIN};
	uint32_t stream = 0;

	assert_ok(sealock_producer_attach(producer, name, 0, &stream));
	for (unsigned i = 0; i < 10 && info.status == SLK_AGAIN; i++) {
		fake_port_turn(&port);
		poll_some(0);
		assert_ok(sealock_producer_stream(producer, stream, &info));
	}
	assert_int_equal(info.status, port.attach_status);
	return stream;
}

static uint32_t
start(void)
{
	start_with(RING, 64);
	connect_both();
	return attach("web");
}

static int
put(uint32_t stream, uint64_t tag, const char *key, const void *data, size_t len)
{
	const struct sealock_put p = {.stream = stream,
		.tag = tag,
		.key = slk_span_str(key),
		.data = slk_span(data, len)};

	return sealock_producer_put(producer, &p);
}

/* --- records --- */

static void
a_record_arrives_as_it_was_put_and_comes_back_with_its_place(void **state)
{
	(void)state;
	static const uint8_t explicit_hash[16] = {1, 2, 3};
	uint32_t stream = start();

	assert_ok(put(stream, 42, "user-7", "hello", 5));
	assert_int_equal(sealock_producer_under_way(producer), 1);
	fake_port_turn(&port);
	assert_int_equal(port.taken_count, 1);
	assert_int_equal(port.taken[0].entry.key_len, 6);
	assert_int_equal(port.taken[0].entry.data_len, 5);
	assert_int_equal(port.taken[0].entry.handle, 101);
	assert_memory_equal(port.taken[0].key, "user-7", 6);
	assert_memory_equal(port.taken[0].data, "hello", 5);
	poll_some(10);
	assert_int_equal(count, 0); /* not durable yet */
	port.next_sequence = 77;
	fake_port_complete_all(&port, SLK_OK);
	poll_some(10);
	assert_int_equal(count, 1);
	assert_int_equal(done[0].tag, 42);
	assert_int_equal(done[0].status, SLK_OK);
	assert_int_equal(done[0].shard, 3);
	assert_int_equal(done[0].sequence, 77);
	assert_int_equal(done[0].arrival_ns, 1000);
	assert_int_equal(done[0].encryption, SEALOCK_ENCRYPTION_KMS);
	assert_int_equal(sealock_producer_under_way(producer), 0);
	const struct sealock_put p = {
		.stream = stream, .key = slk_span_str("k"), .hash = explicit_hash};
	assert_ok(sealock_producer_put(producer, &p)); /* without data */
	fake_port_turn(&port);
	assert_memory_equal(port.taken[0].entry.hash, explicit_hash, 16);
	assert_int_equal(port.taken[0].entry.data_len, 0);
}

static void
the_hash_key_is_md5_of_the_partition_key(void **state)
{
	(void)state;
	/* RFC 1321, A.5 */
	static const uint8_t abc[16] = {0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96,
		0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72};
	uint32_t stream = start();

	assert_ok(put(stream, 1, "abc", "", 0));
	fake_port_turn(&port);
	assert_memory_equal(port.taken[0].entry.hash, abc, 16);
}

static void
completions_come_in_any_order_and_refusals_too(void **state)
{
	(void)state;
	uint32_t stream = start();

	for (uint64_t i = 0; i < 5; i++)
		assert_ok(put(stream, 100 + i, "k", "x", 1));
	fake_port_turn(&port);
	fake_port_complete(&port, 3, SLK_OK);
	fake_port_complete(&port, 0, SLK_THROTTLED);
	poll_some(10);
	assert_int_equal(count, 2);
	assert_int_equal(done[0].tag, 103);
	assert_int_equal(done[1].tag, 100);
	assert_int_equal(done[1].status, SLK_THROTTLED);
	assert_int_equal(done[1].encryption, SEALOCK_ENCRYPTION_UNKNOWN);
	fake_port_complete_all(&port, SLK_OK);
	poll_some(2); /* no more than asked for */
	assert_int_equal(count, 2);
	poll_some(2);
	assert_int_equal(count, 1);
	assert_int_equal(sealock_producer_under_way(producer), 0);
}

static void
a_full_ring_and_too_many_records_are_back_pressure(void **state)
{
	(void)state;
	static uint8_t data[20000];
	uint32_t stream = start();
	uint64_t tag = 0;
	int rc;

	while ((rc = put(stream, tag, "k", data, sizeof(data))) == SLK_OK)
		tag++;
	assert_int_equal(rc, SLK_AGAIN);
	assert_int_equal(tag, 3); /* 64 KiB */
	fake_port_turn(&port);
	assert_ok(put(stream, tag++, "k", data, sizeof(data))); /* taken is free, complete or not */
	fake_port_turn(&port);
	while ((rc = put(stream, tag, "k", "x", 1)) == SLK_OK)
		tag++;
	assert_int_equal(rc, SLK_AGAIN);
	assert_int_equal(tag, 64);
	fake_port_turn(&port);
	assert_int_equal(port.taken_count, 64);
	fake_port_complete(&port, 0, SLK_OK);
	assert_int_equal(put(stream, tag, "k", "x", 1), SLK_AGAIN); /* not polled yet */
	poll_some(10);
	assert_int_equal(count, 1);
	assert_ok(put(stream, tag, "k", "x", 1));
}

/* All sizes, round and round, so that entries meet the ring's end everywhere. A record begins with its number. */
static void
no_size_breaks_the_ring(void **state)
{
	(void)state;
	static uint8_t data[30000];
	uint32_t stream = start();
	uint64_t tag = 0, taken = 0, seen = 0, number;

	for (unsigned round = 0; round < 3000; round++) {
		size_t len = 8 + (round * 7919u) % (round % 3 == 0 ? sizeof(data) - 8 : 300);
		memcpy(data, &tag, sizeof(tag));
		while (put(stream, tag, "key", data, len) == SLK_AGAIN) {
			fake_port_turn(&port);
			for (unsigned i = 0; i < port.taken_count; i++) {
				memcpy(&number, port.taken[i].data, sizeof(number));
				assert_int_equal(number, taken++);
			}
			fake_port_complete_all(&port, SLK_OK);
			poll_some(64);
			for (size_t i = 0; i < count; i++)
				assert_int_equal(done[i].tag, seen++);
		}
		tag++;
	}
	fake_port_turn(&port);
	fake_port_complete_all(&port, SLK_OK);
	poll_some(64);
	assert_int_equal(seen + count, tag);
}

static void
what_can_never_be_put_is_said(void **state)
{
	(void)state;
	static uint8_t data[1u << 17];
	static char key[1100];
	uint32_t stream = start();

	memset(key, 'k', sizeof(key) - 1);
	assert_int_equal(put(stream, 1, "", "x", 1), SLK_INVALID);
	assert_int_equal(put(stream, 1, key, "x", 1), SLK_INVALID);
	assert_int_equal(put(stream, 1, "k", data, RING / 2), SLK_TOO_LARGE);
	assert_int_equal(put(stream + 1, 1, "k", "x", 1), SLK_NOT_FOUND);
	assert_int_equal(sealock_producer_under_way(producer), 0);
	assert_int_equal(sealock_producer_data_max(producer), RING / 2 - 40 - 1024);
	assert_int_equal(sealock_producer_ring_needed(1, 1), 1u << 16);
	assert_int_equal(sealock_producer_ring_needed(1024, RING / 2 - 1064), 1u << 16);
	assert_int_equal(sealock_producer_ring_needed(1024, RING / 2 - 1063), 1u << 17);
	assert_int_equal(sealock_producer_ring_needed(1, 10u << 20), 1u << 25);
	assert_int_equal(sealock_producer_ring_needed(1, (10u << 20) + 1), 0);
	assert_int_equal(sealock_producer_ring_needed(0, 1), 0);
}

/* --- streams --- */

static void
a_refused_stream_says_why_and_can_be_asked_for_again(void **state)
{
	(void)state;
	struct sealock_stream_info info;
	uint32_t again = 0;

	start_with(RING, 64);
	connect_both();
	port.attach_status = SLK_DENIED;
	uint32_t stream = attach("web");
	assert_int_equal(put(stream, 1, "k", "x", 1), SLK_DENIED);
	assert_ok(sealock_producer_stream(producer, stream, &info));
	assert_non_null(strstr(info.sentence, "may not kinesis:PutRecord"));
	port.attach_status = SLK_OK;
	assert_ok(sealock_producer_attach(producer, "web", 0, &again));
	assert_int_equal(again, stream);
	assert_int_equal(put(stream, 1, "k", "x", 1), SLK_AGAIN);
	fake_port_turn(&port);
	poll_some(0);
	assert_ok(put(stream, 1, "k", "x", 1));
	assert_int_equal(sealock_producer_attach(producer, "", 0, &again), SLK_INVALID);
	assert_int_equal(sealock_producer_attach(producer, "web", 2, &again), SLK_INVALID);
}

static void
a_number_that_was_given_back_is_nobodys(void **state)
{
	(void)state;
	struct sealock_stream_info info;
	uint32_t stream = start();

	sealock_producer_detach(producer, stream);
	fake_port_turn(&port);
	assert_int_equal(port.detached, 1);
	assert_int_equal(put(stream, 1, "k", "x", 1), SLK_NOT_FOUND);
	assert_int_equal(sealock_producer_stream(producer, stream, &info), SLK_NOT_FOUND);
	assert_int_not_equal(attach("other"), stream);
	/* Given back before the answer came: so is what the answer gives. */
	assert_ok(sealock_producer_attach(producer, "third", 0, &stream));
	sealock_producer_detach(producer, stream);
	fake_port_turn(&port);
	poll_some(0);
	fake_port_turn(&port);
	assert_int_equal(port.detached, 2);
	for (unsigned i = 0; i < SEALOCK_STREAMS_MAX - 1; i++) {
		char name[16];
		snprintf(name, sizeof(name), "s%u", i);
		assert_ok(sealock_producer_attach(producer, name, 0, &stream));
		fake_port_turn(&port);
	}
	assert_int_equal(sealock_producer_attach(producer, "one more", 0, &stream), SLK_LIMIT);
}

/* --- sleeping and waking --- */

static bool
readable(void)
{
	struct pollfd p = {.fd = sealock_producer_fd(producer), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void
the_descriptor_shows_completions_to_whoever_armed(void **state)
{
	(void)state;
	uint32_t stream = start();

	assert_ok(put(stream, 1, "k", "x", 1));
	fake_port_turn(&port);
	poll_some(0);
	assert_false(readable());
	fake_port_complete_all(&port, SLK_OK);
	assert_false(readable()); /* nobody asked to be woken */
	assert_int_equal(sealock_producer_arm(producer), SLK_AGAIN); /* it is there already */
	poll_some(8);
	assert_int_equal(count, 1);
	assert_ok(put(stream, 2, "k", "x", 1));
	fake_port_turn(&port);
	assert_ok(sealock_producer_arm(producer));
	assert_false(readable());
	fake_port_complete_all(&port, SLK_OK);
	assert_true(readable());
	poll_some(8);
	assert_int_equal(count, 1);
	poll_some(8); /* takes the bell */
	assert_false(readable());
	assert_int_equal(sealock_producer_wait(producer, 1), SLK_TIMEOUT);
}

static void
an_ingestd_that_sleeps_is_woken_once_there_is_something(void **state)
{
	(void)state;
	uint32_t stream = start();

	port.asleep = true;
	fake_port_turn(&port);
	sealock_producer_flush(producer);
	fake_port_turn(&port);
	assert_false(port.rung);
	assert_ok(put(stream, 1, "k", "x", 1));
	fake_port_turn(&port);
	assert_int_equal(port.taken_count, 0); /* not yet: nobody rang */
	sealock_producer_flush(producer);
	fake_port_turn(&port);
	assert_true(port.rung);
	assert_int_equal(port.taken_count, 1);
}

/* --- losing ingestd --- */

static void
what_was_under_way_is_unknown_and_what_was_complete_is_not(void **state)
{
	(void)state;
	uint32_t stream = start();

	for (uint64_t i = 0; i < 10; i++)
		assert_ok(put(stream, i, "k", "x", 1));
	fake_port_turn(&port);
	for (unsigned i = 0; i < 4; i++)
		fake_port_complete(&port, 0, SLK_OK);
	fake_port_die(&port);
	unsigned ok = 0, closed = 0;
	uint64_t seen = 0;
	for (unsigned i = 0; i < 100 && ok + closed < 10; i++) {
		poll_some(3);
		for (size_t k = 0; k < count; k++) {
			assert_int_equal(seen & 1ull << done[k].tag, 0);
			seen |= 1ull << done[k].tag;
			ok += done[k].status == SLK_OK;
			closed += done[k].status == SLK_CLOSED;
		}
	}
	assert_int_equal(ok, 4);
	assert_int_equal(closed, 6);
	assert_int_equal(sealock_producer_under_way(producer), 0);
	assert_false(sealock_producer_connected(producer));
	assert_int_equal(put(stream, 1, "k", "x", 1), SLK_AGAIN);
	/* It comes back: the same number is good again. */
	fake_port_listen(&port);
	connect_both();
	assert_int_equal(sealock_producer_connections(producer), 2);
	for (unsigned i = 0; i < 10 && put(stream, 77, "k", "x", 1) == SLK_AGAIN; i++) {
		poll_some(0);
		fake_port_turn(&port);
	}
	fake_port_turn(&port);
	assert_int_equal(port.taken_count, 1);
	assert_int_equal(port.taken[0].entry.handle, 102);
	fake_port_complete_all(&port, SLK_OK);
	poll_some(8);
	assert_int_equal(count, 1);
	assert_int_equal(done[0].tag, 77);
}

static void
a_loss_wakes_who_sleeps(void **state)
{
	(void)state;
	uint32_t stream = start();

	assert_ok(put(stream, 5, "k", "x", 1));
	assert_ok(sealock_producer_arm(producer));
	fake_port_die(&port);
	assert_ok(sealock_producer_wait(producer, 1000));
	poll_some(8);
	assert_int_equal(count, 1);
	assert_int_equal(done[0].status, SLK_CLOSED);
	assert_ok(sealock_producer_wait(producer, 1000)); /* the timer of the next attempt */
}

static void
an_ingestd_that_writes_nonsense_is_left(void **state)
{
	(void)state;

	for (unsigned kind = 0; kind < 5; kind++) {
		uint32_t stream = start();
		assert_ok(put(stream, 9, "k", "x", 1));
		fake_port_turn(&port);
		uint8_t *map = port.clients[0].map;
		uint8_t *completion = map + FMT_PORT_PAGE_BYTES + RING;
		memset(completion, 0, FMT_PORT_COMPLETION_BYTES);
		completion[32] = FMT_PORT_ENCRYPTION_NONE;
		uint64_t completed = 1;
		if (kind == 0)
			completed = 65; /* more than the ring has */
		else if (kind == 1)
			completion[0] = 63; /* a tag that is not under way */
		else if (kind == 2)
			memset(completion, 0xff, 8); /* one that cannot be */
		else if (kind == 3)
			completion[8] = 1; /* no status */
		else
			completion[40] = 1; /* reserved */
		__atomic_store_n((uint64_t *)(void *)(map + FMT_PORT_AT_COMPLETED), completed,
			__ATOMIC_RELEASE);
		poll_some(8);
		if (count == 0)
			poll_some(8);
		assert_int_equal(count, 1);
		assert_int_equal(done[0].tag, 9);
		assert_int_equal(done[0].status, SLK_CLOSED);
		assert_false(sealock_producer_connected(producer));
		sealock_producer_free(producer);
		producer = NULL;
		port.taken_count = 0;
		fake_port_die(&port);
		fake_port_listen(&port);
	}
	/* A position that goes ahead of what was submitted. */
	uint32_t stream = start();
	static uint8_t data[20000];
	port.hold = true;
	for (uint64_t i = 0; i < 3; i++)
		assert_ok(put(stream, i, "k", data, sizeof(data)));
	__atomic_store_n((uint64_t *)(void *)(port.clients[0].map + FMT_PORT_AT_TAKEN), 1ull << 40,
		__ATOMIC_RELEASE);
	assert_int_equal(put(stream, 3, "k", data, sizeof(data)), SLK_AGAIN);
	assert_false(sealock_producer_connected(producer));
	poll_some(8);
	assert_int_equal(count, 3);
}

/* --- making one, and waiting --- */

static void
who_is_refused_is_told(void **state)
{
	(void)state;
	const struct sealock_producer_config nobody = {.socket = "/nonexistent/port.sock"};
	struct sealock_producer *p = NULL;
	struct sealock_producer_config config = {.socket = port.path, .ring_bytes = 1};

	assert_int_equal(sealock_producer_new(&nobody, &p, &err), SLK_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/port.sock"));
	assert_int_equal(sealock_producer_new_lazy(&config, &p, &err), SLK_INVALID);
	config.ring_bytes = 0;
	config.records_max = 3;
	assert_int_equal(sealock_producer_new(&config, &p, &err), SLK_INVALID);
	config = (struct sealock_producer_config){.socket = port.path, .timeout_ms = 50};
	assert_int_equal(sealock_producer_new(&config, &p, &err), SLK_TIMEOUT); /* nobody answers */
	fake_port_die(&port);
	fake_port_listen(&port);
	close(port.listen_fd); /* the file is there, and nobody listens */
	port.listen_fd = -1;
	assert_int_equal(sealock_producer_new(&config, &p, &err), SLK_UNAVAILABLE);
	assert_null(p);
	unlink(port.path);
	fake_port_listen(&port);
	port.welcome_status = SLK_LIMIT;
	start_with(RING, 64);
	for (unsigned i = 0; i < 5; i++) {
		poll_some(0);
		fake_port_turn(&port);
	}
	assert_false(sealock_producer_connected(producer));
	port.welcome_status = SLK_OK;
	connect_both(); /* it goes on trying */
}

static _Atomic bool serving;

static void *
serve(void *arg)
{
	(void)arg;
	while (serving) {
		fake_port_turn(&port);
		fake_port_complete_all(&port, SLK_OK);
		usleep(200);
	}
	return NULL;
}

static void
who_wants_to_wait_may(void **state)
{
	(void)state;
	const struct sealock_producer_config config = {.socket = port.path};
	struct sealock_completion c;
	pthread_t thread;
	uint32_t stream = 0;

	serving = true;
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_ok(sealock_producer_new(&config, &producer, &err));
	assert_ok(sealock_producer_attach_wait(producer, "web", 0, &stream, &err));
	const struct sealock_put p = {
		.stream = stream, .tag = 4, .key = slk_span_str("k"), .data = slk_span_str("data")};
	for (uint64_t i = 0; i < 20; i++) {
		assert_ok(sealock_producer_put_wait(producer, &p, 5000, &c, &err));
		assert_int_equal(c.tag, 4);
		assert_int_equal(c.sequence, i);
	}
	serving = false;
	pthread_join(thread, NULL);
	assert_int_equal(sealock_producer_put_wait(producer, &p, 20, &c, &err), SLK_TIMEOUT);
	assert_int_equal(sealock_producer_put_wait(producer, &p, 20, &c, &err), SLK_INVALID_STATE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_record_arrives_as_it_was_put_and_comes_back_with_its_place),
		TEST(the_hash_key_is_md5_of_the_partition_key),
		TEST(completions_come_in_any_order_and_refusals_too),
		TEST(a_full_ring_and_too_many_records_are_back_pressure),
		TEST(no_size_breaks_the_ring),
		TEST(what_can_never_be_put_is_said),
		TEST(a_refused_stream_says_why_and_can_be_asked_for_again),
		TEST(a_number_that_was_given_back_is_nobodys),
		TEST(the_descriptor_shows_completions_to_whoever_armed),
		TEST(an_ingestd_that_sleeps_is_woken_once_there_is_something),
		TEST(what_was_under_way_is_unknown_and_what_was_complete_is_not),
		TEST(a_loss_wakes_who_sleeps),
		TEST(an_ingestd_that_writes_nonsense_is_left),
		TEST(who_is_refused_is_told),
		TEST(who_wants_to_wait_may),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
