/* Memory for keys and PINs.
 *
 * A secret lives in pages of its own: locked (mlock), left out of core dumps (MADV_DONTDUMP), wiped
 * in a forked child (MADV_WIPEONFORK), between two guard pages, and wiped before it is given back.
 * If the pages cannot be locked the secret is refused (SLK_NO_MEMORY), never kept in swappable
 * memory. Nothing in lib/base/log.h accepts one. Thread: a secret may be read by several threads;
 * it is freed by one, when no other uses it.
 */
#ifndef SLK_BASE_SECRET_H
#define SLK_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

struct slk_secret;

/* len: 1..262144 bytes, zeroed. SLK_INVALID, SLK_NO_MEMORY (errno tells whether the memlock limit
 * was the cause). */
MUST_USE int slk_secret_new(size_t len, struct slk_secret **out_secret);

/* A new secret with a copy of bytes; the caller still has to wipe its own. */
MUST_USE int slk_secret_from(const void *bytes, size_t len, struct slk_secret **out_secret);

/* Read a small file (a PIN) into a secret; one trailing newline is dropped. The descriptor stays
 * the caller's. */
MUST_USE int slk_secret_from_fd(int fd, size_t max_len, struct slk_secret **out_secret);

/* Wipe and give back. NULL is allowed. */
void slk_secret_free(struct slk_secret *secret);

uint8_t *slk_secret_bytes(struct slk_secret *secret);
const uint8_t *slk_secret_peek(const struct slk_secret *secret);
size_t slk_secret_len(const struct slk_secret *secret);

/* From now on keep up to count freed secrets of one page, wiped and still locked, for the next
 * slk_secret_new() (six system calls each otherwise). For a process that makes one per request and
 * does not fork after this: a child has no locked pages. 0 gives back what is kept. Thread: one; a
 * process that keeps secrets makes and frees them in one thread only. */
void slk_secret_keep(unsigned count);

/* Wipe memory so that the compiler cannot leave it out. */
void slk_wipe(void *ptr, size_t len);

/* Constant-time comparison of len bytes. */
bool slk_equal_ct(const void *a, const void *b, size_t len);

/* Random bytes for ids, salts and jitter from the kernel (getrandom). Keys are drawn by the HSM,
 * not by this. */
MUST_USE int slk_random(void *out, size_t len);

/* Harden the calling process: undumpable, no core, no new privileges, umask 077. SLK_SYSTEM with a
 * sentence. */
MUST_USE int slk_process_harden(struct slk_error *err);

#endif
