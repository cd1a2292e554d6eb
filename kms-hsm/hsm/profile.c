#include "hsm/profile.h"

#include <stddef.h>
#include <string.h>

/* softhsm: eight threads are no faster than one, and its token directory is not safe for two
 * processes. generic: a token that keeps to PKCS#11 2.40 and takes the caller's IV. cloudhsm-like
 * rules (IV from the HSM, handles per session) are spelled out so that they can be tested with the
 * fault shim; the vendor's own library has not been tried. */
static const struct hsm_profile profiles[] = {
	{.name = "softhsm",
		.iv_from_hsm = false,
		.one_process = true,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_ALLOW,
		.sessions_count = 2,
		.data_max_bytes = 65536},
	{.name = "generic",
		.iv_from_hsm = false,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_DENY,
		.sessions_count = 4,
		.data_max_bytes = 16224},
	{.name = "generic-hsm-iv",
		.iv_from_hsm = true,
		.handles_per_session = true,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_DENY,
		.sessions_count = 4,
		.data_max_bytes = 16224},
	{.name = "nss",
		.iv_from_hsm = false,
		.one_process = true,
		.init = HSM_INIT_NSS,
		.sandbox = HSM_SANDBOX_DENY,
		.sessions_count = 2,
		.data_max_bytes = 16224},
};

const struct hsm_profile *
hsm_profile_find(const char *name)
{
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	return NULL;
}

const char *
hsm_profile_names(void)
{
	return "softhsm, generic, generic-hsm-iv and nss";
}
