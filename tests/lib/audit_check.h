/* Audit logs in tests: read them, walk their chain, change them. Functions fail the running test. */
#ifndef SLK_TESTS_LIB_AUDIT_CHECK_H
#define SLK_TESTS_LIB_AUDIT_CHECK_H

#include "seal/auditchain.h"

#define AUDIT_CHECK_MAX (8u << 20)

/* The whole file, terminated; one static buffer. */
char *audit_read(const char *path);
size_t audit_read_bytes(const char *path, uint8_t **out_bytes); /* static storage, too */
void audit_write(const char *path, const void *bytes, size_t len);

/* Walk these files, in this order, as one log. SLK_OK or SLK_CORRUPT. */
int audit_walk(const char *const *paths, size_t count, struct fmt_audit_point *out_end,
	struct seal_scan_result *out_result);
/* One file that must be sound; the number of its last line. */
uint64_t audit_sound(const char *path);
/* How often text is in the file. */
unsigned audit_count(const char *path, const char *text);

#endif
