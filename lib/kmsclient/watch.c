#include "kmsclient/watch.h"

#include <poll.h>
#include <stdlib.h>

#include "kmsclient/async.h"

#define WAIT_MS 10000u /* as long as kmsd waits */
#define APART_NS (20 * SLK_NS_PER_MS) /* between two questions, however often the numbers move */
#define PAUSE_FIRST_NS (100 * SLK_NS_PER_MS)
#define PAUSE_MAX_NS (2 * SLK_NS_PER_S)

struct kmsc_watch {
	struct kmsc_async *kms;
	const struct slk_clock *clock;
	unsigned timeout_ms;
	bool deliveries;
	int fd;
	bool write; /* the socket was full */
	bool asking;
	bool known; /* changes is what kmsd said last, and it has not been away since */
	struct kmsc_changes changes;
	uint64_t ask_ns, pause_ns; /* no question before; the last pause */
	bool has_news;
	struct kmsc_watch_news news;
};

static void
follow(void *arg, int fd, bool write)
{
	struct kmsc_watch *w = arg;

	w->fd = fd;
	w->write = write;
}

int
kmsc_watch_new(const struct kmsc_watch_config *config, struct kmsc_watch **out_watch)
{
	struct kmsc_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return SLK_NO_MEMORY;
	w->clock = config->clock != NULL ? config->clock : slk_clock_system();
	w->timeout_ms = config->timeout_ms;
	w->deliveries = config->deliveries;
	w->fd = -1;
	const struct kmsc_async_config async = {
		.path = config->path, .clock = w->clock, .watch = follow, .watch_arg = w};
	int rc = kmsc_async_new(&async, &w->kms);
	if (rc != SLK_OK) {
		free(w);
		return rc;
	}
	*out_watch = w;
	return SLK_OK;
}

void
kmsc_watch_free(struct kmsc_watch *watch)
{
	if (watch == NULL)
		return;
	kmsc_async_free(watch->kms);
	free(watch);
}

static void
failed(struct kmsc_watch *w, int status, const char *sentence)
{
	w->known = false;
	w->pause_ns = w->pause_ns == 0 ? PAUSE_FIRST_NS : 2 * w->pause_ns;
	w->pause_ns = w->pause_ns < PAUSE_MAX_NS ? w->pause_ns : PAUSE_MAX_NS;
	w->ask_ns = slk_mono_ns(w->clock) + w->pause_ns;
	w->news.status = status;
	(void)slk_fail(&w->news.err, status, "%s", sentence);
	w->has_news = true;
}

static void
answered(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	struct kmsc_watch *w = arg;

	w->asking = false;
	if (status != SLK_OK) {
		failed(w, status, sentence);
		return;
	}
	if (reply->status != SLK_OK) {
		failed(w, reply->status, reply->message);
		return;
	}
	if (reply->result_case != KMSP__REPLY__RESULT_CHANGES) {
		failed(w, SLK_INTERNAL, "the answer of kmsd is another's");
		return;
	}
	w->changes = (struct kmsc_changes){.stream_changes = reply->changes->stream_changes,
		.right_changes = reply->changes->right_changes,
		.delivery_changes = reply->changes->delivery_changes};
	w->known = true;
	w->pause_ns = 0;
	w->news = (struct kmsc_watch_news){.status = SLK_OK, .changes = w->changes};
	w->has_news = true;
}

static void
ask(struct kmsc_watch *w)
{
	Kmsp__WatchStreams call = KMSP__WATCH_STREAMS__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	struct slk_error err = {0};
	uint64_t id = 0;

	call.stream_changes = w->changes.stream_changes;
	call.right_changes = w->changes.right_changes;
	call.delivery_changes = w->changes.delivery_changes;
	call.deliveries = w->deliveries;
	call.wait_ms = w->known ? WAIT_MS : 1;
	request.call_case = KMSP__REQUEST__CALL_WATCH_STREAMS;
	request.watch_streams = &call;
	w->asking = true;
	w->ask_ns = slk_mono_ns(w->clock) + APART_NS;
	int rc = kmsc_async_send_within(
		w->kms, &request, NULL, call.wait_ms + w->timeout_ms, answered, w, &id, &err);
	if (rc != SLK_OK) {
		w->asking = false;
		failed(w, rc, err.text);
	}
}

bool
kmsc_watch_turn(struct kmsc_watch *watch, struct kmsc_watch_news *out_news)
{
	kmsc_async_ready(watch->kms);
	kmsc_async_tick(watch->kms);
	if (!watch->asking && slk_mono_ns(watch->clock) >= watch->ask_ns)
		ask(watch);
	if (!watch->has_news)
		return false;
	*out_news = watch->news;
	watch->has_news = false;
	return true;
}

int
kmsc_watch_fd(const struct kmsc_watch *watch)
{
	return watch->fd;
}

short
kmsc_watch_events(const struct kmsc_watch *watch)
{
	return (short)(watch->write ? POLLIN | POLLOUT : POLLIN);
}

uint64_t
kmsc_watch_next_ns(const struct kmsc_watch *watch)
{
	return watch->asking ? kmsc_async_next_ns(watch->kms) : watch->ask_ns;
}
