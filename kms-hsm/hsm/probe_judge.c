/* From what was measured to a verdict, and a row of hsm/profile.h. Pure. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <p11-kit/pkcs11.h>

#include "hsm/probe.h"
#include "hsm/rv.h"

#define CLOUDHSM_GCM 0x80001087u

static const struct use {
	uint64_t type;
	const char *name, *use;
} uses[] = {
	{CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN", "makes master keys; needed"},
	{CKM_AES_GCM, "CKM_AES_GCM", "wraps data keys; needed"},
	{CLOUDHSM_GCM, "CKM_CLOUDHSM_AES_GCM", "wraps data keys in profile cloudhsm-prefix"},
	{CKM_AES_ECB, "CKM_AES_ECB", "check values of master keys; needed"},
	{CKM_RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN", "makes RSA keys"},
	{CKM_RSA_X9_31_KEY_PAIR_GEN, "CKM_RSA_X9_31_KEY_PAIR_GEN",
		"makes RSA keys where the one before is not there"},
	{CKM_RSA_PKCS_OAEP, "CKM_RSA_PKCS_OAEP", "Decrypt with RSA keys"},
	{CKM_RSA_PKCS, "CKM_RSA_PKCS", "signs, RSASSA_PKCS1_V1_5"},
	{CKM_RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS", "signs, RSASSA_PSS"},
	{CKM_EC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN", "makes keys on NIST's curves"},
	{CKM_ECDSA, "CKM_ECDSA", "signs, ECDSA"},
};
#define USES_COUNT (sizeof(uses) / sizeof(uses[0]))

static const struct use *
find_use(uint64_t mechanism)
{
	for (size_t i = 0; i < USES_COUNT; i++) {
		if (uses[i].type == mechanism)
			return &uses[i];
	}
	return NULL;
}

const char *
hsm_probe_use(uint64_t mechanism)
{
	const struct use *use = find_use(mechanism);

	return use != NULL ? use->use : NULL;
}

const char *
hsm_probe_mechanism_name(uint64_t mechanism)
{
	const struct use *use = find_use(mechanism);

	return use != NULL ? use->name : NULL;
}

uint64_t
hsm_probe_ours(unsigned index)
{
	return index < USES_COUNT ? uses[index].type : HSM_PROBE_NOT_TRIED;
}

const char *
hsm_probe_rv_name(uint64_t rv)
{
	return rv == HSM_PROBE_NOT_TRIED ? "not tried" : hsm_rv_name((CK_RV)rv);
}

bool
hsm_probe_lists(const struct hsm_probe_report *r, uint64_t mechanism, uint64_t flags)
{
	for (uint32_t i = 0; i < r->mechanisms_count; i++) {
		if (r->mechanisms[i].type == mechanism)
			return (r->mechanisms[i].flags & flags) == flags;
	}
	return false;
}

static bool
is_named(const struct hsm_probe_report *r, const char *word)
{
	const struct hsm_probe_slot *s = r->slot >= 0 ? &r->slots[r->slot] : NULL;

	return strcasestr(r->manufacturer, word) != NULL || strcasestr(r->library, word) != NULL ||
		(s != NULL &&
			(strcasestr(s->manufacturer, word) != NULL ||
				strcasestr(s->model, word) != NULL));
}

static void because(struct hsm_probe_report *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
because(struct hsm_probe_report *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(r->reason, sizeof(r->reason), fmt, args);
	va_end(args);
}

/* Without these nothing fits; known from the token's list alone. True if one is missing. */
static bool
lacks_mechanisms(struct hsm_probe_report *r)
{
	const uint64_t both = CKF_ENCRYPT | CKF_DECRYPT;
	const char *known = is_named(r, "yubi")                           ? "yubihsm"
		: is_named(r, "nitrokey") || is_named(r, "smartcard-hsm") ? "nitrokey"
									  : NULL;

	if (!hsm_probe_lists(r, CKM_AES_GCM, both) && !hsm_probe_lists(r, CLOUDHSM_GCM, both))
		because(r, "%s",
			known != NULL
				? hsm_profile_refusal(known)
				: "the token has no AES-GCM, and keys are wrapped with AES-GCM "
				  "in the HSM; nothing is done in software instead");
	else if (!hsm_probe_lists(r, CKM_AES_KEY_GEN, CKF_GENERATE))
		because(r, "the token has no CKM_AES_KEY_GEN, and master keys are made in the HSM");
	else
		return false;
	return true;
}

