/* What the files of the simulated disk share. Internal to tests/lib/simdisk*.
 *
 *     simdisk.c        clock, faults, crashes, and the disk itself
 *     simdisk_names.c  directory entries, and when they are durable
 *     simdisk_data.c   contents: writes, flushes, what the disk has and what readers see
 *     simdisk_fs.c     the file seam
 *     simdisk_io.c     asynchronous I/O
 */
#ifndef SLK_TESTS_LIB_SIMDISK_INTERNAL_H
#define SLK_TESTS_LIB_SIMDISK_INTERNAL_H

#include "simdisk.h"

#define SECTOR 512u
#define FD_BASE 1000
#define FDS_MAX 256

/* A write that no flush has made durable yet. */
struct pending {
	uint64_t pos;
	size_t len;
	uint8_t *data;
	bool done; /* completed, and reaped if it was asynchronous */
	bool lost; /* the disk drops it, and nobody says so */
	uint64_t elsewhere; /* or puts it there: position + 1; 0: no */
	uint64_t flush_id; /* of the flush that covers it; 0: none yet */
	uint64_t id;
};

struct inode {
	uint8_t *now, *disk; /* as readers see it; as a power cut would leave it */
	uint64_t now_size, disk_size, cap;
	bool *ghost; /* by sector: cached, clean, and not on the disk, since its flush failed */
	bool haunted; /* any ghost */
	struct pending *pending;
	size_t pending_count, pending_cap;
};

struct entry {
	char *path;
	struct inode *inode;
	bool dir;
};

struct names {
	struct entry *entries;
	size_t count, cap;
};

/* A change of names that is not durable yet; inode NULL: unlink. */
struct name_op {
	char *from, *to; /* create: to; unlink: from; rename: both */
	struct inode *inode;
	bool dir;
};

struct simdisk {
	uint64_t random_state, calls, fail_at, space, next_id;
	bool fail_for_ever, failed;
	int fail_status;
	uint64_t mono_ns;
	int64_t wall_offset_ns;
	struct names now, durable;
	struct name_op *ops;
	size_t op_count, op_cap;
	struct inode *inodes[4096];
	size_t inode_count;
	struct inode *fds[FDS_MAX];
	bool direct[FDS_MAX];
	uint64_t lie_one_in[SIMDISK_LIES];
	uint64_t lies[SIMDISK_LIES];
	void (*watch)(void *arg, const void *buf, size_t len);
	void *watch_arg;
	struct slk_fs fs;
	struct jnl_io io;
	struct slk_clock clock;
};

void *simdisk_must(void *ptr);
/* Count a call; SLK_OK, or what it has to fail with. */
int simdisk_enter(struct simdisk *d);
/* Does this fault strike now? Counts it. */
bool simdisk_lies_now(struct simdisk *d, enum simdisk_lie lie);

/* --- names --- */
struct entry *simdisk_find(const struct names *n, const char *path);
void simdisk_name_op(
	struct simdisk *d, const char *from, const char *to, struct inode *inode, bool dir);
/* Make the first count changes durable and forget the rest. */
void simdisk_settle_names(struct simdisk *d, size_t count);
/* The names as a power cut leaves them. */
void simdisk_cut_names(struct simdisk *d);
void simdisk_free_names(struct simdisk *d);

/* --- contents --- */
struct inode *simdisk_new_inode(struct simdisk *d);
void simdisk_free_inode(struct inode *f);
void simdisk_grow(struct inode *f, uint64_t size);
int simdisk_check_space(const struct simdisk *d, const struct inode *f, uint64_t end);
uint64_t simdisk_used(const struct simdisk *d);
struct pending *simdisk_add_pending(
	struct simdisk *d, struct inode *f, const void *buf, size_t len, uint64_t pos);
void simdisk_show(struct inode *f, const struct pending *p);
void simdisk_drop_pending(struct inode *f, size_t index);
void simdisk_cover(struct inode *f, uint64_t flush_id);
/* A flush ended: what it covered is on the disk, or gone for good. */
void simdisk_end_flush(struct simdisk *d, struct inode *f, uint64_t flush_id, bool ok);
void simdisk_power_cut(struct simdisk *d);

/* --- the seams --- */
struct inode *simdisk_inode_of(const struct simdisk *d, int fd);
struct slk_fs simdisk_make_fs(struct simdisk *d);
struct jnl_io simdisk_make_io(struct simdisk *d);

#endif
