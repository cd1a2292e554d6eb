#include "kmsclient/life.h"

#include "kmsclient/convert.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

/* A call that is answered by a key. */
static int
call_key(struct kmsc *c, Kmsp__Request *request, struct kmsc_key *out_key, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_ONCE, KMSP__REPLY__RESULT_KEY, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_key_of(reply, out_key);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_create_key_with(struct kmsc *c, const struct kmsc_key_kind *kind, struct kmsc_key *out_key,
	struct slk_error *err)
{
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;
	struct kmsc_tag_list tags;

	int rc = kmsc_request_tags(kind->tags, kind->tags_count, &tags, err);
	if (rc != SLK_OK)
		return rc;
	call.description = kmsc_request_text(kind->description);
	call.spec = kmsc_request_text(kind->spec);
	call.usage = kmsc_request_text(kind->usage);
	call.n_tags = kind->tags_count;
	call.tags = tags.list;
	call.policy = kmsc_request_text(kind->policy);
	call.bypass_lockout_check = kind->bypass_lockout_check;
	KMSC_REQUEST(request, CREATE_KEY, create_key) = &call;
	return call_key(c, &request, out_key, err);
}

int
kmsc_update_key_description(
	struct kmsc *c, const char *key_id, const char *description, struct slk_error *err)
{
	Kmsp__UpdateKeyDescription call = KMSP__UPDATE_KEY_DESCRIPTION__INIT;

	call.key = kmsc_request_text(key_id);
	call.description = kmsc_request_text(description);
	KMSC_REQUEST(request, UPDATE_KEY_DESCRIPTION, update_key_description) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_enable_key(struct kmsc *c, const char *key_id, struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, ENABLE_KEY, enable_key) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_disable_key(struct kmsc *c, const char *key_id, struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, DISABLE_KEY, disable_key) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_schedule_key_deletion(struct kmsc *c, const char *key_id, uint32_t days,
	struct kmsc_key *out_key, struct slk_error *err)
{
	Kmsp__ScheduleKeyDeletion call = KMSP__SCHEDULE_KEY_DELETION__INIT;

	call.key = kmsc_request_text(key_id);
	call.pending_window_days = days;
	KMSC_REQUEST(request, SCHEDULE_KEY_DELETION, schedule_key_deletion) = &call;
	return call_key(c, &request, out_key, err);
}

int
kmsc_cancel_key_deletion(
	struct kmsc *c, const char *key_id, struct kmsc_key *out_key, struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, CANCEL_KEY_DELETION, cancel_key_deletion) = &call;
	return call_key(c, &request, out_key, err);
}

int
kmsc_update_alias(struct kmsc *c, const char *alias, const char *key_id, struct slk_error *err)
{
	Kmsp__CreateAlias call = KMSP__CREATE_ALIAS__INIT;

	call.alias = kmsc_request_text(alias);
	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, UPDATE_ALIAS, update_alias) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

/* --- tags --- */

int
kmsc_tag_resource(struct kmsc *c, const char *key_id, const struct kmsc_tag *tags, size_t count,
	struct slk_error *err)
{
	Kmsp__TagResource call = KMSP__TAG_RESOURCE__INIT;
	struct kmsc_tag_list list;

	int rc = kmsc_request_tags(tags, count, &list, err);
	if (rc != SLK_OK)
		return rc;
	call.key = kmsc_request_text(key_id);
	call.n_tags = count;
	call.tags = list.list;
	KMSC_REQUEST(request, TAG_RESOURCE, tag_resource) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_untag_resource(struct kmsc *c, const char *key_id, const char *const *tag_keys, size_t count,
	struct slk_error *err)
{
	Kmsp__UntagResource call = KMSP__UNTAG_RESOURCE__INIT;
	char *list[KMSC_TAGS_MAX];

	if (count > KMSC_TAGS_MAX)
		return slk_fail(
			err, SLK_LIMIT, "a key has at most %u tags, not %zu", KMSC_TAGS_MAX, count);
	for (size_t i = 0; i < count; i++)
		list[i] = kmsc_request_text(tag_keys[i]);
	call.key = kmsc_request_text(key_id);
	call.n_tag_keys = count;
	call.tag_keys = list;
	KMSC_REQUEST(request, UNTAG_RESOURCE, untag_resource) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

static int
tags_from(const Kmsp__Tags *in, struct kmsc_tag *out, size_t cap, char *out_next)
{
	int rc = in->n_tags > cap ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_tags; i++) {
		rc = TEXT(rc, in->tags[i]->key, out[i].key);
		rc = TEXT(rc, in->tags[i]->value, out[i].value);
	}
	return rc == SLK_OK ? kmsc_text(in->next, out_next, KMSC_MARKER_MAX) : rc;
}

int
kmsc_list_resource_tags(struct kmsc *c, const char *key_id, const char *marker,
	struct kmsc_tag *out_tags, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfKey call = KMSP__LIST_OF_KEY__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.key = kmsc_request_text(key_id);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_RESOURCE_TAGS, list_resource_tags) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_TAGS, &reply, err);
	if (rc == SLK_OK)
		rc = tags_from(reply->tags, out_tags, cap, out_next);
	if (rc == SLK_OK)
		*out_count = reply->tags->n_tags;
	return kmsc_call_end(c, rc, err);
}

