/* Requests that the worker has taken and replies that it has not sent yet: buffers, lists, the socket.
 *
 *     FREE -> QUEUED -> RUNNING -> DONE -> FREE
 *
 * A job whose deadline passes is answered there and then, by whoever notices; if it runs, its result is thrown away later.
 * Buffers hold plaintexts: locked memory, wiped when a job is free again.
 *
 * Threads: all of the worker's. Lists, and jobs that are on one, are guarded by the worker's lock; receiving and sending is
 * done without it, on jobs that are on no list.
 */
#ifndef KMS_HSM_HSM_JOB_H
#define KMS_HSM_HSM_JOB_H

#include <sys/queue.h>

#include "base/secret.h"
#include "hsm/wire.h"

/* 64 jobs in flight, two locked buffers each: under the usual 8 MiB memlock limit. */
#define HSM_JOBS_MAX 64u
#define HSM_JOBS_AT_ONCE HSM_TOGETHER_MAX /* in one datagram */
#define HSM_JOBS_TAKEN_MAX (2 * HSM_JOBS_AT_ONCE - 1) /* by one receive: see there */

struct hsm_job {
	TAILQ_ENTRY(hsm_job) entry;
	struct hsm_wire_request request; /* spans into rx */
	struct slk_secret *rx, *tx;
	size_t rx_len, tx_len;
	bool answered;
};
TAILQ_HEAD(hsm_job_list, hsm_job);

struct hsm_jobs {
	int fd; /* borrowed */
	struct hsm_job_list free, queued, running, done;
	unsigned queued_count, done_count;
	struct hsm_job jobs[HSM_JOBS_MAX];
};

void hsm_jobs_init(struct hsm_jobs *jobs, int fd);
void hsm_jobs_fini(struct hsm_jobs *jobs);

/* --- lists; the lock is held --- */
/* A free job with its buffers, on no list. NULL if all are taken, or no memory can be locked. */
struct hsm_job *hsm_jobs_take(struct hsm_jobs *jobs);
/* Wiped and free. It is on no list. */
void hsm_jobs_release(struct hsm_jobs *jobs, struct hsm_job *job);
void hsm_jobs_queue(struct hsm_jobs *jobs, struct hsm_job *job);
/* Off the queue. */
void hsm_jobs_unqueue(struct hsm_jobs *jobs, struct hsm_job *job);
/* The first of the queue, now running; NULL if there is none. */
struct hsm_job *hsm_jobs_run_next(struct hsm_jobs *jobs);
/* A running job has ended: done if it has something to say, else free. */
void hsm_jobs_end(struct hsm_jobs *jobs, struct hsm_job *job);
/* Take up to HSM_JOBS_AT_ONCE off the list of those done. */
unsigned hsm_jobs_take_done(struct hsm_jobs *jobs, struct hsm_job *out[HSM_JOBS_AT_ONCE]);

/* --- the socket; the lock is not held --- */
/* Wait for a datagram, and take the requests in it. count 1: it holds one. HSM_JOBS_TAKEN_MAX: up to HSM_JOBS_AT_ONCE, and if
 * there are fewer, those in the datagrams that lie behind it, too; so requests that came one by one are answered together.
 * *out_count of `in` hold requests that were decoded. Other than SLK_OK: nothing more can be received, because the socket has
 * ended or a message was bad. */
MUST_USE int hsm_jobs_receive(
	struct hsm_jobs *jobs, struct hsm_job *const *in, unsigned count, unsigned *out_count);
/* Send their replies, together where they fit one datagram. A front that does not read learns of a call at its own deadline. wait: for a second at most
 * (SO_SNDTIMEO), or not at all. */
void hsm_jobs_send(struct hsm_jobs *jobs, struct hsm_job *const *done, unsigned count, bool wait);
/* One reply without secrets, of whichever thread. */
void hsm_jobs_send_plain(struct hsm_jobs *jobs, const struct hsm_wire_reply *m);

#endif
