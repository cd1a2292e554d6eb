/* What happens to an appliance, by chance: daily life, accidents, restarts; and what must hold meanwhile. */
#include <string.h>

#include "sim.h"

#define LIVES 3u
#define STEPS_MAX 260u
#define SETTLE_TURNS 400u
#define FLOOD 50u

/* Records and drops that the frames stand for, and what the worker says became of them. */
static void
check_counted(struct sim *s, unsigned i)
{
	const struct dp_worker *w = s->worker[i];
	uint64_t in = s->units[i] + w->counters.puts, out = w->stage.count + w->counters.records;

	for (unsigned d = 1; d < DP_DROP_COUNT; d++)
		out += w->counters.drops[d];
	for (unsigned l = 0; l < DP_LOSS_COUNT; l++)
		out += w->counters.losses[l];
	/* Puts that were refused before they were staged are answered, not counted as lost. */
	SIM_CHECK(s, SIM_UNCOUNTED, out <= in && in - out <= s->puts_failed[i]);
	SIM_CHECK(s, SIM_UNTYPED,
		w->counters.losses[DP_LOSS_SEAL_ERROR] == 0 &&
			w->counters.losses[DP_LOSS_KMS_ERROR] == 0);
}

void
sim_turn_worker(struct sim *s, unsigned i)
{
	(void)dp_worker_turn(s->worker[i]);
	sim_net_taken(s, i, s->worker[i]->counters.frames);
	sim_put_reap(s);
	check_counted(s, i);
	sim_watch_keys(s, i);
}

void
sim_turn_lane(struct sim *s, unsigned lane)
{
	int rc = jnl_lane_turn(jnl_lane(s->journal, lane));

	SIM_CHECK(s, SIM_UNTYPED,
		rc >= 0 || rc == SLK_END || (rc == SLK_DISK_FAILED && s->disk_failed));
	if (s->plant == SIM_PLANT_WATERMARK_EARLY)
		sim_plant_watermark(jnl_lane(s->journal, lane));
	sim_take_acknowledgements(s, lane);
}

void
sim_turn_control(struct sim *s)
{
	(void)dp_control_turn(s->control);
}

void
sim_turn_keeper(struct sim *s)
{
	(void)dp_keeper_turn(s->keeper);
}

void
sim_turn_all(struct sim *s)
{
	sim_net_step(s);
	sim_turn_control(s);
	for (unsigned i = 0; i < s->workers; i++) {
		sim_turn_worker(s, i);
		sim_turn_lane(s, i);
	}
	sim_turn_keeper(s);
}

/* Time goes by at once: a machine that stood still. */
static void
stand_still(struct sim *s)
{
	static const uint64_t spans[] = {SLK_NS_PER_MS, 100 * SLK_NS_PER_MS, SLK_NS_PER_S,
		5 * SLK_NS_PER_S, 30 * SLK_NS_PER_S, 120 * SLK_NS_PER_S};

	simdisk_advance(s->disk, sim_below(s, spans[sim_below(s, 6)]));
	sim_turn_control(s);
	for (unsigned i = 0; i < s->workers; i++)
		sim_turn_worker(s, i);
}

/* Or as it does, with little going on. */
static void
pass_time(struct sim *s)
{
	for (uint64_t seconds = sim_below(s, 100); seconds > 0; seconds--) {
		simdisk_advance(s->disk, SLK_NS_PER_S);
		if (sim_below(s, 10) == 0)
			sim_net_send(s);
		sim_net_step(s);
		sim_turn_control(s);
		for (unsigned i = 0; i < s->workers; i++) {
			sim_turn_worker(s, i);
			sim_turn_lane(s, i);
		}
	}
}

/* Another machine goes on with a copy of this one's memory. */
static void
duplicate(struct sim *s)
{
	s->duplicated_ns = sim_time(s);
	if (s->plant != SIM_PLANT_NOT_ANNOUNCED)
		dp_vmgen_announce(&s->vmgen);
}

static void
fail_disk(struct sim *s)
{
	s->disk_failed = true;
	if (sim_below(s, 3) == 0)
		simdisk_fail(s->disk, 1 + sim_below(s, 40), sim_below(s, 2) == 0, SLK_DISK_FULL);
	else
		simdisk_fail(s->disk, 1 + sim_below(s, 40), sim_below(s, 2) == 0, SLK_IO);
}

