#include "hsm/draw.h"

#include <string.h>

static CK_RV
fill(struct hsm_session *session, size_t len)
{
	hsm_draw_drop(session);
	CK_RV rv = HSM_SESSION_CALL(
		session, C_GenerateRandom, slk_secret_bytes(session->drawn), (CK_ULONG)len);
	session->drawn_len = len; /* also after an error: it may have written some of them */
	session->drawn_at = rv == CKR_OK ? 0 : len;
	return rv;
}

void
hsm_draw_ahead(struct hsm_session *session, size_t each_bytes)
{
	size_t count = (size_t)session->ahead_count + 1;

	if (count > HSM_DRAW_AHEAD)
		count = HSM_DRAW_AHEAD;
	if (count > HSM_SESSION_DRAWN / each_bytes)
		count = HSM_SESSION_DRAWN / each_bytes;
	session->draw_bytes = count * each_bytes;
}

CK_RV
hsm_draw(struct hsm_session *session, uint8_t *out, size_t len)
{
	uint8_t *drawn = slk_secret_bytes(session->drawn);

	if (session->drawn_len - session->drawn_at < len) {
		size_t want = session->draw_bytes > len ? session->draw_bytes : len;
		if (want > HSM_SESSION_DRAWN)
			return HSM_SESSION_CALL(session, C_GenerateRandom, out, (CK_ULONG)len);
		CK_RV rv = fill(session, want);
		if (rv != CKR_OK)
			return rv;
	}
	memcpy(out, drawn + session->drawn_at, len);
	slk_wipe(drawn + session->drawn_at, len);
	session->drawn_at += len;
	return CKR_OK;
}

void
hsm_draw_drop(struct hsm_session *session)
{
	slk_wipe(slk_secret_bytes(session->drawn), session->drawn_len);
	session->drawn_at = session->drawn_len = session->draw_bytes = 0;
}
