#include "tempdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEMORY "/dev/shm"

static void
make(const char *other, char *out, size_t cap)
{
	const char *base = getenv("TMPDIR");

	int n = snprintf(out, cap, "%s/sealock-test-XXXXXX", base != NULL ? base : other);
	if (n < 0 || (size_t)n >= cap || mkdtemp(out) == NULL) {
		perror("tempdir_make");
		exit(1);
	}
}

void
tempdir_make(char *out, size_t cap)
{
	make("/tmp", out, cap);
}

void
tempdir_make_in_memory(char *out, size_t cap)
{
	make(access(MEMORY, W_OK) == 0 ? MEMORY : "/tmp", out, cap);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
tempdir_remove(const char *path)
{
	(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
