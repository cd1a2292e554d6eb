/* NICs that DPDK drives itself: PCI devices that were bound to vfio-pci, or whose kernel driver lets DPDK in beside it (Mellanox).
 *
 * What sysfs says of the device is looked at before DPDK starts, since DPDK passes over a device that it cannot have without a
 * sentence. Thread: main, at start.
 */
#ifndef DP_PCI_H
#define DP_PCI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/status.h"

#define DP_PCI_ADDRESS_BYTES 13u /* "0000:3b:00.0", terminated */

/* The address in "0000:3b:00.0" or "0000:3b:00.0,key=value,...", what follows being the driver's. False: it begins with none. */
MUST_USE bool dp_pci_address(const char *device, char out_address[DP_PCI_ADDRESS_BYTES]);

/* May DPDK drive the device? no_iommu: also one that no IOMMU confines, which could write to any memory. root: "" but for tests, in
 * front of /sys and /dev. SLK_NOT_FOUND, SLK_CONFIG (a driver that keeps it, or no IOMMU), SLK_DENIED: its group is not ours to
 * open. Each says what to run. port: for the sentence. */
MUST_USE int dp_pci_check(const char *root, const char *port, const char *device, bool no_iommu,
	struct slk_error *err);

#endif
