#include "load.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#define TEXT_MAX 512u

/* Where an answer to "what is wrong?" is gathered. */
struct reader {
	const char *path;
	struct slk_error *err;
	int rc;
};

static int
wrong(struct reader *r, const char *field, const char *what)
{
	if (r->rc == SLK_OK)
		r->rc = slk_fail(
			r->err, SLK_MALFORMED, "%s: \"%s\" is not %s", r->path, field, what);
	return r->rc;
}

static yajl_val
member(yajl_val object, const char *name)
{
	const char *path[] = {name, NULL};

	return yajl_tree_get(object, path, yajl_t_any);
}

static const char *
text_or(struct reader *r, yajl_val object, const char *name, const char *otherwise)
{
	yajl_val v = member(object, name);

	if (v == NULL && otherwise != NULL)
		return otherwise;
	const char *found = YAJL_GET_STRING(v);
	if (found == NULL || strlen(found) > TEXT_MAX) {
		wrong(r, name, "a text of at most 512 bytes");
		return "";
	}
	return found;
}

static const char *
text(struct reader *r, yajl_val object, const char *name)
{
	return text_or(r, object, name, NULL);
}

/* null is how a bench says that it has no figure. */
static double
figure(struct reader *r, yajl_val object, const char *name)
{
	yajl_val v = member(object, name);

	if (YAJL_IS_NULL(v))
		return NAN;
	if (!YAJL_IS_DOUBLE(v) && !YAJL_IS_INTEGER(v)) {
		wrong(r, name, "a number or null");
		return NAN;
	}
	return YAJL_GET_DOUBLE(v);
}

static uint64_t
whole(struct reader *r, yajl_val object, const char *name)
{
	yajl_val v = member(object, name);

	if (!YAJL_IS_INTEGER(v) || YAJL_GET_INTEGER(v) < 0) {
		wrong(r, name, "a whole number");
		return 0;
	}
	return (uint64_t)YAJL_GET_INTEGER(v);
}

static bool
truth(struct reader *r, yajl_val object, const char *name)
{
	yajl_val v = member(object, name);

	if (!YAJL_IS_TRUE(v) && !YAJL_IS_FALSE(v))
		wrong(r, name, "true or false");
	return YAJL_IS_TRUE(v);
}

/* The array's length, and room for as many elements of size bytes. */
static size_t
list(struct reader *r, yajl_val object, const char *name, size_t size, yajl_val *out_list,
	void **out_room)
{
	yajl_val v = member(object, name);

	if (!YAJL_IS_ARRAY(v)) {
		wrong(r, name, "a list");
		return 0;
	}
	*out_list = v;
	*out_room = calloc(v->u.array.len + 1, size);
	if (*out_room == NULL) {
		if (r->rc == SLK_OK)
			r->rc = slk_fail(r->err, SLK_NO_MEMORY, "%s: no memory", r->path);
		return 0;
	}
	return v->u.array.len;
}

static void
read_machine(struct reader *r, yajl_val root, struct rig_bench *b)
{
	yajl_val m = member(root, "machine");
	yajl_val libraries = member(m, "libraries");

	if (!YAJL_IS_OBJECT(m) || !YAJL_IS_OBJECT(libraries)) {
		wrong(r, "machine", "an object with \"libraries\"");
		return;
	}
	b->cpu = text(r, m, "cpu");
	b->kernel = text(r, m, "kernel");
	b->cores = whole(r, m, "cores");
	b->core = whole(r, m, "core");
	b->load = figure(r, m, "load");
	b->tsc_ghz = figure(r, m, "tsc_ghz");
	b->libraries = calloc(libraries->u.object.len + 1, sizeof(b->libraries[0]));
	if (b->libraries == NULL) {
		r->rc = slk_fail(r->err, SLK_NO_MEMORY, "%s: no memory", r->path);
		return;
	}
	for (size_t i = 0; i < libraries->u.object.len; i++) {
		const char *name = libraries->u.object.keys[i];
		b->libraries[i] = (struct rig_library){name, text(r, libraries, name)};
	}
	b->library_count = libraries->u.object.len;
}

static void
read_results(struct reader *r, yajl_val root, struct rig_bench *b)
{
	yajl_val v = NULL;
	void *room = NULL;
	size_t count = list(r, root, "results", sizeof(b->results[0]), &v, &room);

	b->results = room;
	for (size_t i = 0; i < count && r->rc == SLK_OK; i++) {
		yajl_val o = v->u.array.values[i];
		b->results[b->result_count++] = (struct rig_result){
			.group = text(r, o, "group"),
			.label = text(r, o, "label"),
			.contender = text(r, o, "contender"),
			.rounds = whole(r, o, "rounds"),
			.bytes_per_op = whole(r, o, "bytes_per_operation"),
			.best = figure(r, o, "best"),
			.q1 = figure(r, o, "q1"),
			.median = figure(r, o, "median"),
			.q3 = figure(r, o, "q3"),
			.p99 = figure(r, o, "p99"),
			.p999 = figure(r, o, "p999"),
			.max = figure(r, o, "max"),
			.best_gb_per_s = figure(r, o, "best_gb_per_s"),
			.sha256 = member(o, "sha256") == NULL ? NULL : text(r, o, "sha256"),
		};
	}
}

