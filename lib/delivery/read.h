/* Reading members of a description, with Firehose's errors. Internal to lib/delivery.
 *
 * A place is an object of the tree and the way to it; every function reads one member of it. What is absent leaves *out as it
 * was, so that *out holds a default, or in an update what was there. false: place->fault says why: SerializationException for a
 * wrong type, ValidationException for a limit, InvalidArgumentException for what is not served. A sensitive value is in no
 * message. Texts are borrowed from the tree. Thread: one.
 */
#ifndef SLK_DELIVERY_READ_H
#define SLK_DELIVERY_READ_H

#include "delivery/spec.h"
#include "delivery/tree.h"

struct dlv_place {
	const struct dlv_place *up; /* NULL: at the top */
	const char *name; /* of the member that object is */
	unsigned index; /* from 1 in a list; 0: it is not in one */
	const struct dlv_json *object;
	struct dlv_fault *fault;
};

struct dlv_limit {
	size_t min, max; /* characters */
	const char *pattern; /* for the message; NULL: any text */
	bool (*fits)(struct slk_span text);
	bool sensitive;
};

/* false always, so that `return dlv_refuse(...)` reads well. Message: "NAME: sentence". */
bool dlv_refuse(const struct dlv_place *at, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* ValidationException about a member. value "": it is not said. */
bool dlv_invalid(const struct dlv_place *at, const char *name, struct slk_span value,
	const char *constraint, ...) __attribute__((format(printf, 4, 5)));

MUST_USE bool dlv_read_required(const struct dlv_place *at, const char *const *names);
/* No member but these. */
MUST_USE bool dlv_read_known(const struct dlv_place *at, const char *const *names);
MUST_USE bool dlv_read_text(const struct dlv_place *at, const char *name,
	const struct dlv_limit *limit, const char **out);
MUST_USE bool dlv_read_number(
	const struct dlv_place *at, const char *name, uint32_t min, uint32_t max, uint32_t *out);
MUST_USE bool dlv_read_bool(const struct dlv_place *at, const char *name, bool *out);
/* One of values, which ends with NULL: its index. */
MUST_USE bool dlv_read_choice(
	const struct dlv_place *at, const char *name, const char *const *values, unsigned *out);
/* An object that is a member. Absent: out->object is NULL. */
MUST_USE bool dlv_read_object(const struct dlv_place *at, const char *name, struct dlv_place *out);
/* A list that is a member: out is its first value or NULL. */
MUST_USE bool dlv_read_list(
	const struct dlv_place *at, const char *name, uint32_t max, const struct dlv_json **out);
/* A value of a list, from 1: it has to be an object. */
MUST_USE bool dlv_read_item(const struct dlv_place *at, const char *list, unsigned index,
	const struct dlv_json *value, struct dlv_place *out);

#endif
