/* See chores.h. The first keys of the appliance are made here, too; for these, requests do wait. */
#include "chores.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

#include "base/log.h"
#include "call.h"

#define COUNT_TIME_NS (60 * SLK_NS_PER_S) /* one change of the catalog a minute, while a key ends */
#define PER_TICK 16u /* keys that begin to rotate or to end in one tick */

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

int
kms_appliance_key(struct kms_service *service, enum kms_usage usage, struct kms_key *out_key)
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

	int rc = kms_catalog_key_appliance(service->parts.catalog, usage, out_key);
	if (rc == SLK_NOT_FOUND)
		rc = kms_key_begin(
			service, &kinds[usage], descriptions[usage], NULL, 0, NULL, out_key);
	return rc;
}

int
kms_call_appliance_key(
	struct kms_call *call, enum kms_usage usage, kms_call_fn resume, struct kms_key *out_key)
{
	struct kms_service *s = call->service;
	struct kms_key key;

	int rc = kms_appliance_key(s, usage, &key);
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

/* --- one call to the HSM after the other --- */

static void on_chore(void *arg, const struct hsm_reply *reply);

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

/* A request waits for it. Asked twice at once, the HSM could answer one of both, and the key be in use, before it looks at
 * the other: that one would find it bad in a bad moment, and clear it away. */
static bool
is_being_made(const struct kms_service *s, const uint8_t backing_id[KMS_ID_BYTES])
{
	const struct kms_call *call;

	LIST_FOREACH(call, &s->makers, making)
	{
		if (memcmp(call->backing_id, backing_id, KMS_ID_BYTES) == 0)
			return true;
	}
	return false;
}

void
kms_chores_want(struct kms_service *service)
{
	service->chores_wanted = service->chores_anew = true;
}

static void
pass_to(struct kms_service *s, bool destroy)
{
	s->chores_destroy = destroy;
	memset(s->chores_after, 0, sizeof(s->chores_after));
}

/* The next of the pass: first what is to be made, then what is to be destroyed. */
static int
next_in_order(struct kms_service *s, struct kms_backing *out_backing)
{
	static const uint8_t start[KMS_ID_BYTES];
	struct kms_catalog *catalog = s->parts.catalog;

	if (!s->chores_destroy) {
		if (memcmp(s->chores_after, start, sizeof(start)) == 0)
			s->chores_anew = false;
		int rc = kms_catalog_backing_creating(catalog, s->chores_after, out_backing);
		while (rc == SLK_OK && is_being_made(s, out_backing->id))
			rc = kms_catalog_backing_creating(catalog, out_backing->id, out_backing);
		if (rc != SLK_NOT_FOUND)
			return rc;
		pass_to(s, true);
	}
	return kms_catalog_backing_doomed(catalog, s->chores_after, out_backing);
}

/* Of this pass or, if what came meanwhile may lie before the place where it was, of the next. */
static int
next_of_pass(struct kms_service *s, struct kms_backing *out_backing)
{
	int rc = next_in_order(s, out_backing);

	if (rc == SLK_OK)
		return rc;
	pass_to(s, false);
	if (rc != SLK_NOT_FOUND || !s->chores_anew)
		return rc;
	rc = next_in_order(s, out_backing);
	if (rc != SLK_OK)
		pass_to(s, false);
	return rc;
}

static int
next_backing(struct kms_service *s, struct kms_backing *out_backing)
{
	int rc = waited_for(s, out_backing);

	s->chore_for_waiters = rc == SLK_OK;
	if (rc == SLK_OK || !s->chores_wanted || s->health.state != HSM_READY)
		return rc;
	s->chores_wanted = false;
	return next_of_pass(s, out_backing);
}

void
kms_chores_run(struct kms_service *service)
{
	struct hsm_request ask;

	if (service->stopping || service->chore_in_flight ||
		next_backing(service, &service->chore) != SLK_OK)
		return;
	const struct kms_backing *b = &service->chore;
	bool destroy = !service->chore_for_waiters && service->chores_destroy;
	kms_backing_ask(b->id, b->spec, b->usage, destroy ? HSM_DESTROY_KEY : HSM_CREATE_KEY, &ask);
	if (destroy)
		memcpy(ask.kcv, b->kcv, sizeof(ask.kcv));
	int rc = hsm_link_submit(service->parts.link, &ask, on_chore, service);
	service->chore_in_flight = rc == SLK_OK;
	if (rc != SLK_OK && service->chore_for_waiters)
		end_waiters(service, b->usage, NULL, rc);
}

/* What the HSM did goes into the catalog. */
static int
record(struct kms_service *s, const struct hsm_reply *reply)
{
	struct kms_catalog *catalog = s->parts.catalog;

