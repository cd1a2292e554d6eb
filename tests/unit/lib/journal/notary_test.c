/* Proofs of lane files, and what verification says of a journal that someone changed offline, data keys in hand. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "attester.h"
#include "journal/inspect.h"
#include "journal/internal.h"
#include "journal/notary.h"
#include "journal/readback.h"
#include "journal/scan.h"
#include "tempdir.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/web"
#define FILE_BYTES (1u << 20)

static char dir[256];
static struct seal_thread *seal;
static struct slk_secret *data_key;
static struct attester attester;
static struct seal_attest_keys *trusted;
static struct fmt_context *context;
static uint64_t now_ns; /* of both clocks */
static bool hsm_away;
static unsigned attested;

/* One opening. */
static struct jnl *journal;
static struct jnl_notary *notary;
static struct seal_epoch *epoch;

/* Findings of the last verification. */
static struct jnl_finding findings[64];
static char names[64][FMT_JFILE_NAME_MAX];
static struct jnl_verify_report report;

static uint64_t
clock_now(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct slk_clock fake_clock = {.mono_ns = clock_now, .wall_ns = clock_now};

static int
attest(void *ctx, const uint8_t digest[FMT_REWRAP_DIGEST_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	(void)ctx;
	if (hsm_away)
		return slk_fail(err, SLK_UNAVAILABLE, "away");
	attested++;
	out->signature_len = attester_sign(&attester, "journal", digest, out->signature);
	memcpy(out->public_key, attester.der, attester.der_len);
	out->public_key_len = attester.der_len;
	strcpy(out->key_arn, "arn:aws:kms:local:000000000000:key/a");
	return SLK_OK;
}

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	assert_ok(seal_thread_new("openssl", &seal, NULL));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &data_key));
	assert_ok(fmt_context_for_stream(ARN, &context));
	attester_init(&attester, "P-256");
	assert_ok(seal_attest_keys_from_der(attester_der(&attester), &trusted));
	now_ns = 1700000000ull * SLK_NS_PER_S;
	hsm_away = false;
	attested = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	seal_thread_free(seal);
	slk_secret_free(data_key);
	fmt_context_free(context);
	seal_attest_keys_free(trusted);
	attester_fini(&attester);
	tempdir_remove(dir);
	return 0;
}

static void
settle(int until)
{
	int rc;

	do {
		rc = jnl_lane_turn(jnl_lane(journal, 0));
	} while (rc > 0);
	assert_int_equal(rc, until);
}

static void
notarize(void)
{
	struct slk_error err;
	int rc;

	do {
		rc = jnl_notary_turn(notary, &err);
	} while (rc > 0);
	assert_int_equal(rc, hsm_away ? SLK_UNAVAILABLE : 0);
}

static void
open_journal(bool integrity)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = 1,
		.file_bytes = FILE_BYTES,
		.group_bytes = 128 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.clock = &fake_clock,
		.integrity = integrity,
		.io = "sync"};
	const struct jnl_epoch_params params = {.stream_id = 7,
		.stream_arn = ARN,
		.key_arn = "arn:key",
		.context = context,
		.wrapped = slk_span("wrapped", 7),
		.data_key = data_key};

	assert_ok(jnl_open(&config, &journal, NULL, NULL));
	if (integrity)
		assert_ok(jnl_notary_new(journal, attest, NULL, &notary, NULL));
	assert_ok(jnl_lane_epoch_begin(jnl_lane(journal, 0), seal, &params, &epoch));
}

/* count blocks of one record of 8 KiB. */
static void
append(unsigned count)
{
	static uint8_t data[8192];
	struct jnl_append done;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		const struct fmt_record r = {.data = slk_span(data, sizeof(data)),
			.arrival_ns = now_ns,
			.source = FMT_SOURCE_PUT};
		while ((rc = jnl_lane_append(jnl_lane(journal, 0), seal, epoch, i % 3, &r, 1,
				&done)) == SLK_AGAIN)
			settle(0);
		assert_ok(rc);
		data[i % sizeof(data)]++;
	}
	assert_ok(jnl_lane_submit(jnl_lane(journal, 0)));
	settle(0);
}

