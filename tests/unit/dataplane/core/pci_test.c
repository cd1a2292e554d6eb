/* What is said of a NIC before DPDK starts: a tree of our own stands in for /sys and /dev. */
#include "pci.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slk_test.h"
#include "tempdir.h"

#define NIC "0000:3b:00.0"

static char root[256];

static int
setup(void **state)
{
	static const char *const dirs[] = {"dev", "dev/vfio", "sys", "sys/bus", "sys/bus/pci",
		"sys/bus/pci/devices", "sys/bus/pci/devices/" NIC};
	char path[400];

	(void)state;
	tempdir_make(root, sizeof(root));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tempdir_remove(root);
	return 0;
}

static void
link_device(const char *name, const char *target)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" NIC "/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

static void
make_node(const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/dev/vfio/%s", root, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
}

static void
expect(const char *device, bool no_iommu, int wanted, const char *word)
{
	struct slk_error err = {0};
	int rc = dp_pci_check(root, "wire", device, no_iommu, &err);

	if (rc != wanted || (word != NULL && strstr(err.text, word) == NULL))
		fail_msg("%d: %s", rc, err.text);
	if (wanted != SLK_OK)
		assert_non_null(strstr(err.text, "port wire"));
}

static void
addresses_are_told_from_other_words(void **state)
{
	static const char *const wrong[] = {"", "3b:00.0", "0000:3b:00", "0000:3b:00.8",
		"0000:3b:00.0 ", "0000:3g:00.0", "00000:3b:00.0", "0000.3b.00.0", "eth0",
		",0000:3b:00.0"};
	char address[DP_PCI_ADDRESS_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (dp_pci_address(wrong[i], address))
			fail_msg("'%s' is taken for an address", wrong[i]);
	}
	assert_true(dp_pci_address("0000:3B:00.7", address));
	assert_string_equal(address, "0000:3b:00.7");
	assert_true(dp_pci_address(NIC ",rxq_cqe_comp_en=1,mprq_en=1", address));
	assert_string_equal(address, NIC);
}

static void
who_has_the_device_is_named_with_what_to_run(void **state)
{
	(void)state;
	expect("0000:3b:00.1", false, SLK_NOT_FOUND, "0000:3b:00.1");
	expect("eth0", false, SLK_CONFIG, "'eth0' is no PCI address");
	expect(NIC, false, SLK_CONFIG, "no driver has PCI device " NIC);
	link_device("driver", "../../../bus/pci/drivers/ixgbe");
	expect(NIC, false, SLK_CONFIG, "the kernel's driver ixgbe");
	expect(NIC ",x=1", false, SLK_CONFIG, "--bind vfio-pci " NIC);
}

static void
a_kernel_driver_that_lets_dpdk_in_needs_no_group(void **state)
{
	(void)state;
	link_device("driver", "../../../bus/pci/drivers/mlx5_core");
	expect(NIC, false, SLK_OK, NULL);
}

static void
a_device_that_an_iommu_confines_is_taken(void **state)
{
	(void)state;
	link_device("driver", "../../../bus/pci/drivers/vfio-pci");
	link_device("iommu_group", "../../../kernel/iommu_groups/42");
	expect(NIC, false, SLK_CONFIG, "group 42");
	make_node("42");
	expect(NIC, false, SLK_OK, NULL);
	expect(NIC ",x=1", true, SLK_OK, NULL);
}

static void
a_group_of_others_is_refused(void **state)
{
	const uid_t other = geteuid() == 0 ? 65534 : geteuid(); /* root may open everything */
	char path[400];
	int status = -1;

	(void)state;
	link_device("driver", "../../../bus/pci/drivers/vfio-pci");
	link_device("iommu_group", "../../../kernel/iommu_groups/42");
	make_node("42");
	snprintf(path, sizeof(path), "%s/dev/vfio/42", root);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(root, 0755), 0);
	pid_t child = fork();
	if (child == 0) {
		struct slk_error err = {0};
		int rc = setresuid(other, other, other) != 0
			? SLK_SYSTEM
			: dp_pci_check(root, "wire", NIC, false, &err);
		_exit(rc == SLK_DENIED && strstr(err.text, "chown") != NULL ? 0 : 1);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
without_an_iommu_it_must_be_accepted_by_name(void **state)
{
	(void)state;
	link_device("driver", "../../../bus/pci/drivers/vfio-pci");
	expect(NIC, false, SLK_CONFIG, "iommu: off");
	expect(NIC, true, SLK_OK, NULL);
	link_device("iommu_group", "../../../kernel/iommu_groups/7");
	make_node("noiommu-7");
	expect(NIC, false, SLK_CONFIG, "iommu: off");
	expect(NIC, true, SLK_OK, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_told_from_other_words),
		CASE(who_has_the_device_is_named_with_what_to_run),
		CASE(a_kernel_driver_that_lets_dpdk_in_needs_no_group),
		CASE(a_device_that_an_iommu_confines_is_taken),
		CASE(a_group_of_others_is_refused),
		CASE(without_an_iommu_it_must_be_accepted_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
