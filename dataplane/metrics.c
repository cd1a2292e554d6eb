#include "metrics.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "port.h"
#include "seal_path.h"

#define SECONDS(ns) ((double)(ns) / 1e9)

struct dp_metrics {
	struct dp_status_sources sources;
	uint64_t started_ns;
	struct slk_page page;
	struct slk_pages *pages;
};

/* --- text --- */

#define PREFIX "sealock_ingestd_"

static void
family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static uint64_t
get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* One counter of struct dp_counters, by worker. */
struct row {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
};

#define ROW(name, type, member, help) \
	{ \
		name, type, help, offsetof(struct dp_counters, member) \
	}

static const struct row worker_rows[] = {
	ROW("frames_total", "counter", frames, "Frames received."),
	ROW("frame_bytes_total", "counter", frame_bytes, "Bytes of frames received."),
	ROW("datagrams_total", "counter", datagrams, "Datagrams of listeners."),
	ROW("records_total", "counter", records, "Records sealed and appended to the journal."),
	ROW("record_bytes_total", "counter", record_bytes,
		"Bytes of records appended, partition keys included."),
	ROW("blocks_total", "counter", blocks, "Blocks sealed."),
	ROW("puts_total", "counter", puts, "Records of the local port."),
	ROW("replies_total", "counter", replies, "Answers to ARP, echo and neighbour discovery."),
	ROW("replies_limited_total", "counter", replies_limited,
		"Questions beyond the answers' rate."),
	ROW("field_fallbacks_total", "counter", field_fallbacks,
		"Records whose partition key is their sender, for want of the field."),
	ROW("handed_over_total", "counter", handed_over,
		"Datagrams that came by this worker's queue and are another's."),
	ROW("sleeps_total", "counter", sleeps, "Sleeps of an idle worker."),
	ROW("generation_ends_total", "counter", generation_ends,
		"Epochs ended and keys refused because the machine was duplicated or put back."),
	ROW("waits_total", "counter", waits,
		"Turns in which a port was left alone because staging was full."),
	ROW("staged_records", "gauge", staged_records, "Records that wait for their block."),
	ROW("staged_buffers", "gauge", staged_buffers, "Packet buffers that hold such records."),
};

static void
put_worker_rows(FILE *f, const struct dp_status_sources *s)
{
	for (size_t r = 0; r < sizeof(worker_rows) / sizeof(worker_rows[0]); r++) {
		const struct row *row = &worker_rows[r];
		family(f, row->name, row->type, row->help);
		for (unsigned i = 0; i < s->worker_count; i++) {
			const char *counters = (const char *)&s->workers[i]->counters;
			fprintf(f, PREFIX "%s{worker=\"%u\"} %llu\n", row->name, i,
				(unsigned long long)get(
					(const uint64_t *)(const void *)(counters + row->offset)));
		}
	}
}

static void
put_time(FILE *f, const struct dp_status_sources *s)
{
	double hz = (double)rte_get_tsc_hz();

	family(f, "worker_seconds_total", "counter",
		"Time of workers' turns that did something, or nothing.");
	for (unsigned i = 0; i < s->worker_count && hz > 0; i++) {
		const struct dp_counters *c = &s->workers[i]->counters;
		fprintf(f, PREFIX "worker_seconds_total{worker=\"%u\",state=\"busy\"} %.6f\n", i,
			(double)get(&c->busy_cycles) / hz);
		fprintf(f, PREFIX "worker_seconds_total{worker=\"%u\",state=\"idle\"} %.6f\n", i,
			(double)get(&c->idle_cycles) / hz);
	}
}

static void
put_drops(FILE *f, const struct dp_status_sources *s)
{
	family(f, "drops_total", "counter",
		"Frames and records that were not taken, by reason (dataplane/net/drop.h, "
		"loss.h).");
	for (unsigned i = 0; i < s->worker_count; i++) {
		const struct dp_counters *c = &s->workers[i]->counters;
		for (unsigned r = 1; r < DP_DROP_COUNT; r++)
			fprintf(f, PREFIX "drops_total{worker=\"%u\",reason=\"%s\"} %llu\n", i,
				dp_drop_name((enum dp_drop)r),
				(unsigned long long)get(&c->drops[r]));
		for (unsigned r = 0; r < DP_LOSS_COUNT; r++)
			fprintf(f, PREFIX "drops_total{worker=\"%u\",reason=\"%s\"} %llu\n", i,
				dp_loss_name((enum dp_loss)r),
				(unsigned long long)get(&c->losses[r]));
	}
}

/* The lanes: name, and what of their statistics. */
static double
lane_value(const struct jnl_lane_stats *l, unsigned row)
{
	switch (row) {
	case 0:
		return (double)l->appended_lsn;
	case 1:
		return (double)l->durable_lsn;
	case 2:
		return (double)l->written_bytes;
	case 3:
		return (double)l->flushes;
	case 4:
		return (double)l->rolls;
	case 5:
		return (double)l->moves;
	case 6:
		return (double)l->epochs;
	case 7:
		return SECONDS(l->flush_ns_last);
	default:
		return SECONDS(l->flush_ns_max);
	}
}

