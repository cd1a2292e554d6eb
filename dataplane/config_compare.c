/* What may change while ingestd runs, and what may not. */
#include <stdio.h>
#include <string.h>

#include "config.h"

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
dp_config_same_listener(const struct dp_listener_config *a, const struct dp_listener_config *b)
{
	const struct dp_rule_config *p = &a->partition, *q = &b->partition;

	return a->udp_port == b->udp_port && same_text(a->port, b->port) &&
		same_text(a->stream, b->stream) && a->framing == b->framing &&
		a->max_record_bytes == b->max_record_bytes && p->rule == q->rule &&
		p->shard == q->shard && p->field == q->field &&
		same_text(p->separator, q->separator) && same_text(a->principal, b->principal);
}

static bool
same_port(const struct dp_port_config *a, const struct dp_port_config *b)
{
	return same_text(a->name, b->name) && a->type == b->type &&
		same_text(a->interface, b->interface) && same_text(a->rx_file, b->rx_file) &&
		a->loop == b->loop && same_text(a->vdev, b->vdev) &&
		same_text(a->device, b->device) && same_text(a->ipv4, b->ipv4) &&
		same_text(a->ipv6, b->ipv6) && same_text(a->mac, b->mac) && a->vlan == b->vlan &&
		a->mtu == b->mtu && a->checksums == b->checksums && a->when_full == b->when_full;
}

static bool
same_queues(const struct dp_port_config *a, const struct dp_port_config *b)
{
	bool same = a->workers_count == b->workers_count && a->worker == b->worker;

	for (uint32_t i = 0; i < a->workers_count && same; i++)
		same = a->workers[i] == b->workers[i];
	return same;
}

static bool
same_ports(const struct dp_config *a, const struct dp_config *b)
{
	bool same = a->ports_count == b->ports_count;

	for (uint32_t i = 0; i < a->ports_count && same; i++)
		same = same_port(&a->ports[i], &b->ports[i]) &&
			same_queues(&a->ports[i], &b->ports[i]);
	return same;
}

static bool
same_eal(const struct dp_eal_config *a, const struct dp_eal_config *b)
{
	bool same = a->cores_count == b->cores_count && a->memory_mb == b->memory_mb &&
		a->hugepages == b->hugepages && a->extra_count == b->extra_count &&
		a->idle == b->idle && a->telemetry == b->telemetry && a->iommu == b->iommu &&
		a->buffers == b->buffers;

	for (uint32_t i = 0; i < a->cores_count && same; i++)
		same = a->cores[i] == b->cores[i];
	for (uint32_t i = 0; i < a->extra_count && same; i++)
		same = same_text(a->extra[i], b->extra[i]);
	return same;
}

static bool
same_journal(const struct dp_journal_config *a, const struct dp_journal_config *b)
{
	bool same = a->more_dirs_count == b->more_dirs_count;

	for (uint32_t i = 0; i < a->more_dirs_count && same; i++)
		same = same_text(a->more_dirs[i], b->more_dirs[i]);
	return same && same_text(a->dir, b->dir) && a->file_mb == b->file_mb &&
		a->group_kb == b->group_kb && a->group_count == b->group_count &&
		a->block_kb == b->block_kb && a->reserve_mb == b->reserve_mb &&
		a->direct == b->direct && a->integrity == b->integrity &&
		a->share_tail == b->share_tail && same_text(a->io, b->io) &&
		same_text(a->mirror.dir, b->mirror.dir) &&
		a->mirror.on_failure == b->mirror.on_failure;
}

static bool
same_socket(const struct dp_socket_config *a, const struct dp_socket_config *b)
{
	return same_text(a->socket, b->socket) && a->mode_bits == b->mode_bits &&
		same_text(a->group, b->group) && same_text(a->trusted_user, b->trusted_user);
}

static bool
same_rest(const struct dp_config *a, const struct dp_config *b)
{
	return a->kms.timeout_ms == b->kms.timeout_ms && same_text(a->kms.socket, b->kms.socket) &&
		a->keys.renewal_seconds == b->keys.renewal_seconds &&
		a->keys.grace_seconds == b->keys.grace_seconds && same_text(a->run_as, b->run_as) &&
		same_text(a->engine, b->engine) && same_text(a->log, b->log) &&
		a->allow_unlocked_memory == b->allow_unlocked_memory;
}

int
dp_config_reloadable(
	const struct dp_config *running, const struct dp_config *next, struct slk_error *err)
{
	const struct {
		const char *name;
		bool same;
	} sections[] = {
		{"eal", same_eal(&running->eal, &next->eal)},
		{"ports", same_ports(running, next)},
		{"journal", same_journal(&running->journal, &next->journal)},
		{"put", same_socket(&running->put, &next->put)},
		{"status", same_socket(&running->status, &next->status)},
		{"metrics", same_text(running->metrics.listen, next->metrics.listen)},
		{"kms, keys, run_as, engine, log or allow_unlocked_memory",
			same_rest(running, next)},
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (!sections[i].same)
			return slk_fail(err, SLK_CONFIG,
				"%s was changed, which takes effect at a restart only; nothing was "
				"reloaded. Restart, or change listeners alone",
				sections[i].name);
	}
	return SLK_OK;
}
