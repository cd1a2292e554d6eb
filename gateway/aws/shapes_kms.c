/* Made by make_shapes.py from the published service model. Not to be edited. */
#include "aws/shapes.h"

/* clang-format off */
static const struct gw_shape s_KeyIdType = {.kind = GW_KIND_STRING, .min = 1, .max = 2048};
static const struct gw_member m_CancelKeyDeletionRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_CancelKeyDeletionRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_CancelKeyDeletionRequest};
static const struct gw_shape s_AliasNameType = {.kind = GW_KIND_STRING, .min = 1, .max = 256, .pattern = &gw_pattern_alias};
static const struct gw_member m_CreateAliasRequest[] = {
	{"AliasName", &s_AliasNameType, true},
	{"TargetKeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_CreateAliasRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_CreateAliasRequest};
static const struct gw_shape s_PrincipalIdType = {.kind = GW_KIND_STRING, .min = 1, .max = 256, .pattern = &gw_pattern_principal};
static const char *const e_GrantOperation[] = {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac", "DeriveSharedSecret", "Encapsulate", "Decapsulate", NULL};
static const struct gw_shape s_GrantOperation = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_GrantOperation};
static const struct gw_shape s_GrantOperationList = {.kind = GW_KIND_LIST, .min = GW_ANY, .max = GW_ANY, .item = &s_GrantOperation};
static const struct gw_shape s_EncryptionContextKey = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_EncryptionContextValue = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_EncryptionContextType = {.kind = GW_KIND_MAP, .min = GW_ANY, .max = GW_ANY, .item = &s_EncryptionContextValue, .key = &s_EncryptionContextKey};
static const struct gw_shape s_GrantConstraintSourceArnType = {.kind = GW_KIND_STRING, .min = 20, .max = 512};
static const struct gw_member m_GrantConstraints[] = {
	{"EncryptionContextSubset", &s_EncryptionContextType, false},
	{"EncryptionContextEquals", &s_EncryptionContextType, false},
	{"SourceArn", &s_GrantConstraintSourceArnType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GrantConstraints = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GrantConstraints};
static const struct gw_shape s_GrantTokenType = {.kind = GW_KIND_STRING, .min = 1, .max = 8192};
static const struct gw_shape s_GrantTokenList = {.kind = GW_KIND_LIST, .min = 0, .max = 10, .item = &s_GrantTokenType};
static const struct gw_shape s_GrantNameType = {.kind = GW_KIND_STRING, .min = 1, .max = 256, .pattern = &gw_pattern_alias};
static const struct gw_shape s_NullableBooleanType = {.kind = GW_KIND_BOOL, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_ServicePrincipalType = {.kind = GW_KIND_STRING, .min = 1, .max = 128};
static const struct gw_member m_CreateGrantRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"GranteePrincipal", &s_PrincipalIdType, false},
	{"RetiringPrincipal", &s_PrincipalIdType, false},
	{"Operations", &s_GrantOperationList, true},
	{"Constraints", &s_GrantConstraints, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"Name", &s_GrantNameType, false},
	{"DryRun", &s_NullableBooleanType, false},
	{"GranteeServicePrincipal", &s_ServicePrincipalType, false},
	{"RetiringServicePrincipal", &s_ServicePrincipalType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_CreateGrantRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_CreateGrantRequest};
static const struct gw_shape s_PolicyType = {.kind = GW_KIND_STRING, .min = 1, .max = 131072, .pattern = &gw_pattern_policy};
static const struct gw_shape s_DescriptionType = {.kind = GW_KIND_STRING, .min = 0, .max = 8192};
static const struct gw_shape s_KeyUsageType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_CustomerMasterKeySpec = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_KeySpec = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_OriginType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_CustomKeyStoreIdType = {.kind = GW_KIND_STRING, .min = 1, .max = 64};
static const struct gw_shape s_BooleanType = {.kind = GW_KIND_BOOL, .min = GW_ANY, .max = GW_ANY};
static const struct gw_shape s_TagKeyType = {.kind = GW_KIND_STRING, .min = 1, .max = 128};
static const struct gw_shape s_TagValueType = {.kind = GW_KIND_STRING, .min = 0, .max = 256};
static const struct gw_member m_Tag[] = {
	{"TagKey", &s_TagKeyType, true},
	{"TagValue", &s_TagValueType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_Tag = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_Tag};
static const struct gw_shape s_TagList = {.kind = GW_KIND_LIST, .min = GW_ANY, .max = GW_ANY, .item = &s_Tag};
static const struct gw_shape s_XksKeyIdType = {.kind = GW_KIND_STRING, .min = 1, .max = 128};
static const struct gw_member m_CreateKeyRequest[] = {
	{"Policy", &s_PolicyType, false},
	{"Description", &s_DescriptionType, false},
	{"KeyUsage", &s_KeyUsageType, false},
	{"CustomerMasterKeySpec", &s_CustomerMasterKeySpec, false},
	{"KeySpec", &s_KeySpec, false},
	{"Origin", &s_OriginType, false},
	{"CustomKeyStoreId", &s_CustomKeyStoreIdType, false},
	{"BypassPolicyLockoutSafetyCheck", &s_BooleanType, false},
	{"Tags", &s_TagList, false},
	{"MultiRegion", &s_NullableBooleanType, false},
	{"XksKeyId", &s_XksKeyIdType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_CreateKeyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_CreateKeyRequest};
static const struct gw_shape s_CiphertextType = {.kind = GW_KIND_BLOB, .min = 1, .max = 6144};
static const struct gw_shape s_EncryptionAlgorithmSpec = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const char *const e_KeyEncryptionMechanism[] = {"RSAES_OAEP_SHA_256", NULL};
static const struct gw_shape s_KeyEncryptionMechanism = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_KeyEncryptionMechanism};
static const struct gw_shape s_AttestationDocumentType = {.kind = GW_KIND_BLOB, .min = 1, .max = 262144};
static const struct gw_member m_RecipientInfo[] = {
	{"KeyEncryptionAlgorithm", &s_KeyEncryptionMechanism, false},
	{"AttestationDocument", &s_AttestationDocumentType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_RecipientInfo = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RecipientInfo};
static const char *const e_DryRunModifierType[] = {"IGNORE_CIPHERTEXT", NULL};
static const struct gw_shape s_DryRunModifierType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_DryRunModifierType};
static const struct gw_shape s_DryRunModifierList = {.kind = GW_KIND_LIST, .min = GW_ANY, .max = GW_ANY, .item = &s_DryRunModifierType};
static const struct gw_member m_DecryptRequest[] = {
	{"CiphertextBlob", &s_CiphertextType, false},
	{"EncryptionContext", &s_EncryptionContextType, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"KeyId", &s_KeyIdType, false},
	{"EncryptionAlgorithm", &s_EncryptionAlgorithmSpec, false},
	{"Recipient", &s_RecipientInfo, false},
	{"DryRun", &s_NullableBooleanType, false},
	{"DryRunModifiers", &s_DryRunModifierList, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DecryptRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DecryptRequest};
static const struct gw_member m_DeleteAliasRequest[] = {
	{"AliasName", &s_AliasNameType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_DeleteAliasRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DeleteAliasRequest};
static const struct gw_shape s_CustomKeyStoreNameType = {.kind = GW_KIND_STRING, .min = 1, .max = 256};
static const struct gw_shape s_LimitType = {.kind = GW_KIND_INT, .min = 1, .max = 1000};
static const struct gw_shape s_MarkerType = {.kind = GW_KIND_STRING, .min = 1, .max = 1024, .pattern = &gw_pattern_latin};
static const struct gw_member m_DescribeCustomKeyStoresRequest[] = {
	{"CustomKeyStoreId", &s_CustomKeyStoreIdType, false},
	{"CustomKeyStoreName", &s_CustomKeyStoreNameType, false},
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DescribeCustomKeyStoresRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DescribeCustomKeyStoresRequest};
static const struct gw_member m_DescribeKeyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"GrantTokens", &s_GrantTokenList, false},
	{NULL, NULL, false}};
static const struct gw_shape s_DescribeKeyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DescribeKeyRequest};
static const struct gw_member m_DisableKeyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_DisableKeyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DisableKeyRequest};
static const struct gw_member m_DisableKeyRotationRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_DisableKeyRotationRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_DisableKeyRotationRequest};
static const struct gw_member m_EnableKeyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_EnableKeyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_EnableKeyRequest};
static const struct gw_shape s_RotationPeriodInDaysType = {.kind = GW_KIND_INT, .min = 90, .max = 2560};
static const struct gw_member m_EnableKeyRotationRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"RotationPeriodInDays", &s_RotationPeriodInDaysType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_EnableKeyRotationRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_EnableKeyRotationRequest};
static const struct gw_shape s_PlaintextType = {.kind = GW_KIND_BLOB, .min = 1, .max = 4096, .sensitive = true};
static const struct gw_member m_EncryptRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Plaintext", &s_PlaintextType, true},
	{"EncryptionContext", &s_EncryptionContextType, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"EncryptionAlgorithm", &s_EncryptionAlgorithmSpec, false},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_EncryptRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_EncryptRequest};