static void
put_lanes(FILE *f, const struct dp_status_sources *s)
{
	static const char *const rows[][3] = {
		{"appended_bytes_total", "counter", "Bytes appended to the lane since the start."},
		{"durable_bytes_total", "counter",
			"Of them, those that are durable: the watermark."},
		{"written_bytes_total", "counter", "Bytes written to the journal's disk."},
		{"flushes_total", "counter", "Flushes of the journal's disk."},
		{"rolls_total", "counter", "Lane files that were closed for the next one."},
		{"moves_total", "counter",
			"Times that the lane went on in another directory because a disk had "
			"failed."},
		{"epochs_total", "counter", "Key epochs begun."},
		{"flush_last_seconds", "gauge", "How long the last flush took."},
		{"flush_max_seconds", "gauge", "How long the longest flush since the start took."},
	};
	struct jnl_lane_stats lane;

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		family(f, rows[r][0], rows[r][1], rows[r][2]);
		for (unsigned i = 0; i < s->worker_count; i++) {
			jnl_lane_stats(s->workers[i]->lane, &lane);
			fprintf(f, PREFIX "%s{worker=\"%u\"} %.9g\n", rows[r][0], i,
				lane_value(&lane, r));
		}
	}
	family(f, "disk_ok", "gauge",
		"1 if the journal takes records, 0 if its disk is full or failed.");
	for (unsigned i = 0; i < s->worker_count; i++)
		fprintf(f, PREFIX "disk_ok{worker=\"%u\"} %d\n", i,
			jnl_lane_status(s->workers[i]->lane) == SLK_OK);
}

/* A path in a label. */
static void
put_path(FILE *f, const char *path)
{
	for (; *path != '\0'; path++) {
		if (*path == '\\' || *path == '"')
			fputc('\\', f);
		if (*path == '\n')
			fputs("\\n", f);
		else
			fputc(*path, f);
	}
}

static void
put_directories(FILE *f, const struct jnl *journal)
{
	static const char *const rows[][2] = {
		{"directory_ok",
			"1 if the directory of the journal takes writes, 0 if its disk has "
			"failed."},
		{"directory_lanes", "Lanes that write there now."},
		{"directory_free_bytes", "Free space on its file system; 0 if that is not known."},
	};
	struct jnl_dir_info info;

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		family(f, rows[r][0], "gauge", rows[r][1]);
		for (unsigned i = 0; journal != NULL && i < jnl_dir_count(journal); i++) {
			jnl_dir_info(journal, i, &info);
			const uint64_t values[] = {!info.failed, info.lanes, info.free_bytes};
			fprintf(f, PREFIX "%s{directory=\"", rows[r][0]);
			put_path(f, info.path);
			fprintf(f, "\"} %llu\n", (unsigned long long)values[r]);
		}
	}
}

/* --- streams: one family after the other, so the list is walked once for each --- */

enum stream_row {
	STREAM_RECORDS,
	STREAM_BYTES,
	STREAM_KEYS,
	STREAM_KEY_AGE,
	STREAM_KEY_OK,
	STREAM_ROWS
};

struct stream_walk {
	FILE *f;
	enum stream_row row;
};

static const char *const stream_rows[STREAM_ROWS][3] = {
	[STREAM_RECORDS] = {"stream_records_total", "counter", "Records appended, by stream."},
	[STREAM_BYTES] = {"stream_bytes_total", "counter",
		"Bytes of them, partition keys included."},
	[STREAM_KEYS] = {"stream_keys_total", "counter", "Data keys that the stream began to use."},
	[STREAM_KEY_AGE] = {"stream_key_age_seconds", "gauge",
		"Since when the stream's data key is in use; absent without one."},
	[STREAM_KEY_OK] = {"stream_key_ok", "gauge",
		"0 if the last data key was refused or could not be had."},
};

static void
put_stream(void *arg, const struct dp_stream_view *view)
{
	const struct stream_walk *w = arg;
	double value = 0;

	switch (w->row) {
	case STREAM_RECORDS:
		value = (double)view->records;
		break;
	case STREAM_BYTES:
		value = (double)view->bytes;
		break;
	case STREAM_KEYS:
		value = (double)view->keys;
		break;
	case STREAM_KEY_AGE:
		if (!view->has_key)
			return;
		value = SECONDS(view->key_age_ns);
		break;
	default:
		value = view->key_error == SLK_OK;
		break;
	}
	/* The name is [a-zA-Z0-9_.-]: nothing to escape. */
	fprintf(w->f, PREFIX "%s{stream=\"%s\"} %.15g\n", stream_rows[w->row][0], view->name,
		value);
}

static void
put_streams(FILE *f, const struct dp_status_sources *s)
{
	for (enum stream_row r = 0; r < STREAM_ROWS; r++) {
		struct stream_walk walk = {f, r};
		family(f, stream_rows[r][0], stream_rows[r][1], stream_rows[r][2]);
		dp_control_each_stream(s->control, put_stream, &walk);
	}
}

