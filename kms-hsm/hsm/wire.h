/* Messages between kmsd's front and the HSM worker, and between the monitor and the front.
 *
 * A SOCK_SEQPACKET datagram on a socketpair, at most HSM_MESSAGE_MAX bytes, is one message, little-endian; or up to
 * HSM_TOGETHER_MAX requests to a worker that takes them in turn (its profile says so), or as many replies from one, each right
 * behind the other. Both ends are built from the same source and started by the same monitor,
 * so a message that does not decode is a fault or an attack: the worker answers nothing to it and
 * ends, the link drops the worker. Decoders are pure functions; spans that they give point into the
 * message. Thread: any.
 *
 * Request (front to worker)
 *     offset  size  field
 *     0       4     magic "SHQ2"
 *     4       1     operation, enum hsm_op
 *     5       1     spec, enum kms_spec
 *     6       1     usage, enum kms_usage
 *     7       1     algorithm, enum kms_algorithm
 *     8       8     call id, chosen by the link
 *     16      8     deadline, CLOCK_MONOTONIC nanoseconds, not zero
 *     24      16    key id (CKA_ID)
 *     40      3     key check value
 *     43      1     zero
 *     44      12    IV
 *     56      16    key id of the new wrap
 *     72      3     key check value of the new wrap
 *     75      1     zero
 *     76      4     length
 *     80      4     AAD length A, 0..8704
 *     84      4     data length D, 0..4112
 *     88      4     extra length X, 0..8704
 *     92      A     AAD
 *     92+A    D     data
 *     ..      X     extra
 *
 * Reply (worker to front)
 *     0       4     magic "SHR2"
 *     4       1     operation of the request
 *     5       1     flags: 1 = the key existed; the rest zero
 *     6       2     zero
 *     8       8     call id of the request
 *     16      4     status, two's complement, a code of base/status.h
 *     20      4     GCM encryptions made under the key
 *     24      3     key check value
 *     27      5     CMAC key check value
 *     32      12    IV
 *     44      4     error text length E, 0..255
 *     48      4     ciphertext length C, 0..4112
 *     52      4     plaintext length P, 0..4096
 *     56      4     output length O, 0..4112
 *     60      4     health length H, 0 or HSM_HEALTH_BYTES
 *     64      E     error text, no NUL
 *     ..      C     ciphertext || tag
 *     ..      P     plaintext
 *     ..      O     output
 *     ..      H     health
 *
 * Health, HSM_HEALTH_BYTES long
 *     0       1     state, enum hsm_state, 0..4
 *     1       1     1 if the HSM makes the IVs
 *     2       2     zero
 *     4       4     process id of the worker
 *     8       4     sessions
 *     12      4     keys cached
 *     16      4     keys refused
 *     20      4     set of key specs
 *     24      8     calls
 *     32      8     failed module calls
 *     40      8     logins
 *     48      8     recoveries
 *     56      8     last CK_RV that was an error
 *     64      8     since when in this state, CLOCK_MONOTONIC nanoseconds
 *     72      16    profile, NUL-padded and terminated
 *     88      33    token label, likewise
 *     121     17    token serial, likewise
 *     138     17    token model, likewise
 *     155     1     zero
 *     156     4     set of algorithms
 *     160     256   text, likewise
 *
 * Control message (monitor and front, both directions), HSM_CONTROL_BYTES long
 *     0       4     magic "SHC1"
 *     4       1     kind, enum hsm_control_kind
 *     5       3     zero
 *     8       8     worker number: counts the workers that this monitor started, from 1
 * HSM_CONTROL_WORKER carries the front's end of the worker's socketpair as SCM_RIGHTS; no other
 * message may carry any.
 */
#ifndef KMS_HSM_HSM_WIRE_H
#define KMS_HSM_HSM_WIRE_H

#include "hsm/link.h"

#define HSM_REQUEST_HEAD_BYTES 92u
#define HSM_REPLY_HEAD_BYTES 64u
#define HSM_HEALTH_BYTES 416u
#define HSM_MESSAGE_MAX 24576u
#define HSM_CONTROL_BYTES 16u
#define HSM_TOGETHER_MAX 8u

struct hsm_wire_request {
	uint64_t call_id;
	struct hsm_request request; /* mono_deadline_ns is set */
};

struct hsm_wire_reply {
	uint64_t call_id;
	struct hsm_reply reply;
};

/* Does the request keep to the table in link.h? SLK_OK, SLK_INVALID (also for an unknown
 * operation). */
MUST_USE int hsm_request_check(const struct hsm_request *request);

/* SLK_INVALID as hsm_request_check(), or for a deadline of 0; SLK_FULL if out is too small. */
MUST_USE int hsm_wire_encode_request(
	const struct hsm_wire_request *in, uint8_t *out, size_t cap, size_t *out_len);
/* SLK_TRUNCATED, SLK_MALFORMED (lengths, reserved bytes, trailing bytes), SLK_BAD_VERSION (magic),
 * SLK_INVALID (the request breaks the table). */
MUST_USE int hsm_wire_decode_request(struct slk_span in, struct hsm_wire_request *out_request);

/* health is written for HSM_STATUS with SLK_OK only; the texts are cut at their limits.
 * SLK_INVALID, SLK_FULL. */
MUST_USE int hsm_wire_encode_reply(
	const struct hsm_wire_reply *in, uint8_t *out, size_t cap, size_t *out_len);
/* SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION. A positive or unknown status is SLK_MALFORMED. */
MUST_USE int hsm_wire_decode_reply(struct slk_span in, struct hsm_wire_reply *out_reply);

/* The first of several messages that stand one behind the other, by the lengths in its head; *inout_rest is what stands behind
 * it. What is too short for its own lengths is given whole, and will not decode. rest: not empty. */
struct slk_span hsm_wire_cut_request(struct slk_span *inout_rest);
struct slk_span hsm_wire_cut_reply(struct slk_span *inout_rest);

enum hsm_control_kind {
	HSM_CONTROL_WORKER = 1, /* to the front: here is a worker */
	HSM_CONTROL_NO_WORKER = 2, /* to the front: that worker has ended */
	HSM_CONTROL_STUCK = 3, /* to the monitor: that worker answers nothing, kill it */
};

struct hsm_control {
	enum hsm_control_kind kind;
	uint64_t worker_number;
};

void hsm_wire_encode_control(const struct hsm_control *in, uint8_t out[HSM_CONTROL_BYTES]);
/* SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION. */
MUST_USE int hsm_wire_decode_control(struct slk_span in, struct hsm_control *out_control);

#endif
