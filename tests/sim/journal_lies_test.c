/* The journal on a disk that says that it wrote and did not: writes that are lost, writes that reach another place of the file,
 * flushes that do nothing. None of that can be prevented; what the journal owes is the truth about it:
 *
 *     BELIEVED  what a reader is given is the record of that stream, shard and number, each once, in order: a block that
 *               lies in the place of another is never read as it
 *     NAMED     a reader that goes past something missing has said so (SLK_CORRUPT) before it went on; of the end of a file
 *               that is missing whole, with another file behind it, it knows nothing: verification does
 *     VERIFIED  of what was acknowledged, something written before what is still there is missing: then recovery has
 *               reported it (damage, or a torn tail that it kept aside) or jnl_verify() has a finding
 *     GOES_ON   afterwards it starts, and what is acknowledged then, on a disk that is well again, is there after a crash;
 *               no key and nonce are used twice
 *
 * What is lost together with all that was written after it in its lane looks like a shorter life: nothing on this disk tells
 * (a mirror does, and kmsd, which remembers how far each lane had signed). One fault is planted for each of the last three, at
 * the seams, and found within 1,000 seeds.
 *
 *     journal_lies_test           1,000 seeds; ten times as many with SLK_TEST_LONG
 *     SLK_SIM_SEEDS=N             that many
 *     journal_lies_test SEED      that seed alone, as a failure has printed it
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash_world.h"
#include "format/record.h"
#include "slk_test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS 200u
#else
#define SEEDS 1000u
#endif
#define STEPS_MAX 300u
#define KEYS_MAX 512u

enum invariant { HOLDS, BELIEVED, NAMED, VERIFIED, GOES_ON, INVARIANTS };
enum plant {
	PLANT_NONE,
	PLANT_READER_SILENT, /* readers pass over damage without a word */
	PLANT_VERIFY_SILENT, /* neither verification nor recovery has anything to say */
	PLANT_KEY_AGAIN, /* the keys of before are used again */
	PLANTS
};
static const char *const names[INVARIANTS] = {"nothing", "nothing is read as another's",
	"readers name what is missing", "verification names what is missing", "it goes on"};

/* What was written, in the order of each lane. */
struct written {
	unsigned stream, shard, lane;
	uint64_t first, next, order;
	bool acked;
};

struct life {
	struct world w;
	struct written *list;
	size_t count, cap;
	uint64_t lsn_from; /* in list: of this opening */
	uint8_t *there[WORLD_STREAMS][WORLD_SHARDS]; /* by number: was it read? */
	uint64_t reported; /* by the reader */
	bool end_missing; /* numbers go on in another file, and not where they were */
	uint64_t findings;
	char sentence[300];
};

static enum plant planted;
static struct seal_thread *seal;
static uint64_t only_seed, lost_records, named_losses, silent_tails;
static jmp_buf escape;
static enum invariant broken;

static void
breach(struct life *l, enum invariant invariant, const char *what)
{
	snprintf(l->sentence, sizeof(l->sentence), "seed %llu: \"%s\" does not hold: %s",
		(unsigned long long)l->w.seed, names[invariant], what);
	broken = invariant;
	longjmp(escape, 1);
}

