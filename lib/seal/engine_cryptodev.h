/* A crypto device, and the functions that seal with it. Internal to cryptodev.c and engine_cryptodev.c. */
#ifndef SLK_SEAL_ENGINE_CRYPTODEV_H
#define SLK_SEAL_ENGINE_CRYPTODEV_H

#include <stdatomic.h>

#include <rte_cryptodev.h>

#include "seal/cryptodev.h"
#include "seal/engine.h"

#define SEGMENT_BYTES 65535u /* an mbuf's length has 16 bits */
#define ITEM_BYTES_MAX (16u * 1024u * 1024u)

struct seal_cryptodev {
	struct seal_engine engine; /* first: an engine's table leads back here */
	char name[64];
	uint8_t id;
	bool is_started, was_made;
	uint32_t item_max; /* bytes in one operation */
	unsigned threads;
	_Atomic unsigned queues_taken;
	void (*lost)(void *arg);
	void *lost_arg;
	struct rte_mempool *sessions;
};

/* The table's functions; its name is the device's. */
extern const struct seal_engine seal_engine_cryptodev;

#endif
