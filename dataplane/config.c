#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "format/port.h"
#include "format/record.h"
#include "pci.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STREAM_NAME_MAX 128u /* as Kinesis has it */
#define OPT CYAML_FLAG_OPTIONAL
#define STRING(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 1, 512)
#define OPT_STRING(key, type, member) \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | OPT, type, member, 1, 512)
#define CHOICE(key, flags, type, member, choices) \
	CYAML_FIELD_ENUM(key, CYAML_FLAG_STRICT | (flags), type, member, choices, COUNT(choices))

static const cyaml_strval_t hugepages_names[] = {
	{"auto", DP_HUGEPAGES_AUTO}, {"on", DP_HUGEPAGES_ON}, {"off", DP_HUGEPAGES_OFF}};
static const cyaml_strval_t idle_names[] = {
	{"adaptive", DP_IDLE_ADAPTIVE}, {"busy", DP_IDLE_BUSY}, {"spin", DP_IDLE_BUSY}};
static const cyaml_strval_t type_names[] = {{"af_xdp", DP_PORT_AF_XDP},
	{"af_packet", DP_PORT_AF_PACKET}, {"pci", DP_PORT_PCI}, {"pcap", DP_PORT_PCAP},
	{"ring", DP_PORT_RING}, {"vdev", DP_PORT_VDEV}};
static const cyaml_strval_t checksum_names[] = {
	{"verify", DP_CHECKSUMS_VERIFY}, {"trust-udp", DP_CHECKSUMS_TRUST_UDP}};
static const cyaml_strval_t when_full_names[] = {
	{"auto", DP_WHEN_FULL_AUTO}, {"drop", DP_WHEN_FULL_DROP}, {"wait", DP_WHEN_FULL_WAIT}};
static const cyaml_strval_t framing_names[] = {{"datagram", DP_FRAMING_DATAGRAM},
	{"lines", DP_FRAMING_LINES}, {"u16", DP_FRAMING_U16}, {"u32", DP_FRAMING_U32}};
static const cyaml_strval_t rule_names[] = {{"fixed", DP_PARTITION_FIXED},
	{"round-robin", DP_PARTITION_ROUND_ROBIN}, {"source", DP_PARTITION_SOURCE},
	{"field", DP_PARTITION_FIELD}};

/* libcyaml's own booleans take any word; these do not. */
static const cyaml_strval_t off_by_default[] = {{"false", false}, {"true", true}};
static const cyaml_strval_t switch_names[] = {{"off", DP_OFF}, {"on", DP_ON}};
static const cyaml_strval_t on_by_default[] = {{"false", DP_NO}, {"true", DP_YES}};

static const cyaml_schema_value_t uint_value = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};
static const cyaml_schema_value_t string_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 512)};

static const cyaml_schema_field_t eal_fields[] = {
	CYAML_FIELD_SEQUENCE("cores", CYAML_FLAG_POINTER | OPT, struct dp_eal_config, cores,
		&uint_value, 1, DP_CORES_MAX),
	CYAML_FIELD_UINT("memory_mb", OPT, struct dp_eal_config, memory_mb),
	CHOICE("hugepages", OPT, struct dp_eal_config, hugepages, hugepages_names),
	CYAML_FIELD_SEQUENCE("extra", CYAML_FLAG_POINTER | OPT, struct dp_eal_config, extra,
		&string_value, 0, 32),
	CHOICE("idle", OPT, struct dp_eal_config, idle, idle_names),
	CHOICE("telemetry", OPT, struct dp_eal_config, telemetry, off_by_default),
	CHOICE("iommu", OPT, struct dp_eal_config, iommu, switch_names),
	CYAML_FIELD_UINT("buffers", OPT, struct dp_eal_config, buffers),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t port_fields[] = {
	STRING("name", struct dp_port_config, name),
	CHOICE("type", 0, struct dp_port_config, type, type_names),
	OPT_STRING("interface", struct dp_port_config, interface),
	OPT_STRING("rx_file", struct dp_port_config, rx_file),
	CHOICE("loop", OPT, struct dp_port_config, loop, off_by_default),
	OPT_STRING("vdev", struct dp_port_config, vdev),
	OPT_STRING("device", struct dp_port_config, device),
	OPT_STRING("ipv4", struct dp_port_config, ipv4),
	OPT_STRING("ipv6", struct dp_port_config, ipv6),
	OPT_STRING("mac", struct dp_port_config, mac),
	CYAML_FIELD_UINT("vlan", OPT, struct dp_port_config, vlan),
	CYAML_FIELD_UINT("mtu", OPT, struct dp_port_config, mtu),
	CHOICE("checksums", OPT, struct dp_port_config, checksums, checksum_names),
	CHOICE("when_full", OPT, struct dp_port_config, when_full, when_full_names),
	CYAML_FIELD_UINT("worker", OPT, struct dp_port_config, worker),
	CYAML_FIELD_SEQUENCE("workers", CYAML_FLAG_POINTER | OPT, struct dp_port_config, workers,
		&uint_value, 1, DP_CORES_MAX),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t port_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dp_port_config, port_fields)};

