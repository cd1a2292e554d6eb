#include "slk_test.h"

#include <stdio.h>

#include "catalog_rig.h"
#include "tempdir.h"

char catalog_dir[256], catalog_path[300];
struct kms_catalog *catalog;

void
catalog_reopen(void)
{
	struct slk_error err = {0};

	kms_catalog_close(catalog);
	catalog = NULL;
	if (kms_catalog_open(catalog_path, &catalog, &err) != SLK_OK)
		fail_msg("%s", err.text);
}

int
catalog_setup(void **state)
{
	(void)state;
	tempdir_make_in_memory(catalog_dir, sizeof(catalog_dir));
	snprintf(catalog_path, sizeof(catalog_path), "%s/catalog.db", catalog_dir);
	catalog_reopen();
	return 0;
}

int
catalog_teardown(void **state)
{
	(void)state;
	kms_catalog_close(catalog);
	catalog = NULL;
	tempdir_remove(catalog_dir);
	return 0;
}
