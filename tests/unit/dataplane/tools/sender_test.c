/* The ingest side is played by the watermark's reader: whenever the sender looks, it takes what has arrived at a socket on
 * 127.0.0.1 or ::1 and calls it durable. So nothing runs beside the sender, and nothing waits. */
#include "slk_test.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sender.h"

#define DATAGRAM_MAX 65536u

struct ingest {
	int fd;
	struct sockaddr_storage address;
	enum dp_framing framing;
	uint64_t others; /* records of other producers, durable before */
	uint64_t records; /* of the sender */
	uint64_t datagrams;
	size_t largest; /* datagram */
	uint64_t most_waiting; /* records found at one look */
	bool deaf; /* nothing becomes durable any more */
	bool restarted; /* the count goes back */
	unsigned pauses;
	uint64_t now_ns;
	EVP_MD_CTX *sha256;
};

static void
take_datagram(struct ingest *in, const uint8_t *bytes, size_t len)
{
	struct dp_framing_iter it;
	struct slk_span record;
	enum dp_drop drop;
	enum dp_framing_step step;

	in->datagrams++;
	in->largest = len > in->largest ? len : in->largest;
	dp_framing_begin(&it, in->framing, DATAGRAM_MAX, slk_span(bytes, len));
	while ((step = dp_framing_next(&it, &record, &drop)) != DP_FRAMING_END) {
		assert_int_equal(
			step, DP_FRAMING_RECORD); /* a sender sends nothing that is dropped */
		in->records++;
		assert_int_equal(EVP_DigestUpdate(in->sha256, record.ptr, record.len), 1);
		assert_int_equal(EVP_DigestUpdate(in->sha256, "\n", 1), 1);
	}
}

static void
take_all(struct ingest *in)
{
	static uint8_t datagram[DATAGRAM_MAX];
	uint64_t before = in->records;

	for (ssize_t len; (len = recv(in->fd, datagram, sizeof(datagram), MSG_DONTWAIT)) >= 0;)
		take_datagram(in, datagram, (size_t)len);
	if (in->records - before > in->most_waiting)
		in->most_waiting = in->records - before;
}

static int
read_mark(void *ctx, uint64_t *out_records, struct slk_error *err)
{
	struct ingest *in = ctx;

	(void)err;
	if (!in->deaf)
		take_all(in);
	*out_records = in->restarted ? 0 : in->others + in->records;
	return SLK_OK;
}

static void
count_pause(void *ctx)
{
	struct ingest *in = ctx;
	in->pauses++;
	in->now_ns += SLK_NS_PER_S;
}

static uint64_t
mono(void *ctx)
{
	struct ingest *in = ctx;
	in->now_ns += 1000;
	return in->now_ns;
}

static struct ingest
ingest_open(int family, enum dp_framing framing)
{
	struct ingest in = {.framing = framing, .others = 500, .now_ns = 1};
	int room = 8 << 20;
	socklen_t len = sizeof(in.address);
	const char *text = family == AF_INET ? "127.0.0.1:1" : "[::1]:1";

	assert_ok(dp_sender_address(text, &in.address, NULL));
	((struct sockaddr_in *)&in.address)->sin_port = 0; /* any; sin6_port lies there too */
	in.fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (in.fd < 0)
		return in;
	assert_int_equal(setsockopt(in.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	socklen_t bytes =
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	if (bind(in.fd, (const struct sockaddr *)&in.address, bytes) != 0) {
		close(in.fd);
		in.fd = -1;
		return in;
	}
	assert_int_equal(getsockname(in.fd, (struct sockaddr *)&in.address, &len), 0);
	in.sha256 = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestInit_ex(in.sha256, EVP_sha256(), NULL), 1);
	return in;
}

static void
ingest_close(struct ingest *in)
{
	EVP_MD_CTX_free(in->sha256);
	close(in->fd);
}

struct pair {
	struct ingest in;
	struct dp_sender_mark mark;
	struct slk_clock clock;
	struct dp_sender_config config;
	struct dp_sender *sender;
};

static void
pair_open(struct pair *p, int family, enum dp_framing framing)
{
	memset(p, 0, sizeof(*p));
	p->in = ingest_open(family, framing);
	p->mark = (struct dp_sender_mark){read_mark, count_pause, &p->in};
	p->clock = (struct slk_clock){.mono_ns = mono, .wall_ns = mono, .ctx = &p->in};
	p->config = (struct dp_sender_config){.to = p->in.address,
		.framing = framing,
		.payload_bytes = 1472,
		.window_records = 100,
		.mark = &p->mark,
		.clock = &p->clock};
}

static void
pair_start(struct pair *p)
{
	assert_true(p->in.fd >= 0);
	assert_ok(dp_sender_new(&p->config, &p->sender, NULL));
}

static void
pair_close(struct pair *p)
{
	dp_sender_free(p->sender);
	ingest_close(&p->in);
}

/* Records of many lengths; the bytes depend on the number. No line ends in them. */
static struct slk_span
record_number(unsigned i, size_t len)
{
	static char text[2000];

	for (size_t k = 0; k < len; k++)
		text[k] = (char)('0' + (i * 31 + k) % 70);
	return slk_span(text, len);
}

static struct dp_sender_result
finish_and_compare(struct pair *p)
{
	struct dp_sender_result result;
	uint8_t received[DP_SENDER_SHA256_BYTES];

	assert_ok(dp_sender_finish(p->sender, NULL));
	assert_ok(dp_sender_result(p->sender, &result));
	assert_int_equal(EVP_DigestFinal_ex(p->in.sha256, received, NULL), 1);
	assert_memory_equal(received, result.sha256, sizeof(received));
	assert_int_equal(result.record_count, p->in.records);
	assert_int_equal(result.datagram_count, p->in.datagrams);
	assert_true(result.durable);
	assert_true(p->in.largest <= result.payload_bytes);
	return result;
}

static struct dp_sender_result
send_many(struct pair *p, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t len = 1 + i * 7 % 1400;
		assert_ok(dp_sender_record(p->sender, record_number(i, len), NULL));
		bytes += len;
	}
	struct dp_sender_result result = finish_and_compare(p);
	assert_int_equal(result.record_count, count);
	assert_int_equal(result.record_bytes, bytes);
	return result;
}