#define MUST(l, invariant, condition) \
	do { \
		if (!(condition)) \
			breach((l), (invariant), #condition); \
	} while (0)

static uint64_t
below(struct life *l, uint64_t n)
{
	return simdisk_random(l->w.disk) % n;
}

/* --- the seams --- */

static int
next_block(struct life *l, struct jnl_reader *reader, struct jnl_block *b)
{
	struct slk_error err = {0};
	int rc;

	do {
		rc = jnl_reader_next(reader, b, &err);
		if (rc == SLK_CORRUPT && planted != PLANT_READER_SILENT)
			l->reported++;
	} while (rc == SLK_CORRUPT);
	return rc;
}

/* --- writing --- */

static void
note_append(struct life *l)
{
	struct world *w = &l->w;
	const struct world_append *a = &w->appends[w->append_count - 1];
	const uint64_t next = w->shards[a->stream][a->shard].next;

	if (l->count == l->cap) {
		l->cap = l->cap == 0 ? 1024 : 2 * l->cap;
		l->list = realloc(l->list, l->cap * sizeof(*l->list));
		assert_non_null(l->list);
	}
	uint64_t first = 0;
	for (size_t i = l->count; i-- > 0 && first == 0;)
		if (l->list[i].stream == a->stream && l->list[i].shard == a->shard)
			first = l->list[i].next;
	l->list[l->count] = (struct written){.stream = a->stream,
		.shard = a->shard,
		.lane = a->lane,
		.first = first < next ? first : 0,
		.next = next,
		.order = l->count};
	l->count++;
}

static void
note_acked(struct life *l)
{
	for (size_t i = l->lsn_from; i < l->count; i++) {
		struct written *wr = &l->list[i];
		wr->acked = wr->acked || wr->next <= l->w.shards[wr->stream][wr->shard].acked;
	}
}

static void
write_some(struct life *l, uint64_t steps)
{
	struct world *w = &l->w;

	w->heavy = below(l, 3) == 0;
	for (; steps > 0; steps--) {
		unsigned lane = (unsigned)below(l, WORLD_LANES);
		uint64_t dice = below(l, 100);
		int rc = SLK_OK;
		if (dice < 45) {
			rc = world_append(w);
			if (rc == SLK_OK)
				note_append(l);
		} else if (dice < 60) {
			rc = world_submit(w, lane);
		} else if (dice < 96) {
			rc = world_turn(w, lane);
		} else {
			rc = world_notarize(w);
		}
		MUST(l, GOES_ON, rc >= 0 || rc == SLK_AGAIN);
	}
	note_acked(l);
}

/* --- reading --- */

struct ring {
	uint64_t ids[KEYS_MAX];
	struct jnl_epoch_key *keys[KEYS_MAX];
	size_t count;
};

/* NULL: the key block is among what is lost, and nothing of the epoch can be opened. */
static struct jnl_epoch_key *
key_for(struct life *l, struct ring *ring, struct jnl_reader *reader, uint64_t epoch_id)
{
	struct jnl_epoch_info info;
	struct slk_secret *data_key = NULL;

	for (size_t i = 0; i < ring->count; i++)
		if (ring->ids[i] == epoch_id)
			return ring->keys[i];
	if (ring->count == KEYS_MAX || jnl_reader_epoch(reader, epoch_id, &info) != SLK_OK)
		return NULL;
	MUST(l, BELIEVED, world_data_key(&info, &data_key) == SLK_OK);
	int rc = jnl_epoch_key_new(seal, &info, data_key, &ring->keys[ring->count]);
	slk_secret_free(data_key);
	MUST(l, BELIEVED, rc == SLK_OK);
	ring->ids[ring->count] = epoch_id;
	return ring->keys[ring->count++];
}

struct place {
	uint64_t next, reported; /* how much was reported when it was read last */
	uint64_t file_id;
};

static void
check_block(struct life *l, const struct jnl_epoch_key *key, const struct jnl_block *b,
	struct place places[][WORLD_SHARDS])
{
	static uint8_t plain[JNL_BLOCK_PLAIN_MAX];
	struct fmt_record_iter it;
	struct fmt_record r;

	MUST(l, BELIEVED,
		b->stream_id >= 1 && b->stream_id <= WORLD_STREAMS && b->shard < WORLD_SHARDS);
	const struct world_shard *s = &l->w.shards[b->stream_id - 1][b->shard];
	struct place *p = &places[b->stream_id - 1][b->shard];
	MUST(l, BELIEVED, b->first_sequence >= p->next);
	bool jumps = b->first_sequence != p->next && l->reported == p->reported;
	MUST(l, NAMED, !jumps || (p->file_id != 0 && b->file_id != p->file_id));
	l->end_missing = l->end_missing || jumps;
	MUST(l, BELIEVED, b->first_sequence + b->record_count <= s->next);
	uint64_t sequence = b->first_sequence;
	if (key != NULL) {
		MUST(l, BELIEVED, jnl_block_open(seal, key, b, plain, sizeof(plain)) == SLK_OK);
		MUST(l, BELIEVED,
			fmt_record_iter_init(
				&it, slk_span(plain, b->plain_bytes), b->record_count) == SLK_OK);
		for (; fmt_record_iter_next(&it, &r) == SLK_OK; sequence++)
			MUST(l, BELIEVED, world_is_record(s->ids[sequence], &r));
		memset(&l->there[b->stream_id - 1][b->shard][b->first_sequence], 1,
			b->record_count);
	}
	*p = (struct place){b->first_sequence + b->record_count, l->reported, b->file_id};
}

static void
read_all(struct life *l)
{
	const struct jnl_reader_config config = {.dir = WORLD_DIR,
		.any_stream = true,
		.any_shard = true,
		.fs = simdisk_fs(l->w.disk)};
	struct place places[WORLD_STREAMS][WORLD_SHARDS] = {0};
	struct ring ring = {.count = 0};
	struct jnl_reader *reader = NULL;
	struct slk_error err = {0};
	struct jnl_block b;
	int rc;

	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++) {
		unsigned stream = i / WORLD_SHARDS, shard = i % WORLD_SHARDS;
		free(l->there[stream][shard]);
		l->there[stream][shard] = calloc(1, l->w.shards[stream][shard].next + 1);
		assert_non_null(l->there[stream][shard]);
	}
	l->reported = 0;
	l->end_missing = false;
	MUST(l, GOES_ON, jnl_reader_new(&config, &reader, &err) == SLK_OK);
	while ((rc = next_block(l, reader, &b)) == SLK_OK)
		check_block(l, key_for(l, &ring, reader, b.epoch_id), &b, places);
	MUST(l, GOES_ON, rc == SLK_AGAIN);
	for (size_t i = 0; i < ring.count; i++)
		jnl_epoch_key_free(ring.keys[i]);
	jnl_reader_free(reader);
}

