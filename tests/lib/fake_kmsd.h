/* A scripted kmsd for tests of its client: a thread that answers each request as its test says. One at a time. */
#ifndef SLK_TESTS_LIB_FAKE_KMSD_H
#define SLK_TESTS_LIB_FAKE_KMSD_H

#include <pthread.h>
#include <stdatomic.h>

#include "kmsclient/wire.h"

/* What to do with the turn-th request: bytes to send are written to out (KMSP_FRAME_MAX) and counted; 0 = no answer, -1 =
 * hang up. */
typedef int (*fake_kmsd_answer_fn)(const Kmsp__Request *request, unsigned turn, uint8_t *out);

struct fake_kmsd {
	char dir[64], path[100]; /* the test's */
	int listen_fd, stop_pipe[2];
	pthread_t thread;
	fake_kmsd_answer_fn answer;
	atomic_uint turns, connections;
};
extern struct fake_kmsd fake_kmsd;

/* Listen at fake_kmsd.path. */
void fake_kmsd_start(fake_kmsd_answer_fn answer);
void fake_kmsd_stop(void);

/* Pack an answer to request, with its id unless r has one. */
int fake_kmsd_reply(const Kmsp__Request *request, Kmsp__Reply *r, uint8_t *out);

#endif
