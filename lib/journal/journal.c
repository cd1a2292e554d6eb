#include "journal/journal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "journal/internal.h"
#include "journal/scan.h"

#define MIB (1u << 20)

static int
settle(const struct jnl_config *in, struct jnl_config *c, struct slk_error *err)
{
	*c = *in;
	c->file_bytes = c->file_bytes != 0 ? c->file_bytes : 64ull * MIB;
	c->group_bytes = c->group_bytes != 0 ? c->group_bytes : 2 * MIB;
	c->group_count = c->group_count != 0 ? c->group_count : 4;
	c->reserve_bytes = c->reserve_bytes != 0 ? c->reserve_bytes : 4 * c->file_bytes;
	if (c->lane_count < 1 || c->lane_count > FMT_JFILE_LANES_MAX)
		return slk_fail(err, SLK_RANGE, "a journal has 1 to %u lanes, not %u",
			FMT_JFILE_LANES_MAX, c->lane_count);
	if (c->group_count < 3 || c->group_count > JNL_GROUPS_MAX)
		return slk_fail(err, SLK_RANGE, "group_count must be 3 to %u, not %u",
			JNL_GROUPS_MAX, c->group_count);
	if (c->group_bytes % FMT_GROUP_ALIGN != 0 || c->group_bytes < 64 * 1024 ||
		c->group_bytes > FMT_BLOCK_MAX)
		return slk_fail(err, SLK_RANGE,
			"group_bytes must be a multiple of 4,096 from 64 KiB to 4 MiB, not %u",
			c->group_bytes);
	if (c->file_bytes % MIB != 0 || c->file_bytes < 4ull * c->group_bytes ||
		c->file_bytes > FMT_JFILE_CAPACITY_MAX)
		return slk_fail(err, SLK_RANGE,
			"file_bytes must be a multiple of 1 MiB and at least 4 groups, not %llu",
			(unsigned long long)c->file_bytes);
	return SLK_OK;
}

static int
choose_io(const struct jnl *j, struct jnl_io *out, struct slk_error *err)
{
	const char *name = j->config.io != NULL ? j->config.io : "auto";

	if (j->config.sim_io != NULL) {
		*out = *j->config.sim_io;
		return SLK_OK;
	}
	if (strcmp(name, "auto") != 0 && strcmp(name, "uring") != 0 && strcmp(name, "sync") != 0)
		return slk_fail(err, SLK_CONFIG, "io must be auto, uring or sync, not %s", name);
	/* A file seam of a test is no descriptor for io_uring. */
	if (strcmp(name, "sync") != 0 && j->base == slk_fs_posix() && jnl_io_uring(out) == SLK_OK)
		return SLK_OK;
	if (strcmp(name, "uring") == 0)
		return slk_fail(err, SLK_UNSUPPORTED,
			"io_uring is not to be had here; set io: auto or sync");
	*out = jnl_io_sync(j->base);
	return SLK_OK;
}

static int
make_lanes(struct jnl *j, struct slk_error *err)
{
	struct jnl_io io;
	int rc = choose_io(j, &io, err);

	if (rc != SLK_OK)
		return rc;
	j->lanes = calloc(j->config.lane_count, sizeof(*j->lanes));
	if (j->lanes == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	for (unsigned i = 0; i < j->config.lane_count; i++) {
		struct jnl_lane *l = &j->lanes[i];
		l->journal = j;
		l->index = i;
		l->event_fd = -1;
		for (unsigned d = 0; d < JNL_DIRS_MAX; d++)
			l->marks[d].fd = -1;
		l->io = io;
		pthread_mutex_init(&l->prepare_lock, NULL);
		pthread_cond_init(&l->prepare_cond, NULL);
		j->lane_count = i + 1;
		rc = jnl_shards_init(
			&l->shards, j->config.group_bytes / 2 / FMT_SHARDTABLE_ENTRY_BYTES / 2);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "no memory for the shards of a lane");
	}
	return SLK_OK;
}

