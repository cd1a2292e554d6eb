#include "hsm/backoff.h"

#include "base/secret.h"
#include "base/status.h"

#define DOUBLINGS_MAX 16u

uint64_t
hsm_backoff_with(unsigned tries, uint64_t first_ns, uint64_t last_ns, uint16_t jitter)
{
	uint64_t ns = tries < DOUBLINGS_MAX ? first_ns << tries : last_ns;

	if (ns > last_ns)
		ns = last_ns;
	return ns * 3 / 4 + ns / 2 * jitter / 65536;
}

uint64_t
hsm_backoff_ns(unsigned tries, uint64_t first_ns, uint64_t last_ns)
{
	uint16_t jitter = 0;

	if (slk_random(&jitter, sizeof(jitter)) != SLK_OK)
		jitter = UINT16_MAX / 2;
	return hsm_backoff_with(tries, first_ns, last_ns, jitter);
}
