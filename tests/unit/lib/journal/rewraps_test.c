/* Side files as a reader sees them: which are used, in which order, and that none can substitute anything. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faultfs.h"
#include "rewrap_rig.h"

static struct rewrap_rig rig;
static char name[FMT_REWRAP_NAME_MAX], name2[FMT_REWRAP_NAME_MAX];
static uint8_t bytes[8192];

static int
setup(void **state)
{
	(void)state;
	rewrap_rig_start(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rewrap_rig_stop(&rig);
	return 0;
}

static void
remove_file(const char *file)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", rig.dir, file);
	assert_int_equal(unlink(path), 0);
}

/* --- which wrap --- */

static void
without_side_files_the_key_block_serves(void **state)
{
	(void)state;
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);

	assert_int_equal(jnl_rewraps_count(r), 0);
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "A");
	assert_ok(rewrap_rig_open(&rig, NULL, 1, NULL));
	assert_string_equal(rig.asked, "A");
	jnl_rewraps_free(r);
}

static void
the_newest_entry_is_asked_for_first(void **state)
{
	(void)state;
	rewrap_rig_write(&rig, 'B', false, name);
	rewrap_rig_write(&rig, 'C', false, name2);
	assert_string_equal(name, "rewrap-00000000000000000001.slr");
	assert_string_equal(name2, "rewrap-00000000000000000002.slr");
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	for (unsigned i = 0; i < RIG_EPOCHS; i++) {
		assert_ok(rewrap_rig_open(&rig, r, i, NULL));
		assert_string_equal(rig.asked, "C");
	}
	rig.answers['C'] = SLK_DISABLED;
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "CB");
	rig.answers['B'] = SLK_DENIED;
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "CBA");
	jnl_rewraps_free(r);
}

static void
the_key_of_the_key_block_may_be_gone(void **state)
{
	(void)state;
	static const int gone[] = {
		SLK_DISABLED, SLK_INVALID_STATE, SLK_INVALID_CIPHERTEXT, SLK_DENIED};

	rewrap_rig_write(&rig, 'B', false, name);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, false);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		rig.answers['A'] = gone[i];
		assert_ok(rewrap_rig_open(&rig, r, 2, NULL));
		assert_string_equal(rig.asked, "B");
	}
	jnl_rewraps_free(r);
}

static void
the_refusal_that_is_told_is_that_of_the_newest(void **state)
{
	(void)state;
	struct slk_error err = {0};

	rewrap_rig_write(&rig, 'B', false, name);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, false);
	rig.answers['A'] = SLK_DISABLED;
	rig.answers['B'] = SLK_DENIED;
	assert_int_equal(rewrap_rig_open(&rig, r, 0, &err), SLK_DENIED);
	assert_int_equal(err.status, SLK_DENIED);
	assert_non_null(strstr(err.text, "key B says"));
	assert_non_null(strstr(err.text, name));
	rig.answers['B'] = SLK_INVALID_CIPHERTEXT; /* damaged or forged: what A says helps more */
	assert_int_equal(rewrap_rig_open(&rig, r, 0, &err), SLK_DISABLED);
	assert_non_null(strstr(err.text, "key A says"));
	jnl_rewraps_free(r);
}

static void
a_kms_that_is_away_is_told_as_such(void **state)
{
	(void)state;
	struct slk_error err = {0};

	rewrap_rig_write(&rig, 'B', false, name);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, false);
	rig.answers['A'] = SLK_DISABLED;
	rig.answers['B'] = SLK_UNAVAILABLE;
	assert_int_equal(rewrap_rig_open(&rig, r, 0, &err), SLK_UNAVAILABLE);
	assert_string_equal(rig.asked, "BA");
	rig.answers['B'] = SLK_TIMEOUT; /* the next question would wait as long again */
	assert_int_equal(rewrap_rig_open(&rig, r, 0, &err), SLK_TIMEOUT);
	assert_string_equal(rig.asked, "B");
	rig.answers['B'] = SLK_UNAVAILABLE; /* only this key is: the other serves */
	rig.answers['A'] = SLK_OK;
	assert_ok(rewrap_rig_open(&rig, r, 0, &err));
	jnl_rewraps_free(r);
}

