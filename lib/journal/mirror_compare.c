/* Looking for differences in a mirrored pair; see mirror.h. */
#include <stdlib.h>
#include <string.h>

#include "journal/mirror.h"
#include "journal/scan.h"

#define WINDOW_BYTES (1u << 20)

typedef void (*differs_fn)(void *arg, const char *name, uint64_t offset, const char *sentence);

static int
read_both(struct jnl_scan scans[2], uint8_t *bufs[2], uint64_t pos, size_t want)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct slk_fs *fs = scans[side].fs;
		size_t len = 0;
		int rc = fs->pread(fs->ctx, scans[side].fd, bufs[side], want, pos, &len);
		if (rc != SLK_OK)
			return rc;
		memset(bufs[side] + len, 0, want - len);
	}
	return SLK_OK;
}

/* Header, blocks, footer. */
static int
compare_bytes(
	struct jnl_scan scans[2], uint8_t *bufs[2], const char *name, differs_fn differs, void *arg)
{
	const uint64_t end =
		scans[0].footer_pos + fmt_block_total(FMT_BLOCK_FOOTER, scans[0].footer.raw.len);
	int rc = SLK_OK;

	for (uint64_t pos = 0; rc == SLK_OK && pos < end; pos += WINDOW_BYTES) {
		size_t want = end - pos < WINDOW_BYTES ? (size_t)(end - pos) : WINDOW_BYTES;
		size_t at = 0;
		rc = read_both(scans, bufs, pos, want);
		while (rc == SLK_OK && at < want && bufs[0][at] == bufs[1][at])
			at++;
		if (rc == SLK_OK && at < want) {
			differs(arg, name, pos + at,
				"the two directories have different bytes here");
			return SLK_OK;
		}
	}
	return rc;
}

static int
compare_file(const char *const dirs[2], const struct slk_fs *fs, uint64_t id, uint8_t *bufs[2],
	differs_fn differs, void *arg)
{
	char name[FMT_JFILE_NAME_MAX];
	struct jnl_scan scans[2] = {{.fd = -1}, {.fd = -1}};
	int rc = SLK_OK;

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	for (unsigned side = 0; side < 2 && rc == SLK_OK; side++) {
		rc = jnl_scan_open(&scans[side], fs, dirs[side], name, SLK_OPEN_READ);
		if (slk_status_class(rc) == SLK_CLASS_CORRUPT)
			differs(arg, name, 0, "the header of the file is damaged in one of them");
	}
	if (rc == SLK_OK && scans[0].closed && scans[1].closed)
		rc = compare_bytes(scans, bufs, name, differs, arg);
	else if (rc == SLK_OK && scans[0].closed != scans[1].closed)
		differs(arg, name, 0, "the file is closed in one of them only");
	jnl_scan_close(&scans[0]);
	jnl_scan_close(&scans[1]);
	/* Trimmed meanwhile, or told. */
	return rc == SLK_NOT_FOUND || slk_status_class(rc) == SLK_CLASS_CORRUPT ? SLK_OK : rc;
}

static bool
has(const uint64_t *ids, size_t count, uint64_t id)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

int
jnl_mirror_compare(const char *const dirs[2], const struct slk_fs *fs, differs_fn differs,
	void *arg, uint64_t *out_files, struct slk_error *err)
{
	uint64_t *ids[2] = {NULL, NULL};
	size_t counts[2] = {0, 0};
	uint8_t *bufs[2] = {malloc(WINDOW_BYTES), malloc(WINDOW_BYTES)};
	uint64_t files = 0;
	int rc = bufs[0] != NULL && bufs[1] != NULL ? SLK_OK : SLK_NO_MEMORY;

	fs = fs != NULL ? fs : slk_fs_posix();
	for (unsigned side = 0; side < 2 && rc == SLK_OK; side++)
		rc = jnl_scan_list(fs, dirs[side], FMT_JFILE_LANE, &ids[side], &counts[side]);
	for (unsigned side = 0; side < 2; side++) {
		for (size_t i = 0; rc == SLK_OK && i < counts[side]; i++) {
			char name[FMT_JFILE_NAME_MAX];
			const uint64_t id = ids[side][i];
			if (has(ids[1 - side], counts[1 - side], id)) {
				files += side == 0;
				if (side == 0)
					rc = compare_file(dirs, fs, id, bufs, differs, arg);
				continue;
			}
			fmt_jfile_name(FMT_JFILE_LANE, id, name);
			differs(arg, name, 0, "the file is in one of the two directories only");
		}
	}
	for (unsigned side = 0; side < 2; side++) {
		free(ids[side]);
		free(bufs[side]);
	}
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot compare %s and %s: %s", dirs[0], dirs[1],
			slk_status_sentence(rc));
	*out_files = files;
	return SLK_OK;
}
