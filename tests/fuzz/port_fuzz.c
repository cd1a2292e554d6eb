/* What a client or ingestd may find in the shared memory or the socket of the local port. The first byte says which decoder;
 * anything that decodes must encode to the same bytes again, as far as it is read; nothing may crash. */
#include <stdlib.h>
#include <string.h>

#include "format/port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
message(struct slk_span in)
{
	struct fmt_port_message m;
	uint8_t out[FMT_PORT_MESSAGE_MAX];
	size_t len = 0;

	if (fmt_port_message_decode(in, &m) == SLK_OK &&
		(fmt_port_message_encode(&m, out, sizeof(out), &len) != SLK_OK || len != in.len ||
			memcmp(out, in.ptr, len) != 0))
		abort();
}

static void
memory(struct slk_span in)
{
	struct fmt_port_memory m;
	uint8_t out[128];

	if (fmt_port_memory_decode(in, &m) != SLK_OK)
		return;
	fmt_port_memory_encode(&m, out);
	if (!fmt_port_memory_valid(&m) || memcmp(out, in.ptr, sizeof(out)) != 0)
		abort();
}

static void
completion(struct slk_span in)
{
	struct fmt_port_completion c;
	uint8_t out[FMT_PORT_COMPLETION_BYTES];

	if (fmt_port_completion_decode(in, &c) != SLK_OK)
		return;
	fmt_port_completion_encode(&c, out);
	if (memcmp(out, in.ptr, sizeof(out)) != 0)
		abort();
}

static void
entry(struct slk_span in)
{
	struct fmt_port_entry e;
	uint8_t header[FMT_PORT_RECORD_BYTES] = {0}, out[FMT_PORT_RECORD_BYTES] = {0};

	if (in.len < 8)
		return;
	memcpy(header, in.ptr, in.len < sizeof(header) ? in.len : sizeof(header));
	if (fmt_port_entry_decode(header, in.len, 1u << 20, &e) != SLK_OK)
		return;
	if (e.entry_bytes > in.len || e.entry_bytes < 8 ||
		(e.type == FMT_PORT_RECORD &&
			FMT_PORT_RECORD_BYTES + (uint64_t)e.key_len + e.data_len > e.entry_bytes))
		abort();
	fmt_port_entry_encode(&e, out);
	if (memcmp(out, header, e.type == FMT_PORT_RECORD ? FMT_PORT_RECORD_BYTES : 8) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slk_span in = slk_span(data + 1, size - 1);
	switch (data[0] & 3) {
	case 0:
		message(in);
		break;
	case 1:
		memory(in);
		break;
	case 2:
		completion(in);
		break;
	default:
		entry(in);
		break;
	}
	return 0;
}
