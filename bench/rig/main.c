/* sealock-bench: run the benches that came with the product, and write what they found as a report. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "html.h"
#include "load.h"
#include "run.h"

#define FILES_MAX 64u

static const char USAGE[] =
	"Usage: sealock-bench list\n"
	"       sealock-bench run [NAME...] [--out DIR] [--quick] [-- ARGUMENT...]\n"
	"       sealock-bench report FILE.json... [--out FILE.html]\n"
	"\n"
	"Measures this machine: what sealing, the journal, the KMS and the dataplane do here, each "
	"beside\n"
	"what you would use instead, in one interleaved run.\n"
	"\n"
	"  list      the benches, one line each\n"
	"  run       run those that are named, or all, one after the other. DIR (default: "
	"bench-results)\n"
	"            gets NAME.json and NAME.log of each, and report.html. The noise of the "
	"machine is\n"
	"            measured first, whatever is named\n"
	"  report    write FILE.html (default: report.html) from objects that were written before, "
	"also by\n"
	"            other machines\n"
	"\n"
	"  --quick   tiny inputs, only to see that all of it works here; the figures mean nothing\n"
	"  -- ...    what follows goes to every bench: --core N, --rounds N; a bench's own --help "
	"tells more\n"
	"\n"
	"Stop what else runs on the machine, leave the report's noise floor below a per cent, and "
	"keep to one\n"
	"machine when you compare. As root the KMS benches use users of their own. Exit status: 0, "
	"or 1 if a\n"
	"bench gave no figures (the report says why), 2 if the command is wrong. A missed goal is "
	"no failure.\n";

static int
fail(const struct slk_error *err)
{
	fprintf(stderr, "sealock-bench: %s\n", err->text);
	return 1;
}

static int
misused(const char *what, const char *word)
{
	fprintf(stderr, "sealock-bench: %s%s; see sealock-bench --help\n", what, word);
	return 2;
}

static int
list_benches(void)
{
	char directory[RIG_PATH_MAX];
	struct slk_error err;

	if (rig_directory(directory, &err) != SLK_OK)
		return fail(&err);
	for (const struct rig_entry *e = rig_entries; e->name != NULL; e++)
		printf("%-12s %s%s\n", e->name, e->about,
			rig_is_installed(directory, e->name) ? "" : " (not installed)");
	return 0;
}

/* Load all, write the page, free. */
static int
write_report(const char *path, const char *const *files, size_t count)
{
	struct rig_bench *benches[FILES_MAX] = {NULL};
	const char *abouts[FILES_MAX] = {NULL};
	struct slk_error err;
	size_t loaded = 0;
	int rc = SLK_OK;

	for (; loaded < count && rc == SLK_OK; loaded++) {
		rc = rig_bench_load(files[loaded], &benches[loaded], &err);
		if (rc != SLK_OK)
			break;
		const struct rig_entry *e = rig_entry_find(benches[loaded]->name);
		abouts[loaded] = e != NULL ? e->about : "";
	}
	if (rc == SLK_OK)
		rc = rig_report_write(path, benches, abouts, count, &err);
	for (size_t i = 0; i < loaded; i++)
		rig_bench_free(benches[i]);
	if (rc != SLK_OK)
		return fail(&err);
	printf("%s\n", path);
	return 0;
}

struct plan {
	const char *out;
	bool quick;
	const char *names[FILES_MAX];
	size_t count;
	const char *const *arguments;
};

/* Noise first; then what was named, or all. */
static int
make_plan(struct plan *p, char **names, int count)
{
	p->names[p->count++] = "noise";
	for (int i = 0; i < count; i++) {
		if (rig_entry_find(names[i]) == NULL)
			return misused("there is no bench of the name ", names[i]);
		if (strcmp(names[i], "noise") != 0 && p->count < FILES_MAX)
			p->names[p->count++] = names[i];
	}
	for (const struct rig_entry *e = rig_entries; count == 0 && e->name != NULL; e++) {
		if (strcmp(e->name, "noise") != 0 && p->count < FILES_MAX)
			p->names[p->count++] = e->name;
	}
	return 0;
}

