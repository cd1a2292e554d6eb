#include "kmsclient/request.h"

void
kmsc_request_pairs(const struct fmt_context *context, struct kmsc_pairs *out)
{
	out->count = context != NULL ? fmt_context_count(context) : 0;
	for (size_t i = 0; i < out->count; i++) {
		struct slk_span key, value;
		fmt_context_pair(context, i, &key, &value);
		kmsp__pair__init(&out->storage[i]);
		out->storage[i].key = kmsc_request_bytes(key);
		out->storage[i].value = kmsc_request_bytes(value);
		out->list[i] = &out->storage[i];
	}
}

int
kmsc_request_tags(
	const struct kmsc_tag *tags, size_t count, struct kmsc_tag_list *out, struct slk_error *err)
{
	if (count > KMSC_TAGS_MAX)
		return slk_fail(
			err, SLK_LIMIT, "there are at most %u tags, not %zu", KMSC_TAGS_MAX, count);
	for (size_t i = 0; i < count; i++) {
		kmsp__tag__init(&out->storage[i]);
		out->storage[i].key = kmsc_request_text(tags[i].key);
		out->storage[i].value = kmsc_request_text(tags[i].value);
		out->list[i] = &out->storage[i];
	}
	return SLK_OK;
}

int
kmsc_call_set(
	struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat, struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, repeat, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

uint32_t
kmsc_page(size_t cap)
{
	return cap < KMSP_PAGE_MAX ? (uint32_t)cap : KMSP_PAGE_MAX;
}

int
kmsc_no_room(struct slk_error *err)
{
	return slk_fail(err, SLK_INVALID, "a page needs room for one entry");
}
