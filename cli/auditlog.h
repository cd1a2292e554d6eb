/* The files of an audit log (format/audit.h): which ones there are, in the order of their chain. Thread: the process has one. */
#ifndef SLK_CLI_AUDITLOG_H
#define SLK_CLI_AUDITLOG_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/audit.h"

#define CLI_DEFAULT_AUDIT "/var/lib/sealock/kms/audit.log"

struct cli_audit_file {
	char *path;
	uint64_t previous_seq; /* that its header names */
	bool whole; /* it begins with a header */
	bool failed; /* given up by kmsd: what it has beyond its durable end comes again in another file */
};

struct cli_audit_log {
	struct cli_audit_file *files;
	size_t count;
};

/* The files at paths; if there are none, the log at $SEALOCK_AUDIT (or CLI_DEFAULT_AUDIT) and the files beside it that it
 * was renamed to: their names begin with its name, and they with a header. In the order of the chain. SLK_NOT_FOUND,
 * SLK_DENIED ..., with a sentence that names the path. */
MUST_USE int cli_audit_find(
	char *const *paths, size_t count, struct cli_audit_log *out_log, struct slk_error *err);
void cli_audit_fini(struct cli_audit_log *log);

/* A file's bytes as they are now, mapped; an empty one is an empty span. SLK_IO ..., with a sentence. */
MUST_USE int cli_audit_map(const char *path, struct slk_span *out_bytes, struct slk_error *err);
/* The same of an open file; path is for the sentence. */
MUST_USE int cli_audit_map_fd(
	int fd, const char *path, struct slk_span *out_bytes, struct slk_error *err);
void cli_audit_unmap(struct slk_span bytes);

#endif
