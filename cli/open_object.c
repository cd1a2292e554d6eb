/* An object, read twice: see open.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/plain.h"
#include "open.h"
#include "seal/digest.h"

#define PIECE_BYTES (1u << 20)

struct object {
	int fd;
	const char *path;
	uint64_t len; /* of the content, without the tag */
	const struct dlv_sealed_head *head;
	const struct slk_secret *data_key;
	struct seal_digest *digest;
	uint8_t (*hashes)[SEAL_SHA256_BYTES]; /* of each piece */
	struct slk_plain piece;
	uint8_t tag[DLV_SEALED_TAG_BYTES];
	struct cli_expand *expand; /* NULL: as it is */
	struct cli_open_sink *sink;
};

static int
read_at(const struct object *o, uint8_t *out, size_t len, uint64_t pos, struct slk_error *err)
{
	while (len > 0) {
		ssize_t n = pread(o->fd, out, len, (off_t)pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return slk_fail_errno(err, "cannot read %s", o->path);
		if (n == 0)
			return slk_fail(
				err, SLK_TRUNCATED, "%s became shorter while it was read", o->path);
		out += n;
		pos += (uint64_t)n;
		len -= (size_t)n;
	}
	return SLK_OK;
}

static int
measure(struct object *o, struct slk_error *err)
{
	struct stat st;

	if (fstat(o->fd, &st) != 0)
		return slk_fail_errno(err, "cannot read %s", o->path);
	if (!S_ISREG(st.st_mode))
		return slk_fail(err, SLK_INVALID, "%s is no regular file: an object is read twice",
			o->path);
	if (st.st_size < (off_t)DLV_SEALED_TAG_BYTES)
		return slk_fail(err, SLK_TRUNCATED,
			"%s has %lld bytes: a sealed object has %u or more", o->path,
			(long long)st.st_size, DLV_SEALED_TAG_BYTES);
	o->len = (uint64_t)st.st_size - DLV_SEALED_TAG_BYTES;
	if (o->len > SEAL_STREAM_BYTES_MAX)
		return slk_fail(err, SLK_TOO_LARGE, "%s is larger than any sealed object", o->path);
	return read_at(o, o->tag, sizeof(o->tag), o->len, err);
}

static int
prepare(struct object *o, struct slk_error *err)
{
	int rc = measure(o, err);

	if (rc == SLK_OK)
		rc = slk_plain_reserve(&o->piece, PIECE_BYTES, err);
	if (rc != SLK_OK)
		return rc;
	o->hashes = calloc((size_t)(o->len / PIECE_BYTES + 1), sizeof(*o->hashes));
	if (o->hashes == NULL || seal_digest_new(&o->digest) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory to read %s", o->path);
	return SLK_OK;
}

/* In pass 1 the hash of a piece is kept, in pass 2 it has to be the same. */
static int
check_piece(struct object *o, bool first, uint64_t index, size_t len, struct slk_error *err)
{
	uint8_t hash[SEAL_SHA256_BYTES];

	if (seal_digest_one(o->digest, slk_span(o->piece.ptr, len), hash) != SLK_OK)
		return slk_fail(err, SLK_INTERNAL, "SHA-256 of OpenSSL failed");
	if (first)
		memcpy(o->hashes[index], hash, sizeof(hash));
	else if (memcmp(o->hashes[index], hash, sizeof(hash)) != 0)
		return slk_fail(err, SLK_CORRUPT, "%s was changed while it was read", o->path);
	return SLK_OK;
}

static int
give(struct object *o, struct slk_span bytes, struct slk_error *err)
{
	return o->expand != NULL ? cli_expand_put(o->expand, bytes, err)
				 : cli_open_sink_put(o->sink, bytes, err);
}

static int
run_pieces(struct object *o, bool first, struct seal_stream *stream, struct slk_error *err)
{
	int rc = SLK_OK;

	for (uint64_t pos = 0; rc == SLK_OK && pos < o->len; pos += PIECE_BYTES) {
		size_t len = o->len - pos < PIECE_BYTES ? (size_t)(o->len - pos) : PIECE_BYTES;
		rc = read_at(o, o->piece.ptr, len, pos, err);
		if (rc == SLK_OK)
			rc = check_piece(o, first, pos / PIECE_BYTES, len, err);
		if (rc != SLK_OK)
			return rc;
		if (cli_stopped())
			return slk_fail(err, SLK_CLOSED, "stopped");
		rc = seal_stream_update(stream, o->piece.ptr, o->piece.ptr, len);
		if (rc != SLK_OK)
			return slk_fail(
				err, rc, "cannot open %s: %s", o->path, slk_status_sentence(rc));
		if (!first)
			rc = give(o, slk_span(o->piece.ptr, len), err);
	}
	return rc;
}

static int
run_pass(struct object *o, bool first, struct slk_error *err)
{
	struct dlv_sealed *sealed = NULL;

	int rc = dlv_sealed_open(
		o->data_key, o->head->message_id, o->head->commitment, NULL, &sealed, err);
	if (rc == SLK_OK)
		rc = run_pieces(o, first, dlv_sealed_stream(sealed), err);
	if (rc == SLK_OK) {
		rc = seal_stream_end(dlv_sealed_stream(sealed), o->tag);
		if (rc != SLK_OK)
			(void)slk_fail(err, rc,
				"%s is not what was sealed: its tag is wrong; nothing was given "
				"out",
				o->path);
	}
	dlv_sealed_free(sealed);
	return rc;
}

int
cli_open_object(int fd, const char *path, const struct dlv_sealed_head *head,
	const struct slk_secret *data_key, bool decompress, struct cli_open_sink *sink,
	struct slk_error *err)
{
	struct object o = {
		.fd = fd, .path = path, .head = head, .data_key = data_key, .sink = sink};

	int rc = prepare(&o, err);
	if (rc == SLK_OK)
		rc = run_pass(&o, true, err);
	if (rc == SLK_OK && decompress)
		rc = cli_expand_new(cli_open_sink_put, sink, &o.expand, err);
	if (rc == SLK_OK)
		rc = run_pass(&o, false, err);
	if (rc == SLK_OK && decompress)
		rc = cli_expand_end(o.expand, err);
	cli_expand_free(o.expand);
	slk_plain_free(&o.piece);
	seal_digest_free(o.digest);
	free(o.hashes);
	return rc;
}
