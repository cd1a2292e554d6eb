/* The probe's trials of AES-GCM: layouts, IVs, tags, limits. */
#include <string.h>

#include "hsm/gcm.h"
#include "hsm/probe_inner.h"
#include "hsm/rv.h"

#define DATA_BYTES 32u
#define ROOM (65536u + 64u)

static const char aad[] = "sealock probe";

/* One encryption: as which profile, and what came of its IV. */
struct shot {
	struct hsm_profile as; /* iv, layout and mechanism alone */
	uint32_t tag_bits;
	uint8_t given[HSM_IV_BYTES], iv[HSM_IV_BYTES]; /* before the call, and after */
};

static struct shot
shot_of(enum hsm_gcm_layout layout, enum hsm_iv_from iv)
{
	return (struct shot){
		.as = {.iv = iv,
			.layout = layout,
			.mechanism = iv == HSM_IV_PREFIX ? PROBE_GCM_CLOUDHSM : CKM_AES_GCM},
		.tag_bits = HSM_TAG_BYTES * 8};
}

static bool
passes_iv(const struct shot *shot)
{
	return shot->as.iv == HSM_IV_OURS || shot->as.iv == HSM_IV_BUFFER;
}

static void
set_tag_bits(const struct shot *shot, struct hsm_gcm_params *params)
{
	if (shot->as.layout == HSM_GCM_WITHOUT_BITS)
		params->u.without_bits.tag_bits = shot->tag_bits;
	else
		params->u.with_bits.tag_bits = shot->tag_bits;
}

/* Some modules leave the operation open when its second half failed (PKCS#11 2.40 lets them for a buffer that is too
 * small), and then refuse the next one: a call for nothing ends it. */
static void
end_operation(struct probe *p, bool encrypting)
{
	uint8_t in[DATA_BYTES] = {0};
	static uint8_t out[ROOM];
	CK_ULONG len = sizeof(out);

	(void)(encrypting ? PROBE_SESSION_CALL(p, C_Encrypt, in, sizeof(in), out, &len)
			  : PROBE_SESSION_CALL(p, C_Decrypt, in, sizeof(in), out, &len));
}

static CK_RV
encrypt(struct probe *p, struct shot *shot, const uint8_t *data, size_t len, uint8_t *out,
	CK_ULONG *out_len)
{
	struct hsm_gcm_params params;

	memcpy(shot->iv, shot->given, sizeof(shot->iv));
	CK_RV rv = hsm_gcm_params_init(
		&shot->as, slk_span_str(aad), passes_iv(shot) ? shot->iv : NULL, &params);
	if (rv != CKR_OK)
		return rv;
	set_tag_bits(shot, &params);
	rv = PROBE_SESSION_CALL(p, C_EncryptInit, &params.mechanism, p->key);
	if (rv != CKR_OK)
		return rv;
	rv = PROBE_SESSION_CALL(p, C_Encrypt, (unsigned char *)(uintptr_t)data, len, out, out_len);
	if (rv != CKR_OK)
		end_operation(p, true);
	return rv;
}

/* in: what encrypt() gave of DATA_BYTES, len: of it. HSM_RV_SHAPE: its IV is not one of 12 bytes. */
static CK_RV
decrypt(struct probe *p, const struct shot *shot, uint8_t *in, size_t len, uint8_t *out,
	CK_ULONG *out_len)
{
	const size_t sealed = DATA_BYTES + HSM_TAG_BYTES;
	uint8_t iv[HSM_IV_BYTES];
	struct hsm_gcm_params params;

	if (len != sealed + (passes_iv(shot) ? 0 : HSM_IV_BYTES))
		return HSM_RV_SHAPE;
	memcpy(iv, shot->as.iv == HSM_IV_SUFFIX ? in + sealed : shot->iv, sizeof(iv));
	CK_RV rv = hsm_gcm_params_init(
		&shot->as, slk_span_str(aad), shot->as.iv == HSM_IV_PREFIX ? NULL : iv, &params);
	if (rv == CKR_OK)
		rv = PROBE_SESSION_CALL(p, C_DecryptInit, &params.mechanism, p->key);
	if (rv != CKR_OK)
		return rv;
	rv = PROBE_SESSION_CALL(
		p, C_Decrypt, in, shot->as.iv == HSM_IV_PREFIX ? len : sealed, out, out_len);
	if (rv != CKR_OK)
		end_operation(p, false);
	return rv;
}

/* An IV of ours, or zeros for the HSM to overwrite. False: there is no generator to draw from. */
static bool
draw(struct probe *p, struct shot *shot)
{
	memset(shot->given, 0, sizeof(shot->given));
	return shot->as.iv != HSM_IV_OURS ||
		PROBE_SESSION_CALL(p, C_GenerateRandom, shot->given, sizeof(shot->given)) == CKR_OK;
}

/* Where the IV of a result is; NULL: there is none. */
static const uint8_t *
iv_in(const struct shot *shot, const uint8_t *bytes, CK_ULONG len)
{
	if (passes_iv(shot))
		return shot->iv;
	if (len < DATA_BYTES + HSM_TAG_BYTES + HSM_IV_BYTES)
		return NULL;
	return shot->as.iv == HSM_IV_PREFIX ? bytes : bytes + DATA_BYTES + HSM_TAG_BYTES;
}