static double
seconds(void)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
run_plan(const struct plan *p)
{
	static char paths[FILES_MAX][RIG_PATH_MAX];
	const char *files[FILES_MAX];
	char directory[RIG_PATH_MAX], page[RIG_PATH_MAX];
	struct rig_run run = {.directory = directory,
		.out = p->out,
		.quick = p->quick,
		.arguments = p->arguments};
	struct slk_error err;
	int status = 0;

	if (rig_directory(directory, &err) != SLK_OK)
		return fail(&err);
	if (mkdir(p->out, 0755) != 0 && errno != EEXIST) {
		(void)slk_fail_errno(&err, "cannot make %.256s", p->out);
		return fail(&err);
	}
	if (strlen(p->out) + 2 * RIG_NAME_MAX >= RIG_PATH_MAX)
		return misused("the directory's name is too long: ", p->out);
	/* What is measured is this build, unless a checkout says so more exactly. */
	if (setenv("SLK_BENCH_COMMIT", RIG_VERSION, 0) != 0)
		return misused("no memory", "");
	for (size_t i = 0; i < p->count; i++) {
		double begin = seconds();
		bool ran = false;
		printf("[%zu/%zu] %-12s ", i + 1, p->count, p->names[i]);
		(void)fflush(stdout);
		if (rig_run(&run, p->names[i], &ran, &err) != SLK_OK)
			return fail(&err);
		if (ran)
			printf("done in %.0f s\n", seconds() - begin);
		else
			printf("no figures: %s\n", err.text);
		status = ran ? status : 1;
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/%s.json", p->out, p->names[i]);
		files[i] = paths[i];
	}
	(void)snprintf(page, sizeof(page), "%s/report.html", p->out);
	int rc = write_report(page, files, p->count);
	return rc != 0 ? rc : status;
}

/* --out, --quick, --help and --version anywhere; what follows "--" is kept aside before. */
static int
read_options(int argc, char **argv, const char **out, bool *quick)
{
	static const struct option options[] = {{"out", required_argument, NULL, 'o'},
		{"quick", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'}, {0}};
	int o;

	while ((o = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(USAGE, stdout);
			exit(0);
		}
		if (o == 'V') {
			puts("sealock-bench " RIG_VERSION);
			exit(0);
		}
		if (o == 'o')
			*out = optarg;
		else if (o == 'q' && quick != NULL)
			*quick = true;
		else
			return misused("an option is wrong", "");
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct plan plan = {.out = NULL};
	int own = 1;

	while (own < argc && strcmp(argv[own], "--") != 0)
		own++;
	plan.arguments = own < argc ? (const char *const *)&argv[own + 1] : NULL;
	if (own < argc)
		argv[own] = NULL;
	if (own < 2)
		return misused("no command", "");
	bool runs = strcmp(argv[1], "run") == 0;
	int rc = read_options(own, argv, &plan.out, runs ? &plan.quick : NULL);
	if (rc != 0)
		return rc;
	/* getopt has moved the words behind the options; the first is the command. */
	char **words = &argv[optind + 1];
	int count = own - optind - 1;
	const char *command = optind < own ? argv[optind] : "";
	if (strcmp(command, "list") == 0)
		return count == 0 ? list_benches() : misused("list takes no ", words[0]);
	if (strcmp(command, "run") == 0) {
		plan.out = plan.out != NULL ? plan.out : "bench-results";
		rc = make_plan(&plan, words, count);
		return rc != 0 ? rc : run_plan(&plan);
	}
	if (strcmp(command, "report") != 0)
		return misused("there is no command ", command);
	if (count < 1 || count > (int)FILES_MAX)
		return misused("report takes 1 to 64 files", "");
	return write_report(plan.out != NULL ? plan.out : "report.html", (const char *const *)words,
		(size_t)count);
}
