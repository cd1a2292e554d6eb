/* The audit log: one line, and a whole file through the walk of its chain, from both ends. A line that decodes names only
 * bytes of itself; what is sound once is sound again. */
#include <stdlib.h>

#include "seal/auditchain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(struct slk_span outer, struct slk_span inner)
{
	if (inner.len > 0 &&
		(inner.ptr < outer.ptr || inner.ptr + inner.len > outer.ptr + outer.len))
		abort();
}

static int
on_line(void *arg, const struct fmt_audit_line *line, struct slk_span text, uint64_t offset)
{
	const struct slk_span *file = arg;

	if (offset + text.len >= file->len)
		abort();
	check_inside(*file, text);
	check_inside(text, line->covered);
	check_inside(text, line->public_key);
	check_inside(text, line->signature);
	return SLK_OK;
}

static int
walk(struct slk_span file)
{
	struct seal_scan_result result;
	struct seal_scan *scan = NULL;

	if (seal_scan_new(4, &scan) != SLK_OK)
		abort();
	int rc = seal_scan_file(scan, file, on_line, &file, &result);
	if (rc == SLK_OK ? result.offset != file.len : result.offset > file.len)
		abort();
	seal_scan_free(scan);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	struct seal_scan_result result, damaged;
	const struct slk_span in = slk_span(data, size);
	struct seal_scan *scan = NULL;

	if (fmt_audit_decode(in, &line) == SLK_OK) {
		check_inside(in, line.covered);
		check_inside(in, line.time);
	}
	int first = walk(in), again = walk(in);
	if (first != again || seal_scan_new(0, &scan) != SLK_OK)
		abort();
	if (seal_scan_resume(scan, in, size % 2, &result, &damaged) == SLK_OK &&
		result.offset > size + size % 2)
		abort();
	seal_scan_free(scan);
	return 0;
}
