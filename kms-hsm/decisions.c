#include "decisions.h"

#include <stdlib.h>
#include <string.h>

#include "decide.h"
#include "facts.h"
#include "session.h"

#define SETS 256u
#define WAYS 4u
#define QUESTION_MAX 896u

struct entry {
	uint64_t made_ns, era;
	uint32_t len; /* 0: free */
	int status;
	uint8_t question[QUESTION_MAX];
	char sentence[KMS_SENTENCE_MAX]; /* of a refusal */
};

struct kms_decisions {
	uint64_t made, reused;
	struct entry sets[SETS][WAYS];
};

/* A question as bytes: equal bytes, equal questions. */
struct writer {
	uint8_t bytes[QUESTION_MAX];
	size_t len;
	bool full;
};

int
kms_decisions_new(struct kms_decisions **out_decisions)
{
	struct kms_decisions *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return SLK_NO_MEMORY;
	*out_decisions = d;
	return SLK_OK;
}

void
kms_decisions_free(struct kms_decisions *decisions)
{
	free(decisions);
}

uint64_t
kms_decisions_made(const struct kms_decisions *decisions)
{
	return decisions->made;
}

uint64_t
kms_decisions_reused(const struct kms_decisions *decisions)
{
	return decisions->reused;
}

/* --- a question as bytes --- */

static void
put(struct writer *w, const void *bytes, size_t len)
{
	if (len > sizeof(w->bytes) - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static void
put_number(struct writer *w, uint64_t number)
{
	put(w, &number, sizeof(number));
}

/* What is absent is not the same as what is empty. */
static void
put_text(struct writer *w, const char *text)
{
	uint16_t len = text != NULL ? (uint16_t)strnlen(text, QUESTION_MAX) : UINT16_MAX;

	put(w, &len, sizeof(len));
	if (text != NULL)
		put(w, text, len);
}

static void
put_session(struct writer *w, const struct kms_session_view *session)
{
	put_number(w, session != NULL);
	if (session == NULL)
		return;
	w->full |= session->documents_count > 0;
	put_text(w, session->arn);
	put_text(w, session->user_id);
	put_text(w, session->source_identity);
	put_number(w, session->issued_ns);
	put_number(w, session->tags_count);
	for (size_t i = 0; i < session->tags_count && !w->full; i++) {
		put_text(w, session->tags[i].key);
		put_text(w, session->tags[i].value);
	}
}

static void
put_context(struct writer *w, const struct fmt_context *context)
{
	size_t len = 0;

	if (context == NULL)
		return;
	if (fmt_context_encode(context, w->bytes + w->len, sizeof(w->bytes) - w->len, &len) !=
		SLK_OK)
		w->full = true;
	else
		w->len += len;
}

/* What only rare calls have. */
static bool
is_rare(const struct kms_facts *f)
{
	return f->new_key != NULL || f->other_key_id != NULL || f->rotation_days > 0 ||
		f->window_days > 0 || f->bypass_lockout_check != KMS_ABSENT ||
		f->request_tags_count > 0 || f->tag_keys_count > 0 ||
		f->grant_operations_count > 0 || f->grantee != NULL || f->retiring != NULL ||
		f->grant_constraint != NULL || f->grant_for_service != KMS_ABSENT ||
		f->passed_to != NULL || f->associated_arn != NULL || f->external_id != NULL ||
		f->session_name != NULL || f->source_identity != NULL || f->duration_s > 0 ||
		f->given_count > 0;
}

static void
put_facts(struct writer *w, const struct kms_facts *f)
{
	put_number(w, f->key != NULL);
	if (f->key != NULL) {
		put(w, f->key->id, sizeof(f->key->id));
		put_number(w, (uint64_t)f->key->spec);
		put_number(w, (uint64_t)f->key->usage);
	}
	put_text(w, f->request_alias);
	put_text(w, f->encryption_algorithm);
	put_text(w, f->signing_algorithm);
	put_text(w, f->message_type);
	put_text(w, f->via_service);
	put_text(w, f->source_arn);
	put_text(w, f->source_ip);
	put_number(w, (uint64_t)f->over_tls);
	put_context(w, f->context);
}

/* false: the decision does not follow from what is written. */
static bool
write_question(const struct kms_iam *iam, const struct kms_question *q, struct writer *w)
{
	unsigned needs = kms_question_needs(iam, q);

	w->len = 0;
	w->full = false;
	if ((needs & (KMS_NEEDS_TIME | KMS_NEEDS_TAGS | KMS_NEEDS_ALIASES)) != 0)
		return false;
	if (needs != 0 && q->facts != NULL && is_rare(q->facts))
		return false;
	put_text(w, q->principal);
	put_text(w, q->action);
	put_text(w, q->resource);
	put_number(w, (uint64_t)q->granted << 1 | (needs != 0 && q->facts != NULL));
	put_session(w, q->session);
	if (needs != 0 && q->facts != NULL)
		put_facts(w, q->facts);
	return !w->full;
}

/* --- what is kept --- */

static struct entry *
set_of(struct kms_decisions *d, const struct writer *w)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < w->len; i++)
		h = (h ^ w->bytes[i]) * 0x100000001b3ull;
	return d->sets[(h ^ h >> 32) % SETS];
}

static bool
speaks(const struct entry *e, uint64_t era, uint64_t mono_ns)
{
	return e->len > 0 && e->era == era && mono_ns - e->made_ns < KMS_DECISION_NS;
}

static struct entry *
find(struct entry *set, const struct writer *w, uint64_t era, uint64_t mono_ns)
{
	for (unsigned i = 0; i < WAYS; i++) {
		struct entry *e = &set[i];
		if (speaks(e, era, mono_ns) && e->len == w->len &&
			memcmp(e->question, w->bytes, w->len) == 0)
			return e;
	}
	return NULL;
}

static void
keep(struct entry *set, const struct writer *w, const struct entry *how, const char *sentence)
{
	struct entry *place = &set[0];

	for (unsigned i = 1; i < WAYS && speaks(place, how->era, how->made_ns); i++)
		if (!speaks(&set[i], how->era, how->made_ns) || set[i].made_ns < place->made_ns)
			place = &set[i];
	place->made_ns = how->made_ns;
	place->era = how->era;
	place->status = how->status;
	place->len = (uint32_t)w->len;
	memcpy(place->question, w->bytes, w->len);
	place->sentence[0] = '\0';
	if (how->status != SLK_OK)
		memcpy(place->sentence, sentence, sizeof(place->sentence));
}

int
kms_decisions_ask(struct kms_decisions *d, const struct kms_iam *iam,
	const struct kms_question *question, uint64_t era, uint64_t mono_ns,
	char out_sentence[KMS_SENTENCE_MAX])
{
	static struct writer w; /* one thread */
	struct entry *set = NULL, *e = NULL;

	/* All that is denied while policies are stale is denied by the policy itself. */
	if (!kms_iam_is_stale(iam) && write_question(iam, question, &w)) {
		set = set_of(d, &w);
		e = find(set, &w, era, mono_ns);
	}
	if (e != NULL) {
		d->reused++;
		if (e->status != SLK_OK)
			memcpy(out_sentence, e->sentence, KMS_SENTENCE_MAX);
		return e->status;
	}
	d->made++;
	int rc = kms_policy_decide(iam, question, out_sentence);
	if (set != NULL) {
		const struct entry *how =
			&(struct entry){.made_ns = mono_ns, .era = era, .status = rc};
		keep(set, &w, how, out_sentence);
	}
	return rc;
}
