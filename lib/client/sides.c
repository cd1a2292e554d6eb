#include "client/sides.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal/attest.h"

/* One directory. */
struct side {
	struct side *next;
	char *dir;
	pthread_mutex_t lock;
	struct jnl_rewraps *rewraps; /* NULL until it was looked at */
};

struct client_sides {
	pthread_mutex_t lock; /* of the list */
	struct side *list;
	struct seal_attest_keys *trusted; /* NULL: whoever signed */
	void (*note)(void *ctx, const char *sentence);
	void *ctx;
};

int
client_sides_new(const char *attestation_pem, void (*note)(void *ctx, const char *sentence),
	void *ctx, struct client_sides **out_sides, struct slk_error *err)
{
	struct client_sides *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	s->note = note;
	s->ctx = ctx;
	if (attestation_pem != NULL) {
		int rc = seal_attest_keys_new(slk_span_str(attestation_pem), &s->trusted, err);
		if (rc != SLK_OK) {
			free(s);
			return rc;
		}
	}
	pthread_mutex_init(&s->lock, NULL);
	*out_sides = s;
	return SLK_OK;
}

void
client_sides_free(struct client_sides *s)
{
	if (s == NULL)
		return;
	while (s->list != NULL) {
		struct side *side = s->list;
		s->list = side->next;
		jnl_rewraps_free(side->rewraps);
		pthread_mutex_destroy(&side->lock);
		free(side->dir);
		free(side);
	}
	seal_attest_keys_free(s->trusted);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct side *
find(struct client_sides *s, const char *dir)
{
	for (struct side *side = s->list; side != NULL; side = side->next) {
		if (strcmp(side->dir, dir) == 0)
			return side;
	}
	struct side *side = calloc(1, sizeof(*side));
	if (side == NULL)
		return NULL;
	side->dir = strdup(dir);
	if (side->dir == NULL) {
		free(side);
		return NULL;
	}
	pthread_mutex_init(&side->lock, NULL);
	side->next = s->list;
	s->list = side;
	return side;
}

static void
seen(void *arg, const struct jnl_rewrap_file *file)
{
	const struct client_sides *s = arg;
	char text[FMT_REWRAP_NAME_MAX + 64 + sizeof(file->why.text)];

	if (s->note == NULL || jnl_rewrap_is_used(file->state))
		return;
	(void)snprintf(text, sizeof(text), "%s is passed over (%s): %s", file->name,
		jnl_rewrap_state_name(file->state), file->why.text);
	s->note(s->ctx, text);
}

/* Others may search while this one waits for its answer: what is known of the side files may grow meanwhile. */
struct unlocked {
	struct side *side;
	jnl_decrypt_fn decrypt;
	void *ctx;
};

static int
decrypt_unlocked(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err)
{
	const struct unlocked *u = ctx;

	pthread_mutex_unlock(&u->side->lock);
	int rc = u->decrypt(u->ctx, info, wrapped, out_data_key, err);
	pthread_mutex_lock(&u->side->lock);
	return rc;
}

int
client_sides_data_key(struct client_sides *s, const char *dir, const struct jnl_epoch_info *info,
	jnl_decrypt_fn decrypt, void *ctx, struct slk_secret **out_data_key, struct slk_error *err)
{
	int rc = SLK_OK;

	pthread_mutex_lock(&s->lock);
	struct side *side = find(s, dir);
	pthread_mutex_unlock(&s->lock);
	if (side == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	struct unlocked unlocked = {side, decrypt, ctx};
	pthread_mutex_lock(&side->lock);
	if (side->rewraps == NULL) {
		const struct jnl_rewraps_config config = {.dir = dir,
			.trusted = s->trusted,
			.any_stream = true,
			.seen = seen,
			.arg = s};
		rc = jnl_rewraps_new(&config, &side->rewraps, err);
	}
	if (rc == SLK_OK)
		rc = jnl_rewraps_data_key(
			side->rewraps, info, decrypt_unlocked, &unlocked, out_data_key, err);
	pthread_mutex_unlock(&side->lock);
	return rc;
}
