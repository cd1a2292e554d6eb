/* A token in a directory of its own, a worker on it through the fault shim, and a link to the worker.
 *
 * Which token: SLK_TEST_TOKEN in the environment is softhsm (the default), nss (NSS softokn) or cloudhsm (SoftHSM behind the
 * shim in CloudHSM mode). A test that cannot apply to one says so with hsm_rig_skip_on().
 *
 * As root, token and worker belong to uid 65534; otherwise to the caller. Functions fail the
 * running cmocka test.
 */
#ifndef SLK_TESTS_LIB_HSM_RIG_H
#define SLK_TESTS_LIB_HSM_RIG_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "hsm/init.h"
#include "hsm/link.h"
#include "p11shim.h"

#define HSM_RIG_SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"
#define HSM_RIG_NSS "/usr/lib/x86_64-linux-gnu/libsoftokn3.so"

enum hsm_rig_token { RIG_SOFTHSM, RIG_NSS, RIG_CLOUDHSM };

struct hsm_rig {
	char dir[64],
		memory[64]; /* memory: of the token's files, which are flushed at each key; "": in dir */
	char module[96]; /* a copy of the shim that the worker's user can read */
	char conf[96], tokens[96], pin_file[96], state_file[96], control[96], log[96];
	enum hsm_rig_token token;
	const char *real_module; /* behind the shim */
	char parameters[224]; /* for C_Initialize; "": none */
	const char *user; /* NULL: the caller */
	const char *profile;
	const char *label;
	const char *serial; /* NULL: not compared */
	unsigned sessions; /* 0: the profile's */
	unsigned deadline_ms; /* of a module call */
	struct p11shim *shim;
	struct hsm_link *link;
	pid_t worker; /* 0: none */
	int exit_code; /* of the last worker that ended */
};

/* False, with the reason printed, if the token's module is not there: skip then. */
bool hsm_rig_possible(void);
enum hsm_rig_token hsm_rig_token(void);
/* Skip the running test, with the reason, on that token. */
void hsm_rig_skip_on(enum hsm_rig_token token, const char *why);

/* Directory, token (label "rig"), control block. profile NULL: the token's own. */
void hsm_rig_init(struct hsm_rig *rig, const char *profile);
void hsm_rig_fini(struct hsm_rig *rig);

/* The lines of kmsd.yaml below "hsm:", but for deadlines and users; module NULL: the shim; pin_lines NULL: the PIN file. */
void hsm_rig_config(const struct hsm_rig *rig, const char *module, const char *pin_lines, FILE *f);
/* What the shim needs, in the environment of this process and of those it starts. */
void hsm_rig_environment(const struct hsm_rig *rig);

void hsm_rig_start(struct hsm_rig *rig);
/* A worker without a link; the test speaks to it by itself. */
int hsm_rig_start_raw(struct hsm_rig *rig);
/* Close the socket, wait for the end; the exit code is kept. */
void hsm_rig_stop(struct hsm_rig *rig);
/* Wait for a worker that ends by itself. */
void hsm_rig_wait_end(struct hsm_rig *rig);

/* One call, turned until it is answered. Plaintext, ciphertext and output are copied into buffers
 * (of the last call) and *out points at them. */
void hsm_rig_call(struct hsm_rig *rig, const struct hsm_request *request, struct hsm_reply *out);

/* Shorthands, on `length`-byte data keys. */
int hsm_rig_create(struct hsm_rig *rig, uint8_t fill, uint8_t out_kcv[3]);
int hsm_rig_generate(
	struct hsm_rig *rig, uint8_t fill, const uint8_t kcv[3], struct hsm_reply *out);
int hsm_rig_unwrap(struct hsm_rig *rig, uint8_t fill, const uint8_t kcv[3],
	const struct hsm_reply *wrapped, struct hsm_reply *out);
struct hsm_health hsm_rig_health(struct hsm_rig *rig);
/* Poll health until the state is reached; fails after 10 s. */
void hsm_rig_wait_state(struct hsm_rig *rig, enum hsm_state state);
/* A new PIN file, put in place as an operator does it; it counts as settled. */
void hsm_rig_write_pin(struct hsm_rig *rig, const char *pin);
/* Fails if a sanitizer has reported something in this log of a program; the report is printed. */
void hsm_rig_check_log(const char *path);
/* Does the worker's log hold this text? */
bool hsm_rig_logged(struct hsm_rig *rig, const char *text);

#endif
