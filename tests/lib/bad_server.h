/* A server of HTTP/1.1 on a port of this host that behaves as it is asked to, by path; a thread for each connection.
 *
 *     /echo       200 with the body that came, "X-Method" and "X-Seen" (the request's X-Ask)
 *     /status/N   N with a short body
 *     /silent     nothing
 *     /drip       200, then a byte every 20 ms, for ever
 *     /endless    200 and bytes without an end
 *     /reset      reads up to a KiB of the body, then resets
 *     /half       promises 100 bytes, sends 10, ends
 *     /garbage    bytes that are no HTTP
 *     /early      403 before the body is read, then ends
 *     /once       200, and the connection ends without a word of it
 *     /big        200 with 200 KiB
 *     /redirect   302 to /echo
 *
 * or as bad_server_script() says, whatever the path.
 */
#ifndef SLK_TESTS_LIB_BAD_SERVER_H
#define SLK_TESTS_LIB_BAD_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bad_server;
/* certificate, key: PEM files; NULL: no TLS. Fails the test if it cannot. */
struct bad_server *bad_server_start(const char *certificate, const char *key);
void bad_server_stop(struct bad_server *server);
uint16_t bad_server_port(const struct bad_server *server);
unsigned bad_server_connections(const struct bad_server *server); /* accepted so far */
unsigned bad_server_requests(const struct bad_server *server); /* heads that were read */

/* An answer for requests whose first line begins with method and has in_target in it; the first entry that fits, times times (0: for
 * ever). body: with Content-Length; headers: "Name: value\r\n..." or "". */
struct bad_reply {
	const char *method, *in_target;
	unsigned status;
	const char *headers, *body;
	unsigned times;
	bool reset; /* read a part of the body, then reset */
};
/* replies is the test's, is changed (times) and lives as long. While no request is under way. NULL: by path again. */
void bad_server_script(struct bad_server *server, struct bad_reply *replies, size_t count);
/* First lines of the requests, in the order in which they came, each with a newline; "" if there were too many. */
const char *bad_server_seen(struct bad_server *server);
/* The head of the last one. */
const char *bad_server_last_head(struct bad_server *server);
void bad_server_forget(struct bad_server *server);

#endif
