#include "hsm/wire.h"

#include <assert.h>
#include <string.h>

#define MAGIC_REQUEST 0x32514853u /* "SHQ2" */
#define MAGIC_REPLY 0x32524853u /* "SHR2" */
#define MAGIC_CONTROL 0x31434853u /* "SHC1" */
#define FLAG_EXISTED 1u
#define CIPHERTEXT_MAX (HSM_DATA_MAX + HSM_TAG_BYTES)
#define DIGEST_MIN 32u
#define DIGEST_MAX 64u

static_assert(HSM_REQUEST_HEAD_BYTES + 2 * HSM_AAD_MAX + CIPHERTEXT_MAX <= HSM_MESSAGE_MAX,
	"largest request");
static_assert(HSM_REPLY_HEAD_BYTES + HSM_ERROR_MAX + CIPHERTEXT_MAX + HSM_DATA_MAX +
			HSM_OUTPUT_MAX + HSM_HEALTH_BYTES <=
		HSM_MESSAGE_MAX,
	"largest reply");
static_assert(HSM_RANDOM_MAX <= HSM_DATA_MAX, "a data key is wrapped as data");

/* One row per operation: what it takes. The lengths are inclusive bounds; kind: spec and usage are of the key. */
struct shape {
	bool known, kind, algorithm, key, kcv, iv, to;
	uint32_t aad_min, aad_max, data_min, data_max, extra_min, extra_max, length_min, length_max;
};

#define AAD .aad_min = 1, .aad_max = HSM_AAD_MAX
#define DATA(min, max) .data_min = (min), .data_max = (max)
#define SEALED DATA(HSM_TAG_BYTES + 1, CIPHERTEXT_MAX)

static const struct shape shapes[] = {
	[HSM_CREATE_KEY] = {.known = true, .kind = true, .key = true},
	[HSM_OPEN_KEY] = {.known = true, .kind = true, .key = true, .kcv = true},
	[HSM_INSPECT_KEY] = {.known = true, .kind = true, .key = true, .kcv = true},
	[HSM_INSPECT_TOKEN] = {.known = true, .length_max = 1},
	[HSM_WRAP] = {.known = true, .key = true, .kcv = true, AAD, DATA(1, HSM_DATA_MAX)},
	[HSM_UNWRAP] = {.known = true, .key = true, .kcv = true, .iv = true, AAD, SEALED},
	[HSM_GENERATE_DATA_KEY] = {.known = true,
		.key = true,
		.kcv = true,
		AAD,
		.length_min = 1,
		.length_max = HSM_RANDOM_MAX},
	[HSM_RANDOM] = {.known = true, .length_min = 1, .length_max = HSM_RANDOM_MAX},
	[HSM_STATUS] = {.known = true},
	[HSM_DESTROY_KEY] = {.known = true, .kind = true, .key = true, .kcv = true},
	[HSM_LIST_KEYS] = {.known = true, .length_min = 1, .length_max = HSM_LIST_MAX},
	[HSM_REWRAP] = {.known = true,
		.key = true,
		.kcv = true,
		.iv = true,
		.to = true,
		AAD,
		SEALED,
		.extra_min = 1,
		.extra_max = HSM_AAD_MAX},
	[HSM_SIGN] = {.known = true,
		.kind = true,
		.algorithm = true,
		.key = true,
		.kcv = true,
		DATA(DIGEST_MIN, DIGEST_MAX)},
	[HSM_VERIFY] = {.known = true,
		.kind = true,
		.algorithm = true,
		.key = true,
		.kcv = true,
		DATA(DIGEST_MIN, DIGEST_MAX),
		.extra_min = 1,
		.extra_max = HSM_AAD_MAX},
	[HSM_ENCRYPT] = {.known = true,
		.kind = true,
		.algorithm = true,
		.key = true,
		.kcv = true,
		DATA(1, HSM_DATA_MAX)},
	[HSM_DECRYPT] = {.known = true,
		.kind = true,
		.algorithm = true,
		.key = true,
		.kcv = true,
		DATA(1, CIPHERTEXT_MAX)},
};

static const struct shape *
shape_of(unsigned op)
{
	return op < sizeof(shapes) / sizeof(shapes[0]) && shapes[op].known ? &shapes[op] : NULL;
}

