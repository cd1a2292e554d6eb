/* The front's link to the HSM workers: the only door between kmsd's front process and the keys in
 * the token.
 *
 * There are one or several workers, each with a login of its own, as the HSM's profile says. A call goes to the one with
 * the fewest calls pending; one that answers that it has no token at the moment is passed over while another one is well,
 * and the call is repeated there. Keys are made and destroyed by the same worker for the same id.
 *
 * Calls are pipelined and asynchronous; every call gets exactly one answer, through its callback,
 * from within hsm_link_poll() (or hsm_link_free()), at its deadline at the latest. The worker may
 * be killed and replaced at any time: the monitor passes a new socket, and the link sends calls
 * that were not answered once more to the new worker (all of them may be repeated, HSM_CREATE_KEY
 * included), then answers SLK_UNAVAILABLE. A worker that answers nothing any more is reported to
 * the monitor, which kills it.
 *
 * Keys are named by their CKA_ID and key check value; nothing must be opened beforehand. The worker
 * finds the object, checks its attributes and its check value, tries it once, caches the handle,
 * and does so again by itself whenever the token came back. A token that lacks the key answers
 * SLK_NOT_FOUND, one with a different key SLK_CORRUPT: neither is a reason to delete or to
 * re-create anything.
 *
 * Thread: one, the front's loop; callbacks run on it. Formats: kms-hsm/hsm/wire.h.
 */
#ifndef KMS_HSM_HSM_LINK_H
#define KMS_HSM_HSM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/status.h"
#include "hsm/profile.h"
#include "keyspec.h"

#define HSM_KEY_ID_BYTES 16u
#define HSM_KCV_BYTES 3u
#define HSM_IV_BYTES 12u
#define HSM_TAG_BYTES 16u
#define HSM_AAD_MAX 8704u /* FMT_CONTEXT_MAX and 512 bytes of blob header */
#define HSM_DATA_MAX 4096u /* plaintext of a wrap; a ciphertext may have HSM_TAG_BYTES more */
#define HSM_OUTPUT_MAX 4112u /* signature, public key or list of a reply */
#define HSM_LIST_ENTRY_BYTES 17u
#define HSM_LIST_MAX 240u
#define HSM_RANDOM_MAX 1024u /* bytes of HSM_RANDOM and HSM_GENERATE_DATA_KEY */
#define HSM_PENDING_MAX 256u
#define HSM_ERROR_MAX 256u

