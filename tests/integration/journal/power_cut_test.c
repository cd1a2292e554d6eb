/* Power cuts of real file systems (ext4, XFS: their shutdown drops what was not flushed) and kill -9, at random moments while
 * records are appended. Whatever was acknowledged is there afterwards, numbered without a gap, with the right bytes; nothing is
 * acknowledged once the power is gone; no key and nonce come twice; verification finds nothing.
 *
 *     journal_power_cut_test          100 of each; SLK_TEST_LONG=1: 1,000
 */
#include "slk_test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "journal/inspect.h"
#include "journal/journal.h"
#include "journal/reader.h"
#include "loopfs.h"

#define LANES 2u
#define SHARDS 3u /* of the one stream of each lane */
#define DATA_MAX 6000u
#define FILES_MAX 24u /* then the journal begins anew */
#define PENDING_MAX 4096u
#define REFUSED_MAX 3u /* starts that meet a disk error, in a run */

/* What writer and test share; it outlives the writer. */
struct shared {
	_Atomic uint64_t acked[LANES][SHARDS]; /* next sequence number */
	_Atomic bool runs;
	_Atomic int status; /* what ended the writer by itself */
	char why[256];
};

static struct shared *shared;
static struct loopfs disk;
static char dir[300];
static struct seal_thread *seal;
static uint64_t dice;
static unsigned files_now;
static uint64_t records_checked, cuts, by_itself, torn, refused;

static uint64_t
below(uint64_t n)
{
	dice = dice * 6364136223846793005ull + 1442695040888963407ull;
	return (dice >> 33) % n;
}

static uint32_t
data_of(unsigned lane, unsigned shard, uint64_t sequence, uint8_t out[DATA_MAX])
{
	uint64_t x =
		(lane * 8 + shard + 1) * 0x9e3779b97f4a7c15ull + sequence * 0xc2b2ae3d27d4eb4full;
	uint32_t len = (uint32_t)((x >> 20) % (x % 5 == 0 ? DATA_MAX : 300));

	for (uint32_t i = 0; i < len; i++)
		out[i] = (uint8_t)(x >> (i % 8 * 8)) ^ (uint8_t)i;
	return len;
}

/* A new key for each opening, told by what is wrapped: its number. */
static struct slk_secret *
key_of(uint64_t number)
{
	uint8_t bytes[32] = "a key of the power cut test";
	struct slk_secret *key = NULL;

	slk_put_le64(bytes + 24, number);
	assert_ok(slk_secret_from(bytes, sizeof(bytes), &key));
	return key;
}

/* --- the writer, a process of its own --- */

struct pending {
	uint64_t lsn, next;
	unsigned shard;
};

struct writer {
	struct jnl *journal;
	struct seal_epoch *epochs[LANES];
	struct pending pending[LANES][PENDING_MAX];
	unsigned first[LANES], count[LANES];
	pthread_t threads[LANES];
};

static void
die(int status, const char *why)
{
	snprintf(shared->why, sizeof(shared->why), "%s (errno %d)", why, errno);
	atomic_store(&shared->status, status);
	_exit(0);
}

static void *
lane_main(void *arg)
{
	(void)jnl_lane_run(arg);
	return NULL;
}

