/* Looking on at the calls between the product's files, and doing wrong there when a test plants a fault: --wrap at link time. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control_internal.h"
#include "format/block.h"
#include "journal/internal.h"
#include "renew.h"
#include "net/framing.h"
#include "sim.h"

#define LIVE_MAX 256u
#define SLACK_NS SLK_NS_PER_MS
/* How far one call that found nobody carries: the gate of other calls behind it, and two back-offs. */
#define GRACE_STEP_NS (6 * SLK_NS_PER_S + 100 * SLK_NS_PER_MS)
#define LEFT_NS SLK_NS_PER_S

/* Sealing keys of the worker that are in memory, and all pairs of key and nonce that ever sealed. */
static struct {
	const struct seal_key *key;
	uint64_t hash, epoch_id;
	unsigned lane;
} live[LIVE_MAX];
static uint64_t *pairs;
static size_t pair_count, pair_cap;
static uint64_t seals;
static bool in_epoch_new;
static uint64_t epoch_being_made;
static unsigned lane_of_it;

/* --- randomness and time --- */

int __wrap_slk_random(void *out, size_t len);
const struct slk_clock *__wrap_slk_clock_system(void);
int __wrap_usleep(useconds_t us);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int
__wrap_slk_random(void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)simdisk_random(sim_now->disk);
	return SLK_OK;
}

const struct slk_clock *
__wrap_slk_clock_system(void)
{
	return simdisk_clock(sim_now->disk);
}

/* Whoever waits lets the others go on. */
int
__wrap_usleep(useconds_t us)
{
	struct sim *s = sim_now;

	simdisk_advance(s->disk, us * 1000ull);
	if (s->in_sleep || !s->running)
		return 0;
	s->in_sleep = true;
	for (unsigned i = 0; i < s->workers; i++)
		sim_turn_lane(s, i);
	sim_put_reap(s);
	s->in_sleep = false;
	return 0;
}

int
__wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void)left;
	simdisk_advance(sim_now->disk, (uint64_t)wanted->tv_nsec);
	return 0;
}

/* --- keys and nonces --- */

int __real_seal_key_new(
	struct seal_thread *thread, const uint8_t *key, size_t len, struct seal_key **out);
void __real_seal_key_free(struct seal_key *key);
uint32_t __real_seal_burst(struct seal_thread *thread, const struct seal_key *key,
	struct seal_item *items, uint32_t count);
int __real_seal_epoch_new(struct seal_thread *thread, const struct slk_secret *data_key,
	uint64_t epoch_id, uint64_t stream_id, uint64_t max_blocks, uint64_t max_bytes,
	struct seal_epoch **out);
int __wrap_seal_key_new(
	struct seal_thread *thread, const uint8_t *key, size_t len, struct seal_key **out);
void __wrap_seal_key_free(struct seal_key *key);
uint32_t __wrap_seal_burst(struct seal_thread *thread, const struct seal_key *key,
	struct seal_item *items, uint32_t count);
int __wrap_seal_epoch_new(struct seal_thread *thread, const struct slk_secret *data_key,
	uint64_t epoch_id, uint64_t stream_id, uint64_t max_blocks, uint64_t max_bytes,
	struct seal_epoch **out);

static uint64_t
mix(uint64_t h, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		h = (h ^ p[i]) * 0x100000001b3ull;
		h ^= h >> 29;
	}
	return (h ^ h >> 32) * 0x9e3779b97f4a7c15ull;
}

static void
insert_pair(uint64_t pair)
{
	size_t i = pair & (pair_cap - 1);

	while (pairs[i] != 0) {
		if (pairs[i] == pair)
			sim_violation(sim_now, SIM_NONCE, "a key and a nonce sealed two blocks");
		i = (i + 1) & (pair_cap - 1);
	}
	pairs[i] = pair;
	pair_count++;
}

void
sim_watch_reserve(uint64_t blocks)
{
	uint64_t *old = pairs;
	size_t old_cap = pair_cap;

	pair_cap = pair_cap == 0 ? 4096 : pair_cap;
	while (pair_cap < 2 * blocks)
		pair_cap *= 2;
	pairs = calloc(pair_cap, sizeof(*pairs));
	SIM_CHECK(sim_now, SIM_STUCK, pairs != NULL);
	pair_count = 0;
	for (size_t i = 0; i < old_cap; i++) {
		if (old[i] != 0)
			insert_pair(old[i]);
	}
	free(old);
}