/* Which members of a request an operation takes (all others must be zero or empty), and which a
 * reply with SLK_OK has:
 *
 *     operation              takes                                      gives
 *     HSM_CREATE_KEY         key_id, spec, usage                        kcv, kcv_cmac or output, existed
 *     HSM_OPEN_KEY           key_id, kcv, spec, usage                   kcv, kcv_cmac or output
 *     HSM_DESTROY_KEY        key_id, kcv (zero: any), spec, usage       existed
 *     HSM_LIST_KEYS          key_id (after; zero: from the first),      output
 *                            length (1..HSM_LIST_MAX)
 *   AES keys
 *     HSM_WRAP               key_id, kcv, aad, data (1..4096)           iv, ciphertext
 *     HSM_UNWRAP             key_id, kcv, aad, iv, data (ct || tag)     plaintext
 *     HSM_GENERATE_DATA_KEY  key_id, kcv, aad, length (1..1024)         plaintext, iv, ciphertext
 *     HSM_REWRAP             as HSM_UNWRAP, and to_key_id, to_kcv,      iv, ciphertext
 *                            extra (AAD of the new wrap)
 *   asymmetric keys (spec and usage are given too)
 *     HSM_SIGN               key_id, kcv, algorithm, data (digest)      output (signature)
 *     HSM_VERIFY             as HSM_SIGN, and extra (signature)         -
 *     HSM_ENCRYPT            key_id, kcv, algorithm, data               ciphertext
 *     HSM_DECRYPT            key_id, kcv, algorithm, data (ciphertext)  plaintext
 *
 *     HSM_INSPECT_KEY        as HSM_OPEN_KEY                            kcv, kcv_cmac, output
 *     HSM_INSPECT_TOKEN      length (1: with a self-test, or 0)         output
 *     HSM_RANDOM             length (1..1024)                           plaintext
 *     HSM_STATUS             worker_index                               health
 *
 * aad is 1..HSM_AAD_MAX bytes and never empty. HSM_CREATE_KEY makes a non-extractable key (or pair)
 * under the id that the caller chose (random, never used before); asked again for the same id it
 * makes nothing, checks what is there and says `existed`, so a call whose answer was lost is simply
 * repeated; what a making that was cut off has left is cleared away (key.h). Never ask for a key that is in use, nor twice
 * at once. HSM_DESTROY_KEY removes every object of the id, and is repeated likewise; a key whose
 * check value is another is left alone (SLK_CORRUPT). HSM_LIST_KEYS gives the ids above key_id, in
 * order, of all objects that bear our label, each once: 16 bytes of id and one of kind (0: secret
 * key, 1: anything of a key pair). In HSM_REWRAP the plaintext does not leave the worker;
 * encryptions_count is of the new key (a check of the old one, once for each start of the token, is not told).
 *
 * HSM_INSPECT_KEY checks the key as HSM_OPEN_KEY does, and reads what the token says of each of its objects; its output is,
 * for each, HSM_OBJECT_BYTES, little-endian:
 *
 *     offset  size  field
 *     0       1     enum hsm_object_class
 *     1       1     1 if the token has a CKA_CHECK_VALUE
 *     2       2     set of enum hsm_attribute that the token tells
 *     4       2     set of those that are true
 *     6       2     zero
 *     8       4     CKA_KEY_GEN_MECHANISM, 0xffffffff: untold
 *     12      4     CKA_KEY_TYPE, likewise
 *     16      3     CKA_CHECK_VALUE, or zero
 *     19      5     zero
 *
 * HSM_INSPECT_TOKEN says what module, token and library are, in lines of ASCII, name=value.
 *
 * The check value of an asymmetric key is the first three bytes of SHA-256 over its public key in
 * DER (SubjectPublicKeyInfo), which is what `output` holds for it; kcv_cmac is zero then. */
enum hsm_op {
	HSM_CREATE_KEY = 1,
	HSM_OPEN_KEY = 2,
	HSM_WRAP = 3,
	HSM_UNWRAP = 4,
	HSM_GENERATE_DATA_KEY = 5,
	HSM_RANDOM = 6,
	HSM_STATUS = 7,
	HSM_DESTROY_KEY = 8,
	HSM_LIST_KEYS = 9,
	HSM_REWRAP = 10,
	HSM_SIGN = 11,
	HSM_VERIFY = 12,
	HSM_ENCRYPT = 13,
	HSM_DECRYPT = 14,
	HSM_INSPECT_KEY = 15,
	HSM_INSPECT_TOKEN = 16,
};
#define HSM_OP_MAX HSM_INSPECT_TOKEN

#define HSM_OBJECT_BYTES 24u
enum hsm_object_class { HSM_OBJECT_SECRET, HSM_OBJECT_PRIVATE, HSM_OBJECT_PUBLIC };
enum hsm_attribute {
	HSM_ATTRIBUTE_TOKEN,
	HSM_ATTRIBUTE_PRIVATE,
	HSM_ATTRIBUTE_SENSITIVE,
	HSM_ATTRIBUTE_ALWAYS_SENSITIVE,
	HSM_ATTRIBUTE_EXTRACTABLE,
	HSM_ATTRIBUTE_NEVER_EXTRACTABLE,
	HSM_ATTRIBUTE_LOCAL,
	HSM_ATTRIBUTE_MODIFIABLE,
	HSM_ATTRIBUTE_ENCRYPT,
	HSM_ATTRIBUTE_DECRYPT,
	HSM_ATTRIBUTE_WRAP,
	HSM_ATTRIBUTE_UNWRAP,
	HSM_ATTRIBUTE_SIGN,
	HSM_ATTRIBUTE_VERIFY,
	HSM_ATTRIBUTE_DERIVE,
	HSM_ATTRIBUTE_COUNT
};

