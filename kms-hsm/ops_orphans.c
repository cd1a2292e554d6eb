/* ListOrphans: objects on the token that bear our label and that no row of the catalog names. They
 * are shown and never removed: what the catalog does not know may belong to its backup. */
#include <string.h>

#include "call.h"

/* Administrators may, unless the policy denies it. */
static int
authorize(struct kms_call *call)
{
	char sentence[KMS_SENTENCE_MAX] = "";
	const struct kms_question q = {.principal = call->principal,
		.action = call->action,
		.resource = "*",
		.granted = true};

	strcpy(call->resource, "*");
	int rc = kms_call_ask(call, &q, sentence);
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

struct page {
	Kmsp__Orphan storage[KMSP_PAGE_MAX], *list[KMSP_PAGE_MAX];
	char ids[KMSP_PAGE_MAX][2 * KMS_ID_BYTES + 1];
	char next[2 * KMS_ID_BYTES + 1];
	size_t count;
};

static void
add(struct page *page, const uint8_t *entry)
{
	size_t at = page->count++;

	slk_hex(slk_span(entry, KMS_ID_BYTES), page->ids[at], sizeof(page->ids[at]));
	kmsp__orphan__init(&page->storage[at]);
	page->storage[at].backing_id = page->ids[at];
	page->storage[at].is_pair = entry[KMS_ID_BYTES] != 0;
	page->list[at] = &page->storage[at];
}

/* Goes through what the token listed, up to limit orphans; next is where to go on. */
static int
collect(struct kms_catalog *catalog, struct slk_span listed, size_t limit, struct page *page)
{
	size_t total = listed.len / HSM_LIST_ENTRY_BYTES, i;

	page->count = 0;
	page->next[0] = '\0';
	for (i = 0; i < total && page->count < limit; i++) {
		const uint8_t *entry = listed.ptr + i * HSM_LIST_ENTRY_BYTES;
		int rc = kms_catalog_backing_known(catalog, entry);
		if (rc == SLK_NOT_FOUND)
			add(page, entry);
		else if (rc != SLK_OK)
			return rc;
	}
	if (i > 0 && (i < total || total == HSM_LIST_MAX))
		slk_hex(slk_span(listed.ptr + (i - 1) * HSM_LIST_ENTRY_BYTES, KMS_ID_BYTES),
			page->next, sizeof(page->next));
	return SLK_OK;
}

static void
listed(struct kms_call *call, const struct hsm_reply *hsm)
{
	static struct page page; /* one thread */
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Orphans out = KMSP__ORPHANS__INIT;

	int rc = collect(call->service->parts.catalog, hsm->output, call->limit, &page);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.orphans = page.list;
	out.n_orphans = page.count;
	out.next = page.next;
	reply.result_case = KMSP__REPLY__RESULT_ORPHANS;
	reply.orphans = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_list_orphans(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__List *in = request->list_orphans;
	struct hsm_request ask = {.op = HSM_LIST_KEYS,
		.length = HSM_LIST_MAX,
		.mono_deadline_ns = kms_call_hsm_deadline(call)};

	if (authorize(call) != SLK_OK)
		return;
	if (in->marker[0] != '\0' &&
		slk_unhex(in->marker, ask.key_id, sizeof(ask.key_id)) != SLK_OK) {
		kms_call_bad_marker(call);
		return;
	}
	call->limit = kms_page(in->limit);
	kms_call_hsm(call, &ask, listed);
}
