/* The bare program: see objects.h. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "objects.h"
#include "seal/stream.h"

#define TAG SEAL_TAG_BYTES

static const uint8_t aad[88] = {1}; /* as long as a block's header */
static const uint8_t nonce[SEAL_NONCE_BYTES] = {1};

struct objects_bare {
	const struct objects_content *content;
	char root[300];
	int fd; /* sealed blocks, each with its tag */
	struct seal_thread *seal;
	struct seal_key *key;
	uint8_t *block, *objects[2];
	size_t object_bytes;
	/* The writer's: which object waits for it. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const uint8_t *waiting; /* NULL: none */
	bool writing, ends;
	int status;
};

/* --- the writer --- */

static int
write_object(const struct objects_bare *b, const uint8_t *bytes, unsigned number)
{
	char part[330], name[330];

	snprintf(part, sizeof(part), "%s/bare.part", b->root);
	snprintf(name, sizeof(name), "%s/bare.%u", b->root, number);
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int dir = open(b->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t done = 0;
	bool good = fd >= 0 && dir >= 0;

	while (good && done < b->object_bytes) {
		ssize_t n = write(fd, bytes + done, b->object_bytes - done);
		good = n > 0;
		done += good ? (size_t)n : 0;
	}
	good = good && fsync(fd) == 0;
	if (fd >= 0)
		good = close(fd) == 0 && good;
	good = good && rename(part, name) == 0 && fsync(dir) == 0 && unlink(name) == 0;
	if (dir >= 0)
		close(dir);
	return good ? SLK_OK : SLK_IO;
}

static void *
writer_main(void *arg)
{
	struct objects_bare *b = arg;

	pthread_mutex_lock(&b->lock);
	for (unsigned number = 0;; number++) {
		while (b->waiting == NULL && !b->ends)
			pthread_cond_wait(&b->changed, &b->lock);
		if (b->waiting == NULL)
			break;
		const uint8_t *bytes = b->waiting;
		b->waiting = NULL;
		b->writing = true;
		pthread_cond_broadcast(&b->changed);
		pthread_mutex_unlock(&b->lock);
		int rc = write_object(b, bytes, number);
		pthread_mutex_lock(&b->lock);
		b->writing = false;
		b->status = b->status == SLK_OK ? rc : b->status;
		pthread_cond_broadcast(&b->changed);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

/* One is written, one is filled. */
static void
hand_over(struct objects_bare *b, const uint8_t *bytes)
{
	pthread_mutex_lock(&b->lock);
	while (b->waiting != NULL || b->writing)
		pthread_cond_wait(&b->changed, &b->lock);
	b->waiting = bytes;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
}

/* --- open and seal --- */

static int
open_block(struct objects_bare *b, uint64_t index)
{
	size_t len = b->content->block_bytes;
	struct iovec in = {b->block, len};
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = b->block,
		.aad = aad,
		.aad_len = sizeof(aad),
		.tag = b->block + len};

	memcpy(item.nonce, nonce, sizeof(nonce));
	if (pread(b->fd, b->block, len + TAG, (off_t)(index * (len + TAG))) != (ssize_t)(len + TAG))
		return SLK_IO;
	return seal_open_burst(b->seal, b->key, &item, 1) == 1 ? SLK_OK : item.status;
}

static int
fill_object(struct objects_bare *b, uint64_t first, uint8_t *out)
{
	struct seal_stream *stream = NULL;
	size_t len = b->content->block_bytes;

	int rc = seal_stream_seal(b->seal, b->key, nonce, aad, sizeof(aad), &stream);
	for (uint64_t i = 0; rc == SLK_OK && i < b->content->object_blocks; i++) {
		rc = open_block(b, first + i);
		if (rc == SLK_OK)
			rc = seal_stream_update(stream, b->block, out + i * len, len);
	}
	if (rc == SLK_OK)
		rc = seal_stream_end(stream, out + b->content->object_blocks * len);
	seal_stream_free(stream);
	return rc;
}

void
objects_bare_run(void *arg)
{
	struct objects_bare *b = arg;
	pthread_t writer;
	int rc = SLK_OK;

	b->ends = false;
	if (pthread_create(&writer, NULL, writer_main, b) != 0) {
		b->status = SLK_NO_MEMORY;
		return;
	}
	for (uint64_t at = 0; rc == SLK_OK && at + b->content->object_blocks <= b->content->blocks;
		at += b->content->object_blocks) {
		uint8_t *out = b->objects[at / b->content->object_blocks % 2];
		rc = fill_object(b, at, out);
		if (rc == SLK_OK)
			hand_over(b, out);
	}
	pthread_mutex_lock(&b->lock);
	b->ends = true;
	b->status = b->status == SLK_OK ? rc : b->status;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	pthread_join(writer, NULL);
}

int
objects_bare_status(const struct objects_bare *bare)
{
	return bare->status;
}

/* --- before and after --- */

static int
write_blocks(struct objects_bare *b)
{
	size_t len = b->content->block_bytes;
	struct iovec in = {b->content->bytes, len};
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = b->block,
		.aad = aad,
		.aad_len = sizeof(aad),
		.tag = b->block + len};

	memcpy(item.nonce, nonce, sizeof(nonce));
	if (seal_burst(b->seal, b->key, &item, 1) != 1)
		return item.status;
	for (uint64_t i = 0; i < b->content->blocks; i++) {
		if (write(b->fd, b->block, len + TAG) != (ssize_t)(len + TAG))
			return SLK_IO;
	}
	return fsync(b->fd) == 0 ? SLK_OK : SLK_IO;
}

int
objects_bare_new(const struct objects_content *content, const char *root,
	struct objects_bare **out_bare, struct slk_error *err)
{
	struct objects_bare *b = calloc(1, sizeof(*b));
	char name[330];

	if (b == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	*out_bare = b;
	b->content = content;
	snprintf(b->root, sizeof(b->root), "%s", root);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
	b->object_bytes = content->object_blocks * content->block_bytes + TAG;
	b->block = malloc(content->block_bytes + TAG);
	b->objects[0] = malloc(b->object_bytes);
	b->objects[1] = malloc(b->object_bytes);
	snprintf(name, sizeof(name), "%s/bare.blocks", root);
	b->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->block == NULL || b->objects[0] == NULL || b->objects[1] == NULL || b->fd < 0)
		return slk_fail(err, SLK_NO_MEMORY, "no memory, or no room in %s", root);
	int rc = seal_thread_new(NULL, &b->seal, err);
	if (rc == SLK_OK)
		rc = seal_key_new(b->seal, (const uint8_t *)OBJECTS_DATA_KEY, 32, &b->key);
	if (rc == SLK_OK)
		rc = write_blocks(b);
	return rc == SLK_OK ? SLK_OK
			    : slk_fail(err, rc, "the bare program: %s", slk_status_sentence(rc));
}

void
objects_bare_free(struct objects_bare *bare)
{
	if (bare == NULL)
		return;
	if (bare->fd >= 0)
		close(bare->fd);
	seal_key_free(bare->key);
	seal_thread_free(bare->seal);
	free(bare->block);
	free(bare->objects[0]);
	free(bare->objects[1]);
	pthread_mutex_destroy(&bare->lock);
	pthread_cond_destroy(&bare->changed);
	free(bare);
}
