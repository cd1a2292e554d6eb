/* A stream of HTTP/1.1. Whatever comes of it must not depend on how it was cut: whole, and in pieces whose lengths the input's
 * first byte sets. What was accepted must be what RFC 9112 allows. */
#include <stdlib.h>
#include <string.h>

#include "http/h1_read.h"
#include "http/syntax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_head_limits limits = {.bytes = 4096, .headers_count = 16};

struct seen {
	unsigned heads, ends;
	size_t body_len;
	uint32_t body_crc, head_crc;
	enum http_refusal refusal;
};

static void
check(bool what)
{
	if (!what)
		abort();
}

static uint32_t
check_text(uint32_t crc, const struct http_text *text)
{
	check(text->ptr != NULL && text->ptr[text->len] == '\0');
	check(memchr(text->ptr, '\0', text->len) == NULL);
	return slk_crc32c(crc, text->ptr, text->len);
}

static uint32_t
check_request(uint32_t crc, const struct http_request *r)
{
	check(r->version == 10 || r->version == 11);
	crc = check_text(crc, &r->method);
	crc = check_text(crc, &r->target);
	crc = check_text(crc, &r->path);
	crc = check_text(crc, &r->query);
	crc = check_text(crc, &r->authority);
	check(http_is_token(r->method.ptr, r->method.len));
	check(r->headers_count <= limits.headers_count);
	for (size_t i = 0; i < r->headers_count; i++) {
		const struct http_header *h = &r->headers[i];
		crc = check_text(check_text(crc, &h->name), &h->value);
		check(http_is_token(h->name.ptr, h->name.len));
		check(http_is_field_value(h->value.ptr, h->value.len));
	}
	return crc;
}

static void
run(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
	struct http_h1_reader reader;
	struct http_head head;
	struct http_h1_out out;

	*seen = (struct seen){.refusal = HTTP_NOT_REFUSED};
	http_h1_reader_init(&reader, &limits);
	http_head_init(&head, &limits);
	http_h1_reader_next(&reader, &head);
	for (size_t at = 0; at < size && seen->refusal == HTTP_NOT_REFUSED;) {
		size_t len = size - at < piece ? size - at : piece, used = 0;
		while (seen->refusal == HTTP_NOT_REFUSED) {
			if (reader.state == HTTP_H1_OVER) {
				if (used == len)
					break;
				http_head_fini(&head);
				http_head_init(&head, &limits);
				http_h1_reader_next(&reader, &head);
			}
			enum http_h1_event event =
				http_h1_read(&reader, data + at + used, len - used, &out);
			check(out.used <= len - used);
			used += out.used;
			if (event == HTTP_H1_EVENT_MORE) {
				check(used == len);
				break;
			}
			if (event == HTTP_H1_EVENT_HEAD) {
				seen->heads++;
				seen->head_crc = check_request(seen->head_crc, &out.request);
			} else if (event == HTTP_H1_EVENT_BODY) {
				check(out.body.len > 0);
				seen->body_len += out.body.len;
				seen->body_crc =
					slk_crc32c(seen->body_crc, out.body.ptr, out.body.len);
			} else if (event == HTTP_H1_EVENT_END) {
				seen->ends++;
			} else {
				seen->refusal = out.refusal;
				check(out.refusal != HTTP_NOT_REFUSED);
			}
		}
		at += len;
	}
	check(seen->ends <= seen->heads);
	http_h1_reader_fini(&reader);
	http_head_fini(&head);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;

	if (size < 2)
		return 0;
	run(data + 1, size - 1, size, &whole);
	run(data + 1, size - 1, data[0] % 40u + 1u, &cut);
	check(whole.heads == cut.heads && whole.ends == cut.ends && whole.refusal == cut.refusal);
	check(whole.body_len == cut.body_len && whole.body_crc == cut.body_crc);
	check(whole.head_crc == cut.head_crc);
	return 0;
}
