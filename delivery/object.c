/* Objects: see object.h. */
#include "object.h"

#include <stdlib.h>

#include "compressor.h"
#include "delivery/sealedhead.h"

#define STAGE_BYTES 65536u /* what is joined before it goes on; it stays in the cache */
#define SEAL_DIRECT_BYTES 1024u /* a call of GCM costs less than copying so much */

enum state { FILLING, ENDED, FAILED };

struct dlv_object {
	enum state state;
	enum dlv_compression compression;
	bool delimiter;
	int level;
	/* Stage, then the compressor's memory; of the body's pool, made with the first record. */
	struct dlv_buffer work;
	uint8_t *stage;
	size_t staged;
	size_t direct; /* from so many bytes on a record does not go through the stage */
	struct dlv_compressor *compressor; /* NULL: as they are */
	struct dlv_sealed *sealed; /* NULL: not sealed */
	struct dlv_sealed_text metadata;
};

/* --- begin --- */

static int
begin_sealing(struct dlv_object *object, const struct dlv_object_key *key, struct slk_error *err)
{
	struct dlv_sealed_head head = {.wrapped_len = key->wrapped.len};

	if (key->wrapped.len == 0 || key->wrapped.len > sizeof(head.wrapped))
		return slk_fail(err, SLK_INVALID,
			"the wrapped data key of %s has %zu bytes: 1 to %zu fit", key->key_arn,
			key->wrapped.len, sizeof(head.wrapped));
	if (strlen(key->context_json) >= sizeof(head.context_json))
		return slk_fail(err, SLK_INVALID,
			"the encryption context of an object is above %zu bytes",
			sizeof(head.context_json) - 1);
	memcpy(head.wrapped, key->wrapped.ptr, key->wrapped.len);
	memcpy(head.context_json, key->context_json, strlen(key->context_json));
	int rc = slk_random(head.message_id, sizeof(head.message_id));
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no random bytes for the id of a sealed object");
	rc = dlv_sealed_seal(
		key->data_key, head.message_id, NULL, &object->sealed, head.commitment, err);
	if (rc == SLK_OK)
		dlv_sealed_head_print(&head, &object->metadata);
	return rc;
}

