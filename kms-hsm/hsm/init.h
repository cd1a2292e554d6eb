/* Making a token, once: what `sealock hsm init` does.
 *
 * Everything that touches the module happens in a child process that has become the worker's user,
 * so that every file is the worker's and the caller never loads the vendor's code. PINs are drawn
 * from the kernel (or the user PIN is read from a descriptor), never taken as an argument, and
 * written to files of mode 0400 before they are used: the user PIN to pin_file, the security
 * officer's to pin_file + ".so" (move that one to a safe; the worker does not need it). A run that
 * was cut off is finished by the next one. A token that is there is kept as it is.
 *
 * NSS softokn's token is its database: hsm.module_parameters names its directory, which has to be there, and the label
 * (dbTokenDescription); it has no security officer, and no second PIN file is written.
 *
 * Thread: the process must have one thread.
 */
#ifndef KMS_HSM_HSM_INIT_H
#define KMS_HSM_HSM_INIT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/status.h"
#include "hsm/profile.h"

struct hsm_init_request {
	const struct hsm_profile *profile;
	const char *module;
	const char *token_label; /* 1..32 bytes */
	const char *pin_file;
	const char *state_file;
	const char *softhsm_conf; /* NULL: environment untouched. Written if it is not there */
	const char *token_directory; /* for softhsm_conf; NULL: "tokens" beside it */
	const char *module_parameters; /* NULL: none */
	const char *user; /* NULL: the caller's own */
	int pin_fd; /* the user PIN is read from it; -1: a random one */
};

struct hsm_init_result {
	bool existed; /* the token was there and was kept */
	bool in_use; /* a running worker holds it; nothing was looked at */
	char token_serial[17];
};

/* SLK_OK; SLK_CONFIG, SLK_DENIED, SLK_UNAVAILABLE, SLK_HSM, SLK_PIN (the kept token does not take
 * the PIN in pin_file; tried once) ... with a sentence. Directories that are missing are made, mode
 * 0700, for the user (their parents must exist). */
MUST_USE int hsm_init_token(const struct hsm_init_request *request,
	struct hsm_init_result *out_result, struct slk_error *err);

#endif
