/* Redshift and PostgreSQL: one description, told apart by the URL. */
#include <stdio.h>

#include "delivery/draft.h"

static const struct dlv_limit any_text = {0, 204800, NULL, NULL, false};
static const struct dlv_limit table_text = {1, 512, NULL, NULL, false};
static const struct dlv_limit user_text = {1, 512, NULL, NULL, true};
static const struct dlv_limit password_text = {6, 512, NULL, NULL, true};

static const char jdbc_redshift[] = "jdbc:redshift://", jdbc_postgres[] = "jdbc:postgresql://";
#define JDBC_FORM "jdbc:(redshift|postgresql)://host:port/database"

/* NULL: neither. */
static const char *
behind_scheme(const char *url, enum dlv_kind *out_kind)
{
	if (strncmp(url, jdbc_redshift, sizeof(jdbc_redshift) - 1) == 0) {
		*out_kind = DLV_TO_REDSHIFT;
		return url + sizeof(jdbc_redshift) - 1;
	}
	if (strncmp(url, jdbc_postgres, sizeof(jdbc_postgres) - 1) == 0) {
		*out_kind = DLV_TO_POSTGRES;
		return url + sizeof(jdbc_postgres) - 1;
	}
	return NULL;
}

/* Parameters are refused: a password may be among them. */
static bool
is_jdbc(struct slk_span text)
{
	enum dlv_kind kind;
	const char *s = behind_scheme((const char *)text.ptr, &kind);
	size_t host = 0;
	uint16_t port = 0;

	size_t n = s != NULL ? dlv_authority(s, &host, &port) : 0;
	if (n == 0 || port == 0 || s[n] != '/')
		return false;
	size_t len = strlen(s + n + 1);
	return len > 0 && len < DLV_DATABASE_MAX &&
		strspn(s + n + 1,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$-") == len;
}

static const struct dlv_limit limit_jdbc = {1, 512, JDBC_FORM, is_jdbc, true};

bool
dlv_draft_kind_of_url(const struct dlv_place *at, enum dlv_kind *out_kind)
{
	const char *url = NULL;

	if (!dlv_read_text(at, "ClusterJDBCURL", &limit_jdbc, &url))
		return false;
	if (url != NULL)
		(void)behind_scheme(url, out_kind);
	return true;
}

static bool
read_jdbc(struct dlv_draft *d, const struct dlv_place *at)
{
	enum dlv_kind kind;
	const char *url = NULL;
	size_t host = 0;
	uint16_t port = 0;

	if (!dlv_read_text(at, "ClusterJDBCURL", &limit_jdbc, &url))
		return false;
	if (url == NULL)
		return true;
	const char *s = behind_scheme(url, &kind);
	size_t n = dlv_authority(s, &host, &port);
	bool brackets = s[0] == '['; /* of an IPv6 address: who connects wants none */
	(void)snprintf(
		d->host, sizeof(d->host), "%.*s", (int)(host - (brackets ? 2 : 0)), s + brackets);
	(void)snprintf(d->database, sizeof(d->database), "%s", s + n + 1);
	d->spec.database.host = d->host;
	d->spec.database.name = d->database;
	d->spec.database.port = port;
	return true;
}

static bool
read_copy(struct dlv_database *db, const struct dlv_place *at)
{
	static const char *const known[] = {
		"DataTableName", "DataTableColumns", "CopyOptions", NULL};
	static const char *const needed[] = {"DataTableName", NULL};
	struct dlv_place in;

	if (!dlv_read_object(at, "CopyCommand", &in))
		return false;
	if (in.object == NULL)
		return true;
	db->columns = db->options = "";
	return dlv_read_known(&in, known) && dlv_read_required(&in, needed) &&
		dlv_read_text(&in, "DataTableName", &table_text, &db->table) &&
		dlv_read_text(&in, "DataTableColumns", &any_text, &db->columns) &&
		dlv_read_text(&in, "CopyOptions", &any_text, &db->options);
}

/* PostgreSQL needs no S3 on the way: there, backup is of what failed, or of everything, in S3Configuration. */
static bool
read_database_backup(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	bool all = d->spec.backup == DLV_BACKUP_ALL;
	struct dlv_place in;

	if (d->spec.kind == DLV_TO_REDSHIFT)
		return dlv_draft_read_source_backup(d, at, way);
	if (!dlv_draft_read_backup_mode(at, &all) ||
		!dlv_read_object(
			at, way == DLV_CREATE ? "S3BackupConfiguration" : "S3BackupUpdate", &in))
		return false;
	if (in.object != NULL)
		return dlv_refuse(&in,
			"not supported with jdbc:postgresql: the backup is in S3Configuration.");
	d->spec.backup = all ? DLV_BACKUP_ALL : DLV_BACKUP_FAILED;
	return true;
}

bool
dlv_draft_read_database(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	static const char *const known[] = {"RoleARN", "ClusterJDBCURL", "CopyCommand", "Username",
		"Password", "RetryOptions", "S3Configuration", "S3Update",
		"ProcessingConfiguration", "S3BackupMode", "S3BackupConfiguration",
		"S3BackupUpdate", "CloudWatchLoggingOptions", "SecretsManagerConfiguration", NULL};
	static const char *const needed[] = {
		"RoleARN", "ClusterJDBCURL", "CopyCommand", "Username", "Password", NULL};
	struct dlv_database *db = &d->spec.database;

	return dlv_read_known(at, known) &&
		dlv_draft_read_off(at, "SecretsManagerConfiguration", "") &&
		(way == DLV_UPDATE || dlv_read_required(at, needed)) &&
		dlv_read_text(at, "RoleARN", &dlv_limit_role, &db->role_arn) && read_jdbc(d, at) &&
		read_copy(db, at) && dlv_read_text(at, "Username", &user_text, &db->user) &&
		dlv_draft_read_secret(at, "Password", &password_text, &d->password) &&
		dlv_draft_read_retry(at, &d->spec.retry_seconds) &&
		dlv_draft_read_inner_s3(&d->spec.s3, at, way) &&
		dlv_draft_read_processing(at, &d->spec.delimiter) &&
		read_database_backup(d, at, way) && dlv_draft_read_logging(at, &d->spec.logging);
}
