#include "slk_test.h"

#include "audit_check.h"

#include <stdio.h>
#include <string.h>

static uint8_t buffer[AUDIT_CHECK_MAX + 1];

size_t
audit_read_bytes(const char *path, uint8_t **out_bytes)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		fail_msg("cannot open %s", path);
	size_t len = fread(buffer, 1, AUDIT_CHECK_MAX, f);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	buffer[len] = '\0';
	*out_bytes = buffer;
	return len;
}

char *
audit_read(const char *path)
{
	uint8_t *bytes;

	(void)audit_read_bytes(path, &bytes);
	return (char *)bytes;
}

void
audit_write(const char *path, const void *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

int
audit_walk(const char *const *paths, size_t count, struct fmt_audit_point *out_end,
	struct seal_scan_result *out_result)
{
	struct seal_scan *scan = NULL;
	int rc = SLK_OK;

	assert_int_equal(seal_scan_new(1024, &scan), SLK_OK);
	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		uint8_t *bytes;
		size_t len = audit_read_bytes(paths[i], &bytes);
		rc = seal_scan_file(scan, slk_span(bytes, len), NULL, NULL, out_result);
	}
	*out_end = *seal_scan_point(scan);
	seal_scan_free(scan);
	return rc;
}

uint64_t
audit_sound(const char *path)
{
	struct seal_scan_result result;
	struct fmt_audit_point end;

	if (audit_walk(&path, 1, &end, &result) != SLK_OK)
		fail_msg("%s, line %llu: %s", path, (unsigned long long)result.line_number,
			result.text);
	return end.seq;
}

unsigned
audit_count(const char *path, const char *text)
{
	unsigned count = 0;

	uint8_t *bytes;
	size_t len = audit_read_bytes(path, &bytes);
	const uint8_t *at = bytes, *end = bytes + len;

	while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
		count++;
		at++;
	}
	return count;
}
