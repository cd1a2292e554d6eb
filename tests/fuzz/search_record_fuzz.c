/* Records as documents: a sound one takes just two lines of a request, and is found in them again. */
#include <stdlib.h>

#include "search_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
lines(const uint8_t *bytes, size_t len)
{
	unsigned count = 0;

	for (size_t i = 0; i < len; i++)
		count += bytes[i] == '\n';
	return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dlv_record record = {.data = slk_span(data, size), .sequence = UINT64_MAX};

	if (search_record_fault(record.data) != NULL)
		return 0;
	uint8_t *form = malloc(size + SEARCH_FORM_EXTRA);
	if (form == NULL)
		return 0;
	size_t len = search_record_form("01234567-89ab-cdef-0123-456789abcdef", &record, form);
	struct slk_span document = search_record_document(slk_span(form, len));
	if (len > size + SEARCH_FORM_EXTRA || lines(form, len) != 2 || form[len - 1] != '\n' ||
		document.len != size || search_record_fault(document) != NULL)
		abort();
	(void)search_record_has_field(document, slk_span_str("a.b.c"));
	free(form);
	return 0;
}
