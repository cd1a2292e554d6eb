/* The control thread: everything of ingestd that waits for kmsd, so that no worker ever does.
 *
 * It looks streams up, authorises the listeners' roles and the local port's clients by uid, and keeps each used stream in data keys by
 * renew.h; workers get the results as messages (stream.h). Authorisations are asked again ahead of the renewal interval;
 * one that cannot be confirmed, because kmsd is away, holds until the interval plus the grace has passed. kmsd's number of
 * changes of its streams is watched: a stream that was deleted is taken from its worker between two
 * blocks, a listener whose stream was made is authorised at once. A new list of listeners (SIGHUP) is brought about likewise.
 */
#ifndef DP_CONTROL_H
#define DP_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ages.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"
#include "config.h"
#include "stream.h"
#include "worker.h"

struct dp_control;

/* May uid put into that stream, and where do its records go? The asker owns it; the control thread holds it from
 * dp_control_ask() until dp_control_answer() gives it back. */
struct dp_ask {
	struct dp_ask *next;
	void *owner; /* the asker's */
	uid_t uid;
	bool trusted; /* it authorises its own callers: only the stream is looked up */
	char stream[FMT_PORT_NAME_MAX + 1]; /* name or ARN */
	/* The answer. */
	int status;
	struct slk_error error; /* a sentence, unless status is SLK_OK */
	uint64_t stream_id;
	unsigned slot;
	unsigned worker;
	bool encrypted_kms; /* the stream's EncryptionType is KMS */
	uint64_t era; /* of rights, when it was asked for */
};

struct dp_control_config {
	const struct dp_config *config; /* borrowed, as is the rest */
	const struct slk_clock *clock;
	struct dp_worker **workers;
	unsigned worker_count;
	const struct dp_vmgen *vmgen; /* NULL: this machine is never duplicated */
	int control_fd; /* eventfd: written to wake this thread */
	int door_fd; /* eventfd: written when an answer is there */
	struct dp_ages *ages; /* told how long streams are kept; NULL: nobody wants to know */
};

/* SLK_NO_MEMORY. */
MUST_USE int dp_control_new(const struct dp_control_config *config, struct dp_control **out_control,
	struct slk_error *err);
/* After the workers and the thread have ended. Frees streams and messages that are still under way. NULL allowed. */
void dp_control_free(struct dp_control *control);

/* The thread's function; ends after dp_control_stop(). arg: struct dp_control. */
void *dp_control_run(void *arg);
/* One pass of it, for tests that turn the thread by hand. Returns when the next one is due (monotonic), unless it is woken
 * before. */
uint64_t dp_control_turn(struct dp_control *control);
void dp_control_stop(struct dp_control *control);

/* Have the listeners of this configuration instead, between two blocks; records of those that stay are not touched.
 * config is taken; dp_config_reloadable() said SLK_OK to it. Thread: main. */
void dp_control_reload(struct dp_control *control, struct dp_config *config);

/* Another number than before: rights that were given before are to be asked for anew. Thread: any. */
uint64_t dp_control_rights_era(const struct dp_control *control);

/* Thread: the door's. */
void dp_control_ask(struct dp_control *control, struct dp_ask *ask);
struct dp_ask *dp_control_answer(struct dp_control *control); /* NULL: none (now) */

/* What status shows of a stream. Borrowed until the call returns. */
struct dp_stream_view {
	const char *name;
	uint64_t id;
	uint32_t shard_count;
	bool has_key;
	uint64_t key_age_ns;
	uint64_t keys;
	uint64_t records;
	uint64_t bytes;
	int key_error; /* of the last fetch */
};
/* Calls each(arg, view) for every stream. Thread: any. */
void dp_control_each_stream(struct dp_control *control,
	void (*each)(void *arg, const struct dp_stream_view *view), void *arg);

/* Whether kmsd answered the last call (false before the first), and the sentence if it did not. Thread: any. */
bool dp_control_kms_up(struct dp_control *control, char *out_error, size_t cap);

/* Data keys fetched since the start. Thread: any. */
uint64_t dp_control_keys(const struct dp_control *control);

#endif