/* Is a token that answers like this unsafe, whatever the profile? */
static bool
is_unsafe(struct hsm_probe_report *r)
{
	const struct hsm_probe_key *k = &r->key;

	if (r->random_rv != CKR_OK || r->random_repeats)
		because(r, "the random generator fails or repeats itself (%s)",
			hsm_probe_rv_name(r->random_rv));
	else if (k->rv != CKR_OK)
		because(r, "no AES key could be made (%s)", hsm_probe_rv_name(k->rv));
	else if (k->value_rv == CKR_OK)
		because(r, "a key that was made sensitive gives out its value");
	else if (r->sessions_rv != CKR_OK && r->sessions_opened < HSM_PROBE_SESSIONS_MIN)
		because(r, "no more than %u sessions can be open (%s), and a worker needs %u",
			r->sessions_opened, hsm_probe_rv_name(r->sessions_rv),
			HSM_PROBE_SESSIONS_MIN);
	else
		return false;
	return true;
}

/* --- choosing --- */

/* Does AES-GCM work as the row says? */
static bool
gcm_fits(const struct hsm_probe_report *r, const struct hsm_profile *row)
{
	const struct hsm_probe_gcm *g = &r->gcm[row->layout][row->iv];

	if (g->rv != CKR_OK || !g->round_trip || g->same_iv || g->same_ciphertext ||
		g->iv_bytes != 12)
		return false;
	return row->iv == HSM_IV_OURS ? g->iv_kept : !g->zero_iv_used;
}

/* Rows that are one product's are proposed by its name only. */
static bool
name_fits(const struct hsm_probe_report *r, const struct hsm_profile *row)
{
	if (strcmp(row->name, "softhsm") == 0)
		return is_named(r, "softhsm");
	if (strcmp(row->name, "nss") == 0)
		return is_named(r, "nss ") || is_named(r, "mozilla");
	if (strncmp(row->name, "cloudhsm", 8) == 0)
		return is_named(r, "cloudhsm") || hsm_probe_lists(r, CLOUDHSM_GCM, 0);
	return true;
}

static bool
tolerates(const struct hsm_probe_report *r, const struct hsm_profile *row, const char *parameters)
{
	uint64_t copyable = r->key.copyable_rv;
	bool copyable_known = copyable == CKR_OK || copyable == CKR_ATTRIBUTE_TYPE_INVALID ||
		copyable == CKR_TEMPLATE_INCONSISTENT;

	if (parameters != NULL && row->init == HSM_INIT_PLAIN)
		return false;
	return (copyable_known || row->copyable_unknown) && (r->key.local || row->local_unset) &&
		(r->key.other_session_rv == CKR_OK || row->handles_per_session);
}

const struct hsm_profile *
hsm_probe_choose(const struct hsm_probe_report *r, const char *parameters)
{
	const struct hsm_profile *row;

	for (size_t i = 0; (row = hsm_profile_at(i)) != NULL; i++) {
		if (gcm_fits(r, row) && name_fits(r, row) && tolerates(r, row, parameters))
			return row;
	}
	return NULL;
}

const char *
hsm_probe_login_fault(const struct hsm_probe_report *r, const uint8_t *pin, size_t len)
{
	const struct hsm_profile *row;

	for (size_t i = 0; (row = hsm_profile_at(i)) != NULL; i++) {
		if (row->login != HSM_LOGIN_PIN && name_fits(r, row))
			return hsm_profile_login_fault(row, pin, len);
	}
	return NULL;
}

/* --- judging --- */

static bool
repeats_iv(const struct hsm_probe_report *r)
{
	for (unsigned i = 0; i < HSM_PROBE_LAYOUTS * HSM_PROBE_FORMS; i++) {
		const struct hsm_probe_gcm *g = &r->gcm[i / HSM_PROBE_FORMS][i % HSM_PROBE_FORMS];
		if (g->rv == CKR_OK && g->same_iv && !g->zero_iv_used)
			return true;
	}
	return false;
}

