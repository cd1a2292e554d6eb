#include "base/status.h"

#ifdef __clang_analyzer__
#undef slk_status_from_errno
#endif

#include <errno.h>
#include <stddef.h>

struct status_row {
	int code;
	enum slk_class class;
	const char *name;
	const char *sentence;
};

static const struct status_row status_rows[] = {
#define X(code, number, class, name, sentence) {number, SLK_CLASS_##class, name, sentence},
	SLK_STATUS_LIST(X)
#undef X
};

static const struct status_row *
status_find(int status)
{
	for (size_t i = 0; i < sizeof(status_rows) / sizeof(status_rows[0]); i++) {
		if (status_rows[i].code == status)
			return &status_rows[i];
	}
	return NULL;
}

enum slk_class
slk_status_class(int status)
{
	const struct status_row *row = status_find(status);

	return row != NULL ? row->class : SLK_CLASS_FATAL;
}

const char *
slk_status_name(int status)
{
	const struct status_row *row = status_find(status);

	return row != NULL ? row->name : "Unknown";
}

const char *
slk_status_sentence(int status)
{
	const struct status_row *row = status_find(status);

	return row != NULL ? row->sentence : "an unknown status";
}

int
slk_status_from_errno(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return SLK_DISK_FULL;
	case ENOMEM:
		return SLK_NO_MEMORY;
	case EACCES:
	case EPERM:
		return SLK_DENIED;
	case ENOENT:
	case ENOTDIR:
		return SLK_NOT_FOUND;
	case EEXIST:
		return SLK_EXISTS;
	case EAGAIN:
		return SLK_AGAIN;
	case ETIMEDOUT:
		return SLK_TIMEOUT;
	case EPIPE:
	case ECONNRESET:
		return SLK_CLOSED;
	case ECONNREFUSED:
		return SLK_UNAVAILABLE;
	case EMSGSIZE:
	case EFBIG:
		return SLK_TOO_LARGE;
	case EIO:
	case EROFS:
	case ENXIO:
	case ENODEV:
		return SLK_IO;
	default:
		return SLK_SYSTEM;
	}
}
