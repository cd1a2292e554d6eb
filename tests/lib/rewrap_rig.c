#include "slk_test.h"

#include "rewrap_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/inspect.h"
#include "tempdir.h"

#define LANE_BYTES (1u << 20)

static void
data_key_of(unsigned index, uint8_t out[32])
{
	memset(out, (int)('a' + index), 32);
}

struct slk_span
rewrap_rig_wrap(unsigned index, char letter, bool flip)
{
	static uint8_t wraps[16][33];
	static unsigned turn;
	uint8_t *w = wraps[turn++ % 16];

	w[0] = (uint8_t)letter;
	data_key_of(index, w + 1);
	w[32] ^= (uint8_t)flip;
	return slk_span(w, 33);
}

static void
settle(struct jnl_lane *lane, int until)
{
	int rc;

	do {
		rc = jnl_lane_turn(lane);
	} while (rc > 0);
	assert_int_equal(rc, until);
}

static void
write_epoch(struct jnl_lane *lane, struct seal_thread *seal, unsigned index)
{
	struct fmt_context *context = NULL;
	struct slk_secret *data_key = NULL;
	struct seal_epoch *epoch = NULL;
	struct jnl_append done;
	uint8_t bytes[32];

	data_key_of(index, bytes);
	assert_ok(slk_secret_from(bytes, sizeof(bytes), &data_key));
	assert_ok(fmt_context_for_stream(RIG_ARN, &context));
	const struct jnl_epoch_params params = {.stream_id = RIG_STREAM,
		.stream_arn = RIG_ARN,
		.key_arn = "arn:key/A",
		.context = context,
		.wrapped = rewrap_rig_wrap(index, 'A', false),
		.data_key = data_key};
	assert_ok(jnl_lane_epoch_begin(lane, seal, &params, &epoch));
	const struct fmt_record r = {.key = slk_span("k", 1),
		.data = slk_span("data", 4),
		.arrival_ns = 1000 + index,
		.source = FMT_SOURCE_PUT};
	assert_ok(jnl_lane_append(lane, seal, epoch, 0, &r, 1, &done));
	assert_ok(jnl_lane_submit(lane));
	settle(lane, 0);
	jnl_lane_epoch_end(lane, epoch);
	fmt_context_free(context);
	slk_secret_free(data_key);
}

static void
write_journal(const char *dir)
{
	const struct jnl_config config = {.dir = dir,
		.lane_count = 1,
		.file_bytes = LANE_BYTES,
		.group_bytes = 128 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.io = "sync"};
	struct seal_thread *seal = NULL;
	struct jnl_recovery report;
	struct jnl *j = NULL;

	assert_ok(seal_thread_new("openssl", &seal, NULL));
	assert_ok(jnl_open(&config, &j, &report, NULL));
	for (unsigned i = 0; i < RIG_EPOCHS; i++)
		write_epoch(jnl_lane(j, 0), seal, i);
	assert_ok(jnl_lane_close(jnl_lane(j, 0)));
	settle(jnl_lane(j, 0), SLK_END);
	jnl_close(j);
	seal_thread_free(seal);
}

static struct slk_span
keep(uint8_t **at, struct slk_span s)
{
	uint8_t *start = *at;

	memcpy(start, s.ptr, s.len);
	start[s.len] = 0;
	*at += s.len + 1;
	return slk_span(start, s.len);
}

static int
keep_epoch(void *arg, const struct jnl_epoch_info *info)
{
	struct rewrap_rig *rig = arg;

	assert_true(rig->epoch_count < RIG_EPOCHS);
	uint8_t *at = rig->memory[rig->epoch_count];
	struct jnl_epoch_info *e = &rig->epochs[rig->epoch_count++];
	*e = *info;
	e->stream_arn = (const char *)keep(&at, slk_span_str(info->stream_arn)).ptr;
	e->key_arn = (const char *)keep(&at, slk_span_str(info->key_arn)).ptr;
	e->context = keep(&at, info->context);
	e->wrapped = keep(&at, info->wrapped);
	e->commitment = keep(&at, info->commitment);
	return SLK_OK;
}

void
rewrap_rig_start(struct rewrap_rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	tempdir_make(rig->dir, sizeof(rig->dir));
	attester_init(&rig->ours, "P-256");
	attester_init(&rig->theirs, "P-256");
	assert_ok(seal_attest_keys_from_der(attester_der(&rig->ours), &rig->trusted));
	rig->signer = &rig->ours;
	write_journal(rig->dir);
	assert_ok(jnl_list_epochs(rig->dir, NULL, keep_epoch, NULL, rig, NULL));
	assert_int_equal(rig->epoch_count, RIG_EPOCHS);
}

void
rewrap_rig_stop(struct rewrap_rig *rig)
{
	seal_attest_keys_free(rig->trusted);
	attester_fini(&rig->ours);
	attester_fini(&rig->theirs);
	tempdir_remove(rig->dir);
}

int
rewrap_rig_decrypt(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err)
{
	struct rewrap_rig *rig = ctx;
	size_t n = strlen(rig->asked);

	(void)info;
	assert_int_equal(wrapped.len, 33);
	if (n + 1 < sizeof(rig->asked))
		rig->asked[n] = (char)wrapped.ptr[0];
	int rc = rig->answers[wrapped.ptr[0] & 127];
	if (rc != SLK_OK)
		return slk_fail(err, rc, "key %c says %s", wrapped.ptr[0], slk_status_name(rc));
	return slk_secret_from(wrapped.ptr + 1, 32, out_data_key);
}

