/* Requests over the loop, to a server that misbehaves: what comes of each, within its time, and what is kept of it. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bad_server.h"
#include "tempdir.h"
#include "web.h"

static struct bad_server *server, *secure, *other_name;
static struct dlv_loop *loop;
static struct dlv_web *web;
static char dir[256], ca[300], certificate[300], key[300];

/* A CA, and a certificate of it for name; certificate and key hold the paths. */
static void
make_certificate(const char *name)
{
	char command[2048];

	snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	snprintf(certificate, sizeof(certificate), "%s/%s.pem", dir, name);
	snprintf(key, sizeof(key), "%s/%s.key", dir, name);
	snprintf(command, sizeof(command),
		"cd %s && { [ -e ca.pem ] || openssl req -x509 -newkey ec -pkeyopt "
		"ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 -subj "
		"'/CN=test CA' "
		"-addext keyUsage=critical,keyCertSign,cRLSign; } >log 2>&1 && openssl req -newkey "
		"ec "
		"-pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s.key -out req -subj /CN=test "
		">>log "
		"2>&1 && printf 'basicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth\\n"
		"subjectAltName=DNS:%s\\n' >ext && openssl x509 -req -in req -CA ca.pem -CAkey "
		"ca.key "
		"-CAcreateserial -days 20 -extfile ext -out %s.pem >>log 2>&1",
		dir, name, name, name);
	if (system(command) != 0)
		fail_msg("cannot make a certificate: see %s/log", dir);
}

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	server = bad_server_start(NULL, NULL);
	make_certificate("localhost");
	secure = bad_server_start(certificate, key);
	make_certificate("elsewhere.example");
	other_name = bad_server_start(certificate, key);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	bad_server_stop(server);
	bad_server_stop(secure);
	bad_server_stop(other_name);
	tempdir_remove(dir);
	return 0;
}

static int
setup_web(void **state)
{
	(void)state;
	assert_ok(dlv_loop_new(1, NULL, &loop, NULL));
	assert_ok(dlv_web_new(loop, &web, NULL));
	assert_ptr_equal(dlv_loop_web(loop), web);
	return 0;
}

static int
teardown_web(void **state)
{
	(void)state;
	dlv_web_free(web);
	assert_null(dlv_loop_web(loop));
	dlv_loop_free(loop);
	return 0;
}

/* --- one request, and what came of it --- */

struct seen {
	int calls, status;
	unsigned http_status;
	char sentence[256], header[128];
	uint8_t *body;
	size_t body_len;
	bool body_cut;
	const char *want_header;
};

static unsigned under_way;

static void
on_done(void *arg, const struct dlv_web_answer *answer)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->status = answer->status;
	seen->http_status = answer->http_status;
	seen->body_cut = answer->body_cut;
	seen->body_len = answer->body.len;
	snprintf(seen->sentence, sizeof(seen->sentence), "%s", answer->sentence);
	if (seen->want_header != NULL)
		snprintf(seen->header, sizeof(seen->header), "%s",
			answer->header(answer, seen->want_header));
	seen->body = malloc(answer->body.len + 1);
	assert_non_null(seen->body);
	if (answer->body.len > 0)
		memcpy(seen->body, answer->body.ptr, answer->body.len);
	under_way--;
}

static void
forget(struct seen *seen)
{
	free(seen->body);
	*seen = (struct seen){.calls = 0};
}

static void
wait_for_all(void)
{
	for (unsigned turns = 0; under_way > 0; turns++) {
		assert_true(turns < 1000000);
		assert_ok(dlv_loop_turn(loop, 1000, NULL));
	}
}

static struct dlv_web_call *
begin(struct dlv_web_request request, struct seen *seen)
{
	struct dlv_web_call *call = NULL;

	assert_ok(dlv_web_send(web, &request, on_done, seen, &call));
	assert_int_equal(seen->calls, 0);
	under_way++;
	return call;
}

static void
ask(struct dlv_web_request request, struct seen *seen)
{
	(void)begin(request, seen);
	wait_for_all();
	assert_int_equal(seen->calls, 1);
}

static const char *
url_of(const struct bad_server *of, const char *scheme, const char *path)
{
	static char urls[8][256];
	static unsigned next;
	char *out = urls[next++ % 8];

	snprintf(out, 256, "%s://localhost:%u%s", scheme, bad_server_port(of), path);
	return out;
}

static struct dlv_web_request
get(const char *path)
{
	return (struct dlv_web_request){.method = "GET", .url = url_of(server, "http", path)};
}

