/* PostgreSQL: each batch in one transaction, with its row in the delivery table; once.
 *
 *     deliver ─► (open) ─► BEGIN, lock, look ─► COPY ... ─► INSERT, COMMIT ─► done
 *                  ▲           │      │          │  ▲
 *                  └─ CREATE ◄─┘      │          └──┘ a row is refused: back to the savepoint, and the records around it again
 *             the table is missing    └► the row is there: ROLLBACK ─► done
 *
 * The lock is of the batch's id: an earlier attempt that the server has not given up yet ends before this one looks. What the row
 * says was refused is said again to whoever asks again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres_batch.h"
#include "postgres_link.h"
#include "postgres_options.h"
#include "postgres_sql.h"

#define VERSION_MIN 90600
#define ROLLBACK_TO "ROLLBACK TO SAVEPOINT sealock; "

/* Records that are to be sent, and have not been refused one by one. */
struct range {
	size_t from, to;
};

struct pg {
	struct dlv_env env;
	const struct dlv_database *database;
	struct dlv_database_entry how;
	struct dlv_link *link;
	struct dlv_pg_format format;
	struct dlv_sql copy; /* COPY ... FROM STDIN WITH (...) */
	struct dlv_sql sql; /* the statement that is being made */

	/* The delivery under way. */
	struct dlv_batch *batch;
	dlv_done done;
	void *done_arg;
	struct dlv_timer start;
	bool fresh; /* its session was made for it */
	bool created; /* so was the delivery table */
	struct range *ranges; /* the last is the next */
	size_t ranges_count, ranges_cap;
	struct range now;
	size_t limit; /* records at a time: small where many are refused */
	bool roll_back; /* the last statement failed */
	uint64_t rows;
	struct dlv_pg_refused refused;
};

/* --- the end of a delivery --- */

static void
end(struct pg *pg, struct dlv_result *result)
{
	dlv_done done = pg->done;
	struct dlv_pg_refused refused = pg->refused;

	pg->done = NULL;
	pg->batch = NULL;
	pg->refused = (struct dlv_pg_refused){0};
	done(pg->done_arg, result);
	dlv_pg_refused_fini(&refused);
}

/* Whatever the transaction did is undone: with its session it ends. */
static void
fail(struct pg *pg, enum dlv_outcome outcome, const char *code, const char *sentence)
{
	struct dlv_result result = {.outcome = outcome};

	dlv_link_close(pg->link);
	snprintf(result.code, sizeof(result.code), "Postgres.%s", code);
	(void)slk_fail(&result.error, outcome == DLV_REFUSED ? SLK_DENIED : SLK_UNAVAILABLE,
		"PostgreSQL at %.100s:%u, database %.63s: %.300s", pg->database->host,
		pg->database->port, pg->database->name, sentence);
	end(pg, &result);
}

static void
fail_by(struct pg *pg, const struct dlv_link_answer *answer)
{
	if (answer->sqlstate[0] != '\0')
		fail(pg, dlv_sqlstate_outcome(answer->sqlstate, false), answer->sqlstate,
			answer->sentence);
	else
		fail(pg, DLV_FAILED, "ConnectionLost", answer->sentence);
}

static void
fail_no_memory(struct pg *pg)
{
	fail(pg, DLV_FAILED, "NoMemory", "no memory for a statement");
}

static void
succeed(struct pg *pg)
{
	struct dlv_result result = {.outcome = DLV_DELIVERED,
		.failed = pg->refused.failed,
		.failed_count = pg->refused.count};

	if (pg->refused.count > 0) {
		const struct dlv_failed *first = &pg->refused.failed[0];
		result.outcome = DLV_DELIVERED_REST;
		snprintf(result.code, sizeof(result.code), "%s", first->code);
		(void)slk_fail(&result.error, SLK_INVALID,
			"PostgreSQL at %.100s:%u refused %zu of %zu records; the first, of index "
			"%u: "
			"%.160s",
			pg->database->host, pg->database->port, pg->refused.count, pg->batch->count,
			first->index, first->message);
	}
	end(pg, &result);
}

static void
ask(struct pg *pg, struct slk_span rows, dlv_link_done done)
{
	if (pg->sql.status != SLK_OK)
		fail_no_memory(pg);
	else
		dlv_link_query(pg->link, pg->sql.text, rows, done, pg);
}

