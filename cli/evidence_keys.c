/* The key inventory: every key and every material of it, as catalog and token have them now. */
#include "evidence.h"

#include <stdlib.h>
#include <string.h>

#include "kmsclient/life.h"

#define PAGE 32u

static bool
has(const char (*list)[KMSC_ATTRIBUTE_MAX], size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

/* Of a secret or private key: can it leave the token, or could it ever? */
static void
judge(struct cli_evidence *e, const struct kmsc_inspection *k)
{
	static const char *const must[] = {
		"CKA_SENSITIVE", "CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL"};
	bool bad = false, untold = false;

	for (size_t i = 0; i < k->objects_count; i++) {
		const struct kmsc_token_object *o = &k->objects[i];
		if (strcmp(o->object_class, "CKO_PUBLIC_KEY") == 0)
			continue;
		bad |= has(o->true_attributes, o->true_count, "CKA_EXTRACTABLE");
		untold |= !has(o->false_attributes, o->false_count, "CKA_EXTRACTABLE");
		for (size_t m = 0; m < sizeof(must) / sizeof(must[0]); m++) {
			bad |= has(o->false_attributes, o->false_count, must[m]);
			untold |= !has(o->true_attributes, o->true_count, must[m]);
		}
	}
	e->exportable += bad;
	e->untold += untold && !bad;
	e->mismatched += strcmp(k->kcv, k->token_kcv) != 0;
}

static void
json_attributes(
	yajl_gen json, const char *name, const char (*list)[KMSC_ATTRIBUTE_MAX], size_t count)
{
	cli_json_key(json, name);
	cli_json_array(json);
	for (size_t i = 0; i < count; i++)
		cli_json_text(json, list[i]);
	cli_json_array_end(json);
}

static void
json_object(yajl_gen json, const struct kmsc_token_object *o)
{
	cli_json_map(json);
	cli_json_str(json, "class", o->object_class);
	if (o->key_type != KMSC_UNTOLD)
		cli_json_u64(json, "key_type", o->key_type);
	if (o->generated_by != KMSC_UNTOLD)
		cli_json_u64(json, "key_gen_mechanism", o->generated_by);
	json_attributes(json, "true", o->true_attributes, o->true_count);
	json_attributes(json, "false", o->false_attributes, o->false_count);
	cli_json_str(json, "check_value", o->check_value);
	cli_json_map_end(json);
}

static void
json_token(yajl_gen json, const struct kmsc_inspection *k)
{
	cli_json_str(json, "kcv_catalog", k->kcv);
	cli_json_str(json, "kcv_token", k->token_kcv);
	cli_json_str(json, "kcv_cmac_token", k->token_kcv_cmac);
	cli_json_u64(json, "generation", k->generation);
	cli_json_key(json, "objects");
	cli_json_array(json);
	for (size_t i = 0; i < k->objects_count; i++)
		json_object(json, &k->objects[i]);
	cli_json_array_end(json);
}

/* history: NULL for a key without rotation. */
static void
material(struct cli_evidence *e, yajl_gen json, const char *key_id,
	const struct kmsc_material *history)
{
	struct kmsc_inspection k;
	struct slk_error why = {0};
	const char *backing = history != NULL ? history->backing_id : "";

	cli_json_map(json);
	if (history != NULL) {
		cli_json_str(json, "material_id", history->material_id);
		cli_json_time(json, "since", history->date_ns);
		cli_json_str(json, "made_by",
			history->first               ? "creation"
				: history->on_demand ? "rotation on demand"
						     : "rotation by period");
		cli_json_u64(json, "wraps_reserved", history->wraps_reserved);
	}
	int rc = kmsc_inspect_key(e->kms, key_id, backing, &k, &why);
	e->materials++;
	if (rc != SLK_OK) {
		cli_json_str(json, "backing_id", backing);
		e->unreadable++;
		cli_evidence_lacks(e, json, key_id, &why);
	} else {
		cli_json_str(json, "backing_id", k.backing_id);
		cli_json_bool(json, "current", k.current);
		json_token(json, &k);
		judge(e, &k);
	}
	cli_json_map_end(json);
}

static int
materials(struct cli_evidence *e, yajl_gen json, const char *key_id, struct slk_error *why)
{
	struct kmsc_material page[PAGE];
	char marker[KMSC_MARKER_MAX] = "";

	do {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		int rc = kmsc_list_key_rotations(
			e->kms, key_id, marker, page, PAGE, &count, next, why);
		if (rc != SLK_OK)
			return rc;
		for (size_t i = 0; i < count; i++)
			material(e, json, key_id, &page[i]);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	return SLK_OK;
}

static void
json_described(yajl_gen json, const struct kmsc_key *key)
{
	cli_json_str(json, "description", key->description);
	cli_json_str(json, "state", key->state);
	cli_json_str(json, "spec", key->spec);
	cli_json_str(json, "usage", key->usage);
	cli_json_str(json, "manager", key->manager);
	cli_json_time(json, "created", key->created_ns);
	cli_json_time(json, "deletion", key->deletion_ns);
	cli_json_u64(json, "streams", key->streams_count);
}

static void
json_rotation(struct cli_evidence *e, yajl_gen json, const char *key_id)
{
	struct kmsc_rotation r;

	if (kmsc_get_key_rotation_status(e->kms, key_id, &r, NULL) != SLK_OK)
		return; /* pairs have none */
	cli_json_key(json, "rotation");
	cli_json_map(json);
	cli_json_bool(json, "enabled", r.enabled);
	cli_json_u64(json, "period_days", r.period_days);
	cli_json_time(json, "next", r.next_ns);
	cli_json_map_end(json);
}

static void
one_key(struct cli_evidence *e, yajl_gen json, const struct kmsc_key *listed)
{
	struct kmsc_key key;
	struct slk_error why = {0};
	bool symmetric = true;

	e->keys++;
	cli_json_map(json);
	cli_json_str(json, "id", listed->id);
	cli_json_str(json, "arn", listed->arn);
	if (kmsc_describe_key(e->kms, listed->id, &key, &why) == SLK_OK) {
		json_described(json, &key);
		symmetric = strcmp(key.spec, "SYMMETRIC_DEFAULT") == 0;
	}
	if (symmetric)
		json_rotation(e, json, listed->id);
	cli_json_key(json, "materials");
	cli_json_array(json);
	if (!symmetric || materials(e, json, listed->id, &why) != SLK_OK)
		material(e, json, listed->id, NULL);
	cli_json_array_end(json);
	cli_json_map_end(json);
}

static int
each_key(struct cli_evidence *e, yajl_gen json, struct slk_error *why)
{
	struct kmsc_key *page = calloc(PAGE, sizeof(*page));
	char marker[64] = "";
	int rc = page == NULL ? slk_fail(why, SLK_NO_MEMORY, "no memory for the list of keys")
			      : SLK_OK;

	while (rc == SLK_OK) {
		char next[sizeof(marker)] = "";
		size_t count = 0;
		rc = kmsc_list_keys(e->kms, marker, page, PAGE, &count, next, why);
		for (size_t i = 0; rc == SLK_OK && i < count; i++)
			one_key(e, json, &page[i]);
		memcpy(marker, next, sizeof(marker));
		if (marker[0] == '\0')
			break;
	}
	free(page);
	return rc;
}

int
cli_evidence_keys(struct cli_evidence *e, struct slk_error *err)
{
	struct slk_error why = {0};

	int rc = cli_bundle_open(&e->bundle, "keys.json", err);
	if (rc != SLK_OK)
		return rc;
	yajl_gen json = cli_json_begin(e->bundle.out, false);
	cli_json_map(json);
	cli_json_key(json, "keys");
	cli_json_array(json);
	int got = each_key(e, json, &why);
	cli_json_array_end(json);
	if (got != SLK_OK)
		cli_evidence_lacks(e, json, "the list of keys", &why);
	cli_json_map_end(json);
	cli_json_end(json);
	return cli_bundle_close(&e->bundle, err);
}
