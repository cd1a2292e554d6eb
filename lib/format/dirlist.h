/* The list of a journal's directories: `directories` in each of them, where a journal has several.
 *
 *     offset  size  field
 *     0       4     magic "SLJD"
 *     4       4     le32 version, 1
 *     8       16    journal uuid, as in the lane files
 *     24      8     le64 generation: of two lists the higher one counts
 *     32      4     le32 number of directories, 1..8
 *     36      4     reserved, zero
 *     40      n     per directory: le16 length of its path (1..1,023), state (1 in use, 2 left), zero, path (absolute,
 *                   without a terminator)
 *     40 + n  4     le32 CRC-32C of all before
 *
 * Left: its disk failed, and all that was to go on went on elsewhere; what is durable in it still counts.
 * Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_DIRLIST_H
#define SLK_FORMAT_DIRLIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_DIRLIST_NAME "directories"
#define FMT_DIRLIST_DIRS_MAX 8u
#define FMT_DIRLIST_PATH_MAX 1024u /* with terminator */
#define FMT_DIRLIST_BYTES_MAX (44u + FMT_DIRLIST_DIRS_MAX * (4u + FMT_DIRLIST_PATH_MAX))

enum fmt_dirlist_state { FMT_DIRLIST_IN_USE = 1, FMT_DIRLIST_LEFT = 2 };

struct fmt_dirlist {
	uint8_t journal_uuid[16];
	uint64_t generation;
	uint32_t count;
	struct {
		char path[FMT_DIRLIST_PATH_MAX];
		enum fmt_dirlist_state state;
	} dirs[FMT_DIRLIST_DIRS_MAX];
};

/* SLK_INVALID (count, or a path that is empty, relative or too long), SLK_FULL. */
MUST_USE int fmt_dirlist_encode(
	const struct fmt_dirlist *list, uint8_t *out, size_t cap, size_t *out_len);

/* Strictly. SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION, SLK_BAD_CRC, SLK_NO_MEMORY; *out_list is untouched on error. */
MUST_USE int fmt_dirlist_decode(struct slk_span in, struct fmt_dirlist *out_list);

#endif
