/* The side files of journal directories (journal/rewraps.h) for many threads: one list of directories, each looked at when a key
 * of it is first asked for, and searched by one thread at a time, but never held while somebody waits for kmsd. */
#ifndef SLK_CLIENT_SIDES_H
#define SLK_CLIENT_SIDES_H

#include "base/error.h"
#include "base/status.h"
#include "journal/rewraps.h"
#include "sealock/consumer.h"

struct client_sides;

/* attestation_pem, note: as struct sealock_keys_config has them. SLK_CONFIG, SLK_NO_MEMORY. */
MUST_USE int client_sides_new(const char *attestation_pem,
	void (*note)(void *ctx, const char *sentence), void *ctx, struct client_sides **out_sides,
	struct slk_error *err);
void client_sides_free(struct client_sides *sides); /* NULL allowed */

/* jnl_rewraps_data_key() with the side files of dir. Thread: any. */
MUST_USE int client_sides_data_key(struct client_sides *sides, const char *dir,
	const struct jnl_epoch_info *info, jnl_decrypt_fn decrypt, void *ctx,
	struct slk_secret **out_data_key, struct slk_error *err);

#endif
