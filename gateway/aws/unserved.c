/* What AWS has and we do not: one table, each with its answer. None returns data. */
#include "aws/call.h"

#define UNKNOWN "UnknownOperationException", ""
#define UNSUPPORTED \
	"UnsupportedOperationException", "This operation is not supported by this appliance."
#define NO_STORE "CustomKeyStoreNotFoundException", "There are no custom key stores."

const struct gw_unserved gw_unserved_operations[] = {
	{GW_KMS, "ConnectCustomKeyStore", NO_STORE},
	{GW_KMS, "CreateCustomKeyStore", UNSUPPORTED},
	{GW_KMS, "DeleteCustomKeyStore", NO_STORE},
	{GW_KMS, "DeleteImportedKeyMaterial", UNSUPPORTED},
	{GW_KMS, "DeriveSharedSecret", UNSUPPORTED},
	{GW_KMS, "DisconnectCustomKeyStore", NO_STORE},
	{GW_KMS, "GenerateDataKeyPair", UNSUPPORTED},
	{GW_KMS, "GenerateDataKeyPairWithoutPlaintext", UNSUPPORTED},
	{GW_KMS, "GenerateMac", UNSUPPORTED},
	{GW_KMS, "GetKeyLastUsage", UNSUPPORTED},
	{GW_KMS, "GetParametersForImport", UNSUPPORTED},
	{GW_KMS, "ImportKeyMaterial", UNSUPPORTED},
	{GW_KMS, "ReplicateKey", UNSUPPORTED},
	{GW_KMS, "UpdateCustomKeyStore", NO_STORE},
	{GW_KMS, "UpdatePrimaryRegion", UNSUPPORTED},
	{GW_KMS, "VerifyMac", UNSUPPORTED},
	{GW_KINESIS, "DeregisterStreamConsumer", UNKNOWN},
	{GW_KINESIS, "DescribeAccountSettings", UNKNOWN},
	{GW_KINESIS, "DescribeStreamConsumer", UNKNOWN},
	{GW_KINESIS, "DisableEnhancedMonitoring", UNKNOWN},
	{GW_KINESIS, "EnableEnhancedMonitoring", UNKNOWN},
	{GW_KINESIS, "ListStreamConsumers", UNKNOWN},
	{GW_KINESIS, "ListTagsForResource", UNKNOWN},
	{GW_KINESIS, "RegisterStreamConsumer", UNKNOWN},
	{GW_KINESIS, "SubscribeToShard", UNKNOWN},
	{GW_KINESIS, "TagResource", UNKNOWN},
	{GW_KINESIS, "UntagResource", UNKNOWN},
	{GW_KINESIS, "UpdateAccountSettings", UNKNOWN},
	{GW_KINESIS, "UpdateMaxRecordSize", UNKNOWN},
	{GW_KINESIS, "UpdateStreamWarmThroughput", UNKNOWN},
	{GW_STS, "AssumeRoleWithSAML", "UnknownOperationException", "This operation is not served"},
	{GW_STS, "AssumeRoleWithWebIdentity", "UnknownOperationException",
		"This operation is not served"},
	{GW_STS, "DecodeAuthorizationMessage", "UnknownOperationException",
		"This operation is not served"},
	{GW_STS, "GetAccessKeyInfo", "UnknownOperationException", "This operation is not served"},
	{GW_STS, "GetFederationToken", "UnknownOperationException", "This operation is not served"},
	{GW_SERVICES, NULL, NULL, NULL},
};
