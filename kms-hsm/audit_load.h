/* What an audit log holds already: where its chain ends, and what a crash left behind that. Thread: start-up. */
#ifndef KMS_HSM_AUDIT_LOAD_H
#define KMS_HSM_AUDIT_LOAD_H

#include "base/file.h"
#include "format/audit.h"

struct kms_audit_found {
	struct fmt_audit_point point; /* the last sound line */
	uint64_t end; /* where it ends */
	uint64_t torn_bytes; /* behind it */
};

/* Reads the header and at most the last 17 MiB. Damage before the end is logged and passed over. SLK_END: the file is
 * empty; SLK_CORRUPT: it is no log of ours; SLK_BAD_VERSION: of a later release; SLK_IO ..., SLK_NO_MEMORY. path: for the log. */
MUST_USE int kms_audit_load(
	const struct slk_fs *fs, int fd, const char *path, struct kms_audit_found *out_found);

/* There is no file at path, or an empty one: the end of the newest of the files beside it whose names begin with its name.
 * fmt_audit_begin if there is none. */
MUST_USE int kms_audit_load_before(
	const struct slk_fs *fs, const char *path, struct fmt_audit_point *out_point);

#endif
