#include "status_doc.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yajl/yajl_gen.h>

#include "base/hist.h"
#include "port.h"

static uint64_t
get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void
key(yajl_gen g, const char *name)
{
	yajl_gen_string(g, (const unsigned char *)name, strlen(name));
}

static void
put_u64(yajl_gen g, const char *name, uint64_t value)
{
	char text[24];

	key(g, name);
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	yajl_gen_number(g, text, (size_t)len);
}

static void
put_str(yajl_gen g, const char *name, const char *value)
{
	key(g, name);
	yajl_gen_string(g, (const unsigned char *)value, strlen(value));
}

void
dp_status_totals(struct dp_worker *const *workers, unsigned count, struct dp_totals *out_totals)
{
	struct dp_totals t = {0};

	for (unsigned i = 0; i < count; i++) {
		const struct dp_counters *c = &workers[i]->counters;
		t.frames += get(&c->frames);
		t.datagrams += get(&c->datagrams);
		t.records += get(&c->records);
		t.record_bytes += get(&c->record_bytes);
		t.blocks += get(&c->blocks);
		t.replies += get(&c->replies);
		t.puts += get(&c->puts);
		t.staged += get(&c->staged_records);
		for (unsigned r = 1; r < DP_DROP_COUNT; r++)
			t.drops += get(&c->drops[r]);
		for (unsigned r = 0; r < DP_LOSS_COUNT; r++)
			t.drops += get(&c->losses[r]);
	}
	*out_totals = t;
}

static void
put_drops(yajl_gen g, const struct dp_status_sources *s)
{
	key(g, "drops");
	yajl_gen_map_open(g);
	for (unsigned r = 1; r < DP_DROP_COUNT; r++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < s->worker_count; i++)
			sum += get(&s->workers[i]->counters.drops[r]);
		put_u64(g, dp_drop_name((enum dp_drop)r), sum);
	}
	for (unsigned r = 0; r < DP_LOSS_COUNT; r++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < s->worker_count; i++)
			sum += get(&s->workers[i]->counters.losses[r]);
		put_u64(g, dp_loss_name((enum dp_loss)r), sum);
	}
	yajl_gen_map_close(g);
}

static int
put_sealing(yajl_gen g, const struct dp_status_sources *s)
{
	struct slk_hist *all = malloc(sizeof(*all));
	uint64_t hz = rte_get_tsc_hz();

	if (all == NULL)
		return SLK_NO_MEMORY;
	slk_hist_init(all);
	for (unsigned i = 0; i < s->worker_count; i++)
		slk_hist_merge(all, &s->workers[i]->counters.seal_cycles);
	key(g, "seal_ns");
	yajl_gen_map_open(g);
	double ns = hz > 0 ? 1e9 / (double)hz : 0;
	put_u64(g, "count", all->count);
	put_u64(g, "p50", (uint64_t)((double)slk_hist_quantile(all, 0.5) * ns));
	put_u64(g, "p99", (uint64_t)((double)slk_hist_quantile(all, 0.99) * ns));
	put_u64(g, "p999", (uint64_t)((double)slk_hist_quantile(all, 0.999) * ns));
	put_u64(g, "max", all->count > 0 ? (uint64_t)((double)all->max * ns) : 0);
	yajl_gen_map_close(g);
	free(all);
	return SLK_OK;
}

static void
put_stream(void *arg, const struct dp_stream_view *view)
{
	yajl_gen g = arg;

	yajl_gen_map_open(g);
	put_str(g, "name", view->name);
	put_u64(g, "id", view->id);
	put_u64(g, "shards", view->shard_count);
	if (view->has_key)
		put_u64(g, "key_age_s", view->key_age_ns / SLK_NS_PER_S);
	put_str(g, "key_error", view->key_error == SLK_OK ? "" : slk_status_name(view->key_error));
	put_u64(g, "keys", view->keys);
	put_u64(g, "records", view->records);
	put_u64(g, "bytes", view->bytes);
	yajl_gen_map_close(g);
}

