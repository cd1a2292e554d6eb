/* A catalog in a directory of its own, opened anew at will: set-up and tear-down of the tests of kms-hsm/catalog*.c. */
#ifndef SLK_TESTS_LIB_CATALOG_RIG_H
#define SLK_TESTS_LIB_CATALOG_RIG_H

#include "catalog.h"

extern char catalog_dir[256], catalog_path[300];
extern struct kms_catalog *catalog;

/* As after a restart of kmsd; fails the running cmocka test. */
void catalog_reopen(void);

/* Of cmocka; state is not used. */
int catalog_setup(void **state);
int catalog_teardown(void **state);

#endif
