/* kmsd on a token, killed at every point of a piece of work (failpoints.h), and what has to hold after that.
 *
 * A sweep does the work again and again and kills the victim at the first point of each kind that the work passes, at the
 * second, and so on, until the work was done without passing the point; there is a first one of each kind. After each kill everything is running again and settled before it
 * is looked at: no key Creating, no rotation in progress. Waiting is for states that can be seen, with a limit of 20 s.
 * The catalog lies in memory (/dev/shm) where there is such a directory: a killed process loses no page of a file.
 * Functions fail the running cmocka test, with the end of kmsd's log. One rig at a time.
 */
#ifndef SLK_TESTS_LIB_KILL_RIG_H
#define SLK_TESTS_LIB_KILL_RIG_H

#include "failpoints.h"
#include "kmsclient/crypto.h"
#include "kmsclient/life.h"
#include "kmsd_rig.h"

#define KILL_RIG_KEYS_MAX 64u

enum kill_victim { KILL_FRONT, KILL_WORKER, KILL_ALL };

struct kill_rig {
	struct kmsd_rig kmsd;
	struct failpoints *points;
	struct kmsc *actor; /* of the thread that does the work; it waits 10 s */
	struct slk_secret *plain;
	pid_t front, worker; /* as of the last kill_rig_settle() */
	pid_t dead_front, dead_worker; /* the last ones that were killed */
	unsigned objects; /* on the token, by the catalog; as of the last kill_rig_all_works() */
};

/* Token, kmsd_failpoints, clients; kmsd runs and is settled. */
void kill_rig_init(struct kill_rig *rig);
void kill_rig_fini(struct kill_rig *rig);
void kill_rig_start(struct kill_rig *rig);
/* Until front and worker of now are at work. */
void kill_rig_settle(struct kill_rig *rig);

/* Poll, 1 ms apart, until seen(rig) is true. what: said when it does not become so. */
void kill_rig_wait(struct kill_rig *rig, bool (*seen)(struct kill_rig *), const char *what);
/* Fail the test unless rc is SLK_OK. */
void kill_rig_need(struct kill_rig *rig, int rc, const struct slk_error *err);

/* The piece of work. rig is the one of the sweep. */
struct kill_sweep {
	void (*prepare)(struct kill_rig *rig); /* before each try; may be NULL */
	int (*work)(struct kill_rig *rig); /* in a thread, with the actor; SLK_OK: it is done */
	/* Afterwards; rc: of the work; keys_count: how many keys were listed before it. */
	void (*check)(struct kill_rig *rig, int rc, size_t keys_count);
};
/* At its end all keys are tried, and the objects on the token are compared with the catalog; kmsd is stopped then. */
void kill_rig_sweep(struct kill_rig *rig, enum kill_victim victim, const struct kill_sweep *sweep);

/* How many keys are listed; each is settled, and none is an orphan. id is one of them unless it is "". */
size_t kill_rig_keys_settled(struct kill_rig *rig, const char *id);
/* Each key that is listed is Enabled and does its work, or is PendingDeletion. */
size_t kill_rig_all_works(struct kill_rig *rig);
/* How many orphans; *out_first is the first one's id. */
size_t kill_rig_orphans(struct kill_rig *rig, char out_first[40]);

/* One key. */
void kill_rig_signs(struct kill_rig *rig, const char *id);
void kill_rig_encrypts(struct kill_rig *rig, const char *id, struct kmsc_ciphertext *out);
void kill_rig_decrypts(struct kill_rig *rig, const struct kmsc_ciphertext *blob);
/* How often it turned, and once for its first material. */
size_t kill_rig_materials(struct kmsc *c, const char *id, struct slk_error *err);
/* Files of objects of the token. */
unsigned kill_rig_files(const struct kill_rig *rig);

#endif
