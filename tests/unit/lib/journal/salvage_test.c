/* Salvage of damaged journals: what is kept, what is said to be lost, and what verification says of the result. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attester.h"
#include "faultfs.h"
#include "journal/inspect.h"
#include "journal/notary.h"
#include "journal/reader.h"
#include "journal/salvage.h"
#include "journal/scan.h"
#include "journal_rig.h"
#include "tempdir.h"

#define BLOCKS 300u /* of three streams each: about eight files of 1 MiB */
#define TRIALS 36u

static struct journal_rig rig;
static char to[300];
static struct attester attester;
static struct seal_attest_keys *trusted;

/* What the last salvage and the verifications of its result said. */
static struct jnl_salvage_report salvaged;
static struct jnl_verify_report plain, forgiving;
static struct jnl_loss losses[256];
static unsigned loss_count;

static int
setup(void **state)
{
	(void)state;
	journal_rig_init(&rig);
	snprintf(to, sizeof(to), "%s-salvaged", rig.dir);
	attester_init(&attester, "P-256");
	assert_ok(seal_attest_keys_from_der(attester_der(&attester), &trusted));
	return 0;
}

static void
forget_result(void)
{
	struct stat st;

	if (stat(to, &st) == 0)
		tempdir_remove(to);
}

static int
teardown(void **state)
{
	(void)state;
	journal_rig_fini(&rig);
	seal_attest_keys_free(trusted);
	attester_fini(&attester);
	forget_result();
	return 0;
}

static int
attest(void *ctx, const uint8_t digest[FMT_REWRAP_DIGEST_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	(void)ctx;
	(void)err;
	out->signature_len = attester_sign(&attester, "journal", digest, out->signature);
	memcpy(out->public_key, attester.der, attester.der_len);
	out->public_key_len = attester.der_len;
	strcpy(out->key_arn, "arn:aws:kms:local:000000000000:key/a");
	return SLK_OK;
}

/* BLOCKS blocks of each of the three streams, in turns; closed and signed, or as a crash leaves it. */
static void
write_journal(bool cleanly)
{
	struct jnl_notary *notary = NULL;
	struct slk_error err;

	rig.integrity = true;
	rig.fs = journal_rig_quick_fs();
	journal_rig_open(&rig);
	assert_ok(jnl_notary_new(rig.journal, attest, NULL, &notary, NULL));
	for (unsigned i = 0; i < 3 * BLOCKS; i++)
		journal_rig_append(&rig, 1 + i % 3, 1, rig.wall_ns + i);
	int rc;
	while (cleanly && (rc = jnl_lane_close(jnl_lane(rig.journal, 0))) != SLK_OK)
		assert_int_equal(rc, SLK_AGAIN);
	while (cleanly && jnl_lane_turn(jnl_lane(rig.journal, 0)) != SLK_END)
		;
	while (jnl_notary_turn(notary, &err) > 0)
		;
	jnl_notary_free(notary);
	jnl_close(rig.journal);
	rig.journal = NULL;
}

static void
path_of(const char *dir, uint64_t id, char out[400])
{
	snprintf(out, 400, "%s/%020llu.slj", dir, (unsigned long long)id);
}

static void
change(const char *dir, uint64_t id, uint64_t offset, const void *bytes, size_t len)
{
	char path[400];

	path_of(dir, id, path);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)offset), (ssize_t)len);
	close(fd);
}

