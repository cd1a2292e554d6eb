/* Tags of delivery streams. */
#include <string.h>
#include <strings.h>

#include "delivery_calls.h"

#define TAG_KEY_CHARS 128u
#define TAG_VALUE_CHARS 256u

static int
refuse_tags(struct kms_call *call, const char *sentence)
{
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException", "%s", sentence);
	return SLK_INVALID;
}

static int
too_many_tags(struct kms_call *call)
{
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"A delivery stream can have %u tags at most", KMS_TAGS_MAX);
	return SLK_LIMIT;
}

int
kms_call_take_delivery_tags(
	struct kms_call *call, Kmsp__Tag *const *in, size_t count, struct kms_tag *out)
{
	if (count > KMS_TAGS_MAX)
		return too_many_tags(call);
	for (size_t i = 0; i < count; i++) {
		if (!kms_is_tag_text(in[i]->key, 1, TAG_KEY_CHARS) ||
			!kms_is_tag_text(in[i]->value, 0, TAG_VALUE_CHARS))
			return refuse_tags(call,
				"A tag's key is text of 1 to 128 characters, its value of 0 to "
				"256");
		if (strncasecmp(in[i]->key, "aws:", 4) == 0)
			return refuse_tags(call, "Tags beginning with aws: are reserved");
		for (size_t k = 0; k < i; k++)
			if (strcmp(in[k]->key, in[i]->key) == 0)
				return refuse_tags(call, "Duplicate tag keys");
		strcpy(out[i].key, in[i]->key);
		strcpy(out[i].value, in[i]->value);
	}
	return SLK_OK;
}

void
kms_op_tag_delivery_stream(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__TagDeliveryStream *in = request->tag_delivery_stream;
	struct kms_delivery d;

	if (kms_call_take_delivery_tags(call, in->tags, in->n_tags, tags) != SLK_OK)
		return;
	call->facts.request_tags = tags;
	call->facts.request_tags_count = in->n_tags;
	if (kms_call_find_delivery(call, in->name, &d) != SLK_OK)
		return;
	int rc = kms_catalog_delivery_tags_set(call->service->parts.catalog, &d, tags, in->n_tags);
	if (rc == SLK_LIMIT)
		(void)too_many_tags(call);
	else
		kms_call_end(call, rc);
}

void
kms_op_untag_delivery_stream(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UntagDeliveryStream *in = request->untag_delivery_stream;
	struct kms_delivery d;

	for (size_t i = 0; i < in->n_tag_keys; i++)
		if (!kms_is_tag_text(in->tag_keys[i], 1, TAG_KEY_CHARS)) {
			(void)refuse_tags(call, "A tag's key is text of 1 to 128 characters");
			return;
		}
	call->facts.tag_keys = (const char *const *)in->tag_keys;
	call->facts.tag_keys_count = in->n_tag_keys;
	if (kms_call_find_delivery(call, in->name, &d) == SLK_OK)
		kms_call_end(call,
			kms_catalog_delivery_tags_remove(call->service->parts.catalog, &d,
				(const char *const *)in->tag_keys, in->n_tag_keys));
}

void
kms_op_list_tags_for_delivery_stream(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMSP_PAGE_MAX + 1]; /* one thread */
	const Kmsp__ListOfDeliveryStream *in = request->list_tags_for_delivery_stream;
	size_t found = 0, limit = kms_page(in->limit);
	struct kms_delivery d;

	if (in->marker[0] != '\0' && !kms_is_tag_text(in->marker, 1, TAG_KEY_CHARS)) {
		(void)refuse_tags(call, "ExclusiveStartTagKey is not the key of a tag");
		return;
	}
	if (kms_call_find_delivery(call, in->name, &d) != SLK_OK)
		return;
	int rc = kms_catalog_delivery_tags(
		call->service->parts.catalog, &d, in->marker, tags, limit + 1, &found);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		kms_answer_tags(call, tags, found, limit);
}
