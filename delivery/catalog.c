#include "catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "errlog.h"

#define PAGE 50u

/* --- reports --- */

static int
forget(const struct dlv_catalog *c, const struct dlv_report *r, struct slk_error *err)
{
	const struct dlv_checkpoint_file file = {.dir = c->state_dir,
		.name = r->name,
		.delivery_id = r->id,
		.stream_id = r->stream_id};

	if (!r->forgets)
		return SLK_OK;
	int rc = dlv_errlog_remove(NULL, c->state_dir, r->name, r->id, err);
	return rc == SLK_OK ? dlv_checkpoint_remove(&file, err) : rc;
}

/* Another version is current, or the delivery stream is gone: the next list says what to do. */
static bool
is_stale(int rc)
{
	return rc == SLK_NOT_FOUND || rc == SLK_INVALID_STATE;
}

static int
tell(struct dlv_catalog *c, struct dlv_look *look)
{
	while (look->reports != NULL) {
		struct dlv_report *r = look->reports;
		int rc = forget(c, r, &look->err);
		if (rc == SLK_OK)
			rc = kmsc_delivery_state(c->kms, r->name, r->version, r->state,
				r->failure_type, r->failure_details, &look->err);
		if (rc != SLK_OK && !is_stale(rc))
			return rc;
		look->reports = r->next;
		free(r);
	}
	return SLK_OK;
}

/* --- the list --- */

static bool
is_known(const struct dlv_look *look, const struct kmsc_delivery_stream *s)
{
	for (size_t i = 0; i < look->known_count; i++) {
		if (look->known[i].id == s->id && look->known[i].version == s->version)
			return true;
	}
	return false;
}

static int
room_for_page(struct dlv_look *look)
{
	struct kmsc_delivery_stream *bigger =
		realloc(look->streams, (look->count + PAGE) * sizeof(*bigger));

	if (bigger == NULL)
		return slk_fail(&look->err, SLK_NO_MEMORY, "no memory for the delivery streams");
	look->streams = bigger;
	memset(bigger + look->count, 0, PAGE * sizeof(*bigger));
	return SLK_OK;
}

static int
list(struct dlv_catalog *c, struct dlv_look *look)
{
	bool more = true;

	while (more) {
		size_t count = 0;
		const char *after = look->count > 0 ? look->streams[look->count - 1].name : "";
		char marker[KMSC_DELIVERY_NAME_MAX];
		memcpy(marker, after, strlen(after) + 1); /* what is listed may move */
		int rc = room_for_page(look);
		if (rc == SLK_OK)
			rc = kmsc_list_delivery_streams(c->kms, marker, 0,
				look->streams + look->count, PAGE, &count, &more, &look->err);
		if (rc != SLK_OK)
			return rc;
		look->count += count;
		more = more && count > 0;
	}
	return SLK_OK;
}

/* One that went away meanwhile is left out: the next list does not have it. */
static int
describe(struct dlv_catalog *c, struct dlv_look *look)
{
	for (size_t i = 0; i < look->count; i++) {
		struct kmsc_delivery_stream *s = &look->streams[i], work = {0};
		if (is_known(look, s))
			continue;
		int rc = kmsc_delivery_work(c->kms, s->name, &work, &look->err);
		if (rc == SLK_NOT_FOUND)
			continue;
		if (rc != SLK_OK)
			return rc;
		kmsc_delivery_stream_fini(s);
		*s = work;
	}
	return SLK_OK;
}

static int
list_if_changed(struct dlv_catalog *c, struct dlv_look *look)
{
	uint64_t changes = 0;
	int rc = kmsc_delivery_changes(c->kms, &changes, &look->err);

	if (rc != SLK_OK || (c->has_changes && changes == c->changes))
		return rc;
	rc = list(c, look);
	if (rc == SLK_OK)
		rc = describe(c, look);
	if (rc != SLK_OK)
		return rc;
	c->changes = changes;
	c->has_changes = look->listed = true;
	return SLK_OK;
}

void
dlv_catalog_look(struct dlv_catalog *c, struct dlv_look *look)
{
	look->status = tell(c, look);
	if (look->status == SLK_OK)
		look->status = list_if_changed(c, look);
}

void
dlv_look_fini(struct dlv_look *look)
{
	for (size_t i = 0; i < look->count; i++)
		kmsc_delivery_stream_fini(&look->streams[i]);
	free(look->streams);
	while (look->reports != NULL) {
		struct dlv_report *r = look->reports;
		look->reports = r->next;
		free(r);
	}
	memset(look, 0, sizeof(*look));
}
