/* Any message of kms.proto as paths and values, for people who have to judge it. Internal to lib/kmsclient. Thread: any. */
#ifndef SLK_KMSCLIENT_FIELDS_H
#define SLK_KMSCLIENT_FIELDS_H

#include "kmsclient/dual.h"
#include "kmsclient/wire.h"

/* Calls field for everything in message that is not empty, in the order of its numbers. SLK_NO_MEMORY, SLK_TOO_LARGE (a path of names too
 * long). */
MUST_USE int kmsc_fields(const ProtobufCMessage *message, kmsc_field_fn field, void *arg);

#endif
