#include "crash_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slk_test.h"

#define RECORDS_MAX 8u
#define DATA_MAX 7000u
#define KEYS_MAX 4096u

#define CHECK(w, condition) \
	do { \
		if (!(condition)) \
			fail_msg("seed %llu, crash %llu: %s does not hold", \
				(unsigned long long)(w)->seed, (unsigned long long)(w)->crashes, \
				#condition); \
	} while (0)

static uint64_t
below(struct world *w, uint64_t n)
{
	return simdisk_random(w->disk) % n;
}

/* The bytes of a record: its id, then a pattern. */
static void
bytes_of(uint64_t id, uint8_t *out, size_t len)
{
	slk_put_le64(out, id);
	memset(out + 8, (int)(id * 31 & 0xff), len - 8);
}

/* Mostly small; large where the id says so. */
static size_t
size_of(uint64_t id)
{
	uint64_t x = id * 0x9e3779b97f4a7c15ull >> 20;

	return 8 + (size_t)((id & WORLD_HEAVY) != 0 ? x % (DATA_MAX - 8) : x % 400);
}

static uint64_t
take_id(struct world *w)
{
	return w->next_id++ | (w->heavy ? WORLD_HEAVY : 0);
}

void
world_init(struct world *w, uint64_t seed, struct seal_thread *seal)
{
	*w = (struct world){.seed = seed, .seal = seal, .next_id = 1};
	w->disk = simdisk_new(seed);
	attester_init(&w->attester, "P-256");
	assert_ok(seal_attest_keys_from_der(attester_der(&w->attester), &w->trusted));
	assert_ok(simdisk_fs(w->disk)->mkdir(w->disk, WORLD_DIR, 0750));
	assert_ok(simdisk_fs(w->disk)->sync_dir(w->disk, "."));
	w->fs = simdisk_fs(w->disk);
	w->io = simdisk_io(w->disk);
}

void
world_init_pair(struct world *w, uint64_t seed, struct seal_thread *seal)
{
	world_init(w, seed, seal);
	w->other = simdisk_new(seed ^ 0x5eed);
	assert_ok(simdisk_fs(w->other)->mkdir(w->other, WORLD_OTHER_DIR, 0750));
	assert_ok(simdisk_fs(w->other)->sync_dir(w->other, "."));
	simpair_init(&w->pair, w->disk, w->other, WORLD_OTHER_DIR);
	w->fs = &w->pair.fs;
	w->io = &w->pair.io;
}

static void
end_epochs(struct world *w)
{
	for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
		for (unsigned stream = 0; stream < WORLD_STREAMS; stream++)
			world_end_epoch(w, lane, stream);
	}
}

void
world_fini(struct world *w)
{
	if (w->journal != NULL)
		world_crash(w, SIMDISK_KILL);
	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++)
		free(w->shards[i / WORLD_SHARDS][i % WORLD_SHARDS].ids);
	free(w->appends);
	seal_attest_keys_free(w->trusted);
	attester_fini(&w->attester);
	simdisk_free(w->disk);
	if (w->other != NULL)
		simdisk_free(w->other);
}

