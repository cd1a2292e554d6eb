/* The Internet checksum (RFC 1071), summed 64 bits wide.
 *
 * Sums are kept in memory order: the one's complement sum does not care which byte of a word is the
 * high one, so words are loaded as they lie and the folded result is stored as it is. Every piece
 * but the last must have an even length. Thread: any; all functions are pure.
 */
#ifndef DP_NET_CHECKSUM_H
#define DP_NET_CHECKSUM_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Add len bytes (below 2^31) to sum. No carry can be lost: each step adds less than 2^33 to 64
 * bits. */
static inline uint64_t
dp_checksum_add(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint32_t word;
	uint16_t half;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
		len -= 2;
	}
	if (len == 1)
		sum += be16toh((uint16_t)(*p << 8));
	return sum;
}

/* Add a 16-bit field given in host order. */
static inline uint64_t
dp_checksum_add_u16(uint64_t sum, uint16_t v)
{
	return sum + htobe16(v);
}

/* Fold to 16 bits, in memory order: 0xffff over data whose checksum is right. */
static inline uint16_t
dp_checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Store the complement of sum, the value of a checksum field that was zero when it was summed. */
static inline void
dp_checksum_store(uint8_t *field, uint64_t sum)
{
	uint16_t value = (uint16_t)~dp_checksum_fold(sum);
	memcpy(field, &value, sizeof(value));
}

/* Pseudo header of UDP and ICMPv6: addresses (2 x 4 or 2 x 16 bytes, adjacent on the wire), length,
 * protocol. */
static inline uint64_t
dp_checksum_pseudo(const uint8_t *addresses, size_t addresses_bytes, uint16_t len, uint8_t protocol)
{
	uint64_t sum = dp_checksum_add(0, addresses, addresses_bytes);
	return dp_checksum_add_u16(dp_checksum_add_u16(sum, len), protocol);
}

#endif
