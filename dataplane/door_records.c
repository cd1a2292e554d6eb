#include "door_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define CLIENT_BYTES_MAX (8u << 20) /* records of one client under way; one more always may */
#define BYTES_MAX (64u << 20) /* of all */
#define RECORDS_PER_TURN 128u /* of one client */

static size_t
put_bytes(const struct dp_put *put)
{
	return sizeof(*put) + put->key_len + put->data_len;
}

void
dp_door_free_put(struct dp_door *d, struct dp_put *put)
{
	struct dp_client *c = dp_door_client(d, put->client);
	size_t size = put_bytes(put);

	d->puts--;
	d->bytes -= size;
	if (c != NULL)
		c->bytes -= size;
	slk_wipe(put, size);
	free(put);
}

static void
append(struct dp_put **head, struct dp_put **tail, struct dp_put *put)
{
	put->next = NULL;
	if (*head != NULL)
		(*tail)->next = put;
	else
		*head = put;
	*tail = put;
}

static struct dp_put *
take_first(struct dp_put **head)
{
	struct dp_put *put = *head;

	if (put != NULL)
		*head = put->next;
	return put;
}

static void
complete(struct dp_door *d, struct dp_put *put)
{
	struct dp_client *c = dp_door_client(d, put->client);

	if (c != NULL) {
		struct fmt_port_completion completion = {.tag = put->tag, .status = put->status};
		if (put->status == SLK_OK) {
			completion.shard = put->shard;
			completion.sequence = put->sequence;
			completion.arrival_ns = put->arrival_ns;
			completion.encryption = put->encrypted_kms ? FMT_PORT_ENCRYPTION_KMS
								   : FMT_PORT_ENCRYPTION_NONE;
		} else {
			dp_door_count(&d->counters.refused);
		}
		dp_client_complete(c, &completion);
	}
	dp_door_free_put(d, put);
}

static void
refuse(struct dp_door *d, struct dp_put *put, int status)
{
	put->status = status;
	complete(d, put);
}

static void
use_right(struct dp_door *d, const struct dp_right *r, struct dp_put *put)
{
	if (r->status != SLK_OK) {
		refuse(d, put, r->status);
		return;
	}
	put->stream_id = r->stream_id;
	put->slot = r->slot;
	put->worker = r->worker;
	if (atomic_load(&d->refusing) != 0)
		refuse(d, put, SLK_UNAVAILABLE);
	else if (!dp_spsc_push(&d->workers[put->worker]->put_in, put))
		refuse(d, put, SLK_THROTTLED);
}

static void
authorise(struct dp_door *d, struct dp_client *c, struct dp_put *put)
{
	struct dp_attachment *a = dp_client_attachment(c, put->handle);

	if (a == NULL || a->pending)
		refuse(d, put, SLK_NOT_FOUND);
	else if (dp_right_known(d->rights, a->right))
		use_right(d, a->right, put);
	else
		append(&a->right->waiting, &a->right->waiting_tail, put);
}

/* A worker is done with a record. The stream that the client's right was for may be gone; one that has its name now is
 * another one, which the record may be for. */
static void
take_back(struct dp_door *d, struct dp_put *put)
{
	struct dp_client *c = dp_door_client(d, put->client);
	struct dp_attachment *a = NULL;

	if (put->status == SLK_NOT_FOUND && !put->asked_again && c != NULL)
		a = dp_client_attachment(c, put->handle);
	if (a == NULL) {
		complete(d, put);
		return;
	}
	put->asked_again = true;
	if (a->right->stream_id == put->stream_id)
		dp_right_spoil(a->right);
	authorise(d, c, put);
}

unsigned
dp_door_take_done(struct dp_door *d)
{
	struct dp_put *put;
	unsigned n = 0;

	for (unsigned i = 0; i < d->worker_count; i++) {
		for (; (put = dp_spsc_pop(&d->workers[i]->put_out)) != NULL; n++)
			take_back(d, put);
	}
	return n;
}

unsigned
dp_door_take_rights(struct dp_door *d)
{
	struct dp_right *r;
	struct dp_put *put;
	unsigned n = 0;

	for (; (r = dp_rights_take(d->rights)) != NULL; n++) {
		while ((put = take_first(&r->waiting)) != NULL)
			use_right(d, r, put);
		for (unsigned i = 0; i < DP_CLIENTS_MAX; i++) {
			struct dp_client *c = &d->clients[i];
			for (uint32_t k = 0; c->attaching > 0 && k < c->attachment_count; k++) {
				if (c->attachments[k].pending && c->attachments[k].right == r)
					dp_door_tell_attached(d, c, &c->attachments[k]);
			}
		}
	}
	return n;
}

bool
dp_door_has_room(const struct dp_door *d, const struct dp_client *c)
{
	return c->bytes < CLIENT_BYTES_MAX && d->bytes < BYTES_MAX && d->puts < DP_PUT_RING;
}

static struct dp_put *
make_put(struct dp_door *d, struct dp_client *c, const struct fmt_port_entry *e,
	const uint8_t *bytes)
{
	struct dp_put *put = malloc(sizeof(*put) + e->key_len + e->data_len);

	if (put == NULL)
		return NULL;
	*put = (struct dp_put){.tag = e->tag,
		.client = c->id,
		.handle = e->handle,
		.key_len = e->key_len,
		.data_len = e->data_len};
	memcpy(put->hash, e->hash, sizeof(put->hash));
	memcpy(put->bytes, bytes, (size_t)e->key_len + e->data_len);
	c->bytes += put_bytes(put);
	d->puts++;
	d->bytes += put_bytes(put);
	return put;
}

/* Some of a client's records. */
static unsigned
take_records(struct dp_door *d, struct dp_client *c)
{
	struct fmt_port_entry e;
	const uint8_t *bytes;
	unsigned n = 0;

	for (; n < RECORDS_PER_TURN && dp_client_has_more(c) && dp_door_has_room(d, c); n++) {
		int rc = dp_client_next(c, &e, &bytes);
		if (rc == SLK_AGAIN)
			break;
		if (rc != SLK_OK) {
			dp_door_breach(d, c, "its ring makes no sense");
			return n + 1;
		}
		struct dp_put *put = make_put(d, c, &e, bytes);
		if (put == NULL)
			break; /* it stays in the ring */
		dp_client_took(c, &e);
		authorise(d, c, put);
	}
	return n;
}

static void
find_live(struct dp_door *d)
{
	d->live_count = 0;
	for (unsigned i = 0; i < DP_CLIENTS_MAX; i++) {
		if (d->clients[i].fd >= 0)
			d->live[d->live_count++] = i;
	}
	d->live_stale = false;
}

/* Everybody in turn, each first once in a while, so that room that is scarce is shared. */
unsigned
dp_door_serve(struct dp_door *d)
{
	unsigned n = 0;

	if (d->live_stale)
		find_live(d);
	d->first++;
	for (unsigned i = 0; i < d->live_count; i++) {
		struct dp_client *c = &d->clients[d->live[(d->first + i) % d->live_count]];
		if (c->fd >= 0)
			n += take_records(d, c);
	}
	return n;
}

void
dp_door_publish(struct dp_door *d)
{
	for (unsigned i = 0; i < d->live_count; i++) {
		struct dp_client *c = &d->clients[d->live[i]];
		if (c->fd < 0)
			continue;
		dp_client_publish(c);
		if (c->bell)
			dp_door_ring_bell(c);
	}
}