static int
attest(void *ctx, const uint8_t digest[FMT_REWRAP_DIGEST_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	struct world *w = ctx;

	if (!w->hsm_there && below(w, 3) == 0)
		return slk_fail(err, SLK_UNAVAILABLE, "the HSM is away");
	out->signature_len = attester_sign(&w->attester, "journal", digest, out->signature);
	memcpy(out->public_key, w->attester.der, w->attester.der_len);
	out->public_key_len = w->attester.der_len;
	strcpy(out->key_arn, "arn:aws:kms:local:000000000000:key/a");
	return SLK_OK;
}

int
world_open(struct world *w, struct slk_error *err)
{
	static const char *const more[] = {WORLD_OTHER_DIR};
	struct jnl_config config = {
		.dir = WORLD_DIR,
		.more_dirs = more,
		.more_count = w->other != NULL ? 1 : 0,
		.lane_count = WORLD_LANES,
		.file_bytes = 1u << 20,
		.group_bytes = 64u << 10,
		.group_count = 4,
		.fs = w->fs,
		.clock = simdisk_clock(w->disk),
		.sim_io = w->io,
		.integrity = true,
	};

	w->shift++;
	memset(w->lane_closed, 0, sizeof(w->lane_closed));
	int rc = jnl_open(&config, &w->journal, &w->recovery, err);
	if (rc == SLK_OK)
		rc = jnl_notary_new(w->journal, attest, w, &w->notary, err);
	return rc;
}

int
world_notarize(struct world *w)
{
	struct slk_error err;
	int rc = jnl_notary_turn(w->notary, &err);

	return rc == SLK_UNAVAILABLE ? 0 : rc;
}

/* With the HSM at hand, until nothing is left to do. */
static int
notarize_all(struct world *w)
{
	struct slk_error err;
	int rc;

	w->hsm_there = true;
	do {
		rc = jnl_notary_turn(w->notary, &err);
	} while (rc > 0);
	w->hsm_there = false;
	return rc;
}

/* --- keys: a key block's wrapped key is the number of its data key --- */

static void
data_key_of(uint64_t number, struct slk_secret **out)
{
	uint8_t key[32];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(number * (2 * i + 1) + i + (number >> 8));
	assert_ok(slk_secret_from(key, sizeof(key), out));
}

static int
give_data_key(void *arg, const struct jnl_epoch_info *info, struct slk_secret **out)
{
	(void)arg;
	assert_int_equal(info->wrapped.len, 8);
	data_key_of(slk_get_le64(info->wrapped.ptr), out);
	return SLK_OK;
}

int
world_data_key(const struct jnl_epoch_info *info, struct slk_secret **out)
{
	return give_data_key(NULL, info, out);
}

static int
unwrap(void *arg, const struct fmt_keyblock *k, struct slk_secret **out)
{
	(void)arg;
	if (k->wrapped.len != 8)
		return SLK_INVALID_CIPHERTEXT;
	data_key_of(slk_get_le64(k->wrapped.ptr), out);
	return SLK_OK;
}

struct noncescan_report
world_scan_nonces(struct world *w)
{
	struct noncescan_config config = {
		.dir = WORLD_DIR, .fs = w->fs, .data_key = unwrap, .arg = w};
	struct noncescan_report report = {0};
	struct slk_error err = {0};

	CHECK(w, noncescan(&config, &report, &err) == SLK_OK);
	if (w->other != NULL && report.repeats == 0 && report.shared_keys == 0) {
		config.dir = WORLD_OTHER_DIR;
		CHECK(w, noncescan(&config, &report, &err) == SLK_OK);
	}
	return report;
}

static int
begin_epoch(struct world *w, unsigned lane, unsigned stream)
{
	struct fmt_context *context = NULL;
	struct slk_secret *key = NULL;
	uint8_t wrapped[8];
	char arn[80];

	snprintf(arn, sizeof(arn), "arn:aws:kinesis:local:000000000000:stream/s%u", stream);
	assert_ok(fmt_context_for_stream(arn, &context));
	slk_put_le64(wrapped, w->next_key);
	data_key_of(w->next_key++, &key);
	struct jnl_epoch_params params = {
		.stream_id = stream + 1,
		.stream_arn = arn,
		.key_arn = "arn:aws:kms:local:000000000000:key/k",
		.context = context,
		.wrapped = slk_span(wrapped, sizeof(wrapped)),
		.data_key = key,
	};
	int rc = jnl_lane_epoch_begin(
		jnl_lane(w->journal, lane), w->seal, &params, &w->epochs[lane][stream]);
	slk_secret_free(key);
	fmt_context_free(context);
	return rc;
}

void
world_end_epoch(struct world *w, unsigned lane, unsigned stream)
{
	if (w->epochs[lane][stream] != NULL)
		jnl_lane_epoch_end(jnl_lane(w->journal, lane), w->epochs[lane][stream]);
	w->epochs[lane][stream] = NULL;
}

/* --- writing --- */

static void
remember(struct world *w, struct world_shard *s, uint64_t id)
{
	if (s->next == s->cap) {
		s->cap = s->cap == 0 ? 256 : 2 * s->cap;
		s->ids = realloc(s->ids, s->cap * sizeof(*s->ids));
		CHECK(w, s->ids != NULL);
	}
	s->ids[s->next++] = id;
}

static uint32_t
make_records(struct world *w, struct fmt_record records[RECORDS_MAX], uint64_t ids[RECORDS_MAX])
{
	static uint8_t data[RECORDS_MAX][DATA_MAX];
	uint32_t count = 1 + (uint32_t)below(w, RECORDS_MAX);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t id = ids[i] = take_id(w);
		size_t len = size_of(id);
		bytes_of(id, data[i], len);
		records[i] = (struct fmt_record){slk_span("key", id % 4), slk_span(data[i], len),
			slk_wall_ns(simdisk_clock(w->disk)), FMT_SOURCE_PUT};
	}
	return count;
}