/* --- INSERT, COMMIT --- */

static void
on_commit(void *arg, const struct dlv_link_answer *answer)
{
	struct pg *pg = arg;

	if (answer->lost)
		fail(pg, DLV_FAILED, "CommitUnknown",
			"the connection was lost at COMMIT; the delivery table will say whether it "
			"was "
			"done");
	else if (strcmp(answer->sqlstate, "23505") == 0)
		fail(pg, DLV_FAILED, answer->sqlstate, "another delivery of this batch was faster");
	else if (!answer->ok)
		fail_by(pg, answer);
	else if (strcmp(PQcmdStatus(answer->results[answer->results_count - 1]), "COMMIT") != 0)
		fail(pg, DLV_FAILED, "RolledBack", "the server rolled the transaction back");
	else
		succeed(pg);
}

static void
put_insert(struct dlv_sql *sql, const struct pg *pg)
{
	const struct dlv_batch *batch = pg->batch;

	dlv_sql_put(sql,
		"INSERT INTO sealock.delivery (id, stream, batch, version, \"rows\", refused) "
		"VALUES (");
	dlv_sql_literal(sql, batch->id);
	dlv_sql_put(sql, ", ");
	dlv_sql_literal(sql, pg->env.arn);
	dlv_sql_put(sql, ", ");
	dlv_sql_number(sql, batch->number);
	dlv_sql_put(sql, ", ");
	dlv_sql_number(sql, batch->version);
	dlv_sql_put(sql, ", ");
	dlv_sql_number(sql, pg->rows);
	dlv_sql_put(sql, ", ");
	dlv_pg_refused_print(&pg->refused, sql);
	dlv_sql_put(sql, ")");
}

static void
commit(struct pg *pg)
{
	dlv_pg_refused_sort(&pg->refused);
	dlv_sql_clear(&pg->sql);
	dlv_sql_put(&pg->sql, pg->roll_back ? ROLLBACK_TO : "");
	put_insert(&pg->sql, pg);
	dlv_sql_put(&pg->sql, "; COMMIT");
	ask(pg, slk_span(NULL, 0), on_commit);
}

/* --- COPY --- */

static void copy_next(struct pg *pg);

static int
push(struct pg *pg, size_t from, size_t to)
{
	if (from >= to)
		return SLK_OK;
	if (pg->ranges_count == pg->ranges_cap) {
		size_t cap = pg->ranges_cap * 2 + 16;
		struct range *grown = reallocarray(pg->ranges, cap, sizeof(*grown));
		if (grown == NULL)
			return SLK_NO_MEMORY;
		pg->ranges = grown;
		pg->ranges_cap = cap;
	}
	pg->ranges[pg->ranges_count++] = (struct range){from, to};
	return SLK_OK;
}

/* The record at the line that COPY named comes alone; if that names none, halves. Right whatever was named: what goes wrong goes
 * on being cut. Returns the records before the one that was suspected. */
static int
split(struct pg *pg, uint64_t line, size_t *out_gap)
{
	size_t from = pg->now.from, to = pg->now.to;
	size_t bad = dlv_pg_rows_find(pg->batch, from, to, line);
	size_t middle = from + (to - from) / 2;

	*out_gap = bad < to ? bad - from : (to - from) / 4;
	if (bad == to)
		return push(pg, middle, to) == SLK_OK ? push(pg, from, middle) : SLK_NO_MEMORY;
	if (push(pg, bad + 1, to) != SLK_OK || push(pg, bad, bad + 1) != SLK_OK)
		return SLK_NO_MEMORY;
	return push(pg, from, bad);
}

/* A row of now is at fault. */
static void
isolate(struct pg *pg, const struct dlv_link_answer *answer)
{
	size_t gap = 0;
	int rc = SLK_OK;

	pg->roll_back = true;
	if (pg->now.to - pg->now.from == 1) {
		rc = dlv_pg_refuse(
			&pg->refused, (uint32_t)pg->now.from, answer->sqlstate, answer->sentence);
	} else {
		rc = split(pg, answer->line, &gap);
		pg->limit = gap * 2 + 16;
	}
	if (rc == SLK_OK)
		copy_next(pg);
	else
		fail_no_memory(pg);
}

