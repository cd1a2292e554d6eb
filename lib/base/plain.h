/* Memory for decrypted records: locked, left out of core dumps, wiped before it is given back.
 *
 * struct slk_secret is for keys (guard pages, six system calls each); blocks of records reach megabytes,
 * so this grows on demand and never keeps a copy of what it held when it moves. Thread: the
 * owner's.
 */
#ifndef SLK_BASE_PLAIN_H
#define SLK_BASE_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

struct slk_plain {
	uint8_t *ptr; /* NULL while cap is 0 */
	size_t cap;
};

/* Room for at least len bytes; what was in there before is wiped, not kept. SLK_NO_MEMORY with a
 * sentence that names the memlock limit when that was the cause. */
MUST_USE int slk_plain_reserve(struct slk_plain *plain, size_t len, struct slk_error *err);
void slk_plain_free(struct slk_plain *plain); /* wipes; leaves it empty */

#endif
