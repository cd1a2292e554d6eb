/* What a server counts, per thread and added up: one list, from which /metrics and its documentation are made.
 *
 * Every refusal has a reason of its own. Thread: one writer per struct; readers add them up at any time.
 */
#ifndef GATEWAY_HTTP_COUNTERS_H
#define GATEWAY_HTTP_COUNTERS_H

#include <stdint.h>

/* Requests and connections that were refused or broken off. X(name, sentence) */
#define HTTP_REFUSAL_LIST(X) \
	X(connections_full, "a connection beyond limits.connections_count, closed at once") \
	X(address_full, "a connection beyond limits.address_connections_count, closed at once") \
	X(accept_failed, "a connection that the system did not give (descriptors, memory)") \
	X(tls_handshake, "a TLS handshake that failed") \
	X(tls_plain, "plain HTTP on a TLS port") \
	X(tls_broken, "a TLS connection that broke the protocol after its handshake") \
	X(handshake_timeout, "a TLS handshake that took longer than times.handshake_ms") \
	X(header_timeout, "a head that did not come within times.header_ms (408)") \
	X(body_timeout, "a body that came too slowly (408)") \
	X(idle_timeout, "a connection idle for times.idle_ms, closed in order") \
	X(write_timeout, "an answer that was not taken for times.write_ms") \
	X(bad_request_line, "a request line that is none (400)") \
	X(bad_version, "a version other than HTTP/1.0 and 1.1 (505)") \
	X(bad_target, "a request target that is none (400)") \
	X(bad_header, "a header line that is none: name, value, folding, bare CR or LF (400)") \
	X(bad_host, "no Host, several, or a malformed one; :authority that differs (400)") \
	X(bad_length, "a Content-Length that is none, or more than one (400)") \
	X(bad_framing, "Content-Length with Transfer-Encoding, or the latter in HTTP/1.0 (400)") \
	X(bad_coding, "a Transfer-Encoding other than chunked (501)") \
	X(bad_expect, "an Expect other than 100-continue (417)") \
	X(repeated_header, "a header that may come once came twice (400)") \
	X(bad_chunk, "a malformed chunk (400)") \
	X(bad_trailer, "a malformed or too large trailer (400)") \
	X(head_too_large, "a head beyond limits.header_bytes or headers_count (431)") \
	X(target_too_long, "a request target beyond 8 KiB (414)") \
	X(body_too_large, "a body beyond its cap (413)") \
	X(body_no_room, "a body for which limits.buffers_bytes had no room (503)") \
	X(no_memory, "a request or a connection for which there was no memory (503)") \
	X(h2_protocol, "an HTTP/2 connection that broke the protocol (GOAWAY)") \
	X(h2_flood, "an HTTP/2 connection that flooded: resets, CONTINUATION, settings (GOAWAY)") \
	X(h2_stream, "an HTTP/2 stream that broke the protocol (RST_STREAM)") \
	X(h2_streams_full, "an HTTP/2 stream beyond limits.streams_count")

enum http_refusal {
#define X(name, sentence) HTTP_REFUSED_##name,
	HTTP_REFUSAL_LIST(X)
#undef X
		HTTP_REFUSAL_COUNT
};

/* X(name, sentence) */
#define HTTP_COUNTER_LIST(X) \
	X(accepted, "connections accepted") \
	X(closed, "connections ended") \
	X(handshakes, "TLS handshakes completed") \
	X(handshakes_resumed, "of these, resumed sessions") \
	X(requests_h1, "requests by HTTP/1.1") \
	X(requests_h2, "requests by HTTP/2") \
	X(answers_1xx, "interim answers (100 Continue)") \
	X(answers_2xx, "answers 2xx") \
	X(answers_3xx, "answers 3xx") \
	X(answers_4xx, "answers 4xx, by handlers and by the server") \
	X(answers_5xx, "answers 5xx, by handlers and by the server") \
	X(sent, "exchanges whose answer was written whole") \
	X(gone, "exchanges whose client left before the answer") \
	X(timed_out, "exchanges whose body or answer stood still for too long") \
	X(aborted, "answers that were broken off") \
	X(stopped, "exchanges that ended with the server") \
	X(malformed, "exchanges whose body broke the protocol") \
	X(in_bytes, "bytes of bodies that came") \
	X(out_bytes, "bytes of bodies that went") \
	X(turns, "turns of event loops")

struct http_counters {
#define X(name, sentence) uint64_t name;
	HTTP_COUNTER_LIST(X)
#undef X
	uint64_t connections; /* now */
	uint64_t exchanges; /* now */
	uint64_t buffer_bytes; /* in use now */
	uint64_t refused[HTTP_REFUSAL_COUNT];
};

const char *http_refusal_name(enum http_refusal refusal);
const char *http_refusal_sentence(enum http_refusal refusal);

#endif
