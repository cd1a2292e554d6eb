#include <stdlib.h>
#include <string.h>

#include "kmsclient/convert_iam.h"
#include "kmsclient/policies.h"
#include "kmsclient/request.h"

/* What an explanation points into: one piece, its arrays first, then its texts. A text of the reply costs it two bytes and
 * its length at least, so all of them with their terminators have room in as many bytes as a frame. */
struct room {
	struct kmsc_explained_policy *policies;
	struct kmsc_explained_statement *statements;
	struct kmsc_condition *conditions;
	const char **values;
	char *text;
	size_t text_left;
};

static const char *
keep(struct room *room, const char *text)
{
	size_t len = strlen(text);

	if (len == 0)
		return "";
	if (len >= room->text_left)
		return NULL;
	const char *kept = room->text;
	memcpy(room->text, text, len + 1);
	room->text += len + 1;
	room->text_left -= len + 1;
	return kept;
}

static int
room_new(const Kmsp__Explanation *in, struct room *out, void **out_memory)
{
	size_t statements = 0, values = 0;

	for (size_t i = 0; i < in->n_policies; i++)
		statements += in->policies[i]->n_statements;
	for (size_t i = 0; i < in->n_values; i++)
		values += in->values[i]->n_values;
	/* All of these have the alignment of a pointer. */
	size_t bytes = in->n_policies * sizeof(*out->policies) +
		statements * sizeof(*out->statements) + in->n_values * sizeof(*out->conditions) +
		values * sizeof(*out->values) + KMSP_FRAME_MAX;
	char *memory = calloc(1, bytes);
	if (memory == NULL)
		return SLK_NO_MEMORY;
	*out_memory = memory;
	out->policies = (void *)memory;
	out->statements = (void *)(out->policies + in->n_policies);
	out->conditions = (void *)(out->statements + statements);
	out->values = (void *)(out->conditions + in->n_values);
	out->text = (void *)(out->values + values);
	out->text_left = KMSP_FRAME_MAX;
	return SLK_OK;
}

static bool
statement_from(
	const Kmsp__ExplainedStatement *in, struct room *room, struct kmsc_explained_statement *out)
{
	out->index = in->index;
	out->line = in->line;
	out->deny = in->deny;
	out->decided = in->decided;
	out->sid = keep(room, in->sid);
	out->stage = keep(room, in->stage);
	out->condition_operator = keep(room, in->condition_operator);
	out->condition_key = keep(room, in->condition_key);
	return out->sid != NULL && out->stage != NULL && out->condition_operator != NULL &&
		out->condition_key != NULL;
}

static bool
policy_from(const Kmsp__ExplainedPolicy *in, struct room *room, struct kmsc_explained_policy *out)
{
	out->kind = keep(room, in->kind);
	out->name = keep(room, in->name);
	out->statements = room->statements;
	out->statements_count = in->n_statements;
	bool fits = out->kind != NULL && out->name != NULL;
	for (size_t i = 0; fits && i < in->n_statements; i++)
		fits = statement_from(in->statements[i], room, room->statements++);
	return fits;
}

static bool
condition_from(const Kmsp__Condition *in, struct room *room, struct kmsc_condition *out)
{
	out->key = keep(room, in->key);
	out->values = room->values;
	out->values_count = in->n_values;
	bool fits = out->key != NULL;
	for (size_t i = 0; fits && i < in->n_values; i++) {
		*room->values = keep(room, in->values[i]);
		fits = *room->values++ != NULL;
	}
	return fits;
}

static int
fill(const Kmsp__Explanation *in, struct room *room, struct kmsc_explanation *out)
{
	out->allowed = in->allowed;
	out->truncated = in->truncated;
	out->sentence = keep(room, in->sentence);
	out->reason = keep(room, in->reason);
	out->principal = keep(room, in->principal);
	out->action = keep(room, in->action);
	out->resource = keep(room, in->resource);
	out->policies = room->policies;
	out->policies_count = in->n_policies;
	out->values = room->conditions;
	out->values_count = in->n_values;
	bool fits = out->sentence != NULL && out->reason != NULL && out->principal != NULL &&
		out->action != NULL && out->resource != NULL;
	for (size_t i = 0; fits && i < in->n_policies; i++)
		fits = policy_from(in->policies[i], room, &room->policies[i]);
	for (size_t i = 0; fits && i < in->n_values; i++)
		fits = condition_from(in->values[i], room, &room->conditions[i]);
	return fits ? SLK_OK : SLK_MALFORMED;
}

static int
explanation_from(const Kmsp__Explanation *in, struct kmsc_explanation *out, struct slk_error *err)
{
	struct kmsc_explanation made = {0};
	struct room room;

	int rc = room_new(in, &room, &made.memory);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "there is no memory for an explanation");
	rc = fill(in, &room, &made);
	if (rc == SLK_OK)
		*out = made;
	else
		free(made.memory);
	return rc;
}

/* Condition keys as messages that borrow from them. */
struct condition_list {
	Kmsp__Condition storage[KMSC_QUESTION_VALUES_MAX];
	Kmsp__Condition *list[KMSC_QUESTION_VALUES_MAX];
};

static int
list_conditions(
	const struct kmsc_question *question, struct condition_list *out, struct slk_error *err)
{
	if (question->values_count > KMSC_QUESTION_VALUES_MAX)
		return slk_fail(err, SLK_LIMIT, "at most %u condition keys can be given, not %zu",
			KMSC_QUESTION_VALUES_MAX, question->values_count);
	for (size_t i = 0; i < question->values_count; i++) {
		const struct kmsc_condition *in = &question->values[i];
		kmsp__condition__init(&out->storage[i]);
		out->storage[i].key = kmsc_request_text(in->key);
		out->storage[i].values = (char **)(uintptr_t)in->values;
		out->storage[i].n_values = in->values_count;
		out->list[i] = &out->storage[i];
	}
	return SLK_OK;
}

int
kmsc_explain(struct kmsc *c, const struct kmsc_question *question, struct kmsc_explanation *out,
	struct slk_error *err)
{
	Kmsp__Explain call = KMSP__EXPLAIN__INIT;
	const Kmsp__Reply *reply;
	struct condition_list values;
	struct kmsc_pairs pairs;

	int rc = list_conditions(question, &values, err);
	if (rc != SLK_OK)
		return rc;
	kmsc_request_pairs(question->context, &pairs);
	call.caller_case = question->principal != NULL ? KMSP__EXPLAIN__CALLER_PRINCIPAL
						       : KMSP__EXPLAIN__CALLER_UID;
	if (question->principal != NULL)
		call.principal = kmsc_request_text(question->principal);
	else
		call.uid = question->uid;
	call.action = kmsc_request_text(question->action);
	call.resource = kmsc_request_text(question->resource);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.n_values = question->values_count;
	call.values = values.list;
	KMSC_REQUEST(request, EXPLAIN, explain) = &call;
	rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_EXPLANATION, &reply, err);
	if (rc == SLK_OK)
		rc = explanation_from(reply->explanation, out, err);
	return kmsc_call_end(c, rc, err);
}

void
kmsc_explanation_fini(struct kmsc_explanation *explanation)
{
	if (explanation == NULL)
		return;
	free(explanation->memory);
	*explanation = (struct kmsc_explanation){0};
}
