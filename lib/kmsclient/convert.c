#include "kmsclient/convert.h"

#include <string.h>

int
kmsc_text(const char *in, char *out, size_t cap)
{
	size_t len = strlen(in);

	if (len >= cap)
		return SLK_MALFORMED;
	memcpy(out, in, len + 1);
	return SLK_OK;
}

/* Several texts at once: the first status that is not SLK_OK. */
#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

static int
algorithms_from(const Kmsp__Key *in, struct kmsc_key *key)
{
	int rc = SLK_OK;

	if (in->n_algorithms > KMSC_ALGORITHMS_MAX)
		return SLK_MALFORMED;
	key->algorithms_count = in->n_algorithms;
	for (size_t i = 0; i < in->n_algorithms; i++)
		rc = TEXT(rc, in->algorithms[i], key->algorithms[i]);
	return rc;
}

int
kmsc_key_from(const Kmsp__Key *in, struct kmsc_key *out)
{
	struct kmsc_key key = {.created_ns = in->created_ns,
		.deletion_ns = in->deletion_ns,
		.pending_window_days = in->pending_window_days,
		.streams_count = in->streams_count};
	int rc = TEXT(SLK_OK, in->id, key.id);

	rc = TEXT(rc, in->arn, key.arn);
	rc = TEXT(rc, in->description, key.description);
	rc = TEXT(rc, in->state, key.state);
	rc = TEXT(rc, in->spec, key.spec);
	rc = TEXT(rc, in->usage, key.usage);
	rc = TEXT(rc, in->manager, key.manager);
	rc = TEXT(rc, in->backing_id, key.backing_id);
	rc = TEXT(rc, in->material_id, key.material_id);
	if (rc == SLK_OK)
		rc = algorithms_from(in, &key);
	if (rc == SLK_OK)
		*out = key;
	return rc;
}

int
kmsc_key_of(const Kmsp__Reply *reply, struct kmsc_key *out)
{
	int rc = kmsc_key_from(reply->key, out);

	if (rc != SLK_OK)
		return rc;
	out->approved_algorithms = (reply->indicator & KMSP_INDICATOR_APPROVED) != 0;
	out->validated_module = (reply->indicator & KMSP_INDICATOR_VALIDATED) != 0;
	return rc;
}

int
kmsc_alias_from(const Kmsp__Alias *in, struct kmsc_alias *out)
{
	struct kmsc_alias alias;
	int rc = TEXT(SLK_OK, in->name, alias.name);

	rc = TEXT(rc, in->arn, alias.arn);
	rc = TEXT(rc, in->key_id, alias.key_id);
	if (rc == SLK_OK)
		*out = alias;
	return rc;
}

int
kmsc_stream_from(const Kmsp__Stream *in, struct kmsc_stream *out)
{
	struct kmsc_stream stream = {.id = in->id,
		.shard_count = in->shard_count,
		.encrypted_kms = in->encrypted_kms,
		.created_ns = in->created_ns,
		.retention_hours = in->retention_hours,
		.shards_count = in->shards_count,
		.change = in->change};
	int rc = TEXT(SLK_OK, in->name, stream.name);

	rc = TEXT(rc, in->arn, stream.arn);
	rc = TEXT(rc, in->key_arn, stream.key_arn);
	rc = TEXT(rc, in->status, stream.status);
	rc = TEXT(rc, in->key_name, stream.key_name);
	rc = TEXT(rc, in->mode, stream.mode);
	if (rc == SLK_OK)
		*out = stream;
	return rc;
}

static int
worker_from(const Kmsp__HsmWorker *in, struct kmsc_hsm_worker *out)
{
	*out = (struct kmsc_hsm_worker){.pid = in->pid,
		.calls = in->calls,
		.failures = in->failures,
		.logins = in->logins,
		.recoveries = in->recoveries,
		.last_rv = in->last_rv,
		.sessions = in->sessions,
		.keys = in->keys,
		.keys_refused = in->keys_refused};
	int rc = TEXT(SLK_OK, in->state, out->state);

	return TEXT(rc, in->error, out->error);
}

static int
audit_from(const Kmsp__AuditState *in, struct kmsc_audit *out)
{
	out->seq = in->seq;
	out->withheld = in->withheld;
	out->low = in->low;
	out->head_seq = in->head_seq;
	out->head_unix_ns = in->head_unix_ns;
	int rc = TEXT(SLK_OK, in->error, out->error);
	rc = TEXT(rc, in->second, out->second);
	rc = TEXT(rc, in->second_error, out->second_error);
	return TEXT(rc, in->head_error, out->head_error);
}

int
kmsc_status_from(const Kmsp__Status *in, struct kmsc_status *out)
{
	struct kmsc_status status = {.hsm_ok = in->hsm_ok,
		.uptime_s = in->uptime_s,
		.requests = in->requests,
		.denied = in->denied,
		.errors = in->errors,
		.hsm_calls = in->hsm_calls,
		.hsm_recoveries = in->hsm_recoveries,
		.hsm_worker_restarts = in->hsm_worker_restarts,
		.data_keys_issued = in->data_keys_issued,
		.policy_decisions = in->policy_decisions,
		.right_changes = in->right_changes,
		.stream_changes = in->stream_changes};
	int rc = TEXT(SLK_OK, in->hsm_state, status.hsm_state);

	rc = TEXT(rc, in->hsm_error, status.hsm_error);
	rc = TEXT(rc, in->token_label, status.token_label);
	rc = TEXT(rc, in->token_serial, status.token_serial);
	rc = TEXT(rc, in->module, status.module);
	rc = TEXT(rc, in->hsm_profile, status.hsm_profile);
	if (rc == SLK_OK && in->n_workers > KMSC_WORKERS_MAX)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < in->n_workers; i++)
		rc = worker_from(in->workers[i], &status.hsm_workers[i]);
	if (rc == SLK_OK && in->audit != NULL)
		rc = audit_from(in->audit, &status.audit);
	status.hsm_workers_count = (uint32_t)in->n_workers;
	status.hsm_workers_ready = in->hsm_workers;
	if (rc == SLK_OK)
		*out = status;
	return rc;
}
