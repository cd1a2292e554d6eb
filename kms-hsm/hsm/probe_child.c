/* The probe's child: from loading the module to its end; see hsm/probe.h. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "hsm/pin.h"
#include "hsm/probe_inner.h"
#include "hsm/rv.h"

/* What the worker's calls pass, too; here it shows the caller where the child is. */
void
hsm_probe_enter(struct hsm_token *token, struct hsm_probe *probe, const char *name)
{
	struct probe *p = (struct probe *)((char *)token - offsetof(struct probe, token));

	(void)probe;
	snprintf(p->report->call, sizeof(p->report->call), "%s", name);
	__atomic_store_n(
		&p->report->call_since_ns, slk_mono_ns(slk_clock_system()), __ATOMIC_RELEASE);
}

void
hsm_probe_leave(struct hsm_token *token, struct hsm_probe *probe, CK_RV rv)
{
	struct probe *p = (struct probe *)((char *)token - offsetof(struct probe, token));

	(void)probe;
	(void)rv;
	__atomic_store_n(&p->report->call_since_ns, 0, __ATOMIC_RELEASE);
}

void
probe_step(struct probe *p, const char *step)
{
	snprintf(p->report->step, sizeof(p->report->step), "%s", step);
}

int
probe_failed(struct probe *p, const char *function, CK_RV rv)
{
	return slk_fail(
		p->err, SLK_HSM, "%s failed with %s (0x%lx)", function, hsm_rv_name(rv), rv);
}

static void
read_slot(struct probe *p, CK_SLOT_ID id, struct hsm_probe_slot *out)
{
	CK_SLOT_INFO slot;
	CK_TOKEN_INFO token;

	out->id = id;
	if (PROBE_CALL(p, C_GetSlotInfo, id, &slot) == CKR_OK)
		hsm_module_text(
			slot.slotDescription, sizeof(slot.slotDescription), out->description);
	if (PROBE_CALL(p, C_GetTokenInfo, id, &token) != CKR_OK)
		return;
	out->present = true;
	hsm_module_text(token.label, sizeof(token.label), out->label);
	hsm_module_text(token.manufacturerID, sizeof(token.manufacturerID), out->manufacturer);
	hsm_module_text(token.model, sizeof(token.model), out->model);
	hsm_module_text(token.serialNumber, sizeof(token.serialNumber), out->serial);
	out->hardware_major = token.hardwareVersion.major;
	out->hardware_minor = token.hardwareVersion.minor;
	out->firmware_major = token.firmwareVersion.major;
	out->firmware_minor = token.firmwareVersion.minor;
	out->flags = token.flags;
	out->sessions_max = token.ulMaxRwSessionCount == CK_UNAVAILABLE_INFORMATION
		? 0
		: token.ulMaxRwSessionCount;
}

static int
read_slots(struct probe *p)
{
	CK_SLOT_ID slots[HSM_PROBE_SLOTS_MAX];
	CK_ULONG count = HSM_PROBE_SLOTS_MAX, ignored = 0;
	struct hsm_probe_report *r = p->report;

	CK_RV rv = PROBE_CALL(p, C_GetSlotList, CK_FALSE, NULL, &ignored);
	if (rv == CKR_OK)
		rv = PROBE_CALL(p, C_GetSlotList, CK_FALSE, slots, &count);
	if (rv != CKR_OK)
		return probe_failed(p, "C_GetSlotList", rv);
	for (CK_ULONG i = 0; i < count && r->slots_count < HSM_PROBE_SLOTS_MAX; i++)
		read_slot(p, slots[i], &r->slots[r->slots_count++]);
	return SLK_OK;
}

/* The slot whose mechanisms are worth listing: the one that was named, or the only token, or the first one that is
 * initialised. */
