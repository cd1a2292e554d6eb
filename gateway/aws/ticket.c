#include "aws/ticket.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/base64.h"
#include "base/secret.h"

#define HEAD 8u
#define NONCE 12u
#define TAG 16u
#define FIXED 32u
#define PLAIN_MAX (FIXED + 1 + GW_TICKET_NAME_MAX + 2 + GW_TICKET_MORE_MAX)
#define BYTES_MAX (HEAD + NONCE + PLAIN_MAX + TAG)

static size_t
encode(const struct gw_ticket *t, uint8_t out[PLAIN_MAX])
{
	size_t name = strnlen(t->name, sizeof(t->name) - 1),
	       more = strnlen(t->more, sizeof(t->more) - 1);

	memset(out, 0, FIXED);
	out[0] = (uint8_t)t->purpose;
	out[1] = t->kind;
	slk_put_be32(out + 4, t->shard);
	slk_put_be64(out + 8, t->stream_id);
	slk_put_be64(out + 16, t->value);
	slk_put_be64(out + 24, t->issued_ms);
	out[FIXED] = (uint8_t)name;
	memcpy(out + FIXED + 1, t->name, name);
	slk_put_be16(out + FIXED + 1 + name, (uint16_t)more);
	memcpy(out + FIXED + 3 + name, t->more, more);
	return FIXED + 3 + name + more;
}

static int
decode(const uint8_t *in, size_t len, enum gw_ticket_purpose purpose, struct gw_ticket *out)
{
	struct slk_reader r = slk_reader(slk_span(in, len));
	struct gw_ticket t = {.purpose = purpose};

	uint8_t is = slk_read_u8(&r);
	t.kind = slk_read_u8(&r);
	(void)slk_read_be16(&r);
	t.shard = slk_read_be32(&r);
	t.stream_id = slk_read_be64(&r);
	t.value = slk_read_be64(&r);
	t.issued_ms = slk_read_be64(&r);
	size_t name = slk_read_u8(&r);
	if (name >= sizeof(t.name))
		return SLK_MALFORMED;
	slk_read_bytes(&r, t.name, name);
	size_t more = slk_read_be16(&r);
	if (more >= sizeof(t.more))
		return SLK_MALFORMED;
	slk_read_bytes(&r, t.more, more);
	if (slk_reader_end(&r) != SLK_OK || is != (uint8_t)purpose)
		return SLK_MALFORMED;
	*out = t;
	return SLK_OK;
}

/* Seal or open len bytes behind head and nonce; the tag lies behind them. */
static int
gcm(const uint8_t *key, uint8_t *bytes, size_t len, bool seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *body = bytes + HEAD + NONCE;
	int n = 0, rc = SLK_INTERNAL;

	if (ctx == NULL)
		return SLK_NO_MEMORY;
	if (EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, bytes + HEAD, seal) != 1 ||
		EVP_CipherUpdate(ctx, NULL, &n, bytes, HEAD) != 1 ||
		EVP_CipherUpdate(ctx, body, &n, body, (int)len) != 1)
		goto out;
	if (!seal && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, body + len) != 1)
		goto out;
	if (EVP_CipherFinal_ex(ctx, body + len, &n) != 1) {
		rc = seal ? SLK_INTERNAL : SLK_MALFORMED;
		goto out;
	}
	if (seal && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, body + len) != 1)
		goto out;
	rc = SLK_OK;
out:
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

int
gw_ticket_seal(const uint8_t key[GW_TICKET_KEY_BYTES], const struct gw_ticket *ticket,
	char out[GW_TICKET_TEXT])
{
	uint8_t bytes[BYTES_MAX];

	slk_put_be64(bytes, 1);
	int rc = slk_random(bytes + HEAD, NONCE);
	if (rc != SLK_OK)
		return rc;
	size_t len = encode(ticket, bytes + HEAD + NONCE);
	rc = gcm(key, bytes, len, true);
	len += HEAD + NONCE + TAG;
	if (rc == SLK_OK)
		rc = slk_base64_encode(SLK_BASE64, slk_span(bytes, len), out, GW_TICKET_TEXT - 3);
	if (rc != SLK_OK)
		return rc;
	for (size_t n = strlen(out); n % 4 != 0; n++)
		(void)memcpy(out + n, "=", 2);
	return SLK_OK;
}

int
gw_ticket_open(const uint8_t key[GW_TICKET_KEY_BYTES], enum gw_ticket_purpose purpose,
	const char *text, struct gw_ticket *out)
{
	uint8_t bytes[BYTES_MAX];
	size_t chars = strlen(text), len = 0;

	if (chars >= 2 && text[0] == '"' && text[chars - 1] == '"') {
		text++;
		chars -= 2;
	}
	if (chars % 4 != 0)
		return SLK_MALFORMED;
	for (unsigned pads = 0; pads < 2 && chars > 0 && text[chars - 1] == '='; pads++)
		chars--;
	if (slk_base64_decode(SLK_BASE64, slk_span(text, chars), bytes, sizeof(bytes), &len) !=
			SLK_OK ||
		len < HEAD + NONCE + TAG + FIXED || slk_get_be64(bytes) != 1)
		return SLK_MALFORMED;
	len -= HEAD + NONCE + TAG;
	int rc = gcm(key, bytes, len, false);
	if (rc != SLK_OK)
		return rc;
	return decode(bytes + HEAD + NONCE, len, purpose, out);
}