static void
a_side_file_that_came_meanwhile_is_found_when_it_is_needed(void **state)
{
	(void)state;
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);

	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	rewrap_rig_write(&rig, 'B', false, name);
	rig.answers['A'] = SLK_DISABLED;
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "AB");
	assert_ok(rewrap_rig_open(&rig, r, 1, NULL));
	assert_string_equal(rig.asked, "B");
	jnl_rewraps_free(r);
}

static void
entries_of_other_streams_are_not_kept(void **state)
{
	(void)state;
	struct jnl_rewraps *r = NULL;
	struct jnl_rewraps_config config = {.dir = rig.dir, .stream_id = RIG_STREAM + 1};
	static struct jnl_rewrapped entry;

	rewrap_rig_write(&rig, 'B', false, name);
	assert_ok(jnl_rewraps_new(&config, &r, NULL));
	assert_int_equal(jnl_rewraps_entry(r, &rig.epochs[0], 0, &entry), SLK_NOT_FOUND);
	jnl_rewraps_free(r);
	config.stream_id = RIG_STREAM;
	assert_ok(jnl_rewraps_new(&config, &r, NULL));
	assert_ok(jnl_rewraps_entry(r, &rig.epochs[0], 0, &entry));
	assert_string_equal(entry.key_arn, "arn:key/B");
	assert_int_equal(jnl_rewraps_entry(r, &rig.epochs[0], 1, &entry), SLK_NOT_FOUND);
	jnl_rewraps_free(r);
}

/* --- forged --- */

static void
a_wrong_data_key_is_never_believed(void **state)
{
	(void)state;
	struct slk_error err = {0};

	rewrap_rig_write(&rig, 'B', true, name); /* signed even by the appliance itself */
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL)); /* it compares with the right one */
	assert_string_equal(rig.asked, "BA");
	rig.answers['A'] = SLK_DISABLED;
	assert_int_equal(rewrap_rig_open(&rig, r, 0, &err), SLK_DISABLED);
	jnl_rewraps_free(r);
}

static void
many_forged_files_cannot_keep_the_key_block_away(void **state)
{
	(void)state;
	rig.signer = &rig.theirs;
	for (unsigned i = 0; i < JNL_REWRAP_TRIES + 2; i++)
		rewrap_rig_write(&rig, 'X', true, name);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, false);
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "XXXXXXXXA");
	jnl_rewraps_free(r);
	r = rewrap_rig_load(&rig, true); /* who pinned the key asks for none of them */
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "A");
	jnl_rewraps_free(r);
}

static void
who_signed_tells_whether_it_is_used(void **state)
{
	(void)state;
	rewrap_rig_write(&rig, 'B', false, name);
	assert_int_equal(rewrap_rig_state(&rig, true), JNL_REWRAP_SIGNED);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_INTACT);
	rig.signer = &rig.theirs;
	rewrap_rig_write(&rig, 'C', false, name2);
	assert_int_equal(rewrap_rig_state(&rig, true), JNL_REWRAP_UNTRUSTED);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_INTACT);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "B");
	jnl_rewraps_free(r);
}

/* Entries changed by somebody who mends the digest, too, but has not the key. */
static void
a_mended_digest_does_not_mend_the_signature(void **state)
{
	(void)state;
	struct fmt_rewrap f;

	rewrap_rig_write(&rig, 'B', false, name);
	size_t len = rewrap_rig_slurp(&rig, name, bytes, sizeof(bytes));
	bytes[FMT_REWRAP_HEADER_BYTES + FMT_REWRAP_ENTRY_HEAD_BYTES] ^= 1; /* a letter of the ARN */
	assert_ok(fmt_rewrap_decode(slk_span(bytes, len), &f));
	assert_ok(seal_sha256(f.signed_part, bytes + f.signed_part.len + 16));
	rewrap_rig_spill(&rig, name, bytes, len);
	assert_int_equal(rewrap_rig_state(&rig, true), JNL_REWRAP_UNTRUSTED);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_UNTRUSTED);
}

