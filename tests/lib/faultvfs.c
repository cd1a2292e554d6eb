#include "faultvfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct written {
	sqlite3_int64 at;
	size_t len;
	uint8_t *bytes; /* NULL: cut off at `at` */
};

/* What the disk has for sure, and what was written after that. */
struct disk_file {
	char path[400]; /* "": free */
	bool is_there;
	uint8_t *bytes;
	size_t len;
	struct written *writes;
	size_t writes_count;
};
#define DISK_FILES 8u

struct fault_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct, in the same allocation */
	struct disk_file *disk; /* NULL: not remembered */
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

/* --- the disk's own memory --- */

static struct disk_file disk[DISK_FILES];
static bool remembers;

static void *
grown(void *bytes, size_t len)
{
	void *more = realloc(bytes, len > 0 ? len : 1);

	if (more == NULL)
		abort();
	return more;
}

static void
change(struct disk_file *d, const struct written *w, size_t len)
{
	size_t at = (size_t)w->at, end = at + (w->bytes != NULL ? len : 0);

	if (end > d->len || w->bytes == NULL) {
		d->bytes = grown(d->bytes, end);
		if (end > d->len)
			memset(d->bytes + d->len, 0, end - d->len);
		d->len = end;
	}
	if (w->bytes != NULL)
		memcpy(d->bytes + at, w->bytes, len);
}

static void
remember(struct disk_file *d, const void *bytes, size_t len, sqlite3_int64 at)
{
	if (d == NULL)
		return;
	d->writes = grown(d->writes, (d->writes_count + 1) * sizeof(*d->writes));
	struct written *w = &d->writes[d->writes_count++];
	*w = (struct written){.at = at, .len = len};
	if (bytes != NULL) {
		w->bytes = grown(NULL, len);
		memcpy(w->bytes, bytes, len);
	}
}

static void
forget_writes(struct disk_file *d)
{
	for (size_t i = 0; i < d->writes_count; i++)
		free(d->writes[i].bytes);
	free(d->writes);
	d->writes = NULL;
	d->writes_count = 0;
}

static void
flushed(struct disk_file *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->writes_count; i++)
		change(d, &d->writes[i], d->writes[i].len);
	forget_writes(d);
	d->is_there = true;
}

static void
release(struct disk_file *d)
{
	if (d == NULL)
		return;
	forget_writes(d);
	free(d->bytes);
	memset(d, 0, sizeof(*d));
}

/* What is there when it is opened counts as flushed; a file that is made now does not. */
static struct disk_file *
begin(const char *path)
{
	struct disk_file *d = disk;
	FILE *f = fopen(path, "re");
	uint8_t chunk[4096];
	size_t n;

	while (d->path[0] != '\0')
		if (++d == disk + DISK_FILES)
			abort();
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->is_there = f != NULL;
	while (f != NULL && (n = fread(chunk, 1, sizeof(chunk), f)) > 0) {
		d->bytes = grown(d->bytes, d->len + n);
		memcpy(d->bytes + d->len, chunk, n);
		d->len += n;
	}
	if (f != NULL)
		fclose(f);
	return d;
}

static bool
is_left(enum faultvfs_left left, size_t i, size_t count)
{
	return (left == FAULTVFS_LEFT_ALL_BUT_FIRST && i > 0) ||
		(left == FAULTVFS_LEFT_LAST && i + 1 == count) || left == FAULTVFS_LEFT_TORN;
}

static void
put(const struct disk_file *d, const char *to, enum faultvfs_left left)
{
	struct disk_file now = {
		.is_there = d->is_there, .bytes = grown(NULL, d->len), .len = d->len};

	if (d->len > 0)
		memcpy(now.bytes, d->bytes, d->len);
	for (size_t i = 0; i < d->writes_count; i++) {
		bool torn = left == FAULTVFS_LEFT_TORN && i + 1 == d->writes_count;
		if (is_left(left, i, d->writes_count)) {
			change(&now, &d->writes[i], d->writes[i].len / (torn ? 2 : 1));
			now.is_there = true;
		}
	}
	(void)remove(to);
	FILE *f = now.is_there ? fopen(to, "we") : NULL;
	if (now.is_there && (f == NULL || fwrite(now.bytes, 1, now.len, f) != now.len))
		abort();
	if (f != NULL && fclose(f) != 0)
		abort();
	free(now.bytes);
}

void
faultvfs_remember(bool on)
{
	remembers = on;
}

void
faultvfs_power_cut(const char *from, const char *to, enum faultvfs_left left)
{
	size_t len = strlen(from);
	char path[400];

	for (size_t i = 0; i < DISK_FILES; i++) {
		if (disk[i].path[0] == '\0' || strncmp(disk[i].path, from, len) != 0)
			continue;
		snprintf(path, sizeof(path), "%.300s%.90s", to, disk[i].path + len);
		put(&disk[i], path, left);
	}
}

/* --- the methods --- */

static struct disk_file *
disk_of(sqlite3_file *f)
{
	return ((struct fault_file *)f)->disk;
}

#define PASS(name, params, ...) \
	static int ff_##name params \
	{ \
		return real(f)->pMethods->x##name(real(f), ##__VA_ARGS__); \
	}

static int
ff_Read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return fails(true) ? fault.code : real(f)->pMethods->xRead(real(f), p, n, at);
}

static int
ff_Write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int rc = fails(false) ? fault.code : real(f)->pMethods->xWrite(real(f), p, n, at);

	if (rc == SQLITE_OK)
		remember(disk_of(f), p, (size_t)n, at);
	return rc;
}

static int
ff_Truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = fails(false) ? fault.code : real(f)->pMethods->xTruncate(real(f), size);

	if (rc == SQLITE_OK)
		remember(disk_of(f), NULL, 0, size);
	return rc;
}

static int
ff_Sync(sqlite3_file *f, int flags)
{
	int rc = fails(false) ? fault.code : real(f)->pMethods->xSync(real(f), flags);

	if (rc == SQLITE_OK)
		flushed(disk_of(f));
	return rc;
}

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
	release(disk_of(f));
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
	file->disk = remembers && name != NULL ? begin(name) : NULL;
	int rc = fault.under->xOpen(fault.under, name, file->real, flags, out_flags);
	f->pMethods = file->real->pMethods != NULL ? &methods : NULL;
	if (f->pMethods == NULL) /* it will not be closed */
		release(file->disk);
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
