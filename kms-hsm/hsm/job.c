#include "hsm/job.h"

#include <string.h>

#include "base/log.h"
#include "base/sock.h"

#define REPLY_PLAIN_MAX (HSM_REPLY_HEAD_BYTES + HSM_ERROR_MAX + HSM_HEALTH_BYTES)

void
hsm_jobs_init(struct hsm_jobs *jobs, int fd)
{
	jobs->fd = fd;
	TAILQ_INIT(&jobs->free);
	TAILQ_INIT(&jobs->queued);
	TAILQ_INIT(&jobs->running);
	TAILQ_INIT(&jobs->done);
	for (size_t i = 0; i < HSM_JOBS_MAX; i++)
		TAILQ_INSERT_TAIL(&jobs->free, &jobs->jobs[i], entry);
}

void
hsm_jobs_fini(struct hsm_jobs *jobs)
{
	for (size_t i = 0; i < HSM_JOBS_MAX; i++) {
		slk_secret_free(jobs->jobs[i].rx);
		slk_secret_free(jobs->jobs[i].tx);
	}
}

/* --- lists --- */

struct hsm_job *
hsm_jobs_take(struct hsm_jobs *jobs)
{
	struct hsm_job *job = TAILQ_FIRST(&jobs->free);

	if (job == NULL)
		return NULL;
	if ((job->rx == NULL && slk_secret_new(HSM_MESSAGE_MAX, &job->rx) != SLK_OK) ||
		(job->tx == NULL && slk_secret_new(HSM_MESSAGE_MAX, &job->tx) != SLK_OK)) {
		slk_error_log("no locked memory for a request; is RLIMIT_MEMLOCK too small?");
		return NULL;
	}
	TAILQ_REMOVE(&jobs->free, job, entry);
	return job;
}

void
hsm_jobs_release(struct hsm_jobs *jobs, struct hsm_job *job)
{
	slk_wipe(slk_secret_bytes(job->rx), job->rx_len);
	slk_wipe(slk_secret_bytes(job->tx), job->tx_len);
	job->rx_len = job->tx_len = 0;
	job->answered = false;
	TAILQ_INSERT_HEAD(&jobs->free, job, entry);
}

void
hsm_jobs_queue(struct hsm_jobs *jobs, struct hsm_job *job)
{
	TAILQ_INSERT_TAIL(&jobs->queued, job, entry);
	jobs->queued_count++;
}

void
hsm_jobs_unqueue(struct hsm_jobs *jobs, struct hsm_job *job)
{
	TAILQ_REMOVE(&jobs->queued, job, entry);
	jobs->queued_count--;
}

struct hsm_job *
hsm_jobs_run_next(struct hsm_jobs *jobs)
{
	struct hsm_job *job = TAILQ_FIRST(&jobs->queued);

	if (job == NULL)
		return NULL;
	hsm_jobs_unqueue(jobs, job);
	TAILQ_INSERT_TAIL(&jobs->running, job, entry);
	return job;
}

void
hsm_jobs_end(struct hsm_jobs *jobs, struct hsm_job *job)
{
	TAILQ_REMOVE(&jobs->running, job, entry);
	if (job->answered || job->tx_len == 0) {
		hsm_jobs_release(jobs, job);
		return;
	}
	TAILQ_INSERT_TAIL(&jobs->done, job, entry);
	jobs->done_count++;
}

unsigned
hsm_jobs_take_done(struct hsm_jobs *jobs, struct hsm_job *out[HSM_JOBS_AT_ONCE])
{
	unsigned count = 0;

	while (count < HSM_JOBS_AT_ONCE && !TAILQ_EMPTY(&jobs->done)) {
		out[count] = TAILQ_FIRST(&jobs->done);
		TAILQ_REMOVE(&jobs->done, out[count], entry);
		count++;
	}
	jobs->done_count -= count;
	return count;
}

/* --- the socket --- */

