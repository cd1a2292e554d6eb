/* What parses can be printed, described and parsed again to the same; an update of it leaves a description that parses. A
 * fault has a type and a sentence. */
#include <stdlib.h>
#include <string.h>

#include "delivery/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_describe(const struct dlv_spec *spec)
{
	char *text = NULL;

	if (dlv_spec_describe_destination(spec, &text) == SLK_OK && text[0] != '{')
		abort();
	free(text);
	text = NULL;
	if (dlv_spec_describe_source(spec, 1, &text) == SLK_OK && text[0] != '{')
		abort();
	free(text);
}

static void
check_print(const struct dlv_spec *spec)
{
	struct slk_secret *one = NULL, *two = NULL;
	struct dlv_spec *again = NULL;
	struct dlv_fault fault;
	size_t one_len = 0, two_len = 0;

	if (dlv_spec_print(spec, &one, &one_len) != SLK_OK)
		return;
	int rc = dlv_spec_parse(slk_span(slk_secret_peek(one), one_len), &again, &fault);
	if (rc == SLK_INVALID)
		abort();
	if (rc == SLK_OK && dlv_spec_print(again, &two, &two_len) == SLK_OK &&
		(one_len != two_len ||
			memcmp(slk_secret_peek(one), slk_secret_peek(two), one_len) != 0))
		abort();
	slk_secret_free(one);
	slk_secret_free(two);
	dlv_spec_free(again);
}

static void
check_update(struct slk_span json)
{
	static const char s3[] =
		"{\"S3DestinationConfiguration\":{\"RoleARN\":\"arn:aws:iam::000000000000:role/r\","
		"\"BucketARN\":\"arn:aws:s3:::bucket\"}}";
	struct dlv_spec *old = NULL, *next = NULL;
	struct dlv_fault fault;

	if (dlv_spec_parse(slk_span_str(s3), &old, &fault) != SLK_OK)
		return;
	int rc = dlv_spec_update(old, json, &next, &fault);
	if (rc == SLK_INVALID && (fault.type == NULL || fault.message[0] == '\0'))
		abort();
	if (rc == SLK_OK)
		check_print(next);
	dlv_spec_free(next);
	dlv_spec_free(old);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault;
	const char *roles[DLV_ROLES_MAX];
	struct slk_span json = slk_span(data, size);

	int rc = dlv_spec_parse(json, &spec, &fault);
	if (rc == SLK_INVALID && (fault.type == NULL || fault.message[0] == '\0'))
		abort();
	if (rc == SLK_OK) {
		if (dlv_spec_roles(spec, roles) > DLV_ROLES_MAX)
			abort();
		check_describe(spec);
		check_print(spec);
	}
	dlv_spec_free(spec);
	check_update(json);
	return 0;
}
