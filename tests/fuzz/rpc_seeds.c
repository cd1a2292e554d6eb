/* Makes the first inputs of the fuzz targets rpc and kms_service: one frame for each request and reply of kms.proto, with
 * every field set, and variants that reach the operations of key pairs. From the descriptors, so a new message has a seed
 * without anybody writing it.
 *
 *     rpc_seeds DIR            write DIR/rpc/NAME and DIR/kms_service/NAME
 *     rpc_seeds --check DIR    exit status 1, and a sentence, if they are not there or others
 *
 * An input of kms_service begins with a byte that says who asks (kms_service_fuzz.c). */
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmsclient/wire.h"

#define DEPTH_MAX 6
#define BYTES_DEFAULT 32u

/* A value for a field of a seed ("*": of every seed that has no other). */
struct value {
	const char *seed, *field;
	const char *text; /* NULL: the field is left out */
};

#define STATEMENT "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
#define ROOT "\"Principal\":{\"AWS\":\"arn:aws:iam::000000000000:root\"},"
#define KEY_POLICY STATEMENT ROOT "\"Action\":\"kms:*\",\"Resource\":\"*\"}}"
#define STREAM_POLICY STATEMENT ROOT "\"Action\":\"kinesis:*\",\"Resource\":\"*\"}}"
#define TRUST_POLICY STATEMENT ROOT "\"Action\":\"sts:AssumeRole\"}}"
#define IDENTITY_POLICY \
	STATEMENT "\"Action\":\"kms:Decrypt\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":" \
		  "{\"kms:EncryptionContext:k\":\"v\"}}}}"

#define ROLE_AND "\"RoleARN\":\"arn:aws:iam::000000000000:role/f\","
#define SOURCE \
	"\"DeliveryStreamType\":\"KinesisStreamAsSource\",\"KinesisStreamSourceConfiguration\":" \
	"{" ROLE_AND "\"KinesisStreamARN\":\"arn:aws:kinesis:local:000000000000:stream/s\"},"
#define DESTINATION \
	"\"ExtendedS3DestinationConfiguration\":{" ROLE_AND "\"BucketARN\":\"arn:aws:s3:::" \
							    "bucket\"}"

static const struct value values[] = {
	{"*", "correlation", NULL},
	{"sign", "key", "alias/ecc"},
	{"sign", "algorithm", "ECDSA_SHA_256"},
	{"verify", "key", "alias/ecc"},
	{"verify", "algorithm", "ECDSA_SHA_256"},
	{"sign_raw", "key", "alias/rsa"},
	{"sign_raw", "algorithm", "RSASSA_PSS_SHA_512"},
	{"sign_raw", "is_digest", NULL},
	{"get_public_key", "key", "alias/rsa"},
	{"encrypt_rsa", "key", "alias/oaep"},
	{"encrypt_rsa", "algorithm", "RSAES_OAEP_SHA_256"},
	{"encrypt_rsa", "context", NULL},
	{"decrypt_rsa", "key", "alias/oaep"},
	{"decrypt_rsa", "algorithm", "RSAES_OAEP_SHA_1"},
	{"decrypt_rsa", "context", NULL},
	{"decrypt_any", "key", NULL},
	{"decrypt_any", "context", NULL},
	{"re_encrypt_to_rsa", "source_key", NULL},
	{"re_encrypt_to_rsa", "source_context", NULL},
	{"re_encrypt_to_rsa", "key", "alias/oaep"},
	{"re_encrypt_to_rsa", "algorithm", "RSAES_OAEP_SHA_1"},
	{"re_encrypt_to_rsa", "context", NULL},
	{"re_encrypt_any", "source_key", NULL},
	{"re_encrypt_any", "source_context", NULL},
	{"create_key_pair", "spec", "ECC_NIST_P256"},
	{"create_key_pair", "usage", "SIGN_VERIFY"},
	{"create_stream", "name", "t"},
	{"create_delivery_stream", "name", "e"},
	{"create_delivery_of_stream", "name", "f"},
	{"create_delivery_of_stream", "json", "{" SOURCE DESTINATION "}"},
	{"create_delivery_of_stream", "encrypted", NULL},
	{"*", "json", "{" DESTINATION "}"},
	{"delivery_state", "name", "c"},
	{"delivery_state", "state", "ACTIVE"},
	{"describe_delivery_stream", "name", "d"},
	{"delivery_work", "name", "d"},
	{"update_destination", "name", "d"},
	{"delete_delivery_stream", "name", "d"},
	{"delete_delivery_stream", "force", NULL},
	{"start_delivery_stream_encryption", "name", "d"},
	{"stop_delivery_stream_encryption", "name", "d"},
	{"tag_delivery_stream", "name", "d"},
	{"untag_delivery_stream", "name", "d"},
	{"list_tags_for_delivery_stream", "name", "d"},
	{"assume_delivery_role", "name", "d"},
	{"assume_delivery_role", "role", "arn:aws:iam::000000000000:role/f"},
	{"list_delivery_streams", "after", NULL},
	{"list_delivery_streams", "source", "DirectPut"},
	{"authorize_put", "action", "firehose:PutRecord"},
	{"authorize_put", "resource", "arn:aws:firehose:local:000000000000:deliverystream/d"},
	{"*", "key", "alias/a"},
	{"*", "source_key", "alias/a"},
	{"*", "alias", "alias/b"},
	{"*", "stream", "s"},
	{"*", "marker", NULL},
	{"*", "spec", "SYMMETRIC_DEFAULT"},
	{"*", "usage", "ENCRYPT_DECRYPT"},
	{"*", "algorithm", "SYMMETRIC_DEFAULT"},
	{"*", "source_algorithm", "SYMMETRIC_DEFAULT"},
	{"*", "action", "kinesis:PutRecord"},
	{"*", "resource", "arn:aws:kinesis:local:000000000000:stream/s"},
	{"*", "purpose", "journal"},
	{"create_key", "policy", NULL},
	{"*", "grant_tokens", NULL},
	{"*", "user", "u"},
	{"*", "role", "r"},
	{"*", "source_ip", "192.0.2.1"},
	{"*", "grantee", "user/u"},
	{"*", "operations", "Decrypt"},
	{"put_key_policy", "policy", KEY_POLICY},
	{"put_resource_policy", "policy", STREAM_POLICY},
	{"put_inline_policy", "policy", IDENTITY_POLICY},
	{"create_policy", "policy", IDENTITY_POLICY},
	{"update_policy", "document", IDENTITY_POLICY},
	{"*", "trust_policy", TRUST_POLICY},
	{"update_trust_policy", "policy", TRUST_POLICY},
	{"assume_role", "policy", NULL},
	{"assume_role", "policies", NULL},
	{"*", "date", "20261124"},
	{"*", "service", "kinesis"},
	{"*", "policy", "p"},
	{"*", "bypass_lockout_check", NULL},
	{"*", "mode", "PROVISIONED"},
	{"*", "filter", "AT_LATEST"},
	{"*", "new_starting_hash_key", "@@@@@@@@@@@@@@@@"},
	{"get_key_policy", "name", "default"},
	{"explain", "action", "kms:Decrypt"},
	{"explain", "resource", "alias/a"},
	{"assume_role", "session_name", "job"},
	{"assume_role", "source_identity", "al"},
	{"assume_role", "external_id", "agreed-on"},
	{"authorize_session", "uid", NULL},
	{"authorize_session", "principal", NULL},
	{"derive_of_user", "session_token", NULL},
	{"describe_key_for_user", "caller", "x"},
	{"describe_key_for_user", "principal", "arn:aws:iam::000000000000:user/u"},
	{"describe_key_for_user", "session_token", NULL},
	{"describe_key_for_user", "access_key_id", "@"},
	{"encrypt_for_session", "caller", "x"},
	{"encrypt_for_session", "principal", NULL},
	{"encrypt_for_session", "access_key_id", NULL},
	{"*", "caller", NULL},
	{"*", "via_service", "kinesis.local.amazonaws.com"},
	{"*", "source_arn", "arn:aws:kinesis:local:000000000000:stream/s"},
	/* kms_service_fuzz.c puts real ones there */
	{"*", "blob", "@"},
	{"*", "session_token", "@"},
	{"*", "access_key_id", "@"},
};

/* Seeds beyond one for each call. */
static const struct {
	const char *name, *call;
} variants[] = {
	{"encrypt_rsa", "encrypt"},
	{"decrypt_rsa", "decrypt"},
	{"decrypt_any", "decrypt"},
	{"re_encrypt_to_rsa", "re_encrypt"},
	{"re_encrypt_any", "re_encrypt"},
	{"sign_raw", "sign"},
	{"create_key_pair", "create_key"},
	{"authorize_session", "authorize"},
	{"derive_of_user", "derive_signing_key"},
	{"describe_key_for_user", "describe_key"},
	{"encrypt_for_session", "encrypt"},
	{"create_delivery_of_stream", "create_delivery_stream"},
	{"authorize_put", "authorize"},
};

static const struct {
	const char *field;
	uint32_t number;
} numbers[] = {{"version", KMSP_VERSION}, {"id", 7}, {"timeout_ms", 0}, {"number_of_bytes", 16},
	{"pending_window_days", 7}, {"period_days", 90}, {"uid", 1000}, {"status", 0},
	{"duration_s", 900}, {"shard", 0}, {"hours", 48}, {"target_count", 2}, {"wait_ms", 0}};

static void
fail(const char *what, const char *name)
{
	fprintf(stderr, "rpc_seeds: %s %s\n", what, name);
	exit(1);
}

static const struct value *
find_value(const char *seed, const char *field)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (strcmp(values[i].field, field) == 0 &&
			(strcmp(values[i].seed, seed) == 0 || strcmp(values[i].seed, "*") == 0))
			return &values[i];
	return NULL;
}

