#include "client/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "base/sock.h"
#include "client/streams.h"

#define BACKOFF_MIN_NS (10 * SLK_NS_PER_MS)
#define BACKOFF_MAX_NS (2 * SLK_NS_PER_S)
#define GREETING_NS (5 * SLK_NS_PER_S) /* a welcome that takes longer does not come */
#define ASK_AGAIN_NS SLK_NS_PER_S /* streams that were refused for a reason that may pass */
#define MESSAGES_PER_TURN 64u
#define SOCKET_POLLS 256u /* polls between two looks at the socket, while completions come */
#define NONE UINT32_MAX

enum state { AWAY, GREETED, CONNECTED };

/* A record under way. */
struct slot {
	uint64_t tag; /* the caller's */
	uint32_t next; /* free ones */
	bool used;
};

struct client_pipe {
	struct sockaddr_un address;
	struct fmt_port_memory wanted;
	enum state state;
	int fd; /* -1: none */
	int epoll_fd;
	int timer_fd;
	uint64_t backoff_ns;
	uint64_t timer_ns; /* when it is due; 0: not set */
	uint64_t connections;
	uint64_t next_request;
	int trouble; /* why the last connection could not be made */
	struct slk_error trouble_err;
	bool broken; /* for good */

	uint8_t *map;
	struct fmt_port_memory memory;
	uint64_t submitted, flushed; /* ours */
	uint64_t taken; /* ingestd's, as last seen */
	uint64_t completed; /* likewise */
	uint64_t read, read_told; /* ours */
	bool armed; /* our flag in the memory is set */
	unsigned polls;

	struct client_streams streams;
	struct slot *slots;
	uint32_t slot_count, free_slot, under_way;
	struct sealock_completion *late; /* of a connection that was lost: to be polled first */
	uint32_t late_count, late_next;

	EVP_MD *md5;
	EVP_MD_CTX *md;
};

/* --- shared positions. Who sleeps sets its flag and then looks at the position, who publishes does it the other way round: all four
 * are of one order (seq_cst) --- */

static uint64_t
load(const struct client_pipe *p, size_t at)
{
	return le64toh(
		__atomic_load_n((const uint64_t *)(const void *)(p->map + at), __ATOMIC_SEQ_CST));
}

static void
store(struct client_pipe *p, size_t at, uint64_t value, int order)
{
	__atomic_store_n((uint64_t *)(void *)(p->map + at), htole64(value), order);
}

static void
set_flag(struct client_pipe *p, bool sleeps)
{
	uint32_t *flag = (uint32_t *)(void *)(p->map + FMT_PORT_AT_CLIENT_SLEEPS);

	__atomic_store_n(flag, htole32(sleeps ? 1 : 0), __ATOMIC_SEQ_CST);
	p->armed = sleeps;
}

/* --- the timer, which shows in the descriptor --- */

static void
set_timer(struct client_pipe *p, uint64_t in_ns)
{
	const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(in_ns / SLK_NS_PER_S),
						.tv_nsec = (long)(in_ns % SLK_NS_PER_S)}};

	p->timer_ns = in_ns != 0 ? slk_mono_ns(slk_clock_system()) + in_ns : 0;
	if (timerfd_settime(p->timer_fd, 0, &when, NULL) != 0)
		p->broken = true;
}

static bool
timer_is_due(const struct client_pipe *p)
{
	return p->timer_ns != 0 && slk_mono_ns(slk_clock_system()) >= p->timer_ns;
}

/* --- losing a connection --- */

static bool
give_late(struct client_pipe *p, const struct sealock_completion *completion)
{
	if (p->late_count == p->slot_count)
		return false;
	p->late[p->late_count++] = *completion;
	return true;
}

static bool next_completion(struct client_pipe *p, struct sealock_completion *out);

/* What ingestd had completed is still in the memory; nothing is known of the rest. */
static void
settle_all(struct client_pipe *p)
{
	struct sealock_completion c;

	/* Those that wait already come first. */
	memmove(p->late, p->late + p->late_next, (p->late_count - p->late_next) * sizeof(*p->late));
	p->late_count -= p->late_next;
	p->late_next = 0;
	while (next_completion(p, &c))
		(void)give_late(p, &c);
	for (uint32_t i = 0; i < p->slot_count; i++) {
		if (!p->slots[i].used)
			continue;
		c = (struct sealock_completion){.tag = p->slots[i].tag, .status = SLK_CLOSED};
		(void)give_late(p, &c);
		p->slots[i].used = false;
		p->slots[i].next = p->free_slot;
		p->free_slot = i;
	}
}

