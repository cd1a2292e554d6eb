/* libcurl's memory: what it is given back is wiped, and what is large enough to be a buffer of a body (an upload passes through one
 * in the clear, before TLS) is in pages of its own, locked where the limit allows it, and left out of core dumps.
 *
 * Thread: any; libcurl frees what its resolver's threads made.
 */
#ifndef DELIVERY_WEB_MEMORY_H
#define DELIVERY_WEB_MEMORY_H

#include <stddef.h>

#define DLV_WEB_LARGE_BYTES 16384u

/* As the functions of <stdlib.h> and <string.h> that they take the place of. */
void *dlv_web_malloc(size_t size);
void *dlv_web_calloc(size_t count, size_t size);
void *dlv_web_realloc(void *ptr, size_t size);
char *dlv_web_strdup(const char *text);
void dlv_web_free_memory(void *ptr);

#endif
