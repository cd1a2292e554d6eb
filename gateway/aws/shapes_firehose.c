/* Made by make_shapes.py from the published service model. Not to be edited. */
#include "aws/shapes.h"

/* clang-format off */
static const struct gw_shape s_DeliveryStreamName = {.kind = GW_KIND_STRING, .min = 1, .max = 64, .pattern = &gw_pattern_stream_name};
static const struct gw_shape s_DeliveryStreamType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_KinesisStreamSourceConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_KinesisStreamSourceConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_KinesisStreamSourceConfiguration};
static const struct gw_shape s_AWSKMSKeyARN = {.kind = GW_KIND_STRING, .min = 1, .max = 512, .pattern = &gw_pattern_arn};
static const char *const e_KeyType[] = {"AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK", NULL};
static const struct gw_shape s_KeyType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_KeyType};
static const struct gw_member m_DeliveryStreamEncryptionConfigurationInput[] = {
	{"KeyARN", &s_AWSKMSKeyARN, false},
	{"KeyType", &s_KeyType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_DeliveryStreamEncryptionConfigurationInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DeliveryStreamEncryptionConfigurationInput};
static const struct gw_member m_S3DestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_S3DestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_S3DestinationConfiguration};
static const struct gw_member m_ExtendedS3DestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_ExtendedS3DestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ExtendedS3DestinationConfiguration};
static const struct gw_member m_RedshiftDestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_RedshiftDestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RedshiftDestinationConfiguration};
static const struct gw_member m_ElasticsearchDestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_ElasticsearchDestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ElasticsearchDestinationConfiguration};
static const struct gw_member m_AmazonopensearchserviceDestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_AmazonopensearchserviceDestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_AmazonopensearchserviceDestinationConfiguration};
static const struct gw_member m_SplunkDestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_SplunkDestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_SplunkDestinationConfiguration};
static const struct gw_member m_HttpEndpointDestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_HttpEndpointDestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_HttpEndpointDestinationConfiguration};
static const struct gw_shape s_TagKey = {.kind = GW_KIND_STRING, .min = 1, .max = 128, .pattern = &gw_pattern_tag_key};
static const struct gw_shape s_TagValue = {.kind = GW_KIND_STRING, .min = 0, .max = 256, .pattern = &gw_pattern_tag_value};
static const struct gw_member m_Tag[] = {
	{"Key", &s_TagKey, true},
	{"Value", &s_TagValue, false},
	{NULL, NULL, false}};
static const struct gw_shape s_Tag = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_Tag};
static const struct gw_shape s_TagDeliveryStreamInputTagList = {.kind = GW_KIND_LIST, .min = 1, .max = 50, .item = &s_Tag};
static const struct gw_member m_AmazonOpenSearchServerlessDestinationConfiguration[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_AmazonOpenSearchServerlessDestinationConfiguration = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_AmazonOpenSearchServerlessDestinationConfiguration};
static const struct gw_member m_CreateDeliveryStreamInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"DeliveryStreamType", &s_DeliveryStreamType, false},
	{"KinesisStreamSourceConfiguration", &s_KinesisStreamSourceConfiguration, false},
	{"DeliveryStreamEncryptionConfigurationInput", &s_DeliveryStreamEncryptionConfigurationInput, false},
	{"S3DestinationConfiguration", &s_S3DestinationConfiguration, false},
	{"ExtendedS3DestinationConfiguration", &s_ExtendedS3DestinationConfiguration, false},
	{"RedshiftDestinationConfiguration", &s_RedshiftDestinationConfiguration, false},
	{"ElasticsearchDestinationConfiguration", &s_ElasticsearchDestinationConfiguration, false},
	{"AmazonopensearchserviceDestinationConfiguration", &s_AmazonopensearchserviceDestinationConfiguration, false},
	{"SplunkDestinationConfiguration", &s_SplunkDestinationConfiguration, false},
	{"HttpEndpointDestinationConfiguration", &s_HttpEndpointDestinationConfiguration, false},
	{"Tags", &s_TagDeliveryStreamInputTagList, false},
	{"AmazonOpenSearchServerlessDestinationConfiguration", &s_AmazonOpenSearchServerlessDestinationConfiguration, false},
	{NULL, NULL, false}};
