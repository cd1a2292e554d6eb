/* Redshift: an object and a manifest in the bucket of S3Configuration, then COPY from there.
 *
 *     deliver ─► object ─► manifest ─► (open) ─► look ─► BEGIN ─► COPY ─► LOCK, look again ─► INSERT, COMMIT ─► done
 *                (once for all attempts)          │ ▲              │            └► the row is there: ROLLBACK ─► done
 *                                          CREATE ┘ └              └► ROLLBACK, stl_load_errors ─► done: try again
 *     give_up ─► object ─► errors/manifests/ ─► done
 *
 * The delivery table's row is in COPY's transaction, as with PostgreSQL. Redshift enforces no keys: what keeps a batch from being
 * loaded twice is the lock and its serializable transactions. The lock comes after COPY, so that deliveries of other streams do
 * not wait for each other. Which record COPY fails at is known only after the fact: a batch is loaded as a whole or not at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "delivery/names.h"
#include "postgres_link.h"
#include "postgres_options.h"
#include "postgres_sql.h"
#include "s3.h"

#define MANIFESTS "manifests/"
#define ERRORS "errors/manifests/"

struct redshift {
	struct dlv_env env;
	const struct dlv_database *database;
	struct dlv_database_entry how;
	void *s3; /* of dlv_s3_ops */
	struct dlv_link *link;
	struct dlv_sql copy_head, copy_tail; /* around the manifest's URL */
	struct dlv_sql sql; /* the statement that is being made */
	struct dlv_sql manifest; /* the same way of growing; no SQL */
	char object_id[FMT_UUID_TEXT]; /* of the batch whose object was put last */

	/* The delivery under way. */
	struct dlv_batch *batch;
	dlv_done done;
	void *done_arg;
	struct dlv_timer start;
	bool object_under_way;
	struct dlv_s3_raw *raw;
	char manifest_key[DLV_KEY_MAX + sizeof(ERRORS)];
	bool gives_up, fresh, created;
	char failure[400];
};

/* --- the end of a delivery --- */

static void
end(struct redshift *r, const struct dlv_result *result)
{
	dlv_done done = r->done;

	r->done = NULL;
	r->batch = NULL;
	done(r->done_arg, result);
}

static void
fail(struct redshift *r, enum dlv_outcome outcome, const char *code, const char *sentence)
{
	struct dlv_result result = {.outcome = outcome};

	dlv_link_close(r->link);
	snprintf(result.code, sizeof(result.code), "Redshift.%s", code);
	(void)slk_fail(&result.error, outcome == DLV_REFUSED ? SLK_DENIED : SLK_UNAVAILABLE,
		"Redshift at %.100s:%u, database %.63s: %.300s", r->database->host,
		r->database->port, r->database->name, sentence);
	end(r, &result);
}

static void
fail_by(struct redshift *r, const struct dlv_link_answer *answer)
{
	if (answer->sqlstate[0] != '\0')
		fail(r, dlv_sqlstate_outcome(answer->sqlstate, false), answer->sqlstate,
			answer->sentence);
	else
		fail(r, DLV_FAILED, "ConnectionLost", answer->sentence);
}

static void
succeed(struct redshift *r)
{
	const struct dlv_result result = {.outcome = DLV_DELIVERED};

	end(r, &result);
}

static void
ask(struct redshift *r, dlv_link_done done)
{
	if (r->sql.status != SLK_OK)
		fail(r, DLV_FAILED, "NoMemory", "no memory for a statement");
	else
		dlv_link_query(r->link, r->sql.text, slk_span(NULL, 0), done, r);
}

static void
ask_text(struct redshift *r, const char *text, dlv_link_done done)
{
	dlv_sql_clear(&r->sql);
	dlv_sql_put(&r->sql, text);
	ask(r, done);
}

/* --- INSERT, COMMIT --- */