static void
leave(void)
{
	jnl_notary_free(notary);
	notary = NULL;
	jnl_close(journal);
	journal = NULL;
}

static void
close_journal(void)
{
	int rc;

	while ((rc = jnl_lane_close(jnl_lane(journal, 0))) == SLK_AGAIN)
		settle(0);
	assert_ok(rc);
	settle(SLK_END);
	if (notary != NULL)
		notarize();
	leave();
}

/* Files 1, 2 and 3 or more, closed and signed. */
static void
write_journal(void)
{
	open_journal(true);
	append(400);
	close_journal();
}

static int
give_key(void *arg, const struct jnl_epoch_info *info, struct slk_secret **out_data_key)
{
	(void)arg;
	(void)info;
	return slk_secret_from(slk_secret_peek(data_key), 32, out_data_key);
}

static void
take_finding(void *arg, const struct jnl_finding *f)
{
	unsigned *count = arg;

	if (*count < 64) {
		strcpy(names[*count], f->name);
		findings[*count] = *f;
		findings[*count].name = names[*count];
	}
	(*count)++;
}

static unsigned
verify_as(const struct seal_attest_keys *keys)
{
	unsigned count = 0;
	const struct jnl_verify_config config = {.dir = dir,
		.seal = seal,
		.data_key = give_key,
		.proofs = true,
		.trusted = keys,
		.finding = take_finding,
		.arg = &count};

	memset(findings, 0, sizeof(findings));
	assert_ok(jnl_verify(&config, &report, NULL));
	assert_int_equal(report.findings, count);
	return count;
}

static unsigned
verify(void)
{
	return verify_as(trusted);
}

static void
expect(unsigned at, int status, uint64_t file_id, uint64_t offset)
{
	assert_int_equal(findings[at].status, status);
	assert_int_equal(findings[at].file_id, file_id);
	assert_int_equal(findings[at].offset, offset);
}

static bool
has_finding(int status, uint64_t file_id)
{
	for (unsigned i = 0; i < 64 && findings[i].sentence != NULL; i++)
		if (findings[i].status == status && findings[i].file_id == file_id)
			return true;
	return false;
}

static void
path_of(uint64_t id, const char *suffix, char out[400])
{
	snprintf(out, 400, "%s/%020llu.%s", dir, (unsigned long long)id, suffix);
}