static void
flip(const char *dir, uint64_t id, uint64_t offset)
{
	uint8_t byte;
	char path[400];

	path_of(dir, id, path);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

static void
zero(const char *dir, uint64_t id, uint64_t offset, size_t len)
{
	static const uint8_t zeros[1u << 20];

	change(dir, id, offset, zeros, len);
}

/* Where the footer of a file is, and the key block of stream 2. */
static uint64_t
footer_of(uint64_t id, uint64_t *out_key_pos)
{
	char name[FMT_JFILE_NAME_MAX];
	struct jnl_scan s;

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	assert_ok(jnl_scan_open(&s, slk_fs_posix(), rig.dir, name, SLK_OPEN_READ));
	assert_true(s.closed && s.footer.key_count > 0);
	uint64_t pos = s.footer_pos;
	for (uint32_t i = 0; out_key_pos != NULL && i < s.footer.key_count; i++)
		if (fmt_footer_key_at(&s.footer, i).stream_id == 2)
			*out_key_pos = fmt_footer_key_at(&s.footer, i).position;
	jnl_scan_close(&s);
	return pos;
}

static void
note_loss(void *arg, const struct jnl_loss *loss)
{
	(void)arg;
	if (loss_count < sizeof(losses) / sizeof(losses[0]))
		losses[loss_count++] = *loss;
}

static void
show(void *arg, const struct jnl_finding *f)
{
	if (arg != NULL)
		print_message("%s at %llu+%llu: %s\n", f->name, (unsigned long long)f->offset,
			(unsigned long long)f->bytes, f->sentence);
}

static void
verify(bool forgive, bool tell, struct jnl_verify_report *out)
{
	const struct jnl_verify_config config = {.dir = to,
		.proofs = true,
		.trusted = forgive ? trusted : NULL,
		.salvaged = forgive,
		.finding = show,
		.arg = tell ? to : NULL};

	assert_ok(jnl_verify(&config, out, NULL));
}

static void
salvage(const struct slk_fs *fs)
{
	const struct jnl_salvage_config config = {.dir = rig.dir,
		.to = to,
		.fs = fs != NULL ? fs : journal_rig_quick_fs(),
		.lost = note_loss};
	struct slk_error err = {0};

	forget_result();
	loss_count = 0;
	if (jnl_salvage(&config, &salvaged, &err) != SLK_OK)
		fail_msg("%s", err.text);
	verify(false, false, &plain);
	verify(true, true, &forgiving);
}

static const struct jnl_loss *
loss_of(enum jnl_loss_kind kind)
{
	for (unsigned i = 0; i < loss_count; i++)
		if (losses[i].kind == kind)
			return &losses[i];
	return NULL;
}

/* Everything that was kept comes out of a reader and opens; returns how many records. */
static uint64_t
read_all(uint64_t *out_reported)
{
	const struct jnl_reader_config config = {
		.dir = to, .any_stream = true, .any_shard = true, .from = JNL_FROM_TRIM_HORIZON};
	static uint8_t out[JNL_BLOCK_PLAIN_MAX];
	struct jnl_reader *r = NULL;
	struct jnl_epoch_key *key = NULL;
	struct jnl_epoch_info info;
	struct jnl_block b;
	struct slk_error err;
	uint64_t records = 0, reported = 0, epoch = 0;
	int rc;

	assert_ok(jnl_reader_new(&config, &r, &err));
	while ((rc = jnl_reader_next(r, &b, &err)) != SLK_AGAIN) {
		if (rc == SLK_CORRUPT) {
			reported++;
			continue;
		}
		assert_ok(rc);
		if (key == NULL || b.epoch_id != epoch) {
			jnl_epoch_key_free(key);
			assert_ok(jnl_reader_epoch(r, b.epoch_id, &info));
			assert_ok(jnl_epoch_key_new(rig.seal, &info, rig.data_key, &key));
			epoch = b.epoch_id;
		}
		assert_ok(jnl_block_open(rig.seal, key, &b, out, sizeof(out)));
		records += b.record_count;
	}
	jnl_epoch_key_free(key);
	jnl_reader_free(r);
	if (out_reported != NULL)
		*out_reported = reported;
	return records;
}

/* What must hold of any damage inside of files that others follow. */
static void
check_sums(uint64_t total)
{
	uint64_t said = 0;

	for (unsigned i = 0; i < loss_count; i++)
		said += losses[i].next_sequence - losses[i].first_sequence;
	assert_int_equal(said, salvaged.lost_records);
	assert_int_equal(salvaged.records + salvaged.lost_records, total);
	assert_int_equal(forgiving.findings, 0);
	assert_int_equal(forgiving.records, salvaged.records);
	assert_int_equal(forgiving.files_signed, forgiving.files);
	assert_int_equal(read_all(NULL), salvaged.records);
}

static void
nothing_is_lost_of_a_journal_that_is_well(void **state)
{
	(void)state;
	write_journal(true);
	salvage(NULL);
	assert_int_equal(loss_count, 0);
	assert_int_equal(salvaged.files_damaged, 0);
	assert_int_equal(salvaged.lost_bytes, 0);
	assert_int_equal(plain.findings, 0);
	check_sums(3ull * BLOCKS);
}

static uint64_t
random_below(uint64_t *seed, uint64_t n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (*seed >> 33) % n;
}

/* Flips, zeroed and overwritten ranges anywhere but in the last file, whose end nothing vouches for. */
static void
damage_costs_no_more_than_what_it_hit(void **state)
{
	(void)state;
	uint64_t seed = 1;
	char saved[400];

	write_journal(true);
	const unsigned files = journal_rig_files(&rig);
	assert_true(files >= 5);
	for (unsigned trial = 0; trial < TRIALS; trial++) {
		static uint8_t before[1u << 20];
		const uint64_t id = 1 + random_below(&seed, files - 1);
		const uint64_t end = footer_of(id, NULL) + 512;
		const uint64_t at = 4096 + random_below(&seed, end - 4096);
		uint64_t len = 1 + random_below(&seed, 60000);
		int fd;
		path_of(rig.dir, id, saved);
		fd = open(saved, O_RDONLY);
		assert_int_equal(pread(fd, before, sizeof(before), 0), sizeof(before));
		close(fd);
		len = at + len > sizeof(before) - 4096 ? sizeof(before) - 4096 - at : len;
		switch (trial % 3) {
		case 0:
			flip(rig.dir, id, at);
			break;
		case 1:
			zero(rig.dir, id, at, len);
			break;
		default: /* torn: bytes of another place */
			change(rig.dir, id, at, before + 4096 + 8 * random_below(&seed, 4000), len);
		}
		salvage(NULL);
		check_sums(3ull * BLOCKS);
		assert_true(salvaged.lost_bytes <= len + 2u * 9000);
		if (loss_count > 0) {
			assert_int_equal(salvaged.files_damaged, 1);
			assert_true(plain.findings > 0);
			assert_int_equal(losses[0].file_id, id);
		}
		change(rig.dir, id, 0, before, sizeof(before));
	}
}

static void
a_flip_costs_one_block_and_it_is_named(void **state)
{
	(void)state;
	uint64_t key_pos = 0;
	uint64_t reported;

	write_journal(true);
	const uint64_t footer = footer_of(2, &key_pos);
	flip(rig.dir, 2, footer / 2);
	salvage(NULL);
	check_sums(3ull * BLOCKS);
	assert_int_equal(salvaged.lost_ranges, 1);
	assert_int_equal(salvaged.lost_records, 1);
	const struct jnl_loss *range = loss_of(JNL_LOST_RANGE),
			      *records = loss_of(JNL_LOST_RECORDS);
	assert_non_null(range);
	assert_non_null(records);
	assert_true(range->offset <= footer / 2 && range->offset + range->bytes > footer / 2);
	assert_int_equal(records->file_id, 2);
	assert_true(records->offset >= range->offset + range->bytes);
	assert_in_range(records->stream_id, 1, 3);
	assert_int_equal(records->next_sequence, records->first_sequence + 1);
	/* Without being told, verification and readers call it what it is. */
	assert_int_equal(forgiving.lost_ranges, 1);
	assert_int_equal(forgiving.lost_bytes, range->bytes);
	assert_int_equal(forgiving.lost_records, 1);
	assert_true(plain.findings >= 2);
	assert_int_equal(read_all(&reported), salvaged.records);
	assert_int_equal(reported, 1);
}

static void
a_header_is_made_anew_from_the_blocks(void **state)
{
	(void)state;
	write_journal(true);
	flip(rig.dir, 3, 45); /* its salt */
	zero(rig.dir, 5, 0, 4096);
	salvage(NULL);
	check_sums(3ull * BLOCKS);
	assert_int_equal(salvaged.lost_records, 0);
	assert_int_equal(salvaged.files_damaged, 2);
	assert_non_null(loss_of(JNL_LOST_HEADER));
	assert_true(plain.findings >= 2);
}

static void
a_file_without_blocks_or_header_is_given_up(void **state)
{
	(void)state;
	write_journal(true);
	zero(rig.dir, 2, 0, 1u << 20);
	salvage(NULL);
	assert_int_equal(salvaged.files_lost, 1);
	assert_non_null(loss_of(JNL_LOST_FILE));
	assert_int_equal(salvaged.records + salvaged.lost_records, 3ull * BLOCKS);
	assert_true(forgiving.findings > 0); /* a file that is not there is not forgiven */
}

static void
the_end_of_a_file_is_made_anew(void **state)
{
	(void)state;
	write_journal(true);
	flip(rig.dir, 2, (1u << 20) - 4096 + 20); /* trailer */
	flip(rig.dir, 3, footer_of(3, NULL) + 40); /* footer */
	flip(rig.dir, 4, footer_of(4, NULL) + 40);
	flip(rig.dir, 4, (1u << 20) - 4096 + 20);
	zero(rig.dir, 5, footer_of(5, NULL) - 30000, 40000); /* with data before it */
	salvage(NULL);
	check_sums(3ull * BLOCKS);
	assert_int_equal(salvaged.files_damaged, 4);
	assert_in_range(salvaged.lost_records, 2, 5);
	assert_non_null(loss_of(JNL_LOST_END));
}

/* Each file has the key blocks of the epochs alive in it: one that is damaged costs nothing while another has it. */
static void
a_key_block_is_found_in_another_file(void **state)
{
	(void)state;
	uint64_t key_pos = 0;

	write_journal(true);
	(void)footer_of(1, &key_pos);
	flip(rig.dir, 1, key_pos + 200);
	salvage(NULL);
	check_sums(3ull * BLOCKS);
	assert_int_equal(salvaged.lost_records, 0);
	assert_int_equal(salvaged.lost_keys, 0);
	for (uint64_t id = 2; id <= journal_rig_files(&rig); id++) {
		(void)footer_of(id, &key_pos);
		flip(rig.dir, id, key_pos + 200);
	}
	salvage(NULL);
	assert_int_equal(forgiving.findings, 0);
	assert_int_equal(salvaged.lost_keys, 1);
	assert_non_null(loss_of(JNL_LOST_KEY));
}

/* A crash: what was acknowledged is kept; the damage above is its torn tail. */
static void
a_torn_tail_is_left_out(void **state)
{
	(void)state;
	struct jnl_watermark mark;

	write_journal(false);
	assert_ok(jnl_watermark_read(rig.dir, 0, &mark, NULL));
	static uint8_t junk[5000];
	memset(junk, 0x5a, sizeof(junk));
	change(rig.dir, mark.file_id, mark.position, junk, sizeof(junk));
	salvage(NULL);
	assert_int_equal(salvaged.records, 3ull * BLOCKS);
	assert_int_equal(salvaged.lost_records, 0);
	assert_int_equal(salvaged.lost_bytes, 0);
	assert_int_equal(forgiving.findings, 0);
	flip(rig.dir, mark.file_id, mark.position - 6000);
	salvage(NULL);
	assert_int_equal(salvaged.lost_ranges + (loss_of(JNL_LOST_END) != NULL), 1);
	assert_int_equal(salvaged.records, 3ull * BLOCKS - 1);
}

/* --- a disk with bad sectors --- */

static struct slk_fs bad_fs;
static uint64_t bad_from, bad_to;

static int
bad_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	char link[64], path[400];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (strstr(path, "00000000000000000002.slj") != NULL && pos < bad_to &&
		pos + len > bad_from)
		return SLK_IO;
	return slk_fs_posix()->pread(ctx, fd, buf, len, pos, out_len);
}

