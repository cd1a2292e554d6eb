/* From messages of the RPC to the structs of kmsclient.h. kmsd is trusted with keys, not with our
 * memory: text that does not fit is SLK_MALFORMED, never cut. Outputs are untouched on error.
 * Thread: any; pure. */
#ifndef SLK_KMSCLIENT_CONVERT_H
#define SLK_KMSCLIENT_CONVERT_H

#include "kmsclient/kmsclient.h"
#include "kmsclient/life.h"
#include "kmsclient/wire.h"

MUST_USE int kmsc_text(const char *in, char *out, size_t cap);
MUST_USE int kmsc_key_from(const Kmsp__Key *in, struct kmsc_key *out);
/* Of a reply about one key: with its indicator. */
MUST_USE int kmsc_key_of(const Kmsp__Reply *reply, struct kmsc_key *out);
MUST_USE int kmsc_alias_from(const Kmsp__Alias *in, struct kmsc_alias *out);
MUST_USE int kmsc_tags_from(const Kmsp__Tags *in, struct kmsc_tag *out, size_t cap,
	char *out_next /* KMSC_MARKER_MAX */);
MUST_USE int kmsc_stream_from(const Kmsp__Stream *in, struct kmsc_stream *out);
MUST_USE int kmsc_status_from(const Kmsp__Status *in, struct kmsc_status *out);

#endif
