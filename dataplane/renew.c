#include "renew.h"

#include "base/clock.h"

#define BACKOFF_FIRST_NS (100 * SLK_NS_PER_MS)
#define BACKOFF_AWAY_MAX_NS (2 * SLK_NS_PER_S)
#define BACKOFF_REFUSED_MAX_NS (4 * SLK_NS_PER_S)

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

bool
dp_renew_unavailable(int status)
{
	return status == SLK_UNAVAILABLE || status == SLK_TIMEOUT || status == SLK_CLOSED;
}

void
dp_renew_init(struct dp_renew *r, uint64_t interval_ns, uint64_t grace_ns)
{
	*r = (struct dp_renew){.interval_ns = interval_ns, .grace_ns = grace_ns};
}

static bool
in_use(const struct dp_renew *r, uint64_t now_ns, uint64_t last_used_ns)
{
	return last_used_ns != 0 && last_used_ns + r->interval_ns / 2 >= now_ns;
}

enum dp_renew_step
dp_renew_poll(struct dp_renew *r, uint64_t now_ns, bool wanted, uint64_t last_used_ns)
{
	if (r->live && now_ns >= r->end_ns) {
		r->live = false;
		return DP_RENEW_ENDED;
	}
	if (r->fetching || now_ns < r->retry_ns)
		return DP_RENEW_NONE;
	if (r->live && !r->forced && (now_ns < r->due_ns || !in_use(r, now_ns, last_used_ns)))
		return DP_RENEW_NONE;
	if (!r->live && !wanted)
		return DP_RENEW_NONE;
	r->fetching = true;
	r->fetches++;
	return DP_RENEW_FETCH;
}

void
dp_renew_fetched(struct dp_renew *r, uint64_t asked_ns, uint32_t jitter)
{
	/* 75 % plus up to 10 %: 80 % ± 5 %. */
	uint64_t spread = r->interval_ns / 10;
	uint64_t part = (uint64_t)((unsigned __int128)spread * jitter >> 32);

	r->live = true;
	r->granted = true;
	r->refused = false;
	r->fetching = false;
	r->forced = false;
	r->error = SLK_OK;
	r->asked_ns = asked_ns;
	r->due_ns = asked_ns + r->interval_ns / 4 * 3 + part;
	r->end_ns = asked_ns + r->interval_ns;
	r->retry_ns = 0;
	r->backoff_ns = 0;
}

/* Where the live key ends now that the last answer was status. */
static uint64_t
end_after(const struct dp_renew *r, uint64_t now_ns, int status)
{
	uint64_t hard = r->asked_ns + r->interval_ns;

	if (!dp_renew_unavailable(status) || r->refused)
		return hard > now_ns ? hard : now_ns;
	/* As far as the next answer, which confirms that the KMS is still away. */
	uint64_t reach = r->retry_ns + BACKOFF_AWAY_MAX_NS;
	return reach < hard ? hard : min_u64(reach, hard + r->grace_ns);
}

bool
dp_renew_failed(struct dp_renew *r, uint64_t now_ns, int status)
{
	uint64_t most = dp_renew_unavailable(status) ? BACKOFF_AWAY_MAX_NS : BACKOFF_REFUSED_MAX_NS;

	r->fetching = false;
	r->granted = false;
	r->refused |= !dp_renew_unavailable(status);
	r->error = status;
	r->backoff_ns = r->backoff_ns == 0 ? BACKOFF_FIRST_NS : min_u64(r->backoff_ns * 2, most);
	r->retry_ns = now_ns + r->backoff_ns;
	if (!r->live)
		return false;
	uint64_t end = end_after(r, now_ns, status);
	bool moved = end != r->end_ns;
	r->end_ns = end;
	return moved;
}

void
dp_renew_force(struct dp_renew *r)
{
	r->forced = r->live;
}

void
dp_renew_lost(struct dp_renew *r)
{
	r->live = false;
}

uint64_t
dp_renew_wake(const struct dp_renew *r, uint64_t now_ns)
{
	if (!r->live)
		return r->retry_ns > now_ns ? r->retry_ns : UINT64_MAX;
	uint64_t next = r->forced ? now_ns : r->due_ns;

	if (r->retry_ns > next)
		next = r->retry_ns;
	/* Due but not in use: look again, in case it is used before it ends. */
	if (next <= now_ns)
		next = now_ns + r->interval_ns / 60;
	return min_u64(next, r->end_ns);
}
