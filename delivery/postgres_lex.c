#include "postgres_lex.h"

#include <string.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

void
dlv_lex_init(struct dlv_lex *lex, const char *text)
{
	memset(lex, 0, sizeof(*lex));
	lex->start = lex->at = text;
}

static int
fail(const struct dlv_lex *lex, const char *what, struct slk_error *err)
{
	return slk_fail(err, SLK_CONFIG, "CopyOptions: %s at byte %zu", what, lex->from + 1);
}

static int
read_word(struct dlv_lex *lex, struct slk_error *err)
{
	size_t len = strspn(lex->at, WORD);

	if (len >= sizeof(lex->text))
		return fail(lex, "a word that is too long", err);
	for (size_t i = 0; i < len; i++)
		lex->text[i] = lex->at[i] >= 'a' && lex->at[i] <= 'z'
			? (char)(lex->at[i] - 'a' + 'A')
			: lex->at[i];
	lex->text[len] = '\0';
	lex->at += len;
	lex->kind = DLV_LEX_WORD;
	return SLK_OK;
}

/* Up to max digits of a base at *at. -1: there is none. */
static int
read_digits(const char **at, unsigned base, unsigned max)
{
	static const char digits[] = "0123456789abcdef";
	unsigned value = 0, count = 0;

	for (; count < max && **at != '\0'; count++, (*at)++) {
		char c = **at >= 'A' && **at <= 'F' ? (char)(**at - 'A' + 'a') : **at;
		const char *digit = strchr(digits, c);
		if (digit == NULL || (unsigned)(digit - digits) >= base)
			break;
		value = value * base + (unsigned)(digit - digits);
	}
	return count > 0 ? (int)value : -1;
}

/* What is behind a backslash within E'...'. -1: nothing that stands for a byte. */
static int
read_escape(const char **at)
{
	static const char names[] = "tnrbf\\'", bytes[] = "\t\n\r\b\f\\'";
	const char *name = **at != '\0' ? strchr(names, **at) : NULL;
	int value;

	if (name != NULL) {
		(*at)++;
		return bytes[name - names];
	}
	if (**at == 'x') {
		(*at)++;
		value = read_digits(at, 16, 2);
	} else {
		value = read_digits(at, 8, 3);
	}
	return value > 0 && value < 256 ? value : -1;
}

static int
read_string(struct dlv_lex *lex, bool escapes, struct slk_error *err)
{
	size_t len = 0;

	for (lex->at++; *lex->at != '\0';) {
		int c = (unsigned char)*lex->at++;
		if (c == '\'' && *lex->at != '\'') {
			lex->text[len] = '\0';
			lex->kind = DLV_LEX_STRING;
			return SLK_OK;
		}
		if (c == '\'')
			lex->at++;
		else if (escapes && c == '\\')
			c = read_escape(&lex->at);
		if (c < 0)
			return fail(lex, "a string with an escape that is not known", err);
		if (len + 1 == sizeof(lex->text))
			return fail(lex, "a string that is too long", err);
		lex->text[len++] = (char)c;
	}
	return fail(lex, "a string without an end", err);
}

static int
read_name(struct dlv_lex *lex, struct slk_error *err)
{
	const char *at = lex->at + 1;

	while (*at != '\0' && (*at != '"' || at[1] == '"'))
		at += *at == '"' ? 2 : 1;
	size_t len = (size_t)(at - lex->at) + 1;
	if (*at == '\0')
		return fail(lex, "a name without an end", err);
	if (len >= sizeof(lex->text))
		return fail(lex, "a name that is too long", err);
	memcpy(lex->text, lex->at, len);
	lex->text[len] = '\0';
	lex->at += len;
	lex->kind = DLV_LEX_NAME;
	return SLK_OK;
}

int
dlv_lex_next(struct dlv_lex *lex, struct slk_error *err)
{
	lex->at += strspn(lex->at, " \t\r\n");
	lex->from = (size_t)(lex->at - lex->start);
	char c = *lex->at;
	if (c == '\0') {
		lex->kind = DLV_LEX_END;
		lex->text[0] = '\0';
		return SLK_OK;
	}
	if ((c == 'E' || c == 'e') && lex->at[1] == '\'') {
		lex->at++;
		return read_string(lex, true, err);
	}
	if (c == '\'')
		return read_string(lex, false, err);
	if (c == '"')
		return read_name(lex, err);
	if (strchr(WORD, c) != NULL)
		return read_word(lex, err);
	if (strchr("(),", c) == NULL)
		return fail(lex, "a character that no option has", err);
	lex->kind = DLV_LEX_MARK;
	lex->text[0] = *lex->at++;
	lex->text[1] = '\0';
	return SLK_OK;
}

bool
dlv_lex_is(const struct dlv_lex *lex, enum dlv_lex_kind kind, const char *text)
{
	return lex->kind == kind && strcmp(lex->text, text) == 0;
}

int
dlv_lex_skip(struct dlv_lex *lex, enum dlv_lex_kind kind, const char *text, struct slk_error *err)
{
	return dlv_lex_is(lex, kind, text) ? dlv_lex_next(lex, err) : SLK_OK;
}
