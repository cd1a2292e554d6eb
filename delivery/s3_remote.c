#include "s3_remote.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "s3_answer.h"
#include "sign.h"
#include "web.h"

#define URL_MAX 8192u /* key and upload id at three bytes each, and the host */
#define ETAG_MAX 96u
#define CONNECT_MS 5000u
#define TOTAL_MS 60000u /* and for the body: */
#define SLOWEST_BYTES_PER_MS 128u
#define COMPLETE_MS 300000u /* a store may put the parts together first */
#define HEADERS_OWN 8u
#define SSE "x-amz-server-side-encryption"

struct dlv_s3_remote {
	const struct dlv_store *store;
	const char *bucket, *region;
	struct dlv_loop *loop;
	const struct slk_clock *clock;
	struct dlv_key_file *file;
	struct dlv_signer *signer;
	char host[512]; /* as in the Host header */
	char base[600]; /* https://HOST, without the scheme's own port */
	bool encrypts; /* it has said so of an object, asked to */
};

enum state { STARTING, PUTTING, CREATING, SENDING_PARTS, COMPLETING, ABORTING };

/* One request under way. */
struct slot {
	struct dlv_s3_put *put;
	size_t part;
	struct dlv_web_call *call; /* NULL: the slot is free */
	struct dlv_signed request;
	char url[URL_MAX];
	char checksum[12]; /* base64 of the CRC-32C */
};

struct dlv_s3_put {
	struct dlv_s3_remote *remote;
	struct dlv_s3_object object;
	dlv_done done;
	void *arg;
	enum state state;
	struct dlv_timer start;
	struct slot slots[DLV_S3_AT_ONCE];
	size_t parts_next, parts_done;
	char (*etags)[ETAG_MAX]; /* of the parts */
	char upload_id[513];
	char *complete; /* the body of CompleteMultipartUpload */
	char meta_names[DLV_METADATA_MAX][80];
	char key_id[DLV_KEY_ID_MAX]; /* that requests were signed with, for sentences */
	struct dlv_result result;
};

/* --- the bucket --- */

/* Behind "https://", without the scheme's own port: libcurl leaves that out of Host, too. */
static void
make_host(struct dlv_s3_remote *remote)
{
	const struct dlv_store *store = remote->store;
	bool tls = strncmp(store->url, "https://", 8) == 0;
	const char *host = store->url + (tls ? 8 : 7), *own = tls ? ":443" : ":80";
	size_t len = strlen(host), own_len = strlen(own);

	if (len > own_len && strcmp(host + len - own_len, own) == 0)
		len -= own_len;
	if (store->path_style)
		snprintf(remote->host, sizeof(remote->host), "%.*s", (int)len, host);
	else
		snprintf(remote->host, sizeof(remote->host), "%.64s.%.*s", remote->bucket, (int)len,
			host);
	snprintf(remote->base, sizeof(remote->base), "%s%s", tls ? "https://" : "http://",
		remote->host);
}

