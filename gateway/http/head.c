#include "http/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/syntax.h"

#define ROOM_BYTES 8192u
#define HEADER_COST 32u /* RFC 9113, 6.5.2 */

struct http_head_room {
	struct http_head_room *next;
	char bytes[];
};

unsigned
http_refusal_status(enum http_refusal refusal)
{
	switch (refusal) {
	case HTTP_REFUSED_tls_plain:
	case HTTP_REFUSED_bad_request_line:
	case HTTP_REFUSED_bad_target:
	case HTTP_REFUSED_bad_header:
	case HTTP_REFUSED_bad_host:
	case HTTP_REFUSED_bad_length:
	case HTTP_REFUSED_bad_framing:
	case HTTP_REFUSED_repeated_header:
	case HTTP_REFUSED_bad_chunk:
	case HTTP_REFUSED_bad_trailer:
		return 400;
	case HTTP_REFUSED_header_timeout:
	case HTTP_REFUSED_body_timeout:
		return 408;
	case HTTP_REFUSED_body_too_large:
		return 413;
	case HTTP_REFUSED_target_too_long:
		return 414;
	case HTTP_REFUSED_bad_expect:
		return 417;
	case HTTP_REFUSED_head_too_large:
		return 431;
	case HTTP_REFUSED_bad_coding:
		return 501;
	case HTTP_REFUSED_no_memory:
	case HTTP_REFUSED_body_no_room:
		return 503;
	case HTTP_REFUSED_bad_version:
		return 505;
	default:
		return 0;
	}
}

void
http_head_init(struct http_head *head, const struct http_head_limits *limits)
{
	/* Not the rooms at its end: they are most of it, and this is done for every request. */
	memset(head, 0, offsetof(struct http_head, first_headers));
	head->limits = *limits;
	head->at = head->first;
	head->left = sizeof(head->first);
	head->headers = head->first_headers;
	head->headers_cap = HTTP_HEAD_FIRST_COUNT;
}

void
http_head_fini(struct http_head *head)
{
	while (head->rooms != NULL) {
		struct http_head_room *room = head->rooms;
		head->rooms = room->next;
		free(room);
	}
	if (head->headers != head->first_headers)
		free(head->headers);
	head->headers = head->first_headers;
}

/* Room for len bytes and a NUL; NULL without memory. */
static char *
room_for(struct http_head *head, size_t len)
{
	if (len >= head->left) {
		size_t bytes = len + 1 > ROOM_BYTES ? len + 1 : ROOM_BYTES;
		struct http_head_room *room = malloc(sizeof(*room) + bytes);
		if (room == NULL)
			return NULL;
		room->next = head->rooms;
		head->rooms = room;
		head->at = room->bytes;
		head->left = bytes;
	}
	char *to = head->at;
	head->at += len + 1;
	head->left -= len + 1;
	to[len] = '\0';
	return to;
}

static enum http_refusal
copy_text(struct http_head *head, const char *text, size_t len, struct http_text *out_text)
{
	char *to = room_for(head, len);

	if (to == NULL)
		return HTTP_REFUSED_no_memory;
	if (len > 0)
		memcpy(to, text, len);
	*out_text = (struct http_text){to, len};
	return HTTP_NOT_REFUSED;
}

static bool
count_bytes(struct http_head *head, size_t len)
{
	if (len > head->limits.bytes - head->bytes)
		return false;
	head->bytes += len;
	return true;
}

/* --- the request line --- */

enum http_refusal
http_head_method(struct http_head *head, const char *text, size_t len)
{
	if (head->method.ptr != NULL || !http_is_token(text, len) || len > HTTP_METHOD_MAX)
		return HTTP_REFUSED_bad_request_line;
	return copy_text(head, text, len, &head->method);
}

/* "http://authority/path" (RFC 9112, 3.2.2): *at is moved behind the authority. */
static enum http_refusal
split_absolute(struct http_head *head, const char **at, size_t *len)
{
	size_t scheme_len = 0;

	if (*len > 7 && strncasecmp(*at, "http://", 7) == 0)
		scheme_len = 7;
	else if (*len > 8 && strncasecmp(*at, "https://", 8) == 0)
		scheme_len = 8;
	else
		return HTTP_REFUSED_bad_target;
	const char *authority = *at + scheme_len;
	size_t left = *len - scheme_len, authority_len = 0;
	while (authority_len < left && authority[authority_len] != '/' &&
		authority[authority_len] != '?')
		authority_len++;
	if (!http_is_authority(authority, authority_len))
		return HTTP_REFUSED_bad_host;
	*at = authority + authority_len;
	*len = left - authority_len;
	return copy_text(head, authority, authority_len, &head->target_authority);
}

