/* le32 count, then a plaintext: if it is taken, walking it yields count records that lie inside it
 * and fill it. */
#include <stdlib.h>

#include "format/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_record_iter it;
	struct fmt_record r;
	uint64_t count = 0, bytes = 0;

	if (size < 4)
		return 0;
	uint32_t want = slk_get_le32(data);
	if (fmt_record_iter_init(&it, slk_span(data + 4, size - 4), want) != SLK_OK)
		return 0;
	while (fmt_record_iter_next(&it, &r) == SLK_OK) {
		count++;
		bytes += r.key.len + r.data.len;
		for (size_t i = 0; i < r.data.len; i++)
			bytes += r.data.ptr[i] & 0; /* every byte may be read */
	}
	if (count != want || bytes + fmt_record_table_bytes(want) != size - 4)
		abort();
	return 0;
}