int
dlv_s3_remote_open(const struct dlv_store *store, const char *bucket, struct dlv_loop *loop,
	const struct slk_clock *clock, struct dlv_s3_remote **out_remote, struct slk_error *err)
{
	struct dlv_s3_remote *remote = calloc(1, sizeof(*remote));

	if (remote == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for an S3 store");
	remote->store = store;
	remote->bucket = bucket;
	remote->region = store->region != NULL ? store->region : "us-east-1";
	remote->loop = loop;
	remote->clock = clock;
	make_host(remote);
	int rc = dlv_key_file_open(store->credentials, &remote->file, err);
	if (rc == SLK_OK) {
		rc = dlv_signer_new(remote->region, "s3", &remote->signer);
		if (rc != SLK_OK)
			(void)slk_fail(err, rc, "no memory for an S3 store");
	}
	if (rc != SLK_OK) {
		dlv_s3_remote_close(remote);
		return rc;
	}
	*out_remote = remote;
	return SLK_OK;
}

void
dlv_s3_remote_close(struct dlv_s3_remote *remote)
{
	if (remote == NULL)
		return;
	dlv_key_file_close(remote->file);
	dlv_signer_free(remote->signer);
	free(remote);
}

/* --- parts --- */

uint64_t
dlv_s3_part_bytes(const struct dlv_store *store, uint64_t len)
{
	uint64_t bytes = store->part_bytes != 0 ? store->part_bytes : DLV_PART_BYTES;

	while (len / bytes >= DLV_S3_PARTS_MAX)
		bytes *= 2;
	return bytes;
}

static int
hash(struct slk_span bytes, uint8_t out_sha256[32])
{
	int ok = EVP_Digest(bytes.ptr, bytes.len, out_sha256, NULL, EVP_sha256(), NULL);

	return ok == 1 ? SLK_OK : SLK_INTERNAL;
}

/* A store's server hashes what it has to compare: over TLS that is work for nothing. */
int
dlv_s3_part_hash(const struct dlv_store *store, struct slk_span bytes, struct dlv_s3_part *out_part)
{
	struct dlv_s3_part part = {.crc32c = slk_crc32c(0, bytes.ptr, bytes.len)};

	part.hashed = store->url != NULL &&
		(store->sign_payload || strncmp(store->url, "http://", 7) == 0);
	if (part.hashed && hash(bytes, part.sha256) != SLK_OK)
		return SLK_INTERNAL;
	*out_part = part;
	return SLK_OK;
}

/* With padding: lib/base has none. */
static void
crc_text(uint32_t crc32c, char out[12])
{
	uint8_t bytes[4];

	slk_put_be32(bytes, crc32c);
	if (slk_base64_encode(SLK_BASE64, slk_span(bytes, 4), out, 12) == SLK_OK)
		memcpy(out + 6, "==", 3);
}

static const uint8_t *
sha256_of(const struct dlv_s3_part *part)
{
	return part->hashed ? part->sha256 : NULL;
}

static struct slk_span
part_span(const struct dlv_s3_object *object, size_t part)
{
	uint64_t at = part * object->part_bytes, left = object->body.len - at;

	return slk_span(object->body.ptr + at,
		(size_t)(left < object->part_bytes ? left : object->part_bytes));
}

/* --- the end --- */

static void
slot_clear(struct slot *slot)
{
	if (slot->call != NULL)
		dlv_web_cancel(slot->call);
	slot->call = NULL;
	dlv_signed_fini(&slot->request);
}

static void
put_free(struct dlv_s3_put *put)
{
	dlv_timer_stop(put->remote->loop, &put->start);
	for (size_t i = 0; i < DLV_S3_AT_ONCE; i++)
		slot_clear(&put->slots[i]);
	free(put->etags);
	free(put->complete);
	free(put);
}

void
dlv_s3_remote_cancel(struct dlv_s3_put *put)
{
	put_free(put);
}

static void
finish(struct dlv_s3_put *put)
{
	struct dlv_result result = put->result;
	dlv_done done = put->done;
	void *arg = put->arg;

	put_free(put);
	done(arg, &result);
}

static void abort_upload(struct dlv_s3_put *put);

/* put->result says why. */
static void
give_up(struct dlv_s3_put *put)
{
	for (size_t i = 0; i < DLV_S3_AT_ONCE; i++)
		slot_clear(&put->slots[i]);
	if (put->upload_id[0] != '\0' && put->state != ABORTING)
		abort_upload(put);
	else
		finish(put);
}

/* --- requests --- */

struct ask {
	const char *method, *what; /* "PUT", "PutObject" */
	const struct dlv_param *params;
	size_t params_count;
	const struct dlv_web_header *headers;
	size_t headers_count;
	struct slk_span body;
	const uint8_t *sha256;
	uint32_t total_ms;
};

static int
sign(struct slot *slot, const struct ask *ask, struct slk_error *err)
{
	struct dlv_s3_put *put = slot->put;
	struct dlv_s3_remote *remote = put->remote;
	const struct dlv_keys *keys = NULL;
	uint64_t generation = 0;
	char path[2048];

	int rc = dlv_key_file_read(remote->file, &keys, &generation, err);
	if (rc != SLK_OK)
		return rc;
	snprintf(put->key_id, sizeof(put->key_id), "%s", keys->key_id);
	snprintf(path, sizeof(path), "/%s%s%s", remote->store->path_style ? remote->bucket : "",
		remote->store->path_style ? "/" : "", put->object.key);
	const struct dlv_sign_request request = {
		.method = ask->method,
		.host = remote->host,
		.path = path,
		.params = ask->params,
		.params_count = ask->params_count,
		.headers = ask->headers,
		.headers_count = ask->headers_count,
		.payload_sha256 = ask->sha256,
		.wall_ns = slk_wall_ns(remote->clock),
	};
	rc = dlv_sign(remote->signer, keys, generation, &request, &slot->request);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "the request cannot be signed");
	snprintf(slot->url, sizeof(slot->url), "%s%s", remote->base, slot->request.target);
	return SLK_OK;
}