static void
on_copy(void *arg, const struct dlv_link_answer *answer)
{
	struct pg *pg = arg;

	if (answer->ok) {
		for (size_t i = 0; i < answer->results_count; i++)
			if (strncmp(PQcmdStatus(answer->results[i]), "COPY ", 5) == 0)
				pg->rows += strtoull(PQcmdTuples(answer->results[i]), NULL, 10);
		pg->roll_back = false;
		pg->limit = pg->limit < SIZE_MAX / 2 ? pg->limit * 2 : SIZE_MAX;
		copy_next(pg);
	} else if (!answer->lost && answer->in_rows &&
		dlv_sqlstate_outcome(answer->sqlstate, true) == DLV_DELIVERED_REST) {
		isolate(pg, answer);
	} else {
		fail_by(pg, answer);
	}
}

static bool
pop(struct pg *pg)
{
	while (pg->ranges_count > 0) {
		struct range *last = &pg->ranges[pg->ranges_count - 1];
		pg->now = *last;
		if (last->to - last->from > pg->limit)
			last->from = pg->now.to = last->from + pg->limit;
		else
			pg->ranges_count--;
		if (dlv_pg_rows_span(pg->batch, pg->now.from, pg->now.to).len > 0)
			return true;
	}
	return false;
}

static void
copy_next(struct pg *pg)
{
	if (!pop(pg)) {
		commit(pg);
		return;
	}
	dlv_sql_clear(&pg->sql);
	dlv_sql_put(&pg->sql, pg->roll_back ? ROLLBACK_TO : "");
	dlv_sql_put(&pg->sql, pg->copy.text);
	dlv_sql_put(&pg->sql, "; RELEASE SAVEPOINT sealock; SAVEPOINT sealock");
	ask(pg, dlv_pg_rows_span(pg->batch, pg->now.from, pg->now.to), on_copy);
}

static void
copy_all(struct pg *pg)
{
	const struct dlv_pg_rows *rows = pg->batch->work;
	int rc = push(pg, 0, rows->count);

	for (size_t i = 0; rc == SLK_OK && i < rows->bad_count; i++)
		rc = dlv_pg_refuse(&pg->refused, rows->bad[i].index,
			dlv_pg_fault_state(rows->bad[i].fault),
			dlv_pg_fault_sentence(rows->bad[i].fault));
	if (rc == SLK_OK)
		copy_next(pg);
	else
		fail_no_memory(pg);
}

/* --- the delivery table --- */

static void begin(struct pg *pg);

static void
on_created(void *arg, const struct dlv_link_answer *answer)
{
	struct pg *pg = arg;

	pg->created = true;
	if (answer->ok)
		begin(pg);
	else if (strcmp(answer->sqlstate, "42501") == 0)
		fail(pg, DLV_REFUSED, answer->sqlstate,
			"the table sealock.delivery is missing and the role may not create it; run "
			"as its "
			"owner: CREATE SCHEMA sealock AUTHORIZATION the role, or the statements in "
			"docs/delivery-databases.md");
	else if (strcmp(answer->sqlstate, "42P06") == 0 || strcmp(answer->sqlstate, "42P07") == 0 ||
		strcmp(answer->sqlstate, "23505") == 0)
		fail(pg, DLV_FAILED, answer->sqlstate,
			"another session creates the table sealock.delivery");
	else
		fail_by(pg, answer);
}

static void
on_missing(void *arg, const struct dlv_link_answer *answer)
{
	struct pg *pg = arg;

	if (!answer->ok) {
		fail_by(pg, answer);
		return;
	}
	const PGresult *found = answer->results[1];
	bool no_schema = strcmp(PQgetvalue(found, 0, 0), "t") == 0;
	dlv_sql_clear(&pg->sql);
	dlv_sql_put(&pg->sql, no_schema ? "CREATE SCHEMA sealock; " : "");
	dlv_sql_put(&pg->sql,
		"CREATE TABLE sealock.delivery (id uuid PRIMARY KEY, stream text NOT NULL, "
		"batch bigint NOT NULL, version bigint NOT NULL, \"rows\" bigint NOT NULL, "
		"refused text, delivered_at timestamptz NOT NULL DEFAULT now())");
	ask(pg, slk_span(NULL, 0), on_created);
}

