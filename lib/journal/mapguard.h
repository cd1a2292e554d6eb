/* Pages of files that are mapped for writing, on a disk that may fail. Internal to lib/journal.
 *
 * A store into such a page raises SIGBUS when its file system has failed (XFS and ext4 do after a shutdown, any does when a
 * page cannot be read back). The guard's handler then puts a private page in its place, so that the store succeeds and the
 * writer can find out and end with a sentence: nobody else sees that page. The handler is the process's; a SIGBUS anywhere else
 * goes to whatever was there before.
 */
#ifndef SLK_JOURNAL_MAPGUARD_H
#define SLK_JOURNAL_MAPGUARD_H

#include <stdbool.h>

#include "base/status.h"

#define JNL_MAPGUARD_MAX 256u

/* Guard the page at `page` (4,096 bytes, mapped). *out_slot names it. SLK_LIMIT, SLK_SYSTEM. Thread: any. */
MUST_USE int jnl_mapguard_add(void *page, unsigned *out_slot);
/* Before it is unmapped. */
void jnl_mapguard_remove(unsigned slot);
/* Was the page replaced? What was stored into it since is lost then. */
bool jnl_mapguard_hit(unsigned slot);

#endif
