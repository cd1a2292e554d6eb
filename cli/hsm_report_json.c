/* The report of `sealock hsm probe` as JSON; names are listed in README.md. */
#include "hsm_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyspec.h"

static const char *const form_keys[HSM_PROBE_FORMS] = {"caller", "zero_buffer", "prefix", "null"};

static void
json_rv(yajl_gen json, const char *key, uint64_t rv)
{
	char text[64];

	snprintf(text, sizeof(text), "0x%" PRIx64, rv);
	bool nameless = strcmp(hsm_probe_rv_name(rv), "CKR_?") == 0; /* a vendor's own */
	cli_json_str(json, key, nameless ? text : hsm_probe_rv_name(rv));
}

static void
json_version(yajl_gen json, const char *key, unsigned major, unsigned minor)
{
	char text[16];

	snprintf(text, sizeof(text), "%u.%u", major, minor);
	cli_json_str(json, key, text);
}

static void
json_kcv(yajl_gen json, const char *key, const uint8_t kcv[HSM_PROBE_KCV_BYTES], uint64_t rv)
{
	char text[2 * HSM_PROBE_KCV_BYTES + 1];

	snprintf(text, sizeof(text), "%02x%02x%02x", kcv[0], kcv[1], kcv[2]);
	cli_json_str(json, key, rv == HSM_PROBE_OK ? text : hsm_probe_rv_name(rv));
}