static void
put_port(yajl_gen g, const struct dp_worker *w, const struct dp_port *p)
{
	const uint8_t *m = p->host->mac;
	struct rte_eth_stats stats = {0};
	struct rte_eth_link link = {0};
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		m[5]);
	/* Not every device counts; zeros then. */
	if (rte_eth_stats_get(p->id, &stats) != 0)
		memset(&stats, 0, sizeof(stats));
	if (rte_eth_link_get_nowait(p->id, &link) != 0)
		memset(&link, 0, sizeof(link));
	yajl_gen_map_open(g);
	put_str(g, "name", p->config->name);
	put_str(g, "type", dp_port_type_name(p->config->type));
	put_str(g, "interface", p->config->interface != NULL ? p->config->interface : "");
	put_str(g, "device", p->device);
	put_str(g, "link", link.link_status == RTE_ETH_LINK_UP ? "up" : "down");
	put_str(g, "udp_checksums",
		p->checks_udp                                          ? "device"
			: (p->parse_flags & DP_PARSE_UDP_CHECKED) != 0 ? "trusted"
								       : "worker");
	put_str(g, "mac", mac);
	put_u64(g, "mtu", p->mtu);
	put_u64(g, "worker", w->index);
	put_u64(g, "queues", dp_port_queues(p->config));
	put_u64(g, "steered", p->steered);
	put_u64(g, "received", stats.ipackets);
	put_u64(g, "missed", stats.imissed);
	put_u64(g, "no_buffer", stats.rx_nombuf);
	put_u64(g, "errors", stats.ierrors);
	put_u64(g, "sent", stats.opackets);
	yajl_gen_map_close(g);
}

static void
put_ports(yajl_gen g, const struct dp_status_sources *s)
{
	key(g, "ports");
	yajl_gen_array_open(g);
	for (unsigned i = 0; i < s->worker_count; i++) {
		const struct dp_worker *w = s->workers[i];
		for (unsigned p = 0; p < w->port_count; p++) {
			if (w->ports[p]->queue == 0)
				put_port(g, w, w->ports[p]);
		}
	}
	yajl_gen_array_close(g);
}

static void
put_kms(yajl_gen g, const struct dp_status_sources *s)
{
	char error[512];
	bool up = dp_control_kms_up(s->control, error, sizeof(error));

	key(g, "kms");
	yajl_gen_map_open(g);
	key(g, "up");
	yajl_gen_bool(g, up);
	put_str(g, "error", error);
	yajl_gen_map_close(g);
}

