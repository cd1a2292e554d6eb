#include "sealock/consumer.h"

#include <stdlib.h>
#include <string.h>

#include "client/arena.h"
#include "client/keys.h"
#include "format/context.h"
#include "format/record.h"
#include "journal/latest.h"
#include "journal/reader.h"

#define RECORDS_MAX 10000u

struct sealock_opener {
	struct sealock_keys *keys;
	struct seal_thread *seal;
};

/* The block that records are being given out of. */
struct open_block {
	bool have;
	struct slk_span plain; /* in the arena */
	struct fmt_record_iter it;
	uint64_t sequence; /* of the iterator's next record */
	uint64_t epoch_id;
	uint32_t shard;
	uint32_t lane;
};

struct sealock_consumer {
	char *dir;
	char *stream_arn;
	uint8_t context[FMT_CONTEXT_MAX]; /* canonical, of stream_arn */
	size_t context_len;
	uint64_t stream_id;
	bool any_shard;
	uint32_t shard;
	const struct slk_clock *clock;

	struct sealock_position position; /* where it was put */
	struct jnl_reader *reader;
	bool have_block; /* block comes next and is not opened; borrowed from reader */
	struct jnl_block block;
	int event; /* what the reader said when a batch looked ahead: for the next call */
	struct slk_error event_err;
	bool trimmed; /* to be told with the next batch */
	bool begun; /* a block was met */
	uint64_t begun_lanes; /* AT_TIME: lanes (bits) in which the first record was met */

	struct open_block open;
	struct client_arena arena;
	struct sealock_record *records;
	size_t records_cap;

	bool placed; /* next_sequence is known */
	uint64_t next_sequence;
	uint64_t passed_ns; /* arrival of the last record or block that lies behind the place */
};

/* --- openers --- */

int
sealock_opener_new(
	struct sealock_keys *keys, struct sealock_opener **out_opener, struct slk_error *err)
{
	struct sealock_opener *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	o->keys = keys;
	int rc = seal_thread_new(client_keys_engine(keys), &o->seal, err);
	if (rc != SLK_OK) {
		free(o);
		return rc;
	}
	*out_opener = o;
	return SLK_OK;
}

void
sealock_opener_free(struct sealock_opener *o)
{
	if (o == NULL)
		return;
	seal_thread_free(o->seal);
	free(o);
}

/* --- places --- */

static int
check_position(const struct sealock_position *p, struct slk_error *err)
{
	switch (p->from) {
	case SEALOCK_FROM_TRIM_HORIZON:
	case SEALOCK_FROM_LATEST:
	case SEALOCK_FROM_AT_SEQUENCE:
	case SEALOCK_FROM_AT_TIME:
		return SLK_OK;
	case SEALOCK_FROM_AFTER_SEQUENCE:
		if (p->value < UINT64_MAX)
			return SLK_OK;
		return slk_fail(err, SLK_INVALID, "nothing comes after the last number there is");
	}
	return slk_fail(err, SLK_INVALID, "no such place");
}

static int
open_reader(const struct sealock_consumer *c, const struct sealock_position *p,
	struct jnl_reader **out_reader, struct slk_error *err)
{
	struct jnl_reader_config config = {.dir = c->dir,
		.stream_id = c->stream_id,
		.any_shard = c->any_shard,
		.shard = c->shard,
		.from = JNL_FROM_TRIM_HORIZON};

	if (p->from == SEALOCK_FROM_LATEST)
		config.from = JNL_FROM_LATEST;
	else if (p->from == SEALOCK_FROM_AT_TIME)
		config.from = JNL_FROM_TIME;
	else if (p->from == SEALOCK_FROM_AT_SEQUENCE)
		config.from = JNL_FROM_SEQUENCE;
	config.from_value = p->from == SEALOCK_FROM_TRIM_HORIZON ? 0 : p->value;
	return jnl_reader_new(&config, out_reader, err);
}

/* Stand at a place with a reader of it, and forget all that was opened before. */
static void
stand(struct sealock_consumer *c, const struct sealock_position *p, struct jnl_reader *reader)
{
	jnl_reader_free(c->reader);
	c->reader = reader;
	c->position = *p;
	c->have_block = c->trimmed = c->begun = c->open.have = false;
	c->begun_lanes = 0;
	c->event = SLK_OK;
	c->placed = p->from == SEALOCK_FROM_AT_SEQUENCE;
	c->next_sequence = c->placed ? p->value : 0;
	c->passed_ns = 0;
	client_arena_free(&c->arena);
}