static const cyaml_schema_field_t rule_fields[] = {
	CHOICE("rule", 0, struct dp_rule_config, rule, rule_names),
	CYAML_FIELD_UINT("shard", OPT, struct dp_rule_config, shard),
	CYAML_FIELD_UINT("field", OPT, struct dp_rule_config, field),
	OPT_STRING("separator", struct dp_rule_config, separator),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t listener_fields[] = {
	CYAML_FIELD_UINT("udp_port", CYAML_FLAG_DEFAULT, struct dp_listener_config, udp_port),
	OPT_STRING("port", struct dp_listener_config, port),
	STRING("stream", struct dp_listener_config, stream),
	CHOICE("framing", OPT, struct dp_listener_config, framing, framing_names),
	CYAML_FIELD_UINT("max_record_bytes", OPT, struct dp_listener_config, max_record_bytes),
	CYAML_FIELD_MAPPING("partition", OPT, struct dp_listener_config, partition, rule_fields),
	STRING("principal", struct dp_listener_config, principal),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t listener_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dp_listener_config, listener_fields)};

static const cyaml_schema_field_t retention_fields[] = {
	CYAML_FIELD_UINT("hours", OPT, struct dp_retention_config, hours),
	CYAML_FIELD_UINT("max_mb", OPT, struct dp_retention_config, max_mb),
	CYAML_FIELD_END,
};

static const cyaml_strval_t mirror_failures[] = {
	{"stop", DP_MIRROR_STOP}, {"go_on", DP_MIRROR_GO_ON}};