static bool
is_there(const struct life *l, const struct written *wr)
{
	for (uint64_t n = wr->first; n < wr->next; n++)
		if (!l->there[wr->stream][wr->shard][n])
			return false;
	return true;
}

/* --- the truth --- */

static void
verify(struct life *l)
{
	struct world *w = &l->w;
	const struct jnl_verify_config config = {
		.dir = WORLD_DIR, .fs = simdisk_fs(w->disk), .proofs = true, .trusted = w->trusted};
	struct jnl_verify_report report;
	struct slk_error err = {0};

	MUST(l, VERIFIED, jnl_verify(&config, &report, &err) == SLK_OK);
	l->findings = report.findings + w->recovery.corrupt_blocks + w->recovery.torn_bytes;
	if (planted == PLANT_VERIFY_SILENT)
		l->findings = 0;
}

/* Does anything that was acknowledged lack, with something behind it in its lane that is there? */
static void
account(struct life *l)
{
	uint64_t last[WORLD_LANES] = {0};
	bool lost = false, before_others = false;

	for (size_t i = 0; i < l->count; i++)
		if (is_there(l, &l->list[i]))
			last[l->list[i].lane] = l->list[i].order;
	for (size_t i = 0; i < l->count; i++) {
		const struct written *wr = &l->list[i];
		if (!wr->acked || is_there(l, wr))
			continue;
		lost = true;
		lost_records += wr->next - wr->first;
		before_others = before_others || wr->order < last[wr->lane];
	}
	if (before_others || l->end_missing)
		MUST(l, VERIFIED, l->findings > 0);
	named_losses += before_others;
	silent_tails += lost && !before_others && l->findings == 0;
}

/* From here on the model knows what there is: numbers go on where the writer says. */
static void
forget_what_is_lost(struct life *l)
{
	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++) {
		unsigned stream = i / WORLD_SHARDS, shard = i % WORLD_SHARDS;
		struct world_shard *s = &l->w.shards[stream][shard];
		uint64_t next =
			jnl_lane_next_sequence(jnl_lane(l->w.journal, 0), stream + 1, shard);
		MUST(l, GOES_ON, next <= s->next);
		for (uint64_t n = next; n < s->next; n++)
			MUST(l, GOES_ON, !l->there[stream][shard][n]);
		s->next = s->acked = s->seen = next;
	}
	size_t kept = 0;
	for (size_t i = 0; i < l->count; i++)
		if (is_there(l, &l->list[i]))
			l->list[kept++] = l->list[i];
	l->count = kept;
}

static void
start(struct life *l)
{
	struct slk_error err = {0};

	int rc = world_open(&l->w, &err);
	if (rc != SLK_OK)
		breach(l, GOES_ON, err.text);
	if (planted == PLANT_KEY_AGAIN)
		l->w.next_key = 0;
	l->lsn_from = l->count;
}

