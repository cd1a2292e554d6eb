/* CopyOptions of a description, read against a list of what is allowed; nothing of the text gets into a statement as it is.
 *
 * Written as PostgreSQL or Redshift has it, in either order, with or without WITH, parentheses, commas and AS:
 *
 *     csv delimiter '|' null as 'NULL'
 *     WITH (FORMAT csv, DELIMITER '|', QUOTE E'\x01')
 *
 * Strings are '...' or E'...' (with \t \n \r \b \f \\ \' \xHH \ooo). Each option once. Pure. Thread: any.
 */
#ifndef DELIVERY_POSTGRES_OPTIONS_H
#define DELIVERY_POSTGRES_OPTIONS_H

#include <stdbool.h>

#include "base/error.h"
#include "delivery/spec.h"
#include "postgres_rows.h"
#include "postgres_sql.h"

/* For PostgreSQL: appends " WITH (FORMAT ..., ...)" to sql, and says how rows are cut.
 * HEADER is refused unless it is false: each COPY would drop its first record. An option of Redshift is refused by its name, an
 * encoding in which a byte of ASCII may be part of another character, too. SLK_CONFIG with a sentence; SLK_NO_MEMORY. */
MUST_USE int dlv_pg_options(const char *options, struct dlv_sql *sql,
	struct dlv_pg_format *out_format, struct slk_error *err);

/* For Redshift: appends " CSV DELIMITER '|' ..." to sql, with GZIP or ZSTD where the objects are compressed so. What the
 * destination says itself is refused (CREDENTIALS, IAM_ROLE, MANIFEST, REGION and so on). Errors as above. */
MUST_USE int dlv_redshift_options(const char *options, enum dlv_compression compression,
	struct dlv_sql *sql, struct slk_error *err);

#endif