static const struct gw_shape s_NumberOfBytesType = {.kind = GW_KIND_INT, .min = 1, .max = 1024};
static const char *const e_DataKeySpec[] = {"AES_256", "AES_128", NULL};
static const struct gw_shape s_DataKeySpec = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_DataKeySpec};
static const struct gw_member m_GenerateDataKeyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"EncryptionContext", &s_EncryptionContextType, false},
	{"NumberOfBytes", &s_NumberOfBytesType, false},
	{"KeySpec", &s_DataKeySpec, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"Recipient", &s_RecipientInfo, false},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GenerateDataKeyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GenerateDataKeyRequest};
static const struct gw_member m_GenerateDataKeyWithoutPlaintextRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"EncryptionContext", &s_EncryptionContextType, false},
	{"KeySpec", &s_DataKeySpec, false},
	{"NumberOfBytes", &s_NumberOfBytesType, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GenerateDataKeyWithoutPlaintextRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GenerateDataKeyWithoutPlaintextRequest};
static const struct gw_member m_GenerateRandomRequest[] = {
	{"NumberOfBytes", &s_NumberOfBytesType, false},
	{"CustomKeyStoreId", &s_CustomKeyStoreIdType, false},
	{"Recipient", &s_RecipientInfo, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GenerateRandomRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GenerateRandomRequest};
static const struct gw_shape s_PolicyNameType = {.kind = GW_KIND_STRING, .min = 1, .max = 128, .pattern = &gw_pattern_word};
static const struct gw_member m_GetKeyPolicyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"PolicyName", &s_PolicyNameType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GetKeyPolicyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GetKeyPolicyRequest};
static const struct gw_member m_GetKeyRotationStatusRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_GetKeyRotationStatusRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GetKeyRotationStatusRequest};
static const struct gw_member m_GetPublicKeyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"GrantTokens", &s_GrantTokenList, false},
	{NULL, NULL, false}};