static void
live(struct life *l, uint64_t seed)
{
	static const enum simdisk_lie kinds[] = {
		SIMDISK_LIE_WRITE_LOST, SIMDISK_LIE_WRITE_ELSEWHERE, SIMDISK_LIE_FLUSH};
	struct world *w = &l->w;

	world_init(w, seed, seal);
	start(l);
	enum simdisk_lie kind = kinds[below(l, 3)];
	write_some(l, below(l, STEPS_MAX));
	simdisk_lie(w->disk, kind, 2 + below(l, 40));
	write_some(l, below(l, STEPS_MAX));
	simdisk_lie(w->disk, kind, 0);
	if (below(l, 2) == 0)
		write_some(l, below(l, STEPS_MAX));
	world_crash(w, SIMDISK_POWER_CUT);
	start(l);
	read_all(l);
	verify(l);
	account(l);
	forget_what_is_lost(l);
	write_some(l, STEPS_MAX);
	world_crash(w, SIMDISK_POWER_CUT);
	start(l);
	read_all(l);
	for (size_t i = 0; i < l->count; i++)
		MUST(l, GOES_ON, !l->list[i].acked || is_there(l, &l->list[i]));
	struct noncescan_report nonces = world_scan_nonces(w);
	MUST(l, GOES_ON, nonces.repeats == 0 && nonces.shared_keys == 0);
}

/* HOLDS, or what did not; sentence: 300 bytes. */
static enum invariant
life(uint64_t seed, enum plant plant, char *sentence)
{
	struct life *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	planted = plant;
	broken = HOLDS;
	if (setjmp(escape) == 0)
		live(l, seed);
	memcpy(sentence, l->sentence, sizeof(l->sentence));
	if (broken != HOLDS)
		return broken; /* nothing is to be relied on: it is left as it is */
	world_fini(&l->w);
	for (unsigned i = 0; i < WORLD_STREAMS * WORLD_SHARDS; i++)
		free(l->there[i / WORLD_SHARDS][i % WORLD_SHARDS]);
	free(l->list);
	free(l);
	return HOLDS;
}

static void
the_truth_is_told_of_a_disk_that_lies(void **state)
{
	uint64_t seeds = getenv("SLK_TEST_LONG") != NULL ? 10 * SEEDS : SEEDS;
	const char *many = getenv("SLK_SIM_SEEDS");
	char sentence[300];

	(void)state;
	if (many != NULL)
		seeds = strtoull(many, NULL, 10);
	for (uint64_t seed = only_seed != 0 ? only_seed : 1;
		seed <= (only_seed != 0 ? only_seed : seeds); seed++)
		if (life(seed, PLANT_NONE, sentence) != HOLDS)
			fail_msg("%s\nagain with: journal_lies_test %llu", sentence,
				(unsigned long long)seed);
	print_message("%llu acknowledged records lost by the disk; named in %llu lives, in %llu "
		      "the end of a lane was lost and nothing tells\n",
		(unsigned long long)lost_records, (unsigned long long)named_losses,
		(unsigned long long)silent_tails);
	assert_true(only_seed != 0 || many != NULL || (lost_records > 0 && named_losses > 0));
}

/* In a child of its own: what a fault leaves behind is nobody's. */
static enum invariant
find(enum plant plant, enum invariant expected, char sentence[300])
{
	struct {
		enum invariant by;
		char sentence[300];
	} found = {.by = HOLDS};
	int fds[2], status = 0;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (uint64_t seed = 1; seed <= 1000 && found.by != expected; seed++)
			found.by = life(seed, plant, found.sentence);
		_exit(write(fds[1], &found, sizeof(found)) == sizeof(found) ? 0 : 1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &found, sizeof(found)), sizeof(found));
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	memcpy(sentence, found.sentence, sizeof(found.sentence));
	return found.by;
}

static void
every_planted_fault_is_found(void **state)
{
	static const enum invariant expected[PLANTS] = {[PLANT_READER_SILENT] = NAMED,
		[PLANT_VERIFY_SILENT] = VERIFIED,
		[PLANT_KEY_AGAIN] = GOES_ON};
	char sentence[300];

	(void)state;
	for (unsigned p = PLANT_NONE + 1; p < PLANTS; p++) {
		enum invariant by = find((enum plant)p, expected[p], sentence);
		print_message("%s\n", by != HOLDS ? sentence : "not found");
		assert_int_equal(by, expected[p]);
	}
}

static int
make_seal(void **state)
{
	struct slk_error err = {0};

	(void)state;
	return seal_thread_new("auto", &seal, &err);
}

static int
free_seal(void **state)
{
	(void)state;
	seal_thread_free(seal);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_truth_is_told_of_a_disk_that_lies),
		cmocka_unit_test(every_planted_fault_is_found),
	};

	only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	return argc > 1 ? cmocka_run_group_tests_name("journal_lies",
				  (const struct CMUnitTest[]){tests[0]}, make_seal, free_seal)
			: cmocka_run_group_tests_name("journal_lies", tests, make_seal, free_seal);
}
