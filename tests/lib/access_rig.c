#include "slk_test.h"

#include "access_rig.h"

#include <fcntl.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"

#define MASK 0x5a
#define TEXT(text) ((char *)(uintptr_t)((text) != NULL ? (text) : ""))
#define REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.id = 1; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

/* --- in the catalog --- */

static void
make(struct kms_rig *rig, const struct kms_identity_row *row, const char *trust)
{
	uint64_t id = 0;

	assert_ok(kms_catalog_identity_create(rig->catalog, row, trust, NULL, 0, &id));
	assert_ok(kms_iam_identity_changed(rig->service->iam, row->kind, row->name));
}

void
access_make_user(struct kms_rig *rig, const char *name)
{
	struct kms_identity_row row = {.kind = KMS_USER};

	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.unique_id, sizeof(row.unique_id), "AIDA%.16s", name);
	make(rig, &row, NULL);
}

void
access_make_role(struct kms_rig *rig, const char *name, const char *unique_id, const char *trust)
{
	struct kms_identity_row row = {.kind = KMS_ROLE, .max_session_s = 7200};

	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.unique_id, sizeof(row.unique_id), "%s", unique_id);
	make(rig, &row, trust);
}

void
access_delete_role(struct kms_rig *rig, const char *name)
{
	struct kms_identity_row row;

	assert_ok(kms_catalog_identity_get(rig->catalog, KMS_ROLE, name, &row));
	assert_ok(kms_catalog_identity_delete(rig->catalog, row.id));
	assert_ok(kms_iam_identity_changed(rig->service->iam, KMS_ROLE, name));
}

void
access_make_policy(struct kms_rig *rig, const char *name, const char *document)
{
	struct kms_policy_row row = {.created_ns = 1};
	uint64_t id = 0;

	snprintf(row.name, sizeof(row.name), "%s", name);
	assert_ok(kms_catalog_policy_create(rig->catalog, &row, document, &id));
}

void
access_tag(struct kms_rig *rig, enum kms_identity_kind kind, const char *name, const char *key,
	const char *value)
{
	struct kms_identity_row row;
	struct kms_tag tag;

	snprintf(tag.key, sizeof(tag.key), "%s", key);
	snprintf(tag.value, sizeof(tag.value), "%s", value);
	assert_ok(kms_catalog_identity_get(rig->catalog, kind, name, &row));
	assert_ok(kms_catalog_identity_tags_set(rig->catalog, row.id, &tag, 1));
	assert_ok(kms_iam_identity_changed(rig->service->iam, kind, name));
}

/* --- requests --- */