static void
unmap(struct client_pipe *p)
{
	if (p->map == NULL)
		return;
	size_t used =
		p->submitted < p->memory.ring_bytes ? (size_t)p->submitted : p->memory.ring_bytes;
	slk_wipe(p->map + FMT_PORT_PAGE_BYTES, used);
	munmap(p->map, fmt_port_memory_bytes(&p->memory));
	p->map = NULL;
}

static void
lose(struct client_pipe *p, int why, const char *sentence)
{
	if (p->state == CONNECTED)
		settle_all(p);
	unmap(p);
	if (p->fd >= 0)
		close(p->fd); /* leaves the epoll set with it */
	p->fd = -1;
	p->state = AWAY;
	p->submitted = p->flushed = p->taken = p->completed = p->read = p->read_told = 0;
	p->armed = false;
	client_streams_ask_all(&p->streams);
	if (sentence != NULL)
		p->trouble = slk_fail(&p->trouble_err, why, "%s", sentence);
	set_timer(p, p->backoff_ns);
	p->backoff_ns = 2 * p->backoff_ns < BACKOFF_MAX_NS ? 2 * p->backoff_ns : BACKOFF_MAX_NS;
}

/* --- connecting --- */

static int
send_message(struct client_pipe *p, const struct fmt_port_message *m)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	uint8_t bytes[FMT_PORT_MESSAGE_MAX];
	size_t len = 0;

	int rc = fmt_port_message_encode(m, bytes, sizeof(bytes), &len);
	return rc != SLK_OK ? rc : sock->send(sock->ctx, p->fd, bytes, len);
}

static void
connect_failed(struct client_pipe *p, int error)
{
	char sentence[256];
	int rc = error == EAGAIN ? SLK_UNAVAILABLE : slk_status_from_errno(error);

	(void)snprintf(sentence, sizeof(sentence), "cannot connect to sealock-ingestd at %s: %s",
		p->address.sun_path, strerror(error));
	lose(p, rc, sentence);
}

static void
greet(struct client_pipe *p)
{
	const struct fmt_port_message hello = {.type = FMT_PORT_HELLO,
		.id = ++p->next_request,
		.ring_bytes = p->wanted.ring_bytes,
		.completions = p->wanted.completions};
	struct epoll_event event = {.events = EPOLLIN, .data.fd = 0};

	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0) {
		connect_failed(p, errno);
		return;
	}
	if (connect(p->fd, (const struct sockaddr *)&p->address, sizeof(p->address)) != 0 ||
		epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->fd, &event) != 0) {
		connect_failed(p, errno);
		return;
	}
	int rc = send_message(p, &hello);
	if (rc != SLK_OK) {
		lose(p, rc, "sealock-ingestd hung up");
		return;
	}
	p->state = GREETED;
	set_timer(p, GREETING_NS);
}

/* The memory that came with WELCOME is what WELCOME says, and can never be less. */
static int
map_memory(struct client_pipe *p, const struct fmt_port_message *m, int memory_fd)
{
	const struct fmt_port_memory said = {m->ring_bytes, m->completions, m->data_max};
	struct fmt_port_memory found;
	struct stat st;
	size_t bytes = fmt_port_memory_bytes(&said);
	int seals = memory_fd >= 0 ? fcntl(memory_fd, F_GET_SEALS) : -1;

	if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW) ||
		fstat(memory_fd, &st) != 0 || (uint64_t)st.st_size != bytes)
		return SLK_MALFORMED;
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	if (map == MAP_FAILED)
		return SLK_NO_MEMORY;
	(void)madvise(map, bytes, MADV_DONTFORK);
	(void)madvise(map, bytes, MADV_DONTDUMP);
	int rc = fmt_port_memory_decode(slk_span(map, FMT_PORT_PAGE_BYTES), &found);
	if (rc == SLK_OK && memcmp(&found, &said, sizeof(said)) != 0)
		rc = SLK_MALFORMED;
	if (rc != SLK_OK) {
		munmap(map, bytes);
		return rc;
	}
	p->map = map;
	p->memory = said;
	return SLK_OK;
}

