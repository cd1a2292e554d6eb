/* A directory of its own for one test, removed with all that is in it. */
#ifndef SLK_TESTS_LIB_TEMPDIR_H
#define SLK_TESTS_LIB_TEMPDIR_H

#include <stddef.h>

/* Makes $TMPDIR (or /tmp)/sealock-test-XXXXXX; ends the test program if it cannot. out: at least
 * 256 bytes. */
void tempdir_make(char *out, size_t cap);
/* The same in memory (/dev/shm), where there is such a place and $TMPDIR says nothing: for those who flush thousands of
 * times and do not mean the disk. */
void tempdir_make_in_memory(char *out, size_t cap);
void tempdir_remove(const char *path);

#endif
