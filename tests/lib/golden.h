/* Golden bytes from tests/fuzz/corpus/FORMAT/NAME, which also start the fuzz targets. */
#ifndef SLK_TESTS_LIB_GOLDEN_H
#define SLK_TESTS_LIB_GOLDEN_H

#include <stdio.h>

#include "slk_test.h"

/* Reads the whole file; fails the test if it is not there or larger than cap. */
static inline size_t
golden_read(const char *name, uint8_t *out, size_t cap)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", SLK_SOURCE_DIR, name);
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("cannot open %s", path);
	size_t len = fread(out, 1, cap, f);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	assert_true(len > 0);
	return len;
}

#endif