/* Headers and their texts live until the call is over: what ask points to does, too. */
static int
send_signed(struct slot *slot, const struct ask *ask, dlv_web_done on_answer)
{
	struct dlv_s3_remote *remote = slot->put->remote;
	const struct dlv_web_request request = {
		.method = ask->method,
		.url = slot->url,
		.headers = slot->request.headers,
		.headers_count = slot->request.headers_count,
		.body = ask->body,
		.ca_file = remote->store->ca,
		.connect_ms = CONNECT_MS,
		.total_ms = ask->total_ms != 0
			? ask->total_ms
			: (uint32_t)(TOTAL_MS + ask->body.len / SLOWEST_BYTES_PER_MS),
		.answer_max = DLV_S3_ANSWER_MAX,
	};

	return dlv_web_send(dlv_loop_web(remote->loop), &request, on_answer, slot, &slot->call);
}

/* What kept a request from being made. Credentials do not get better by themselves. */
static void
no_request(struct dlv_s3_put *put, const struct ask *ask, int rc, const struct slk_error *err)
{
	bool keys = rc == SLK_CONFIG || rc == SLK_DENIED || rc == SLK_NOT_FOUND;

	put->result = (struct dlv_result){.outcome = keys ? DLV_REFUSED : DLV_FAILED};
	snprintf(put->result.code, sizeof(put->result.code), "S3.%s",
		keys ? "Credentials" : slk_status_name(rc));
	(void)slk_fail(&put->result.error, rc, "bucket %s at %s, %s: %s", put->remote->bucket,
		put->remote->store->url, ask->what,
		err->text[0] != '\0' ? err->text : slk_status_sentence(rc));
}

/* false: the put is over, or aborting, and may be gone. */
static bool
send(struct slot *slot, const struct ask *ask, dlv_web_done on_answer)
{
	struct slk_error err = {.text = ""};
	int rc = sign(slot, ask, &err);

	if (rc == SLK_OK)
		rc = send_signed(slot, ask, on_answer);
	if (rc == SLK_OK)
		return true;
	if (slot->put->state != ABORTING)
		no_request(slot->put, ask, rc, &err);
	give_up(slot->put);
	return false;
}

/* --- answers --- */

static struct dlv_s3_asked
asked_of(const struct dlv_s3_put *put, const char *what)
{
	return (struct dlv_s3_asked){
		.what = what,
		.url = put->remote->store->url,
		.bucket = put->remote->bucket,
		.region = put->remote->region,
		.key_id = put->key_id,
		.kms_key = put->object.kms_key,
	};
}

/* Frees the slot. false: it is no success; put->result says why, and the put is given up. *reply is what the body said. */
static bool
take_answer(struct slot *slot, const char *what, const struct dlv_web_answer *answer,
	struct dlv_s3_reply *reply)
{
	struct dlv_s3_put *put = slot->put;
	const struct dlv_s3_asked asked = asked_of(put, what);

	slot->call = NULL;
	dlv_signed_fini(&slot->request);
	if (answer->status != SLK_OK || dlv_s3_reply_read(answer->body, reply) != SLK_OK)
		*reply = (struct dlv_s3_reply){.root = ""};
	bool good = answer->status == SLK_OK && answer->http_status / 100 == 2 &&
		strcmp(reply->root, "Error") != 0;
	if (!good) {
		dlv_s3_verdict(&asked, answer, reply, &put->result);
		give_up(put);
	}
	return good;
}

