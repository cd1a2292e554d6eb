/* Reading from a disk that does not give every page. */
#include <string.h>

#include "journal/salvage_internal.h"

#define PAGE_BYTES 4096u

/* Page by page: one that fails is zeros, which no check takes for anything. */
static int
pread_pages(
	struct jnl_patient_fs *p, int fd, uint8_t *buf, size_t len, uint64_t pos, size_t *out_len)
{
	uint64_t size = 0;
	int rc = p->under->size(p->under->ctx, fd, &size);

	if (rc != SLK_OK)
		return rc;
	if (pos >= size) {
		*out_len = 0;
		return SLK_OK;
	}
	if (len > size - pos)
		len = (size_t)(size - pos);
	for (size_t at = 0; at < len;) {
		size_t want = PAGE_BYTES - (size_t)((pos + at) % PAGE_BYTES), got = 0;
		if (want > len - at)
			want = len - at;
		rc = p->under->pread(p->under->ctx, fd, buf + at, want, pos + at, &got);
		if (rc == SLK_IO) {
			memset(buf + at, 0, want);
			p->unreadable_pages++;
		} else if (rc != SLK_OK) {
			return rc;
		}
		at += want;
	}
	*out_len = len;
	return SLK_OK;
}

static int
patient_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	struct jnl_patient_fs *p = ctx;
	int rc = p->under->pread(p->under->ctx, fd, buf, len, pos, out_len);

	return rc == SLK_IO ? pread_pages(p, fd, buf, len, pos, out_len) : rc;
}

static int
patient_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	struct jnl_patient_fs *p = ctx;

	return p->under->open(p->under->ctx, path, flags, mode, out_fd);
}

static int
patient_close(void *ctx, int fd)
{
	struct jnl_patient_fs *p = ctx;

	return p->under->close(p->under->ctx, fd);
}

static int
patient_size(void *ctx, int fd, uint64_t *out_len)
{
	struct jnl_patient_fs *p = ctx;

	return p->under->size(p->under->ctx, fd, out_len);
}

static int
patient_list(void *ctx, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct jnl_patient_fs *p = ctx;

	return p->under->list(p->under->ctx, path, each, arg);
}

void
jnl_patient_fs_init(struct jnl_patient_fs *p, const struct slk_fs *under)
{
	/* Whatever writes is left out: nobody does through this one. */
	*p = (struct jnl_patient_fs){.under = under,
		.fs = {.open = patient_open,
			.close = patient_close,
			.pread = patient_pread,
			.size = patient_size,
			.list = patient_list,
			.ctx = p}};
}
