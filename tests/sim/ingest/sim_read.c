/* Readers: the product's, with kms:Decrypt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/jfile.h"
#include "format/record.h"
#include "journal/inspect.h"
#include "sim.h"

#define LIES_PASSES 4u
#define LIES_READ_MAX 10000u

void
sim_read_open(struct sim *s)
{
	const struct jnl_reader_config config = {
		.dir = SIM_DIR, .any_stream = true, .any_shard = true, .fs = simdisk_fs(s->disk)};
	struct slk_error err = {0};

	sim_read_close(s);
	SIM_MUST(s, jnl_reader_new(&config, &s->reader.reader, &err));
	for (unsigned i = 0; i < SIM_STREAM_IDS * SIM_SHARDS; i++)
		s->shards[i / SIM_SHARDS][i % SIM_SHARDS].read_to = 0;
}

void
sim_read_close(struct sim *s)
{
	for (size_t i = 0; i < s->reader.key_count; i++)
		jnl_epoch_key_free(s->reader.keys[i].key);
	free(s->reader.keys);
	jnl_reader_free(s->reader.reader);
	memset(&s->reader, 0, sizeof(s->reader));
}

static struct jnl_epoch_key *
key_for(struct sim *s, uint64_t epoch_id)
{
	struct sim_reader *r = &s->reader;
	struct slk_secret *data_key = NULL;
	struct jnl_epoch_info info;

	for (size_t i = r->key_count; i-- > 0;) {
		if (r->keys[i].epoch_id == epoch_id)
			return r->keys[i].key;
	}
	if (r->key_count == r->key_cap) {
		r->key_cap = r->key_cap == 0 ? 64 : 2 * r->key_cap;
		r->keys = realloc(r->keys, r->key_cap * sizeof(*r->keys));
		SIM_CHECK(s, SIM_STUCK, r->keys != NULL);
	}
	SIM_CHECK(s, SIM_BELIEVED, jnl_reader_epoch(r->reader, epoch_id, &info) == SLK_OK);
	SIM_CHECK(s, SIM_BELIEVED, sim_kms_unwrap(s, info.wrapped, &data_key) == SLK_OK);
	struct jnl_epoch_key *key = NULL;
	int rc = jnl_epoch_key_new(s->seal, &info, data_key, &key);
	slk_secret_free(data_key);
	SIM_CHECK(s, SIM_BELIEVED, rc == SLK_OK);
	r->keys[r->key_count].epoch_id = epoch_id;
	r->keys[r->key_count++].key = key;
	return key;
}

static void
check_durable(struct sim *s, const struct jnl_block *b)
{
	char name[FMT_JFILE_NAME_MAX], path[FMT_JFILE_NAME_MAX + sizeof(SIM_DIR) + 1];

	fmt_jfile_name(FMT_JFILE_LANE, b->file_id, name);
	snprintf(path, sizeof(path), SIM_DIR "/%s", name);
	if (sim_below(s, ++s->reader.blocks) == 0) {
		snprintf(s->reader.victim, sizeof(s->reader.victim), "%s", path);
		s->reader.victim_pos = b->position;
		s->reader.victim_len = b->header.len + b->ciphertext.len + b->tag.len;
	}
	if (s->real_disk)
		return;
	SIM_CHECK(s, SIM_WATERMARK,
		simdisk_is_durable(s->disk, path, b->position,
			b->header.len + b->ciphertext.len + b->tag.len));
}

static void
check_block(struct sim *s, const struct jnl_block *b)
{
	static uint8_t plain[JNL_BLOCK_PLAIN_MAX];
	struct sim_shard *shard = sim_shard(s, b->stream_id, b->shard);
	struct fmt_record_iter it;
	struct fmt_record r;

	check_durable(s, b);
	if (!s->reader.gap_allowed)
		SIM_CHECK(s, SIM_SEQUENCE, b->first_sequence == shard->read_to);
	SIM_CHECK(s, SIM_SEQUENCE, b->first_sequence >= shard->read_to);
	SIM_CHECK(s, SIM_BELIEVED,
		jnl_block_open(s->seal, key_for(s, b->epoch_id), b, plain, sizeof(plain)) ==
			SLK_OK);
	SIM_CHECK(s, SIM_BELIEVED,
		fmt_record_iter_init(&it, slk_span(plain, b->plain_bytes), b->record_count) ==
			SLK_OK);
	shard->read_to = b->first_sequence;
	while (fmt_record_iter_next(&it, &r) == SLK_OK) {
		uint64_t id = sim_record_check(s, r.data);
		SIM_CHECK(s, SIM_SEQUENCE, shard->read_to < shard->next);
		SIM_CHECK(s, SIM_SEQUENCE, shard->ids[shard->read_to] == id);
		shard->read_to++;
		s->read++;
	}
	if (shard->seen < shard->read_to)
		shard->seen = shard->read_to;
}

/* Up to max blocks; true at the end of what there is. */
static bool
read_blocks(struct sim *s, uint64_t max)
{
	struct jnl_block b;
	struct slk_error err = {0};

	for (uint64_t i = 0; i < max; i++) {
		int rc = jnl_reader_next(s->reader.reader, &b, &err);
		if (rc == SLK_AGAIN)
			return true;
		if (rc == SLK_CORRUPT && s->reader.gap_allowed)
			continue;
		if (rc != SLK_OK)
			sim_violation(s, SIM_LOST, "a reader found: %s: %s", slk_status_name(rc),
				err.text);
		check_block(s, &b);
	}
	return false;
}