int
world_append(struct world *w)
{
	struct fmt_record records[RECORDS_MAX];
	uint64_t ids[RECORDS_MAX];
	struct jnl_append done;
	unsigned stream = (unsigned)below(w, WORLD_STREAMS);
	unsigned shard = (unsigned)below(w, WORLD_SHARDS);
	unsigned lane = (stream + w->shift) % WORLD_LANES;
	struct world_shard *s = &w->shards[stream][shard];
	struct jnl_lane *l = jnl_lane(w->journal, lane);

	int rc = w->epochs[lane][stream] == NULL ? begin_epoch(w, lane, stream) : SLK_OK;
	if (rc != SLK_OK)
		return rc;
	CHECK(w, jnl_lane_next_sequence(l, stream + 1, shard) == s->next);
	uint32_t count = make_records(w, records, ids);
	rc = jnl_lane_append(l, w->seal, w->epochs[lane][stream], shard, records, count, &done);
	if (rc != SLK_OK) {
		CHECK(w, jnl_lane_next_sequence(l, stream + 1, shard) == s->next);
		return rc;
	}
	CHECK(w, done.first_sequence == s->next);
	for (uint32_t i = 0; i < count; i++)
		remember(w, s, ids[i]);
	w->appended += count;
	if (w->append_count == w->append_cap) {
		w->append_cap = w->append_cap == 0 ? 256 : 2 * w->append_cap;
		w->appends = realloc(w->appends, w->append_cap * sizeof(*w->appends));
		CHECK(w, w->appends != NULL);
	}
	w->appends[w->append_count++] =
		(struct world_append){done.lsn, s->next, stream, shard, lane};
	return SLK_OK;
}

int
world_submit(struct world *w, unsigned lane)
{
	return jnl_lane_submit(jnl_lane(w->journal, lane));
}

static void
take_acknowledgements(struct world *w, unsigned lane)
{
	uint64_t durable = jnl_lane_durable(jnl_lane(w->journal, lane));
	size_t kept = 0;

	for (size_t i = 0; i < w->append_count; i++) {
		struct world_append a = w->appends[i];
		if (a.lane != lane || a.lsn > durable) {
			w->appends[kept++] = a;
			continue;
		}
		struct world_shard *s = &w->shards[a.stream][a.shard];
		if (a.next > s->acked)
			s->acked = a.next;
	}
	w->append_count = kept;
}

int
world_turn(struct world *w, unsigned lane)
{
	int rc = jnl_lane_turn(jnl_lane(w->journal, lane));
	int moved = jnl_lane_move(jnl_lane(w->journal, lane));

	if (rc >= 0 && moved != SLK_OK && moved != SLK_AGAIN)
		rc = moved;
	take_acknowledgements(w, lane);
	return rc;
}

