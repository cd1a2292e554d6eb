/* What follows from a report of `sealock hsm probe`: what kmsd would refuse, and what to configure. */
#include "hsm_report.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "keyspec.h"

#define WRAPPED_MAX 4096u /* bytes that Encrypt takes, as AWS KMS */

const char *
cli_hsm_verdict_name(enum hsm_probe_verdict verdict)
{
	return verdict == HSM_PROBE_FITS ? "fits" : verdict == HSM_PROBE_OPEN ? "open" : "refused";
}

/* Algorithms that the keys which the token makes would have on a token that can do everything. */
static uint32_t
algorithms_of(uint32_t specs)
{
	uint32_t all = 0;

	for (int s = 0; s < KMS_SPEC_COUNT; s++) {
		for (int u = 0; u < KMS_USAGE_COUNT && (specs & KMS_BIT(s)) != 0; u++)
			all |= kms_spec_algorithms((enum kms_spec)s, (enum kms_usage)u);
	}
	return all;
}

static unsigned
refused_specs(uint32_t specs, cli_hsm_refusal_fn each, void *ctx)
{
	unsigned count = 0;
	char what[80];

	for (int s = 0; s < KMS_SPEC_COUNT; s++) {
		if ((specs & KMS_BIT(s)) != 0)
			continue;
		snprintf(what, sizeof(what), "CreateKey %s", kms_spec_name((enum kms_spec)s));
		each(ctx, what, "UnsupportedOperationException: the token does not make such keys");
		count++;
	}
	return count;
}

static unsigned
refused_algorithms(uint32_t missing, cli_hsm_refusal_fn each, void *ctx)
{
	unsigned count = 0;

	for (int a = 0; a < KMS_ALG_COUNT; a++) {
		if ((missing & KMS_BIT(a)) == 0)
			continue;
		each(ctx, kms_algorithm_name((enum kms_algorithm)a),
			"UnsupportedOperationException: the token does not take its parameters");
		count++;
	}
	return count;
}

unsigned
cli_hsm_refusals(const struct hsm_probe_report *r, cli_hsm_refusal_fn each, void *ctx)
{
	const struct hsm_probe_checks *c = &r->checks;
	unsigned count = 0;
	char what[64];

	if (r->verdict == HSM_PROBE_REFUSED) {
		each(ctx, "everything", r->reason);
		count++;
	}
	if (c->ended && c->caps_rv == HSM_PROBE_OK) {
		count += refused_specs(c->specs, each, ctx);
		count += refused_algorithms(algorithms_of(c->specs) & ~c->algorithms, each, ctx);
	}
	if (r->works && r->data_max_bytes < WRAPPED_MAX) {
		snprintf(what, sizeof(what), "Encrypt of more than %u bytes", r->data_max_bytes);
		each(ctx, what, hsm_probe_rv_name(r->data_rv));
		count++;
	}
	return count;
}

static void
set_path(cli_hsm_setting_fn each, void *ctx, const char *name, const char *path)
{
	char whole[PATH_MAX];

	if (path == NULL)
		return;
	each(ctx, name, path[0] != '/' && realpath(path, whole) != NULL ? whole : path, false);
}

void
cli_hsm_settings(const struct hsm_probe_request *q, const struct hsm_probe_report *r,
	cli_hsm_setting_fn each, void *ctx)
{
	char number[16];

	if (r->verdict != HSM_PROBE_FITS)
		return;
	each(ctx, "profile", r->profile->name, false);
	set_path(each, ctx, "module", q->module);
	each(ctx, "token_label", r->slots[r->slot].label, false);
	each(ctx, "token_serial", r->slots[r->slot].serial, false);
	set_path(each, ctx, "pin_file", q->pin_file);
	set_path(each, ctx, "state_file", q->state_file);
	set_path(each, ctx, "softhsm_conf", q->softhsm_conf);
	if (q->module_parameters != NULL)
		each(ctx, "module_parameters", q->module_parameters, false);
	snprintf(number, sizeof(number), "%u", r->sessions);
	if (r->sessions != 0)
		each(ctx, "sessions", number, true);
}
