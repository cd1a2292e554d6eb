/* Keys of one day, region and service that signatures are checked with, as kmsd derived them; and whose they are.
 *
 * One cache per thread, bounded; the oldest entry makes room. The keys lie together in locked memory and are wiped when their
 * entry goes. An entry lives a minute at most, and all go when rights change (gw_day_keys_forget()), so a key that was
 * deactivated or deleted ends soon; kmsd looks again at every request that it decides itself. A credential that is not known is
 * remembered for a few seconds, too: whoever guesses keys asks kmsd nothing, and learns nothing from the time it takes.
 * Thread: the loop's.
 */
#ifndef GATEWAY_AWS_DAYKEYS_H
#define GATEWAY_AWS_DAYKEYS_H

#include "aws/sigv4.h"
#include "kmsclient/access.h"

#define GW_DAY_KEYS_MAX 1024u
#define GW_DAY_KEY_LIFE_S 60u
#define GW_DAY_KEY_UNKNOWN_S 5u

struct gw_identity {
	char principal[KMSC_ARN_MAX]; /* of the user, or of the role */
	char session[KMSC_ARN_MAX]; /* of a session its ARN; "" */
	char user_id[KMSC_PRINCIPAL_ID_MAX];
	uint64_t expires_ns; /* of the session, wall clock; 0: none */
};
/* The ARN that says who it is: the session's, or the user's. */
static inline const char *
gw_identity_arn(const struct gw_identity *who)
{
	return who->session[0] != '\0' ? who->session : who->principal;
}

struct gw_day_keys;
MUST_USE int gw_day_keys_new(struct gw_day_keys **out_keys);
void gw_day_keys_free(struct gw_day_keys *keys); /* wipes; NULL allowed */

/* What stands for a credential and its scope in the cache. SLK_INTERNAL, SLK_NO_MEMORY. */
MUST_USE int gw_day_key_name(struct gw_sigv4_engine *engine, const struct gw_sigv4 *sig,
	uint8_t out_name[GW_SHA256_BYTES]);

/* SLK_OK: key and *out_who are set, borrowed until the next call with these keys. SLK_DENIED: it is known that there is no such
 * credential. SLK_NOT_FOUND: ask kmsd. */
MUST_USE int gw_day_keys_find(struct gw_day_keys *keys, const uint8_t name[GW_SHA256_BYTES],
	uint64_t mono_ns, uint64_t wall_ns, const uint8_t **out_key,
	const struct gw_identity **out_who);
/* key NULL: there is no such credential. Copied. */
void gw_day_keys_put(struct gw_day_keys *keys, const uint8_t name[GW_SHA256_BYTES],
	uint64_t mono_ns, const uint8_t *key, const struct gw_identity *who);
void gw_day_keys_forget(struct gw_day_keys *keys); /* all of them */

#endif
