/* Retention: deletes whole lane files, oldest first, once all that they hold may go.
 *
 * A file goes when every stream in it has expired (the youngest record of the stream in the file is older than the stream's
 * age), or when the journal's closed files take more than a number of bytes. In each lane files go in the order in which they
 * were written: one that may not go yet holds back all behind it, so what is left is a chain without a hole (format/proof.h).
 * Never deleted: a file that is open, and the last one of a lane that was closed, whose numbers the next opening goes on from.
 * Files become spares for the lanes to use again, as many as there are lanes; the rest is unlinked.
 *
 * The wall clock decides what is old, but a jump of it forwards deletes nothing: it is believed only as far as the monotonic
 * clock says that time has passed since the journal was opened, and an hour more.
 *
 * A reader whose file goes answers SLK_TRIMMED once, and goes on at what is the oldest then. Thread: one, that of the notary.
 */
#ifndef SLK_JOURNAL_RETENTION_H
#define SLK_JOURNAL_RETENTION_H

#include "base/error.h"
#include "base/status.h"
#include "journal/journal.h"

struct jnl_retention {
	uint64_t age_ns; /* 0: no limit */
	uint64_t bytes; /* of closed files, their whole size; 0: no limit */
	/* The age of one stream instead (0: it never expires). NULL: age_ns for all. */
	uint64_t (*stream_age_ns)(void *arg, uint64_t stream_id);
	void *arg;
};

struct jnl_retained {
	uint64_t files, bytes; /* deleted by this call */
	uint64_t kept_files, kept_bytes; /* closed ones that are left */
	uint64_t oldest_ns; /* when the oldest that is left was created, Unix time; 0: none */
};

/* One look at all files, and the deletions that are due. Errors leave a sentence; what was deleted until then is gone.
 * SLK_DENIED, SLK_IO, SLK_NO_MEMORY. */
MUST_USE int jnl_retain(struct jnl *journal, const struct jnl_retention *retention,
	struct jnl_retained *out_report, struct slk_error *err);

#endif
