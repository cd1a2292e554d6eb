/* Does any (sealing key, nonce) in a journal directory seal two different blocks?
 *
 * Looks at everything that decodes as a block header in lane files, spares and torn tails, whether its checksum holds or
 * not: what a disk thief could find counts, not what a reader would believe. An epoch's sealing key is derived from the
 * data key that the caller unwraps for the epoch's key blocks, and is known by its hash; so an epoch that was carried on by
 * another process, or a key that came twice, is found though ids differ. Where a key is not to be had, the epoch id stands
 * for it. The nonce is the block number. Two blocks are different unless all their bytes are equal (a torn tail is a copy).
 */
#ifndef SLK_TESTS_LIB_NONCESCAN_H
#define SLK_TESTS_LIB_NONCESCAN_H

#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "format/keyblock.h"

struct noncescan_report {
	uint64_t files; /* lane files, spares and torn tails */
	uint64_t blocks; /* data blocks, copies included */
	uint64_t copies; /* of those, equal to another one byte by byte */
	uint64_t epochs; /* with a key block */
	uint64_t keys; /* different sealing keys that were derived */
	uint64_t
		shared_keys; /* epochs whose data key another epoch had, too; not a repetition yet, but never right */
	uint64_t refused; /* key blocks whose data key the callback did not give */
	uint64_t unknown_blocks; /* no key: judged by epoch id */
	uint64_t repeats; /* blocks that repeat key and nonce of a different one */
};

struct noncescan_config {
	const char *dir;
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	/* The data key of a key block, or an error if it is not to be had. The secret becomes the scan's. NULL: never. */
	int (*data_key)(
		void *arg, const struct fmt_keyblock *keyblock, struct slk_secret **out_data_key);
	void (*repeat)(void *arg, const char *sentence); /* NULL: only counted */
	void *arg;
};

/* SLK_OK with *out_report; errors of the file seam, SLK_NO_MEMORY. */
MUST_USE int noncescan(const struct noncescan_config *config, struct noncescan_report *out_report,
	struct slk_error *err);

#endif