static void
begin(struct writer *w, uint64_t number)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = LANES,
		.file_bytes = 1u << 20,
		.group_bytes = 64 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.direct = number % 2 == 0,
		.io = number % 3 == 0 ? "sync" : "auto"};
	struct slk_error err = {0};
	struct fmt_context *context = NULL;
	uint8_t wrapped[8];

	if (jnl_open(&config, &w->journal, NULL, &err) != SLK_OK)
		die(SLK_INTERNAL, err.text);
	slk_put_le64(wrapped, number);
	for (unsigned lane = 0; lane < LANES; lane++) {
		struct slk_secret *key = key_of(number * LANES + lane);
		char arn[80];
		snprintf(arn, sizeof(arn), "arn:aws:kinesis:local:000000000000:stream/s%u", lane);
		if (fmt_context_for_stream(arn, &context) != SLK_OK)
			die(SLK_INTERNAL, "context");
		const struct jnl_epoch_params params = {.stream_id = lane + 1,
			.stream_arn = arn,
			.key_arn = "arn:key",
			.context = context,
			.wrapped = slk_span(wrapped, sizeof(wrapped)),
			.data_key = key};
		if (jnl_lane_epoch_begin(
			    jnl_lane(w->journal, lane), seal, &params, &w->epochs[lane]) != SLK_OK)
			die(SLK_INTERNAL, "epoch");
		fmt_context_free(context);
		slk_secret_free(key);
		if (pthread_create(
			    &w->threads[lane], NULL, lane_main, jnl_lane(w->journal, lane)) != 0)
			die(SLK_INTERNAL, "thread");
	}
}

/* Say what is durable, as a program would to its producers. */
static void
acknowledge(struct writer *w, unsigned lane)
{
	uint64_t durable = jnl_lane_durable(jnl_lane(w->journal, lane));

	while (w->count[lane] > 0) {
		const struct pending *p = &w->pending[lane][w->first[lane] % PENDING_MAX];
		if (p->lsn > durable)
			break;
		atomic_store(&shared->acked[lane][p->shard], p->next);
		w->first[lane]++;
		w->count[lane]--;
	}
}

static void
append_some(struct writer *w, unsigned lane)
{
	static uint8_t data[8][DATA_MAX];
	struct jnl_lane *l = jnl_lane(w->journal, lane);
	struct fmt_record records[8];
	struct jnl_append done;
	const unsigned shard = (unsigned)below(SHARDS);
	const uint32_t count = 1 + (uint32_t)below(8);
	const uint64_t next = jnl_lane_next_sequence(l, lane + 1, shard);

	if (w->count[lane] == PENDING_MAX)
		return;
	for (uint32_t i = 0; i < count; i++)
		records[i] = (struct fmt_record){
			.data = slk_span(data[i], data_of(lane, shard, next + i, data[i])),
			.arrival_ns = 1 + next + i,
			.source = FMT_SOURCE_PUT};
	int rc = jnl_lane_append(l, seal, w->epochs[lane], shard, records, count, &done);
	if (rc == SLK_AGAIN)
		return;
	if (rc != SLK_OK)
		die(rc, "append");
	if (done.first_sequence != next)
		die(SLK_INTERNAL, "a sequence number that was not the next");
	w->pending[lane][(w->first[lane] + w->count[lane]++) % PENDING_MAX] =
		(struct pending){done.lsn, next + count, shard};
}

static void
write_until_the_end(uint64_t number)
{
	static struct writer w;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	begin(&w, number);
	atomic_store(&shared->runs, true);
	for (;;) {
		for (unsigned lane = 0; lane < LANES; lane++) {
			append_some(&w, lane);
			if (jnl_lane_ready(jnl_lane(w.journal, lane)))
				(void)jnl_lane_submit(jnl_lane(w.journal, lane));
			acknowledge(&w, lane);
		}
		if (below(4) == 0)
			sched_yield();
	}
}

/* --- the test --- */

static uint64_t
wrapped_number(const struct jnl_epoch_info *info)
{
	assert_int_equal(info->wrapped.len, 8);
	return slk_get_le64(info->wrapped.ptr);
}

