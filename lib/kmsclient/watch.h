/* kmsd's numbers of changes, followed by one long-standing call: kmsd answers when a number moves, or after a while, and is
 * asked again at once. Nothing is asked for on a timer while all is quiet.
 *
 *     ASKING ──answer──► ASKING (again)          the numbers are known
 *       │ kmsd is away, hangs or refuses
 *       ▼
 *     PAUSE ──100 ms, doubled up to 2 s──► ASKING    they are not: kmsd may have changed, or been restarted, meanwhile
 *
 * The first question after a pause is answered at once, so that nothing that happened in between is missed. Nothing blocks.
 * The owner polls kmsc_watch_fd() for kmsc_watch_events() and calls kmsc_watch_turn() when it is ready, and at
 * kmsc_watch_next_ns(). Thread: the owner's.
 */
#ifndef SLK_KMSCLIENT_WATCH_H
#define SLK_KMSCLIENT_WATCH_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"
#include "kmsclient/streams.h"

struct kmsc_watch;

struct kmsc_watch_config {
	const char *path; /* as kmsc_new() */
	unsigned timeout_ms; /* for an answer that is due */
	bool deliveries; /* deliverd's: that number alone */
	const struct slk_clock *clock; /* NULL: the system's */
};

/* What became of a question. */
struct kmsc_watch_news {
	int status; /* SLK_OK, SLK_UNAVAILABLE, SLK_TIMEOUT, or what kmsd refuses with */
	struct slk_error err;
	struct kmsc_changes changes; /* with SLK_OK: as they are now, moved or not */
};

/* SLK_NO_MEMORY, SLK_TOO_LARGE (the path). */
MUST_USE int kmsc_watch_new(const struct kmsc_watch_config *config, struct kmsc_watch **out_watch);
void kmsc_watch_free(struct kmsc_watch *watch); /* NULL allowed */

/* Take what came, and ask if it is time to. true: there is news. */
bool kmsc_watch_turn(struct kmsc_watch *watch, struct kmsc_watch_news *out_news);

int kmsc_watch_fd(const struct kmsc_watch *watch); /* -1: none now */
short kmsc_watch_events(const struct kmsc_watch *watch); /* of poll() */
uint64_t kmsc_watch_next_ns(const struct kmsc_watch *watch); /* monotonic */

#endif
