/* The access log: a JSON object a line for each exchange, written by a thread of its own, so that no disk holds up the server.
 *
 *     {"time":"2026-11-24T10:00:00.123456Z","client":"192.0.2.1:4711","via":"tls","protocol":"HTTP/2","method":"POST",
 *      "path":"/","status":200,"outcome":"sent","in":1310,"out":72,"us":412,"tls":"TLSv1.3","connection":17, NOTES…}
 *
 * NOTES are what the app noted (app.h): request_id, service, operation, principal, key_id, error. A query, which may hold a
 * presigned signature, is left out. What the disk does not take in time is dropped, line by line, and counted.
 */
#ifndef GATEWAY_ACCESS_LOG_H
#define GATEWAY_ACCESS_LOG_H

#include "base/error.h"
#include "base/status.h"
#include "http/http.h"

struct gw_access_log;

/* Appends to the file at path, made with mode 0600; "-": standard error. SLK_DENIED ... with a sentence. */
MUST_USE int gw_access_log_open(
	const char *path, struct gw_access_log **out_log, struct slk_error *err);
/* Starts its thread; after the last change of privileges. */
MUST_USE int gw_access_log_start(struct gw_access_log *log, struct slk_error *err);
/* The file was renamed: open one at path again (SIGHUP). On an error the old one stays in use. */
MUST_USE int gw_access_log_reopen(struct gw_access_log *log, struct slk_error *err);
/* Writes what is left. NULL allowed. */
void gw_access_log_close(struct gw_access_log *log);

/* http_server_config.log; arg: the log. Thread: any. */
void gw_access_log_exchange(void *arg, const struct http_loop *loop, const struct http_exchange *x,
	const struct http_result *result);

struct gw_access_counts {
	uint64_t lines, dropped, failed_writes;
};
void gw_access_log_counts(struct gw_access_log *log, struct gw_access_counts *out_counts);

#endif
