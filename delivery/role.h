/* The delivery role: what deliverd may do, it may as this role.
 *
 *     kmsd: AssumeRole (trust policy: firehose.amazonaws.com, account as ExternalId) ─► session, renewed before it ends
 *     Decrypt of an epoch's key, GenerateDataKey for an object, Authorize: as that session, with the delivery stream as the source
 *
 * One per delivery stream and role. A refusal names action, resource and principal, and is asked again after 5 s at the earliest;
 * a changed policy is in force at the next question. Thread: any; questions wait for kmsd (deadline 5 s) and belong into a
 * thread of the pool.
 */
#ifndef DELIVERY_ROLE_H
#define DELIVERY_ROLE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "sealock/consumer.h"

/* Connections to kmsd, shared by all roles: as many as questions are asked at once, and few are kept. Thread: any. */
struct dlv_clients;
/* socket: NULL for kmsclient's default; copied. SLK_NO_MEMORY. */
MUST_USE int dlv_clients_new(const char *socket, struct dlv_clients **out_clients);
void dlv_clients_free(struct dlv_clients *clients); /* NULL allowed; none is borrowed */

struct dlv_role;
struct dlv_role_config {
	const char *delivery_stream; /* its name */
	const char *role_arn;
	struct dlv_clients *clients; /* borrowed until dlv_role_free() */
	const struct slk_clock *clock;
};
MUST_USE int dlv_role_new(const struct dlv_role_config *config, struct dlv_role **out_role);
void dlv_role_free(struct dlv_role *role); /* NULL allowed */
/* For sealock_keys_config.unwrap, with the role as its context. */
int dlv_role_unwrap(void *role, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *err);

/* A 256-bit data key. context_json: canonical. wrapped: cap bytes. SLK_DENIED, SLK_DISABLED, SLK_INVALID_STATE, SLK_NOT_FOUND,
 * SLK_UNAVAILABLE, SLK_TIMEOUT. */
MUST_USE int dlv_role_data_key(struct dlv_role *role, const char *key_arn, const char *context_json,
	struct slk_secret **out_data_key, uint8_t *wrapped, size_t cap, size_t *out_len,
	struct slk_error *err);
/* May the role? E.g. kms:GenerateDataKey on a key that the store will use for it. Codes as above. */
MUST_USE int dlv_role_may(struct dlv_role *role, const char *action, const char *resource_arn,
	const char *context_json, struct slk_error *err);

#endif
