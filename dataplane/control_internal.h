/* What the files of the control thread share. Internal to dataplane/; thread: the control thread's own, unless stated.
 *
 *     control.c            the thread, keys, answers of the workers, what others may ask
 *     control_streams.c    kmsd, messages to workers, streams: made, looked after, taken away
 *     control_routes.c     a stream's shards, and where records of it go
 *     control_changes.c    changes of shards, of keys, deletions: performed, and kmsd told so
 *     control_listeners.c  listeners: their rights, and a new list of them (SIGHUP)
 */
#ifndef DP_CONTROL_INTERNAL_H
#define DP_CONTROL_INTERNAL_H

#include <pthread.h>

#include "base/log.h"
#include "control.h"
#include "kmsclient/kmsclient.h"
#include "kmsclient/streams.h"
#include "kmsclient/watch.h"
#include "renew.h"
#include "seal_path.h"

#define DP_ACTION_PUT "kinesis:PutRecord"
#define DP_ACTION_PUT_DELIVERY "firehose:PutRecord"
#define DP_LIST_PAGE 32u

struct entry {
	struct dp_stream *stream; /* NULL: the slot is free */
	struct kmsc_shard *rows; /* its shards as they were last read, by number */
	size_t rows_count;
	_Atomic uint32_t open_shards;
	/* What the catalog wants to be performed. */
	uint64_t change; /* that was begun; 0: none */
	bool resharding; /* the worker has a change of shards */
	bool rekeying; /* the epoch is not under the key of the change yet */
	bool ending; /* and is to end without another, for there is none to be had */
	bool telling; /* it is performed, and kmsd does not know yet */
	struct dp_pending *ended; /* of the shards that were closed */
	uint32_t ended_count;
	struct dp_renew renew;
	bool removing;
	bool seen; /* in the list that is being read */
	bool feeds_stale; /* a listener of it came or went */
	char key_arn[KMSC_ARN_MAX]; /* the CMK that the catalog names for new epochs */
	bool encrypted_kms; /* as the catalog said last */
	_Atomic uint64_t key_asked_ns; /* 0: no key */
	_Atomic int key_error;
};

/* The right of a listener's role. */
struct grant {
	bool known; /* an answer came since it was opened */
	int status;
	uint64_t until_ns; /* the last yes holds so long, if kmsd is away */
	uint64_t next_ns;
	uint64_t retry_ns;
};

/* A listener's place: its index is the one that ports, workers and feeds know it by. */
struct place {
	const struct dp_listener_config *config; /* NULL: free */
	unsigned worker;
	struct grant grant;
};

struct dp_control {
	const struct dp_config *config; /* of the start; its list of listeners may be outdated */
	struct dp_config *
		reloaded; /* ours: where the places' configurations are since a reload; NULL: in config */
	const struct slk_clock *clock;
	struct dp_worker **workers;
	unsigned worker_count;
	const struct dp_vmgen *vmgen;
	int control_fd;
	int door_fd;
	struct dp_ages *ages; /* NULL: none */
	uint64_t interval_ns;
	uint64_t grace_ns;
	struct kmsc *kms;
	_Atomic uint32_t stop;
	_Atomic uint64_t keys;
	struct place places[DP_LISTENERS_MAX];
	uint64_t gate_ns; /* no call of kmsd before this: the last one found nobody */
	uint64_t gate_backoff_ns;
	struct kmsc_watch *watch; /* tells when kmsd's numbers move */
	bool changes_known; /* kmsd told them since the start */
	struct kmsc_changes changes; /* as it told them last */
	uint64_t look_ns; /* no list of the catalog before this */
	uint64_t changes_seen; /* of the streams that were listed; 0: none yet */
	bool unfinished; /* something of the list could not be brought about: look again */
	uint64_t rights_seen; /* of what decides rights; 0: none yet */
	_Atomic uint64_t rights_era; /* a right that was given in another one is asked for anew */
	struct kmsc_stream page[DP_LIST_PAGE];
	pthread_mutex_t
		lock; /* asks, answers, a reload that waits, which slots are taken, and how kmsd is */
	struct dp_config *reload; /* ours, to be applied; NULL: none */
	bool kms_known;
	bool kms_up;
	char kms_error[512];
	struct dp_ask *asks, *asks_tail;
	struct dp_ask *answers, *answers_tail;
	struct entry entries[DP_STREAMS_MAX];
};

static inline uint64_t
dp_control_now(const struct dp_control *c)
{
	return slk_mono_ns(c->clock);
}

