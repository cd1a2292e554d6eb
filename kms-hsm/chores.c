/* Work of the front that no request waits for: backing keys that are Creating are finished, one at
 * a time. The first keys of the appliance are made here, too; for these, requests do wait. */
#include "chores.h"

#include <string.h>

#include "base/log.h"
#include "call.h"

void
kms_backing_ask(const uint8_t backing_id[KMS_ID_BYTES], enum kms_spec spec, enum kms_usage usage,
	enum hsm_op op, struct hsm_request *out)
{
	*out = (struct hsm_request){.op = op, .spec = spec, .usage = usage};
	memcpy(out->key_id, backing_id, sizeof(out->key_id));
}

int
kms_backing_made(struct kms_service *service, const uint8_t backing_id[KMS_ID_BYTES],
	const struct hsm_reply *reply)
{
	struct kms_catalog *catalog = service->parts.catalog;
	struct kms_check check = {.public_key = reply->output};
	struct kms_backing backing;

	memcpy(check.kcv, reply->kcv, sizeof(check.kcv));
	memcpy(check.kcv_cmac, reply->kcv_cmac, sizeof(check.kcv_cmac));
	int rc = kms_catalog_backing_get(catalog, backing_id, &backing);
	if (rc != SLK_OK)
		return rc;
	if (backing.kind == KMS_BACKING_FIRST)
		rc = kms_catalog_key_enable(catalog, backing.key_id, &check);
	else
		rc = kms_catalog_backing_switch(
			catalog, backing_id, &check, slk_wall_ns(service->parts.clock));
	/* A request and the chores may both have asked for the same key: the other was quicker. */
	if (rc == SLK_NOT_FOUND && backing.state != KMS_BACKING_CREATING)
		rc = memcmp(backing.kcv, check.kcv, sizeof(check.kcv)) == 0 ? SLK_OK : SLK_CORRUPT;
	return rc;
}

/* --- those who wait for a key of the appliance --- */

static void
end_waiters(struct kms_service *s, enum kms_usage usage, const struct hsm_reply *reply, int rc)
{
	struct kms_calls all = STAILQ_HEAD_INITIALIZER(all);

	STAILQ_CONCAT(&all, &s->waiters);
	while (!STAILQ_EMPTY(&all)) {
		struct kms_call *call = STAILQ_FIRST(&all);
		STAILQ_REMOVE_HEAD(&all, entry);
		if (call->wait_usage != usage)
			STAILQ_INSERT_TAIL(&s->waiters, call, entry);
		else if (reply != NULL && reply->status != SLK_OK)
			kms_call_fail_hsm(call, reply);
		else if (rc != SLK_OK)
			kms_call_fail_catalog(call, rc);
		else
			call->resume(call);
	}
}

static int
appliance_key(struct kms_service *s, enum kms_usage usage, struct kms_key *out_key)
{
	static const struct kms_key kinds[KMS_USAGE_COUNT] = {
		[KMS_USAGE_ENCRYPT_DECRYPT] = {.manager = KMS_MANAGER_APPLIANCE,
			.rotation_days = 365},
		[KMS_USAGE_SIGN_VERIFY] = {.manager = KMS_MANAGER_APPLIANCE,
			.spec = KMS_SPEC_ECC_NIST_P256,
			.usage = KMS_USAGE_SIGN_VERIFY},
	};
	static const char *const descriptions[KMS_USAGE_COUNT] = {
		[KMS_USAGE_ENCRYPT_DECRYPT] = "seals streams without SSE-KMS",
		[KMS_USAGE_SIGN_VERIFY] = "attests what the appliance saw",
	};

	int rc = kms_catalog_key_appliance(s->parts.catalog, usage, out_key);
	if (rc == SLK_NOT_FOUND)
		rc = kms_key_begin(s, &kinds[usage], descriptions[usage], NULL, 0, out_key);
	return rc;
}

int
kms_call_appliance_key(
	struct kms_call *call, enum kms_usage usage, kms_call_fn resume, struct kms_key *out_key)
{
	struct kms_service *s = call->service;
	struct kms_key key;