static void
on_commit(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;

	if (answer->lost)
		fail(r, DLV_FAILED, "CommitUnknown",
			"the connection was lost at COMMIT; the delivery table will say whether it "
			"was "
			"done");
	else if (!answer->ok)
		fail_by(r, answer);
	else if (strcmp(PQcmdStatus(answer->results[answer->results_count - 1]), "COMMIT") != 0)
		fail(r, DLV_FAILED, "RolledBack", "the server rolled the transaction back");
	else
		succeed(r);
}

static void
put_time(struct dlv_sql *sql, uint64_t now_ns)
{
	time_t seconds = (time_t)(now_ns / SLK_NS_PER_S);
	struct tm tm;
	char text[32] = "1970-01-01 00:00:00";

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	dlv_sql_literal(sql, text);
}

static void
commit(struct redshift *r)
{
	struct dlv_sql *sql = &r->sql;

	dlv_sql_clear(sql);
	dlv_sql_put(sql,
		"INSERT INTO sealock.delivery (id, stream, batch, version, \"rows\", delivered_at) "
		"VALUES (");
	dlv_sql_literal(sql, r->batch->id);
	dlv_sql_put(sql, ", ");
	dlv_sql_literal(sql, r->env.arn);
	dlv_sql_put(sql, ", ");
	dlv_sql_number(sql, r->batch->number);
	dlv_sql_put(sql, ", ");
	dlv_sql_number(sql, r->batch->version);
	dlv_sql_put(sql, ", ");
	dlv_sql_number(sql, r->batch->count);
	dlv_sql_put(sql, ", ");
	put_time(sql, slk_wall_ns(r->env.clock));
	dlv_sql_put(sql, "); COMMIT");
	ask(r, on_commit);
}

/* --- LOCK, look again --- */

static void
put_look(struct redshift *r)
{
	dlv_sql_put(&r->sql, "SELECT 1 FROM sealock.delivery WHERE id = ");
	dlv_sql_literal(&r->sql, r->batch->id);
}

static void
on_rolled_back(void *arg, const struct dlv_link_answer *answer)
{
	(void)answer; /* nothing of it is left, either way */
	succeed(arg);
}

static void
on_locked(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;

	if (!answer->ok)
		fail_by(r, answer);
	else if (PQntuples(answer->results[answer->results_count - 1]) > 0)
		ask_text(r, "ROLLBACK", on_rolled_back);
	else
		commit(r);
}

static void
look_again(struct redshift *r)
{
	dlv_sql_clear(&r->sql);
	dlv_sql_put(&r->sql, "LOCK sealock.delivery; ");
	put_look(r);
	ask(r, on_locked);
}

/* --- COPY --- */

/* Code, column, line: what else stl_load_errors has quotes the record. */
static void
on_load_errors(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;
	char code[16] = "LoadFailed";
	const PGresult *found = answer->ok ? answer->results[answer->results_count - 1] : NULL;

	if (found != NULL && PQntuples(found) > 0 && PQnfields(found) == 3) {
		size_t len = strlen(r->failure);
		snprintf(code, sizeof(code), "%.12s", PQgetvalue(found, 0, 0));
		snprintf(r->failure + len, sizeof(r->failure) - len,
			"; stl_load_errors: code %.12s, column \"%.64s\", line %.20s", code,
			PQgetvalue(found, 0, 1), PQgetvalue(found, 0, 2));
	}
	fail(r, DLV_FAILED, code, r->failure);
}

static void
on_copied(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;

	if (answer->ok) {
		look_again(r);
	} else if (!answer->lost && strncmp(answer->sqlstate, "XX", 2) == 0) {
		snprintf(r->failure, sizeof(r->failure), "%s", answer->sentence);
		ask_text(r,
			"ROLLBACK; SELECT err_code, trim(colname), line_number FROM "
			"stl_load_errors "
			"WHERE session = pg_backend_pid() ORDER BY starttime DESC LIMIT 1",
			on_load_errors);
	} else {
		fail_by(r, answer);
	}
}

