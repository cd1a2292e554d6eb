/* Logging: one logfmt line per event on stderr.
 *
 *     slk_info("block sealed", slk_kv("stream", name), slk_kv("records", count));
 *     time=2026-11-24T10:00:00.123456Z level=info prog=sealock-ingestd msg="block sealed"
 * stream=web records=12
 *
 * Values are typed by _Generic: integers, double, bool, C strings, struct slk_span is NOT accepted,
 * nor is any pointer to a secret: code that tries does not compile. Ids go through slk_kv_hex().
 * Programs log, libraries return errors; nothing in a poll loop logs. Strings from outside are
 * escaped, lines are cut at 4 KiB. Thread: any.
 */
#ifndef SLK_BASE_LOG_H
#define SLK_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum slk_log_level { SLK_LOG_DEBUG, SLK_LOG_INFO, SLK_LOG_WARN, SLK_LOG_ERROR };

struct slk_log_field {
	const char *key;
	enum { SLK_F_I64, SLK_F_U64, SLK_F_F64, SLK_F_BOOL, SLK_F_STR, SLK_F_HEX } kind;
	union {
		int64_t i64;
		uint64_t u64;
		double f64;
		bool b;
		const char *str;
		struct {
			const uint8_t *ptr;
			size_t len;
		} hex;
	} v;
};

struct slk_log_field slk_field_i64(const char *key, int64_t v);
struct slk_log_field slk_field_u64(const char *key, uint64_t v);
struct slk_log_field slk_field_f64(const char *key, double v);
struct slk_log_field slk_field_bool(const char *key, bool v);
struct slk_log_field slk_field_str(const char *key, const char *v); /* NULL prints as "" */
struct slk_log_field slk_kv_hex(
	const char *key, const void *id, size_t len); /* len <= 64; ids only */

#define slk_kv(key, value) \
	_Generic((value), bool: slk_field_bool, char: slk_field_i64, signed char: slk_field_i64,   \
		short: slk_field_i64, int: slk_field_i64, long: slk_field_i64,                     \
		long long: slk_field_i64, unsigned char: slk_field_u64,                            \
		unsigned short: slk_field_u64, unsigned: slk_field_u64,                            \
		unsigned long: slk_field_u64, unsigned long long: slk_field_u64,                   \
		float: slk_field_f64, double: slk_field_f64, char *: slk_field_str,                \
		const char *: slk_field_str)((key), (value))

/* Name of the program in every line; call once at start. level: the lowest that is printed. */
void slk_log_init(const char *program, enum slk_log_level level);
/* Send lines elsewhere than to fd 2 (tests). */
void slk_log_set_fd(int fd);
/* "debug", "info", "warn", "error" -> level; false for anything else. */
bool slk_log_parse_level(const char *text, enum slk_log_level *out_level);

void slk_log_write(enum slk_log_level level, const char *msg, const struct slk_log_field *fields,
	size_t count);

#define SLK_LOG_(level, msg, ...) \
	do { \
		const struct slk_log_field slk_fields_[] = {{0}, ##__VA_ARGS__}; \
		slk_log_write((level), (msg), slk_fields_ + 1, \
			sizeof(slk_fields_) / sizeof(slk_fields_[0]) - 1); \
	} while (0)
#define slk_debug(msg, ...) SLK_LOG_(SLK_LOG_DEBUG, msg, ##__VA_ARGS__)
#define slk_info(msg, ...) SLK_LOG_(SLK_LOG_INFO, msg, ##__VA_ARGS__)
#define slk_warn(msg, ...) SLK_LOG_(SLK_LOG_WARN, msg, ##__VA_ARGS__)
#define slk_error_log(msg, ...) SLK_LOG_(SLK_LOG_ERROR, msg, ##__VA_ARGS__)

#endif