static int
open_journal(struct jnl *j, struct jnl_recovery *report, struct slk_error *err)
{
	struct jnl_recovered found;

	int rc = jnl_dirs_take(j, err);
	if (rc == SLK_OK)
		rc = make_lanes(j, err);
	if (rc == SLK_OK)
		rc = jnl_recover(j, &found, report, err);
	if (rc != SLK_OK)
		return rc;
	if (found.have_uuid)
		memcpy(j->uuid, found.uuid, sizeof(j->uuid));
	else
		rc = slk_random(j->uuid, sizeof(j->uuid));
	j->next_id = found.max_id + 1;
	j->run = j->next_id;
	for (unsigned i = 0; i < j->lane_count && rc == SLK_OK; i++)
		rc = jnl_lane_init(&j->lanes[i], err);
	if (rc == SLK_OK && (j->dirs->list.count > 1 || j->dirs->list.generation > 0)) {
		rc = jnl_dirs_write_list(j->dirs, j->uuid);
		if (rc != SLK_OK)
			rc = slk_fail(err, rc,
				"cannot write the list of the journal's directories: %s",
				slk_status_sentence(rc));
	}
	return rc;
}

static int
make_dirs(struct jnl *j, const struct jnl_config *config, struct slk_error *err)
{
	const char *paths[JNL_DIRS_MAX] = {config->dir};

	if (config->more_count >= JNL_DIRS_MAX)
		return slk_fail(err, SLK_CONFIG, "a journal has 1 to %u directories, not %u",
			JNL_DIRS_MAX, config->more_count + 1);
	for (unsigned i = 0; i < config->more_count; i++)
		paths[1 + i] = config->more_dirs[i];
	int rc = jnl_dirs_new(paths, 1 + config->more_count, j->base, &j->dirs, err);
	if (rc == SLK_OK)
		j->fs = config->more_count > 0 ? &j->dirs->fs : j->base;
	return rc;
}

int
jnl_open(const struct jnl_config *config, struct jnl **out_journal, struct jnl_recovery *out_report,
	struct slk_error *err)
{
	struct jnl *j = calloc(1, sizeof(*j));
	struct jnl_recovery report = {0};

	if (j == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	for (unsigned i = 0; i < JNL_DIRS_MAX; i++)
		j->lock_fds[i] = -1;
	pthread_mutex_init(&j->files_lock, NULL);
	int rc = settle(config, &j->config, err);
	if (rc == SLK_OK && strlen(config->dir) >= sizeof(j->dir) - FMT_JFILE_NAME_MAX)
		rc = slk_fail(err, SLK_TOO_LARGE, "the path of the journal is too long");
	if (rc == SLK_OK) {
		strcpy(j->dir, config->dir);
		j->config.dir = j->dir;
		j->base = config->fs != NULL ? config->fs : slk_fs_posix();
		j->clock = config->clock != NULL ? config->clock : slk_clock_system();
		j->opened_ns = slk_wall_ns(j->clock);
		j->opened_mono_ns = slk_mono_ns(j->clock);
		rc = make_dirs(j, config, err);
		if (rc == SLK_OK)
			rc = open_journal(j, &report, err);
	}
	if (rc != SLK_OK) {
		jnl_close(j);
		return rc;
	}
	if (out_report != NULL)
		*out_report = report;
	*out_journal = j;
	return SLK_OK;
}

void
jnl_close(struct jnl *j)
{
	if (j == NULL)
		return;
	for (unsigned i = 0; i < j->lane_count; i++)
		jnl_lane_fini(&j->lanes[i]);
	free(j->lanes);
	for (unsigned i = 0; i < JNL_DIRS_MAX; i++)
		if (j->lock_fds[i] >= 0)
			close(j->lock_fds[i]);
	jnl_dirs_free(j->dirs);
	pthread_mutex_destroy(&j->files_lock);
	free(j);
}

struct jnl_lane *
jnl_lane(struct jnl *j, unsigned index)
{
	return index < j->lane_count ? &j->lanes[index] : NULL;
}
