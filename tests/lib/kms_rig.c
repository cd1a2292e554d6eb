#include "slk_test.h"

#include "kms_rig.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tempdir.h"

static const char base_config[] =
	"socket:\n  path: /tmp/unused.sock\n"
	"catalog:\n  path: /tmp/unused.db\n"
	"audit:\n  path: /tmp/unused.log\n"
	"hsm:\n  profile: softhsm\n  module: /usr/lib/softhsm/libsofthsm2.so\n"
	"  token_label: fake\n  pin_file: /tmp/unused.pin\n"
	"ingest_user: 2000\n"
	"gateway_user: 2001\n"
	"deliver_user: 2002\n"
	"principals:\n"
	"  - {user: 1000, arn: user/alice}\n"
	"  - {user: 1001, arn: user/bob}\n"
	"  - {user: 1002, arn: user/admin}\n"
	"  - {user: 1003, arn: 'arn:aws:iam::111111111111:user/eve'}\n"
	"  - {user: 1004, arn: role/app}\n"
	"roles: [role/syslog]\n"
	"policy:\n"
	"  - {effect: Allow, principals: [root], actions: ['*'], resources: ['*']}\n";

static uint64_t
rig_mono(void *ctx)
{
	return ((struct kms_rig *)ctx)->mono_ns;
}

static uint64_t
rig_wall(void *ctx)
{
	return ((struct kms_rig *)ctx)->wall_ns;
}

