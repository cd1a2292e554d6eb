/* kmsd's service without its sockets: takes a request of a peer, decides, does it, audits it, gives
 * the answer.
 *
 * Every request gets exactly one answer, from within kms_service_flush(): the answers of a turn
 * wait there until their audit lines are on disk. Some are ready at once, others when the HSM
 * worker has answered.
 *
 * The order within a request: may this class of peer send it at all (the table in service.c) ->
 * parameters -> what is named exists? -> does the policy allow it -> state of the key -> do it.
 * Whoever lacks the right gets the same answer for a key that exists and one that does not.
 *
 * Thread: one, the front's loop.
 */
#ifndef KMS_HSM_SERVICE_H
#define KMS_HSM_SERVICE_H

#include "audit.h"
#include "base/secret.h"
#include "base/sock.h"
#include "catalog.h"
#include "config.h"
#include "hsm/link.h"
#include "kmsclient/wire.h"
#include "policy.h"
#include "principals.h"

struct kms_service;

#define KMS_ON_DEMAND_MAX KMS_CONFIG_ON_DEMAND

/* All borrowed, for the life of the service. */
struct kms_service_parts {
	struct kms_realm realm;
	struct kms_catalog *catalog;
	struct kms_audit *audit;
	struct hsm_link *link;
	const struct kms_policy *policy;
	const struct kms_principals *principals;
	const struct slk_clock *clock;
	const char *
		certificate; /* of the module's validation, as the configuration has it; NULL: none */
	const char *module; /* path of the PKCS#11 module, for status */
	uint32_t workers_count; /* HSM workers that the monitor starts; 0: one */
	uint32_t head_interval_s,
		head_lines; /* of signed heads of the audit log; 0: as in heads.h */
	const struct kms_config_dual *dual; /* NULL: nothing is under dual control */
	bool gateway_peers; /* the gateway may name callers by uid */
	uint32_t on_demand_max; /* rotations on demand of one key; 0: KMS_ON_DEMAND_MAX */
};

/* frame: the packed Reply; the receiver frees it. NULL if memory ran out: hang up. */
typedef void (*kms_answer_fn)(void *arg, struct slk_secret *frame);

/* SLK_NO_MEMORY, SLK_UNSUPPORTED (libcrypto lacks a hash), what the catalog says (logged). */
MUST_USE int kms_service_new(
	const struct kms_service_parts *parts, struct kms_service **out_service);
/* The link must have been freed before, so that every call has been answered. NULL allowed. */
void kms_service_free(struct kms_service *service);

/* Begin a request; it is not looked at after the return. SLK_OK: answer will be called once.
 * SLK_NO_MEMORY: it will not. */
MUST_USE int kms_service_handle(struct kms_service *service, const struct slk_peer *peer,
	const Kmsp__Request *request, kms_answer_fn answer, void *arg);

/* kmsd stops: the audit log's head is signed once more. kms_service_quiet(): that is done and written, or cannot be. */
void kms_service_stop(struct kms_service *service);
bool kms_service_quiet(const struct kms_service *service);

/* When kms_service_flush() has to be called at the latest; UINT64_MAX: when there is something. */
uint64_t kms_service_wake_ns(const struct kms_service *service);

/* Make the audit lines of this turn durable, then give its answers. To be called after every turn
 * of the loop. While the log flushes in the background (kms_audit_background()) the turn's answers
 * wait for a later call, and what finishes meanwhile waits for the next flush. */
void kms_service_flush(struct kms_service *service);

/* To be called about once a second: looks after the HSM's health, finishes what a crash left
 * unfinished, rotates and destroys the keys whose time has come. */
void kms_service_tick(struct kms_service *service);

#endif
