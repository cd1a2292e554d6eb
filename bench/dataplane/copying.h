/* An engine that seals like any other until it is told to copy instead: what is left of a program's time is then what it
 * does besides sealing. Only benches have it: it is in no list of engines, and its self-test is passed by the real one
 * underneath. Internal to the bench. */
#ifndef SLK_BENCH_DATAPLANE_COPYING_H
#define SLK_BENCH_DATAPLANE_COPYING_H

#include <stdbool.h>

#include "seal/seal.h"

/* A thread of the widest ipsec-mb engine of this CPU; errors as seal_thread_new(). */
MUST_USE int copying_thread_new(struct seal_thread **out_thread, struct slk_error *err);
/* From now on all threads of this kind copy (true), or seal and open (false). What was copied is opened by copying, and no other way. */
void copying_set(bool on);
/* The same by a flag that another process sets; borrowed for good. */
void copying_follow(const bool *flag);

#endif
