/* TLS, with curl and openssl as clients. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_rig.h"

static struct http_rig rig;
static char output[65536];

static int
set_up(void **state)
{
	(void)state;
	http_rig_start(&rig, 2, NULL, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	http_rig_stop(&rig);
	return 0;
}

/* "DIR" and "PORT" in the command stand for the rig's. */
static int
run(const char *command)
{
	char line[4096];
	size_t len = 0;

	for (const char *at = command; *at != '\0' && len < sizeof(line) - 300;) {
		if (strncmp(at, "DIR", 3) == 0) {
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s", rig.dir);
			at += 3;
		} else if (strncmp(at, "PORT", 4) == 0) {
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%u", rig.tls_port);
			at += 4;
		} else {
			line[len++] = *at++;
		}
	}
	line[len] = '\0';
	FILE *pipe = popen(line, "r");
	assert_non_null(pipe);
	size_t n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = '\0';
	return pclose(pipe);
}

#define CURL "timeout 20 curl -sS --cacert DIR/ca.pem --noproxy '*' 2>&1 "

static void
curl_gets_answers_over_tls(void **state)
{
	(void)state;
	assert_int_equal(run(CURL "--http1.1 --tlsv1.3 https://localhost:PORT/who"), 0);
	assert_non_null(strstr(output, "TLSv1.3"));
	assert_int_equal(run(CURL "--http1.1 --tls-max 1.2 https://127.0.0.1:PORT/who"), 0);
	assert_non_null(strstr(output, "TLSv1.2"));
	assert_int_equal(
		run("head -c 5000000 /dev/urandom >DIR/body && " CURL
		    "--http1.1 -H 'Expect: 100-continue' --data-binary @DIR/body -o DIR/echo "
		    "https://localhost:PORT/echo && cmp DIR/body DIR/echo && echo same"),
		0);
	assert_string_equal(output, "same\n");
	/* Two requests on one connection. */
	assert_int_equal(
		run(CURL "--http1.1 -w '%{num_connects} ' https://localhost:PORT/who -o /dev/null "
			 "https://localhost:PORT/who -o /dev/null"),
		0);
	assert_string_equal(output, "1 0 ");
}

static void
old_versions_and_weak_ciphers_are_refused(void **state)
{
	(void)state;
	assert_int_not_equal(run(CURL "--tls-max 1.1 --tlsv1.0 --ciphers DEFAULT@SECLEVEL=0 "
				      "https://localhost:PORT/who"),
		0);
	assert_int_not_equal(
		run(CURL "--tls-max 1.2 --ciphers AES128-SHA https://localhost:PORT/who"), 0);
	assert_int_not_equal(run(CURL "--tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-SHA "
				      "https://localhost:PORT/who"),
		0);
	assert_int_equal(http_rig_counters(&rig).refused[HTTP_REFUSED_tls_handshake], 3);
	assert_int_equal(http_rig_counters(&rig).handshakes, 0);
}

static void
plain_http_on_the_tls_port_is_told_so(void **state)
{
	(void)state;
	assert_int_equal(
		run("timeout 20 curl -sS --noproxy '*' -i http://localhost:PORT/who 2>&1"), 0);
	assert_memory_equal(output, "HTTP/1.1 400 ", 13);
	assert_int_equal(http_rig_counters(&rig).refused[HTTP_REFUSED_tls_plain], 1);
	assert_int_equal(rig.heads, 0);
}

static void
sessions_resume(void **state)
{
	(void)state;
	assert_int_equal(
		run("cd DIR && printf 'GET /who HTTP/1.1\\r\\nHost: a\\r\\nConnection: "
		    "close\\r\\n\\r\\n' >ask && "
		    "for i in 1 2; do (cat ask; sleep 0.3) | timeout 10 openssl s_client -connect "
		    "127.0.0.1:PORT -CAfile ca.pem -quiet -ign_eof $([ $i = 2 ] && echo -sess_in s "
		    "|| echo -sess_out s) "
		    "2>&1; done; true"),
		0);
	struct http_counters c = http_rig_counters(&rig);
	assert_int_equal(c.handshakes, 2);
	assert_int_equal(c.handshakes_resumed, 1);
}

static void
a_protocol_that_is_not_ours_is_refused(void **state)
{
	(void)state;
	run("timeout 10 openssl s_client -connect 127.0.0.1:PORT -CAfile DIR/ca.pem -alpn ftp "
	    "</dev/null 2>&1");
	assert_non_null(strstr(output, "no application protocol"));
	assert_int_equal(http_rig_counters(&rig).handshakes, 0);
}

static void
certificates_are_loaded_again_without_a_break(void **state)
{
	(void)state;
	static const char serial[] = "timeout 10 openssl s_client -connect 127.0.0.1:PORT "
				     "</dev/null 2>/dev/null | openssl x509 "
				     "-noout -serial";
	struct slk_error err;
	char first[256];
	assert_in_range(http_server_certificate_days(rig.server), 19, 20);
	assert_int_equal(run(serial), 0);
	snprintf(first, sizeof(first), "%.250s", output);
	http_rig_certificate(&rig);
	assert_ok(http_server_reload(rig.server, &err));
	assert_int_equal(run(serial), 0);
	assert_string_not_equal(output, first);
	snprintf(first, sizeof(first), "%.250s", output);
	/* A key of another certificate: what was stays. */
	assert_int_equal(run("openssl ecparam -name P-256 -genkey -noout -out DIR/key.pem"), 0);
	assert_int_equal(http_server_reload(rig.server, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "key.pem"));
	assert_int_equal(run("rm DIR/cert.pem"), 0);
	assert_int_equal(http_server_reload(rig.server, &err), SLK_CONFIG);
	assert_int_equal(run(serial), 0);
	assert_string_equal(output, first);
}

static void
a_second_server_finds_the_port_in_use(void **state)
{
	(void)state;
	static const struct http_handler none;
	struct slk_error err;
	struct http_server *other = NULL;
	const struct http_listener listener = {.via = HTTP_VIA_TCP,
		.host = "127.0.0.1",
		.port = rig.tcp_port,
		.fd = -1,
		.handler = &none};
	const struct http_server_config config = {
		.threads = 1, .listeners = &listener, .listeners_count = 1};
	assert_int_equal(http_server_new(&config, &other, &err), SLK_EXISTS);
	assert_null(other);
	const struct http_listener bad_host = {
		.via = HTTP_VIA_TCP, .host = "localhost", .fd = -1, .handler = &none};
	const struct http_server_config bad = {
		.threads = 1, .listeners = &bad_host, .listeners_count = 1};
	assert_int_equal(http_server_new(&bad, &other, &err), SLK_CONFIG);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(curl_gets_answers_over_tls),
		CASE(old_versions_and_weak_ciphers_are_refused),
		CASE(plain_http_on_the_tls_port_is_told_so),
		CASE(sessions_resume),
		CASE(a_protocol_that_is_not_ours_is_refused),
		CASE(certificates_are_loaded_again_without_a_break),
		CASE(a_second_server_finds_the_port_in_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
