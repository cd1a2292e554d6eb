/* deliverd.yaml (deploy/deliverd.yaml.example is the manual of its keys). Thread: start-up. */
#ifndef DELIVERY_CONFIG_H
#define DELIVERY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pages.h"
#include "databases.h"
#include "endpoints.h"
#include "stores.h"

#define DLV_STORES_MAX 256u

struct dlv_config {
	char *user, *region, *account, *log;
	uint32_t threads;
	struct {
		char *socket;
	} kms;
	struct {
		char *dir;
	} journal, state;
	struct {
		uint32_t max_mb;
		bool allow_unlocked;
	} memory;
	struct {
		uint32_t age_seconds;
	} keys;
	struct {
		uint32_t drain_seconds;
	} times;
	struct {
		char *listen; /* "127.0.0.1:9466"; NULL: no /metrics and no /healthz */
		struct slk_address address; /* taken apart by dlv_config_load() */
	} monitor;
	struct {
		char *socket; /* NULL: none */
		char *mode; /* "0660" */
		unsigned mode_bits; /* likewise */
	} status;
	struct dlv_store *store_list;
	uint32_t store_list_count;
	struct dlv_database_entry *database_list;
	uint32_t database_list_count;
	struct dlv_endpoint *endpoint_list;
	uint32_t endpoint_list_count;
	/* The same, for destinations. */
	struct dlv_stores stores;
	struct dlv_databases databases;
	struct dlv_endpoints endpoints;
};

/* SLK_CONFIG with file, line and what was expected; SLK_NOT_FOUND, SLK_DENIED. Free with dlv_config_free(). */
MUST_USE int dlv_config_load(
	const char *path, struct dlv_config **out_config, struct slk_error *err);
void dlv_config_free(struct dlv_config *config); /* NULL allowed */

#endif
