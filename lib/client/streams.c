#include "client/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealock/producer.h"

#define INDEX_BITS 10u

_Static_assert((1u << INDEX_BITS) == SEALOCK_STREAMS_MAX, "an index fits");

void
client_streams_free(struct client_streams *s)
{
	free(s->list);
	*s = (struct client_streams){0};
}

static int
more_places(struct client_streams *s)
{
	uint32_t count = s->count == 0 ? 4 : 2 * s->count;

	if (count > SEALOCK_STREAMS_MAX)
		return SLK_LIMIT;
	struct client_stream *bigger = realloc(s->list, count * sizeof(*bigger));
	if (bigger == NULL)
		return SLK_NO_MEMORY;
	memset(bigger + s->count, 0, (count - s->count) * sizeof(*bigger));
	s->list = bigger;
	s->count = count;
	return SLK_OK;
}

static uint32_t
number_of(const struct client_streams *s, const struct client_stream *stream)
{
	return (uint32_t)(stream - s->list) | stream->generation << INDEX_BITS;
}

int
client_streams_add(struct client_streams *s, const char *name, uint32_t flags, uint32_t *out_number)
{
	size_t len = strlen(name);
	uint32_t spare = s->count;

	if (len == 0 || len > FMT_PORT_NAME_MAX || (flags & ~FMT_PORT_ATTACH_TRUSTED) != 0)
		return SLK_INVALID;
	for (uint32_t i = 0; i < s->count; i++) {
		struct client_stream *at = &s->list[i];
		if (!at->used) {
			spare = i < spare ? i : spare;
			continue;
		}
		if (at->flags == flags && strcmp(at->name, name) == 0) {
			if (at->status != SLK_OK)
				client_streams_ask(s, at);
			*out_number = number_of(s, at);
			return SLK_OK;
		}
	}
	int rc = spare == s->count ? more_places(s) : SLK_OK;
	if (rc != SLK_OK)
		return rc;
	struct client_stream *at = &s->list[spare];
	uint32_t generation = (at->generation + 1) & (UINT32_MAX >> INDEX_BITS);
	*at = (struct client_stream){.used = true, .flags = flags, .generation = generation};
	memcpy(at->name, name, len + 1);
	client_streams_ask(s, at);
	*out_number = number_of(s, at);
	return SLK_OK;
}

struct client_stream *
client_streams_get(const struct client_streams *s, uint32_t number)
{
	uint32_t i = number & (SEALOCK_STREAMS_MAX - 1);

	if (i >= s->count || !s->list[i].used || s->list[i].generation != number >> INDEX_BITS)
		return NULL;
	return &s->list[i];
}

void
client_streams_remove(struct client_streams *s, struct client_stream *stream)
{
	s->unanswered -= stream->status == SLK_AGAIN;
	stream->used = false;
}

void
client_streams_ask(struct client_streams *s, struct client_stream *stream)
{
	if (stream->status != SLK_AGAIN)
		s->unanswered++;
	else if (stream->asked)
		return; /* the answer is on its way */
	stream->status = SLK_AGAIN;
	stream->asked = false;
	stream->sentence[0] = '\0';
}

void
client_streams_ask_all(struct client_streams *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (!s->list[i].used)
			continue;
		s->list[i].asked = false;
		client_streams_ask(s, &s->list[i]);
	}
}

bool
client_streams_answer(struct client_streams *s, const struct fmt_port_message *m)
{
	for (uint32_t i = 0; i < s->count; i++) {
		struct client_stream *at = &s->list[i];
		if (!at->used || !at->asked || at->status != SLK_AGAIN || at->request_id != m->id)
			continue;
		at->status = m->status;
		at->handle = m->handle;
		at->id = m->stream_id;
		at->encryption = m->encryption;
		(void)snprintf(at->sentence, sizeof(at->sentence), "%.*s", (int)m->sentence.len,
			(const char *)m->sentence.ptr);
		s->unanswered--;
		return true;
	}
	return false;
}
