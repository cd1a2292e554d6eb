/* How often the whole program allocated, libraries included: linking heapcount.c counts malloc, calloc, realloc and the aligned
 * kinds; with a sanitizer its own hooks do. Thread: any.
 */
#ifndef SLK_TESTS_LIB_HEAPCOUNT_H
#define SLK_TESTS_LIB_HEAPCOUNT_H

#include <stdint.h>

/* Since the program started; with a sanitizer since the first call. */
uint64_t heapcount(void);

#endif