/* The i-th request of the datagram that lies in the first job's buffer; each gets its own. */
static int
take_request(struct hsm_job *first, struct hsm_job *job, struct slk_span message)
{
	if (job != first) {
		memcpy(slk_secret_bytes(job->rx), message.ptr, message.len);
		job->rx_len = message.len;
		message.ptr = slk_secret_peek(job->rx);
	}
	return hsm_wire_decode_request(message, &job->request);
}

/* One datagram, with up to HSM_JOBS_AT_ONCE requests and no more than there are jobs for. */
static int
take_datagram(struct hsm_jobs *jobs, struct hsm_job *const *in, unsigned count, bool wait,
	unsigned *inout_count)
{
	struct slk_sock_in message = {.bytes = slk_secret_bytes(in[0]->rx), .cap = HSM_MESSAGE_MAX};
	unsigned one = 0;

	int rc = slk_sock_recv_many(jobs->fd, &message, 1, wait, &one);
	if (rc == SLK_OK)
		rc = message.status;
	if (rc != SLK_OK)
		return rc;
	in[0]->rx_len = message.len;
	if (count > HSM_JOBS_AT_ONCE)
		count = HSM_JOBS_AT_ONCE;
	struct slk_span rest = slk_span(slk_secret_peek(in[0]->rx), message.len);
	for (unsigned i = 0; rc == SLK_OK && rest.len > 0; i++) {
		rc = i < count ? take_request(in[0], in[i], hsm_wire_cut_request(&rest))
			       : SLK_MALFORMED;
		*inout_count += rc == SLK_OK;
	}
	return rc;
}

int
hsm_jobs_receive(
	struct hsm_jobs *jobs, struct hsm_job *const *in, unsigned count, unsigned *out_count)
{
	*out_count = 0;
	int rc = take_datagram(jobs, in, count, true, out_count);
	while (rc == SLK_OK && count == HSM_JOBS_TAKEN_MAX && *out_count < HSM_JOBS_AT_ONCE)
		rc = take_datagram(jobs, in + *out_count, count - *out_count, false, out_count);
	return rc == SLK_AGAIN && *out_count > 0 ? SLK_OK : rc;
}

static void
send_spans(struct hsm_jobs *jobs, const struct slk_span *messages, unsigned count, bool wait)
{
	unsigned sent = 0;

	int rc = slk_sock_send_many(jobs->fd, messages, count, wait, &sent);
	if (rc != SLK_OK && rc != SLK_AGAIN && rc != SLK_CLOSED)
		slk_error_log("a reply cannot be sent", slk_kv("status", slk_status_name(rc)));
}

/* Behind the first one's reply, in its buffer, if there is room. */
static bool
join(struct hsm_job *first, const struct hsm_job *job)
{
	if (job->tx_len > HSM_MESSAGE_MAX - first->tx_len)
		return false;
	memcpy(slk_secret_bytes(first->tx) + first->tx_len, slk_secret_peek(job->tx), job->tx_len);
	first->tx_len += job->tx_len;
	return true;
}

void
hsm_jobs_send(struct hsm_jobs *jobs, struct hsm_job *const *done, unsigned count, bool wait)
{
	struct slk_span messages[HSM_JOBS_AT_ONCE];
	struct hsm_job *first = NULL;
	unsigned messages_count = 0;

	for (unsigned i = 0; i < count; i++) {
		if (first == NULL || !join(first, done[i])) {
			first = done[i];
			messages_count++;
		}
		messages[messages_count - 1] = slk_span(slk_secret_peek(first->tx), first->tx_len);
	}
	send_spans(jobs, messages, messages_count, wait);
}

void
hsm_jobs_send_plain(struct hsm_jobs *jobs, const struct hsm_wire_reply *m)
{
	uint8_t bytes[REPLY_PLAIN_MAX];
	size_t len = 0;

	int rc = hsm_wire_encode_reply(m, bytes, sizeof(bytes), &len);
	if (rc != SLK_OK) {
		slk_error_log("a reply does not encode", slk_kv("status", slk_status_name(rc)));
		return;
	}
	const struct slk_span message = slk_span(bytes, len);
	send_spans(jobs, &message, 1, false);
}