static uint32_t
find_number(const char *field)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(numbers[i].field, field) == 0)
			return numbers[i].number;
	return 1;
}

/* What one frame is made of; begun anew for each. */
static alignas(max_align_t) uint8_t memory[65536];
static size_t memory_used;

static void *
allocate(size_t size)
{
	size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

	if (rounded > sizeof(memory) - memory_used)
		fail("out of", "memory");
	void *p = memory + memory_used;
	memory_used += rounded;
	memset(p, 0, size);
	return p;
}

static ProtobufCMessage *build(const ProtobufCMessageDescriptor *type, const char *seed, int depth);

static void
set_scalar(const ProtobufCFieldDescriptor *field, void *member, const char *seed, int depth)
{
	const struct value *value = find_value(seed, field->name);
	const char *text = value != NULL ? value->text : "x";
	ProtobufCBinaryData bytes = {0};
	uint64_t number = find_number(field->name);

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		memcpy(member, &text, sizeof(text));
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes.len = value != NULL ? strlen(text) : BYTES_DEFAULT;
		bytes.data = allocate(bytes.len);
		memset(bytes.data, value != NULL ? text[0] : 'k', bytes.len);
		memcpy(member, &bytes, sizeof(bytes));
		break;
	case PROTOBUF_C_TYPE_MESSAGE: {
		ProtobufCMessage *m = build(field->descriptor, seed, depth + 1);
		/* The pointer. NOLINTNEXTLINE(bugprone-sizeof-expression) */
		memcpy(member, &m, sizeof(m));
		break;
	}
	case PROTOBUF_C_TYPE_BOOL: {
		protobuf_c_boolean yes = 1;
		memcpy(member, &yes, sizeof(yes));
		break;
	}
	case PROTOBUF_C_TYPE_UINT64:
		memcpy(member, &number, sizeof(uint64_t));
		break;
	default: { /* 32 bits */
		uint32_t small = (uint32_t)number;
		memcpy(member, &small, sizeof(small));
		break;
	}
	}
}