/* --- what goes well --- */

static void
body_and_tail_arrive_in_one(void **state)
{
	(void)state;
	size_t body_len = 3000000, tail_len = 70001;
	uint8_t *bytes = malloc(body_len + tail_len);
	struct seen seen = {.want_header = "x-method"};
	const struct dlv_web_header headers[] = {{"X-Ask", "value of it"}, {"X-Empty", ""}};

	assert_non_null(bytes);
	for (size_t i = 0; i < body_len + tail_len; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	struct dlv_web_request put = {.method = "PUT",
		.url = url_of(server, "http", "/echo"),
		.headers = headers,
		.headers_count = 2,
		.body = slk_span(bytes, body_len),
		.tail = slk_span(bytes + body_len, tail_len),
		.answer_max = body_len + tail_len};
	ask(put, &seen);
	assert_ok(seen.status);
	assert_int_equal(seen.http_status, 200);
	assert_int_equal(seen.body_len, body_len + tail_len);
	assert_memory_equal(seen.body, bytes, body_len + tail_len);
	assert_false(seen.body_cut);
	assert_string_equal(seen.header, "PUT");
	assert_string_equal(seen.sentence, "");
	forget(&seen);
	free(bytes);
}

static void
methods_are_sent_as_named(void **state)
{
	(void)state;
	static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct seen seen = {.want_header = "X-METHOD"};
		struct dlv_web_request request = get("/echo");
		request.method = methods[i];
		ask(request, &seen);
		assert_ok(seen.status);
		assert_string_equal(seen.header, methods[i]);
		assert_int_equal(seen.body_len, 0);
		forget(&seen);
	}
}

static void
headers_go_out_and_come_in(void **state)
{
	(void)state;
	const struct dlv_web_header header = {"X-Ask", "a b;c"};
	struct dlv_web_request request = get("/echo");
	struct seen seen = {.want_header = "X-Seen"};

	request.headers = &header;
	request.headers_count = 1;
	ask(request, &seen);
	assert_string_equal(seen.header, "a b;c");
	forget(&seen);
	seen.want_header = "X-Nothing";
	ask(request, &seen);
	assert_string_equal(seen.header, "");
	forget(&seen);
}

static void
connections_are_kept(void **state)
{
	(void)state;
	unsigned before = bad_server_connections(server);

	for (unsigned i = 0; i < 10; i++) {
		struct seen seen = {.calls = 0};
		ask(get("/status/200"), &seen);
		assert_int_equal(seen.http_status, 200);
		forget(&seen);
	}
	assert_int_equal(bad_server_connections(server), before + 1);
}

static void
many_at_once_have_connections_of_their_own(void **state)
{
	(void)state;
	unsigned before = bad_server_connections(server);
	struct seen seen[20] = {0};

	for (unsigned i = 0; i < 20; i++)
		(void)begin(get("/big"), &seen[i]);
	wait_for_all();
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(seen[i].http_status, 200);
		assert_int_equal(seen[i].body_len, 65536);
		assert_true(seen[i].body_cut);
		forget(&seen[i]);
	}
	assert_in_range(bad_server_connections(server), before + 2, before + 20);
}

/* The server ends a kept connection without a word; whoever comes next is not to notice. */
static void
a_kept_connection_that_has_ended_is_replaced(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct seen seen = {.calls = 0};
		struct dlv_web_request put = get("/once");
		put.method = "PUT";
		put.body = slk_span_str("something to be sent again");
		ask(put, &seen);
		assert_ok(seen.status);
		assert_int_equal(seen.http_status, 200);
		forget(&seen);
	}
}

static void
an_error_status_is_an_answer(void **state)
{
	(void)state;
	struct seen seen = {.want_header = "retry-after"};

	ask(get("/status/503"), &seen);
	assert_ok(seen.status);
	assert_int_equal(seen.http_status, 503);
	assert_int_equal(seen.body_len, 5);
	assert_string_equal(seen.header, "7");
	forget(&seen);
}

static void
a_redirect_is_not_followed(void **state)
{
	(void)state;
	struct seen seen = {.want_header = "location"};

	ask(get("/redirect"), &seen);
	assert_int_equal(seen.http_status, 302);
	assert_string_equal(seen.header, "/echo");
	forget(&seen);
}

/* --- what goes wrong --- */

