/* The token of a rig, spoken to directly: what a stranger, or a damaged token, could have left there.
 *
 * The worker must not run. The body runs in a child process of the worker's user, logged in to the rig's SoftHSM; a call
 * that fails there ends the child, and the running cmocka test.
 */
#ifndef SLK_TESTS_LIB_P11_DIRECT_H
#define SLK_TESTS_LIB_P11_DIRECT_H

#include <p11-kit/pkcs11.h>

#include "hsm_rig.h"

struct p11_direct {
	CK_FUNCTION_LIST *fn;
	CK_SESSION_HANDLE session;
};

typedef void (*p11_direct_fn)(struct p11_direct *d, uint8_t fill);

/* fill: of the id that the body works on. */
void p11_direct_run(struct hsm_rig *rig, p11_direct_fn body, uint8_t fill);

/* For bodies. */
void p11_direct_check(CK_RV rv, const char *what);
/* The first object of that class and id. */
CK_OBJECT_HANDLE p11_direct_find(struct p11_direct *d, CK_OBJECT_CLASS class, uint8_t fill);

#endif
