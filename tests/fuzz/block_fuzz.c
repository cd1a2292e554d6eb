/* A block that decodes must encode to the same bytes; bodies of its type are decoded as well.
 * Random changes seldom keep a CRC right, so the CRC is put right first: what lies behind it is
 * what is to be tested. */
#include <stdlib.h>
#include <string.h>

#include "format/block.h"
#include "format/footer.h"
#include "format/keyblock.h"
#include "format/shardtable.h"

#define SEED 0xa70f5a6bu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode_body(struct slk_span body, enum fmt_block_type type)
{
	struct fmt_keyblock key;
	struct fmt_footer footer;
	uint32_t count;
	uint64_t position;
	int rc = SLK_OK;

	if (type == FMT_BLOCK_KEY)
		rc = fmt_keyblock_decode(body, &key);
	else if (type == FMT_BLOCK_FOOTER)
		rc = fmt_footer_decode(body, &footer);
	else if (type == FMT_BLOCK_SHARDS)
		rc = fmt_shardtable_check(body, &count);
	else if (type == FMT_BLOCK_TRAILER)
		rc = fmt_trailer_decode(body, &position);
	(void)rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t header[FMT_BLOCK_HEADER_BYTES], aad[FMT_BLOCK_HEADER_BYTES];
	struct fmt_block b, checked;

	if (fmt_block_decode(slk_span(data, size), &b) != SLK_OK)
		return 0;
	fmt_block_encode(&b, header);
	fmt_block_aad(data, aad);
	if (memcmp(header, aad, sizeof(aad)) != 0)
		abort();
	if (size < b.total_bytes)
		return 0;
	uint8_t *copy = malloc(b.total_bytes);
	if (copy == NULL)
		abort();
	memcpy(copy, data, b.total_bytes);
	fmt_block_finish(copy, b.total_bytes, SEED);
	if (fmt_block_check(slk_span(copy, b.total_bytes), SEED, b.file_id, b.position, &checked) ==
		SLK_OK)
		decode_body(fmt_block_body(copy, &checked), checked.type);
	else if (b.type != FMT_BLOCK_PAD &&
		b.type != FMT_BLOCK_LOST && /* these may hold bytes that are not zero */
		b.type != FMT_BLOCK_MOVED) /* and this a place that it cannot come from */
		abort();
	free(copy);
	return 0;
}
