/* Keys of objects, as Firehose makes them: prefix with expressions, then NAME-VERSION-yyyy-MM-dd-HH-mm-ss-UUID and an
 * extension. Pure. Thread: any.
 */
#ifndef SLK_DELIVERY_NAMES_H
#define SLK_DELIVERY_NAMES_H

#include "base/error.h"
#include "delivery/spec.h"

#define DLV_KEY_MAX 1025u /* with terminator */

struct dlv_name {
	const char *stream; /* the delivery stream's name */
	uint64_t version;
	uint64_t instant_ns; /* arrival of the oldest record */
	const char *id; /* of the batch: the UUID, and what !{firehose:random-string} is made of */
	const char *error_type; /* NULL, or "processing-failed": the error prefix is used */
};

/* SLK_INVALID: an expression that is none (dlv_names_check() says which); SLK_TOO_LARGE. */
MUST_USE int dlv_names_key(
	const struct dlv_s3 *s3, const struct dlv_name *name, char out[DLV_KEY_MAX]);
/* Are prefix and error prefix sound? What is wrong is a sentence as Firehose has it. SLK_INVALID. */
MUST_USE int dlv_names_check(const struct dlv_s3 *s3, struct slk_error *err);

#endif
