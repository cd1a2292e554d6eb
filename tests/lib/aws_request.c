#include "aws_request.h"

#include <ctype.h>
#include <string.h>

static char empty[] = "";

static struct http_text
text_of(char *p, size_t len)
{
	p[len] = '\0';
	return (struct http_text){p, len};
}

/* "METHOD TARGET HTTP/1.1" */
static bool
first_line(char *line, struct http_request *r)
{
	char *target = strchr(line, ' ');
	char *version = strrchr(line, ' ');

	if (target == NULL || version == target)
		return false;
	r->method = text_of(line, (size_t)(target - line));
	target++;
	r->target = text_of(target, (size_t)(version - target));
	char *query = strchr(target, '?');
	r->query = (struct http_text){empty, 0};
	r->path = r->target;
	if (query != NULL) {
		r->query = (struct http_text){query + 1, strlen(query + 1)};
		r->path = text_of(target, (size_t)(query - target));
	}
	return true;
}

/* Blanks at the ends are no part of a value. */
static struct http_text
trimmed(char *p)
{
	p += strspn(p, " \t");
	size_t len = strlen(p);
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	return text_of(p, len);
}

void
aws_request_add(struct aws_request *r, const char *name, const char *value)
{
	struct http_header *h = &r->headers[r->http.headers_count++];

	h->name = (struct http_text){name, strlen(name)};
	h->value = (struct http_text){value, strlen(value)};
	if (strcmp(name, "host") == 0)
		r->http.authority = h->value;
}

bool
aws_request_from(char *text, size_t len, struct aws_request *out)
{
	char *end = text + len, *line = text;
	bool first = true;

	memset(out, 0, sizeof(*out));
	out->http.version = 11;
	out->http.authority = (struct http_text){empty, 0};
	out->http.headers = out->headers;
	out->body = empty;
	if (memchr(text, '\0', len) != NULL)
		return false;
	while (line < end && *line != '\n') {
		char *lf = memchr(line, '\n', (size_t)(end - line));
		while (lf != NULL && lf + 1 < end && (lf[1] == ' ' || lf[1] == '\t')) {
			*lf = ' ';
			lf = memchr(lf, '\n', (size_t)(end - lf));
		}
		if (lf == NULL)
			return false;
		*lf = '\0';
		if (first) {
			if (!first_line(line, &out->http))
				return false;
			first = false;
		} else {
			char *colon = strchr(line, ':');
			if (colon == NULL || out->http.headers_count == AWS_REQUEST_HEADERS_MAX)
				return false;
			*colon = '\0';
			for (char *p = line; *p != '\0'; p++)
				*p = (char)tolower((unsigned char)*p);
			aws_request_add(out, line, trimmed(colon + 1).ptr);
		}
		line = lf + 1;
	}
	if (line < end) {
		out->body = line + 1;
		out->body_len = (size_t)(end - line - 1);
	}
	return !first;
}
