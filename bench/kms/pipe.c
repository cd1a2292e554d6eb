/* One connection to kmsd with many GenerateDataKey in flight: what a gateway's client is. Frames go out and come in by
 * sendmmsg and recvmmsg, as many as there are. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/sock.h"
#include "kms_bench.h"
#include "kmsclient/wire.h"

struct kb_pipe {
	int fd;
	unsigned timeout_ms;
	char (*keys)[320];
	unsigned keys_count;
	uint64_t next_id; /* the slot is in the low byte */
	struct kmsp_arena *arena;
	uint8_t out[KB_DEPTH_MAX][KB_FRAME_MAX], in[KB_DEPTH_MAX][KB_FRAME_MAX];
	size_t out_len[KB_DEPTH_MAX];
	uint64_t sent_ns[KB_DEPTH_MAX]; /* 0: free */
	uint8_t free[KB_DEPTH_MAX];
	unsigned free_count;
	uint64_t mark_ns;
	struct kb_pipe_stats stats;
};

int
kb_pipe_new(const struct kb_daemon *d, char (*keys)[320], unsigned keys_count, unsigned timeout_ms,
	struct kb_pipe **out_pipe, struct slk_error *err)
{
	struct kb_pipe *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return SLK_NO_MEMORY;
	*p = (struct kb_pipe){
		.fd = -1, .keys = keys, .keys_count = keys_count, .timeout_ms = timeout_ms};
	slk_hist_init(&p->stats.latency);
	for (; p->free_count < KB_DEPTH_MAX; p->free_count++)
		p->free[p->free_count] = (uint8_t)p->free_count;
	int rc = kmsp_arena_new(&p->arena);
	if (rc == SLK_OK)
		rc = slk_sock_connect(d->socket, &p->fd, err);
	if (rc != SLK_OK) {
		kb_pipe_free(p);
		return rc;
	}
	*out_pipe = p;
	return SLK_OK;
}

void
kb_pipe_free(struct kb_pipe *p)
{
	if (p == NULL)
		return;
	if (p->fd >= 0)
		close(p->fd);
	kmsp_arena_free(p->arena);
	slk_wipe(p->in, sizeof(p->in));
	free(p);
}

struct kb_pipe_stats *
kb_pipe_stats(struct kb_pipe *p)
{
	return &p->stats;
}

void
kb_pipe_mark(struct kb_pipe *p, uint64_t mono_ns)
{
	p->mark_ns = mono_ns;
	p->stats.first_ok_ns = 0;
}

static int
pack(struct kb_pipe *p, unsigned slot)
{
	static char name[] = "aws:kinesis:arn", value[] = KB_STREAM_ARN;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__GenerateDataKey call = KMSP__GENERATE_DATA_KEY__INIT;
	Kmsp__Pair pair = KMSP__PAIR__INIT;
	Kmsp__Pair *pairs[] = {&pair};

	pair.key = (ProtobufCBinaryData){sizeof(name) - 1, (uint8_t *)name};
	pair.value = (ProtobufCBinaryData){sizeof(value) - 1, (uint8_t *)value};
	call.key = p->keys[p->next_id % p->keys_count];
	call.n_context = 1;
	call.context = pairs;
	request.id = p->next_id++ << 8 | slot;
	request.timeout_ms = p->timeout_ms;
	request.call_case = KMSP__REQUEST__CALL_GENERATE_DATA_KEY;
	request.generate_data_key = &call;
	return kmsp_request_pack(&request, p->out[slot], KB_FRAME_MAX, &p->out_len[slot]);
}

