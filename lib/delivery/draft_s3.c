/* An S3 destination: what every kind has one of, and sources' backup. */
#include <stdio.h>

#include "delivery/draft.h"

#define MIB (1u << 20)

const char *const dlv_compressions[] = {"UNCOMPRESSED", "GZIP", "ZSTD", NULL};
/* What Firehose has beside them. */
static const char *const all_compressions[] = {
	"UNCOMPRESSED", "GZIP", "ZSTD", "ZIP", "Snappy", "HADOOP_SNAPPY", NULL};
#define COMPRESSIONS_SERVED 3u

static const char *const required[] = {"RoleARN", "BucketARN", NULL};
static const char *const plain[] = {"RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix",
	"BufferingHints", "CompressionFormat", "EncryptionConfiguration",
	"CloudWatchLoggingOptions", NULL};
static const char *const extended[] = {"RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix",
	"BufferingHints", "CompressionFormat", "EncryptionConfiguration",
	"CloudWatchLoggingOptions", "ProcessingConfiguration", "S3BackupMode",
	"S3BackupConfiguration", "S3BackupUpdate", "DataFormatConversionConfiguration",
	"DynamicPartitioningConfiguration", "FileExtension", "CustomTimeZone", NULL};
static const char *const encryption[] = {"NoEncryptionConfig", "KMSEncryptionConfig", NULL};
static const char *const encryption_key[] = {"AWSKMSKeyARN", NULL};

static bool
is_key_arn(struct slk_span text)
{
	return dlv_is_arn(text, "kms", "");
}

#define BUCKET_ARN "arn:aws:s3:::"

/* Names as S3 has them. */
static bool
is_bucket_arn(struct slk_span text)
{
	const char *arn = (const char *)text.ptr, *name = arn + sizeof(BUCKET_ARN) - 1;

	if (strncmp(arn, BUCKET_ARN, sizeof(BUCKET_ARN) - 1) != 0)
		return false;
	size_t len = strlen(name);
	return len >= 3 && len <= 63 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len && name[0] != '-' &&
		name[0] != '.' && strstr(name, "..") == NULL;
}

static bool
is_extension(struct slk_span text)
{
	const char *s = (const char *)text.ptr;

	return s[0] == '\0' ||
		(s[0] == '.' && s[1] != '\0' &&
			strspn(s + 1, "abcdefghijklmnopqrstuvwxyz0123456789!-_.*'()") ==
				text.len - 1);
}

static bool
is_zone(struct slk_span text)
{
	const char *s = (const char *)text.ptr;

	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+-") ==
		text.len;
}

static const struct dlv_limit limit_bucket = {
	1, 2048, BUCKET_ARN "[a-z0-9.-]{3,63}", is_bucket_arn, false};
static const struct dlv_limit limit_prefix = {0, 1024, NULL, NULL, false};
static const struct dlv_limit limit_key = {
	1, 512, "arn:aws.*:kms:.*:\\d{12}:.+", is_key_arn, false};
static const struct dlv_limit limit_extension = {
	0, 128, "^$|\\.[0-9a-z!\\-_.*'()]+", is_extension, false};
static const struct dlv_limit limit_zone = {0, 50, "^$|[a-zA-Z/_]+", is_zone, false};

void
dlv_draft_begin_s3(struct dlv_s3 *s3)
{
	*s3 = (struct dlv_s3){.role_arn = "",
		.bucket = "",
		.prefix = "",
		.error_prefix = "",
		.extension = "",
		.time_zone = "UTC",
		.buffering = {5 * MIB, 300}};
}

static bool
read_compression(const struct dlv_place *at, enum dlv_compression *out)
{
	unsigned n = *out;

	if (!dlv_read_choice(at, "CompressionFormat", all_compressions, &n))
		return false;
	if (n >= COMPRESSIONS_SERVED)
		return dlv_refuse(at,
			"CompressionFormat %s is not supported; UNCOMPRESSED, GZIP and ZSTD are.",
			all_compressions[n]);
	*out = (enum dlv_compression)n;
	return true;
}

static bool
read_encryption(const struct dlv_place *at, const char **out_key_arn)
{
	static const char *const none[] = {"NoEncryption", NULL};
	struct dlv_place in, kms;
	unsigned n = 0;

	if (!dlv_read_object(at, "EncryptionConfiguration", &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_known(&in, encryption) ||
		!dlv_read_choice(&in, "NoEncryptionConfig", none, &n) ||
		!dlv_read_object(&in, "KMSEncryptionConfig", &kms))
		return false;
	if (kms.object != NULL && dlv_json_get(in.object, "NoEncryptionConfig") != NULL)
		return dlv_refuse(
			&in, "NoEncryptionConfig and KMSEncryptionConfig exclude each other.");
	*out_key_arn = NULL;
	return kms.object == NULL ||
		(dlv_read_known(&kms, encryption_key) && dlv_read_required(&kms, encryption_key) &&
			dlv_read_text(&kms, "AWSKMSKeyARN", &limit_key, out_key_arn));
}

bool
dlv_draft_read_s3(struct dlv_s3 *s3, const struct dlv_place *at, bool is_extended, enum dlv_way way)
{
	const char *arn = NULL;

	if (!dlv_read_known(at, is_extended ? extended : plain) ||
		(way != DLV_UPDATE && !dlv_read_required(at, required)) ||
		!dlv_read_text(at, "RoleARN", &dlv_limit_role, &s3->role_arn) ||
		!dlv_read_text(at, "BucketARN", &limit_bucket, &arn) ||
		!dlv_read_text(at, "Prefix", &limit_prefix, &s3->prefix) ||
		!dlv_read_text(at, "ErrorOutputPrefix", &limit_prefix, &s3->error_prefix) ||
		!dlv_draft_read_buffering(at, 128, &s3->buffering) ||
		!read_compression(at, &s3->compression) || !read_encryption(at, &s3->kms_key_arn) ||
		!dlv_draft_read_logging(at, &s3->logging))
		return false;
	if (arn != NULL)
		s3->bucket = arn + sizeof(BUCKET_ARN) - 1;
	if (!is_extended)
		return true;
	if (!dlv_read_text(at, "FileExtension", &limit_extension, &s3->extension) ||
		!dlv_read_text(at, "CustomTimeZone", &limit_zone, &s3->time_zone))
		return false;
	if (s3->time_zone[0] == '\0')
		s3->time_zone = "UTC";
	return true;
}
