/* Tags of keys: TagResource, UntagResource, ListResourceTags. */
#include <string.h>
#include <strings.h>

#include "call.h"
#include "format/utf8.h"

#define KEY_CHARS_MAX 128u
#define VALUE_CHARS_MAX 256u
#define PAGE_BYTES_MAX 40000u /* of keys and values; the rest of a reply fits beside it */

#define NOT_ENDING \
	(KMS_BIT(KMS_KEY_CREATING) | KMS_BIT(KMS_KEY_ENABLED) | KMS_BIT(KMS_KEY_DISABLED))

bool
kms_is_tag_text(const char *text, size_t chars_min, size_t chars_max)
{
	size_t characters = 0;

	for (const char *c = text; *c != '\0'; c++)
		characters += ((unsigned char)*c & 0xc0) != 0x80;
	return characters >= chars_min && characters <= chars_max &&
		fmt_utf8_is_text(slk_span_str(text));
}

static int
refuse_tags(struct kms_call *call, const char *sentence)
{
	kms_call_fail(call, SLK_INVALID, "TagException", "%s", sentence);
	return SLK_INVALID;
}

static int
refuse_length(struct kms_call *call, size_t at, const char *member, unsigned min, unsigned max)
{
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"1 validation error detected: Value at 'tags.%zu.member.%s' failed to satisfy "
		"constraint: Member must be UTF-8 text of %u to %u characters",
		at + 1, member, min, max);
	return SLK_INVALID;
}

static int
check_tag(struct kms_call *call, const Kmsp__Tag *tag, size_t at)
{
	if (!kms_is_tag_text(tag->key, 1, KEY_CHARS_MAX))
		return refuse_length(call, at, "tagKey", 1, KEY_CHARS_MAX);
	if (!kms_is_tag_text(tag->value, 0, VALUE_CHARS_MAX))
		return refuse_length(call, at, "tagValue", 0, VALUE_CHARS_MAX);
	if (strncasecmp(tag->key, "aws:", 4) == 0)
		return refuse_tags(call, "Tags beginning with aws: are reserved");
	return SLK_OK;
}

int
kms_call_take_tags(struct kms_call *call, Kmsp__Tag *const *in, size_t count, struct kms_tag *out)
{
	if (count > KMS_TAGS_MAX)
		return refuse_tags(call, "Too many tags");
	for (size_t i = 0; i < count; i++) {
		int rc = check_tag(call, in[i], i);
		if (rc != SLK_OK)
			return rc;
		for (size_t k = 0; k < i; k++)
			if (strcmp(in[k]->key, in[i]->key) == 0)
				return refuse_tags(call, "Duplicate tag keys");
		strcpy(out[i].key, in[i]->key);
		strcpy(out[i].value, in[i]->value);
	}
	return SLK_OK;
}

static int
find(struct kms_call *call, const char *text)
{
	int rc = kms_call_find_key_itself(call, call->action, text, &call->key);

	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_in(call, &call->key, NOT_ENDING);
	return rc;
}

void
kms_op_tag_resource(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__TagResource *in = request->tag_resource;

	if (kms_call_take_tags(call, in->tags, in->n_tags, tags) != SLK_OK)
		return;
	call->facts.request_tags = tags;
	call->facts.request_tags_count = in->n_tags;
	if (find(call, in->key) != SLK_OK)
		return;
	int rc = kms_catalog_tags_set(call->service->parts.catalog, call->key.id, tags, in->n_tags);
	call->service->right_changes += rc == SLK_OK;
	if (rc == SLK_LIMIT)
		(void)refuse_tags(call, "Too many tags");
	else
		kms_call_end(call, rc);
}

void
kms_op_untag_resource(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UntagResource *in = request->untag_resource;

	for (size_t i = 0; i < in->n_tag_keys; i++) {
		if (!kms_is_tag_text(in->tag_keys[i], 1, KEY_CHARS_MAX)) {
			kms_call_fail(call, SLK_INVALID, "ValidationException",
				"1 validation error detected: Value at 'tagKeys.%zu.member' failed "
				"to satisfy constraint: Member must be UTF-8 text of 1 to %u "
				"characters",
				i + 1, KEY_CHARS_MAX);
			return;
		}
	}
	call->facts.tag_keys = (const char *const *)in->tag_keys;
	call->facts.tag_keys_count = in->n_tag_keys;
	if (find(call, in->key) != SLK_OK)
		return;
	int rc = kms_catalog_tags_remove(call->service->parts.catalog, call->key.id,
		(const char *const *)in->tag_keys, in->n_tag_keys);
	call->service->right_changes += rc == SLK_OK;
	kms_call_end(call, rc);
}

/* As many of the tags found as one reply holds. */
static size_t
fill_page(struct kms_tag *tags, size_t found, size_t limit, Kmsp__Tag *storage, Kmsp__Tag **list)
{
	size_t count = 0, bytes = 0;

	while (count < found && count < limit) {
		bytes += strlen(tags[count].key) + strlen(tags[count].value) + 16;
		if (bytes > PAGE_BYTES_MAX)
			break;
		kmsp__tag__init(&storage[count]);
		storage[count].key = tags[count].key;
		storage[count].value = tags[count].value;
		list[count] = &storage[count];
		count++;
	}
	return count;
}

void
kms_answer_tags(struct kms_call *call, struct kms_tag *tags, size_t found, size_t limit)
{
	static Kmsp__Tag storage[KMSP_PAGE_MAX], *list[KMSP_PAGE_MAX]; /* one thread */
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Tags out = KMSP__TAGS__INIT;

	out.tags = list;
	out.n_tags = fill_page(tags, found, limit, storage, list);
	if (found > out.n_tags)
		out.next = tags[out.n_tags - 1].key;
	reply.result_case = KMSP__REPLY__RESULT_TAGS;
	reply.tags = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_list_resource_tags(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMSP_PAGE_MAX + 1]; /* one thread */
	const Kmsp__ListOfKey *in = request->list_resource_tags;
	size_t found = 0, limit = kms_page(in->limit);

	if (in->marker[0] != '\0' && !kms_is_tag_text(in->marker, 1, KEY_CHARS_MAX)) {
		kms_call_bad_marker(call);
		return;
	}
	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK)
		return;
	int rc = kms_catalog_tag_list(
		call->service->parts.catalog, call->key.id, in->marker, tags, limit + 1, &found);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		kms_answer_tags(call, tags, found, limit);
}
