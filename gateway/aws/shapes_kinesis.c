/* Made by make_shapes.py from the published service model. Not to be edited. */
#include "aws/shapes.h"

/* clang-format off */
static const struct gw_shape s_StreamName = {.kind = GW_KIND_STRING, .min = 1, .max = 128, .pattern = &gw_pattern_stream_name};
static const struct gw_shape s_TagKey = {.kind = GW_KIND_STRING, .min = 1, .max = 128};
static const struct gw_shape s_TagValue = {.kind = GW_KIND_STRING, .min = 0, .max = 256};
static const struct gw_shape s_TagMap = {.kind = GW_KIND_MAP, .min = 1, .max = 200, .item = &s_TagValue, .key = &s_TagKey};
static const struct gw_shape s_StreamARN = {.kind = GW_KIND_STRING, .min = 1, .max = 2048, .pattern = &gw_pattern_stream_arn};
static const struct gw_shape s_StreamId = {.kind = GW_KIND_STRING, .min = 1, .max = 24};
static const struct gw_member m_AddTagsToStreamInput[] = {
	{"StreamName", &s_StreamName, false},
	{"Tags", &s_TagMap, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_AddTagsToStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_AddTagsToStreamInput};
static const struct gw_shape s_PositiveIntegerObject = {.kind = GW_KIND_INT, .min = 1, .max = GW_ANY};
static const char *const e_StreamMode[] = {"PROVISIONED", "ON_DEMAND", NULL};
static const struct gw_shape s_StreamMode = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_StreamMode};
static const struct gw_member m_StreamModeDetails[] = {
	{"StreamMode", &s_StreamMode, true},
	{NULL, NULL, false}};
static const struct gw_shape s_StreamModeDetails = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_StreamModeDetails};
static const struct gw_shape s_NaturalIntegerObject = {.kind = GW_KIND_INT, .min = 0, .max = GW_ANY};
static const struct gw_shape s_MaxRecordSizeInKiB = {.kind = GW_KIND_INT, .min = 1024, .max = 10240};
static const char *const e_RecordDistributionStrategy[] = {"AUTO", "USER_PARTITION_KEY", NULL};
static const struct gw_shape s_RecordDistributionStrategy = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_RecordDistributionStrategy};
static const struct gw_member m_CreateStreamInput[] = {
	{"StreamName", &s_StreamName, true},
	{"ShardCount", &s_PositiveIntegerObject, false},
	{"StreamModeDetails", &s_StreamModeDetails, false},
	{"Tags", &s_TagMap, false},
	{"WarmThroughputMiBps", &s_NaturalIntegerObject, false},
	{"MaxRecordSizeInKiB", &s_MaxRecordSizeInKiB, false},
	{"RecordDistributionStrategy", &s_RecordDistributionStrategy, false},
	{NULL, NULL, false}};
