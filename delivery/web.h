/* HTTP requests of deliverd, many at once, over libcurl in the loop's thread.
 *
 * One per loop: connections are kept and shared by all destinations. TLS is verified always; a CA of a destination's own
 * comes from deliverd.yaml. Redirects are not followed: a signature is for one host. Nothing of a request's body or
 * Authorization is ever logged. Thread: the loop's.
 */
#ifndef DELIVERY_WEB_H
#define DELIVERY_WEB_H

#include "base/bytes.h"
#include "loop.h"

struct dlv_web;
MUST_USE int dlv_web_new(struct dlv_loop *loop, struct dlv_web **out_web, struct slk_error *err);
void dlv_web_free(struct dlv_web *web); /* NULL allowed; cancels what is under way */
struct dlv_web *dlv_loop_web(struct dlv_loop *loop); /* the loop's one; NULL before it was made */

struct dlv_web_header {
	const char *name, *value;
};
#define DLV_WEB_HEADERS_MAX 24u

/* All borrowed until done, or cancel. */
struct dlv_web_request {
	const char *method, *url;
	const struct dlv_web_header
		*headers; /* Host, Content-Length and Expect are the library's */
	size_t headers_count;
	struct slk_span body; /* and, sent behind it without a copy: */
	struct slk_span tail;
	const char *ca_file; /* NULL: the system's */
	uint32_t connect_ms, total_ms; /* 0: 5,000 and 60,000 */
	uint32_t low_bytes_per_second; /* slower than that for 30 s is given up; 0: 1,024 */
	size_t answer_max; /* bytes of the answer's body that are kept; the rest is dropped; 0: 64 KiB */
};

struct dlv_web_answer {
	int status; /* SLK_OK: an answer came, whatever it says; SLK_UNAVAILABLE, SLK_TIMEOUT, SLK_CLOSED, SLK_DENIED (its
		       certificate) with sentence */
	const char *sentence; /* "" */
	unsigned http_status;
	struct slk_span body;
	bool body_cut;
	/* A header of the answer, "" if it is not there. Case does not matter. */
	const char *(*header)(const struct dlv_web_answer *answer, const char *name);
	void *inner;
};
typedef void (*dlv_web_done)(void *arg, const struct dlv_web_answer *answer);

struct dlv_web_call;
/* done is called once, never from here. SLK_INVALID (url), SLK_NO_MEMORY. */
MUST_USE int dlv_web_send(struct dlv_web *web, const struct dlv_web_request *request,
	dlv_web_done done, void *arg, struct dlv_web_call **out_call);
void dlv_web_cancel(struct dlv_web_call *call); /* done is not called any more */

#endif
