#include "rewrap_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/uuid.h"

_Static_assert(FMT_BLOB_KEY_ID_BYTES == FMT_UUID_BYTES, "ids of keys are UUIDs");

int
cli_rewrap_plan_target(struct cli_rewrap_plan *plan, const struct kmsc_key *key)
{
	uint8_t id[FMT_BLOB_KEY_ID_BYTES], backing[FMT_BLOB_KEY_ID_BYTES];

	if (fmt_uuid_parse(key->id, id) != SLK_OK ||
		slk_unhex(key->backing_id, backing, sizeof(backing)) != SLK_OK)
		return SLK_MALFORMED;
	memcpy(plan->to_id, id, sizeof(id));
	memcpy(plan->to_backing, backing, sizeof(backing));
	plan->to_appliance = strcmp(key->manager, "AWS") == 0;
	return SLK_OK;
}

void
cli_rewrap_plan_again(struct cli_rewrap_plan *plan)
{
	cli_idset_clear(&plan->seen);
	memset(plan->counts, 0, sizeof(plan->counts));
	for (size_t i = 0; i < plan->source_count; i++)
		plan->sources[i].epochs = 0;
}

void
cli_rewrap_plan_fini(struct cli_rewrap_plan *plan)
{
	cli_idset_clear(&plan->seen);
	free(plan->sources);
	free(plan->entry);
	plan->sources = NULL;
	plan->entry = NULL;
	plan->source_count = 0;
}

int
cli_rewrap_plan_wrap(struct cli_rewrap_plan *plan, const struct jnl_epoch_info *info,
	unsigned index, struct slk_span *out_wrapped, const char **out_arn, bool *out_last)
{
	int rc = SLK_NOT_FOUND;

	*out_last = false;
	if (plan->entry == NULL)
		plan->entry = malloc(sizeof(*plan->entry));
	if (plan->entry == NULL)
		return SLK_NO_MEMORY;
	if (index < JNL_REWRAP_TRIES)
		rc = jnl_rewraps_entry(plan->rewraps, info, index, plan->entry);
	if (rc == SLK_NOT_FOUND) {
		*out_last = true;
		*out_wrapped = info->wrapped;
		*out_arn = info->key_arn;
		return SLK_OK;
	}
	if (rc != SLK_OK)
		return rc;
	*out_wrapped = slk_span(plan->entry->wrapped, plan->entry->wrapped_len);
	*out_arn = plan->entry->key_arn;
	return SLK_OK;
}

/* What is known of the key under which an epoch lies; asked once for each key. */
static int
source_of(struct cli_rewrap_plan *plan, const uint8_t *id, const char *arn,
	struct cli_rewrap_source **out_source)
{
	struct kmsc_key key;

	for (size_t i = 0; i < plan->source_count; i++) {
		if (memcmp(plan->sources[i].id, id, sizeof(plan->sources[i].id)) == 0) {
			*out_source = &plan->sources[i];
			return SLK_OK;
		}
	}
	struct cli_rewrap_source *bigger =
		realloc(plan->sources, (plan->source_count + 1) * sizeof(*bigger));
	if (bigger == NULL)
		return SLK_NO_MEMORY;
	plan->sources = bigger;
	struct cli_rewrap_source *s = &plan->sources[plan->source_count++];
	*s = (struct cli_rewrap_source){.epochs = 0};
	memcpy(s->id, id, sizeof(s->id));
	(void)snprintf(s->arn, sizeof(s->arn), "%s", arn);
	if (plan->describe(plan->ctx, arn, &key) == SLK_OK) {
		memcpy(s->state, key.state, sizeof(s->state));
		s->appliance = strcmp(key.manager, "AWS") == 0;
	}
	*out_source = s;
	return SLK_OK;
}

static int
classify(struct cli_rewrap_plan *plan, const struct fmt_blob *blob, const char *arn,
	enum cli_rewrap_class *out_class)
{
	bool to_same = memcmp(blob->key_id, plan->to_id, sizeof(blob->key_id)) == 0;
	struct cli_rewrap_source *source = NULL;

	*out_class = CLI_REWRAP_CURRENT;
	if (to_same && memcmp(blob->backing_id, plan->to_backing, sizeof(blob->backing_id)) == 0)
		return SLK_OK;
	*out_class = CLI_REWRAP_OTHER_KEY;
	if (plan->has_from && memcmp(blob->key_id, plan->from_id, sizeof(blob->key_id)) != 0)
		return SLK_OK;
	if (plan->to_appliance && !to_same) /* no customer's stream goes there */
		return SLK_OK;
	int rc = source_of(plan, blob->key_id, arn, &source);
	if (rc != SLK_OK)
		return rc;
	*out_class = source->appliance && !to_same ? CLI_REWRAP_NO_SSE : CLI_REWRAP_TODO;
	source->epochs += *out_class == CLI_REWRAP_TODO;
	return SLK_OK;
}

int
cli_rewrap_plan_look(struct cli_rewrap_plan *plan, const struct jnl_epoch_info *info,
	enum cli_rewrap_class *out_class)
{
	enum cli_rewrap_class class =
		CLI_REWRAP_TODO; /* what nobody can read is for kmsd to refuse */
	struct slk_span wrapped;
	struct fmt_blob blob;
	const char *arn;
	bool is_new = false, last = false;
	int rc = cli_idset_add(&plan->seen, info->epoch_id, &is_new);

	if (rc == SLK_OK && !is_new)
		return SLK_EXISTS;
	for (unsigned i = 0; rc == SLK_OK && !last; i++) {
		int got = cli_rewrap_plan_wrap(plan, info, i, &wrapped, &arn, &last);
		if (got == SLK_NO_MEMORY)
			return got;
		if (got != SLK_OK || fmt_blob_decode(wrapped, &blob) != SLK_OK)
			continue;
		rc = classify(plan, &blob, arn, &class);
		break;
	}
	if (rc != SLK_OK)
		return rc;
	plan->counts[class]++;
	*out_class = class;
	return SLK_OK;
}
