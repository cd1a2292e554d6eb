/* The session token of AssumeRole and GetSessionToken: all that is known of a session, sealed, so that nobody has to remember
 * it.
 *
 *     offset  size  field
 *     0       4     magic "SLKT"
 *     4       1     version, 1
 *     5       1     algorithm, 1 = AES-256-GCM, 96-bit IV, 128-bit tag, one key for each token
 *     6       2     zero
 *     8       16    id of the session key
 *     24      32    salt, random
 *     56      n     ciphertext || tag of the claims, n = 16 + 85 .. 16 + 5,120
 *
 * Key and IV are the first 32 and the next 12 bytes of HMAC-SHA-512(session key, "sealock-session-1" 0x00 salt); the AAD is
 * bytes 0..55. A client sees it as text: base64url without padding.
 *
 * The claims:
 *
 *     0       8     le64 when it was issued, ns, wall clock
 *     8       8     le64 when it ends, ns; later than that
 *     16      20    access key id, ASIA...
 *     36      30    what the secret access key is made of: its base64 is the secret
 *     66      1     managed policies of the session, 0..10
 *     67      1     tags, 0..50
 *     68      2     le16 length of the role's unique id, 1..21
 *     70      2     le16 of the role's name, 1..64
 *     72      2     le16 of the session's name, 2..64; 0: of GetSessionToken, and the two before are a user's
 *     74      2     le16 of the source identity, 0..64
 *     76      2     le16 of the caller's ARN, 1..319
 *     78      2     le16 of the session's policy, 0..4,096: JSON
 *     80      -     the six, in that order
 *     -       -     for each managed policy: le16 length of its name, 1..128, and the name
 *     -       -     for each tag: le16 length of its key, 1..512, le16 of its value, 0..1,024, both
 *
 * Texts are UTF-8 without NUL and without a terminator. Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_SESSION_H
#define SLK_FORMAT_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_SESSION_KEY_ID_BYTES 16u
#define FMT_SESSION_SALT_BYTES 32u
#define FMT_SESSION_HEADER_BYTES 56u
#define FMT_SESSION_TAG_BYTES 16u
#define FMT_SESSION_ACCESS_BYTES 20u
#define FMT_SESSION_SEED_AT 36u /* of the claims */
#define FMT_SESSION_SEED_BYTES 30u
#define FMT_SESSION_POLICIES_MAX 10u
#define FMT_SESSION_TAGS_MAX 50u
#define FMT_SESSION_POLICY_MAX 4096u
#define FMT_SESSION_CLAIMS_MIN 85u
#define FMT_SESSION_CLAIMS_MAX 5120u
#define FMT_SESSION_MAX (FMT_SESSION_HEADER_BYTES + FMT_SESSION_CLAIMS_MAX + FMT_SESSION_TAG_BYTES)
#define FMT_SESSION_TEXT_MAX (FMT_SESSION_MAX / 3u * 4u + 4u) /* with a terminator */

struct fmt_session_token {
	uint8_t key_id[FMT_SESSION_KEY_ID_BYTES];
	uint8_t salt[FMT_SESSION_SALT_BYTES];
	struct slk_span sealed; /* ciphertext || tag, borrowed */
};

/* All spans are borrowed. */
struct fmt_session {
	uint64_t issued_ns, expires_ns;
	struct slk_span access_key_id; /* 20 bytes */
	struct slk_span seed; /* 30 bytes, secret */
	struct slk_span role_id, role, name, source_identity, caller, policy;
	struct slk_span policies[FMT_SESSION_POLICIES_MAX];
	struct slk_span tag_keys[FMT_SESSION_TAGS_MAX], tag_values[FMT_SESSION_TAGS_MAX];
	size_t policies_count, tags_count;
};

/* The first FMT_SESSION_HEADER_BYTES of a token: the AAD. */
void fmt_session_header(
	const struct fmt_session_token *token, uint8_t out[FMT_SESSION_HEADER_BYTES]);
/* A token's bytes, not its text. SLK_TRUNCATED, SLK_BAD_VERSION, SLK_MALFORMED. */
MUST_USE int fmt_session_token_decode(struct slk_span in, struct fmt_session_token *out_token);

/* SLK_INVALID if something is outside its limits, SLK_TOO_LARGE beyond FMT_SESSION_CLAIMS_MAX, SLK_FULL. */
MUST_USE int fmt_session_encode(
	const struct fmt_session *session, uint8_t *out, size_t cap, size_t *out_len);
/* SLK_TRUNCATED, SLK_MALFORMED. */
MUST_USE int fmt_session_decode(struct slk_span in, struct fmt_session *out_session);

#endif
