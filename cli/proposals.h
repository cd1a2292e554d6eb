/* Proposals of dual control, as commands print them: approval.c and evidence. Thread: the process has one. */
#ifndef SLK_CLI_PROPOSALS_H
#define SLK_CLI_PROPOSALS_H

#include "kmsclient/dual.h"
#include "out.h"

/* Fields of a request, copied. */
struct cli_field {
	char *path, *value;
};
struct cli_fields {
	struct cli_field *list;
	size_t count;
	bool failed; /* no memory: the list is not all */
};
void cli_proposals_take(void *fields, const char *path, const char *value); /* a kmsc_field_fn */
void cli_proposals_forget(struct cli_fields *fields);

/* Calls each for all that kmsd has. out_dual: NULL allowed. */
MUST_USE int cli_proposals_each(struct kmsc *kms,
	void (*each)(void *arg, const struct kmsc_proposal *proposal), void *arg,
	struct kmsc_dual *out_dual, struct slk_error *err);

/* fields: NULL without the request. */
void cli_proposals_json(yajl_gen json, const struct kmsc_proposal *p,
	const struct cli_field *fields, size_t fields_count);
void cli_proposals_row(struct cli_out *out, const struct kmsc_proposal *p);
void cli_proposals_text(struct cli_out *out, const struct kmsc_proposal *p,
	const struct cli_field *fields, size_t fields_count);
/* "dual_control": what is under it, inside a map. */
void cli_proposals_dual(yajl_gen json, const struct kmsc_dual *dual);

#endif