static void
sectors_that_cannot_be_read_are_lost_alone(void **state)
{
	(void)state;
	write_journal(true);
	bad_from = 300 * 1024;
	bad_to = bad_from + 8192;
	bad_fs = *journal_rig_quick_fs();
	bad_fs.pread = bad_pread;
	salvage(&bad_fs);
	check_sums(3ull * BLOCKS);
	assert_true(salvaged.unreadable_pages >= 2);
	assert_in_range(salvaged.lost_records, 1, 3);
}

static void
what_cannot_be_written_is_an_error(void **state)
{
	(void)state;
	const struct jnl_salvage_config config = {.dir = rig.dir, .to = to};
	struct jnl_salvage_report report;
	struct slk_error err = {0};
	struct faultfs ff;

	write_journal(true);
	salvage(NULL);
	assert_int_equal(jnl_salvage(&config, &report, &err), SLK_EXISTS);
	assert_non_null(strstr(err.text, "is not empty"));
	for (uint64_t nth = 1;; nth += 1 + nth / 8) {
		struct jnl_salvage_config faulty = config;
		faultfs_init(&ff, journal_rig_quick_fs(), FAULTFS_WRITE | FAULTFS_SYNC, nth, false,
			SLK_DISK_FULL);
		faulty.fs = &ff.fs;
		forget_result();
		int rc = jnl_salvage(&faulty, &report, &err);
		if (!faultfs_hit(&ff)) {
			assert_ok(rc);
			assert_true(nth > 300);
			return;
		}
		assert_true(rc == SLK_DISK_FULL || rc == SLK_IO);
		assert_true(err.text[0] != '\0');
	}
}

