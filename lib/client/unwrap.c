#include "client/unwrap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "format/context.h"
#include "kmsclient/kmsclient.h"

#define KEEP_MAX 16u /* connections that wait for the next call */

struct client_unwrap {
	char *socket; /* NULL: the default */
	unsigned timeout_ms;
	pthread_mutex_t lock;
	struct kmsc *idle[KEEP_MAX];
	size_t idle_count;
};

int
client_unwrap_new(const char *socket, uint32_t timeout_ms, struct client_unwrap **out_unwrap)
{
	struct client_unwrap *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return SLK_NO_MEMORY;
	if (socket != NULL && (u->socket = strdup(socket)) == NULL) {
		free(u);
		return SLK_NO_MEMORY;
	}
	u->timeout_ms = timeout_ms;
	pthread_mutex_init(&u->lock, NULL);
	*out_unwrap = u;
	return SLK_OK;
}

void
client_unwrap_free(struct client_unwrap *u)
{
	if (u == NULL)
		return;
	while (u->idle_count > 0)
		kmsc_free(u->idle[--u->idle_count]);
	pthread_mutex_destroy(&u->lock);
	free(u->socket);
	free(u);
}

static int
borrow(struct client_unwrap *u, struct kmsc **out_kms)
{
	struct kmsc *kms = NULL;

	pthread_mutex_lock(&u->lock);
	if (u->idle_count > 0)
		kms = u->idle[--u->idle_count];
	pthread_mutex_unlock(&u->lock);
	if (kms == NULL)
		return kmsc_new(u->socket, u->timeout_ms, out_kms);
	*out_kms = kms;
	return SLK_OK;
}

static void
give_back(struct client_unwrap *u, struct kmsc *kms)
{
	pthread_mutex_lock(&u->lock);
	if (u->idle_count < KEEP_MAX) {
		u->idle[u->idle_count++] = kms;
		kms = NULL;
	}
	pthread_mutex_unlock(&u->lock);
	kmsc_free(kms);
}

int
client_unwrap_decrypt(void *ctx, const struct sealock_epoch *epoch,
	struct slk_secret **out_data_key, struct slk_error *err)
{
	struct client_unwrap *u = ctx;
	struct fmt_context *context = NULL;
	struct kmsc *kms = NULL;
	int rc = fmt_context_for_stream(epoch->stream_arn, &context);

	if (rc == SLK_OK)
		rc = borrow(u, &kms);
	if (rc != SLK_OK) {
		fmt_context_free(context);
		return slk_fail(err, rc, "cannot ask kmsd: %s", slk_status_sentence(rc));
	}
	rc = kmsc_decrypt(kms, NULL, context, epoch->wrapped, out_data_key, NULL, err);
	give_back(u, kms);
	fmt_context_free(context);
	return rc;
}