uint32_t dp_control_random(void);

/* --- control_streams.c --- */

/* SLK_OK, or what the last call said: one kmsd that hangs would otherwise cost a timeout per stream. */
MUST_USE int dp_control_ask_kms(const struct dp_control *c, struct slk_error *err);
/* What a call came to. Said once per change; returns status. */
int dp_control_saw_kms(struct dp_control *c, int status, const struct slk_error *err);

/* A message for the stream's worker (stream NULL: the caller sets ctl->worker). NULL: no memory. */
struct dp_ctl *dp_control_new_ctl(enum dp_ctl_op op, struct dp_stream *stream);
/* ctl is taken, also on failure; NULL allowed. SLK_NO_MEMORY (NULL), SLK_CLOSED. */
int dp_control_send_ctl(struct dp_control *c, struct dp_ctl *ctl);
void dp_control_free_ctl(struct dp_ctl *ctl);

/* The entry of that stream, also while it is being taken away; NULL: no worker has it. */
struct entry *dp_control_held(struct dp_control *c, uint64_t stream_id);
/* Make an entry and hand its stream to a worker. */
MUST_USE int dp_control_add_stream(struct dp_control *c, const struct kmsc_stream *info,
	struct entry **out, struct slk_error *err);
struct entry *dp_control_find(struct dp_control *c, const char *name);
/* What the catalog says of the stream now, and our entry for it; made if there was none. */
MUST_USE int dp_control_refresh(
	struct dp_control *c, const char *name, struct entry **out, struct slk_error *err);
/* Bring the catalog's changes about, if it is time; when to be called again. */
uint64_t dp_control_look(struct dp_control *c);
/* Give the streams whose listeners came or went their new feeds. */
void dp_control_send_feeds(struct dp_control *c);

/* --- control_routes.c --- */

/* All shards of a stream, by number; free() them. */
MUST_USE int dp_control_read_shards(struct dp_control *c, const char *name,
	struct kmsc_shard **out_rows, size_t *out_count, struct slk_error *err);
/* Where records of the stream go, by its shards. name, id, slot and worker of *stream are there. Sentences about listeners
 * whose rules do not fit go to the log. */
MUST_USE int dp_control_make_routes(struct dp_control *c, struct dp_stream *stream,
	const struct kmsc_shard *rows, size_t count, struct dp_routes *out_routes);
/* The feeds alone. */
MUST_USE int dp_control_make_feeds(struct dp_control *c, const struct dp_stream *stream,
	const struct kmsc_shard *rows, size_t count, struct dp_feed **out_feeds,
	uint32_t *out_count);
/* Is there a listener of it? */
bool dp_control_feeds(const struct place *place, const struct dp_stream *stream);

/* --- control_changes.c --- */

/* The catalog says UPDATING: begin what was not begun, tell what was performed. */
void dp_control_follow(struct dp_control *c, struct entry *e, const struct kmsc_stream *info);
/* The same for a stream that no worker has. */
void dp_control_follow_unheld(struct dp_control *c, const struct kmsc_stream *info);
/* No worker takes records of it any more: kmsd may forget it. */
void dp_control_end_deletion(struct dp_control *c, const struct kmsc_stream *info);
/* The change that an ADD or RESHARD brought is performed, or not. */
void dp_control_resharded(
	struct dp_control *c, struct entry *e, struct dp_change *change, int outcome);
/* An epoch began under a key of that change of the stream. */
void dp_control_rekeyed(struct dp_control *c, struct entry *e, uint64_t change);
/* The KMS gives no key now: what is sealed under the one before ends, if a change waits for that. */
void dp_control_key_refused(struct dp_control *c, struct entry *e, int status);
/* The epoch has ended without another one. */
void dp_control_key_ended(struct dp_control *c, struct entry *e);

/* --- control_listeners.c --- */

/* The places of the start: those that ports and workers were made with. */
void dp_control_places_init(struct dp_control *c);
/* All rights that were given are to be asked for anew, the listeners' at once and the others at their next use. */
void dp_control_ask_rights_anew(struct dp_control *c);
/* Ask for rights that are due; when the next one is. */
uint64_t dp_control_authorise(struct dp_control *c);
/* The listeners of a stream that came or went are asked for now. */
void dp_control_hurry(struct dp_control *c, const char *stream);
/* Perform a reload that waits. */
void dp_control_apply(struct dp_control *c);

#endif
