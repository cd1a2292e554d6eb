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

#endif
