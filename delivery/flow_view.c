/* What is said of a flow: counters, the present trouble, lag. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "flow_internal.h"

void
dlv_view_code(int status, const char *what, char out[DLV_CODE_MAX])
{
	switch (status) {
	case SLK_DENIED:
	case SLK_DISABLED:
	case SLK_INVALID_STATE:
	case SLK_UNAVAILABLE:
	case SLK_TIMEOUT:
	case SLK_THROTTLED:
	case SLK_HSM:
		what = "KMS";
		break;
	default:
		break;
	}
	snprintf(out, DLV_CODE_MAX, "%s.%s", what, slk_status_name(status));
}

/* Under the lock. */
static void
count_code(struct dlv_flow_view *v, const char *code)
{
	size_t i = 0;

	while (i < v->codes_count && strcmp(v->codes[i].code, code) != 0)
		i++;
	if (i == v->codes_count && i == DLV_CODES_MAX - 1)
		code = "other";
	if (i == v->codes_count && i < DLV_CODES_MAX) {
		snprintf(v->codes[i].code, DLV_CODE_MAX, "%s", code);
		v->codes_count++;
	}
	v->codes[i < DLV_CODES_MAX ? i : DLV_CODES_MAX - 1].count++;
}

/* The part of the description that the error belongs to: what Redshift is given by an object says so by its code. */
static const struct dlv_logging *
logging_of(const struct dlv_flow *f, const struct dlv_leg *leg, const char *code)
{
	const struct dlv_spec *spec = f->env.spec;

	if (leg == &f->copy && spec->has_source_backup)
		return &spec->source_backup.logging;
	if (leg == &f->copy || leg == &f->errors || spec->kind == DLV_TO_S3 ||
		strncmp(code, "S3.", 3) == 0 || strncmp(code, "File.", 5) == 0)
		return &spec->s3.logging;
	return &spec->logging;
}

void
dlv_view_note(struct dlv_flow *f, const struct dlv_leg *leg, const char *code, const char *text)
{
	bool is_main = leg == NULL || leg == &f->main;
	const struct dlv_errlog_line line = {.to = logging_of(f, leg, code),
		.destination = is_main ? f->config.ops->name : f->config.backup_ops->name,
		.code = code,
		.message = text,
		.batch_id = leg != NULL && f->under != NULL ? f->under->main.id : "",
		.attempts = leg != NULL ? leg->attempts : 0,
		.version = f->env.version,
		.wall_ns = slk_wall_ns(f->env.clock)};

	dlv_errlog_add(f->errlog, &line);
}

static void
log_error(struct dlv_flow *f, const struct dlv_leg *leg, const char *code, const char *text)
{
	const struct dlv_logging *to = logging_of(f, leg, code);

	if (to->enabled)
		slk_error_log("delivery is held up", slk_kv("delivery_stream", f->env.name),
			slk_kv("code", code), slk_kv("reason", text), slk_kv("logGroup", to->group),
			slk_kv("logStream", to->stream));
	else
		slk_error_log("delivery is held up", slk_kv("delivery_stream", f->env.name),
			slk_kv("code", code), slk_kv("reason", text));
}

void
dlv_view_error(struct dlv_flow *f, const struct dlv_leg *leg, const char *state, const char *code,
	const char *text)
{
	pthread_mutex_lock(&f->lock);
	struct dlv_flow_view *v = &f->view;
	bool is_new = strcmp(v->code, code) != 0;

	v->state = f->stopping ? "stopping" : state;
	if (is_new)
		v->error_since_ns = slk_wall_ns(f->env.clock);
	snprintf(v->code, sizeof(v->code), "%s", code);
	snprintf(v->error, sizeof(v->error), "%s", text);
	count_code(v, code);
	pthread_mutex_unlock(&f->lock);
	if (is_new)
		log_error(f, leg, code, text);
	dlv_view_note(f, leg, code, text);
}

