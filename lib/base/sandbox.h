/* Confining the calling process for good: the files it may touch, and its limits.
 *
 * slk_sandbox_files() uses Landlock (kernel 5.13 and later; more kinds of access with later ABIs),
 * which holds whatever the process's user may do and is inherited by children. A kernel without it
 * is no error: *out_abi is then 0, and the program has to say so. What is open stays usable, so
 * call it when everything is open that need not be opened again. System-call filters are the
 * programs' own.
 *
 * Order: limits, files, system-call filter. Thread: start-up, before other threads are made (a
 * domain covers the calling thread and those that it makes later).
 */
#ifndef SLK_BASE_SANDBOX_H
#define SLK_BASE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

/* Kinds of access, to be confined and to be allowed. */
enum slk_sandbox_access {
	SLK_SANDBOX_READ = 1, /* read files, list directories */
	SLK_SANDBOX_WRITE = 2, /* write, cut and make regular files; make directories; with REMOVE
				  also rename within one directory */
	SLK_SANDBOX_REMOVE = 4, /* remove files and directories, sockets among them */
	SLK_SANDBOX_RUN = 8, /* execute a file as a new program (mapping a library is reading) */
	SLK_SANDBOX_BIND = 16, /* make unix sockets; confined together with WRITE */
	/* Without paths; can be confined only. */
	SLK_SANDBOX_TCP = 32, /* bind or connect TCP sockets */
	SLK_SANDBOX_OTHERS = 64, /* signals, and abstract unix sockets, to processes that are not
				    confined with this one */
};
/* Devices, fifos and symbolic links are never made anew once WRITE is confined. */

struct slk_sandbox_path {
	const char *path; /* a file, or a directory and all beneath it; NULL or absent: nothing */
	unsigned access;
};

/* Confine the kinds of access in `confine`: from now on these are refused with EACCES (TCP and
 * OTHERS: EACCES and EPERM) but where a path allows them. A path stands for the file that is there
 * now. Sets no_new_privs. *out_abi: the kernel's Landlock ABI, 0 if it has none or it is switched
 * off. SLK_SYSTEM, SLK_DENIED ... with a sentence; nothing is confined then. */
MUST_USE int slk_sandbox_files(unsigned confine, const struct slk_sandbox_path *paths, size_t count,
	int *out_abi, struct slk_error *err);

/* The directory that holds path, for a rule that outlives the file's replacement: "/a/b" -> "/a".
 * "/b" and "b" give path itself: the root directory is never meant. out: out_len bytes.
 * SLK_TOO_LARGE. */
MUST_USE int slk_sandbox_parent(const char *path, char *out, size_t out_len, struct slk_error *err);

struct slk_sandbox_limits {
	uint64_t files_count; /* descriptors, 0: as they are */
	uint64_t memory_bytes; /* address space, 0: as it is; left out under sanitizers, which
				  reserve terabytes */
	uint64_t locked_min_bytes; /* the process needs that much locked memory */
	bool no_children; /* its user gets no more processes or threads from this one */
};

/* Lowers, never raises. SLK_CONFIG with a sentence that names LimitMEMLOCK if too little memory may
 * be locked or too few files may be opened; SLK_SYSTEM. */
MUST_USE int slk_sandbox_limit(const struct slk_sandbox_limits *limits, struct slk_error *err);

#endif