static void
on_begun(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;
	struct dlv_sql url = {0};

	if (!answer->ok) {
		fail_by(r, answer);
		return;
	}
	dlv_sql_put(&url, "s3://");
	dlv_sql_put(&url, r->env.s3->bucket);
	dlv_sql_put(&url, "/");
	dlv_sql_put(&url, r->manifest_key);
	dlv_sql_clear(&r->sql);
	dlv_sql_put(&r->sql, r->copy_head.text);
	dlv_sql_literal(&r->sql, url.status == SLK_OK ? url.text : "");
	dlv_sql_put(&r->sql, r->copy_tail.text);
	if (url.status != SLK_OK)
		r->sql.status = url.status;
	dlv_sql_fini(&url);
	ask(r, on_copied);
}

/* --- look --- */

static void look(struct redshift *r);
static void on_open(void *arg, const struct dlv_link_answer *answer);

static void
on_created(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;

	r->created = true;
	if (answer->ok)
		look(r);
	else if (strcmp(answer->sqlstate, "42501") == 0)
		fail(r, DLV_REFUSED, answer->sqlstate,
			"the table sealock.delivery is missing and the user may not create it; the "
			"statements to run are in docs/delivery-databases.md");
	else
		fail_by(r, answer);
}

static void
create(struct redshift *r)
{
	ask_text(r,
		"CREATE SCHEMA IF NOT EXISTS sealock; "
		"CREATE TABLE IF NOT EXISTS sealock.delivery (id varchar(36) NOT NULL, "
		"stream varchar(512) NOT NULL, batch bigint NOT NULL, version bigint NOT NULL, "
		"\"rows\" bigint NOT NULL, delivered_at timestamp NOT NULL)",
		on_created);
}

static void
on_looked(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;

	if (answer->ok && PQntuples(answer->results[answer->results_count - 1]) > 0) {
		succeed(r);
	} else if (answer->ok) {
		ask_text(r, "BEGIN", on_begun);
	} else if (!r->fresh && (answer->lost || strncmp(answer->sqlstate, "57P", 3) == 0)) {
		r->fresh = true;
		dlv_link_close(r->link);
		dlv_link_open(r->link, on_open, r);
	} else if (!r->created &&
		(strcmp(answer->sqlstate, "42P01") == 0 ||
			strcmp(answer->sqlstate, "3F000") == 0)) {
		create(r);
	} else {
		fail_by(r, answer);
	}
}

static void
look(struct redshift *r)
{
	dlv_sql_clear(&r->sql);
	dlv_sql_put(&r->sql, "SET statement_timeout TO ");
	dlv_sql_number(&r->sql, r->how.statement_ms);
	dlv_sql_put(&r->sql, "; ");
	put_look(r);
	ask(r, on_looked);
}

static void
on_open(void *arg, const struct dlv_link_answer *answer)
{
	struct redshift *r = arg;

	if (answer->ok)
		look(r);
	else if (answer->sqlstate[0] == '\0')
		fail(r, answer->tls ? DLV_REFUSED : DLV_FAILED, answer->tls ? "Tls" : "Unreachable",
			answer->sentence);
	else
		fail_by(r, answer);
}

/* --- object and manifest --- */

static void
on_manifest(void *arg, const struct dlv_result *result)
{
	struct redshift *r = arg;

	r->raw = NULL;
	if (result->outcome != DLV_DELIVERED) {
		end(r, result);
		return;
	}
	if (r->gives_up) {
		succeed(r);
		return;
	}
	r->fresh = !dlv_link_is_open(r->link);
	if (r->fresh)
		dlv_link_open(r->link, on_open, r);
	else
		look(r);
}

