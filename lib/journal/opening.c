/* Opening blocks: an epoch's key, and what it was sealed over. What it promises is in reader.h. */
#include <stdlib.h>
#include <string.h>

#include "format/block.h"
#include "journal/reader.h"
#include "seal/epoch.h"

struct jnl_epoch_key {
	struct seal_key *key;
	uint64_t epoch_id;
};

int
jnl_epoch_key_new(struct seal_thread *thread, const struct jnl_epoch_info *info,
	const struct slk_secret *data_key, struct jnl_epoch_key **out_key)
{
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
	struct slk_secret *derived = NULL;
	struct jnl_epoch_key *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return SLK_NO_MEMORY;
	k->epoch_id = info->epoch_id;
	int rc = seal_epoch_derive(data_key, info->epoch_id, info->stream_id, &derived, commitment);
	if (rc == SLK_OK &&
		(info->commitment.len != sizeof(commitment) ||
			!slk_equal_ct(commitment, info->commitment.ptr, sizeof(commitment))))
		rc = SLK_BAD_COMMITMENT;
	if (rc == SLK_OK)
		rc = seal_key_new(
			thread, slk_secret_peek(derived), slk_secret_len(derived), &k->key);
	slk_secret_free(derived);
	if (rc != SLK_OK) {
		free(k);
		return rc;
	}
	*out_key = k;
	return SLK_OK;
}

void
jnl_epoch_key_free(struct jnl_epoch_key *key)
{
	if (key == NULL)
		return;
	seal_key_free(key->key);
	free(key);
}

int
jnl_block_open(struct seal_thread *thread, const struct jnl_epoch_key *key,
	const struct jnl_block *block, uint8_t *out, size_t cap)
{
	uint8_t aad[FMT_BLOCK_HEADER_BYTES];
	struct iovec in = {(void *)(uintptr_t)block->ciphertext.ptr, block->ciphertext.len};
	uint8_t tag[SEAL_TAG_BYTES];
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = out,
		.aad = aad,
		.aad_len = sizeof(aad),
		.tag = tag};

	if (key->epoch_id != block->epoch_id)
		return SLK_INVALID;
	if (cap < block->ciphertext.len)
		return SLK_FULL;
	fmt_block_aad(block->header.ptr, aad);
	memcpy(tag, block->tag.ptr, sizeof(tag));
	seal_nonce(block->block_number, item.nonce);
	(void)seal_open_burst(thread, key->key, &item, 1);
	return item.status;
}