/* Everything that a reader finds: numbers without a gap, and the bytes that belong to them. */
static void
check_records(void)
{
	const struct jnl_reader_config config = {
		.dir = dir, .any_stream = true, .any_shard = true, .from = JNL_FROM_TRIM_HORIZON};
	static uint8_t plain[JNL_BLOCK_PLAIN_MAX], want[DATA_MAX];
	uint64_t next[LANES][SHARDS] = {{0}};
	uint64_t epochs[LANES] = {0};
	struct jnl_epoch_key *keys[LANES] = {NULL};
	struct jnl_reader *r = NULL;
	struct jnl_epoch_info info;
	struct fmt_record_iter it;
	struct fmt_record record;
	struct slk_error err;
	struct jnl_block b;
	int rc;

	assert_ok(jnl_reader_new(&config, &r, &err));
	while ((rc = jnl_reader_next(r, &b, &err)) == SLK_OK) {
		const unsigned lane = (unsigned)b.stream_id - 1;
		assert_true(lane < LANES && b.shard < SHARDS);
		if (keys[lane] == NULL || epochs[lane] != b.epoch_id) {
			jnl_epoch_key_free(keys[lane]);
			assert_ok(jnl_reader_epoch(r, b.epoch_id, &info));
			struct slk_secret *key = key_of(wrapped_number(&info) * LANES + lane);
			assert_ok(jnl_epoch_key_new(seal, &info, key, &keys[lane]));
			slk_secret_free(key);
			epochs[lane] = b.epoch_id;
		}
		assert_ok(jnl_block_open(seal, keys[lane], &b, plain, sizeof(plain)));
		assert_ok(
			fmt_record_iter_init(&it, slk_span(plain, b.plain_bytes), b.record_count));
		assert_int_equal(b.first_sequence, next[lane][b.shard]);
		while (fmt_record_iter_next(&it, &record) == SLK_OK) {
			uint32_t len = data_of(lane, b.shard, next[lane][b.shard]++, want);
			assert_int_equal(record.data.len, len);
			assert_memory_equal(record.data.ptr, want, len);
			records_checked++;
		}
	}
	assert_int_equal(rc, SLK_AGAIN);
	for (unsigned lane = 0; lane < LANES; lane++) {
		jnl_epoch_key_free(keys[lane]);
		for (unsigned shard = 0; shard < SHARDS; shard++)
			if (next[lane][shard] < atomic_load(&shared->acked[lane][shard]))
				fail_msg("cut %llu: shard %u of lane %u ends at %llu, but %llu was "
					 "acknowledged",
					(unsigned long long)cuts, shard, lane,
					(unsigned long long)next[lane][shard],
					(unsigned long long)shared->acked[lane][shard]);
	}
	jnl_reader_free(r);
}

static int
count_file(void *arg, const struct jnl_file_info *info)
{
	(void)arg;
	(void)info;
	files_now++;
	return SLK_OK;
}

static void
show_finding(void *arg, const struct jnl_finding *f)
{
	(void)arg;
	print_message("%s at %llu: %s\n", f->name, (unsigned long long)f->offset, f->sentence);
}

static void
recover_and_check(void)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = LANES,
		.file_bytes = 1u << 20,
		.group_bytes = 64 * 1024,
		.group_count = 4,
		.reserve_bytes = 1};
	const struct jnl_verify_config verify = {.dir = dir, .finding = show_finding};
	struct jnl_verify_report report;
	struct jnl_recovery found;
	struct slk_error err = {0};
	struct jnl *j = NULL;

	while (jnl_open(&config, &j, &found, &err) != SLK_OK) {
		print_message("cut %llu: %s\n", (unsigned long long)cuts, err.text);
		assert_true(++refused <= REFUSED_MAX);
		loopfs_power_on(&disk);
	}
	assert_int_equal(found.corrupt_blocks, 0);
	torn += found.torn_files;
	jnl_close(j);
	check_records();
	assert_ok(jnl_verify(&verify, &report, &err));
	assert_int_equal(report.findings, 0);
	files_now = 0;
	assert_ok(jnl_list(dir, NULL, count_file, NULL, NULL, &err));
}

static void
begin_anew(void)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		char path[600];
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			assert_int_equal(unlink(path), 0);
	}
	closedir(d);
	for (unsigned i = 0; i < LANES * SHARDS; i++)
		atomic_store(&shared->acked[i / SHARDS][i % SHARDS], 0);
	files_now = 0;
}

static void
nap(uint64_t us)
{
	const struct timespec pause = {.tv_nsec = (long)us * 1000};

	nanosleep(&pause, NULL);
}