/* Spans are borrowed until hsm_link_submit() returns. */
struct hsm_request {
	enum hsm_op op;
	uint8_t key_id[HSM_KEY_ID_BYTES]; /* CKA_ID */
	uint8_t kcv[HSM_KCV_BYTES]; /* check value, as HSM_CREATE_KEY gave it */
	enum kms_spec spec;
	enum kms_usage usage;
	enum kms_algorithm algorithm;
	uint8_t iv[HSM_IV_BYTES]; /* HSM_UNWRAP and HSM_REWRAP; all zero is refused */
	uint8_t to_key_id[HSM_KEY_ID_BYTES];
	uint8_t to_kcv[HSM_KCV_BYTES];
	struct slk_span aad;
	struct slk_span data;
	struct slk_span extra;
	uint32_t length;
	uint32_t
		worker_index; /* HSM_STATUS: which worker is asked, below HSM_WORKERS_MAX; else 0 */
	uint64_t mono_deadline_ns; /* CLOCK_MONOTONIC; 0 = HSM_DEADLINE_DEFAULT_NS from now */
};

#define HSM_DEADLINE_DEFAULT_NS (5 * SLK_NS_PER_S)

enum hsm_state {
	HSM_STARTING = 0, /* no token yet; calls wait until their deadline */
	HSM_READY = 1, /* serving */
	HSM_LOST = 2, /* the token or the link to it is gone; tried again by itself, calls answer
			 SLK_UNAVAILABLE */
	HSM_PIN_REFUSED = 3, /* not tried again until an operator wrote a new PIN file; calls answer
				SLK_PIN */
	HSM_REFUSED = 4, /* self-test failed or mechanism missing; calls answer SLK_SELF_TEST or
			    SLK_UNSUPPORTED */
	HSM_NO_WORKER = 5, /* never sent by a worker: the link has none at the moment */
};

struct hsm_health {
	enum hsm_state state;
	bool iv_from_hsm; /* who makes IVs under this profile */
	uint32_t worker_pid;
	uint32_t sessions_count;
	uint32_t keys_count; /* keys that passed their checks and are cached */
	uint32_t
		specs; /* set of enum kms_spec that the token can make and use; 0 until it is READY */
	uint32_t algorithms; /* set of enum kms_algorithm, likewise */
	uint32_t keys_refused_count; /* distinct keys refused since start: attributes, check value,
					duplicates, IVs */
	uint64_t calls_count;
	uint64_t failures_count; /* module calls that returned an error */
	uint64_t logins_count;
	uint64_t recoveries_count; /* times the token was lost and came back */
	uint64_t last_rv; /* CK_RV of the last module call that failed, 0 if none */
	uint64_t mono_since_ns; /* when `state` was entered */
	char profile[16];
	char token_label[33];
	char token_serial[17];
	char token_model[17];
	char text[HSM_ERROR_MAX]; /* a sentence when state is not HSM_READY */
};

/* status:
 *   SLK_OK
 *   SLK_INVALID             the request breaks the table above (also answered by hsm_link_submit itself)
 *   SLK_NOT_FOUND           the token is there and has no such key
 *   SLK_CORRUPT             the key was refused: wrong check value, attributes, two objects, repeated or zero IV
 *   SLK_INVALID_CIPHERTEXT  the ciphertext, iv or aad is not what was wrapped; the token was proved to be well
 *   SLK_BAD_TAG             HSM_VERIFY: the signature does not fit
 *   SLK_TIMEOUT             the deadline passed; a later call may succeed
 *   SLK_UNAVAILABLE         no worker, or the token is lost, busy or starting; a later call may succeed
 *   SLK_UNSUPPORTED         the token cannot do this (mechanism, spec or algorithm)
 *   SLK_PIN, SLK_SELF_TEST, SLK_HSM
 *                           the token cannot be used; an operator has to look
 * Everything that is pointed to is borrowed during the callback. error is a sentence, empty on SLK_OK, without secrets. */
