#include "format/port.h"

#define VERSION 1u

static const uint8_t magic[4] = {'S', 'L', 'K', 'Q'};

/* --- memory --- */

static bool
power_within(uint32_t n, uint32_t min, uint32_t max)
{
	return n >= min && n <= max && (n & (n - 1)) == 0;
}

bool
fmt_port_memory_valid(const struct fmt_port_memory *m)
{
	return power_within(m->ring_bytes, FMT_PORT_RING_BYTES_MIN, FMT_PORT_RING_BYTES_MAX) &&
		power_within(m->completions, FMT_PORT_COMPLETIONS_MIN, FMT_PORT_COMPLETIONS_MAX) &&
		m->data_max >= 1 && m->data_max <= FMT_PORT_DATA_MAX;
}

void
fmt_port_memory_encode(const struct fmt_port_memory *m, uint8_t out[128])
{
	memset(out, 0, 128);
	memcpy(out, magic, sizeof(magic));
	slk_put_le32(out + 4, VERSION);
	slk_put_le32(out + 8, m->ring_bytes);
	slk_put_le32(out + 12, m->completions);
	slk_put_le32(out + 16, m->data_max);
}

int
fmt_port_memory_decode(struct slk_span in, struct fmt_port_memory *out)
{
	if (in.len < 128)
		return SLK_TRUNCATED;
	if (memcmp(in.ptr, magic, sizeof(magic)) != 0)
		return SLK_MALFORMED;
	if (slk_get_le32(in.ptr + 4) != VERSION)
		return SLK_BAD_VERSION;
	const struct fmt_port_memory m = {.ring_bytes = slk_get_le32(in.ptr + 8),
		.completions = slk_get_le32(in.ptr + 12),
		.data_max = slk_get_le32(in.ptr + 16)};
	for (size_t i = 20; i < 128; i++) {
		if (in.ptr[i] != 0)
			return SLK_MALFORMED;
	}
	if (!fmt_port_memory_valid(&m))
		return SLK_MALFORMED;
	*out = m;
	return SLK_OK;
}

/* --- submission entries --- */

void
fmt_port_entry_encode(const struct fmt_port_entry *e, uint8_t *out)
{
	slk_put_le32(out, e->entry_bytes);
	out[4] = (uint8_t)e->type;
	out[5] = 0;
	slk_put_le16(out + 6, e->type == FMT_PORT_RECORD ? e->key_len : 0);
	if (e->type != FMT_PORT_RECORD)
		return;
	slk_put_le64(out + 8, e->tag);
	slk_put_le32(out + 16, e->handle);
	slk_put_le32(out + 20, e->data_len);
	memcpy(out + 24, e->hash, sizeof(e->hash));
}

int
fmt_port_entry_decode(
	const uint8_t *in, uint64_t in_bytes, uint32_t data_max, struct fmt_port_entry *out)
{
	struct fmt_port_entry e = {.entry_bytes = slk_get_le32(in)};
	uint16_t key_len = slk_get_le16(in + 6);

	if (e.entry_bytes < 8 || e.entry_bytes % FMT_PORT_ENTRY_ALIGN != 0 || in[5] != 0)
		return SLK_MALFORMED;
	if (e.entry_bytes > in_bytes)
		return SLK_TRUNCATED;
	if (in[4] == FMT_PORT_PAD) {
		if (key_len != 0)
			return SLK_MALFORMED;
		e.type = FMT_PORT_PAD;
		*out = e;
		return SLK_OK;
	}
	if (in[4] != FMT_PORT_RECORD || e.entry_bytes < FMT_PORT_RECORD_BYTES || key_len == 0 ||
		key_len > FMT_PORT_KEY_MAX)
		return SLK_MALFORMED;
	e.type = FMT_PORT_RECORD;
	e.key_len = key_len;
	e.tag = slk_get_le64(in + 8);
	e.handle = slk_get_le32(in + 16);
	e.data_len = slk_get_le32(in + 20);
	memcpy(e.hash, in + 24, sizeof(e.hash));
	if (e.data_len > data_max || e.data_len > FMT_PORT_DATA_MAX)
		return SLK_TOO_LARGE;
	if (e.entry_bytes != fmt_port_record_bytes(e.key_len, e.data_len))
		return SLK_MALFORMED;
	*out = e;
	return SLK_OK;
}