static int
choose_slot(struct probe *p)
{
	struct hsm_probe_report *r = p->report;
	const char *label = p->request->token_label;
	unsigned found = 0;

	for (uint32_t i = 0; i < r->slots_count; i++) {
		const struct hsm_probe_slot *s = &r->slots[i];
		bool initialised = (s->flags & CKF_TOKEN_INITIALIZED) != 0;
		if (label != NULL && s->present && strcmp(s->label, label) == 0) {
			found++;
			r->slot = (int32_t)i;
		} else if (label == NULL && s->present &&
			(r->slot < 0 ||
				(initialised &&
					(r->slots[r->slot].flags & CKF_TOKEN_INITIALIZED) == 0))) {
			r->slot = (int32_t)i;
		}
	}
	if (label != NULL && found != 1)
		r->slot = -1;
	if (label != NULL && found > 1)
		return slk_fail(p->err, SLK_EXISTS, "%u tokens are labelled '%s'; none is probed",
			found, label);
	if (label != NULL && found == 0)
		return slk_fail(p->err, SLK_NOT_FOUND,
			"there is no token labelled '%s'; the report lists those there are", label);
	if (r->slot < 0)
		return slk_fail(p->err, SLK_NOT_FOUND,
			"the module shows %u slots and no token in any of them; is the HSM "
			"connected, "
			"its client configured, and may this user reach it?",
			r->slots_count);
	p->token.slot = r->slots[r->slot].id;
	return SLK_OK;
}

static void
read_mechanisms(struct probe *p)
{
	static CK_MECHANISM_TYPE types[HSM_PROBE_MECHANISMS_MAX];
	CK_ULONG count = 0;
	struct hsm_probe_report *r = p->report;

	if (PROBE_CALL(p, C_GetMechanismList, p->token.slot, NULL, &count) != CKR_OK)
		return;
	r->mechanisms_listed = (uint32_t)count;
	count = HSM_PROBE_MECHANISMS_MAX;
	if (PROBE_CALL(p, C_GetMechanismList, p->token.slot, types, &count) != CKR_OK)
		return;
	for (CK_ULONG i = 0; i < count && i < HSM_PROBE_MECHANISMS_MAX; i++) {
		CK_MECHANISM_INFO info;
		if (PROBE_CALL(p, C_GetMechanismInfo, p->token.slot, types[i], &info) == CKR_OK)
			r->mechanisms[r->mechanisms_count++] =
				(struct hsm_probe_mechanism){.type = types[i],
					.flags = info.flags,
					.key_min = info.ulMinKeySize,
					.key_max = info.ulMaxKeySize};
	}
}

/* What the token itself says about its PIN: a probe must not be what locks it. */
static int
check_token_flags(struct probe *p, const struct hsm_probe_slot *s)
{
	if ((s->flags & CKF_USER_PIN_LOCKED) != 0)
		return slk_fail(p->err, SLK_PIN,
			"the token says that its user PIN is locked; no attempt was made");
	if ((s->flags & CKF_USER_PIN_FINAL_TRY) != 0)
		return slk_fail(p->err, SLK_PIN,
			"the token says that one wrong PIN more locks it; no attempt was made");
	return SLK_OK;
}

static int
refused(struct probe *p, struct hsm_pin_file *file, CK_RV rv)
{
	bool kept = hsm_pin_end(file, true) == SLK_OK;

	return slk_fail(p->err, SLK_PIN,
		"the token refused the PIN in %s with %s; it is not tried again, for tokens "
		"lock%s. "
		"%s",
		p->request->pin_file, hsm_rv_name(rv),
		kept ? "" : " (and this could not be written down)", hsm_pin_remedy(file));
}

/* The one attempt. */
static int
log_in(struct probe *p, struct hsm_pin_file *file, const struct hsm_probe_slot *s)
{
	struct slk_secret *pin = NULL;

	int rc = hsm_pin_begin(file, s->serial, &pin, p->err);
	if (rc != SLK_OK)
		return rc;
	const char *fault =
		hsm_probe_login_fault(p->report, slk_secret_peek(pin), slk_secret_len(pin));
	if (fault != NULL) {
		hsm_pin_give_up(file);
		slk_secret_free(pin);
		return slk_fail(p->err, SLK_CONFIG, "%s: %s; no attempt was made",
			p->request->pin_file, fault);
	}
	CK_RV rv = PROBE_SESSION_CALL(
		p, C_Login, CKU_USER, slk_secret_bytes(pin), slk_secret_len(pin));
	slk_secret_free(pin);
	if (hsm_rv_class(rv) == HSM_RV_PIN)
		return refused(p, file, rv);
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) {
		hsm_pin_give_up(file);
		return probe_failed(p, "C_Login", rv);
	}
	if (hsm_pin_end(file, false) != SLK_OK)
		return slk_fail(p->err, SLK_IO, "cannot write %s", p->request->state_file);
	p->report->logged_in = true;
	return SLK_OK;
}

