#include "pci.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

struct device {
	const char *root, *port;
	char address[DP_PCI_ADDRESS_BYTES];
	char driver[64]; /* "": none */
	char group[32]; /* of the IOMMU; "": none */
};

bool
dp_pci_address(const char *device, char out_address[DP_PCI_ADDRESS_BYTES])
{
	static const char form[] = "xxxx:xx:xx.d";
	size_t len = strcspn(device, ",");

	if (len != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)device[i];
		bool fits = form[i] == 'x' ? isxdigit(c) != 0
			: form[i] == 'd'   ? c >= '0' && c <= '7'
					   : c == (unsigned char)form[i];
		if (!fits)
			return false;
		out_address[i] = (char)tolower(c);
	}
	out_address[len] = '\0';
	return true;
}

/* The last part of what a link of the device leads to; "" if there is no such link. */
static void
read_link(const struct device *d, const char *name, char *out, size_t cap)
{
	char path[PATH_MAX], target[PATH_MAX];

	out[0] = '\0';
	if (snprintf(path, sizeof(path), "%s" DEVICES "/%s/%s", d->root, d->address, name) >=
		(int)sizeof(path))
		return;
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = '\0';
	const char *slash = strrchr(target, '/');
	snprintf(out, cap, "%.*s", (int)cap - 1, slash != NULL ? slash + 1 : target);
}

static int
check_driver(const struct device *d, struct slk_error *err)
{
	static const char *const ours[] = {"vfio-pci", "mlx5_core", "mlx4_core"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(d->driver, ours[i]) == 0)
			return SLK_OK;
	}
	if (d->driver[0] == '\0')
		return slk_fail(err, SLK_CONFIG,
			"port %s: no driver has PCI device %s; run: modprobe vfio-pci && "
			"dpdk-devbind.py --bind vfio-pci %s",
			d->port, d->address, d->address);
	return slk_fail(err, SLK_CONFIG,
		"port %s: PCI device %s belongs to the kernel's driver %s; to take it away, with "
		"all addresses of its interface, run: modprobe vfio-pci && dpdk-devbind.py --bind "
		"vfio-pci %s",
		d->port, d->address, d->driver, d->address);
}

/* vfio's own: a group of the IOMMU, or the number of a device that has none. */
static int
check_group(const struct device *d, bool no_iommu, struct slk_error *err)
{
	char path[PATH_MAX];

	if (strcmp(d->driver, "vfio-pci") != 0)
		return SLK_OK; /* the kernel's driver confines it */
	if (d->group[0] == '\0' && !no_iommu)
		return slk_fail(err, SLK_CONFIG,
			"port %s: no IOMMU confines PCI device %s: it could write to any memory; "
			"switch the IOMMU on (firmware, and intel_iommu=on at the kernel's command "
			"line), or accept it with eal: {iommu: off}",
			d->port, d->address);
	if (d->group[0] == '\0')
		return SLK_OK;
	snprintf(path, sizeof(path), "%s/dev/vfio/%s", d->root, d->group);
	if (access(path, R_OK | W_OK) == 0)
		return SLK_OK;
	if (errno != ENOENT)
		return slk_fail(err, SLK_DENIED,
			"port %s: cannot open %s, the IOMMU group of PCI device %s; run: chown "
			"USER %s, or start as root with run_as",
			d->port, path, d->address, path);
	/* A group with a device that the kernel keeps is listed, and cannot be used. */
	snprintf(path, sizeof(path), "%s/dev/vfio/noiommu-%s", d->root, d->group);
	if (access(path, F_OK) != 0)
		return slk_fail(err, SLK_CONFIG,
			"port %s: the IOMMU group %s of PCI device %s is not vfio's; run: modprobe "
			"vfio-pci, and bind every device of the group",
			d->port, d->group, d->address);
	return no_iommu ? SLK_OK
			: slk_fail(err, SLK_CONFIG,
				  "port %s: vfio runs without an IOMMU, so PCI device %s could "
				  "write to any memory; accept it with eal: {iommu: off}",
				  d->port, d->address);
}

int
dp_pci_check(const char *root, const char *port, const char *device, bool no_iommu,
	struct slk_error *err)
{
	struct device d = {.root = root, .port = port};
	char path[PATH_MAX];

	if (!dp_pci_address(device, d.address))
		return slk_fail(err, SLK_CONFIG,
			"port %s: '%s' is no PCI address such as 0000:3b:00.0", port, device);
	if (snprintf(path, sizeof(path), "%s" DEVICES "/%s", root, d.address) >=
			(int)sizeof(path) ||
		access(path, F_OK) != 0)
		return slk_fail(err, SLK_NOT_FOUND,
			"port %s: there is no PCI device %s; `dpdk-devbind.py --status-dev net` "
			"lists what is there",
			port, d.address);
	read_link(&d, "driver", d.driver, sizeof(d.driver));
	read_link(&d, "iommu_group", d.group, sizeof(d.group));
	int rc = check_driver(&d, err);
	return rc == SLK_OK ? check_group(&d, no_iommu, err) : rc;
}
