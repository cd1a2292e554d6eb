/* Bodies of the audit log's lines of use: one JSON object without its end, which the chain adds (format/audit.h).
 *
 *     {"eventVersion":"1.11","eventTime":T,"eventSource":"kms.amazonaws.com","eventName":"Decrypt",
 *      "userIdentity":{"type":"IAMUser","arn":"arn:...","uid":1000,"pid":77},
 *      "requestParameters":{"encryptionContext":{...}},"resources":[{"ARN":"arn:..."}],
 *      "additionalEventData":{"keyMaterialId":"<64 hex>"},
 *      "errorCode":"AccessDeniedException","errorMessage":"...","requestID":"<UUID>","readOnly":true,"outcome":"denied"
 *
 * The members are CloudTrail's, in its order; outcome is ours. docs/audit.md lists all of them. Text that is not UTF-8 is
 * written as "(not UTF-8)". Thread: any; pure.
 */
#ifndef KMS_HSM_AUDIT_LINE_H
#define KMS_HSM_AUDIT_LINE_H

#include "audit.h"
#include "base/bytes.h"

/* w's sticky status: SLK_FULL. */
void kms_audit_line_body(
	struct slk_writer *w, const struct kms_audit_entry *entry, uint64_t wall_ns);

#endif
