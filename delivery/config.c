#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OPT CYAML_FLAG_OPTIONAL
#define STRING(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, 512)
#define OPT_STRING(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | OPT, type, member, 1, 512)
#define OPT_UINT(key, type, member) CYAML_FIELD_UINT(key, OPT, type, member)
#define CHOICE(key, type, member, names) \
	CYAML_FIELD_ENUM(key, CYAML_FLAG_STRICT | OPT, type, member, names, COUNT(names))

#define MEMORY_MB_DEFAULT 256u
#define MEMORY_MB_MIN 16u
#define MEMORY_MB_MAX (1u << 20)

/* libcyaml's own booleans take any word; these do not. */
static const cyaml_strval_t switches[] = {
	{"false", false}, {"off", false}, {"true", true}, {"on", true}};
static const cyaml_strval_t seals[] = {{"none", DLV_SEAL_NONE}, {"client", DLV_SEAL_CLIENT},
	{"server", DLV_SEAL_SERVER}, {"s3", DLV_SEAL_S3}};
static const cyaml_strval_t sslmodes[] = {{"verify-full", DLV_SSL_VERIFY_FULL},
	{"verify-ca", DLV_SSL_VERIFY_CA}, {"disable", DLV_SSL_DISABLE}};
static const cyaml_strval_t auths[] = {
	{"none", DLV_AUTH_NONE}, {"basic", DLV_AUTH_BASIC}, {"aws", DLV_AUTH_AWS}};

static const cyaml_schema_field_t store_fields[] = {
	STRING("bucket", struct dlv_store, bucket),
	OPT_STRING("dir", struct dlv_store, dir),
	OPT_STRING("url", struct dlv_store, url),
	OPT_STRING("region", struct dlv_store, region),
	OPT_STRING("ca", struct dlv_store, ca),
	OPT_STRING("credentials", struct dlv_store, credentials),
	CHOICE("path_style", struct dlv_store, path_style, switches),
	CHOICE("bucket_key", struct dlv_store, bucket_key, switches),
	CHOICE("sign_payload", struct dlv_store, sign_payload, switches),
	CHOICE("seal", struct dlv_store, seal, seals),
	OPT_UINT("part_bytes", struct dlv_store, part_bytes),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t store_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dlv_store, store_fields)};

static const cyaml_schema_field_t database_fields[] = {
	STRING("host", struct dlv_database_entry, host),
	CHOICE("sslmode", struct dlv_database_entry, sslmode, sslmodes),
	OPT_STRING("ca", struct dlv_database_entry, ca),
	OPT_STRING("iam_role", struct dlv_database_entry, iam_role),
	OPT_UINT("connect_ms", struct dlv_database_entry, connect_ms),
	OPT_UINT("statement_ms", struct dlv_database_entry, statement_ms),
	OPT_UINT("lock_ms", struct dlv_database_entry, lock_ms),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t database_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dlv_database_entry, database_fields)};

static const cyaml_schema_field_t endpoint_fields[] = {
	STRING("url", struct dlv_endpoint, url),
	OPT_STRING("ca", struct dlv_endpoint, ca),
	CHOICE("auth", struct dlv_endpoint, auth, auths),
	OPT_STRING("credentials", struct dlv_endpoint, credentials),
	OPT_STRING("region", struct dlv_endpoint, region),
	OPT_STRING("service", struct dlv_endpoint, service),
	CHOICE("plain", struct dlv_endpoint, plain, switches),
	OPT_UINT("request_bytes", struct dlv_endpoint, request_bytes),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t endpoint_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dlv_endpoint, endpoint_fields)};

/* Groups of one or two values, which need no type of their own in the header. */
#define GROUP(name) __typeof__(((struct dlv_config *)NULL)->name)
static const cyaml_schema_field_t kms_fields[] = {
	OPT_STRING("socket", GROUP(kms), socket), CYAML_FIELD_END};
static const cyaml_schema_field_t journal_fields[] = {
	STRING("dir", GROUP(journal), dir), CYAML_FIELD_END};
static const cyaml_schema_field_t memory_fields[] = {OPT_UINT("max_mb", GROUP(memory), max_mb),
	CHOICE("allow_unlocked", GROUP(memory), allow_unlocked, switches), CYAML_FIELD_END};
static const cyaml_schema_field_t keys_fields[] = {
	OPT_UINT("age_seconds", GROUP(keys), age_seconds), CYAML_FIELD_END};
static const cyaml_schema_field_t times_fields[] = {
	OPT_UINT("drain_seconds", GROUP(times), drain_seconds), CYAML_FIELD_END};
static const cyaml_schema_field_t monitor_fields[] = {
	OPT_STRING("listen", GROUP(monitor), listen), CYAML_FIELD_END};
static const cyaml_schema_field_t status_fields[] = {OPT_STRING("socket", GROUP(status), socket),
	OPT_STRING("mode", GROUP(status), mode), CYAML_FIELD_END};

