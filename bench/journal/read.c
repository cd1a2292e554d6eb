/* Reading and opening what lies in the page cache, as a consumer does. */
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "journal/journal_bench.h"
#include "journal/reader.h"

int
jb_reading_open(struct jb_reading *r, const char *parent, uint32_t block_bytes, uint64_t bytes,
	struct slk_error *err)
{
	char name[64];
	uint64_t lsn = 0;
	const uint32_t body = block_bytes - 24; /* one record, and its entry of the table */
	const uint32_t count =
		body / JB_RECORD_BYTES > 0 ? block_bytes / (JB_RECORD_BYTES + 24) : 1;
	const uint32_t each = count == 1 ? body : JB_RECORD_BYTES;

	*r = (struct jb_reading){0};
	(void)snprintf(name, sizeof(name), "read-%u", block_bytes);
	const struct jb_lane_params params = {.parent = parent, .name = name, .bytes = bytes};
	int rc = jb_lane_open(&r->lane, &params, err);
	for (r->expected = 0; rc == SLK_OK && r->expected < bytes;
		r->expected += (uint64_t)count * (each + 24)) {
		rc = jb_lane_block(&r->lane, 0, count, each, &lsn);
		if (rc == SLK_OK && jnl_lane_ready(r->lane.lane))
			(void)jnl_lane_submit(r->lane.lane);
	}
	if (rc != SLK_OK)
		return rc;
	jb_lane_close(&r->lane);
	rc = slk_secret_from("0123456789abcdef0123456789abcdef", 32, &r->data_key);
	if (rc == SLK_OK)
		rc = seal_thread_new(NULL, &r->lane.seal, err);
	r->plain = malloc(JNL_BLOCK_PLAIN_MAX);
	return r->plain != NULL ? rc : slk_fail(err, SLK_NO_MEMORY, "out of memory");
}

void
jb_reading_close(struct jb_reading *r)
{
	seal_thread_free(r->lane.seal);
	slk_secret_free(r->data_key);
	free(r->plain);
	*r = (struct jb_reading){0};
}

void
jb_reading_run(void *reading)
{
	struct jb_reading *r = reading;
	const struct jnl_reader_config config = {.dir = r->lane.dir,
		.any_stream = true,
		.any_shard = true,
		.from = JNL_FROM_TRIM_HORIZON};
	struct jnl_reader *reader = NULL;
	struct jnl_epoch_key *key = NULL;
	struct jnl_epoch_info info;
	struct jnl_block b;
	struct slk_error err;
	uint64_t bytes = 0;

	int rc = jnl_reader_new(&config, &reader, &err);
	while (rc == SLK_OK && (rc = jnl_reader_next(reader, &b, &err)) == SLK_OK) {
		if (key == NULL) {
			rc = jnl_reader_epoch(reader, b.epoch_id, &info);
			if (rc == SLK_OK)
				rc = jnl_epoch_key_new(r->lane.seal, &info, r->data_key, &key);
		}
		if (rc == SLK_OK)
			rc = jnl_block_open(r->lane.seal, key, &b, r->plain, JNL_BLOCK_PLAIN_MAX);
		bytes += b.plain_bytes;
	}
	r->failed |= rc != SLK_AGAIN || bytes != r->expected;
	jnl_epoch_key_free(key);
	jnl_reader_free(reader);
}
