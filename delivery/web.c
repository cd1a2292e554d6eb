#include "web.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/secret.h"
#include "web_memory.h"

#define CONNECT_MS 5000u
#define TOTAL_MS 60000u
#define LOW_BYTES_PER_SECOND 1024u
#define LOW_SECONDS 30L
#define ANSWER_MAX 65536u
/* An answer that goes on for so long behind what is kept of it is cut off. */
#define DROP_MAX (1u << 20)
#define UPLOAD_BYTES (256L << 10)
#define HOST_CONNECTIONS 64L
#define KEPT_CONNECTIONS 64L

struct dlv_web {
	struct dlv_loop *loop;
	CURLM *multi;
	struct dlv_timer timer;
	struct dlv_web_call *calls; /* under way */
	struct socket_watch *sockets;
};

/* One of libcurl's descriptors. */
struct socket_watch {
	struct dlv_watch watch;
	struct dlv_web *web;
	struct socket_watch *next, **self;
};

struct dlv_web_call {
	struct dlv_web *web;
	struct dlv_web_call *next, **self;
	CURL *easy;
	struct curl_slist *headers;
	struct slk_span body, tail;
	uint64_t sent; /* of body and tail */
	uint8_t *kept;
	size_t kept_len, kept_cap, kept_max, dropped;
	bool no_memory;
	dlv_web_done done;
	void *arg;
	char sentence[CURL_ERROR_SIZE];
};

static CURLcode global_rc;

static void
global_init(void)
{
	global_rc = curl_global_init_mem(CURL_GLOBAL_DEFAULT, dlv_web_malloc, dlv_web_free_memory,
		dlv_web_realloc, dlv_web_strdup, dlv_web_calloc);
}

/* --- a call --- */

static void
call_unlink(struct dlv_web_call *call)
{
	*call->self = call->next;
	if (call->next != NULL)
		call->next->self = call->self;
}

static void
call_free(struct dlv_web_call *call)
{
	if (call->easy != NULL)
		curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	dlv_web_free_memory(call->kept);
	free(call);
}

/* What is still to be sent, first of body, then of tail. */
static size_t
on_read(char *out, size_t size, size_t count, void *arg)
{
	struct dlv_web_call *call = arg;
	size_t room = size * count, copied = 0;

	while (copied < room) {
		bool in_body = call->sent < call->body.len;
		struct slk_span from = in_body ? call->body : call->tail;
		size_t at = (size_t)(in_body ? call->sent : call->sent - call->body.len);
		size_t n = from.len - at < room - copied ? from.len - at : room - copied;
		if (n == 0)
			break;
		memcpy(out + copied, from.ptr + at, n);
		copied += n;
		call->sent += n;
	}
	return copied;
}

/* A kept connection turned out to be closed: libcurl begins again on another one. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct dlv_web_call *call = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > call->body.len + call->tail.len)
		return CURL_SEEKFUNC_FAIL;
	call->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool
keep_room(struct dlv_web_call *call, size_t len)
{
	if (len <= call->kept_cap)
		return true;
	size_t cap = call->kept_cap == 0 ? 4096 : call->kept_cap * 2;
	while (cap < len)
		cap *= 2;
	uint8_t *kept = dlv_web_realloc(call->kept, cap);
	if (kept == NULL)
		return false;
	call->kept = kept;
	call->kept_cap = cap;
	return true;
}

/* Anything but len ends the transfer. */
static size_t
on_write(char *bytes, size_t size, size_t count, void *arg)
{
	struct dlv_web_call *call = arg;
	size_t len = size * count, room = call->kept_max - call->kept_len;
	size_t n = len < room ? len : room;

	if (!keep_room(call, call->kept_len + n)) {
		call->no_memory = true;
		return 0;
	}
	if (n > 0)
		memcpy(call->kept + call->kept_len, bytes, n);
	call->kept_len += n;
	call->dropped += len - n;
	return call->dropped <= DROP_MAX ? len : 0;
}

/* --- what came of it --- */

