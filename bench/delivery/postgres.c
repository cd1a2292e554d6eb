#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "database.h"
#include "delivery_bench.h"
#include "destination.h"
#include "loop.h"

#define BATCH_BYTES (32u << 20)
#define QUICK_BYTES (1u << 20)
#define ROUNDS_NOTE "one transaction of 32 MiB each, sessions that stay, a table without an index"

/* One shape of rows: the same records for both. */
struct rows {
	const char *label, *columns;
	size_t len; /* about, of a record */
	char *bytes; /* whole lines */
	size_t bytes_len;
	struct dlv_record *records;
	size_t count;
};

struct postgres_bench {
	struct database database;
	struct dlv_loop *loop;
	struct dlv_pool *pool;
	struct slk_secret *password;
	struct dlv_spec spec;
	void *dest;
	struct rows *rows;
	char file[300];
	uint64_t batches;
	bool ended;
	enum dlv_outcome outcome;
	struct slk_error err;
	int status; /* of any run */
};

/* --- rows --- */

static void
print_row(char *out, size_t cap, const struct rows *rows, size_t i, uint64_t *seed)
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
	uint8_t random[2048];
	size_t len = rows->len < sizeof(random) ? rows->len : sizeof(random);

	bench_fill(seed, random, len);
	int n = snprintf(out, cap, "%zu\t2026-01-01 00:00:%02zu\t%u\t", i, i % 60, random[0]);
	char *at = out + n;
	for (size_t k = 0; (size_t)n + k < len; k++)
		*at++ = digits[random[k] % 64];
	*at++ = '\n';
	*at = '\0';
}

static int
make_rows(struct rows *rows, size_t bytes)
{
	size_t cap = bytes + 4096;
	uint64_t seed = 1;

	rows->bytes = malloc(cap);
	rows->records = calloc(bytes / rows->len + 2, sizeof(*rows->records));
	if (rows->bytes == NULL || rows->records == NULL)
		return SLK_NO_MEMORY;
	while (rows->bytes_len < bytes && rows->count < bytes / rows->len + 1) {
		char *at = rows->bytes + rows->bytes_len;
		print_row(at, cap - rows->bytes_len, rows, rows->count, &seed);
		rows->records[rows->count++].data = slk_span(at, strlen(at));
		rows->bytes_len += strlen(at);
	}
	return SLK_OK;
}

static int
write_file(struct postgres_bench *p, struct slk_error *err)
{
	snprintf(p->file, sizeof(p->file), "%s/rows", p->database.dir);
	FILE *file = fopen(p->file, "w");

	if (file == NULL ||
		fwrite(p->rows->bytes, 1, p->rows->bytes_len, file) != p->rows->bytes_len ||
		fclose(file) != 0)
		return slk_fail_errno(err, "cannot write %s", p->file);
	return SLK_OK;
}

/* --- the contenders --- */

static void
empty_table(struct postgres_bench *p)
{
	if (p->status == SLK_OK)
		p->status = database_sql(&p->database, "TRUNCATE bench_rows", NULL, 0, &p->err);
}

static void
run_psql(void *arg)
{
	struct postgres_bench *p = arg;
	char command[400];

	empty_table(p);
	snprintf(command, sizeof(command), "\\copy bench_rows from '%s'", p->file);
	if (p->status == SLK_OK)
		p->status = database_psql(&p->database, command, &p->err);
}

static void
on_done(void *arg, const struct dlv_result *result)
{
	struct postgres_bench *p = arg;

	p->ended = true;
	p->outcome = result->outcome;
	if (result->outcome != DLV_DELIVERED)
		p->err = result->error;
}

static int
deliver(struct postgres_bench *p)
{
	struct dlv_batch batch = {.number = ++p->batches, .version = 1};
	const struct dlv_destination_ops *ops = &dlv_postgres_ops;

	snprintf(batch.id, sizeof(batch.id), "00000000-0000-4000-8000-%012llx",
		(unsigned long long)batch.number);
	dlv_buffer_init(&batch.body, p->pool);
	int rc = ops->begin(p->dest, &batch, &p->err);
	for (size_t i = 0; rc == SLK_OK && i < p->rows->count; i += 1000) {
		size_t left = p->rows->count - i;
		rc = ops->gather(
			p->dest, &batch, p->rows->records + i, left < 1000 ? left : 1000, &p->err);
	}
	batch.count = p->rows->count;
	if (rc == SLK_OK)
		rc = ops->seal(p->dest, &batch, &p->err);
	p->ended = rc != SLK_OK;
	if (rc == SLK_OK)
		ops->deliver(p->dest, &batch, on_done, p);
	while (rc == SLK_OK && !p->ended)
		rc = dlv_loop_turn(p->loop, -1, &p->err);
	if (rc == SLK_OK && p->outcome != DLV_DELIVERED)
		rc = SLK_UNAVAILABLE;
	if (batch.work != NULL)
		ops->release(p->dest, &batch);
	dlv_buffer_fini(&batch.body);
	return rc;
}

