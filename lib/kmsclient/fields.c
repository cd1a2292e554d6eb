#include "kmsclient/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 256u
#define DEPTH_MAX 6u

struct walk {
	kmsc_field_fn field;
	void *arg;
};

static int walk_message(const struct walk *walk, const char *prefix, unsigned depth,
	const ProtobufCMessage *message);

static int
say_bytes(const struct walk *walk, const char *path, const ProtobufCBinaryData *bytes)
{
	size_t cap = 2 * bytes->len + 1;
	char *hex = malloc(cap);

	if (hex == NULL)
		return SLK_NO_MEMORY;
	slk_hex(slk_span(bytes->data, bytes->len), hex, cap);
	walk->field(walk->arg, path, hex);
	free(hex);
	return SLK_OK;
}

static int
say_number(const struct walk *walk, const char *path, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	walk->field(walk->arg, path, text);
	return SLK_OK;
}

static int
say(const struct walk *walk, const char *path, unsigned depth, ProtobufCType type,
	const void *member)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
		walk->field(walk->arg, path, *(char *const *)member);
		return SLK_OK;
	case PROTOBUF_C_TYPE_BYTES:
		return say_bytes(walk, path, member);
	case PROTOBUF_C_TYPE_UINT32:
		return say_number(walk, path, *(const uint32_t *)member);
	case PROTOBUF_C_TYPE_UINT64:
		return say_number(walk, path, *(const uint64_t *)member);
	case PROTOBUF_C_TYPE_BOOL:
		walk->field(
			walk->arg, path, *(const protobuf_c_boolean *)member ? "true" : "false");
		return SLK_OK;
	case PROTOBUF_C_TYPE_MESSAGE:
		return walk_message(walk, path, depth + 1, *(ProtobufCMessage *const *)member);
	default: /* a Request has no other; shown, so that nobody approves what she does not see */
		walk->field(walk->arg, path, "(a value of a type that this release cannot show)");
		return SLK_OK;
	}
}

static bool
is_empty(ProtobufCType type, const void *member)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
		return *(char *const *)member == NULL || **(char *const *)member == '\0';
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)member)->len == 0;
	case PROTOBUF_C_TYPE_UINT32:
		return *(const uint32_t *)member == 0;
	case PROTOBUF_C_TYPE_UINT64:
		return *(const uint64_t *)member == 0;
	case PROTOBUF_C_TYPE_BOOL:
		return !*(const protobuf_c_boolean *)member;
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(ProtobufCMessage *const *)member == NULL;
	default:
		return false;
	}
}

static size_t
size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_UINT32:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return sizeof(void *);
	}
}

static int
walk_repeated(const struct walk *walk, const char *path, unsigned depth,
	const ProtobufCFieldDescriptor *f, const uint8_t *base)
{
	size_t count = *(const size_t *)(const void *)(base + f->quantifier_offset);
	const uint8_t *list = *(uint8_t *const *)(const void *)(base + f->offset);
	char element[PATH_MAX_BYTES];
	int rc = SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		int n = snprintf(element, sizeof(element), "%s[%zu]", path, i);
		if (n < 0 || (size_t)n >= sizeof(element))
			return SLK_TOO_LARGE;
		rc = say(walk, element, depth, f->type, list + i * size_of(f->type));
	}
	return rc;
}

static bool
is_there(const ProtobufCFieldDescriptor *f, const uint8_t *base)
{
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return *(const uint32_t *)(const void *)(base + f->quantifier_offset) == f->id;
	return !is_empty(f->type, base + f->offset);
}

static int
walk_message(const struct walk *walk, const char *prefix, unsigned depth,
	const ProtobufCMessage *message)
{
	const uint8_t *base = (const uint8_t *)message;
	char path[PATH_MAX_BYTES];
	int rc = SLK_OK;

	if (message == NULL || depth > DEPTH_MAX)
		return SLK_OK;
	for (unsigned i = 0; rc == SLK_OK && i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &message->descriptor->fields[i];
		(void)snprintf(
			path, sizeof(path), "%s%s%s", prefix, *prefix != '\0' ? "." : "", f->name);
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			rc = walk_repeated(walk, path, depth, f, base);
		else if (is_there(f, base))
			rc = say(walk, path, depth, f->type, base + f->offset);
	}
	for (unsigned i = 0; rc == SLK_OK && i < message->n_unknown_fields; i++)
		walk->field(walk->arg, prefix, "(holds a field that this release does not know)");
	return rc;
}

int
kmsc_fields(const ProtobufCMessage *message, kmsc_field_fn field, void *arg)
{
	const struct walk walk = {field, arg};

	return walk_message(&walk, "", 0, message);
}
