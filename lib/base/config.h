/* Configuration files: YAML by schema, through libcyaml.
 *
 * Each program declares a cyaml schema for its own struct; an unknown key, a wrong type or a value
 * out of range is refused with file, line, column and what was expected. Files that are writable by
 * others than their owner are refused. Thread: start-up only.
 */
#ifndef SLK_BASE_CONFIG_H
#define SLK_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include <cyaml/cyaml.h>

#include "base/error.h"
#include "base/status.h"

/* Load path into a new struct described by schema (a CYAML_VALUE_MAPPING pointer). SLK_CONFIG with
 * a sentence that names file, line, column and key; SLK_NOT_FOUND; SLK_DENIED. Free *out_data with
 * slk_config_free(). */
MUST_USE int slk_config_load(const char *path, const cyaml_schema_value_t *schema, void **out_data,
	struct slk_error *err);

void slk_config_free(const cyaml_schema_value_t *schema, void *data);

/* --- what a schema cannot say --- */

/* What was left out. Texts are by malloc(), as libcyaml's own. SLK_NO_MEMORY. */
MUST_USE int slk_config_default_text(char **text, const char *value);
void slk_config_default_number(uint32_t *number, uint32_t value);

struct slk_config_range {
	const char *name; /* section.key, for the sentence */
	uint32_t value, min, max;
};
/* SLK_CONFIG names the first number that is out of its range; 0, what was not said, is in each. */
MUST_USE int slk_config_check_ranges(
	const struct slk_config_range *ranges, size_t count, struct slk_error *err);
/* Region and account as ARNs have them, and the word of a log level. SLK_CONFIG. */
MUST_USE int slk_config_check_words(
	const char *region, const char *account, const char *log, struct slk_error *err);

#endif