static const struct gw_shape s_GetPublicKeyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_GetPublicKeyRequest};
static const struct gw_member m_ListAliasesRequest[] = {
	{"KeyId", &s_KeyIdType, false},
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListAliasesRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListAliasesRequest};
static const struct gw_shape s_GrantIdType = {.kind = GW_KIND_STRING, .min = 1, .max = 128};
static const struct gw_member m_ListGrantsRequest[] = {
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{"KeyId", &s_KeyIdType, true},
	{"GrantId", &s_GrantIdType, false},
	{"GranteePrincipal", &s_PrincipalIdType, false},
	{"GranteeServicePrincipal", &s_ServicePrincipalType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListGrantsRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListGrantsRequest};
static const struct gw_member m_ListKeyPoliciesRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListKeyPoliciesRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListKeyPoliciesRequest};
static const char *const e_IncludeKeyMaterial[] = {"ALL_KEY_MATERIAL", "ROTATIONS_ONLY", NULL};
static const struct gw_shape s_IncludeKeyMaterial = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_IncludeKeyMaterial};
static const struct gw_member m_ListKeyRotationsRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"IncludeKeyMaterial", &s_IncludeKeyMaterial, false},
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListKeyRotationsRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListKeyRotationsRequest};
static const char *const e_ResourceOwnerType[] = {"SELF", "OTHER_ACCOUNTS_VIA_RAM", NULL};
static const struct gw_shape s_ResourceOwnerType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_ResourceOwnerType};
static const struct gw_shape s_ResourceOwnersList = {.kind = GW_KIND_LIST, .min = 1, .max = 2, .item = &s_ResourceOwnerType};
static const struct gw_member m_ListKeysRequest[] = {
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{"ResourceOwners", &s_ResourceOwnersList, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListKeysRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListKeysRequest};
static const struct gw_member m_ListResourceTagsRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListResourceTagsRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListResourceTagsRequest};
static const struct gw_member m_ListRetirableGrantsRequest[] = {
	{"Limit", &s_LimitType, false},
	{"Marker", &s_MarkerType, false},
	{"RetiringPrincipal", &s_PrincipalIdType, false},
	{"RetiringServicePrincipal", &s_ServicePrincipalType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ListRetirableGrantsRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ListRetirableGrantsRequest};
static const struct gw_member m_PutKeyPolicyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"PolicyName", &s_PolicyNameType, false},
	{"Policy", &s_PolicyType, true},
	{"BypassPolicyLockoutSafetyCheck", &s_BooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_PutKeyPolicyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_PutKeyPolicyRequest};
