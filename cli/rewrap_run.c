#include "rewrap_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/attest.h"

#define RETRY_MS 1000u
#define RETRY_LIMIT 30u /* without progress */
#define PROGRESS_NS (200 * SLK_NS_PER_MS)
#define REASONS_MAX 64u

/* An epoch of the present batch, with copies of what its key block says. */
struct slot {
	struct jnl_epoch_info info;
	char key_arn[KMSC_ARN_MAX]; /* of the wrap that is tried */
	char keyblock_arn[KMSC_ARN_MAX];
	uint8_t commitment[FMT_KEYBLOCK_COMMITMENT_BYTES];
	uint8_t keyblock_wrapped[FMT_KEYBLOCK_WRAPPED_MAX];
	struct fmt_context *context;
	unsigned wrap_index; /* which wrap is tried */
	bool last; /* there is none behind it */
	uint8_t wrapped[KMSC_BLOB_MAX]; /* that one */
	size_t wrapped_len;
	struct slk_error why; /* of the newest wrap that was refused */
};

struct cli_rewrap_run {
	struct cli_rewrap_run_config config;
	struct slk_fs fs; /* new files belong to whom the directory belongs */
	struct stat dir_stat;
	struct jnl_rewrap_writer *writer;
	struct slot *slots[KMSC_BATCH_MAX]; /* [0, count) wait for their answers */
	unsigned count;
	struct kmsc_re_encrypt_item *items;
	struct cli_rewrap_totals totals;
	uint64_t answered;
	bool terminal;
	uint64_t shown_ns;
	struct { /* what was told already */
		int status;
		char arn[KMSC_ARN_MAX];
	} reasons[REASONS_MAX];
	unsigned reason_count;
};

/* --- the progress line --- */

static void
show(struct cli_rewrap_run *r, bool always)
{
	uint64_t now = slk_mono_ns(r->config.cli->clock);

	if (!r->terminal || (!always && now - r->shown_ns < PROGRESS_NS))
		return;
	r->shown_ns = now;
	fprintf(stderr, "\r%llu of %llu keys\033[K", (unsigned long long)r->answered,
		(unsigned long long)r->config.total);
	fflush(stderr);
}

static void
unshow(struct cli_rewrap_run *r)
{
	if (!r->terminal || r->shown_ns == 0)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
}

/* --- life --- */

/* root writes into a directory of ingestd: the file is made as ingestd would make it. */
static int
open_as_owner(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	const struct cli_rewrap_run *r = ctx;
	const struct slk_fs *posix = slk_fs_posix();
	bool change = (flags & SLK_OPEN_CREATE) != 0 && geteuid() == 0;

	if (change) {
		setfsgid(r->dir_stat.st_gid); /* these two cannot fail for root */
		setfsuid(r->dir_stat.st_uid);
	}
	int rc = posix->open(posix->ctx, path, flags, mode, out_fd);
	if (change) {
		setfsuid(geteuid());
		setfsgid(getegid());
	}
	return rc;
}

static int
make_slots(struct cli_rewrap_run *r)
{
	r->items = calloc(KMSC_BATCH_MAX, sizeof(*r->items));
	if (r->items == NULL)
		return SLK_NO_MEMORY;
	for (unsigned i = 0; i < KMSC_BATCH_MAX; i++) {
		r->slots[i] = calloc(1, sizeof(*r->slots[i]));
		if (r->slots[i] == NULL)
			return SLK_NO_MEMORY;
	}
	return SLK_OK;
}

int
cli_rewrap_run_new(const struct cli_rewrap_run_config *config, struct cli_rewrap_run **out_run,
	struct slk_error *err)
{
	struct cli_rewrap_run *r = calloc(1, sizeof(*r));
	const char *dir = config->cli->journal_dir;
	int rc = SLK_OK;