static int
close_lane(struct world *w, unsigned lane)
{
	int rc, turned = 0;

	for (unsigned tries = 0;; tries++) {
		rc = jnl_lane_close(jnl_lane(w->journal, lane));
		if (rc != SLK_AGAIN || turned < 0)
			break;
		CHECK(w, tries < 100000);
		turned = world_turn(w, lane);
	}
	for (unsigned tries = 0; rc == SLK_OK && turned >= 0; tries++) {
		CHECK(w, tries < 100000);
		turned = world_turn(w, lane);
	}
	return turned < 0 && turned != SLK_END ? turned : rc;
}

int
world_close(struct world *w)
{
	int rc = SLK_OK;

	for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
		int one = close_lane(w, lane);
		rc = rc == SLK_OK ? one : rc;
	}
	int noted = rc == SLK_OK ? notarize_all(w) : SLK_OK;
	/* What lies on a disk that has failed is made up for after a start. */
	if (rc == SLK_OK &&
		(w->other == NULL || !(simdisk_failed(w->disk) || simdisk_failed(w->other))))
		rc = noted;
	end_epochs(w);
	jnl_notary_free(w->notary);
	w->notary = NULL;
	jnl_close(w->journal);
	w->journal = NULL;
	return rc;
}

void
world_crash(struct world *w, enum simdisk_crash how)
{
	if (w->journal != NULL) {
		end_epochs(w);
		simdisk_fail(w->disk, 1, true, SLK_IO);
		if (w->other != NULL)
			simdisk_fail(w->other, 1, true, SLK_IO);
		jnl_notary_free(w->notary);
		w->notary = NULL;
		jnl_close(w->journal);
		w->journal = NULL;
	}
	simdisk_crash(w->disk, how);
	if (w->other != NULL)
		simdisk_crash(w->other, how);
	memset(w->epochs, 0, sizeof(w->epochs));
	w->append_count = 0;
	w->crashes++;
}

/* --- reading --- */

struct keyring {
	uint64_t ids[KEYS_MAX];
	struct jnl_epoch_key *keys[KEYS_MAX];
	size_t count;
};

static struct jnl_epoch_key *
key_for(struct world *w, struct keyring *ring, struct jnl_reader *reader, uint64_t epoch_id)
{
	struct jnl_epoch_info info;
	struct slk_secret *data_key = NULL;

	for (size_t i = 0; i < ring->count; i++) {
		if (ring->ids[i] == epoch_id)
			return ring->keys[i];
	}
	CHECK(w, ring->count < KEYS_MAX);
	CHECK(w, jnl_reader_epoch(reader, epoch_id, &info) == SLK_OK);
	assert_ok(give_data_key(NULL, &info, &data_key));
	CHECK(w, jnl_epoch_key_new(w->seal, &info, data_key, &ring->keys[ring->count]) == SLK_OK);
	slk_secret_free(data_key);
	ring->ids[ring->count] = epoch_id;
	return ring->keys[ring->count++];
}

bool
world_is_record(uint64_t id, const struct fmt_record *r)
{
	static uint8_t expected[DATA_MAX];

	if (r->data.len != size_of(id) || r->key.len != id % 4)
		return false;
	bytes_of(id, expected, r->data.len);
	return memcmp(r->data.ptr, expected, r->data.len) == 0;
}

static void
check_record(
	struct world *w, const struct world_shard *s, uint64_t sequence, const struct fmt_record *r)
{
	CHECK(w, sequence < s->next);
	CHECK(w, world_is_record(s->ids[sequence], r));
}