static const struct gw_shape s_CreateDeliveryStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_CreateDeliveryStreamInput};
static const struct gw_shape s_BooleanObject = {.kind = GW_KIND_BOOL, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_DeleteDeliveryStreamInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"AllowForceDelete", &s_BooleanObject, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DeleteDeliveryStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DeleteDeliveryStreamInput};
static const struct gw_shape s_DescribeDeliveryStreamInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 10000};
static const struct gw_shape s_DestinationId = {.kind = GW_KIND_STRING, .min = 1, .max = 100, .pattern = &gw_pattern_destination_id};
static const struct gw_member m_DescribeDeliveryStreamInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"Limit", &s_DescribeDeliveryStreamInputLimit, false},
	{"ExclusiveStartDestinationId", &s_DestinationId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DescribeDeliveryStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DescribeDeliveryStreamInput};
static const struct gw_shape s_ListDeliveryStreamsInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 10000};
static const struct gw_member m_ListDeliveryStreamsInput[] = {
	{"Limit", &s_ListDeliveryStreamsInputLimit, false},
	{"DeliveryStreamType", &s_DeliveryStreamType, false},
	{"ExclusiveStartDeliveryStreamName", &s_DeliveryStreamName, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListDeliveryStreamsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListDeliveryStreamsInput};
static const struct gw_shape s_ListTagsForDeliveryStreamInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 50};
static const struct gw_member m_ListTagsForDeliveryStreamInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"ExclusiveStartTagKey", &s_TagKey, false},
	{"Limit", &s_ListTagsForDeliveryStreamInputLimit, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListTagsForDeliveryStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListTagsForDeliveryStreamInput};
static const struct gw_shape s_Data = {.kind = GW_KIND_BLOB, .min = 0, .max = 1024000, .sensitive = true};
static const struct gw_member m_Record[] = {
	{"Data", &s_Data, true},
	{NULL, NULL, false}};
static const struct gw_shape s_Record = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_Record};
static const struct gw_member m_PutRecordInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"Record", &s_Record, true},
	{NULL, NULL, false}};
static const struct gw_shape s_PutRecordInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutRecordInput};
static const struct gw_shape s_PutRecordBatchRequestEntryList = {.kind = GW_KIND_LIST, .min = 1, .max = 500, .item = &s_Record};
static const struct gw_member m_PutRecordBatchInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"Records", &s_PutRecordBatchRequestEntryList, true},
	{NULL, NULL, false}};
static const struct gw_shape s_PutRecordBatchInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutRecordBatchInput};
static const struct gw_member m_StartDeliveryStreamEncryptionInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"DeliveryStreamEncryptionConfigurationInput", &s_DeliveryStreamEncryptionConfigurationInput, false},
	{NULL, NULL, false}};
static const struct gw_shape s_StartDeliveryStreamEncryptionInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_StartDeliveryStreamEncryptionInput};
static const struct gw_member m_StopDeliveryStreamEncryptionInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{NULL, NULL, false}};
static const struct gw_shape s_StopDeliveryStreamEncryptionInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_StopDeliveryStreamEncryptionInput};
static const struct gw_member m_TagDeliveryStreamInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"Tags", &s_TagDeliveryStreamInputTagList, true},
	{NULL, NULL, false}};
static const struct gw_shape s_TagDeliveryStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_TagDeliveryStreamInput};
static const struct gw_shape s_TagKeyList = {.kind = GW_KIND_LIST, .min = 1, .max = 50, .item = &s_TagKey};
static const struct gw_member m_UntagDeliveryStreamInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"TagKeys", &s_TagKeyList, true},
	{NULL, NULL, false}};
