#include "kms.h"

#include <stdlib.h>
#include <unistd.h>

/* One connection, and the process that made it. */
struct prov_session {
	struct kmsc *client;
	pid_t pid;
};

static void
session_free(struct prov_session *session)
{
	if (session == NULL)
		return;
	kmsc_free(session->client);
	free(session);
}

static struct prov_session *
session_new(struct prov *prov)
{
	struct prov_session *session = calloc(1, sizeof(*session));
	int rc = session != NULL ? kmsc_new(prov->socket_path, prov->timeout_ms, &session->client)
				 : SLK_NO_MEMORY;

	if (rc == SLK_OK) {
		session->pid = getpid();
		return session;
	}
	free(session);
	prov_raise(prov, PROV_E_KMS, "cannot make a session: %s (see ulimit -l)",
		slk_status_sentence(rc));
	return NULL;
}

/* No lock, so that a fork in between leaves none locked: each slot is taken and filled by one atomic step. */
static struct prov_session *
session_take(struct prov *prov)
{
	for (size_t i = 0; i < PROV_SESSIONS_KEPT; i++) {
		struct prov_session *session = atomic_exchange(&prov->sessions[i], NULL);
		if (session != NULL && session->pid == getpid())
			return session;
		session_free(session);
	}
	return session_new(prov);
}

static void
session_give(struct prov *prov, struct prov_session *session)
{
	for (size_t i = 0; i < PROV_SESSIONS_KEPT; i++) {
		struct prov_session *none = NULL;
		if (atomic_compare_exchange_strong(&prov->sessions[i], &none, session))
			return;
	}
	session_free(session);
}

void
prov_kms_close(struct prov *prov)
{
	for (size_t i = 0; i < PROV_SESSIONS_KEPT; i++)
		session_free(atomic_exchange(&prov->sessions[i], NULL));
}

/* Ends a call: the session goes back, what went wrong is raised. */
static bool
done(struct prov *prov, struct prov_session *session, int rc, const struct slk_error *err)
{
	session_give(prov, session);
	if (rc == SLK_OK)
		return true;
	prov_raise(
		prov, PROV_E_KMS, "%s", err->text[0] != '\0' ? err->text : slk_status_sentence(rc));
	return false;
}

bool
prov_kms_public_key(struct prov *prov, const char *key, struct kmsc_public_key *out)
{
	struct prov_session *session = session_take(prov);
	struct slk_error err = {0};

	if (session == NULL)
		return false;
	return done(prov, session, kmsc_get_public_key(session->client, key, out, &err), &err);
}

bool
prov_kms_sign(struct prov *prov, const char *key, const char *algorithm,
	const unsigned char *digest, size_t len, struct kmsc_signature *out)
{
	const struct kmsc_message message = {.bytes = slk_span(digest, len), .is_digest = true};
	struct prov_session *session = session_take(prov);
	struct slk_error err = {0};

	if (session == NULL)
		return false;
	return done(prov, session, kmsc_sign(session->client, key, algorithm, &message, out, &err),
		&err);
}

bool
prov_kms_decrypt(struct prov *prov, const char *key, const char *algorithm,
	const unsigned char *sealed, size_t len, struct slk_secret **out)
{
	struct prov_session *session = session_take(prov);
	struct kmsc_plaintext plain = {0};
	struct slk_error err = {0};

	if (session == NULL)
		return false;
	int rc = kmsc_decrypt_with(
		session->client, key, algorithm, NULL, slk_span(sealed, len), &plain, &err);
	if (rc == SLK_OK)
		*out = plain.bytes;
	return done(prov, session, rc, &err);
}

bool
prov_kms_unwrap(struct prov *prov, const struct fmt_context *context, struct slk_span blob,
	struct slk_secret **out)
{
	struct prov_session *session = session_take(prov);
	struct slk_error err = {0};

	if (session == NULL)
		return false;
	return done(prov, session,
		kmsc_decrypt(session->client, NULL, context, blob, out, NULL, &err), &err);
}
