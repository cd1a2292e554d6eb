/* The parts of bench delivery, one for each kind of destination: each makes its own servers, compares, and states its goals. A part
 * whose server is not installed leaves a note and returns SLK_OK. */
#ifndef SLK_BENCH_DELIVERY_DELIVERY_BENCH_H
#define SLK_BENCH_DELIVERY_DELIVERY_BENCH_H

#include "base/error.h"
#include "harness/bench.h"

/* To PostgreSQL, beside psql's \copy of the same rows. */
MUST_USE int delivery_bench_postgres(struct bench *b, struct slk_error *err);
/* To an S3 store, radosgw, beside a loop of PUTs over libcurl of the same objects. */
MUST_USE int delivery_bench_s3(struct bench *b, struct slk_error *err);

/* To a directory: opened and sealed again beside a bare program, GZIP beside `gzip -1`. */
MUST_USE int delivery_bench_objects(struct bench *b, struct slk_error *err);

#endif
