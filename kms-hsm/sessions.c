#include "sessions.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "gcm.h"

#define KEYS_MAX 2u /* as many as the catalog keeps */

static const char label[] = "sealock-session-1"; /* with its terminator */

struct kms_sessions {
	struct kms_hmac *hmac;
	const struct kms_gcm *gcm;
	uint8_t ids[KEYS_MAX][FMT_SESSION_KEY_ID_BYTES];
	struct slk_secret *keys[KEYS_MAX]; /* NULL: none */
	size_t next; /* to be replaced */
};

int
kms_sessions_new(
	struct kms_hmac *hmac, const struct kms_gcm *gcm, struct kms_sessions **out_sessions)
{
	struct kms_sessions *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SLK_NO_MEMORY;
	s->hmac = hmac;
	s->gcm = gcm;
	*out_sessions = s;
	return SLK_OK;
}

void
kms_sessions_free(struct kms_sessions *sessions)
{
	if (sessions == NULL)
		return;
	for (size_t i = 0; i < KEYS_MAX; i++)
		slk_secret_free(sessions->keys[i]);
	free(sessions);
}

static const struct slk_secret *
find(const struct kms_sessions *s, const uint8_t *id)
{
	for (size_t i = 0; i < KEYS_MAX; i++)
		if (s->keys[i] != NULL && memcmp(s->ids[i], id, sizeof(s->ids[i])) == 0)
			return s->keys[i];
	return NULL;
}

bool
kms_sessions_has(const struct kms_sessions *sessions, const uint8_t id[FMT_SESSION_KEY_ID_BYTES])
{
	return find(sessions, id) != NULL;
}

int
kms_sessions_take(struct kms_sessions *sessions, const uint8_t id[FMT_SESSION_KEY_ID_BYTES],
	const uint8_t key[KMS_SESSION_KEY_BYTES])
{
	struct slk_secret *copy = NULL;

	if (find(sessions, id) != NULL)
		return SLK_OK;
	int rc = slk_secret_from(key, KMS_SESSION_KEY_BYTES, &copy);
	if (rc != SLK_OK)
		return rc;
	slk_secret_free(sessions->keys[sessions->next]);
	sessions->keys[sessions->next] = copy;
	memcpy(sessions->ids[sessions->next], id, sizeof(sessions->ids[0]));
	sessions->next = (sessions->next + 1) % KEYS_MAX;
	return SLK_OK;
}

/* Key and IV of one token. */
static int
derive(struct kms_sessions *s, const struct fmt_session_token *token, uint8_t out[KMS_SHA512_BYTES])
{
	const struct slk_secret *key = find(s, token->key_id);
	uint8_t text[sizeof(label) + FMT_SESSION_SALT_BYTES];

	if (key == NULL)
		return SLK_NOT_FOUND;
	memcpy(text, label, sizeof(label));
	memcpy(text + sizeof(label), token->salt, sizeof(token->salt));
	return kms_hmac_sha512(s->hmac, slk_span(slk_secret_peek(key), slk_secret_len(key)),
		slk_span(text, sizeof(text)), out);
}

/* --- sealing --- */

int
kms_sessions_seal(struct kms_sessions *sessions, const uint8_t id[FMT_SESSION_KEY_ID_BYTES],
	struct slk_span claims, char *out, size_t cap)
{
	static uint8_t bytes[FMT_SESSION_MAX]; /* one thread; holds ciphertext only */
	struct fmt_session_token token = {.sealed = {NULL, 0}};
	uint8_t key[KMS_SHA512_BYTES];

	if (claims.len > FMT_SESSION_CLAIMS_MAX)
		return SLK_INTERNAL;
	memcpy(token.key_id, id, sizeof(token.key_id));
	int rc = slk_random(token.salt, sizeof(token.salt));
	if (rc == SLK_OK)
		rc = derive(sessions, &token, key);
	if (rc == SLK_OK) {
		fmt_session_header(&token, bytes);
		rc = kms_gcm_seal(sessions->gcm, key, key + KMS_SESSION_KEY_BYTES,
			slk_span(bytes, FMT_SESSION_HEADER_BYTES), claims,
			bytes + FMT_SESSION_HEADER_BYTES);
	}
	slk_wipe(key, sizeof(key));
	if (rc != SLK_OK)
		return rc;
	size_t len = FMT_SESSION_HEADER_BYTES + claims.len + FMT_SESSION_TAG_BYTES;
	return slk_base64_encode(SLK_BASE64_URL, slk_span(bytes, len), out, cap);
}

/* --- opening --- */

int
kms_sessions_open(struct kms_sessions *sessions, const struct fmt_session_token *token,
	uint8_t *out, size_t *out_len)
{
	uint8_t key[KMS_SHA512_BYTES], header[FMT_SESSION_HEADER_BYTES];

	int rc = derive(sessions, token, key);
	fmt_session_header(token, header);
	if (rc == SLK_OK)
		rc = kms_gcm_open(sessions->gcm, key, key + KMS_SESSION_KEY_BYTES,
			slk_span(header, sizeof(header)), token->sealed, out);
	slk_wipe(key, sizeof(key));
	if (rc == SLK_OK)
		*out_len = token->sealed.len - FMT_SESSION_TAG_BYTES;
	return rc;
}
