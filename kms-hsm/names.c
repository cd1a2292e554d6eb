#include "names.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define ALIAS_PREFIX "alias/"
#define ALIAS_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/_-"
#define STREAM_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

/* The parts one after the other, cut off at the end: this happens several times per request. */
static void
print(char out[KMS_ARN_MAX], const char *const *parts, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(parts[i]);
		if (len > KMS_ARN_MAX - 1 - at)
			len = KMS_ARN_MAX - 1 - at;
		memcpy(out + at, parts[i], len);
		at += len;
	}
	out[at] = '\0';
}

static void
print_arn(const char *service, const struct kms_realm *realm, const char *kind, const char *name,
	char out[KMS_ARN_MAX])
{
	const char *const parts[] = {
		"arn:aws:", service, ":", realm->region, ":", realm->account, ":", kind, name};

	print(out, parts, sizeof(parts) / sizeof(parts[0]));
}

void
kms_arn_key(const struct kms_realm *realm, const uint8_t id[FMT_UUID_BYTES], char out[KMS_ARN_MAX])
{
	char uuid[FMT_UUID_TEXT];

	fmt_uuid_print(id, uuid);
	print_arn("kms", realm, "key/", uuid, out);
}

void
kms_material_print(const uint8_t key_id[FMT_UUID_BYTES], const uint8_t backing_id[FMT_UUID_BYTES],
	char out[KMS_MATERIAL_TEXT])
{
	slk_hex(slk_span(key_id, FMT_UUID_BYTES), out, KMS_MATERIAL_TEXT);
	slk_hex(slk_span(backing_id, FMT_UUID_BYTES), out + 2 * FMT_UUID_BYTES,
		KMS_MATERIAL_TEXT - 2 * FMT_UUID_BYTES);
}

void
kms_arn_alias(const struct kms_realm *realm, const char *alias, char out[KMS_ARN_MAX])
{
	print_arn("kms", realm, "", alias, out);
}

void
kms_arn_stream(const struct kms_realm *realm, const char *stream, char out[KMS_ARN_MAX])
{
	const char *delivery = kms_stream_delivery(stream);

	if (delivery != NULL)
		kms_arn_delivery(realm, delivery, out);
	else
		print_arn("kinesis", realm, "stream/", stream, out);
}

void
kms_arn_delivery(const struct kms_realm *realm, const char *name, char out[KMS_ARN_MAX])
{
	print_arn("firehose", realm, KMS_DELIVERY_PREFIX, name, out);
}

static bool
starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *
kms_stream_delivery(const char *name)
{
	return starts_with(name, KMS_DELIVERY_PREFIX) ? name + strlen(KMS_DELIVERY_PREFIX) : NULL;
}

/* The part of an ARN of this realm and service that names the resource; text itself if it is no
 * ARN; NULL if it is an ARN of somewhere else. */
static const char *
resource_of(const struct kms_realm *realm, const char *service, const char *text)
{
	char prefix[KMS_ARN_MAX];

	if (!starts_with(text, "arn:"))
		return text;
	print_arn(service, realm, "", "", prefix);
	return starts_with(text, prefix) ? text + strlen(prefix) : NULL;
}

/* Of these characters only, and not more than fit the column. */
static bool
made_of(const char *text, const char *chars, size_t max)
{
	size_t len = strspn(text, chars);

	return len > 0 && len <= max && text[len] == '\0';
}

int
kms_alias_check(const char *alias)
{
	if (!starts_with(alias, ALIAS_PREFIX) || starts_with(alias, ALIAS_PREFIX "aws/"))
		return SLK_INVALID;
	return made_of(alias + strlen(ALIAS_PREFIX), ALIAS_CHARS,
		       KMS_ALIAS_MAX - 1 - strlen(ALIAS_PREFIX))
		? SLK_OK
		: SLK_INVALID;
}

int
kms_stream_check(const char *name)
{
	return made_of(name, STREAM_CHARS, KMS_STREAM_MAX - 1) ? SLK_OK : SLK_INVALID;
}

