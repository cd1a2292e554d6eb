#include "sealock/producer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/pipe.h"

#define RING_DEFAULT (4u << 20)
#define RECORDS_DEFAULT 4096u
#define TIMEOUT_DEFAULT_MS 5000u

/* Everything else of a producer is in its pipe. */
struct sealock_producer {
	struct client_pipe *pipe;
	uint32_t timeout_ms;
};

/* --- waiting --- */

/* 0: no deadline. */
static uint64_t
deadline_of(int timeout_ms)
{
	return timeout_ms < 0
		? 0
		: slk_mono_ns(slk_clock_system()) + (uint64_t)timeout_ms * SLK_NS_PER_MS;
}

static bool
passed(uint64_t deadline_ns)
{
	return deadline_ns != 0 && slk_mono_ns(slk_clock_system()) >= deadline_ns;
}

/* Sleep on the descriptor. SLK_OK, SLK_TIMEOUT. A signal is no event. */
static int
sleep_until(const struct client_pipe *pipe, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd p = {.fd = client_pipe_fd(pipe), .events = POLLIN};
		struct timespec left, *timeout = NULL;
		if (deadline_ns != 0) {
			uint64_t now = slk_mono_ns(slk_clock_system());
			uint64_t ns = now < deadline_ns ? deadline_ns - now : 0;
			left = (struct timespec){
				(time_t)(ns / SLK_NS_PER_S), (long)(ns % SLK_NS_PER_S)};
			timeout = &left;
		}
		int n = ppoll(&p, 1, timeout, NULL);
		if (n > 0)
			return SLK_OK;
		if (n == 0)
			return SLK_TIMEOUT;
		if (errno != EINTR)
			return slk_status_from_errno(errno);
	}
}

static int
wait_for_news(struct client_pipe *pipe, uint64_t deadline_ns)
{
	int rc = client_pipe_arm(pipe);

	if (rc == SLK_AGAIN)
		return SLK_OK;
	return rc == SLK_OK ? sleep_until(pipe, deadline_ns) : rc;
}

/* --- making one --- */

static int
take_config(const struct sealock_producer_config *config, struct client_pipe_config *out,
	struct slk_error *err)
{
	const char *named = getenv("SEALOCK_INGEST_SOCKET");

	out->socket = config->socket != NULL        ? config->socket
		: named != NULL && named[0] != '\0' ? named
						    : FMT_PORT_DEFAULT_SOCKET;
	out->memory = (struct fmt_port_memory){
		.ring_bytes = config->ring_bytes != 0 ? config->ring_bytes : RING_DEFAULT,
		.completions = config->records_max != 0 ? config->records_max : RECORDS_DEFAULT,
		.data_max = 1};
	if (!fmt_port_memory_valid(&out->memory))
		return slk_fail(err, SLK_INVALID,
			"ring_bytes is a power of two, %u to %u, records_max likewise, %u to %u",
			FMT_PORT_RING_BYTES_MIN, FMT_PORT_RING_BYTES_MAX, FMT_PORT_COMPLETIONS_MIN,
			FMT_PORT_COMPLETIONS_MAX);
	return SLK_OK;
}

int
sealock_producer_new_lazy(const struct sealock_producer_config *config,
	struct sealock_producer **out_producer, struct slk_error *err)
{
	struct client_pipe_config pc;
	int rc = take_config(config, &pc, err);

	if (rc != SLK_OK)
		return rc;
	struct sealock_producer *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	p->timeout_ms = config->timeout_ms != 0 ? config->timeout_ms : TIMEOUT_DEFAULT_MS;
	rc = client_pipe_new(&pc, &p->pipe, err);
	if (rc != SLK_OK) {
		free(p);
		return rc;
	}
	*out_producer = p;
	return SLK_OK;
}

/* Until the welcome, or until it is known why there is none. */
static int
wait_connected(struct sealock_producer *p, struct slk_error *err)
{
	uint64_t deadline_ns = deadline_of((int)p->timeout_ms);

	while (!client_pipe_connected(p->pipe)) {
		int rc = client_pipe_turn(p->pipe);
		if (rc == SLK_OK)
			rc = client_pipe_trouble(p->pipe, err);
		if (rc == SLK_OK && !client_pipe_connected(p->pipe))
			rc = sleep_until(p->pipe, deadline_ns);
		if (rc == SLK_TIMEOUT)
			return slk_fail(err, rc, "sealock-ingestd does not answer on %s",
				client_pipe_socket(p->pipe));
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

int
sealock_producer_new(const struct sealock_producer_config *config,
	struct sealock_producer **out_producer, struct slk_error *err)
{
	struct sealock_producer *p = NULL;
	int rc = sealock_producer_new_lazy(config, &p, err);

	if (rc == SLK_OK)
		rc = wait_connected(p, err);
	if (rc != SLK_OK) {
		sealock_producer_free(p);
		return rc;
	}
	*out_producer = p;
	return SLK_OK;
}

void
sealock_producer_free(struct sealock_producer *p)
{
	if (p == NULL)
		return;
	client_pipe_free(p->pipe);
	free(p);
}

/* --- streams --- */

int
sealock_producer_attach(
	struct sealock_producer *p, const char *name, unsigned flags, uint32_t *out_stream)
{
	return client_pipe_attach(p->pipe, name, flags, out_stream);
}

int
sealock_producer_attach_wait(struct sealock_producer *p, const char *name, unsigned flags,
	uint32_t *out_stream, struct slk_error *err)
{
	uint64_t deadline_ns = deadline_of((int)p->timeout_ms);
	struct sealock_stream_info info = {.status = SLK_AGAIN};
	uint32_t stream = 0;
	int rc = client_pipe_attach(p->pipe, name, flags, &stream);

	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "stream %s cannot be attached: %s", name, slk_status_sentence(rc));
	for (;;) {
		rc = client_pipe_turn(p->pipe);
		if (rc == SLK_OK)
			rc = client_pipe_stream(p->pipe, stream, &info);
		if (rc != SLK_OK || info.status != SLK_AGAIN)
			break;
		rc = sleep_until(p->pipe, deadline_ns);
		if (rc != SLK_OK)
			break;
	}
	if (rc == SLK_TIMEOUT)
		return slk_fail(err, rc,
			"sealock-ingestd does not say whether stream %s may be put into", name);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "stream %s cannot be attached: %s", name, slk_status_sentence(rc));
	if (info.status != SLK_OK)
		return slk_fail(err, info.status, "%s", info.sentence);
	*out_stream = stream;
	return SLK_OK;
}

