#include <string.h>

#include "hsm/link_state.h"

static unsigned
home_of(const uint8_t key_id[HSM_KEY_ID_BYTES])
{
	return slk_crc32c(0, key_id, HSM_KEY_ID_BYTES) % HSM_WORKERS_MAX;
}

static bool
is_at_dying(const struct hsm_link *link, const struct call *c)
{
	const struct call *other;

	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		if (!link->peers[i].dying)
			continue;
		TAILQ_FOREACH(other, &link->peers[i].sent, entry)
		{
			if (memcmp(other->key_id, c->key_id, HSM_KEY_ID_BYTES) == 0)
				return true;
		}
	}
	return false;
}

/* The same worker for the same key as long as it lives. (The workers' own lock makes it safe, this makes it quick.) */
static struct peer *
pick_home(struct hsm_link *link, const struct call *c)
{
	unsigned home = home_of(c->key_id);

	if (is_at_dying(link, c))
		return NULL;
	for (unsigned i = 0; i < HSM_WORKERS_MAX; i++) {
		struct peer *p = &link->peers[(home + i) % HSM_WORKERS_MAX];
		if (peer_is_live(p) && (c->refused_by & 1u << (p - link->peers)) == 0)
			return p;
	}
	return NULL;
}

/* Of two: who has refused, is ill or silent, or has more to do, comes last. */
static bool
is_better(const struct hsm_link *link, const struct call *c, const struct peer *a,
	const struct peer *b, uint64_t now_ns)
{
	unsigned a_bad = (c->refused_by >> (a - link->peers) & 1u) * 2 +
		(a->silent_since_ns != 0 || now_ns < a->ill_until_ns);
	unsigned b_bad = (c->refused_by >> (b - link->peers) & 1u) * 2 +
		(b->silent_since_ns != 0 || now_ns < b->ill_until_ns);

	return a_bad != b_bad ? a_bad < b_bad : a->sent_count < b->sent_count;
}

static struct peer *
pick_least(struct hsm_link *link, const struct call *c)
{
	uint64_t now_ns = slk_mono_ns(link->clock);
	struct peer *best = NULL;

	for (unsigned i = 0; i < HSM_WORKERS_MAX; i++) {
		struct peer *p = &link->peers[(link->next_peer + i) % HSM_WORKERS_MAX];
		if (peer_is_live(p) && !p->blocked &&
			(best == NULL || is_better(link, c, p, best, now_ns)))
			best = p;
	}
	return best;
}

struct peer *
hsm_link_pick(struct hsm_link *link, const struct call *c)
{
	struct peer *p = c->op == HSM_STATUS ? &link->peers[c->worker_index]
		: call_is_exclusive(c)       ? pick_home(link, c)
					     : pick_least(link, c);

	return p != NULL && peer_is_live(p) && !p->blocked ? p : NULL;
}

bool
hsm_link_has_healthy_other(const struct hsm_link *link, const struct call *c)
{
	uint64_t now_ns = slk_mono_ns(link->clock);

	for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
		const struct peer *p = &link->peers[i];
		if (p != c->peer && peer_is_live(p) && (c->refused_by & 1u << i) == 0 &&
			p->silent_since_ns == 0 && now_ns >= p->ill_until_ns)
			return true;
	}
	return false;
}
