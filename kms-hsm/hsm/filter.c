#include "hsm/filter.h"

#include <errno.h>

const char *const hsm_filter_hostile[] = {"ptrace", "process_vm_readv", "process_vm_writev",
	"process_madvise", "process_mrelease", "pidfd_getfd", "kcmp", "mount", "umount2",
	"move_mount", "mount_setattr", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
	"pivot_root", "chroot", "unshare", "setns", "init_module", "finit_module", "delete_module",
	"kexec_load", "kexec_file_load", "bpf", "perf_event_open", "userfaultfd", "add_key",
	"request_key", "keyctl", "swapon", "swapoff", "reboot", "iopl", "ioperm", "acct",
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "personality",
	"io_uring_setup", "io_uring_enter", "io_uring_register", "mknod", "mknodat",
	"name_to_handle_at", "open_by_handle_at", "lookup_dcookie", "quotactl", "quotactl_fd",
	"nfsservctl", "vhangup", "modify_ldt", "sethostname", "setdomainname", "syslog"};
const size_t hsm_filter_hostile_count = sizeof(hsm_filter_hostile) / sizeof(hsm_filter_hostile[0]);

int
hsm_filter_add(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		if (nr == __NR_SCMP_ERROR)
			continue;
		int rc = seccomp_rule_add(filter, action, nr, 0);
		if (rc != 0 && rc != -EDOM)
			return rc;
	}
	return 0;
}

int
hsm_filter_load(scmp_filter_ctx filter, int rc, struct slk_error *err)
{
	if (filter == NULL)
		return slk_fail(err, SLK_SYSTEM, "cannot make a system-call filter");
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	if (rc == 0)
		return SLK_OK;
	errno = -rc;
	return slk_fail_errno(err, "cannot install the system-call filter");
}
