#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/rig.h"

#define PROGRAM "/usr/bin/dpdk-test-crypto-perf"

/* Its lines of figures begin with the number of the lcore; Gbps is the ninth of the comma-separated columns: lcore, buffer
 * size, burst size, enqueued, dequeued, failed enqueue, failed dequeue, Mops, Gbps, cycles per buffer. */
static bool
read_gbps(const char *line, double *out)
{
	const char *at = line + strspn(line, " \t");

	if (*at < '0' || *at > '9')
		return false;
	for (unsigned column = 0; column < 8; column++) {
		at = strpbrk(at, ",;");
		if (at == NULL)
			return false;
		at++;
	}
	char *end = NULL;
	*out = strtod(at, &end);
	return end != at && *out > 0;
}

int
peer_gbps(unsigned core, unsigned bytes, uint64_t operations, double *out_gbps)
{
	char command[900], line[512];
	double best = 0, gbps = 0;
	/* Its main thread spins until the other one has finished: beside it, not on its core, if there is another. */
	unsigned beside = sysconf(_SC_NPROCESSORS_ONLN) < 2 ? core : core == 0 ? 1 : 0;

	if (access(PROGRAM, X_OK) != 0)
		return SLK_NOT_FOUND;
	/* Every number is ours: there is nothing to quote. */
	snprintf(command, sizeof(command),
		PROGRAM " --lcores 0@%u,1@%u --no-pci --no-huge --no-shconf -m 256 --log-level 1 "
			"--no-telemetry "
			"--vdev crypto_aesni_gcm0 -- --devtype crypto_aesni_gcm --ptest throughput "
			"--optype aead "
			"--aead-algo aes-gcm --aead-op encrypt --aead-key-sz 32 --aead-iv-sz 12 "
			"--aead-aad-sz 16 "
			"--digest-sz 16 --burst-sz 32 --buffer-sz %u --total-ops %llu "
			"--csv-friendly 2>/dev/null",
		beside, core, bytes, (unsigned long long)operations);
	FILE *f = popen(command, "r");
	if (f == NULL)
		return SLK_SYSTEM;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (read_gbps(line, &gbps) && gbps > best)
			best = gbps;
	}
	(void)pclose(f); /* without a figure it failed */
	if (best == 0)
		return SLK_INTERNAL;
	*out_gbps = best;
	return SLK_OK;
}