static const cyaml_schema_field_t mirror_fields[] = {
	OPT_STRING("dir", struct dp_mirror_config, dir),
	CHOICE("on_failure", OPT, struct dp_mirror_config, on_failure, mirror_failures),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t journal_fields[] = {
	STRING("dir", struct dp_journal_config, dir),
	CYAML_FIELD_SEQUENCE("more_dirs", CYAML_FLAG_POINTER | OPT, struct dp_journal_config,
		more_dirs, &string_value, 0, DP_JOURNAL_MORE_MAX),
	CYAML_FIELD_MAPPING("mirror", OPT, struct dp_journal_config, mirror, mirror_fields),
	CYAML_FIELD_UINT("file_mb", OPT, struct dp_journal_config, file_mb),
	CYAML_FIELD_UINT("group_kb", OPT, struct dp_journal_config, group_kb),
	CYAML_FIELD_UINT("group_count", OPT, struct dp_journal_config, group_count),
	CYAML_FIELD_UINT("block_kb", OPT, struct dp_journal_config, block_kb),
	CYAML_FIELD_UINT("reserve_mb", OPT, struct dp_journal_config, reserve_mb),
	CHOICE("direct", OPT, struct dp_journal_config, direct, on_by_default),
	OPT_STRING("io", struct dp_journal_config, io),
	CHOICE("integrity", OPT, struct dp_journal_config, integrity, switch_names),
	CHOICE("share_tail", OPT, struct dp_journal_config, share_tail, switch_names),
	CYAML_FIELD_MAPPING(
		"retention", OPT, struct dp_journal_config, retention, retention_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t kms_fields[] = {
	OPT_STRING("socket", struct dp_kms_config, socket),
	CYAML_FIELD_UINT("timeout_ms", OPT, struct dp_kms_config, timeout_ms),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t socket_fields[] = {
	OPT_STRING("socket", struct dp_socket_config, socket),
	OPT_STRING("mode", struct dp_socket_config, mode),
	OPT_STRING("group", struct dp_socket_config, group),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t put_fields[] = {
	OPT_STRING("socket", struct dp_socket_config, socket),
	OPT_STRING("mode", struct dp_socket_config, mode),
	OPT_STRING("group", struct dp_socket_config, group),
	OPT_STRING("trusted_user", struct dp_socket_config, trusted_user),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t metrics_fields[] = {
	OPT_STRING("listen", struct dp_metrics_config, listen),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t keys_fields[] = {
	CYAML_FIELD_UINT("renewal_seconds", OPT, struct dp_keys_config, renewal_seconds),
	CYAML_FIELD_UINT("grace_seconds", OPT, struct dp_keys_config, grace_seconds),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t config_fields[] = {
	CYAML_FIELD_MAPPING("eal", OPT, struct dp_config, eal, eal_fields),
	CYAML_FIELD_SEQUENCE(
		"ports", CYAML_FLAG_POINTER, struct dp_config, ports, &port_value, 1, DP_PORTS_MAX),
	CYAML_FIELD_SEQUENCE("listeners", CYAML_FLAG_POINTER | OPT, struct dp_config, listeners,
		&listener_value, 0, DP_LISTENER_MAX),
	CYAML_FIELD_MAPPING(
		"journal", CYAML_FLAG_DEFAULT, struct dp_config, journal, journal_fields),
	CYAML_FIELD_MAPPING("kms", OPT, struct dp_config, kms, kms_fields),
	CYAML_FIELD_MAPPING("put", OPT, struct dp_config, put, put_fields),
	CYAML_FIELD_MAPPING("status", OPT, struct dp_config, status, socket_fields),
	CYAML_FIELD_MAPPING("metrics", OPT, struct dp_config, metrics, metrics_fields),
	CYAML_FIELD_MAPPING("keys", OPT, struct dp_config, keys, keys_fields),
	OPT_STRING("run_as", struct dp_config, run_as),
	OPT_STRING("engine", struct dp_config, engine),
	OPT_STRING("log", struct dp_config, log),
	CHOICE("allow_unlocked_memory", OPT, struct dp_config, allow_unlocked_memory,
		off_by_default),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct dp_config, config_fields)};

/* What a check needs to name the place of a bad value. */
struct check {
	const char *path;
	struct slk_error *err;
};

/* The line of key in the index-th list item of a top-level section (index -1: no list; section NULL: top level), or
 * that of the section, or 1: the parser keeps no lines, and a sentence without one sends people searching. */
static unsigned
find_line(const char *path, const char *section, int index, const char *key)
{
	char line[1024];
	unsigned number = 0, found = 1;
	int item = -1;
	bool inside = section == NULL;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 1;
	while (fgets(line, sizeof(line), f) != NULL) {
		number++;
		const char *p = line + strspn(line, " \t");
		if (section != NULL && p == line && isalpha((unsigned char)*p)) {
			inside = strncmp(p, section, strlen(section)) == 0 &&
				p[strlen(section)] == ':';
			found = inside ? number : found;
		}
		if (*p == '-' && inside && ++item == index)
			found = number; /* at least the item, should the key be further behind */
		p += strspn(p, "- \t{");
		if (inside && item == index && strncmp(p, key, strlen(key)) == 0 &&
			p[strlen(key)] == ':') {
			found = number;
			break;
		}
	}
	fclose(f);
	return found;
}

#define REFUSE(c, section, index, key, fmt, ...) \
	slk_fail((c)->err, SLK_CONFIG, "configuration %s, line: %u: " fmt, (c)->path, \
		find_line((c)->path, (section), (index), (key)), ##__VA_ARGS__)

static int
check_range(const struct check *c, const char *section, int index, const char *key, uint64_t value,
	uint64_t min, uint64_t max)
{
	if (value >= min && value <= max)
		return SLK_OK;
	return REFUSE(c, section, index, key, "%s is %llu, but must be %llu to %llu", key,
		(unsigned long long)value, (unsigned long long)min, (unsigned long long)max);
}

static int
fill_defaults(struct dp_config *cfg)
{
	slk_config_default_number(&cfg->eal.memory_mb, 128);
	slk_config_default_number(&cfg->eal.buffers, 8192);
	slk_config_default_number(&cfg->journal.file_mb, 64);
	/* Four groups at least go into a file. */
	slk_config_default_number(&cfg->journal.group_kb,
		cfg->journal.file_mb < 8 ? cfg->journal.file_mb * 256 : 2048);
	slk_config_default_number(&cfg->journal.group_count, 4);
	slk_config_default_number(&cfg->journal.block_kb, 64);
	slk_config_default_number(&cfg->kms.timeout_ms, 2000);
	slk_config_default_number(&cfg->keys.renewal_seconds, 300);
	for (uint32_t i = 0; i < cfg->listeners_count; i++) {
		slk_config_default_number(&cfg->listeners[i].max_record_bytes, FMT_RECORD_DATA_MAX);
		slk_config_default_number(&cfg->listeners[i].partition.field, 1);
	}
	if (slk_config_default_text(&cfg->put.socket, FMT_PORT_DEFAULT_SOCKET) != SLK_OK ||
		slk_config_default_text(&cfg->put.mode, "0660") != SLK_OK ||
		slk_config_default_text(&cfg->status.socket, "/run/sealock/ingest/status.sock") !=
			SLK_OK ||
		slk_config_default_text(&cfg->status.mode, "0660") != SLK_OK ||
		slk_config_default_text(&cfg->log, "info") != SLK_OK)
		return SLK_NO_MEMORY;
	return SLK_OK;
}

static bool
is_absolute(const char *dir)
{
	return dir[0] == '/' && strchr(dir, ':') == NULL;
}

static int
check_numbers(const struct check *c, const struct dp_config *cfg)
{
	const struct {
		const char *section;
		const char *key;
		uint64_t value, min, max;
	} rows[] = {
		{"eal", "memory_mb", cfg->eal.memory_mb, 32, 1u << 20},
		{"eal", "buffers", cfg->eal.buffers, 1024, 1u << 20},
		{"journal", "file_mb", cfg->journal.file_mb, 1, 1u << 16},
		{"journal", "group_kb", cfg->journal.group_kb, 64, 1u << 16},
		{"journal", "group_count", cfg->journal.group_count, 3, 16},
		{"journal", "block_kb", cfg->journal.block_kb, 4, 2048},
		{"journal", "reserve_mb", cfg->journal.reserve_mb, 0, 1u << 20},
		{"journal", "hours", cfg->journal.retention.hours, 0, 24u * 3660},
		{"journal", "max_mb", cfg->journal.retention.max_mb, 0, UINT32_MAX},
		{"kms", "timeout_ms", cfg->kms.timeout_ms, 10, 60000},
		{"keys", "renewal_seconds", cfg->keys.renewal_seconds, 1, 300},
		{"keys", "grace_seconds", cfg->keys.grace_seconds, 0, 3600},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc = check_range(c, rows[i].section, -1, rows[i].key, rows[i].value,
			rows[i].min, rows[i].max);
		if (rc != SLK_OK)
			return rc;
	}
	if (cfg->journal.mirror.dir != NULL &&
		strcmp(cfg->journal.mirror.dir, cfg->journal.dir) == 0)
		return REFUSE(c, "journal", -1, "mirror",
			"the mirror is the journal's own directory: it must be another, on another "
			"device");
	if (cfg->journal.mirror.dir != NULL && cfg->journal.more_dirs_count > 0)
		return REFUSE(c, "journal", -1, "more_dirs",
			"a journal has either a mirror or more directories, not both");
	if (cfg->journal.more_dirs_count > 0 && !is_absolute(cfg->journal.dir))
		return REFUSE(c, "journal", -1, "dir",
			"with more_dirs, every directory is an absolute path without a colon");
	for (uint32_t i = 0; i < cfg->journal.more_dirs_count; i++) {
		const char *dir = cfg->journal.more_dirs[i];
		bool twice = strcmp(dir, cfg->journal.dir) == 0;
		for (uint32_t k = 0; k < i; k++)
			twice = twice || strcmp(dir, cfg->journal.more_dirs[k]) == 0;
		if (twice || !is_absolute(dir))
			return REFUSE(c, "journal", -1, "more_dirs",
				"%s must be another directory, on another disk, and an absolute "
				"path without a colon",
				dir);
	}
	if (cfg->journal.group_kb % 4 != 0)
		return REFUSE(c, "journal", -1, "group_kb", "group_kb must be a multiple of 4");
	if (cfg->journal.group_kb > cfg->journal.file_mb * 256)
		return REFUSE(c, "journal", -1, "group_kb",
			"group_kb is %u, but four groups must fit into a file of %u MiB",
			cfg->journal.group_kb, cfg->journal.file_mb);
	if (cfg->journal.block_kb > cfg->journal.group_kb / 2)
		return REFUSE(c, "journal", -1, "block_kb",
			"block_kb must be at most half of group_kb (%u)", cfg->journal.group_kb);
	return SLK_OK;
}

static int
check_mode(const struct check *c, const char *section, struct dp_socket_config *s)
{
	char *end = NULL;
	unsigned long bits = strtoul(s->mode, &end, 8);

	if (*end != '\0' || bits > 0777)
		return REFUSE(c, section, -1, "mode",
			"mode is '%s', but must be an octal number such as \"0660\"", s->mode);
	s->mode_bits = (unsigned)bits;
	return SLK_OK;
}

static int
check_words(const struct check *c, struct dp_config *cfg)
{
	enum slk_log_level level;

	if (!slk_log_parse_level(cfg->log, &level))
		return REFUSE(c, NULL, -1, "log",
			"log is '%s', but must be debug, info, warn or error", cfg->log);
	if (cfg->journal.io != NULL && strcmp(cfg->journal.io, "auto") != 0 &&
		strcmp(cfg->journal.io, "uring") != 0 && strcmp(cfg->journal.io, "sync") != 0)
		return REFUSE(c, "journal", -1, "io", "io is '%s', but must be auto, uring or sync",
			cfg->journal.io);
	if (cfg->metrics.listen != NULL &&
		!slk_address_parse(cfg->metrics.listen, &cfg->metrics.address))
		return REFUSE(c, "metrics", -1, "listen",
			"listen is '%s', but must be an address and a port such as 127.0.0.1:9464 "
			"or "
			"[::1]:9464",
			cfg->metrics.listen);
	int rc = check_mode(c, "put", &cfg->put);
	return rc != SLK_OK ? rc : check_mode(c, "status", &cfg->status);
}

/* Each type wants its own keys and no other's: a key that nothing reads is a mistake. */
static int
check_port_keys(const struct check *c, int i, const struct dp_port_config *p)
{
	bool kernel = p->type == DP_PORT_AF_XDP || p->type == DP_PORT_AF_PACKET;
	bool pcap = p->type == DP_PORT_PCAP;

	if (kernel && p->interface == NULL)
		return REFUSE(c, "ports", i, "type", "port %s needs the key interface", p->name);
	if (pcap && (p->interface == NULL) == (p->rx_file == NULL))
		return REFUSE(c, "ports", i, "type",
			"port %s needs either rx_file (replay) or interface (live), not both",
			p->name);
	if (p->type == DP_PORT_VDEV && p->vdev == NULL)
		return REFUSE(c, "ports", i, "type",
			"port %s needs the key vdev, for instance net_memif0,role=server", p->name);
	if (!kernel && !pcap && p->interface != NULL)
		return REFUSE(c, "ports", i, "interface",
			"port %s has no interface: remove the key", p->name);
	if (!pcap && (p->rx_file != NULL || p->loop))
		return REFUSE(c, "ports", i, p->loop ? "loop" : "rx_file",
			"rx_file and loop are for ports of type pcap");
	if (p->loop && p->rx_file == NULL)
		return REFUSE(c, "ports", i, "loop", "loop needs rx_file");
	if (p->type != DP_PORT_VDEV && p->vdev != NULL)
		return REFUSE(c, "ports", i, "vdev", "vdev is for ports of type vdev");
	if (p->type != DP_PORT_PCI && p->device != NULL)
		return REFUSE(c, "ports", i, "device", "device is for ports of type pci");
	return SLK_OK;
}

/* A NIC is named by its address, and has one port. */
static int
check_port_device(const struct check *c, const struct dp_config *cfg, int i)
{
	const struct dp_port_config *p = &cfg->ports[i];
	char address[DP_PCI_ADDRESS_BYTES], other[DP_PCI_ADDRESS_BYTES];

	if (p->type != DP_PORT_PCI)
		return SLK_OK;
	if (p->device == NULL)
		return REFUSE(c, "ports", i, "type",
			"port %s needs the key device, the NIC's PCI address such as 0000:3b:00.0",
			p->name);
	if (!dp_pci_address(p->device, address))
		return REFUSE(c, "ports", i, "device",
			"device '%s' is no PCI address such as 0000:3b:00.0 (lspci -D shows them)",
			p->device);
	for (int j = 0; j < i; j++) {
		if (cfg->ports[j].type == DP_PORT_PCI &&
			dp_pci_address(cfg->ports[j].device, other) && strcmp(address, other) == 0)
			return REFUSE(c, "ports", i, "device", "two ports have device %s", address);
	}
	return SLK_OK;
}

/* Several workers: a queue of the device for each. */
static int
check_port_workers(const struct check *c, int i, const struct dp_port_config *p, uint32_t workers)
{
	int rc = check_range(c, "ports", i, "worker", p->worker, 0, workers - 1);

	if (p->workers_count == 0 || rc != SLK_OK)
		return rc;
	if (p->worker != 0)
		return REFUSE(c, "ports", i, "workers", "a port has either worker or workers");
	if (p->workers_count > 1 && (p->type == DP_PORT_PCAP || p->type == DP_PORT_RING))
		return REFUSE(c, "ports", i, "workers",
			"only ports of type af_xdp, af_packet, pci and vdev have several queues");
	if (p->workers_count > 1 && p->when_full == DP_WHEN_FULL_WAIT)
		return REFUSE(c, "ports", i, "when_full",
			"a port of several workers drops what one of them has no room for");
	for (uint32_t w = 0; w < p->workers_count; w++) {
		if (p->workers[w] >= workers)
			return REFUSE(c, "ports", i, "workers",
				"worker %u is not there: eal.cores has %u", p->workers[w], workers);
		for (uint32_t before = 0; before < w; before++) {
			if (p->workers[before] == p->workers[w])
				return REFUSE(c, "ports", i, "workers", "worker %u is named twice",
					p->workers[w]);
		}
	}
	return SLK_OK;
}

static int
check_port(const struct check *c, const struct dp_config *cfg, int i)
{
	const struct dp_port_config *p = &cfg->ports[i];
	uint32_t workers = cfg->eal.cores_count > 0 ? cfg->eal.cores_count : 1;

	for (int j = 0; j < i; j++) {
		if (strcmp(cfg->ports[j].name, p->name) == 0)
			return REFUSE(c, "ports", i, "name", "two ports are named %s", p->name);
	}
	if (strpbrk(p->name, ", ") != NULL || strlen(p->name) > 32)
		return REFUSE(c, "ports", i, "name",
			"a port's name has at most 32 bytes, no comma and no space");
	if (p->ipv4 == NULL && p->ipv6 == NULL)
		return REFUSE(
			c, "ports", i, "name", "port %s needs an address: ipv4 or ipv6", p->name);
	int rc = check_port_keys(c, i, p);
	if (rc == SLK_OK)
		rc = check_port_device(c, cfg, i);
	if (rc == SLK_OK)
		rc = check_range(c, "ports", i, "vlan", p->vlan, 0, 4094);
	if (rc == SLK_OK && p->mtu != 0)
		rc = check_range(c, "ports", i, "mtu", p->mtu, p->ipv6 != NULL ? 1280 : 576, 9000);
	if (rc == SLK_OK)
		rc = check_port_workers(c, i, p, workers);
	return rc;
}

static bool
same_workers(const struct dp_port_config *a, const struct dp_port_config *b)
{
	bool same = dp_port_queues(a) == dp_port_queues(b);

	for (uint32_t q = 0; q < dp_port_queues(a) && same; q++)
		same = dp_port_worker(a, q) == dp_port_worker(b, q);
	return same;
}

/* FNV-1a: the same at every start. */
static uint32_t
name_hash(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

int
dp_config_listener_worker(const struct dp_config *cfg, const struct dp_listener_config *l)
{
	const struct dp_port_config *first = NULL;

	for (uint32_t i = 0; i < cfg->ports_count; i++) {
		const struct dp_port_config *p = &cfg->ports[i];
		if (l->port != NULL && strcmp(l->port, p->name) != 0)
			continue;
		if (first != NULL && !same_workers(first, p))
			return -1;
		first = p;
	}
	if (first == NULL)
		return -1;
	return (int)dp_port_worker(first, name_hash(l->stream) % dp_port_queues(first));
}

static int
check_listener_pair(const struct check *c, const struct dp_config *cfg, int i, int j)
{
	const struct dp_listener_config *a = &cfg->listeners[i], *b = &cfg->listeners[j];
	bool same_port = a->port == NULL || b->port == NULL || strcmp(a->port, b->port) == 0;

	if (a->udp_port == b->udp_port && same_port)
		return REFUSE(c, "listeners", i, "udp_port", "two listeners have UDP port %u",
			a->udp_port);
	/* One shard has one writer: its lane numbers the records. */
	if (strcmp(a->stream, b->stream) == 0 &&
		dp_config_listener_worker(cfg, a) != dp_config_listener_worker(cfg, b))
		return REFUSE(c, "listeners", i, "stream",
			"stream %s would be written by two workers; give its listeners ports of "
			"one "
			"worker",
			a->stream);
	return SLK_OK;
}

static int
check_rule(const struct check *c, int i, const struct dp_rule_config *r)
{
	if (r->rule != DP_PARTITION_FIELD && r->separator != NULL)
		return REFUSE(c, "listeners", i, "separator", "separator is for the rule field");
	if (r->separator != NULL && strlen(r->separator) != 1)
		return REFUSE(c, "listeners", i, "separator",
			"separator is '%s', but must be one byte", r->separator);
	int rc = check_range(c, "listeners", i, "shard", r->shard, 0, DP_SHARD_COUNT_MAX - 1);
	if (rc == SLK_OK)
		rc = check_range(c, "listeners", i, "field", r->field, 1, DP_PARTITION_FIELD_MAX);
	return rc;
}

static int
check_listener(const struct check *c, const struct dp_config *cfg, int i)
{
	const struct dp_listener_config *l = &cfg->listeners[i];

	int rc = check_range(c, "listeners", i, "udp_port", l->udp_port, 1, 65535);
	if (rc == SLK_OK)
		rc = check_range(c, "listeners", i, "max_record_bytes", l->max_record_bytes, 1,
			FMT_RECORD_DATA_MAX);
	if (rc == SLK_OK)
		rc = check_rule(c, i, &l->partition);
	if (rc != SLK_OK)
		return rc;
	if (strlen(l->stream) > STREAM_NAME_MAX)
		return REFUSE(c, "listeners", i, "stream", "a stream's name has at most %u bytes",
			STREAM_NAME_MAX);
	if (strncmp(l->principal, "arn:", 4) != 0 || strlen(l->principal) > 255)
		return REFUSE(c, "listeners", i, "principal",
			"principal is '%s', but must be a role's ARN such as "
			"arn:aws:iam::000000000000:role/syslog",
			l->principal);
	if (dp_config_listener_worker(cfg, l) < 0 && l->port != NULL)
		return REFUSE(c, "listeners", i, "port", "there is no port named %s", l->port);
	if (dp_config_listener_worker(cfg, l) < 0)
		return REFUSE(c, "listeners", i, "udp_port",
			"several workers have ports; say which port UDP %u is for (port: NAME)",
			l->udp_port);
	for (int j = 0; j < i && rc == SLK_OK; j++)
		rc = check_listener_pair(c, cfg, i, j);
	return rc;
}

static int
check_config(const char *path, struct dp_config *cfg, struct slk_error *err)
{
	const struct check c = {path, err};
	int rc = check_numbers(&c, cfg);

	if (rc == SLK_OK)
		rc = check_words(&c, cfg);
	for (uint32_t i = 0; i < cfg->ports_count && rc == SLK_OK; i++)
		rc = check_port(&c, cfg, (int)i);
	for (uint32_t i = 0; i < cfg->listeners_count && rc == SLK_OK; i++)
		rc = check_listener(&c, cfg, (int)i);
	return rc;
}

int
dp_config_load(const char *path, struct dp_config **out_config, struct slk_error *err)
{
	void *data = NULL;
	int rc = slk_config_load(path, &config_schema, &data, err);

	if (rc != SLK_OK)
		return rc;
	struct dp_config *cfg = data;
	rc = fill_defaults(cfg);
	if (rc != SLK_OK)
		slk_fail(err, rc, "no memory for the configuration");
	else
		rc = check_config(path, cfg, err);
	if (rc != SLK_OK) {
		dp_config_free(cfg);
		return rc;
	}
	*out_config = cfg;
	return SLK_OK;
}

void
dp_config_free(struct dp_config *config)
{
	while (config != NULL) {
		struct dp_config *older = config->older;
		slk_config_free(&config_schema, config);
		config = older;
	}
}
