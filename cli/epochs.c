#include "epochs.h"

#include <stdlib.h>

#include "base/secret.h"

struct slot {
	uint64_t epoch_id;
	uint64_t opened_ns; /* monotonic */
	struct jnl_epoch_key *key;
};

struct cli_epochs {
	struct seal_thread *thread;
	const struct cli_unwrap *unwrap;
	const struct slk_clock *clock;
	struct jnl_rewraps *rewraps; /* NULL: key blocks alone */
	uint64_t decrypts;
	size_t count;
	struct slot slots[CLI_EPOCHS_MAX]; /* oldest first */
};

int
cli_epochs_new(struct seal_thread *thread, const struct cli_unwrap *unwrap,
	const struct slk_clock *clock, struct cli_epochs **out_epochs)
{
	struct cli_epochs *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return SLK_NO_MEMORY;
	e->thread = thread;
	e->unwrap = unwrap;
	e->clock = clock;
	*out_epochs = e;
	return SLK_OK;
}

void
cli_epochs_use(struct cli_epochs *epochs, struct jnl_rewraps *rewraps)
{
	epochs->rewraps = rewraps;
}

static void
drop_oldest(struct cli_epochs *e)
{
	jnl_epoch_key_free(e->slots[0].key);
	e->count--;
	for (size_t i = 0; i < e->count; i++)
		e->slots[i] = e->slots[i + 1];
}

void
cli_epochs_free(struct cli_epochs *epochs)
{
	if (epochs == NULL)
		return;
	while (epochs->count > 0)
		drop_oldest(epochs);
	free(epochs);
}

void
cli_epochs_expire(struct cli_epochs *epochs)
{
	uint64_t now = slk_mono_ns(epochs->clock);

	while (epochs->count > 0 && now - epochs->slots[0].opened_ns >= CLI_EPOCH_TTL_NS)
		drop_oldest(epochs);
}

/* The key block is not authenticated by itself: what it says must be what the stream's own context
 * is, so that the key of one stream is never asked for in the name of another. */
static int
stream_context(const struct jnl_epoch_info *info, const char *stream_arn,
	struct fmt_context **out_context, struct slk_error *err)
{
	struct fmt_context *context = NULL;
	uint8_t expected[FMT_CONTEXT_MAX];
	size_t len = 0;
	int rc = fmt_context_for_stream(stream_arn, &context);

	if (rc == SLK_OK)
		rc = fmt_context_encode(context, expected, sizeof(expected), &len);
	if (rc != SLK_OK) {
		fmt_context_free(context);
		return slk_fail(err, rc, "cannot make the encryption context of %s: %s", stream_arn,
			slk_status_sentence(rc));
	}
	if (!slk_span_equal(info->context, slk_span(expected, len))) {
		fmt_context_free(context);
		return slk_fail(err, SLK_CORRUPT,
			"the key block of epoch %016llx carries an encryption context that is not "
			"the one of %s",
			(unsigned long long)info->epoch_id, stream_arn);
	}
	*out_context = context;
	return SLK_OK;
}

struct asking {
	const struct cli_unwrap *unwrap;
	const struct fmt_context *context;
};

static int
decrypt(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err)
{
	const struct asking *a = ctx;

	(void)info;
	return a->unwrap->decrypt(a->unwrap->ctx, a->context, wrapped, out_data_key, err);
}

static int
open_epoch(struct cli_epochs *e, const struct jnl_epoch_info *info, const char *stream_arn,
	struct jnl_epoch_key **out_key, struct slk_error *err)
{
	struct fmt_context *context = NULL;
	struct slk_secret *data_key = NULL;
	int rc = stream_context(info, stream_arn, &context, err);

	if (rc != SLK_OK)
		return rc;
	struct asking asking = {e->unwrap, context};
	rc = jnl_rewraps_data_key(e->rewraps, info, decrypt, &asking, &data_key, err);
	fmt_context_free(context);
	if (rc != SLK_OK) {
		(void)slk_fail_prefix(
			err, "cannot open epoch %016llx", (unsigned long long)info->epoch_id);
		return rc; /* also when the caller wants no sentence */
	}
	rc = jnl_epoch_key_new(e->thread, info, data_key, out_key);
	slk_secret_free(data_key);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot open epoch %016llx: %s",
			(unsigned long long)info->epoch_id, slk_status_sentence(rc));
	e->decrypts++;
	return SLK_OK;
}

int
cli_epochs_get(struct cli_epochs *epochs, const struct jnl_epoch_info *info, const char *stream_arn,
	const struct jnl_epoch_key **out_key, struct slk_error *err)
{
	struct jnl_epoch_key *key = NULL;

	cli_epochs_expire(epochs);
	for (size_t i = epochs->count; i-- > 0;) {
		if (epochs->slots[i].epoch_id == info->epoch_id) {
			*out_key = epochs->slots[i].key;
			return SLK_OK;
		}
	}
	/* The age counts from before the question, so that a slow answer cannot make a key live
	 * longer. */
	uint64_t asked_ns = slk_mono_ns(epochs->clock);
	int rc = open_epoch(epochs, info, stream_arn, &key, err);
	if (rc != SLK_OK)
		return rc;
	if (epochs->count == CLI_EPOCHS_MAX)
		drop_oldest(epochs);
	epochs->slots[epochs->count++] = (struct slot){info->epoch_id, asked_ns, key};
	*out_key = key;
	return SLK_OK;
}

size_t
cli_epochs_count(const struct cli_epochs *epochs)
{
	return epochs->count;
}

uint64_t
cli_epochs_decrypts(const struct cli_epochs *epochs)
{
	return epochs->decrypts;
}
