#include "client/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define PIECE_BYTES (64u * 1024u)
#define SPARE_BYTES \
	(1024u * \
		1024u) /* that stay for what comes next: to lock memory and give it back costs more than to open a block */

static int
add_piece(struct client_arena *a, size_t len, struct slk_error *err)
{
	if (a->pieces == NULL || a->count == a->cap) {
		size_t cap = a->cap == 0 ? 4 : 2 * a->cap;
		struct client_piece *bigger = realloc(a->pieces, cap * sizeof(*bigger));
		if (bigger == NULL)
			return slk_fail(err, SLK_NO_MEMORY, "out of memory");
		a->pieces = bigger;
		a->cap = cap;
	}
	struct client_piece piece = {.used = 0};
	int rc = slk_plain_reserve(&piece.plain, len > PIECE_BYTES ? len : PIECE_BYTES, err);
	if (rc == SLK_OK)
		a->pieces[a->count++] = piece;
	return rc;
}

int
client_arena_take(struct client_arena *a, size_t len, uint8_t **out, struct slk_error *err)
{
	struct client_piece *p = NULL;

	for (size_t i = 0; i < a->count && p == NULL; i++)
		if (a->pieces[i].plain.cap - a->pieces[i].used >= len)
			p = &a->pieces[i];
	if (p == NULL) {
		int rc = add_piece(a, len, err);
		if (rc != SLK_OK)
			return rc;
		p = &a->pieces[a->count - 1];
	}
	*out = p->plain.ptr + p->used;
	p->used += len;
	return SLK_OK;
}

static bool
holds(const struct client_piece *piece, struct slk_span kept)
{
	return kept.len > 0 && kept.ptr >= piece->plain.ptr &&
		kept.ptr < piece->plain.ptr + piece->used;
}

void
client_arena_keep(struct client_arena *a, struct slk_span kept)
{
	size_t left = 0, spare = 0;

	for (size_t i = 0; i < a->count; i++) {
		struct client_piece *p = &a->pieces[i];
		if (holds(p, kept)) {
			size_t before = (size_t)(kept.ptr - p->plain.ptr);
			slk_wipe(p->plain.ptr, before);
			slk_wipe(p->plain.ptr + before + kept.len, p->used - before - kept.len);
			p->used = before + kept.len;
		} else if (p->plain.cap <= SPARE_BYTES - spare) {
			if (p->used > p->stale)
				p->stale = p->used;
			p->used = 0;
			spare += p->plain.cap;
		} else {
			slk_plain_free(&p->plain);
			continue;
		}
		a->pieces[left++] = *p;
	}
	a->count = left;
}

void
client_arena_wipe(struct client_arena *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct client_piece *p = &a->pieces[i];
		if (p->stale > p->used)
			slk_wipe(p->plain.ptr + p->used, p->stale - p->used);
		p->stale = 0;
	}
}

void
client_arena_free(struct client_arena *a)
{
	for (size_t i = 0; i < a->count; i++)
		slk_plain_free(&a->pieces[i].plain);
	free(a->pieces);
	*a = (struct client_arena){0};
}
