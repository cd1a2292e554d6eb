#include "loopfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "slk_test.h"
#include "tempdir.h"

/* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one and the same. */
#define SHUTDOWN _IOR('X', 125, uint32_t)
#define BUSY_TRIES 2000

static const char *
tool(const char *type)
{
	static char path[64];

	snprintf(path, sizeof(path), "/usr/sbin/mkfs.%s", type);
	if (access(path, X_OK) != 0)
		snprintf(path, sizeof(path), "/sbin/mkfs.%s", type);
	return path;
}

static bool
kernel_has(const char *type)
{
	char line[128];
	bool found = false;
	FILE *f = fopen("/proc/filesystems", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *name = strrchr(line, '\t');
		found = found ||
			(name != NULL && strncmp(name + 1, type, strlen(type)) == 0 &&
				name[1 + strlen(type)] == '\n');
	}
	if (f != NULL)
		fclose(f);
	return found;
}

const char *
loopfs_missing(const char *type)
{
	static char why[128];

	if (geteuid() != 0)
		return "it takes root to mount file systems";
	if (access(tool(type), X_OK) != 0) {
		snprintf(why, sizeof(why), "mkfs.%s is not installed", type);
		return why;
	}
	if (!kernel_has(type)) {
		snprintf(why, sizeof(why), "this kernel has no %s", type);
		return why;
	}
	int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return "there are no loop devices";
	close(fd);
	/* A container may not be allowed to; it must not be seen outside of this process in any case. */
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return "mounts are not allowed here";
	return NULL;
}

static void
attach(struct loopfs *fs)
{
	struct loop_config config = {.info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int image = open(fs->image, O_RDWR | O_CLOEXEC);

	assert_true(control >= 0 && image >= 0);
	config.fd = (uint32_t)image;
	fs->hold_fd = -1;
	for (int tries = 0; fs->hold_fd < 0 && tries < 20; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		assert_true(number >= 0);
		snprintf(fs->device, sizeof(fs->device), "/dev/loop%d", number);
		fs->hold_fd = open(fs->device, O_RDWR | O_CLOEXEC);
		/* Somebody else may have been quicker. */
		if (fs->hold_fd >= 0 && ioctl(fs->hold_fd, LOOP_CONFIGURE, &config) != 0) {
			close(fs->hold_fd);
			fs->hold_fd = -1;
		}
	}
	if (fs->hold_fd < 0)
		fail_msg("no loop device can be set up: %s", strerror(errno));
	close(control);
	close(image);
}

static void
mount_it(struct loopfs *fs)
{
	if (mount(fs->device, fs->dir, fs->type, MS_NOATIME, NULL) != 0)
		fail_msg("cannot mount %s (%s): %s", fs->device, fs->type, strerror(errno));
	fs->mounted = true;
}

void
loopfs_make(struct loopfs *fs, const char *type, uint64_t bytes)
{
	char command[600];

	*fs = (struct loopfs){.type = type, .hold_fd = -1};
	tempdir_make(fs->dir, sizeof(fs->dir));
	/* In memory: what the tests count is cuts, not the speed of a disk beneath. */
	const char *name = strrchr(fs->dir, '/');
	snprintf(fs->image, sizeof(fs->image), "%s%.200s.img",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
	int fd = open(fs->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
	snprintf(command, sizeof(command), "%s -q %s >/dev/null 2>&1", tool(type), fs->image);
	if (system(command) != 0)
		fail_msg("%s failed", command);
	attach(fs);
	mount_it(fs);
}

static void
unmount(struct loopfs *fs)
{
	const struct timespec pause = {.tv_nsec = 1000 * 1000};
	int rc = -1;

	/* What io_uring of a process that was killed still had under way is released a little later. */
	for (int tries = 0; rc != 0 && tries < BUSY_TRIES; tries++) {
		rc = umount2(fs->dir, 0);
		if (rc != 0)
			nanosleep(&pause, NULL);
	}
	if (rc != 0)
		fail_msg("cannot unmount %s: %s", fs->dir, strerror(errno));
	fs->mounted = false;
}

void
loopfs_remove(struct loopfs *fs)
{
	if (fs->mounted)
		(void)umount2(fs->dir, MNT_DETACH);
	if (fs->hold_fd >= 0)
		close(fs->hold_fd);
	if (fs->image[0] != '\0')
		(void)unlink(fs->image);
	if (fs->dir[0] != '\0')
		(void)rmdir(fs->dir);
	*fs = (struct loopfs){.hold_fd = -1};
}

void
loopfs_cut(const struct loopfs *fs, enum loopfs_cut how)
{
	uint32_t flag = (uint32_t)how;
	int fd = open(fs->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	if (ioctl(fd, SHUTDOWN, &flag) != 0)
		fail_msg("cannot cut the power of %s: %s", fs->type, strerror(errno));
	close(fd);
}

void
loopfs_power_on(struct loopfs *fs)
{
	unmount(fs);
	mount_it(fs);
}
