/* Configuration files: YAML by schema, through libcyaml.
 *
 * Each program declares a cyaml schema for its own struct; an unknown key, a wrong type or a value
 * out of range is refused with file, line, column and what was expected. Files that are writable by
 * others than their owner are refused. Thread: start-up only.
 */
#ifndef SLK_BASE_CONFIG_H
#define SLK_BASE_CONFIG_H

#include <cyaml/cyaml.h>

#include "base/error.h"
#include "base/status.h"

/* Load path into a new struct described by schema (a CYAML_VALUE_MAPPING pointer). SLK_CONFIG with
 * a sentence that names file, line, column and key; SLK_NOT_FOUND; SLK_DENIED. Free *out_data with
 * slk_config_free(). */
MUST_USE int slk_config_load(const char *path, const cyaml_schema_value_t *schema, void **out_data,
	struct slk_error *err);

void slk_config_free(const cyaml_schema_value_t *schema, void *data);

#endif
