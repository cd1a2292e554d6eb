/* Prefixes of objects: what the check passes makes a key, at any time and however long the name is. The first byte says
 * whether the rest is the prefix, the error prefix or the extension. */
#include <stdlib.h>
#include <string.h>

#include "delivery/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char name64[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	static const uint64_t instants[] = {0, UINT64_C(1790809139123456789), UINT64_MAX};
	char text[2048];
	char key[DLV_KEY_MAX];

	if (size == 0 || size > sizeof(text))
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	struct dlv_s3 s3 = {.prefix = data[0] % 3 == 0 ? text : "",
		.error_prefix = data[0] % 3 == 1 ? text
			: data[0] % 3 == 0       ? "!{firehose:error-output-type}"
						 : "",
		.extension = data[0] % 3 == 2 ? text : "",
		.time_zone = "UTC"};
	if (dlv_names_check(&s3, NULL) != SLK_OK)
		return 0;
	for (size_t i = 0; i < sizeof(instants) / sizeof(instants[0]); i++) {
		struct dlv_name name = {name64, UINT64_MAX, instants[i],
			"00000000-0000-4000-8000-000000000000",
			i % 2 == 0 ? NULL : "AmazonOpenSearchService-failed"};
		if (dlv_names_key(&s3, &name, key) != SLK_OK)
			abort();
	}
	return 0;
}
