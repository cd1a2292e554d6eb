/* Which shard a record goes to, and its partition key.
 *
 * The rule of Amazon Kinesis holds for every record, whatever the listener's rule: MD5 of the
 * partition key, read as a big-endian 128-bit integer, lies in the hash key range of the record's
 * shard. Range i of n starts at floor(2^128 / n) * i and the last one ends at 2^128 - 1, unless the
 * stream's shards were split or merged: then the ranges are given. A shard is named by its place
 * among the open ones, in the order of their ranges.
 *
 *     fixed        always one shard; the key is the smallest decimal number whose MD5 falls into its
 *                  range, or into one that is given: what is a shard's no more goes where its key does
 *     round-robin  shard after shard, per worker; keys likewise; a shard too narrow for any is left out
 *     source       the key is the sender, "10.77.0.1:40000" or "[fe80::1]:514": one sender keeps
 * its shard field        the key is field N (from 1) of the record, fields being split at each
 * separator byte; N at the end of a record takes what is left. A record without it, or where it is
 * empty, no UTF-8 or over 256 characters, falls back to the source and is counted
 *
 * MD5 is no security here: it spreads keys as Kinesis does, and a key's shard must be the same for
 * every client. No allocation after dp_partition_new(). Thread: one worker's own, but the counter.
 */
#ifndef DP_NET_PARTITION_H
#define DP_NET_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"
#include "net/packet.h"

#define DP_SHARD_COUNT_MAX 10000u /* of a stream */
#define DP_PARTITION_ROOM_BYTES 48u /* the longest sender as text: "[" 39 "]:" 5, one byte left */
#define DP_PARTITION_FIELD_MAX 1024u

typedef unsigned __int128 dp_hash_key;

/* The hash key of a digest, and the inclusive range of shard index (0..shard_count - 1) of
 * shard_count (1..). */
dp_hash_key dp_hash_key_from_md5(const uint8_t digest[16]);
void dp_hash_key_range(
	uint32_t index, uint32_t shard_count, dp_hash_key *out_start, dp_hash_key *out_end);
/* The shard whose range holds key. */
uint32_t dp_hash_key_shard(dp_hash_key key, uint32_t shard_count);
/* The same for given ranges: where each starts, ascending, the first at 0. NULL: equal ones. */
uint32_t dp_hash_key_find(dp_hash_key key, const dp_hash_key *starts, uint32_t shard_count);

enum dp_partition_rule {
	DP_PARTITION_FIXED,
	DP_PARTITION_ROUND_ROBIN,
	DP_PARTITION_SOURCE,
	DP_PARTITION_FIELD
};

/* "fixed", "round-robin", "source", "field" -> rule; false for anything else. */
bool dp_partition_rule_parse(const char *text, enum dp_partition_rule *out_rule);
const char *dp_partition_rule_name(enum dp_partition_rule rule);

struct dp_partition_config {
	enum dp_partition_rule rule;
	uint32_t shard_count; /* 1..DP_SHARD_COUNT_MAX */
	const dp_hash_key *starts; /* shard_count of them, as above; copied; NULL: equal ranges */
	uint32_t fixed_shard; /* FIXED: 0..shard_count - 1 */
	bool has_fixed_range; /* FIXED: in place of fixed_shard */
	dp_hash_key fixed_start, fixed_end; /* inclusive */
	uint32_t field; /* FIELD: 1..DP_PARTITION_FIELD_MAX */
	uint8_t separator; /* FIELD: any byte */
	uint32_t start_shard; /* ROUND_ROBIN: where to begin (modulo shard_count), so that workers
				 do not march in step */
};

struct dp_partition;

/* SLK_CONFIG with a sentence, SLK_NO_MEMORY, SLK_UNAVAILABLE (libcrypto has no MD5). */
MUST_USE int dp_partition_new(const struct dp_partition_config *config,
	struct dp_partition **out_partition, struct slk_error *err);
void dp_partition_free(struct dp_partition *partition); /* NULL allowed */

/* Begin the records of one datagram. packet: UDP; borrowed, as is room (DP_PARTITION_ROOM_BYTES),
 * until the last dp_partition_record() of the datagram. room receives the sender as text where a
 * rule needs it, and must live as long as the keys do (an mbuf's private area, for instance). */
void dp_partition_begin(
	struct dp_partition *partition, const struct dp_packet *packet, uint8_t *room);

/* Shard and key of one record of that datagram. *out_key points into the record, the room or the
 * partition. SLK_OK, or SLK_INTERNAL if libcrypto fails. */
MUST_USE int dp_partition_record(struct dp_partition *partition, struct slk_span record,
	uint32_t *out_shard, struct slk_span *out_key);

/* The shard of a partition key that a client gave (put), whatever the rule. SLK_OK or SLK_INTERNAL.
 */
MUST_USE int dp_partition_key_shard(
	struct dp_partition *partition, struct slk_span key, uint32_t *out_shard);

/* Records of the field rule that fell back to the source. Thread: any. */
uint64_t dp_partition_fallback_count(const struct dp_partition *partition);

/* MD5s that were calculated since dp_partition_new() began, the search for shard keys included: one per record for the
 * field rule and for clients' keys, one per new sender for the source rule, none for the others and for a stream of one
 * shard. Thread: any. */
uint64_t dp_partition_hash_count(const struct dp_partition *partition);

#endif