static void
put_json(struct dlv_sql *out, const char *text)
{
	for (; *text != '\0'; text++) {
		char one[8];
		if (*text == '"' || *text == '\\')
			snprintf(one, sizeof(one), "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			snprintf(one, sizeof(one), "\\u%04x", (unsigned char)*text);
		else
			snprintf(one, sizeof(one), "%c", *text);
		dlv_sql_put(out, one);
	}
}

static void
put_manifest(struct redshift *r)
{
	const char *key = dlv_s3_object_key(r->batch);
	struct dlv_sql *out = &r->manifest;
	int rc = SLK_NO_MEMORY;

	snprintf(r->manifest_key, sizeof(r->manifest_key), "%s%s", r->gives_up ? ERRORS : MANIFESTS,
		key);
	if (strlen(r->manifest_key) >= DLV_KEY_MAX) {
		fail(r, DLV_REFUSED, "KeyTooLong",
			"the prefix leaves no room for a manifest's key");
		return;
	}
	dlv_sql_clear(out);
	dlv_sql_put(out, "{\"entries\":[{\"url\":\"s3://");
	put_json(out, r->env.s3->bucket);
	dlv_sql_put(out, "/");
	put_json(out, key);
	dlv_sql_put(out, "\",\"mandatory\":true}]}\n");
	if (out->status == SLK_OK)
		rc = dlv_s3_raw_put(r->s3, r->manifest_key, slk_span(out->text, out->len),
			"application/json", on_manifest, r, &r->raw);
	if (rc != SLK_OK)
		fail(r, DLV_FAILED, "NoMemory", "no memory for a manifest");
}

static void
on_object(void *arg, const struct dlv_result *result)
{
	struct redshift *r = arg;

	r->object_under_way = false;
	if (result->outcome != DLV_DELIVERED) {
		end(r, result);
		return;
	}
	memcpy(r->object_id, r->batch->id, sizeof(r->object_id));
	put_manifest(r);
}

static void
on_start(void *arg)
{
	struct redshift *r = arg;

	if (strcmp(r->object_id, r->batch->id) == 0) {
		put_manifest(r);
		return;
	}
	r->object_under_way = true;
	dlv_s3_ops.deliver(r->s3, r->batch, on_object, r);
}

/* --- the table of functions --- */

static int
check_store(struct redshift *r, struct slk_error *err)
{
	const struct dlv_store *store = dlv_s3_store_of(r->s3);

	if (store->url == NULL)
		return slk_fail(err, SLK_CONFIG,
			"Redshift reads from S3: bucket %s is a directory in deliverd.yaml",
			r->env.s3->bucket);
	if (store->seal == DLV_SEAL_CLIENT && r->env.s3->kms_key_arn != NULL)
		return slk_fail(err, SLK_CONFIG,
			"Redshift cannot open objects that are sealed here: bucket %s has seal: "
			"client "
			"in deliverd.yaml",
			r->env.s3->bucket);
	if (r->how.iam_role == NULL)
		return slk_fail(err, SLK_CONFIG,
			"deliverd.yaml has no iam_role for %.100s: COPY reads from S3 as that role "
			"(databases)",
			r->database->host);
	dlv_sql_put(&r->copy_tail, " IAM_ROLE ");
	dlv_sql_literal(&r->copy_tail, r->how.iam_role);
	dlv_sql_put(&r->copy_tail, " MANIFEST REGION ");
	dlv_sql_literal(&r->copy_tail, store->region != NULL ? store->region : "us-east-1");
	return dlv_redshift_options(
		r->database->options, r->env.s3->compression, &r->copy_tail, err);
}

static int
prepare(struct redshift *r, struct slk_error *err)
{
	dlv_sql_put(&r->copy_head, "COPY ");
	int rc = dlv_sql_table(&r->copy_head, r->database->table, DLV_REDSHIFT_NAME_MAX, err);
	if (rc != SLK_OK)
		return rc;
	dlv_sql_put(&r->copy_head, " ");
	rc = dlv_sql_columns(&r->copy_head, r->database->columns, DLV_REDSHIFT_NAME_MAX, err);
	if (rc != SLK_OK)
		return rc;
	dlv_sql_put(&r->copy_head, " FROM ");
	rc = dlv_s3_ops.open(&r->env, &r->s3, err);
	return rc == SLK_OK ? check_store(r, err) : rc;
}

static void
redshift_close(void *dest)
{
	struct redshift *r = dest;

	if (r == NULL)
		return;
	dlv_link_free(r->link);
	if (r->s3 != NULL)
		dlv_s3_ops.close(r->s3);
	dlv_sql_fini(&r->copy_head);
	dlv_sql_fini(&r->copy_tail);
	dlv_sql_fini(&r->sql);
	dlv_sql_fini(&r->manifest);
	free(r);
}

static int
redshift_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	struct redshift *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a destination");
	r->env = *env;
	r->env.s3 = &env->spec->s3;
	r->env.error_type = NULL;
	r->database = &env->spec->database;
	r->how = dlv_databases_find(env->databases, r->database->host);
	const struct dlv_link_config config = {.loop = env->loop,
		.host = r->database->host,
		.port = r->database->port,
		.database = r->database->name,
		.user = r->database->user,
		.password = r->database->password,
		.how = r->how};
	int rc = prepare(r, err);
	if (rc == SLK_OK)
		rc = dlv_link_new(&config, &r->link);
	if (rc == SLK_NO_MEMORY)
		slk_fail(err, rc, "no memory for a destination");
	if (rc != SLK_OK) {
		redshift_close(r);
		return rc;
	}
	*out_dest = r;
	return SLK_OK;
}