static void
remember_pair(uint64_t pair)
{
	if (pair_count * 2 >= pair_cap)
		sim_watch_reserve(pair_cap);
	insert_pair(pair | 1);
}

int
__wrap_seal_key_new(
	struct seal_thread *thread, const uint8_t *key, size_t len, struct seal_key **out)
{
	int rc = __real_seal_key_new(thread, key, len, out);
	unsigned i = 0;

	if (rc != SLK_OK || sim_now == NULL || !in_epoch_new)
		return rc;
	while (i < LIVE_MAX && live[i].key != NULL)
		i++;
	SIM_CHECK(sim_now, SIM_KEY_LEFT, i < LIVE_MAX);
	live[i].key = *out;
	live[i].hash = mix(1, key, len);
	live[i].epoch_id = epoch_being_made;
	live[i].lane = lane_of_it;
	return SLK_OK;
}

void
__wrap_seal_key_free(struct seal_key *key)
{
	for (unsigned i = 0; i < LIVE_MAX && key != NULL; i++) {
		if (live[i].key == key)
			live[i].key = NULL;
	}
	__real_seal_key_free(key);
}

uint32_t
__wrap_seal_burst(struct seal_thread *thread, const struct seal_key *key, struct seal_item *items,
	uint32_t count)
{
	unsigned i = 0;

	while (i < LIVE_MAX && live[i].key != key)
		i++;
	for (uint32_t k = 0; i < LIVE_MAX && k < count; k++)
		remember_pair(mix(live[i].hash, items[k].nonce, SEAL_NONCE_BYTES));
	seals += count;
	return __real_seal_burst(thread, key, items, count);
}

/* The first data key and epoch id of each stream, which the planted fault goes on with. */
static struct {
	struct slk_secret *data_key;
	uint64_t epoch_id;
} carried[SIM_STREAM_IDS];

int
__wrap_seal_epoch_new(struct seal_thread *thread, const struct slk_secret *data_key,
	uint64_t epoch_id, uint64_t stream_id, uint64_t max_blocks, uint64_t max_bytes,
	struct seal_epoch **out)
{
	uint64_t id = epoch_id;

	if (sim_now->plant == SIM_PLANT_KEY_CARRIED_ON && carried[stream_id].data_key == NULL) {
		carried[stream_id].epoch_id = epoch_id;
		SIM_MUST(sim_now,
			slk_secret_from(slk_secret_peek(data_key), slk_secret_len(data_key),
				&carried[stream_id].data_key));
	} else if (sim_now->plant == SIM_PLANT_KEY_CARRIED_ON) {
		data_key = carried[stream_id].data_key;
		id = carried[stream_id].epoch_id;
	}
	in_epoch_new = true;
	epoch_being_made = epoch_id;
	int rc = __real_seal_epoch_new(thread, data_key, id, stream_id, max_blocks, max_bytes, out);
	in_epoch_new = false;
	return rc;
}

void
sim_watch_reset(struct sim *s)
{
	(void)s;
	memset(live, 0, sizeof(live));
	free(pairs);
	pairs = NULL;
	pair_count = pair_cap = 0;
	for (unsigned i = 0; i < SIM_STREAM_IDS; i++) {
		slk_secret_free(carried[i].data_key);
		carried[i].data_key = NULL;
	}
}

void
sim_watch_died(struct sim *s)
{
	(void)s;
	memset(live, 0, sizeof(live));
}

uint64_t
sim_watch_seals(void)
{
	return seals;
}

/* --- epochs --- */

int __real_jnl_lane_epoch_begin(struct jnl_lane *lane, struct seal_thread *thread,
	const struct jnl_epoch_params *params, struct seal_epoch **out);
void __real_jnl_lane_epoch_end(struct jnl_lane *lane, struct seal_epoch *epoch);
int __real_jnl_lane_append(struct jnl_lane *lane, struct seal_thread *thread,
	struct seal_epoch *epoch, uint32_t shard, const struct fmt_record *records, uint32_t count,
	struct jnl_append *out);