static void
welcome(struct client_pipe *p, const struct fmt_port_message *m, int memory_fd)
{
	char sentence[FMT_PORT_SENTENCE_MAX + 1];

	if (m->status != SLK_OK) {
		(void)snprintf(sentence, sizeof(sentence), "%.*s", (int)m->sentence.len,
			(const char *)m->sentence.ptr);
		lose(p, m->status, sentence);
		return;
	}
	int rc = map_memory(p, m, memory_fd);
	if (rc != SLK_OK) {
		lose(p, rc, "the memory that sealock-ingestd gave cannot be used");
		return;
	}
	p->state = CONNECTED;
	p->trouble = SLK_OK;
	p->backoff_ns = BACKOFF_MIN_NS;
	p->connections++;
	set_timer(p, 0);
}

/* --- messages --- */

static void
take_attached(struct client_pipe *p, const struct fmt_port_message *m)
{
	const struct fmt_port_message detach = {.type = FMT_PORT_DETACH, .handle = m->handle};

	/* Given back before the answer came: so is the handle. A socket that is full keeps it until the connection ends. */
	if (!client_streams_answer(&p->streams, m) && m->status == SLK_OK)
		(void)send_message(p, &detach);
}

/* SLK_OK: one was taken; SLK_AGAIN: there is none; the connection is lost otherwise. */
static int
take_message(struct client_pipe *p)
{
	uint8_t bytes[FMT_PORT_MESSAGE_MAX + 1];
	struct fmt_port_message m;
	size_t len = 0;
	int memory_fd = -1;

	int rc = slk_sock_recv_fd(p->fd, bytes, sizeof(bytes), &len, &memory_fd);
	if (rc == SLK_AGAIN)
		return rc;
	if (rc == SLK_OK)
		rc = fmt_port_message_decode(slk_span(bytes, len), &m);
	if (rc == SLK_OK && p->state == GREETED && m.type == FMT_PORT_WELCOME)
		welcome(p, &m, memory_fd);
	else if (rc == SLK_OK && p->state == CONNECTED && m.type == FMT_PORT_ATTACHED)
		take_attached(p, &m);
	else if (rc != SLK_OK || m.type != FMT_PORT_BELL)
		lose(p, rc == SLK_OK ? SLK_MALFORMED : rc,
			rc == SLK_CLOSED ? "sealock-ingestd hung up"
					 : "sealock-ingestd does not speak this protocol");
	if (memory_fd >= 0)
		close(memory_fd);
	return p->fd >= 0 ? SLK_OK : SLK_CLOSED;
}

/* Streams that were not asked for on this connection, as far as the socket takes it. */
static void
ask_for_streams(struct client_pipe *p)
{
	for (uint32_t i = 0; p->streams.unanswered > 0 && i < p->streams.count; i++) {
		struct client_stream *s = &p->streams.list[i];
		if (!s->used || s->asked || s->status != SLK_AGAIN)
			continue;
		const struct fmt_port_message attach = {.type = FMT_PORT_ATTACH,
			.id = ++p->next_request,
			.flags = s->flags,
			.name = slk_span_str(s->name)};
		if (send_message(p, &attach) != SLK_OK)
			return;
		s->asked = true;
		s->request_id = attach.id;
		s->asked_ns = slk_mono_ns(slk_clock_system());
	}
}

int
client_pipe_turn(struct client_pipe *p)
{
	if (p->state == AWAY && (p->timer_ns == 0 || timer_is_due(p)))
		greet(p);
	for (unsigned i = 0; i < MESSAGES_PER_TURN && p->fd >= 0; i++) {
		if (take_message(p) != SLK_OK)
			break;
	}
	if (p->state == GREETED && timer_is_due(p))
		lose(p, SLK_TIMEOUT, "sealock-ingestd does not answer");
	if (p->state == CONNECTED && p->streams.unanswered > 0)
		ask_for_streams(p);
	return p->broken ? SLK_SYSTEM : SLK_OK;
}

int
client_pipe_trouble(const struct client_pipe *p, struct slk_error *err)
{
	if (p->trouble != SLK_OK && err != NULL)
		*err = p->trouble_err;
	return p->trouble;
}

/* --- streams --- */

int
client_pipe_attach(struct client_pipe *p, const char *name, unsigned flags, uint32_t *out_stream)
{
	int rc = client_streams_add(&p->streams, name, flags, out_stream);

	return rc == SLK_OK ? client_pipe_turn(p) : rc;
}

int
client_pipe_stream(
	const struct client_pipe *p, uint32_t stream, struct sealock_stream_info *out_info)
{
	const struct client_stream *s = client_streams_get(&p->streams, stream);

	if (s == NULL)
		return SLK_NOT_FOUND;
	*out_info = (struct sealock_stream_info){.status = s->status,
		.id = s->id,
		.encryption = (enum sealock_encryption)s->encryption,
		.sentence = s->sentence};
	return SLK_OK;
}

