/* How the report of `sealock hsm probe` looks, for people and as JSON. Thread: the process has one. */
#ifndef SLK_CLI_HSM_REPORT_H
#define SLK_CLI_HSM_REPORT_H

#include "hsm/probe.h"
#include "out.h"

/* request: what was asked, for the configuration that is proposed. */
void cli_hsm_report_text(struct cli_out *out, const struct hsm_probe_request *request,
	const struct hsm_probe_report *report);
void cli_hsm_report_json(struct cli_out *out, const struct hsm_probe_request *request,
	const struct hsm_probe_report *report);

/* --- what both share --- */

/* Calls each() for everything that kmsd would refuse on this token, and why; how much that is. */
typedef void (*cli_hsm_refusal_fn)(void *ctx, const char *what, const char *why);
unsigned cli_hsm_refusals(
	const struct hsm_probe_report *report, cli_hsm_refusal_fn each, void *ctx);

/* Calls each() for the lines of kmsd.yaml below "hsm:"; none unless a profile fits. number: the value is one. */
typedef void (*cli_hsm_setting_fn)(void *ctx, const char *name, const char *value, bool number);
void cli_hsm_settings(const struct hsm_probe_request *request,
	const struct hsm_probe_report *report, cli_hsm_setting_fn each, void *ctx);

/* "fits", "refused", "open". Static storage. */
const char *cli_hsm_verdict_name(enum hsm_probe_verdict verdict);

#endif