enum http_refusal
http_head_target(struct http_head *head, const char *text, size_t len)
{
	enum http_refusal refusal;

	if (len > HTTP_TARGET_MAX)
		return HTTP_REFUSED_target_too_long;
	if (head->target.ptr != NULL || !http_is_target(text, len))
		return HTTP_REFUSED_bad_target;
	refusal = copy_text(head, text, len, &head->target);
	if (refusal != HTTP_NOT_REFUSED)
		return refusal;
	const char *at = text;
	size_t left = len;
	bool is_asterisk = len == 1 && text[0] == '*';
	if (text[0] != '/' && !is_asterisk) {
		refusal = split_absolute(head, &at, &left);
		if (refusal != HTTP_NOT_REFUSED)
			return refusal;
	}
	const char *mark = left > 0 ? memchr(at, '?', left) : NULL;
	size_t path_len = mark != NULL ? (size_t)(mark - at) : left;
	if (path_len == 0)
		refusal = copy_text(head, "/", 1, &head->path);
	else
		refusal = copy_text(head, at, path_len, &head->path);
	if (refusal != HTTP_NOT_REFUSED)
		return refusal;
	return mark != NULL ? copy_text(head, mark + 1, left - path_len - 1, &head->query)
			    : copy_text(head, "", 0, &head->query);
}

enum http_refusal
http_head_authority(struct http_head *head, const char *text, size_t len)
{
	if (head->pseudo_authority.ptr != NULL || !http_is_authority(text, len))
		return HTTP_REFUSED_bad_host;
	return copy_text(head, text, len, &head->pseudo_authority);
}

/* --- headers --- */

static enum http_refusal
saw_length(struct http_head *head, const struct http_text *value)
{
	if (head->has_length)
		return HTTP_REFUSED_bad_length;
	int rc = http_parse_length(value->ptr, value->len, &head->length_bytes);
	if (rc == SLK_RANGE)
		return HTTP_REFUSED_body_too_large;
	if (rc != SLK_OK)
		return HTTP_REFUSED_bad_length;
	head->has_length = true;
	return HTTP_NOT_REFUSED;
}

static enum http_refusal
saw_coding(struct http_head *head, const struct http_text *value)
{
	if (head->has_coding)
		return HTTP_REFUSED_repeated_header;
	head->has_coding = true;
	head->is_chunked = http_text_is(value->ptr, value->len, "chunked");
	return HTTP_NOT_REFUSED;
}

static enum http_refusal
saw_expect(struct http_head *head, const struct http_text *value)
{
	if (head->has_expect)
		return HTTP_REFUSED_repeated_header;
	head->has_expect = true;
	head->expects_continue = http_text_is(value->ptr, value->len, "100-continue");
	return HTTP_NOT_REFUSED;
}

static enum http_refusal
saw_host(struct http_head *head, const struct http_text *value)
{
	if (head->host.ptr != NULL || !http_is_authority(value->ptr, value->len))
		return HTTP_REFUSED_bad_host;
	head->host = *value;
	return HTTP_NOT_REFUSED;
}

static enum http_refusal
saw_connection(struct http_head *head, const struct http_text *value)
{
	const char *list = value->ptr;
	size_t len = value->len;
	struct http_text element;

	while (http_next_element(&list, &len, &element)) {
		if (!http_is_token(element.ptr, element.len))
			return HTTP_REFUSED_bad_header;
		if (http_text_is(element.ptr, element.len, "close"))
			head->wants_close = true;
	}
	return HTTP_NOT_REFUSED;
}

static enum http_refusal
saw_once(bool *seen)
{
	if (*seen)
		return HTTP_REFUSED_repeated_header;
	*seen = true;
	return HTTP_NOT_REFUSED;
}

/* Headers that mean something to the server, or that must not repeat. */
static enum http_refusal
look_at(struct http_head *head, const struct http_header *header)
{
	const struct http_text *name = &header->name, *value = &header->value;

	switch (name->len) {
	case 4:
		if (memcmp(name->ptr, "host", 4) == 0)
			return saw_host(head, value);
		break;
	case 6:
		if (memcmp(name->ptr, "expect", 6) == 0)
			return saw_expect(head, value);
		break;
	case 10:
		if (memcmp(name->ptr, "connection", 10) == 0)
			return saw_connection(head, value);
		break;
	case 12:
		if (memcmp(name->ptr, "content-type", 12) == 0)
			return saw_once(&head->has_type);
		break;
	case 13:
		if (memcmp(name->ptr, "authorization", 13) == 0)
			return saw_once(&head->has_authorization);
		break;
	case 14:
		if (memcmp(name->ptr, "content-length", 14) == 0)
			return saw_length(head, value);
		break;
	case 17:
		if (memcmp(name->ptr, "transfer-encoding", 17) == 0)
			return saw_coding(head, value);
		break;
	default:
		break;
	}
	return HTTP_NOT_REFUSED;
}

