#include "dpnet_test.h"

#include <arpa/inet.h>

static struct dp_host_config
good_config(void)
{
	return (struct dp_host_config){
		.mac = FRAME_OUR_MAC, .mtu_bytes = 1500, .ip4 = "10.77.0.2/24"};
}

static void
expect_refused(const struct dp_host_config *config, const char *word)
{
	static struct dp_host host;
	struct slk_error err = {0};

	assert_int_equal(dp_host_init(&host, config, &err), SLK_CONFIG);
	assert_int_equal(err.status, SLK_CONFIG);
	assert_non_null(strstr(err.text, word));
}

static void
addresses_are_kept_as_on_the_wire(void **state)
{
	(void)state;
	static struct dp_host host;
	struct dp_host_config config = good_config();
	uint8_t want[16];

	config.ip6 = "fd00:77::2/64";
	config.vlan = 4094;
	assert_ok(dp_host_init(&host, &config, NULL));
	assert_true(host.has_ip4 && host.has_ip6);
	assert_int_equal(host.vlan, 4094);
	assert_memory_equal(host.ip4, "\x0a\x4d\x00\x02", 4);
	assert_memory_equal(host.ip4_broadcast, "\x0a\x4d\x00\xff", 4);
	assert_int_equal(inet_pton(AF_INET6, "fd00:77::2", want), 1);
	assert_memory_equal(host.ip6, want, 16);
	assert_int_equal(inet_pton(AF_INET6, FRAME_OUR_LINK_LOCAL, want), 1);
	assert_memory_equal(host.ip6_link_local, want, 16);
	for (unsigned port = 0; port < 65536; port++)
		assert_int_equal(host.listener_plus_one[port], 0);
}

static void
auto_means_the_link_local_address_alone(void **state)
{
	(void)state;
	static struct dp_host host;
	struct dp_host_config config = good_config();

	config.ip4 = NULL;
	config.ip6 = "auto";
	assert_ok(dp_host_init(&host, &config, NULL));
	assert_false(host.has_ip4);
	assert_true(host.has_ip6);
	assert_memory_equal(host.ip6, host.ip6_link_local, 16);
}

static void
each_prefix_has_its_broadcast_address(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint8_t broadcast[4];
	} cases[] = {
		{"10.1.2.3/8", {10, 255, 255, 255}},
		{"10.1.2.3/30",
			{255, 255, 255, 255}}, /* refused below: it is the broadcast address */
		{"10.1.2.2/30", {10, 1, 2, 3}},
		{"10.1.2.2/31", {255, 255, 255, 255}},
		{"10.1.2.3/32", {255, 255, 255, 255}},
		{"10.1.2.3/0", {255, 255, 255, 255}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct dp_host host;
		struct dp_host_config config = good_config();
		config.ip4 = cases[i].text;
		if (i == 1) {
			expect_refused(&config, "10.1.2.3/30");
			continue;
		}
		assert_ok(dp_host_init(&host, &config, NULL));
		assert_memory_equal(host.ip4_broadcast, cases[i].broadcast, 4);
	}
}

static void
texts_that_are_no_host_address_are_refused(void **state)
{
	(void)state;
	static const char *const ip4[] = {"", "10.77.0.2", "10.77.0.2/", "10.77.0.2/33",
		"10.77.0.2/-1", "10.77.0.2/24x", "10.77.0/24", "fd00::1/64", "0.0.0.0/0",
		"127.0.0.1/8", "224.0.0.1/4", "10.77.0.0/24", "10.77.0.255/24",
		"255.255.255.255/32", "10.77.0.2/ 24", "1000000000.77.0.2222222222222222/24",
		"10.77.0.2/99999999999999999999"};
	static const char *const ip6[] = {"", "fd00::1", "fd00::1/129", "fd00::1/+4",
		"10.77.0.2/24", "::/0", "::1/128", "ff02::1/16", "::ffff:10.0.0.1/96", "automatic"};

	for (size_t i = 0; i < sizeof(ip4) / sizeof(ip4[0]); i++) {
		struct dp_host_config config = good_config();
		config.ip4 = ip4[i];
		expect_refused(&config, ip4[i]);
	}
	for (size_t i = 0; i < sizeof(ip6) / sizeof(ip6[0]); i++) {
		struct dp_host_config config = good_config();
		config.ip6 = ip6[i];
		expect_refused(&config, ip6[i]);
	}
}

static void
links_that_cannot_be_are_refused(void **state)
{
	(void)state;
	struct dp_host_config config = good_config();

	memset(config.mac, 0, 6);
	expect_refused(&config, "MAC");
	config = good_config();
	config.mac[0] = 1;
	expect_refused(&config, "MAC");
	config = good_config();
	config.vlan = 4095;
	expect_refused(&config, "4095");
	config = good_config();
	config.mtu_bytes = 575;
	expect_refused(&config, "575");
	config.mtu_bytes = 65518;
	expect_refused(&config, "65518");
	config = good_config();
	config.mtu_bytes = 1279;
	config.ip6 = "auto";
	expect_refused(&config, "1279");
	config = good_config();
	config.ip4 = NULL;
	expect_refused(&config, "address");
}

static void
a_port_has_one_listener(void **state)
{
	(void)state;
	static struct dp_host host;
	struct dp_host_config config = good_config();

	assert_ok(dp_host_init(&host, &config, NULL));
	assert_ok(dp_host_listen(&host, 1, 0));
	assert_ok(dp_host_listen(&host, 65535, 254));
	assert_int_equal(dp_host_listen(&host, 1, 1), SLK_EXISTS);
	dp_host_close(&host, 2); /* closed already */
	dp_host_close(&host, 1);
	assert_int_equal(host.listener_plus_one[1], 0);
	assert_int_equal(host.listener_plus_one[65535], 255);
	assert_ok(dp_host_listen(&host, 1, 1));
	assert_int_equal(dp_host_listen(&host, 0, 1), SLK_RANGE);
	assert_int_equal(dp_host_listen(&host, 2, 255), SLK_RANGE);
	assert_int_equal(host.listener_plus_one[1], 2);
	assert_int_equal(host.listener_plus_one[2], 0);
	assert_int_equal(host.listener_plus_one[65535], 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_kept_as_on_the_wire),
		cmocka_unit_test(auto_means_the_link_local_address_alone),
		cmocka_unit_test(each_prefix_has_its_broadcast_address),
		cmocka_unit_test(texts_that_are_no_host_address_are_refused),
		cmocka_unit_test(links_that_cannot_be_are_refused),
		cmocka_unit_test(a_port_has_one_listener),
	};

	return cmocka_run_group_tests_name("dpnet_host", tests, NULL, NULL);
}
