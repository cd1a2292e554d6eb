/* A request of kmsd's RPC as text, for tests of who sends it: `create_user{name:alice tags{key:a value:b}}`. Fields that
 * are not on the wire are not shown; bytes are shown as they are. */
#ifndef SLK_TESTS_LIB_PROTO_TEXT_H
#define SLK_TESTS_LIB_PROTO_TEXT_H

#include <stddef.h>

#include "kms.pb-c.h"

/* The call alone, without id, times and correlation. What does not fit is cut. */
void proto_text(const Kmsp__Request *request, char *out, size_t cap);

#endif
