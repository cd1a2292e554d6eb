#include "keyname.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_ALIASES 50u

/* Of an ARN the part behind arn:PARTITION:SERVICE:REGION:ACCOUNT:, or "" if that is missing; any other name as it is. */
static const char *
resource_of(const char *name)
{
	if (strncmp(name, "arn:", 4) != 0)
		return name;
	for (int field = 0; field < 5; field++) {
		name += strcspn(name, ":");
		name += *name == ':';
	}
	return name;
}

int
cli_keyname_resolve(
	struct kmsc *kms, const char *name, char out_id[KMSC_ARN_MAX], struct slk_error *err)
{
	struct kmsc_key key;

	if (strncmp(resource_of(name), "alias/", 6) == 0) {
		int rc = kmsc_describe_key(kms, name, &key, err);
		if (rc != SLK_OK)
			return rc;
		name = key.id;
	}
	if (strlen(name) >= KMSC_ARN_MAX)
		return slk_fail(err, SLK_INVALID,
			"'%.40s...' is too long for an id or an ARN of a key", name);
	strcpy(out_id, name);
	return SLK_OK;
}

int
cli_keyname_aliases(struct kmsc *kms, const char *key_id, struct kmsc_alias **out_aliases,
	size_t *out_count, struct slk_error *err)
{
	struct kmsc_alias *all = NULL;
	size_t count = 0;
	char marker[KMSC_NAME_MAX] = "";

	do {
		char next[KMSC_NAME_MAX] = "";
		size_t got = 0;
		struct kmsc_alias *grown = realloc(all, (count + PAGE_ALIASES) * sizeof(*all));
		int rc = grown == NULL
			? slk_fail(err, SLK_NO_MEMORY, "no memory for the list of aliases")
			: kmsc_list_aliases(kms, key_id, marker, grown + count, PAGE_ALIASES, &got,
				  next, err);
		if (grown != NULL)
			all = grown;
		if (rc != SLK_OK) {
			free(all);
			return rc;
		}
		count += got;
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	*out_aliases = all;
	*out_count = count;
	return SLK_OK;
}
