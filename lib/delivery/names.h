/* Keys of objects, as Firehose makes them: prefix with expressions, then NAME-VERSION-yyyy-MM-dd-HH-mm-ss-UUID and an
 * extension.
 *
 *     Prefix                              key begins with
 *     ""                                  2026/11/24/21/
 *     "logs"                              logs2026/11/24/21/                (as it is; nothing is put between)
 *     "a/!{firehose:random-string}/"      a/5xTq0aWz3Lk/2026/11/24/21/      (no timestamp in it: one is added)
 *     "a/dt=!{timestamp:yyyy-MM-dd}/"     a/dt=2026-11-24/
 *
 *     ErrorOutputPrefix                   key of what failed begins with
 *     ""                                  Prefix, processing-failed/2026/11/24/21/    (Prefix has no expression)
 *     "bad/"                              bad/processing-failed/2026/11/24/21/
 *     "bad/!{firehose:error-output-type}/"  bad/processing-failed/
 *
 * !{timestamp:PATTERN} takes what timefmt.h has. All are of one instant, and !{firehose:random-string} is made of the batch's id,
 * so a batch has the same key however often it is delivered. Reads the zone database (zone.h) where a zone other than UTC is
 * named; keeps nothing. Thread: any.
 */
#ifndef SLK_DELIVERY_NAMES_H
#define SLK_DELIVERY_NAMES_H

#include "base/error.h"
#include "delivery/spec.h"

#define DLV_KEY_MAX 1025u /* with terminator */
#define DLV_PREFIX_EVALUATED_MAX 512u /* bytes; Firehose's limit */

struct dlv_name {
	const char *stream; /* the delivery stream's name */
	uint64_t version;
	uint64_t instant_ns; /* arrival of the oldest record */
	const char *id; /* of the batch: the UUID, and what !{firehose:random-string} is made of */
	const char *error_type; /* NULL, or "processing-failed": the error prefix is used */
};

/* What dlv_names_check() passed makes a key while the zone is in the database. SLK_INVALID: an expression that is none
 * (dlv_names_check() says which); SLK_TOO_LARGE; of the zone: codes of zone.h. out is untouched on error. */
MUST_USE int dlv_names_key(
	const struct dlv_s3 *s3, const struct dlv_name *name, char out[DLV_KEY_MAX]);
/* Are prefix, error prefix, extension and time zone sound? What is wrong is a sentence as Firehose has it. SLK_INVALID. */
MUST_USE int dlv_names_check(const struct dlv_s3 *s3, struct slk_error *err);
/* Has it an expression? Where there must be none (Redshift's Prefix). */
bool dlv_names_has_expression(const char *prefix);

#endif