/* AFTER n is AT n + 1. */
static struct sealock_position
settled(const struct sealock_position *p)
{
	if (p->from == SEALOCK_FROM_AFTER_SEQUENCE)
		return (struct sealock_position){SEALOCK_FROM_AT_SEQUENCE, p->value + 1};
	return *p;
}

int
sealock_consumer_seek(
	struct sealock_consumer *c, const struct sealock_position *position, struct slk_error *err)
{
	struct jnl_reader *reader = NULL;
	int rc = check_position(position, err);

	if (rc != SLK_OK)
		return rc;
	struct sealock_position to = settled(position);
	if (to.from == SEALOCK_FROM_AT_SEQUENCE && !c->any_shard && c->placed &&
		c->next_sequence == to.value)
		return SLK_OK;
	rc = open_reader(c, &to, &reader, err);
	if (rc == SLK_OK)
		stand(c, &to, reader);
	return rc;
}

static int
take_config(struct sealock_consumer *c, const struct sealock_consumer_config *config)
{
	struct fmt_context *context = NULL;

	c->stream_id = config->stream_id;
	c->any_shard = config->any_shard;
	c->shard = config->shard;
	c->clock = config->clock != NULL ? config->clock : slk_clock_system();
	c->dir = strdup(config->journal_dir);
	c->stream_arn = strdup(config->stream_arn);
	if (c->dir == NULL || c->stream_arn == NULL)
		return SLK_NO_MEMORY;
	int rc = fmt_context_for_stream(config->stream_arn, &context);
	if (rc == SLK_OK)
		rc = fmt_context_encode(context, c->context, sizeof(c->context), &c->context_len);
	fmt_context_free(context);
	return rc == SLK_OK || rc == SLK_NO_MEMORY ? rc : SLK_INVALID;
}

int
sealock_consumer_new(const struct sealock_consumer_config *config,
	struct sealock_consumer **out_consumer, struct slk_error *err)
{
	struct jnl_reader *reader = NULL;
	int rc = check_position(&config->position, err);

	if (rc != SLK_OK)
		return rc;
	struct sealock_consumer *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	rc = take_config(c, config);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "cannot read stream %s: %s", config->stream_arn,
			slk_status_sentence(rc));
	struct sealock_position to = settled(&config->position);
	if (rc == SLK_OK)
		rc = open_reader(c, &to, &reader, err);
	if (rc != SLK_OK) {
		sealock_consumer_free(c);
		return rc;
	}
	stand(c, &to, reader);
	*out_consumer = c;
	return SLK_OK;
}

void
sealock_consumer_free(struct sealock_consumer *c)
{
	if (c == NULL)
		return;
	jnl_reader_free(c->reader);
	client_arena_free(&c->arena);
	free(c->records);
	free(c->stream_arn);
	free(c->dir);
	free(c);
}

/* --- blocks --- */

/* Have the next block at hand, unopened. SLK_OK, SLK_AGAIN at the tip, or what the reader said, which then stays for as long as
 * it is not taken. */
static int
look_ahead(struct sealock_consumer *c)
{
	if (c->have_block)
		return SLK_OK;
	if (c->event != SLK_OK)
		return c->event;
	int rc = jnl_reader_next(c->reader, &c->block, &c->event_err);
	if (rc == SLK_AGAIN)
		return rc;
	if (rc != SLK_OK) {
		if (rc == SLK_CORRUPT)
			c->begun =
				true; /* what lies before the next block is damaged, not trimmed */
		c->event = rc;
		return rc;
	}
	if (!c->begun && !c->any_shard && c->placed && c->block.first_sequence > c->next_sequence)
		c->trimmed = true;
	c->have_block = c->begun = true;
	return SLK_OK;
}

static int
take_event(struct sealock_consumer *c, struct slk_error *err)
{
	int rc = c->event;

	c->event = SLK_OK;
	if (err != NULL)
		*err = c->event_err;
	return rc;
}

static int
say(const struct sealock_consumer *c, int rc, const char *what, struct slk_error *err)
{
	const struct jnl_block *b = &c->block;

	return slk_fail(err, rc,
		"%s/%020llu.slj: block at offset %llu (shard %u, records %llu to %llu) is left "
		"out: %s",
		c->dir, (unsigned long long)b->file_id, (unsigned long long)b->position, b->shard,
		(unsigned long long)b->first_sequence,
		(unsigned long long)(b->first_sequence + b->record_count - 1), what);
}