static void
create(struct pg *pg)
{
	dlv_sql_clear(&pg->sql);
	dlv_sql_put(&pg->sql, "ROLLBACK; SELECT to_regnamespace('sealock') IS NULL");
	ask(pg, slk_span(NULL, 0), on_missing);
}

/* --- BEGIN, lock, look --- */

static void
on_rolled_back(void *arg, const struct dlv_link_answer *answer)
{
	(void)answer; /* nothing of it is left, either way */
	succeed(arg);
}

static void
recognise(struct pg *pg, const PGresult *row)
{
	int rc = PQgetisnull(row, 0, 0)
		? SLK_OK
		: dlv_pg_refused_parse(PQgetvalue(row, 0, 0), pg->batch->count, &pg->refused);

	if (rc == SLK_NO_MEMORY) {
		fail_no_memory(pg);
	} else if (rc != SLK_OK) {
		fail(pg, DLV_REFUSED, "BadDeliveryTable",
			"the row of this batch in sealock.delivery is not as it was written");
	} else {
		dlv_sql_clear(&pg->sql);
		dlv_sql_put(&pg->sql, "ROLLBACK");
		ask(pg, slk_span(NULL, 0), on_rolled_back);
	}
}

static void on_open(void *arg, const struct dlv_link_answer *answer);

static void
on_begun(void *arg, const struct dlv_link_answer *answer)
{
	struct pg *pg = arg;

	if (answer->ok) {
		const PGresult *row = answer->results[answer->results_count - 2];
		if (PQntuples(row) > 0)
			recognise(pg, row);
		else
			copy_all(pg);
	} else if (!pg->fresh && (answer->lost || strncmp(answer->sqlstate, "57P", 3) == 0)) {
		/* The server was restarted since, or tired of waiting: nothing was begun. */
		pg->fresh = true;
		dlv_link_close(pg->link);
		dlv_link_open(pg->link, on_open, pg);
	} else if (strcmp(answer->sqlstate, "42P01") == 0 && !pg->created) {
		create(pg);
	} else {
		fail_by(pg, answer);
	}
}

/* A number of 63 bits out of the id. */
static uint64_t
lock_number(const char *id)
{
	uint8_t uuid[FMT_UUID_BYTES] = {0};

	return fmt_uuid_parse(id, uuid) == SLK_OK ? slk_get_be64(uuid + 8) >> 1 : 0;
}

static void
put_limit(struct dlv_sql *sql, const char *name, uint32_t ms)
{
	dlv_sql_put(sql, "SET LOCAL ");
	dlv_sql_put(sql, name);
	dlv_sql_put(sql, " = ");
	dlv_sql_number(sql, ms);
	dlv_sql_put(sql, "; ");
}

/* Limits are the server's too, so that it ends what deliverd has given up. A commit that is not on the disk would be no delivery.
 * Constraints are checked at each COPY, where the row can still be told. */
