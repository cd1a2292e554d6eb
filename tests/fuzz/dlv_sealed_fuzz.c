/* Metadata of sealed objects, as whatever a store or a file gives back: what is read is written again as it was. */
#include <stdlib.h>
#include <string.h>

#include "delivery/sealedhead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dlv_sealed_head head;
	static struct dlv_sealed_text text;
	struct fmt_context *context = NULL;

	if (size > DLV_SEALED_HEAD_JSON_MAX ||
		dlv_sealed_head_parse(slk_span(data, size), &head, &context, NULL) != SLK_OK)
		return 0;
	if (context == NULL || fmt_context_count(context) == 0 || head.wrapped_len == 0 ||
		head.wrapped_len > sizeof(head.wrapped))
		abort();
	dlv_sealed_head_print(&head, &text);
	for (unsigned i = 0; i < DLV_SEALED_PAIRS; i++) {
		if (text.pairs[i].value[0] == '\0')
			abort();
	}
	fmt_context_free(context);
	return 0;
}
