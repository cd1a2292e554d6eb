/* Are two texts of one length equal? Internal to lib/policy.
 *
 * Most texts of a policy are 8 to 64 bytes, and many begin alike (arn:aws:kms:...), so this compares eight bytes at a time
 * without a call, the last eight first.
 */
#ifndef SLK_POLICY_SAME_H
#define SLK_POLICY_SAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
pol_word(const char *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return word;
}

static inline bool
pol_same(const char *a, const char *b, size_t len)
{
	if (len < 8) {
		while (len > 0 && a[len - 1] == b[len - 1])
			len--;
		return len == 0;
	}
	if (pol_word(a + len - 8) != pol_word(b + len - 8))
		return false;
	for (size_t i = 0; i + 8 < len; i += 8)
		if (pol_word(a + i) != pol_word(b + i))
			return false;
	return true;
}

#endif