void
client_pipe_detach(struct client_pipe *p, uint32_t stream)
{
	struct client_stream *s = client_streams_get(&p->streams, stream);

	if (s == NULL)
		return;
	const struct fmt_port_message detach = {.type = FMT_PORT_DETACH, .handle = s->handle};
	if (p->state == CONNECTED && s->status == SLK_OK)
		(void)send_message(p, &detach);
	client_streams_remove(&p->streams, s);
}

/* --- records --- */

static int
hash_key(struct client_pipe *p, const struct sealock_put *put, uint8_t out[16])
{
	unsigned len = 0;

	if (put->hash != NULL) {
		memcpy(out, put->hash, 16);
		return SLK_OK;
	}
	if (p->md5 == NULL)
		return SLK_UNSUPPORTED;
	if (EVP_DigestInit_ex2(p->md, p->md5, NULL) != 1 ||
		EVP_DigestUpdate(p->md, put->key.ptr, put->key.len) != 1 ||
		EVP_DigestFinal_ex(p->md, out, &len) != 1 || len != 16)
		return SLK_INTERNAL;
	return SLK_OK;
}

/* What stands in the way of any record into the stream. */
static int
stream_ready(struct client_pipe *p, uint32_t stream, struct client_stream **out)
{
	struct client_stream *s = client_streams_get(&p->streams, stream);

	if (s == NULL)
		return SLK_NOT_FOUND;
	if (p->state != CONNECTED)
		return SLK_AGAIN;
	if (s->status == SLK_OK || s->status == SLK_AGAIN) {
		*out = s;
		return s->status;
	}
	int status = s->status;
	if (slk_status_class(status) == SLK_CLASS_RETRY &&
		slk_mono_ns(slk_clock_system()) - s->asked_ns >= ASK_AGAIN_NS)
		client_streams_ask(&p->streams, s);
	return status;
}

/* Bytes in front of an entry, so that it does not go over the ring's end. SLK_AGAIN: there is no room now. */
static int
find_room(struct client_pipe *p, uint32_t entry_bytes, uint32_t *out_pad)
{
	uint32_t pos = (uint32_t)(p->submitted & (p->memory.ring_bytes - 1));
	uint32_t pad = pos + entry_bytes > p->memory.ring_bytes ? p->memory.ring_bytes - pos : 0;

	for (unsigned looks = 0; looks < 2; looks++) {
		if (p->submitted - p->taken + pad + entry_bytes <= p->memory.ring_bytes) {
			*out_pad = pad;
			return SLK_OK;
		}
		uint64_t taken = load(p, FMT_PORT_AT_TAKEN);
		/* It only grows, and never beyond what was submitted. */
		if (p->submitted - taken > p->submitted - p->taken)
			return SLK_MALFORMED;
		p->taken = taken;
	}
	return SLK_AGAIN;
}

static void
write_entry(struct client_pipe *p, const struct fmt_port_entry *e, uint32_t pad,
	const struct sealock_put *put)
{
	uint8_t *ring = p->map + FMT_PORT_PAGE_BYTES;
	uint32_t mask = p->memory.ring_bytes - 1;

	if (pad > 0) {
		const struct fmt_port_entry filler = {.type = FMT_PORT_PAD, .entry_bytes = pad};
		fmt_port_entry_encode(&filler, ring + (p->submitted & mask));
		p->submitted += pad;
	}
	uint8_t *at = ring + (p->submitted & mask);
	fmt_port_entry_encode(e, at);
	at += FMT_PORT_RECORD_BYTES;
	memcpy(at, put->key.ptr, put->key.len);
	at += put->key.len;
	if (put->data.len > 0)
		memcpy(at, put->data.ptr, put->data.len);
	memset(at + put->data.len, 0,
		e->entry_bytes - FMT_PORT_RECORD_BYTES - put->key.len - put->data.len);
	p->submitted += e->entry_bytes;
	store(p, FMT_PORT_AT_SUBMITTED, p->submitted, __ATOMIC_RELEASE);
}

