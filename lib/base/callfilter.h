/* A filter of system calls for servers with threads: an allow-list; what only an attacker asks for ends the process.
 *
 * Besides the names that a program gives, every filter allows what glibc, malloc, threads and stdio need, with arguments checked
 * where they matter: no memory becomes executable, a clone is a thread, limits may be read. Names that this system does not
 * have are passed over. For good. Thread: start-up.
 */
#ifndef SLK_BASE_CALLFILTER_H
#define SLK_BASE_CALLFILTER_H

#include <stddef.h>

#include "base/error.h"
#include "base/status.h"

enum slk_callfilter_sockets {
	SLK_SOCKETS_UNIX = 1,
	SLK_SOCKETS_INET =
		2, /* IPv4 and IPv6, and asking the kernel for its addresses, as resolvers do */
};

/* names: what else is allowed. sockets: enum slk_callfilter_sockets, which kinds may be made. SLK_SYSTEM with a sentence. */
MUST_USE int slk_callfilter_load(
	const char *const *names, size_t count, unsigned sockets, struct slk_error *err);

#endif