/* --- what arrives --- */

static void
each_record_is_a_datagram_in_order(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	pair_start(&p);
	struct dp_sender_result result = send_many(&p, 3000);
	assert_int_equal(result.datagram_count, 3000);
	assert_int_equal(result.gso_datagram_count, 0);
	pair_close(&p);
}

static void
lines_share_datagrams_up_to_the_payload(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_LINES);
	pair_start(&p);
	for (unsigned i = 0; i < 3000; i++)
		assert_ok(dp_sender_record(p.sender, record_number(i, 91), NULL));
	struct dp_sender_result result = finish_and_compare(&p);
	assert_true(p.in.largest > 1472 - 92);
	/* 16 lines of 92 bytes are the 1,472 bytes that fit, less the last LF; batches cut by the window add a few */
	assert_in_range(result.datagram_count, 3000 / 16, 3000 / 16 + 3000 / 50 + 1);
	pair_close(&p);
}

static void
a_line_of_exactly_the_payload_is_sent_alone(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_LINES);
	pair_start(&p);
	assert_ok(dp_sender_record(p.sender, record_number(1, 1), NULL));
	assert_ok(dp_sender_record(p.sender, record_number(2, 1472), NULL));
	assert_ok(dp_sender_record(p.sender, record_number(3, 1470), NULL));
	assert_ok(
		dp_sender_record(p.sender, record_number(4, 1), NULL)); /* 1,470 + LF + 1 = 1,472 */
	assert_ok(dp_sender_record(p.sender, record_number(5, 1), NULL));
	struct dp_sender_result result = finish_and_compare(&p);
	assert_int_equal(result.datagram_count, 4);
	assert_int_equal(p.in.largest, 1472);
	pair_close(&p);
}

static void
ipv6_works_alike(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET6, DP_FRAMING_LINES);
	if (p.in.fd < 0)
		skip(); /* no IPv6 on the loopback interface here */
	pair_start(&p);
	(void)send_many(&p, 500);
	pair_close(&p);
}

static void
gso_changes_nothing_of_what_arrives(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	p.config.gso = true;
	pair_start(&p);
	for (unsigned i = 0; i < 1000; i++)
		assert_ok(dp_sender_record(
			p.sender, record_number(i, i % 50 == 49 ? 100 : 800), NULL));
	struct dp_sender_result result = finish_and_compare(&p);
	assert_int_equal(result.datagram_count, 1000);
	if (!result.gso_refused)
		assert_true(result.gso_datagram_count > 900);
	pair_close(&p);
	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	p.config.gso = true;
	pair_start(&p);
	(void)send_many(&p, 3000); /* sizes that go up: a run ends with each */
	pair_close(&p);
}

static void
blank_records_are_counted_and_not_sent(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_LINES);
	pair_start(&p);
	assert_ok(dp_sender_record(p.sender, slk_span("", 0), NULL));
	assert_ok(dp_sender_record(p.sender, record_number(1, 10), NULL));
	assert_ok(dp_sender_record(p.sender, slk_span("", 0), NULL));
	struct dp_sender_result result = finish_and_compare(&p);
	assert_int_equal(result.empty_count, 2);
	assert_int_equal(result.record_count, 1);
	pair_close(&p);
}