static int
open_file(uint64_t id)
{
	char path[400];

	path_of(id, "slj", path);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

/* The index-th data block of a file. */
static struct fmt_block
data_block(uint64_t id, unsigned index, uint8_t **out_raw, uint32_t *out_seed)
{
	char name[FMT_JFILE_NAME_MAX];
	struct jnl_scan s;
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	assert_ok(jnl_scan_open(&s, slk_fs_posix(), dir, name, SLK_OPEN_READ));
	do {
		assert_ok(jnl_scan_next(&s, &b, &raw, &gap_end));
	} while (b.type != FMT_BLOCK_DATA || index-- > 0);
	*out_raw = malloc(b.total_bytes);
	assert_non_null(*out_raw);
	memcpy(*out_raw, raw, b.total_bytes);
	*out_seed = s.seed;
	jnl_scan_close(&s);
	return b;
}

static void
put_block_back(uint64_t id, const struct fmt_block *b, uint8_t *raw, uint32_t seed)
{
	int fd = open_file(id);

	fmt_block_finish(raw, b->total_bytes, seed);
	assert_int_equal(pwrite(fd, raw, b->total_bytes, (off_t)b->position), b->total_bytes);
	close(fd);
	free(raw);
}

/* --- the good way --- */

static void
a_journal_is_signed_to_the_end_of_every_file(void **state)
{
	(void)state;
	write_journal();
	assert_int_equal(verify(), 0);
	assert_true(report.files >= 3);
	assert_int_equal(report.files_signed, report.files);
	assert_int_equal(report.files_unsigned, 0);
	assert_true(report.bytes_signed > report.bytes);
	assert_int_equal(report.signatures, attested);
}

static void
a_checkpoint_is_signed_every_ten_seconds_of_writing(void **state)
{
	(void)state;
	open_journal(true);
	append(3);
	notarize();
	assert_int_equal(attested, 0);
	for (unsigned i = 0; i < 3; i++) {
		now_ns += 11 * SLK_NS_PER_S;
		append(1);
		settle(0);
		notarize();
	}
	assert_int_equal(attested, 3);
	for (unsigned i = 0; i < 3;
		i++) { /* what came last, and then nothing new: nothing to sign */
		now_ns += 60 * SLK_NS_PER_S;
		settle(0);
		notarize();
	}
	assert_int_equal(attested, 4);
	assert_int_equal(verify(), 0);
	assert_int_equal(report.files_unclosed, report.files);
	assert_int_equal(report.files_signed, 0);
	assert_true(report.bytes_signed > 4 * 8192);
	close_journal();
	assert_int_equal(verify(), 0);
}

static void
signatures_that_come_late_delay_no_roll(void **state)
{
	(void)state;
	hsm_away = true;
	open_journal(true);
	append(400);
	notarize();
	struct jnl_notary_stats stats;
	jnl_notary_stats(notary, &stats);
	assert_true(stats.unsigned_count >= 2);
	assert_int_equal(stats.signatures, 0);
	assert_true(verify() >= 2);
	assert_true(has_finding(SLK_NOT_FOUND, 1));
	assert_int_equal(verify_as(NULL), 0); /* nobody said that it must be signed */
	assert_true(report.files_unsigned >= 2);
	hsm_away = false;
	close_journal();
	assert_int_equal(verify(), 0);
	assert_int_equal(report.files_signed, report.files);
}

static void
what_a_crash_left_is_read_back_and_signed_as_that(void **state)
{
	(void)state;
	open_journal(true);
	append(50);
	now_ns += 11 * SLK_NS_PER_S;
	append(1);
	notarize();
	assert_int_equal(attested, 1);
	append(50);
	leave(); /* as a crash would */
	open_journal(true);
	append(10);
	close_journal();
	assert_int_equal(verify(), 0);
	assert_int_equal(report.files_by_recovery, 1);
	assert_int_equal(report.files_signed, report.files);
}

static void
openings_are_chained(void **state)
{
	(void)state;
	char path[400];
	struct stat st;

	write_journal();
	open_journal(true);
	uint64_t second = jnl_lane(journal, 0)->file.header.file_id;
	append(5);
	close_journal();
	assert_int_equal(verify(), 0);
	/* The last file of the first opening goes, proof and all. */
	for (uint64_t id = second - 1; id > 0; id--) {
		path_of(id, "slj", path);
		if (stat(path, &st) != 0)
			continue;
		assert_int_equal(unlink(path), 0);
		path_of(id, "slp", path);
		assert_int_equal(unlink(path), 0);
		break;
	}
	assert_true(verify() > 0);
	assert_true(has_finding(SLK_NOT_FOUND, second));
}

static void
without_integrity_nothing_is_hashed_or_signed(void **state)
{
	(void)state;
	char path[400];
	struct stat st;

	open_journal(false);
	append(5);
	close_journal();
	path_of(1, "slp", path);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(verify_as(NULL), 0);
	assert_int_equal(report.files_unsigned, 1);
	/* Switched on later: what was before is left alone, but for the last opening's files. */
	open_journal(true);
	append(5);
	close_journal();
	assert_int_equal(verify_as(NULL), 0);
}

static void
hashes_that_nobody_takes_are_dropped_and_made_up_for(void **state)
{
	(void)state;
	open_journal(true);
	append(20);
	/* As if the notary had not come for 32 MiB of hashes. */
	atomic_store(&jnl_lane(journal, 0)->chapters.bytes, JNL_CHAPTERS_MAX_BYTES);
	append(200);
	close_journal();
	assert_int_equal(verify(), 0);
	assert_int_equal(report.files_signed, report.files);
}

/* --- someone with the disk, and more --- */

/* x * y in GCM's field (SP 800-38D 6.3). */
static void
multiply(const uint8_t x[16], const uint8_t y[16], uint8_t out[16])
{
	uint8_t v[16], z[16] = {0};

	memcpy(v, y, 16);
	for (unsigned i = 0; i < 128; i++) {
		if ((x[i / 8] >> (7 - i % 8) & 1) != 0)
			for (unsigned k = 0; k < 16; k++)
				z[k] ^= v[k];
		bool low = (v[15] & 1) != 0;
		for (unsigned k = 15; k > 0; k--)
			v[k] = (uint8_t)(v[k] >> 1 | v[k - 1] << 7);
		v[0] >>= 1;
		v[0] ^= low ? 0xe1 : 0;
	}
	memcpy(out, z, 16);
}

/* The hash key of an epoch, for whoever has its data key: H = AES(sealing key, 0). */
static void
hash_key(uint64_t epoch_id, uint8_t out[16])
{
	static const uint8_t zero[16];
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
	struct slk_secret *key = NULL;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;

	assert_ok(seal_epoch_derive(data_key, epoch_id, 7, &key, commitment));
	assert_int_equal(
		EVP_EncryptInit_ex(ctx, EVP_aes_256_ecb(), NULL, slk_secret_peek(key), NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, zero, 16), 1);
	EVP_CIPHER_CTX_free(ctx);
	slk_secret_free(key);
}

/* GHASH is linear: a difference d in one block of ciphertext is undone by d * H in the next. The forger holds the data key,
 * changes the record, keeps the tag, and mends the checksum. */
static void
a_block_rewritten_under_the_same_tag_is_named(void **state)
{
	(void)state;
	uint8_t h[16], undo[16], d[16] = {0x5e, 0xa1};
	uint8_t *raw;
	uint32_t seed;

	write_journal();
	struct fmt_block b = data_block(2, 7, &raw, &seed);
	hash_key(b.epoch_id, h);
	multiply(d, h, undo);
	uint8_t *at = raw + FMT_BLOCK_HEADER_BYTES + 4096;
	for (unsigned i = 0; i < 16; i++) {
		at[i] ^= d[i];
		at[16 + i] ^= undo[i];
	}
	put_block_back(2, &b, raw, seed);
	assert_int_equal(verify(), 1); /* by its hash alone */
	expect(0, SLK_BAD_TAG, 2, b.position);
	assert_int_equal(findings[0].bytes, b.total_bytes);
	assert_int_equal(report.tags_checked, report.data_blocks);
	assert_int_equal(verify_as(NULL), 1);
}

static void
the_forger_who_mends_the_proof_lacks_the_signature(void **state)
{
	(void)state;
	struct attester own;
	char path[400];
	struct jnl_readback back;
	uint8_t *raw, digest[32], bytes[2048];
	uint32_t seed;
	size_t len = 0, more = 0;

	write_journal();
	struct fmt_block b = data_block(2, 7, &raw, &seed);
	raw[FMT_BLOCK_HEADER_BYTES + 100] ^= 1;
	put_block_back(2, &b, raw, seed);
	/* A whole new proof, signed by a key of the forger's own. */
	assert_ok(jnl_readback(slk_fs_posix(), dir, 2, now_ns, &back));
	assert_ok(fmt_proof_statement_encode(&back.statement, bytes, sizeof(bytes), &len));
	assert_ok(seal_sha256(
		slk_span(bytes + FMT_PROOF_HEAD_BYTES, FMT_PROOF_STATEMENT_BYTES), digest));
	attester_init(&own, "P-256");
	uint8_t signature[128];
	struct fmt_proof_signature s = {
		.signature = slk_span(signature, attester_sign(&own, "journal", digest, signature)),
		.public_key = attester_der(&own),
		.key_arn = slk_span_str("arn:aws:kms:local:000000000000:key/a")};
	memcpy(s.digest, digest, sizeof(s.digest));
	assert_ok(fmt_proof_signature_encode(&s, bytes + len, sizeof(bytes) - len, &more));
	path_of(2, "slp", path);
	int fd = open(path, O_RDWR | O_TRUNC);
	assert_int_equal(write(fd, back.pieces, back.pieces_len), back.pieces_len);
	assert_int_equal(write(fd, bytes, len + more), len + more);
	close(fd);
	attester_fini(&own);
	jnl_readback_free(&back);
	assert_true(verify() >= 3);
	assert_true(has_finding(SLK_BAD_TAG, 2));
	assert_true(has_finding(SLK_NOT_FOUND, 2)); /* not signed to its end */
	assert_true(has_finding(SLK_NOT_FOUND, 3)); /* which followed a file that was */
}

static void
swapped_blocks_are_named(void **state)
{
	(void)state;
	uint8_t *one, *two;
	uint32_t seed;

	write_journal();
	struct fmt_block a = data_block(2, 4, &one, &seed);
	struct fmt_block b = data_block(2, 5, &two, &seed);
	assert_int_equal(a.total_bytes, b.total_bytes);
	/* Positions are mended: the bytes of each block stand where the other was. */
	memcpy(two + 24, &a.position, 8);
	memcpy(one + 24, &b.position, 8);
	put_block_back(2, &a, two, seed);
	put_block_back(2, &b, one, seed);
	unsigned count = verify();
	assert_true(count >= 2);
	expect(count - 2, SLK_BAD_TAG, 2, a.position);
	expect(count - 1, SLK_BAD_TAG, 2, b.position);
}

static void
a_deleted_middle_file_is_missed(void **state)
{
	(void)state;
	char path[400];

	write_journal();
	path_of(2, "slj", path);
	assert_int_equal(unlink(path), 0);
	(void)verify();
	assert_true(has_finding(SLK_NOT_FOUND, 3));
	assert_int_equal(report.files_unsigned, 0);
	path_of(2, "slp", path);
	assert_int_equal(unlink(path), 0);
	(void)verify();
	assert_true(has_finding(SLK_NOT_FOUND, 3));
}

static void
a_deleted_last_file_is_missed_while_its_proof_is_there(void **state)
{
	(void)state;
	char path[400];

	write_journal();
	assert_int_equal(verify(), 0);
	uint64_t last = report.files;
	path_of(last, "slj", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(verify(), 1);
	expect(0, SLK_NOT_FOUND, last, 0);
}

static void
a_truncated_closed_file_is_found(void **state)
{
	(void)state;

	write_journal();
	int fd = open_file(2);
	assert_int_equal(ftruncate(fd, FILE_BYTES / 2), 0);
	close(fd);
	(void)verify();
	assert_true(has_finding(SLK_TRUNCATED, 2));
	assert_true(has_finding(SLK_BAD_TAG, 2)); /* the first block that is not whole */
	for (unsigned i = 0; i < 64 && findings[i].sentence != NULL; i++)
		if (findings[i].status == SLK_BAD_TAG) {
			assert_true(findings[i].offset < FILE_BYTES / 2 &&
				findings[i].offset + findings[i].bytes > FILE_BYTES / 2);
			break;
		}
}

static void
a_file_of_another_journal_is_found(void **state)
{
	(void)state;
	char path[400], kept[400], proof[400], kept_proof[400], mine[256];

	write_journal();
	strcpy(mine, dir);
	path_of(2, "slj", path);
	path_of(2, "slp", proof);
	tempdir_make(dir, sizeof(dir));
	write_journal(); /* the same appliance, the same records, the same numbers */
	path_of(2, "slj", kept);
	path_of(2, "slp", kept_proof);
	assert_int_equal(rename(kept, path), 0);
	tempdir_remove(dir);
	strcpy(dir, mine);
	(void)verify();
	assert_true(has_finding(SLK_CORRUPT, 2));
}

static void
a_file_of_another_journal_with_its_proof_does_not_fit_the_chain(void **state)
{
	(void)state;
	char path[400], kept[400], proof[400], kept_proof[400], mine[256];

	write_journal();
	strcpy(mine, dir);
	path_of(2, "slj", path);
	path_of(2, "slp", proof);
	tempdir_make(dir, sizeof(dir));
	write_journal();
	path_of(2, "slj", kept);
	path_of(2, "slp", kept_proof);
	assert_int_equal(rename(kept, path), 0);
	assert_int_equal(rename(kept_proof, proof), 0);
	tempdir_remove(dir);
	strcpy(dir, mine);
	(void)verify();
	assert_true(has_finding(SLK_CORRUPT, 2)); /* it does not follow file 1 */
	assert_true(has_finding(SLK_CORRUPT, 3)); /* and 3 does not follow it */
}

static void
an_unwritten_byte_of_a_proof_changes_the_answer(void **state)
{
	(void)state;
	char path[400];
	struct stat st;

	write_journal();
	path_of(2, "slp", path);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at += st.st_size / 40 + 1) {
		uint8_t byte;
		int fd = open(path, O_RDWR);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_true(verify() > 0);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		close(fd);
	}
	assert_int_equal(verify(), 0);
}

static void
a_block_that_was_rewritten_is_named(void **state)
{
	(void)state;
	uint8_t *raw;
	uint32_t seed;

	write_journal();
	struct fmt_block b = data_block(2, 7, &raw, &seed);
	raw[FMT_BLOCK_HEADER_BYTES + 100] ^= 1;
	put_block_back(2, &b, raw, seed);
	unsigned count = verify();
	assert_int_equal(count, 2); /* tag and hash */
	expect(0, SLK_BAD_TAG, 2, b.position);
	expect(1, SLK_BAD_TAG, 2, b.position);
	assert_int_equal(findings[1].bytes, b.total_bytes);
}

/* --- openings --- */

static struct fmt_proof_statement asked[8];
static unsigned asked_count;
static int answer;

static int
look_at_statement(void *ctx, const uint8_t statement[FMT_PROOF_STATEMENT_BYTES],
	const uint8_t digest[FMT_PROOF_HASH_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	assert_true(asked_count < 8);
	assert_ok(fmt_proof_statement_decode(
		slk_span(statement, FMT_PROOF_STATEMENT_BYTES), &asked[asked_count++]));
	return answer == SLK_OK ? attest(ctx, digest, out, err)
				: slk_fail(err, answer, "it was put back");
}

static void
an_opening_says_how_far_each_lane_had_come(void **state)
{
	(void)state;
	struct slk_error err = {0};

	answer = SLK_OK;
	asked_count = 0;
	open_journal(true);
	jnl_notary_sign_with(notary, look_at_statement);
	assert_ok(jnl_notary_check_opening(notary, &err));
	assert_int_equal(asked_count, 1); /* a new journal has its one lane, and nothing in it */
	assert_int_equal(asked[0].flags, FMT_PROOF_OPENING);
	assert_int_equal(asked[0].file_id, 1);
	assert_int_equal(asked[0].position, 1);
	append(200);
	close_journal();
	const uint64_t last = asked[asked_count - 1].file_id;
	assert_true(last >= 2 && (asked[asked_count - 1].flags & FMT_PROOF_FINAL) != 0);

	asked_count = 0;
	open_journal(true);
	jnl_notary_sign_with(notary, look_at_statement);
	assert_ok(jnl_notary_check_opening(notary, &err));
	assert_int_equal(asked_count, 1);
	assert_int_equal(asked[0].file_id, last);
	assert_true(asked[0].position > FILE_BYTES); /* closed: all of it */
	asked_count = 0;
	answer = SLK_INVALID_STATE;
	assert_int_equal(jnl_notary_check_opening(notary, &err), SLK_INVALID_STATE);
	assert_string_equal(err.text, "it was put back");
	leave();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(an_opening_says_how_far_each_lane_had_come),
		TEST(a_journal_is_signed_to_the_end_of_every_file),
		TEST(a_checkpoint_is_signed_every_ten_seconds_of_writing),
		TEST(signatures_that_come_late_delay_no_roll),
		TEST(what_a_crash_left_is_read_back_and_signed_as_that),
		TEST(openings_are_chained),
		TEST(without_integrity_nothing_is_hashed_or_signed),
		TEST(hashes_that_nobody_takes_are_dropped_and_made_up_for),
		TEST(a_block_that_was_rewritten_is_named),
		TEST(a_block_rewritten_under_the_same_tag_is_named),
		TEST(the_forger_who_mends_the_proof_lacks_the_signature),
		TEST(swapped_blocks_are_named),
		TEST(a_deleted_middle_file_is_missed),
		TEST(a_deleted_last_file_is_missed_while_its_proof_is_there),
		TEST(a_truncated_closed_file_is_found),
		TEST(a_file_of_another_journal_is_found),
		TEST(a_file_of_another_journal_with_its_proof_does_not_fit_the_chain),
		TEST(an_unwritten_byte_of_a_proof_changes_the_answer),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
