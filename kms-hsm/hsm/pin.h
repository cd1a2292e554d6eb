/* The PIN file, and the memory that a PIN was refused.
 *
 * HSMs lock a PIN after a few wrong tries, so a refused PIN is tried once per operator action. The
 * state file beside the PIN file outlives the worker and the monitor: it names the PIN file
 * (device, inode, size, times) and the token's serial number of the last attempt and how it ended.
 * A refusal counts until the PIN file was written again. The file is held under a lock while a
 * worker lives: an exclusive one, which keeps a second worker from a token that is safe for one only, or a shared
 * one. From hsm_pin_begin() to hsm_pin_end() the attempt is locked among the workers that share it: whoever comes
 * second reads how the first one ended.
 *
 * The file is one text line, blank-padded to 256 bytes, so that its verdict is changed in place and
 * never fails for space:
 *
 *     sealock-pin 1 VERDICT dev=D ino=I size=S mtime=NS serial=TEXT
 *
 * or, if the PIN comes by a descriptor (a systemd credential is a new file at each start of the service),
 *
 *     sealock-pin 2 VERDICT salt=32HEX tag=4HEX serial=TEXT
 *
 * where the tag knows the refused PIN again (hsm/pin_tag.h) and is zeroed with its salt once the PIN is good; with
 * VERDICT one of trying, refused, good (padded to 8). "trying" is what a crash in the middle
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

/* Open and lock the state file (made if absent, mode 0600): alone, or shared with other workers on the
 * same token. SLK_UNAVAILABLE if another process holds it (HSM_PIN_SHARED: alone); SLK_DENIED and others
 * with a sentence. Paths are borrowed. */
enum hsm_pin_lock { HSM_PIN_ALONE, HSM_PIN_SHARED };
MUST_USE int hsm_pin_open(const char *pin_path, const char *state_path, enum hsm_pin_lock lock,
	struct hsm_pin_file **out_file, struct slk_error *err);
/* Take the PIN from this descriptor instead: a regular file or a memfd, read from its start for each attempt. It stays
 * the caller's. pin_path then names it in messages. Before the first attempt. */
void hsm_pin_use_fd(struct hsm_pin_file *file, int pin_fd);
/* What to do about a refused PIN, as a sentence without its full stop. Static storage. */
const char *hsm_pin_remedy(const struct hsm_pin_file *file);
void hsm_pin_close(struct hsm_pin_file *file); /* NULL allowed */

/* Read the PIN for one attempt on the token of that serial number, and remember that it is being
 * tried. Waits while another worker tries. After SLK_OK the caller ends the attempt with hsm_pin_end() or
 * hsm_pin_give_up(). SLK_PIN: this very PIN file was refused by this token, do not try. SLK_AGAIN: it was
 * written less than a second after a refusal ago and may be incomplete. SLK_DENIED: the file's
 * owner or mode, or a descriptor that cannot be read again. SLK_NOT_FOUND, SLK_IO ... with a sentence. */
MUST_USE int hsm_pin_begin(struct hsm_pin_file *file, const char *serial,
	struct slk_secret **out_pin, struct slk_error *err);

/* How the attempt ended. SLK_IO if it could not be remembered; the caller must not try again then
 * either. */
MUST_USE int hsm_pin_end(struct hsm_pin_file *file, bool refused);

/* The attempt was not made, or the token gave no verdict: what is remembered stays "trying". */
void hsm_pin_give_up(struct hsm_pin_file *file);

/* Held while keys are made or destroyed, so that two workers never do both for one id at once. Waits; ends with the
 * process at the latest. SLK_IO if there can be no lock. Thread: one at a time in each worker. */
MUST_USE int hsm_pin_lock_keys(struct hsm_pin_file *file);
void hsm_pin_unlock_keys(struct hsm_pin_file *file);

#endif
