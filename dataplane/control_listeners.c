/* The listeners that ingestd has: whether their roles may put, and a new list of them while it runs. */
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "port.h"

#define RETRY_FIRST_NS (200 * SLK_NS_PER_MS)
#define RETRY_MAX_NS (2 * SLK_NS_PER_S)
#define REFUSED_MAX_NS (30 * SLK_NS_PER_S) /* the watch tells when a right or a stream changes */

static void
set_grant(struct dp_control *c, unsigned i, int status, uint64_t asked_ns,
	const struct slk_error *err)
{
	struct grant *g = &c->places[i].grant;
	const struct dp_listener_config *l = c->places[i].config;
	uint64_t at = dp_control_now(c);

	if (status == SLK_OK) {
		g->until_ns = asked_ns + c->interval_ns + c->grace_ns;
		g->next_ns = asked_ns + c->interval_ns / 4 * 3 +
			(uint64_t)((unsigned __int128)(c->interval_ns / 10) * dp_control_random() >>
				32);
		g->retry_ns = 0;
	} else {
		g->retry_ns = g->retry_ns == 0 ? RETRY_FIRST_NS : g->retry_ns * 2;
		uint64_t most = dp_renew_unavailable(status) ? RETRY_MAX_NS : REFUSED_MAX_NS;
		g->retry_ns = g->retry_ns > most ? most : g->retry_ns;
		g->next_ns = at + g->retry_ns;
	}
	bool holds =
		g->known && g->status == SLK_OK && dp_renew_unavailable(status) && at < g->until_ns;
	int result = holds ? SLK_OK : status;
	if (holds && g->next_ns > g->until_ns)
		g->next_ns = g->until_ns;
	if (!g->known || g->status != result) {
		if (result == SLK_OK)
			slk_info("listener takes records", slk_kv("udp_port", l->udp_port),
				slk_kv("stream", (const char *)l->stream));
		else
			slk_warn("listener drops records", slk_kv("udp_port", l->udp_port),
				slk_kv("stream", (const char *)l->stream),
				slk_kv("reason", (const char *)err->text));
	}
	g->known = true;
	g->status = result;
	atomic_store_explicit(
		&c->workers[c->places[i].worker]->allowed[i], result, memory_order_release);
}

/* The stream's lane numbers its records: that of another worker cannot go on with them before a restart. */
static int
check_worker(const struct place *place, const struct entry *e, struct slk_error *err)
{
	if (place->worker == e->stream->worker)
		return SLK_OK;
	return slk_fail(err, SLK_INVALID_STATE,
		"worker %u writes stream %s, but the listener's port is worker %u's: name a port "
		"of the "
		"former, or restart ingestd",
		e->stream->worker, e->stream->name, place->worker);
}

static void
authorise_place(struct dp_control *c, unsigned i)
{
	const struct dp_listener_config *l = c->places[i].config;
	struct slk_error err = {0};
	struct entry *e = NULL;
	uint64_t asked_ns = dp_control_now(c);

	int rc = dp_control_refresh(c, l->stream, &e, &err);
	if (rc == SLK_OK)
		rc = check_worker(&c->places[i], e, &err);
	if (rc == SLK_OK)
		rc = dp_control_saw_kms(c,
			kmsc_authorize_role(
				c->kms, l->principal, DP_ACTION_PUT, e->stream->arn, &err),
			&err);
	set_grant(c, i, rc, asked_ns, &err);
}

uint64_t
dp_control_authorise(struct dp_control *c)
{
	uint64_t wake = UINT64_MAX;

	for (unsigned i = 0; i < DP_LISTENERS_MAX; i++) {
		if (c->places[i].config == NULL)
			continue;
		if (dp_control_now(c) >= c->places[i].grant.next_ns)
			authorise_place(c, i);
		if (c->places[i].grant.next_ns < wake)
			wake = c->places[i].grant.next_ns;
	}
	return wake;
}

/* A policy, an identity or a grant has changed: what was allowed may not be any more. */
void
dp_control_ask_rights_anew(struct dp_control *c)
{
	for (unsigned i = 0; i < DP_LISTENERS_MAX; i++)
		if (c->places[i].config != NULL)
			c->places[i].grant.next_ns = 0;
	atomic_fetch_add(&c->rights_era, 1);
}

void
dp_control_hurry(struct dp_control *c, const char *stream)
{
	for (unsigned i = 0; i < DP_LISTENERS_MAX; i++) {
		if (c->places[i].config != NULL && strcmp(c->places[i].config->stream, stream) == 0)
			c->places[i].grant.next_ns = 0;
	}
}

/* --- places --- */

void
dp_control_places_init(struct dp_control *c)
{
	for (unsigned i = 0; i < c->config->listeners_count; i++) {
		const struct dp_listener_config *l = &c->config->listeners[i];
		c->places[i].config = l;
		c->places[i].worker = (unsigned)dp_config_listener_worker(c->config, l);
	}
}

/* Which of the worker's ports the listener is for. */
static uint32_t
ports_of(const struct dp_worker *w, const struct dp_listener_config *l)
{
	uint32_t mask = 0;

	for (unsigned p = 0; p < w->port_count; p++) {
		if (l->port == NULL || strcmp(l->port, w->ports[p]->config->name) == 0)
			mask |= 1u << p;
	}
	return mask;
}

static void
stale_feeds(struct dp_control *c, const char *stream)
{
	struct entry *e = dp_control_find(c, stream);

	if (e != NULL)
		e->feeds_stale = true;
}

