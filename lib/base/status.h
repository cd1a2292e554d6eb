/* Status codes: one list for the whole project.
 *
 * Every fallible function returns 0 or one of these negative codes. Each code has a class that says
 * whose fault it is and what to do: the caller's (do not retry), retry (transient), corrupt (data
 * that cannot be believed), fatal (stop). Codes that end in a KMS name map one to one to the
 * exception that AWS KMS would raise (slk_status_kms_name()). Thread: any; all functions are pure.
 */
#ifndef SLK_BASE_STATUS_H
#define SLK_BASE_STATUS_H

#define MUST_USE __attribute__((warn_unused_result))

enum slk_class {
	SLK_CLASS_OK,
	SLK_CLASS_CALLER, /* the request is wrong or not allowed; repeating it is useless */
	SLK_CLASS_RETRY, /* may succeed later without a change of the request */
	SLK_CLASS_CORRUPT, /* bytes from a peer, disk or token failed a check */
	SLK_CLASS_FATAL, /* the resource or the process is out of service */
};

/* X(code, number, class, name, sentence) */
#define SLK_STATUS_LIST(X) \
	X(SLK_OK, 0, OK, "Ok", "success") \
	X(SLK_INVALID, -1, CALLER, "InvalidArgument", "an argument is not valid") \
	X(SLK_RANGE, -2, CALLER, "OutOfRange", "a value is out of range") \
	X(SLK_TOO_LARGE, -3, CALLER, "TooLarge", "the input is larger than the limit") \
	X(SLK_NOT_FOUND, -4, CALLER, "NotFound", "no such object") \
	X(SLK_EXISTS, -5, CALLER, "AlreadyExists", "an object of that name exists") \
	X(SLK_DENIED, -6, CALLER, "AccessDenied", "the caller is not authorised") \
	X(SLK_DISABLED, -7, CALLER, "Disabled", "the key is disabled") \
	X(SLK_INVALID_STATE, -8, CALLER, "InvalidState", "the state does not allow the request") \
	X(SLK_UNSUPPORTED, -9, CALLER, "UnsupportedOperation", "the operation is not supported") \
	X(SLK_CONFIG, -10, CALLER, "BadConfiguration", "the configuration is not valid") \
	X(SLK_LIMIT, -11, CALLER, "LimitExceeded", "a limit was reached") \
	X(SLK_AGAIN, -20, RETRY, "TryAgain", "nothing to do now, try again") \
	X(SLK_FULL, -21, RETRY, "Full", "no room left, try again after a roll or a flush") \
	X(SLK_TIMEOUT, -22, RETRY, "DeadlineExceeded", "the deadline passed") \
	X(SLK_UNAVAILABLE, -23, RETRY, "Unavailable", "the service is not available") \
	X(SLK_CLOSED, -24, RETRY, "ConnectionClosed", "the peer closed the connection") \
	X(SLK_NO_MEMORY, -25, RETRY, "NoMemory", "out of memory") \
	X(SLK_THROTTLED, -26, RETRY, "Throttling", "too many requests") \
	X(SLK_DISK_FULL, -27, RETRY, "DiskFull", "no space left on the device") \
	X(SLK_END, -30, RETRY, "End", "no more data") \
	X(SLK_TRIMMED, -31, RETRY, "Trimmed", "retention has trimmed what was there") \
	X(SLK_TRUNCATED, -40, CORRUPT, "Truncated", "the input ends too early") \
	X(SLK_MALFORMED, -41, CORRUPT, "Malformed", "the input is not well formed") \
	X(SLK_BAD_VERSION, -42, CORRUPT, "UnknownVersion", "the version is not known") \
	X(SLK_BAD_CRC, -43, CORRUPT, "BadChecksum", "the checksum does not match") \
	X(SLK_BAD_TAG, -44, CORRUPT, "BadTag", "authentication failed") \
	X(SLK_BAD_COMMITMENT, -45, CORRUPT, "BadCommitment", \
		"the data key is not the one that was used") \
	X(SLK_INVALID_CIPHERTEXT, -46, CORRUPT, "InvalidCiphertext", \
		"the ciphertext is not valid") \
	X(SLK_CORRUPT, -47, CORRUPT, "Corrupt", "stored data are damaged") \
	X(SLK_IO, -60, FATAL, "InputOutputError", "an input or output operation failed") \
	X(SLK_DISK_FAILED, -61, FATAL, "DiskFailed", \
		"a flush failed; the journal directory is out of service") \
	X(SLK_KEY_EXHAUSTED, -62, FATAL, "KeyExhausted", "the key has reached its limit") \
	X(SLK_HSM, -63, FATAL, "HsmError", "the HSM answered with an error") \
	X(SLK_PIN, -64, FATAL, "PinIncorrect", \
		"the HSM refused the PIN; no second attempt is made") \
	X(SLK_SELF_TEST, -65, FATAL, "SelfTestFailed", "a self-test failed") \
	X(SLK_INTERNAL, -66, FATAL, "InternalFailure", "an internal error") \
	X(SLK_SYSTEM, -67, FATAL, "SystemError", "a system call failed")

enum slk_status {
#define X(code, number, class, name, sentence) code = number,
	SLK_STATUS_LIST(X)
#undef X
};

/* The class of a code; SLK_CLASS_FATAL for a number that is not in the list. */
enum slk_class slk_status_class(int status);

/* "DiskFull"; "Unknown" for a number that is not in the list. Static storage. */
const char *slk_status_name(int status);

/* "no space left on the device". Static storage. */
const char *slk_status_sentence(int status);

/* Map errno to a code: ENOSPC/EDQUOT -> SLK_DISK_FULL, ENOMEM -> SLK_NO_MEMORY, EACCES/EPERM ->
 * SLK_DENIED, ENOENT -> SLK_NOT_FOUND, EEXIST -> SLK_EXISTS, EAGAIN -> SLK_AGAIN, ETIMEDOUT ->
 * SLK_TIMEOUT, EPIPE/ECONNRESET -> SLK_CLOSED, ECONNREFUSED -> SLK_UNAVAILABLE, EIO/EROFS and the
 * like -> SLK_IO, anything else -> SLK_SYSTEM. err must not be 0. */
int slk_status_from_errno(int err);
/* A static analyser sees one file at a time: without this it takes a failed call for success. */
#ifdef __clang_analyzer__
#define slk_status_from_errno(err) ((void)slk_status_from_errno(err), SLK_SYSTEM)
#endif

#endif
