#include "format/session.h"

#include <stdbool.h>

#include "format/utf8.h"

#define VERSION 1u
#define AES_256_GCM 1u
#define TEXTS 6u

static const char magic[4] = {'S', 'L', 'K', 'T'};

/* Of the six texts, in their order. */
static const struct {
	size_t min, max;
} limits[TEXTS] = {{1, 21}, {1, 64}, {0, 64}, {0, 64}, {1, 319}, {0, FMT_SESSION_POLICY_MAX}};

void
fmt_session_header(const struct fmt_session_token *token, uint8_t out[FMT_SESSION_HEADER_BYTES])
{
	uint8_t *p = out;

	/* By hand: of a writer whose end is known to the compiler it sees overruns that cannot be. */
	memcpy(p, magic, sizeof(magic));
	p += sizeof(magic);
	*p++ = VERSION;
	*p++ = AES_256_GCM;
	slk_put_le16(p, 0);
	p += 2;
	memcpy(p, token->key_id, sizeof(token->key_id));
	memcpy(p + sizeof(token->key_id), token->salt, sizeof(token->salt));
}

int
fmt_session_token_decode(struct slk_span in, struct fmt_session_token *out_token)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_session_token token;

	if (in.len < FMT_SESSION_HEADER_BYTES + FMT_SESSION_CLAIMS_MIN + FMT_SESSION_TAG_BYTES)
		return SLK_TRUNCATED;
	if (in.len > FMT_SESSION_MAX)
		return SLK_MALFORMED;
	struct slk_span begin = slk_read_span(&r, sizeof(magic));
	if (!slk_span_equal(begin, slk_span(magic, sizeof(magic))))
		return SLK_MALFORMED;
	if (slk_read_u8(&r) != VERSION)
		return SLK_BAD_VERSION;
	if (slk_read_u8(&r) != AES_256_GCM || slk_read_le16(&r) != 0)
		return SLK_MALFORMED;
	slk_read_bytes(&r, token.key_id, sizeof(token.key_id));
	slk_read_bytes(&r, token.salt, sizeof(token.salt));
	token.sealed = slk_read_span(&r, r.len);
	int rc = slk_reader_end(&r);
	if (rc == SLK_OK)
		*out_token = token;
	return rc;
}

/* --- claims --- */

static bool
is_text(struct slk_span s, size_t min, size_t max)
{
	return s.len >= min && s.len <= max && fmt_utf8_is_text(s);
}

/* What both the encoder and the decoder ask for. */
static bool
is_sound(const struct fmt_session *s)
{
	const struct slk_span texts[TEXTS] = {
		s->role_id, s->role, s->name, s->source_identity, s->caller, s->policy};

	if (s->access_key_id.len != FMT_SESSION_ACCESS_BYTES ||
		s->seed.len != FMT_SESSION_SEED_BYTES || s->expires_ns <= s->issued_ns ||
		s->policies_count > FMT_SESSION_POLICIES_MAX ||
		s->tags_count > FMT_SESSION_TAGS_MAX)
		return false;
	for (size_t i = 0; i < TEXTS; i++)
		if (!is_text(texts[i], limits[i].min, limits[i].max))
			return false;
	if (s->name.len == 1)
		return false;
	for (size_t i = 0; i < s->policies_count; i++)
		if (!is_text(s->policies[i], 1, 128))
			return false;
	for (size_t i = 0; i < s->tags_count; i++)
		if (!is_text(s->tag_keys[i], 1, 512) || !is_text(s->tag_values[i], 0, 1024))
			return false;
	return fmt_utf8_is_text(s->access_key_id);
}

static void
write_lists(const struct fmt_session *s, struct slk_writer *w)
{
	for (size_t i = 0; i < s->policies_count; i++) {
		slk_write_le16(w, (uint16_t)s->policies[i].len);
		slk_write_bytes(w, s->policies[i].ptr, s->policies[i].len);
	}
	for (size_t i = 0; i < s->tags_count; i++) {
		slk_write_le16(w, (uint16_t)s->tag_keys[i].len);
		slk_write_le16(w, (uint16_t)s->tag_values[i].len);
		slk_write_bytes(w, s->tag_keys[i].ptr, s->tag_keys[i].len);
		slk_write_bytes(w, s->tag_values[i].ptr, s->tag_values[i].len);
	}
}

