#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "tempdir.h"

static char dir[256];
static char path[300];

#define PORTS "ports:\n  - name: wire\n    type: ring\n    ipv4: 10.77.0.2/24\n"
#define JOURNAL "journal:\n  dir: /tmp/j\n"
#define LISTENER \
	"listeners:\n  - udp_port: 5514\n    stream: logs\n    principal: " \
	"arn:aws:iam::000000000000:role/syslog\n"

static void
write_config(const char *text)
{
	snprintf(path, sizeof(path), "%s/ingestd.yaml", dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

/* The configuration is refused with a sentence that names the file, the line and all of the words. */
static void
refused(const char *text, const char *line, const char *word, const char *other)
{
	struct dp_config *config = NULL;
	struct slk_error err = {0};

	write_config(text);
	assert_int_equal(dp_config_load(path, &config, &err), SLK_CONFIG);
	assert_null(config);
	if (strstr(err.text, path) == NULL || (line != NULL && strstr(err.text, line) == NULL) ||
		strstr(err.text, word) == NULL ||
		(other != NULL && strstr(err.text, other) == NULL))
		fail_msg("the sentence was: %s", err.text);
}

static void
a_small_configuration_gets_defaults(void **state)
{
	struct dp_config *c = NULL;
	struct slk_error err = {0};

	(void)state;
	write_config(PORTS LISTENER JOURNAL);
	int rc = dp_config_load(path, &c, &err);
	if (rc != SLK_OK)
		fail_msg("%s", err.text);
	assert_int_equal(c->ports_count, 1);
	assert_int_equal(c->keys.renewal_seconds, 300);
	assert_int_equal(c->keys.grace_seconds, 0);
	assert_int_equal(c->put.mode_bits, 0660);
	assert_true(dp_config_integrity(c));
	assert_int_equal(c->journal.retention.hours, 0);
	assert_int_equal(c->journal.retention.max_mb, 0);
	assert_int_equal(c->listeners[0].framing, DP_FRAMING_DATAGRAM);
	assert_int_equal(c->listeners[0].max_record_bytes, 1u << 20);
	assert_true(dp_config_direct(c));
	assert_int_equal(dp_config_listener_worker(c, &c->listeners[0]), 0);
	assert_string_equal(c->status.socket, "/run/sealock/ingest/status.sock");
	dp_config_free(c);
}

static void
an_unknown_key_is_refused_with_its_line(void **state)
{
	(void)state;
	refused(PORTS JOURNAL "  colour: red\n", "line: 7", "colour", NULL);
}

static void
a_wrong_type_is_refused_with_its_line(void **state)
{
	(void)state;
	refused(PORTS JOURNAL "  file_mb: many\n", "line: 7", "file_mb", NULL);
	refused(PORTS JOURNAL "  direct: perhaps\n", "line: 7", "direct", NULL);
	refused("ports:\n  - name: wire\n    type: carrier-pigeon\n    ipv4: 10.0.0.1/8\n" JOURNAL,
		"line: 3", "type", NULL);
}

static void
a_value_out_of_range_is_refused_with_its_line_and_limits(void **state)
{
	(void)state;
	refused(PORTS JOURNAL "keys:\n  renewal_seconds: 301\n", "line: 8", "renewal_seconds",
		"1 to 300");
	refused(PORTS JOURNAL "keys:\n  grace_seconds: 3601\n", "line: 8", "grace_seconds",
		"0 to 3600");
	refused(PORTS JOURNAL "  group_count: 17\n", "line: 7", "group_count", "3 to 16");
	refused(PORTS JOURNAL "  group_count: 2\n", "line: 7", "group_count", "3 to 16");
	refused(PORTS JOURNAL "  block_kb: 2048\n", "line: 7", "block_kb", "half of group_kb");
	refused(PORTS JOURNAL "  file_mb: 2\n  group_kb: 1024\n", "line: 8", "group_kb", "2 MiB");
	refused("ports:\n  - name: w\n    type: ring\n    ipv4: 10.0.0.1/8\n    worker: "
		"1\n" JOURNAL,
		"line: 5", "worker", "0 to 0");
}

#define EAL2 "eal:\n  cores: [0, 1]\n"
#define PORT(more) \
	"ports:\n  - name: w\n    type: af_packet\n    interface: eth9\n    ipv4: " \
	"10.0.0.1/8\n" more

static void
a_port_may_have_several_workers(void **state)
{
	static const char *const streams[] = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta"};
	struct dp_config *c = NULL;
	unsigned of[2] = {0};

	(void)state;
	write_config(EAL2 PORT("    workers: [1, 0]\n") JOURNAL);
	assert_ok(dp_config_load(path, &c, NULL));
	assert_int_equal(dp_port_queues(&c->ports[0]), 2);
	assert_int_equal(dp_port_worker(&c->ports[0], 0), 1);
	assert_int_equal(dp_port_worker(&c->ports[0], 1), 0);
	for (unsigned i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
		const struct dp_listener_config l = {.stream = (char *)(uintptr_t)streams[i]};
		int worker = dp_config_listener_worker(c, &l);
		assert_in_range(worker, 0, 1);
		assert_int_equal(worker, dp_config_listener_worker(c, &l));
		of[worker]++;
	}
	assert_true(of[0] > 0 && of[1] > 0);
	dp_config_free(c);

	refused(EAL2 PORT("    workers: [0, 0]\n") JOURNAL, "line: 8", "worker 0", "named twice");
	refused(EAL2 PORT("    workers: [0, 2]\n") JOURNAL, "line: 8", "worker 2",
		"eal.cores has 2");
	refused(EAL2 PORT("    worker: 1\n    workers: [0, 1]\n") JOURNAL, "line: 9", "workers",
		"either");
	refused(EAL2 PORT("    when_full: wait\n    workers: [0, 1]\n") JOURNAL, "line: 8",
		"several workers", "no room");
	refused(EAL2 "ports:\n  - name: w\n    type: ring\n    ipv4: 10.0.0.1/8\n    workers: [0, "
		     "1]\n" JOURNAL,
		"line: 7", "several queues", "af_packet");
}

static void
a_nic_is_named_by_its_address(void **state)
{
#define PCI(text) "ports:\n  - name: w\n    type: pci\n    ipv4: 10.0.0.1/8\n" text
	struct dp_config *c = NULL;

	(void)state;
	write_config("eal:\n  cores: [0, 1]\n  iommu: off\n" PCI(
		"    device: \"0000:3b:00.0,mprq_en=1\"\n    workers: [0, 1]\n") JOURNAL);
	assert_ok(dp_config_load(path, &c, NULL));
	assert_int_equal(c->ports[0].type, DP_PORT_PCI);
	assert_string_equal(c->ports[0].device, "0000:3b:00.0,mprq_en=1");
	assert_int_equal(c->eal.iommu, DP_OFF);
	dp_config_free(c);

	refused(PCI("") JOURNAL, "line: 3", "device", "0000:3b:00.0");
	refused(PCI("    device: eth0\n") JOURNAL, "line: 5", "'eth0'", "PCI address");
	refused(PCI("    device: \"0000:3b:00.0\"\n  - name: v\n    type: pci\n    ipv4: "
		    "10.0.0.2/8\n    device: \"0000:3B:00.0,x=1\"\n") JOURNAL,
		"line: 9", "two ports", "0000:3b:00.0");
	refused("ports:\n  - name: w\n    type: ring\n    ipv4: 10.0.0.1/8\n    device: "
		"\"0000:3b:00.0\"\n" JOURNAL,
		"line: 5", "device", "type pci");
	refused(PCI("    device: \"0000:3b:00.0\"\n    interface: eth0\n") JOURNAL, "line: 6",
		"interface", NULL);
}

static void
hashes_and_retention_are_set_per_journal(void **state)
{
	struct dp_config *c = NULL;

	(void)state;
	write_config(
		PORTS JOURNAL "  integrity: off\n  retention:\n    hours: 24\n    max_mb: 4096\n");
	assert_ok(dp_config_load(path, &c, NULL));
	assert_false(dp_config_integrity(c));
	assert_int_equal(c->journal.retention.hours, 24);
	assert_int_equal(c->journal.retention.max_mb, 4096);
	dp_config_free(c);
	refused(PORTS JOURNAL "  integrity: maybe\n", "line: 7", "integrity", NULL);
	refused(PORTS JOURNAL "  retention:\n    hours: 1000000\n", "line: 8", "hours", "87840");
}

static void
a_missing_section_is_refused(void **state)
{
	(void)state;
	refused(PORTS, NULL, "journal", NULL);
	refused(JOURNAL, NULL, "ports", NULL);
}

static void
ports_want_their_own_keys_and_no_others(void **state)
{
	(void)state;
	refused("ports:\n  - name: w\n    type: af_xdp\n    ipv4: 10.0.0.1/8\n" JOURNAL, "line: 3",
		"interface", NULL);
	refused("ports:\n  - name: w\n    type: pcap\n    ipv4: 10.0.0.1/8\n" JOURNAL, "line: 3",
		"rx_file", NULL);
	refused("ports:\n  - name: w\n    type: ring\n    ipv4: 10.0.0.1/8\n    loop: "
		"true\n" JOURNAL,
		"line: 5", "pcap", NULL);
	refused("ports:\n  - name: w\n    type: ring\n" JOURNAL, "line: 2", "ipv4 or ipv6", NULL);
}

static void
listeners_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	refused(PORTS LISTENER "  - udp_port: 5514\n    stream: other\n    principal: "
			       "arn:aws:iam::000000000000:role/syslog\n" JOURNAL,
		"line: 9", "5514", "two listeners");
	refused(PORTS LISTENER "    port: nowhere\n" JOURNAL, "line: 9", "nowhere", NULL);
	refused(PORTS "listeners:\n  - udp_port: 0\n    stream: s\n    principal: arn:x\n" JOURNAL,
		"line: 6", "1 to 65535", NULL);
	refused(PORTS "listeners:\n  - udp_port: 1\n    stream: s\n    principal: root\n" JOURNAL,
		"line: 8", "principal", "role");
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
	struct dp_config *config = NULL;
	struct slk_error err = {0};

	(void)state;
	write_config(PORTS JOURNAL);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_not_equal(dp_config_load(path, &config, &err), SLK_OK);
	assert_null(config);
}

static int
make(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	return 0;
}

static int
clean(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static struct dp_config *
loaded(const char *text)
{
	struct dp_config *c = NULL;
	struct slk_error err = {0};

	write_config(text);
	if (dp_config_load(path, &c, &err) != SLK_OK)
		fail_msg("%s", err.text);
	return c;
}

static void
only_listeners_may_differ_at_a_reload(void **state)
{
	(void)state;
	static const struct {
		const char *text, *named; /* NULL: may be reloaded */
	} rows[] = {
		{PORTS LISTENER JOURNAL, NULL},
		{PORTS JOURNAL, NULL},
		{PORTS LISTENER "    framing: lines\n" JOURNAL, NULL},
		{PORTS "    mtu: 1400\n" LISTENER JOURNAL, "ports"},
		{PORTS "  - name: two\n    type: ring\n    ipv4: 10.77.0.3\n" LISTENER JOURNAL,
			"ports"},
		{PORTS LISTENER JOURNAL "  file_mb: 128\n", "journal"},
		{PORTS LISTENER JOURNAL "eal:\n  idle: busy\n", "eal"},
		{PORTS LISTENER JOURNAL "eal:\n  extra: [\"--legacy-mem\"]\n", "eal"},
		{PORTS LISTENER JOURNAL "put:\n  mode: \"0600\"\n", "put"},
		{PORTS LISTENER JOURNAL "status:\n  socket: /tmp/s\n", "status"},
		{PORTS LISTENER JOURNAL "keys:\n  grace_seconds: 1\n", "keys"},
		{PORTS LISTENER JOURNAL "run_as: nobody\n", "run_as"},
	};
	struct dp_config *running = loaded(PORTS LISTENER JOURNAL);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dp_config *next = loaded(rows[i].text);
		struct slk_error err = {0};
		int rc = dp_config_reloadable(running, next, &err);
		assert_int_equal(rc, rows[i].named == NULL ? SLK_OK : SLK_CONFIG);
		if (rows[i].named != NULL && strstr(err.text, rows[i].named) == NULL)
			fail_msg("%s is not named: %s", rows[i].named, err.text);
		dp_config_free(next);
	}
	dp_config_free(running);
}

static void
a_listener_is_the_same_if_all_its_keys_are(void **state)
{
	(void)state;
	static const char *const others[] = {LISTENER "    framing: lines\n",
		LISTENER "    port: wire\n", LISTENER "    max_record_bytes: 9\n",
		LISTENER "    partition: {rule: source}\n",
		LISTENER "    partition: {rule: fixed, shard: 1}\n",
		LISTENER "    partition: {rule: field, field: 2}\n"};
	char text[1000];
	struct dp_config *running = loaded(PORTS LISTENER JOURNAL);

	assert_true(dp_config_same_listener(&running->listeners[0], &running->listeners[0]));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(text, sizeof(text), "%s%s%s", PORTS, others[i], JOURNAL);
		struct dp_config *next = loaded(text);
		assert_false(dp_config_same_listener(&running->listeners[0], &next->listeners[0]));
		dp_config_free(next);
	}
	dp_config_free(running);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_configuration_gets_defaults),
		cmocka_unit_test(an_unknown_key_is_refused_with_its_line),
		cmocka_unit_test(a_wrong_type_is_refused_with_its_line),
		cmocka_unit_test(a_value_out_of_range_is_refused_with_its_line_and_limits),
		cmocka_unit_test(a_port_may_have_several_workers),
		cmocka_unit_test(a_nic_is_named_by_its_address),
		cmocka_unit_test(hashes_and_retention_are_set_per_journal),
		cmocka_unit_test(a_missing_section_is_refused),
		cmocka_unit_test(ports_want_their_own_keys_and_no_others),
		cmocka_unit_test(listeners_that_contradict_each_other_are_refused),
		cmocka_unit_test(a_file_that_others_may_write_is_refused),
		cmocka_unit_test(only_listeners_may_differ_at_a_reload),
		cmocka_unit_test(a_listener_is_the_same_if_all_its_keys_are),
	};

	return cmocka_run_group_tests_name("dp_config", tests, make, clean);
}
