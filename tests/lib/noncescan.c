#include "noncescan.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/block.h"
#include "format/jfile.h"
#include "seal/epoch.h"

#define HASH_BYTES SHA256_DIGEST_LENGTH
#define NAME_BYTES 128u
#define PATH_BYTES 4352u

struct key_row {
	uint64_t epoch_id;
	uint8_t data_hash[HASH_BYTES], sealing_hash[HASH_BYTES];
	bool known;
};

struct block_row {
	uint8_t key_hash[HASH_BYTES];
	uint8_t bytes_hash[HASH_BYTES];
	uint64_t epoch_id, number, offset;
	uint32_t file; /* index into names */
};

struct scan {
	const struct noncescan_config *config;
	const struct slk_fs *fs;
	char (*names)[NAME_BYTES];
	size_t name_count, name_cap;
	struct key_row *keys;
	size_t key_count, key_cap;
	struct block_row *blocks;
	size_t block_count, block_cap;
	struct noncescan_report *report;
};

/* Room for one more in a growing array. */
static int
room(void **array, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return SLK_OK;
	size_t more = *cap == 0 ? 64 : 2 * *cap;
	void *bigger = realloc(*array, more * size);
	if (bigger == NULL)
		return SLK_NO_MEMORY;
	*array = bigger;
	*cap = more;
	return SLK_OK;
}

static int
take_name(void *arg, const char *name)
{
	struct scan *s = arg;
	enum fmt_jfile_kind kind;
	uint64_t id;

	if (strlen(name) >= NAME_BYTES ||
		(!fmt_jfile_name_parse(name, &kind, &id) && strstr(name, ".slj.torn-") == NULL))
		return SLK_OK;
	int rc = room((void **)&s->names, s->name_count, &s->name_cap, sizeof(*s->names));
	if (rc == SLK_OK)
		strcpy(s->names[s->name_count++], name);
	return rc;
}

