/* The report: one XHTML file that needs nothing else, for people; the JSON files beside it are for programs. */
#ifndef SLK_BENCH_RIG_HTML_H
#define SLK_BENCH_RIG_HTML_H

#include "load.h"

/* Write a page about all of them, in this order, to path; a page that could not be written whole is not left there.
 * abouts[i]: what the bench measures, "" if unknown. SLK_IO and others from errno. */
MUST_USE int rig_report_write(const char *path, struct rig_bench *const *benches,
	const char *const *abouts, size_t count, struct slk_error *err);

#endif
