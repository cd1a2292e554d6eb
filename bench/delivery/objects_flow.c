/* deliverd's way to the file destination, without its frame: see objects.h. The role is the bench's, so no kmsd is asked. */
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/sealedhead.h"
#include "flow.h"
#include "loop.h"
#include "objects.h"
#include "role.h"
#include "stores.h"
#include "web.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/bench"

/* --- a role that may all --- */

int
dlv_role_data_key(struct dlv_role *role, const char *key_arn, const char *context_json,
	struct slk_secret **out_data_key, uint8_t *wrapped, size_t cap, size_t *out_len,
	struct slk_error *err)
{
	(void)role;
	(void)key_arn;
	(void)context_json;
	if (cap < 200)
		return slk_fail(err, SLK_TOO_LARGE, "no room for a wrapped key");
	memset(wrapped, 'w', 200);
	*out_len = 200;
	return slk_secret_from(OBJECTS_DATA_KEY, 32, out_data_key);
}

int
dlv_role_may(struct dlv_role *role, const char *action, const char *resource_arn,
	const char *context_json, struct slk_error *err)
{
	(void)role;
	(void)action;
	(void)resource_arn;
	(void)context_json;
	(void)err;
	return SLK_OK;
}

static int
unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *err)
{
	(void)ctx;
	(void)epoch;
	(void)err;
	return slk_secret_from(OBJECTS_DATA_KEY, 32, out_data_key);
}

/* --- directories --- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
objects_remove(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- one run: until all objects are durable --- */

static void
on_stopped(void *arg)
{
	((struct objects_flow *)arg)->stopped = true;
}

static void
sample(struct objects_flow *o)
{
	uint64_t used = dlv_pool_used(o->pool);

	o->pool_peak = used > o->pool_peak ? used : o->pool_peak;
}

static int
turn_until_delivered(struct objects_flow *o, struct dlv_flow *flow)
{
	uint64_t want = o->content->blocks / o->content->object_blocks;
	struct dlv_flow_view view = {0};
	int rc = SLK_OK;

	while (rc == SLK_OK && view.batches < want) {
		rc = dlv_loop_turn(o->loop, 1, &o->err);
		sample(o);
		dlv_flow_view(flow, &view);
		if (view.error[0] != '\0')
			return slk_fail(&o->err, SLK_UNAVAILABLE, "%s", view.error);
	}
	dlv_flow_stop(flow, 0, on_stopped, o);
	while (rc == SLK_OK && !o->stopped)
		rc = dlv_loop_turn(o->loop, 1, &o->err);
	return rc;
}

static int
run_flow(struct objects_flow *o, struct dlv_feed *feed, const char *state_dir,
	const struct dlv_stores *stores)
{
	const struct dlv_flow_config config = {
		.env = {.name = "bench",
			.arn = "arn:aws:firehose:local:000000000000:deliverystream/bench",
			.account = "000000000000",
			.region = "local",
			.spec = &o->spec,
			.version = 1,
			.loop = o->loop,
			.stores = stores,
			.pool = o->pool,
			.clock = slk_clock_system()},
		.delivery_id = 1,
		.ops = &dlv_s3_ops,
		.backup_ops = &dlv_s3_ops,
		.feed = feed,
		.stream_id = 1,
		.state_dir = state_dir};
	struct dlv_flow *flow = NULL;

	int rc = dlv_flow_new(&config, &flow, &o->err);
	if (rc != SLK_OK) {
		dlv_feed_free(feed);
		return rc;
	}
	o->stopped = false;
	dlv_flow_start(flow);
	rc = turn_until_delivered(o, flow);
	dlv_flow_free(flow);
	return rc;
}

void
objects_flow_run(void *arg)
{
	struct objects_flow *o = arg;
	char out[330], state[330], journal[330];
	struct dlv_feed *feed = NULL;

	snprintf(out, sizeof(out), "%s/out", o->root);
	snprintf(state, sizeof(state), "%s/state", o->root);
	snprintf(journal, sizeof(journal), "%s/journal", o->root);
	const struct dlv_store store = {
		.bucket = "*", .dir = out, .seal = o->sealed ? DLV_SEAL_CLIENT : DLV_SEAL_NONE};
	const struct dlv_stores stores = {&store, 1};
	const struct dlv_feed_config config = {.journal_dir = journal,
		.stream_arn = ARN,
		.stream_id = 1,
		.unwrap = unwrap,
		.clock = slk_clock_system()};
	if (o->status != SLK_OK)
		return;
	if (mkdir(out, 0700) != 0 || mkdir(state, 0700) != 0) {
		o->status = slk_fail_errno(&o->err, "cannot make %s", out);
		return;
	}
	o->status = dlv_feed_new(&config, &feed, &o->err);
	if (o->status == SLK_OK)
		o->status = run_flow(o, feed, state, &stores);
	if ((!o->keep && objects_remove(out) != 0) || objects_remove(state) != 0)
		o->status = slk_fail_errno(&o->err, "cannot clean up");
}

