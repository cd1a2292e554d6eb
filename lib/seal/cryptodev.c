/* Crypto devices: found or made, looked at, started. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "seal/engine_cryptodev.h"

#define QUEUE_DESCRIPTORS 128u

static int
unknown_device(const char *name, struct slk_error *err)
{
	char names[256] = "";
	size_t at = 0;

	for (uint8_t id = 0; id < RTE_CRYPTO_MAX_DEVS && at < sizeof(names) - 1; id++) {
		const char *there =
			rte_cryptodev_is_valid_dev(id) ? rte_cryptodev_name_get(id) : NULL;
		if (there != NULL)
			at += (size_t)snprintf(names + at, sizeof(names) - at, " %s", there);
	}
	return slk_fail(err, SLK_NOT_FOUND,
		"DPDK knows no crypto device %.64s; there are:%s (or make a software one: "
		"crypto_aesni_gcm0, "
		"crypto_openssl0)",
		name, names[0] != '\0' ? names : " none");
}

/* A device that is there, or a virtual one that is made now. */
static int
find_device(struct seal_cryptodev *d, const char *text, struct slk_error *err)
{
	const char *comma = strchr(text, ',');
	size_t len = comma != NULL ? (size_t)(comma - text) : strlen(text);

	if (len == 0 || len >= sizeof(d->name))
		return slk_fail(
			err, SLK_NOT_FOUND, "\"%.80s\" is no name of a crypto device", text);
	memcpy(d->name, text, len);
	int id = rte_cryptodev_get_dev_id(d->name);
	if (id < 0 && strncmp(d->name, "crypto_", 7) == 0) {
		d->was_made =
			rte_eal_hotplug_add("vdev", d->name, comma != NULL ? comma + 1 : "") == 0;
		id = rte_cryptodev_get_dev_id(d->name);
	}
	if (id < 0)
		return unknown_device(d->name, err);
	d->id = (uint8_t)id;
	return SLK_OK;
}

static int
check_device(const struct seal_cryptodev *d, struct slk_error *err)
{
	const uint64_t shape = RTE_CRYPTODEV_FF_SYMMETRIC_CRYPTO | RTE_CRYPTODEV_FF_IN_PLACE_SGL |
		RTE_CRYPTODEV_FF_OOP_SGL_IN_LB_OUT;
	struct rte_cryptodev_info info;
	const struct rte_cryptodev_sym_capability_idx gcm = {
		.type = RTE_CRYPTO_SYM_XFORM_AEAD, .algo = {.aead = RTE_CRYPTO_AEAD_AES_GCM}};

	rte_cryptodev_info_get(d->id, &info);
	if ((info.feature_flags & shape) != shape)
		return slk_fail(err, SLK_UNSUPPORTED,
			"%s cannot read in pieces and write in one; choose ipsec-mb", d->name);
	const struct rte_cryptodev_symmetric_capability *can =
		rte_cryptodev_sym_capability_get(d->id, &gcm);
	if (can == NULL ||
		rte_cryptodev_sym_capability_check_aead(
			can, 32, SEAL_TAG_BYTES, 64, SEAL_NONCE_BYTES) != 0)
		return slk_fail(
			err, SLK_UNSUPPORTED, "%s has no AES-256-GCM with 96-bit IVs", d->name);
	if (rte_eal_iova_mode() != RTE_IOVA_VA)
		return slk_fail(err, SLK_UNSUPPORTED,
			"%s needs DPDK's --iova-mode=va: payloads lie in memory that has no "
			"physical "
			"address of its own",
			d->name);
	if (info.max_nb_queue_pairs < d->threads)
		return slk_fail(err, SLK_LIMIT, "%s has %u queue pairs, %u are needed", d->name,
			info.max_nb_queue_pairs, d->threads);
	return SLK_OK;
}

