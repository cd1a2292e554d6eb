#include "dpnet_test.h"

#include "net/checksum.h"

static uint16_t
checksum(const uint8_t *bytes, size_t len)
{
	uint8_t field[2];
	dp_checksum_store(field, dp_checksum_add(0, bytes, len));
	return slk_get_be16(field);
}

/* RFC 1071, 3: 0001 f203 f4f5 f6f7 sums to ddf2. */
static void
the_example_of_the_rfc_comes_out(void **state)
{
	(void)state;
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(checksum(example, sizeof(example)), (uint16_t)~0xddf2);
}

static void
every_length_and_alignment_agrees_with_the_byte_sum(void **state)
{
	(void)state;
	static uint8_t bytes[3000];
	uint64_t seed = 1;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)test_random(&seed);
	for (size_t len = 0; len < 2000; len++)
		assert_int_equal(
			checksum(bytes + len % 9, len), frame_checksum(bytes + len % 9, len));
}

static void
all_ones_of_any_length_lose_no_carry(void **state)
{
	(void)state;
	static uint8_t bytes[70000];

	memset(bytes, 0xff, sizeof(bytes));
	for (size_t len = 0; len < sizeof(bytes); len += 997)
		assert_int_equal(checksum(bytes, len), frame_checksum(bytes, len));
	assert_int_equal(dp_checksum_fold(UINT64_MAX), 0xffff);
}

static void
sums_of_pieces_add_up(void **state)
{
	(void)state;
	static uint8_t bytes[301];
	uint64_t seed = 2;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)test_random(&seed);
	for (size_t cut = 0; cut <= 300; cut += 2) {
		uint64_t sum = dp_checksum_add(0, bytes, cut);
		sum = dp_checksum_add(sum, bytes + cut, sizeof(bytes) - cut);
		assert_int_equal(dp_checksum_fold(sum),
			dp_checksum_fold(dp_checksum_add(0, bytes, sizeof(bytes))));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_rfc_comes_out),
		cmocka_unit_test(every_length_and_alignment_agrees_with_the_byte_sum),
		cmocka_unit_test(all_ones_of_any_length_lose_no_carry),
		cmocka_unit_test(sums_of_pieces_add_up),
	};

	return cmocka_run_group_tests_name("dpnet_checksum", tests, NULL, NULL);
}