/* For one of the workers that the listener's ports have. */
static struct dp_ctl *
place_ctl(struct dp_control *c, enum dp_ctl_op op, unsigned i, unsigned worker)
{
	const struct dp_listener_config *l = c->places[i].config;
	struct dp_ctl *ctl = dp_control_new_ctl(op, NULL);

	if (ctl == NULL)
		return NULL;
	ctl->worker = worker;
	ctl->listener = (struct dp_ctl_listener){.index = i,
		.udp_port = (uint16_t)l->udp_port,
		.owner = c->places[i].worker,
		.ports = ports_of(c->workers[worker], l),
		.framing = l->framing,
		.max_record_bytes = l->max_record_bytes};
	return ctl;
}

/* To every worker whose queues may bring its datagrams, or, without memory, to none. */
static int
tell_workers(struct dp_control *c, enum dp_ctl_op op, unsigned i)
{
	struct dp_ctl *all[DP_CORES_MAX];
	unsigned n = 0;
	bool failed = false;

	for (unsigned worker = 0; worker < c->worker_count && !failed; worker++) {
		if (ports_of(c->workers[worker], c->places[i].config) == 0)
			continue;
		all[n] = place_ctl(c, op, i, worker);
		failed = all[n] == NULL;
		n += !failed;
	}
	for (unsigned k = 0; k < n; k++) {
		if (failed)
			free(all[k]);
		else
			failed = dp_control_send_ctl(c, all[k]) == SLK_NO_MEMORY;
	}
	return failed ? SLK_NO_MEMORY : SLK_OK;
}

/* SLK_NO_MEMORY: nothing has changed. */
static int
close_place(struct dp_control *c, unsigned i)
{
	struct place *place = &c->places[i];
	const struct dp_listener_config *l = place->config;

	int rc = tell_workers(c, DP_CTL_CLOSE, i);
	if (rc == SLK_NO_MEMORY)
		return rc;
	slk_info("listener is closed", slk_kv("udp_port", l->udp_port),
		slk_kv("stream", (const char *)l->stream));
	stale_feeds(c, l->stream);
	*place = (struct place){0};
	return SLK_OK;
}

static int
open_place(struct dp_control *c, const struct dp_config *config, const struct dp_listener_config *l)
{
	unsigned i = 0;

	while (i < DP_LISTENERS_MAX && c->places[i].config != NULL)
		i++;
	if (i == DP_LISTENERS_MAX)
		return SLK_LIMIT; /* cannot be: the list is no longer, and those it lacks are closed */
	c->places[i] = (struct place){
		.config = l, .worker = (unsigned)dp_config_listener_worker(config, l)};
	atomic_store_explicit(&c->workers[c->places[i].worker]->allowed[i], SLK_UNAVAILABLE,
		memory_order_release);
	int rc = tell_workers(c, DP_CTL_OPEN, i);
	if (rc == SLK_NO_MEMORY) {
		c->places[i] = (struct place){0};
		return rc;
	}
	slk_info("listener is opened", slk_kv("udp_port", l->udp_port),
		slk_kv("stream", (const char *)l->stream));
	stale_feeds(c, l->stream);
	return SLK_OK;
}

/* --- a new list --- */

/* The place that has this listener already, unchanged, or NULL. */
static struct place *
place_of(struct dp_control *c, const struct dp_listener_config *l)
{
	for (unsigned i = 0; i < DP_LISTENERS_MAX; i++) {
		if (c->places[i].config != NULL && dp_config_same_listener(c->places[i].config, l))
			return &c->places[i];
	}
	return NULL;
}

static const struct dp_listener_config *
listener_of(const struct dp_config *config, const struct dp_listener_config *l)
{
	for (uint32_t i = 0; i < config->listeners_count; i++) {
		if (dp_config_same_listener(&config->listeners[i], l))
			return &config->listeners[i];
	}
	return NULL;
}

/* Those that the new list lacks go first, so that their ports and places are free. */
static int
close_missing(struct dp_control *c, const struct dp_config *next)
{
	int rc = SLK_OK;

	for (unsigned i = 0; i < DP_LISTENERS_MAX && rc == SLK_OK; i++) {
		struct place *place = &c->places[i];
		if (place->config != NULL && listener_of(next, place->config) == NULL)
			rc = close_place(c, i);
	}
	return rc;
}

static int
open_new(struct dp_control *c, const struct dp_config *next)
{
	int rc = SLK_OK;

	for (uint32_t i = 0; i < next->listeners_count && rc == SLK_OK; i++) {
		struct place *place = place_of(c, &next->listeners[i]);
		if (place != NULL)
			place->config = &next->listeners[i];
		else
			rc = open_place(c, next, &next->listeners[i]);
	}
	return rc;
}

/* Every place points into next afterwards, or, if memory ran out, the caller keeps both. */
void
dp_control_apply(struct dp_control *c)
{
	pthread_mutex_lock(&c->lock);
	struct dp_config *next = c->reload;
	c->reload = NULL;
	pthread_mutex_unlock(&c->lock);
	if (next == NULL)
		return;
	int rc = close_missing(c, next);
	if (rc == SLK_OK)
		rc = open_new(c, next);
	dp_control_send_feeds(c);
	if (rc != SLK_OK) {
		slk_error_log("not every listener could be changed; reload again",
			slk_kv("reason", slk_status_sentence(rc)));
		next->older = c->reloaded; /* some places are still in it */
	} else {
		dp_config_free(c->reloaded);
		slk_info("the listeners are those of the configuration now",
			slk_kv("listeners", next->listeners_count));
	}
	c->reloaded = next;
}