static void
a_silent_server_is_given_up_in_time(void **state)
{
	(void)state;
	struct dlv_web_request request = get("/silent");
	struct seen seen = {.calls = 0};

	request.total_ms = 100;
	ask(request, &seen);
	assert_int_equal(seen.status, SLK_TIMEOUT);
	assert_int_equal(seen.http_status, 0);
	assert_string_not_equal(seen.sentence, "");
	forget(&seen);
	request = get("/drip");
	request.total_ms = 150;
	ask(request, &seen);
	assert_int_equal(seen.status, SLK_TIMEOUT);
	forget(&seen);
}

static void
an_endless_answer_is_cut_off(void **state)
{
	(void)state;
	struct dlv_web_request request = get("/endless");
	struct seen seen = {.calls = 0};

	request.answer_max = 1000;
	ask(request, &seen);
	assert_ok(seen.status);
	assert_int_equal(seen.http_status, 200);
	assert_int_equal(seen.body_len, 1000);
	assert_true(seen.body_cut);
	forget(&seen);
}

static void
a_connection_lost_half_way_is_closed(void **state)
{
	(void)state;
	static uint8_t bytes[4 << 20];
	struct seen seen = {.calls = 0};
	struct dlv_web_request put = get("/reset");

	put.method = "PUT";
	put.body = slk_span(bytes, sizeof(bytes));
	ask(put, &seen);
	assert_int_equal(seen.status, SLK_CLOSED);
	forget(&seen);
	ask(get("/half"), &seen);
	assert_int_equal(seen.status, SLK_CLOSED);
	assert_int_equal(seen.http_status, 0);
	forget(&seen);
}

static void
what_is_no_http_is_malformed(void **state)
{
	(void)state;
	struct seen seen = {.calls = 0};

	ask(get("/garbage"), &seen);
	assert_int_equal(seen.status, SLK_MALFORMED);
	forget(&seen);
}

static void
an_answer_before_the_body_was_sent_counts(void **state)
{
	(void)state;
	static uint8_t bytes[8 << 20];
	struct seen seen = {.calls = 0};
	struct dlv_web_request put = get("/early");

	put.method = "PUT";
	put.body = slk_span(bytes, sizeof(bytes));
	ask(put, &seen);
	/* The server has reset the connection meanwhile or not. */
	if (seen.status == SLK_OK)
		assert_int_equal(seen.http_status, 403);
	else
		assert_int_equal(seen.status, SLK_CLOSED);
	forget(&seen);
}

static void
nobody_there_is_unavailable(void **state)
{
	(void)state;
	struct bad_server *gone = bad_server_start(NULL, NULL);
	struct seen seen = {.calls = 0};
	struct dlv_web_request request = {.method = "GET", .url = url_of(gone, "http", "/echo")};

	bad_server_stop(gone);
	ask(request, &seen);
	assert_int_equal(seen.status, SLK_UNAVAILABLE);
	assert_non_null(strstr(seen.sentence, "localhost"));
	forget(&seen);
	request.url = "http://no-such-host.invalid/";
	ask(request, &seen);
	assert_int_equal(seen.status, SLK_UNAVAILABLE);
	forget(&seen);
}

static void
bad_requests_are_refused_before_they_begin(void **state)
{
	(void)state;
	static const char *const urls[] = {"", "ftp://localhost/", "file:///etc/passwd",
		"localhost/x", "http://local host/", "http://localhost:99999/"};
	struct dlv_web_call *call = NULL;
	struct dlv_web_request request = get("/echo");

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		request.url = urls[i];
		assert_int_equal(dlv_web_send(web, &request, on_done, NULL, &call), SLK_INVALID);
	}
	request = get("/echo");
	const struct dlv_web_header header = {"X-Ask", "a\r\nX-Injected: 1"};
	request.headers = &header;
	request.headers_count = 1;
	assert_int_equal(dlv_web_send(web, &request, on_done, NULL, &call), SLK_INVALID);
	assert_null(call);
}

/* --- TLS --- */

static struct dlv_web_request
get_secure(const struct bad_server *of, const char *ca_file)
{
	return (struct dlv_web_request){
		.method = "GET", .url = url_of(of, "https", "/echo"), .ca_file = ca_file};
}

static void
a_certificate_of_the_own_ca_is_taken(void **state)
{
	(void)state;
	struct seen seen = {.calls = 0};

	ask(get_secure(secure, ca), &seen);
	assert_ok(seen.status);
	assert_int_equal(seen.http_status, 200);
	forget(&seen);
}

