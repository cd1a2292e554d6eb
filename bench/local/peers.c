#include "local/peers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING_BYTES (4u << 20)
#define COMPLETIONS 4096u
#define HEAD_BYTES 40u
#define ANSWER_BYTES 32u
#define MESSAGE_MAX (1u << 17)
#define SPINS 1000u

/* --- rings --- */

struct peer_ring {
	_Alignas(64) _Atomic uint64_t submitted;
	_Alignas(64) _Atomic uint64_t taken;
	_Atomic uint64_t completed;
	_Alignas(64) _Atomic bool stop;
	uint64_t at, done; /* the producer's */
	uint8_t *ring, *completions, *out;
	pthread_t thread;
};

/* On few cores the other side must get one. */
static void
idle(unsigned *spins)
{
	if (++*spins % SPINS == 0)
		sched_yield();
}

static void *
take_all(void *arg)
{
	struct peer_ring *r = arg;
	uint64_t at = 0, done = 0;
	unsigned spins = 0;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint64_t submitted = atomic_load_explicit(&r->submitted, memory_order_acquire);
		if (submitted == at) {
			idle(&spins);
			continue;
		}
		while (at != submitted) {
			const uint8_t *e = r->ring + at % RING_BYTES;
			uint32_t bytes;
			memcpy(&bytes, e, sizeof(bytes));
			if (bytes > RING_BYTES - at % RING_BYTES)
				return NULL;
			if (e[4] == 1) { /* no pad */
				memcpy(r->out, e, bytes);
				memset(r->completions + done++ % COMPLETIONS * 64, (int)bytes, 64);
			}
			at += bytes;
		}
		atomic_store_explicit(&r->taken, at, memory_order_release);
		atomic_store_explicit(&r->completed, done, memory_order_release);
	}
	return NULL;
}

int
peer_ring_new(struct peer_ring **out)
{
	struct peer_ring *r = aligned_alloc(64, (sizeof(*r) + 63) / 64 * 64);

	if (r == NULL)
		return SLK_NO_MEMORY;
	memset(r, 0, sizeof(*r));
	r->ring = calloc(1, RING_BYTES);
	r->completions = calloc(COMPLETIONS, 64);
	r->out = calloc(1, RING_BYTES);
	if (r->ring == NULL || r->completions == NULL || r->out == NULL ||
		pthread_create(&r->thread, NULL, take_all, r) != 0) {
		free(r->ring);
		free(r->completions);
		free(r->out);
		free(r);
		return SLK_NO_MEMORY;
	}
	*out = r;
	return SLK_OK;
}

void
peer_ring_free(struct peer_ring *r)
{
	if (r == NULL)
		return;
	atomic_store(&r->stop, true);
	pthread_join(r->thread, NULL);
	free(r->ring);
	free(r->completions);
	free(r->out);
	free(r);
}

static void
write_entry(struct peer_ring *r, const uint8_t *data, size_t len, uint32_t bytes)
{
	uint32_t left = (uint32_t)(RING_BYTES - r->at % RING_BYTES);

	if (left < bytes) {
		memcpy(r->ring + r->at % RING_BYTES, &left, sizeof(left));
		r->ring[r->at % RING_BYTES + 4] = 2;
		r->at += left;
	}
	uint8_t *e = r->ring + r->at % RING_BYTES;
	memset(e, 0, HEAD_BYTES);
	memcpy(e, &bytes, sizeof(bytes));
	e[4] = 1;
	memcpy(e + HEAD_BYTES, data, len);
	r->at += bytes;
	atomic_store_explicit(&r->submitted, r->at, memory_order_release);
}

void
peer_ring_run(struct peer_ring *r, const uint8_t *data, size_t len, unsigned depth, uint64_t count)
{
	uint32_t bytes = (uint32_t)((HEAD_BYTES + len + 7) / 8 * 8);
	uint64_t sent = r->done, end = r->done + count;
	unsigned spins = 0;

	while (r->done < end) {
		uint64_t taken = atomic_load_explicit(&r->taken, memory_order_acquire);
		bool put = false;
		while (sent < end && sent - r->done < depth &&
			r->at - taken + 2 * bytes <= RING_BYTES) {
			write_entry(r, data, len, bytes);
			sent++;
			put = true;
		}
		r->done = atomic_load_explicit(&r->completed, memory_order_acquire);
		if (!put)
			idle(&spins);
	}
}

/* --- a socket --- */

struct peer_echo {
	int ours, theirs;
	pthread_t thread;
};

static void *
answer_all(void *arg)
{
	struct peer_echo *e = arg;
	uint8_t *buf = malloc(MESSAGE_MAX);

	while (buf != NULL && recv(e->theirs, buf, MESSAGE_MAX, 0) > 0) {
		if (send(e->theirs, buf, ANSWER_BYTES, MSG_NOSIGNAL) < 0)
			break;
	}
	free(buf);
	return NULL;
}

int
peer_echo_new(struct peer_echo **out)
{
	struct peer_echo *e = calloc(1, sizeof(*e));
	const int room = 4 << 20;
	int fds[2];

	if (e == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
		free(e);
		return SLK_NO_MEMORY;
	}
	e->ours = fds[0];
	e->theirs = fds[1];
	for (unsigned i = 0; i < 2; i++)
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (pthread_create(&e->thread, NULL, answer_all, e) != 0) {
		close(fds[0]);
		close(fds[1]);
		free(e);
		return SLK_NO_MEMORY;
	}
	*out = e;
	return SLK_OK;
}

void
peer_echo_free(struct peer_echo *e)
{
	if (e == NULL)
		return;
	shutdown(e->ours, SHUT_RDWR);
	pthread_join(e->thread, NULL);
	close(e->ours);
	close(e->theirs);
	free(e);
}

int
peer_echo_send(struct peer_echo *e, const uint8_t *data, size_t len)
{
	if (send(e->ours, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len)
		return SLK_OK;
	return errno == ENOBUFS ? SLK_AGAIN : slk_status_from_errno(errno);
}

int
peer_echo_take(struct peer_echo *e, unsigned *out_count)
{
	uint8_t answer[ANSWER_BYTES];
	unsigned n = 0;
	ssize_t len;

	while ((len = recv(e->ours, answer, sizeof(answer), MSG_DONTWAIT)) > 0)
		n++;
	*out_count = n;
	return len == 0 ? SLK_CLOSED : errno == EAGAIN ? SLK_OK : slk_status_from_errno(errno);
}

int
peer_echo_run(struct peer_echo *e, const uint8_t *data, size_t len, unsigned depth, uint64_t count)
{
	uint64_t sent = 0, done = 0;
	unsigned n = 0;
	int rc = SLK_OK;

	while (done < count) {
		while (sent < count && sent - done < depth &&
			(rc = peer_echo_send(e, data, len)) == SLK_OK)
			sent++;
		if (rc != SLK_OK && rc != SLK_AGAIN)
			return rc;
		struct pollfd p = {.fd = e->ours, .events = POLLIN};
		if (poll(&p, 1, 10000) != 1)
			return SLK_TIMEOUT;
		rc = peer_echo_take(e, &n);
		if (rc != SLK_OK)
			return rc;
		done += n;
	}
	return SLK_OK;
}