uint64_t __real_jnl_lane_durable(const struct jnl_lane *lane);
int __wrap_jnl_lane_epoch_begin(struct jnl_lane *lane, struct seal_thread *thread,
	const struct jnl_epoch_params *params, struct seal_epoch **out);
void __wrap_jnl_lane_epoch_end(struct jnl_lane *lane, struct seal_epoch *epoch);
int __wrap_jnl_lane_append(struct jnl_lane *lane, struct seal_thread *thread,
	struct seal_epoch *epoch, uint32_t shard, const struct fmt_record *records, uint32_t count,
	struct jnl_append *out);
uint64_t __wrap_jnl_lane_durable(const struct jnl_lane *lane);

static struct sim_key *
key_of_epoch(struct sim *s, uint64_t epoch_id)
{
	for (uint64_t i = s->kms.key_count; i-- > 1;) {
		if (s->kms.keys[i].epoch_id == epoch_id)
			return &s->kms.keys[i];
	}
	return NULL;
}

/* The last moment at which the key may seal, as far as answers of the KMS have come. */
static uint64_t
end_of(const struct sim *s, const struct sim_key *k)
{
	const uint64_t hard = k->asked_ns + SIM_INTERVAL_NS;
	const uint64_t grace_ns = s->config.keys.grace_seconds * SLK_NS_PER_S;
	uint64_t end = hard;

	if (grace_ns > 0 && s->kms.away_ns + GRACE_STEP_NS > hard)
		end = s->kms.away_ns + GRACE_STEP_NS;
	if (k->refused_ns != 0 && end > k->refused_ns)
		end = k->refused_ns > hard ? k->refused_ns : hard;
	return end < hard + grace_ns ? end : hard + grace_ns;
}

int
__wrap_jnl_lane_epoch_begin(struct jnl_lane *lane, struct seal_thread *thread,
	const struct jnl_epoch_params *params, struct seal_epoch **out)
{
	struct sim *s = sim_now;
	struct jnl_epoch_params wrong = *params;

	struct sim_key *k = sim_kms_key(s, params->wrapped);
	SIM_CHECK(s, SIM_NONCE, k != NULL && k->epoch_id == 0);
	if (s->plant == SIM_PLANT_KEY_ON_DISK)
		wrong.wrapped = slk_span(
			slk_secret_peek(params->data_key), slk_secret_len(params->data_key));
	lane_of_it = lane->index;
	int rc = __real_jnl_lane_epoch_begin(lane, thread, &wrong, out);
	if (rc == SLK_OK)
		k->epoch_id = seal_epoch_id(*out);
	return rc;
}

void
__wrap_jnl_lane_epoch_end(struct jnl_lane *lane, struct seal_epoch *epoch)
{
	struct sim *s = sim_now;

	if (s->running && s->plant == SIM_PLANT_KEY_LEFT)
		return;
	struct sim_key *k = epoch != NULL ? key_of_epoch(s, seal_epoch_id(epoch)) : NULL;
	if (k != NULL)
		k->over = true;
	__real_jnl_lane_epoch_end(lane, epoch);
}

void
sim_watch_keys(struct sim *s, unsigned lane)
{
	for (unsigned i = 0; i < LIVE_MAX; i++) {
		if (live[i].key == NULL || live[i].lane != lane)
			continue;
		const struct sim_key *k = key_of_epoch(s, live[i].epoch_id);
		if (k != NULL && sim_time(s) >= end_of(s, k) + LEFT_NS)
			sim_violation(s, SIM_KEY_LEFT,
				"a key that was asked for at %.3f s had to end at %.3f s",
				(double)k->asked_ns / 1e9, (double)end_of(s, k) / 1e9);
	}
}

/* --- appending --- */

static void
check_record(struct sim *s, const struct fmt_record *record, struct sim_shard *shard, uint64_t *ids)
{
	uint64_t id = *ids = sim_record_check(s, record->data);
	struct sim_record *r = &s->records[id];

	SIM_CHECK(s, SIM_TWICE, r->stored < r->copies);
	r->stored++;
	if (!r->put)
		SIM_CHECK(s, SIM_REFUSED,
			s->kms.role_refused_ns[r->stream] == 0 ||
				r->delivered_ns <= s->kms.role_refused_ns[r->stream]);
	if (shard->next == shard->cap) {
		shard->cap = shard->cap == 0 ? 256 : 2 * shard->cap;
		shard->ids = realloc(shard->ids, shard->cap * sizeof(*shard->ids));
		SIM_CHECK(s, SIM_STUCK, shard->ids != NULL);
	}
	shard->ids[shard->next++] = id;
}

