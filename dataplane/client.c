#include "client.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"

#define INDEX_BITS 10u /* of a handle; the generation is above */
#define PADS_MAX 2u /* in one look: a ring needs one per round */

static_assert((1u << INDEX_BITS) == DP_ATTACHMENTS_MAX, "an index fits");

/* --- shared positions: naturally aligned, read and written whole. Who sleeps sets its flag and then looks at the position, who
 * publishes does it the other way round: all four are of one order (seq_cst) --- */

static uint64_t
load(const struct dp_client *c, size_t at)
{
	return le64toh(
		__atomic_load_n((const uint64_t *)(const void *)(c->map + at), __ATOMIC_SEQ_CST));
}

static void
store(struct dp_client *c, size_t at, uint64_t value)
{
	__atomic_store_n((uint64_t *)(void *)(c->map + at), htole64(value), __ATOMIC_SEQ_CST);
}

static uint8_t *
ring(const struct dp_client *c)
{
	return c->map + FMT_PORT_PAGE_BYTES;
}

static uint8_t *
completions(const struct dp_client *c)
{
	return ring(c) + c->memory.ring_bytes;
}

/* --- memory --- */

int
dp_client_open(struct dp_client *c, const struct fmt_port_memory *memory, int *out_fd)
{
	size_t bytes = fmt_port_memory_bytes(memory);
	int fd = memfd_create("sealock-port", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return SLK_SYSTEM;
	/* Sealed against shrinking, or the client could make us read behind the end. */
	if (ftruncate(fd, (off_t)bytes) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		close(fd);
		return SLK_NO_MEMORY;
	}
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		return SLK_NO_MEMORY;
	}
	(void)madvise(map, bytes, MADV_DONTFORK);
	if (madvise(map, bytes, MADV_DONTDUMP) != 0) {
		munmap(map, bytes);
		close(fd);
		return SLK_SYSTEM;
	}
	c->map = map;
	c->memory = *memory;
	fmt_port_memory_encode(memory, c->map);
	*out_fd = fd;
	return SLK_OK;
}

void
dp_client_close(struct dp_client *c)
{
	if (c->map != NULL) {
		size_t used =
			c->taken < c->memory.ring_bytes ? (size_t)c->taken : c->memory.ring_bytes;
		slk_wipe(ring(c), used);
		munmap(c->map, fmt_port_memory_bytes(&c->memory));
	}
	while (c->letters != NULL) {
		struct dp_letter *letter = c->letters;
		c->letters = letter->next;
		free(letter);
	}
	free(c->attachments);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct dp_client){.fd = -1};
}

/* --- records --- */

bool
dp_client_has_more(const struct dp_client *c)
{
	if (c->map == NULL || load(c, FMT_PORT_AT_SUBMITTED) == c->taken)
		return false;
	uint64_t unread = c->completed - load(c, FMT_PORT_AT_READ);
	/* What makes no sense is for dp_client_next() to find. */
	return unread > c->memory.completions || c->under_way + unread < c->memory.completions;
}

/* Is there room for one completion more than those that are under way or unread? */
static int
check_room(struct dp_client *c)
{
	uint64_t read = load(c, FMT_PORT_AT_READ);

	/* It only grows, and never beyond what was written. */
	if (c->completed_told - read > c->completed_told - c->read)
		return SLK_MALFORMED;
	c->read = read;
	uint64_t held = c->under_way + (c->completed - read);
	return held < c->memory.completions ? SLK_OK : SLK_AGAIN;
}

int
dp_client_next(struct dp_client *c, struct fmt_port_entry *out_entry, const uint8_t **out_bytes)
{
	uint64_t submitted = load(c, FMT_PORT_AT_SUBMITTED);
	uint8_t header[FMT_PORT_RECORD_BYTES];
	struct fmt_port_entry e;

	if (submitted - c->taken > c->memory.ring_bytes || submitted % FMT_PORT_ENTRY_ALIGN != 0)
		return SLK_MALFORMED;
	for (unsigned i = 0; i < PADS_MAX && c->taken != submitted; i++) {
		uint32_t pos = (uint32_t)(c->taken & (c->memory.ring_bytes - 1));
		uint64_t there = submitted - c->taken;
		if (there > c->memory.ring_bytes - pos)
			there = c->memory.ring_bytes - pos;
		memset(header, 0, sizeof(header));
		memcpy(header, ring(c) + pos, there < sizeof(header) ? there : sizeof(header));
		if (fmt_port_entry_decode(header, there, c->memory.data_max, &e) != SLK_OK)
			return SLK_MALFORMED;
		if (e.type == FMT_PORT_RECORD) {
			int rc = check_room(c);
			if (rc != SLK_OK)
				return rc;
			*out_entry = e;
			*out_bytes = ring(c) + pos + FMT_PORT_RECORD_BYTES;
			return SLK_OK;
		}
		if (pos + e.entry_bytes != c->memory.ring_bytes)
			return SLK_MALFORMED;
		c->taken += e.entry_bytes;
	}
	return SLK_AGAIN;
}

