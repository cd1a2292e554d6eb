#include "s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "delivery/names.h"
#include "delivery/sealed.h"
#include "loop.h"
#include "object.h"
#include "role.h"
#include "s3_target.h"

#define BUCKET_MAX 64u /* with terminator */
#define WRAPPED_MAX 6144u
#define CONTEXT_MAX 2048u /* JSON */
#define CONTEXT_TEXT_MAX 2740u /* its base64 */
#define ARN_MAX 512u
#define GENERATE "kms:GenerateDataKey"
#define CONTENT_TYPE "application/octet-stream"

struct s3_dest {
	struct dlv_env env;
	const struct dlv_store *store;
	struct dlv_s3_target *target;
	bool client; /* sealed here */
	const char *sse; /* as the store is told; NULL */
	char kms_key[ARN_MAX]; /* as the store is told */
	char kms_context[CONTEXT_TEXT_MAX];
	bool kms_is_ours;
};

/* batch->work */
struct s3_work {
	struct dlv_object *object;
	struct slk_secret *data_key;
	uint8_t wrapped[WRAPPED_MAX];
	char key[DLV_KEY_MAX];
	struct dlv_s3_part *parts;
	size_t parts_count;
	uint64_t part_bytes;
	struct dlv_metadata metadata[DLV_METADATA_MAX];
	size_t metadata_count;
	char *sidecar;
	/* While it is under way. */
	struct dlv_s3_call *call;
	dlv_done done;
	void *arg;
	struct dlv_timer late; /* tells what failed at once */
};

/* --- what is said of keys --- */

