/* Why a whole record was lost after its frame was good: the worker's reasons, beside net/drop.h. Names are stable.
 */
#ifndef DP_LOSS_H
#define DP_LOSS_H

/* X(constant, name, sentence) */
#define DP_LOSS_LIST(X) \
	X(SEGMENTED, "segmented", "a frame in several buffers: larger than the port's buffers") \
	X(BACKPRESSURE, "backpressure", "the disk is behind and the staging is full") \
	X(NO_KEY, "no_key", "the staging for records that wait for a data key is full") \
	X(UNKNOWN_STREAM, "unknown_stream", "the listener's stream does not exist (yet)") \
	X(BAD_SHARD, "bad_shard", "the listener's partition rule does not fit the stream") \
	X(NOT_AUTHORISED, "not_authorised", "the listener's role may not put into the stream") \
	X(KMS_UNAVAILABLE, "kms_unavailable", "the KMS or its HSM does not answer") \
	X(KMS_DENIED, "kms_denied", "the KMS denied the data key") \
	X(KMS_DISABLED, "kms_disabled", "the stream's KMS key is disabled") \
	X(KMS_INVALID_STATE, "kms_invalid_state", \
		"the state of the stream's KMS key forbids its use") \
	X(KMS_NOT_FOUND, "kms_not_found", "the stream's KMS key does not exist") \
	X(KMS_THROTTLED, "kms_throttled", "the KMS throttled the data key") \
	X(KMS_ERROR, "kms_error", "another error of the KMS") \
	X(DISK_FULL, "disk_full", "the journal's disk is full") \
	X(DISK_FAILED, "disk_failed", "the journal's disk failed") \
	X(TOO_LARGE, "too_large", "the record does not fit into a group of the journal") \
	X(SEAL_ERROR, "seal_error", "sealing or appending failed") \
	X(SHUTDOWN, "shutdown", "the record still waited for a data key at stop") \
	X(HAND_OVER, "hand_over", \
		"a datagram for another worker of the port, whose ring was full") \
	X(OTHER_WORKER, "other_worker", \
		"another worker writes the stream of a listener that came at a reload; restart " \
		"ingestd")

enum dp_loss {
#define X(constant, name, sentence) DP_LOSS_##constant,
	DP_LOSS_LIST(X)
#undef X
		DP_LOSS_COUNT
};

/* "backpressure"; "unknown" for a number that is not in the list. Static storage. Thread: any. */
const char *dp_loss_name(enum dp_loss loss);
const char *dp_loss_sentence(enum dp_loss loss);

/* The reason that a KMS or journal status stands for. */
enum dp_loss dp_loss_from_status(int status);

#endif