static void
certificates_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	unsigned before = bad_server_requests(secure) + bad_server_requests(other_name);
	struct seen seen = {.calls = 0};

	/* The system's CAs, after a connection with the right one was kept. */
	ask(get_secure(secure, ca), &seen);
	forget(&seen);
	ask(get_secure(secure, NULL), &seen);
	assert_int_equal(seen.status, SLK_DENIED);
	forget(&seen);
	ask(get_secure(other_name, ca), &seen);
	assert_int_equal(seen.status, SLK_DENIED);
	assert_non_null(strstr(seen.sentence, "localhost"));
	forget(&seen);
	ask(get_secure(secure, "/nonexistent/ca.pem"), &seen);
	assert_int_equal(seen.status, SLK_DENIED);
	forget(&seen);
	assert_int_equal(bad_server_requests(secure) + bad_server_requests(other_name), before + 1);
}

static void
no_tls_where_tls_is_asked_for_is_unavailable(void **state)
{
	(void)state;
	struct seen seen = {.calls = 0};

	ask(get_secure(server, ca), &seen);
	assert_int_not_equal(seen.status, SLK_OK);
	assert_int_equal(seen.http_status, 0);
	forget(&seen);
}

/* --- cancellation --- */

static struct dlv_web_call *others[3];

static void
cancel_others(void *arg, const struct dlv_web_answer *answer)
{
	(void)arg;
	assert_ok(answer->status);
	for (unsigned i = 0; i < 3; i++)
		dlv_web_cancel(others[i]);
	under_way = 0;
}

static void
a_cancelled_call_is_not_heard_of_again(void **state)
{
	(void)state;
	struct dlv_web_call *call = NULL;
	struct dlv_web_request request = get("/echo");
	struct seen seen[4] = {0};

	for (unsigned i = 0; i < 2; i++)
		others[i] = begin(get("/silent"), &seen[i]);
	others[2] = begin(get("/drip"), &seen[2]);
	assert_ok(dlv_web_send(web, &request, cancel_others, NULL, &call));
	under_way++;
	wait_for_all();
	/* At once, before anything was done. */
	dlv_web_cancel(begin(get("/echo"), &seen[3]));
	under_way = 0;
	for (unsigned i = 0; i < 5; i++)
		assert_ok(dlv_loop_turn(loop, 5, NULL));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(seen[i].calls, 0);
}

static void
freeing_cancels_all(void **state)
{
	(void)state;
	struct seen seen[3] = {0};

	(void)begin(get("/silent"), &seen[0]);
	(void)begin(get("/endless"), &seen[1]);
	(void)begin(get_secure(secure, ca), &seen[2]);
	for (unsigned i = 0; i < 3; i++)
		assert_ok(dlv_loop_turn(loop, 5, NULL));
	dlv_web_free(web);
	under_way = 0;
	assert_ok(dlv_loop_turn(loop, 5, NULL));
	for (unsigned i = 0; i < 3; i++)
		forget(&seen[i]);
	assert_ok(dlv_web_new(loop, &web, NULL));
}

/* Nothing of the environment is taken: this proxy is not there. */
static void
the_environments_proxy_is_not_used(void **state)
{
	(void)state;
	struct seen seen = {.calls = 0};

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	ask(get("/echo"), &seen);
	assert_ok(seen.status);
	forget(&seen);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_web, teardown_web)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(body_and_tail_arrive_in_one),
		CASE(methods_are_sent_as_named),
		CASE(headers_go_out_and_come_in),
		CASE(connections_are_kept),
		CASE(many_at_once_have_connections_of_their_own),
		CASE(a_kept_connection_that_has_ended_is_replaced),
		CASE(an_error_status_is_an_answer),
		CASE(a_redirect_is_not_followed),
		CASE(a_silent_server_is_given_up_in_time),
		CASE(an_endless_answer_is_cut_off),
		CASE(a_connection_lost_half_way_is_closed),
		CASE(what_is_no_http_is_malformed),
		CASE(an_answer_before_the_body_was_sent_counts),
		CASE(nobody_there_is_unavailable),
		CASE(bad_requests_are_refused_before_they_begin),
		CASE(a_certificate_of_the_own_ca_is_taken),
		CASE(certificates_that_do_not_fit_are_refused),
		CASE(no_tls_where_tls_is_asked_for_is_unavailable),
		CASE(a_cancelled_call_is_not_heard_of_again),
		CASE(freeing_cancels_all),
		CASE(the_environments_proxy_is_not_used),
	};

	return cmocka_run_group_tests_name("delivery/web", tests, setup, teardown);
}
