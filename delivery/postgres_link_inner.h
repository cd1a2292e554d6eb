/* Shared by postgres_link.c (states), postgres_login.c (names, parameters) and postgres_error.c (what servers say). */
#ifndef DELIVERY_POSTGRES_LINK_INNER_H
#define DELIVERY_POSTGRES_LINK_INNER_H

#include "postgres_link.h"

enum link_state { LINK_CLOSED, LINK_NAMES, LINK_CONNECTING, LINK_READY, LINK_BUSY, LINK_ROWS };

#define LINK_RESULTS_MAX 12u

struct dlv_link_names; /* a look-up under way */

struct dlv_link {
	struct dlv_link_config config;
	enum link_state state;
	PGconn *conn;
	struct dlv_watch watch;
	struct dlv_timer timer;
	struct dlv_link_names *names;

	/* Of the call under way. */
	dlv_link_done done;
	void *done_arg;
	struct slk_span rows;
	size_t sent; /* of rows */
	bool rows_began;
	struct dlv_link_answer answer;
	PGresult *results[LINK_RESULTS_MAX];
	size_t results_count;
};

/* --- postgres_login.c --- */

/* Look up the host in a thread of the pool; dlv_link_connect() comes from the loop. SLK_NO_MEMORY. */
MUST_USE int dlv_link_find_names(struct dlv_link *link);
/* The link does not want to hear of it any more. */
void dlv_link_forget_names(struct dlv_link *link);
/* addresses: with commas between them. NULL: no memory. */
PGconn *dlv_link_start(const struct dlv_link_config *config, const char *addresses);
void dlv_link_wipe_password(struct dlv_link *link);

/* --- postgres_error.c --- */

/* Of an error result: sqlstate, sentence, line. */
void dlv_link_read_error(const PGresult *result, struct dlv_link_answer *answer);
/* Of a text of libpq's about the connection: sqlstate, sentence, tls. */
void dlv_link_read_message(const char *message, struct dlv_link_answer *answer);

/* --- postgres_link.c --- */

/* addresses NULL: there are none, and why. */
void dlv_link_connect(struct dlv_link *link, const char *addresses, const char *why_not);

#endif
