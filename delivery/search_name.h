/* Names of indices, and the address of a request. Pure. Thread: any. */
#ifndef DELIVERY_SEARCH_NAME_H
#define DELIVERY_SEARCH_NAME_H

#include "base/error.h"
#include "delivery/spec.h"

#define SEARCH_INDEX_MAX 256u /* with terminator: an index's name has at most 255 bytes */
#define SEARCH_URL_MAX 2048u
/* What of an answer is asked for: all that search_answer.h reads. */
#define SEARCH_FILTER \
	"error.type,error.reason,items.*.status,items.*.error.type,items.*.error.reason,items.*." \
	"error.caused_by.type"

/* index and, behind it, the time of instant_ns (Unix time) in UTC, as Firehose rotates:
 *
 *     OneHour -2016-02-25-13    OneDay -2016-02-25    OneMonth -2016-02    OneWeek -2016-w09
 *
 * A week begins on Sunday, and the year's first week is the one that has its first Saturday, so the one that has the 1st of January;
 * the year is that of the week's Saturday. SLK_TOO_LARGE. */
MUST_USE int search_index_name(
	const struct dlv_search *search, uint64_t instant_ns, char out[SEARCH_INDEX_MAX]);

/* <endpoint>/<index>[/<type>]/_bulk?filter_path=<SEARCH_FILTER>. SLK_TOO_LARGE. */
MUST_USE int search_url(
	const struct dlv_search *search, const char *index, char out[SEARCH_URL_MAX]);

#endif
