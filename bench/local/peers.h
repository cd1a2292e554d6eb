/* What the local port is held against: rings of the same shape between two threads with nothing behind them, and a socket that answers
 * each message. Neither checks, seals or stores anything. */
#ifndef SLK_BENCH_LOCAL_PEERS_H
#define SLK_BENCH_LOCAL_PEERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/hist.h"
#include "base/status.h"

/* --- two rings, and a thread that copies each record out and writes a completion of 64 bytes --- */
struct peer_ring;
MUST_USE int peer_ring_new(struct peer_ring **out_ring);
void peer_ring_free(struct peer_ring *ring);
/* count records of len bytes, at most depth without a completion. */
void peer_ring_run(
	struct peer_ring *ring, const uint8_t *data, size_t len, unsigned depth, uint64_t count);

/* --- SOCK_SEQPACKET, and a thread that answers each message with 32 bytes --- */
struct peer_echo;
MUST_USE int peer_echo_new(struct peer_echo **out_echo);
void peer_echo_free(struct peer_echo *echo);
/* SLK_CLOSED and others if the socket failed. */
MUST_USE int peer_echo_run(
	struct peer_echo *echo, const uint8_t *data, size_t len, unsigned depth, uint64_t count);
/* For open loops: send one (SLK_AGAIN: not now), and take answers; *out_count of them came. */
MUST_USE int peer_echo_send(struct peer_echo *echo, const uint8_t *data, size_t len);
MUST_USE int peer_echo_take(struct peer_echo *echo, unsigned *out_count);

#endif
