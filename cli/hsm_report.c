#include "hsm_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "keyspec.h"
#include "shapes.h"

static const char *const form_names[HSM_PROBE_FORMS] = {
	"IV of the caller's", "zeroed buffer", "CKM_CLOUDHSM_AES_GCM", "pIv NULL"};

/* "  label            value", of any length. */
static void
line(struct cli_out *out, const char *label, const char *value)
{
	cli_out_printf(out, "  %-40s ", label);
	cli_out_safe(out, slk_span_str(value));
	cli_out_text(out, "\n");
}

static void
line_rv(struct cli_out *out, const char *label, uint64_t rv)
{
	char text[80];

	snprintf(text, sizeof(text), "%s (0x%" PRIx64 ")", hsm_probe_rv_name(rv), rv);
	line(out, label, rv == HSM_PROBE_NOT_TRIED ? "not tried" : text);
}

static void
line_bool(struct cli_out *out, const char *label, bool yes)
{
	line(out, label, yes ? "true" : "false");
}

static void
hex_kcv(const uint8_t kcv[HSM_PROBE_KCV_BYTES], char out[2 * HSM_PROBE_KCV_BYTES + 1])
{
	snprintf(out, 2 * HSM_PROBE_KCV_BYTES + 1, "%02x%02x%02x", kcv[0], kcv[1], kcv[2]);
}

static void
print_slots(struct cli_out *out, const struct hsm_probe_report *r)
{
	char text[320];

	for (uint32_t i = 0; i < r->slots_count; i++) {
		const struct hsm_probe_slot *s = &r->slots[i];
		if (s->present)
			snprintf(text, sizeof(text),
				"%" PRIu64
				": token '%s', %s %s, serial %s, hardware %u.%u, firmware "
				"%u.%u, flags 0x%" PRIx64 "%s",
				s->id, s->label, s->manufacturer, s->model, s->serial,
				s->hardware_major, s->hardware_minor, s->firmware_major,
				s->firmware_minor, s->flags,
				r->slot == (int32_t)i ? "  <- probed" : "");
		else
			snprintf(text, sizeof(text), "%" PRIu64 ": no token (%s)", s->id,
				s->description);
		cli_shape_line(out, "slot", text);
	}
}

static void
print_other_mechanisms(struct cli_out *out, const struct hsm_probe_report *r)
{
	cli_out_text(out, "Others, of no use to Sealock:");
	for (uint32_t i = 0, n = 0; i < r->mechanisms_count; i++) {
		const struct hsm_probe_mechanism *m = &r->mechanisms[i];
		if (hsm_probe_use(m->type) == NULL)
			cli_out_printf(out, "%s0x%" PRIx64 "[%" PRIu64 "-%" PRIu64 "]",
				n++ % 6 == 0 ? "\n  " : " ", m->type, m->key_min, m->key_max);
	}
	cli_out_text(out, "\n");
}

static void
print_mechanisms(struct cli_out *out, const struct hsm_probe_report *r)
{
	uint64_t type;

	if (r->mechanisms_count == 0)
		return;
	cli_out_printf(out, "\nMechanisms (%u), those of use to Sealock\n", r->mechanisms_listed);
	for (uint32_t i = 0; i < r->mechanisms_count; i++) {
		const struct hsm_probe_mechanism *m = &r->mechanisms[i];
		if (hsm_probe_use(m->type) != NULL)
			cli_out_printf(out,
				"  0x%08" PRIx64 " %-26s keys %" PRIu64 "-%" PRIu64 "  %s\n",
				m->type, hsm_probe_mechanism_name(m->type), m->key_min, m->key_max,
				hsm_probe_use(m->type));
	}
	for (unsigned i = 0; (type = hsm_probe_ours(i)) != HSM_PROBE_NOT_TRIED; i++) {
		if (!hsm_probe_lists(r, type, 0))
			cli_out_printf(out, "  0x%08" PRIx64 " %-26s is not there: %s\n", type,
				hsm_probe_mechanism_name(type), hsm_probe_use(type));
	}
	print_other_mechanisms(out, r);
}

