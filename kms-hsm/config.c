#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "hsm/paths.h"
#include "hsm/profile.h"

#define STRING(key, type, member, max) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, max)
#define STRING_OPT(key, type, member, max) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 1, max)

#define TEXTS_MAX 256
#define ENTRIES_MAX 4096
#define EXPIRES_MAX_HOURS 720u
#define GATEWAY_REQUESTS_MIN 16u
#define GATEWAY_REQUESTS_MAX 256u /* audit.h: their lines fit its buffer */
#define ON_DEMAND_MAX 10000u /* each leaves an object on the token */

static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 512),
};

#define TEXTS_UPTO(key, flags, type, member, max) \
	CYAML_FIELD_SEQUENCE(key, CYAML_FLAG_POINTER | (flags), type, member, &text_entry, 1, max)
#define TEXTS(key, flags, type, member) TEXTS_UPTO(key, flags, type, member, TEXTS_MAX)

static const cyaml_schema_field_t hsm_fields[] = {
	STRING("profile", struct kms_config_hsm, profile, 15),
	STRING("module", struct kms_config_hsm, module, 4095),
	STRING("token_label", struct kms_config_hsm, token_label, 32),
	STRING_OPT("certificate", struct kms_config_hsm, certificate, 127),
	STRING_OPT("token_serial", struct kms_config_hsm, token_serial, 16),
	STRING_OPT("pin_file", struct kms_config_hsm, pin_file, 4000),
	STRING_OPT("pin_credential", struct kms_config_hsm, pin_credential, 255),
	STRING_OPT("state_file", struct kms_config_hsm, state_file, 4095),
	STRING_OPT("softhsm_conf", struct kms_config_hsm, softhsm_conf, 4095),
	STRING_OPT("module_parameters", struct kms_config_hsm, module_parameters, 4095),
	TEXTS_UPTO("module_paths", CYAML_FLAG_OPTIONAL, struct kms_config_hsm, module_paths,
		HSM_MODULE_PATHS_MAX),
	CYAML_FIELD_UINT("sessions", CYAML_FLAG_OPTIONAL, struct kms_config_hsm, sessions),
	CYAML_FIELD_UINT("workers", CYAML_FLAG_OPTIONAL, struct kms_config_hsm, workers),
	CYAML_FIELD_UINT("deadline_ms", CYAML_FLAG_OPTIONAL, struct kms_config_hsm, deadline_ms),
	CYAML_FIELD_UINT(
		"start_deadline_ms", CYAML_FLAG_OPTIONAL, struct kms_config_hsm, start_deadline_ms),
	STRING_OPT("worker_user", struct kms_config_hsm, worker_user, 31),
	STRING_OPT("worker_program", struct kms_config_hsm, worker_program, 4095),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t socket_fields[] = {
	STRING("path", struct kms_config_socket, path, 107),
	CYAML_FIELD_UINT("mode", CYAML_FLAG_OPTIONAL, struct kms_config_socket, mode),
	STRING_OPT("group", struct kms_config_socket, group, 31),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t file_fields[] = {
	STRING("path", struct kms_config_file, path, 4095),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t second_fields[] = {
	STRING_OPT("file", struct kms_config_second, file, 4095),
	STRING_OPT("syslog", struct kms_config_second, syslog, 107),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t audit_fields[] = {
	STRING("path", struct kms_config_audit, path, 4095),
	CYAML_FIELD_MAPPING(
		"second", CYAML_FLAG_OPTIONAL, struct kms_config_audit, second, second_fields),
	CYAML_FIELD_UINT("deadline_ms", CYAML_FLAG_OPTIONAL, struct kms_config_audit, deadline_ms),
	CYAML_FIELD_UINT("reserve_mb", CYAML_FLAG_OPTIONAL, struct kms_config_audit, reserve_mb),
	CYAML_FIELD_UINT(
		"head_interval_s", CYAML_FLAG_OPTIONAL, struct kms_config_audit, head_interval_s),
	CYAML_FIELD_UINT("head_lines", CYAML_FLAG_OPTIONAL, struct kms_config_audit, head_lines),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t principal_fields[] = {
	STRING("user", struct kms_config_principal, user, 32),
	STRING("arn", struct kms_config_principal, arn, 255),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t principal_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct kms_config_principal, principal_fields),
};

static const cyaml_schema_field_t statement_fields[] = {
	STRING_OPT("sid", struct kms_config_statement, sid, 64),
	STRING("effect", struct kms_config_statement, effect, 5),
	TEXTS("principals", 0, struct kms_config_statement, principals),
	TEXTS("actions", 0, struct kms_config_statement, actions),
	TEXTS("resources", 0, struct kms_config_statement, resources),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t statement_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct kms_config_statement, statement_fields),
};

static const cyaml_schema_field_t dual_fields[] = {
	CYAML_FIELD_UINT("approvals", CYAML_FLAG_DEFAULT, struct kms_config_dual, approvals),
	TEXTS("actions", 0, struct kms_config_dual, actions),
	CYAML_FIELD_UINT(
		"expires_hours", CYAML_FLAG_OPTIONAL, struct kms_config_dual, expires_hours),
	CYAML_FIELD_END,
};

/* libcyaml's own booleans take any word; these do not. */
static const cyaml_strval_t switch_names[] = {{"true", KMS_CONFIG_ON}, {"on", KMS_CONFIG_ON},
	{"false", KMS_CONFIG_OFF}, {"off", KMS_CONFIG_OFF}};

static const cyaml_schema_field_t config_fields[] = {
	STRING_OPT("account", struct kms_config, account, 12),
	STRING_OPT("region", struct kms_config, region, 32),
	STRING_OPT("front_user", struct kms_config, front_user, 31),
	CYAML_FIELD_MAPPING("socket", CYAML_FLAG_DEFAULT, struct kms_config, socket, socket_fields),
	CYAML_FIELD_MAPPING("catalog", CYAML_FLAG_DEFAULT, struct kms_config, catalog, file_fields),
	CYAML_FIELD_MAPPING("audit", CYAML_FLAG_DEFAULT, struct kms_config, audit, audit_fields),
	CYAML_FIELD_MAPPING("hsm", CYAML_FLAG_DEFAULT, struct kms_config, hsm, hsm_fields),
	CYAML_FIELD_UINT(
		"on_demand_rotations", CYAML_FLAG_OPTIONAL, struct kms_config, on_demand_rotations),
	STRING_OPT("ingest_user", struct kms_config, ingest_user, 32),
	STRING_OPT("gateway_user", struct kms_config, gateway_user, 32),
	CYAML_FIELD_UINT(
		"gateway_requests", CYAML_FLAG_OPTIONAL, struct kms_config, gateway_requests),
	CYAML_FIELD_ENUM("gateway_peers", CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL,
		struct kms_config, gateway_peers, switch_names,
		sizeof(switch_names) / sizeof(switch_names[0])),
	STRING_OPT("deliver_user", struct kms_config, deliver_user, 32),
	TEXTS("admins", CYAML_FLAG_OPTIONAL, struct kms_config, admins),
	CYAML_FIELD_SEQUENCE("principals", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
		struct kms_config, principals, &principal_entry, 0, ENTRIES_MAX),
	TEXTS("roles", CYAML_FLAG_OPTIONAL, struct kms_config, roles),
	CYAML_FIELD_SEQUENCE("policy", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct kms_config,
		policy, &statement_entry, 0, ENTRIES_MAX),
	CYAML_FIELD_MAPPING(
		"dual_control", CYAML_FLAG_OPTIONAL, struct kms_config, dual_control, dual_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct kms_config, config_fields),
};

static int
fill_hsm(struct kms_config_hsm *hsm)
{
	const struct hsm_profile *profile = hsm_profile_find(hsm->profile);

	if (profile != NULL)
		slk_config_default_number(&hsm->workers, profile->workers_count);
	slk_config_default_number(&hsm->deadline_ms, 5000);
	slk_config_default_number(&hsm->start_deadline_ms, 30000);
	if (hsm->state_file == NULL && hsm->pin_file != NULL &&
		asprintf(&hsm->state_file, "%s.state", hsm->pin_file) < 0) {
		hsm->state_file = NULL;
		return SLK_NO_MEMORY;
	}
	return slk_config_default_text(&hsm->worker_user, "sealock-hsm");
}

static int
fill(struct kms_config *config)
{
	int rc = slk_config_default_text(&config->account, "000000000000");
	if (rc == SLK_OK)
		rc = slk_config_default_text(&config->region, "local");
	if (rc == SLK_OK)
		rc = slk_config_default_text(&config->front_user, "sealock-kms");
	if (rc == SLK_OK)
		rc = fill_hsm(&config->hsm);
	slk_config_default_number(&config->socket.mode, 0660);
	slk_config_default_number(&config->on_demand_rotations, KMS_CONFIG_ON_DEMAND);
	slk_config_default_number(&config->gateway_requests, GATEWAY_REQUESTS_MAX);
	slk_config_default_number(&config->audit.deadline_ms, 2000);
	slk_config_default_number(&config->audit.reserve_mb, 4);
	slk_config_default_number(&config->dual_control.expires_hours, 24);
	return rc;
}

/* Neither: then it is sealock-kmsd --pin-fd, which its monitor checks. */
static int
check_pin(const char *path, const struct kms_config_hsm *hsm, struct slk_error *err)
{
	const char *name = hsm->pin_credential;

	if (hsm->pin_file != NULL && name != NULL)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm: pin_file and pin_credential are two ways for one "
			"PIN; keep one",
			path);
	if (name != NULL && (strchr(name, '/') != NULL || name[0] == '.'))
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm.pin_credential: '%s' is not the name of a "
			"credential",
			path, name);
	if (hsm->state_file == NULL)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm: neither pin_file nor state_file is there; the "
			"worker "
			"remembers a refused PIN in the latter",
			path);
	return SLK_OK;
}

