/* Memory that a lane writes to the disk from, in huge pages where the kernel has them. Internal to lib/journal.
 *
 * A write with O_DIRECT goes to the device page by page: 2 MiB in pages of 4 KiB are 512 pieces, more than a request of virtio-blk or
 * of many NVMe drives takes, and each piece costs the host a look-up. In huge pages it is one piece (docs/decisions/0002).
 * Without them everything works, slower: nothing here fails for want of them.
 */
#ifndef SLK_JOURNAL_BUFFERS_H
#define SLK_JOURNAL_BUFFERS_H

#include <stddef.h>

#include "base/error.h"
#include "base/status.h"

struct jnl_lane;

/* The file's first bytes, or memory of one's own (fd -1), shared with nobody; aligned to a huge page. NULL: errno says why. */
void *jnl_buffers_map(size_t bytes, int fd);
/* Huge pages under what lies in /dev/shm and is all there already. Tried once: no reader and no writer may be at it yet. */
void jnl_buffers_gather(void *map, size_t bytes);

/* The buffers of a lane's groups, in the ring if there is one, and its stage. SLK_NO_MEMORY with a sentence. Thread: who opens the
 * journal. */
MUST_USE int jnl_buffers_init(struct jnl_lane *lane, struct slk_error *err);
void jnl_buffers_fini(struct jnl_lane *lane); /* a zeroed lane is allowed; the stage is wiped */

#endif