static void
not_s3(struct dlv_s3_put *put, const char *what, const char *missing)
{
	const struct dlv_s3_asked asked = asked_of(put, what);

	dlv_s3_not_s3(&asked, missing, &put->result);
	give_up(put);
}

/* Stores that do not know an encryption take the object and leave the header out of their answer. */
static bool
check_encrypted(struct dlv_s3_put *put, const char *what, const char *told)
{
	const struct dlv_s3_asked asked = asked_of(put, what);

	if (put->object.sse == NULL)
		return true;
	bool encrypts = strcmp(told, put->object.sse) == 0;
	put->remote->encrypts = encrypts;
	if (!encrypts) {
		dlv_s3_not_encrypted(&asked, put->object.sse, &put->result);
		give_up(put);
	}
	return encrypts;
}

/* A header of an answer, for when the answer is gone. */
struct told {
	char text[ETAG_MAX];
};

static struct told
told_of(const struct dlv_web_answer *answer, const char *name)
{
	struct told told = {.text = ""};

	if (answer->status == SLK_OK)
		snprintf(told.text, sizeof(told.text), "%s", answer->header(answer, name));
	return told;
}

/* --- headers --- */

struct headers {
	struct dlv_web_header all[DLV_WEB_HEADERS_MAX];
	size_t count;
};

static void
add(struct headers *h, const char *name, const char *value)
{
	if (value != NULL)
		h->all[h->count++] = (struct dlv_web_header){name, value};
}

/* Of PutObject, or of CreateMultipartUpload. */
static void
add_object_headers(struct dlv_s3_put *put, struct headers *h)
{
	static_assert(HEADERS_OWN + DLV_METADATA_MAX <= DLV_WEB_HEADERS_MAX - 4, "headers");
	const struct dlv_s3_object *object = &put->object;

	add(h, "content-type", object->content_type);
	add(h, "content-encoding", object->content_encoding);
	add(h, SSE, object->sse);
	if (object->sse != NULL && object->kms_key != NULL) {
		add(h, "x-amz-server-side-encryption-aws-kms-key-id", object->kms_key);
		add(h, "x-amz-server-side-encryption-context", object->kms_context);
		add(h, "x-amz-server-side-encryption-bucket-key-enabled",
			put->remote->store->bucket_key ? "true" : NULL);
	}
	for (size_t i = 0; i < object->metadata_count; i++)
		add(h, put->meta_names[i], object->metadata[i].value);
}

/* --- one request --- */

static void
on_put(void *arg, const struct dlv_web_answer *answer)
{
	struct slot *slot = arg;
	struct dlv_s3_put *put = slot->put;
	struct dlv_s3_reply reply;
	const struct told etag = told_of(answer, "ETag"), sse = told_of(answer, SSE);

	if (!take_answer(slot, "PutObject", answer, &reply))
		return;
	if (etag.text[0] == '\0') {
		not_s3(put, "PutObject", "an ETag");
		return;
	}
	if (!check_encrypted(put, "PutObject", sse.text))
		return;
	put->result = (struct dlv_result){.outcome = DLV_DELIVERED};
	finish(put);
}

static void
put_in_one(struct dlv_s3_put *put)
{
	struct slot *slot = &put->slots[0];
	struct headers h = {.count = 0};

	put->state = PUTTING;
	add_object_headers(put, &h);
	crc_text(put->object.parts[0].crc32c, slot->checksum);
	add(&h, "x-amz-checksum-crc32c", slot->checksum);
	const struct ask ask = {.method = "PUT",
		.what = "PutObject",
		.headers = h.all,
		.headers_count = h.count,
		.body = put->object.body,
		.sha256 = sha256_of(&put->object.parts[0])};
	(void)send(slot, &ask, on_put);
}

/* --- parts --- */

