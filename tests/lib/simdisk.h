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
void simdisk_advance(struct simdisk *disk, uint64_t ns); /* both clocks */
uint64_t simdisk_now_ns(
	const struct simdisk *disk); /* monotonic; reading it this way takes no time */

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

/* What a disk does wrong and does not say. Each call of the kind is hit by chance, one in one_in (0: none, as at first). */
enum simdisk_lie {
	SIMDISK_LIE_READ_FLIP, /* a bit of what is read is wrong; the disk itself is not */
	SIMDISK_LIE_READ_ELSEWHERE, /* what is read lies elsewhere in the file */
	SIMDISK_LIE_WRITE_LOST, /* a write is seen in the cache and never reaches the disk */
	SIMDISK_LIE_WRITE_ELSEWHERE, /* a write reaches another place of the file, whose bytes are lost */
	SIMDISK_LIE_FLUSH, /* a flush says that it did something */
	SIMDISK_LIES
};
void simdisk_lie(struct simdisk *disk, enum simdisk_lie lie, uint64_t one_in);
uint64_t simdisk_lies(const struct simdisk *disk, enum simdisk_lie lie); /* how many struck */

/* Calls each(arg, buf, len) for every write. NULL: none. */
void simdisk_watch(
	struct simdisk *disk, void (*each)(void *arg, const void *buf, size_t len), void *arg);
/* Would a power cut leave these bytes of the file as readers see them now, and the file under its name? */
bool simdisk_is_durable(struct simdisk *disk, const char *path, uint64_t pos, uint64_t len);

/* Free space (UINT64_MAX at first): growing a file beyond it fails with SLK_DISK_FULL. */
void simdisk_set_space(struct simdisk *disk, uint64_t bytes);

/* Bit rot: change bytes where they lie, durably. SLK_NOT_FOUND, SLK_RANGE. */
MUST_USE int simdisk_rot(struct simdisk *disk, const char *path, uint64_t offset, uint64_t len);
/* Or one bit, which the same call turns back. */
MUST_USE int simdisk_flip(struct simdisk *disk, const char *path, uint64_t bit);

#endif
