#include "proto_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct text {
	char *out;
	size_t left;
};

static void put_message(struct text *t, const ProtobufCMessage *m, unsigned first_field);

static void
put(struct text *t, const char *bytes, size_t len)
{
	size_t n = len < t->left ? len : t->left;

	memcpy(t->out, bytes, n);
	t->out += n;
	t->left -= n;
	*t->out = '\0';
}

static void
put_str(struct text *t, const char *text)
{
	put(t, text, strlen(text));
}

/* Is there anything on the wire, of a field that is not repeated? */
static bool
is_there(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const void *at)
{
	const char *base = (const char *)m;

	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return *(const uint32_t *)(const void *)(base + f->quantifier_offset) == f->id;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return (*(const char *const *)at)[0] != '\0';
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len != 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(const ProtobufCMessage *const *)at != NULL;
	case PROTOBUF_C_TYPE_UINT64:
		return *(const uint64_t *)at != 0;
	default:
		return *(const uint32_t *)at != 0;
	}
}

static void
put_value(struct text *t, const ProtobufCFieldDescriptor *f, const void *at)
{
	char number[24];

	put_str(t, f->name);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		put_str(t, "{");
		put_message(t, *(const ProtobufCMessage *const *)at, 0);
		put_str(t, "}");
		return;
	}
	put_str(t, ":");
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		put_str(t, *(const char *const *)at);
	} else if (f->type == PROTOBUF_C_TYPE_BYTES) {
		const ProtobufCBinaryData *b = at;
		put(t, (const char *)b->data, b->len);
	} else {
		snprintf(number, sizeof(number), "%llu",
			f->type == PROTOBUF_C_TYPE_UINT64
				? (unsigned long long)*(const uint64_t *)at
				: (unsigned long long)*(const uint32_t *)at);
		put_str(t, number);
	}
}

static size_t
size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

static void
put_message(struct text *t, const ProtobufCMessage *m, unsigned first_field)
{
	const char *base = (const char *)m, *between = "";

	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *at = base + f->offset;
		size_t count = 1;
		if (f->id < first_field)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			count = *(const size_t *)(const void *)(base + f->quantifier_offset);
			at = *(const char *const *)(const void *)at;
		} else if (!is_there(m, f, at)) {
			continue;
		}
		for (size_t k = 0; k < count; k++, between = " ") {
			put_str(t, between);
			put_value(t, f, at + k * size_of(f->type));
		}
	}
}

void
proto_text(const Kmsp__Request *request, char *out, size_t cap)
{
	struct text t = {out, cap - 1};

	*out = '\0';
	put_message(&t, &request->base, 16); /* calls are numbered from 16 */
}