/* Saying that something is lost does not make it so: beside what is lost, every bit counts. */
static void
a_salvaged_journal_is_still_held_to_its_signatures(void **state)
{
	(void)state;
	write_journal(true);
	flip(rig.dir, 2, 200000);
	salvage(NULL);
	assert_int_equal(forgiving.findings, 0);
	flip(to, 2, 400000);
	verify(true, false, &forgiving);
	assert_true(forgiving.findings >= 2); /* CRC, and hash */
	flip(to, 2, 400000);
	verify(true, false, &forgiving);
	assert_int_equal(forgiving.findings, 0);
	char path[400];
	path_of(to, 3, path);
	assert_int_equal(unlink(path), 0);
	verify(true, false, &forgiving);
	assert_true(forgiving.findings >= 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_is_lost_of_a_journal_that_is_well),
		T(damage_costs_no_more_than_what_it_hit),
		T(a_flip_costs_one_block_and_it_is_named),
		T(a_header_is_made_anew_from_the_blocks),
		T(a_file_without_blocks_or_header_is_given_up),
		T(the_end_of_a_file_is_made_anew),
		T(a_key_block_is_found_in_another_file),
		T(a_torn_tail_is_left_out),
		T(sectors_that_cannot_be_read_are_lost_alone),
		T(what_cannot_be_written_is_an_error),
		T(a_salvaged_journal_is_still_held_to_its_signatures),
	};

	if (access("/dev/shm", W_OK) ==
		0) /* hundreds of journals are written; no disk needs to see them */
		(void)setenv("TMPDIR", "/dev/shm", 0);
	return cmocka_run_group_tests_name("journal_salvage", tests, NULL, NULL);
}
