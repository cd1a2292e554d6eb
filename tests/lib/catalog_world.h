/* A small world in a catalog, over a disk that fails on demand (faultvfs.h): for sweeps over the functions of
 * kms-hsm/catalog*.c. Everything fails the running cmocka test. */
#ifndef SLK_TESTS_LIB_CATALOG_WORLD_H
#define SLK_TESTS_LIB_CATALOG_WORLD_H

#include "catalog_access.h"
#include "catalog_dual.h"
#include "catalog_grants.h"
#include "catalog_rig.h"
#include "catalog_streams.h"
#include "faultvfs.h"

#define WORLD_START 1000u /* when everything was made */
#define WORLD_CALLS_MAX 200u /* of the disk, for one call of the catalog */
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Keys of the world: 0x11 has turned once (0x12 is Current) and has alias/turned, a tag and the stream s; 0x21 is
 * Creating, a pair; 0x31 is PendingDeletion with an alias and a tag; 0x41 is Destroying; 0x51 has a successor, 0x52, in
 * Creating. */
enum { TURNED = 0x11, NEW = 0x21, PENDING = 0x31, ENDING = 0x41, TURNING = 0x51 };

/* Identities and policies: alice holds one policy and an inline one; nobody holds the other policy. */
enum { ALICE = 1, ROLE = 2, HELD = 1, UNHELD = 2 };

/* number, 16 times. Borrowed for ever. */
const uint8_t *id_of(uint8_t number);
/* Borrowed until the next call. */
const struct kms_check *check_of(uint8_t number);
struct kms_alias alias_of(const char *name, uint8_t key);
struct kms_stream stream_of(const char *name);
/* On TURNED; the id is number, 32 times. */
struct kms_grant grant_of(uint8_t number);
struct kms_access_key_row access_key_of(const char *id); /* ALICE's */
struct kms_session_key_row session_key_of(uint8_t number);
struct kms_proposal proposal_of(uint8_t number); /* 1 is there, Pending, with one approval; 2 has ended */
int begin_key(uint8_t number, const struct kms_tag *tags, size_t count);

/* Of a group of tests: makes the world once, and installs faultvfs. */
int world_setup(void **state);
int world_teardown(void **state);
/* A fresh copy of it is the catalog, with nothing cached and no fault armed. */
void world_begin(void);
/* Any other file, as a crash left it with its log; the catalog is closed. from need not exist. */
void world_copy(const char *from);
/* The catalog's file and log, to a file in the world's directory; its path is borrowed until the next call. */
const char *world_keep(const char *name);
/* The power fails now, under a catalog that was opened while faultvfs_remember() was on: it is open again on what is left. */
void world_power_cut(enum faultvfs_left left);

/* How the disk fails, and what the catalog has to say. */
struct world_fault {
	const char *name;
	bool reads, for_ever;
	int code, expected;
};
#define WORLD_FAULTS 3u
extern const struct world_fault world_faults[WORLD_FAULTS];
void world_arm(const struct world_fault *fault, unsigned n);
void world_disarm(void);

struct world_dump {
	uint8_t bytes[1 << 14];
	size_t len;
};
/* All rows of what a crash now would leave; and the laws of the catalog hold there. */
void world_dump(struct world_dump *out);
bool world_same(const struct world_dump *a, const struct world_dump *b);

#endif