static bool
all_zero(const uint8_t *bytes, size_t len)
{
	uint8_t seen = 0;

	for (size_t i = 0; i < len; i++)
		seen |= bytes[i];
	return seen == 0;
}

static bool
within(size_t len, uint32_t min, uint32_t max)
{
	return len >= min && len <= max;
}

/* Spec, usage and algorithm fit each other and the operation. */
static bool
kind_fits(const struct shape *s, const struct hsm_request *q)
{
	if (!s->kind)
		return q->spec == 0 && q->usage == 0 && q->algorithm == 0;
	if ((unsigned)q->spec >= KMS_SPEC_COUNT || (unsigned)q->usage >= KMS_USAGE_COUNT ||
		!kms_spec_allows(q->spec, q->usage))
		return false;
	if (!s->algorithm)
		return q->algorithm == 0;
	bool encrypts = q->op == HSM_ENCRYPT || q->op == HSM_DECRYPT;
	return !kms_spec_is_symmetric(q->spec) && (unsigned)q->algorithm < KMS_ALG_COUNT &&
		(kms_spec_algorithms(q->spec, q->usage) & KMS_BIT(q->algorithm)) != 0 &&
		encrypts == (q->usage == KMS_USAGE_ENCRYPT_DECRYPT) &&
		(encrypts || q->data.len == kms_algorithm_digest_bytes(q->algorithm));
}

int
hsm_request_check(const struct hsm_request *request)
{
	const struct shape *s = shape_of((unsigned)request->op);

	if (s == NULL || !kind_fits(s, request) ||
		!within(request->aad.len, s->aad_min, s->aad_max) ||
		!within(request->data.len, s->data_min, s->data_max) ||
		!within(request->extra.len, s->extra_min, s->extra_max) ||
		!within(request->length, s->length_min, s->length_max) ||
		!within(request->worker_index, 0,
			request->op == HSM_STATUS ? HSM_WORKERS_MAX - 1 : 0))
		return SLK_INVALID;
	/* A check value of zero is possible, if one in 2^24; a key id or an IV of zero is a
	 * caller's omission. */
	if (all_zero(request->key_id, HSM_KEY_ID_BYTES) == s->key && request->op != HSM_LIST_KEYS)
		return SLK_INVALID;
	if (!s->kcv && !all_zero(request->kcv, HSM_KCV_BYTES))
		return SLK_INVALID;
	if (all_zero(request->iv, HSM_IV_BYTES) == s->iv)
		return SLK_INVALID;
	if (all_zero(request->to_key_id, HSM_KEY_ID_BYTES) == s->to)
		return SLK_INVALID;
	if (!s->to && !all_zero(request->to_kcv, HSM_KCV_BYTES))
		return SLK_INVALID;
	return SLK_OK;
}

