/* What deliverd's readers of JSON share: memory for libyajl that is wiped when it is given back, since parts of records pass
 * through it. Thread: any. */
#ifndef DELIVERY_JSON_H
#define DELIVERY_JSON_H

#include <yajl/yajl_parse.h>

#include "base/bytes.h"

/* yajl_alloc() with that memory; NULL without. */
yajl_handle dlv_json_new(const yajl_callbacks *callbacks, void *ctx);

static inline bool
dlv_json_is(const unsigned char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

#endif