static void
nothing_at_all_is_sent_for_nothing(void **state)
{
	(void)state;
	static const uint8_t empty[4] = {
		0xe3, 0xb0, 0xc4, 0x42}; /* SHA-256 of no bytes begins so */
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	pair_start(&p);
	struct dp_sender_result result = finish_and_compare(&p);
	assert_int_equal(result.datagram_count, 0);
	assert_int_equal(result.elapsed_ns, 0);
	assert_memory_equal(result.sha256, empty, 4);
	pair_close(&p);
}

/* --- pacing --- */

static void
never_more_than_the_window_is_on_its_way(void **state)
{
	(void)state;
	static const uint32_t windows[] = {1, 2, 63, 64, 65, 300};

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		for (enum dp_framing f = DP_FRAMING_DATAGRAM; f <= DP_FRAMING_LINES; f++) {
			struct pair p;
			pair_open(&p, AF_INET, f);
			p.config.window_records = windows[i];
			pair_start(&p);
			(void)send_many(&p, 700);
			assert_in_range(p.in.most_waiting, 1, windows[i]);
			pair_close(&p);
		}
	}
}

static void
a_standstill_is_an_error_after_the_timeout(void **state)
{
	(void)state;
	struct pair p;
	struct slk_error err = {0};
	struct dp_sender_result result;

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	p.config.timeout_ns = 5 * SLK_NS_PER_S;
	pair_start(&p);
	p.in.deaf = true;
	for (unsigned i = 0; i < 100; i++)
		assert_ok(dp_sender_record(p.sender, record_number(i, 10), &err));
	assert_int_equal(dp_sender_record(p.sender, record_number(100, 10), &err), SLK_TIMEOUT);
	assert_non_null(strstr(err.text, "100 of 100 records"));
	assert_in_range(p.in.pauses, 5, 7);
	assert_ok(dp_sender_result(p.sender, &result));
	assert_int_equal(result.record_count, 100);
	assert_false(result.durable);
	pair_close(&p);
}

static void
a_lost_record_is_noticed_at_the_end(void **state)
{
	(void)state;
	struct pair p;
	struct slk_error err = {0};
	uint8_t lost[2000];

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	p.config.window_records = 1000;
	pair_start(&p);
	for (unsigned i = 0; i < 64 + 1; i++) /* the 65th sends the 64 before it */
		assert_ok(dp_sender_record(p.sender, record_number(i, 10), NULL));
	assert_int_equal(recv(p.in.fd, lost, sizeof(lost), MSG_DONTWAIT), 10);
	assert_int_equal(dp_sender_finish(p.sender, &err), SLK_TIMEOUT);
	assert_non_null(strstr(err.text, "1 of 65 records"));
	pair_close(&p);
}

static void
a_count_that_goes_back_is_an_error(void **state)
{
	(void)state;
	struct pair p;
	struct slk_error err = {0};

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	pair_start(&p);
	p.in.restarted = true;
	assert_ok(dp_sender_record(p.sender, record_number(1, 10), NULL));
	assert_int_equal(dp_sender_finish(p.sender, &err), SLK_CLOSED);
	pair_close(&p);
}

static void
a_rate_is_kept(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	p.config.rate_per_s = 2; /* a pause is a second of this test's clock */
	pair_start(&p);
	for (unsigned i = 0; i < 20; i++)
		assert_ok(dp_sender_record(p.sender, record_number(i, 10), NULL));
	struct dp_sender_result result = finish_and_compare(&p);
	assert_in_range(result.elapsed_ns, 19 * SLK_NS_PER_S / 2, 11 * SLK_NS_PER_S);
	pair_close(&p);
}

/* --- refusals --- */

static void
records_that_fit_no_datagram_are_refused_or_left_out(void **state)
{
	(void)state;
	struct pair p;
	struct slk_error err = {0};

	pair_open(&p, AF_INET, DP_FRAMING_LINES);
	pair_start(&p);
	assert_int_equal(dp_sender_record(p.sender, record_number(1, 1473), &err), SLK_TOO_LARGE);
	assert_non_null(strstr(err.text, "1473"));
	assert_ok(dp_sender_record(p.sender, record_number(2, 1472), NULL)); /* goes on */
	struct dp_sender_result result = finish_and_compare(&p);
	assert_int_equal(result.long_count, 0);
	pair_close(&p);

	pair_open(&p, AF_INET, DP_FRAMING_LINES);
	p.config.skip_long = true;
	pair_start(&p);
	assert_ok(dp_sender_record(p.sender, record_number(1, 1473), NULL));
	result = finish_and_compare(&p);
	assert_int_equal(result.long_count, 1);
	assert_int_equal(result.record_count, 0);
	pair_close(&p);
}

