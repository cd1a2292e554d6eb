/* Where the programs lie that a bench drives: beside it, in the tree where it was built or where the product is installed. */
#ifndef SLK_BENCH_HARNESS_PLACE_H
#define SLK_BENCH_HARNESS_PLACE_H

#include <stddef.h>

#include "base/error.h"
#include "base/status.h"

#define BENCH_PLACE_MAX 4096u

enum bench_thing {
	BENCH_KMSD, /* the program */
	BENCH_INGESTD, /* likewise */
	BENCH_FAULT_SHIM, /* the PKCS#11 module that fails on demand */
	BENCH_PROVIDER, /* sealock.so */
	BENCH_LEVER_INGESTD, /* the bench's own daemons: gateway/lever.h */
	BENCH_LEVER_GATEWAYD
};

/* The path of one. SLK_NOT_FOUND with a sentence. */
MUST_USE int bench_place(enum bench_thing thing, char out[BENCH_PLACE_MAX], struct slk_error *err);

#endif
