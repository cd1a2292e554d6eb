/* Answers of S3 stores: whatever comes is read within its bounds, and its texts are terminated and printable. */
#include <stdlib.h>
#include <string.h>

#include "s3_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	if (len == cap)
		abort();
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x20 || text[i] > 0x7e)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dlv_s3_asked asked = {"PutObject", "https://h", "b", "r", "AK", "k"};
	const struct dlv_web_answer answer = {
		.status = SLK_OK, .sentence = "", .http_status = size % 600};
	struct dlv_s3_reply reply;
	struct dlv_result result;

	if (dlv_s3_reply_read(slk_span(data, size), &reply) == SLK_OK) {
		check(reply.code, sizeof(reply.code));
		check(reply.message, sizeof(reply.message));
		check(reply.region, sizeof(reply.region));
		check(reply.upload_id, sizeof(reply.upload_id));
	} else if (reply.root[0] != '\0' || reply.upload_id[0] != '\0') {
		abort();
	}
	dlv_s3_verdict(&asked, &answer, &reply, &result);
	if (result.outcome != DLV_FAILED && result.outcome != DLV_REFUSED)
		abort();
	check(result.code, sizeof(result.code));
	return 0;
}
