#include "base/error.h"

#ifdef __clang_analyzer__
#undef slk_fail
#undef slk_fail_errno
#undef slk_fail_prefix
#endif

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
slk_fail(struct slk_error *err, int status, const char *fmt, ...)
{
	if (err == NULL)
		return status;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->status = status;
	return status;
}

int
slk_fail_errno(struct slk_error *err, const char *fmt, ...)
{
	int saved = errno;
	int status = slk_status_from_errno(saved);

	if (err == NULL)
		return status;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	size_t len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(saved));
	err->status = status;
	return status;
}

int
slk_fail_prefix(struct slk_error *err, const char *fmt, ...)
{
	if (err == NULL)
		return SLK_INTERNAL;
	char old[sizeof(err->text)];
	memcpy(old, err->text, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	size_t len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", old);
	return err->status;
}
