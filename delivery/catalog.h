/* What deliverd asks kmsd of delivery streams, one look after the other: reports first, then the list if it has changed.
 *
 * A look is made by a thread of the pool, which may wait for kmsd (5 s at most for each question). Thread: the one that looks,
 * or none.
 */
#ifndef DELIVERY_CATALOG_H
#define DELIVERY_CATALOG_H

#include "checkpoint.h"
#include "kmsclient/delivery.h"

/* What is to be told to kmsd. */
struct dlv_report {
	struct dlv_report *next;
	char name[KMSC_DELIVERY_NAME_MAX];
	uint64_t id, version, stream_id;
	enum kmsc_delivery_state state;
	char failure_type[64], failure_details[512];
	bool forgets; /* its checkpoint is removed first */
};

/* What the loop knows: a description is asked for only of what it does not. */
struct dlv_known {
	uint64_t id, version;
};

struct dlv_catalog {
	struct kmsc *kms;
	const char *state_dir;
	uint64_t changes; /* kmsd's number when the list was read last */
	bool has_changes;
};

struct dlv_look {
	/* In, and what is left of it: reports that could not be told. */
	struct dlv_report *reports;
	const struct dlv_known *known;
	size_t known_count;
	/* Out. */
	int status; /* of the first question that failed */
	struct slk_error err;
	bool listed; /* streams is the list as it is now; spec: of what is not known */
	struct kmsc_delivery_stream *streams;
	size_t count;
};

void dlv_catalog_look(struct dlv_catalog *catalog, struct dlv_look *look);
void dlv_look_fini(struct dlv_look *look); /* frees streams and reports that are left */

#endif
