/* An error as AWS words it: what a caller of the gateway is told when a request fails.
 *
 * A fault is written once, by whoever finds it, and turned into bytes by the protocol of the request (reply.h). Types are those
 * of the JSON protocol ("ValidationException"); the query protocol has other names for some (gw_fault_query_type()). A
 * message never holds a secret, nor a value that the service models mark as sensitive. Thread: any.
 */
#ifndef GATEWAY_AWS_FAULT_H
#define GATEWAY_AWS_FAULT_H

#include <stdbool.h>

#define GW_FAULT_MESSAGE_MAX 2048u /* with terminator */

struct gw_fault {
	const char *type; /* static storage; NULL: none */
	char message[GW_FAULT_MESSAGE_MAX]; /* "": the body has no message member */
	bool capital; /* "Message", as the front's own errors have it */
	const char *code; /* a member of its own that some exceptions have; static storage; NULL */
};

/* Set it; false, so that `return gw_fault_set(...)` reads well in what returns whether it went well. */
bool gw_fault_set(struct gw_fault *fault, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Static storage for a type that came as text (from kmsd): the one of the list that it equals, else NULL. */
const char *gw_fault_type(const char *text);

unsigned gw_fault_status(const char *type); /* of HTTP, for the JSON protocol: 400, 404, 500, 503 */

struct gw_fault_query {
	const char *code; /* "SignatureDoesNotMatch" */
	unsigned status;
	const char *blame; /* "Sender", "Receiver" */
};
/* The same for the query protocol. */
struct gw_fault_query gw_fault_query(const char *type);

#endif