int
client_pipe_put(struct client_pipe *p, const struct sealock_put *put)
{
	struct client_stream *s = NULL;
	uint32_t pad = 0;

	if (put->key.len == 0 || put->key.len > FMT_PORT_KEY_MAX)
		return SLK_INVALID;
	int rc = stream_ready(p, put->stream, &s);
	if (rc != SLK_OK)
		return rc;
	if (put->data.len > p->memory.data_max)
		return SLK_TOO_LARGE;
	struct fmt_port_entry e = {.type = FMT_PORT_RECORD,
		.entry_bytes =
			fmt_port_record_bytes((uint32_t)put->key.len, (uint32_t)put->data.len),
		.key_len = (uint16_t)put->key.len,
		.data_len = (uint32_t)put->data.len,
		.handle = s->handle};
	if (e.entry_bytes > p->memory.ring_bytes / 2)
		return SLK_TOO_LARGE;
	if (p->under_way == p->slot_count || p->free_slot == NONE)
		return SLK_AGAIN;
	rc = find_room(p, e.entry_bytes, &pad);
	if (rc == SLK_MALFORMED) {
		lose(p, rc, "sealock-ingestd wrote positions that make no sense");
		return SLK_AGAIN;
	}
	if (rc == SLK_OK)
		rc = hash_key(p, put, e.hash);
	if (rc != SLK_OK)
		return rc;
	struct slot *slot = &p->slots[p->free_slot];
	e.tag = p->free_slot;
	p->free_slot = slot->next;
	slot->used = true;
	slot->tag = put->tag;
	p->under_way++;
	write_entry(p, &e, pad, put);
	return SLK_OK;
}

bool
client_pipe_put_would_wait(const struct client_pipe *p, uint32_t stream)
{
	const struct client_stream *s = client_streams_get(&p->streams, stream);

	return s != NULL && (p->state != CONNECTED || s->status == SLK_AGAIN);
}

void
client_pipe_flush(struct client_pipe *p)
{
	const struct fmt_port_message bell = {.type = FMT_PORT_BELL};

	if (p->state != CONNECTED || p->flushed == p->submitted)
		return;
	p->flushed = p->submitted;
	store(p, FMT_PORT_AT_SUBMITTED, p->submitted, __ATOMIC_SEQ_CST);
	const uint32_t *flag =
		(const uint32_t *)(const void *)(p->map + FMT_PORT_AT_INGESTD_SLEEPS);
	/* A socket that is full wakes its reader as well; one that is broken shows when it is read. */
	if (__atomic_load_n(flag, __ATOMIC_SEQ_CST) != 0)
		(void)send_message(p, &bell);
}

/* --- completions --- */

/* The next one in the memory. false: none, or nonsense, after which the connection is of no use. */
static bool
next_completion(struct client_pipe *p, struct sealock_completion *out)
{
	uint8_t entry[FMT_PORT_COMPLETION_BYTES];
	struct fmt_port_completion c;

	if (p->map == NULL)
		return false;
	if (p->completed == p->read)
		p->completed = load(p, FMT_PORT_AT_COMPLETED);
	if (p->completed == p->read || p->completed - p->read > p->memory.completions)
		return false;
	const uint8_t *ring = p->map + FMT_PORT_PAGE_BYTES + p->memory.ring_bytes;
	memcpy(entry, ring + (p->read & (p->memory.completions - 1)) * FMT_PORT_COMPLETION_BYTES,
		sizeof(entry));
	if (fmt_port_completion_decode(slk_span(entry, sizeof(entry)), &c) != SLK_OK ||
		c.tag >= p->slot_count || !p->slots[c.tag].used)
		return false;
	struct slot *slot = &p->slots[c.tag];
	*out = (struct sealock_completion){.tag = slot->tag,
		.status = c.status,
		.shard = c.shard,
		.sequence = c.sequence,
		.arrival_ns = c.arrival_ns,
		.encryption = (enum sealock_encryption)c.encryption};
	slot->used = false;
	slot->next = p->free_slot;
	p->free_slot = (uint32_t)c.tag;
	p->read++;
	return true;
}

static size_t
take_late(struct client_pipe *p, struct sealock_completion *out, size_t cap)
{
	size_t n = 0;

	while (n < cap && p->late_next < p->late_count)
		out[n++] = p->late[p->late_next++];
	if (p->late_next == p->late_count)
		p->late_next = p->late_count = 0;
	return n;
}

int
client_pipe_poll(
	struct client_pipe *p, struct sealock_completion *out, size_t cap, size_t *out_count)
{
	size_t n = 0;
	int rc = SLK_OK;