int
hsm_wire_encode_request(
	const struct hsm_wire_request *in, uint8_t *out, size_t cap, size_t *out_len)
{
	const struct hsm_request *q = &in->request;
	struct slk_writer w = slk_writer(out, cap);

	int rc = hsm_request_check(q);
	if (rc != SLK_OK || q->mono_deadline_ns == 0)
		return SLK_INVALID;
	slk_write_le32(&w, MAGIC_REQUEST);
	slk_write_u8(&w, (uint8_t)q->op);
	slk_write_u8(&w, (uint8_t)q->spec);
	slk_write_u8(&w, (uint8_t)q->usage);
	slk_write_u8(&w, (uint8_t)q->algorithm);
	slk_write_le64(&w, in->call_id);
	slk_write_le64(&w, q->mono_deadline_ns);
	slk_write_bytes(&w, q->key_id, sizeof(q->key_id));
	slk_write_bytes(&w, q->kcv, sizeof(q->kcv));
	slk_write_zeros(&w, 1);
	slk_write_bytes(&w, q->iv, sizeof(q->iv));
	slk_write_bytes(&w, q->to_key_id, sizeof(q->to_key_id));
	slk_write_bytes(&w, q->to_kcv, sizeof(q->to_kcv));
	slk_write_zeros(&w, 1);
	slk_write_le32(&w, q->length);
	slk_write_le32(&w, (uint32_t)q->aad.len);
	slk_write_le32(&w, (uint32_t)q->data.len);
	slk_write_le32(&w, (uint32_t)q->extra.len);
	slk_write_bytes(&w, q->aad.ptr, q->aad.len);
	slk_write_bytes(&w, q->data.ptr, q->data.len);
	slk_write_bytes(&w, q->extra.ptr, q->extra.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

/* Reserved bytes are zero in everything that we know; others come from a version that we do not
 * know. */
static void
read_zeros(struct slk_reader *r, size_t len)
{
	struct slk_span s = slk_read_span(r, len);

	if (s.ptr != NULL && !all_zero(s.ptr, s.len))
		r->status = SLK_MALFORMED;
}

static void
read_magic(struct slk_reader *r, uint32_t magic)
{
	if (slk_read_le32(r) != magic && r->status == SLK_OK)
		r->status = SLK_BAD_VERSION;
}

int
hsm_wire_decode_request(struct slk_span in, struct hsm_wire_request *out_request)
{
	struct slk_reader r = slk_reader(in);
	struct hsm_wire_request m = {0};
	struct hsm_request *q = &m.request;

	read_magic(&r, MAGIC_REQUEST);
	q->op = (enum hsm_op)slk_read_u8(&r);
	q->spec = (enum kms_spec)slk_read_u8(&r);
	q->usage = (enum kms_usage)slk_read_u8(&r);
	q->algorithm = (enum kms_algorithm)slk_read_u8(&r);
	m.call_id = slk_read_le64(&r);
	q->mono_deadline_ns = slk_read_le64(&r);
	slk_read_bytes(&r, q->key_id, sizeof(q->key_id));
	slk_read_bytes(&r, q->kcv, sizeof(q->kcv));
	read_zeros(&r, 1);
	slk_read_bytes(&r, q->iv, sizeof(q->iv));
	slk_read_bytes(&r, q->to_key_id, sizeof(q->to_key_id));
	slk_read_bytes(&r, q->to_kcv, sizeof(q->to_kcv));
	read_zeros(&r, 1);
	q->length = slk_read_le32(&r);
	uint32_t aad_len = slk_read_le32(&r);
	uint32_t data_len = slk_read_le32(&r);
	uint32_t extra_len = slk_read_le32(&r);
	q->aad = slk_read_span(&r, aad_len);
	q->data = slk_read_span(&r, data_len);
	q->extra = slk_read_span(&r, extra_len);
	int rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	rc = hsm_request_check(q);
	if (rc != SLK_OK || q->mono_deadline_ns == 0)
		return SLK_INVALID;
	*out_request = m;
	return SLK_OK;
}

static void
write_text(struct slk_writer *w, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	slk_write_bytes(w, text, len);
	slk_write_zeros(w, size - len);
}

static void
write_health(struct slk_writer *w, const struct hsm_health *h)
{
	slk_write_u8(w, (uint8_t)h->state);
	slk_write_u8(w, h->iv_from_hsm ? 1 : 0);
	slk_write_zeros(w, 2);
	slk_write_le32(w, h->worker_pid);
	slk_write_le32(w, h->sessions_count);
	slk_write_le32(w, h->keys_count);
	slk_write_le32(w, h->keys_refused_count);
	slk_write_le32(w, h->specs);
	slk_write_le64(w, h->calls_count);
	slk_write_le64(w, h->failures_count);
	slk_write_le64(w, h->logins_count);
	slk_write_le64(w, h->recoveries_count);
	slk_write_le64(w, h->last_rv);
	slk_write_le64(w, h->mono_since_ns);
	write_text(w, h->profile, sizeof(h->profile));
	write_text(w, h->token_label, sizeof(h->token_label));
	write_text(w, h->token_serial, sizeof(h->token_serial));
	write_text(w, h->token_model, sizeof(h->token_model));
	slk_write_zeros(w, 1);
	slk_write_le32(w, h->algorithms);
	write_text(w, h->text, sizeof(h->text));
}

int
hsm_wire_encode_reply(const struct hsm_wire_reply *in, uint8_t *out, size_t cap, size_t *out_len)
{
	const struct hsm_reply *p = &in->reply;
	struct slk_writer w = slk_writer(out, cap);
	bool with_health = p->op == HSM_STATUS && p->status == SLK_OK;

	if (shape_of((unsigned)p->op) == NULL || p->ciphertext.len > CIPHERTEXT_MAX ||
		p->plaintext.len > HSM_DATA_MAX || p->output.len > HSM_OUTPUT_MAX)
		return SLK_INVALID;
	size_t error_len = strnlen(p->error, sizeof(p->error) - 1);
	slk_write_le32(&w, MAGIC_REPLY);
	slk_write_u8(&w, (uint8_t)p->op);
	slk_write_u8(&w, p->existed ? FLAG_EXISTED : 0);
	slk_write_zeros(&w, 2);
	slk_write_le64(&w, in->call_id);
	slk_write_le32(&w, (uint32_t)p->status);
	slk_write_le32(&w, p->encryptions_count);
	slk_write_bytes(&w, p->kcv, sizeof(p->kcv));
	slk_write_bytes(&w, p->kcv_cmac, sizeof(p->kcv_cmac));
	slk_write_bytes(&w, p->iv, sizeof(p->iv));
	slk_write_le32(&w, (uint32_t)error_len);
	slk_write_le32(&w, (uint32_t)p->ciphertext.len);
	slk_write_le32(&w, (uint32_t)p->plaintext.len);
	slk_write_le32(&w, (uint32_t)p->output.len);
	slk_write_le32(&w, with_health ? HSM_HEALTH_BYTES : 0);
	slk_write_bytes(&w, p->error, error_len);
	slk_write_bytes(&w, p->ciphertext.ptr, p->ciphertext.len);
	slk_write_bytes(&w, p->plaintext.ptr, p->plaintext.len);
	slk_write_bytes(&w, p->output.ptr, p->output.len);
	if (with_health)
		write_health(&w, &p->health);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

/* A text ends with NUL and is padded with NUL. */
static void
read_text(struct slk_reader *r, char *out, size_t size)
{
	slk_read_bytes(r, out, size);
	size_t len = strnlen(out, size);
	if (len == size || !all_zero((const uint8_t *)out + len, size - len)) {
		out[size - 1] = '\0';
		r->status = r->status != SLK_OK ? r->status : SLK_MALFORMED;
	}
}

static int
read_health(struct slk_span in, struct hsm_health *h)
{
	struct slk_reader r = slk_reader(in);

	unsigned state = slk_read_u8(&r);
	unsigned iv_from_hsm = slk_read_u8(&r);
	read_zeros(&r, 2);
	h->worker_pid = slk_read_le32(&r);
	h->sessions_count = slk_read_le32(&r);
	h->keys_count = slk_read_le32(&r);
	h->keys_refused_count = slk_read_le32(&r);
	h->specs = slk_read_le32(&r);
	h->calls_count = slk_read_le64(&r);
	h->failures_count = slk_read_le64(&r);
	h->logins_count = slk_read_le64(&r);
	h->recoveries_count = slk_read_le64(&r);
	h->last_rv = slk_read_le64(&r);
	h->mono_since_ns = slk_read_le64(&r);
	read_text(&r, h->profile, sizeof(h->profile));
	read_text(&r, h->token_label, sizeof(h->token_label));
	read_text(&r, h->token_serial, sizeof(h->token_serial));
	read_text(&r, h->token_model, sizeof(h->token_model));
	read_zeros(&r, 1);
	h->algorithms = slk_read_le32(&r);
	read_text(&r, h->text, sizeof(h->text));
	if (state > HSM_REFUSED || iv_from_hsm > 1 || h->specs >= KMS_BIT(KMS_SPEC_COUNT) ||
		h->algorithms >= KMS_BIT(KMS_ALG_COUNT))
		return SLK_MALFORMED;
	h->state = (enum hsm_state)state;
	h->iv_from_hsm = iv_from_hsm == 1;
	return slk_reader_end(&r);
}

static bool
known_status(int32_t status)
{
	return status == SLK_OK || (status < 0 && strcmp(slk_status_name(status), "Unknown") != 0);
}

int
hsm_wire_decode_reply(struct slk_span in, struct hsm_wire_reply *out_reply)
{
	struct slk_reader r = slk_reader(in);
	struct hsm_wire_reply m = {0};
	struct hsm_reply *p = &m.reply;

	read_magic(&r, MAGIC_REPLY);
	p->op = (enum hsm_op)slk_read_u8(&r);
	unsigned flags = slk_read_u8(&r);
	read_zeros(&r, 2);
	m.call_id = slk_read_le64(&r);
	p->status = (int32_t)slk_read_le32(&r);
	p->encryptions_count = slk_read_le32(&r);
	slk_read_bytes(&r, p->kcv, sizeof(p->kcv));
	slk_read_bytes(&r, p->kcv_cmac, sizeof(p->kcv_cmac));
	slk_read_bytes(&r, p->iv, sizeof(p->iv));
	uint32_t error_len = slk_read_le32(&r);
	uint32_t ciphertext_len = slk_read_le32(&r);
	uint32_t plaintext_len = slk_read_le32(&r);
	uint32_t output_len = slk_read_le32(&r);
	uint32_t health_len = slk_read_le32(&r);
	struct slk_span error = slk_read_span(&r, error_len);
	p->ciphertext = slk_read_span(&r, ciphertext_len);
	p->plaintext = slk_read_span(&r, plaintext_len);
	p->output = slk_read_span(&r, output_len);
	struct slk_span health = slk_read_span(&r, health_len);
	int rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	if (shape_of((unsigned)p->op) == NULL || flags > FLAG_EXISTED || !known_status(p->status) ||
		error_len >= HSM_ERROR_MAX || ciphertext_len > CIPHERTEXT_MAX ||
		plaintext_len > HSM_DATA_MAX || output_len > HSM_OUTPUT_MAX)
		return SLK_MALFORMED;
	if ((health_len != 0) != (p->op == HSM_STATUS && p->status == SLK_OK))
		return SLK_MALFORMED;
	if (health_len != 0) {
		rc = read_health(health, &p->health);
		if (rc != SLK_OK)
			return rc;
	}
	if (error_len > 0 && memchr(error.ptr, 0, error_len) != NULL)
		return SLK_MALFORMED;
	if (error_len > 0)
		memcpy(p->error, error.ptr, error_len);
	p->existed = flags == FLAG_EXISTED;
	*out_reply = m;
	return SLK_OK;
}

/* head_bytes, and the lengths that stand at lengths_at. */
static struct slk_span
cut(struct slk_span *inout_rest, size_t head_bytes, size_t lengths_at, unsigned lengths_count)
{
	struct slk_span whole = *inout_rest;
	uint64_t len = head_bytes;

	for (unsigned i = 0; i < lengths_count && whole.len >= head_bytes; i++)
		len += slk_get_le32(whole.ptr + lengths_at + 4 * i);
	if (len > whole.len)
		len = whole.len;
	*inout_rest = slk_span(whole.ptr + len, whole.len - (size_t)len);
	return slk_span(whole.ptr, (size_t)len);
}

struct slk_span
hsm_wire_cut_request(struct slk_span *inout_rest)
{
	return cut(inout_rest, HSM_REQUEST_HEAD_BYTES, 80, 3);
}

struct slk_span
hsm_wire_cut_reply(struct slk_span *inout_rest)
{
	return cut(inout_rest, HSM_REPLY_HEAD_BYTES, 44, 5);
}

void
hsm_wire_encode_control(const struct hsm_control *in, uint8_t out[HSM_CONTROL_BYTES])
{
	memset(out, 0, HSM_CONTROL_BYTES);
	slk_put_le32(out, MAGIC_CONTROL);
	out[4] = (uint8_t)in->kind;
	slk_put_le64(out + 8, in->worker_number);
}

int
hsm_wire_decode_control(struct slk_span in, struct hsm_control *out_control)
{
	struct slk_reader r = slk_reader(in);

	read_magic(&r, MAGIC_CONTROL);
	unsigned kind = slk_read_u8(&r);
	read_zeros(&r, 3);
	uint64_t number = slk_read_le64(&r);
	int rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	if (kind < HSM_CONTROL_WORKER || kind > HSM_CONTROL_STUCK || number == 0)
		return SLK_MALFORMED;
	out_control->kind = (enum hsm_control_kind)kind;
	out_control->worker_number = number;
	return SLK_OK;
}
