/* Two simulated disks behind one file seam and one asynchronous I/O: what begins with the second one's path is there, everything else on
 * the first. Each fails, crashes and forgets by itself. */
#ifndef SLK_TESTS_LIB_SIMPAIR_H
#define SLK_TESTS_LIB_SIMPAIR_H

#include "base/file.h"
#include "journal/io.h"
#include "simdisk.h"

struct simpair {
	struct simdisk *disks[2];
	const char *second; /* path of what the second disk is mounted at */
	struct slk_fs fs;
	struct jnl_io io;
};

/* Both are borrowed. */
void simpair_init(
	struct simpair *pair, struct simdisk *first, struct simdisk *second, const char *path);

#endif
