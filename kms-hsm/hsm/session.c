/* The memory of a session; see hsm/token.h. Apart from token.c, for others than the worker have sessions, too. */
#include <string.h>

#include "hsm/token.h"

int
hsm_session_init(struct hsm_session *session, struct hsm_token *token, unsigned index)
{
	memset(session, 0, sizeof(*session));
	session->token = token;
	session->index = index;
	int rc = slk_secret_new(HSM_SESSION_ARENA, &session->arena);
	return rc == SLK_OK ? slk_secret_new(HSM_SESSION_DRAWN, &session->drawn) : rc;
}

void
hsm_session_fini(struct hsm_session *session)
{
	slk_secret_free(session->arena);
	slk_secret_free(session->drawn);
	session->arena = session->drawn = NULL;
}
