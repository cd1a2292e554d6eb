/* sealock-kmsd as it is installed, on a token of its own (see hsm_rig.h) behind the fault shim: config, start, processes, log.
 *
 * As root, front and worker get users of their own (65533 and 65534); otherwise all are the caller's. Functions fail the
 * running cmocka test, with the end of the log.
 */
#ifndef SLK_TESTS_LIB_KMSD_RIG_H
#define SLK_TESTS_LIB_KMSD_RIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "hsm_rig.h"
#include "kmsclient/kmsclient.h"

#define KMSD_RIG_FRONT_UID 65533
#define KMSD_RIG_WORKER_UID 65534

struct kmsd_rig {
	struct hsm_rig hsm;
	char base[64], config[96], socket[96], log[96];
	pid_t kmsd; /* the monitor; 0: none */
	struct kmsc *client;
	/* Set before kmsd_rig_start(); all but the first two may stay NULL or 0. */
	const char *module; /* the shim, unless set otherwise */
	const char *
		pin_lines; /* of hsm: in the configuration, indented by two; pin_file unless set otherwise */
	const char *hsm_lines; /* more of hsm:, indented by two */
	const char *more_lines; /* statements of the policy, and what else may follow it */
	unsigned workers_count; /* 0: one */
	const char *program; /* NULL: sealock-kmsd */
	const char *log_level; /* --log-level */
	const char *credentials; /* $CREDENTIALS_DIRECTORY */
	int pin_fd; /* --pin-fd, as this descriptor */
	int (*before_exec)(void); /* in the child; not 0 ends it */
};

/* False, with the reason printed, if it cannot run here: skip then. */
bool kmsd_rig_possible(void);

/* Token, directories, configuration, client; nothing runs yet. */
void kmsd_rig_init(struct kmsd_rig *rig);
void kmsd_rig_fini(struct kmsd_rig *rig);

/* Write the configuration and start the monitor, in the rig's base directory. */
void kmsd_rig_start(struct kmsd_rig *rig);
/* Until the HSM is ready for use. */
void kmsd_rig_wait_ready(struct kmsd_rig *rig);
/* SIGTERM and wait; the exit status, or 128 and the signal. */
int kmsd_rig_stop(struct kmsd_rig *rig);
int kmsd_rig_wait_end(struct kmsd_rig *rig);

/* Children of the monitor; 0 while there is none. */
pid_t kmsd_rig_front(const struct kmsd_rig *rig);
pid_t kmsd_rig_worker(const struct kmsd_rig *rig);
/* SIGKILL a child and wait until there is another one in its place, serving. */
void kmsd_rig_replace(struct kmsd_rig *rig, pid_t (*child)(const struct kmsd_rig *));

bool kmsd_rig_logged(const struct kmsd_rig *rig, const char *text);
void kmsd_rig_wait_logged(const struct kmsd_rig *rig, const char *text);

#endif
