/* The parts of the kms bench: a real sealock-kmsd on a token of its own, a client that pipelines, and the raw PKCS#11 loop
 * that it is held against. */
#ifndef SLK_BENCH_KMS_KMS_BENCH_H
#define SLK_BENCH_KMS_KMS_BENCH_H

#include <p11-kit/pkcs11.h>
#include <sched.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/hist.h"
#include "harness/bench.h"

#define KB_SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"
#define KB_PATH_MAX 160u
#define KB_DEPTH_MAX 64u
#define KB_FRAME_MAX 1024u
#define KB_DATA_KEY_BYTES 32u
#define KB_STREAM_ARN "arn:aws:kinesis:local:000000000000:stream/bench"

struct p11shim;

/* --- a token in a directory of its own, and kmsd on it (token.c, daemon.c) --- */
struct kb_token {
	char dir[KB_PATH_MAX], conf[KB_PATH_MAX], pin_file[KB_PATH_MAX];
	bool made;
};
/* worker: made for the worker's user and not for the caller. dir: an existing directory. */
MUST_USE int kb_token_make(struct kb_token *t, const char *dir, bool worker, struct slk_error *err);

struct kb_daemon {
	const char *name;
	const char *profile; /* NULL: softhsm */
	const char *audit_dir; /* NULL: beside the catalog */
	const char *audit_lines; /* more lines of audit:, indented; NULL: none */
	const char *hsm_lines; /* more lines of hsm:, indented; NULL: none */
	const char *
		more_lines; /* more statements of policy:, indented, and other sections; NULL: none */
	bool with_shim;
	char dir[KB_PATH_MAX], socket[KB_PATH_MAX], audit[KB_PATH_MAX];
	struct kb_token token;
	struct p11shim *shim; /* NULL: none */
	pid_t pid;
};
/* Makes the token, starts kmsd and waits until it serves. root: a directory that lives longer. */
MUST_USE int kb_daemon_start(struct kb_daemon *d, const char *root, struct slk_error *err);
/* Ends it and waits for it. Nothing if it does not run. */
void kb_daemon_stop(struct kb_daemon *d);
/* Makes count keys; out_arns: count texts of KMSC_ARN_MAX bytes. */
MUST_USE int kb_daemon_keys(
	struct kb_daemon *d, unsigned count, char (*out_arns)[320], struct slk_error *err);

/* --- GenerateDataKey, pipelined over one connection (pipe.c) --- */
struct kb_pipe;
/* keys: borrowed; used in turn. */
MUST_USE int kb_pipe_new(const struct kb_daemon *d, char (*keys)[320], unsigned keys_count,
	unsigned timeout_ms, struct kb_pipe **out_pipe, struct slk_error *err);
void kb_pipe_free(struct kb_pipe *p);
/* count data keys with at most depth in flight. Every answer is counted; latencies go to the histogram. SLK_CLOSED and
 * others if the connection broke. */
MUST_USE int kb_pipe_run(struct kb_pipe *p, unsigned count, unsigned depth);
/* Go on until mono_end_ns, then take what is still in flight. */
MUST_USE int kb_pipe_run_until(struct kb_pipe *p, uint64_t mono_end_ns, unsigned depth);

struct kb_pipe_stats {
	struct slk_hist latency; /* ns, from the send call to the receive call that gave it */
	uint64_t ok_count, failed_count;
	uint64_t first_ok_ns; /* of the first success that was asked for after mark_ns; 0: none */
	uint64_t overrun_max_ns; /* of an answer beyond its timeout */
	uint64_t failed_max_ns; /* longest time that a failed one took */
};
struct kb_pipe_stats *kb_pipe_stats(struct kb_pipe *p);
/* Successes of requests sent from mono_ns on set first_ok_ns. */
void kb_pipe_mark(struct kb_pipe *p, uint64_t mono_ns);

/* --- the same calls without kmsd (raw.c) --- */
struct kb_raw;
MUST_USE int kb_raw_new(
	const struct kb_token *t, size_t aad_len, struct kb_raw **out_raw, struct slk_error *err);
void kb_raw_free(struct kb_raw *raw);
/* It has one key; have it make count in all. */
MUST_USE int kb_raw_keys(struct kb_raw *raw, unsigned count, struct slk_error *err);
/* count times, under the first keys_count keys in turn, C_GenerateRandom(32), C_EncryptInit and C_Encrypt; random_iv: the IV is drawn from the token, too, by one
 * more C_GenerateRandom; otherwise it is a counter. latency: may be NULL. False: the token failed. */
MUST_USE bool kb_raw_run(struct kb_raw *raw, unsigned keys_count, unsigned count, bool random_iv,
	struct slk_hist *latency);
/* A pair of RSA_2048 or P-256, instead of the one before; CKA_LABEL and CKA_ID are "rsa" or "p256". */
MUST_USE int kb_raw_pair(struct kb_raw *raw, bool rsa, struct slk_error *err);
/* count times C_SignInit and C_Sign with it. False: the token failed. */
MUST_USE bool kb_raw_sign(struct kb_raw *raw, unsigned count);
const char *kb_raw_version(const struct kb_raw *raw); /* of the module */

/* --- one SEQPACKET round trip between two processes (echo.c) --- */
struct kb_echo {
	int fd;
	pid_t pid;
	cpu_set_t ours; /* where the caller runs while it asks */
};
/* same_core: both processes on one core, whose scheduler then hands over without waking another; otherwise each on its
 * own, as a client and a server that both have work are. With one core only there is no difference. */
MUST_USE int kb_echo_start(struct kb_echo *e, bool same_core);
void kb_echo_stop(struct kb_echo *e);
MUST_USE bool kb_echo_run(struct kb_echo *e, unsigned count, size_t ask_bytes, size_t answer_bytes,
	struct slk_hist *latency);

/* --- processor time (cpu.c) --- */
struct kb_cpu {
	uint64_t client_ns; /* of the calling thread */
	uint64_t front_ns, worker_ns; /* 0: the kernel does not tell */
};
/* Since they started. */
void kb_cpu_of(const struct kb_daemon *d, struct kb_cpu *out);

/* --- a slow HSM, and one that goes away (faults.c) --- */
struct kb_fault_figures {
	double sessions_gain; /* 8 sessions against one, calls of 1 ms */
	double workers_gain; /* 8 workers of one session each against one */
	double back_ms; /* from healing to the first success */
	double overrun_ms; /* the worst answer beyond its deadline */
};
MUST_USE int kb_faults(
	struct bench *b, const char *root, struct kb_fault_figures *out, struct slk_error *err);

#endif
