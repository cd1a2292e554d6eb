/* The latest groups of a lane in shared memory, so that readers at the tip touch no disk. Internal to lib/journal.
 *
 *     worker: group buffers are the ring: sealed there, written to the file from there, left there until they are used again
 *     reader: durable (the watermark says so) ─► still in the ring? copied from there ─► otherwise from the file
 *
 * One file per lane in /dev/shm, named by the journal and the lane, with the journal directory's group and mode 0640; it
 * holds what the lane file holds, sealed blocks. It is made when the lane is opened and goes when it is closed; what a killed
 * writer leaves is replaced by the next. Layout (native byte order; the same host writes and reads): docs/FORMATS.md.
 *
 * A slot's turn is odd while its buffer is being filled. Who copied a buffer looks at the turn again: unchanged and even, the
 * bytes are of the group. Readers read with pread(), so that nothing that happens to the file is a signal; what they get
 * passes the same checks as bytes from a disk.
 */
#ifndef SLK_JOURNAL_RING_H
#define SLK_JOURNAL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

#define JNL_RING_HEAD_BYTES 4096u
#define JNL_RING_SLOTS_MAX 16u

struct jnl_ring {
	uint8_t *map; /* NULL: there is none */
	size_t bytes;
	char path[64];
};

/* slots buffers of slot_bytes (a multiple of 4,096). SLK_SYSTEM, SLK_EXISTS (somebody else's file has the name), SLK_FULL
 * (/dev/shm has no room), with a sentence: the lane does without. */
MUST_USE int jnl_ring_new(struct jnl_ring *ring, const char *journal_dir, const uint8_t uuid[16],
	unsigned lane, uint32_t slots, uint32_t slot_bytes, struct slk_error *err);
void jnl_ring_close(struct jnl_ring *ring); /* a zeroed struct is allowed; the file goes */
uint8_t *jnl_ring_buffer(const struct jnl_ring *ring, uint32_t slot);
/* Before anything of the buffer changes, and when all of it is there. Nothing without a ring. Thread: the worker's. */
void jnl_ring_begin(struct jnl_ring *ring, uint32_t slot);
void jnl_ring_publish(
	struct jnl_ring *ring, uint32_t slot, uint64_t file_id, uint64_t pos, uint32_t len);

/* --- readers --- */

/* fd, or -1: there is none, or it is not the journal owner's. */
int jnl_ring_open(const char *journal_dir, const uint8_t uuid[16], unsigned lane);
/* Copy up to len bytes of the file from pos on, of one group. Returns how many; 0: they are not there any more. */
size_t jnl_ring_read(int fd, uint64_t file_id, uint64_t pos, void *out, size_t len);

#endif
