/* Asynchronous I/O of the simulated disk. */
#include <stdlib.h>

#include "simdisk_internal.h"

struct flight {
	bool write; /* else flush */
	struct inode *inode;
	uint64_t id; /* of the pending write, or of the flush */
	uint64_t tag;
	bool fail;
};

struct instance {
	struct simdisk *disk;
	struct flight flights[JNL_IO_DEPTH];
	unsigned count;
};

static int
io_open(void *ctx, int event_fd, void **out_instance, struct slk_error *err)
{
	struct simdisk *d = ctx;
	struct instance *io = simdisk_must(calloc(1, sizeof(*io)));

	(void)event_fd; /* tests turn the lane by hand */
	(void)err;
	io->disk = d;
	*out_instance = io;
	return SLK_OK;
}

static void
land(struct instance *io, const struct flight *fl)
{
	struct inode *f = fl->inode;

	if (!fl->write) {
		simdisk_end_flush(io->disk, f, fl->id, !fl->fail);
		if (!fl->fail && f->disk_size < f->now_size)
			f->disk_size = f->now_size;
		return;
	}
	for (size_t i = 0; i < f->pending_count; i++) {
		struct pending *p = &f->pending[i];
		if (p->id != fl->id)
			continue;
		if (fl->fail)
			p->len = simdisk_random(io->disk) % (p->len + 1);
		p->done = true;
		simdisk_show(f, p);
		return;
	}
}

static void
io_close(void *instance)
{
	struct instance *io = instance;

	for (unsigned i = 0; i < io->count;
		i++) { /* what the kernel still does after its process has ended */
		if (io->flights[i].write && !io->flights[i].fail &&
			simdisk_random(io->disk) % 2 == 0)
			land(io, &io->flights[i]);
	}
	free(io);
}

static int
fly(struct instance *io, struct flight flight)
{
	if (io->count == JNL_IO_DEPTH)
		return SLK_IO;
	io->flights[io->count++] = flight;
	return SLK_OK;
}

static int
io_write(void *instance, int fd, const void *buf, uint32_t len, uint64_t pos, uint64_t tag)
{
	struct instance *io = instance;
	struct inode *f = simdisk_inode_of(io->disk, fd);
	bool fail = simdisk_enter(io->disk) != SLK_OK ||
		simdisk_check_space(io->disk, f, pos + len) != SLK_OK;
	const struct pending *p = simdisk_add_pending(io->disk, f, buf, len, pos);

	return fly(io,
		(struct flight){.write = true, .inode = f, .id = p->id, .tag = tag, .fail = fail});
}

static int
io_sync(void *instance, int fd, uint64_t tag)
{
	struct instance *io = instance;
	struct inode *f = simdisk_inode_of(io->disk, fd);
	uint64_t id = ++io->disk->next_id;
	bool fail = simdisk_enter(io->disk) != SLK_OK;

	simdisk_cover(f, id);
	return fly(io, (struct flight){.inode = f, .id = id, .tag = tag, .fail = fail});
}

static unsigned
io_reap(void *instance, struct jnl_io_done *out, unsigned cap)
{
	struct instance *io = instance;
	struct simdisk *d = io->disk;
	unsigned n = 0;

	/* Each flight lands by chance, in any order. */
	for (unsigned tries = io->count; tries > 0 && n < cap && io->count > 0; tries--) {
		unsigned i = (unsigned)(simdisk_random(d) % io->count);
		if (simdisk_random(d) % 2 == 0)
			continue;
		struct flight fl = io->flights[i];
		io->flights[i] = io->flights[--io->count];
		land(io, &fl);
		out[n++] = (struct jnl_io_done){fl.tag,
			fl.fail ? d->fail_status != SLK_OK ? d->fail_status : SLK_IO : SLK_OK};
	}
	return n;
}

struct jnl_io
simdisk_make_io(struct simdisk *d)
{
	return (struct jnl_io){
		.name = "simdisk",
		.open = io_open,
		.close = io_close,
		.write = io_write,
		.sync = io_sync,
		.reap = io_reap,
		.ctx = d,
	};
}