/* One element. */
static void
set_repeated(const ProtobufCFieldDescriptor *field, uint8_t *message, const char *seed, int depth)
{
	size_t one = 1;
	void *array = allocate(sizeof(void *) * 2);

	set_scalar(field, array, seed, depth);
	memcpy(message + field->offset, &array, sizeof(array));
	memcpy(message + field->quantifier_offset, &one, sizeof(one));
}

/* Of a oneof only the member that was chosen, or else its first. */
static void
set_field(const ProtobufCFieldDescriptor *field, uint8_t *message, const char *seed, int depth)
{
	const struct value *value = find_value(seed, field->name);
	uint32_t chosen = 0;

	if (value != NULL && value->text == NULL)
		return;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		set_repeated(field, message, seed, depth);
		return;
	}
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
		memcpy(&chosen, message + field->quantifier_offset, sizeof(chosen));
		if (chosen != 0 && chosen != field->id)
			return;
		memcpy(message + field->quantifier_offset, &field->id, sizeof(field->id));
	}
	set_scalar(field, message + field->offset, seed, depth);
}

static ProtobufCMessage *
build(const ProtobufCMessageDescriptor *type, const char *seed, int depth)
{
	ProtobufCMessage *m = allocate(type->sizeof_message);

	type->message_init(m);
	if (depth > DEPTH_MAX)
		fail("kms.proto nests too deep at", type->name);
	for (unsigned i = 0; i < type->n_fields; i++)
		set_field(&type->fields[i], (uint8_t *)m, seed, depth);
	return m;
}