static bool
header_room(struct http_head *head)
{
	if (head->headers_count < head->headers_cap)
		return true;
	size_t cap = head->headers_cap * 2;
	bool is_first = head->headers == head->first_headers;
	struct http_header *headers =
		realloc(is_first ? NULL : head->headers, cap * sizeof(*headers));
	if (headers == NULL)
		return false;
	if (is_first)
		memcpy(headers, head->first_headers, sizeof(head->first_headers));
	head->headers = headers;
	head->headers_cap = cap;
	return true;
}

static void
lower(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (char)(text[i] + ('a' - 'A'));
	}
}

enum http_refusal
http_head_add(struct http_head *head, const char *name, size_t name_len, const char *value,
	size_t value_len)
{
	if (!http_is_token(name, name_len))
		return HTTP_REFUSED_bad_header;
	http_trim(&value, &value_len);
	if (!http_is_field_value(value, value_len))
		return HTTP_REFUSED_bad_header;
	if (head->headers_count >= head->limits.headers_count ||
		!count_bytes(head, name_len + value_len + HEADER_COST))
		return HTTP_REFUSED_head_too_large;
	char *room = room_for(head, name_len + 1 + value_len);
	if (room == NULL || !header_room(head))
		return HTTP_REFUSED_no_memory;
	memcpy(room, name, name_len);
	lower(room, name_len);
	room[name_len] = '\0';
	if (value_len > 0)
		memcpy(room + name_len + 1, value, value_len);
	struct http_header *header = &head->headers[head->headers_count++];
	*header = (struct http_header){{room, name_len}, {room + name_len + 1, value_len}};
	return look_at(head, header);
}

/* --- the whole --- */

static enum http_refusal
check_framing(const struct http_head *head, unsigned version)
{
	if (!head->has_coding)
		return HTTP_NOT_REFUSED;
	/* RFC 9112, 6.1 and 6.3: both at once, or a coding from HTTP/1.0, are how requests are smuggled. */
	if (head->has_length || version != 11)
		return HTTP_REFUSED_bad_framing;
	return head->is_chunked ? HTTP_NOT_REFUSED : HTTP_REFUSED_bad_coding;
}

static bool
same_authority(const struct http_text *a, const struct http_text *b)
{
	return a->len == b->len && strncasecmp(a->ptr, b->ptr, a->len) == 0;
}

static enum http_refusal
find_authority(struct http_head *head, unsigned version, struct http_text *out_authority)
{
	const struct http_text none = {"", 0};
	const struct http_text *first = head->pseudo_authority.ptr != NULL
		? &head->pseudo_authority
		: &head->target_authority;

	if (head->host.ptr == NULL && (version == 11 || (version == 20 && first->ptr == NULL)))
		return HTTP_REFUSED_bad_host;
	/* RFC 9112, 3.2.2, lets the target win; whoever signs or filters by Host would see another one. */
	if (first->ptr != NULL && head->host.ptr != NULL && !same_authority(first, &head->host))
		return HTTP_REFUSED_bad_host;
	if (first->ptr != NULL)
		*out_authority = *first;
	else
		*out_authority = head->host.ptr != NULL ? head->host : none;
	return HTTP_NOT_REFUSED;
}

enum http_refusal
http_head_finish(struct http_head *head, unsigned version, struct http_request *out_request)
{
	struct http_text authority;

	if (head->method.ptr == NULL || head->target.ptr == NULL)
		return HTTP_REFUSED_bad_request_line;
	if (head->path.ptr[0] == '*' &&
		!http_text_is(head->method.ptr, head->method.len, "OPTIONS"))
		return HTTP_REFUSED_bad_target;
	enum http_refusal refusal = check_framing(head, version);
	if (refusal == HTTP_NOT_REFUSED)
		refusal = find_authority(head, version, &authority);
	if (refusal == HTTP_NOT_REFUSED && head->has_expect && !head->expects_continue)
		refusal = HTTP_REFUSED_bad_expect;
	if (refusal != HTTP_NOT_REFUSED)
		return refusal;
	head->version = version;
	*out_request = (struct http_request){
		.version = version,
		.method = head->method,
		.target = head->target,
		.path = head->path,
		.query = head->query,
		.authority = authority,
		.has_authority_pseudo = head->pseudo_authority.ptr != NULL,
		.headers = head->headers,
		.headers_count = head->headers_count,
		.has_length = head->has_length,
		.length_bytes = head->length_bytes,
	};
	return HTTP_NOT_REFUSED;
}