static size_t
size_of(const struct fmt_session *s)
{
	size_t len = 80 + s->role_id.len + s->role.len + s->name.len + s->source_identity.len +
		s->caller.len + s->policy.len;

	for (size_t i = 0; i < s->policies_count; i++)
		len += 2 + s->policies[i].len;
	for (size_t i = 0; i < s->tags_count; i++)
		len += 4 + s->tag_keys[i].len + s->tag_values[i].len;
	return len;
}

int
fmt_session_encode(const struct fmt_session *session, uint8_t *out, size_t cap, size_t *out_len)
{
	const struct fmt_session *s = session;
	const struct slk_span texts[TEXTS] = {
		s->role_id, s->role, s->name, s->source_identity, s->caller, s->policy};
	struct slk_writer w = slk_writer(out, cap);

	if (!is_sound(s))
		return SLK_INVALID;
	if (size_of(s) > FMT_SESSION_CLAIMS_MAX)
		return SLK_TOO_LARGE;
	slk_write_le64(&w, s->issued_ns);
	slk_write_le64(&w, s->expires_ns);
	slk_write_bytes(&w, s->access_key_id.ptr, s->access_key_id.len);
	slk_write_bytes(&w, s->seed.ptr, s->seed.len);
	slk_write_u8(&w, (uint8_t)s->policies_count);
	slk_write_u8(&w, (uint8_t)s->tags_count);
	for (size_t i = 0; i < TEXTS; i++)
		slk_write_le16(&w, (uint16_t)texts[i].len);
	for (size_t i = 0; i < TEXTS; i++)
		slk_write_bytes(&w, texts[i].ptr, texts[i].len);
	write_lists(s, &w);
	if (w.status == SLK_OK)
		*out_len = w.len;
	return w.status;
}

static void
read_lists(struct slk_reader *r, struct fmt_session *s)
{
	for (size_t i = 0; i < s->policies_count; i++)
		s->policies[i] = slk_read_span(r, slk_read_le16(r));
	for (size_t i = 0; i < s->tags_count; i++) {
		size_t key_len = slk_read_le16(r), value_len = slk_read_le16(r);
		s->tag_keys[i] = slk_read_span(r, key_len);
		s->tag_values[i] = slk_read_span(r, value_len);
	}
}

int
fmt_session_decode(struct slk_span in, struct fmt_session *out_session)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_session s = {0};
	struct slk_span *const texts[TEXTS] = {
		&s.role_id, &s.role, &s.name, &s.source_identity, &s.caller, &s.policy};
	size_t lens[TEXTS];

	if (in.len > FMT_SESSION_CLAIMS_MAX)
		return SLK_MALFORMED;
	s.issued_ns = slk_read_le64(&r);
	s.expires_ns = slk_read_le64(&r);
	s.access_key_id = slk_read_span(&r, FMT_SESSION_ACCESS_BYTES);
	s.seed = slk_read_span(&r, FMT_SESSION_SEED_BYTES);
	s.policies_count = slk_read_u8(&r);
	s.tags_count = slk_read_u8(&r);
	for (size_t i = 0; i < TEXTS; i++)
		lens[i] = slk_read_le16(&r);
	for (size_t i = 0; i < TEXTS; i++)
		*texts[i] = slk_read_span(&r, lens[i]);
	if (r.status != SLK_OK)
		return r.status;
	if (s.policies_count > FMT_SESSION_POLICIES_MAX || s.tags_count > FMT_SESSION_TAGS_MAX)
		return SLK_MALFORMED;
	read_lists(&r, &s);
	int rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	if (!is_sound(&s))
		return SLK_MALFORMED;
	*out_session = s;
	return SLK_OK;
}
