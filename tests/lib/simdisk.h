/* A disk that exists in memory and behaves as badly as a real one may, all of it from one seed.
 *
 * It implements the file seam (struct slk_fs) and the journal's asynchronous I/O (struct jnl_io). What was written is
 * visible to readers at once, but survives a power cut only if a flush covered it: a flush covers writes that were
 * completed (asynchronous ones: reaped) before it was submitted. Of the rest, a power cut keeps any set of 512-byte
 * sectors: none, all, whole writes, a prefix, or each by chance. Names (create, rename, unlink) survive in order, as far
 * as a flush of the directory reached and maybe further. After a failed flush the writes that it covered count as clean
 * and are lost, as on Linux: readers still see them in the cache, readers with SLK_OPEN_DIRECT see what the disk has.
 *
 * Descriptors are the simulator's own and mean nothing to the kernel. One directory level is enough: paths are compared
 * as text. Not thread-safe: a test turns everything by hand.
 */
#ifndef SLK_TESTS_LIB_SIMDISK_H
#define SLK_TESTS_LIB_SIMDISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/file.h"
#include "journal/io.h"

struct simdisk;

struct simdisk *simdisk_new(uint64_t seed); /* aborts without memory: it is a test's */
void simdisk_free(struct simdisk *disk);

const struct slk_fs *simdisk_fs(struct simdisk *disk);
const struct jnl_io *simdisk_io(struct simdisk *disk);
/* Goes on by a little with every call on the disk. Wall time starts at 2026-01-01. */
const struct slk_clock *simdisk_clock(struct simdisk *disk);
void simdisk_clock_jump(struct simdisk *disk, int64_t wall_ns); /* wall time only */

/* The disk's own random numbers, so that a whole test follows from its seed. */
uint64_t simdisk_random(struct simdisk *disk);

enum simdisk_crash {
	SIMDISK_KILL, /* the process ends: what was written stays, what was in flight may or may not be done */
	SIMDISK_POWER_CUT, /* what no flush covered may be lost, torn or reordered */
};
/* Ends what the disk remembers of the process: descriptors, flushes in flight, faults. The journal's memory is freed
 * before, on a disk that fails every call (simdisk_fail(disk, 1, true, SLK_IO); jnl_close()), as a dead process does not
 * tidy up. */
void simdisk_crash(struct simdisk *disk, enum simdisk_crash how);

/* Calls that can fail (all but close), counted since the start. */
uint64_t simdisk_calls(const struct simdisk *disk);
/* Fail call number nth (from 1, counted from now), and all later ones if for_ever. */
void simdisk_fail(struct simdisk *disk, uint64_t nth, bool for_ever, int status);
bool simdisk_failed(const struct simdisk *disk); /* did it come to that? */
void simdisk_heal(struct simdisk *disk);

/* Free space (UINT64_MAX at first): growing a file beyond it fails with SLK_DISK_FULL. */
void simdisk_set_space(struct simdisk *disk, uint64_t bytes);

/* Bit rot: change bytes where they lie, durably. SLK_NOT_FOUND, SLK_RANGE. */
MUST_USE int simdisk_rot(struct simdisk *disk, const char *path, uint64_t offset, uint64_t len);

#endif