void
dlv_view_ok(struct dlv_flow *f)
{
	pthread_mutex_lock(&f->lock);
	bool was = f->view.code[0] != '\0';

	f->view.state = f->stopping ? "stopping" : "delivering";
	f->view.code[0] = f->view.error[0] = '\0';
	f->view.error_since_ns = 0;
	pthread_mutex_unlock(&f->lock);
	if (was)
		slk_info("delivery goes on", slk_kv("delivery_stream", f->env.name));
}

void
dlv_view_attempt(struct dlv_flow *f, const struct dlv_result *result)
{
	pthread_mutex_lock(&f->lock);
	if ((unsigned)result->outcome < 4)
		f->view.outcomes[result->outcome]++;
	pthread_mutex_unlock(&f->lock);
}

void
dlv_view_batch(struct dlv_flow *f)
{
	pthread_mutex_lock(&f->lock);
	struct dlv_flow_view *v = &f->view;
	const struct dlv_batch *b = f->under != NULL ? &f->under->main : NULL;

	v->batch_number = b != NULL ? b->number : f->ended_number + 1;
	v->batch_state = dlv_batch_state_name(b != NULL ? b->state : DLV_FILLING);
	snprintf(v->batch_id, sizeof(v->batch_id), "%s", b != NULL ? b->id : "");
	v->attempts = b != NULL ? f->main.attempts : 0;
	v->retry_ns = f->main.waits ? f->main.timer.at_ns : 0;
	pthread_mutex_unlock(&f->lock);
}

void
dlv_view_sets(struct dlv_flow *f)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < 2; i++) {
		const struct dlv_batch *b = &f->sets[i].main;
		if ((f->gathering && &f->sets[i] == f->filling) ||
			(f->committing && (&f->sets[i] == f->under || f->commit_next)))
			continue; /* a task's; it is looked at when that ends */
		bool spent = f->sets[i].spent;
		f->oldest_ns[i] = spent ? 0 : b->oldest_ns;
		f->set_records[i] = spent ? 0 : b->count;
		f->set_bytes[i] = spent ? 0 : b->raw_bytes;
	}
	pthread_mutex_unlock(&f->lock);
}

void
dlv_view_ended(struct dlv_flow *f, const struct dlv_ended *ended)
{
	pthread_mutex_lock(&f->lock);
	struct dlv_flow_view *v = &f->view;

	v->batches++;
	v->records += ended->records;
	v->bytes += ended->bytes;
	if (ended->backed_up)
		v->backed_up_records += ended->records;
	else
		v->failed_records += ended->failed;
	v->delivered_ns = slk_wall_ns(f->env.clock);
	pthread_mutex_unlock(&f->lock);
}

/* Under the lock. */
static void
say_lag(const struct dlv_flow *f, struct dlv_flow_view *out)
{
	uint64_t now = slk_wall_ns(f->env.clock), oldest = 0;
	uint64_t records = f->set_records[0] + f->set_records[1];
	uint64_t bytes = f->set_bytes[0] + f->set_bytes[1];
	uint64_t known_records = out->records + records, known_bytes = out->bytes + bytes;

	for (size_t i = 0; i < 2; i++) {
		if (f->oldest_ns[i] != 0 && (oldest == 0 || f->oldest_ns[i] < oldest))
			oldest = f->oldest_ns[i];
	}
	if (oldest == 0 && !f->at_tip)
		oldest = f->tip_ns;
	out->lag_records = records + f->unread_records;
	out->lag_bytes = bytes;
	if (known_records > 0)
		out->lag_bytes += f->unread_records * (known_bytes / known_records);
	out->lag_ns = oldest != 0 && now > oldest ? now - oldest : 0;
}

void
dlv_flow_view(struct dlv_flow *f, struct dlv_flow_view *out_view)
{
	pthread_mutex_lock(&f->lock);
	*out_view = f->view;
	say_lag(f, out_view);
	pthread_mutex_unlock(&f->lock);
}