	if (r == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	r->config = *config;
	r->config.file_entries =
		config->file_entries > 0 ? config->file_entries : CLI_REWRAP_FILE_ENTRIES;
	r->config.retry_ms = config->retry_ms > 0 ? config->retry_ms : RETRY_MS;
	r->config.retry_limit = config->retry_limit > 0 ? config->retry_limit : RETRY_LIMIT;
	r->terminal = config->total > 0 && isatty(STDERR_FILENO) == 1;
	r->fs = *slk_fs_posix();
	if (make_slots(r) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "out of memory");
	else if (stat(dir, &r->dir_stat) != 0)
		rc = slk_fail_errno(err, "cannot use the journal directory %s", dir);
	if (rc == SLK_OK) {
		/* Only open() is another one, and only it takes our ctx. */
		r->fs.open = open_as_owner;
		r->fs.ctx = r;
		const struct jnl_rewrap_writer_config writer = {.dir = dir,
			.fs = &r->fs,
			.clock = config->cli->clock,
			.trusted = config->trusted};
		rc = jnl_rewrap_writer_new(&writer, &r->writer, err);
	}
	if (rc != SLK_OK) {
		cli_rewrap_run_free(r);
		return rc;
	}
	*out_run = r;
	return SLK_OK;
}

void
cli_rewrap_run_free(struct cli_rewrap_run *run)
{
	if (run == NULL)
		return;
	jnl_rewrap_writer_free(run->writer);
	for (unsigned i = 0; i < KMSC_BATCH_MAX; i++) {
		if (run->slots[i] != NULL)
			fmt_context_free(run->slots[i]->context);
		free(run->slots[i]);
	}
	free(run->items);
	free(run);
}

struct cli_rewrap_totals
cli_rewrap_run_totals(const struct cli_rewrap_run *run)
{
	return run->totals;
}

/* --- side files --- */

static int
attest(void *ctx, const uint8_t digest[FMT_REWRAP_DIGEST_BYTES], struct jnl_attestation *out,
	struct slk_error *err)
{
	struct cli_rewrap_run *r = ctx;
	struct kmsc_attestation a;
	struct kmsc *kms = cli_kms(r->config.cli, err);

