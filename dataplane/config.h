/* ingestd.yaml: what sealock-ingestd is told, with defaults filled in and every value checked.
 *
 * dp_config_load() returns a whole, consistent configuration or one sentence that names file, line, key and what was
 * expected. The annotated example is deploy/ingestd.yaml.example. Read-only once loaded. Thread: any.
 */
#ifndef DP_CONFIG_H
#define DP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/pages.h"
#include "base/status.h"
#include "net/framing.h"
#include "net/partition.h"

#define DP_PORTS_MAX 8u
#define DP_CORES_MAX 16u
#define DP_JOURNAL_MORE_MAX 7u
#define DP_ENGINE_CRYPTODEV "cryptodev:" /* engine: before a device's name */

enum dp_hugepages { DP_HUGEPAGES_AUTO, DP_HUGEPAGES_ON, DP_HUGEPAGES_OFF };
enum dp_idle { DP_IDLE_ADAPTIVE, DP_IDLE_BUSY };
enum dp_port_type {
	DP_PORT_AF_XDP,
	DP_PORT_AF_PACKET,
	DP_PORT_PCI,
	DP_PORT_PCAP,
	DP_PORT_RING,
	DP_PORT_VDEV,
};
enum dp_checksums { DP_CHECKSUMS_VERIFY, DP_CHECKSUMS_TRUST_UDP };
/* What a port does while the worker's staging is full: read and drop, counted, or leave
 * frames where they are. One that waits does so while kmsd is away, too. */
enum dp_when_full { DP_WHEN_FULL_AUTO, DP_WHEN_FULL_DROP, DP_WHEN_FULL_WAIT };

/* O_DIRECT, if the file system has it. Zero is what a file says that does not name it. */
enum dp_direct { DP_UNSAID, DP_NO, DP_YES };

/* Zero is what a file says that does not name it. */
enum dp_switch { DP_SWITCH_UNSAID, DP_OFF, DP_ON };

struct dp_eal_config {
	uint32_t
		*cores; /* CPUs of the workers, one each; NULL: the last CPU this process may use */
	uint32_t cores_count;
	uint32_t memory_mb;
	enum dp_hugepages hugepages;
	char **extra; /* passed to rte_eal_init() as they are */
	uint32_t extra_count;
	enum dp_idle idle;
	bool telemetry; /* DPDK's socket */
	enum dp_switch iommu; /* DP_OFF: PCI devices that none confines are accepted */
	uint32_t buffers; /* packet buffers per port */
};

struct dp_port_config {
	char *name;
	enum dp_port_type type;
	char *interface;
	char *rx_file;
	bool loop;
	char *vdev;
	char *device; /* a PCI address, with the driver's arguments behind a comma */
	char *ipv4;
	char *ipv6;
	char *mac;
	uint32_t vlan;
	uint32_t mtu; /* 0: the interface's, 1500 where there is none */
	enum dp_checksums checksums;
	enum dp_when_full when_full;
	uint32_t worker; /* index into cores; of the only queue */
	uint32_t *workers; /* one queue each; NULL: worker's alone */
	uint32_t workers_count;
};

static inline uint32_t
dp_port_queues(const struct dp_port_config *port)
{
	return port->workers_count > 0 ? port->workers_count : 1;
}

/* Whose the queue is. */
static inline uint32_t
dp_port_worker(const struct dp_port_config *port, uint32_t queue)
{
	return port->workers_count > 0 ? port->workers[queue] : port->worker;
}

struct dp_rule_config {
	enum dp_partition_rule rule;
	uint32_t shard;
	uint32_t field;
	char *separator; /* one byte; NULL: a space */
};

struct dp_listener_config {
	uint32_t udp_port;
	char *port; /* name; NULL: every port, which must then be one worker's */
	char *stream;
	enum dp_framing framing;
	uint32_t max_record_bytes;
	struct dp_rule_config partition;
	char *principal;
};

struct dp_retention_config {
	uint32_t hours; /* 0: no limit */
	uint32_t max_mb; /* of closed files; 0: no limit */
};

enum dp_mirror_failure { DP_MIRROR_STOP, DP_MIRROR_GO_ON };

struct dp_mirror_config {
	char *dir; /* NULL: one directory only */
	enum dp_mirror_failure on_failure;
};

struct dp_journal_config {
	char *dir;
	char **more_dirs; /* on other disks */
	uint32_t more_dirs_count;
	struct dp_mirror_config mirror;
	uint32_t file_mb;
	uint32_t group_kb;
	uint32_t group_count;
	uint32_t block_kb;
	uint32_t reserve_mb;
	enum dp_direct direct;
	char *io;
	enum dp_switch integrity;
	enum dp_switch share_tail;
	struct dp_retention_config retention;
};

struct dp_kms_config {
	char *socket;
	uint32_t timeout_ms;
};

struct dp_socket_config {
	char *socket;
	char *mode; /* octal */
	char *group;
	char *trusted_user; /* of put: may attach as one that authorises its own callers; NULL: nobody */
	unsigned mode_bits; /* filled in */
};

struct dp_metrics_config {
	char *listen; /* "127.0.0.1:9464", "[::1]:9464"; NULL: off */
	struct slk_address address; /* filled in */
};

struct dp_keys_config {
	uint32_t renewal_seconds;
	uint32_t grace_seconds;
};

struct dp_config {
	struct dp_eal_config eal;
	struct dp_port_config *ports;
	uint32_t ports_count;
	struct dp_listener_config *listeners;
	uint32_t listeners_count;
	struct dp_journal_config journal;
	struct dp_kms_config kms;
	struct dp_socket_config put;
	struct dp_socket_config status;
	struct dp_metrics_config metrics;
	struct dp_keys_config keys;
	char *run_as;
	char *engine;
	char *log;
	bool allow_unlocked_memory;
	struct dp_config *older; /* freed with this one; NULL as loaded */
};

/* SLK_CONFIG, SLK_NOT_FOUND, SLK_DENIED, SLK_NO_MEMORY; *out_config is untouched then. */
MUST_USE int dp_config_load(const char *path, struct dp_config **out_config, struct slk_error *err);
void dp_config_free(struct dp_config *config); /* NULL allowed */

/* All keys of a listener are the same. */
bool dp_config_same_listener(
	const struct dp_listener_config *a, const struct dp_listener_config *b);

/* May next take over from running without a restart? Only listeners may differ. SLK_CONFIG with a sentence. */
MUST_USE int dp_config_reloadable(
	const struct dp_config *running, const struct dp_config *next, struct slk_error *err);

/* The worker that writes the records of a listener: of a port with several the one that the stream's name falls to, so that one
 * stream has one. -1 if its ports belong to several in different ways, or if it has none. */
int dp_config_listener_worker(
	const struct dp_config *config, const struct dp_listener_config *listener);

static inline bool
dp_config_direct(const struct dp_config *config)
{
	return config->journal.direct != DP_NO;
}

/* The latest groups in shared memory: unless told otherwise, or a crypto device works in the buffers. */
static inline bool
dp_config_share_tail(const struct dp_config *config)
{
	return config->journal.share_tail != DP_OFF &&
		(config->engine == NULL ||
			strncmp(config->engine, DP_ENGINE_CRYPTODEV,
				sizeof(DP_ENGINE_CRYPTODEV) - 1) != 0);
}

/* Hashes of what is written, signed by the appliance: unless told otherwise. */
static inline bool
dp_config_integrity(const struct dp_config *config)
{
	return config->journal.integrity != DP_OFF;
}

#endif