/* --- rotation --- */

int
kmsc_enable_key_rotation(struct kmsc *c, const char *key_id, uint32_t days, struct slk_error *err)
{
	Kmsp__EnableKeyRotation call = KMSP__ENABLE_KEY_ROTATION__INIT;

	call.key = kmsc_request_text(key_id);
	call.period_days = days;
	KMSC_REQUEST(request, ENABLE_KEY_ROTATION, enable_key_rotation) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_disable_key_rotation(struct kmsc *c, const char *key_id, struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, DISABLE_KEY_ROTATION, disable_key_rotation) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

static int
call_rotation(struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat,
	struct kmsc_rotation *out, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, repeat, KMSP__REPLY__RESULT_ROTATION, &reply, err);
	if (rc == SLK_OK) {
		const Kmsp__Rotation *in = reply->rotation;
		struct kmsc_rotation made = {.enabled = in->enabled,
			.period_days = in->period_days,
			.next_ns = in->next_ns,
			.on_demand_start_ns = in->on_demand_start_ns};
		rc = TEXT(rc, in->key_arn, made.key_arn);
		if (rc == SLK_OK)
			*out = made;
	}
	return kmsc_call_end(c, rc, err);
}

int
kmsc_get_key_rotation_status(struct kmsc *c, const char *key_id, struct kmsc_rotation *out_rotation,
	struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, GET_KEY_ROTATION_STATUS, get_key_rotation_status) = &call;
	return call_rotation(c, &request, KMSC_REPEATABLE, out_rotation, err);
}

int
kmsc_rotate_key_on_demand(struct kmsc *c, const char *key_id, struct kmsc_rotation *out_rotation,
	struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, ROTATE_KEY_ON_DEMAND, rotate_key_on_demand) = &call;
	return call_rotation(c, &request, KMSC_ONCE, out_rotation, err);
}

static int
material_from(const Kmsp__RotationEntry *in, struct kmsc_material *out)
{
	int rc = TEXT(SLK_OK, in->material_id, out->material_id);

	out->date_ns = in->date_ns;
	out->on_demand = in->on_demand;
	out->first = in->first;
	out->current = in->current;
	out->wraps_reserved = in->wraps_reserved;
	return TEXT(rc, in->backing_id, out->backing_id);
}

int
kmsc_list_key_rotations(struct kmsc *c, const char *key_id, const char *marker,
	struct kmsc_material *out_materials, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfKey call = KMSP__LIST_OF_KEY__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.key = kmsc_request_text(key_id);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_KEY_ROTATIONS, list_key_rotations) = &call;
	int rc =
		kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_ROTATIONS, &reply, err);
	if (rc == SLK_OK && reply->rotations->n_rotations > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->rotations->n_rotations; i++)
		rc = material_from(reply->rotations->rotations[i], &out_materials[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->rotations->next, out_next, KMSC_MARKER_MAX);
	if (rc == SLK_OK)
		*out_count = reply->rotations->n_rotations;
	return kmsc_call_end(c, rc, err);
}

/* --- orphans --- */

int
kmsc_list_orphans(struct kmsc *c, const char *marker, struct kmsc_orphan *out_orphans, size_t cap,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	Kmsp__List call = KMSP__LIST__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_ORPHANS, list_orphans) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_ORPHANS, &reply, err);
	if (rc == SLK_OK && reply->orphans->n_orphans > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->orphans->n_orphans; i++) {
		rc = TEXT(rc, reply->orphans->orphans[i]->backing_id, out_orphans[i].backing_id);
		out_orphans[i].is_pair = reply->orphans->orphans[i]->is_pair;
	}
	if (rc == SLK_OK)
		rc = kmsc_text(reply->orphans->next, out_next, KMSC_MARKER_MAX);
	if (rc == SLK_OK)
		*out_count = reply->orphans->n_orphans;
	return kmsc_call_end(c, rc, err);
}