static int
status_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return SLK_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return SLK_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
		return SLK_DENIED;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return SLK_CLOSED;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, or bytes that are no HTTP */
	case CURLE_BAD_CONTENT_ENCODING:
		return SLK_MALFORMED;
	case CURLE_OUT_OF_MEMORY:
		return SLK_NO_MEMORY;
	default:
		return SLK_UNAVAILABLE;
	}
}

static const char *
answer_header(const struct dlv_web_answer *answer, const char *name)
{
	struct dlv_web_call *call = answer->inner;
	struct curl_header *header = NULL;

	if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return "";
	return header->value;
}

static void
make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
	}
}

static void
answer_fill(struct dlv_web_call *call, CURLcode code, struct dlv_web_answer *out)
{
	long http_status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &http_status);
	if (code == CURLE_WRITE_ERROR && call->dropped > DROP_MAX)
		code = CURLE_OK; /* we had enough of it */
	else if (code == CURLE_WRITE_ERROR && call->no_memory)
		code = CURLE_OUT_OF_MEMORY;
	if (code != CURLE_OK && call->sentence[0] == '\0')
		snprintf(call->sentence, sizeof(call->sentence), "%s", curl_easy_strerror(code));
	make_printable(call->sentence);
	*out = (struct dlv_web_answer){
		.status = status_of(code),
		.sentence = code != CURLE_OK ? call->sentence : "",
		.http_status = code == CURLE_OK ? (unsigned)http_status : 0,
		.body = slk_span(call->kept, call->kept_len),
		.body_cut = call->dropped > 0,
		.header = answer_header,
		.inner = call,
	};
}

static void
finish(struct dlv_web *web, struct dlv_web_call *call, CURLcode code)
{
	struct dlv_web_answer answer;

	curl_multi_remove_handle(web->multi, call->easy);
	call_unlink(call);
	answer_fill(call, code, &answer);
	call->done(call->arg, &answer);
	call_free(call);
}

/* done may send and cancel: libcurl is asked again each time. */
static void
finish_all(struct dlv_web *web)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(web->multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		struct dlv_web_call *call = NULL;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		finish(web, call, code);
	}
}

/* --- libcurl in the loop --- */

static void
act(struct dlv_web *web, curl_socket_t fd, int mask)
{
	int running;

	/* Errors are those of transfers, and come with them. */
	(void)curl_multi_socket_action(web->multi, fd, mask, &running);
	finish_all(web);
}

static void
on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void
on_event(void *arg, uint32_t events)
{
	struct socket_watch *socket = arg;
	int mask = 0;

	if (events & EPOLLIN)
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		mask |= CURL_CSELECT_ERR;
	act(socket->web, socket->watch.fd, mask); /* socket may be gone afterwards */
}

static void
socket_drop(struct socket_watch *socket)
{
	dlv_watch_stop(socket->web->loop, &socket->watch);
	*socket->self = socket->next;
	if (socket->next != NULL)
		socket->next->self = socket->self;
	free(socket);
}

static struct socket_watch *
socket_add(struct dlv_web *web, curl_socket_t fd)
{
	struct socket_watch *socket = calloc(1, sizeof(*socket));

	if (socket == NULL)
		return NULL;
	socket->web = web;
	socket->watch.fn = on_event;
	socket->watch.arg = socket;
	socket->next = web->sockets;
	socket->self = &web->sockets;
	if (socket->next != NULL)
		socket->next->self = &socket->next;
	web->sockets = socket;
	curl_multi_assign(web->multi, fd, socket);
	return socket;
}