static void
run_deliver(void *arg)
{
	struct postgres_bench *p = arg;

	empty_table(p);
	if (p->status == SLK_OK)
		p->status = deliver(p);
}

/* --- comparing --- */

static int
hash_table(struct postgres_bench *p, char out[65], struct slk_error *err)
{
	return database_sql(&p->database,
		"SELECT encode(sha256(convert_to(string_agg(md5(t::text), '' ORDER BY id), "
		"'UTF8')), "
		"'hex') FROM bench_rows t",
		out, 65, err);
}

static int
compare(struct bench *b, struct postgres_bench *p, struct slk_error *err)
{
	const struct bench_contender c[] = {
		{"gathered and delivered", run_deliver, p}, {"psql \\copy", run_psql, p}};
	const struct bench_shape shape = {.group = "PostgreSQL",
		.label = p->rows->label,
		.ops = p->rows->count,
		.bytes_per_op = p->rows->bytes_len / p->rows->count,
		.working_set_bytes = 2 * p->rows->bytes_len};
	char hashes[2][65], name[100];
	struct bench_stats stats[2];

	int rc = database_sql(&p->database,
		"SET client_min_messages = warning; DROP TABLE IF EXISTS bench_rows; CREATE TABLE "
		"bench_rows (id bigint, at "
		"timestamp, n "
		"int, line text)",
		NULL, 0, err);
	if (rc == SLK_OK)
		rc = write_file(p, err);
	if (rc != SLK_OK)
		return rc;
	bench_compare(b, &shape, c, 2, stats);
	for (unsigned i = 0; i < 2 && p->status == SLK_OK; i++) {
		c[i].run(c[i].arg);
		if (p->status == SLK_OK)
			p->status = hash_table(p, hashes[i], &p->err);
	}
	if (p->status != SLK_OK) {
		*err = p->err;
		return p->status;
	}
	bench_same_hash(b, &shape, c, 2, hashes);
	snprintf(name, sizeof(name), "8: rows of %s to PostgreSQL, of psql COPY's rate",
		p->rows->label);
	bench_goal(b, name, 0.8, stats[1].best / stats[0].best, true);
	bench_note(b, "to PostgreSQL by medians: %.2f of psql's rate, rows of %s",
		stats[1].median / stats[0].median, p->rows->label);
	return SLK_OK;
}

static int
open_dest(struct postgres_bench *p, struct slk_error *err)
{
	p->spec = (struct dlv_spec){.kind = DLV_TO_POSTGRES,
		.database = {.role_arn = "",
			.host = "127.0.0.1",
			.port = p->database.port,
			.name = "postgres",
			.user = "bench",
			.password = p->password,
			.table = "bench_rows",
			.columns = "",
			.options = ""}};
	const struct dlv_env env = {.name = "bench",
		.arn = "arn:aws:firehose:us-east-1:000000000000:deliverystream/bench",
		.spec = &p->spec,
		.version = 1,
		.loop = p->loop,
		.pool = p->pool,
		.clock = slk_clock_system()};
	return dlv_postgres_ops.open(&env, &p->dest, err);
}

static int
set_up(struct postgres_bench *p, struct slk_error *err)
{
	int rc = database_start(&p->database, err);

	if (rc == SLK_OK)
		rc = dlv_loop_new(1, NULL, &p->loop, err);
	if (rc != SLK_OK)
		return rc;
	if (dlv_pool_new(1u << 30, false, &p->pool) != SLK_OK ||
		slk_secret_from(DATABASE_PASSWORD, strlen(DATABASE_PASSWORD), &p->password) !=
			SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	return open_dest(p, err);
}

static void
tear_down(struct postgres_bench *p)
{
	dlv_postgres_ops.close(p->dest);
	dlv_loop_free(p->loop);
	dlv_pool_free(p->pool);
	slk_secret_free(p->password);
	database_stop(&p->database);
}

int
delivery_bench_postgres(struct bench *b, struct slk_error *err)
{
	struct rows shapes[] = {{.label = "128 B", .len = 128}, {.label = "1 KiB", .len = 1024}};
	const struct bench_contender heads[] = {
		{"gathered and delivered", NULL, NULL}, {"psql \\copy", NULL, NULL}};
	struct postgres_bench p = {0};

	int rc = set_up(&p, err);
	if (rc == SLK_OK)
		bench_heading(b, "rows to PostgreSQL, durable, " ROUNDS_NOTE, heads, 2);
	for (size_t i = 0; i < 2; i++) {
		p.rows = &shapes[i];
		if (rc == SLK_OK)
			rc = make_rows(p.rows, bench_quick(b) ? QUICK_BYTES : BATCH_BYTES);
		if (rc == SLK_OK)
			rc = compare(b, &p, err);
		free(shapes[i].bytes);
		free(shapes[i].records);
	}
	tear_down(&p);
	if (rc != SLK_NOT_FOUND)
		return rc;
	bench_note(b, "PostgreSQL is not installed: its goals are not shown");
	return SLK_OK;
}
