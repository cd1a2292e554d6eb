/* The PIN file, and the memory that a PIN was refused.
 *
 * HSMs lock a PIN after a few wrong tries, so a refused PIN is tried once per operator action. The
 * state file beside the PIN file outlives the worker and the monitor: it names the PIN file
 * (device, inode, size, times) and the token's serial number of the last attempt and how it ended.
 * A refusal counts until the PIN file was written again. The file is held under an exclusive lock
 * while a worker lives, which also keeps a second worker from a token that is safe for one only.
 *
 * The file is one text line, blank-padded to 256 bytes, so that its verdict is changed in place and
 * never fails for space:
 *
 *     sealock-pin 1 VERDICT dev=D ino=I size=S mtime=NS serial=TEXT
 *
 * with VERDICT one of trying, refused, good (padded to 8). "trying" is what a crash in the middle
 * leaves: it tells nothing, so the next worker may try. Thread: one at a time.
 */
#ifndef KMS_HSM_HSM_PIN_H
#define KMS_HSM_HSM_PIN_H

#include <stdbool.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/status.h"

#define HSM_PIN_MAX 256u

struct hsm_pin_file;

/* Open and lock the state file (made if absent, mode 0600). SLK_UNAVAILABLE if another process
 * holds it; SLK_DENIED and others with a sentence. Paths are borrowed. */
MUST_USE int hsm_pin_open(const char *pin_path, const char *state_path,
	struct hsm_pin_file **out_file, struct slk_error *err);
void hsm_pin_close(struct hsm_pin_file *file); /* NULL allowed */

/* Read the PIN for one attempt on the token of that serial number, and remember that it is being
 * tried. SLK_PIN: this very PIN file was refused by this token, do not try. SLK_AGAIN: it was
 * written less than a second after a refusal ago and may be incomplete. SLK_DENIED: the file's
 * owner or mode. SLK_NOT_FOUND, SLK_IO ... with a sentence. */
MUST_USE int hsm_pin_begin(struct hsm_pin_file *file, const char *serial,
	struct slk_secret **out_pin, struct slk_error *err);

/* How the attempt ended. SLK_IO if it could not be remembered; the caller must not try again then
 * either. */
MUST_USE int hsm_pin_end(struct hsm_pin_file *file, bool refused);

#endif