static void
begin(struct pg *pg)
{
	struct dlv_sql *sql = &pg->sql;

	dlv_sql_clear(sql);
	dlv_sql_put(sql, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ");
	put_limit(sql, "statement_timeout", pg->how.statement_ms);
	put_limit(sql, "lock_timeout", pg->how.lock_ms);
	put_limit(sql, "idle_in_transaction_session_timeout", 60000);
	dlv_sql_put(sql,
		"SELECT set_config('synchronous_commit', 'on', true) WHERE "
		"current_setting('synchronous_commit') = 'off'; SET CONSTRAINTS ALL IMMEDIATE; "
		"SELECT pg_advisory_xact_lock(");
	dlv_sql_number(sql, lock_number(pg->batch->id));
	dlv_sql_put(sql, "); SELECT refused FROM sealock.delivery WHERE id = ");
	dlv_sql_literal(sql, pg->batch->id);
	dlv_sql_put(sql, "; SAVEPOINT sealock");
	ask(pg, slk_span(NULL, 0), on_begun);
}

static void
on_open(void *arg, const struct dlv_link_answer *answer)
{
	struct pg *pg = arg;

	if (answer->ok && dlv_link_version(pg->link) < VERSION_MIN)
		fail(pg, DLV_REFUSED, "TooOld", "the server is older than PostgreSQL 9.6");
	else if (answer->ok)
		begin(pg);
	else if (answer->sqlstate[0] == '\0')
		fail(pg, answer->tls ? DLV_REFUSED : DLV_FAILED,
			answer->tls ? "Tls" : "Unreachable", answer->sentence);
	else
		fail_by(pg, answer);
}

/* --- the table of functions --- */

static int
prepare(struct pg *pg, struct slk_error *err)
{
	dlv_sql_put(&pg->copy, "COPY ");
	int rc = dlv_sql_table(&pg->copy, pg->database->table, DLV_PG_NAME_MAX, err);
	if (rc != SLK_OK)
		return rc;
	dlv_sql_put(&pg->copy, " ");
	rc = dlv_sql_columns(&pg->copy, pg->database->columns, DLV_PG_NAME_MAX, err);
	if (rc != SLK_OK)
		return rc;
	dlv_sql_put(&pg->copy, " FROM STDIN");
	return dlv_pg_options(pg->database->options, &pg->copy, &pg->format, err);
}

static void
pg_close(void *dest)
{
	struct pg *pg = dest;

	if (pg == NULL)
		return;
	dlv_link_free(pg->link);
	dlv_sql_fini(&pg->copy);
	dlv_sql_fini(&pg->sql);
	dlv_pg_refused_fini(&pg->refused);
	free(pg->ranges);
	free(pg);
}

static int
pg_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	struct pg *pg = calloc(1, sizeof(*pg));

	if (pg == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a destination");
	pg->env = *env;
	pg->database = &env->spec->database;
	pg->how = dlv_databases_find(env->databases, pg->database->host);
	const struct dlv_link_config config = {.loop = env->loop,
		.host = pg->database->host,
		.port = pg->database->port,
		.database = pg->database->name,
		.user = pg->database->user,
		.password = pg->database->password,
		.how = pg->how};
	int rc = prepare(pg, err);
	if (rc == SLK_OK)
		rc = dlv_link_new(&config, &pg->link);
	if (rc == SLK_NO_MEMORY)
		slk_fail(err, rc, "no memory for a destination");
	if (rc != SLK_OK) {
		pg_close(pg);
		return rc;
	}
	*out_dest = pg;
	return SLK_OK;
}

static int
pg_begin(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	(void)dest;
	return dlv_pg_rows_begin(batch, err);
}

static int
pg_gather(void *dest, struct dlv_batch *batch, const struct dlv_record *records, size_t count,
	struct slk_error *err)
{
	const struct pg *pg = dest;

	return dlv_pg_rows_gather(&pg->format, batch, records, count, err);
}

static int
pg_seal(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	(void)dest;
	(void)batch;
	(void)err;
	return SLK_OK;
}

static void
on_start(void *arg)
{
	struct pg *pg = arg;

	pg->fresh = !dlv_link_is_open(pg->link);
	if (pg->fresh)
		dlv_link_open(pg->link, on_open, pg);
	else
		begin(pg);
}

static void
pg_deliver(void *dest, struct dlv_batch *batch, dlv_done done, void *arg)
{
	struct pg *pg = dest;

	pg->batch = batch;
	pg->done = done;
	pg->done_arg = arg;
	pg->created = pg->roll_back = false;
	pg->ranges_count = 0;
	pg->limit = SIZE_MAX;
	pg->rows = 0;
	dlv_pg_refused_fini(&pg->refused);
	dlv_timer_set(pg->env.loop, &pg->start, 1, on_start, pg);
}

static void
pg_cancel(void *dest, struct dlv_batch *batch)
{
	struct pg *pg = dest;

	(void)batch;
	dlv_timer_stop(pg->env.loop, &pg->start);
	dlv_link_close(pg->link);
	pg->done = NULL;
	pg->batch = NULL;
	dlv_pg_refused_fini(&pg->refused);
}

static void
pg_release(void *dest, struct dlv_batch *batch)
{
	(void)dest;
	dlv_pg_rows_release(batch);
}

const struct dlv_destination_ops dlv_postgres_ops = {
	.name = "postgres",
	.keeps_raw = true,
	.open = pg_open,
	.close = pg_close,
	.begin = pg_begin,
	.gather = pg_gather,
	.seal = pg_seal,
	.deliver = pg_deliver,
	.error_type = "postgres-failed",
	.cancel = pg_cancel,
	.release = pg_release,
};
