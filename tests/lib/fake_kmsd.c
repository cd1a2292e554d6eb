#include "slk_test.h"

#include "fake_kmsd.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sock.h"

struct fake_kmsd fake_kmsd;

static void
serve_connection(int fd, struct kmsp_arena *arena)
{
	static uint8_t in[KMSP_FRAME_MAX], out[KMSP_FRAME_MAX];
	const struct slk_sock_ops *ops = slk_sock_posix();

	for (;;) {
		struct pollfd p[] = {{.fd = fd, .events = POLLIN},
			{.fd = fake_kmsd.stop_pipe[0], .events = POLLIN}};
		const Kmsp__Request *request;
		size_t len;
		(void)poll(p, 2, -1);
		if (p[1].revents != 0 || ops->recv(ops->ctx, fd, in, sizeof(in), &len) != SLK_OK ||
			kmsp_request_unpack(arena, slk_span(in, len), &request) != SLK_OK)
			return;
		int n = fake_kmsd.answer(request, fake_kmsd.turns++, out);
		if (n < 0)
			return;
		if (n > 0 && ops->send(ops->ctx, fd, out, (size_t)n) != SLK_OK)
			return;
	}
}

static void *
serve(void *arg)
{
	(void)arg;
	struct kmsp_arena *arena = NULL;

	if (kmsp_arena_new(&arena) != SLK_OK)
		abort();
	for (;;) {
		struct pollfd p[] = {{.fd = fake_kmsd.listen_fd, .events = POLLIN},
			{.fd = fake_kmsd.stop_pipe[0], .events = POLLIN}};
		struct slk_peer peer;
		int fd;
		(void)poll(p, 2, -1);
		if (p[1].revents != 0)
			break;
		if (slk_sock_accept(fake_kmsd.listen_fd, &fd, &peer) != SLK_OK)
			continue;
		fake_kmsd.connections++;
		serve_connection(fd, arena);
		close(fd);
	}
	kmsp_arena_free(arena);
	return NULL;
}

void
fake_kmsd_start(fake_kmsd_answer_fn answer)
{
	fake_kmsd.answer = answer;
	fake_kmsd.turns = fake_kmsd.connections = 0;
	assert_int_equal(pipe(fake_kmsd.stop_pipe), 0);
	assert_ok(slk_sock_listen(fake_kmsd.path, 0600, &fake_kmsd.listen_fd, NULL));
	assert_int_equal(pthread_create(&fake_kmsd.thread, NULL, serve, NULL), 0);
}

void
fake_kmsd_stop(void)
{
	assert_int_equal(write(fake_kmsd.stop_pipe[1], "x", 1), 1);
	assert_int_equal(pthread_join(fake_kmsd.thread, NULL), 0);
	close(fake_kmsd.stop_pipe[0]);
	close(fake_kmsd.stop_pipe[1]);
	close(fake_kmsd.listen_fd);
	unlink(fake_kmsd.path);
}

int
fake_kmsd_reply(const Kmsp__Request *request, Kmsp__Reply *r, uint8_t *out)
{
	size_t len = 0;

	if (r->id == 0)
		r->id = request->id;
	return kmsp_reply_pack(r, out, KMSP_FRAME_MAX, &len) == SLK_OK ? (int)len : -1;
}
