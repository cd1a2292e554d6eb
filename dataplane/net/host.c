/* Who we are: addresses from the configuration, checked once. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "net/packet.h"

#define MTU_MIN 576u
#define MTU_MIN_IP6 1280u
#define MTU_MAX 65517u /* with a tagged Ethernet header, offsets still fit 16 bits */

/* Split "ADDRESS/PREFIX". */
static int
split_prefix(const char *text, long max, char *address, size_t cap, unsigned *out_prefix)
{
	const char *slash = strchr(text, '/');
	char *end = NULL;

	if (slash == NULL || (size_t)(slash - text) >= cap || slash[1] < '0' || slash[1] > '9')
		return SLK_CONFIG;
	long prefix = strtol(slash + 1, &end, 10);
	if (*end != '\0' || prefix > max)
		return SLK_CONFIG;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	*out_prefix = (unsigned)prefix;
	return SLK_OK;
}

static bool
ip4_is_host(uint32_t ip, uint32_t mask)
{
	if (ip >> 24 == 0 || ip >> 24 == 127 || ip >> 28 >= 14)
		return false;
	/* the subnet's own number and its broadcast address; prefixes of 31 and 32 have neither */
	return ~mask <= 1 || ((ip & ~mask) != 0 && (ip & ~mask) != ~mask);
}

static int
set_ip4(struct dp_host *host, const char *text, struct slk_error *err)
{
	char address[INET_ADDRSTRLEN];
	unsigned prefix = 0;
	struct in_addr in;

	if (split_prefix(text, 32, address, sizeof(address), &prefix) != SLK_OK ||
		inet_pton(AF_INET, address, &in) != 1)
		return slk_fail(err, SLK_CONFIG,
			"\"%s\" is no IPv4 address with a prefix length, such as 10.77.0.2/24",
			text);
	uint32_t ip = ntohl(in.s_addr);
	uint32_t mask = prefix == 0 ? 0 : ~0u << (32 - prefix);
	if (!ip4_is_host(ip, mask))
		return slk_fail(err, SLK_CONFIG,
			"%s cannot be the address of a host; give a unicast address of the subnet",
			text);
	slk_put_be32(host->ip4, ip);
	slk_put_be32(host->ip4_broadcast, prefix >= 31 ? ~0u : ip | ~mask);
	host->has_ip4 = true;
	return SLK_OK;
}

static bool
ip6_is_host(const uint8_t ip6[16])
{
	static const uint8_t zeros[15];
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(ip6, zeros, 15) == 0 && ip6[15] <= 1) /* :: and ::1 */
		return false;
	return ip6[0] != 0xff && memcmp(ip6, mapped, 12) != 0;
}

/* RFC 4291, appendix A */
static void
set_link_local(struct dp_host *host)
{
	const uint8_t *mac = host->mac;
	const uint8_t id[8] = {mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};

	memset(host->ip6_link_local, 0, 16);
	host->ip6_link_local[0] = 0xfe;
	host->ip6_link_local[1] = 0x80;
	memcpy(host->ip6_link_local + 8, id, 8);
}

static int
set_ip6(struct dp_host *host, const char *text, struct slk_error *err)
{
	char address[INET6_ADDRSTRLEN];
	unsigned prefix = 0;

	set_link_local(host);
	if (strcmp(text, "auto") == 0) {
		memcpy(host->ip6, host->ip6_link_local, 16);
	} else {
		if (split_prefix(text, 128, address, sizeof(address), &prefix) != SLK_OK ||
			inet_pton(AF_INET6, address, host->ip6) != 1)
			return slk_fail(err, SLK_CONFIG,
				"\"%s\" is neither \"auto\" nor an IPv6 address with a prefix "
				"length, such as fd00:77::2/64",
				text);
		if (!ip6_is_host(host->ip6))
			return slk_fail(err, SLK_CONFIG,
				"%s cannot be the address of a host; give a unicast address", text);
	}
	host->has_ip6 = true;
	return SLK_OK;
}

static int
check_link(const struct dp_host_config *config, struct slk_error *err)
{
	static const uint8_t zeros[6];
	unsigned mtu_min = config->ip6 != NULL ? MTU_MIN_IP6 : MTU_MIN;

	if ((config->mac[0] & 1) != 0 || memcmp(config->mac, zeros, 6) == 0)
		return slk_fail(
			err, SLK_CONFIG, "the port's MAC address is zero or a group address");
	if (config->vlan > 4094)
		return slk_fail(err, SLK_CONFIG,
			"VLAN %u is out of range: give 1 to 4094, or 0 for none", config->vlan);
	if (config->mtu_bytes < mtu_min || config->mtu_bytes > MTU_MAX)
		return slk_fail(err, SLK_CONFIG, "an MTU of %u is out of range: give %u to %u",
			config->mtu_bytes, mtu_min, MTU_MAX);
	if (config->ip4 == NULL && config->ip6 == NULL)
		return slk_fail(err, SLK_CONFIG, "a port needs an IPv4 or an IPv6 address");
	return SLK_OK;
}

int
dp_host_init(struct dp_host *host, const struct dp_host_config *config, struct slk_error *err)
{
	int status = check_link(config, err);

	if (status != SLK_OK)
		return status;
	memset(host, 0, sizeof(*host));
	memcpy(host->mac, config->mac, 6);
	host->vlan = config->vlan;
	host->mtu_bytes = config->mtu_bytes;
	if (config->ip4 != NULL)
		status = set_ip4(host, config->ip4, err);
	if (status == SLK_OK && config->ip6 != NULL)
		status = set_ip6(host, config->ip6, err);
	return status;
}

int
dp_host_listen(struct dp_host *host, uint16_t port, unsigned listener)
{
	if (port == 0 || listener >= DP_LISTENER_MAX)
		return SLK_RANGE;
	if (host->listener_plus_one[port] != 0)
		return SLK_EXISTS;
	host->listener_plus_one[port] = (uint8_t)(listener + 1);
	return SLK_OK;
}

void
dp_host_close(struct dp_host *host, uint16_t port)
{
	host->listener_plus_one[port] = 0;
}
