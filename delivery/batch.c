#include "batch.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* A UUID that looks random and is not: of SHA-256 over both numbers. */
static int
make_id(uint64_t delivery_id, uint64_t number, char out[FMT_UUID_TEXT])
{
	static const char domain[16] = "sealock delivery"; /* what else is hashed is not this */
	uint8_t in[sizeof(domain) + 16], digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	memcpy(in, domain, sizeof(domain));
	slk_put_be64(in + sizeof(domain), delivery_id);
	slk_put_be64(in + sizeof(domain) + 8, number);
	if (EVP_Digest(in, sizeof(in), digest, &len, EVP_sha256(), NULL) != 1)
		return SLK_INTERNAL;
	fmt_uuid_mark(digest);
	fmt_uuid_print(digest, out);
	return SLK_OK;
}

void
dlv_batch_init(struct dlv_batch *batch, struct dlv_pool *pool)
{
	memset(batch, 0, sizeof(*batch));
	dlv_buffer_init(&batch->body, pool);
	dlv_buffer_init(&batch->raw, pool);
}

void
dlv_batch_fini(struct dlv_batch *batch)
{
	dlv_buffer_fini(&batch->body);
	dlv_buffer_fini(&batch->raw);
	free(batch->entries);
	memset(batch, 0, sizeof(*batch));
}

int
dlv_batch_number(struct dlv_batch *batch, uint64_t delivery_id, uint64_t number, uint64_t version)
{
	char id[FMT_UUID_TEXT];
	int rc = make_id(delivery_id, number, id);

	if (rc != SLK_OK)
		return rc;
	memcpy(batch->id, id, sizeof(id));
	batch->number = number;
	batch->version = version;
	return SLK_OK;
}

int
dlv_batch_step(struct dlv_batch *batch, enum dlv_batch_event event)
{
	/* 0: refused; else the state, and one. */
	static const uint8_t next[DLV_BATCH_STATES][DLV_BATCH_EVENTS] = {
		[DLV_FILLING] =
			{
				[DLV_EVENT_CLOSED] = DLV_SENT + 1,
				[DLV_EVENT_EMPTIED] = DLV_FILLING + 1,
			},
		[DLV_SENT] =
			{
				[DLV_EVENT_DELIVERED] = DLV_DONE + 1,
				[DLV_EVENT_FAILED] = DLV_RETRY + 1,
			},
		[DLV_RETRY] =
			{
				[DLV_EVENT_WAITED] = DLV_SENT + 1,
				[DLV_EVENT_BACKED_UP] = DLV_BACKED_UP + 1,
				[DLV_EVENT_EMPTIED] = DLV_FILLING + 1,
			},
	};

	if ((unsigned)event >= DLV_BATCH_EVENTS || (unsigned)batch->state >= DLV_BATCH_STATES ||
		next[batch->state][event] == 0)
		return SLK_INVALID_STATE;
	batch->state = (enum dlv_batch_state)(next[batch->state][event] - 1);
	return SLK_OK;
}

const char *
dlv_batch_state_name(enum dlv_batch_state state)
{
	static const char *const names[DLV_BATCH_STATES] = {
		[DLV_FILLING] = "FILLING",
		[DLV_SENT] = "SENT",
		[DLV_RETRY] = "RETRY",
		[DLV_BACKED_UP] = "BACKED_UP",
		[DLV_DONE] = "DONE",
	};

	return (unsigned)state < DLV_BATCH_STATES ? names[state] : "?";
}

int
dlv_batch_keep(struct dlv_batch *batch, const struct dlv_record *records, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += records[i].data.len;
	if (batch->count + count > batch->entries_cap) {
		size_t cap = batch->entries_cap + batch->entries_cap / 2 + count;
		struct dlv_entry *bigger = realloc(batch->entries, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		batch->entries = bigger;
		batch->entries_cap = cap;
	}
	return dlv_buffer_reserve(&batch->raw, bytes);
}

void
dlv_batch_kept(struct dlv_batch *batch, const struct dlv_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct dlv_record *r = &records[i];
		batch->entries[batch->count + i] = (struct dlv_entry){.offset = batch->raw.len,
			.len = (uint32_t)r->data.len,
			.shard = r->shard,
			.sequence = r->sequence,
			.arrival_ns = r->arrival_ns};
		if (r->data.len > 0)
			memcpy(batch->raw.bytes + batch->raw.len, r->data.ptr, r->data.len);
		batch->raw.len += r->data.len;
	}
}