static void
check_block(struct world *w, const struct jnl_epoch_key *key, const struct jnl_block *b,
	uint64_t found[][WORLD_SHARDS])
{
	static uint8_t plain[JNL_BLOCK_PLAIN_MAX];
	struct fmt_record_iter it;
	struct fmt_record r;

	CHECK(w, b->stream_id >= 1 && b->stream_id <= WORLD_STREAMS && b->shard < WORLD_SHARDS);
	const struct world_shard *s = &w->shards[b->stream_id - 1][b->shard];
	uint64_t *expected = &found[b->stream_id - 1][b->shard];
	CHECK(w, b->first_sequence == *expected);
	CHECK(w, jnl_block_open(w->seal, key, b, plain, sizeof(plain)) == SLK_OK);
	CHECK(w,
		fmt_record_iter_init(&it, slk_span(plain, b->plain_bytes), b->record_count) ==
			SLK_OK);
	while (fmt_record_iter_next(&it, &r) == SLK_OK)
		check_record(w, s, (*expected)++, &r);
}

/* Read everything; found[][]: the number behind the last record of each shard. */
static void
read_all(struct world *w, uint64_t found[][WORLD_SHARDS])
{
	struct jnl_reader_config config = {
		.dir = WORLD_DIR, .any_stream = true, .any_shard = true, .fs = w->fs};
	struct jnl_reader *reader = NULL;
	struct keyring *ring = calloc(1, sizeof(*ring));
	struct jnl_block b;
	struct slk_error err = {0};

	CHECK(w, ring != NULL);
	memset(found, 0, WORLD_STREAMS * sizeof(found[0]));
	CHECK(w, jnl_reader_new(&config, &reader, &err) == SLK_OK);
	for (;;) {
		int rc = jnl_reader_next(reader, &b, &err);
		if (rc == SLK_AGAIN)
			break;
		if (rc != SLK_OK)
			fail_msg("seed %llu: reader: %s", (unsigned long long)w->seed, err.text);
		check_block(w, key_for(w, ring, reader, b.epoch_id), &b, found);
	}
	for (size_t i = 0; i < ring->count; i++)
		jnl_epoch_key_free(ring->keys[i]);
	free(ring);
	jnl_reader_free(reader);
}

void
world_check_live(struct world *w)
{
	uint64_t found[WORLD_STREAMS][WORLD_SHARDS];

	read_all(w, found);
	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++) {
		struct world_shard *s = &w->shards[i / WORLD_SHARDS][i % WORLD_SHARDS];
		uint64_t end = found[i / WORLD_SHARDS][i % WORLD_SHARDS];
		CHECK(w, end >= s->acked);
		CHECK(w, end >= s->seen);
		s->seen = end;
	}
}

static void
tell_finding(void *arg, const struct jnl_finding *f)
{
	const struct world *w = arg;

	fprintf(stderr, "seed %llu: %s at %llu: %s\n", (unsigned long long)w->seed, f->name,
		(unsigned long long)f->offset, f->sentence);
}

void
world_check_recovered(struct world *w)
{
	uint64_t found[WORLD_STREAMS][WORLD_SHARDS];
	struct jnl_verify_config verify = {.dir = WORLD_DIR,
		.fs = w->fs,
		.seal = w->seal,
		.data_key = give_data_key,
		.proofs = true,
		.trusted = w->trusted,
		.finding = tell_finding,
		.arg = w};
	struct jnl_verify_report report;
	struct slk_error err = {0};

	CHECK(w, w->recovery.corrupt_blocks == 0);
	CHECK(w, notarize_all(w) == 0);
	CHECK(w, jnl_verify(&verify, &report, &err) == SLK_OK);
	CHECK(w, report.findings == 0 && report.tags_unchecked == 0);
	CHECK(w, report.files_signed + report.files_unclosed == report.files);
	read_all(w, found);
	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++) {
		unsigned stream = i / WORLD_SHARDS, shard = i % WORLD_SHARDS;
		struct world_shard *s = &w->shards[stream][shard];
		uint64_t end = found[stream][shard];
		CHECK(w, end >= s->acked);
		CHECK(w, end >= s->seen);
		for (unsigned lane = 0; lane < WORLD_LANES; lane++)
			CHECK(w,
				jnl_lane_next_sequence(
					jnl_lane(w->journal, lane), stream + 1, shard) == end);
		s->next = s->acked = s->seen =
			end; /* recovery has made it durable, and readers have seen it */
	}
}