static bool
is_bucket(const char *bucket)
{
	size_t len = strlen(bucket);

	return len >= 1 && len < BUCKET_MAX && bucket[0] != '.' &&
		strspn(bucket,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

/* arn:aws:kms:REGION:ACCOUNT:key/ID: the account, and what is behind it. */
static const char *
arn_part(const char *arn, unsigned colons)
{
	for (; colons > 0 && arn != NULL; colons--) {
		arn = strchr(arn, ':');
		arn = arn != NULL ? arn + 1 : NULL;
	}
	return arn;
}

static bool
is_account(const char *arn, const char *account)
{
	const char *at = arn_part(arn, 4);
	size_t len = strlen(account);

	return at != NULL && strncmp(at, account, len) == 0 && at[len] == ':';
}

/* AWS knows keys of other accounts by their ARN; other stores know the id that they were configured with. */
static void
make_kms_key(struct s3_dest *dest, const char *arn)
{
	const char *url = dest->store->url, *tail = arn_part(arn, 5);
	size_t len = strcspn(url + 8, ":");
	bool aws = len > 14 && strncmp(url + 8 + len - 14, ".amazonaws.com", 14) == 0;

	if (!aws && tail != NULL && strncmp(tail, "key/", 4) == 0)
		snprintf(dest->kms_key, sizeof(dest->kms_key), "%s", tail + 4);
	else
		snprintf(dest->kms_key, sizeof(dest->kms_key), "%s",
			aws || tail == NULL ? arn : tail);
}

/* With padding, which lib/base leaves out. */
static int
make_base64(const char *text, char *out, size_t cap)
{
	int rc = slk_base64_encode(SLK_BASE64, slk_span_str(text), out, cap);
	size_t len = rc == SLK_OK ? strlen(out) : 0;

	while (rc == SLK_OK && len % 4 != 0) {
		if (len + 2 > cap)
			return SLK_FULL;
		out[len++] = '=';
		out[len] = '\0';
	}
	return rc;
}

/* --- open --- */

static int
open_sealing(struct s3_dest *dest, struct slk_error *err)
{
	const char *arn = dest->env.s3->kms_key_arn;
	enum dlv_sealing seal = dest->store->seal;
	char context[CONTEXT_MAX];

	if (seal == DLV_SEAL_S3)
		dest->sse = "AES256";
	if (arn == NULL)
		return SLK_OK;
	if (seal == DLV_SEAL_NONE || seal == DLV_SEAL_S3)
		return slk_fail(err, SLK_CONFIG,
			"the delivery stream names a KMS key, and the store of bucket %s has no "
			"use for one: "
			"set its seal to client or server in deliverd.yaml",
			dest->env.s3->bucket);
	dest->client = seal == DLV_SEAL_CLIENT;
	dest->kms_is_ours = is_account(arn, dest->env.account);
	if (dest->client)
		return SLK_OK;
	dest->sse = "aws:kms";
	make_kms_key(dest, arn);
	snprintf(context, sizeof(context), "{\"aws:firehose:arn\":\"%s\"}", dest->env.arn);
	if (make_base64(context, dest->kms_context, sizeof(dest->kms_context)) != SLK_OK)
		return slk_fail(err, SLK_CONFIG, "the ARN of the delivery stream is too long");
	return SLK_OK;
}

static int
open_store(struct s3_dest *dest, struct slk_error *err)
{
	const struct dlv_env *env = &dest->env;

	if (!is_bucket(env->s3->bucket))
		return slk_fail(err, SLK_CONFIG, "BucketARN names no bucket");
	dest->store = dlv_stores_find(env->stores, env->s3->bucket);
	if (dest->store == NULL)
		return slk_fail(err, SLK_CONFIG,
			"no store in deliverd.yaml holds bucket %s: add an entry under stores",
			env->s3->bucket);
	int rc = dlv_store_check(dest->store, err);
	if (rc == SLK_OK)
		rc = open_sealing(dest, err);
	if (rc == SLK_OK)
		rc = dlv_s3_target_open(dest->store, env->s3->bucket, env->loop, env->clock, NULL,
			&dest->target, err);
	return rc;
}

static int
s3_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	struct s3_dest *dest = calloc(1, sizeof(*dest));

	if (dest == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the S3 destination");
	dest->env = *env;
	int rc = open_store(dest, err);
	if (rc != SLK_OK) {
		free(dest);
		return rc;
	}
	*out_dest = dest;
	return SLK_OK;
}

static void
s3_close(void *arg)
{
	struct s3_dest *dest = arg;

	dlv_s3_target_close(dest->target);
	free(dest);
}

/* --- a batch: begin, gather --- */

static void
work_free(struct s3_work *work)
{
	if (work == NULL)
		return;
	dlv_object_free(work->object);
	slk_secret_free(work->data_key);
	free(work->parts);
	free(work->sidecar);
	free(work);
}

/* A data key of the KMS's, if objects are sealed here; *out_key has what an object needs of it. */
static int
take_data_key(const struct s3_dest *dest, struct s3_work *work, struct dlv_object_key *out_key,
	struct slk_error *err)
{
	size_t len = 0;

	int rc = dlv_role_data_key(dest->env.role, dest->env.s3->kms_key_arn, DLV_SEALED_CONTEXT,
		&work->data_key, work->wrapped, sizeof(work->wrapped), &len, err);
	if (rc != SLK_OK)
		return rc;
	*out_key = (struct dlv_object_key){
		.data_key = work->data_key,
		.wrapped = slk_span(work->wrapped, len),
		.key_arn = dest->env.s3->kms_key_arn,
		.context_json = DLV_SEALED_CONTEXT,
	};
	return SLK_OK;
}

static int
make_object(const struct s3_dest *dest, struct s3_work *work, struct slk_error *err)
{
	struct dlv_object_key key;
	const struct dlv_object_config config = {
		.compression = dest->env.s3->compression,
		/* What is in an error output is a line already. */
		.delimiter = dest->env.spec->delimiter && dest->env.error_type == NULL,
		.key = dest->client ? &key : NULL,
	};

	int rc = dest->client ? take_data_key(dest, work, &key, err) : SLK_OK;
	if (rc == SLK_OK)
		rc = dlv_object_new(&config, &work->object, err);
	slk_secret_free(work->data_key); /* the object has what it needs */
	work->data_key = NULL;
	return rc;
}

static int
s3_begin(void *arg, struct dlv_batch *batch, struct slk_error *err)
{
	struct s3_dest *dest = arg;
	struct s3_work *work = calloc(1, sizeof(*work));

	if (work == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for an object");
	int rc = make_object(dest, work, err);
	if (rc != SLK_OK) {
		work_free(work);
		return rc;
	}
	batch->work = work;
	return SLK_OK;
}

static int
s3_gather(void *arg, struct dlv_batch *batch, const struct dlv_record *records, size_t count,
	struct slk_error *err)
{
	struct s3_work *work = batch->work;

	(void)arg;
	int rc = dlv_object_add(work->object, &batch->body, records, count);
	return rc == SLK_OK
		? SLK_OK
		: slk_fail(err, rc, "an object cannot take more: %s", slk_status_sentence(rc));
}

/* --- a batch: seal --- */

static int
hash_parts(const struct s3_dest *dest, struct s3_work *work, struct slk_span body)
{
	uint64_t bytes = dlv_s3_part_bytes(dest->store, body.len);
	size_t count = body.len == 0 ? 1 : (size_t)((body.len + bytes - 1) / bytes);
	int rc = SLK_OK;

	free(work->parts);
	work->parts = calloc(count, sizeof(*work->parts));
	if (work->parts == NULL)
		return SLK_NO_MEMORY;
	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		uint64_t left = body.len - i * bytes;
		rc = dlv_s3_part_hash(dest->store,
			slk_span(body.ptr + i * bytes, (size_t)(left < bytes ? left : bytes)),
			&work->parts[i]);
	}
	work->parts_count = count;
	work->part_bytes = bytes;
	return rc;
}

static void
put_json_text(struct slk_writer *w, const char *text)
{
	slk_write_u8(w, '"');
	for (; *text != '\0'; text++) {
		char escape[8];
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", c);
		else if (c < 0x20)
			snprintf(escape, sizeof(escape), "\\u%04x", c);
		else
			snprintf(escape, sizeof(escape), "%c", c);
		slk_write_bytes(w, escape, strlen(escape));
	}
	slk_write_u8(w, '"');
}

/* {"Metadata":{...}}: as `aws s3api head-object` prints it, so that one tool reads both. */
static int
make_sidecar(struct s3_work *work)
{
	size_t cap = 64;

	for (size_t i = 0; i < work->metadata_count; i++)
		cap += 6 * (strlen(work->metadata[i].name) + strlen(work->metadata[i].value)) + 8;
	free(work->sidecar);
	work->sidecar = malloc(cap);
	if (work->sidecar == NULL)
		return SLK_NO_MEMORY;
	struct slk_writer w = slk_writer(work->sidecar, cap);
	slk_write_bytes(&w, "{\"Metadata\":{", 13);
	for (size_t i = 0; i < work->metadata_count; i++) {
		slk_write_bytes(&w, ",", i > 0);
		put_json_text(&w, work->metadata[i].name);
		slk_write_u8(&w, ':');
		put_json_text(&w, work->metadata[i].value);
	}
	slk_write_bytes(&w, "}}\n", 4); /* with a terminator */
	return w.status == SLK_OK ? SLK_OK : SLK_INTERNAL;
}

/* What the store will ask our KMS for: with a bucket key it has one for all objects. */
static int
ask_role(const struct s3_dest *dest, const struct s3_work *work, struct slk_error *err)
{
	char context[CONTEXT_MAX + DLV_KEY_MAX * 6];
	struct slk_writer w = slk_writer(context, sizeof(context));
	char arn[ARN_MAX + DLV_KEY_MAX];

	if (dest->sse == NULL || dest->kms_key[0] == '\0' || !dest->kms_is_ours)
		return SLK_OK;
	snprintf(arn, sizeof(arn), "arn:aws:s3:::%s%s%s", dest->env.s3->bucket,
		dest->store->bucket_key ? "" : "/", dest->store->bucket_key ? "" : work->key);
	slk_write_bytes(&w, "{\"aws:firehose:arn\":", 20);
	put_json_text(&w, dest->env.arn);
	slk_write_bytes(&w, ",\"aws:s3:arn\":", 14);
	put_json_text(&w, arn);
	slk_write_bytes(&w, "}", 2); /* with a terminator */
	if (w.status != SLK_OK)
		return slk_fail(err, SLK_TOO_LARGE, "the key of the object is too long");
	return dlv_role_may(dest->env.role, GENERATE, dest->env.s3->kms_key_arn, context, err);
}

static int
make_key(const struct s3_dest *dest, struct s3_work *work, const struct dlv_batch *batch,
	struct slk_error *err)
{
	const struct dlv_name name = {
		.stream = dest->env.name,
		.version = batch->version,
		.instant_ns = batch->oldest_ns,
		.id = batch->id,
		.error_type = dest->env.error_type,
	};
	int rc = dlv_names_key(dest->env.s3, &name, work->key);

	return rc == SLK_OK ? SLK_OK
			    : slk_fail(err, rc, "no key can be made of the prefix: %s",
				      slk_status_sentence(rc));
}

static int
s3_seal(void *arg, struct dlv_batch *batch, struct slk_error *err)
{
	struct s3_dest *dest = arg;
	struct s3_work *work = batch->work;

	int rc = make_key(dest, work, batch, err);
	if (rc == SLK_OK)
		rc = ask_role(dest, work, err);
	if (rc != SLK_OK)
		return rc;
	rc = dlv_object_end(work->object, &batch->body);
	if (rc == SLK_OK) {
		work->metadata_count = dlv_object_metadata(work->object, work->metadata);
		if (dest->store->dir == NULL) /* a directory has no parts, and no hash of them */
			rc = hash_parts(dest, work, slk_span(batch->body.bytes, batch->body.len));
	}
	if (rc == SLK_OK && work->metadata_count > 0)
		rc = make_sidecar(work);
	return rc == SLK_OK
		? SLK_OK
		: slk_fail(err, rc, "an object cannot be finished: %s", slk_status_sentence(rc));
}

/* --- a batch: deliver --- */

static void
on_put(void *arg, const struct dlv_result *result)
{
	struct s3_work *work = arg;

	work->call = NULL;
	work->done(work->arg, result);
}

static void
on_late(void *arg)
{
	struct s3_work *work = arg;
	struct dlv_result result = {.outcome = DLV_FAILED, .code = "S3.NoMemory"};

	(void)slk_fail(&result.error, SLK_NO_MEMORY, "no memory for a request");
	work->done(work->arg, &result);
}

static void
s3_deliver(void *arg, struct dlv_batch *batch, dlv_done done, void *done_arg)
{
	struct s3_dest *dest = arg;
	struct s3_work *work = batch->work;
	const struct dlv_s3_object object = {
		.key = work->key,
		.body = slk_span(batch->body.bytes, batch->body.len),
		.part_bytes = work->part_bytes,
		.parts = work->parts,
		.parts_count = work->parts_count,
		.content_type = CONTENT_TYPE,
		.content_encoding = dlv_object_content_encoding(work->object),
		.metadata = work->metadata,
		.metadata_count = work->metadata_count,
		.sse = dest->sse,
		.kms_key = dest->kms_key[0] != '\0' ? dest->kms_key : NULL,
		.kms_context = dest->kms_context[0] != '\0' ? dest->kms_context : NULL,
	};
	struct slk_span sidecar =
		work->sidecar != NULL ? slk_span_str(work->sidecar) : slk_span(NULL, 0);

	work->done = done;
	work->arg = done_arg;
	if (dlv_s3_target_put(dest->target, &object, sidecar, on_put, work, &work->call) != SLK_OK)
		dlv_timer_set(dest->env.loop, &work->late, 1, on_late, work);
}

static void
s3_cancel(void *arg, struct dlv_batch *batch)
{
	struct s3_dest *dest = arg;
	struct s3_work *work = batch->work;

	if (work->call != NULL)
		dlv_s3_target_cancel(work->call);
	work->call = NULL;
	dlv_timer_stop(dest->env.loop, &work->late);
}

static void
s3_release(void *arg, struct dlv_batch *batch)
{
	(void)arg;
	work_free(batch->work);
	batch->work = NULL;
}

const struct dlv_destination_ops dlv_s3_ops = {
	.name = "s3",
	.open = s3_open,
	.close = s3_close,
	.begin = s3_begin,
	.gather = s3_gather,
	.seal = s3_seal,
	.deliver = s3_deliver,
	.cancel = s3_cancel,
	.release = s3_release,
};

/* --- for others --- */

const char *
dlv_s3_object_key(const struct dlv_batch *batch)
{
	return ((const struct s3_work *)batch->work)->key;
}

const struct dlv_store *
dlv_s3_store_of(const void *dest)
{
	return ((const struct s3_dest *)dest)->store;
}

struct dlv_s3_raw {
	struct dlv_s3_part part;
	struct dlv_s3_call *call;
	dlv_done done;
	void *arg;
};

static void
on_raw(void *arg, const struct dlv_result *result)
{
	struct dlv_s3_raw *raw = arg;
	dlv_done done = raw->done;
	void *done_arg = raw->arg;

	free(raw);
	done(done_arg, result);
}

int
dlv_s3_raw_put(void *arg, const char *key, struct slk_span bytes, const char *content_type,
	dlv_done done, void *done_arg, struct dlv_s3_raw **out_raw)
{
	struct s3_dest *dest = arg;
	struct dlv_s3_raw *raw = calloc(1, sizeof(*raw));

	if (raw == NULL)
		return SLK_NO_MEMORY;
	raw->done = done;
	raw->arg = done_arg;
	int rc = dlv_s3_part_hash(dest->store, bytes, &raw->part);
	const struct dlv_s3_object object = {
		.key = key,
		.body = bytes,
		.part_bytes = bytes.len,
		.parts = &raw->part,
		.parts_count = 1,
		.content_type = content_type,
		.sse = dest->sse,
		.kms_key = dest->kms_key[0] != '\0' ? dest->kms_key : NULL,
		.kms_context = dest->kms_context[0] != '\0' ? dest->kms_context : NULL,
	};
	if (rc == SLK_OK)
		rc = dlv_s3_target_put(
			dest->target, &object, slk_span(NULL, 0), on_raw, raw, &raw->call);
	if (rc != SLK_OK) {
		free(raw);
		return rc;
	}
	*out_raw = raw;
	return SLK_OK;
}

void
dlv_s3_raw_cancel(struct dlv_s3_raw *raw)
{
	dlv_s3_target_cancel(raw->call);
	free(raw);
}
