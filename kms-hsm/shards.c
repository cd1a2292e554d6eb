#include "shards.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* --- hash keys --- */

void
kms_shard_range(uint32_t i, uint32_t n, kms_hash *out_start, kms_hash *out_end)
{
	/* floor(2^128 / n); 0 for n = 1, where nothing is multiplied by it. */
	kms_hash width = KMS_HASH_MAX / n + (KMS_HASH_MAX % n == n - 1);

	*out_start = width * i;
	*out_end = i == n - 1 ? KMS_HASH_MAX : width * (i + 1) - 1;
}

void
kms_hash_put(kms_hash hash, uint8_t out[KMS_HASH_BYTES])
{
	slk_put_be64(out, (uint64_t)(hash >> 64));
	slk_put_be64(out + 8, (uint64_t)hash);
}

kms_hash
kms_hash_get(const uint8_t bytes[KMS_HASH_BYTES])
{
	return (kms_hash)slk_get_be64(bytes) << 64 | slk_get_be64(bytes + 8);
}

void
kms_hash_print(kms_hash hash, char out[KMS_HASH_TEXT])
{
	char digits[KMS_HASH_TEXT];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + (int)(hash % 10));
		hash /= 10;
	} while (hash > 0);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	out[n] = '\0';
}

/* --- plans --- */

/* A range on the way from the shards there are to those that are wanted. */
struct piece {
	bool is_fresh;
	size_t at; /* in the plan's fresh, or in the open ones */
};

struct planner {
	const struct kms_shard *open;
	struct kms_reshard *plan;
	uint32_t next;
	uint64_t now_s;
};

static const struct kms_shard *
shard_of(const struct planner *p, struct piece piece)
{
	return piece.is_fresh ? &p->plan->fresh[piece.at] : &p->open[piece.at];
}

/* The piece is used up by a split or a merge. */
static void
use_up(struct planner *p, struct piece piece)
{
	if (piece.is_fresh)
		p->plan->fresh[piece.at].state = KMS_SHARD_PASSING;
	else
		p->plan->closing[p->plan->closing_count++] = p->open[piece.at].number;
}

static struct piece
make(struct planner *p, kms_hash start, kms_hash end, const struct piece *parent,
	const struct piece *adjacent)
{
	const struct kms_shard *a = shard_of(p, *parent);
	uint64_t after_s = a->created_s;
	struct kms_shard shard = {.number = p->next + (uint32_t)p->plan->fresh_count,
		.state = KMS_SHARD_OPENING,
		.start = start,
		.end = end,
		.has_parent = true,
		.parent = a->number,
		.has_adjacent = adjacent != NULL};

	if (adjacent != NULL) {
		const struct kms_shard *b = shard_of(p, *adjacent);
		shard.adjacent = b->number;
		if (b->created_s > after_s)
			after_s = b->created_s;
	}
	shard.created_s = p->now_s > after_s ? p->now_s : after_s + 1;
	p->plan->fresh[p->plan->fresh_count] = shard;
	return (struct piece){.is_fresh = true, .at = p->plan->fresh_count++};
}

/* Cut *io_rest at start: the part below is the result, *io_rest the other. */
static struct piece
cut(struct planner *p, struct piece *io_rest, kms_hash start)
{
	struct piece whole = *io_rest;
	kms_hash first = shard_of(p, whole)->start, last = shard_of(p, whole)->end;

	use_up(p, whole);
	struct piece below = make(p, first, start - 1, &whole, NULL);
	*io_rest = make(p, start, last, &whole, NULL);
	return below;
}

static struct piece
join(struct planner *p, struct piece first, struct piece second)
{
	kms_hash start = shard_of(p, first)->start, end = shard_of(p, second)->end;

	use_up(p, first);
	use_up(p, second);
	return make(p, start, end, &first, &second);
}

static int
plan_init(struct kms_reshard *plan, size_t fresh_max, size_t closing_max)
{
	plan->fresh_count = plan->closing_count = 0;
	plan->fresh = calloc(fresh_max, sizeof(*plan->fresh));
	plan->closing = calloc(closing_max, sizeof(*plan->closing));
	if (plan->fresh != NULL && plan->closing != NULL)
		return SLK_OK;
	kms_reshard_fini(plan);
	return SLK_NO_MEMORY;
}

void
kms_reshard_fini(struct kms_reshard *plan)
{
	free(plan->fresh);
	free(plan->closing);
	memset(plan, 0, sizeof(*plan));
}

int
kms_reshard_split(const struct kms_shard *shard, kms_hash new_start, uint32_t next, uint64_t now_s,
	struct kms_reshard *out)
{
	struct planner p = {.open = shard, .plan = out, .next = next, .now_s = now_s};
	struct piece rest = {.is_fresh = false, .at = 0};
	int rc = plan_init(out, 2, 1);

	if (rc == SLK_OK)
		(void)cut(&p, &rest, new_start);
	return rc;
}

int
kms_reshard_merge(const struct kms_shard *first, const struct kms_shard *second, uint32_t next,
	uint64_t now_s, struct kms_reshard *out)
{
	const struct kms_shard open[2] = {*first, *second};
	struct planner p = {.open = open, .plan = out, .next = next, .now_s = now_s};
	int rc = plan_init(out, 1, 2);

	if (rc == SLK_OK)
		(void)join(&p, (struct piece){.at = 0}, (struct piece){.at = 1});
	return rc;
}

/* All open shards, cut wherever one of the ranges wanted begins. */
static size_t
cut_all(struct planner *p, size_t count, uint32_t target, struct piece *pieces)
{
	uint32_t range = 1; /* the next one whose start may be inside a shard */
	size_t n = 0;
	kms_hash start = 0, end;

	for (size_t i = 0; i < count; i++) {
		struct piece rest = {.is_fresh = false, .at = i};
		for (; range < target; range++) {
			kms_shard_range(range, target, &start, &end);
			if (start > p->open[i].end)
				break;
			if (start > p->open[i].start)
				pieces[n++] = cut(p, &rest, start);
		}
		pieces[n++] = rest;
	}
	return n;
}

static void
join_all(struct planner *p, const struct piece *pieces, size_t count, uint32_t target)
{
	size_t at = 0;

	for (uint32_t range = 0; range < target; range++) {
		kms_hash start, end;
		kms_shard_range(range, target, &start, &end);
		struct piece whole = pieces[at++];
		while (at < count && shard_of(p, pieces[at])->end <= end)
			whole = join(p, whole, pieces[at++]);
	}
}

int
kms_reshard_count(const struct kms_shard *open, size_t count, uint32_t target, uint32_t next,
	uint64_t now_s, struct kms_reshard *out)
{
	struct planner p = {.open = open, .plan = out, .next = next, .now_s = now_s};
	/* At most target - 1 cuts, which make two each; then fewer joins than pieces. */
	struct piece *pieces = calloc(count + target, sizeof(*pieces));

	if (pieces == NULL)
		return SLK_NO_MEMORY;
	int rc = plan_init(out, count + 3 * (size_t)target, count);
	if (rc == SLK_OK)
		join_all(&p, pieces, cut_all(&p, count, target, pieces), target);
	free(pieces);
	return rc;
}
