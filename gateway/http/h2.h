/* HTTP/2 on a connection: what h2.c (the protocol's side) and h2_frames.c (what nghttp2 calls) share. */
#ifndef GATEWAY_HTTP_H2_H
#define GATEWAY_HTTP_H2_H

#include <nghttp2/nghttp2.h>

#include "http/conn.h"

struct h2 {
	nghttp2_session *session;
	TAILQ_HEAD(, http_exchange) all; /* whose stream is open */
	unsigned heads_count; /* of them, whose head is not whole */
	unsigned requests_count;
	uint64_t head_ns; /* since when one of these has been coming */
	uint64_t idle_ns; /* since when there is none at all */
	/* Frames that cost work and bring nothing: each takes one, time and finished exchanges give. */
	double credit;
	uint64_t credit_ns;
	bool is_flooding; /* it has been told so */
	/* nghttp2's buffer for frames: most of what an idle connection would cost; its pages are given back after a second. */
	void *frame_room;
	size_t frame_room_bytes;
	void *zeroed_room; /* a page that it wanted zeroed; given back while it is all zeros */
	bool is_trimmed;
};

/* The session of conn->own, its settings not sent yet. SLK_NO_MEMORY. */
MUST_USE int http_h2_session_new(struct http_conn *conn, nghttp2_session **out_session);
/* There is no stream: give pages back that are not needed until there is one. */
void http_h2_trim(struct h2 *h);
/* Answer a stream whose handler is not, or no longer, there to do it. */
void http_h2_refuse_stream(struct h2 *h, int32_t stream, enum http_refusal refusal);

#endif