static const cyaml_schema_field_t config_fields[] = {
	OPT_STRING("user", struct dlv_config, user),
	OPT_STRING("region", struct dlv_config, region),
	OPT_STRING("account", struct dlv_config, account),
	OPT_STRING("log", struct dlv_config, log),
	OPT_UINT("threads", struct dlv_config, threads),
	CYAML_FIELD_MAPPING("kms", OPT, struct dlv_config, kms, kms_fields),
	CYAML_FIELD_MAPPING(
		"journal", CYAML_FLAG_DEFAULT, struct dlv_config, journal, journal_fields),
	CYAML_FIELD_MAPPING("state", CYAML_FLAG_DEFAULT, struct dlv_config, state, journal_fields),
	CYAML_FIELD_MAPPING("memory", OPT, struct dlv_config, memory, memory_fields),
	CYAML_FIELD_MAPPING("keys", OPT, struct dlv_config, keys, keys_fields),
	CYAML_FIELD_MAPPING("times", OPT, struct dlv_config, times, times_fields),
	CYAML_FIELD_MAPPING("monitor", OPT, struct dlv_config, monitor, monitor_fields),
	CYAML_FIELD_MAPPING("status", OPT, struct dlv_config, status, status_fields),
	CYAML_FIELD_SEQUENCE("stores", CYAML_FLAG_POINTER | OPT, struct dlv_config, store_list,
		&store_value, 0, DLV_STORES_MAX),
	CYAML_FIELD_SEQUENCE("databases", CYAML_FLAG_POINTER | OPT, struct dlv_config,
		database_list, &database_value, 0, DLV_STORES_MAX),
	CYAML_FIELD_SEQUENCE("endpoints", CYAML_FLAG_POINTER | OPT, struct dlv_config,
		endpoint_list, &endpoint_value, 0, DLV_STORES_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct dlv_config, config_fields)};

/* --- checks --- */

static int
check_ranges(const struct dlv_config *c, struct slk_error *err)
{
	const struct slk_config_range ranges[] = {
		{"threads", c->threads, 1, 64},
		{"memory.max_mb", c->memory.max_mb, MEMORY_MB_MIN, MEMORY_MB_MAX},
		{"keys.age_seconds", c->keys.age_seconds, 1, 300},
		{"times.drain_seconds", c->times.drain_seconds, 1, 3600},
	};

	return slk_config_check_ranges(ranges, COUNT(ranges), err);
}

static int
check_sockets(struct dlv_config *c, struct slk_error *err)
{
	char *end = NULL;

	if (c->monitor.listen != NULL && !slk_address_parse(c->monitor.listen, &c->monitor.address))
		return slk_fail(err, SLK_CONFIG,
			"monitor.listen \"%s\" is no address: 127.0.0.1:9466, [::1]:9466",
			c->monitor.listen);
	unsigned long mode = strtoul(c->status.mode, &end, 8);
	if (*end != '\0' || mode == 0 || mode > 0777)
		return slk_fail(err, SLK_CONFIG,
			"status.mode \"%s\" is none; it is octal, such as \"0660\"",
			c->status.mode);
	c->status.mode_bits = (unsigned)mode;
	return SLK_OK;
}

static int
check_lists(const struct dlv_config *c, struct slk_error *err)
{
	for (uint32_t i = 0; i < c->store_list_count; i++) {
		int rc = dlv_store_check(&c->store_list[i], err);
		if (rc != SLK_OK)
			return rc;
	}
	for (uint32_t i = 0; i < c->endpoint_list_count; i++) {
		const struct dlv_endpoint *e = &c->endpoint_list[i];
		if (e->auth != DLV_AUTH_NONE && e->credentials == NULL)
			return slk_fail(err, SLK_CONFIG,
				"endpoints: %s: auth needs credentials, a file", e->url);
		if (e->auth == DLV_AUTH_AWS && e->region == NULL)
			return slk_fail(
				err, SLK_CONFIG, "endpoints: %s: auth: aws needs region", e->url);
	}
	return SLK_OK;
}

static int
check(struct dlv_config *c, struct slk_error *err)
{
	int rc = slk_config_check_words(c->region, c->account, c->log, err);

	if (rc == SLK_OK)
		rc = check_ranges(c, err);
	if (rc == SLK_OK)
		rc = check_sockets(c, err);
	if (rc == SLK_OK)
		rc = check_lists(c, err);
	return rc;
}

static int
fill_in(struct dlv_config *c, struct slk_error *err)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (slk_config_default_text(&c->region, "local") != SLK_OK ||
		slk_config_default_text(&c->account, "000000000000") != SLK_OK ||
		slk_config_default_text(&c->log, "info") != SLK_OK ||
		slk_config_default_text(&c->status.mode, "0660") != SLK_OK ||
		slk_config_default_text(&c->kms.socket, "/run/sealock/kms/kms.sock") != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the configuration");
	/* Two at least: one may wait for a disk or kmsd. */
	slk_config_default_number(&c->threads, cores < 2 ? 2 : cores > 64 ? 64 : (uint32_t)cores);
	slk_config_default_number(&c->memory.max_mb, MEMORY_MB_DEFAULT);
	slk_config_default_number(&c->keys.age_seconds, 300);
	slk_config_default_number(&c->times.drain_seconds, 10);
	c->stores = (struct dlv_stores){c->store_list, c->store_list_count};
	c->databases = (struct dlv_databases){c->database_list, c->database_list_count};
	c->endpoints = (struct dlv_endpoints){c->endpoint_list, c->endpoint_list_count};
	return SLK_OK;
}

int
dlv_config_load(const char *path, struct dlv_config **out_config, struct slk_error *err)
{
	void *data = NULL;
	int rc = slk_config_load(path, &config_schema, &data, err);

	if (rc != SLK_OK)
		return rc;
	struct dlv_config *c = data;
	rc = fill_in(c, err);
	if (rc == SLK_OK)
		rc = check(c, err);
	if (rc != SLK_OK) {
		slk_fail_prefix(err, "%s", path);
		dlv_config_free(c);
		return rc;
	}
	*out_config = c;
	return SLK_OK;
}

void
dlv_config_free(struct dlv_config *config)
{
	if (config != NULL)
		slk_config_free(&config_schema, config);
}
