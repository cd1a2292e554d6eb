/* What a delivery stream is to do: the description that Firehose's CreateDeliveryStream and UpdateDestination give, read,
 * checked and kept as JSON.
 *
 *     JSON of a request --dlv_spec_parse()--> struct dlv_spec --dlv_spec_print()--> JSON for the catalog
 *     JSON of the catalog --dlv_spec_parse()--> the same
 *     struct dlv_spec --dlv_spec_describe()--> members of DescribeDeliveryStream (no secret is among them)
 *     struct dlv_spec + JSON of UpdateDestination --dlv_spec_update()--> the next version
 *
 * The JSON has the members and names of Firehose's API, so that there is one language for a destination: on the wire, in the
 * catalog, in `sealock delivery create`. Kmsd checks and keeps it, the gateway speaks it, deliverd carries it out. Secrets
 * (a database's password, an endpoint's access key) are in locked memory here, and only in what dlv_spec_print() writes,
 * which kmsd seals. Pure but for dlv_spec_check(): no file, no clock. Thread: any; a spec is not changed once it is made.
 */
#ifndef SLK_DELIVERY_SPEC_H
#define SLK_DELIVERY_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/status.h"

#define DLV_SPEC_JSON_MAX 65536u /* bytes */
#define DLV_NAME_MAX 65u /* of a delivery stream: [a-zA-Z0-9_.-]{1,64}, with terminator */

enum dlv_source { DLV_DIRECT_PUT, DLV_KINESIS_STREAM };

enum dlv_kind {
	DLV_TO_S3, /* ExtendedS3DestinationConfiguration, S3DestinationConfiguration */
	DLV_TO_REDSHIFT, /* RedshiftDestinationConfiguration, jdbc:redshift: S3, then COPY with a manifest */
	DLV_TO_POSTGRES, /* the same with jdbc:postgresql: COPY FROM STDIN */
	DLV_TO_SEARCH, /* Elasticsearch- and AmazonopensearchserviceDestinationConfiguration */
	DLV_TO_HTTP, /* HttpEndpointDestinationConfiguration */
};

enum dlv_compression { DLV_UNCOMPRESSED, DLV_GZIP, DLV_ZSTD }; /* ZSTD: ours; others are refused */

/* Whichever is reached first delivers. */
struct dlv_buffering {
	uint64_t bytes; /* of record data */
	uint32_t seconds; /* since the first record was read; 0: as soon as it can be */
};

/* CloudWatchLoggingOptions: errors of the delivery are told under these names. Texts: NULL or "" if there is none. */
struct dlv_logging {
	bool enabled;
	const char *group, *stream;
};

/* Texts are owned by the spec; never NULL unless it says so. */
struct dlv_s3 {
	const char *role_arn;
	const char *bucket; /* of BucketARN: what is behind arn:aws:s3::: */
	const char *prefix, *error_prefix; /* expressions of lib/delivery/names.h; "" */
	const char *extension; /* FileExtension; "": by compression */
	const char *time_zone; /* "UTC", or a name of the zone database */
	enum dlv_compression compression;
	const char *kms_key_arn; /* KMSEncryptionConfig; NULL: none is named */
	struct dlv_buffering buffering;
	struct dlv_logging logging;
};

enum dlv_backup { DLV_BACKUP_NONE, DLV_BACKUP_FAILED, DLV_BACKUP_ALL };

struct dlv_database {
	const char *role_arn;
	const char *host, *name; /* of the JDBC URL */
	uint16_t port;
	const char *user;
	const struct slk_secret *password;
	const char *table, *columns; /* columns: "" */
	const char *options; /* CopyOptions; "" */
};

enum dlv_rotation {
	DLV_ROTATE_NONE,
	DLV_ROTATE_HOUR,
	DLV_ROTATE_DAY,
	DLV_ROTATE_WEEK,
	DLV_ROTATE_MONTH
};

struct dlv_search {
	const char *role_arn;
	const char *endpoint; /* "https://host:port" */
	const char *index, *type; /* type: "" */
	bool elasticsearch; /* it was given as ElasticsearchDestinationConfiguration, and is described so */
	enum dlv_rotation rotation;
	struct dlv_buffering buffering;
};

struct dlv_attribute {
	const char *name, *value; /* value is sensitive: never in a log */
};