/* A frame of type in which the oneof is the given field. */
static ProtobufCMessage *
frame(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *chosen,
	const char *seed)
{
	memory_used = 0;
	ProtobufCMessage *m = allocate(type->sizeof_message);

	type->message_init(m);
	memcpy((uint8_t *)m + chosen->quantifier_offset, &chosen->id, sizeof(chosen->id));
	for (unsigned i = 0; i < type->n_fields; i++)
		set_field(&type->fields[i], (uint8_t *)m, seed, 0);
	return m;
}

/* --- files --- */

struct output {
	const char *dir;
	bool check;
	unsigned count;
};

static void
check_file(const char *path, const uint8_t *bytes, size_t len)
{
	static uint8_t there[KMSP_FRAME_MAX + 2];
	FILE *f = fopen(path, "rb");
	size_t n = f != NULL ? fread(there, 1, sizeof(there), f) : 0;

	if (f != NULL)
		(void)fclose(f);
	if (f == NULL || n != len || memcmp(there, bytes, len) != 0)
		fail("kms.proto is not what the seeds were made from; make them again with "
		     "'rpc_seeds tests/fuzz/corpus':",
			path);
}

static void
write_file(const char *path, const uint8_t *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0)
		fail("cannot write", path);
}

/* who: the first byte of an input of kms_service, -1 for none. */
static void
put(struct output *out, const char *target, const char *name, int who, const ProtobufCMessage *m)
{
	static uint8_t bytes[KMSP_FRAME_MAX + 1];
	char path[1024];
	size_t head = who >= 0 ? 1 : 0;

	if (protobuf_c_message_get_packed_size(m) > KMSP_FRAME_MAX)
		fail("too large:", name);
	bytes[0] = (uint8_t)who;
	size_t len = head + protobuf_c_message_pack(m, bytes + head);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", out->dir, target, name);
	if (out->check)
		check_file(path, bytes, len);
	else
		write_file(path, bytes, len);
	out->count++;
}

/* Who may ask: root, ingestd, the gateway or deliverd for what only they may, and alice, whom a role trusts. */
static int
asker(const char *seed, const char *call)
{
	static const char *const doors[] = {
		"generate_stream_key", "authorize", "attest", "stream_changed", "watch_streams"};

	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(doors[i], call) == 0)
			return 3;
	if (strncmp(call, "delivery_", 9) == 0 || strcmp(call, "assume_delivery_role") == 0)
		return 6;
	if (strcmp(call, "derive_signing_key") == 0 || strstr(seed, "_for_") != NULL)
		return 5;
	return strcmp(call, "assume_role") == 0 ? 1 : 0;
}

static void
put_request(struct output *out, const char *seed, const char *call)
{
	const ProtobufCMessageDescriptor *type = &kmsp__request__descriptor;
	const ProtobufCFieldDescriptor *chosen =
		protobuf_c_message_descriptor_get_field_by_name(type, call);

	if (chosen == NULL)
		fail("there is no call", call);
	const ProtobufCMessage *m = frame(type, chosen, seed);
	put(out, "rpc", seed, -1, m);
	put(out, "kms_service", seed, asker(seed, call), m);
}

static void
put_replies(struct output *out)
{
	const ProtobufCMessageDescriptor *type = &kmsp__reply__descriptor;
	char name[128];

	for (unsigned i = 0; i < type->n_fields; i++) {
		if ((type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
			continue;
		(void)snprintf(name, sizeof(name), "reply_%s", type->fields[i].name);
		put(out, "rpc", name, -1, frame(type, &type->fields[i], name));
	}
}

int
main(int argc, char **argv)
{
	const ProtobufCMessageDescriptor *type = &kmsp__request__descriptor;
	struct output out = {.check = argc == 3 && strcmp(argv[1], "--check") == 0};

	if (argc != 2 && !out.check) {
		fprintf(stderr, "usage: rpc_seeds [--check] DIR\n");
		return 2;
	}
	out.dir = argv[argc - 1];
	for (unsigned i = 0; i < type->n_fields; i++)
		if ((type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
			put_request(&out, type->fields[i].name, type->fields[i].name);
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		put_request(&out, variants[i].name, variants[i].call);
	put_replies(&out);
	printf("%u seeds %s\n", out.count, out.check ? "are as they should be" : "written");
	return 0;
}
