/* What salvage.c, salvage_header.c and salvage_disk.c share. */
#ifndef SLK_JOURNAL_SALVAGE_INTERNAL_H
#define SLK_JOURNAL_SALVAGE_INTERNAL_H

#include "format/jfile.h"
#include "journal/salvage.h"

/* A file seam that reads what the disk still gives: a page that it does not is zeros, and counted. */
struct jnl_patient_fs {
	struct slk_fs fs; /* its context is this struct */
	const struct slk_fs *under;
	uint64_t unreadable_pages;
};
void jnl_patient_fs_init(struct jnl_patient_fs *p, const struct slk_fs *under);

/* What the directory says of its files, as far as their header pages are good. */
struct jnl_salvage_file {
	uint64_t id;
	bool good; /* the header */
	struct fmt_jfile_header header;
};

/* A header for a file whose own is damaged, from its blocks, its proof and its neighbours. SLK_NOT_FOUND: fewer than two blocks
 * agree on a CRC seed. Its salt is another one of the same seed. */
MUST_USE int jnl_salvage_header(const struct slk_fs *fs, const char *dir,
	const struct jnl_salvage_file *files, size_t count, size_t index,
	struct fmt_jfile_header *out_header);

#endif
