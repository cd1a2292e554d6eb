/* Where the audit log's lines go: a file (audit_file.h), or the system's log (audit_syslog.h).
 *
 * One take at a time; the lines are borrowed until it has ended. Thread: the front's loop.
 */
#ifndef KMS_HSM_AUDIT_SINK_H
#define KMS_HSM_AUDIT_SINK_H

#include "base/bytes.h"
#include "base/error.h"
#include "format/audit.h"

#define KMS_SINK_FOREVER UINT64_MAX

struct kms_sink {
	/* Take whole lines, which follow the line `before`. SLK_OK: *out_taken bytes of them, perhaps none, are where they
	 * belong. SLK_AGAIN: all of them are under way, and poll tells. Else, with a sentence: none are. */
	int (*take)(void *ctx, struct slk_span lines, const struct fmt_audit_point *before,
		size_t *out_taken, struct slk_error *err);
	/* After SLK_AGAIN: SLK_AGAIN while it goes on, at most for wait_ns; SLK_OK; else, with a sentence, none can be
	 * believed to be there. */
	int (*poll)(void *ctx, uint64_t wait_ns, struct slk_error *err);
	void *ctx;
};

#endif
