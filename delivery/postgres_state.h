/* SQLSTATE codes (PostgreSQL, appendix A): what they are called, and what becomes of a batch. Pure. Thread: any. */
#ifndef DELIVERY_POSTGRES_STATE_H
#define DELIVERY_POSTGRES_STATE_H

#include <stdbool.h>

#include "destination.h"

#define DLV_SQLSTATE_BYTES 6u /* with terminator */

/* Of the error that a statement ended with. in_rows: COPY had begun to take rows. DLV_DELIVERED_REST: a row is at fault.
 *
 *     22 data, 23 constraint, 44 check option, 54 a row too large, P0001 raised by a trigger   in_rows: the row; else refused
 *     08 connection, 25 transaction, 40 rollback, 53 resources, 55 locks, 57 operator, 58 and XX the server    try again
 *     0A, 28, 3D, 3F, 42 rights and names, and all that is not named                                           refused */
enum dlv_outcome dlv_sqlstate_outcome(const char *sqlstate, bool in_rows);

/* "unique_violation"; for a code that is not known the name of its class; "unknown_condition". Static storage. */
const char *dlv_sqlstate_name(const char *sqlstate);

/* Five of 0-9 and A-Z. */
bool dlv_sqlstate_valid(const char *sqlstate);

#endif