static const struct gw_member m_ReEncryptRequest[] = {
	{"CiphertextBlob", &s_CiphertextType, false},
	{"SourceEncryptionContext", &s_EncryptionContextType, false},
	{"SourceKeyId", &s_KeyIdType, false},
	{"DestinationKeyId", &s_KeyIdType, true},
	{"DestinationEncryptionContext", &s_EncryptionContextType, false},
	{"SourceEncryptionAlgorithm", &s_EncryptionAlgorithmSpec, false},
	{"DestinationEncryptionAlgorithm", &s_EncryptionAlgorithmSpec, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"DryRun", &s_NullableBooleanType, false},
	{"DryRunModifiers", &s_DryRunModifierList, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ReEncryptRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ReEncryptRequest};
static const struct gw_member m_RetireGrantRequest[] = {
	{"GrantToken", &s_GrantTokenType, false},
	{"KeyId", &s_KeyIdType, false},
	{"GrantId", &s_GrantIdType, false},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_RetireGrantRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RetireGrantRequest};
static const struct gw_member m_RevokeGrantRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"GrantId", &s_GrantIdType, true},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_RevokeGrantRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RevokeGrantRequest};
static const struct gw_member m_RotateKeyOnDemandRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_RotateKeyOnDemandRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_RotateKeyOnDemandRequest};
static const struct gw_shape s_PendingWindowInDaysType = {.kind = GW_KIND_INT, .min = 1, .max = 365};
static const struct gw_member m_ScheduleKeyDeletionRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"PendingWindowInDays", &s_PendingWindowInDaysType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_ScheduleKeyDeletionRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_ScheduleKeyDeletionRequest};
static const char *const e_MessageType[] = {"RAW", "DIGEST", "EXTERNAL_MU", NULL};
static const struct gw_shape s_MessageType = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY, .values = e_MessageType};
static const struct gw_shape s_SigningAlgorithmSpec = {.kind = GW_KIND_STRING, .min = GW_ANY, .max = GW_ANY};
static const struct gw_member m_SignRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Message", &s_PlaintextType, true},
	{"MessageType", &s_MessageType, false},
	{"GrantTokens", &s_GrantTokenList, false},
	{"SigningAlgorithm", &s_SigningAlgorithmSpec, true},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_SignRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_SignRequest};
static const struct gw_member m_TagResourceRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Tags", &s_TagList, true},
	{NULL, NULL, false}};
static const struct gw_shape s_TagResourceRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_TagResourceRequest};
static const struct gw_shape s_TagKeyList = {.kind = GW_KIND_LIST, .min = GW_ANY, .max = GW_ANY, .item = &s_TagKeyType};
static const struct gw_member m_UntagResourceRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"TagKeys", &s_TagKeyList, true},
	{NULL, NULL, false}};