static void
load_config(struct kms_rig *rig, const char *admins, const char *policy)
{
	char path[300];
	struct slk_error err = {0};

	snprintf(path, sizeof(path), "%s/kmsd.yaml", rig->dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fprintf(f, "admins: %s\n%s%s", admins, base_config, policy) > 0);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(fclose(f), 0);
	if (kms_config_load(path, &rig->config, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

static void
open_all(struct kms_rig *rig)
{
	struct slk_error err = {0};

	if (kms_catalog_open(rig->catalog_path, &rig->catalog, &err) != SLK_OK ||
		kms_audit_open(rig->audit_path, &rig->ff.fs, &rig->clock, &rig->audit, &err) !=
			SLK_OK)
		fail_msg("%s", err.text);
	const struct kms_service_parts parts = {
		.realm = {rig->config->account, rig->config->region},
		.catalog = rig->catalog,
		.audit = rig->audit,
		.link = rig->link,
		.policy = rig->policy,
		.principals = rig->principals,
		.clock = &rig->clock,
		.head_interval_s = rig->head_interval_s != 0 ? rig->head_interval_s : UINT32_MAX,
		.head_lines = UINT32_MAX,
		.on_demand_max = rig->config->on_demand_rotations,
		.dual = &rig->config->dual_control,
		.module = rig->config->hsm.module};
	assert_ok(kms_service_new(&parts, &rig->service));
	kms_service_tick(rig->service);
	rig_turn(rig);
}

void
rig_start(struct kms_rig *rig, const char *policy)
{
	rig_start_with(rig, "[0, 1002]", policy);
}

void
rig_start_with(struct kms_rig *rig, const char *admins, const char *policy)
{
	struct slk_error err = {0};

	memset(rig, 0, sizeof(*rig));
	tempdir_make_in_memory(rig->dir, sizeof(rig->dir));
	snprintf(rig->catalog_path, sizeof(rig->catalog_path), "%s/catalog.db", rig->dir);
	snprintf(rig->audit_path, sizeof(rig->audit_path), "%s/audit.log", rig->dir);
	rig->mono_ns = 1000 * SLK_NS_PER_S;
	rig->wall_ns = 1795507200ull * SLK_NS_PER_S;
	rig->clock = (struct slk_clock){rig_mono, rig_wall, rig};
	faultfs_init(&rig->ff, slk_fs_posix(), 0, 0, false, SLK_IO);
	load_config(rig, admins, policy);
	assert_ok(kmsp_arena_new(&rig->arena));
	assert_ok(hsm_link_new(-1, &rig->clock, &rig->link));
	if (kms_principals_new(rig->config, &rig->principals, &err) != SLK_OK ||
		kms_policy_new(rig->config, &rig->policy, &err) != SLK_OK)
		fail_msg("%s", err.text);
	open_all(rig);
}

static void
close_all(struct kms_rig *rig)
{
	kms_service_free(rig->service);
	kms_audit_close(rig->audit);
	kms_catalog_close(rig->catalog);
	rig->service = NULL;
	rig->audit = NULL;
	rig->catalog = NULL;
}

void
rig_stop(struct kms_rig *rig)
{
	hsm_link_free(rig->link);
	close_all(rig);
	kms_policy_free(rig->policy);
	kms_principals_free(rig->principals);
	kms_config_free(rig->config);
	slk_secret_free(rig->frame);
	kmsp_arena_free(rig->arena);
	tempdir_remove(rig->dir);
}

static void
change_catalog(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void
rig_restart_changed(struct kms_rig *rig, const char *sql)
{
	fake_hsm_hold(rig->link, false);
	rig_turn(rig); /* nothing may be left at the HSM: the fake outlives the service */
	close_all(rig);
	if (rig->closed != NULL)
		rig->closed(rig);
	if (sql != NULL)
		change_catalog(rig->catalog_path, sql);
	open_all(rig);
}

void
rig_restart(struct kms_rig *rig)
{
	rig_restart_changed(rig, NULL);
}

static void
on_answer(void *arg, struct slk_secret *frame)
{
	struct kms_rig *rig = arg;

	slk_secret_free(rig->frame);
	rig->frame = frame;
	rig->answers++;
}

static struct slk_peer
peer_of(uid_t uid)
{
	return (struct slk_peer){.uid = uid, .gid = uid, .pid = 77};
}

void
rig_begin(struct kms_rig *rig, uid_t uid, const Kmsp__Request *request)
{
	struct slk_peer peer = peer_of(uid);
	Kmsp__Request r = *request;

	if (rig->caller != NULL)
		r.caller = rig->caller;
	assert_ok(kms_service_handle(rig->service, &peer, &r, on_answer, rig));
}

void
rig_turn(struct kms_rig *rig)
{
	assert_ok(hsm_link_poll(rig->link));
	kms_service_flush(rig->service);
}

const Kmsp__Reply *
rig_last(struct kms_rig *rig)
{
	const Kmsp__Reply *reply = NULL;

	assert_non_null(rig->frame);
	assert_ok(kmsp_reply_unpack(rig->arena,
		slk_span(slk_secret_peek(rig->frame), slk_secret_len(rig->frame)), &reply));
	return reply;
}

const Kmsp__Reply *
rig_call(struct kms_rig *rig, uid_t uid, const Kmsp__Request *request)
{
	unsigned before = rig->answers;

	rig_begin(rig, uid, request);
	for (int i = 0; i < 10 && rig->answers == before; i++)
		rig_turn(rig);
	assert_int_equal(rig->answers, before + 1);
	return rig_last(rig);
}

#define TEXT(text) ((char *)(uintptr_t)(text))
#define REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.id = 1; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

const Kmsp__Reply *
rig_create_key(struct kms_rig *rig, uid_t uid, const char *description)
{
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;

	call.description = TEXT(description);
	REQUEST(request, CREATE_KEY, create_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_describe_key(struct kms_rig *rig, uid_t uid, const char *key)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = TEXT(key);
	REQUEST(request, DESCRIBE_KEY, describe_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_create_alias(struct kms_rig *rig, uid_t uid, const char *alias, const char *key)
{
	Kmsp__CreateAlias call = KMSP__CREATE_ALIAS__INIT;

	call.alias = TEXT(alias);
	call.key = TEXT(key);
	REQUEST(request, CREATE_ALIAS, create_alias) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_update_alias(struct kms_rig *rig, uid_t uid, const char *alias, const char *key)
{
	Kmsp__CreateAlias call = KMSP__CREATE_ALIAS__INIT;

	call.alias = TEXT(alias);
	call.key = TEXT(key);
	REQUEST(request, UPDATE_ALIAS, update_alias) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_delete_alias(struct kms_rig *rig, uid_t uid, const char *alias)
{
	Kmsp__DeleteAlias call = KMSP__DELETE_ALIAS__INIT;

	call.alias = TEXT(alias);
	REQUEST(request, DELETE_ALIAS, delete_alias) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_create_stream(
	struct kms_rig *rig, uid_t uid, const char *name, uint32_t shards, const char *key)
{
	Kmsp__CreateStream call = KMSP__CREATE_STREAM__INIT;

	call.name = TEXT(name);
	call.shard_count = shards;
	call.key = TEXT(key);
	REQUEST(request, CREATE_STREAM, create_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_describe_stream(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = TEXT(name);
	REQUEST(request, DESCRIBE_STREAM, describe_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_delete_stream(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = TEXT(name);
	REQUEST(request, DELETE_STREAM, delete_stream) = &call;
	return rig_call(rig, uid, &request);
}

void
rig_end_deletion(struct kms_rig *rig, const char *name)
{
	Kmsp__StreamChanged call = KMSP__STREAM_CHANGED__INIT;
	const Kmsp__Reply *reply = rig_describe_stream(rig, RIG_ROOT, name);

	assert_answered(reply, SLK_OK);
	call.stream = TEXT(name);
	call.stream_id = reply->stream->id;
	call.change = reply->stream->change;
	REQUEST(request, STREAM_CHANGED, stream_changed) = &call;
	assert_answered(rig_call(rig, RIG_INGEST, &request), SLK_OK);
}

const Kmsp__Reply *
rig_stream_key(struct kms_rig *rig, uid_t uid, const char *arn)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = TEXT(arn);
	REQUEST(request, GENERATE_STREAM_KEY, generate_stream_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_authorize(struct kms_rig *rig, uid_t door, uid_t uid, const char *action, const char *resource)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;

	call.caller_case = KMSP__AUTHORIZE__CALLER_UID;
	call.uid = uid;
	call.action = TEXT(action);
	call.resource = TEXT(resource);
	REQUEST(request, AUTHORIZE, authorize) = &call;
	return rig_call(rig, door, &request);
}

const Kmsp__Reply *
rig_status(struct kms_rig *rig, uid_t uid)
{
	Kmsp__Nothing call = KMSP__NOTHING__INIT;

	REQUEST(request, STATUS, status) = &call;
	return rig_call(rig, uid, &request);
}

/* The part of every request that is about a key and little else. */
struct key_request {
	Kmsp__KeyName name;
	Kmsp__ScheduleKeyDeletion schedule;
	Kmsp__UpdateKeyDescription describe;
	Kmsp__EnableKeyRotation rotation;
	Kmsp__Tag tag, *tags[1];
	Kmsp__TagResource set;
	Kmsp__UntagResource unset;
	Kmsp__ListOfKey list;
	Kmsp__ListAliases aliases;
	char *tag_keys[1];
};

static void
fill_key_request(struct key_request *r, char *key)
{
	kmsp__key_name__init(&r->name);
	kmsp__schedule_key_deletion__init(&r->schedule);
	kmsp__update_key_description__init(&r->describe);
	kmsp__enable_key_rotation__init(&r->rotation);
	kmsp__tag__init(&r->tag);
	kmsp__tag_resource__init(&r->set);
	kmsp__untag_resource__init(&r->unset);
	kmsp__list_of_key__init(&r->list);
	kmsp__list_aliases__init(&r->aliases);
	r->name.key = r->schedule.key = r->describe.key = r->rotation.key = r->set.key =
		r->unset.key = r->list.key = r->aliases.key = key;
	r->schedule.pending_window_days = 7;
	r->describe.description = r->tag.key = r->tag.value = r->tag_keys[0] = TEXT("text");
	r->tags[0] = &r->tag;
	r->set.tags = r->tags;
	r->unset.tag_keys = r->tag_keys;
	r->set.n_tags = r->unset.n_tag_keys = 1;
}

#define KEY_FIELD(CASE, field, part) \
	case KMSP__REQUEST__CALL_##CASE: \
		request.field = &r.part; \
		break

const Kmsp__Reply *
rig_ask_key(struct kms_rig *rig, uid_t uid, Kmsp__Request__CallCase what, const char *key)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	struct key_request r;

	fill_key_request(&r, TEXT(key));
	request.id = 1;
	request.call_case = what;
	switch (what) {
		KEY_FIELD(DESCRIBE_KEY, describe_key, name);
		KEY_FIELD(ENABLE_KEY, enable_key, name);
		KEY_FIELD(DISABLE_KEY, disable_key, name);
		KEY_FIELD(CANCEL_KEY_DELETION, cancel_key_deletion, name);
		KEY_FIELD(DISABLE_KEY_ROTATION, disable_key_rotation, name);
		KEY_FIELD(GET_KEY_ROTATION_STATUS, get_key_rotation_status, name);
		KEY_FIELD(ROTATE_KEY_ON_DEMAND, rotate_key_on_demand, name);
		KEY_FIELD(GET_PUBLIC_KEY, get_public_key, name);
		KEY_FIELD(SCHEDULE_KEY_DELETION, schedule_key_deletion, schedule);
		KEY_FIELD(UPDATE_KEY_DESCRIPTION, update_key_description, describe);
		KEY_FIELD(ENABLE_KEY_ROTATION, enable_key_rotation, rotation);
		KEY_FIELD(TAG_RESOURCE, tag_resource, set);
		KEY_FIELD(UNTAG_RESOURCE, untag_resource, unset);
		KEY_FIELD(LIST_RESOURCE_TAGS, list_resource_tags, list);
		KEY_FIELD(LIST_KEY_ROTATIONS, list_key_rotations, list);
		KEY_FIELD(LIST_ALIASES, list_aliases, aliases);
	default:
		fail();
	}
	return rig_call(rig, uid, &request);
}

struct pairs {
	char text[256];
	Kmsp__Pair storage[4];
	Kmsp__Pair *list[4];
	size_t count;
};

static void
pairs_of(const char *context, struct pairs *out)
{
	char *rest = NULL;

	out->count = 0;
	snprintf(out->text, sizeof(out->text), "%s", context);
	for (char *pair = strtok_r(out->text, ",", &rest); pair != NULL;
		pair = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(pair, '=');
		assert_true(value != NULL && out->count < 4);
		*value++ = '\0';
		Kmsp__Pair *p = &out->storage[out->count];
		kmsp__pair__init(p);
		p->key = (ProtobufCBinaryData){strlen(pair), (uint8_t *)pair};
		p->value = (ProtobufCBinaryData){strlen(value), (uint8_t *)value};
		out->list[out->count++] = p;
	}
}

const Kmsp__Reply *
rig_generate(struct kms_rig *rig, uid_t uid, const char *key, const char *context,
	bool without_plaintext)
{
	Kmsp__GenerateDataKey call = KMSP__GENERATE_DATA_KEY__INIT;
	struct pairs pairs;

	pairs_of(context, &pairs);
	call.key = TEXT(key);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.without_plaintext = without_plaintext;
	REQUEST(request, GENERATE_DATA_KEY, generate_data_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_encrypt(struct kms_rig *rig, uid_t uid, const char *key, const char *context,
	struct slk_span plaintext)
{
	Kmsp__Encrypt call = KMSP__ENCRYPT__INIT;
	struct pairs pairs;

	pairs_of(context, &pairs);
	call.key = TEXT(key);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.plaintext = (ProtobufCBinaryData){plaintext.len, (uint8_t *)(uintptr_t)plaintext.ptr};
	REQUEST(request, ENCRYPT, encrypt) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_decrypt(
	struct kms_rig *rig, uid_t uid, const char *key, const char *context, struct slk_span blob)
{
	Kmsp__Decrypt call = KMSP__DECRYPT__INIT;
	struct pairs pairs;

	pairs_of(context, &pairs);
	call.key = TEXT(key);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.blob = (ProtobufCBinaryData){blob.len, (uint8_t *)(uintptr_t)blob.ptr};
	REQUEST(request, DECRYPT, decrypt) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_generate_bytes(struct kms_rig *rig, uid_t uid, const char *key, uint32_t number_of_bytes)
{
	Kmsp__GenerateDataKey call = KMSP__GENERATE_DATA_KEY__INIT;

	call.key = TEXT(key);
	call.number_of_bytes = number_of_bytes;
	REQUEST(request, GENERATE_DATA_KEY, generate_data_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_random(struct kms_rig *rig, uid_t uid, uint32_t number_of_bytes)
{
	Kmsp__GenerateRandom call = KMSP__GENERATE_RANDOM__INIT;

	call.number_of_bytes = number_of_bytes;
	REQUEST(request, GENERATE_RANDOM, generate_random) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_re_encrypt(struct kms_rig *rig, uid_t uid, struct slk_span blob, const struct rig_re *how)
{
	Kmsp__ReEncrypt call = KMSP__RE_ENCRYPT__INIT;
	struct pairs from, to;

	pairs_of(how->source_context != NULL ? how->source_context : "", &from);
	pairs_of(how->context != NULL ? how->context : "", &to);
	call.blob = (ProtobufCBinaryData){blob.len, (uint8_t *)(uintptr_t)blob.ptr};
	call.source_key = TEXT(how->source_key != NULL ? how->source_key : "");
	call.source_algorithm = TEXT(how->source_algorithm != NULL ? how->source_algorithm : "");
	call.n_source_context = from.count;
	call.source_context = from.list;
	call.key = TEXT(how->key != NULL ? how->key : "");
	call.algorithm = TEXT(how->algorithm != NULL ? how->algorithm : "");
	call.n_context = to.count;
	call.context = to.list;
	REQUEST(request, RE_ENCRYPT, re_encrypt) = &call;
	return rig_call(rig, uid, &request);
}

static ProtobufCBinaryData
bytes_of(struct slk_span span)
{
	return (ProtobufCBinaryData){span.len, (uint8_t *)(uintptr_t)span.ptr};
}

const Kmsp__Reply *
rig_sign(struct kms_rig *rig, uid_t uid, const struct rig_sign *what)
{
	Kmsp__Sign call = KMSP__SIGN__INIT;

	call.key = TEXT(what->key);
	call.algorithm = TEXT(what->algorithm);
	call.message = bytes_of(what->message);
	call.is_digest = what->is_digest;
	REQUEST(request, SIGN, sign) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_verify(struct kms_rig *rig, uid_t uid, const struct rig_sign *what, struct slk_span signature)
{
	Kmsp__Verify call = KMSP__VERIFY__INIT;

	call.key = TEXT(what->key);
	call.algorithm = TEXT(what->algorithm);
	call.message = bytes_of(what->message);
	call.is_digest = what->is_digest;
	call.signature = bytes_of(signature);
	REQUEST(request, VERIFY, verify) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_public_key(struct kms_rig *rig, uid_t uid, const char *key)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;

	call.key = TEXT(key);
	REQUEST(request, GET_PUBLIC_KEY, get_public_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_encrypt_with(struct kms_rig *rig, uid_t uid, const char *key, const char *algorithm,
	struct slk_span plaintext)
{
	Kmsp__Encrypt call = KMSP__ENCRYPT__INIT;

	call.key = TEXT(key);
	call.algorithm = TEXT(algorithm);
	call.plaintext = bytes_of(plaintext);
	REQUEST(request, ENCRYPT, encrypt) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
rig_decrypt_with(struct kms_rig *rig, uid_t uid, const char *key, const char *algorithm,
	struct slk_span blob)
{
	Kmsp__Decrypt call = KMSP__DECRYPT__INIT;

	call.key = TEXT(key);
	call.algorithm = TEXT(algorithm);
	call.blob = bytes_of(blob);
	REQUEST(request, DECRYPT, decrypt) = &call;
	return rig_call(rig, uid, &request);
}

static void
enable_made_key(void *arg, const struct hsm_reply *reply)
{
	struct kms_rig *rig = arg;
	struct kms_check check = {.public_key = reply->output};

	assert_ok(reply->status);
	memcpy(check.kcv, reply->kcv, sizeof(check.kcv));
	memcpy(check.kcv_cmac, reply->kcv_cmac, sizeof(check.kcv_cmac));
	assert_ok(kms_catalog_key_enable(rig->catalog, rig->made_id, &check));
}

void
rig_new_key_of(
	struct kms_rig *rig, enum kms_spec spec, enum kms_usage usage, char out_arn[KMS_ARN_MAX])
{
	const struct kms_realm realm = {rig->config->account, rig->config->region};
	struct kms_key key = {.spec = spec, .usage = usage, .created_ns = rig->wall_ns};
	struct hsm_request ask = {.op = HSM_CREATE_KEY, .spec = spec, .usage = usage};

	assert_ok(fmt_uuid_new(key.id));
	assert_ok(slk_random(key.backing_id, sizeof(key.backing_id)));
	memcpy(rig->made_id, key.id, sizeof(key.id));
	memcpy(ask.key_id, key.backing_id, sizeof(ask.key_id));
	assert_ok(kms_catalog_key_begin(rig->catalog, &key, NULL, NULL, 0));
	assert_ok(hsm_link_submit(rig->link, &ask, enable_made_key, rig));
	rig_turn(rig);
	kms_arn_key(&realm, key.id, out_arn);
}

void
rig_new_key(struct kms_rig *rig, char out_arn[KMS_ARN_MAX])
{
	const Kmsp__Reply *reply = rig_create_key(rig, RIG_ROOT, "made by the rig");

	assert_answered(reply, SLK_OK);
	snprintf(out_arn, KMS_ARN_MAX, "%s", reply->key->arn);
}

const char *
rig_audit(struct kms_rig *rig)
{
	static char text[1 << 20];
	FILE *f = fopen(rig->audit_path, "r");

	assert_non_null(f);
	size_t len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = '\0';
	fclose(f);
	return text;
}

const char *
rig_audit_last(struct kms_rig *rig)
{
	char *text = (char *)(uintptr_t)rig_audit(rig);
	size_t len = strlen(text);

	assert_true(len > 0 && text[len - 1] == '\n');
	text[len - 1] = '\0';
	char *line = strrchr(text, '\n');
	return line != NULL ? line + 1 : text;
}

void
assert_contains(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' does not contain '%s'", text, part);
}

void
assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("'%s' contains '%s'", text, part);
}
