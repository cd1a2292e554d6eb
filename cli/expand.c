#include "expand.h"

#include <stdlib.h>

#include <isa-l/igzip_lib.h>
#ifdef CLI_HAVE_ZSTD
#define ZSTD_STATIC_LINKING_ONLY /* the only way to name the memory of a context */
#include <zstd.h>
#endif

#include "base/plain.h"

#define OUT_BYTES (256u * 1024u)
#define ZSTD_WINDOW_MAX (UINT64_C(128) << 20) /* what `zstd -d` takes without being asked */

enum kind { UNKNOWN, GZIP, ZSTD };

struct cli_expand {
	cli_expand_sink sink;
	void *arg;
	enum kind kind;
	bool open; /* within a member or a frame */
	struct slk_plain state, out;
#ifdef CLI_HAVE_ZSTD
	ZSTD_DStream *zstd;
#endif
};

int
cli_expand_new(
	cli_expand_sink sink, void *arg, struct cli_expand **out_expand, struct slk_error *err)
{
	struct cli_expand *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory to decompress");
	x->sink = sink;
	x->arg = arg;
	int rc = slk_plain_reserve(&x->out, OUT_BYTES, err);
	if (rc != SLK_OK) {
		cli_expand_free(x);
		return rc;
	}
	*out_expand = x;
	return SLK_OK;
}

void
cli_expand_free(struct cli_expand *expand)
{
	if (expand == NULL)
		return;
	slk_plain_free(&expand->state);
	slk_plain_free(&expand->out);
	free(expand);
}

/* --- GZIP --- */

static int
gzip_begin(struct cli_expand *x, struct slk_error *err)
{
	int rc = slk_plain_reserve(&x->state, sizeof(struct inflate_state), err);

	if (rc != SLK_OK)
		return rc;
	struct inflate_state *s = (struct inflate_state *)x->state.ptr;
	isal_inflate_init(s);
	s->crc_flag = ISAL_GZIP;
	return SLK_OK;
}

static int
gzip_turn(struct cli_expand *x, struct inflate_state *s, struct slk_error *err)
{
	s->next_out = x->out.ptr;
	s->avail_out = OUT_BYTES;
	x->open = true;
	int rc = isal_inflate(s);
	if (rc != ISAL_DECOMP_OK)
		return slk_fail(
			err, SLK_MALFORMED, "what was sealed is damaged GZIP data (%d)", rc);
	size_t len = OUT_BYTES - s->avail_out;
	return len > 0 ? x->sink(x->arg, slk_span(x->out.ptr, len), err) : SLK_OK;
}

/* Members may follow one another (RFC 1952, 2.2). */
static int
gzip_put(struct cli_expand *x, struct slk_span in, struct slk_error *err)
{
	struct inflate_state *s = (struct inflate_state *)x->state.ptr;
	int rc = SLK_OK;

	s->next_in = (uint8_t *)(uintptr_t)in.ptr;
	s->avail_in = (uint32_t)in.len;
	while (rc == SLK_OK && (s->avail_in > 0 || (x->open && s->avail_out == 0))) {
		rc = gzip_turn(x, s, err);
		if (rc == SLK_OK && s->block_state == ISAL_BLOCK_FINISH) {
			x->open = false;
			uint8_t *next = s->next_in;
			uint32_t left = s->avail_in;
			isal_inflate_reset(s);
			s->crc_flag = ISAL_GZIP;
			s->next_in = next;
			s->avail_in = left;
			s->avail_out = OUT_BYTES;
		}
	}
	return rc;
}

/* --- ZSTD --- */

#ifdef CLI_HAVE_ZSTD
static int
zstd_begin(struct cli_expand *x, struct slk_span in, struct slk_error *err)
{
	size_t bytes = ZSTD_estimateDStreamSize_fromFrame(in.ptr, in.len);

	if (ZSTD_isError(bytes) || bytes > ZSTD_WINDOW_MAX + (8u << 20))
		return slk_fail(err, SLK_MALFORMED,
			"what was sealed is no ZSTD data of a window of 128 MiB or less");
	int rc = slk_plain_reserve(&x->state, bytes, err);
	if (rc != SLK_OK)
		return rc;
	x->zstd = ZSTD_initStaticDStream(x->state.ptr, bytes);
	return x->zstd != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "no memory to decompress");
}

static int
zstd_put(struct cli_expand *x, struct slk_span in, struct slk_error *err)
{
	ZSTD_inBuffer input = {in.ptr, in.len, 0};
	ZSTD_outBuffer output = {x->out.ptr, OUT_BYTES, 0};
	int rc = SLK_OK;

	/* Frames may follow one another. What did not fit comes without more input. */
	while (rc == SLK_OK && (input.pos < input.size || (x->open && output.pos == output.size))) {
		output.pos = 0;
		size_t left = ZSTD_decompressStream(x->zstd, &output, &input);
		if (ZSTD_isError(left))
			return slk_fail(err, SLK_MALFORMED,
				"what was sealed is damaged ZSTD data: %s",
				ZSTD_getErrorName(left));
		x->open = left > 0;
		if (output.pos > 0)
			rc = x->sink(x->arg, slk_span(x->out.ptr, output.pos), err);
	}
	return rc;
}
#endif

/* --- either --- */

static int
begin(struct cli_expand *x, struct slk_span in, struct slk_error *err)
{
	if (in.len >= 2 && in.ptr[0] == 0x1f && in.ptr[1] == 0x8b) {
		x->kind = GZIP;
		return gzip_begin(x, err);
	}
	if (in.len >= 4 && slk_get_le32(in.ptr) == 0xfd2fb528u) {
		x->kind = ZSTD;
#ifdef CLI_HAVE_ZSTD
		return zstd_begin(x, in, err);
#else
		return slk_fail(err, SLK_UNSUPPORTED,
			"what was sealed is ZSTD data, which this build cannot decompress");
#endif
	}
	return slk_fail(err, SLK_MALFORMED,
		"what was sealed is neither GZIP nor ZSTD data: leave --decompress away");
}

int
cli_expand_put(struct cli_expand *expand, struct slk_span bytes, struct slk_error *err)
{
	int rc = SLK_OK;

	if (bytes.len == 0)
		return SLK_OK;
	if (bytes.len > UINT32_MAX)
		return slk_fail(err, SLK_TOO_LARGE, "a piece is too large to decompress");
	if (expand->kind == UNKNOWN)
		rc = begin(expand, bytes, err);
	if (rc != SLK_OK)
		return rc;
#ifdef CLI_HAVE_ZSTD
	if (expand->kind == ZSTD)
		return zstd_put(expand, bytes, err);
#endif
	return gzip_put(expand, bytes, err);
}

int
cli_expand_end(struct cli_expand *expand, struct slk_error *err)
{
	if (expand->kind == UNKNOWN || expand->open)
		return slk_fail(err, SLK_TRUNCATED,
			"what was sealed ends in the middle of its compressed data");
	return SLK_OK;
}