static const struct gw_shape s_UntagResourceRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UntagResourceRequest};
static const struct gw_member m_UpdateAliasRequest[] = {
	{"AliasName", &s_AliasNameType, true},
	{"TargetKeyId", &s_KeyIdType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_UpdateAliasRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UpdateAliasRequest};
static const struct gw_member m_UpdateKeyDescriptionRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Description", &s_DescriptionType, true},
	{NULL, NULL, false}};
static const struct gw_shape s_UpdateKeyDescriptionRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_UpdateKeyDescriptionRequest};
static const struct gw_member m_VerifyRequest[] = {
	{"KeyId", &s_KeyIdType, true},
	{"Message", &s_PlaintextType, true},
	{"MessageType", &s_MessageType, false},
	{"Signature", &s_CiphertextType, true},
	{"SigningAlgorithm", &s_SigningAlgorithmSpec, true},
	{"GrantTokens", &s_GrantTokenList, false},
	{"DryRun", &s_NullableBooleanType, false},
	{NULL, NULL, false}};
static const struct gw_shape s_VerifyRequest = {.kind = GW_KIND_STRUCT, .min = GW_ANY, .max = GW_ANY, .members = m_VerifyRequest};

static const struct gw_input inputs[] = {
	{"CancelKeyDeletion", &s_CancelKeyDeletionRequest, true},
	{"CreateAlias", &s_CreateAliasRequest, false},
	{"CreateGrant", &s_CreateGrantRequest, true},
	{"CreateKey", &s_CreateKeyRequest, true},
	{"Decrypt", &s_DecryptRequest, true},
	{"DeleteAlias", &s_DeleteAliasRequest, false},
	{"DescribeCustomKeyStores", &s_DescribeCustomKeyStoresRequest, true},
	{"DescribeKey", &s_DescribeKeyRequest, true},
	{"DisableKey", &s_DisableKeyRequest, false},
	{"DisableKeyRotation", &s_DisableKeyRotationRequest, false},
	{"EnableKey", &s_EnableKeyRequest, false},
	{"EnableKeyRotation", &s_EnableKeyRotationRequest, false},
	{"Encrypt", &s_EncryptRequest, true},
	{"GenerateDataKey", &s_GenerateDataKeyRequest, true},
	{"GenerateDataKeyWithoutPlaintext", &s_GenerateDataKeyWithoutPlaintextRequest, true},
	{"GenerateRandom", &s_GenerateRandomRequest, true},
	{"GetKeyPolicy", &s_GetKeyPolicyRequest, true},
	{"GetKeyRotationStatus", &s_GetKeyRotationStatusRequest, true},
	{"GetPublicKey", &s_GetPublicKeyRequest, true},
	{"ListAliases", &s_ListAliasesRequest, true},
	{"ListGrants", &s_ListGrantsRequest, true},
	{"ListKeyPolicies", &s_ListKeyPoliciesRequest, true},
	{"ListKeyRotations", &s_ListKeyRotationsRequest, true},
	{"ListKeys", &s_ListKeysRequest, true},
	{"ListResourceTags", &s_ListResourceTagsRequest, true},
	{"ListRetirableGrants", &s_ListRetirableGrantsRequest, true},
	{"PutKeyPolicy", &s_PutKeyPolicyRequest, false},
	{"ReEncrypt", &s_ReEncryptRequest, true},
	{"RetireGrant", &s_RetireGrantRequest, false},
	{"RevokeGrant", &s_RevokeGrantRequest, false},
	{"RotateKeyOnDemand", &s_RotateKeyOnDemandRequest, true},
	{"ScheduleKeyDeletion", &s_ScheduleKeyDeletionRequest, true},
	{"Sign", &s_SignRequest, true},
	{"TagResource", &s_TagResourceRequest, false},
	{"UntagResource", &s_UntagResourceRequest, false},
	{"UpdateAlias", &s_UpdateAliasRequest, false},
	{"UpdateKeyDescription", &s_UpdateKeyDescriptionRequest, false},
	{"Verify", &s_VerifyRequest, true},
	{NULL, NULL, false},
};
/* clang-format on */

const struct gw_input *const gw_inputs_kms = inputs;
