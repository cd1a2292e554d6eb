#include "gcm_code.h"

#include <cpuid.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct seal_ipsecmb_calls calls[3];
static const char *code_name = "none";
static bool usable;

static const struct {
	enum seal_ipsecmb_path path;
	const char *name;
} codes[] = {
	{SEAL_IPSECMB_AVX512, "avx512"},
	{SEAL_IPSECMB_AVX2, "avx2"},
	{SEAL_IPSECMB_SSE, "sse"},
};

/* NIST's GCM submission (McGrew, Viega), test cases 4, 10 and 16: one plaintext and AAD, keys of three lengths. */
static const uint8_t kat_key[32] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a,
	0x8f, 0x94, 0x67, 0x30, 0x83, 0x08, 0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d,
	0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
static const uint8_t kat_iv[12] = {
	0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
static const uint8_t kat_aad[20] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
	0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
static const uint8_t kat_plain[60] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59,
	0x09, 0xc5, 0xaf, 0xf5, 0x26, 0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e,
	0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53,
	0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6,
	0x57, 0xba, 0x63, 0x7b, 0x39};
static const uint8_t kat_tags[3][16] = {
	{0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a,
		0x47},
	{0x25, 0x19, 0x49, 0x8e, 0x80, 0xf1, 0x47, 0x8f, 0x37, 0xba, 0x55, 0xbd, 0x6d, 0x27, 0x61,
		0x8c},
	{0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55,
		0x1b},
};

/* In pieces one way, in one call the other. */
static bool
known_answer(const struct seal_ipsecmb_calls *c, const uint8_t tag[16])
{
	struct gcm_key_data schedule __attribute__((aligned(64)));
	struct gcm_context_data work;
	uint8_t sealed[sizeof(kat_plain)], opened[sizeof(kat_plain)];
	uint8_t tags[2][16];

	c->expand(kat_key, &schedule);
	c->init(&schedule, &work, kat_iv, kat_aad, sizeof(kat_aad));
	c->update[0](&schedule, &work, sealed, kat_plain, 33);
	c->update[0](&schedule, &work, sealed + 33, kat_plain + 33, sizeof(kat_plain) - 33);
	c->finalize[0](&schedule, &work, tags[0], 16);
	c->whole[1](&schedule, &work, opened, sealed, sizeof(sealed), kat_iv, kat_aad,
		sizeof(kat_aad), tags[1], 16);
	return memcmp(tags[0], tag, 16) == 0 && memcmp(tags[1], tag, 16) == 0 &&
		memcmp(opened, kat_plain, sizeof(opened)) == 0;
}

static bool
known_answers(const struct seal_ipsecmb_calls all[3])
{
	return known_answer(&all[0], kat_tags[0]) && known_answer(&all[1], kat_tags[1]) &&
		known_answer(&all[2], kat_tags[2]);
}

static void
choose(void)
{
	const char *wanted = secure_getenv("SEALOCK_PROVIDER_CODE");

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]) && !usable; i++) {
		IMB_MGR *mgr;
		if (wanted != NULL && strcmp(wanted, codes[i].name) != 0)
			continue;
		if (seal_ipsecmb_new(codes[i].path, codes[i].name, &mgr, NULL) != SLK_OK)
			continue;
		seal_ipsecmb_calls(mgr, calls);
		seal_ipsecmb_free(mgr);
		usable = known_answers(calls);
		if (usable)
			code_name = codes[i].name;
	}
}

const struct seal_ipsecmb_calls *
prov_gcm_code(void)
{
	(void)pthread_once(&once, choose);
	return usable ? calls : NULL;
}

const char *
prov_gcm_code_name(void)
{
	(void)prov_gcm_code();
	return code_name;
}

bool
prov_gcm_code_test(void)
{
	return prov_gcm_code() != NULL && known_answers(calls);
}

bool
prov_cpu_has_wide_vaes(void)
{
	unsigned a, b, c, d;

	/* Both in ECX of leaf 7; the others tell that the system saves the wide registers, too. */
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
		__get_cpuid_count(7, 0, &a, &b, &c, &d) == 1 && (c & bit_VAES) != 0 &&
		(c & bit_VPCLMULQDQ) != 0;
}
