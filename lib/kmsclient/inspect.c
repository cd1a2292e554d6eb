#include "kmsclient/inspect.h"

#include "kmsclient/convert.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))
#define HEX(rc, in, out) ((rc) == SLK_OK ? hex_from((in), (out), sizeof(out)) : (rc))

static int
hex_from(ProtobufCBinaryData in, char *out, size_t cap)
{
	if (2 * in.len + 1 > cap)
		return SLK_MALFORMED;
	slk_hex(slk_span(in.data, in.len), out, cap);
	return SLK_OK;
}

static int
attributes_from(char *const *in, size_t count, char (*out)[KMSC_ATTRIBUTE_MAX], size_t *out_count)
{
	int rc = count > KMSC_ATTRIBUTES_MAX ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = kmsc_text(in[i], out[i], KMSC_ATTRIBUTE_MAX);
	*out_count = rc == SLK_OK ? count : 0;
	return rc;
}

static int
object_from(const Kmsp__TokenObject *in, struct kmsc_token_object *out)
{
	int rc = TEXT(SLK_OK, in->object_class, out->object_class);

	out->key_type = in->key_type;
	out->generated_by = in->generated_by;
	if (rc == SLK_OK)
		rc = attributes_from(in->true_attributes, in->n_true_attributes,
			out->true_attributes, &out->true_count);
	if (rc == SLK_OK)
		rc = attributes_from(in->false_attributes, in->n_false_attributes,
			out->false_attributes, &out->false_count);
	return HEX(rc, in->check_value, out->check_value);
}

static int
inspection_from(const Kmsp__Inspection *in, struct kmsc_inspection *out)
{
	struct kmsc_inspection i = {.generation = in->generation,
		.current = in->current,
		.created_ns = in->created_ns,
		.objects_count = in->n_objects};
	int rc = in->n_objects > KMSC_OBJECTS_MAX ? SLK_MALFORMED : SLK_OK;

	rc = TEXT(rc, in->key_arn, i.key_arn);
	rc = TEXT(rc, in->backing_id, i.backing_id);
	rc = TEXT(rc, in->spec, i.spec);
	rc = TEXT(rc, in->usage, i.usage);
	rc = HEX(rc, in->kcv, i.kcv);
	rc = HEX(rc, in->token_kcv, i.token_kcv);
	rc = HEX(rc, in->token_kcv_cmac, i.token_kcv_cmac);
	for (size_t n = 0; rc == SLK_OK && n < in->n_objects; n++)
		rc = object_from(in->objects[n], &i.objects[n]);
	if (rc == SLK_OK)
		*out = i;
	return rc;
}

int
kmsc_inspect_key(struct kmsc *c, const char *key_id, const char *backing_id,
	struct kmsc_inspection *out_inspection, struct slk_error *err)
{
	Kmsp__InspectKey call = KMSP__INSPECT_KEY__INIT;
	const Kmsp__Reply *reply;

	call.key = kmsc_request_text(key_id);
	call.backing_id = kmsc_request_text(backing_id);
	KMSC_REQUEST(request, INSPECT_KEY, inspect_key) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_INSPECTION, &reply, err);
	if (rc == SLK_OK)
		rc = inspection_from(reply->inspection, out_inspection);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_about(struct kmsc *c, bool self_test, kmsc_fact_fn fact, void *arg, struct slk_error *err)
{
	Kmsp__About call = KMSP__ABOUT__INIT;
	const Kmsp__Reply *reply;

	call.self_test = self_test;
	KMSC_REQUEST(request, ABOUT, about) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_FACTS, &reply, err);
	for (size_t i = 0; rc == SLK_OK && i < reply->facts->n_facts; i++)
		fact(arg, reply->facts->facts[i]->name, reply->facts->facts[i]->value);
	return kmsc_call_end(c, rc, err);
}