/* Resident bytes of this process; 0 if the kernel does not say. */
static uint64_t
resident_bytes(void)
{
	unsigned long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
put_worker(yajl_gen g, const struct dp_worker *w)
{
	struct jnl_lane_stats lane;

	jnl_lane_stats(w->lane, &lane);
	yajl_gen_map_open(g);
	put_u64(g, "index", w->index);
	put_u64(g, "frames", get(&w->counters.frames));
	put_u64(g, "records", get(&w->counters.records));
	put_u64(g, "busy_cycles", get(&w->counters.busy_cycles));
	put_u64(g, "idle_cycles", get(&w->counters.idle_cycles));
	put_u64(g, "sleeps", get(&w->counters.sleeps));
	put_u64(g, "waits", get(&w->counters.waits));
	put_u64(g, "generation_ends", get(&w->counters.generation_ends));
	put_u64(g, "handed_over", get(&w->counters.handed_over));
	put_u64(g, "field_fallbacks", get(&w->counters.field_fallbacks));
	put_u64(g, "durable", lane.durable_lsn);
	put_u64(g, "appended", lane.appended_lsn);
	put_u64(g, "flushes", lane.flushes);
	put_u64(g, "flush_ns_last", lane.flush_ns_last);
	put_u64(g, "flush_ns_max", lane.flush_ns_max);
	put_u64(g, "rolls", lane.rolls);
	put_u64(g, "moves", lane.moves);
	put_u64(g, "written_bytes", lane.written_bytes);
	put_u64(g, "epochs", lane.epochs);
	put_str(g, "disk", slk_status_name(jnl_lane_status(w->lane)));
	yajl_gen_map_close(g);
}

static void
put_directories(yajl_gen g, const struct jnl *journal)
{
	struct jnl_dir_info info;

	key(g, "directories");
	yajl_gen_array_open(g);
	for (unsigned i = 0; journal != NULL && i < jnl_dir_count(journal); i++) {
		jnl_dir_info(journal, i, &info);
		yajl_gen_map_open(g);
		put_str(g, "path", info.path);
		put_str(g, "state", info.failed ? "failed" : "ok");
		put_u64(g, "lanes", info.lanes);
		put_u64(g, "free_bytes", info.free_bytes);
		yajl_gen_map_close(g);
	}
	yajl_gen_array_close(g);
}

static void
put_journal(yajl_gen g, const struct dp_status_sources *s)
{
	struct dp_keeper_stats k;

	dp_keeper_stats(s->keeper, &k);
	key(g, "journal");
	yajl_gen_map_open(g);
	key(g, "integrity");
	yajl_gen_bool(g, k.integrity);
	key(g, "mirrored");
	yajl_gen_bool(g, k.mirrored);
	put_u64(g, "mirror_failed", k.mirror_failed);
	put_u64(g, "statements", k.notary.statements);
	put_u64(g, "signatures", k.notary.signatures);
	put_u64(g, "unsigned", k.notary.unsigned_count);
	put_u64(g, "read_back", k.notary.read_back);
	put_u64(g, "failures", k.notary.failures);
	put_u64(g, "trimmed_files", k.trimmed.files);
	put_u64(g, "trimmed_bytes", k.trimmed.bytes);
	put_u64(g, "trim_failures", k.trim_failures);
	put_u64(g, "closed_files", k.trimmed.kept_files);
	put_u64(g, "closed_bytes", k.trimmed.kept_bytes);
	put_u64(g, "oldest_ns", k.trimmed.oldest_ns);
	put_directories(g, s->journal);
	yajl_gen_map_close(g);
}

static int
generate(yajl_gen g, const struct dp_status_sources *s)
{
	struct dp_totals t;

	dp_status_totals(s->workers, s->worker_count, &t);
	yajl_gen_map_open(g);
	put_str(g, "program", "sealock-ingestd");
	put_str(g, "version", SLK_VERSION);
	put_u64(g, "pid", (uint64_t)getpid());
	put_u64(g, "rss_bytes", resident_bytes());
	put_u64(g, "uptime_s", s->uptime_ns / SLK_NS_PER_S);
	put_str(g, "engine", s->worker_count > 0 ? seal_thread_engine(s->workers[0]->thread) : "");
	put_u64(g, "records", t.records);
	put_u64(g, "bytes", t.record_bytes);
	put_u64(g, "blocks", t.blocks);
	put_u64(g, "frames", t.frames);
	put_u64(g, "datagrams", t.datagrams);
	put_u64(g, "replies", t.replies);
	put_u64(g, "puts", t.puts);
	put_u64(g, "staged", t.staged);
	put_u64(g, "clients", atomic_load(&s->door->clients));
	put_u64(g, "client_hang_ups", atomic_load(&s->door->hang_ups));
	put_u64(g, "puts_refused", atomic_load(&s->door->refused));
	put_u64(g, "keys", dp_control_keys(s->control));
	put_kms(g, s);
	int rc = put_sealing(g, s);
	put_drops(g, s);
	put_ports(g, s);
	put_journal(g, s);
	key(g, "streams");
	yajl_gen_array_open(g);
	dp_control_each_stream(s->control, put_stream, g);
	yajl_gen_array_close(g);
	key(g, "workers");
	yajl_gen_array_open(g);
	for (unsigned i = 0; i < s->worker_count; i++)
		put_worker(g, s->workers[i]);
	yajl_gen_array_close(g);
	yajl_gen_map_close(g);
	return rc;
}

int
dp_status_doc(const struct dp_status_sources *sources, char **out_text, size_t *out_len)
{
	const unsigned char *buf = NULL;
	size_t len = 0;
	yajl_gen g = yajl_gen_alloc(NULL);

	if (g == NULL)
		return SLK_NO_MEMORY;
	int rc = generate(g, sources);
	if (rc == SLK_OK && yajl_gen_get_buf(g, &buf, &len) != yajl_gen_status_ok)
		rc = SLK_INTERNAL;
	char *text = rc == SLK_OK ? malloc(len) : NULL;
	if (rc == SLK_OK && text == NULL)
		rc = SLK_NO_MEMORY;
	if (rc == SLK_OK) {
		memcpy(text, buf, len);
		*out_text = text;
		*out_len = len;
	}
	yajl_gen_free(g);
	return rc;
}
