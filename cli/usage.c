#include "usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "format/uuid.h"
#include "idset.h"
#include "journal/inspect.h"
#include "journal/rewraps.h"
#include "text.h"

_Static_assert(FMT_BLOB_KEY_ID_BYTES == FMT_UUID_BYTES, "ids of keys are UUIDs");

struct collector {
	struct cli_usage *usage;
	const uint8_t *key_id;
	struct jnl_rewraps *rewraps;
	struct jnl_rewrapped *entry; /* scratch */
	struct cli_idset seen;
};

/* --- epochs --- */

/* What one wrap says. True if it is under the key. */
static bool
look(const struct collector *c, struct slk_span wrapped, struct cli_usage_epoch *e)
{
	struct fmt_blob blob;

	if (fmt_blob_decode(wrapped, &blob) != SLK_OK)
		return false;
	if (memcmp(blob.key_id, c->key_id, sizeof(blob.key_id)) != 0) {
		e->alone = false;
		return false;
	}
	memcpy(e->backing_id, blob.backing_id, sizeof(e->backing_id));
	return true;
}

/* The key block first and side files from the oldest: the material that stays is the newest wrap's. */
static bool
wrapped_by_key(
	const struct collector *c, const struct jnl_epoch_info *info, struct cli_usage_epoch *e)
{
	unsigned count = 0;
	bool by_key = look(c, info->wrapped, e);

	while (count < JNL_REWRAP_TRIES &&
		jnl_rewraps_entry(c->rewraps, info, count, c->entry) == SLK_OK)
		count++;
	while (count > 0)
		if (jnl_rewraps_entry(c->rewraps, info, --count, c->entry) == SLK_OK)
			by_key |= look(c, slk_span(c->entry->wrapped, c->entry->wrapped_len), e);
	return by_key;
}

/* There are few. */
static int
stream_of(struct cli_usage *u, const char *arn, uint32_t *out_index)
{
	uint32_t i = 0;

	while (i < u->streams_count && strcmp(u->streams[i].arn, arn) != 0)
		i++;
	*out_index = i;
	if (i < u->streams_count)
		return SLK_OK;
	struct cli_usage_stream *bigger = realloc(u->streams, (i + 1) * sizeof(*bigger));
	if (bigger == NULL)
		return SLK_NO_MEMORY;
	u->streams = bigger;
	u->streams[u->streams_count++] = (struct cli_usage_stream){.sum = {0}};
	(void)snprintf(u->streams[i].arn, sizeof(u->streams[i].arn), "%s", arn);
	return SLK_OK;
}

static int
add(struct cli_usage *u, const struct cli_usage_epoch *epoch)
{
	if (u->count == u->cap) {
		size_t cap = u->cap != 0 ? 2 * u->cap : 64;
		struct cli_usage_epoch *bigger = realloc(u->epochs, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		u->epochs = bigger;
		u->cap = cap;
	}
	u->epochs[u->count++] = *epoch;
	return SLK_OK;
}

static int
on_epoch(void *arg, const struct jnl_epoch_info *info)
{
	struct collector *c = arg;
	struct cli_usage_epoch e = {.id = info->epoch_id, .alone = true};
	bool is_new = false;

	int rc = cli_idset_add(&c->seen, info->epoch_id, &is_new);
	if (rc != SLK_OK || !is_new || !wrapped_by_key(c, info, &e))
		return rc;
	rc = stream_of(c->usage, info->stream_arn, &e.stream);
	return rc == SLK_OK ? add(c->usage, &e) : rc;
}

static void
on_damaged(void *arg, const char *name, const struct slk_error *why)
{
	struct collector *c = arg;

	(void)name;
	(void)why;
	c->usage->damaged++;
}

static int
by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct cli_usage_epoch *)a)->id,
		 y = ((const struct cli_usage_epoch *)b)->id;

	return x < y ? -1 : x > y;
}