int
rewrap_rig_attest(
	void *ctx, const uint8_t digest[32], struct jnl_attestation *out, struct slk_error *err)
{
	struct rewrap_rig *rig = ctx;

	(void)err;
	out->signature_len = attester_sign(rig->signer, "rewrap", digest, out->signature);
	memcpy(out->public_key, rig->signer->der, rig->signer->der_len);
	out->public_key_len = rig->signer->der_len;
	strcpy(out->key_arn, "arn:aws:kms:local:000000000000:key/a");
	return SLK_OK;
}

void
rewrap_rig_add_all(struct rewrap_rig *rig, struct jnl_rewrap_writer *w, char letter, bool flip)
{
	char arn[16];

	snprintf(arn, sizeof(arn), "arn:key/%c", letter);
	for (unsigned i = RIG_EPOCHS; i-- > 0;) { /* not in their order */
		const struct fmt_rewrap_entry e = {rig->epochs[i].epoch_id,
			rig->epochs[i].stream_id, rig->epochs[i].commitment, slk_span_str(arn),
			rewrap_rig_wrap(i, letter, flip)};
		assert_ok(jnl_rewrap_writer_add(w, &e));
	}
}

void
rewrap_rig_write(struct rewrap_rig *rig, char letter, bool flip, char out_name[FMT_REWRAP_NAME_MAX])
{
	const struct jnl_rewrap_writer_config config = {.dir = rig->dir};
	struct jnl_rewraps *r = rewrap_rig_load(rig, false);
	struct jnl_rewrap_writer *w = NULL;

	assert_ok(jnl_rewrap_writer_new(&config, &w, NULL));
	rewrap_rig_add_all(rig, w, letter, flip);
	assert_ok(jnl_rewrap_writer_commit(w, r, rewrap_rig_attest, rig, out_name, NULL));
	jnl_rewrap_writer_free(w);
	jnl_rewraps_free(r);
}

struct jnl_rewraps *
rewrap_rig_load(struct rewrap_rig *rig, bool pinned)
{
	const struct jnl_rewraps_config config = {
		.dir = rig->dir, .any_stream = true, .trusted = pinned ? rig->trusted : NULL};
	struct jnl_rewraps *r = NULL;

	assert_ok(jnl_rewraps_new(&config, &r, NULL));
	return r;
}

enum jnl_rewrap_state
rewrap_rig_state(struct rewrap_rig *rig, bool pinned)
{
	struct jnl_rewraps *r = rewrap_rig_load(rig, pinned);

	assert_true(jnl_rewraps_count(r) > 0);
	const struct jnl_rewrap_file *f = jnl_rewraps_file(r, jnl_rewraps_count(r) - 1);
	enum jnl_rewrap_state state = f->state;
	assert_int_equal(f->why.text[0] != '\0', !jnl_rewrap_is_used(state));
	jnl_rewraps_free(r);
	return state;
}

int
rewrap_rig_open(
	struct rewrap_rig *rig, struct jnl_rewraps *r, unsigned index, struct slk_error *err)
{
	struct slk_secret *data_key = NULL;
	uint8_t want[32];

	memset(rig->asked, 0, sizeof(rig->asked));
	data_key_of(index, want);
	int rc = jnl_rewraps_data_key(
		r, &rig->epochs[index], rewrap_rig_decrypt, rig, &data_key, err);
	if (rc != SLK_OK) {
		assert_null(data_key);
		return rc;
	}
	assert_int_equal(slk_secret_len(data_key), 32);
	assert_memory_equal(slk_secret_peek(data_key), want, 32);
	slk_secret_free(data_key);
	return rc;
}

static FILE *
open_in(const struct rewrap_rig *rig, const char *name, const char *mode)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
	FILE *f = fopen(path, mode);
	assert_non_null(f);
	return f;
}

size_t
rewrap_rig_slurp(const struct rewrap_rig *rig, const char *name, uint8_t *out, size_t cap)
{
	FILE *f = open_in(rig, name, "rb");
	size_t len = fread(out, 1, cap, f);

	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	return len;
}

void
rewrap_rig_spill(const struct rewrap_rig *rig, const char *name, const void *bytes, size_t len)
{
	FILE *f = open_in(rig, name, "wb");

	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int
is_lane_file(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && strcmp(dot, ".slj") == 0;
}

void
rewrap_rig_hash(const struct rewrap_rig *rig, uint8_t out[32])
{
	struct dirent **names = NULL;
	uint8_t *all = malloc(8 * LANE_BYTES);
	size_t len = 0;

	assert_non_null(all);
	int count = scandir(rig->dir, &names, is_lane_file, alphasort);
	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		size_t name_len = strlen(names[i]->d_name);
		memcpy(all + len, names[i]->d_name, name_len);
		len += name_len;
		len += rewrap_rig_slurp(rig, names[i]->d_name, all + len, 8 * LANE_BYTES - len);
		free(names[i]);
	}
	free(names);
	assert_ok(seal_sha256(slk_span(all, len), out));
	free(all);
}
