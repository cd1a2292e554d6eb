/* delivering batches, destination by destination, beside the bare tool that moves the same bytes */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/delivery_bench.h"

/* A destination's part, if what it needs was there when this was built. */
static const struct {
	const char *name;
	int (*run)(struct bench *b, struct slk_error *err);
} parts[] = {
#ifdef DELIVERY_BENCH_OBJECTS
	{"file", delivery_bench_objects},
#endif
#ifdef DELIVERY_BENCH_POSTGRES
	{"PostgreSQL", delivery_bench_postgres},
#endif
#ifdef DELIVERY_BENCH_S3
	{"S3", delivery_bench_s3},
#endif
	{NULL, NULL},
};

/* All of it, unless SEALOCK_BENCH_PARTS names some: "file S3". */
static bool
wanted(const char *part)
{
	const char *names = getenv("SEALOCK_BENCH_PARTS");

	return names == NULL || strstr(names, part) != NULL;
}

int
main(int argc, char **argv)
{
	struct slk_error err = {0};
	struct bench *b = NULL;

	int rc = bench_new(argc, argv, "delivery", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	/* What is measured is several programs: they run where they would without a bench. */
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
	for (size_t i = 0; rc == SLK_OK && parts[i].name != NULL; i++) {
		if (!wanted(parts[i].name))
			continue;
		rc = parts[i].run(b, &err);
		if (rc != SLK_OK)
			slk_fail_prefix(&err, "%s", parts[i].name);
	}
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