static const uint8_t sha256_of_nothing[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a,
	0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c,
	0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

/* The first failure counts; whatever the abort comes to. */
static void
on_abort(void *arg, const struct dlv_web_answer *answer)
{
	struct slot *slot = arg;

	(void)answer;
	slot->call = NULL;
	finish(slot->put);
}

static void
abort_upload(struct dlv_s3_put *put)
{
	const struct dlv_param params[] = {{"uploadId", put->upload_id}};
	const struct ask ask = {.method = "DELETE",
		.what = "AbortMultipartUpload",
		.params = params,
		.params_count = 1,
		.sha256 = sha256_of_nothing};

	put->state = ABORTING;
	(void)send(&put->slots[0], &ask, on_abort);
}

static void
on_complete(void *arg, const struct dlv_web_answer *answer)
{
	struct slot *slot = arg;
	struct dlv_s3_put *put = slot->put;
	struct dlv_s3_reply reply;

	if (!take_answer(slot, "CompleteMultipartUpload", answer, &reply))
		return;
	if (strcmp(reply.root, "CompleteMultipartUploadResult") != 0) {
		not_s3(put, "CompleteMultipartUpload", "its result");
		return;
	}
	put->result = (struct dlv_result){.outcome = DLV_DELIVERED};
	finish(put);
}

/* NULL: no memory. ETags were checked when they came. */
static char *
complete_text(const struct dlv_s3_put *put)
{
	size_t cap = put->object.parts_count * (ETAG_MAX + 128) + 256;
	char *text = malloc(cap), checksum[12];
	size_t len = 0;

	if (text == NULL)
		return NULL;
	len += (size_t)snprintf(text, cap,
		"<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < put->object.parts_count; i++) {
		crc_text(put->object.parts[i].crc32c, checksum);
		len += (size_t)snprintf(text + len, cap - len,
			"<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag>"
			"<ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
			i + 1, put->etags[i], checksum);
	}
	snprintf(text + len, cap - len, "</CompleteMultipartUpload>");
	return text;
}

static void
complete(struct dlv_s3_put *put)
{
	const struct dlv_param params[] = {{"uploadId", put->upload_id}};
	const struct dlv_web_header type = {"content-type", "application/xml"};
	uint8_t sha256[32];
	struct slk_error none = {.text = ""};
	struct ask ask = {.method = "POST",
		.what = "CompleteMultipartUpload",
		.params = params,
		.params_count = 1,
		.headers = &type,
		.headers_count = 1,
		.sha256 = sha256,
		.total_ms = COMPLETE_MS};

	put->state = COMPLETING;
	put->complete = complete_text(put);
	int rc = put->complete != NULL ? SLK_OK : SLK_NO_MEMORY;
	if (rc == SLK_OK) {
		ask.body = slk_span_str(put->complete);
		rc = hash(ask.body, sha256);
	}
	if (rc != SLK_OK) {
		no_request(put, &ask, rc, &none);
		give_up(put);
		return;
	}
	(void)send(&put->slots[0], &ask, on_complete);
}

static void send_parts(struct dlv_s3_put *put);

/* As it will stand in XML. */
static bool
take_etag(const char *etag, char out[ETAG_MAX])
{
	size_t len = strlen(etag);

	if (len == 0 || len >= ETAG_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (etag[i] <= 0x20 || etag[i] >= 0x7f || strchr("<>&", etag[i]) != NULL)
			return false;
	}
	memcpy(out, etag, len + 1);
	return true;
}

static void
on_part(void *arg, const struct dlv_web_answer *answer)
{
	struct slot *slot = arg;
	struct dlv_s3_put *put = slot->put;
	struct dlv_s3_reply reply;
	bool tagged = answer->status == SLK_OK &&
		take_etag(answer->header(answer, "ETag"), put->etags[slot->part]);

	if (!take_answer(slot, "UploadPart", answer, &reply))
		return;
	if (!tagged)
		not_s3(put, "UploadPart", "an ETag");
	else if (++put->parts_done == put->object.parts_count)
		complete(put);
	else
		send_parts(put);
}

static bool
send_part(struct dlv_s3_put *put, struct slot *slot)
{
	const struct dlv_s3_part *part = &put->object.parts[put->parts_next];
	char number[24];
	const struct dlv_param params[] = {{"partNumber", number}, {"uploadId", put->upload_id}};

	slot->part = put->parts_next++;
	snprintf(number, sizeof(number), "%zu", slot->part + 1);
	crc_text(part->crc32c, slot->checksum);
	const struct dlv_web_header checksum = {"x-amz-checksum-crc32c", slot->checksum};
	const struct ask ask = {.method = "PUT",
		.what = "UploadPart",
		.params = params,
		.params_count = 2,
		.headers = &checksum,
		.headers_count = 1,
		.body = part_span(&put->object, slot->part),
		.sha256 = sha256_of(part)};
	return send(slot, &ask, on_part);
}

static void
send_parts(struct dlv_s3_put *put)
{
	for (size_t i = 0; i < DLV_S3_AT_ONCE && put->parts_next < put->object.parts_count; i++) {
		if (put->slots[i].call == NULL && !send_part(put, &put->slots[i]))
			return;
	}
}

static void
on_create(void *arg, const struct dlv_web_answer *answer)
{
	struct slot *slot = arg;
	struct dlv_s3_put *put = slot->put;
	struct dlv_s3_reply reply;
	const struct told sse = told_of(answer, SSE);

	if (!take_answer(slot, "CreateMultipartUpload", answer, &reply))
		return;
	if (reply.upload_id[0] == '\0') {
		not_s3(put, "CreateMultipartUpload", "an UploadId");
		return;
	}
	snprintf(put->upload_id, sizeof(put->upload_id), "%s", reply.upload_id);
	put->state = SENDING_PARTS;
	if (check_encrypted(put, "CreateMultipartUpload", sse.text))
		send_parts(put);
}

static void
create(struct dlv_s3_put *put)
{
	const struct dlv_param params[] = {{"uploads", ""}};
	struct headers h = {.count = 0};

	put->state = CREATING;
	add_object_headers(put, &h);
	add(&h, "x-amz-checksum-algorithm", "CRC32C");
	const struct ask ask = {.method = "POST",
		.what = "CreateMultipartUpload",
		.params = params,
		.params_count = 1,
		.headers = h.all,
		.headers_count = h.count,
		.sha256 = sha256_of_nothing};
	(void)send(&put->slots[0], &ask, on_create);
}

/* --- the beginning --- */

/* Until the store has shown that it encrypts as it is asked to, it is asked before it gets a byte. */
static void
start(void *arg)
{
	struct dlv_s3_put *put = arg;

	if (put->object.parts_count == 1 && (put->object.sse == NULL || put->remote->encrypts))
		put_in_one(put);
	else
		create(put);
}

static int
put_init(struct dlv_s3_put *put)
{
	const struct dlv_s3_object *object = &put->object;

	for (size_t i = 0; i < DLV_S3_AT_ONCE; i++)
		put->slots[i].put = put;
	for (size_t i = 0; i < object->metadata_count; i++)
		snprintf(put->meta_names[i], sizeof(put->meta_names[i]), "x-amz-meta-%.60s",
			object->metadata[i].name);
	put->etags = calloc(object->parts_count, ETAG_MAX);
	return put->etags != NULL ? SLK_OK : SLK_NO_MEMORY;
}

int
dlv_s3_remote_put(struct dlv_s3_remote *remote, const struct dlv_s3_object *object, dlv_done done,
	void *arg, struct dlv_s3_put **out_put)
{
	assert(object->parts_count >= 1 && object->metadata_count <= DLV_METADATA_MAX);
	struct dlv_s3_put *put = calloc(1, sizeof(*put));
	if (put == NULL)
		return SLK_NO_MEMORY;
	put->remote = remote;
	put->object = *object;
	put->done = done;
	put->arg = arg;
	if (put_init(put) != SLK_OK) {
		free(put);
		return SLK_NO_MEMORY;
	}
	dlv_timer_set(
		remote->loop, &put->start, slk_mono_ns(dlv_loop_clock(remote->loop)), start, put);
	*out_put = put;
	return SLK_OK;
}