static int
read_whole(const struct scan *s, const char *name, uint8_t **out, size_t *out_len)
{
	char path[PATH_BYTES];
	uint64_t size = 0;
	uint8_t *buf = NULL;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", s->config->dir, name);
	int rc = s->fs->open(s->fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = s->fs->size(s->fs->ctx, fd, &size);
	buf = rc == SLK_OK ? malloc(size > 0 ? size : 1) : NULL;
	if (rc == SLK_OK && buf == NULL)
		rc = SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = s->fs->pread(s->fs->ctx, fd, buf, size, 0, out_len);
	(void)s->fs->close(s->fs->ctx, fd);
	if (rc != SLK_OK) {
		free(buf);
		return rc;
	}
	*out = buf;
	return SLK_OK;
}

static const struct key_row *
find_key(const struct scan *s, uint64_t epoch_id)
{
	for (size_t i = 0; i < s->key_count; i++) {
		if (s->keys[i].epoch_id == epoch_id)
			return &s->keys[i];
	}
	return NULL;
}

static int
hash_keys(const struct fmt_keyblock *k, const struct slk_secret *data_key, struct key_row *row)
{
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
	struct slk_secret *sealing = NULL;
	int rc = seal_epoch_derive(data_key, k->epoch_id, k->stream_id, &sealing, commitment);

	if (rc != SLK_OK)
		return rc;
	SHA256(slk_secret_peek(data_key), slk_secret_len(data_key), row->data_hash);
	SHA256(slk_secret_peek(sealing), slk_secret_len(sealing), row->sealing_hash);
	row->known = memcmp(commitment, k->commitment.ptr, sizeof(commitment)) == 0;
	slk_secret_free(sealing);
	return SLK_OK;
}

/* A key block: unwrap once per epoch. */
static int
take_key_block(struct scan *s, struct slk_span body)
{
	struct fmt_keyblock k;
	struct slk_secret *data_key = NULL;

	if (fmt_keyblock_decode(body, &k) != SLK_OK || find_key(s, k.epoch_id) != NULL)
		return SLK_OK; /* torn, or seen */
	if (s->config->data_key == NULL)
		return SLK_OK;
	if (s->config->data_key(s->config->arg, &k, &data_key) != SLK_OK) {
		s->report->refused++;
		return SLK_OK;
	}
	int rc = room((void **)&s->keys, s->key_count, &s->key_cap, sizeof(*s->keys));
	struct key_row row = {.epoch_id = k.epoch_id};
	if (rc == SLK_OK)
		rc = hash_keys(&k, data_key, &row);
	if (rc == SLK_OK && row.known)
		s->keys[s->key_count++] = row;
	slk_secret_free(data_key);
	return rc;
}

static int
take_data_block(struct scan *s, uint32_t file, uint64_t offset, const uint8_t *raw,
	const struct fmt_block *b)
{
	int rc = room((void **)&s->blocks, s->block_count, &s->block_cap, sizeof(*s->blocks));

	if (rc != SLK_OK)
		return rc;
	struct block_row *row = &s->blocks[s->block_count++];
	*row = (struct block_row){
		.epoch_id = b->epoch_id, .number = b->block_number, .offset = offset, .file = file};
	SHA256(raw, b->total_bytes, row->bytes_hash);
	return SLK_OK;
}

/* Every multiple of 8 may be the beginning of a block: damage may have cut the chain. */
static int
scan_bytes(struct scan *s, uint32_t file, const uint8_t *buf, size_t len, enum fmt_block_type type)
{
	int rc = SLK_OK;

	for (size_t at = 0; at + FMT_BLOCK_HEADER_BYTES <= len && rc == SLK_OK;
		at += FMT_BLOCK_ALIGN) {
		struct fmt_block b;
		if (memcmp(buf + at, "SLJB", 4) != 0 ||
			fmt_block_decode(slk_span(buf + at, len - at), &b) != SLK_OK)
			continue;
		if (b.type != type || b.total_bytes > len - at)
			continue;
		if (type == FMT_BLOCK_KEY)
			rc = take_key_block(s, fmt_block_body(buf + at, &b));
		else
			rc = take_data_block(s, file, at, buf + at, &b);
	}
	return rc;
}

static int
scan_files(struct scan *s)
{
	int rc = SLK_OK;

	for (uint32_t i = 0; i < s->name_count && rc == SLK_OK; i++) {
		uint8_t *buf = NULL;
		size_t len = 0;
		rc = read_whole(s, s->names[i], &buf, &len);
		if (rc == SLK_OK)
			rc = scan_bytes(s, i, buf, len, FMT_BLOCK_KEY);
		if (rc == SLK_OK)
			rc = scan_bytes(s, i, buf, len, FMT_BLOCK_DATA);
		free(buf);
		if (rc == SLK_NOT_FOUND) /* retired while we looked */
			rc = SLK_OK;
	}
	s->report->files = s->name_count;
	return rc;
}

static int
by_key_and_number(const void *x, const void *y)
{
	const struct block_row *a = x, *b = y;
	int c = memcmp(a->key_hash, b->key_hash, HASH_BYTES);

	if (c != 0)
		return c;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return memcmp(a->bytes_hash, b->bytes_hash, HASH_BYTES);
}

static void
name_keys(struct scan *s)
{
	for (size_t i = 0; i < s->block_count; i++) {
		struct block_row *b = &s->blocks[i];
		const struct key_row *k = find_key(s, b->epoch_id);
		if (k != NULL) {
			memcpy(b->key_hash, k->sealing_hash, HASH_BYTES);
			continue;
		}
		s->report->unknown_blocks++;
		slk_put_le64(b->key_hash, b->epoch_id);
	}
}

static void
tell_repeat(const struct scan *s, const struct block_row *a, const struct block_row *b)
{
	char text[2 * NAME_BYTES + 256];

	if (s->config->repeat == NULL)
		return;
	snprintf(text, sizeof(text),
		"block %" PRIu64 " of epochs %" PRIx64 " and %" PRIx64
		" under one key: %s at %" PRIu64 ", %s at %" PRIu64,
		b->number, a->epoch_id, b->epoch_id, s->names[a->file], a->offset,
		s->names[b->file], b->offset);
	s->config->repeat(s->config->arg, text);
}

static void
compare_blocks(struct scan *s)
{
	if (s->block_count > 0)
		qsort(s->blocks, s->block_count, sizeof(*s->blocks), by_key_and_number);
	for (size_t i = 1; i < s->block_count; i++) {
		const struct block_row *a = &s->blocks[i - 1], *b = &s->blocks[i];
		if (memcmp(a->key_hash, b->key_hash, HASH_BYTES) != 0 || a->number != b->number)
			continue;
		if (memcmp(a->bytes_hash, b->bytes_hash, HASH_BYTES) == 0) {
			s->report->copies++;
			continue;
		}
		s->report->repeats++;
		tell_repeat(s, a, b);
	}
	s->report->blocks = s->block_count;
}

static void
compare_keys(struct scan *s)
{
	for (size_t i = 0; i < s->key_count; i++) {
		bool shared = false, first = true;
		for (size_t k = 0; k < i; k++) {
			shared |=
				memcmp(s->keys[i].data_hash, s->keys[k].data_hash, HASH_BYTES) == 0;
			first &= memcmp(s->keys[i].sealing_hash, s->keys[k].sealing_hash,
					 HASH_BYTES) != 0;
		}
		s->report->shared_keys += shared;
		s->report->keys += first;
	}
	s->report->epochs = s->key_count;
}

int
noncescan(const struct noncescan_config *config, struct noncescan_report *out_report,
	struct slk_error *err)
{
	struct noncescan_report report = {0};
	struct scan s = {.config = config, .report = &report};

	s.fs = config->fs != NULL ? config->fs : slk_fs_posix();
	int rc = s.fs->list(s.fs->ctx, config->dir, take_name, &s);
	if (rc == SLK_OK)
		rc = scan_files(&s);
	if (rc == SLK_OK) {
		name_keys(&s);
		compare_blocks(&s);
		compare_keys(&s);
		*out_report = report;
	}
	free(s.names);
	free(s.keys);
	free(s.blocks);
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc, "cannot scan %s: %s", config->dir, slk_status_sentence(rc));
}
