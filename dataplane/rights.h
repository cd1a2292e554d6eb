/* Who may put into which stream, and where such records go: what the control thread said, kept for a while.
 *
 * A right is of a uid and a stream's name (or, for a client that authorises its own callers, of the name alone). It speaks for
 * as long as it is fresh: a yes for at most five minutes and never beyond the renewal interval, a refusal for two seconds, and
 * none of them beyond a change of what decides rights. Before a yes ends it is asked for again, so that nobody waits for it.
 *
 *     ASKED     nothing is known; records wait                  dp_right_hold(), dp_right_known() when it is stale
 *     FRESH     status speaks                                   dp_rights_take()
 *     stale     as ASKED once somebody wants to know            by time, by an era, dp_right_spoil()
 *
 * Thread: the door's.
 */
#ifndef DP_RIGHTS_H
#define DP_RIGHTS_H

#include "control.h"

#define DP_RIGHTS_MAX 4096u
#define DP_RIGHTS_OF_UID 1024u /* at most, so that nobody takes all places */

struct dp_right {
	/* The last answer. */
	int status;
	char sentence[512]; /* "" if status is SLK_OK */
	uint64_t stream_id;
	unsigned slot;
	unsigned worker;
	bool encrypted_kms;
	/* Records that wait for an answer, first in first out. */
	struct dp_put *waiting, *waiting_tail;

	/* dp_rights' own. */
	bool used;
	bool asking;
	bool trusted;
	uint32_t holders;
	uint64_t until_ns;
	uint64_t renew_ns; /* when a yes is asked for again, ahead of its end */
	uint64_t era;
	uint64_t last_used_ns;
	struct dp_ask ask; /* the control thread's while asking */
};

struct dp_rights;

/* age_ns: of a yes. SLK_NO_MEMORY. */
MUST_USE int dp_rights_new(struct dp_control *control, const struct slk_clock *clock,
	uint64_t age_ns, struct dp_rights **out_rights);
/* After the control thread has ended; nothing waits. NULL allowed. */
void dp_rights_free(struct dp_rights *rights);

/* The right, held until dp_right_drop(); asked for if it is not known. NULL: too many at once. stream: at most
 * FMT_PORT_NAME_MAX characters. */
struct dp_right *dp_right_hold(
	struct dp_rights *rights, uid_t uid, bool trusted, const char *stream);
void dp_right_drop(struct dp_right *right);

/* Does its answer speak now? false: it is being asked for. */
bool dp_right_known(struct dp_rights *rights, struct dp_right *right);
/* What it said has proved wrong: ask again at the next use. */
void dp_right_spoil(struct dp_right *right);

/* A right whose answer has come, or NULL. Its records are still waiting. */
struct dp_right *dp_rights_take(struct dp_rights *rights);

/* A record that still waits for any of them, or NULL: when no answer will come any more. */
struct dp_put *dp_rights_give_up(struct dp_rights *rights);

#endif
