/* An error with a sentence, for start-up, configuration and the operator's tools.
 *
 * Hot paths return a bare code. Where a person will read the reason, a function takes a struct
 * slk_error (NULL allowed) and writes one sentence that names what was wrong and, where it can,
 * what to do next. Never holds a secret.
 */
#ifndef SLK_BASE_ERROR_H
#define SLK_BASE_ERROR_H

#include "base/status.h"

struct slk_error {
	int status;
	char text[512]; /* always terminated; truncated if longer */
};

/* Set *err (if not NULL) and return status, so that `return slk_fail(err, SLK_IO, "...")` reads
 * well. */
int slk_fail(struct slk_error *err, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Like slk_fail() with status from errno and ": <strerror>" appended. */
int slk_fail_errno(struct slk_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Put "fmt: " in front of the present text and keep the status; returns err->status (SLK_INTERNAL
 * if err is NULL). */
int slk_fail_prefix(struct slk_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A static analyser sees one file at a time: without this it takes "cannot open" for success. */
#ifdef __clang_analyzer__
#define slk_fail(err, status, ...) ((void)slk_fail((err), (status), __VA_ARGS__), (status))
#define slk_fail_errno(err, ...) ((void)slk_fail_errno((err), __VA_ARGS__), SLK_SYSTEM)
#define slk_fail_prefix(err, ...) ((void)slk_fail_prefix((err), __VA_ARGS__), SLK_INTERNAL)
#endif

#endif
