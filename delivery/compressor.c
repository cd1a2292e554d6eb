/* Compressors: see compressor.h. */
#include "compressor.h"

#include <assert.h>
#include <stdlib.h>

#include <isa-l/igzip_lib.h>
#ifdef DLV_HAVE_ZSTD
#define ZSTD_STATIC_LINKING_ONLY /* the only way to name the memory of a context; exported since 1.3 */
#include <zstd.h>
#endif

#define GZIP_LEVEL_MAX 3
#define ZSTD_LEVEL_MAX 19
#define HEAD_BYTES 64u /* of struct dlv_compressor, so that what follows is aligned */

/* What igzip holds back: symbols of input that are not yet a block. A symbol is at most 6 bytes of output (two codes of 15 bits
 * with 5 and 13 more), and has 4 bytes of its buffer; blocks have a head of at most 328 bytes, or 5 each 64 KiB if stored. */
#define GZIP_HELD_MAX (ISAL_DEF_LVL3_DEFAULT / 4u * 6u)
#define ZSTD_HELD_MAX \
	(256u * 1024u) /* a block of 128 KiB that is gathered, and one that is written */

struct dlv_compressor {
	enum dlv_compression compression;
	union {
		struct isal_zstream *gzip;
#ifdef DLV_HAVE_ZSTD
		ZSTD_CStream *zstd;
#endif
	};
};
static_assert(sizeof(struct dlv_compressor) <= HEAD_BYTES, "what follows is aligned");

static size_t
round_up(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static size_t
gzip_level_bytes(int level)
{
	static const uint32_t bytes[] = {
		0, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};

	return level >= 1 && level <= GZIP_LEVEL_MAX ? bytes[level] : 0;
}

size_t
dlv_compressor_bytes(enum dlv_compression compression, int level)
{
	level = level == 0 ? 1 : level;
	if (compression == DLV_GZIP && gzip_level_bytes(level) > 0)
		return HEAD_BYTES + round_up(sizeof(struct isal_zstream)) +
			round_up(gzip_level_bytes(level));
#ifdef DLV_HAVE_ZSTD
	if (compression == DLV_ZSTD && level >= 1 && level <= ZSTD_LEVEL_MAX)
		return HEAD_BYTES + round_up(ZSTD_estimateCStreamSize(level));
#endif
	return 0;
}

static void
gzip_init(struct dlv_compressor *c, int level, uint8_t *memory)
{
	c->gzip = (struct isal_zstream *)memory;
	isal_deflate_init(c->gzip);
	c->gzip->level = (uint32_t)level;
	c->gzip->level_buf = memory + round_up(sizeof(*c->gzip));
	c->gzip->level_buf_size = (uint32_t)gzip_level_bytes(level);
	c->gzip->gzip_flag = IGZIP_GZIP;
}

#ifdef DLV_HAVE_ZSTD
static int
zstd_init(struct dlv_compressor *c, int level, uint8_t *memory)
{
	c->zstd = ZSTD_initStaticCStream(memory, round_up(ZSTD_estimateCStreamSize(level)));
	if (c->zstd == NULL ||
		ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1)))
		return SLK_INTERNAL;
	return SLK_OK;
}
#endif

int
dlv_compressor_init(enum dlv_compression compression, int level, void *memory,
	struct dlv_compressor **out_compressor)
{
	struct dlv_compressor *c = memory;
	uint8_t *rest = (uint8_t *)memory + HEAD_BYTES;
	int rc = SLK_OK;

	level = level == 0 ? 1 : level;
	if (dlv_compressor_bytes(compression, level) == 0)
		return SLK_UNSUPPORTED;
	c->compression = compression;
	if (compression == DLV_GZIP)
		gzip_init(c, level, rest);
#ifdef DLV_HAVE_ZSTD
	else
		rc = zstd_init(c, level, rest);
#endif
	if (rc == SLK_OK)
		*out_compressor = c;
	return rc;
}

size_t
dlv_compressor_bound(const struct dlv_compressor *compressor, size_t more)
{
	if (compressor->compression == DLV_GZIP)
		return more + more / 8 + GZIP_HELD_MAX + 1024; /* head, trailer, rounding */
#ifdef DLV_HAVE_ZSTD
	return ZSTD_compressBound(more + ZSTD_HELD_MAX) + 1024;
#else
	return 0; /* there is none */
#endif
}

static int
gzip_put(struct isal_zstream *s, struct slk_span in, bool end, uint8_t *out, size_t cap,
	size_t *out_len)
{
	size_t len = 0;

	do { /* it counts in 32 bits */
		uint32_t piece = in.len < (1u << 30) ? (uint32_t)in.len : 1u << 30;
		uint32_t room = cap - len < UINT32_MAX ? (uint32_t)(cap - len) : UINT32_MAX;
		s->next_in = (uint8_t *)(uintptr_t)in.ptr;
		s->avail_in = piece;
		s->next_out = out + len;
		s->avail_out = room;
		s->end_of_stream = end && piece == in.len;
		if (isal_deflate(s) != COMP_OK || s->avail_in != 0)
			return SLK_INTERNAL;
		len += room - s->avail_out;
		in = slk_span(in.ptr + piece, in.len - piece);
	} while (in.len > 0);
	if (end && s->internal_state.state != ZSTATE_END)
		return SLK_INTERNAL;
	*out_len = len;
	return SLK_OK;
}

#ifdef DLV_HAVE_ZSTD
static int
zstd_put(ZSTD_CStream *s, struct slk_span in, bool end, uint8_t *out, size_t cap, size_t *out_len)
{
	ZSTD_inBuffer input = {in.ptr, in.len, 0};
	ZSTD_outBuffer output = {out, cap, 0};
	size_t left;

	do { /* each turn takes or writes something, or room was short */
		size_t before = input.pos + output.pos;
		left = ZSTD_compressStream2(s, &output, &input, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return SLK_INTERNAL;
		if (input.pos + output.pos == before &&
			(input.pos < input.size || (end && left > 0)))
			return SLK_INTERNAL;
	} while (input.pos < input.size || (end && left > 0));
	*out_len = output.pos;
	return SLK_OK;
}
#endif

int
dlv_compressor_put(struct dlv_compressor *compressor, struct slk_span in, bool end, uint8_t *out,
	size_t cap, size_t *out_len)
{
	if (compressor->compression == DLV_GZIP)
		return gzip_put(compressor->gzip, in, end, out, cap, out_len);
#ifdef DLV_HAVE_ZSTD
	return zstd_put(compressor->zstd, in, end, out, cap, out_len);
#else
	return SLK_INTERNAL;
#endif
}
