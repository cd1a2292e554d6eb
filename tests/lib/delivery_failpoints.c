/* deliverd_failpoints is sealock-deliverd, every room as it is, linked with this: by the linker's --wrap it passes points, and at
 * the armed one it dies as by kill -9.
 *
 *     DELIVERD_FAILPOINT=KIND:N      the N-th time that a point of this kind is passed
 *
 *     plan-before, plan-after        a plan is written to the disk
 *     sent                           a batch goes to its destination
 *     done                           it is there, and the checkpoint does not say so
 *     retry                          it failed and will be tried again
 *     end-before, end-after          the checkpoint says so
 *     seek                           the feed goes to a place
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch.h"
#include "checkpoint.h"
#include "feed.h"

int __real_dlv_checkpoint_store(const struct dlv_checkpoint_file *file,
	const struct dlv_checkpoint *cp, struct slk_error *err);
int __wrap_dlv_checkpoint_store(const struct dlv_checkpoint_file *file,
	const struct dlv_checkpoint *cp, struct slk_error *err);
int __real_dlv_batch_step(struct dlv_batch *batch, enum dlv_batch_event event);
int __wrap_dlv_batch_step(struct dlv_batch *batch, enum dlv_batch_event event);
int __real_dlv_feed_seek(struct dlv_feed *feed, const struct dlv_checkpoint *checkpoint,
	enum dlv_feed_what what, struct slk_error *err);
int __wrap_dlv_feed_seek(struct dlv_feed *feed, const struct dlv_checkpoint *checkpoint,
	enum dlv_feed_what what, struct slk_error *err);

static atomic_uint passed;

static void
pass(const char *kind)
{
	const char *armed = getenv("DELIVERD_FAILPOINT");
	size_t len = strlen(kind);

	if (armed == NULL || strncmp(armed, kind, len) != 0 || armed[len] != ':')
		return;
	if (atomic_fetch_add(&passed, 1) + 1 == (unsigned)strtoul(armed + len + 1, NULL, 10))
		(void)tgkill(getpid(), gettid(), SIGKILL); /* which the filter of calls allows */
}

int
__wrap_dlv_checkpoint_store(const struct dlv_checkpoint_file *file, const struct dlv_checkpoint *cp,
	struct slk_error *err)
{
	pass(cp->planned_ns != 0 ? "plan-before" : "end-before");
	int rc = __real_dlv_checkpoint_store(file, cp, err);
	pass(cp->planned_ns != 0 ? "plan-after" : "end-after");
	return rc;
}

int
__wrap_dlv_batch_step(struct dlv_batch *batch, enum dlv_batch_event event)
{
	int rc = __real_dlv_batch_step(batch, event);

	pass(event == DLV_EVENT_CLOSED                                                 ? "sent"
			: event == DLV_EVENT_DELIVERED || event == DLV_EVENT_BACKED_UP ? "done"
			: event == DLV_EVENT_FAILED                                    ? "retry"
										       : "step");
	return rc;
}

int
__wrap_dlv_feed_seek(struct dlv_feed *feed, const struct dlv_checkpoint *checkpoint,
	enum dlv_feed_what what, struct slk_error *err)
{
	pass("seek");
	return __real_dlv_feed_seek(feed, checkpoint, what, err);
}
