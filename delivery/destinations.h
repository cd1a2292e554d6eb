/* Which kinds of destinations this build has. Thread: any. */
#ifndef DELIVERY_DESTINATIONS_H
#define DELIVERY_DESTINATIONS_H

#include "destination.h"

/* SLK_UNSUPPORTED with a sentence: it was built without what the kind needs. */
MUST_USE int dlv_destination_find(
	enum dlv_kind kind, const struct dlv_destination_ops **out_ops, struct slk_error *err);

#endif
