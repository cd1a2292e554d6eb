#include "principals.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOORS_MAX 3u /* ingestd, the gateway, deliverd */

struct entry {
	uid_t uid;
	unsigned classes;
	char arn[KMS_ARN_MAX]; /* "": none */
};

struct kms_principals {
	struct entry *entries;
	size_t count;
	char (*roles)[KMS_ARN_MAX];
	size_t roles_count;
};

static const struct entry *
find(const struct kms_principals *p, uid_t uid)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->entries[i].uid == uid)
			return &p->entries[i];
	return NULL;
}

/* The entry of uid, made if it is not there; there is room for one per name in the configuration.
 */
static struct entry *
entry_of(struct kms_principals *p, uid_t uid)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->entries[i].uid == uid)
			return &p->entries[i];
	struct entry *e = &p->entries[p->count++];
	e->uid = uid;
	return e;
}

static int
resolve(const char *user, const char *key, uid_t *out_uid, struct slk_error *err)
{
	char *end = NULL;

	errno = 0;
	unsigned long number = strtoul(user, &end, 10);
	if (user[0] >= '0' && user[0] <= '9' && *end == '\0') {
		if (errno != 0 || number >= (uid_t)-1)
			return slk_fail(err, SLK_CONFIG, "%s: %s is not a uid", key, user);
		*out_uid = (uid_t)number;
		return SLK_OK;
	}
	errno = 0;
	const struct passwd *pw = getpwnam(user);
	if (pw == NULL)
		return slk_fail(err, SLK_CONFIG,
			"%s: this machine has no user '%s'; create it or give its number", key,
			user);
	*out_uid = pw->pw_uid;
	return SLK_OK;
}

static int
add_principals(struct kms_principals *p, const struct kms_config *config,
	const struct kms_realm *realm, struct slk_error *err)
{
	for (uint32_t i = 0; i < config->principals_count; i++) {
		const struct kms_config_principal *in = &config->principals[i];
		uid_t uid;
		int rc = resolve(in->user, "principals", &uid, err);
		if (rc != SLK_OK)
			return rc;
		struct entry *e = entry_of(p, uid);
		if (e->arn[0] != '\0')
			return slk_fail(err, SLK_CONFIG,
				"principals: user '%s' is the same as one above; a uid has one "
				"principal",
				in->user);
		if (kms_arn_principal(realm, in->arn, e->arn) != SLK_OK ||
			strpbrk(e->arn, "*?") != NULL)
			return slk_fail(err, SLK_CONFIG,
				"principals: '%s' is not user/NAME, role/NAME, root or an ARN",
				in->arn);
		e->classes |= KMS_CLASS_USER;
	}
	return SLK_OK;
}

static int
add_admin(struct kms_principals *p, const struct kms_realm *realm, uid_t uid)
{
	struct entry *e = entry_of(p, uid);

	e->classes |= KMS_CLASS_ADMIN | KMS_CLASS_USER;
	return e->arn[0] != '\0' ? SLK_OK : kms_arn_principal(realm, "root", e->arn);
}

static int
add_admins(struct kms_principals *p, const struct kms_config *config, const struct kms_realm *realm,
	struct slk_error *err)
{
	int rc = SLK_OK;

	for (uint32_t i = 0; rc == SLK_OK && i < config->admins_count; i++) {
		uid_t uid;
		rc = resolve(config->admins[i], "admins", &uid, err);
		if (rc == SLK_OK)
			rc = add_admin(p, realm, uid);
	}
	if (rc == SLK_OK && config->admins_count == 0)
		rc = add_admin(p, realm, 0);
	if (rc == SLK_OK && config->admins_count == 0)
		rc = add_admin(p, realm, geteuid());
	return rc;
}