int
sealock_producer_stream(
	const struct sealock_producer *p, uint32_t stream, struct sealock_stream_info *out_info)
{
	return client_pipe_stream(p->pipe, stream, out_info);
}

void
sealock_producer_detach(struct sealock_producer *p, uint32_t stream)
{
	client_pipe_detach(p->pipe, stream);
}

/* --- records --- */

int
sealock_producer_put(struct sealock_producer *p, const struct sealock_put *put)
{
	return client_pipe_put(p->pipe, put);
}

void
sealock_producer_flush(struct sealock_producer *p)
{
	client_pipe_flush(p->pipe);
}

int
sealock_producer_poll(
	struct sealock_producer *p, struct sealock_completion *out, size_t cap, size_t *out_count)
{
	return client_pipe_poll(p->pipe, out, cap, out_count);
}

int
sealock_producer_fd(const struct sealock_producer *p)
{
	return client_pipe_fd(p->pipe);
}

int
sealock_producer_arm(struct sealock_producer *p)
{
	return client_pipe_arm(p->pipe);
}

int
sealock_producer_wait(struct sealock_producer *p, int timeout_ms)
{
	return wait_for_news(p->pipe, deadline_of(timeout_ms));
}

int
sealock_producer_put_wait(struct sealock_producer *p, const struct sealock_put *put, int timeout_ms,
	struct sealock_completion *out, struct slk_error *err)
{
	uint64_t deadline_ns = deadline_of(timeout_ms);
	struct sealock_completion completion;
	size_t count = 0;
	int rc;

	if (client_pipe_under_way(p->pipe) > 0)
		return slk_fail(err, SLK_INVALID_STATE, "other records are under way");
	while ((rc = client_pipe_put(p->pipe, put)) == SLK_AGAIN) {
		rc = client_pipe_turn(p->pipe);
		if (rc == SLK_OK && client_pipe_put_would_wait(p->pipe, put->stream))
			rc = sleep_until(p->pipe, deadline_ns);
		if (rc == SLK_TIMEOUT || (rc == SLK_OK && passed(deadline_ns)))
			return slk_fail(
				err, SLK_TIMEOUT, "sealock-ingestd does not take the record");
		if (rc != SLK_OK)
			break;
	}
	while (rc == SLK_OK) {
		rc = client_pipe_poll(p->pipe, &completion, 1, &count);
		if (rc != SLK_OK || count == 1)
			break;
		rc = wait_for_news(p->pipe, deadline_ns);
		if (rc == SLK_TIMEOUT)
			return slk_fail(
				err, rc, "sealock-ingestd has not said that the record is durable");
	}
	if (rc == SLK_OK) {
		*out = completion;
		rc = completion.status;
	}
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc, "the record was not stored: %s", slk_status_sentence(rc));
}

/* --- state --- */

bool
sealock_producer_connected(const struct sealock_producer *p)
{
	return client_pipe_connected(p->pipe);
}

uint32_t
sealock_producer_under_way(const struct sealock_producer *p)
{
	return client_pipe_under_way(p->pipe);
}

uint32_t
sealock_producer_data_max(const struct sealock_producer *p)
{
	return client_pipe_data_max(p->pipe);
}

uint32_t
sealock_producer_ring_needed(size_t key_len, size_t data_len)
{
	if (key_len == 0 || key_len > FMT_PORT_KEY_MAX || data_len > FMT_PORT_DATA_MAX)
		return 0;
	uint64_t entry = fmt_port_record_bytes((uint32_t)key_len, (uint32_t)data_len);
	uint64_t ring = FMT_PORT_RING_BYTES_MIN;
	while (ring < 2 * entry)
		ring *= 2;
	return ring <= FMT_PORT_RING_BYTES_MAX ? (uint32_t)ring : 0;
}

uint64_t
sealock_producer_connections(const struct sealock_producer *p)
{
	return client_pipe_connections(p->pipe);
}
