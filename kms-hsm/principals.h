/* Who a peer is: from the uid that the kernel vouches for to a principal ARN and to what it may
 * send at all.
 *
 * A uid may be several at once (on a developer's machine everything runs as one user): an
 * administrator, the door ingestd, and a principal. A uid that the configuration does not name is
 * none of them and may ask nothing. Roles have no uid: a door names them for callers that it does
 * not know by uid. Thread: read-only after kms_principals_new().
 */
#ifndef KMS_HSM_PRINCIPALS_H
#define KMS_HSM_PRINCIPALS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "config.h"
#include "names.h"

enum kms_class {
	KMS_CLASS_USER = 1, /* has a principal */
	KMS_CLASS_ADMIN = 2, /* may send administrative requests, if the policy allows them, too */
	KMS_CLASS_DOOR = 4, /* ingestd: service principal of its streams; may ask Authorize for its
			       callers */
	KMS_CLASS_GATEWAY = 8, /* the gateway: checks signatures of callers on the network */
	KMS_CLASS_DELIVER = 16, /* deliverd: carries out delivery streams, under their roles */
};

/* The service principal as which ingestd asks for the keys of its streams, as AWS names it. */
#define KMS_SERVICE_PRINCIPAL "kinesis.amazonaws.com"
/* The one that assumes the roles of delivery streams, and as which the keys of their direct puts are asked for. */
#define KMS_DELIVERY_PRINCIPAL "firehose.amazonaws.com"

/* kmsd itself, for what it does without being asked: rotation and destruction of keys. */
#define KMS_OWN_PRINCIPAL "kms.amazonaws.com"

/* One of the two. */
bool kms_is_service_principal(const char *text);

struct kms_principals;

/* Resolves user names once, at start. root is an administrator unless `admins` says otherwise, and
 * so is the user that kmsd itself runs as; an administrator without an entry of its own is
 * ACCOUNT:root. SLK_CONFIG with a sentence (unknown user, uid given twice, malformed ARN),
 * SLK_NO_MEMORY. */
MUST_USE int kms_principals_new(const struct kms_config *config,
	struct kms_principals **out_principals, struct slk_error *err);
void kms_principals_free(struct kms_principals *principals); /* NULL allowed */

/* Bits of enum kms_class; 0 for a stranger. */
unsigned kms_principals_classes(const struct kms_principals *principals, uid_t uid);

/* The principal of uid, or NULL. Borrowed. */
const char *kms_principals_arn(const struct kms_principals *principals, uid_t uid);
/* The uid whose principal that is; the first, if there are several. */
bool kms_principals_uid(const struct kms_principals *principals, const char *arn, uid_t *out_uid);

/* Is this the ARN of a role that doors may name? */
bool kms_principals_has_role(const struct kms_principals *principals, const char *arn);

#endif