static int
start_device(struct seal_cryptodev *d, unsigned keys, struct slk_error *err)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	int socket = rte_cryptodev_socket_id(d->id);
	struct rte_cryptodev_config config = {.socket_id = socket < 0 ? SOCKET_ID_ANY : socket,
		.nb_queue_pairs = (uint16_t)d->threads};

	snprintf(name, sizeof(name), "slk_session_%u", d->id);
	d->sessions = rte_cryptodev_sym_session_pool_create(name, keys * 2,
		rte_cryptodev_sym_get_private_session_size(d->id), 0, 0, config.socket_id);
	if (d->sessions == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "%s: DPDK has no memory for %u keys (%s)",
			d->name, keys, rte_strerror(rte_errno));
	const struct rte_cryptodev_qp_conf queue = {
		.nb_descriptors = QUEUE_DESCRIPTORS, .mp_session = d->sessions};
	int rc = rte_cryptodev_configure(d->id, &config);
	for (unsigned i = 0; rc == 0 && i < d->threads; i++)
		rc = rte_cryptodev_queue_pair_setup(d->id, (uint16_t)i, &queue, config.socket_id);
	if (rc == 0)
		rc = rte_cryptodev_start(d->id);
	if (rc != 0)
		return slk_fail(
			err, SLK_INTERNAL, "%s does not start: %s", d->name, rte_strerror(-rc));
	d->is_started = true;
	return SLK_OK;
}

int
seal_cryptodev_new(const char *name, unsigned threads, unsigned keys,
	struct seal_cryptodev **out_device, struct slk_error *err)
{
	struct seal_cryptodev *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a crypto device");
	d->threads = threads;
	d->item_max = ITEM_BYTES_MAX;
	int rc = find_device(d, name, err);
	if (rc == SLK_OK)
		rc = check_device(d, err);
	if (rc == SLK_OK)
		rc = start_device(d, keys, err);
	if (rc != SLK_OK) {
		seal_cryptodev_free(d);
		return rc;
	}
	d->engine = seal_engine_cryptodev;
	d->engine.name = d->name;
	*out_device = d;
	return SLK_OK;
}

void
seal_cryptodev_on_lost(struct seal_cryptodev *device, void (*lost)(void *arg), void *arg)
{
	device->lost = lost;
	device->lost_arg = arg;
}

void
seal_cryptodev_free(struct seal_cryptodev *device)
{
	if (device == NULL)
		return;
	if (device->is_started)
		rte_cryptodev_stop(device->id);
	if (device->was_made)
		(void)rte_eal_hotplug_remove("vdev", device->name);
	rte_mempool_free(device->sessions);
	free(device);
}

/* Drivers say that they work in place on several segments and refuse it for GCM all the same (crypto_openssl): then the CPU does
 * what is longer than one. */
static int
try_large(struct seal_cryptodev *d, struct seal_thread *thread)
{
	static const uint8_t key[SEAL_KEY_BYTES], aad[1];
	uint8_t tag[SEAL_TAG_BYTES];
	uint8_t *bytes = calloc(1, SEGMENT_BYTES + 1);
	struct seal_key *k = NULL;
	int rc = bytes == NULL ? SLK_NO_MEMORY : seal_key_new(thread, key, sizeof(key), &k);

	if (rc == SLK_OK) {
		struct iovec in = {bytes, SEGMENT_BYTES + 1};
		struct seal_item item = {.in = &in,
			.in_count = 1,
			.out = bytes,
			.aad = aad,
			.aad_len = 1,
			.tag = tag};
		if (seal_burst(thread, k, &item, 1) != 1)
			d->item_max = SEGMENT_BYTES;
	}
	seal_key_free(k);
	free(bytes);
	return rc;
}

int
seal_cryptodev_thread_new(
	struct seal_cryptodev *device, struct seal_thread **out_thread, struct slk_error *err)
{
	struct seal_thread *thread = NULL;

	int rc = seal_thread_new_engine(&device->engine, &thread, err);
	if (rc != SLK_OK)
		return rc;
	rc = try_large(device, thread);
	if (rc != SLK_OK) {
		seal_thread_free(thread);
		return slk_fail(err, rc, "engine %s: out of memory", device->name);
	}
	*out_thread = thread;
	return SLK_OK;
}
