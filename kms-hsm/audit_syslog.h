/* The system's log as the audit log's second sink: one datagram per line to its socket (/dev/log).
 *
 *     <86>sealock-kmsd: LINE        (RFC 3164, 4.1: authpriv.info, no time: the receiver's counts)
 *
 * A line is taken when the socket took it: whether and when it is on a disk is the receiver's matter. The socket is
 * addressed anew for each line, so that a receiver that was restarted is found again. Thread: the front's loop.
 */
#ifndef KMS_HSM_AUDIT_SYSLOG_H
#define KMS_HSM_AUDIT_SYSLOG_H

#include "audit_sink.h"

struct kms_audit_syslog;

/* Before the sandbox is entered. SLK_CONFIG (a path that is too long), SLK_SYSTEM, SLK_NO_MEMORY. Nobody needs to listen
 * yet. */
MUST_USE int kms_audit_syslog_new(
	const char *socket_path, struct kms_audit_syslog **out_syslog, struct slk_error *err);
void kms_audit_syslog_free(struct kms_audit_syslog *syslog); /* NULL allowed */
/* Its take gives as many lines as the receiver has room for, and never answers SLK_AGAIN. */
struct kms_sink kms_audit_syslog_sink(struct kms_audit_syslog *syslog);

#endif