/* --- damaged, foreign, stale --- */

static void
every_flipped_byte_is_noticed_and_the_key_block_serves(void **state)
{
	(void)state;
	struct fmt_rewrap f;

	rewrap_rig_write(&rig, 'B', false, name);
	size_t len = rewrap_rig_slurp(&rig, name, bytes, sizeof(bytes));
	assert_ok(fmt_rewrap_decode(slk_span(bytes, len), &f));
	size_t end = len - f.trailer.key_arn.len; /* the signer's ARN is for people only */
	for (size_t i = 0; i < end; i++) {
		bytes[i] ^= 0x10;
		rewrap_rig_spill(&rig, name, bytes, len);
		bytes[i] ^= 0x10;
		struct jnl_rewraps *r = rewrap_rig_load(&rig, false);
		const struct jnl_rewrap_file *file = jnl_rewraps_file(r, 0);
		assert_false(jnl_rewrap_is_used(file->state));
		assert_true(file->why.text[0] != '\0');
		assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
		assert_string_equal(rig.asked, "A");
		jnl_rewraps_free(r);
	}
}

static void
truncated_empty_and_longer_files_are_damaged(void **state)
{
	(void)state;
	rewrap_rig_write(&rig, 'B', false, name);
	size_t len = rewrap_rig_slurp(&rig, name, bytes, sizeof(bytes));
	for (size_t n = 0; n < len; n += 7) {
		rewrap_rig_spill(&rig, name, bytes, n);
		assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_DAMAGED);
	}
	bytes[len] = 0;
	rewrap_rig_spill(&rig, name, bytes, len + 1);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_DAMAGED);
	rewrap_rig_spill(&rig, name, bytes, len);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_INTACT);
}

static void
side_files_of_another_journal_or_number_are_foreign(void **state)
{
	(void)state;
	static struct rewrap_rig other;

	rewrap_rig_start(&other);
	rewrap_rig_write(&other, 'B', false, name);
	size_t len = rewrap_rig_slurp(&other, name, bytes, sizeof(bytes));
	rewrap_rig_stop(&other);
	rewrap_rig_spill(&rig, name, bytes, len);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_FOREIGN);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, false);
	assert_ok(rewrap_rig_open(&rig, r, 0, NULL));
	assert_string_equal(rig.asked, "A");
	jnl_rewraps_free(r);
	rewrap_rig_write(&rig, 'B', false, name); /* takes the next number that is free */
	assert_string_equal(name, "rewrap-00000000000000000002.slr");
	len = rewrap_rig_slurp(&rig, name, bytes, sizeof(bytes));
	rewrap_rig_spill(&rig, "rewrap-00000000000000000009.slr", bytes, len);
	assert_int_equal(rewrap_rig_state(&rig, false), JNL_REWRAP_FOREIGN);
}

/* An entry for an epoch id of this journal, but with another epoch's commitment: as after a directory that was rolled
 * back, and whose file ids were given again. */
static void
an_entry_of_another_epoch_of_the_same_id_is_passed_over(void **state)
{
	(void)state;
	struct jnl_epoch_info changed;
	uint8_t commitment[32];
	struct jnl_rewraps *r;
	static struct jnl_rewrapped entry;

	rewrap_rig_write(&rig, 'B', false, name);
	r = rewrap_rig_load(&rig, false);
	changed = rig.epochs[0];
	memcpy(commitment, changed.commitment.ptr, 32);
	commitment[0] ^= 1;
	changed.commitment = slk_span(commitment, 32);
	assert_int_equal(jnl_rewraps_entry(r, &changed, 0, &entry), SLK_CORRUPT);
	changed = rig.epochs[0];
	changed.stream_id++;
	assert_int_equal(jnl_rewraps_entry(r, &changed, 0, &entry), SLK_CORRUPT);
	changed = rig.epochs[0];
	changed.epoch_id += 1000;
	assert_int_equal(jnl_rewraps_entry(r, &changed, 0, &entry), SLK_NOT_FOUND);
	jnl_rewraps_free(r);
}

