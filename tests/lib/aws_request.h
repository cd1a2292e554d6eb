/* A request as the HTTP server gives it, from its text: for tests of what is behind the server. */
#ifndef SLK_TESTS_LIB_AWS_REQUEST_H
#define SLK_TESTS_LIB_AWS_REQUEST_H

#include <stddef.h>

#include "http/http.h"

#define AWS_REQUEST_HEADERS_MAX 64

struct aws_request {
	struct http_request http;
	struct http_header headers[AWS_REQUEST_HEADERS_MAX];
	const char *body;
	size_t body_len;
};

/* text is changed and has to live as long; lines end in LF, an empty line ends the head. Lenient as the server is not: folded
 * lines and raw blanks in the target are taken, so that all published cases can be made. false: not a request. */
bool aws_request_from(char *text, size_t len, struct aws_request *out);
/* Put a header behind the others; borrowed. */
void aws_request_add(struct aws_request *r, const char *name, const char *value);

#endif