static void
read_goals(struct reader *r, yajl_val root, struct rig_bench *b)
{
	yajl_val v = NULL;
	void *room = NULL;
	size_t count = list(r, root, "goals", sizeof(b->goals[0]), &v, &room);

	b->goals = room;
	for (size_t i = 0; i < count && r->rc == SLK_OK; i++) {
		yajl_val o = v->u.array.values[i];
		b->goals[b->goal_count++] = (struct rig_goal){.name = text(r, o, "name"),
			.goal = figure(r, o, "goal"),
			.value = figure(r, o, "value"),
			.met = truth(r, o, "met")};
	}
}

static void
read_notes(struct reader *r, yajl_val root, struct rig_bench *b)
{
	yajl_val v = NULL;
	void *room = NULL;
	size_t count = list(r, root, "notes", sizeof(b->notes[0]), &v, &room);

	b->notes = room;
	for (size_t i = 0; i < count && r->rc == SLK_OK; i++) {
		if (!YAJL_IS_STRING(v->u.array.values[i])) {
			wrong(r, "notes", "a list of texts");
			return;
		}
		b->notes[b->note_count++] = YAJL_GET_STRING(v->u.array.values[i]);
	}
}

static int
read_object(struct reader *r, struct rig_bench *b)
{
	yajl_val root = b->tree;

	if (!YAJL_IS_OBJECT(root))
		return wrong(r, "bench", "there: this is no bench's object");
	b->name = text(r, root, "bench");
	b->failed = member(root, "failed") == NULL ? NULL : text(r, root, "failed");
	if (b->failed != NULL)
		return r->rc;
	b->commit = text(r, root, "commit");
	b->when = text_or(r, root, "when", "");
	b->quick = truth(r, root, "quick");
	if (r->rc == SLK_OK)
		read_machine(r, root, b);
	if (r->rc == SLK_OK)
		read_results(r, root, b);
	if (r->rc == SLK_OK)
		read_goals(r, root, b);
	if (r->rc == SLK_OK)
		read_notes(r, root, b);
	return r->rc;
}

/* The whole file with a NUL behind it. */
static int
slurp(const char *path, char **out_text, struct slk_error *err)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return slk_fail_errno(err, "cannot read %s", path);
	char *bytes = malloc(RIG_FILE_MAX + 1);
	size_t len = bytes != NULL ? fread(bytes, 1, RIG_FILE_MAX + 1, f) : 0;
	bool failed = ferror(f) != 0;
	(void)fclose(f);
	if (bytes == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory to read %s", path);
	if (failed || len > RIG_FILE_MAX) {
		free(bytes);
		return failed ? slk_fail(err, SLK_IO, "cannot read %s", path)
			      : slk_fail(err, SLK_TOO_LARGE, "%s is larger than 16 MiB", path);
	}
	bytes[len] = '\0';
	*out_text = bytes;
	return SLK_OK;
}

int
rig_bench_load(const char *path, struct rig_bench **out_bench, struct slk_error *err)
{
	struct reader r = {.path = path, .err = err};
	char why[256] = "";
	char *bytes = NULL;

	int rc = slurp(path, &bytes, err);
	if (rc != SLK_OK)
		return rc;
	struct rig_bench *b = calloc(1, sizeof(*b));
	if (b == NULL) {
		free(bytes);
		return slk_fail(err, SLK_NO_MEMORY, "no memory to read %s", path);
	}
	b->tree = yajl_tree_parse(bytes, why, sizeof(why));
	free(bytes);
	if (b->tree == NULL) {
		why[strcspn(why, "\n")] = '\0';
		rc = slk_fail(err, SLK_MALFORMED, "%s is not JSON: %s", path, why);
	} else {
		rc = read_object(&r, b);
	}
	if (rc != SLK_OK) {
		rig_bench_free(b);
		return rc;
	}
	*out_bench = b;
	return SLK_OK;
}

void
rig_bench_free(struct rig_bench *b)
{
	if (b == NULL)
		return;
	free(b->libraries);
	free(b->results);
	free(b->goals);
	free(b->notes);
	yajl_tree_free(b->tree);
	free(b);
}

int
rig_failure_write(const char *path, const char *bench, const char *why, struct slk_error *err)
{
	static const char *const names[] = {"bench", "failed"};
	const char *const values[] = {bench, why};
	const unsigned char *bytes = NULL;
	size_t len = 0;
	yajl_gen g = yajl_gen_alloc(NULL);

	if (g == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory to write %s", path);
	yajl_gen_config(g, yajl_gen_beautify, 1);
	yajl_gen_map_open(g);
	for (unsigned i = 0; i < 2; i++) {
		yajl_gen_string(g, (const unsigned char *)names[i], strlen(names[i]));
		yajl_gen_string(g, (const unsigned char *)values[i], strlen(values[i]));
	}
	int rc = yajl_gen_map_close(g) == yajl_gen_status_ok &&
			yajl_gen_get_buf(g, &bytes, &len) == yajl_gen_status_ok
		? SLK_OK
		: slk_fail(err, SLK_INTERNAL, "cannot put %s into JSON", bench);
	if (rc == SLK_OK) {
		FILE *f = fopen(path, "we");
		bool ok = f != NULL && fwrite(bytes, 1, len, f) == len;
		if (f != NULL && fclose(f) != 0)
			ok = false;
		if (!ok)
			rc = slk_fail_errno(err, "cannot write %s", path);
	}
	yajl_gen_free(g);
	return rc;
}