static void
a_file_that_is_taken_away_breaks_the_chain(void **state)
{
	(void)state;
	rewrap_rig_write(&rig, 'B', false, name);
	rewrap_rig_write(&rig, 'C', false, name2);
	rewrap_rig_write(&rig, 'D', false, name);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	for (size_t i = 0; i < 3; i++)
		assert_true(jnl_rewraps_file(r, i)->chained);
	jnl_rewraps_free(r);
	remove_file(name2);
	r = rewrap_rig_load(&rig, true);
	assert_int_equal(jnl_rewraps_count(r), 2);
	assert_true(jnl_rewraps_file(r, 0)->chained);
	assert_false(jnl_rewraps_file(r, 1)->chained);
	jnl_rewraps_free(r);
}

static void
other_names_are_not_looked_at(void **state)
{
	(void)state;
	rewrap_rig_spill(&rig, "rewrap.new", "half", 4);
	rewrap_rig_spill(&rig, "rewrap-1.slr", "x", 1);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	assert_int_equal(jnl_rewraps_count(r), 0);
	jnl_rewraps_free(r);
}

/* --- faults --- */

/* Whatever fails while side files are read: an error, or a file that counts as damaged. The key block serves. */
static void
a_disk_that_fails_leaves_the_key_block(void **state)
{
	(void)state;
	static const int faults[] = {SLK_IO, SLK_NO_MEMORY};
	unsigned completed = 0;

	rewrap_rig_write(&rig, 'B', false, name);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (uint64_t n = 1;; n++) {
			struct faultfs ff;
			faultfs_init(
				&ff, slk_fs_posix(), FAULTFS_ALL, n, kind >= 2, faults[kind % 2]);
			const struct jnl_rewraps_config config = {
				.dir = rig.dir, .fs = &ff.fs, .any_stream = true};
			struct jnl_rewraps *r = NULL;
			struct slk_error err = {0};
			int rc = jnl_rewraps_new(&config, &r, &err);
			if (rc != SLK_OK) {
				assert_null(r);
				assert_int_equal(rc, faults[kind % 2]);
				assert_true(err.text[0] != '\0');
				continue;
			}
			rc = rewrap_rig_open(&rig, r, 0, NULL);
			assert_ok(rc);
			jnl_rewraps_free(r);
			if (!faultfs_hit(&ff)) {
				completed++;
				assert_string_equal(rig.asked, "B");
				break;
			}
		}
	}
	assert_int_equal(completed, 4);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(without_side_files_the_key_block_serves),
		CASE(the_newest_entry_is_asked_for_first),
		CASE(the_key_of_the_key_block_may_be_gone),
		CASE(the_refusal_that_is_told_is_that_of_the_newest),
		CASE(a_kms_that_is_away_is_told_as_such),
		CASE(a_side_file_that_came_meanwhile_is_found_when_it_is_needed),
		CASE(entries_of_other_streams_are_not_kept),
		CASE(a_wrong_data_key_is_never_believed),
		CASE(many_forged_files_cannot_keep_the_key_block_away),
		CASE(who_signed_tells_whether_it_is_used),
		CASE(a_mended_digest_does_not_mend_the_signature),
		CASE(every_flipped_byte_is_noticed_and_the_key_block_serves),
		CASE(truncated_empty_and_longer_files_are_damaged),
		CASE(side_files_of_another_journal_or_number_are_foreign),
		CASE(an_entry_of_another_epoch_of_the_same_id_is_passed_over),
		CASE(a_file_that_is_taken_away_breaks_the_chain),
		CASE(other_names_are_not_looked_at),
		CASE(a_disk_that_fails_leaves_the_key_block),
	};

	return cmocka_run_group_tests_name("journal_rewraps", tests, NULL, NULL);
}
