/* Only the function pointers of the manager are used, and only names that the headers of 1.x and 2.x both have. */
#include "seal/ipsecmb.h"

#include <stddef.h>

static const struct {
	uint64_t cpu; /* what alloc_mb_mgr() must have found */
	const char *needs;
	uint64_t mgr_flags;
	void (*init)(IMB_MGR *mgr);
} paths[] = {
	[SEAL_IPSECMB_AVX512] = {IMB_CPUFLAGS_AVX512, "AVX-512 F, DQ, CD, BW and VL", 0,
		init_mb_mgr_avx512},
	[SEAL_IPSECMB_AVX2] = {IMB_CPUFLAGS_AVX2, "AVX2 and BMI2", 0, init_mb_mgr_avx2},
	[SEAL_IPSECMB_SSE] = {IMB_CPUFLAGS_SSE, "AES-NI, PCLMULQDQ and SSE4.2", 0, init_mb_mgr_sse},
	/* Without GFNI the library takes the code for the first AVX-512 CPUs. */
	[SEAL_IPSECMB_AVX512_NO_VAES] = {IMB_CPUFLAGS_AVX512, "AVX-512 F, DQ, CD, BW and VL",
		IMB_FLAG_GFNI_OFF, init_mb_mgr_avx512},
#if IMB_VERSION_NUM < 0x20000
	[SEAL_IPSECMB_AVX] = {IMB_CPUFLAGS_AVX, "AVX", 0, init_mb_mgr_avx},
#endif
};

int
seal_ipsecmb_new(
	enum seal_ipsecmb_path path, const char *name, IMB_MGR **out_mgr, struct slk_error *err)
{
	if ((size_t)path >= sizeof(paths) / sizeof(paths[0]))
		return slk_fail(
			err, SLK_UNSUPPORTED, "engine %s: this libipsec-mb has it no more", name);
	IMB_MGR *mgr = alloc_mb_mgr(paths[path].mgr_flags);
	if (mgr == NULL)
		return slk_fail(
			err, SLK_NO_MEMORY, "engine %s: libipsec-mb is out of memory", name);
	if ((mgr->features & paths[path].cpu) != paths[path].cpu) {
		free_mb_mgr(mgr);
		return slk_fail(err, SLK_UNSUPPORTED, "engine %s: this CPU lacks some of %s", name,
			paths[path].needs);
	}
	paths[path].init(mgr);
	int imb_error = imb_get_errno(mgr);
	if (imb_error != 0) {
		free_mb_mgr(mgr);
		return slk_fail(err,
			imb_error == IMB_ERR_SELFTEST ? SLK_SELF_TEST : SLK_UNSUPPORTED,
			"engine %s: libipsec-mb refuses to start: %s", name,
			imb_get_strerror(imb_error));
	}
	*out_mgr = mgr;
	return SLK_OK;
}

void
seal_ipsecmb_free(IMB_MGR *mgr)
{
	if (mgr != NULL)
		free_mb_mgr(mgr);
}

#define CALLS(mgr, bits) \
	(struct seal_ipsecmb_calls) \
	{ \
		.whole = {(mgr)->gcm##bits##_enc, (mgr)->gcm##bits##_dec}, \
		.init = (mgr)->gcm##bits##_init, .init_var_iv = (mgr)->gcm##bits##_init_var_iv, \
		.update = {(mgr)->gcm##bits##_enc_update, (mgr)->gcm##bits##_dec_update}, \
		.finalize = {(mgr)->gcm##bits##_enc_finalize, (mgr)->gcm##bits##_dec_finalize}, \
		.expand = (mgr)->gcm##bits##_pre, \
	}

void
seal_ipsecmb_calls(const IMB_MGR *mgr, struct seal_ipsecmb_calls out_calls[3])
{
	out_calls[0] = CALLS(mgr, 128);
	out_calls[1] = CALLS(mgr, 192);
	out_calls[2] = CALLS(mgr, 256);
}

bool
seal_ipsecmb_is_avx512(enum seal_ipsecmb_path path)
{
	return (size_t)path < sizeof(paths) / sizeof(paths[0]) &&
		(paths[path].cpu & IMB_FEATURE_AVX512F) != 0;
}
