/* Delivery streams, as Amazon Data Firehose has them: what a thread remembers of them, and operations. Internal to aws/.
 *
 * A delivery stream is kmsd's, and what it delivers is deliverd's. The gateway asks kmsd in the caller's name, and puts records
 * into the stream of the journal that a delivery stream of direct puts has. What puts have to know of a delivery stream is
 * remembered until kmsd says that rights or streams have changed, for a minute at most, for a few seconds where it cannot say so.
 */
#ifndef GATEWAY_AWS_FIREHOSE_H
#define GATEWAY_AWS_FIREHOSE_H

#include "aws/call.h"
#include "kmsclient/delivery.h"

#define GW_DESTINATION_ID "destinationId-000000000001"

struct gw_delivery {
	struct gw_delivery *next;
	char name[KMSC_DELIVERY_NAME_MAX];
	uint64_t id;
	bool active, direct_put, encrypted;
	uint64_t read_ns; /* monotonic: when kmsd told it */
};

MUST_USE int gw_deliveries_new(struct gw_deliveries **out_deliveries);
void gw_deliveries_free(struct gw_deliveries *deliveries); /* NULL allowed */
void gw_deliveries_forget(struct gw_deliveries *deliveries); /* NULL allowed */
/* The delivery stream as it is, or was when it was told. on_delivery is called at once or later; delivery is borrowed for that
 * call. What is not there fails the call: ResourceNotFoundException. */
MUST_USE bool gw_delivery_get(struct gw_call *call, const char *name,
	void (*on_delivery)(struct gw_call *call, const struct gw_delivery *delivery));

/* DeliveryStreamName of the request, and its ARN. */
const char *gw_delivery_named(const struct gw_call *call, char out_arn[KMSC_ARN_MAX]);
bool gw_delivery_missing(struct gw_call *call, const char *name); /* sets the fault; false */

bool gw_firehose_create(struct gw_call *call);
bool gw_firehose_delete(struct gw_call *call);
bool gw_firehose_describe(struct gw_call *call);
bool gw_firehose_list(struct gw_call *call);
bool gw_firehose_update_destination(struct gw_call *call);
bool gw_firehose_start_encryption(struct gw_call *call);
bool gw_firehose_stop_encryption(struct gw_call *call);
bool gw_firehose_tag(struct gw_call *call);
bool gw_firehose_untag(struct gw_call *call);
bool gw_firehose_list_tags(struct gw_call *call);
bool gw_firehose_put_record(struct gw_call *call);
bool gw_firehose_put_record_batch(struct gw_call *call);

#endif