void
dp_client_took(struct dp_client *c, const struct fmt_port_entry *entry)
{
	c->taken += entry->entry_bytes;
	c->under_way++;
}

void
dp_client_complete(struct dp_client *c, const struct fmt_port_completion *completion)
{
	uint8_t entry[FMT_PORT_COMPLETION_BYTES];
	uint64_t slot = c->completed & (c->memory.completions - 1);

	fmt_port_completion_encode(completion, entry);
	memcpy(completions(c) + slot * FMT_PORT_COMPLETION_BYTES, entry, sizeof(entry));
	c->completed++;
	c->under_way--;
}

void
dp_client_publish(struct dp_client *c)
{
	if (c->map == NULL)
		return;
	if (c->taken_told != c->taken) {
		store(c, FMT_PORT_AT_TAKEN, c->taken);
		c->taken_told = c->taken;
	}
	if (c->completed_told == c->completed)
		return;
	store(c, FMT_PORT_AT_COMPLETED, c->completed);
	c->completed_told = c->completed;
	const uint32_t *flag = (const uint32_t *)(const void *)(c->map + FMT_PORT_AT_CLIENT_SLEEPS);
	c->bell |= __atomic_load_n(flag, __ATOMIC_SEQ_CST) != 0;
}

void
dp_client_sleeps(struct dp_client *c, bool sleeps)
{
	if (c->map == NULL)
		return;
	uint32_t *flag = (uint32_t *)(void *)(c->map + FMT_PORT_AT_INGESTD_SLEEPS);
	__atomic_store_n(flag, htole32(sleeps ? 1 : 0), __ATOMIC_SEQ_CST);
}

/* --- streams --- */

static int
more_places(struct dp_client *c)
{
	uint32_t count = c->attachment_count == 0 ? 8 : 2 * c->attachment_count;

	if (count > DP_ATTACHMENTS_MAX)
		return SLK_LIMIT;
	struct dp_attachment *bigger = realloc(c->attachments, count * sizeof(*bigger));
	if (bigger == NULL)
		return SLK_NO_MEMORY;
	memset(bigger + c->attachment_count, 0, (count - c->attachment_count) * sizeof(*bigger));
	c->attachments = bigger;
	c->attachment_count = count;
	return SLK_OK;
}

int
dp_client_attach(
	struct dp_client *c, struct dp_right *right, uint64_t request_id, uint32_t *out_handle)
{
	uint32_t i = 0;

	if (c->attaching == DP_ATTACHING_MAX)
		return SLK_LIMIT;
	while (i < c->attachment_count && c->attachments[i].right != NULL)
		i++;
	int rc = i == c->attachment_count ? more_places(c) : SLK_OK;
	if (rc != SLK_OK)
		return rc;
	struct dp_attachment *a = &c->attachments[i];
	a->right = right;
	a->pending = true;
	a->request_id = request_id;
	a->generation = (a->generation + 1) & (UINT32_MAX >> INDEX_BITS);
	c->attaching++;
	*out_handle = dp_client_handle(c, a);
	return SLK_OK;
}

uint32_t
dp_client_handle(const struct dp_client *c, const struct dp_attachment *a)
{
	return (uint32_t)(a - c->attachments) | a->generation << INDEX_BITS;
}

struct dp_attachment *
dp_client_attachment(struct dp_client *c, uint32_t handle)
{
	uint32_t i = handle & (DP_ATTACHMENTS_MAX - 1);

	if (i >= c->attachment_count || c->attachments[i].right == NULL ||
		c->attachments[i].generation != handle >> INDEX_BITS)
		return NULL;
	return &c->attachments[i];
}

void
dp_client_detach(struct dp_client *c, struct dp_attachment *a)
{
	c->attaching -= a->pending;
	a->pending = false;
	a->right = NULL;
}
