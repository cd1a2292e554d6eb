#include "vmgen.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "slk_test.h"

#define UEVENT(text) slk_span(text, sizeof(text) - 1)

static void
the_announcement_is_a_field_of_its_own(void **state)
{
	(void)state;
	assert_true(dp_vmgen_is_announcement(
		UEVENT("change@/devices/platform/VMGENCTR:00\0ACTION=change\0"
		       "DEVPATH=/devices/platform/VMGENCTR:00\0SUBSYSTEM=platform\0NEW_VMGENID=1\0"
		       "SEQNUM=4711\0")));
	assert_true(dp_vmgen_is_announcement(UEVENT("NEW_VMGENID=1\0")));
}

static void
nothing_else_is_one(void **state)
{
	(void)state;
	assert_false(dp_vmgen_is_announcement(UEVENT("")));
	assert_false(dp_vmgen_is_announcement(UEVENT("\0\0\0")));
	assert_false(dp_vmgen_is_announcement(UEVENT("NEW_VMGENID=1"))); /* cut off */
	assert_false(dp_vmgen_is_announcement(UEVENT("change@/x\0NEW_VMGENID=12\0")));
	assert_false(dp_vmgen_is_announcement(UEVENT("change@/x\0XNEW_VMGENID=1\0")));
	/* What somebody writes into a device's uevent file. */
	assert_false(dp_vmgen_is_announcement(UEVENT("change@/x\0SYNTH_ARG_NEW_VMGENID=1\0")));
}

/* Messages that do not come from the kernel are counted, and change nothing. */
static void
only_the_kernel_is_believed(void **state)
{
	static const char text[] = "change@/x\0NEW_VMGENID=1\0";
	struct sockaddr_nl mine = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(mine);
	struct dp_vmgen v = {0};

	(void)state;
	v.fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (v.fd < 0)
		skip();
	assert_int_equal(bind(v.fd, (struct sockaddr *)&mine, sizeof(mine)), 0);
	assert_int_equal(getsockname(v.fd, (struct sockaddr *)&mine, &len), 0);
	assert_int_equal(dp_vmgen_take(&v), 0);
	if (sendto(v.fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&mine, len) < 0)
		skip(); /* not allowed here: nothing foreign can come */
	assert_int_equal(dp_vmgen_take(&v), 0);
	assert_int_equal(atomic_load(&v.foreign), 1);
	assert_int_equal(dp_vmgen_number(&v), 0);
	close(v.fd);
}

static void
it_starts_and_stops(void **state)
{
	struct dp_vmgen v = {0}, never = {0};
	struct slk_error err = {0};

	(void)state;
	assert_ok(dp_vmgen_start(&v, &err));
	dp_vmgen_announce(&v);
	assert_int_equal(dp_vmgen_number(&v), 1);
	dp_vmgen_stop(&v);
	dp_vmgen_stop(&v);
	dp_vmgen_stop(&never);
	assert_int_equal(dp_vmgen_number(NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_announcement_is_a_field_of_its_own),
		cmocka_unit_test(nothing_else_is_one),
		cmocka_unit_test(only_the_kernel_is_believed),
		cmocka_unit_test(it_starts_and_stops),
	};

	return cmocka_run_group_tests_name("dp_vmgen", tests, NULL, NULL);
}
