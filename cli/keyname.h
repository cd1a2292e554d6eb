/* Names of keys: what leads from an alias to a key, and from a key to its aliases.
 *
 * Whoever uses a key may name it by its id, its ARN or an alias; managing one takes an id or an ARN only, as in AWS, so
 * that an alias which is led elsewhere meanwhile changes nothing. Thread: the process has one.
 */
#ifndef SLK_CLI_KEYNAME_H
#define SLK_CLI_KEYNAME_H

#include <stddef.h>

#include "base/error.h"
#include "base/status.h"
#include "kmsclient/kmsclient.h"

/* What a management request takes for name: an alias, or its ARN, becomes the id of the key that it leads to now (by
 * DescribeKey, which is a right of its own); anything else stays as it is, for kmsd to judge. out_id: KMSC_ARN_MAX bytes. */
MUST_USE int cli_keyname_resolve(
	struct kmsc *kms, const char *name, char out_id[KMSC_ARN_MAX], struct slk_error *err);

/* All aliases of one key (its id or ARN), or of all keys with NULL, grown page by page; *out_aliases is the caller's to
 * free, and may be NULL if there is none. */
MUST_USE int cli_keyname_aliases(struct kmsc *kms, const char *key_id,
	struct kmsc_alias **out_aliases, size_t *out_count, struct slk_error *err);

#endif
