/* The probe's trials of sessions, generator and attributes; the worker's own checks; times. */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "hsm/aes.h"
#include "hsm/caps.h"
#include "hsm/probe_inner.h"
#include "hsm/selftest.h"

#define DRAWS 8u
#define TIMED_LIMIT_NS (3 * SLK_NS_PER_S)

static CK_RV
open_session(struct probe *p, CK_FLAGS more, CK_SESSION_HANDLE *out)
{
	return PROBE_CALL(
		p, C_OpenSession, p->token.slot, CKF_SERIAL_SESSION | more, NULL, NULL, out);
}

/* p->session is one of them. */
static void
try_sessions(struct probe *p)
{
	struct hsm_probe_report *r = p->report;
	CK_SESSION_HANDLE handles[HSM_PROBE_SESSIONS_MAX];
	uint32_t count = 0;

	r->read_only_rv = open_session(p, 0, &handles[0]);
	if (r->read_only_rv == CKR_OK)
		(void)PROBE_CALL(p, C_CloseSession, handles[0]);
	r->sessions_rv = CKR_OK;
	while (count + 1 < HSM_PROBE_SESSIONS_MAX && r->sessions_rv == CKR_OK) {
		r->sessions_rv = open_session(p, CKF_RW_SESSION, &handles[count]);
		count += r->sessions_rv == CKR_OK;
	}
	r->sessions_opened = count + 1;
	while (count > 0)
		(void)PROBE_CALL(p, C_CloseSession, handles[--count]);
}

static void
try_random(struct probe *p)
{
	uint8_t draws[DRAWS][32];

	for (unsigned i = 0; i < DRAWS; i++) {
		memset(draws[i], 0, sizeof(draws[i]));
		p->report->random_rv =
			PROBE_SESSION_CALL(p, C_GenerateRandom, draws[i], sizeof(draws[i]));
		if (p->report->random_rv != CKR_OK)
			return;
		p->report->random_repeats |= memcmp(draws[i], draws[i] + 16, 16) == 0;
		for (unsigned j = 0; j < i; j++)
			p->report->random_repeats |= memcmp(draws[i], draws[j], 32) == 0;
	}
}

static CK_RV
make_key(struct probe *p, bool with_copyable, CK_OBJECT_HANDLE *out)
{
	uint8_t id[HSM_KEY_ID_BYTES];

	if (slk_random(id, sizeof(id)) != SLK_OK)
		return CKR_FUNCTION_FAILED;
	return hsm_aes_generate(&p->session, id, false, with_copyable, out);
}

static void
read_attributes(struct probe *p)
{
	struct hsm_probe_key *k = &p->report->key;
	const CK_ATTRIBUTE_TYPE types[] = {CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE,
		CKA_NEVER_EXTRACTABLE, CKA_LOCAL, CKA_TOKEN};
	bool *outs[] = {&k->sensitive, &k->extractable, &k->always_sensitive, &k->never_extractable,
		&k->local, &k->on_token};

	k->read_rv = CKR_OK;
	for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
		CK_BBOOL yes = CK_FALSE;
		CK_ATTRIBUTE a = {types[i], &yes, sizeof(yes)};
		CK_RV rv = PROBE_SESSION_CALL(p, C_GetAttributeValue, p->key, &a, 1);
		if (rv != CKR_OK && k->read_rv == CKR_OK)
			k->read_rv = rv;
		*outs[i] = rv == CKR_OK && yes == CK_TRUE;
	}
	/* The length alone: were the key readable, it would still not come here. */
	CK_ATTRIBUTE value = {CKA_VALUE, NULL, 0};
	k->value_rv = PROBE_SESSION_CALL(p, C_GetAttributeValue, p->key, &value, 1);
	CK_ATTRIBUTE check = {CKA_CHECK_VALUE, k->check_value, sizeof(k->check_value)};
	k->check_value_rv = PROBE_SESSION_CALL(p, C_GetAttributeValue, p->key, &check, 1);
	if (k->check_value_rv == CKR_OK && check.ulValueLen != sizeof(k->check_value))
		k->check_value_rv = CKR_ATTRIBUTE_TYPE_INVALID; /* an empty one, of some */
}

static void
try_other_session(struct probe *p)
{
	CK_SESSION_HANDLE other;
	CK_BBOOL value = 0;
	CK_ATTRIBUTE a = {CKA_SENSITIVE, &value, sizeof(value)};

	if (open_session(p, CKF_RW_SESSION, &other) != CKR_OK)
		return;
	p->report->key.other_session_rv = PROBE_CALL(p, C_GetAttributeValue, other, p->key, &a, 1);
	(void)PROBE_CALL(p, C_CloseSession, other);
}