static void
json_slots(yajl_gen json, const struct hsm_probe_report *r)
{
	cli_json_key(json, "slots");
	cli_json_array(json);
	for (uint32_t i = 0; i < r->slots_count; i++) {
		const struct hsm_probe_slot *s = &r->slots[i];
		cli_json_map(json);
		cli_json_u64(json, "id", s->id);
		cli_json_str(json, "description", s->description);
		cli_json_bool(json, "token_present", s->present);
		cli_json_str(json, "label", s->label);
		cli_json_str(json, "manufacturer", s->manufacturer);
		cli_json_str(json, "model", s->model);
		cli_json_str(json, "serial", s->serial);
		json_version(json, "hardware_version", s->hardware_major, s->hardware_minor);
		json_version(json, "firmware_version", s->firmware_major, s->firmware_minor);
		cli_json_u64(json, "flags", s->flags);
		cli_json_u64(json, "sessions_max", s->sessions_max);
		cli_json_bool(json, "probed", r->slot == (int32_t)i);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_mechanisms(yajl_gen json, const struct hsm_probe_report *r)
{
	cli_json_key(json, "mechanisms");
	cli_json_array(json);
	for (uint32_t i = 0; i < r->mechanisms_count; i++) {
		const struct hsm_probe_mechanism *m = &r->mechanisms[i];
		cli_json_map(json);
		cli_json_u64(json, "type", m->type);
		cli_json_u64(json, "flags", m->flags);
		cli_json_u64(json, "key_min", m->key_min);
		cli_json_u64(json, "key_max", m->key_max);
		if (hsm_probe_use(m->type) != NULL) {
			cli_json_str(json, "name", hsm_probe_mechanism_name(m->type));
			cli_json_str(json, "use", hsm_probe_use(m->type));
		}
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_form(yajl_gen json, const char *key, const struct hsm_probe_gcm *g)
{
	cli_json_key(json, key);
	cli_json_map(json);
	json_rv(json, "result", g->rv);
	cli_json_bool(json, "round_trip", g->round_trip);
	cli_json_bool(json, "iv_kept", g->iv_kept);
	cli_json_bool(json, "zero_iv_used", g->zero_iv_used);
	cli_json_bool(json, "same_iv", g->same_iv);
	cli_json_u64(json, "iv_bytes", g->iv_bytes);
	cli_json_map_end(json);
}

static void
json_gcm(yajl_gen json, const struct hsm_probe_report *r)
{
	char key[48];

	cli_json_key(json, "gcm");
	cli_json_map(json);
	for (unsigned i = 0; i < HSM_PROBE_LAYOUTS * HSM_PROBE_FORMS; i++) {
		unsigned layout = i / HSM_PROBE_FORMS, form = i % HSM_PROBE_FORMS;
		snprintf(key, sizeof(key), "%s_%s",
			layout == HSM_GCM_WITH_BITS ? "with_bits" : "without_bits",
			form_keys[form]);
		json_form(json, key, &r->gcm[layout][form]);
	}
	cli_json_str(json, "iv_by", r->works ? hsm_iv_name(r->iv) : "");
	for (unsigned i = 0; i < HSM_PROBE_TAGS; i++) {
		snprintf(key, sizeof(key), "tag_%u", hsm_probe_tag_bits(i));
		json_rv(json, key, r->tag_rv[i]);
	}
	json_rv(json, "changed_tag", r->bad_tag_rv);
	cli_json_u64(json, "data_max_bytes", r->data_max_bytes);
	json_rv(json, "longer_data", r->data_rv);
	cli_json_map_end(json);
}

static void
json_key(yajl_gen json, const struct hsm_probe_report *r)
{
	const struct hsm_probe_key *k = &r->key;

	cli_json_key(json, "key");
	cli_json_map(json);
	json_rv(json, "made", k->rv);
	json_rv(json, "copyable", k->copyable_rv);
	json_rv(json, "read", k->read_rv);
	cli_json_bool(json, "sensitive", k->sensitive);
	cli_json_bool(json, "extractable", k->extractable);
	cli_json_bool(json, "always_sensitive", k->always_sensitive);
	cli_json_bool(json, "never_extractable", k->never_extractable);
	cli_json_bool(json, "local", k->local);
	cli_json_bool(json, "on_token", k->on_token);
	json_rv(json, "value", k->value_rv);
	json_rv(json, "other_session", k->other_session_rv);
	json_kcv(json, "kcv", r->checks.kcv, r->checks.key_rv);
	json_kcv(json, "check_value", k->check_value, k->check_value_rv);
	cli_json_map_end(json);
}

static void
json_specs(yajl_gen json, const struct hsm_probe_checks *c)
{
	cli_json_key(json, "specs");
	cli_json_array(json);
	for (int s = 0; s < KMS_SPEC_COUNT; s++) {
		if ((c->specs & KMS_BIT(s)) != 0)
			cli_json_text(json, kms_spec_name((enum kms_spec)s));
	}
	cli_json_array_end(json);
	cli_json_key(json, "algorithms");
	cli_json_array(json);
	for (int a = 0; a < KMS_ALG_COUNT; a++) {
		if ((c->algorithms & KMS_BIT(a)) != 0)
			cli_json_text(json, kms_algorithm_name((enum kms_algorithm)a));
	}
	cli_json_array_end(json);
}

static void
json_checks(yajl_gen json, const struct hsm_probe_checks *c)
{
	const struct hsm_profile *row = hsm_profile_at(c->row);

	cli_json_key(json, "checks");
	cli_json_map(json);
	cli_json_str(json, "profile", row != NULL ? row->name : "");
	cli_json_bool(json, "ended", c->ended);
	json_rv(json, "key", c->key_rv);
	cli_json_str(json, "key_refused", c->key.text);
	json_rv(json, "selftest", c->selftest_rv);
	cli_json_str(json, "selftest_refused", c->selftest.text);
	json_rv(json, "kinds", c->caps_rv);
	json_specs(json, c);
	cli_json_map_end(json);
}

static void
json_trials(yajl_gen json, const struct hsm_probe_report *r)
{
	cli_json_key(json, "sessions");
	cli_json_map(json);
	json_rv(json, "read_write", r->read_write_rv);
	json_rv(json, "read_only", r->read_only_rv);
	cli_json_u64(json, "opened", r->sessions_opened);
	json_rv(json, "one_more", r->sessions_rv);
	cli_json_map_end(json);
	json_rv(json, "random", r->random_rv);
	cli_json_bool(json, "random_repeats", r->random_repeats);
	json_key(json, r);
	json_gcm(json, r);
	json_checks(json, &r->checks);
	cli_json_key(json, "times");
	cli_json_map(json);
	cli_json_u64(json, "random_count", r->random_count);
	cli_json_u64(json, "random_p50_ns", r->random_p50_ns);
	cli_json_u64(json, "random_p99_ns", r->random_p99_ns);
	cli_json_u64(json, "wrap_count", r->encrypt_count);
	cli_json_u64(json, "wrap_p50_ns", r->encrypt_p50_ns);
	cli_json_u64(json, "wrap_p99_ns", r->encrypt_p99_ns);
	cli_json_map_end(json);
}

static void
json_refusal(void *ctx, const char *what, const char *why)
{
	cli_json_map(ctx);
	cli_json_str(ctx, "what", what);
	cli_json_str(ctx, "why", why);
	cli_json_map_end(ctx);
}

static void
json_setting(void *ctx, const char *name, const char *value, bool number)
{
	if (number)
		cli_json_u64(ctx, name, strtoull(value, NULL, 10));
	else
		cli_json_str(ctx, name, value);
}

static void
json_verdict(yajl_gen json, const struct hsm_probe_request *q, const struct hsm_probe_report *r)
{
	cli_json_str(json, "verdict", cli_hsm_verdict_name(r->verdict));
	cli_json_str(json, "profile", r->profile != NULL ? r->profile->name : "");
	cli_json_str(json, "reason", r->reason);
	cli_json_key(json, "refusals");
	cli_json_array(json);
	(void)cli_hsm_refusals(r, json_refusal, json);
	cli_json_array_end(json);
	cli_json_key(json, "configuration");
	cli_json_map(json);
	cli_hsm_settings(q, r, json_setting, json);
	cli_json_map_end(json);
}

void
cli_hsm_report_json(
	struct cli_out *out, const struct hsm_probe_request *q, const struct hsm_probe_report *r)
{
	yajl_gen json = cli_json_begin(out, false);

	cli_json_map(json);
	cli_json_str(json, "module", q->module);
	cli_json_bool(json, "finished", r->finished);
	cli_json_str(json, "last_call", r->call);
	cli_json_str(json, "last_step", r->step);
	cli_json_str(json, "manufacturer", r->manufacturer);
	cli_json_str(json, "library", r->library);
	json_version(json, "library_version", r->library_major, r->library_minor);
	json_version(json, "cryptoki_version", r->cryptoki_major, r->cryptoki_minor);
	json_slots(json, r);
	json_mechanisms(json, r);
	cli_json_bool(json, "logged_in", r->logged_in);
	if (r->logged_in)
		json_trials(json, r);
	json_verdict(json, q, r);
	cli_json_map_end(json);
	cli_json_end(json);
}