/* --- ports --- */

static uint64_t
port_value(const struct rte_eth_stats *e, unsigned row)
{
	const uint64_t values[] = {e->ipackets, e->imissed, e->rx_nombuf, e->ierrors};

	return values[row];
}

static void
put_ports(FILE *f, const struct dp_status_sources *s)
{
	static const char *const rows[][2] = {
		{"port_received_total", "Frames that the port's device received."},
		{"port_missed_total", "Frames that it lost because its queue was full."},
		{"port_no_buffer_total", "Frames that it lost for want of a packet buffer."},
		{"port_errors_total", "Frames that it found wrong."},
	};

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		family(f, rows[r][0], "counter", rows[r][1]);
		for (unsigned i = 0; i < s->worker_count; i++) {
			for (unsigned p = 0; p < s->workers[i]->port_count; p++) {
				struct rte_eth_stats stats = {0};
				if (s->workers[i]->ports[p]->queue != 0)
					continue; /* the device counts for all its queues */
				if (rte_eth_stats_get(s->workers[i]->ports[p]->id, &stats) != 0)
					continue; /* this device does not count */
				fprintf(f, PREFIX "%s{port=\"%u\"} %llu\n", rows[r][0],
					s->workers[i]->ports[p]->id,
					(unsigned long long)port_value(&stats, r));
			}
		}
	}
}

static void
put_local_port(FILE *f, const struct dp_door_counters *c)
{
	family(f, "local_port_clients", "gauge", "Clients of the local port.");
	fprintf(f, PREFIX "local_port_clients %llu\n",
		(unsigned long long)atomic_load(&c->clients));
	family(f, "local_port_hang_ups_total", "counter",
		"Clients that broke the protocol or found no place.");
	fprintf(f, PREFIX "local_port_hang_ups_total %llu\n",
		(unsigned long long)atomic_load(&c->hang_ups));
	family(f, "puts_refused_total", "counter",
		"Records of the local port completed with an error.");
	fprintf(f, PREFIX "puts_refused_total %llu\n",
		(unsigned long long)atomic_load(&c->refused));
}

int
dp_metrics_text(const struct dp_status_sources *s, char **out_text, size_t *out_len)
{
	char *text = NULL, error[512];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return SLK_NO_MEMORY;
	family(f, "build_info", "gauge", "The program's version and its sealing engine.");
	fprintf(f, PREFIX "build_info{version=\"%s\",engine=\"%s\"} 1\n", SLK_VERSION,
		s->worker_count > 0 ? seal_thread_engine(s->workers[0]->thread) : "");
	family(f, "uptime_seconds", "gauge", "Since the start.");
	fprintf(f, PREFIX "uptime_seconds %.3f\n", SECONDS(s->uptime_ns));
	family(f, "kms_up", "gauge", "1 if kmsd answered the last call.");
	fprintf(f, PREFIX "kms_up %d\n", dp_control_kms_up(s->control, error, sizeof(error)));
	family(f, "data_keys_total", "counter", "Data keys fetched from kmsd.");
	fprintf(f, PREFIX "data_keys_total %llu\n",
		(unsigned long long)dp_control_keys(s->control));
	put_local_port(f, s->door);
	put_worker_rows(f, s);
	put_time(f, s);
	put_drops(f, s);
	put_lanes(f, s);
	put_directories(f, s->journal);
	put_streams(f, s);
	put_ports(f, s);
	bool bad = ferror(f) != 0;
	if (fclose(f) != 0 || bad) {
		free(text);
		return SLK_NO_MEMORY;
	}
	*out_text = text;
	*out_len = len;
	return SLK_OK;
}

/* --- the page --- */

static int
make_page(void *arg, char **out_text, size_t *out_len)
{
	const struct dp_metrics *m = arg;
	struct dp_status_sources sources = m->sources;

	sources.uptime_ns = slk_mono_ns(slk_clock_system()) - m->started_ns;
	return dp_metrics_text(&sources, out_text, out_len);
}

void *
dp_metrics_run(void *arg)
{
	const struct dp_metrics *m = arg;

	return slk_pages_run(m->pages);
}

void
dp_metrics_stop(struct dp_metrics *metrics)
{
	slk_pages_stop(metrics->pages);
}

int
dp_metrics_new(const struct dp_status_sources *sources, struct dp_metrics **out_metrics,
	struct slk_error *err)
{
	const struct dp_metrics_config *c = &sources->config->metrics;
	struct dp_metrics *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the metrics");
	m->sources = *sources;
	m->started_ns = sources->uptime_ns;
	m->page = (struct slk_page){"/metrics", make_page, m};
	int rc = slk_pages_new("sealock-ingestd", &c->address, &m->page, 1, &m->pages, err);
	if (rc != SLK_OK) {
		free(m);
		return slk_fail_prefix(err, "%s", c->listen);
	}
	*out_metrics = m;
	return SLK_OK;
}

void
dp_metrics_free(struct dp_metrics *metrics)
{
	if (metrics == NULL)
		return;
	slk_pages_free(metrics->pages);
	free(metrics);
}