static void
line_ends_inside_a_line_are_refused(void **state)
{
	(void)state;
	struct pair p;

	pair_open(&p, AF_INET, DP_FRAMING_LINES);
	pair_start(&p);
	assert_int_equal(dp_sender_record(p.sender, slk_span_str("a\nb"), NULL), SLK_INVALID);
	assert_int_equal(dp_sender_record(p.sender, slk_span_str("a\r"), NULL), SLK_INVALID);
	assert_ok(dp_sender_record(p.sender, slk_span_str("a\rb"), NULL));
	(void)finish_and_compare(&p);
	pair_close(&p);
	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	pair_start(&p);
	assert_ok(dp_sender_record(p.sender, slk_span_str("a\nb\r"), NULL));
	(void)finish_and_compare(&p);
	pair_close(&p);
}

static void
configurations_that_cannot_be_are_refused(void **state)
{
	(void)state;
	struct pair p;
	struct slk_error err = {0};

	pair_open(&p, AF_INET, DP_FRAMING_U16);
	assert_int_equal(dp_sender_new(&p.config, &p.sender, &err), SLK_UNSUPPORTED);
	p.config.framing = DP_FRAMING_LINES;
	p.config.payload_bytes = 65508;
	assert_int_equal(dp_sender_new(&p.config, &p.sender, &err), SLK_INVALID);
	p.config.payload_bytes = 0;
	p.config.to.ss_family = AF_UNIX;
	assert_int_equal(dp_sender_new(&p.config, &p.sender, &err), SLK_INVALID);
	assert_null(p.sender);
	pair_close(&p);
}

static void
a_closed_port_is_told(void **state)
{
	(void)state;
	struct pair p;
	struct slk_error err = {0};
	int status = SLK_OK;

	pair_open(&p, AF_INET, DP_FRAMING_DATAGRAM);
	p.config.mark = NULL;
	p.config.clock = NULL;
	pair_start(&p);
	close(p.in.fd); /* nobody binds that port again so soon */
	for (unsigned i = 0; i < 1000 && status == SLK_OK; i++)
		status = dp_sender_record(p.sender, record_number(i, 10), &err);
	assert_int_equal(status, SLK_UNAVAILABLE);
	assert_non_null(strstr(err.text, "closed"));
	p.in.fd = -1;
	pair_close(&p);
}

static void
addresses_are_numbers_with_a_port(void **state)
{
	(void)state;
	static const char *const good[] = {
		"10.77.0.2:5514", "[fd00:77::2]:5514", "[::1]:1", "127.0.0.1:65535"};
	static const char *const bad[] = {"", ":", "10.77.0.2", "10.77.0.2:", ":5514",
		"localhost:5514", "fd00::2:5514", "[fd00::2]5514", "[fd00::2:5514", "[]:1",
		"10.77.0.2:0", "10.77.0.2:65536", "10.77.0.2:005514", "10.77.0.2:-1",
		"10.77.0.2:syslog"};
	struct sockaddr_storage to;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_ok(dp_sender_address(good[i], &to, NULL));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slk_error err = {0};
		memset(&to, 0x5a, sizeof(to));
		assert_int_equal(dp_sender_address(bad[i], &to, &err), SLK_INVALID);
		assert_int_equal(((uint8_t *)&to)[0], 0x5a);
		assert_true(strlen(err.text) > 0);
	}
	dp_sender_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_record_is_a_datagram_in_order),
		cmocka_unit_test(lines_share_datagrams_up_to_the_payload),
		cmocka_unit_test(a_line_of_exactly_the_payload_is_sent_alone),
		cmocka_unit_test(ipv6_works_alike),
		cmocka_unit_test(gso_changes_nothing_of_what_arrives),
		cmocka_unit_test(blank_records_are_counted_and_not_sent),
		cmocka_unit_test(nothing_at_all_is_sent_for_nothing),
		cmocka_unit_test(never_more_than_the_window_is_on_its_way),
		cmocka_unit_test(a_standstill_is_an_error_after_the_timeout),
		cmocka_unit_test(a_lost_record_is_noticed_at_the_end),
		cmocka_unit_test(a_count_that_goes_back_is_an_error),
		cmocka_unit_test(a_rate_is_kept),
		cmocka_unit_test(records_that_fit_no_datagram_are_refused_or_left_out),
		cmocka_unit_test(line_ends_inside_a_line_are_refused),
		cmocka_unit_test(configurations_that_cannot_be_are_refused),
		cmocka_unit_test(a_closed_port_is_told),
		cmocka_unit_test(addresses_are_numbers_with_a_port),
	};

	return cmocka_run_group_tests_name("dpsender_sender", tests, NULL, NULL);
}