void
sim_read_some(struct sim *s, unsigned blocks)
{
	(void)read_blocks(s, blocks);
}

void
sim_read_all(struct sim *s)
{
	sim_read_open(s);
	SIM_CHECK(s, SIM_STUCK, read_blocks(s, UINT64_MAX));
}

/* To the end, on a disk whose reads are wrong at times: it says so, or gives what was written. */
static void
read_wrong(struct sim *s)
{
	const struct jnl_reader_config config = {
		.dir = SIM_DIR, .any_stream = true, .any_shard = true, .fs = simdisk_fs(s->disk)};
	struct slk_error err = {0};
	struct jnl_epoch_info info;
	struct jnl_block b;

	sim_read_close(s);
	int rc = jnl_reader_new(&config, &s->reader.reader, &err);
	for (unsigned i = 0; i < SIM_STREAM_IDS * SIM_SHARDS; i++)
		s->shards[i / SIM_SHARDS][i % SIM_SHARDS].read_to = 0;
	s->reader.gap_allowed = true;
	for (unsigned tries = 0; rc == SLK_OK && tries < LIES_READ_MAX; tries++) {
		rc = jnl_reader_next(s->reader.reader, &b, &err);
		if (rc == SLK_AGAIN)
			return;
		/* A key block may have been what was not readable: then nothing of its epoch can be opened. */
		if (rc == SLK_OK && jnl_reader_epoch(s->reader.reader, b.epoch_id, &info) == SLK_OK)
			check_block(s, &b);
		rc = rc == SLK_CORRUPT ? SLK_OK : rc;
	}
	if (rc != SLK_OK && slk_status_class(rc) != SLK_CLASS_CORRUPT)
		sim_violation(s, SIM_UNTYPED, "a reader of a disk that lies: %s: %s",
			slk_status_name(rc), err.text);
}

/* A block that cannot be read for a while. */
static void
flip_one_bit(struct sim *s)
{
	char path[sizeof(s->reader.victim)];

	sim_read_all(s);
	if (s->reader.blocks == 0)
		return;
	uint64_t bit = 8 * s->reader.victim_pos + sim_below(s, 8 * s->reader.victim_len);
	memcpy(path, s->reader.victim, sizeof(path));
	SIM_MUST(s, simdisk_flip(s->disk, path, bit));
	read_wrong(s);
	SIM_MUST(s, simdisk_flip(s->disk, path, bit));
}

void
sim_read_lies(struct sim *s)
{
	for (unsigned pass = 0; pass < LIES_PASSES; pass++) {
		enum simdisk_lie lie =
			pass == 0 ? SIMDISK_LIE_READ_ELSEWHERE : SIMDISK_LIE_READ_FLIP;
		simdisk_lie(s->disk, lie, 1 + sim_below(s, 10));
		read_wrong(s);
		simdisk_lie(s->disk, lie, 0);
	}
	flip_one_bit(s);
	sim_read_open(s);
}

/* --- verification --- */

/* A signature that is still awaited is no loss: the notary leaves a file unsigned whose proof never was begun when two
 * openings in a row end before it came to that file. */
static void
keep_finding(void *arg, const struct jnl_finding *f)
{
	struct sim *s = arg;

	if (strstr(f->sentence, "still awaited") != NULL)
		return;
	s->findings++;
	snprintf(s->sentence, sizeof(s->sentence), "%s at %llu: %s", f->name,
		(unsigned long long)f->offset, f->sentence);
}

static int
give_data_key(void *arg, const struct jnl_epoch_info *info, struct slk_secret **out)
{
	return sim_kms_unwrap(arg, info->wrapped, out);
}

void
sim_verify(struct sim *s)
{
	struct jnl_verify_config verify = {.dir = SIM_DIR,
		.fs = simdisk_fs(s->disk),
		.seal = s->seal,
		.data_key = give_data_key,
		.proofs = true,
		.trusted = s->trusted,
		.finding = keep_finding,
		.arg = s};
	struct jnl_verify_report report;
	struct slk_error err = {0};

	SIM_MUST(s, jnl_verify(&verify, &report, &err));
	if (s->findings > 0) {
		char first[400];
		memcpy(first, s->sentence, sizeof(first) - 1);
		first[sizeof(first) - 1] = '\0';
		sim_violation(s, SIM_LOST, "%u findings, the last: %s", s->findings, first);
	}
	SIM_CHECK(s, SIM_LOST, report.tags_unchecked == 0);
}