static void
remember_append(struct sim *s, const struct sim_append *a)
{
	if (s->append_count == s->append_cap) {
		s->append_cap = s->append_cap == 0 ? 256 : 2 * s->append_cap;
		s->appends = realloc(s->appends, s->append_cap * sizeof(*s->appends));
		SIM_CHECK(s, SIM_STUCK, s->appends != NULL);
	}
	s->appends[s->append_count++] = *a;
}

/* What somebody might add to find a fault. */
static void
write_record_down(struct sim *s, const struct fmt_record *record)
{
	const struct slk_fs *fs = simdisk_fs(s->disk);
	int fd = -1;

	if (fs->open(fs->ctx, SIM_DIR "/debug", SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd) !=
		SLK_OK)
		return;
	(void)fs->pwrite(fs->ctx, fd, record->data.ptr, record->data.len, 0);
	(void)fs->close(fs->ctx, fd);
}

static void
seen_append(struct sim *s, struct jnl_lane *lane, struct seal_epoch *epoch, uint32_t shard_index,
	const struct fmt_record *records, uint32_t count, const struct jnl_append *a)
{
	uint64_t stream_id = seal_epoch_stream(epoch);
	struct sim_shard *shard = sim_shard(s, stream_id, shard_index);
	struct sim_key *k = key_of_epoch(s, seal_epoch_id(epoch));
	uint64_t id;

	if (s->plant != SIM_PLANT_KEY_CARRIED_ON) {
		SIM_CHECK(s, SIM_NONCE, k == NULL || k->asked_ns >= s->duplicated_ns);
		SIM_CHECK(s, SIM_EPOCH_END, k != NULL && !k->over && k->stream_id == stream_id);
		SIM_CHECK(s, SIM_EPOCH_END, sim_time(s) < end_of(s, k) + SLACK_NS);
	}
	SIM_CHECK(s, SIM_SEQUENCE, a->first_sequence == shard->next);
	for (uint32_t i = 0; i < count; i++)
		check_record(s, &records[i], shard, &id);
	s->appended += count;
	remember_append(
		s, &(struct sim_append){a->lsn, shard->next, stream_id, shard_index, lane->index});
}

int
__wrap_jnl_lane_append(struct jnl_lane *lane, struct seal_thread *thread, struct seal_epoch *epoch,
	uint32_t shard, const struct fmt_record *records, uint32_t count, struct jnl_append *out)
{
	struct sim *s = sim_now;
	struct jnl_append again;

	if (s->plant == SIM_PLANT_NAMELESS && sim_below(s, 20) == 0)
		return SLK_INTERNAL;
	int rc = __real_jnl_lane_append(lane, thread, epoch, shard, records, count, out);
	if (rc == SLK_AGAIN || rc == SLK_KEY_EXHAUSTED)
		return rc;
	if (rc != SLK_OK) {
		SIM_CHECK(s, SIM_UNTYPED, rc == SLK_DISK_FULL || rc == SLK_DISK_FAILED);
		SIM_CHECK(s, SIM_UNTYPED, s->disk_failed);
		return rc;
	}
	seen_append(s, lane, epoch, shard, records, count, out);
	if (s->plant == SIM_PLANT_RECORD_ON_DISK)
		write_record_down(s, &records[0]);
	if (s->plant == SIM_PLANT_APPEND_TWICE &&
		__real_jnl_lane_append(lane, thread, epoch, shard, records, count, &again) ==
			SLK_OK)
		seen_append(s, lane, epoch, shard, records, count, &again);
	return SLK_OK;
}

uint64_t
__wrap_jnl_lane_durable(const struct jnl_lane *lane)
{
	struct jnl_lane_stats stats;

	if (sim_now->plant != SIM_PLANT_ACK_BEFORE_FLUSH)
		return __real_jnl_lane_durable(lane);
	jnl_lane_stats(lane, &stats);
	return stats.appended_lsn;
}

/* --- what reaches the disk --- */

