/* Records are gathered into a batch of datagrams; a batch goes out when it is full, when the window is, or at the end. */
#include "sender.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* Linux 4.18 */
#endif

#define BATCH_DATAGRAMS 64u /* also the kernel's limit of segments in one message */
#define RECORDS_PER_BATCH_MAX 1024u
#define GSO_BYTES_MAX 65000u /* of one message, headers not counted */
#define TIMEOUT_DEFAULT_NS (10 * SLK_NS_PER_S)
#define NO_BUFFERS_RETRIES 1000u

struct dp_sender {
	struct dp_sender_config config;
	const struct slk_clock *clock;
	int fd;
	bool use_gso;
	uint8_t *batch; /* BATCH_DATAGRAMS x payload_bytes */
	struct iovec datagrams[BATCH_DATAGRAMS];
	unsigned datagram_count; /* in the batch; the last one may still grow */
	uint32_t batch_records; /* in the batch */
	uint64_t mark_base; /* durable before the first record */
	uint64_t durable_records; /* of ours, as far as can be told */
	uint64_t progress_ns; /* when durable_records last grew, or something was sent */
	uint64_t first_ns; /* of the first record; 0: none yet */
	uint64_t last_ns;
	EVP_MD_CTX *sha256;
	struct dp_sender_result result;
};

/* 1..65535 in plain digits; 0: none. (getaddrinfo() takes 65536 for 0.) */
static uint16_t
parse_port(const char *text)
{
	uint32_t port = 0;

	if (strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
		return 0;
	for (; *text != '\0'; text++)
		port = port * 10 + (uint32_t)(*text - '0');
	return port <= 65535 ? (uint16_t)port : 0;
}

/* text up to len without its brackets -> a numeric address without a port */
static bool
parse_host(const char *text, size_t len, struct sockaddr_storage *out)
{
	static const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM};
	struct addrinfo *list = NULL;
	char host[80];
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	size_t edge = bracketed ? 1 : 0;

	if (len == 0 || len >= sizeof(host) || (!bracketed && memchr(text, ':', len) != NULL))
		return false;
	memcpy(host, text + edge, len - 2 * edge);
	host[len - 2 * edge] = '\0';
	if (getaddrinfo(host, NULL, &hints, &list) != 0)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return true;
}

int
dp_sender_address(const char *text, struct sockaddr_storage *out, struct slk_error *err)
{
	const char *colon = strrchr(text, ':');
	uint16_t port = colon != NULL ? parse_port(colon + 1) : 0;

	if (port == 0 || !parse_host(text, (size_t)(colon - text), out))
		return slk_fail(err, SLK_INVALID,
			"\"%s\" is no address with a port: give 10.77.0.2:5514 or "
			"[fd00:77::2]:5514",
			text);
	/* sin_port and sin6_port lie at the same place */
	_Static_assert(
		offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port),
		"port");
	((struct sockaddr_in *)out)->sin_port = htons(port);
	return SLK_OK;
}

/* --- start --- */