static int
list_epochs(struct collector *c, const char *dir, struct slk_error *err)
{
	const struct jnl_rewraps_config config = {.dir = dir, .any_stream = true};

	c->entry = malloc(sizeof(*c->entry));
	if (c->entry == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the wraps of epochs");
	int rc = jnl_rewraps_new(&config, &c->rewraps, err);
	if (rc == SLK_OK)
		rc = jnl_list_epochs(dir, NULL, on_epoch, on_damaged, c, err);
	if (rc == SLK_OK && c->usage->count > 0)
		qsort(c->usage->epochs, c->usage->count, sizeof(*c->usage->epochs), by_id);
	return rc;
}

/* --- blocks --- */

static void
count_block(struct cli_usage *u, const struct jnl_block *b)
{
	const struct cli_usage_epoch wanted = {.id = b->epoch_id};
	struct cli_usage_epoch *e =
		u->count == 0 ? NULL : bsearch(&wanted, u->epochs, u->count, sizeof(wanted), by_id);

	if (e == NULL)
		return;
	e->blocks++;
	e->records += b->record_count;
	e->plain_bytes += b->plain_bytes;
	if (e->first_arrival_ns == 0 || b->first_arrival_ns < e->first_arrival_ns)
		e->first_arrival_ns = b->first_arrival_ns;
	if (b->last_arrival_ns > e->last_arrival_ns)
		e->last_arrival_ns = b->last_arrival_ns;
}

static int
count_blocks(struct cli_usage *u, const char *dir, struct slk_error *err)
{
	const struct jnl_reader_config config = {
		.dir = dir, .any_stream = true, .any_shard = true, .from = JNL_FROM_TRIM_HORIZON};
	struct jnl_reader *reader = NULL;
	struct jnl_block block;

	int rc = jnl_reader_new(&config, &reader, err);
	while (rc == SLK_OK || rc == SLK_CORRUPT || rc == SLK_TRIMMED) {
		rc = jnl_reader_next(reader, &block, err);
		u->damaged += rc == SLK_CORRUPT;
		if (rc == SLK_OK)
			count_block(u, &block);
	}
	jnl_reader_free(reader);
	return rc == SLK_AGAIN ? SLK_OK : rc; /* the tail */
}

/* --- all of it --- */

void
cli_usage_add_up(struct cli_usage_sum *sum, const struct cli_usage_epoch *e)
{
	sum->epochs++;
	sum->blocks += e->blocks;
	sum->records += e->records;
	sum->plain_bytes += e->plain_bytes;
}

int
cli_usage_collect(const char *journal_dir, const uint8_t key_id[FMT_BLOB_KEY_ID_BYTES],
	struct cli_usage *out_usage, struct slk_error *err)
{
	struct cli_usage usage = {0};
	struct collector c = {.usage = &usage, .key_id = key_id};

	int rc = list_epochs(&c, journal_dir, err);
	if (rc == SLK_OK && usage.count > 0)
		rc = count_blocks(&usage, journal_dir, err);
	jnl_rewraps_free(c.rewraps);
	free(c.entry);
	cli_idset_clear(&c.seen);
	if (rc != SLK_OK) {
		cli_usage_fini(&usage);
		return rc;
	}
	for (size_t i = 0; i < usage.count; i++) {
		cli_usage_add_up(&usage.streams[usage.epochs[i].stream].sum, &usage.epochs[i]);
		cli_usage_add_up(&usage.all, &usage.epochs[i]);
		if (usage.epochs[i].alone)
			cli_usage_add_up(&usage.alone, &usage.epochs[i]);
	}
	*out_usage = usage;
	return SLK_OK;
}

void
cli_usage_fini(struct cli_usage *usage)
{
	free(usage->epochs);
	free(usage->streams);
	*usage = (struct cli_usage){0};
}

void
cli_usage_warn(const char *journal_dir, const char *key_uuid)
{
	struct cli_usage usage = {0};
	struct slk_error err = {0};
	uint8_t id[FMT_UUID_BYTES];
	char amount[CLI_AMOUNT_MAX];

	if (fmt_uuid_parse(key_uuid, id) != SLK_OK ||
		cli_usage_collect(journal_dir, id, &usage, &err) != SLK_OK)
		return;
	cli_bytes_format(usage.alone.plain_bytes, amount);
	if (usage.alone.epochs > 0)
		cli_note("%llu epoch%s of the journal %s hang%s on this key alone: %llu records, "
			 "%s. "
			 "They are lost with it ('sealock key usage %s')",
			(unsigned long long)usage.alone.epochs, usage.alone.epochs == 1 ? "" : "s",
			journal_dir, usage.alone.epochs == 1 ? "s" : "",
			(unsigned long long)usage.alone.records, amount, key_uuid);
	else
		cli_note("nothing in the journal %s hangs on this key alone%s", journal_dir,
			usage.damaged > 0 ? ", as far as it can be read" : "");
	cli_usage_fini(&usage);
}