const Kmsp__Reply *
access_create(struct kms_rig *rig, uid_t uid, const char *user)
{
	Kmsp__UserName call = KMSP__USER_NAME__INIT;

	call.user = TEXT(user);
	REQUEST(request, CREATE_ACCESS_KEY, create_access_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
access_list(struct kms_rig *rig, uid_t uid, const char *user, const char *marker, uint32_t limit)
{
	Kmsp__ListOfUser call = KMSP__LIST_OF_USER__INIT;

	call.user = TEXT(user);
	call.marker = TEXT(marker);
	call.limit = limit;
	REQUEST(request, LIST_ACCESS_KEYS, list_access_keys) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
access_update(struct kms_rig *rig, uid_t uid, const char *user, const char *id, bool active)
{
	Kmsp__UpdateAccessKey call = KMSP__UPDATE_ACCESS_KEY__INIT;

	call.user = TEXT(user);
	call.id = TEXT(id);
	call.active = active;
	REQUEST(request, UPDATE_ACCESS_KEY, update_access_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
access_delete(struct kms_rig *rig, uid_t uid, const char *user, const char *id)
{
	Kmsp__AccessKeyName call = KMSP__ACCESS_KEY_NAME__INIT;

	call.user = TEXT(user);
	call.id = TEXT(id);
	REQUEST(request, DELETE_ACCESS_KEY, delete_access_key) = &call;
	return rig_call(rig, uid, &request);
}

static const char *
or_else(const char *text, const char *otherwise)
{
	return text != NULL ? text : otherwise;
}

const Kmsp__Reply *
access_derive(struct kms_rig *rig, uid_t uid, const struct access_scope *scope)
{
	Kmsp__DeriveSigningKey call = KMSP__DERIVE_SIGNING_KEY__INIT;

	call.access_key_id = TEXT(scope->id);
	call.date = TEXT(or_else(scope->date, ACCESS_TODAY));
	call.region = TEXT(or_else(scope->region, "local"));
	call.service = TEXT(or_else(scope->service, "kms"));
	call.session_token = TEXT(scope->token);
	REQUEST(request, DERIVE_SIGNING_KEY, derive_signing_key) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
access_assume(struct kms_rig *rig, uid_t uid, const struct access_role *what)
{
	Kmsp__AssumeRole call = KMSP__ASSUME_ROLE__INIT;
	Kmsp__Tag tag = KMSP__TAG__INIT, *tags[] = {&tag};
	char text[2048], *managed[] = {TEXT(what->managed)};

	snprintf(text, sizeof(text), "%s", or_else(what->tag, ""));
	char *value = strchr(text, '=');
	call.role = TEXT(or_else(what->role, "reader"));
	call.session_name = TEXT(or_else(what->session, "job"));
	call.duration_s = what->duration_s;
	call.external_id = TEXT(what->external_id);
	call.policy = TEXT(what->policy);
	call.source_identity = TEXT(what->source_identity);
	call.n_policies = what->managed != NULL;
	call.policies = managed;
	if (value != NULL) {
		*value = '\0';
		tag.key = text;
		tag.value = value + 1;
		call.n_tags = 1;
		call.tags = tags;
	}
	REQUEST(request, ASSUME_ROLE, assume_role) = &call;
	return rig_call(rig, uid, &request);
}

/* --- credentials --- */

static void
mask(const char *secret, uint8_t *out)
{
	assert_int_equal(strlen(secret), ACCESS_SECRET_CHARS);
	for (size_t i = 0; i < ACCESS_SECRET_CHARS; i++)
		out[i] = (uint8_t)secret[i] ^ MASK;
}

void
access_take(const Kmsp__Reply *reply, struct access_credential *out)
{
	memset(out, 0, sizeof(*out));
	assert_answered(reply, SLK_OK);
	if (reply->result_case == KMSP__REPLY__RESULT_ACCESS_KEY) {
		snprintf(out->id, sizeof(out->id), "%s", reply->access_key->id);
		mask(reply->access_key->secret, out->masked);
	} else {
		assert_int_equal(reply->result_case, KMSP__REPLY__RESULT_SESSION);
		snprintf(out->id, sizeof(out->id), "%s", reply->session->access_key_id);
		assert_true(strlen(reply->session->session_token) < sizeof(out->token));
		strcpy(out->token, reply->session->session_token);
		mask(reply->session->secret_access_key, out->masked);
	}
}

static void
hmac(uint8_t *key, int key_len, const char *message)
{
	uint8_t out[32];
	unsigned len = 0;

	assert_non_null(HMAC(
		EVP_sha256(), key, key_len, (const uint8_t *)message, strlen(message), out, &len));
	assert_int_equal(len, sizeof(out));
	memcpy(key, out, sizeof(out));
}

void
access_check_key(const struct access_credential *credential, const struct access_scope *scope,
	const Kmsp__SigningKey *key)
{
	uint8_t chain[4 + ACCESS_SECRET_CHARS] = "AWS4";

	for (size_t i = 0; i < ACCESS_SECRET_CHARS; i++)
		chain[4 + i] = credential->masked[i] ^ MASK;
	hmac(chain, sizeof(chain), or_else(scope->date, ACCESS_TODAY));
	hmac(chain, 32, or_else(scope->region, "local"));
	hmac(chain, 32, or_else(scope->service, "kms"));
	hmac(chain, 32, "aws4_request");
	assert_int_equal(key->key.len, 32);
	assert_memory_equal(key->key.data, chain, 32);
	slk_wipe(chain, sizeof(chain));
}

/* --- secrets --- */

size_t
access_count_in(const struct access_credential *credential, const uint8_t *bytes, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i + ACCESS_SECRET_CHARS <= len; i++) {
		size_t same = 0;
		while (same < ACCESS_SECRET_CHARS &&
			(bytes[i + same] ^ MASK) == credential->masked[same])
			same++;
		count += same == ACCESS_SECRET_CHARS;
	}
	return count;
}

size_t
access_count_in_file(const struct access_credential *credential, const char *path)
{
	static uint8_t bytes[4 << 20];
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		return 0;
	size_t len = fread(bytes, 1, sizeof(bytes), f);
	assert_true(len < sizeof(bytes));
	fclose(f);
	return access_count_in(credential, bytes, len);
}

/* Piece by piece, through a window that is itself never looked at. */
static size_t
count_between(const struct access_credential *credential, int fd, uint64_t from, uint64_t to)
{
	static uint8_t window[(1 << 16) + ACCESS_SECRET_CHARS - 1];
	uint64_t own = (uint64_t)(uintptr_t)window, own_end = own + sizeof(window);
	size_t count = 0;

	for (uint64_t at = from; at < to; at += 1 << 16) {
		if (at < own_end && own < at + sizeof(window))
			continue;
		size_t want = to - at < sizeof(window) ? (size_t)(to - at) : sizeof(window);
		ssize_t n = pread(fd, window, want, (off_t)at);
		if (n > 0)
			count += access_count_in(credential, window, (size_t)n);
	}
	memset(window, 0, sizeof(window));
	return count;
}

size_t
access_count_in_memory(const struct access_credential *credential)
{
	unsigned long long from = 0, to = 0;
	char line[512], rights[8] = "";
	size_t count = 0;
	FILE *maps = fopen("/proc/self/smaps", "r");
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	assert_true(maps != NULL && fd >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		unsigned long long a, b;
		if (sscanf(line, "%llx-%llx %7s", &a, &b, rights) == 3) {
			from = a;
			to = b;
		} else if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") == NULL &&
			rights[0] == 'r' && to - from < 1ull << 32) {
			count += count_between(credential, fd, from, to);
		}
	}
	fclose(maps);
	close(fd);
	return count;
}