static int
add_roles(struct kms_principals *p, const struct kms_config *config, const struct kms_realm *realm,
	struct slk_error *err)
{
	for (uint32_t i = 0; i < config->roles_count; i++) {
		char *arn = p->roles[i];
		if (kms_arn_principal(realm, config->roles[i], arn) != SLK_OK ||
			strstr(arn, ":role/") == NULL || strpbrk(arn, "*?") != NULL)
			return slk_fail(err, SLK_CONFIG,
				"roles: '%s' is not role/NAME or the ARN of a role",
				config->roles[i]);
		p->roles_count++;
	}
	return SLK_OK;
}

static int
add_door(struct kms_principals *p, const char *user, const char *key, enum kms_class class,
	struct slk_error *err)
{
	uid_t uid;

	if (user == NULL)
		return SLK_OK;
	int rc = resolve(user, key, &uid, err);
	if (rc == SLK_OK)
		entry_of(p, uid)->classes |= class;
	return rc;
}

static int
fill(struct kms_principals *p, const struct kms_config *config, struct slk_error *err)
{
	const struct kms_realm realm = {config->account, config->region};
	int rc = add_principals(p, config, &realm, err);

	if (rc == SLK_OK)
		rc = add_admins(p, config, &realm, err);
	if (rc == SLK_OK)
		rc = add_door(p, config->ingest_user, "ingest_user", KMS_CLASS_DOOR, err);
	if (rc == SLK_OK)
		rc = add_door(p, config->gateway_user, "gateway_user", KMS_CLASS_GATEWAY, err);
	if (rc == SLK_OK)
		rc = add_door(p, config->deliver_user, "deliver_user", KMS_CLASS_DELIVER, err);
	return rc == SLK_OK ? add_roles(p, config, &realm, err) : rc;
}

bool
kms_is_service_principal(const char *text)
{
	return strcmp(text, KMS_SERVICE_PRINCIPAL) == 0 ||
		strcmp(text, KMS_DELIVERY_PRINCIPAL) == 0;
}

int
kms_principals_new(const struct kms_config *config, struct kms_principals **out_principals,
	struct slk_error *err)
{
	struct kms_principals *p = calloc(1, sizeof(*p));
	size_t names = config->principals_count + config->admins_count + DOORS_MAX +
		2; /* root, ourselves */
	int rc = SLK_NO_MEMORY;

	if (p == NULL)
		return slk_fail(err, rc, "out of memory");
	p->entries = calloc(names, sizeof(*p->entries));
	p->roles = calloc(config->roles_count + 1, sizeof(*p->roles));
	if (p->entries == NULL || p->roles == NULL)
		(void)slk_fail(err, rc, "out of memory");
	else
		rc = fill(p, config, err);
	if (rc != SLK_OK) {
		kms_principals_free(p);
		return rc;
	}
	*out_principals = p;
	return SLK_OK;
}

void
kms_principals_free(struct kms_principals *principals)
{
	if (principals == NULL)
		return;
	free(principals->entries);
	free(principals->roles);
	free(principals);
}

unsigned
kms_principals_classes(const struct kms_principals *principals, uid_t uid)
{
	const struct entry *e = find(principals, uid);

	return e != NULL ? e->classes : 0;
}

const char *
kms_principals_arn(const struct kms_principals *principals, uid_t uid)
{
	const struct entry *e = find(principals, uid);

	return e != NULL && e->arn[0] != '\0' ? e->arn : NULL;
}

bool
kms_principals_uid(const struct kms_principals *principals, const char *arn, uid_t *out_uid)
{
	for (size_t i = 0; i < principals->count; i++)
		if (arn[0] != '\0' && strcmp(principals->entries[i].arn, arn) == 0) {
			*out_uid = principals->entries[i].uid;
			return true;
		}
	return false;
}

bool
kms_principals_has_role(const struct kms_principals *principals, const char *arn)
{
	for (size_t i = 0; i < principals->roles_count; i++)
		if (strcmp(principals->roles[i], arn) == 0)
			return true;
	return false;
}
