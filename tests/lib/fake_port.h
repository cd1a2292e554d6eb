/* The other end of the local port without an ingestd behind it, turned by hand: it takes what clients send and completes it as it is
 * told. The memory and the rules are the product's (dataplane/client.h). Functions fail the running test. */
#ifndef SLK_TESTS_LIB_FAKE_PORT_H
#define SLK_TESTS_LIB_FAKE_PORT_H

#include "client.h"

#define FAKE_PORT_CLIENTS 4u
#define FAKE_PORT_TAKEN_MAX 4096u

struct fake_port {
	char path[108];
	int listen_fd;
	struct dp_client clients[FAKE_PORT_CLIENTS];
	int welcome_status; /* other than SLK_OK: refuse */
	int attach_status;
	bool asleep; /* says so, and takes nothing until the bell */
	bool rung; /* a bell came */
	bool hold; /* take nothing */
	uint64_t next_sequence;
	unsigned attached, detached;
	/* Records taken and not completed, in order. */
	struct {
		unsigned client;
		struct fmt_port_entry entry;
		uint8_t key[32], data[64]; /* their first bytes */
	} taken[FAKE_PORT_TAKEN_MAX];
	unsigned taken_count;
};

/* Listens in a directory of its own. */
void fake_port_start(struct fake_port *port);
void fake_port_stop(struct fake_port *port);
/* ingestd dies: all connections end, nobody listens. */
void fake_port_die(struct fake_port *port);
void fake_port_listen(struct fake_port *port);
/* Accept, read messages, answer, take records. */
void fake_port_turn(struct fake_port *port);
/* Complete the index-th record that was taken. */
void fake_port_complete(struct fake_port *port, unsigned index, int status);
void fake_port_complete_all(struct fake_port *port, int status);

#endif