	if (kms == NULL)
		return SLK_NO_MEMORY;
	for (unsigned tries = 0;; tries++) {
		int rc = kmsc_attest(kms, FMT_ATTEST_REWRAP, digest, &a, err);
		if (rc == SLK_OK)
			break;
		/* The work of a whole file hangs on this: also after Ctrl-C a little is waited. */
		if (slk_status_class(rc) != SLK_CLASS_RETRY || tries == r->config.retry_limit)
			return rc;
		(void)cli_pause(r->config.retry_ms);
		if (cli_stopped() && tries > 2)
			return rc;
	}
	memcpy(out->signature, a.signature, a.signature_len);
	out->signature_len = a.signature_len;
	memcpy(out->public_key, a.public_key, a.public_key_len);
	out->public_key_len = a.public_key_len;
	(void)snprintf(out->key_arn, sizeof(out->key_arn), "%s", a.key_arn);
	return SLK_OK;
}

static int
commit(struct cli_rewrap_run *r, struct slk_error *err)
{
	uint32_t count = jnl_rewrap_writer_count(r->writer);
	char name[FMT_REWRAP_NAME_MAX];

	if (count == 0)
		return SLK_OK;
	int rc = jnl_rewrap_writer_commit(r->writer, r->config.rewraps, attest, r, name, err);
	if (rc != SLK_OK)
		return slk_fail_prefix(err, "%u keys were wrapped anew, but not kept", count);
	r->totals.done += count;
	r->config.wrote(r->config.arg, name, count);
	return jnl_rewraps_refresh(r->config.rewraps, err);
}

/* --- a batch --- */

static void
drop_slot(struct cli_rewrap_run *r, unsigned index)
{
	struct slot *freed = r->slots[index];

	fmt_context_free(freed->context);
	freed->context = NULL;
	r->slots[index] = r->slots[--r->count];
	r->slots[r->count] = freed;
	r->answered++;
	show(r, false);
}

/* Each reason is told once for each key, or a broken journal would tell it a million times. */
static void
fail_slot(struct cli_rewrap_run *r, unsigned index)
{
	const struct slot *s = r->slots[index];
	bool told = r->reason_count == REASONS_MAX;

	for (unsigned i = 0; i < r->reason_count; i++)
		told |= r->reasons[i].status == s->why.status &&
			strcmp(r->reasons[i].arn, s->key_arn) == 0;
	if (!told) {
		r->reasons[r->reason_count].status = s->why.status;
		strcpy(r->reasons[r->reason_count++].arn, s->key_arn);
		struct slk_error err = s->why;
		(void)slk_fail_prefix(&err, "epoch %016llx is not wrapped anew",
			(unsigned long long)s->info.epoch_id);
		unshow(r);
		r->config.failed(r->config.arg, &err);
	}
	r->totals.failed++;
	drop_slot(r, index);
}

/* Take the first wrap from index on that can be read. False: there is none left. */
static bool
take_wrap(struct cli_rewrap_run *r, struct slot *s, unsigned index)
{
	struct slk_span wrapped;
	const char *arn;

	for (s->last = false; !s->last; index++) {
		int rc = cli_rewrap_plan_wrap(
			r->config.plan, &s->info, index, &wrapped, &arn, &s->last);
		if (rc != SLK_OK || wrapped.len > KMSC_BLOB_MAX)
			continue;
		memcpy(s->wrapped, wrapped.ptr, wrapped.len);
		s->wrap_index = index;
		(void)snprintf(s->key_arn, sizeof(s->key_arn), "%s", arn);
		s->wrapped_len = wrapped.len;
		return true;
	}
	return false;
}

static int
keep(struct cli_rewrap_run *r, const struct slot *s, const struct kmsc_re_encrypt_item *item,
	struct slk_error *err)
{
	const struct fmt_rewrap_entry entry = {.epoch_id = s->info.epoch_id,
		.stream_id = s->info.stream_id,
		.commitment = s->info.commitment,
		.key_arn = slk_span_str(item->key_arn),
		.wrapped = slk_span(item->new_blob, item->new_blob_len)};
	int rc = jnl_rewrap_writer_count(r->writer) < r->config.file_entries
		? jnl_rewrap_writer_add(r->writer, &entry)
		: SLK_FULL;

	if (rc == SLK_FULL) {
		rc = commit(r, err);
		if (rc != SLK_OK)
			return rc;
		rc = jnl_rewrap_writer_add(r->writer, &entry);
	}
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc, "the new wrap of epoch %016llx cannot be kept: %s",
			  (unsigned long long)s->info.epoch_id, slk_status_sentence(rc));
}

/* A refusal: the next older wrap may do, or the epoch has failed. */
static void
refuse(struct cli_rewrap_run *r, unsigned index, const struct kmsc_re_encrypt_item *item)
{
	struct slot *s = r->slots[index];

	if (s->why.status == SLK_OK)
		s->why = item->err;
	if (s->last || !take_wrap(r, s, s->wrap_index + 1))
		fail_slot(r, index);
}

/* What came back, from the last to the first: a slot that is done is filled by the last one, which was looked at. Slots that
 * stay are asked about again. *out_moved: something has changed. */
static int
take_answers(struct cli_rewrap_run *r, bool *out_moved, struct slk_error *err)
{
	for (unsigned i = r->count; i-- > 0;) {
		const struct kmsc_re_encrypt_item *item = &r->items[i];
		int rc = SLK_OK;
		if (item->status == SLK_OK) {
			rc = keep(r, r->slots[i], item, err);
			if (rc == SLK_OK)
				drop_slot(r, i);
		} else if (slk_status_class(item->status) != SLK_CLASS_RETRY) {
			refuse(r, i, item);
		} else {
			*err = item->err;
			continue;
		}
		if (rc != SLK_OK)
			return rc;
		*out_moved = true;
	}
	return SLK_OK;
}