int
kms_ref_parse(const struct kms_realm *realm, const char *text, struct kms_ref *out_ref)
{
	struct kms_ref ref = {.kind = KMS_REF_KEY};
	const char *name = resource_of(realm, "kms", text);

	if (name == NULL)
		return SLK_NOT_FOUND;
	if (starts_with(name, ALIAS_PREFIX)) {
		if (!made_of(name + strlen(ALIAS_PREFIX), ALIAS_CHARS,
			    KMS_ALIAS_MAX - 1 - strlen(ALIAS_PREFIX)))
			return SLK_NOT_FOUND;
		ref.kind = KMS_REF_ALIAS;
		strcpy(ref.alias, name);
		kms_arn_alias(realm, name, ref.arn);
	} else {
		if (name != text && !starts_with(name, "key/"))
			return SLK_NOT_FOUND;
		if (fmt_uuid_parse(name != text ? name + strlen("key/") : name, ref.id) != SLK_OK)
			return SLK_NOT_FOUND;
		kms_arn_key(realm, ref.id, ref.arn);
	}
	*out_ref = ref;
	return SLK_OK;
}

int
kms_stream_parse(const struct kms_realm *realm, const char *text, char out_name[KMS_STREAM_MAX])
{
	const char *name = resource_of(realm, "kinesis", text);

	if (name == NULL)
		return SLK_INVALID;
	if (name != text) {
		if (!starts_with(name, "stream/"))
			return SLK_INVALID;
		name += strlen("stream/");
	}
	if (kms_stream_check(name) != SLK_OK)
		return SLK_INVALID;
	strcpy(out_name, name);
	return SLK_OK;
}

int
kms_delivery_check(const char *name)
{
	return made_of(name, STREAM_CHARS, KMS_DELIVERY_MAX - 1) ? SLK_OK : SLK_INVALID;
}

int
kms_delivery_parse(const struct kms_realm *realm, const char *text, char out_name[KMS_DELIVERY_MAX])
{
	const char *name = resource_of(realm, "firehose", text);

	if (name == NULL)
		return SLK_INVALID;
	if (name != text) {
		name = kms_stream_delivery(name);
		if (name == NULL)
			return SLK_INVALID;
	}
	if (kms_delivery_check(name) != SLK_OK)
		return SLK_INVALID;
	strcpy(out_name, name);
	return SLK_OK;
}

int
kms_any_stream_parse(const struct kms_realm *realm, const char *text, char out_name[KMS_STREAM_MAX])
{
	const char *named = kms_stream_delivery(text);
	char delivery[KMS_DELIVERY_MAX];

	if (named == NULL && !starts_with(text, "arn:aws:firehose:"))
		return kms_stream_parse(realm, text, out_name);
	if (named != NULL ? kms_delivery_check(named) != SLK_OK
			  : kms_delivery_parse(realm, text, delivery) != SLK_OK)
		return SLK_INVALID;
	strcpy(out_name, KMS_DELIVERY_PREFIX);
	strcat(out_name, named != NULL ? named : delivery);
	return SLK_OK;
}

static int __attribute__((format(printf, 2, 3))) put(char *out, const char *fmt, ...)
{
	char text[KMS_ARN_MAX];
	va_list args;

	va_start(args, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(text))
		return SLK_INVALID;
	memcpy(out, text, (size_t)len + 1);
	return SLK_OK;
}

int
kms_arn_principal(const struct kms_realm *realm, const char *text, char out[KMS_ARN_MAX])
{
	if (strcmp(text, "*") == 0 || starts_with(text, "arn:"))
		return put(out, "%s", text);
	if (strcmp(text, "root") == 0 || starts_with(text, "user/") || starts_with(text, "role/"))
		return put(out, "arn:aws:iam::%s:%s", realm->account, text);
	return SLK_INVALID;
}

int
kms_arn_resource(const struct kms_realm *realm, const char *text, char out[KMS_ARN_MAX])
{
	if (strcmp(text, "*") == 0 || starts_with(text, "arn:"))
		return put(out, "%s", text);
	if (starts_with(text, "key/") || starts_with(text, ALIAS_PREFIX))
		return put(out, "arn:aws:kms:%s:%s:%s", realm->region, realm->account, text);
	if (starts_with(text, "user/") || starts_with(text, "role/") ||
		starts_with(text, "policy/"))
		return put(out, "arn:aws:iam::%s:%s", realm->account, text);
	if (starts_with(text, "stream/"))
		return put(out, "arn:aws:kinesis:%s:%s:%s", realm->region, realm->account, text);
	if (starts_with(text, KMS_DELIVERY_PREFIX))
		return put(out, "arn:aws:firehose:%s:%s:%s", realm->region, realm->account, text);
	return SLK_INVALID;
}
