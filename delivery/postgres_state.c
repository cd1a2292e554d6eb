#include "postgres_state.h"

#include <string.h>

/* The first that fits is taken; two characters stand for the rest of a class. */
static const struct {
	const char *code;
	const char *name;
	enum dlv_outcome outcome; /* DLV_DELIVERED_REST: a row's fault */
} states[] = {
	{"08", "connection_exception", DLV_FAILED},
	{"0A", "feature_not_supported", DLV_REFUSED},
	{"22001", "string_data_right_truncation", DLV_DELIVERED_REST},
	{"22003", "numeric_value_out_of_range", DLV_DELIVERED_REST},
	{"22007", "invalid_datetime_format", DLV_DELIVERED_REST},
	{"22008", "datetime_field_overflow", DLV_DELIVERED_REST},
	{"22021", "character_not_in_repertoire", DLV_DELIVERED_REST},
	{"22P02", "invalid_text_representation", DLV_DELIVERED_REST},
	{"22P04", "bad_copy_file_format", DLV_DELIVERED_REST},
	{"22P05", "untranslatable_character", DLV_DELIVERED_REST},
	{"22", "data_exception", DLV_DELIVERED_REST},
	{"23502", "not_null_violation", DLV_DELIVERED_REST},
	{"23503", "foreign_key_violation", DLV_DELIVERED_REST},
	{"23505", "unique_violation", DLV_DELIVERED_REST},
	{"23514", "check_violation", DLV_DELIVERED_REST},
	{"23P01", "exclusion_violation", DLV_DELIVERED_REST},
	{"23", "integrity_constraint_violation", DLV_DELIVERED_REST},
	{"25006", "read_only_sql_transaction",
		DLV_FAILED}, /* a standby; the primary is elsewhere */
	{"25P03", "idle_in_transaction_session_timeout", DLV_FAILED},
	{"25", "invalid_transaction_state", DLV_FAILED},
	{"28P01", "invalid_password", DLV_REFUSED},
	{"28", "invalid_authorization_specification", DLV_REFUSED},
	{"3D000", "invalid_catalog_name", DLV_REFUSED},
	{"3F000", "invalid_schema_name", DLV_REFUSED},
	{"40001", "serialization_failure", DLV_FAILED},
	{"40P01", "deadlock_detected", DLV_FAILED},
	{"40", "transaction_rollback", DLV_FAILED},
	{"42501", "insufficient_privilege", DLV_REFUSED},
	{"42703", "undefined_column", DLV_REFUSED},
	{"42P01", "undefined_table", DLV_REFUSED},
	{"42", "syntax_error_or_access_rule_violation", DLV_REFUSED},
	{"44", "with_check_option_violation", DLV_DELIVERED_REST},
	{"53100", "disk_full", DLV_FAILED},
	{"53200", "out_of_memory", DLV_FAILED},
	{"53300", "too_many_connections", DLV_FAILED},
	{"53", "insufficient_resources", DLV_FAILED},
	{"54", "program_limit_exceeded", DLV_DELIVERED_REST},
	{"55P03", "lock_not_available", DLV_FAILED},
	{"55", "object_not_in_prerequisite_state", DLV_FAILED},
	{"57014", "query_canceled", DLV_FAILED},
	{"57P01", "admin_shutdown", DLV_FAILED},
	{"57P02", "crash_shutdown", DLV_FAILED},
	{"57P03", "cannot_connect_now", DLV_FAILED},
	{"57", "operator_intervention", DLV_FAILED},
	{"58", "system_error", DLV_FAILED},
	{"P0001", "raise_exception", DLV_DELIVERED_REST},
	{"XX", "internal_error", DLV_FAILED},
};

#define STATES_COUNT (sizeof(states) / sizeof(states[0]))

static size_t
find(const char *sqlstate)
{
	size_t i = 0;

	while (i < STATES_COUNT && strncmp(states[i].code, sqlstate, strlen(states[i].code)) != 0)
		i++;
	return i;
}

enum dlv_outcome
dlv_sqlstate_outcome(const char *sqlstate, bool in_rows)
{
	size_t i = find(sqlstate);

	if (i == STATES_COUNT)
		return DLV_REFUSED;
	if (states[i].outcome == DLV_DELIVERED_REST && !in_rows)
		return DLV_REFUSED;
	return states[i].outcome;
}

const char *
dlv_sqlstate_name(const char *sqlstate)
{
	size_t i = find(sqlstate);

	return i < STATES_COUNT ? states[i].name : "unknown_condition";
}

bool
dlv_sqlstate_valid(const char *sqlstate)
{
	return strlen(sqlstate) == 5 &&
		strspn(sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
}