static socklen_t
address_bytes(const struct sockaddr_storage *to)
{
	return to->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* Connected, so that the kernel knows the path's MTU and tells when nobody listens. */
static int
open_socket(struct dp_sender *s, struct slk_error *err)
{
	bool ip4 = s->config.to.ss_family == AF_INET;
	int whole = IP_PMTUDISC_DO; /* IPV6_PMTUDISC_DO is the same */

	s->fd = socket(s->config.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return slk_fail_errno(err, "cannot open a UDP socket");
	if (setsockopt(s->fd, ip4 ? IPPROTO_IP : IPPROTO_IPV6,
		    ip4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &whole, sizeof(whole)) != 0)
		return slk_fail_errno(err, "cannot switch fragmentation off");
	if (connect(s->fd, (const struct sockaddr *)&s->config.to, address_bytes(&s->config.to)) !=
		0)
		return slk_fail_errno(err, "no way to the listener");
	return SLK_OK;
}

static int
choose_payload(struct dp_sender *s, struct slk_error *err)
{
	bool ip4 = s->config.to.ss_family == AF_INET;
	int mtu = 0, headers = ip4 ? 28 : 48;
	socklen_t len = sizeof(mtu);

	if (getsockopt(s->fd, ip4 ? IPPROTO_IP : IPPROTO_IPV6, ip4 ? IP_MTU : IPV6_MTU, &mtu,
		    &len) != 0)
		return slk_fail_errno(err, "cannot learn the MTU of the path");
	uint32_t most = mtu > headers ? (uint32_t)(mtu - headers) : 1;
	if (most > DP_SENDER_PAYLOAD_MAX)
		most = DP_SENDER_PAYLOAD_MAX;
	if (s->config.payload_bytes > most)
		return slk_fail(err, SLK_INVALID,
			"datagrams of %u bytes do not fit the path: its MTU of %d leaves %u",
			s->config.payload_bytes, mtu, most);
	s->result.payload_bytes = s->config.payload_bytes != 0 ? s->config.payload_bytes : most;
	s->batch = malloc((size_t)BATCH_DATAGRAMS * s->result.payload_bytes);
	return s->batch != NULL
		? SLK_OK
		: slk_fail(err, SLK_NO_MEMORY, "no memory for a batch of datagrams");
}

static int
start_hash(struct dp_sender *s, struct slk_error *err)
{
	s->sha256 = EVP_MD_CTX_new();
	if (s->sha256 == NULL || EVP_DigestInit_ex(s->sha256, EVP_sha256(), NULL) != 1)
		return slk_fail(err, SLK_NO_MEMORY, "libcrypto gives no SHA-256");
	return SLK_OK;
}

int
dp_sender_new(
	const struct dp_sender_config *config, struct dp_sender **out_sender, struct slk_error *err)
{
	if (config->framing != DP_FRAMING_DATAGRAM && config->framing != DP_FRAMING_LINES)
		return slk_fail(err, SLK_UNSUPPORTED,
			"framing %s is not sent; take datagram or lines",
			dp_framing_name(config->framing));
	if (config->to.ss_family != AF_INET && config->to.ss_family != AF_INET6)
		return slk_fail(err, SLK_INVALID, "no IPv4 or IPv6 address");
	struct dp_sender *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a sender");
	s->config = *config;
	s->fd = -1;
	s->use_gso = config->gso;
	s->clock = config->clock != NULL ? config->clock : slk_clock_system();
	if (s->config.window_records == 0)
		s->config.window_records = DP_SENDER_WINDOW_DEFAULT;
	if (s->config.timeout_ns == 0)
		s->config.timeout_ns = TIMEOUT_DEFAULT_NS;

	int status = open_socket(s, err);
	if (status == SLK_OK)
		status = choose_payload(s, err);
	if (status == SLK_OK)
		status = start_hash(s, err);
	if (status == SLK_OK && config->mark != NULL)
		status = config->mark->read(config->mark->ctx, &s->mark_base, err);
	if (status != SLK_OK) {
		dp_sender_free(s);
		return status;
	}
	*out_sender = s;
	return SLK_OK;
}

void
dp_sender_free(struct dp_sender *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		close(s->fd);
	EVP_MD_CTX_free(s->sha256);
	free(s->batch);
	free(s);
}

/* --- sending --- */

static bool
is_gso_refusal(int error)
{
	return error == EINVAL || error == EIO || error == ENOPROTOOPT || error == EOPNOTSUPP;
}

static int
send_failed(const struct dp_sender *s, struct slk_error *err)
{
	switch (errno) {
	case ECONNREFUSED:
		return slk_fail(err, SLK_UNAVAILABLE,
			"nobody listens there: the host answered that the port is closed");
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return slk_fail(err, SLK_UNAVAILABLE, "the listener's host does not answer");
	case EMSGSIZE:
		return slk_fail(err, SLK_TOO_LARGE,
			"the path has become too narrow for datagrams of %u bytes; give a smaller "
			"payload",
			s->result.payload_bytes);
	default:
		return slk_fail_errno(err, "cannot send");
	}
}

/* How many datagrams from first on one message can hold: equal sizes, and one shorter at the end. */
static unsigned
gso_run(const struct dp_sender *s, unsigned first)
{
	size_t size = s->datagrams[first].iov_len, bytes = 0;
	unsigned count = 0;

	while (first + count < s->datagram_count) {
		size_t len = s->datagrams[first + count].iov_len;
		if (len > size || bytes + len > GSO_BYTES_MAX)
			break;
		bytes += len;
		count++;
		if (len < size)
			break;
	}
	return count > 0 ? count : 1;
}

/* The messages of one system call, each with a run of datagrams. */
struct messages {
	struct mmsghdr headers[BATCH_DATAGRAMS];
	unsigned runs[BATCH_DATAGRAMS];
	_Alignas(struct cmsghdr) char control[BATCH_DATAGRAMS][CMSG_SPACE(sizeof(uint16_t))];
	unsigned count;
};

static void
add_message(struct messages *m, struct iovec *datagrams, unsigned run)
{
	struct msghdr *msg = &m->headers[m->count].msg_hdr;

	*msg = (struct msghdr){.msg_iov = datagrams, .msg_iovlen = run};
	if (run > 1) {
		uint16_t segment = (uint16_t)datagrams[0].iov_len;
		msg->msg_control = m->control[m->count];
		msg->msg_controllen = sizeof(m->control[0]);
		struct cmsghdr *c = CMSG_FIRSTHDR(msg);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(segment));
		memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	}
	m->runs[m->count++] = run;
}

/* Send datagrams from first on with one system call. Returns how many went out, or -1 with errno if none did. */
static int
send_some(struct dp_sender *s, unsigned first)
{
	struct messages m;
	int datagrams = 0;

	m.count = 0;
	for (unsigned at = first; at < s->datagram_count; at += m.runs[m.count - 1])
		add_message(&m, &s->datagrams[at], s->use_gso ? gso_run(s, at) : 1);
	int sent = sendmmsg(s->fd, m.headers, m.count, 0);
	if (sent < 0 && m.runs[0] > 1 && is_gso_refusal(errno)) {
		s->use_gso = false;
		s->result.gso_refused = true;
		return 0;
	}
	for (int i = 0; i < sent; i++) {
		datagrams += (int)m.runs[i];
		s->result.gso_datagram_count += m.runs[i] > 1 ? m.runs[i] : 0;
	}
	return sent < 0 ? -1 : datagrams;
}

static void
pause_briefly(const struct dp_sender *s)
{
	static const struct timespec moment = {.tv_nsec = 100000};

	if (s->config.mark != NULL)
		s->config.mark->pause(s->config.mark->ctx);
	else
		nanosleep(&moment, NULL);
}

/* Send the whole batch. */
static int
flush(struct dp_sender *s, struct slk_error *err)
{
	unsigned done = 0, full = 0;

	while (done < s->datagram_count) {
		int sent = send_some(s, done);
		if (sent >= 0) {
			done += (unsigned)sent;
			continue;
		}
		/* ENOBUFS: the device's queue is full, which passes */
		if (errno == EINTR ||
			((errno == ENOBUFS || errno == EAGAIN) && ++full < NO_BUFFERS_RETRIES)) {
			pause_briefly(s);
			continue;
		}
		return send_failed(s, err);
	}
	s->result.datagram_count += s->datagram_count;
	s->datagram_count = 0;
	s->batch_records = 0;
	s->progress_ns = slk_mono_ns(s->clock);
	return SLK_OK;
}

/* --- pacing --- */

static uint64_t
on_their_way(const struct dp_sender *s)
{
	return s->result.record_count - s->durable_records;
}

static int
look_at_mark(struct dp_sender *s, struct slk_error *err)
{
	uint64_t mark = 0;
	int status = s->config.mark->read(s->config.mark->ctx, &mark, err);

	if (status != SLK_OK)
		return status;
	if (mark < s->mark_base)
		return slk_fail(err, SLK_CLOSED, "the journal's count of records went back");
	/* more than we sent: others' records */
	uint64_t ours = mark - s->mark_base < s->result.record_count ? mark - s->mark_base
								     : s->result.record_count;
	if (ours > s->durable_records) {
		s->durable_records = ours;
		s->progress_ns = slk_mono_ns(s->clock);
	}
	return SLK_OK;
}

/* Until at most most records are on their way. What was gathered must have been sent. */
static int
wait_durable(struct dp_sender *s, uint64_t most, struct slk_error *err)
{
	for (;;) {
		int status = look_at_mark(s, err);
		if (status != SLK_OK)
			return status;
		if (on_their_way(s) <= most)
			return SLK_OK;
		if (slk_mono_ns(s->clock) - s->progress_ns > s->config.timeout_ns)
			return slk_fail(err, SLK_TIMEOUT,
				"%llu of %llu records did not become durable within %llu s: they "
				"were lost or dropped "
				"on the way (see `sealock status` for the reasons), or ingest "
				"stands still",
				(unsigned long long)on_their_way(s),
				(unsigned long long)s->result.record_count,
				(unsigned long long)(s->config.timeout_ns / SLK_NS_PER_S));
		s->config.mark->pause(s->config.mark->ctx);
	}
}

/* Room in the window for one more record. Waits until half of it is free, so that batches stay large. */
static int
wait_window(struct dp_sender *s, struct slk_error *err)
{
	if (s->config.mark == NULL || on_their_way(s) < s->config.window_records)
		return SLK_OK;
	int status = flush(s, err);
	return status == SLK_OK ? wait_durable(s, s->config.window_records / 2, err) : status;
}

/* Records a second, counted from the first one. */
static int
wait_rate(struct dp_sender *s, struct slk_error *err)
{
	if (s->config.rate_per_s == 0)
		return SLK_OK;
	uint64_t due_ns = s->first_ns +
		(uint64_t)((unsigned __int128)s->result.record_count * SLK_NS_PER_S /
			s->config.rate_per_s);
	if (slk_mono_ns(s->clock) >= due_ns)
		return SLK_OK;
	int status = flush(s, err); /* nothing waits in the batch while the sender waits */
	while (status == SLK_OK && slk_mono_ns(s->clock) < due_ns)
		pause_briefly(s);
	return status;
}

/* --- records --- */

static bool
is_lines(const struct dp_sender *s)
{
	return s->config.framing == DP_FRAMING_LINES;
}

/* Put a record into the last datagram, or into a new one. There is room in the batch. */
static void
gather(struct dp_sender *s, struct slk_span record)
{
	struct iovec *last = s->datagram_count > 0 ? &s->datagrams[s->datagram_count - 1] : NULL;

	if (last == NULL || !is_lines(s) ||
		last->iov_len + 1 + record.len > s->result.payload_bytes) {
		last = &s->datagrams[s->datagram_count];
		last->iov_base = s->batch + (size_t)s->datagram_count * s->result.payload_bytes;
		last->iov_len = 0;
		s->datagram_count++;
	} else {
		((uint8_t *)last->iov_base)[last->iov_len++] =
			'\n'; /* between lines; none behind the last */
	}
	memcpy((uint8_t *)last->iov_base + last->iov_len, record.ptr, record.len);
	last->iov_len += record.len;
	s->batch_records++;
}

static bool
batch_is_full(const struct dp_sender *s, struct slk_span record)
{
	if (s->batch_records >= RECORDS_PER_BATCH_MAX)
		return true;
	if (s->datagram_count < BATCH_DATAGRAMS)
		return false;
	const struct iovec *last = &s->datagrams[s->datagram_count - 1];
	return !is_lines(s) || last->iov_len + 1 + record.len > s->result.payload_bytes;
}

static int
too_long(struct dp_sender *s, struct slk_span record, struct slk_error *err)
{
	if (!s->config.skip_long)
		return slk_fail(err, SLK_TOO_LARGE,
			"a record of %zu bytes does not fit a datagram of %u", record.len,
			s->result.payload_bytes);
	s->result.long_count++;
	return SLK_OK;
}

int
dp_sender_record(struct dp_sender *s, struct slk_span record, struct slk_error *err)
{
	if (record.len == 0) {
		s->result.empty_count++;
		return SLK_OK;
	}
	if (record.len > s->result.payload_bytes)
		return too_long(s, record, err);
	if (is_lines(s) &&
		(memchr(record.ptr, '\n', record.len) != NULL ||
			record.ptr[record.len - 1] == '\r'))
		return slk_fail(
			err, SLK_INVALID, "a record with a line end in it cannot go as a line");
	if (s->first_ns == 0)
		s->first_ns = s->progress_ns = slk_mono_ns(s->clock);
	int status = wait_window(s, err);
	if (status == SLK_OK)
		status = wait_rate(s, err);
	if (status == SLK_OK && batch_is_full(s, record))
		status = flush(s, err);
	if (status != SLK_OK)
		return status;
	if (EVP_DigestUpdate(s->sha256, record.ptr, record.len) != 1 ||
		EVP_DigestUpdate(s->sha256, "\n", 1) != 1)
		return slk_fail(err, SLK_INTERNAL, "SHA-256 failed in libcrypto");
	gather(s, record);
	s->result.record_count++;
	s->result.record_bytes += record.len;
	return SLK_OK;
}

int
dp_sender_finish(struct dp_sender *s, struct slk_error *err)
{
	int status = flush(s, err);

	if (status == SLK_OK && s->config.mark != NULL) {
		status = wait_durable(s, 0, err);
		s->result.durable = status == SLK_OK;
	}
	s->last_ns = slk_mono_ns(s->clock);
	return status;
}

int
dp_sender_result(const struct dp_sender *s, struct dp_sender_result *out_result)
{
	struct dp_sender_result result = s->result;
	uint64_t last_ns = s->last_ns != 0 ? s->last_ns : slk_mono_ns(s->clock);
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	bool done = copy != NULL && EVP_MD_CTX_copy_ex(copy, s->sha256) == 1 &&
		EVP_DigestFinal_ex(copy, result.sha256, NULL) == 1;

	EVP_MD_CTX_free(copy);
	if (!done)
		return SLK_INTERNAL;
	result.elapsed_ns = s->first_ns != 0 ? last_ns - s->first_ns : 0;
	*out_result = result;
	return SLK_OK;
}
