/* The files of a token that keeps its keys in files and does not flush them (SoftHSM).
 *
 * The catalog says that a key is there, or gone, from a commit on that is on disk; the token's files have to be there first.
 * Otherwise a power cut leaves a key in the catalog whose material, and with it all that was wrapped under it, is lost, or
 * brings material back that was destroyed. Thread: any session thread; no lock is needed.
 */
#ifndef KMS_HSM_HSM_STORE_H
#define KMS_HSM_HSM_STORE_H

#include "base/error.h"
#include "hsm/token.h"

/* Everything that the module wrote is on disk after SLK_OK; at once for tokens that look after that by themselves. The whole
 * file system of the token directory is flushed (syncfs(2)): nobody tells which files were written. SLK_HSM with a sentence;
 * after a flush that failed for ever, for what it lost is not tried again by the kernel. */
MUST_USE int hsm_store_flush(struct hsm_token *token, struct slk_error *err);

#endif
