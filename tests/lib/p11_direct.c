#include "slk_test.h"

#include "p11_direct.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS_MAX 16u

void
p11_direct_check(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	fprintf(stderr, "%s: 0x%lx\n", what, rv);
	_exit(1);
}

CK_OBJECT_HANDLE
p11_direct_find(struct p11_direct *d, CK_OBJECT_CLASS class, uint8_t fill)
{
	uint8_t id[16];
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_ID, id, sizeof(id)}};
	CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
	CK_ULONG count = 0;

	memset(id, fill, sizeof(id));
	p11_direct_check(d->fn->C_FindObjectsInit(d->session, template, 2), "C_FindObjectsInit");
	p11_direct_check(d->fn->C_FindObjects(d->session, &handle, 1, &count), "C_FindObjects");
	p11_direct_check(d->fn->C_FindObjectsFinal(d->session), "C_FindObjectsFinal");
	p11_direct_check(count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID, "no object of that id");
	return handle;
}

static CK_SLOT_ID
find_slot(CK_FUNCTION_LIST *fn, const char *label)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;
	CK_TOKEN_INFO info;
	size_t len = strlen(label);

	p11_direct_check(fn->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
	for (CK_ULONG i = 0; i < count; i++) {
		p11_direct_check(fn->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
		if (memcmp(info.label, label, len) == 0 && info.label[len] == ' ')
			return slots[i];
	}
	p11_direct_check(CKR_TOKEN_NOT_PRESENT, "no token of that label");
	return 0;
}

static void
run(struct hsm_rig *rig, p11_direct_fn body, uint8_t fill)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	CK_RV (*get_list)(CK_FUNCTION_LIST **);
	struct p11_direct d;
	char pin[257] = "";

	FILE *f = fopen(rig->pin_file, "re");
	if (f == NULL || fgets(pin, sizeof(pin), f) == NULL)
		_exit(1);
	fclose(f);
	pin[strcspn(pin, "\n")] = '\0';
	if (rig->user != NULL && setuid((uid_t)atoi(rig->user)) != 0)
		_exit(1);
	setenv("SOFTHSM2_CONF", rig->conf, 1);
	void *library = dlopen(HSM_RIG_SOFTHSM, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		_exit(1);
	*(void **)&get_list = dlsym(library, "C_GetFunctionList");
	p11_direct_check(get_list(&d.fn), "C_GetFunctionList");
	p11_direct_check(d.fn->C_Initialize(&args), "C_Initialize");
	p11_direct_check(d.fn->C_OpenSession(find_slot(d.fn, rig->label),
				 CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &d.session),
		"C_OpenSession");
	p11_direct_check(
		d.fn->C_Login(d.session, CKU_USER, (unsigned char *)pin, strlen(pin)), "C_Login");
	body(&d, fill);
	p11_direct_check(d.fn->C_Finalize(NULL), "C_Finalize");
}

void
p11_direct_run(struct hsm_rig *rig, p11_direct_fn body, uint8_t fill)
{
	int status = 0;

	assert_int_equal(rig->worker, 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		run(rig, body, fill);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}
