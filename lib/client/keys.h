/* The keys of epochs, opened: struct sealock_keys from the inside. Thread: any, unless stated. */
#ifndef SLK_CLIENT_KEYS_H
#define SLK_CLIENT_KEYS_H

#include "base/clock.h"
#include "journal/reader.h"
#include "seal/seal.h"
#include "sealock/consumer.h"

/* One epoch's key. Lives as long as somebody holds it, also when the cache has dropped it. */
struct client_key;

/* What a key is asked for. Borrowed. */
struct client_epoch {
	const char *dir; /* journal directory */
	const char *stream_arn;
	uint64_t stream_id; /* that the block names */
	struct slk_span context; /* canonical, of stream_arn: the key block must have the same */
	const struct jnl_epoch_info *info;
};

/* Hold the epoch's key until client_key_put(). Waits while another thread asks for the same, and shares its answer. Errors: see
 * sealock_consumer_read(); SLK_CORRUPT for a key block of another stream. thread: the caller's; its engine makes the key. */
MUST_USE int client_key_get(struct sealock_keys *keys, struct seal_thread *thread,
	const struct client_epoch *epoch, struct client_key **out_key, struct slk_error *err);
void client_key_put(struct sealock_keys *keys, struct client_key *key);
const struct jnl_epoch_key *client_key_epoch(const struct client_key *key);

/* The engine that all openers of these keys use: a schedule is of one engine. */
const char *client_keys_engine(const struct sealock_keys *keys);
const struct slk_clock *client_keys_clock(const struct sealock_keys *keys);

#endif