/* Ask once for all that wait. SLK_AGAIN: nothing has moved, and *err says why. */
static int
turn(struct cli_rewrap_run *r, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(r->config.cli, err);
	bool moved = false;

	if (kms == NULL)
		return SLK_NO_MEMORY;
	for (unsigned i = 0; i < r->count; i++) {
		r->items[i].blob = slk_span(r->slots[i]->wrapped, r->slots[i]->wrapped_len);
		r->items[i].context = r->slots[i]->context;
	}
	int rc = kmsc_re_encrypt_many(kms, r->config.to_arn, r->items, r->count, err);
	if (rc == SLK_OK)
		rc = take_answers(r, &moved, err);
	else if (slk_status_class(rc) == SLK_CLASS_RETRY)
		rc = SLK_OK;
	return rc == SLK_OK && !moved ? SLK_AGAIN : rc;
}

static int
drain(struct cli_rewrap_run *r, struct slk_error *err)
{
	unsigned stalled = 0;

	while (r->count > 0) {
		if (cli_stopped())
			return slk_fail(err, SLK_END, "stopped before all keys were wrapped anew");
		int rc = turn(r, err);
		if (rc != SLK_OK && rc != SLK_AGAIN)
			return rc;
		stalled = rc == SLK_AGAIN ? stalled + 1 : 0;
		if (stalled > r->config.retry_limit)
			return err->status != SLK_OK ? err->status : SLK_UNAVAILABLE;
		if (stalled == 1) {
			unshow(r);
			cli_note("%s; trying again for %u s", err->text,
				r->config.retry_limit * r->config.retry_ms / 1000);
		}
		if (stalled > 0)
			(void)cli_pause(r->config.retry_ms);
	}
	return SLK_OK;
}

/* --- epochs --- */

static int
fill_slot(struct cli_rewrap_run *r, struct slot *s, const struct jnl_epoch_info *info)
{
	if (info->wrapped.len > sizeof(s->keyblock_wrapped) ||
		info->commitment.len != sizeof(s->commitment))
		return SLK_MALFORMED;
	int rc = fmt_context_decode(info->context, &s->context);
	if (rc != SLK_OK)
		return rc;
	memcpy(s->keyblock_wrapped, info->wrapped.ptr, info->wrapped.len);
	memcpy(s->commitment, info->commitment.ptr, info->commitment.len);
	(void)snprintf(s->keyblock_arn, sizeof(s->keyblock_arn), "%s", info->key_arn);
	s->info = (struct jnl_epoch_info){.epoch_id = info->epoch_id,
		.stream_id = info->stream_id,
		.stream_arn = "",
		.key_arn = s->keyblock_arn,
		.wrapped = slk_span(s->keyblock_wrapped, info->wrapped.len),
		.commitment = slk_span(s->commitment, info->commitment.len)};
	s->why = (struct slk_error){.status = SLK_OK};
	if (!take_wrap(r, s, 0))
		return SLK_MALFORMED;
	return SLK_OK;
}

int
cli_rewrap_run_add(
	struct cli_rewrap_run *run, const struct jnl_epoch_info *info, struct slk_error *err)
{
	struct slot *s = run->slots[run->count++];
	int rc = fill_slot(run, s, info);

	if (rc == SLK_NO_MEMORY)
		return slk_fail(err, rc, "out of memory");
	if (rc != SLK_OK) {
		s->info.epoch_id = info->epoch_id;
		(void)snprintf(s->key_arn, sizeof(s->key_arn), "%s", info->key_arn);
		(void)slk_fail(
			&s->why, rc, "its key block cannot be used: %s", slk_status_sentence(rc));
		fail_slot(run, run->count - 1);
		return SLK_OK;
	}
	return run->count == KMSC_BATCH_MAX ? drain(run, err) : SLK_OK;
}

int
cli_rewrap_run_finish(struct cli_rewrap_run *run, bool aborted, struct slk_error *err)
{
	int rc = aborted ? SLK_OK : drain(run, err);
	struct slk_error later = {0};

	unshow(run);
	/* What was wrapped anew is kept, whatever came then. */
	int kept = commit(run, rc == SLK_OK ? err : &later);
	if (rc != SLK_OK && kept != SLK_OK)
		cli_note("%s", later.text);
	return rc != SLK_OK ? rc : kept;
}
