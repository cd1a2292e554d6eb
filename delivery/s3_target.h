/* Where objects of one bucket go: a directory of this host or an S3 store, behind one call.
 *
 * A directory is written by a thread of the pool; an S3 store is asked from the loop. Thread: the loop's.
 */
#ifndef DELIVERY_S3_TARGET_H
#define DELIVERY_S3_TARGET_H

#include "s3_dir.h"
#include "s3_remote.h"

struct dlv_s3_target;
/* store and bucket are borrowed until close. sys: of a directory, NULL for the real ones. SLK_CONFIG, SLK_NO_MEMORY with a sentence. */
MUST_USE int dlv_s3_target_open(const struct dlv_store *store, const char *bucket,
	struct dlv_loop *loop, const struct slk_clock *clock, const struct dlv_dir_sys *sys,
	struct dlv_s3_target **out_target, struct slk_error *err);
void dlv_s3_target_close(struct dlv_s3_target *target); /* nothing is under way; NULL allowed */

struct dlv_s3_call;
/* object: all of it borrowed until done or cancel, and copied as a struct; sidecar: what a directory keeps beside it, or empty.
 * done is called once, from the loop, never from here. SLK_NO_MEMORY. */
MUST_USE int dlv_s3_target_put(struct dlv_s3_target *target, const struct dlv_s3_object *object,
	struct slk_span sidecar, dlv_done done, void *arg, struct dlv_s3_call **out_call);
/* done is not called any more. If a thread is writing just then it is waited for: at most as long as the disk takes for a write
 * of 8 MiB and a flush. */
void dlv_s3_target_cancel(struct dlv_s3_call *call);

#endif