static int
send_some(struct kb_pipe *p, unsigned count)
{
	struct mmsghdr msgs[KB_DEPTH_MAX] = {0};
	struct iovec iov[KB_DEPTH_MAX];
	uint64_t now_ns = slk_mono_ns(slk_clock_system());

	for (unsigned i = 0; i < count; i++) {
		unsigned slot = p->free[--p->free_count];
		int rc = pack(p, slot);
		if (rc != SLK_OK)
			return rc;
		p->sent_ns[slot] = now_ns;
		iov[i] = (struct iovec){p->out[slot], p->out_len[slot]};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	for (unsigned sent = 0; sent < count;) {
		int n = sendmmsg(p->fd, msgs + sent, count - sent, MSG_NOSIGNAL);
		if (n <= 0)
			return SLK_CLOSED;
		sent += (unsigned)n;
	}
	return SLK_OK;
}

static bool
is_data_key(const Kmsp__Reply *r)
{
	return r->result_case == KMSP__REPLY__RESULT_CIPHER &&
		r->cipher->plaintext.len == KB_DATA_KEY_BYTES && r->cipher->blob.len > 0;
}

static void
count(struct kb_pipe *p, const Kmsp__Reply *r, uint64_t sent_ns, uint64_t now_ns)
{
	struct kb_pipe_stats *s = &p->stats;
	uint64_t took_ns = now_ns - sent_ns, limit_ns = p->timeout_ms * SLK_NS_PER_MS;

	slk_hist_add(&s->latency, took_ns, 1);
	if (took_ns > limit_ns && took_ns - limit_ns > s->overrun_max_ns)
		s->overrun_max_ns = took_ns - limit_ns;
	if (r->status != SLK_OK) {
		s->failed_count++;
		s->failed_max_ns = took_ns > s->failed_max_ns ? took_ns : s->failed_max_ns;
		return;
	}
	s->ok_count++;
	if (p->mark_ns != 0 && sent_ns >= p->mark_ns && s->first_ok_ns == 0)
		s->first_ok_ns = now_ns;
}

static int
take(struct kb_pipe *p, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	const Kmsp__Reply *r = NULL;

	int rc = kmsp_reply_unpack(p->arena, slk_span(frame, len), &r);
	if (rc != SLK_OK)
		return rc;
	unsigned slot = (unsigned)(r->id & 0xff);
	if (slot >= KB_DEPTH_MAX || p->sent_ns[slot] == 0 ||
		(r->status == SLK_OK && !is_data_key(r)))
		return SLK_MALFORMED;
	count(p, r, p->sent_ns[slot], now_ns);
	p->sent_ns[slot] = 0;
	p->free[p->free_count++] = (uint8_t)slot;
	return SLK_OK;
}

/* Wait for one answer at least. */
static int
receive_some(struct kb_pipe *p, unsigned *out_count)
{
	struct mmsghdr msgs[KB_DEPTH_MAX] = {0};
	struct iovec iov[KB_DEPTH_MAX];
	unsigned flying = KB_DEPTH_MAX - p->free_count;

	for (unsigned i = 0; i < flying; i++) {
		iov[i] = (struct iovec){p->in[i], KB_FRAME_MAX};
		msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	int n = recvmmsg(p->fd, msgs, flying, MSG_WAITFORONE, NULL);
	uint64_t now_ns = slk_mono_ns(slk_clock_system());
	int rc = n > 0 ? SLK_OK : SLK_CLOSED;
	for (int i = 0; rc == SLK_OK && i < n; i++)
		rc = msgs[i].msg_len > 0 ? take(p, p->in[i], msgs[i].msg_len, now_ns) : SLK_CLOSED;
	*out_count = n > 0 ? (unsigned)n : 0;
	return rc;
}

int
kb_pipe_run(struct kb_pipe *p, unsigned total, unsigned depth)
{
	unsigned sent = 0, got = 0;
	int rc = SLK_OK;

	while (rc == SLK_OK && got < total) {
		unsigned room = depth - (sent - got), left = total - sent, n = 0;
		if (room > 0 && left > 0) {
			n = room < left ? room : left;
			rc = send_some(p, n);
			sent += n;
		}
		if (rc == SLK_OK)
			rc = receive_some(p, &n);
		got += n;
	}
	return rc;
}

int
kb_pipe_run_until(struct kb_pipe *p, uint64_t mono_end_ns, unsigned depth)
{
	unsigned flying = 0;
	int rc = SLK_OK;
	bool over = false;

	while (rc == SLK_OK && (!over || flying > 0)) {
		unsigned n = 0;
		over = slk_mono_ns(slk_clock_system()) >= mono_end_ns;
		if (!over && flying < depth) {
			rc = send_some(p, depth - flying);
			flying = depth;
		}
		if (rc == SLK_OK && flying > 0)
			rc = receive_some(p, &n);
		flying -= n;
	}
	return rc;
}