static int
get_key(const struct sealock_consumer *c, const struct sealock_opener *o,
	struct client_key **out_key, struct slk_error *err)
{
	struct jnl_epoch_info info;
	int rc = jnl_reader_epoch(c->reader, c->block.epoch_id, &info);

	if (rc != SLK_OK)
		return slk_fail(err, rc == SLK_NOT_FOUND ? SLK_CORRUPT : rc,
			"the key block of epoch %016llx is missing from the journal",
			(unsigned long long)c->block.epoch_id);
	const struct client_epoch epoch = {.dir = c->dir,
		.stream_arn = c->stream_arn,
		.stream_id = c->stream_id,
		.context = slk_span(c->context, c->context_len),
		.info = &info};
	return client_key_get(o->keys, o->seal, &epoch, out_key, err);
}

/* Open the block at hand. On error it stays at hand. */
static int
open_block(struct sealock_consumer *c, const struct sealock_opener *o, struct slk_error *err)
{
	const struct jnl_block *b = &c->block;
	struct client_key *key = NULL;
	struct slk_error why = {0};
	uint8_t *plain = NULL;
	int rc = get_key(c, o, &key, &why);

	if (rc != SLK_OK) {
		if (slk_status_class(rc) == SLK_CLASS_CORRUPT)
			return say(c, rc, why.text, err);
		return slk_fail(err, rc, "%s", why.text);
	}
	size_t len = b->plain_bytes > 0 ? b->plain_bytes : 1;
	rc = client_arena_take(&c->arena, len, &plain, err);
	if (rc == SLK_OK) {
		rc = jnl_block_open(o->seal, client_key_epoch(key), b, plain, len);
		if (rc != SLK_OK)
			(void)say(c, rc, slk_status_sentence(rc), err);
	}
	client_key_put(o->keys, key);
	if (rc != SLK_OK)
		return rc;
	c->open = (struct open_block){.plain = slk_span(plain, b->plain_bytes),
		.sequence = b->first_sequence,
		.epoch_id = b->epoch_id,
		.shard = b->shard,
		.lane = b->lane};
	rc = fmt_record_iter_init(&c->open.it, c->open.plain, b->record_count);
	if (rc != SLK_OK)
		return say(c, rc, "it is authentic, but its records are not well formed", err);
	c->open.have = true;
	c->have_block = false;
	return SLK_OK;
}

/* --- records --- */

static bool
wanted(struct sealock_consumer *c, const struct fmt_record *r)
{
	uint64_t lane = 1ull << c->open.lane;

	if (c->position.from == SEALOCK_FROM_AT_SEQUENCE)
		return c->open.sequence >= c->position.value;
	if (c->position.from != SEALOCK_FROM_AT_TIME || (c->begun_lanes & lane) != 0)
		return true;
	if (r->arrival_ns < c->position.value)
		return false;
	/* All that is behind it, whatever its time: of one shard, also what went to another lane. */
	c->begun_lanes = c->any_shard ? c->begun_lanes | lane : UINT64_MAX;
	return true;
}