	client_pipe_flush(p);
	if (p->armed && p->map != NULL)
		set_flag(p, false);
	n = take_late(p, out, cap);
	while (n < cap && p->state == CONNECTED && next_completion(p, &out[n]))
		n++;
	if (p->state == CONNECTED && p->read != p->read_told) {
		store(p, FMT_PORT_AT_READ, p->read, __ATOMIC_RELEASE);
		p->read_told = p->read;
	}
	if (n < cap && p->state == CONNECTED && p->completed != p->read)
		lose(p, SLK_MALFORMED, "sealock-ingestd wrote completions that make no sense");
	/* The socket is looked at when there is nothing better to do. */
	if (n == 0 || ++p->polls % SOCKET_POLLS == 0) {
		rc = client_pipe_turn(p);
		if (n == 0)
			n = take_late(p, out, cap);
	}
	p->under_way -= (uint32_t)n;
	*out_count = n;
	return n > 0 ? SLK_OK : rc;
}

int
client_pipe_arm(struct client_pipe *p)
{
	client_pipe_flush(p);
	if (p->late_next < p->late_count)
		return SLK_AGAIN;
	if (p->broken)
		return SLK_SYSTEM;
	if (p->state != CONNECTED)
		return SLK_OK; /* the timer or the welcome */
	set_flag(p, true);
	if (load(p, FMT_PORT_AT_COMPLETED) == p->read)
		return SLK_OK;
	set_flag(p, false);
	return SLK_AGAIN;
}

/* --- state --- */

int
client_pipe_fd(const struct client_pipe *p)
{
	return p->epoll_fd;
}

const char *
client_pipe_socket(const struct client_pipe *p)
{
	return p->address.sun_path;
}

bool
client_pipe_connected(const struct client_pipe *p)
{
	return p->state == CONNECTED;
}

uint32_t
client_pipe_under_way(const struct client_pipe *p)
{
	return p->under_way;
}

uint32_t
client_pipe_data_max(const struct client_pipe *p)
{
	if (p->connections == 0)
		return 0;
	uint32_t half = p->memory.ring_bytes / 2 - FMT_PORT_RECORD_BYTES - FMT_PORT_KEY_MAX;
	return half < p->memory.data_max ? half : p->memory.data_max;
}

uint64_t
client_pipe_connections(const struct client_pipe *p)
{
	return p->connections;
}

/* --- making one --- */

static int
make_slots(struct client_pipe *p)
{
	p->slot_count = p->wanted.completions;
	p->slots = calloc(p->slot_count, sizeof(*p->slots));
	p->late = calloc(p->slot_count, sizeof(*p->late));
	if (p->slots == NULL || p->late == NULL)
		return SLK_NO_MEMORY;
	p->free_slot = NONE;
	for (uint32_t i = p->slot_count; i-- > 0;) {
		p->slots[i].next = p->free_slot;
		p->free_slot = i;
	}
	return SLK_OK;
}

static int
make_descriptors(struct client_pipe *p)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = 1};

	p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->epoll_fd < 0 || p->timer_fd < 0 ||
		epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->timer_fd, &event) != 0)
		return SLK_SYSTEM;
	return SLK_OK;
}

int
client_pipe_new(const struct client_pipe_config *config, struct client_pipe **out_pipe,
	struct slk_error *err)
{
	if (strlen(config->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return slk_fail(
			err, SLK_TOO_LARGE, "the path %s is too long for a socket", config->socket);
	struct client_pipe *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	p->address.sun_family = AF_UNIX;
	strcpy(p->address.sun_path, config->socket);
	p->wanted = config->memory;
	p->fd = p->epoll_fd = p->timer_fd = -1;
	p->backoff_ns = BACKOFF_MIN_NS;
	/* Missing where only approved algorithms are: explicit hash keys still do. */
	p->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	p->md = EVP_MD_CTX_new();
	int rc = p->md != NULL ? make_slots(p) : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = make_descriptors(p);
	if (rc != SLK_OK) {
		(void)slk_fail(err, rc, "cannot make a producer: %s", slk_status_sentence(rc));
		client_pipe_free(p);
		return rc;
	}
	greet(p);
	*out_pipe = p;
	return SLK_OK;
}

void
client_pipe_free(struct client_pipe *p)
{
	if (p == NULL)
		return;
	unmap(p);
	if (p->fd >= 0)
		close(p->fd);
	if (p->epoll_fd >= 0)
		close(p->epoll_fd);
	if (p->timer_fd >= 0)
		close(p->timer_fd);
	client_streams_free(&p->streams);
	EVP_MD_CTX_free(p->md);
	EVP_MD_free(p->md5);
	free(p->slots);
	free(p->late);
	free(p);
}