static void
explain_no_row(struct hsm_probe_report *r)
{
	const struct hsm_probe_gcm *g = r->gcm[HSM_GCM_WITH_BITS];
	uint32_t suffix_bytes = g[HSM_IV_SUFFIX].iv_bytes;

	if (repeats_iv(r))
		because(r,
			"the HSM makes the IVs and gave the same one twice: two texts under "
			"one key and IV betray each other");
	else if (suffix_bytes != 0 && suffix_bytes != 12)
		because(r,
			"the HSM makes IVs of %u bytes, and there is room for 12; newer firmware "
			"of "
			"a Luna makes 12",
			suffix_bytes);
	else if (!r->works)
		because(r,
			"AES-GCM works with nobody's IV (%s with an IV of the caller's, %s with a "
			"zeroed buffer)",
			hsm_probe_rv_name(g[HSM_IV_OURS].rv),
			hsm_probe_rv_name(g[HSM_IV_BUFFER].rv));
	else
		because(r,
			"AES-GCM works, IV by %s, but no profile says so together with "
			"CKA_COPYABLE: "
			"%s, CKA_LOCAL: %s, a handle in another session: %s",
			hsm_iv_name(r->iv), hsm_probe_rv_name(r->key.copyable_rv),
			r->key.local ? "true" : "false",
			hsm_probe_rv_name(r->key.other_session_rv));
}

/* Did one of the worker's checks say no, or not come to its end? Then the reason is set. */
static bool
fails_checks(struct hsm_probe_report *r, const struct hsm_profile *row)
{
	const struct hsm_probe_checks *c = &r->checks;

	if (!c->ended || hsm_profile_at(c->row) != row)
		because(r, "the worker's checks under profile %s did not come to their end",
			row->name);
	else if (c->key_rv != CKR_OK)
		because(r, "the worker's checks of a key failed with %s",
			hsm_probe_rv_name(c->key_rv));
	else if (c->key.status != SLK_OK)
		because(r, "%s", c->key.text);
	else if (c->selftest_rv != CKR_OK)
		because(r, "the self-test failed with %s", hsm_probe_rv_name(c->selftest_rv));
	else if (c->selftest.status != SLK_OK)
		because(r, "%s", c->selftest.text);
	else if (c->caps_rv != CKR_OK)
		because(r, "asking which keys it makes failed with %s",
			hsm_probe_rv_name(c->caps_rv));
	else
		return false;
	return true;
}

/* Two of those that can be open are for the login and the keeper. */
static uint32_t
sessions_to_write(const struct hsm_probe_report *r, const struct hsm_profile *row)
{
	const uint32_t spare = HSM_PROBE_SESSIONS_MIN - 1;

	return r->sessions_rv == CKR_OK || r->sessions_opened >= row->sessions_count + spare
		? 0
		: r->sessions_opened - spare;
}

static void
accept(struct hsm_probe_report *r, const struct hsm_profile *row)
{
	r->verdict = HSM_PROBE_FITS;
	r->profile = row;
	r->sessions = sessions_to_write(r, row);
	because(r, "IV by %s, GCM parameters %s ulIvBits, object handles good in %s%s",
		hsm_iv_name(row->iv), row->layout == HSM_GCM_WITH_BITS ? "with" : "without",
		r->key.other_session_rv == CKR_OK ? "all sessions" : "one session",
		strcmp(row->name, "softhsm") == 0 || strcmp(row->name, "nss") == 0
			? "; the module's name says which"
			: "");
}

void
hsm_probe_judge(struct hsm_probe_report *r, const char *parameters)
{
	r->profile = NULL;
	r->sessions = 0;
	r->reason[0] = '\0';
	r->verdict = HSM_PROBE_REFUSED;
	if (r->mechanisms_count > 0 && lacks_mechanisms(r))
		return;
	if (r->err.status != SLK_OK || !r->finished || !r->logged_in) {
		r->verdict = HSM_PROBE_OPEN;
		because(r, "%s",
			r->err.status != SLK_OK
				? r->err.text
				: "that needs trials with a login (--token and --pin-file)");
		return;
	}
	if (is_unsafe(r))
		return;
	const struct hsm_profile *row = hsm_probe_choose(r, parameters);
	if (row == NULL)
		explain_no_row(r);
	else if (!fails_checks(r, row))
		accept(r, row);
}
