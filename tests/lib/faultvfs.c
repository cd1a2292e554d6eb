#include "faultvfs.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct fault_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct, in the same allocation */
};

static struct {
	sqlite3_vfs vfs, *under;
	uint64_t fail_at, calls, failed;
	bool for_ever, reads;
	int code;
} fault;

static bool
fails(bool reads)
{
	if (reads != fault.reads)
		return false;
	fault.calls++;
	if (fault.fail_at == 0 || fault.calls < fault.fail_at ||
		(fault.calls > fault.fail_at && !fault.for_ever))
		return false;
	fault.failed++;
	return true;
}

static sqlite3_file *
real(sqlite3_file *f)
{
	return ((struct fault_file *)f)->real;
}

#define PASS(name, params, ...) \
	static int ff_##name params \
	{ \
		return real(f)->pMethods->x##name(real(f), ##__VA_ARGS__); \
	}
#define PASS_OR_FAIL(name, params, ...) \
	static int ff_##name params \
	{ \
		return fails(false) ? fault.code \
				    : real(f)->pMethods->x##name(real(f), ##__VA_ARGS__); \
	}

static int
ff_Read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return fails(true) ? fault.code : real(f)->pMethods->xRead(real(f), p, n, at);
}

PASS_OR_FAIL(Write, (sqlite3_file * f, const void *p, int n, sqlite3_int64 at), p, n, at)
PASS_OR_FAIL(Truncate, (sqlite3_file * f, sqlite3_int64 size), size)
PASS_OR_FAIL(Sync, (sqlite3_file * f, int flags), flags)
PASS(FileSize, (sqlite3_file * f, sqlite3_int64 *size), size)
PASS(Lock, (sqlite3_file * f, int lock), lock)
PASS(Unlock, (sqlite3_file * f, int lock), lock)
PASS(CheckReservedLock, (sqlite3_file * f, int *out), out)
PASS(FileControl, (sqlite3_file * f, int op, void *arg), op, arg)
PASS(SectorSize, (sqlite3_file * f))
PASS(DeviceCharacteristics, (sqlite3_file * f))
PASS(ShmMap, (sqlite3_file * f, int page, int size, int extend, void volatile **out), page, size,
	extend, out)
PASS(ShmLock, (sqlite3_file * f, int at, int n, int flags), at, n, flags)
PASS(ShmUnmap, (sqlite3_file * f, int remove), remove)

static void
ff_ShmBarrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int
ff_Close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static const sqlite3_io_methods methods = {.iVersion = 2,
	.xClose = ff_Close,
	.xRead = ff_Read,
	.xWrite = ff_Write,
	.xTruncate = ff_Truncate,
	.xSync = ff_Sync,
	.xFileSize = ff_FileSize,
	.xLock = ff_Lock,
	.xUnlock = ff_Unlock,
	.xCheckReservedLock = ff_CheckReservedLock,
	.xFileControl = ff_FileControl,
	.xSectorSize = ff_SectorSize,
	.xDeviceCharacteristics = ff_DeviceCharacteristics,
	.xShmMap = ff_ShmMap,
	.xShmLock = ff_ShmLock,
	.xShmBarrier = ff_ShmBarrier,
	.xShmUnmap = ff_ShmUnmap};

static int
ff_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	struct fault_file *file = (struct fault_file *)f;

	(void)vfs;
	file->real = (sqlite3_file *)(file + 1);
	memset(file->real, 0, (size_t)fault.under->szOsFile);
	int rc = fault.under->xOpen(fault.under, name, file->real, flags, out_flags);
	f->pMethods = file->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

void
faultvfs_install(void)
{
	fault.under = sqlite3_vfs_find(NULL);
	fault.vfs = *fault.under;
	fault.vfs.zName = "fault";
	fault.vfs.szOsFile = (int)sizeof(struct fault_file) + fault.under->szOsFile;
	fault.vfs.xOpen = ff_open;
	if (sqlite3_vfs_register(&fault.vfs, 1) != SQLITE_OK)
		abort();
}

static void
arm(bool reads, uint64_t fail_at, bool for_ever, int code)
{
	fault.reads = reads;
	fault.fail_at = fail_at;
	fault.for_ever = for_ever;
	fault.code = code;
	fault.calls = fault.failed = 0;
}

void
faultvfs_arm(uint64_t fail_at, bool for_ever, int code)
{
	arm(false, fail_at, for_ever, code);
}

void
faultvfs_arm_reads(uint64_t fail_at, bool for_ever)
{
	arm(true, fail_at, for_ever, SQLITE_IOERR_READ);
}

bool
faultvfs_hit(void)
{
	return fault.failed > 0;
}