static void
judge(const struct shot *a, const uint8_t *first, const struct shot *b, const uint8_t *second,
	CK_ULONG len, struct hsm_probe_gcm *out)
{
	static const uint8_t zero[HSM_IV_BYTES];
	const uint8_t *iv_a = iv_in(a, first, len), *iv_b = iv_in(b, second, len);

	out->iv_kept = a->as.iv == HSM_IV_OURS && memcmp(b->iv, b->given, sizeof(b->iv)) == 0;
	out->zero_iv_used = a->as.iv == HSM_IV_BUFFER && memcmp(b->iv, zero, sizeof(zero)) == 0;
	out->same_iv = iv_a != NULL && memcmp(iv_a, iv_b, HSM_IV_BYTES) == 0;
	out->same_ciphertext = memcmp(first, second, DATA_BYTES) == 0;
	out->iv_bytes = passes_iv(a) ? HSM_IV_BYTES
		: iv_a != NULL       ? (uint32_t)(len - DATA_BYTES - HSM_TAG_BYTES)
				     : 0;
}

static void
try_form(struct probe *p, enum hsm_gcm_layout layout, enum hsm_iv_from iv)
{
	struct hsm_probe_gcm *out = &p->report->gcm[layout][iv];
	struct shot a = shot_of(layout, iv), b = a;
	uint8_t data[DATA_BYTES], first[128] = {0}, second[128] = {0}, back[128];
	CK_ULONG first_len = sizeof(first), second_len = sizeof(second), back_len = sizeof(back);

	memset(data, 0x5a, sizeof(data));
	if (!draw(p, &a) || !draw(p, &b))
		return;
	out->rv = encrypt(p, &a, data, sizeof(data), first, &first_len);
	if (out->rv == CKR_OK)
		out->rv = encrypt(p, &b, data, sizeof(data), second, &second_len);
	if (out->rv != CKR_OK)
		return;
	judge(&a, first, &b, second, second_len, out);
	out->rv = decrypt(p, &b, second, second_len, back, &back_len);
	out->round_trip = out->rv == CKR_OK && back_len == sizeof(data) &&
		memcmp(back, data, sizeof(data)) == 0;
}

static bool
form_works(const struct hsm_probe_gcm *g, enum hsm_iv_from iv)
{
	if (g->rv != CKR_OK || !g->round_trip)
		return false;
	return iv == HSM_IV_OURS ? g->iv_kept : iv != HSM_IV_BUFFER || !g->zero_iv_used;
}

/* Find the first form that works, in the order of preference. NULL for an IV is tried only where no other one is taken, for
 * some modules crash on it. */
static void
find_form(struct probe *p)
{
	struct hsm_probe_report *r = p->report;

	for (unsigned i = 0; i < HSM_PROBE_LAYOUTS * HSM_PROBE_FORMS; i++) {
		enum hsm_gcm_layout layout = (enum hsm_gcm_layout)(i / HSM_PROBE_FORMS);
		enum hsm_iv_from iv = (enum hsm_iv_from)(i % HSM_PROBE_FORMS);
		if ((iv == HSM_IV_SUFFIX && r->works) ||
			!hsm_probe_lists(r, shot_of(layout, iv).as.mechanism, 0))
			continue;
		try_form(p, layout, iv);
		if (r->works || !form_works(&r->gcm[layout][iv], iv))
			continue;
		r->works = true;
		r->layout = layout;
		r->iv = iv;
	}
}

uint32_t
hsm_probe_tag_bits(unsigned index)
{
	static const uint32_t bits[HSM_PROBE_TAGS] = {128, 120, 112, 104, 96, 64, 32, 8, 0};

	return bits[index];
}

static void
try_tags(struct probe *p, struct shot shot)
{
	uint8_t data[DATA_BYTES] = {1}, out[128];

	for (unsigned i = 0; i < HSM_PROBE_TAGS && draw(p, &shot); i++) {
		CK_ULONG len = sizeof(out);
		shot.tag_bits = hsm_probe_tag_bits(i);
		p->report->tag_rv[i] = encrypt(p, &shot, data, sizeof(data), out, &len);
	}
}

/* What a bad tag is answered with: by some with the code of a broken HSM. */
static void
try_bad_tag(struct probe *p, struct shot shot)
{
	uint8_t data[DATA_BYTES] = {1}, bytes[128], out[128];
	CK_ULONG len = sizeof(bytes), out_len = sizeof(out);

	if (!draw(p, &shot) || encrypt(p, &shot, data, sizeof(data), bytes, &len) != CKR_OK)
		return;
	size_t last = DATA_BYTES + HSM_TAG_BYTES - 1;
	bytes[last + (shot.as.iv == HSM_IV_PREFIX ? HSM_IV_BYTES : 0)] ^= 1;
	p->report->bad_tag_rv = decrypt(p, &shot, bytes, len, out, &out_len);
}

static void
try_sizes(struct probe *p, struct shot shot)
{
	static const uint32_t sizes[] = {
		256, 1024, 4096, 8192, 16208, 16224, 16384, 32768, 65520, 65536};
	static uint8_t in[ROOM], out[ROOM];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && draw(p, &shot); i++) {
		CK_ULONG len = sizeof(out);
		p->report->data_rv = encrypt(p, &shot, in, sizes[i], out, &len);
		if (p->report->data_rv != CKR_OK)
			return;
		p->report->data_max_bytes = sizes[i];
	}
}

void
probe_gcm(struct probe *p)
{
	probe_step(p, "who makes the IV of AES-GCM");
	find_form(p);
	if (!p->report->works)
		return;
	struct shot shot = shot_of(p->report->layout, p->report->iv);
	probe_step(p, "a changed tag");
	try_bad_tag(p, shot);
	probe_step(p, "lengths of the tag");
	try_tags(p, shot);
	probe_step(p, "how long a text may be");
	try_sizes(p, shot);
}
