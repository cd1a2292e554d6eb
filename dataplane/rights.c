#include "rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED_NS (2 * SLK_NS_PER_S)

struct dp_rights {
	struct dp_control *control;
	const struct slk_clock *clock;
	uint64_t age_ns;
	struct dp_right list[DP_RIGHTS_MAX];
};

int
dp_rights_new(struct dp_control *control, const struct slk_clock *clock, uint64_t age_ns,
	struct dp_rights **out_rights)
{
	struct dp_rights *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return SLK_NO_MEMORY;
	r->control = control;
	r->clock = clock;
	r->age_ns = age_ns;
	*out_rights = r;
	return SLK_OK;
}

void
dp_rights_free(struct dp_rights *rights)
{
	free(rights);
}

static void
ask(struct dp_rights *rights, struct dp_right *r)
{
	if (r->asking)
		return;
	r->asking = true;
	r->ask.owner = r;
	dp_control_ask(rights->control, &r->ask);
}

bool
dp_right_known(struct dp_rights *rights, struct dp_right *r)
{
	uint64_t now = slk_mono_ns(rights->clock);
	bool fresh = now < r->until_ns && r->era == dp_control_rights_era(rights->control);

	r->last_used_ns = now;
	if (!fresh || now >= r->renew_ns)
		ask(rights, r);
	return fresh;
}

void
dp_right_spoil(struct dp_right *right)
{
	right->until_ns = 0;
}

static bool
is(const struct dp_right *r, uid_t uid, bool trusted, const char *stream)
{
	return r->used && r->trusted == trusted && r->ask.uid == uid &&
		strcmp(r->ask.stream, stream) == 0;
}

struct dp_right *
dp_right_hold(struct dp_rights *rights, uid_t uid, bool trusted, const char *stream)
{
	struct dp_right *spare = NULL, *found = NULL;
	uint32_t of_uid = 0;

	for (unsigned i = 0; i < DP_RIGHTS_MAX && found == NULL; i++) {
		struct dp_right *r = &rights->list[i];
		if (is(r, uid, trusted, stream))
			found = r;
		of_uid += r->used && r->holders > 0 && r->ask.uid == uid;
		/* One that nobody holds is kept, for whoever comes again, until its place is needed. */
		bool free = !r->used || (r->holders == 0 && !r->asking && r->waiting == NULL);
		if (free &&
			(spare == NULL ||
				(spare->used &&
					(!r->used || r->last_used_ns < spare->last_used_ns))))
			spare = r;
	}
	if (found == NULL) {
		if (spare == NULL || of_uid >= DP_RIGHTS_OF_UID)
			return NULL;
		*spare = (struct dp_right){.used = true, .trusted = trusted};
		spare->ask.uid = uid;
		spare->ask.trusted = trusted;
		(void)snprintf(spare->ask.stream, sizeof(spare->ask.stream), "%s", stream);
		found = spare;
	}
	found->holders++;
	return found;
}

void
dp_right_drop(struct dp_right *right)
{
	right->holders--;
}

struct dp_right *
dp_rights_take(struct dp_rights *rights)
{
	struct dp_ask *answer = dp_control_answer(rights->control);

	if (answer == NULL)
		return NULL;
	struct dp_right *r = answer->owner;
	uint64_t now = slk_mono_ns(rights->clock);
	r->asking = false;
	r->status = answer->status;
	(void)snprintf(r->sentence, sizeof(r->sentence), "%s",
		answer->status == SLK_OK ? "" : answer->error.text);
	r->stream_id = answer->status == SLK_OK ? answer->stream_id : 0;
	r->slot = answer->slot;
	r->worker = answer->worker;
	r->encrypted_kms = answer->encrypted_kms;
	r->era = answer->era;
	/* kmsd that is away is asked again by the next one who wants to know; the control thread spaces the attempts. */
	r->until_ns = now;
	if (answer->status == SLK_OK)
		r->until_ns += rights->age_ns;
	else if (answer->status == SLK_DENIED)
		r->until_ns += REFUSED_NS;
	r->renew_ns = answer->status == SLK_OK ? now + rights->age_ns / 4 * 3 : UINT64_MAX;
	return r;
}

struct dp_put *
dp_rights_give_up(struct dp_rights *rights)
{
	for (unsigned i = 0; i < DP_RIGHTS_MAX; i++) {
		struct dp_put *put = rights->list[i].waiting;
		if (put == NULL)
			continue;
		rights->list[i].waiting = put->next;
		return put;
	}
	return NULL;
}