/* Made twice, for a token that does not know CKA_COPYABLE may say so in many ways. */
static void
try_key(struct probe *p)
{
	CK_OBJECT_HANDLE other;

	probe_step(p, "a session key and its attributes");
	p->report->key.copyable_rv = make_key(p, true, &other);
	if (p->report->key.copyable_rv == CKR_OK)
		(void)PROBE_SESSION_CALL(p, C_DestroyObject, other);
	p->report->key.rv = make_key(p, false, &p->key);
	if (p->report->key.rv != CKR_OK)
		return;
	read_attributes(p);
	try_other_session(p);
	probe_gcm(p);
}

/* --- what the worker does at its start, with the row that fits --- */

static uint32_t
row_index(const struct hsm_profile *row)
{
	uint32_t i = 0;

	while (hsm_profile_at(i) != row)
		i++;
	return i;
}

static void
run_checks(struct probe *p, const struct hsm_profile *row)
{
	struct hsm_probe_checks *c = &p->report->checks;
	struct hsm_substance substance;
	struct hsm_check check = {.err = {0}};

	p->options.profile = row;
	c->row = row_index(row);
	probe_step(p, "the worker's checks of a key");
	c->key_rv = hsm_kind_aes.verify(&p->session, NULL, p->key, &substance, &check);
	c->key = check.err;
	memcpy(c->kcv, check.kcv, sizeof(c->kcv));
	probe_step(p, "the worker's self-test");
	c->selftest_rv = hsm_selftest(&p->session, &c->selftest);
	probe_step(p, "which kinds of keys it makes");
	c->caps_rv = hsm_caps_probe(&p->session, p->report->slots[p->report->slot].serial);
	c->specs = atomic_load(&p->token.specs);
	c->algorithms = atomic_load(&p->token.algorithms);
	c->ended = true;
}

/* --- times --- */

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static CK_RV
draw_random(struct probe *p)
{
	uint8_t bytes[32];

	return PROBE_SESSION_CALL(p, C_GenerateRandom, bytes, sizeof(bytes));
}

/* As the worker wraps: with its IV. */
static CK_RV
wrap(struct probe *p)
{
	uint8_t data[32] = {0}, iv[HSM_IV_BYTES], out[sizeof(data) + HSM_GCM_SLACK];
	size_t len;

	return hsm_gcm_encrypt(&p->session, p->key, slk_span_str("sealock probe"),
		slk_span(data, sizeof(data)), iv, out, &len);
}

/* *out_count stays 0 if a call failed. */
static void
time_calls(struct probe *p, CK_RV (*call)(struct probe *), uint32_t *out_count, uint64_t *out_p50,
	uint64_t *out_p99)
{
	const struct slk_clock *clock = slk_clock_system();
	uint64_t times[PROBE_TIMED_COUNT], begun = slk_mono_ns(clock);
	uint32_t n = 0;

	while (n < PROBE_TIMED_COUNT && (n == 0 || slk_mono_ns(clock) - begun < TIMED_LIMIT_NS)) {
		uint64_t start = slk_mono_ns(clock);
		if (call(p) != CKR_OK)
			return;
		times[n++] = slk_mono_ns(clock) - start;
	}
	qsort(times, n, sizeof(times[0]), compare);
	*out_p50 = times[n / 2];
	*out_p99 = times[n * 99 / 100];
	*out_count = n;
}

static void
try_times(struct probe *p, bool wraps)
{
	struct hsm_probe_report *r = p->report;

	probe_step(p, "times");
	if (r->random_rv == CKR_OK)
		time_calls(p, draw_random, &r->random_count, &r->random_p50_ns, &r->random_p99_ns);
	if (wraps)
		time_calls(p, wrap, &r->encrypt_count, &r->encrypt_p50_ns, &r->encrypt_p99_ns);
}

void
probe_trials(struct probe *p)
{
	struct hsm_probe_report *r = p->report;

	probe_step(p, "how many sessions there can be");
	try_sessions(p);
	probe_step(p, "the random generator");
	try_random(p);
	try_key(p);
	const struct hsm_profile *row = hsm_probe_choose(r, p->request->module_parameters);
	if (row != NULL)
		run_checks(p, row);
	try_times(p, row != NULL);
	if (r->key.rv == CKR_OK)
		(void)PROBE_SESSION_CALL(p, C_DestroyObject, p->key);
}
