/* One message in pieces: see stream.h. What engines differ in is theirs; limits and order are kept here. */
#include "seal/stream.h"

#include <stdlib.h>

#include "seal/engine.h"

struct seal_stream {
	const struct seal_engine *engine;
	void *state; /* the engine's; NULL once the message has ended or failed */
	uint64_t bytes;
};

static int
stream_new(struct seal_thread *thread, const struct seal_key *key, enum seal_dir dir,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	struct seal_stream **out_stream)
{
	if (key->engine != thread->engine || aad == NULL || aad_len == 0 || aad_len > SEAL_LEN_MAX)
		return SLK_INVALID;
	struct seal_stream *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return SLK_NO_MEMORY;
	s->engine = thread->engine;
	int rc = s->engine->stream_new(thread->state, key, dir, nonce, aad, aad_len, &s->state);
	if (rc != SLK_OK) {
		free(s);
		return rc;
	}
	*out_stream = s;
	return SLK_OK;
}

int
seal_stream_seal(struct seal_thread *thread, const struct seal_key *key,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	struct seal_stream **out_stream)
{
	return stream_new(thread, key, SEAL_DIR_SEAL, nonce, aad, aad_len, out_stream);
}

int
seal_stream_open(struct seal_thread *thread, const struct seal_key *key,
	const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
	struct seal_stream **out_stream)
{
	return stream_new(thread, key, SEAL_DIR_OPEN, nonce, aad, aad_len, out_stream);
}

/* No way back: a finished context cannot seal again. */
static void
finish(struct seal_stream *stream)
{
	if (stream->state != NULL)
		stream->engine->stream_free(stream->state);
	stream->state = NULL;
}

void
seal_stream_free(struct seal_stream *stream)
{
	if (stream == NULL)
		return;
	finish(stream);
	free(stream);
}

int
seal_stream_update(struct seal_stream *stream, const uint8_t *in, uint8_t *out, size_t len)
{
	if (stream->state == NULL)
		return SLK_INVALID_STATE;
	if (len > SEAL_STREAM_BYTES_MAX - stream->bytes)
		return SLK_TOO_LARGE;
	if (len == 0)
		return SLK_OK;
	stream->bytes += len;
	int rc = stream->engine->stream_update(stream->state, in, out, len);
	if (rc != SLK_OK)
		finish(stream);
	return rc;
}

int
seal_stream_end(struct seal_stream *stream, uint8_t tag[SEAL_TAG_BYTES])
{
	if (stream->state == NULL)
		return SLK_INVALID_STATE;
	int rc = stream->engine->stream_end(stream->state, tag);
	finish(stream);
	return rc;
}

uint64_t
seal_stream_bytes(const struct seal_stream *stream)
{
	return stream->bytes;
}