struct hsm_reply {
	enum hsm_op op;
	int status;
	char error[HSM_ERROR_MAX];
	bool existed;
	uint8_t kcv[HSM_KCV_BYTES];
	uint8_t kcv_cmac[5]; /* the payment world's check value: AES-CMAC over a zero block,
				leftmost 5 bytes */
	uint8_t iv[HSM_IV_BYTES];
	struct slk_span ciphertext; /* ciphertext || 16-byte tag; of HSM_ENCRYPT without a tag */
	struct slk_span output; /* public bytes: signature, public key, list */
	struct slk_span plaintext; /* in secret memory */
	uint32_t encryptions_count; /* GCM encryptions under this key for this call: count them (SP
				       800-38D 8.3) */
	struct hsm_health health; /* HSM_STATUS only */
};

typedef void (*hsm_done_fn)(void *arg, const struct hsm_reply *reply);

struct hsm_link;

/* monitor_fd: the control socket that the monitor left for the front (HSM_MONITOR_FD); worker ends
 * arrive on it. -1 if there is no monitor (tests, which then use hsm_link_replace_fd). The link
 * owns it from here, also on error. SLK_NO_MEMORY, SLK_SYSTEM. */
MUST_USE int hsm_link_new(
	int monitor_fd, const struct slk_clock *clock, struct hsm_link **out_link);

/* Answers every pending call with SLK_UNAVAILABLE first. NULL is allowed. */
void hsm_link_free(struct hsm_link *link);

/* Queue one call. SLK_OK: done will be called exactly once, never from within this function. On an
 * error it will not be called: SLK_INVALID, SLK_FULL (HSM_PENDING_MAX calls pend), SLK_NO_MEMORY
 * (locked memory). */
MUST_USE int hsm_link_submit(
	struct hsm_link *link, const struct hsm_request *request, hsm_done_fn done, void *arg);

/* From here on submitted calls are sent by hsm_link_poll() and hsm_link_send() (some, when many have come), several at
 * once. The caller calls one of them before it sleeps. together: the workers take several requests in one message (their
 * profile's one_at_a_time). */
void hsm_link_gather(struct hsm_link *link, bool together);
/* Send what was submitted. Never blocks, and calls nothing back. */
void hsm_link_send(struct hsm_link *link);

/* One descriptor for the front's epoll; it is readable whenever hsm_link_poll() has something to do
 * (replies, new worker, deadlines, room to send). It stays the same for the life of the link. */
int hsm_link_fd(const struct hsm_link *link);

/* Never blocks. SLK_OK, or SLK_CLOSED when the monitor is gone: the front then has to end. */
MUST_USE int hsm_link_poll(struct hsm_link *link);

/* A worker end more, or instead of all there are (owned by the link from here; -1: no worker); for tests, which have no
 * monitor. */
void hsm_link_add_fd(struct hsm_link *link, int worker_fd);
void hsm_link_replace_fd(struct hsm_link *link, int worker_fd);

size_t hsm_link_pending_count(const struct hsm_link *link);

/* Of workers that take several requests in one message: has each so much to do that what is sent now would only wait? Its
 * next replies are soon enough to look for more, and that then makes whole messages. */
bool hsm_link_is_busy(const struct hsm_link *link);

bool hsm_link_has_worker(const struct hsm_link *link);

/* The descriptor number at which the monitor leaves the control socket for `sealock-kmsd --front`.
 */
#define HSM_MONITOR_FD 3

#endif
