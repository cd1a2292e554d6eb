/* How users, roles, policies, grants and explanations look; as shapes.h. */
#ifndef SLK_CLI_SHAPES_IAM_H
#define SLK_CLI_SHAPES_IAM_H

#include "kmsclient/grants.h"
#include "kmsclient/policies.h"
#include "shapes.h"

/* SLK_MALFORMED: a role's trust policy is no JSON. */
MUST_USE int cli_shape_identity(yajl_gen json, const struct kmsc_identity *identity,
	const struct kmsc_identity_detail *detail, struct slk_error *err);
void cli_shape_identity_listed(yajl_gen json, const struct kmsc_identity *identity);
void cli_shape_identity_row(
	struct cli_out *out, const struct kmsc_identity *identity, bool with_title);
void cli_shape_identity_text(struct cli_out *out, const struct kmsc_identity *identity,
	const struct kmsc_identity_detail *detail);
/* By its ARN. */
bool cli_shape_is_role(const struct kmsc_identity *identity);

/* The members of its object; document: NULL for none. */
MUST_USE int cli_shape_managed(yajl_gen json, const struct kmsc_policy *policy,
	const char *document, struct slk_error *err);
void cli_shape_managed_row(struct cli_out *out, const struct kmsc_policy *policy, bool with_title);
void cli_shape_managed_text(struct cli_out *out, const struct kmsc_policy *policy);

void cli_shape_grant(yajl_gen json, const struct kmsc_grant *grant);
void cli_shape_grant_text(struct cli_out *out, const struct kmsc_grant *grant);

void cli_shape_explanation(yajl_gen json, const struct kmsc_explanation *explanation);
void cli_shape_explanation_text(struct cli_out *out, const struct kmsc_explanation *explanation);

#endif
