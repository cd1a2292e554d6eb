/* Answers of HTTP endpoints: refused, or texts that are terminated; an id is there only if the bytes have it. */
#include <stdlib.h>

#include "http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_answer answer;
	int rc = http_answer_read(slk_span(data, size), &answer);

	if (rc != SLK_OK && rc != SLK_MALFORMED && rc != SLK_LIMIT)
		abort();
	if (memchr(answer.request_id, '\0', sizeof(answer.request_id)) == NULL ||
		memchr(answer.said, '\0', sizeof(answer.said)) == NULL)
		abort();
	if (answer.request_id[0] != '\0' && memmem(data, size, "Id", 2) == NULL &&
		memmem(data, size, "\\u", 2) == NULL)
		abort();
	return 0;
}