static void
print_forms(struct cli_out *out, const struct hsm_probe_report *r)
{
	for (unsigned i = 0; i < HSM_PROBE_LAYOUTS * HSM_PROBE_FORMS; i++) {
		unsigned layout = i / HSM_PROBE_FORMS, form = i % HSM_PROBE_FORMS;
		const struct hsm_probe_gcm *g = &r->gcm[layout][form];
		char label[64], text[160];
		bool wrote = g->rv == HSM_PROBE_OK &&
			((form == HSM_IV_OURS && !g->iv_kept) ||
				(form == HSM_IV_BUFFER && !g->zero_iv_used));
		snprintf(label, sizeof(label), "%s ulIvBits, %s",
			layout == HSM_GCM_WITH_BITS ? "with" : "without", form_names[form]);
		snprintf(text, sizeof(text), "%s%s%s%s%s", hsm_probe_rv_name(g->rv),
			g->round_trip ? ", comes back as it was" : "",
			g->zero_iv_used ? ", zeros are taken for an IV" : "",
			wrote ? ", the HSM wrote an IV" : "",
			g->same_iv && !g->zero_iv_used ? ", THE SAME IV TWICE" : "");
		line(out, label, text);
	}
}

static void
print_gcm(struct cli_out *out, const struct hsm_probe_report *r)
{
	char text[512] = "";
	size_t at = 0;

	cli_out_text(out, "\nAES-GCM\n");
	print_forms(out, r);
	line(out, "IV by", r->works ? hsm_iv_name(r->iv) : "nobody: no form works");
	for (unsigned i = 0; i < HSM_PROBE_TAGS && at < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u %s", i > 0 ? ", " : "",
			hsm_probe_tag_bits(i),
			r->tag_rv[i] == HSM_PROBE_OK ? "taken" : hsm_probe_rv_name(r->tag_rv[i]));
	line(out, "tags of so many bits", text);
	line_rv(out, "a changed tag is answered", r->bad_tag_rv);
	line(out, "empty AAD", "not tried: some builds crash, and Sealock never passes it");
	snprintf(text, sizeof(text), "%u bytes, a longer one: %s", r->data_max_bytes,
		r->data_rv == HSM_PROBE_OK ? "not tried" : hsm_probe_rv_name(r->data_rv));
	line(out, "longest text taken", text);
}

static void
print_sessions(struct cli_out *out, const struct hsm_probe_report *r)
{
	char text[128];

	cli_out_text(out, "\nSessions\n");
	line_rv(out, "read-write", r->read_write_rv);
	line_rv(out, "read-only", r->read_only_rv);
	snprintf(text, sizeof(text), "%u%s%s", r->sessions_opened,
		r->sessions_rv == HSM_PROBE_OK ? ", no more were tried" : ", then ",
		r->sessions_rv == HSM_PROBE_OK ? "" : hsm_probe_rv_name(r->sessions_rv));
	line(out, "open at once", text);
	snprintf(text, sizeof(text), "%" PRIu64, r->slots[r->slot].sessions_max);
	line(out, "limit that the token states",
		r->slots[r->slot].sessions_max != 0 ? text : "none");
}

static void
print_key(struct cli_out *out, const struct hsm_probe_report *r)
{
	const struct hsm_probe_key *k = &r->key;
	char kcv[2 * HSM_PROBE_KCV_BYTES + 1], text[64];

	cli_out_text(out, "\nA session AES-256 key, made and read back\n");
	line_rv(out, "made", k->rv);
	line_rv(out, "with CKA_COPYABLE", k->copyable_rv);
	line_rv(out, "attributes read", k->read_rv);
	line_bool(out, "CKA_SENSITIVE", k->sensitive);
	line_bool(out, "CKA_EXTRACTABLE", k->extractable);
	line_bool(out, "CKA_ALWAYS_SENSITIVE", k->always_sensitive);
	line_bool(out, "CKA_NEVER_EXTRACTABLE", k->never_extractable);
	line_bool(out, "CKA_LOCAL", k->local);
	line_bool(out, "CKA_TOKEN (asked for: false)", k->on_token);
	line_rv(out, "asking for its value", k->value_rv);
	line_rv(out, "its handle in another session", k->other_session_rv);
	hex_kcv(r->checks.kcv, kcv);
	line(out, "check value, computed",
		r->checks.key_rv == HSM_PROBE_OK ? kcv : hsm_probe_rv_name(r->checks.key_rv));
	hex_kcv(k->check_value, text);
	line(out, "check value, CKA_CHECK_VALUE",
		k->check_value_rv == HSM_PROBE_OK ? text : hsm_probe_rv_name(k->check_value_rv));
}

