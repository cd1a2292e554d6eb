/* Send records as UDP datagrams to a plain listener, no faster than they become durable.
 *
 * A plain listener acknowledges nothing, and whatever arrives too fast is lost. So the sender watches how many records the
 * journal has made durable, and never lets more than a window of its own records be on their way. What it cannot see is who
 * sent a durable record: other producers on the same journal make the pacing looser, and the final "all durable" a guess.
 *
 *     dp_sender_new ─► dp_sender_record* ─► dp_sender_finish ─► dp_sender_result ─► dp_sender_free
 *
 * Records keep their order. Blank records are counted and not sent, since listeners do not store them. Datagrams are never
 * fragmented. Thread: one at a time.
 */
#ifndef DP_TOOLS_SENDER_H
#define DP_TOOLS_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"
#include "net/framing.h"

#define DP_SENDER_WINDOW_DEFAULT 1024u
#define DP_SENDER_PAYLOAD_MAX 65507u
#define DP_SENDER_SHA256_BYTES 32u

/* How the sender learns what is durable, and how it waits: a journal's watermark, or a test. */
struct dp_sender_mark {
	/* Records made durable since the journal was opened, over all lanes. SLK_OK or a failure with a sentence. */
	int (*read)(void *ctx, uint64_t *out_records, struct slk_error *err);
	/* Wait a moment before the next look. */
	void (*pause)(void *ctx);
	void *ctx;
};

struct dp_sender_config {
	struct sockaddr_storage to; /* AF_INET or AF_INET6 */
	enum dp_framing
		framing; /* datagram: a record each; lines: as many as fit. The listener's must be the same */
	uint32_t
		payload_bytes; /* most bytes of a datagram's payload; 0: what the path's MTU allows */
	bool skip_long; /* leave records out that fit no datagram, instead of failing */
	bool gso; /* one system call for a run of datagrams of one size (UDP_SEGMENT), if the kernel can */
	const struct dp_sender_mark *mark; /* NULL: not paced by durability */
	uint32_t window_records; /* on their way at most; 0: DP_SENDER_WINDOW_DEFAULT */
	uint64_t rate_per_s; /* records a second; 0: no such limit */
	uint64_t timeout_ns; /* without any progress; 0: 10 s */
	const struct slk_clock *clock; /* NULL: slk_clock_system() */
};

struct dp_sender_result {
	uint64_t record_count;
	uint64_t record_bytes; /* without terminators or headers */
	uint64_t datagram_count;
	uint64_t empty_count; /* blank records, not sent */
	uint64_t long_count; /* records that fit no datagram, not sent */
	uint64_t gso_datagram_count; /* of datagram_count */
	uint64_t elapsed_ns; /* from the first record to the end */
	uint32_t payload_bytes;
	bool gso_refused; /* asked for, and the kernel cannot */
	bool durable; /* as many records as were sent became durable */
	uint8_t sha256
		[DP_SENDER_SHA256_BYTES]; /* over all records that were sent, in order, each followed by LF */
};

struct dp_sender;

/* "10.77.0.2:5514", "[fd00:77::2]:5514", "[fe80::2%eth0]:5514" -> *out. Numbers only, no names. SLK_INVALID with a sentence. */
MUST_USE int dp_sender_address(
	const char *text, struct sockaddr_storage *out, struct slk_error *err);

/* Opens the socket and reads the watermark for the first time. SLK_INVALID, SLK_UNSUPPORTED (framing), SLK_NO_MEMORY,
 * SLK_UNAVAILABLE (no route), or what mark->read answered. config->mark and ->clock must outlive the sender. */
MUST_USE int dp_sender_new(const struct dp_sender_config *config, struct dp_sender **out_sender,
	struct slk_error *err);
void dp_sender_free(struct dp_sender *sender); /* sends nothing more; NULL allowed */

/* Send one record, perhaps later together with others; may wait for the window. record is borrowed until return, and must
 * hold no LF and not end with CR with the lines framing. SLK_OK; SLK_TOO_LARGE (fits no datagram, and skip_long is off); SLK_INVALID (a line end in it);
 * SLK_TIMEOUT (nothing became durable any more); SLK_UNAVAILABLE (nobody listens, no route); SLK_SYSTEM.
 * After a failure but SLK_TOO_LARGE and SLK_INVALID the sender can only be freed. */
MUST_USE int dp_sender_record(
	struct dp_sender *sender, struct slk_span record, struct slk_error *err);

/* Send what waits, and wait until all of it is durable (with a mark). As dp_sender_record(). */
MUST_USE int dp_sender_finish(struct dp_sender *sender, struct slk_error *err);

/* What was done so far; final after dp_sender_finish(). SLK_OK or SLK_INTERNAL (libcrypto). */
MUST_USE int dp_sender_result(const struct dp_sender *sender, struct dp_sender_result *out_result);

#endif
