#include "place.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As built, as installed; seen from the directory of the bench's own program where it is no absolute path. */
static const char *const places[][2] = {
	[BENCH_KMSD] = {"../bin/sealock-kmsd", BENCH_SBIN "/sealock-kmsd"},
	[BENCH_INGESTD] = {"../bin/sealock-ingestd", BENCH_SBIN "/sealock-ingestd"},
	[BENCH_FAULT_SHIM] = {"../tests/p11shim.so", "p11shim.so"},
	[BENCH_PROVIDER] = {"../provider/sealock.so", BENCH_MODULES "/sealock.so"},
	[BENCH_LEVER_INGESTD] = {"bench_lever_ingestd", "bench_lever_ingestd"},
	[BENCH_LEVER_GATEWAYD] = {"bench_lever_gatewayd", "bench_lever_gatewayd"},
};

int
bench_place(enum bench_thing thing, char out[BENCH_PLACE_MAX], struct slk_error *err)
{
	char self[BENCH_PLACE_MAX], path[BENCH_PLACE_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len <= 0)
		return slk_fail_errno(err, "cannot see where this program lies");
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (unsigned i = 0; i < 2; i++) {
		const char *place = places[thing][i];
		int n = snprintf(path, sizeof(path), "%s%s%s", place[0] == '/' ? "" : self,
			place[0] == '/' ? "" : "/", place);
		if (n > 0 && n < (int)sizeof(path) && access(path, R_OK) == 0) {
			memcpy(out, path, (size_t)n + 1);
			return SLK_OK;
		}
	}
	return slk_fail(err, SLK_NOT_FOUND, "there is no %s beside %.256s",
		strrchr(places[thing][0], '/') + 1, self);
}