static int
redshift_begin(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	struct redshift *r = dest;

	return dlv_s3_ops.begin(r->s3, batch, err);
}

static int
redshift_gather(void *dest, struct dlv_batch *batch, const struct dlv_record *records, size_t count,
	struct slk_error *err)
{
	struct redshift *r = dest;

	return dlv_s3_ops.gather(r->s3, batch, records, count, err);
}

static int
redshift_seal(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	struct redshift *r = dest;

	return dlv_s3_ops.seal(r->s3, batch, err);
}

static void
start(struct redshift *r, struct dlv_batch *batch, dlv_done done, void *arg, bool gives_up)
{
	r->batch = batch;
	r->done = done;
	r->done_arg = arg;
	r->gives_up = gives_up;
	r->created = false;
	r->failure[0] = '\0';
	dlv_timer_set(r->env.loop, &r->start, 1, on_start, r);
}

static void
redshift_deliver(void *dest, struct dlv_batch *batch, dlv_done done, void *arg)
{
	start(dest, batch, done, arg, false);
}

static void
redshift_give_up(void *dest, struct dlv_batch *batch, dlv_done done, void *arg)
{
	start(dest, batch, done, arg, true);
}

static void
redshift_cancel(void *dest, struct dlv_batch *batch)
{
	struct redshift *r = dest;

	dlv_timer_stop(r->env.loop, &r->start);
	if (r->object_under_way)
		dlv_s3_ops.cancel(r->s3, batch);
	r->object_under_way = false;
	if (r->raw != NULL)
		dlv_s3_raw_cancel(r->raw);
	r->raw = NULL;
	dlv_link_close(r->link);
	r->done = NULL;
	r->batch = NULL;
}

static void
redshift_release(void *dest, struct dlv_batch *batch)
{
	struct redshift *r = dest;

	dlv_s3_ops.release(r->s3, batch);
}

const struct dlv_destination_ops dlv_redshift_ops = {
	.name = "redshift",
	.open = redshift_open,
	.close = redshift_close,
	.begin = redshift_begin,
	.gather = redshift_gather,
	.seal = redshift_seal,
	.deliver = redshift_deliver,
	.give_up = redshift_give_up,
	.cancel = redshift_cancel,
	.release = redshift_release,
};