struct dlv_http {
	const char *role_arn; /* "" */
	const char *url, *name; /* name: "" */
	const struct slk_secret *access_key; /* NULL: none */
	bool gzip;
	const struct dlv_attribute *attributes;
	size_t attributes_count;
	struct dlv_buffering buffering;
};

struct dlv_spec {
	enum dlv_source source;
	const char *source_arn, *source_role_arn; /* DLV_KINESIS_STREAM; else NULL */
	enum dlv_kind kind;
	/* Of DLV_TO_S3 the destination; of DLV_TO_REDSHIFT where COPY reads from; of the others where backup goes. Of DLV_TO_POSTGRES
	 * its buffering is that of the destination as well. */
	struct dlv_s3 s3;
	/* S3BackupConfiguration of DLV_TO_S3 and DLV_TO_REDSHIFT: source records before processing; has_source_backup. */
	struct dlv_s3 source_backup;
	bool has_source_backup;
	union {
		struct dlv_database database;
		struct dlv_search search;
		struct dlv_http http;
	};
	/* Of DLV_TO_SEARCH, DLV_TO_HTTP and DLV_TO_POSTGRES, FAILED or ALL (of POSTGRES S3BackupMode Enabled); else NONE. */
	enum dlv_backup backup;
	uint32_t retry_seconds; /* RetryOptions; of what has none: 0, for ever */
	struct dlv_logging logging; /* of the destination; of DLV_TO_S3: s3.logging */
	bool delimiter; /* processor AppendDelimiterToRecord: a newline behind each record */
};

/* What is wrong with a description, as Firehose says it. */
struct dlv_fault {
	const char *
		type; /* "InvalidArgumentException", "ValidationException", "SerializationException"; static */
	char message[512]; /* never has a secret in it */
};

/* json: the body of CreateDeliveryStream, or what dlv_spec_print() wrote; members that are not of a description
 * (DeliveryStreamName, Tags, DeliveryStreamEncryptionConfigurationInput) are passed over.
 * SLK_INVALID with *fault; SLK_NO_MEMORY. What a destination has that is not served is refused by its name, members that nobody
 * knows too: a description says nothing that is not done. */
MUST_USE int dlv_spec_parse(
	struct slk_span json, struct dlv_spec **out_spec, struct dlv_fault *fault);
/* UpdateDestination: the same kind: merge what is given; another kind: all of it has to be there. A change to or from search is
 * refused. Errors as dlv_spec_parse(). */
MUST_USE int dlv_spec_update(const struct dlv_spec *spec, struct slk_span json,
	struct dlv_spec **out_spec, struct dlv_fault *fault);
/* Can keys of objects be made of its prefixes, extensions and time zones (names.h)? To be asked before a description is taken, by
 * one that can read the zone database: a description that is kept is parsed where it cannot be read. SLK_INVALID. */
MUST_USE int dlv_spec_check(const struct dlv_spec *spec, struct dlv_fault *fault);
void dlv_spec_free(struct dlv_spec *spec); /* wipes; NULL allowed */

/* Canonical JSON with secrets, in locked memory; *out_len bytes, at most DLV_SPEC_JSON_MAX. SLK_TOO_LARGE, SLK_NO_MEMORY. */
MUST_USE int dlv_spec_print(
	const struct dlv_spec *spec, struct slk_secret **out_json, size_t *out_len);
/* The same, with ******** for each secret: still a description that dlv_spec_parse() takes, for those who only describe it. */
MUST_USE int dlv_spec_print_masked(
	const struct dlv_spec *spec, struct slk_secret **out_json, size_t *out_len);
/* Malloc'd JSON text: {"Source":{...}} or {} , and the one element of Destinations (DestinationId first). SLK_NO_MEMORY. */
MUST_USE int dlv_spec_describe_source(
	const struct dlv_spec *spec, uint64_t started_ns, char **out_json);
MUST_USE int dlv_spec_describe_destination(const struct dlv_spec *spec, char **out_json);

/* Every role that it names, each once: who makes the delivery stream has to be allowed iam:PassRole on them. Returns the count;
 * roles[] gets up to DLV_ROLES_MAX, borrowed from the spec. */
#define DLV_ROLES_MAX 4u
size_t dlv_spec_roles(const struct dlv_spec *spec, const char *roles[DLV_ROLES_MAX]);
/* The buffering that batches are cut by: that of the destination. */
const struct dlv_buffering *dlv_spec_buffering(const struct dlv_spec *spec);

#endif
