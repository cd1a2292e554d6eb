/* The engine for what DPDK calls a crypto device: hardware (Intel QAT and others) and DPDK's own software drivers.
 *
 *     device started: one queue pair per thread --seal_cryptodev_thread_new()--> seal_thread, as seal.h has it
 *
 * A burst is enqueued as far as the device takes it and dequeued in whatever order it comes back; it ends when all of it is
 * back. What a device never gives back (one second without any progress) makes its items SLK_INTERNAL and the thread
 * unusable: its memory may still be written to, so the process has to end. Memory needs no registration where DPDK's
 * addresses are virtual (--iova-mode=va, as ingestd has it), which is asked for.
 *
 * Sealing needs a driver that reads in pieces and writes in one; input in more than 64 pieces, or of more than 65,535 bytes,
 * is copied to its output first and sealed there. What the device does not take at all, above 16 MiB or, with a driver that
 * works on one segment only (crypto_openssl), above 65,535 bytes, the CPU seals, by the engine "auto". Tags are compared by
 * the driver when opening, not always in constant time: this engine is for who seals (ingestd never opens). With a few lengths
 * of AAD per key (eight, each direction counted) nothing is asked of DPDK's heap after the first item of each.
 *
 * A library of its own, slk::seal_cryptodev, so that lib/seal builds without DPDK. The EAL has to be started. Standard: DPDK
 * 22.11 to 24.11, rte_cryptodev_sym.h.
 */
#ifndef SLK_SEAL_CRYPTODEV_H
#define SLK_SEAL_CRYPTODEV_H

#include "seal/seal.h"

struct seal_cryptodev;

/* name: a device that DPDK found ("0000:3d:01.0_qat_sym"), or a software driver with a number that is made now
 * ("crypto_aesni_gcm0", "crypto_openssl0", with arguments behind a comma). threads: queue pairs, 1..64. keys: alive at once.
 * SLK_NOT_FOUND (with the names that there are), SLK_UNSUPPORTED (no AES-GCM, or not in the shape above), SLK_LIMIT (too few
 * queue pairs), SLK_NO_MEMORY, SLK_INTERNAL. */
MUST_USE int seal_cryptodev_new(const char *name, unsigned threads, unsigned keys,
	struct seal_cryptodev **out_device, struct slk_error *err);
/* lost(arg) is called in the thread that waited, when the device keeps an operation: whoever goes on from there writes into memory
 * that the device may write into as well, so a program of consequence ends there. Before the first thread is made. */
void seal_cryptodev_on_lost(struct seal_cryptodev *device, void (*lost)(void *arg), void *arg);
/* Its threads and keys are freed. NULL allowed. */
void seal_cryptodev_free(struct seal_cryptodev *device);

/* As seal_thread_new(), self-test included. SLK_LIMIT: more than it was made for; SLK_SELF_TEST; SLK_NO_MEMORY. Thread: one
 * at a time. */
MUST_USE int seal_cryptodev_thread_new(
	struct seal_cryptodev *device, struct seal_thread **out_thread, struct slk_error *err);

#endif