static const struct gw_shape s_CreateStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_CreateStreamInput};
static const struct gw_shape s_RetentionPeriodHours = {.kind = GW_KIND_INT, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_DecreaseStreamRetentionPeriodInput[] = {
	{"StreamName", &s_StreamName, false},
	{"RetentionPeriodHours", &s_RetentionPeriodHours, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DecreaseStreamRetentionPeriodInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DecreaseStreamRetentionPeriodInput};
static const struct gw_shape s_ResourceARN = {.kind = GW_KIND_STRING, .min = 1, .max = 2048};
static const struct gw_member m_DeleteResourcePolicyInput[] = {
	{"ResourceARN", &s_ResourceARN, true},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DeleteResourcePolicyInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DeleteResourcePolicyInput};
static const struct gw_shape s_BooleanObject = {.kind = GW_KIND_BOOL, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_DeleteStreamInput[] = {
	{"StreamName", &s_StreamName, false},
	{"EnforceConsumerDeletion", &s_BooleanObject, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DeleteStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DeleteStreamInput};
static const struct gw_member m_DescribeLimitsInput[] = {

	{NULL, NULL, false}};
static const struct gw_shape s_DescribeLimitsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DescribeLimitsInput};
static const struct gw_shape s_DescribeStreamInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 10000};
static const struct gw_shape s_ShardId = {.kind = GW_KIND_STRING, .min = 1, .max = 128, .pattern = &gw_pattern_stream_name};
static const struct gw_member m_DescribeStreamInput[] = {
	{"StreamName", &s_StreamName, false},
	{"Limit", &s_DescribeStreamInputLimit, false},
	{"ExclusiveStartShardId", &s_ShardId, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DescribeStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DescribeStreamInput};
static const struct gw_member m_DescribeStreamSummaryInput[] = {
	{"StreamName", &s_StreamName, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DescribeStreamSummaryInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DescribeStreamSummaryInput};
static const struct gw_shape s_ShardIterator = {.kind = GW_KIND_STRING, .min = 1, .max = 512};
static const struct gw_shape s_GetRecordsInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 10000};
static const struct gw_member m_GetRecordsInput[] = {
	{"ShardIterator", &s_ShardIterator, true},
	{"Limit", &s_GetRecordsInputLimit, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{"DryRun", &s_BooleanObject, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GetRecordsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GetRecordsInput};
static const struct gw_member m_GetResourcePolicyInput[] = {
	{"ResourceARN", &s_ResourceARN, true},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GetResourcePolicyInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GetResourcePolicyInput};
static const char *const e_ShardIteratorType[] = {"AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", NULL};
static const struct gw_shape s_ShardIteratorType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_ShardIteratorType};
static const struct gw_shape s_SequenceNumber = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .pattern = &gw_pattern_sequence};
static const struct gw_shape s_Timestamp = {.kind = GW_KIND_TIME, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_GetShardIteratorInput[] = {
	{"StreamName", &s_StreamName, false},
	{"ShardId", &s_ShardId, true},
	{"ShardIteratorType", &s_ShardIteratorType, true},
	{"StartingSequenceNumber", &s_SequenceNumber, false},
	{"Timestamp", &s_Timestamp, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{"DryRun", &s_BooleanObject, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GetShardIteratorInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GetShardIteratorInput};
static const struct gw_member m_IncreaseStreamRetentionPeriodInput[] = {
	{"StreamName", &s_StreamName, false},
	{"RetentionPeriodHours", &s_RetentionPeriodHours, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_IncreaseStreamRetentionPeriodInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_IncreaseStreamRetentionPeriodInput};
static const struct gw_shape s_NextToken = {.kind = GW_KIND_STRING, .min = 1, .max = 1048576};
static const struct gw_shape s_ListShardsInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 10000};
static const char *const e_ShardFilterType[] = {"AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP", NULL};
static const struct gw_shape s_ShardFilterType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_ShardFilterType};
static const struct gw_member m_ShardFilter[] = {
	{"Type", &s_ShardFilterType, true},
	{"ShardId", &s_ShardId, false},
	{"Timestamp", &s_Timestamp, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ShardFilter = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ShardFilter};
static const struct gw_member m_ListShardsInput[] = {
	{"StreamName", &s_StreamName, false},
	{"NextToken", &s_NextToken, false},
	{"ExclusiveStartShardId", &s_ShardId, false},
	{"MaxResults", &s_ListShardsInputLimit, false},
	{"StreamCreationTimestamp", &s_Timestamp, false},
	{"ShardFilter", &s_ShardFilter, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListShardsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListShardsInput};
static const struct gw_shape s_ListStreamsInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 10000};
static const struct gw_member m_ListStreamsInput[] = {
	{"Limit", &s_ListStreamsInputLimit, false},
	{"ExclusiveStartStreamName", &s_StreamName, false},
	{"NextToken", &s_NextToken, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListStreamsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListStreamsInput};
static const struct gw_shape s_ListTagsForStreamInputLimit = {.kind = GW_KIND_INT, .min = 1, .max = 50};
static const struct gw_member m_ListTagsForStreamInput[] = {
	{"StreamName", &s_StreamName, false},
	{"ExclusiveStartTagKey", &s_TagKey, false},
	{"Limit", &s_ListTagsForStreamInputLimit, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListTagsForStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListTagsForStreamInput};
static const struct gw_member m_MergeShardsInput[] = {
	{"StreamName", &s_StreamName, false},
	{"ShardToMerge", &s_ShardId, true},
	{"AdjacentShardToMerge", &s_ShardId, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_MergeShardsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_MergeShardsInput};
static const struct gw_shape s_Data = {.kind = GW_KIND_BLOB, .min = 0, .max = 10485760, .sensitive = true};
static const struct gw_shape s_PartitionKey = {.kind = GW_KIND_STRING, .min = 1, .max = 256};
static const struct gw_shape s_HashKey = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .pattern = &gw_pattern_hash_key};
static const struct gw_member m_PutRecordInput[] = {
	{"StreamName", &s_StreamName, false},
	{"Data", &s_Data, true},
	{"PartitionKey", &s_PartitionKey, true},
	{"ExplicitHashKey", &s_HashKey, false},
	{"SequenceNumberForOrdering", &s_SequenceNumber, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{"DryRun", &s_BooleanObject, false},
	{NULL, NULL, false}};
static const struct gw_shape s_PutRecordInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutRecordInput};
static const struct gw_member m_PutRecordsRequestEntry[] = {
	{"Data", &s_Data, true},
	{"ExplicitHashKey", &s_HashKey, false},
	{"PartitionKey", &s_PartitionKey, true},
	{NULL, NULL, false}};
static const struct gw_shape s_PutRecordsRequestEntry = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutRecordsRequestEntry};
static const struct gw_shape s_PutRecordsRequestEntryList = {.kind = GW_KIND_LIST, .min = 1, .max = 500, .item = &s_PutRecordsRequestEntry};
static const struct gw_member m_PutRecordsInput[] = {
	{"Records", &s_PutRecordsRequestEntryList, true},
	{"StreamName", &s_StreamName, false},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{"DryRun", &s_BooleanObject, false},
	{NULL, NULL, false}};
static const struct gw_shape s_PutRecordsInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutRecordsInput};
static const struct gw_shape s_Policy = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_PutResourcePolicyInput[] = {
	{"ResourceARN", &s_ResourceARN, true},
	{"StreamId", &s_StreamId, false},
	{"Policy", &s_Policy, true},
	{NULL, NULL, false}};
static const struct gw_shape s_PutResourcePolicyInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutResourcePolicyInput};
static const struct gw_shape s_TagKeyList = {.kind = GW_KIND_LIST, .min = 1, .max = 50, .item = &s_TagKey};
static const struct gw_member m_RemoveTagsFromStreamInput[] = {
	{"StreamName", &s_StreamName, false},
	{"TagKeys", &s_TagKeyList, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_RemoveTagsFromStreamInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RemoveTagsFromStreamInput};
static const struct gw_member m_SplitShardInput[] = {
	{"StreamName", &s_StreamName, false},
	{"ShardToSplit", &s_ShardId, true},
	{"NewStartingHashKey", &s_HashKey, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_SplitShardInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_SplitShardInput};
static const char *const e_EncryptionType[] = {"NONE", "KMS", NULL};
static const struct gw_shape s_EncryptionType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_EncryptionType};
static const struct gw_shape s_KeyId = {.kind = GW_KIND_STRING, .min = 1, .max = 2048};
static const struct gw_member m_StartStreamEncryptionInput[] = {
	{"StreamName", &s_StreamName, false},
	{"EncryptionType", &s_EncryptionType, true},
	{"KeyId", &s_KeyId, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_StartStreamEncryptionInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_StartStreamEncryptionInput};
static const struct gw_member m_StopStreamEncryptionInput[] = {
	{"StreamName", &s_StreamName, false},
	{"EncryptionType", &s_EncryptionType, true},
	{"KeyId", &s_KeyId, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_StopStreamEncryptionInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_StopStreamEncryptionInput};
static const char *const e_ScalingType[] = {"UNIFORM_SCALING", NULL};
static const struct gw_shape s_ScalingType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_ScalingType};
static const struct gw_member m_UpdateShardCountInput[] = {
	{"StreamName", &s_StreamName, false},
	{"TargetShardCount", &s_PositiveIntegerObject, true},
	{"ScalingType", &s_ScalingType, true},
	{"StreamARN", &s_StreamARN, false},
	{"StreamId", &s_StreamId, false},
	{NULL, NULL, false}};
static const struct gw_shape s_UpdateShardCountInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UpdateShardCountInput};
static const struct gw_member m_UpdateStreamModeInput[] = {
	{"StreamARN", &s_StreamARN, true},
	{"StreamId", &s_StreamId, false},
	{"StreamModeDetails", &s_StreamModeDetails, true},
	{"WarmThroughputMiBps", &s_NaturalIntegerObject, false},
	{NULL, NULL, false}};
static const struct gw_shape s_UpdateStreamModeInput = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UpdateStreamModeInput};

static const struct gw_input inputs[] = {
	{"AddTagsToStream", &s_AddTagsToStreamInput, false},
	{"CreateStream", &s_CreateStreamInput, false},
	{"DecreaseStreamRetentionPeriod", &s_DecreaseStreamRetentionPeriodInput, false},
	{"DeleteResourcePolicy", &s_DeleteResourcePolicyInput, false},
	{"DeleteStream", &s_DeleteStreamInput, false},
	{"DescribeLimits", &s_DescribeLimitsInput, true},
	{"DescribeStream", &s_DescribeStreamInput, true},
	{"DescribeStreamSummary", &s_DescribeStreamSummaryInput, true},
	{"GetRecords", &s_GetRecordsInput, true},
	{"GetResourcePolicy", &s_GetResourcePolicyInput, true},
	{"GetShardIterator", &s_GetShardIteratorInput, true},
	{"IncreaseStreamRetentionPeriod", &s_IncreaseStreamRetentionPeriodInput, false},
	{"ListShards", &s_ListShardsInput, true},
	{"ListStreams", &s_ListStreamsInput, true},
	{"ListTagsForStream", &s_ListTagsForStreamInput, true},
	{"MergeShards", &s_MergeShardsInput, false},
	{"PutRecord", &s_PutRecordInput, true},
	{"PutRecords", &s_PutRecordsInput, true},
	{"PutResourcePolicy", &s_PutResourcePolicyInput, false},
	{"RemoveTagsFromStream", &s_RemoveTagsFromStreamInput, false},
	{"SplitShard", &s_SplitShardInput, false},
	{"StartStreamEncryption", &s_StartStreamEncryptionInput, false},
	{"StopStreamEncryption", &s_StopStreamEncryptionInput, false},
	{"UpdateShardCount", &s_UpdateShardCountInput, true},
	{"UpdateStreamMode", &s_UpdateStreamModeInput, false},
	{NULL, NULL, false},
};
/* clang-format on */

const struct gw_input *const gw_inputs_kinesis = inputs;
