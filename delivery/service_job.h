/* One delivery stream of the service: what kmsd says of it, its roles, its flow. Internal to service.c. Thread: the loop's, under
 * the service's lock. */
#ifndef DELIVERY_SERVICE_JOB_H
#define DELIVERY_SERVICE_JOB_H

#include "kmsclient/delivery.h"
#include "role.h"
#include "service.h"

/* One delivery stream. */
struct dlv_job {
	struct dlv_service *service;
	const struct dlv_service_config *config; /* the service's */
	struct kmsc_delivery_stream stream; /* with its description */
	struct kmsc_delivery_stream
		next; /* of another version, once the flow has ended; name "" without */
	struct dlv_spec *spec;
	struct dlv_role *roles[DLV_ROLES_MAX];
	const char *role_arns[DLV_ROLES_MAX]; /* the spec's */
	size_t roles_count;
	struct dlv_flow *flow; /* NULL: none */
	bool stopping, listed, leaves;
	char trouble[512];
};

/* Description, roles, feed and flow of job->stream. SLK_INVALID, SLK_UNSUPPORTED, SLK_CONFIG, SLK_UNAVAILABLE (no description),
 * SLK_NO_MEMORY; what was made so far is closed by dlv_job_close(). */
MUST_USE int dlv_job_open(struct dlv_job *job, struct slk_error *err);
void dlv_job_close(struct dlv_job *job); /* its flow has stopped */

#endif
