#include "journal/epochs.h"

#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"
#include "journal/inspect.h"

static size_t
epoch_slot(const struct jnl_epochs *t, uint64_t epoch_id)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (t->rows[mid].info.epoch_id < epoch_id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static char *
copy_string(uint8_t **at, struct slk_span s)
{
	char *start = (char *)*at;

	memcpy(start, s.ptr, s.len);
	start[s.len] = '\0';
	*at += s.len + 1;
	return start;
}

static struct slk_span
copy_span(uint8_t **at, struct slk_span s)
{
	uint8_t *start = *at;

	memcpy(start, s.ptr, s.len);
	*at += s.len;
	return slk_span(start, s.len);
}

static int
add_epoch(struct jnl_epochs *t, const struct fmt_keyblock *k)
{
	size_t at = epoch_slot(t, k->epoch_id);
	if (at < t->count && t->rows[at].info.epoch_id == k->epoch_id)
		return SLK_OK; /* repeated at the beginning of each file */
	if (t->count == t->cap) {
		size_t cap = t->cap == 0 ? 16 : 2 * t->cap;
		struct jnl_epoch_row *bigger = realloc(t->rows, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		t->rows = bigger;
		t->cap = cap;
	}
	uint8_t *memory = malloc(k->stream_arn.len + k->key_arn.len + k->context.len +
		k->wrapped.len + k->commitment.len + 2);
	if (memory == NULL)
		return SLK_NO_MEMORY;
	uint8_t *p = memory;
	struct jnl_epoch_row row = {
		.memory = memory, .info = {.epoch_id = k->epoch_id, .stream_id = k->stream_id}};
	row.info.stream_arn = copy_string(&p, k->stream_arn);
	row.info.key_arn = copy_string(&p, k->key_arn);
	row.info.context = copy_span(&p, k->context);
	row.info.wrapped = copy_span(&p, k->wrapped);
	row.info.commitment = copy_span(&p, k->commitment);
	memmove(&t->rows[at + 1], &t->rows[at], (t->count - at) * sizeof(*t->rows));
	t->rows[at] = row;
	t->count++;
	return SLK_OK;
}

int
jnl_epochs_learn(struct jnl_epochs *t, struct slk_span body)
{
	struct fmt_keyblock k;

	return fmt_keyblock_decode(body, &k) == SLK_OK ? add_epoch(t, &k) : SLK_CORRUPT;
}

static bool
knows_epoch(const struct jnl_epochs *t, uint64_t epoch_id)
{
	size_t at = epoch_slot(t, epoch_id);

	return at < t->count && t->rows[at].info.epoch_id == epoch_id;
}

struct epoch_search {
	struct jnl_epochs *table;
	uint64_t epoch_id;
};

static int
take_epoch(void *arg, const struct jnl_epoch_info *info)
{
	struct epoch_search *search = arg;
	const struct fmt_keyblock k = {.epoch_id = info->epoch_id,
		.stream_id = info->stream_id,
		.commitment = info->commitment,
		.stream_arn = slk_span_str(info->stream_arn),
		.key_arn = slk_span_str(info->key_arn),
		.context = info->context,
		.wrapped = info->wrapped};

	if (info->epoch_id != search->epoch_id)
		return SLK_OK;
	int rc = add_epoch(search->table, &k);
	return rc == SLK_OK ? SLK_EXISTS : rc; /* found: look no further */
}

/* The key block that came before the epoch's blocks here is damaged: every other file that the epoch lived on in has it, too. */
static int
look_elsewhere(struct jnl_epochs *t, const char *dir, const struct slk_fs *fs, uint64_t epoch_id)
{
	struct epoch_search search = {t, epoch_id};

	for (unsigned i = 0; i < JNL_EPOCHS_MISSING_MAX; i++)
		if (t->missing[i] == epoch_id + 1)
			return SLK_NOT_FOUND;
	int rc = jnl_list_epochs(dir, fs, take_epoch, NULL, &search, NULL);
	if (rc == SLK_EXISTS)
		return SLK_OK;
	if (rc != SLK_OK)
		return rc;
	t->missing[t->missing_at++ % JNL_EPOCHS_MISSING_MAX] = epoch_id + 1;
	return SLK_NOT_FOUND;
}

int
jnl_epochs_find(struct jnl_epochs *t, const char *dir, const struct slk_fs *fs, uint64_t epoch_id,
	struct jnl_epoch_info *out_info)
{
	int rc = knows_epoch(t, epoch_id) ? SLK_OK : look_elsewhere(t, dir, fs, epoch_id);

	if (rc == SLK_OK)
		*out_info = t->rows[epoch_slot(t, epoch_id)].info;
	return rc;
}

void
jnl_epochs_fini(struct jnl_epochs *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->rows[i].memory);
	free(t->rows);
	*t = (struct jnl_epochs){0};
}