static int
check_paths(const char *path, const struct kms_config_hsm *hsm, struct slk_error *err)
{
	const char *files[] = {hsm->module, hsm->pin_file, hsm->state_file, hsm->softhsm_conf,
		hsm->worker_program};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (files[i] != NULL && files[i][0] != '/')
			return slk_fail(err, SLK_CONFIG,
				"configuration %s: hsm: '%s' must be an absolute path", path,
				files[i]);
	}
	for (size_t i = 0; i < hsm->module_paths_count; i++) {
		if (hsm->module_paths[i][0] != '/')
			return slk_fail(err, SLK_CONFIG,
				"configuration %s: hsm.module_paths: '%s' must be an absolute path",
				path, hsm->module_paths[i]);
	}
	return SLK_OK;
}

static int
check_hsm(const char *path, const struct kms_config_hsm *hsm, struct slk_error *err)
{
	const struct hsm_profile *profile = hsm_profile_find(hsm->profile);
	if (profile == NULL)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm.profile: no profile is called '%s': %s", path,
			hsm->profile, hsm_profile_refusal(hsm->profile));
	if (hsm->certificate != NULL && strcmp(profile->name, "softhsm") == 0)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm.certificate: SoftHSM is validated by nobody; take "
			"the line away",
			path);
	if (hsm->sessions > profile->sessions_max)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm.sessions: %u is more than %u", path, hsm->sessions,
			profile->sessions_max);
	if (hsm->workers > profile->workers_max)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm.workers: %u is more than the %u that profile '%s' "
			"allows",
			path, hsm->workers, profile->workers_max, profile->name);
	if (hsm->deadline_ms > 600000 || hsm->start_deadline_ms > 600000)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: hsm: a deadline may be at most 600000 ms", path);
	int rc = check_pin(path, hsm, err);
	return rc == SLK_OK ? check_paths(path, hsm, err) : rc;
}

