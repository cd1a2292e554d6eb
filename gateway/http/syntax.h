/* What RFC 9110 and 3986 allow in the parts of a head. Pure functions; thread: any. */
#ifndef GATEWAY_HTTP_SYNTAX_H
#define GATEWAY_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "http/http.h"

/* RFC 9110, 5.6.2; at least one character. */
bool http_is_token(const char *text, size_t len);
/* RFC 9110, 5.5: visible characters, blanks and tabs within, bytes from 0x80 on; may be empty; no blank at either end. */
bool http_is_field_value(const char *text, size_t len);
/* "host[:port]" (RFC 3986, 3.2.2): a name, an IPv4 address or a bracketed IPv6 one; no user, not empty. */
bool http_is_authority(const char *text, size_t len);
/* Visible ASCII but '#'. */
bool http_is_target(const char *text, size_t len);

/* Without regard to case; the ASCII one. */
bool http_text_is(const char *text, size_t len, const char *word);

/* Only digits: SLK_MALFORMED otherwise; SLK_RANGE if it does not fit into 64 bits. */
MUST_USE int http_parse_length(const char *text, size_t len, uint64_t *out_length);

/* Blanks and tabs at both ends off. */
void http_trim(const char **text, size_t *len);

/* The next element of a comma-separated list (RFC 9110, 5.6.1), without the blanks around it; empty ones are left out.
 * *list and *len move on. False: there is none left. */
bool http_next_element(const char **list, size_t *len, struct http_text *out_element);

#endif