/* Many at once where files are to fill up. */
static void
produce(struct sim *s)
{
	for (unsigned i = 0; i < (s->heavy ? FLOOD : 1); i++)
		sim_net_send(s);
}

static void
step(struct sim *s)
{
	unsigned i = (unsigned)sim_below(s, s->workers);
	uint64_t dice = sim_below(s, 1000);

	sim_net_step(s);
	if (dice < 250)
		produce(s);
	else if (dice < 350 && s->with_puts)
		sim_put_send(s);
	else if (dice < 600)
		sim_turn_worker(s, i);
	else if (dice < 780)
		sim_turn_lane(s, i);
	else if (dice < 860)
		sim_turn_control(s);
	else if (dice < 890)
		sim_turn_keeper(s);
	else if (dice < 920)
		stand_still(s);
	else if (dice < 940)
		pass_time(s);
	else if (dice < 960)
		sim_kms_step(s);
	else if (dice < 965)
		simdisk_clock_jump(
			s->disk, (int64_t)sim_below(s, 7200) * 1000000000 - 3600ll * 1000000000);
	else if (dice < 985 && !s->disk_failed)
		sim_read_some(s, 1 + (unsigned)sim_below(s, 20));
	else if (dice < 995 && !s->disk_failed)
		sim_read_lies(s);
	else if (dice == 998)
		duplicate(s);
	else if (dice == 999 && !s->disk_failed)
		fail_disk(s);
}

/* A start, maybe with the power going in the middle of it. Then everything is as it was promised. */
static void
start(struct sim *s)
{
	for (unsigned cut = 0; cut < 2 && sim_below(s, 4) == 0; cut++) {
		simdisk_fail(s->disk, 1 + sim_below(s, 100), true, SLK_IO);
		(void)sim_start(s);
		sim_crash(s, sim_below(s, 2) == 0 ? SIMDISK_KILL : SIMDISK_POWER_CUT);
	}
	if (sim_start(s) != SLK_OK)
		sim_violation(s, SIM_STUCK, "it does not start: %s", s->start_error.text);
	SIM_CHECK(s, SIM_LOST, s->recovery.corrupt_blocks == 0);
	sim_read_all(s);
	sim_model_recovered(s);
}

/* Once everything is well again, what is put in comes out. */
static void
settle(struct sim *s)
{
	s->kms.answer = SIM_KMS_UP;
	s->kms.hsm_there = true;
	for (unsigned i = 0; i < SIM_STREAMS; i++)
		s->kms.streams[i].key_status = SLK_OK;
	for (unsigned i = 0; i < SIM_LISTENERS; i++)
		s->kms.role_allowed[i] = true;
	s->kms.right_changes++;
	for (unsigned t = 0; t < SETTLE_TURNS; t++) {
		bool empty = true;
		simdisk_advance(s->disk, 50 * SLK_NS_PER_MS);
		sim_turn_all(s);
		for (unsigned i = 0; i < s->workers; i++)
			empty = empty && s->worker[i]->stage.count == 0 &&
				s->worker[i]->counters.frames == s->queued_head[i] &&
				jnl_lane_durable(s->worker[i]->lane) >= s->worker[i]->appended_lsn;
		if (empty && s->air_count == 0)
			return;
	}
	sim_violation(s, SIM_STUCK, "records wait though everything is well");
}

void
sim_life(struct sim *s)
{
	for (unsigned life = 0; life < LIVES; life++) {
		start(s);
		for (uint64_t steps = sim_below(s, s->heavy ? 3 * STEPS_MAX : STEPS_MAX); steps > 0;
			steps--)
			step(s);
		if (!s->disk_failed && sim_below(s, 3) == 0)
			settle(s);
		if (sim_below(s, 4) == 0)
			sim_stop(s);
		else
			sim_crash(s, sim_below(s, 3) == 0 ? SIMDISK_KILL : SIMDISK_POWER_CUT);
	}
	start(s);
	settle(s);
	sim_stop(s);
	sim_verify(s);
}