static const struct gw_shape s_UntagDeliveryStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UntagDeliveryStreamInput};
static const struct gw_shape s_DeliveryStreamVersionId = {.kind = GW_KIND_STRING, .min = 1, .max = 50, .pattern = &gw_pattern_digits};
static const struct gw_member m_S3DestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_S3DestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_S3DestinationUpdate};
static const struct gw_member m_ExtendedS3DestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_ExtendedS3DestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ExtendedS3DestinationUpdate};
static const struct gw_member m_RedshiftDestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_RedshiftDestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RedshiftDestinationUpdate};
static const struct gw_member m_ElasticsearchDestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_ElasticsearchDestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ElasticsearchDestinationUpdate};
static const struct gw_member m_AmazonopensearchserviceDestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_AmazonopensearchserviceDestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_AmazonopensearchserviceDestinationUpdate};
static const struct gw_member m_SplunkDestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_SplunkDestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_SplunkDestinationUpdate};
static const struct gw_member m_HttpEndpointDestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_HttpEndpointDestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_HttpEndpointDestinationUpdate};
static const struct gw_member m_AmazonOpenSearchServerlessDestinationUpdate[] = {
	{NULL, NULL, false}};
static const struct gw_shape s_AmazonOpenSearchServerlessDestinationUpdate = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_AmazonOpenSearchServerlessDestinationUpdate};
static const struct gw_member m_UpdateDestinationInput[] = {
	{"DeliveryStreamName", &s_DeliveryStreamName, true},
	{"CurrentDeliveryStreamVersionId", &s_DeliveryStreamVersionId, true},
	{"DestinationId", &s_DestinationId, true},
	{"S3DestinationUpdate", &s_S3DestinationUpdate, false},
	{"ExtendedS3DestinationUpdate", &s_ExtendedS3DestinationUpdate, false},
	{"RedshiftDestinationUpdate", &s_RedshiftDestinationUpdate, false},
	{"ElasticsearchDestinationUpdate", &s_ElasticsearchDestinationUpdate, false},
	{"AmazonopensearchserviceDestinationUpdate", &s_AmazonopensearchserviceDestinationUpdate, false},
	{"SplunkDestinationUpdate", &s_SplunkDestinationUpdate, false},
	{"HttpEndpointDestinationUpdate", &s_HttpEndpointDestinationUpdate, false},
	{"AmazonOpenSearchServerlessDestinationUpdate", &s_AmazonOpenSearchServerlessDestinationUpdate, false},
	{NULL, NULL, false}};
static const struct gw_shape s_UpdateDestinationInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UpdateDestinationInput};

static const struct gw_input inputs[] = {
	{"CreateDeliveryStream", &s_CreateDeliveryStreamInput, true},
	{"DeleteDeliveryStream", &s_DeleteDeliveryStreamInput, true},
	{"DescribeDeliveryStream", &s_DescribeDeliveryStreamInput, true},
	{"ListDeliveryStreams", &s_ListDeliveryStreamsInput, true},
	{"ListTagsForDeliveryStream", &s_ListTagsForDeliveryStreamInput, true},
	{"PutRecord", &s_PutRecordInput, true},
	{"PutRecordBatch", &s_PutRecordBatchInput, true},
	{"StartDeliveryStreamEncryption", &s_StartDeliveryStreamEncryptionInput, true},
	{"StopDeliveryStreamEncryption", &s_StopDeliveryStreamEncryptionInput, true},
	{"TagDeliveryStream", &s_TagDeliveryStreamInput, true},
	{"UntagDeliveryStream", &s_UntagDeliveryStreamInput, true},
	{"UpdateDestination", &s_UpdateDestinationInput, true},
	{NULL, NULL, false},
};
/* clang-format on */

const struct gw_input *const gw_inputs_firehose = inputs;
