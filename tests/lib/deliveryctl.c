/* deliveryctl: delivery streams by kmsd's local RPC, for tests of deliverd.
 *
 *     deliveryctl create NAME FILE [KEY]     KEY: an alias, or "" for the appliance's own
 *     deliveryctl update NAME FILE           of the version that is current
 *     deliveryctl delete NAME
 *     deliveryctl state NAME                 "ACTIVE 2", "CREATING_FAILED 1 TYPE DETAILS"; exit status 1: there is none
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmsclient/delivery.h"

static int
read_file(const char *path, char *out, size_t cap, size_t *out_len)
{
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return SLK_NOT_FOUND;
	*out_len = fread(out, 1, cap, f);
	fclose(f);
	return SLK_OK;
}

static int
print_state(struct kmsc *kms, const char *name, struct slk_error *err)
{
	static const char *const names[] = {
		"CREATING", "CREATING_FAILED", "ACTIVE", "DELETING", "DELETING_FAILED"};
	struct kmsc_delivery_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SLK_NO_MEMORY;
	int rc = kmsc_describe_delivery_stream(kms, name, s, err);
	if (rc == SLK_OK)
		printf("%s %llu %s %s\n", names[s->state], (unsigned long long)s->version,
			s->failure_type, s->failure_details);
	kmsc_delivery_stream_fini(s);
	free(s);
	return rc;
}

static int
update(struct kmsc *kms, const char *name, struct slk_span json, struct slk_error *err)
{
	struct kmsc_delivery_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SLK_NO_MEMORY;
	int rc = kmsc_describe_delivery_stream(kms, name, s, err);
	if (rc == SLK_OK)
		rc = kmsc_update_destination(kms, name, s->version, json, err);
	kmsc_delivery_stream_fini(s);
	free(s);
	return rc;
}

int
main(int argc, char **argv)
{
	static char json[KMSC_DELIVERY_SPEC_MAX];
	char arn[KMSC_ARN_MAX];
	struct slk_error err = {0};
	struct kmsc *kms = NULL;
	size_t len = 0;

	if (argc < 3 || kmsc_new(NULL, 10000, &kms) != SLK_OK)
		return 2;
	int rc = argc > 3 ? read_file(argv[3], json, sizeof(json), &len) : SLK_OK;
	if (rc == SLK_OK && strcmp(argv[1], "create") == 0)
		rc = kmsc_create_delivery_stream(kms, argv[2], slk_span(json, len),
			argc > 4 ? argv[4] : NULL, NULL, 0, arn, &err);
	else if (rc == SLK_OK && strcmp(argv[1], "update") == 0)
		rc = update(kms, argv[2], slk_span(json, len), &err);
	else if (rc == SLK_OK && strcmp(argv[1], "delete") == 0)
		rc = kmsc_delete_delivery_stream(kms, argv[2], false, &err);
	else if (rc == SLK_OK && strcmp(argv[1], "state") == 0)
		rc = print_state(kms, argv[2], &err);
	else if (rc == SLK_OK)
		rc = SLK_INVALID;
	kmsc_free(kms);
	if (rc != SLK_OK)
		fprintf(stderr, "%s: %s\n", slk_status_name(rc), err.text);
	return rc == SLK_OK ? 0 : 1;
}