void
sim_watch_disk(void *arg, const void *buf, size_t len)
{
	struct sim *s = arg;

	if (memmem(buf, len, SIM_MARK, 8) != NULL)
		sim_violation(s, SIM_PLAINTEXT, "a record was written as it is");
	if (memmem(buf, len, SIM_KEY_MARK, 8) != NULL)
		sim_violation(s, SIM_PLAINTEXT, "a data key was written as it is");
}

/* --- where else faults are planted --- */

/* The watermark goes to the end of what was written, flushed or not. */
void
sim_plant_watermark(struct jnl_lane *lane)
{
	const struct jnl_group *last = NULL;

	for (uint64_t n = atomic_load(&lane->flushed); n < atomic_load(&lane->next_write); n++) {
		const struct jnl_group *g = &lane->groups[n % lane->journal->config.group_count];
		if (g->state != JNL_G_WRITTEN)
			break;
		last = g;
	}
	if (last == NULL)
		return;
	struct fmt_watermark m = lane->marks[last->dir].now;
	m.file_id = last->file_id;
	m.position = last->pos + last->len;
	if (jnl_mark_set(&lane->marks[last->dir], &m) != SLK_OK)
		return; /* a failing disk */
}

/* Recovery has not learned the last number of each shard. */
void
sim_plant_forget(struct jnl *journal)
{
	for (unsigned i = 0; i < journal->lane_count; i++) {
		struct jnl_shards *shards = &journal->lanes[i].shards;
		for (uint32_t k = 0; k < shards->count; k++)
			shards->rows[k].next_sequence -= shards->rows[k].next_sequence > 0;
	}
}

int __real_dp_control_send_ctl(struct dp_control *c, struct dp_ctl *ctl);
bool __real_dp_renew_failed(struct dp_renew *r, uint64_t now_ns, int status);
enum dp_framing_step __real_dp_framing_next(
	struct dp_framing_iter *it, struct slk_span *out_record, enum dp_drop *out_drop);
int __real_fmt_block_check(struct slk_span in, uint32_t crc_seed, uint64_t file_id,
	uint64_t position, struct fmt_block *out);
int __wrap_dp_control_send_ctl(struct dp_control *c, struct dp_ctl *ctl);
bool __wrap_dp_renew_failed(struct dp_renew *r, uint64_t now_ns, int status);
enum dp_framing_step __wrap_dp_framing_next(
	struct dp_framing_iter *it, struct slk_span *out_record, enum dp_drop *out_drop);
int __wrap_fmt_block_check(struct slk_span in, uint32_t crc_seed, uint64_t file_id,
	uint64_t position, struct fmt_block *out);

int
__wrap_dp_control_send_ctl(struct dp_control *c, struct dp_ctl *ctl)
{
	if (sim_now->plant == SIM_PLANT_NO_END && ctl != NULL && ctl->op == DP_CTL_KEY)
		ctl->end_ns += 3600 * SLK_NS_PER_S;
	return __real_dp_control_send_ctl(c, ctl);
}

bool
__wrap_dp_renew_failed(struct dp_renew *r, uint64_t now_ns, int status)
{
	return __real_dp_renew_failed(
		r, now_ns, sim_now->plant == SIM_PLANT_GRACE_FOR_ALL ? SLK_UNAVAILABLE : status);
}

enum dp_framing_step
__wrap_dp_framing_next(
	struct dp_framing_iter *it, struct slk_span *out_record, enum dp_drop *out_drop)
{
	enum dp_framing_step step = __real_dp_framing_next(it, out_record, out_drop);

	if (sim_now->plant == SIM_PLANT_SILENT_LOSS && step == DP_FRAMING_RECORD &&
		sim_below(sim_now, 20) == 0)
		step = __real_dp_framing_next(it, out_record, out_drop);
	return step;
}

int
__wrap_fmt_block_check(struct slk_span in, uint32_t crc_seed, uint64_t file_id, uint64_t position,
	struct fmt_block *out)
{
	struct fmt_block b;

	int rc = __real_fmt_block_check(in, crc_seed, file_id, position, out);
	if (rc != SLK_BAD_CRC || sim_now->plant != SIM_PLANT_CRC_IGNORED ||
		!sim_now->reader.gap_allowed)
		return rc;
	if (fmt_block_decode(in, &b) != SLK_OK || b.total_bytes > in.len)
		return rc;
	*out = b;
	return SLK_OK;
}
