#include "hsm/profile.h"

#include <string.h>
#include <strings.h>

#define GCM 0x1087u /* CKM_AES_GCM */
#define CLOUDHSM_GCM 0x80001087u /* CKM_CLOUDHSM_AES_GCM of cloudhsm_pkcs11_vendor_defs.h */
#define CLOUDHSM_DATA_MAX 16224u /* the vendor's limit of one AES-GCM call */

/* softhsm: eight threads are no faster than one, and its token directory is not safe for two processes. nss: its
 * database is a library's, too; softokn 3.87 gives CKR_GENERAL_ERROR to CKA_COPYABLE, and keeps no CKA_LOCAL. cloudhsm: read-write sessions only, and an object handle is good in one session; the
 * vendor's limit is for clients of the whole cluster, so a few sessions each. luna-fips: from firmware 7.9.3 on, where
 * the length of the IV can be asked for; older firmware makes one of 16 bytes, for which our blobs have no room. generic: a
 * token that keeps to PKCS#11 2.40; one process, for nothing is known of what two would do. */
static const struct hsm_profile profiles[] = {
	{.name = "softhsm",
		.iv = HSM_IV_OURS,
		.mechanism = GCM,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_ALLOW,
		.store_unflushed = true,
		.one_process = true,
		.one_at_a_time = true,
		.workers_count = 1,
		.workers_max = 1,
		.sessions_count = 2,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = 65536},
	{.name = "nss",
		.iv = HSM_IV_OURS,
		.mechanism = GCM,
		.init = HSM_INIT_NSS,
		.sandbox = HSM_SANDBOX_DENY,
		.copyable_unknown = true,
		.local_unset = true,
		.one_process = true,
		.workers_count = 1,
		.workers_max = 1,
		.sessions_count = 2,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = 65536},
	{.name = "cloudhsm",
		.iv = HSM_IV_BUFFER,
		.mechanism = GCM,
		.login = HSM_LOGIN_USER_PASSWORD,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_DENY,
		.handles_per_session = true,
		.workers_count = 2,
		.workers_max = HSM_WORKERS_MAX,
		.sessions_count = 4,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = CLOUDHSM_DATA_MAX},
	{.name = "cloudhsm-prefix",
		.iv = HSM_IV_PREFIX,
		.mechanism = CLOUDHSM_GCM,
		.login = HSM_LOGIN_USER_PASSWORD,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_DENY,
		.handles_per_session = true,
		.workers_count = 2,
		.workers_max = HSM_WORKERS_MAX,
		.sessions_count = 4,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = CLOUDHSM_DATA_MAX},
	{.name = "luna-fips",
		.iv = HSM_IV_SUFFIX,
		.mechanism = GCM,
		.init = HSM_INIT_PLAIN,
		.sandbox = HSM_SANDBOX_DENY,
		.workers_count = 2,
		.workers_max = HSM_WORKERS_MAX,
		.sessions_count = 4,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = CLOUDHSM_DATA_MAX},
	{.name = "generic",
		.iv = HSM_IV_OURS,
		.mechanism = GCM,
		.init = HSM_INIT_PARAMETERS,
		.sandbox = HSM_SANDBOX_DENY,
		.workers_count = 1,
		.workers_max = HSM_WORKERS_MAX,
		.sessions_count = 4,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = CLOUDHSM_DATA_MAX},
	{.name = "generic-no-bits",
		.iv = HSM_IV_OURS,
		.layout = HSM_GCM_WITHOUT_BITS,
		.mechanism = GCM,
		.init = HSM_INIT_PARAMETERS,
		.sandbox = HSM_SANDBOX_DENY,
		.workers_count = 1,
		.workers_max = HSM_WORKERS_MAX,
		.sessions_count = 4,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = CLOUDHSM_DATA_MAX},
	{.name = "generic-hsm-iv",
		.iv = HSM_IV_BUFFER,
		.mechanism = GCM,
		.init = HSM_INIT_PARAMETERS,
		.sandbox = HSM_SANDBOX_DENY,
		.workers_count = 1,
		.workers_max = HSM_WORKERS_MAX,
		.sessions_count = 4,
		.sessions_max = HSM_SESSIONS_MAX,
		.data_max_bytes = CLOUDHSM_DATA_MAX},
};
#define PROFILES_COUNT (sizeof(profiles) / sizeof(profiles[0]))

const struct hsm_profile *
hsm_profile_find(const char *name)
{
	for (size_t i = 0; i < PROFILES_COUNT; i++) {
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	}
	return NULL;
}

const struct hsm_profile *
hsm_profile_at(size_t index)
{
	return index < PROFILES_COUNT ? &profiles[index] : NULL;
}

const char *
hsm_profile_names(void)
{
	return "softhsm, nss, cloudhsm, cloudhsm-prefix, luna-fips, generic, generic-no-bits and "
	       "generic-hsm-iv";
}

const char *
hsm_profile_refusal(const char *name)
{
	if (strncasecmp(name, "yubihsm", 7) == 0)
		return "a YubiHSM 2 has no AES-GCM in its PKCS#11 module, and keys are wrapped "
		       "with AES-GCM "
		       "in the HSM; nothing is done in software instead, so it cannot serve";
	if (strncasecmp(name, "nitrokey", 8) == 0)
		return "a Nitrokey HSM has no AES, and keys are wrapped with AES-GCM in the HSM; "
		       "it cannot "
		       "serve";
	return "there are softhsm, nss, cloudhsm, cloudhsm-prefix, luna-fips, generic, "
	       "generic-no-bits and "
	       "generic-hsm-iv; `sealock hsm probe MODULE` proposes one";
}

const char *
hsm_profile_login_fault(const struct hsm_profile *profile, const uint8_t *pin, size_t len)
{
	if (profile->login == HSM_LOGIN_PIN)
		return NULL;
	const uint8_t *colon = memchr(pin, ':', len);
	if (colon == NULL)
		return "this HSM logs in as a crypto user, and the PIN file must hold "
		       "user:password; it "
		       "holds no colon";
	size_t user = (size_t)(colon - pin), password = len - user - 1;
	if (user < 1 || user > 31)
		return "the user in the PIN file (before the colon) must have 1 to 31 bytes";
	if (password < 7 || password > 32)
		return "the password in the PIN file (behind the colon) must have 7 to 32 bytes";
	return NULL;
}

const char *
hsm_iv_name(enum hsm_iv_from iv)
{
	switch (iv) {
	case HSM_IV_OURS:
		return "caller";
	case HSM_IV_BUFFER:
		return "hsm (buffer)";
	case HSM_IV_PREFIX:
		return "hsm (prefix)";
	case HSM_IV_SUFFIX:
		break;
	}
	return "hsm (suffix)";
}