/* A descriptor that cannot be watched: its transfer runs into its time limit. An error from here would end all of them. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct dlv_web *web = arg;
	struct socket_watch *socket = of_socket;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket != NULL)
			socket_drop(socket);
		return 0;
	}
	if (socket == NULL)
		socket = socket_add(web, fd);
	uint32_t events =
		(what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (socket != NULL && dlv_watch_set(web->loop, &socket->watch, fd, events) != SLK_OK)
		dlv_watch_stop(web->loop, &socket->watch);
	return 0;
}

static int
on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
	struct dlv_web *web = arg;

	(void)multi;
	if (timeout_ms < 0) {
		dlv_timer_stop(web->loop, &web->timer);
		return 0;
	}
	uint64_t now = slk_mono_ns(dlv_loop_clock(web->loop));
	dlv_timer_set(
		web->loop, &web->timer, now + (uint64_t)timeout_ms * SLK_NS_PER_MS, on_timer, web);
	return 0;
}

static int
multi_open(struct dlv_web *web)
{
	web->multi = curl_multi_init();
	if (web->multi == NULL)
		return SLK_NO_MEMORY;
	CURLMcode rc = curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	if (rc == CURLM_OK)
		rc = curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
	if (rc == CURLM_OK)
		rc = curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	if (rc == CURLM_OK)
		rc = curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
	if (rc == CURLM_OK)
		rc = curl_multi_setopt(web->multi, CURLMOPT_MAX_HOST_CONNECTIONS, HOST_CONNECTIONS);
	if (rc == CURLM_OK)
		rc = curl_multi_setopt(web->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
	return rc == CURLM_OK ? SLK_OK : SLK_INTERNAL;
}

int
dlv_web_new(struct dlv_loop *loop, struct dlv_web **out_web, struct slk_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, global_init);
	if (global_rc != CURLE_OK)
		return slk_fail(err, SLK_INTERNAL, "libcurl does not start: %s",
			curl_easy_strerror(global_rc));
	struct dlv_web *web = calloc(1, sizeof(*web));
	if (web == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for HTTP");
	web->loop = loop;
	int rc = multi_open(web);
	if (rc != SLK_OK) {
		dlv_web_free(web);
		return slk_fail(err, rc, "libcurl does not start");
	}
	dlv_loop_set_web(loop, web);
	*out_web = web;
	return SLK_OK;
}

void
dlv_web_free(struct dlv_web *web)
{
	if (web == NULL)
		return;
	for (struct dlv_web_call *call = web->calls, *next; call != NULL; call = next) {
		next = call->next;
		dlv_web_cancel(call);
	}
	if (web->multi != NULL)
		curl_multi_cleanup(web->multi);
	for (struct socket_watch *socket = web->sockets, *next; socket != NULL; socket = next) {
		next = socket->next;
		socket_drop(socket);
	}
	dlv_timer_stop(web->loop, &web->timer);
	if (dlv_loop_web(web->loop) == web)
		dlv_loop_set_web(web->loop, NULL);
	free(web);
}

/* --- a request --- */

static CURLcode
add_header(struct dlv_web_call *call, const char *line)
{
	struct curl_slist *list = curl_slist_append(call->headers, line);

	if (list == NULL)
		return CURLE_OUT_OF_MEMORY;
	call->headers = list;
	return CURLE_OK;
}

/* "name;" is how libcurl takes a header without a value; "name:" leaves one of its own out. */
static CURLcode
set_headers(struct dlv_web_call *call, const struct dlv_web_request *request)
{
	CURLcode rc = add_header(call, "Expect:");

	if (request->headers_count > DLV_WEB_HEADERS_MAX)
		return CURLE_BAD_FUNCTION_ARGUMENT;
	for (size_t i = 0; rc == CURLE_OK && i < request->headers_count; i++) {
		const struct dlv_web_header *h = &request->headers[i];
		size_t cap = strlen(h->name) + strlen(h->value) + 3;
		if (strpbrk(h->name, "\r\n:") != NULL || strpbrk(h->value, "\r\n") != NULL)
			return CURLE_BAD_FUNCTION_ARGUMENT;
		char *line = malloc(cap);
		if (line == NULL)
			return CURLE_OUT_OF_MEMORY;
		if (h->value[0] == '\0')
			snprintf(line, cap, "%s;", h->name);
		else
			snprintf(line, cap, "%s: %s", h->name, h->value);
		rc = add_header(call, line);
		slk_wipe(line, cap);
		free(line);
	}
	return rc == CURLE_OK ? curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers)
			      : rc;
}

#define SET(option, value) \
	do { \
		CURLcode rc_ = curl_easy_setopt(call->easy, (option), (value)); \
		if (rc_ != CURLE_OK) \
			return rc_; \
	} while (0)