static int
check_audit(const char *path, const struct kms_config_audit *audit, struct slk_error *err)
{
	if (audit->second.file != NULL && audit->second.syslog != NULL)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: audit.second: file and syslog are two sinks; there is "
			"one second; keep one",
			path);
	if (audit->second.file != NULL && strcmp(audit->second.file, audit->path) == 0)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: audit.second.file: %s is the first one, too", path,
			audit->path);
	if (audit->deadline_ms < 10 || audit->deadline_ms > 60000)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: audit.deadline_ms: %u is not within 10..60000", path,
			audit->deadline_ms);
	if (audit->reserve_mb > 1024)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: audit.reserve_mb: %u is more than 1024", path,
			audit->reserve_mb);
	return SLK_OK;
}

/* The mapping is there if it has actions, which it must; whether they are any is kms_dual_check()'s to say. */
static int
check_dual(const char *path, const struct kms_config_dual *dual, struct slk_error *err)
{
	if (dual->actions_count > 0 &&
		(dual->approvals < 1 || dual->approvals > KMS_CONFIG_APPROVALS_MAX))
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: dual_control.approvals: %u is not within 1..%u", path,
			dual->approvals, KMS_CONFIG_APPROVALS_MAX);
	if (dual->expires_hours > EXPIRES_MAX_HOURS)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: dual_control.expires_hours: %u is more than %u", path,
			dual->expires_hours, EXPIRES_MAX_HOURS);
	return SLK_OK;
}

static int
check(const char *path, const struct kms_config *config, struct slk_error *err)
{
	if (strlen(config->account) != 12 || strspn(config->account, "0123456789") != 12)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: account: '%s' is not twelve digits", path,
			config->account);
	if (config->region[strcspn(config->region, ": /")] != '\0')
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: region: '%s' may hold no colon, slash or space", path,
			config->region);
	if (config->socket.mode > 0777)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: socket.mode: 0%o is more than 0777", path,
			config->socket.mode);
	if (config->on_demand_rotations > ON_DEMAND_MAX)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: on_demand_rotations: %u is more than %u", path,
			config->on_demand_rotations, ON_DEMAND_MAX);
	if (config->gateway_requests < GATEWAY_REQUESTS_MIN ||
		config->gateway_requests > GATEWAY_REQUESTS_MAX)
		return slk_fail(err, SLK_CONFIG,
			"configuration %s: gateway_requests: %u is not between %u and %u", path,
			config->gateway_requests, GATEWAY_REQUESTS_MIN, GATEWAY_REQUESTS_MAX);
	int rc = check_audit(path, &config->audit, err);
	if (rc == SLK_OK)
		rc = check_dual(path, &config->dual_control, err);
	return rc == SLK_OK ? check_hsm(path, &config->hsm, err) : rc;
}

int
kms_config_load(const char *path, struct kms_config **out_config, struct slk_error *err)
{
	void *data = NULL;

	int rc = slk_config_load(path, &config_schema, &data, err);
	if (rc != SLK_OK)
		return rc;
	struct kms_config *config = data;
	rc = fill(config);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "configuration %s: out of memory", path);
	else
		rc = check(path, config, err);
	if (rc != SLK_OK) {
		kms_config_free(config);
		return rc;
	}
	*out_config = config;
	return SLK_OK;
}

void
kms_config_free(struct kms_config *config)
{
	slk_config_free(&config_schema, config);
}
