/* A journal of a few epochs under a KMS that is a table: a wrap is the key's letter and the data key itself. */
#ifndef SLK_TESTS_REWRAP_RIG_H
#define SLK_TESTS_REWRAP_RIG_H

#include "attester.h"
#include "journal/journal.h"
#include "journal/rewrap_write.h"
#include "journal/rewraps.h"

#define RIG_EPOCHS 3u
#define RIG_STREAM 7u
#define RIG_ARN "arn:aws:kinesis:local:000000000000:stream/web"

struct rewrap_rig {
	char dir[256];
	struct attester ours, theirs;
	struct seal_attest_keys *trusted; /* ours */
	const struct attester *signer; /* of the next side file */
	struct jnl_epoch_info epochs[RIG_EPOCHS]; /* as jnl_list_epochs() found them, under key A */
	uint8_t memory[RIG_EPOCHS][1024];
	unsigned epoch_count;
	int answers[128]; /* of the KMS, by key letter: SLK_OK or what it refuses with */
	char asked[64]; /* key letters in the order of decrypts */
};

/* Functions fail the running test. */
void rewrap_rig_start(struct rewrap_rig *rig);
void rewrap_rig_stop(struct rewrap_rig *rig);
/* A jnl_decrypt_fn and a jnl_attest_fn; ctx is the rig. */
int rewrap_rig_decrypt(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err);
int rewrap_rig_attest(
	void *ctx, const uint8_t digest[32], struct jnl_attestation *out, struct slk_error *err);

/* The wrap of epoch index under key letter (33 bytes). flip: of another data key. */
struct slk_span rewrap_rig_wrap(unsigned index, char letter, bool flip);
/* Add all epochs under key letter. */
void rewrap_rig_add_all(
	struct rewrap_rig *rig, struct jnl_rewrap_writer *w, char letter, bool flip);
/* A whole side file, signed by rig->signer. */
void rewrap_rig_write(
	struct rewrap_rig *rig, char letter, bool flip, char out_name[FMT_REWRAP_NAME_MAX]);

struct jnl_rewraps *rewrap_rig_load(struct rewrap_rig *rig, bool pinned);
/* The state of the only or newest side file. */
enum jnl_rewrap_state rewrap_rig_state(struct rewrap_rig *rig, bool pinned);
/* Unwrap epoch 0 and compare with what it was sealed under. */
int rewrap_rig_open(
	struct rewrap_rig *rig, struct jnl_rewraps *r, unsigned index, struct slk_error *err);

/* Read and write a whole file of the directory. */
size_t rewrap_rig_slurp(const struct rewrap_rig *rig, const char *name, uint8_t *out, size_t cap);
void rewrap_rig_spill(
	const struct rewrap_rig *rig, const char *name, const void *bytes, size_t len);
/* SHA-256 over names and bytes of all lane files. */
void rewrap_rig_hash(const struct rewrap_rig *rig, uint8_t out[32]);

#endif