/* A body of 0 bytes is one, too, for the methods that have one. */
static CURLcode
set_method(struct dlv_web_call *call, const struct dlv_web_request *request)
{
	bool uploads = strcmp(request->method, "PUT") == 0 ||
		strcmp(request->method, "POST") == 0 || request->body.len + request->tail.len > 0;

	if (strcmp(request->method, "HEAD") == 0)
		SET(CURLOPT_NOBODY, 1L);
	else if (uploads) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)(request->body.len + request->tail.len));
		SET(CURLOPT_READFUNCTION, on_read);
		SET(CURLOPT_READDATA, call);
		SET(CURLOPT_SEEKFUNCTION, on_seek);
		SET(CURLOPT_SEEKDATA, call);
		SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BYTES);
	}
	SET(CURLOPT_CUSTOMREQUEST, request->method);
	return CURLE_OK;
}

/* Nothing comes from the environment: no proxy, no netrc. */
static CURLcode
set_transport(struct dlv_web_call *call, const struct dlv_web_request *request)
{
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_USERAGENT, "sealock-deliverd");
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (request->ca_file != NULL) {
		SET(CURLOPT_CAINFO, request->ca_file);
		SET(CURLOPT_CAPATH, (char *)NULL);
	}
	return CURLE_OK;
}

static CURLcode
set_limits(struct dlv_web_call *call, const struct dlv_web_request *request)
{
	uint32_t low = request->low_bytes_per_second;

	SET(CURLOPT_CONNECTTIMEOUT_MS,
		(long)(request->connect_ms != 0 ? request->connect_ms : CONNECT_MS));
	SET(CURLOPT_TIMEOUT_MS, (long)(request->total_ms != 0 ? request->total_ms : TOTAL_MS));
	SET(CURLOPT_LOW_SPEED_LIMIT, (long)(low != 0 ? low : LOW_BYTES_PER_SECOND));
	SET(CURLOPT_LOW_SPEED_TIME, low != DLV_WEB_ANY_SPEED ? LOW_SECONDS : 0L);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	SET(CURLOPT_WRITEDATA, call);
	SET(CURLOPT_ERRORBUFFER, call->sentence);
	SET(CURLOPT_PRIVATE, call);
	return CURLE_OK;
}
#undef SET

static int
call_set(struct dlv_web_call *call, const struct dlv_web_request *request)
{
	call->easy = curl_easy_init();
	CURLcode rc = call->easy != NULL ? set_transport(call, request) : CURLE_OUT_OF_MEMORY;
	if (rc == CURLE_OK)
		rc = set_limits(call, request);
	if (rc == CURLE_OK)
		rc = set_method(call, request);
	if (rc == CURLE_OK)
		rc = set_headers(call, request);
	if (rc == CURLE_OK)
		return SLK_OK;
	return rc == CURLE_OUT_OF_MEMORY ? SLK_NO_MEMORY : SLK_INVALID;
}

/* libcurl looks at the URL when the transfer begins, which is too late to say that it is none. */
static bool
url_is_one(const char *text)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	bool ok = url != NULL &&
		curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	curl_free(scheme);
	curl_url_cleanup(url);
	return ok;
}

int
dlv_web_send(struct dlv_web *web, const struct dlv_web_request *request, dlv_web_done done,
	void *arg, struct dlv_web_call **out_call)
{
	if (!url_is_one(request->url))
		return SLK_INVALID;
	struct dlv_web_call *call = calloc(1, sizeof(*call));
	if (call == NULL)
		return SLK_NO_MEMORY;
	call->web = web;
	call->body = request->body;
	call->tail = request->tail;
	call->kept_max = request->answer_max != 0 ? request->answer_max : ANSWER_MAX;
	call->done = done;
	call->arg = arg;
	int rc = call_set(call, request);
	if (rc == SLK_OK && curl_multi_add_handle(web->multi, call->easy) != CURLM_OK)
		rc = SLK_NO_MEMORY;
	if (rc != SLK_OK) {
		call_free(call);
		return rc;
	}
	call->next = web->calls;
	call->self = &web->calls;
	if (call->next != NULL)
		call->next->self = &call->next;
	web->calls = call;
	*out_call = call;
	return SLK_OK;
}

void
dlv_web_cancel(struct dlv_web_call *call)
{
	curl_multi_remove_handle(call->web->multi, call->easy);
	call_unlink(call);
	call_free(call);
}