int
dlv_object_new(const struct dlv_object_config *config, struct dlv_object **out_object,
	struct slk_error *err)
{
	if (config->compression != DLV_UNCOMPRESSED &&
		dlv_compressor_bytes(config->compression, config->level) == 0)
		return slk_fail(err, config->level == 0 ? SLK_UNSUPPORTED : SLK_INVALID,
			"%s of level %d is not there",
			config->compression == DLV_GZIP ? "GZIP" : "ZSTD", config->level);
	struct dlv_object *object = calloc(1, sizeof(*object));
	if (object == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for an object");
	object->compression = config->compression;
	object->delimiter = config->delimiter;
	object->level = config->level;
	object->direct = config->compression == DLV_UNCOMPRESSED ? SEAL_DIRECT_BYTES : STAGE_BYTES;
	int rc = config->key != NULL ? begin_sealing(object, config->key, err) : SLK_OK;
	if (rc != SLK_OK) {
		dlv_object_free(object);
		return rc;
	}
	*out_object = object;
	return SLK_OK;
}

void
dlv_object_free(struct dlv_object *object)
{
	if (object == NULL)
		return;
	dlv_sealed_free(object->sealed);
	dlv_buffer_fini(&object->work);
	free(object);
}

/* --- memory --- */

static bool
is_plain(const struct dlv_object *object)
{
	return object->compression == DLV_UNCOMPRESSED && object->sealed == NULL;
}

/* Once. Pages of the pool are aligned, and zero. */
static int
make_work(struct dlv_object *object, struct dlv_pool *pool)
{
	size_t bytes = dlv_compressor_bytes(object->compression, object->level);

	if (is_plain(object) || object->stage != NULL)
		return SLK_OK;
	dlv_buffer_init(&object->work, pool);
	int rc = dlv_buffer_reserve(&object->work, STAGE_BYTES + bytes);
	if (rc != SLK_OK)
		return rc;
	object->work.len = STAGE_BYTES + bytes; /* what is wiped in the end */
	if (bytes > 0)
		rc = dlv_compressor_init(object->compression, object->level,
			object->work.bytes + STAGE_BYTES, &object->compressor);
	if (rc != SLK_OK) {
		dlv_buffer_fini(&object->work);
		return SLK_NO_MEMORY; /* there is no other cause before the first byte */
	}
	object->stage = object->work.bytes;
	return SLK_OK;
}

/* What comes at most when more bytes go in; the tag's room is never taken by anything else. */
static size_t
bound(const struct dlv_object *object, size_t more)
{
	size_t bytes = object->staged + more;

	if (object->compressor != NULL)
		bytes = dlv_compressor_bound(object->compressor, bytes);
	return bytes + (object->sealed != NULL ? DLV_SEALED_TAG_BYTES : 0);
}

static int
reserve(struct dlv_object *object, struct dlv_buffer *body, size_t more)
{
	int rc = make_work(object, body->pool);

	if (rc != SLK_OK)
		return rc;
	size_t most = bound(object, more);
	if (object->sealed != NULL &&
		most > SEAL_STREAM_BYTES_MAX - seal_stream_bytes(dlv_sealed_stream(object->sealed)))
		return SLK_TOO_LARGE;
	return dlv_buffer_reserve(body, most);
}

/* --- bytes on their way; room is reserved --- */

static int
seal_new(const struct dlv_object *object, const uint8_t *in, uint8_t *out, size_t len)
{
	if (object->sealed == NULL)
		return SLK_OK;
	return seal_stream_update(dlv_sealed_stream(object->sealed), in, out, len);
}

static int
push(struct dlv_object *object, struct dlv_buffer *body, struct slk_span bytes, bool end)
{
	uint8_t *out = body->bytes + body->len;
	size_t len = bytes.len;
	int rc;

	if (object->compressor == NULL) {
		rc = seal_new(object, bytes.ptr, out, len);
	} else {
		rc = dlv_compressor_put(
			object->compressor, bytes, end, out, body->cap - body->len, &len);
		if (rc == SLK_OK)
			rc = seal_new(object, out, out, len);
	}
	if (rc == SLK_OK)
		body->len += len;
	return rc;
}

static int
push_stage(struct dlv_object *object, struct dlv_buffer *body, bool end)
{
	struct slk_span staged = slk_span(object->stage, object->staged);

	object->staged = 0;
	return push(object, body, staged, end);
}

static int
put(struct dlv_object *object, struct dlv_buffer *body, struct slk_span bytes)
{
	int rc = SLK_OK;

	if (is_plain(object))
		return dlv_buffer_append(body, bytes);
	while (rc == SLK_OK && bytes.len > 0) {
		if (object->staged == 0 && bytes.len >= object->direct)
			return push(object, body, bytes, false);
		size_t room = STAGE_BYTES - object->staged;
		size_t len = bytes.len < room ? bytes.len : room;
		memcpy(object->stage + object->staged, bytes.ptr, len);
		object->staged += len;
		bytes = slk_span(bytes.ptr + len, bytes.len - len);
		if (object->staged == STAGE_BYTES)
			rc = push_stage(object, body, false);
	}
	return rc;
}

/* --- records --- */

static int
count_bytes(const struct dlv_object *object, const struct dlv_record *records, size_t count,
	size_t *out_bytes)
{
	uint64_t bytes = object->delimiter ? count : 0;

	for (size_t i = 0; i < count; i++) {
		if (records[i].data.len > SEAL_STREAM_BYTES_MAX - bytes)
			return SLK_TOO_LARGE;
		bytes += records[i].data.len;
	}
	*out_bytes = (size_t)bytes;
	return SLK_OK;
}

int
dlv_object_add(struct dlv_object *object, struct dlv_buffer *body, const struct dlv_record *records,
	size_t count)
{
	size_t bytes = 0;

	if (object->state != FILLING)
		return object->state == ENDED ? SLK_INVALID_STATE : SLK_INTERNAL;
	int rc = count_bytes(object, records, count, &bytes);
	if (rc == SLK_OK)
		rc = reserve(object, body, bytes);
	if (rc != SLK_OK)
		return rc;
	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		rc = put(object, body, records[i].data);
		if (rc == SLK_OK && object->delimiter)
			rc = put(object, body, slk_span("\n", 1));
	}
	if (rc == SLK_OK)
		return SLK_OK;
	object->state = FAILED;
	return SLK_INTERNAL;
}

int
dlv_object_end(struct dlv_object *object, struct dlv_buffer *body)
{
	if (object->state != FILLING)
		return object->state == ENDED ? SLK_INVALID_STATE : SLK_INTERNAL;
	int rc = reserve(object, body, 0);
	if (rc != SLK_OK)
		return rc;
	if (!is_plain(object))
		rc = push_stage(object, body, true);
	if (rc == SLK_OK && object->sealed != NULL) {
		rc = seal_stream_end(dlv_sealed_stream(object->sealed), body->bytes + body->len);
		body->len += rc == SLK_OK ? DLV_SEALED_TAG_BYTES : 0;
	}
	object->state = rc == SLK_OK ? ENDED : FAILED;
	return rc == SLK_OK ? SLK_OK : SLK_INTERNAL;
}

/* --- what a store keeps beside it --- */

size_t
dlv_object_metadata(const struct dlv_object *object, struct dlv_metadata out[DLV_METADATA_MAX])
{
	if (object->sealed == NULL)
		return 0;
	for (size_t i = 0; i < DLV_SEALED_PAIRS; i++)
		out[i] = (struct dlv_metadata){
			object->metadata.pairs[i].name, object->metadata.pairs[i].value};
	return DLV_SEALED_PAIRS;
}

const char *
dlv_object_content_encoding(const struct dlv_object *object)
{
	if (object->sealed != NULL || object->compression == DLV_UNCOMPRESSED)
		return NULL;
	return object->compression == DLV_GZIP ? "gzip" : "zstd";
}
