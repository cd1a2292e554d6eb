/* A fault to be found, in the test library slk_journal_planted only: a restarted writer goes on with the epoch of the
 * process before it. The first epoch of each stream and lane is kept in DIR/planted-STREAM-LANE, key and all, and every
 * later one becomes that one again. Nonces then repeat, and tests/lib/noncescan.h must say so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "journal/internal.h"

static void
must(int rc)
{
	if (rc == SLK_OK)
		return;
	fprintf(stderr, "planted fault: %s\n", slk_status_sentence(rc));
	abort();
}

static void
keep(const struct slk_fs *fs, const char *path, const struct jnl_epoch_params *p, uint64_t id)
{
	uint8_t state[2048];
	struct slk_writer w = slk_writer(state, sizeof(state));
	int fd = -1;

	slk_write_le64(&w, id);
	slk_write_bytes(&w, slk_secret_peek(p->data_key), SEAL_KEY_BYTES);
	slk_write_bytes(&w, p->wrapped.ptr, p->wrapped.len);
	must(w.status);
	must(fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd));
	must(fs->pwrite(fs->ctx, fd, state, w.len, 0));
	must(fs->sync(fs->ctx, fd));
	(void)fs->close(fs->ctx, fd);
}

void
jnl_plant_old_epoch(struct jnl_lane *lane, const struct jnl_epoch_params *asked, uint64_t *id,
	struct jnl_plant *out)
{
	const struct slk_fs *fs = lane->journal->fs;
	char path[JNL_PATH_MAX + 64];
	uint8_t state[2048];
	size_t len = 0;
	int fd = -1;

	*out = (struct jnl_plant){.params = *asked};
	snprintf(path, sizeof(path), "%s/planted-%llu-%u", lane->journal->dir,
		(unsigned long long)asked->stream_id, lane->index);
	if (fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd) != SLK_OK) {
		keep(fs, path, asked, *id);
		return;
	}
	must(fs->pread(fs->ctx, fd, state, sizeof(state), 0, &len));
	(void)fs->close(fs->ctx, fd);
	if (len <= 8 + SEAL_KEY_BYTES || len - 8 - SEAL_KEY_BYTES > sizeof(out->wrapped))
		return;
	must(slk_secret_from(state + 8, SEAL_KEY_BYTES, &out->key));
	*id = slk_get_le64(state);
	memcpy(out->wrapped, state + 8 + SEAL_KEY_BYTES, len - 8 - SEAL_KEY_BYTES);
	out->params.data_key = out->key;
	out->params.wrapped = slk_span(out->wrapped, len - 8 - SEAL_KEY_BYTES);
}