	if (reply->op == HSM_DESTROY_KEY)
		return reply->status == SLK_OK ? kms_catalog_backing_destroyed(catalog, s->chore.id)
					       : reply->status;
	if (reply->status == SLK_OK)
		return kms_backing_made(s, s->chore.id, reply);
	/* The token will never make it, and has not. */
	if (reply->status == SLK_UNSUPPORTED && s->chore.kind == KMS_BACKING_FIRST) {
		int rc = kms_catalog_key_abandon(catalog, s->chore.key_id);
		if (rc != SLK_OK)
			return rc;
	}
	return reply->status;
}

static void
log_chore(const struct kms_service *s, const struct hsm_reply *reply, int rc)
{
	bool destroy = reply->op == HSM_DESTROY_KEY;
	char arn[KMS_ARN_MAX];

	kms_arn_key(&s->parts.realm, s->chore.key_id, arn);
	if (rc == SLK_OK && destroy && !reply->existed)
		slk_warn("the token had no such key material any more",
			slk_kv("key", (const char *)arn),
			slk_kv_hex("backing", s->chore.id, KMS_ID_BYTES));
	else if (rc == SLK_OK)
		slk_info(destroy ? "key material is destroyed" : "key material is ready",
			slk_kv("key", (const char *)arn),
			slk_kv_hex("backing", s->chore.id, KMS_ID_BYTES));
	else if (slk_status_class(reply->status) != SLK_CLASS_RETRY)
		slk_error_log(destroy ? "key material cannot be destroyed"
				      : "key material cannot be made",
			slk_kv("key", (const char *)arn),
			slk_kv_hex("backing", s->chore.id, KMS_ID_BYTES),
			slk_kv("error",
				reply->status != SLK_OK ? (const char *)reply->error
							: kms_catalog_error(s->parts.catalog)));
}

static void
on_chore(void *arg, const struct hsm_reply *reply)
{
	struct kms_service *s = arg;
	bool for_waiters = s->chore_for_waiters;

	s->chore_in_flight = false;
	s->chores_wanted = true;
	if (reply->encryptions_count > 0)
		kms_catalog_wrap_add(s->parts.catalog, s->chore.id, reply->encryptions_count);
	int rc = record(s, reply);
	log_chore(s, reply, rc);
	/* A token that is away is asked again at the next tick, not at once; one that refuses keeps
	 * nothing else from being done. */
	bool again = slk_status_class(reply->status) == SLK_CLASS_RETRY;
	if (for_waiters)
		end_waiters(s, s->chore.usage, reply, rc);
	else if (!again)
		memcpy(s->chores_after, s->chore.id, sizeof(s->chores_after));
	if (!again)
		kms_chores_run(s);
}

/* --- what the clocks bring --- */

/* kmsd's own acts go the way of a call: the line first, and once it is on the disk the act, in place of an answer. */

static const struct kms_row own_row = {0, "kms:Own", NULL, false};

static void
report(struct kms_service *s, int rc)
{
	if (rc != SLK_OK && rc != s->chores_error)
		slk_error_log("rotation and deletion of keys wait",
			slk_kv("status", slk_status_name(rc)),
			slk_kv("error", kms_catalog_error(s->parts.catalog)));
	s->chores_error = rc; /* said once */
}

static int
audit(const struct kms_call *call)
{
	char arn[KMS_ARN_MAX];

	kms_arn_key(&call->service->parts.realm, call->key.id, arn);
	const struct kms_audit_entry entry = {.request_id = call->request_id,
		.principal = KMS_OWN_PRINCIPAL,
		.uid = geteuid(),
		.pid = getpid(),
		.action = call->action,
		.resource = arn,
		.backing_id = call->key.backing_id};
	return kms_audit_add(call->service->parts.audit, &entry);
}

static void doom(struct kms_call *call);

/* How many of its kind wait for the disk. */
static uint32_t *
waiting(const struct kms_call *call)
{
	return call->resume == doom ? &call->service->dooms_waiting
				    : &call->service->rotations_waiting;
}

static void
on_line(void *arg, struct slk_secret *frame)
{
	struct kms_call *call = arg;

	slk_secret_free(frame);
	(*waiting(call))--;
	if (call->status == SLK_OK)
		call->resume(call);
}

static int
act(struct kms_service *s, const char *action, const struct kms_key *key, kms_call_fn then)
{
	uint8_t uuid[FMT_UUID_BYTES];
	struct kms_call *call = calloc(1, sizeof(*call));

	int rc = call != NULL ? fmt_uuid_new(uuid) : SLK_NO_MEMORY;
	if (rc != SLK_OK)
		goto out;
	fmt_uuid_print(uuid, call->request_id);
	call->service = s;
	call->row = &own_row;
	call->action = action;
	call->key = *key;
	call->resume = then;
	call->answer = on_line;
	call->arg = call;
	rc = audit(call);
	if (rc != SLK_OK)
		goto out;
	(*waiting(call))++;
	STAILQ_INSERT_TAIL(&s->finished, call, entry);
	call = NULL; /* the flush's */
out:
	free(call);
	return rc;
}

int
kms_chores_count_time(struct kms_service *service)
{
	uint64_t now_ns = slk_mono_ns(service->parts.clock);

	int rc = kms_catalog_time_passed(service->parts.catalog, slk_wall_ns(service->parts.clock),
		now_ns - service->mono_counted_ns);
	if (rc == SLK_OK)
		service->mono_counted_ns = now_ns;
	return rc;
}

bool
kms_chores_is_over(const struct kms_service *service, const struct kms_key *key)
{
	return key->state == KMS_KEY_PENDING_DELETION && key->deletion_left_ns == 0 &&
		key->deletion_ns <= slk_wall_ns(service->parts.clock);
}

static void
doom(struct kms_call *call)
{
	struct kms_service *s = call->service;
	int rc = kms_catalog_key_doom(s->parts.catalog, call->key.id);
	if (rc == SLK_OK)
		kms_grants_forget_key(s->grants, call->key.id);

	if (rc == SLK_OK)
		rc = kms_iam_key_changed(s->iam, call->key.id);
	report(s, rc);
	if (rc == SLK_OK)
		kms_chores_want(s);
	kms_chores_run(s);
}

int
kms_chores_doom(struct kms_service *service)
{
	uint64_t wall_ns = slk_wall_ns(service->parts.clock);
	uint8_t after[KMS_ID_BYTES] = {0};
	struct kms_key key;
	int rc = SLK_OK;

	if (service->dooms_waiting > 0) /* what waits for the disk would get a second line */
		return SLK_OK;
	for (unsigned i = 0; i < PER_TICK; i++) {
		rc = kms_catalog_key_due(service->parts.catalog, wall_ns, after, &key);
		if (rc == SLK_OK)
			rc = act(service, "kms:DeleteKey", &key, doom);
		if (rc != SLK_OK)
			break;
		memcpy(after, key.id, sizeof(after));
	}
	return rc == SLK_NOT_FOUND ? SLK_OK : rc;
}

/* A successor, unless the key was disabled or another rotation of it began meanwhile. */
static void
rotate(struct kms_call *call)
{
	struct kms_service *s = call->service;
	uint8_t id[KMS_ID_BYTES];

	int rc = slk_random(id, sizeof(id));
	if (rc == SLK_OK)
		rc = kms_catalog_backing_begin(s->parts.catalog, call->key.id, id,
			KMS_BACKING_AUTOMATIC, slk_wall_ns(s->parts.clock));
	if (rc == SLK_OK)
		kms_chores_want(s);
	report(s, rc == SLK_NOT_FOUND || rc == SLK_EXISTS ? SLK_OK : rc);
	kms_chores_run(s);
}

/* The keys whose period has ended or that are worn. */
static int
rotate_due(struct kms_service *s)
{
	uint64_t wall_ns = slk_wall_ns(s->parts.clock);
	uint8_t after[KMS_ID_BYTES] = {0};
	struct kms_key key;
	int rc = SLK_OK;

	if (s->rotations_waiting > 0)
		return SLK_OK;
	for (unsigned i = 0; i < PER_TICK; i++) {
		rc = kms_catalog_rotation_due(s->parts.catalog, wall_ns, after, &key);
		if (rc == SLK_OK)
			rc = act(s, "kms:RotateKey", &key, rotate);
		if (rc != SLK_OK)
			break;
		memcpy(after, key.id, sizeof(after));
	}
	return rc == SLK_NOT_FOUND ? SLK_OK : rc;
}

void
kms_chores_tick(struct kms_service *service)
{
	int rc = SLK_OK;

	if (slk_mono_ns(service->parts.clock) - service->mono_counted_ns >= COUNT_TIME_NS)
		rc = kms_chores_count_time(service);
	if (rc == SLK_OK)
		rc = kms_chores_doom(service);
	if (rc == SLK_OK && service->health.state == HSM_READY)
		rc = rotate_due(service);
	report(service, rc);
}
