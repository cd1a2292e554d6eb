/* A description that is being read: a spec whose texts are borrowed, and its secrets. Internal to lib/delivery.
 *
 * It begins with defaults, or in an update with what there was; dlv_draft_read_...() puts what a request says over it, and
 * dlv_draft_check() looks at the whole. Thread: one.
 */
#ifndef SLK_DELIVERY_DRAFT_H
#define SLK_DELIVERY_DRAFT_H

#include "delivery/read.h"

#define DLV_ATTRIBUTES_MAX 50u
#define DLV_HOST_MAX 254u
#define DLV_DATABASE_MAX 128u
#define DLV_ENDPOINT_MAX 513u

struct dlv_draft {
	struct dlv_spec spec; /* without its secrets */
	struct slk_span password, access_key; /* .ptr NULL: none */
	/* What is not in the tree as it is: */
	char host[DLV_HOST_MAX], database[DLV_DATABASE_MAX];
	char endpoint[DLV_ENDPOINT_MAX];
	struct dlv_attribute attributes[DLV_ATTRIBUTES_MAX];
};

/* What kinds of descriptions are called: "ExtendedS3" DestinationConfiguration, DestinationUpdate, DestinationDescription. */
enum dlv_named {
	DLV_NAMED_S3,
	DLV_NAMED_EXTENDED_S3,
	DLV_NAMED_REDSHIFT,
	DLV_NAMED_ELASTICSEARCH,
	DLV_NAMED_OPENSEARCH,
	DLV_NAMED_HTTP,
	DLV_NAMED_COUNT,
};

/* CREATE: ...Configuration, all of it. UPDATE: ...Update, what changes. REPLACE: ...Update of another kind, all of it. */
enum dlv_way { DLV_CREATE, DLV_UPDATE, DLV_REPLACE };

/* Defaults of a kind; everything else of *draft is zeroed. */
void dlv_draft_begin(struct dlv_draft *draft, enum dlv_kind kind);
/* What there is: texts and secrets are borrowed from spec. */
void dlv_draft_from(struct dlv_draft *draft, const struct dlv_spec *spec);

/* A destination of any kind. */
MUST_USE bool dlv_draft_read(struct dlv_draft *draft, enum dlv_named named,
	const struct dlv_place *at, enum dlv_way way);
/* DeliveryStreamType and KinesisStreamSourceConfiguration. */
MUST_USE bool dlv_draft_read_source(struct dlv_draft *draft, const struct dlv_place *at);

/* Which kind ClusterJDBCURL makes of a destination named Redshift; *out_kind is left as it is if there is no URL. */
MUST_USE bool dlv_draft_kind_of_url(const struct dlv_place *at, enum dlv_kind *out_kind);

/* ExtendedS3... and S3...: shared by all kinds. */
MUST_USE bool dlv_draft_read_s3(
	struct dlv_s3 *s3, const struct dlv_place *at, bool is_extended, enum dlv_way way);
void dlv_draft_begin_s3(struct dlv_s3 *s3);

/* The other kinds. */
MUST_USE bool dlv_draft_read_database(
	struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way);
MUST_USE bool dlv_draft_read_search(
	struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way);
MUST_USE bool dlv_draft_read_http(
	struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way);

/* --- members that several kinds have --- */

MUST_USE bool dlv_draft_read_buffering(
	const struct dlv_place *at, uint32_t max_mib, struct dlv_buffering *out);
MUST_USE bool dlv_draft_read_retry(const struct dlv_place *at, uint32_t *out);
MUST_USE bool dlv_draft_read_processing(const struct dlv_place *at, bool *out_delimiter);
MUST_USE bool dlv_draft_read_logging(const struct dlv_place *at, struct dlv_logging *inout);
/* A structure that may be there as long as its Enabled is not true. why: "", or ": what else there is". */
MUST_USE bool dlv_draft_read_off(const struct dlv_place *at, const char *name, const char *why);
MUST_USE bool dlv_draft_read_secret(const struct dlv_place *at, const char *name,
	const struct dlv_limit *limit, struct slk_span *out);
/* S3Configuration or S3Update. */
MUST_USE bool dlv_draft_read_inner_s3(
	struct dlv_s3 *s3, const struct dlv_place *at, enum dlv_way way);
/* S3BackupMode Disabled or Enabled: once it is on it stays on. */
MUST_USE bool dlv_draft_read_backup_mode(const struct dlv_place *at, bool *inout_on);
MUST_USE bool dlv_draft_read_source_backup(
	struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way);
/* S3BackupMode: modes[0] is of what failed, modes[1] of everything. */
MUST_USE bool dlv_draft_read_backup_of(
	const struct dlv_place *at, const char *const *modes, enum dlv_backup *inout_backup);

/* --- forms.c --- */

extern const struct dlv_limit dlv_limit_role;
/* arn:aws...:SERVICE:REGION:12 digits:BEGINNING... with something behind it. text ends with a NUL. */
bool dlv_is_arn(struct slk_span text, const char *service, const char *beginning);
/* HOST[:PORT] at the beginning of a text: how long it is, 0 if there is none. *out_port 0: none is named. */
size_t dlv_authority(const char *text, size_t *out_host, uint16_t *out_port);

/* Names of what may be said, for reading and printing. */
extern const char *const dlv_compressions[]; /* ends with NULL; by enum dlv_compression */
extern const char *const dlv_rotations[];

#endif