	int rc = appliance_key(s, usage, &key);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (key.state == KMS_KEY_CREATING) {
		call->resume = resume;
		call->wait_usage = usage;
		STAILQ_INSERT_TAIL(&s->waiters, call, entry);
		kms_chores_run(s);
		return SLK_UNAVAILABLE;
	}
	rc = kms_call_key_usable(call, &key);
	if (rc == SLK_OK)
		*out_key = key;
	return rc;
}

/* --- one chore after the other --- */

static void on_made(void *arg, const struct hsm_reply *reply);

/* Out of turn: the key that the first call waits for. SLK_NOT_FOUND if no call waits any more. */
static int
waited_for(struct kms_service *s, struct kms_backing *out_backing)
{
	struct kms_key key;

	while (!STAILQ_EMPTY(&s->waiters)) {
		enum kms_usage usage = STAILQ_FIRST(&s->waiters)->wait_usage;
		int rc = kms_catalog_key_appliance(s->parts.catalog, usage, &key);
		if (rc == SLK_OK && key.state == KMS_KEY_CREATING)
			rc = kms_catalog_backing_get(s->parts.catalog, key.backing_id, out_backing);
		if (rc == SLK_OK && key.state == KMS_KEY_CREATING)
			return SLK_OK;
		end_waiters(s, usage, NULL, rc); /* it is there, or the catalog is broken */
	}
	return SLK_NOT_FOUND;
}

static int
next_backing(struct kms_service *s, struct kms_backing *out_backing)
{
	int rc = waited_for(s, out_backing);

	s->chore_for_waiters = rc == SLK_OK;
	if (rc == SLK_OK || !s->chores_wanted || s->health.state != HSM_READY)
		return rc;
	s->chores_wanted = false;
	rc = kms_catalog_backing_creating(s->parts.catalog, s->chores_after, out_backing);
	if (rc != SLK_OK) /* none is left: the next pass begins at the first */
		memset(s->chores_after, 0, sizeof(s->chores_after));
	return rc;
}

void
kms_chores_run(struct kms_service *service)
{
	struct hsm_request ask;

	if (service->chore_in_flight || next_backing(service, &service->chore) != SLK_OK)
		return;
	const struct kms_backing *b = &service->chore;
	kms_backing_ask(b->id, b->spec, b->usage, HSM_CREATE_KEY, &ask);
	int rc = hsm_link_submit(service->parts.link, &ask, on_made, service);
	service->chore_in_flight = rc == SLK_OK;
	if (rc != SLK_OK && service->chore_for_waiters)
		end_waiters(service, b->usage, NULL, rc);
}

static void
log_made(const struct kms_service *s, const struct hsm_reply *reply, int rc)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&s->parts.realm, s->chore.key_id, arn);
	if (reply->status == SLK_OK && rc == SLK_OK)
		slk_info("key is ready", slk_kv("key", (const char *)arn));
	else if (reply->status == SLK_OK || reply->status == SLK_CORRUPT)
		slk_warn("key stays in Creating", slk_kv("key", (const char *)arn),
			slk_kv("error",
				rc != SLK_OK ? kms_catalog_error(s->parts.catalog)
					     : (const char *)reply->error));
}

static void
on_made(void *arg, const struct hsm_reply *reply)
{
	struct kms_service *s = arg;
	int rc = SLK_OK;

	s->chore_in_flight = false;
	s->chores_wanted = true;
	if (reply->encryptions_count > 0)
		kms_catalog_wrap_add(s->parts.catalog, s->chore.id, reply->encryptions_count);
	if (reply->status == SLK_OK)
		rc = kms_backing_made(s, s->chore.id, reply);
	log_made(s, reply, rc);
	if (s->chore_for_waiters)
		end_waiters(s, s->chore.usage, reply, rc);
	else if (reply->status == SLK_OK || reply->status == SLK_CORRUPT)
		memcpy(s->chores_after, s->chore.id, sizeof(s->chores_after));
	/* A token that is away is asked again at the next tick, not at once. */
	if (reply->status == SLK_OK || reply->status == SLK_CORRUPT)
		kms_chores_run(s);
}
