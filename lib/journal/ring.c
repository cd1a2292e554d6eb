#include "journal/ring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/buffers.h"

static const uint8_t magic[8] = {'S', 'L', 'K', 'R', 'I', 'N', 'G', '1'};

struct slot {
	_Alignas(64) _Atomic uint64_t turn; /* odd: it is being filled */
	uint64_t file_id, pos;
	uint64_t len;
};

struct head {
	uint8_t magic[8];
	uint32_t slots;
	uint32_t slot_bytes;
	uint8_t uuid[16];
	uint32_t lane;
	uint32_t reserved[7];
	struct slot slot[JNL_RING_SLOTS_MAX];
};
static_assert(offsetof(struct head, slot) == 64, "slots begin at 64");
static_assert(sizeof(struct slot) == 64, "a slot is a cache line");
static_assert(sizeof(struct head) <= JNL_RING_HEAD_BYTES, "the head is one page");

static struct head *
head_of(const struct jnl_ring *ring)
{
	return (struct head *)(void *)ring->map;
}

static void
ring_path(const uint8_t uuid[16], unsigned lane, char out[64])
{
	size_t at = (size_t)snprintf(out, 64, "/dev/shm/sealock-");

	for (unsigned i = 0; i < 16; i++)
		at += (size_t)snprintf(out + at, 64 - at, "%02x", uuid[i]);
	(void)snprintf(out + at, 64 - at, "-%u", lane);
}

/* --- the writer's --- */

static int
make_file(const char *path, const char *journal_dir, int *out_fd, struct slk_error *err)
{
	struct stat dir;

	if (stat(journal_dir, &dir) != 0)
		return slk_fail_errno(err, "cannot look at %s", journal_dir);
	(void)unlink(path); /* of a writer that was killed: the journal's lock is ours */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno == EEXIST)
		return slk_fail(err, SLK_EXISTS, "%s is somebody else's", path);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make %s", path);
	if (fchown(fd, (uid_t)-1, dir.st_gid) != 0 || fchmod(fd, 0640) != 0) {
		int rc = slk_fail_errno(err, "cannot give %s to the journal's group", path);
		close(fd);
		(void)unlink(path);
		return rc;
	}
	*out_fd = fd;
	return SLK_OK;
}

int
jnl_ring_new(struct jnl_ring *ring, const char *journal_dir, const uint8_t uuid[16], unsigned lane,
	uint32_t slots, uint32_t slot_bytes, struct slk_error *err)
{
	struct jnl_ring r = {.bytes = JNL_RING_HEAD_BYTES + (size_t)slots * slot_bytes};
	int fd = -1;

	ring_path(uuid, lane, r.path);
	int rc = make_file(r.path, journal_dir, &fd, err);
	if (rc != SLK_OK)
		return rc;
	/* All of it now: a page that is missing later is a signal. */
	int fault = posix_fallocate(fd, 0, (off_t)r.bytes);
	if (fault != 0)
		rc = slk_fail(err, SLK_FULL, "/dev/shm has no room for %zu bytes: %s", r.bytes,
			strerror(fault));
	void *map = rc == SLK_OK ? jnl_buffers_map(r.bytes, fd) : NULL;
	if (rc == SLK_OK && map == NULL)
		rc = slk_fail_errno(err, "cannot map %s", r.path);
	close(fd);
	if (rc != SLK_OK) {
		(void)unlink(r.path);
		return rc;
	}
	jnl_buffers_gather(map, r.bytes);
	r.map = map;
	struct head *h = head_of(&r);
	h->slots = slots;
	h->slot_bytes = slot_bytes;
	h->lane = lane;
	memcpy(h->uuid, uuid, sizeof(h->uuid));
	memcpy(h->magic, magic, sizeof(magic));
	*ring = r;
	return SLK_OK;
}

void
jnl_ring_close(struct jnl_ring *ring)
{
	if (ring->map == NULL)
		return;
	(void)unlink(ring->path);
	munmap(ring->map, ring->bytes);
	ring->map = NULL;
}

uint8_t *
jnl_ring_buffer(const struct jnl_ring *ring, uint32_t slot)
{
	return ring->map + JNL_RING_HEAD_BYTES + (size_t)slot * head_of(ring)->slot_bytes;
}

void
jnl_ring_begin(struct jnl_ring *ring, uint32_t slot)
{
	if (ring->map == NULL)
		return;
	struct slot *s = &head_of(ring)->slot[slot];
	uint64_t turn = atomic_load_explicit(&s->turn, memory_order_relaxed);
	/* A second beginning of the same turn changes nothing. */
	atomic_store_explicit(&s->turn, turn | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* before the bytes */
}

void
jnl_ring_publish(struct jnl_ring *ring, uint32_t slot, uint64_t file_id, uint64_t pos, uint32_t len)
{
	if (ring->map == NULL)
		return;
	struct slot *s = &head_of(ring)->slot[slot];
	s->file_id = file_id;
	s->pos = pos;
	s->len = len;
	atomic_store_explicit(&s->turn,
		(atomic_load_explicit(&s->turn, memory_order_relaxed) | 1) + 1,
		memory_order_release);
}

/* --- readers' --- */

static bool
read_all(int fd, void *out, size_t len, uint64_t pos)
{
	return pread(fd, out, len, (off_t)pos) == (ssize_t)len;
}

int
jnl_ring_open(const char *journal_dir, const uint8_t uuid[16], unsigned lane)
{
	struct stat dir, file;
	struct head h;
	char path[64];

	ring_path(uuid, lane, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -1;
	/* Somebody else's would cost the reader time, no more; still, it is not asked. */
	if (stat(journal_dir, &dir) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
		file.st_uid == dir.st_uid && (file.st_mode & 0022) == 0 &&
		read_all(fd, &h, sizeof(h), 0) && memcmp(h.magic, magic, sizeof(magic)) == 0 &&
		memcmp(h.uuid, uuid, sizeof(h.uuid)) == 0 && h.lane == lane &&
		h.slots <= JNL_RING_SLOTS_MAX)
		return fd;
	close(fd);
	return -1;
}

/* Which slot holds pos; its turn, and where. */
static bool
find_slot(const struct head *h, uint64_t file_id, uint64_t pos, uint32_t *out_slot)
{
	for (uint32_t i = 0; i < h->slots && i < JNL_RING_SLOTS_MAX; i++) {
		const struct slot *s = &h->slot[i];
		if ((s->turn & 1) == 0 && s->file_id == file_id && pos >= s->pos &&
			pos - s->pos < s->len && s->len <= h->slot_bytes) {
			*out_slot = i;
			return true;
		}
	}
	return false;
}

size_t
jnl_ring_read(int fd, uint64_t file_id, uint64_t pos, void *out, size_t len)
{
	struct head h;
	uint64_t turn = 0;
	uint32_t i = 0;

	if (fd < 0 || !read_all(fd, &h, sizeof(h), 0) || !find_slot(&h, file_id, pos, &i))
		return 0;
	const struct slot *s = &h.slot[i];
	size_t there = (size_t)(s->len - (pos - s->pos));
	if (len > there)
		len = there;
	if (!read_all(fd, out, len,
		    JNL_RING_HEAD_BYTES + (uint64_t)i * h.slot_bytes + (pos - s->pos)))
		return 0;
	/* The kernel's copy is behind us: what was there when it began may have been begun anew since. */
	atomic_thread_fence(memory_order_acquire);
	if (!read_all(
		    fd, &turn, sizeof(turn), offsetof(struct head, slot) + i * sizeof(struct slot)))
		return 0;
	return turn == s->turn ? len : 0;
}
