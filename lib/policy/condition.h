/* Conditions of a statement: operator, key, values.
 *
 *     String  Equals NotEquals EqualsIgnoreCase NotEqualsIgnoreCase Like NotLike
 *     Arn     Equals Like NotEquals NotLike (Equals is Like: the six parts are compared one by one, with wildcards)
 *     Numeric Equals NotEquals LessThan LessThanEquals GreaterThan GreaterThanEquals; Date likewise
 *     Bool, BinaryEquals, IpAddress, NotIpAddress, Null
 *
 * Each but Null may end in IfExists (true if the key is absent) and begin with ForAllValues: or ForAnyValue: .
 *
 *     the request's key     positive operator           negated operator (Not...)
 *     absent                false                       true
 *     one or more values    some value fits some        no value fits any
 *     ForAnyValue:          some value fits some        some value fits none; absent or empty: false for both
 *     ForAllValues:         every value fits some       every value fits none; absent or empty: true for both
 *
 * A key with an empty set of values is there, but Null takes it for absent: {"Null": {key: "false"}} guards a ForAllValues:
 * against the empty set, as AWS advises. A value that is not of the operator's type (a date that is none) fits nothing; the
 * values of the policy are checked when it is parsed. A policy variable without a value (key absent, or not single) fits
 * nothing either; in an Allow, under a negated operator, the condition then does not hold, whatever else is listed: such a
 * statement never allows. Thread: read-only once compiled.
 */
#ifndef SLK_POLICY_CONDITION_H
#define SLK_POLICY_CONDITION_H

#include "policy/json.h"
#include "policy/pattern.h"
#include "policy/query.h"

struct pol_condition;

/* Compile {"Key": value or [values]} of the operator into conditions, appended to *list. variables: Version 2012-10-17.
 * SLK_MALFORMED with where and why, SLK_LIMIT. */
MUST_USE int pol_conditions_compile(struct pol_arena *arena, const struct pol_json *operator_node,
	bool variables, struct pol_condition ***tail, struct pol_json_error *out_error);

/* Do all conditions of the list hold? An empty list does. deny: the statement's effect. out_failed: NULL, or set to the first
 * that does not. */
bool pol_conditions_hold(const struct pol_condition *list, const struct pol_query *query, bool deny,
	const struct pol_condition **out_failed);

/* For explanations: "StringEquals" as written, and the key. */
const char *pol_condition_operator(const struct pol_condition *condition);
const char *pol_condition_key(const struct pol_condition *condition);

#endif