/* --- completions --- */

static bool
completion_valid(const struct fmt_port_completion *c)
{
	if (c->status > 0)
		return false;
	if (c->status == SLK_OK)
		return c->encryption == FMT_PORT_ENCRYPTION_NONE ||
			c->encryption == FMT_PORT_ENCRYPTION_KMS;
	return c->shard == 0 && c->sequence == 0 && c->arrival_ns == 0 &&
		c->encryption == FMT_PORT_ENCRYPTION_UNKNOWN;
}

void
fmt_port_completion_encode(
	const struct fmt_port_completion *c, uint8_t out[FMT_PORT_COMPLETION_BYTES])
{
	memset(out, 0, FMT_PORT_COMPLETION_BYTES);
	slk_put_le64(out, c->tag);
	slk_put_le32(out + 8, (uint32_t)c->status);
	if (c->status != SLK_OK)
		return;
	slk_put_le32(out + 12, c->shard);
	slk_put_le64(out + 16, c->sequence);
	slk_put_le64(out + 24, c->arrival_ns);
	out[32] = (uint8_t)c->encryption;
}

int
fmt_port_completion_decode(struct slk_span in, struct fmt_port_completion *out)
{
	if (in.len < FMT_PORT_COMPLETION_BYTES)
		return SLK_TRUNCATED;
	const struct fmt_port_completion c = {.tag = slk_get_le64(in.ptr),
		.status = (int32_t)slk_get_le32(in.ptr + 8),
		.shard = slk_get_le32(in.ptr + 12),
		.sequence = slk_get_le64(in.ptr + 16),
		.arrival_ns = slk_get_le64(in.ptr + 24),
		.encryption = (enum fmt_port_encryption)in.ptr[32]};
	for (size_t i = 33; i < FMT_PORT_COMPLETION_BYTES; i++) {
		if (in.ptr[i] != 0)
			return SLK_MALFORMED;
	}
	if (!completion_valid(&c))
		return SLK_MALFORMED;
	*out = c;
	return SLK_OK;
}

/* --- control messages --- */

/* What must hold between the members, whoever made them. */
static bool
message_valid(const struct fmt_port_message *m)
{
	const struct fmt_port_memory memory = {m->ring_bytes, m->completions, m->data_max};

	switch (m->type) {
	case FMT_PORT_HELLO:
	case FMT_PORT_BELL:
	case FMT_PORT_DETACH:
		return true;
	case FMT_PORT_WELCOME:
		if (m->status == SLK_OK)
			return fmt_port_memory_valid(&memory) && m->sentence.len == 0;
		return m->status < 0 && m->ring_bytes == 0 && m->completions == 0 &&
			m->data_max == 0;
	case FMT_PORT_ATTACH:
		return (m->flags & ~FMT_PORT_ATTACH_TRUSTED) == 0 && m->name.len >= 1 &&
			m->name.len <= FMT_PORT_NAME_MAX &&
			memchr(m->name.ptr, '\0', m->name.len) == NULL;
	case FMT_PORT_ATTACHED:
		if (m->status == SLK_OK)
			return (m->encryption == FMT_PORT_ENCRYPTION_NONE ||
				       m->encryption == FMT_PORT_ENCRYPTION_KMS) &&
				m->sentence.len == 0;
		return m->status < 0 && m->handle == 0 && m->stream_id == 0 &&
			m->encryption == FMT_PORT_ENCRYPTION_UNKNOWN;
	}
	return false;
}

static void
write_sentence(struct slk_writer *w, struct slk_span sentence)
{
	size_t len = sentence.len < FMT_PORT_SENTENCE_MAX ? sentence.len : FMT_PORT_SENTENCE_MAX;

	slk_write_bytes(w, sentence.ptr, len);
}