static int
with_login(struct probe *p)
{
	const struct hsm_probe_slot *s = &p->report->slots[p->report->slot];
	struct hsm_pin_file *file = NULL;

	int rc = check_token_flags(p, s);
	if (rc == SLK_OK)
		rc = hsm_pin_open(
			p->request->pin_file, p->request->state_file, HSM_PIN_ALONE, &file, p->err);
	if (rc != SLK_OK)
		return rc;
	probe_step(p, "the login");
	p->report->read_write_rv = PROBE_CALL(p, C_OpenSession, p->token.slot,
		CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &p->session.handle);
	if (p->report->read_write_rv != CKR_OK) {
		rc = probe_failed(p, "C_OpenSession", p->report->read_write_rv);
		goto out;
	}
	rc = log_in(p, file, s);
	if (rc == SLK_OK)
		probe_trials(p);
	/* Session objects go with it. */
	(void)PROBE_SESSION_CALL(p, C_CloseSession);
out:
	hsm_pin_close(file);
	return rc;
}

/* A sentence for what modules say to parameters that are missing, and to those that they do not take. */
static int
initialise_failed(struct probe *p, CK_RV rv)
{
	if (rv != CKR_ARGUMENTS_BAD)
		return probe_failed(p, "C_Initialize", rv);
	if (p->request->module_parameters != NULL)
		return slk_fail(p->err, SLK_CONFIG,
			"C_Initialize refused --module-parameters with CKR_ARGUMENTS_BAD; leave "
			"them "
			"out if this module takes none");
	return slk_fail(p->err, SLK_CONFIG,
		"C_Initialize failed with CKR_ARGUMENTS_BAD; this module may want "
		"--module-parameters: NSS softokn does, \"configdir='sql:DIRECTORY' certPrefix='' "
		"keyPrefix='' secmod='secmod.db' flags=\"");
}

static int
start_module(struct probe *p)
{
	struct hsm_probe_report *r = p->report;
	CK_INFO info;

	probe_step(p, "loading the module");
	/* NSS's arguments are the standard's with a string more in the place of pReserved and a member behind. */
	p->options.profile = hsm_profile_find("nss");
	int rc = hsm_module_load(&p->options, &p->token.module, p->err);
	if (rc != SLK_OK)
		return rc;
	hsm_probe_enter(&p->token, &p->session.probe, "C_Initialize");
	CK_RV rv = hsm_module_initialise(&p->token.module);
	hsm_probe_leave(&p->token, &p->session.probe, rv);
	if (rv != CKR_OK)
		return initialise_failed(p, rv);
	r->initialised = true;
	rv = PROBE_CALL(p, C_GetInfo, &info);
	if (rv != CKR_OK)
		return probe_failed(p, "C_GetInfo", rv);
	r->cryptoki_major = info.cryptokiVersion.major;
	r->cryptoki_minor = info.cryptokiVersion.minor;
	r->library_major = info.libraryVersion.major;
	r->library_minor = info.libraryVersion.minor;
	hsm_module_text(info.manufacturerID, sizeof(info.manufacturerID), r->manufacturer);
	hsm_module_text(info.libraryDescription, sizeof(info.libraryDescription), r->library);
	return SLK_OK;
}

int
probe_all(struct probe *p)
{
	int rc = start_module(p);
	if (rc != SLK_OK)
		return rc;
	probe_step(p, "slots and tokens");
	rc = read_slots(p);
	if (rc == SLK_OK)
		rc = choose_slot(p);
	probe_step(p, "mechanisms");
	if (rc == SLK_OK && p->report->slot >= 0)
		read_mechanisms(p);
	if (rc == SLK_OK && p->request->token_label != NULL)
		rc = with_login(p);
	probe_step(p, "the end");
	hsm_probe_enter(&p->token, &p->session.probe, "C_Finalize");
	hsm_module_finalise(&p->token.module);
	hsm_probe_leave(&p->token, &p->session.probe, CKR_OK);
	return rc;
}
