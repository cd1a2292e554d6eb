/* The delivery streams that there are, each with its flow: follows kmsd's list.
 *
 *     kmsd: changes? ─► list ─► with description, of what is new or has another version
 *       CREATING, ACTIVE: a flow begins            ─► ACTIVE, or CREATING_FAILED with the reason
 *       another version:  the flow ends, one with the new description goes on from its checkpoint
 *       DELETING:         the flow ends, its checkpoint is removed ─► gone
 *
 * While kmsd does not answer, flows go on with what they have. Questions to kmsd are asked by a thread of the pool; everything
 * else is the loop's. Thread: the loop's, but dlv_service_each().
 */
#ifndef DELIVERY_SERVICE_H
#define DELIVERY_SERVICE_H

#include "config.h"
#include "flow.h"

struct dlv_service;
struct dlv_service_config {
	const struct dlv_config *config;
	struct dlv_loop *loop;
	struct dlv_pool *pool;
	struct dlv_clients *clients; /* of kmsd */
	const struct slk_clock *clock;
};
/* SLK_NO_MEMORY. */
MUST_USE int dlv_service_new(const struct dlv_service_config *config,
	struct dlv_service **out_service, struct slk_error *err);
void dlv_service_start(struct dlv_service *service);
/* All flows end; stopped is called once, from the loop. */
void dlv_service_stop(struct dlv_service *service, void (*stopped)(void *arg), void *arg);
void dlv_service_free(struct dlv_service *service); /* stopped; NULL allowed */

/* One delivery stream, for status and metrics; texts are borrowed during the call. */
struct dlv_service_stream {
	const char *name, *arn, *stream_arn;
	const char *kms_state; /* "ACTIVE" */
	const char *trouble; /* why it has no flow; "" if it has one */
	uint64_t version;
	bool runs;
	struct dlv_flow_view view; /* if it runs */
};
/* In the order in which they came. Thread: any. */
void dlv_service_each(struct dlv_service *service,
	void (*each)(void *arg, const struct dlv_service_stream *stream), void *arg);
/* Did kmsd answer the last question? If not: *out_error. Thread: any. */
bool dlv_service_kms_up(struct dlv_service *service, struct slk_error *out_error);

#endif