static void
print_checks(struct cli_out *out, const struct hsm_probe_report *r)
{
	const struct hsm_probe_checks *c = &r->checks;
	const struct hsm_profile *row = hsm_profile_at(c->row);

	cli_out_text(out, "\nThe worker's own checks\n");
	if (row == NULL) {
		line(out, "under no profile", "not begun: none fits");
		return;
	}
	line(out, "under profile", row->name);
	line(out, "a key",
		c->key_rv != HSM_PROBE_OK         ? hsm_probe_rv_name(c->key_rv)
			: c->key.status != SLK_OK ? c->key.text
						  : "served");
	line(out, "self-test",
		c->selftest_rv != HSM_PROBE_OK         ? hsm_probe_rv_name(c->selftest_rv)
			: c->selftest.status != SLK_OK ? c->selftest.text
						       : "passed");
	line_rv(out, "asked which keys it makes", c->caps_rv);
	for (int s = 0; s < KMS_SPEC_COUNT; s++) {
		if ((c->specs & KMS_BIT(s)) != 0)
			line(out, "makes keys", kms_spec_name((enum kms_spec)s));
	}
}

static void
print_times(struct cli_out *out, const struct hsm_probe_report *r)
{
	char text[128];

	cli_out_text(out, "\nTimes, one call after the other\n");
	snprintf(text, sizeof(text), "p50 %.1f us, p99 %.1f us of %u calls",
		(double)r->random_p50_ns / 1e3, (double)r->random_p99_ns / 1e3, r->random_count);
	line(out, "32 random bytes", r->random_count > 0 ? text : "not timed");
	snprintf(text, sizeof(text), "p50 %.1f us, p99 %.1f us of %u wraps",
		(double)r->encrypt_p50_ns / 1e3, (double)r->encrypt_p99_ns / 1e3, r->encrypt_count);
	line(out, "32 bytes wrapped, with the IV", r->encrypt_count > 0 ? text : "not timed");
}

static void
print_trials(struct cli_out *out, const struct hsm_probe_report *r)
{
	print_sessions(out, r);
	cli_out_text(out, "\nRandom generator\n");
	line_rv(out, "answers", r->random_rv);
	line_bool(out, "repeats itself", r->random_repeats);
	print_key(out, r);
	print_gcm(out, r);
	print_checks(out, r);
	print_times(out, r);
}

static void
print_refusal(void *ctx, const char *what, const char *why)
{
	line(ctx, what, why);
}

static void
print_setting(void *ctx, const char *name, const char *value, bool number)
{
	struct cli_out *out = ctx;

	cli_out_printf(out, "  %s: %s", name, number ? "" : "\"");
	while (*value != '\0') { /* YAML's double quotes take the escapes of cli_out_safe(), too */
		size_t plain = strcspn(value, "\"\\\t\n");
		cli_out_safe(out, slk_span(value, plain));
		value += plain;
		if (*value != '\0')
			cli_out_printf(out, "\\x%02x", (unsigned char)*value++);
	}
	cli_out_text(out, number ? "\n" : "\"\n");
}

static void
print_verdict(
	struct cli_out *out, const struct hsm_probe_request *q, const struct hsm_probe_report *r)
{
	char text[128];

	cli_out_text(out, "\n");
	snprintf(text, sizeof(text), "the last call was %s, for %s",
		r->call[0] != '\0' ? r->call : "its loading", r->step);
	if (!r->finished)
		cli_shape_line(out, "not finished", text);
	cli_shape_line(out, "verdict", cli_hsm_verdict_name(r->verdict));
	cli_shape_line(out, "profile", r->profile != NULL ? r->profile->name : "none");
	cli_shape_line(out, "because", r->reason);
	if (r->verdict == HSM_PROBE_OPEN)
		return;
	cli_out_text(out, "\nkmsd would refuse\n");
	if (cli_hsm_refusals(r, print_refusal, out) == 0)
		line(out, "nothing", "");
	if (r->verdict != HSM_PROBE_FITS)
		return;
	cli_out_text(out, "\nFor kmsd.yaml\n\nhsm:\n");
	cli_hsm_settings(q, r, print_setting, out);
}

void
cli_hsm_report_text(
	struct cli_out *out, const struct hsm_probe_request *q, const struct hsm_probe_report *r)
{
	char text[160];

	cli_shape_line(out, "module", q->module);
	if (r->initialised) {
		snprintf(text, sizeof(text), "%s, %s %u.%u, Cryptoki %u.%u", r->manufacturer,
			r->library, r->library_major, r->library_minor, r->cryptoki_major,
			r->cryptoki_minor);
		cli_shape_line(out, "library", text);
	}
	print_slots(out, r);
	print_mechanisms(out, r);
	if (r->logged_in && r->slot >= 0)
		print_trials(out, r);
	print_verdict(out, q, r);
}