/* One life: append, then the cut, then what is left of it. */
static void
live_and_die(uint64_t number, bool power)
{
	int wait_status;

	atomic_store(&shared->runs, false);
	atomic_store(&shared->status, SLK_OK);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_until_the_end(number);
	while (!atomic_load(&shared->runs) && waitpid(pid, &wait_status, WNOHANG) == 0)
		nap(200);
	/* A loop device may drop a request of a process that was killed, and whoever comes next meets that as an error of the disk: it
	 * must be refused then, and nothing more. */
	if (!atomic_load(&shared->runs)) {
		print_message("the writer could not begin: %s\n", shared->why);
		assert_true(++refused <= REFUSED_MAX);
		loopfs_power_on(&disk);
		recover_and_check();
		return;
	}
	nap(below(8) == 0 ? below(40000) : below(6000));
	if (power) {
		loopfs_cut(&disk, (enum loopfs_cut)below(3));
		/* Every other one is left to find out by itself. */
		for (unsigned i = 0; number % 2 == 0 && i < 5000; i++) {
			if (waitpid(pid, &wait_status, WNOHANG) == pid) {
				assert_true(WIFEXITED(wait_status));
				assert_int_equal(shared->status, SLK_DISK_FAILED);
				by_itself++;
				pid = -1;
				break;
			}
			nap(1000);
		}
		if (number % 2 == 0)
			assert_int_equal(pid, -1);
	}
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &wait_status, 0), pid);
	}
	cuts++;
	if (power)
		loopfs_power_on(&disk);
	recover_and_check();
	if (files_now > FILES_MAX)
		begin_anew();
}

static void
cut_often(const char *type, bool power)
{
	const unsigned times = getenv("SLK_TEST_LONG") != NULL ? 1000 : 100;
	const char *missing = loopfs_missing(type);

	if (missing != NULL) {
		print_message("not done on %s: %s\n", type, missing);
		skip();
	}
	dice = 1;
	records_checked = cuts = by_itself = torn = refused = 0;
	memset(shared, 0, sizeof(*shared));
	loopfs_make(&disk, type, 384ull << 20);
	snprintf(dir, sizeof(dir), "%s/journal", disk.dir);
	assert_ok(slk_fs_posix()->mkdir(NULL, dir, 0750));
	for (unsigned i = 1; i <= times; i++)
		live_and_die(i, power);
	print_message("%s: %llu cuts, %llu writers found out by themselves, %llu torn tails, %llu "
		      "records looked at\n",
		type, (unsigned long long)cuts, (unsigned long long)by_itself,
		(unsigned long long)torn, (unsigned long long)records_checked);
	assert_true(records_checked > cuts);
	loopfs_remove(&disk);
}

static void
nothing_acknowledged_is_lost_when_ext4_loses_its_power(void **state)
{
	(void)state;
	cut_often("ext4", true);
}

static void
nothing_acknowledged_is_lost_when_xfs_loses_its_power(void **state)
{
	(void)state;
	cut_often("xfs", true);
}

static void
nothing_acknowledged_is_lost_by_kill_9(void **state)
{
	(void)state;
	cut_often("ext4", false);
}

static int
tidy(void **state)
{
	(void)state;
	loopfs_remove(&disk);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			nothing_acknowledged_is_lost_when_ext4_loses_its_power, tidy),
		cmocka_unit_test_teardown(
			nothing_acknowledged_is_lost_when_xfs_loses_its_power, tidy),
		cmocka_unit_test_teardown(nothing_acknowledged_is_lost_by_kill_9, tidy),
	};

	disk.hold_fd = -1;
	if (loopfs_missing("ext4") != NULL) {
		printf("skipped: %s\n", loopfs_missing("ext4"));
		return 77;
	}
	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || seal_thread_new(NULL, &seal, NULL) != SLK_OK)
		return 1;
	int rc = cmocka_run_group_tests_name("journal_power_cut", tests, NULL, NULL);
	seal_thread_free(seal);
	return rc;
}
