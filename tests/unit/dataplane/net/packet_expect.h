/* What the packet tests share: frames that are expected to be taken or dropped, and a note of each reason that was reached. */
#ifndef DPNET_PACKET_EXPECT_H
#define DPNET_PACKET_EXPECT_H

#include "dpnet_test.h"

/* Which reasons the hand-made frames reached. */
extern bool reached[DP_DROP_COUNT];

void expect_drop_with(const struct dp_host *host, const struct frame_spec *spec, unsigned flags,
	enum dp_drop want);
void expect_drop(const struct frame_spec *spec, enum dp_drop want);
void expect_kind_with(const struct dp_host *host, const struct frame_spec *spec, unsigned flags,
	enum dp_packet_kind want);
void expect_kind(const struct frame_spec *spec, enum dp_packet_kind want);

struct frame_spec udp4(void);
struct frame_spec udp6(void);

/* The tests of packet_datagrams.c; as cmocka_run_group_tests(). */
int run_packet_datagrams(void);

#endif
