/* HTTP requests of deliverd, many at once, over libcurl in the loop's thread.
 *
 * One per loop: connections are kept and shared by all destinations. TLS is verified always; a CA of a destination's own
 * comes from deliverd.yaml. HTTP/1.1. Redirects are not followed: a signature is for one host. No proxy, and nothing else, is
 * taken from the environment. Nothing of a request's body or headers is ever logged; what libcurl held of them is wiped when
 * it is given back, and its buffers of bodies are locked (web_memory.h). Thread: the loop's.
 */
#ifndef DELIVERY_WEB_H
#define DELIVERY_WEB_H

#include "base/bytes.h"
#include "loop.h"

struct dlv_web;
MUST_USE int dlv_web_new(struct dlv_loop *loop, struct dlv_web **out_web, struct slk_error *err);
void dlv_web_free(struct dlv_web *
		web); /* NULL allowed; cancels what is under way; before the loop's end, never within a done */

struct dlv_web_header {
	const char *name, *value;
};
#define DLV_WEB_HEADERS_MAX 24u
#define DLV_WEB_ANY_SPEED UINT32_MAX

/* All borrowed until done, or cancel. */
struct dlv_web_request {
	const char *method, *url; /* url: already encoded; sent as it is */
	const struct dlv_web_header
		*headers; /* Host, Content-Length and Expect are the library's */
	size_t headers_count;
	struct slk_span body; /* and, sent behind it without a copy: */
	struct slk_span tail;
	const char *ca_file; /* NULL: the system's */
	uint32_t connect_ms, total_ms; /* 0: 5,000 and 60,000 */
	/* Slower than that for 30 s is given up; 0: 1,024; DLV_WEB_ANY_SPEED: only total_ms counts, for servers that think long. */
	uint32_t low_bytes_per_second;
	/* Bytes of the answer's body that are kept; what is behind them is dropped, and after another MiB cut off. 0: 64 KiB. */
	size_t answer_max;
};

struct dlv_web_answer {
	/* SLK_OK: an answer came, whatever it says. Otherwise, with sentence: SLK_UNAVAILABLE (no connection), SLK_TIMEOUT,
	 * SLK_CLOSED (half-way), SLK_DENIED (its certificate), SLK_MALFORMED (no HTTP), SLK_NO_MEMORY. */
	int status;
	const char *sentence; /* "" */
	unsigned http_status; /* 0 without an answer */
	struct slk_span body;
	bool body_cut;
	/* A header of the answer, "" if it is not there. Case does not matter. Borrowed until the next call. */
	const char *(*header)(const struct dlv_web_answer *answer, const char *name);
	void *inner;
};
typedef void (*dlv_web_done)(void *arg, const struct dlv_web_answer *answer);

struct dlv_web_call;
/* done is called once, never from here; the call is gone after it. It may send and cancel others. SLK_INVALID (url, or a header
 * with a line break), SLK_NO_MEMORY. */
MUST_USE int dlv_web_send(struct dlv_web *web, const struct dlv_web_request *request,
	dlv_web_done done, void *arg, struct dlv_web_call **out_call);
void dlv_web_cancel(struct dlv_web_call *call); /* done is not called any more */

#endif
