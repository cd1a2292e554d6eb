/* Reading one lane file block by block; shared by recovery, readers and verification. Internal to lib/journal.
 *
 * A scan believes nothing: every block passes fmt_block_check(). Behind a damaged place it goes on at the next good
 * block of this file, wherever that begins (blocks do at multiples of 8): no more is lost than what is damaged. Thread: a scan belongs to one thread.
 */
#ifndef SLK_JOURNAL_SCAN_H
#define SLK_JOURNAL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/status.h"
#include "format/block.h"
#include "format/footer.h"
#include "format/jfile.h"

struct jnl_scan {
	const struct slk_fs *fs;
	int fd;
	bool has_ring;
	int ring; /* the lane's latest groups (journal/ring.h), asked before the file */
	struct fmt_jfile_header header;
	uint32_t seed;
	uint64_t pos; /* of the next block */
	uint64_t limit; /* first byte that is not looked at */
	uint8_t *buf; /* bytes of the file from buf_pos */
	size_t buf_cap;
	size_t buf_len;
	uint64_t buf_pos;
	bool closed; /* trailer and footer verified */
	uint64_t footer_pos;
	struct fmt_footer footer; /* its raw span lies in footer_buf */
	uint8_t *footer_buf;
};

/* Open DIR/name with slk_open_flags (all reads are aligned as SLK_OPEN_DIRECT wants), check its header, and look whether it
 * is closed; limit is set to the footer if so, else to the capacity. SLK_NOT_FOUND, SLK_DENIED, SLK_IO, SLK_NO_MEMORY; what
 * fmt_jfile_decode() says of a bad header. */
MUST_USE int jnl_scan_open(struct jnl_scan *scan, const struct slk_fs *fs, const char *dir,
	const char *name, int flags);
/* The same with a header that is known otherwise; the file's own is not looked at. */
MUST_USE int jnl_scan_open_as(struct jnl_scan *scan, const struct slk_fs *fs, const char *dir,
	const char *name, int flags, const struct fmt_jfile_header *header);
/* Read only, and no further than the watermark says, where the file is not closed. */
MUST_USE int jnl_scan_open_durable(
	struct jnl_scan *scan, const struct slk_fs *fs, const char *dir, const char *name);
void jnl_scan_close(struct jnl_scan *scan); /* a zeroed struct is allowed */

/* The next block before the limit: SLK_OK with *out_block and *out_raw (borrowed until the next call); SLK_END at the
 * limit; SLK_CORRUPT: no good block at the position: *out_gap_end is where the next one is (or the limit), and the scan
 * stands there; SLK_IO, SLK_NO_MEMORY. Pads are returned like all others. */
MUST_USE int jnl_scan_next(struct jnl_scan *scan, struct fmt_block *out_block,
	const uint8_t **out_raw, uint64_t *out_gap_end);

/* Ask the lane's shared ring first, if there is one. Of a file that is not closed. */
void jnl_scan_share(struct jnl_scan *scan, const char *dir);

/* Forget what was read ahead, after the file or the limit has changed. */
void jnl_scan_refresh(struct jnl_scan *scan);

/* Lane files (not spares) of dir in ascending order of ids. out_ids: to be freed. SLK_NOT_FOUND, SLK_DENIED, SLK_NO_MEMORY. */
MUST_USE int jnl_scan_list(const struct slk_fs *fs, const char *dir, enum fmt_jfile_kind kind,
	uint64_t **out_ids, size_t *out_count);

#endif