/* --- what was delivered --- */

static struct {
	const struct objects_content *content;
	EVP_MD_CTX *hash;
	uint64_t bytes;
	int status;
	struct slk_error err;
} looking;

static uint8_t *
read_file(const char *path, size_t *out_len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes = fd >= 0 && fstat(fd, &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;

	*out_len = 0;
	for (ssize_t n = 1; bytes != NULL && n > 0; *out_len += (size_t)n) {
		n = read(fd, bytes + *out_len, (size_t)st.st_size - *out_len);
		if (n < 0)
			break;
	}
	if (fd >= 0)
		close(fd);
	return bytes;
}

static int
open_sealed(const char *path, uint8_t *bytes, size_t *len, struct slk_error *err)
{
	char beside[600];
	struct dlv_sealed_head head;
	struct fmt_context *context = NULL;
	struct slk_secret *key = NULL;
	struct dlv_sealed *sealed = NULL;
	size_t json_len = 0;

	snprintf(beside, sizeof(beside), "%.500s.meta.json", path);
	uint8_t *json = read_file(beside, &json_len);
	int rc = json != NULL && *len >= DLV_SEALED_TAG_BYTES
		? dlv_sealed_head_parse(slk_span(json, json_len), &head, &context, err)
		: SLK_TRUNCATED;
	if (rc == SLK_OK)
		rc = slk_secret_from(OBJECTS_DATA_KEY, 32, &key);
	if (rc == SLK_OK)
		rc = dlv_sealed_open(key, head.message_id, head.commitment, NULL, &sealed, err);
	if (rc == SLK_OK) {
		*len -= DLV_SEALED_TAG_BYTES;
		rc = seal_stream_update(dlv_sealed_stream(sealed), bytes, bytes, *len);
	}
	if (rc == SLK_OK)
		rc = seal_stream_end(dlv_sealed_stream(sealed), bytes + *len);
	dlv_sealed_free(sealed);
	slk_secret_free(key);
	fmt_context_free(context);
	free(json);
	return rc;
}

/* All objects hold the same: in which order they are met is no matter. */
static int
look_at(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t len = 0;

	(void)st;
	(void)ftw;
	if (type != FTW_F || strstr(path, ".meta.json") != NULL)
		return 0;
	uint8_t *bytes = read_file(path, &len);
	looking.status =
		bytes != NULL ? open_sealed(path, bytes, &len, &looking.err) : SLK_NO_MEMORY;
	if (looking.status == SLK_OK && EVP_DigestUpdate(looking.hash, bytes, len) != 1)
		looking.status = SLK_INTERNAL;
	looking.bytes += len;
	free(bytes);
	return looking.status != SLK_OK;
}

int
objects_check(const struct objects_flow *flow, char out_sha256[65], struct slk_error *err)
{
	char out[330];
	uint8_t hash[32] = {0};

	snprintf(out, sizeof(out), "%s/out", flow->root);
	looking.content = flow->content;
	looking.hash = EVP_MD_CTX_new();
	looking.bytes = 0;
	looking.status = SLK_OK;
	if (looking.hash == NULL || EVP_DigestInit_ex(looking.hash, EVP_sha256(), NULL) != 1)
		looking.status = SLK_NO_MEMORY;
	else if (nftw(out, look_at, 16, FTW_PHYS) < 0)
		looking.status = SLK_IO;
	if (looking.status == SLK_OK && EVP_DigestFinal_ex(looking.hash, hash, NULL) != 1)
		looking.status = SLK_INTERNAL;
	EVP_MD_CTX_free(looking.hash);
	slk_hex(slk_span(hash, sizeof(hash)), out_sha256, 65);
	if (objects_remove(out) != 0 && looking.status == SLK_OK)
		looking.status = SLK_IO;
	return looking.status == SLK_OK
		? SLK_OK
		: slk_fail(err, looking.status, "what was delivered does not open: %s %s",
			  slk_status_sentence(looking.status), looking.err.text);
}
