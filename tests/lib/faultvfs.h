/* An SQLite VFS over the default one that fails the n-th write, flush or truncation, or the n-th read, once or for ever.
 *
 * For sweeps, as faultfs.h: fail_at = 1, 2, 3 ... until faultvfs_hit() says that the fault was never reached. One
 * instance, the process's default VFS once installed. */
#ifndef SLK_TESTS_LIB_FAULTVFS_H
#define SLK_TESTS_LIB_FAULTVFS_H

#include <stdbool.h>
#include <stdint.h>

void faultvfs_install(void);
/* fail_at: the call, from 1; 0 never. code: SQLITE_IOERR_WRITE, SQLITE_FULL ... */
void faultvfs_arm(uint64_t fail_at, bool for_ever, int code);
/* The same for reads, and for nothing else. */
void faultvfs_arm_reads(uint64_t fail_at, bool for_ever);
bool faultvfs_hit(void);

/* --- the power fails ---
 *
 * While this is on, what is written and not flushed since the file was opened is remembered, and a new file that was never
 * flushed is none. */
void faultvfs_remember(bool on);
/* What is left of the writes that were not flushed. */
enum faultvfs_left {
	FAULTVFS_LEFT_NONE,
	FAULTVFS_LEFT_ALL_BUT_FIRST,
	FAULTVFS_LEFT_LAST, /* the last alone: a disk keeps no order */
	FAULTVFS_LEFT_TORN, /* all but the second half of the last one */
	FAULTVFS_LEFT_COUNT,
};
/* The files that are open now and whose names begin with from, as the disk would have them if the power failed now: to files
 * whose names begin with to. */
void faultvfs_power_cut(const char *from, const char *to, enum faultvfs_left left);

#endif
