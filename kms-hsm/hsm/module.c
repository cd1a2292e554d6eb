#include "hsm/module.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* NSS softokn takes a parameter string between the flags and pReserved. */
struct nss_init_args {
	CK_CREATEMUTEX create;
	CK_DESTROYMUTEX destroy;
	CK_LOCKMUTEX lock;
	CK_UNLOCKMUTEX unlock;
	CK_FLAGS flags;
	char *parameters;
	void *reserved;
};

/* A module is code that will hold the keys: whoever can write it owns them. */
static int
check_file(const char *path, struct slk_error *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return slk_fail(err, SLK_CONFIG,
			"there is no PKCS#11 module at %s; is the vendor's package installed and "
			"hsm.module right?",
			path);
	if (!S_ISREG(st.st_mode))
		return slk_fail(err, SLK_CONFIG, "PKCS#11 module %s is not a regular file", path);
	if ((st.st_mode & S_IWOTH) != 0)
		return slk_fail(err, SLK_DENIED,
			"PKCS#11 module %s is writable by everybody; run: chmod o-w %s", path,
			path);
	return SLK_OK;
}

int
hsm_module_load(
	const struct hsm_options *options, struct hsm_module *out_module, struct slk_error *err)
{
	const char *path = options->module;

	int rc = check_file(path, err);
	if (rc != SLK_OK)
		return rc;
	if (setenv("OPENSSL_CONF", "/dev/null", 1) != 0 ||
		(options->softhsm_conf != NULL &&
			setenv("SOFTHSM2_CONF", options->softhsm_conf, 1) != 0))
		return slk_fail_errno(err, "cannot set the module's environment");
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		return slk_fail(
			err, SLK_CONFIG, "cannot load PKCS#11 module %s: %s", path, dlerror());
	/* POSIX's dlsym gives functions as object pointers. */
	CK_RV (*get_list)(CK_FUNCTION_LIST **);
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	CK_FUNCTION_LIST *fn = NULL;
	if (get_list == NULL || get_list(&fn) != CKR_OK || fn == NULL)
		return slk_fail(err, SLK_CONFIG,
			"%s is not a PKCS#11 module: it gives no function list", path);
	if (fn->version.major != 2 && fn->version.major != 3)
		return slk_fail(err, SLK_CONFIG,
			"PKCS#11 module %s speaks version %u.%u; 2.x is needed", path,
			fn->version.major, fn->version.minor);
	*out_module = (struct hsm_module){.library = library,
		.fn = fn,
		.init = options->profile->init,
		.parameters = options->module_parameters};
	return SLK_OK;
}

CK_RV
hsm_module_initialise(struct hsm_module *module)
{
	CK_C_INITIALIZE_ARGS plain = {.flags = CKF_OS_LOCKING_OK};
	struct nss_init_args nss = {
		.flags = CKF_OS_LOCKING_OK, .parameters = (char *)module->parameters};
	void *args = &plain;

	if (module->init == HSM_INIT_PARAMETERS)
		plain.pReserved = (void *)module->parameters;
	else if (module->init == HSM_INIT_NSS)
		args = &nss;
	CK_RV rv = module->fn->C_Initialize(args);
	module->initialised = rv == CKR_OK;
	return rv;
}

void
hsm_module_finalise(struct hsm_module *module)
{
	if (!module->initialised)
		return;
	(void)module->fn->C_Finalize(NULL);
	module->initialised = false;
}

void
hsm_module_text(const unsigned char *field, size_t len, char *out)
{
	while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == '\0'))
		len--;
	memcpy(out, field, len);
	out[len] = '\0';
}
