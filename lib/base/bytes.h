/* Spans and bounded cursors over bytes.
 *
 * A reader or a writer never leaves its span: the first overrun sets a sticky status, every later
 * call is a no-op that yields zero, and the code checks once at the end. All integers are read and
 * written explicitly; le = little-endian (our formats), be = big-endian (networks). Thread: each
 * cursor belongs to one thread.
 */
#ifndef SLK_BASE_BYTES_H
#define SLK_BASE_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

/* Borrowed bytes; ptr may be NULL only if len is 0. */
struct slk_span {
	const uint8_t *ptr;
	size_t len;
};

static inline struct slk_span
slk_span(const void *ptr, size_t len)
{
	return (struct slk_span){ptr, len};
}

static inline struct slk_span
slk_span_str(const char *text)
{
	return (struct slk_span){(const uint8_t *)text, strlen(text)};
}

static inline bool
slk_span_equal(struct slk_span a, struct slk_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Unaligned loads and stores: slk_get_le16(p), slk_put_be64(p, v) and so on. */
#define SLK_BYTES_ORDER(order, bits) \
	static inline uint##bits##_t slk_get_##order##bits(const void *p) \
	{ \
		uint##bits##_t v; \
		memcpy(&v, p, sizeof(v)); \
		return order##bits##toh(v); \
	} \
	static inline void slk_put_##order##bits(void *p, uint##bits##_t v) \
	{ \
		v = hto##order##bits(v); \
		memcpy(p, &v, sizeof(v)); \
	}
SLK_BYTES_ORDER(le, 16)
SLK_BYTES_ORDER(le, 32)
SLK_BYTES_ORDER(le, 64)
SLK_BYTES_ORDER(be, 16)
SLK_BYTES_ORDER(be, 32)
SLK_BYTES_ORDER(be, 64)
#undef SLK_BYTES_ORDER

/* Reader. status becomes SLK_TRUNCATED at the first read beyond the end. */
struct slk_reader {
	const uint8_t *ptr;
	size_t len; /* bytes left */
	int status;
};

static inline struct slk_reader
slk_reader(struct slk_span in)
{
	return (struct slk_reader){in.ptr, in.len, SLK_OK};
}

/* The next len bytes, or an empty span and SLK_TRUNCATED. */
static inline struct slk_span
slk_read_span(struct slk_reader *r, size_t len)
{
	if (r->status != SLK_OK || len > r->len) {
		r->status = r->status != SLK_OK ? r->status : SLK_TRUNCATED;
		return slk_span(NULL, 0);
	}
	struct slk_span out = slk_span(r->ptr, len);
	r->ptr += len;
	r->len -= len;
	return out;
}

/* Copy len bytes to out; out is zeroed on overrun. */
static inline void
slk_read_bytes(struct slk_reader *r, void *out, size_t len)
{
	struct slk_span s = slk_read_span(r, len);
	if (s.ptr != NULL)
		memcpy(out, s.ptr, len);
	else if (len > 0)
		memset(out, 0, len);
}

static inline uint8_t
slk_read_u8(struct slk_reader *r)
{
	struct slk_span s = slk_read_span(r, 1);
	return s.ptr != NULL ? s.ptr[0] : 0;
}

#define SLK_READ_ORDER(order, bits) \
	static inline uint##bits##_t slk_read_##order##bits(struct slk_reader *r) \
	{ \
		struct slk_span s = slk_read_span(r, bits / 8); \
		return s.ptr != NULL ? slk_get_##order##bits(s.ptr) : 0; \
	}
SLK_READ_ORDER(le, 16)
SLK_READ_ORDER(le, 32)
SLK_READ_ORDER(le, 64)
SLK_READ_ORDER(be, 16)
SLK_READ_ORDER(be, 32)
SLK_READ_ORDER(be, 64)
#undef SLK_READ_ORDER

/* The status so far, or SLK_MALFORMED if bytes are left over. */
static inline int
slk_reader_end(const struct slk_reader *r)
{
	if (r->status != SLK_OK)
		return r->status;
	return r->len == 0 ? SLK_OK : SLK_MALFORMED;
}

/* Writer. status becomes SLK_FULL at the first write beyond the end. */
struct slk_writer {
	uint8_t *base;
	size_t cap;
	size_t len; /* bytes written */
	int status;
};

static inline struct slk_writer
slk_writer(void *base, size_t cap)
{
	return (struct slk_writer){base, cap, 0, SLK_OK};
}

/* Room for len bytes to be filled by the caller, or NULL and SLK_FULL. */
static inline uint8_t *
slk_write_room(struct slk_writer *w, size_t len)
{
	if (w->status != SLK_OK || len > w->cap - w->len) {
		w->status = SLK_FULL;
		return NULL;
	}
	uint8_t *p = w->base + w->len;
	w->len += len;
	return p;
}

static inline void
slk_write_bytes(struct slk_writer *w, const void *in, size_t len)
{
	uint8_t *p = slk_write_room(w, len);
	if (p != NULL && len > 0)
		memcpy(p, in, len);
}

static inline void
slk_write_zeros(struct slk_writer *w, size_t len)
{
	uint8_t *p = slk_write_room(w, len);
	if (p != NULL)
		memset(p, 0, len);
}

static inline void
slk_write_u8(struct slk_writer *w, uint8_t v)
{
	slk_write_bytes(w, &v, 1);
}

#define SLK_WRITE_ORDER(order, bits) \
	static inline void slk_write_##order##bits(struct slk_writer *w, uint##bits##_t v) \
	{ \
		uint8_t *p = slk_write_room(w, bits / 8); \
		if (p != NULL) \
			slk_put_##order##bits(p, v); \
	}
SLK_WRITE_ORDER(le, 16)
SLK_WRITE_ORDER(le, 32)
SLK_WRITE_ORDER(le, 64)
SLK_WRITE_ORDER(be, 16)
SLK_WRITE_ORDER(be, 32)
SLK_WRITE_ORDER(be, 64)
#undef SLK_WRITE_ORDER

/* Lower-case hex of in, terminated, for ids and hashes (never for secrets). out_cap >= 2 * in.len +
 * 1, else "". */
void slk_hex(struct slk_span in, char *out, size_t out_cap);

/* Parse exactly 2 * len hex digits. SLK_MALFORMED otherwise; *out is untouched on error. */
MUST_USE int slk_unhex(const char *text, uint8_t *out, size_t len);

/* CRC-32C (Castagnoli, RFC 3720 B.4) of in, continued from crc; start with 0. "123456789" gives
 * 0xe3069283. */
uint32_t slk_crc32c(uint32_t crc, const void *in, size_t len);

/* Backwards: the crc from which continuing over in gives this one. Byte by byte; for what was damaged only. */
uint32_t slk_crc32c_unwind(uint32_t crc, const void *in, size_t len);

#endif
