#include "journal_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "journal/mirror.h"
#include "journal/scan.h"
#include "slk_test.h"
#include "tempdir.h"

static uint64_t
mono(void *ctx)
{
	return ((struct journal_rig *)ctx)->mono_ns;
}

static uint64_t
wall(void *ctx)
{
	return ((struct journal_rig *)ctx)->wall_ns;
}

static int
counting_open(void *ctx, const char *path, int flags, unsigned mode, int *out_fd)
{
	((struct journal_rig *)ctx)->opens++;
	return slk_fs_posix()->open(slk_fs_posix()->ctx, path, flags, mode, out_fd);
}

static int
counting_pread(void *ctx, int fd, void *buf, size_t len, uint64_t pos, size_t *out_len)
{
	int rc = slk_fs_posix()->pread(slk_fs_posix()->ctx, fd, buf, len, pos, out_len);

	if (rc == SLK_OK)
		((struct journal_rig *)ctx)->read_bytes += *out_len;
	return rc;
}

static int
no_flush(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return SLK_OK;
}

static int
no_flush_of_dir(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return SLK_OK;
}

const struct slk_fs *
journal_rig_quick_fs(void)
{
	static struct slk_fs quick;

	quick = *slk_fs_posix();
	quick.datasync = quick.sync = no_flush;
	quick.sync_dir = no_flush_of_dir;
	return &quick;
}

void
journal_rig_init(struct journal_rig *rig)
{
	*rig = (struct journal_rig){.mono_ns = SLK_NS_PER_S,
		.wall_ns = 1700000000ull * SLK_NS_PER_S,
		.clock = {mono, wall, rig},
		.counting_fs = *slk_fs_posix()};
	/* The real one has no context. */
	rig->counting_fs.ctx = rig;
	rig->counting_fs.open = counting_open;
	rig->counting_fs.pread = counting_pread;
	tempdir_make(rig->dir, sizeof(rig->dir));
	assert_ok(seal_thread_new("openssl", &rig->seal, NULL));
	assert_ok(slk_secret_from("0123456789abcdef0123456789abcdef", 32, &rig->data_key));
}

void
journal_rig_fini(struct journal_rig *rig)
{
	jnl_close(rig->journal);
	seal_thread_free(rig->seal);
	slk_secret_free(rig->data_key);
	tempdir_remove(rig->dir);
}

static void
settle(struct journal_rig *rig, int until)
{
	int rc;

	do {
		rc = jnl_lane_turn(jnl_lane(rig->journal, 0));
	} while (rc > 0);
	assert_int_equal(rc, until);
}

void
journal_rig_open(struct journal_rig *rig)
{
	const struct jnl_config config = {.dir = rig->dir,
		.lane_count = 1,
		.file_bytes = 1u << 20,
		.group_bytes = 128 * 1024,
		.group_count = 4,
		.reserve_bytes = 1,
		.clock = &rig->clock,
		.integrity = rig->integrity,
		.share_tail = rig->share_tail,
		.fs = rig->mirror != NULL ? jnl_mirror_fs(rig->mirror) : rig->fs,
		.sim_io = rig->mirror != NULL ? jnl_mirror_io(rig->mirror) : NULL,
		.io = "sync"};
	struct fmt_context *context = NULL;

	assert_ok(jnl_open(&config, &rig->journal, NULL, NULL));
	for (uint64_t stream = 1; stream < 4; stream++) {
		char arn[80];
		snprintf(arn, sizeof(arn), "arn:aws:kinesis:local:000000000000:stream/s%u",
			(unsigned)stream);
		assert_ok(fmt_context_for_stream(arn, &context));
		const struct jnl_epoch_params params = {.stream_id = stream,
			.stream_arn = arn,
			.key_arn = "arn:key",
			.context = context,
			.wrapped = slk_span("wrapped", 7),
			.data_key = rig->data_key};
		assert_ok(jnl_lane_epoch_begin(
			jnl_lane(rig->journal, 0), rig->seal, &params, &rig->epochs[stream]));
		fmt_context_free(context);
	}
}

void
journal_rig_append(struct journal_rig *rig, uint64_t stream_id, unsigned count, uint64_t arrival_ns)
{
	static const uint8_t data[JOURNAL_RIG_RECORD_BYTES];
	const struct fmt_record r = {.data = slk_span(data, sizeof(data)),
		.arrival_ns = arrival_ns,
		.source = FMT_SOURCE_PUT};
	struct jnl_lane *lane = jnl_lane(rig->journal, 0);
	struct jnl_append done;
	int rc;

	for (unsigned i = 0; i < count; i++) {
		while ((rc = jnl_lane_append(lane, rig->seal, rig->epochs[stream_id], 0, &r, 1,
				&done)) == SLK_AGAIN)
			settle(rig, 0);
		assert_ok(rc);
	}
	assert_ok(jnl_lane_submit(lane));
	settle(rig, 0);
}

void
journal_rig_close(struct journal_rig *rig, bool cleanly)
{
	int rc;

	while (cleanly && (rc = jnl_lane_close(jnl_lane(rig->journal, 0))) != SLK_OK) {
		assert_int_equal(rc, SLK_AGAIN);
		settle(rig, 0);
	}
	if (cleanly)
		settle(rig, SLK_END);
	jnl_close(rig->journal);
	rig->journal = NULL;
}

bool
journal_rig_has(const struct journal_rig *rig, uint64_t file_id, const char *suffix)
{
	char path[400];
	struct stat st;

	snprintf(
		path, sizeof(path), "%s/%020llu.%s", rig->dir, (unsigned long long)file_id, suffix);
	return stat(path, &st) == 0;
}

unsigned
journal_rig_files(const struct journal_rig *rig)
{
	uint64_t *ids = NULL;
	size_t count = 0;

	assert_ok(jnl_scan_list(slk_fs_posix(), rig->dir, FMT_JFILE_LANE, &ids, &count));
	free(ids);
	return (unsigned)count;
}
