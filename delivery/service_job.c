#include "service_job.h"

#include <string.h>

#include "destinations.h"

static struct dlv_role *
role_of(const struct dlv_job *job, const char *arn)
{
	for (size_t i = 0; arn != NULL && i < job->roles_count; i++) {
		if (strcmp(job->role_arns[i], arn) == 0)
			return job->roles[i];
	}
	return job->roles_count > 0 ? job->roles[0] : NULL;
}

static const char *
main_role(const struct dlv_spec *spec)
{
	switch (spec->kind) {
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		return spec->database.role_arn;
	case DLV_TO_SEARCH:
		return spec->search.role_arn;
	case DLV_TO_HTTP:
		return spec->http.role_arn[0] != '\0' ? spec->http.role_arn : spec->s3.role_arn;
	case DLV_TO_S3:
		break;
	}
	return spec->s3.role_arn;
}

static int
make_roles(struct dlv_job *job, struct slk_error *err)
{
	const struct dlv_service_config *c = job->config;
	size_t count = dlv_spec_roles(job->spec, job->role_arns);

	for (size_t i = 0; i < count && i < DLV_ROLES_MAX; i++) {
		const struct dlv_role_config config = {.delivery_stream = job->stream.name,
			.role_arn = job->role_arns[i],
			.clients = c->clients,
			.clock = c->clock};
		if (dlv_role_new(&config, &job->roles[i]) != SLK_OK)
			return slk_fail(err, SLK_NO_MEMORY, "no memory for a role");
		job->roles_count++;
	}
	if (job->roles_count == 0)
		return slk_fail(err, SLK_CONFIG, "the description names no role");
	return SLK_OK;
}

static int
make_feed(struct dlv_job *job, struct dlv_feed **out_feed, struct slk_error *err)
{
	const struct dlv_service_config *c = job->config;
	const struct dlv_feed_config config = {.journal_dir = c->config->journal.dir,
		.stream_arn = job->stream.stream_arn,
		.stream_id = job->stream.stream_id,
		.unwrap = dlv_role_unwrap,
		.unwrap_ctx = role_of(job,
			job->spec->source == DLV_KINESIS_STREAM ? job->spec->source_role_arn
								: main_role(job->spec)),
		.keys_age_s = c->config->keys.age_seconds,
		.clock = c->clock};

	return dlv_feed_new(&config, out_feed, err);
}

static int
make_flow(struct dlv_job *job, const struct dlv_destination_ops *ops,
	const struct dlv_destination_ops *backup_ops, struct dlv_feed *feed, struct slk_error *err)
{
	const struct dlv_service_config *c = job->config;
	const struct dlv_spec *spec = job->spec;
	const struct dlv_flow_config config = {.env = {.name = job->stream.name,
						       .arn = job->stream.arn,
						       .account = c->config->account,
						       .region = c->config->region,
						       .spec = spec,
						       .version = job->stream.version,
						       .loop = c->loop,
						       .role = role_of(job, main_role(spec)),
						       .stores = &c->config->stores,
						       .databases = &c->config->databases,
						       .endpoints = &c->config->endpoints,
						       .pool = c->pool,
						       .clock = c->clock},
		.delivery_id = job->stream.id,
		/* Of its own stream all; of another's what comes from now on, as Firehose has it. */
		.begun_ns = spec->source == DLV_KINESIS_STREAM ? job->stream.created_ns : 0,
		.ops = ops,
		.backup_ops = backup_ops,
		.copy_role = role_of(job,
			spec->has_source_backup ? spec->source_backup.role_arn : spec->s3.role_arn),
		.errors_role = role_of(job, spec->s3.role_arn),
		.feed = feed,
		.stream_id = job->stream.stream_id,
		.state_dir = c->config->state.dir};

	return dlv_flow_new(&config, &job->flow, err);
}

int
dlv_job_open(struct dlv_job *job, struct slk_error *err)
{
	const struct dlv_destination_ops *ops = NULL, *backup_ops = NULL;
	struct dlv_fault fault = {0};
	struct dlv_feed *feed = NULL;

	if (job->stream.spec == NULL)
		return slk_fail(err, SLK_UNAVAILABLE, "kmsd gave no description");
	int rc = dlv_spec_parse(slk_span(slk_secret_peek(job->stream.spec), job->stream.spec_len),
		&job->spec, &fault);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "the description is not sound: %s", fault.message);
	rc = dlv_destination_find(job->spec->kind, &ops, err);
	if (rc == SLK_OK)
		rc = dlv_destination_find(DLV_TO_S3, &backup_ops, err);
	if (rc == SLK_OK)
		rc = make_roles(job, err);
	if (rc == SLK_OK)
		rc = make_feed(job, &feed, err);
	if (rc == SLK_OK)
		rc = make_flow(job, ops, backup_ops, feed, err);
	if (rc != SLK_OK)
		dlv_feed_free(feed);
	return rc;
}

void
dlv_job_close(struct dlv_job *job)
{
	dlv_flow_free(job->flow);
	job->flow = NULL;
	while (job->roles_count > 0)
		dlv_role_free(job->roles[--job->roles_count]);
	dlv_spec_free(job->spec);
	job->spec = NULL;
}
