/* Signed heads of the audit log (format/audit.h): does the signature fit? Thread: any. */
#ifndef SLK_SEAL_AUDITHEAD_H
#define SLK_SEAL_AUDITHEAD_H

#include "format/audit.h"

#define SEAL_AUDIT_KEY_MAX 192u /* DER of a P-256 key: 91 bytes */

/* head: a line of kind FMT_AUDIT_HEAD. Is its signature that of its publicKey over what it names? *out_len bytes of the key
 * (DER) then, for whoever pinned it. SLK_BAD_TAG: it is not; SLK_MALFORMED: key or signature are none. */
MUST_USE int seal_audit_head_verify(
	const struct fmt_audit_line *head, uint8_t out_key[SEAL_AUDIT_KEY_MAX], size_t *out_len);

#endif
