#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "internal.h"

static void
key(yajl_gen g, const char *name)
{
	yajl_gen_string(g, (const unsigned char *)name, strlen(name));
}

static void
put_text(yajl_gen g, const char *name, const char *value)
{
	key(g, name);
	yajl_gen_string(g, (const unsigned char *)value, strlen(value));
}

/* JSON has no NaN and no infinity: null says that there is no figure. */
static void
put_double(yajl_gen g, const char *name, double value)
{
	char text[32];

	key(g, name);
	if (!isfinite(value)) {
		yajl_gen_null(g);
		return;
	}
	snprintf(text, sizeof(text), "%.6g", value);
	yajl_gen_number(g, text, strlen(text));
}

static void
put_count(yajl_gen g, const char *name, uint64_t value)
{
	key(g, name);
	yajl_gen_integer(g, (long long)value);
}

static void
put_machine(yajl_gen g, const struct bench *b)
{
	const struct bench_machine *m = &b->machine;

	key(g, "machine");
	yajl_gen_map_open(g);
	put_text(g, "cpu", m->cpu);
	put_count(g, "cores", m->cores);
	put_count(g, "core", m->core);
	put_text(g, "kernel", m->kernel);
	put_double(g, "load", m->load);
	put_double(g, "tsc_ghz", m->ticks_per_ns);
	key(g, "libraries");
	yajl_gen_map_open(g);
	for (uint32_t i = 0; i < b->library_count; i++)
		put_text(g, b->libraries[i].name, b->libraries[i].version);
	yajl_gen_map_close(g);
	yajl_gen_map_close(g);
}

static void
put_result(yajl_gen g, const struct bench_result *r)
{
	const struct bench_stats *s = &r->stats;

	yajl_gen_map_open(g);
	put_text(g, "group", r->group);
	put_text(g, "label", r->label);
	put_text(g, "contender", r->contender);
	put_text(g, "unit", "ns per operation");
	put_count(g, "rounds", s->rounds);
	put_count(g, "operations_per_round", r->ops);
	put_count(g, "bytes_per_operation", r->bytes_per_op);
	put_count(g, "working_set_bytes", r->working_set_bytes);
	put_double(g, "best", s->best);
	put_double(g, "q1", s->q1);
	put_double(g, "median", s->median);
	put_double(g, "q3", s->q3);
	put_double(g, "p99", s->p99);
	put_double(g, "p999", s->p999);
	put_double(g, "max", s->max);
	put_double(
		g, "best_gb_per_s", r->bytes_per_op > 0 ? (double)r->bytes_per_op / s->best : NAN);
	put_double(g, "best_cycles_per_byte",
		r->bytes_per_op > 0 ? s->best_cycles / (double)r->bytes_per_op : NAN);
	if (r->hash[0] != '\0')
		put_text(g, "sha256", r->hash);
	yajl_gen_map_close(g);
}

static void
put_goal(yajl_gen g, const struct bench_goal_entry *goal)
{
	yajl_gen_map_open(g);
	put_text(g, "name", goal->name);
	put_double(g, "goal", goal->goal);
	put_double(g, "value", goal->value);
	key(g, "met");
	yajl_gen_bool(g, goal->met);
	yajl_gen_map_close(g);
}

/* A step that failed leaves the generator in its error state, and then closing the outermost map
 * fails, too. */
static int
put_all(yajl_gen g, const struct bench *b)
{
	yajl_gen_map_open(g);
	put_text(g, "bench", b->name);
	put_text(g, "commit", b->commit);
	put_text(g, "when", b->when);
	key(g, "quick");
	yajl_gen_bool(g, b->quick);
	put_machine(g, b);
	key(g, "results");
	yajl_gen_array_open(g);
	for (uint32_t i = 0; i < b->result_count; i++)
		put_result(g, &b->results[i]);
	yajl_gen_array_close(g);
	key(g, "goals");
	yajl_gen_array_open(g);
	for (uint32_t i = 0; i < b->goal_count; i++)
		put_goal(g, &b->goals[i]);
	yajl_gen_array_close(g);
	key(g, "notes");
	yajl_gen_array_open(g);
	for (uint32_t i = 0; i < b->note_count; i++)
		key(g, b->notes[i]);
	yajl_gen_array_close(g);
	return yajl_gen_map_close(g) == yajl_gen_status_ok ? SLK_OK : SLK_INTERNAL;
}

static int
write_file(const char *path, const unsigned char *text, size_t len)
{
	FILE *f = fopen(path, "w");
	bool ok = f != NULL && fwrite(text, 1, len, f) == len;

	if (f != NULL && fclose(f) != 0)
		ok = false;
	if (ok)
		return SLK_OK;
	fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
	return slk_status_from_errno(errno != 0 ? errno : EIO);
}

int
bench_report_write(const struct bench *b)
{
	const unsigned char *text = NULL;
	size_t len = 0;
	yajl_gen g = yajl_gen_alloc(NULL);

	if (g == NULL)
		return SLK_NO_MEMORY;
	yajl_gen_config(g, yajl_gen_beautify, 1);
	yajl_gen_config(g, yajl_gen_indent_string, "  ");
	int rc = put_all(g, b);
	if (rc == SLK_OK && yajl_gen_get_buf(g, &text, &len) != yajl_gen_status_ok)
		rc = SLK_INTERNAL;
	if (rc == SLK_OK)
		rc = write_file(b->json_path, text, len);
	yajl_gen_free(g);
	return rc;
}
