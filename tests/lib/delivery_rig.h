/* Delivery streams over kms_rig.h: requests, descriptions. Text is borrowed; JSON is written with ' for ". */
#ifndef SLK_TESTS_LIB_DELIVERY_RIG_H
#define SLK_TESTS_LIB_DELIVERY_RIG_H

#include "kms_rig.h"

#define DELIVERY_ROLE "arn:aws:iam::000000000000:role/deliver"
#define DELIVERY_ARN(name) "arn:aws:firehose:local:000000000000:deliverystream/" name
#define DELIVERY_PASSWORD "Tr0ub4dor-and-3"
/* Descriptions of the kinds that the tests need; all name DELIVERY_ROLE. */
#define DELIVERY_TO_S3 \
	"{'ExtendedS3DestinationConfiguration':{'RoleARN':'" DELIVERY_ROLE \
	"','BucketARN':'arn:aws:s3:::archive'}}"
#define DELIVERY_OF_STREAM \
	"{'DeliveryStreamType':'KinesisStreamAsSource','KinesisStreamSourceConfiguration':{" \
	"'KinesisStreamARN':'arn:aws:kinesis:local:000000000000:stream/" \
	"web','RoleARN':'" DELIVERY_ROLE \
	"'},'ExtendedS3DestinationConfiguration':{'RoleARN':'" DELIVERY_ROLE \
	"','BucketARN':'arn:aws:s3:::archive'}}"
#define DELIVERY_TO_POSTGRES \
	"{'RedshiftDestinationConfiguration':{'RoleARN':'" DELIVERY_ROLE \
	"','ClusterJDBCURL':'jdbc:postgresql://db.example.net:5432/logs','CopyCommand':{" \
	"'DataTableName':'t'},'Username':'loader','Password':'" DELIVERY_PASSWORD \
	"','S3Configuration':{'RoleARN':'" DELIVERY_ROLE "','BucketARN':'arn:aws:s3:::archive'}}}"
/* Statements of trust policies. */
#define DELIVERY_TRUST_OF(account) \
	"{'Effect':'Allow','Principal':{'Service':'firehose.amazonaws.com'},'Action':" \
	"'sts:AssumeRole','Condition':{'StringEquals':{'sts:ExternalId':'" account "'}}}"
#define DELIVERY_TRUST DELIVERY_TRUST_OF("000000000000")

/* key: NULL: none; "": AWS_OWNED_CMK. */
const Kmsp__Reply *delivery_create(
	struct kms_rig *rig, uid_t uid, const char *name, const char *json, const char *key);
const Kmsp__Reply *delivery_describe(struct kms_rig *rig, uid_t uid, const char *name);
const Kmsp__Reply *delivery_list(
	struct kms_rig *rig, uid_t uid, const char *after, uint32_t limit, const char *source);
const Kmsp__Reply *delivery_update(
	struct kms_rig *rig, uid_t uid, const char *name, uint64_t version, const char *json);
const Kmsp__Reply *delivery_delete(struct kms_rig *rig, uid_t uid, const char *name, bool force);
const Kmsp__Reply *delivery_start(
	struct kms_rig *rig, uid_t uid, const char *name, const char *key);
const Kmsp__Reply *delivery_stop(struct kms_rig *rig, uid_t uid, const char *name);
const Kmsp__Reply *delivery_tag(
	struct kms_rig *rig, uid_t uid, const char *name, const char *key, const char *value);
const Kmsp__Reply *delivery_untag(
	struct kms_rig *rig, uid_t uid, const char *name, const char *key);
const Kmsp__Reply *delivery_tags(struct kms_rig *rig, uid_t uid, const char *name);
const Kmsp__Reply *delivery_work(struct kms_rig *rig, uid_t uid, const char *name);
const Kmsp__Reply *delivery_state(struct kms_rig *rig, uid_t uid, const char *name,
	uint64_t version, const char *state, const char *failure_type);
const Kmsp__Reply *delivery_assume(
	struct kms_rig *rig, uid_t uid, const char *name, const char *role);
uint64_t delivery_changes(struct kms_rig *rig);

/* The role deliver, with this trust policy. */
void delivery_role(struct kms_rig *rig, const char *trust);
void delivery_trust(struct kms_rig *rig, const char *trust);
/* Made by root, and ACTIVE by deliverd's word. */
void delivery_active(struct kms_rig *rig, const char *name, const char *json, const char *key);

#endif
