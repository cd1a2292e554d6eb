/* A certificate of its own for a server of a bench. */
#ifndef BENCH_GATEWAY_CERTIFICATE_H
#define BENCH_GATEWAY_CERTIFICATE_H

#include "base/status.h"

/* cert.pem and key.pem of "localhost" in dir, for a day: P-256, signed by itself. SLK_IO, SLK_INTERNAL. */
MUST_USE int gwb_certificate_make(const char *dir);

#endif
