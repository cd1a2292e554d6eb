/* The table of Firehose's operations; delivery streams as they are remembered. */
#include "aws/firehose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/kms.h"

#define DELIVERIES_MAX 1024u
#define DELIVERY_LIFE_NS \
	(60 * SLK_NS_PER_S) /* an answer may be older than a change that was told meanwhile */
#define DELIVERY_LIFE_UNTOLD_NS (5 * SLK_NS_PER_S) /* while nobody tells us of changes */

const struct gw_operation gw_firehose_operations[] = {
	{"CreateDeliveryStream", gw_firehose_create},
	{"DeleteDeliveryStream", gw_firehose_delete},
	{"DescribeDeliveryStream", gw_firehose_describe},
	{"ListDeliveryStreams", gw_firehose_list},
	{"ListTagsForDeliveryStream", gw_firehose_list_tags},
	{"PutRecord", gw_firehose_put_record},
	{"PutRecordBatch", gw_firehose_put_record_batch},
	{"StartDeliveryStreamEncryption", gw_firehose_start_encryption},
	{"StopDeliveryStreamEncryption", gw_firehose_stop_encryption},
	{"TagDeliveryStream", gw_firehose_tag},
	{"UntagDeliveryStream", gw_firehose_untag},
	{"UpdateDestination", gw_firehose_update_destination},
	{NULL, NULL},
};

/* --- names --- */

const char *
gw_delivery_named(const struct gw_call *call, char out_arn[KMSC_ARN_MAX])
{
	const char *name = gw_text(call->in, "DeliveryStreamName");
	char resource[16 + KMSC_DELIVERY_NAME_MAX];

	(void)snprintf(resource, sizeof(resource), "deliverystream/%.64s", name);
	gw_call_arn(call, "firehose", resource, out_arn);
	return name;
}

bool
gw_delivery_missing(struct gw_call *call, const char *name)
{
	return gw_fault_set(&call->fault, "ResourceNotFoundException",
		"Firehose %s under account %s not found.", name,
		gw_app_config_of(call->thread->app)->account);
}

/* --- delivery streams as they are remembered --- */

struct gw_deliveries {
	struct gw_delivery *first;
	size_t count;
};

int
gw_deliveries_new(struct gw_deliveries **out_deliveries)
{
	*out_deliveries = calloc(1, sizeof(**out_deliveries));
	return *out_deliveries != NULL ? SLK_OK : SLK_NO_MEMORY;
}

void
gw_deliveries_forget(struct gw_deliveries *deliveries)
{
	if (deliveries == NULL)
		return;
	for (struct gw_delivery *d = deliveries->first, *next; d != NULL; d = next) {
		next = d->next;
		free(d);
	}
	*deliveries = (struct gw_deliveries){NULL, 0};
}

void
gw_deliveries_free(struct gw_deliveries *deliveries)
{
	gw_deliveries_forget(deliveries);
	free(deliveries);
}

static const struct gw_delivery *
remembered(struct gw_thread *t, const char *name)
{
	uint64_t now_ns = http_loop_now_ns(t->loop);

	for (struct gw_delivery **at = &t->deliveries->first; *at != NULL; at = &(*at)->next) {
		struct gw_delivery *d = *at;
		if (strcmp(d->name, name) != 0)
			continue;
		if (now_ns - d->read_ns <
			(t->rights_known ? DELIVERY_LIFE_NS : DELIVERY_LIFE_UNTOLD_NS))
			return d;
		*at = d->next;
		t->deliveries->count--;
		free(d);
		return NULL;
	}
	return NULL;
}

static void
remember(struct gw_thread *t, const struct gw_delivery *told)
{
	if (t->deliveries->count >= DELIVERIES_MAX)
		gw_deliveries_forget(t->deliveries);
	struct gw_delivery *d = malloc(sizeof(*d));
	if (d == NULL)
		return; /* it is asked for again */
	*d = *told;
	d->next = t->deliveries->first;
	t->deliveries->first = d;
	t->deliveries->count++;
}

/* One that is not active will be, or will be gone: nobody tells when. */
static void
delivery_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__DeliveryStream *in = reply->delivery_stream;
	struct gw_delivery d = {.id = in->id,
		.active = strcmp(in->state, "ACTIVE") == 0,
		.direct_put = in->direct_put,
		.encrypted = strncmp(in->encryption_status, "ENABLED", 7) == 0,
		.read_ns = http_loop_now_ns(call->thread->loop)};

	(void)snprintf(d.name, sizeof(d.name), "%s", in->name);
	if (d.active && remembered(call->thread, d.name) == NULL)
		remember(call->thread, &d);
	call->on_delivery(call, &d);
}

bool
gw_delivery_get(struct gw_call *call, const char *name,
	void (*on_delivery)(struct gw_call *call, const struct gw_delivery *delivery))
{
	GW_KMSP(r, m, Kmsp__DeliveryStreamName, KMSP__DELIVERY_STREAM_NAME__INIT,
		DESCRIBE_DELIVERY_STREAM, describe_delivery_stream);
	const struct gw_delivery *d = remembered(call->thread, name);

	if (d != NULL) {
		on_delivery(call, d);
		return true;
	}
	call->on_delivery = on_delivery;
	m.name = (char *)(uintptr_t)name;
	return gw_call_ask_own(call, &r, delivery_told);
}
