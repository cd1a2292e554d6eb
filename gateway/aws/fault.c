#include "aws/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is not 400 in JSON, or has another name in the query protocol. "": the same name, 400. */
static const struct {
	const char *type;
	unsigned status;
	const char *query;
	unsigned query_status;
} types[] = {
	{"AccessDeniedException", 400, "AccessDenied", 403},
	{"AlreadyExistsException", 400, "", 400},
	{"ConcurrentModificationException", 400, "", 400},
	{"ConflictException", 400, "", 400},
	{"CustomKeyStoreNotFoundException", 400, "", 400},
	{"DependencyTimeoutException", 503, "", 503},
	{"DisabledException", 400, "", 400},
	{"DryRunOperationException", 400, "", 400},
	{"ExpiredIteratorException", 400, "", 400},
	{"ExpiredNextTokenException", 400, "", 400},
	{"ExpiredTokenException", 400, "ExpiredToken", 403},
	{"IncompleteSignatureException", 400, "IncompleteSignature", 400},
	{"IncorrectKeyException", 400, "", 400},
	{"InternalFailure", 500, "InternalFailure", 500},
	{"InternalFailureException", 500, "InternalFailure", 500},
	{"InvalidAliasNameException", 400, "", 400},
	{"InvalidArgumentException", 400, "", 400},
	{"InvalidArnException", 400, "", 400},
	{"InvalidCiphertextException", 400, "", 400},
	{"InvalidGrantIdException", 400, "", 400},
	{"InvalidGrantTokenException", 400, "", 400},
	{"InvalidKMSResourceException", 400, "", 400},
	{"InvalidKeyUsageException", 400, "", 400},
	{"InvalidMarkerException", 400, "", 400},
	{"InvalidSignatureException", 400, "SignatureDoesNotMatch", 403},
	{"KMSAccessDeniedException", 400, "", 400},
	{"KMSDisabledException", 400, "", 400},
	{"KMSInternalException", 500, "", 500},
	{"KMSInvalidMacException", 400, "", 400},
	{"KMSInvalidSignatureException", 400, "", 400},
	{"KMSInvalidStateException", 400, "", 400},
	{"KMSNotFoundException", 400, "", 400},
	{"KMSOptInRequired", 400, "", 400},
	{"KMSThrottlingException", 400, "", 400},
	{"KeyUnavailableException", 500, "", 500},
	{"LimitExceededException", 400, "", 400},
	{"MalformedPolicyDocument", 400, "MalformedPolicyDocument", 400},
	{"MalformedPolicyDocumentException", 400, "MalformedPolicyDocument", 400},
	{"MissingAuthenticationTokenException", 400, "MissingAuthenticationToken", 403},
	{"NotFoundException", 400, "", 400},
	{"PackedPolicyTooLarge", 400, "PackedPolicyTooLarge", 400},
	{"PackedPolicyTooLargeException", 400, "PackedPolicyTooLarge", 400},
	{"ProvisionedThroughputExceededException", 400, "", 400},
	{"RequestEntityTooLargeException", 413, "RequestEntityTooLarge", 413},
	{"ResourceInUseException", 400, "", 400},
	{"ResourceNotFoundException", 400, "", 400},
	{"SerializationException", 400, "MalformedQueryString", 404},
	{"ServiceUnavailableException", 503, "ServiceUnavailable", 503},
	{"TagException", 400, "", 400},
	{"ThrottlingException", 400, "Throttling", 400},
	{"UnknownOperationException", 400, "InvalidAction", 400},
	{"UnrecognizedClientException", 400, "InvalidClientTokenId", 403},
	{"UnsupportedOperationException", 400, "", 400},
	{"ValidationException", 400, "ValidationError", 400},
};

bool
gw_fault_set(struct gw_fault *fault, const char *type, const char *fmt, ...)
{
	va_list args;

	fault->type = type;
	fault->capital = false;
	fault->code = NULL;
	va_start(args, fmt);
	(void)vsnprintf(fault->message, sizeof(fault->message), fmt, args);
	va_end(args);
	return false;
}

static int
find(const char *type)
{
	for (int i = 0; i < (int)(sizeof(types) / sizeof(types[0])); i++)
		if (strcmp(types[i].type, type) == 0)
			return i;
	return -1;
}

const char *
gw_fault_type(const char *text)
{
	int i = find(text);

	return i < 0 ? NULL : types[i].type;
}

unsigned
gw_fault_status(const char *type)
{
	int i = find(type);

	return i < 0 ? 400 : types[i].status;
}

struct gw_fault_query
gw_fault_query(const char *type)
{
	int i = find(type);
	struct gw_fault_query q = {type, 400, "Sender"};

	if (i >= 0 && types[i].query[0] != '\0')
		q.code = types[i].query;
	if (i >= 0)
		q.status = types[i].query_status;
	if (q.status >= 500)
		q.blame = "Receiver";
	return q;
}