int
fmt_port_message_encode(const struct fmt_port_message *m, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (!message_valid(m))
		return SLK_INVALID;
	slk_write_bytes(&w, magic, sizeof(magic));
	slk_write_u8(&w, VERSION);
	slk_write_u8(&w, (uint8_t)m->type);
	slk_write_le16(&w, 0);
	slk_write_le64(&w, m->id);
	switch (m->type) {
	case FMT_PORT_HELLO:
		slk_write_le32(&w, m->ring_bytes);
		slk_write_le32(&w, m->completions);
		break;
	case FMT_PORT_WELCOME:
		slk_write_le32(&w, (uint32_t)m->status);
		slk_write_le32(&w, m->ring_bytes);
		slk_write_le32(&w, m->completions);
		slk_write_le32(&w, m->data_max);
		write_sentence(&w, m->sentence);
		break;
	case FMT_PORT_ATTACH:
		slk_write_le32(&w, m->flags);
		slk_write_bytes(&w, m->name.ptr, m->name.len);
		break;
	case FMT_PORT_ATTACHED:
		slk_write_le32(&w, (uint32_t)m->status);
		slk_write_le32(&w, m->handle);
		slk_write_le64(&w, m->stream_id);
		slk_write_u8(&w, (uint8_t)m->encryption);
		slk_write_zeros(&w, 7);
		write_sentence(&w, m->sentence);
		break;
	case FMT_PORT_DETACH:
		slk_write_le32(&w, m->handle);
		slk_write_le32(&w, 0);
		break;
	case FMT_PORT_BELL:
		break;
	}
	if (w.status == SLK_OK)
		*out_len = w.len;
	return w.status;
}

static struct slk_span
read_rest(struct slk_reader *r)
{
	return slk_read_span(r, r->status == SLK_OK ? r->len : 0);
}

static bool
read_zeros(struct slk_reader *r, size_t len)
{
	static const uint8_t zeros[8];

	return slk_span_equal(slk_read_span(r, len), slk_span(zeros, len));
}

/* Behind the head. false: reserved bytes are not zero, or there is no such type. */
static bool
read_members(struct slk_reader *r, struct fmt_port_message *m)
{
	switch (m->type) {
	case FMT_PORT_HELLO:
		m->ring_bytes = slk_read_le32(r);
		m->completions = slk_read_le32(r);
		return true;
	case FMT_PORT_WELCOME:
		m->status = (int32_t)slk_read_le32(r);
		m->ring_bytes = slk_read_le32(r);
		m->completions = slk_read_le32(r);
		m->data_max = slk_read_le32(r);
		m->sentence = read_rest(r);
		return true;
	case FMT_PORT_ATTACH:
		m->flags = slk_read_le32(r);
		m->name = read_rest(r);
		return true;
	case FMT_PORT_ATTACHED:
		m->status = (int32_t)slk_read_le32(r);
		m->handle = slk_read_le32(r);
		m->stream_id = slk_read_le64(r);
		m->encryption = (enum fmt_port_encryption)slk_read_u8(r);
		if (!read_zeros(r, 7))
			return false;
		m->sentence = read_rest(r);
		return true;
	case FMT_PORT_DETACH:
		m->handle = slk_read_le32(r);
		return read_zeros(r, 4);
	case FMT_PORT_BELL:
		return true;
	}
	return false;
}

int
fmt_port_message_decode(struct slk_span in, struct fmt_port_message *out)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_port_message m = {0};
	struct slk_span head = slk_read_span(&r, sizeof(magic));
	uint8_t version = slk_read_u8(&r);

	m.type = (enum fmt_port_type)slk_read_u8(&r);
	uint16_t reserved = slk_read_le16(&r);
	m.id = slk_read_le64(&r);
	if (r.status != SLK_OK)
		return r.status;
	if (!slk_span_equal(head, slk_span(magic, sizeof(magic))))
		return SLK_MALFORMED;
	if (version != VERSION)
		return SLK_BAD_VERSION;
	bool well = reserved == 0 && read_members(&r, &m);
	if (r.status != SLK_OK)
		return r.status;
	if (!well || r.len != 0 || m.sentence.len > FMT_PORT_SENTENCE_MAX || !message_valid(&m))
		return SLK_MALFORMED;
	*out = m;
	return SLK_OK;
}