static int
room_for_record(struct sealock_consumer *c, size_t count, struct slk_error *err)
{
	if (count < c->records_cap)
		return SLK_OK;
	size_t cap = c->records_cap == 0 ? 64 : 2 * c->records_cap;
	struct sealock_record *bigger = realloc(c->records, cap * sizeof(*bigger));
	if (bigger == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	c->records = bigger;
	c->records_cap = cap;
	return SLK_OK;
}

/* Give out records of the open block, until it is used up (SLK_END) or the batch is full (SLK_OK). */
static int
give_out(struct sealock_consumer *c, size_t records_max, size_t bytes_max,
	struct sealock_batch *batch, struct slk_error *err)
{
	struct open_block *o = &c->open;
	struct fmt_record r;

	for (;;) {
		struct fmt_record_iter before = o->it;
		if (fmt_record_iter_next(&o->it, &r) != SLK_OK)
			break;
		size_t bytes = r.key.len + r.data.len;
		bool full = batch->count == records_max ||
			(batch->count > 0 && batch->bytes + bytes > bytes_max);
		int rc = full ? SLK_OK : room_for_record(c, batch->count, err);
		if (full || rc != SLK_OK) {
			o->it = before;
			return rc;
		}
		c->passed_ns = r.arrival_ns;
		if (wanted(c, &r)) {
			c->records[batch->count++] = (struct sealock_record){
				o->sequence, o->shard, r.arrival_ns, r.key, r.data, o->epoch_id};
			batch->bytes += bytes;
		}
		o->sequence++;
		if (!c->placed || o->sequence > c->next_sequence)
			c->next_sequence = o->sequence;
		c->placed = true;
	}
	o->have = false;
	return SLK_END;
}

/* One step of a batch: SLK_OK: go on; SLK_END: it ends here; else an error. */
static int
step(struct sealock_consumer *c, const struct sealock_opener *o, size_t records_max,
	size_t bytes_max, struct sealock_batch *batch, struct slk_error *err)
{
	if (c->open.have) {
		int rc = give_out(c, records_max, bytes_max, batch, err);
		if (rc != SLK_END)
			return rc == SLK_OK ? SLK_END : rc;
	}
	int rc = look_ahead(c);
	if (rc == SLK_AGAIN) {
		batch->at_tip = true;
		return SLK_END;
	}
	if (rc == SLK_TRIMMED && batch->count == 0) {
		c->event = SLK_OK;
		c->trimmed = true;
		return SLK_OK;
	}
	if (rc != SLK_OK)
		return batch->count > 0 ? rc : take_event(c, err);
	if (batch->count == records_max || batch->bytes >= bytes_max)
		return SLK_END;
	if (c->trimmed && batch->count > 0)
		return SLK_END;
	rc = open_block(c, o, err);
	/* What cannot be believed lies behind the place once it has been told. */
	if (slk_status_class(rc) == SLK_CLASS_CORRUPT && batch->count == 0) {
		c->have_block = false;
		c->placed = true;
		c->next_sequence = c->block.first_sequence + c->block.record_count;
		c->passed_ns = c->block.last_arrival_ns;
	}
	return rc;
}

static uint64_t
millis_behind(const struct sealock_consumer *c, const struct sealock_batch *batch)
{
	uint64_t from =
		c->passed_ns != 0 || !c->have_block ? c->passed_ns : c->block.first_arrival_ns;
	uint64_t now = slk_wall_ns(c->clock);

	if (batch->at_tip)
		return 0;
	uint64_t millis = from != 0 && now > from ? (now - from) / SLK_NS_PER_MS : 0;
	return millis > 0 ? millis : 1;
}

int
sealock_consumer_read(struct sealock_consumer *c, struct sealock_opener *o, size_t records_max,
	size_t bytes_max, struct sealock_batch *out_batch, struct slk_error *err)
{
	struct sealock_batch batch = {0};
	int rc = SLK_OK;

	if (records_max == 0 || records_max > RECORDS_MAX || bytes_max == 0)
		return slk_fail(err, SLK_INVALID, "a batch is of 1 to %u records", RECORDS_MAX);
	sealock_keys_expire(o->keys);
	client_arena_keep(&c->arena, c->open.have ? c->open.plain : slk_span(NULL, 0));
	while (rc == SLK_OK)
		rc = step(c, o, records_max, bytes_max, &batch, err);
	client_arena_wipe(&c->arena);
	if (rc != SLK_END && batch.count == 0)
		return rc;
	if (batch.at_tip && batch.count == 0)
		client_arena_free(&c->arena); /* who waits for more holds nothing */
	batch.records = c->records;
	batch.has_next = c->placed && !c->any_shard;
	batch.next_sequence = batch.has_next ? c->next_sequence : 0;
	batch.millis_behind_latest = millis_behind(c, &batch);
	batch.trimmed = c->trimmed && (batch.count > 0 || batch.at_tip);
	if (batch.trimmed)
		c->trimmed = false;
	*out_batch = batch;
	return SLK_OK;
}

int
sealock_consumer_key(struct sealock_consumer *c, uint64_t epoch_id, const char **out_key_arn)
{
	struct jnl_epoch_info info;

	int rc = jnl_reader_epoch(c->reader, epoch_id, &info);
	if (rc == SLK_OK)
		*out_key_arn = info.key_arn;
	return rc;
}

int
sealock_shard_latest(const char *journal_dir, uint64_t stream_id, uint32_t shard,
	uint64_t *out_sequence, struct slk_error *err)
{
	return jnl_shard_latest(journal_dir, NULL, stream_id, shard, out_sequence, err);
}
