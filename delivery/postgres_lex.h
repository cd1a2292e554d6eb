/* Words, strings and marks of CopyOptions. Private to postgres_options.c and redshift_options.c. Pure. */
#ifndef DELIVERY_POSTGRES_LEX_H
#define DELIVERY_POSTGRES_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum dlv_lex_kind {
	DLV_LEX_END,
	DLV_LEX_WORD, /* letters, digits, _; in upper case */
	DLV_LEX_STRING, /* '...' or E'...', what it stands for */
	DLV_LEX_NAME, /* "..."; its text with the quotes */
	DLV_LEX_MARK, /* ( ) , */
};

#define DLV_LEX_TEXT_MAX 256u

struct dlv_lex {
	const char *start, *at;
	/* The present token; what the next call writes over. */
	enum dlv_lex_kind kind;
	char text[DLV_LEX_TEXT_MAX]; /* terminated; of a string: without zero bytes */
	size_t from; /* where it begins, in bytes */
};

/* Before the first token. */
void dlv_lex_init(struct dlv_lex *lex, const char *text);
/* SLK_CONFIG with a sentence: what is at this place is none of these. */
MUST_USE int dlv_lex_next(struct dlv_lex *lex, struct slk_error *err);
/* The present token is that word, or that mark. */
bool dlv_lex_is(const struct dlv_lex *lex, enum dlv_lex_kind kind, const char *text);
/* If it is, go on to the next. */
MUST_USE int dlv_lex_skip(
	struct dlv_lex *lex, enum dlv_lex_kind kind, const char *text, struct slk_error *err);

#endif
