/* The writer's pages of DIR/watermark. Internal to lib/journal; format/watermark.h has the layout. */
#ifndef SLK_JOURNAL_MARK_H
#define SLK_JOURNAL_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "format/watermark.h"

struct jnl_mark {
	const struct slk_fs *fs;
	int fd;
	uint8_t *map; /* NULL: written through fs (a simulator's descriptors cannot be mapped) */
	unsigned guard; /* of the map: journal/mapguard.h */
	struct fmt_watermark now;
	uint64_t offset;
};

/* Read lane's page; of several directories (journal/dirs.h) that of the file that the lane began last. writer_may_live: a page caught in the middle of a change is read again for half a second, since its
 * writer may have been preempted there; recovery, which holds the directory's lock, takes it as it is. SLK_NOT_FOUND if the
 * lane (or the file) never was, SLK_CORRUPT if the page stays unreadable: its writer died in the middle of a change. */
MUST_USE int jnl_mark_load(const struct slk_fs *fs, const char *dir, unsigned lane,
	bool writer_may_live, struct fmt_watermark *out_mark);

/* The page of lane that names file_id, or else the newest. */
MUST_USE int jnl_mark_load_of(const struct slk_fs *fs, const char *dir, unsigned lane,
	uint64_t file_id, bool writer_may_live, struct fmt_watermark *out_mark);

/* Which lanes there ever were: bit i of *out_lanes. Cheaper than loading each. SLK_OK also if there is no file; SLK_DENIED,
 * SLK_IO. */
MUST_USE int jnl_mark_lanes(const struct slk_fs *fs, const char *dir, uint64_t *out_lanes);

/* Open (and create) DIR/watermark for lane's writer. */
MUST_USE int jnl_mark_open(struct jnl_mark *mark, const struct slk_fs *fs, bool may_map,
	const char *dir, unsigned lane, struct slk_error *err);
void jnl_mark_close(struct jnl_mark *mark);

/* Publish: one writer, many readers. The position never goes back within a file. SLK_IO if the disk has failed: nobody may have
 * seen it. */
MUST_USE int jnl_mark_set(struct jnl_mark *mark, const struct fmt_watermark *next);

#endif
