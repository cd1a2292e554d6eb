/* The canonical request, its hash and the HMAC of it. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sigv4.h"
#include "base/secret.h"

#define TEXT_MAX (1u << 20)
#define PAIRS_MAX 4096u

/* Text that grows; a failure sticks. */
struct text {
	char *ptr;
	size_t len, cap;
	int status;
};

struct pair {
	size_t name, name_len, value, value_len; /* places in the engine's `encoded` */
	const char *base;
};

struct gw_sigv4_engine {
	EVP_MD *sha256;
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;
	struct text canonical, encoded, to_sign;
	struct pair *pairs; /* PAIRS_MAX */
};

struct gw_hash {
	EVP_MD_CTX *ctx;
};

/* --- text --- */

static char *
room(struct text *t, size_t len)
{
	if (t->status != SLK_OK)
		return NULL;
	if (len > t->cap - t->len) {
		size_t cap = t->cap != 0 ? t->cap : 4096;
		while (cap - t->len < len && cap < TEXT_MAX)
			cap *= 2;
		if (cap - t->len < len) {
			t->status = SLK_LIMIT;
			return NULL;
		}
		char *ptr = realloc(t->ptr, cap);
		if (ptr == NULL) {
			t->status = SLK_NO_MEMORY;
			return NULL;
		}
		t->ptr = ptr;
		t->cap = cap;
	}
	t->len += len;
	return t->ptr + t->len - len;
}

static void
put(struct text *t, const void *bytes, size_t len)
{
	char *at = room(t, len);

	if (at != NULL && len > 0)
		memcpy(at, bytes, len);
}

static void
put_text(struct text *t, const char *text)
{
	put(t, text, strlen(text));
}

static void
clear(struct text *t)
{
	t->len = 0;
	t->status = SLK_OK;
}

static bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

/* RFC 3986, 2.1, upper-case digits. */
static void
put_encoded(struct text *t, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	char out[3] = {'%', digits[c >> 4], digits[c & 15]};

	if (is_unreserved(c))
		put(t, &c, 1);
	else
		put(t, out, sizeof(out));
}

static void
put_hex(struct text *t, const uint8_t hash[GW_SHA256_BYTES])
{
	char hex[2 * GW_SHA256_BYTES + 1];

	slk_hex(slk_span(hash, GW_SHA256_BYTES), hex, sizeof(hex));
	put_text(t, hex);
}

/* --- path --- */

static void
put_segment(struct text *t, const char *p, size_t len)
{
	put(t, "/", 1);
	for (size_t i = 0; i < len; i++)
		put_encoded(t, (uint8_t)p[i]);
}

static void
put_path(struct text *t, struct http_text path, bool normalise)
{
	const char *p = path.ptr, *end = path.ptr + path.len;
	size_t start = t->len;
	bool slash_at_end = true;

	while (p < end) {
		p += *p == '/';
		const char *to = memchr(p, '/', (size_t)(end - p));
		size_t len = (size_t)((to != NULL ? to : end) - p);
		bool dot = len == 1 && p[0] == '.';
		bool dots = len == 2 && p[0] == '.' && p[1] == '.';
		slash_at_end = len == 0 || dot || dots;
		if (!normalise)
			/* NOLINTNEXTLINE(bugprone-branch-clone): the order of these questions says more */
			put_segment(t, p, len);
		else if (dots && t->status == SLK_OK)
			while (t->len > start && t->ptr[--t->len] != '/')
				;
		else if (len > 0 && !dot)
			put_segment(t, p, len);
		p += len;
		if (to == NULL)
			break;
	}
	if (t->len == start || (normalise && slash_at_end))
		put(t, "/", 1);
}

/* --- query --- */

static int
by_name_and_value(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;

	int c = memcmp(x->base + x->name, y->base + y->name, n);
	if (c != 0)
		return c;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	n = x->value_len < y->value_len ? x->value_len : y->value_len;
	c = memcmp(x->base + x->value, y->base + y->value, n);
	if (c != 0)
		return c;
	return x->value_len < y->value_len ? -1 : x->value_len > y->value_len;
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether it came encoded or not: encoded once. A broken escape is a percent sign. */
static size_t
put_part(struct text *t, const char *p, size_t len)
{
	size_t start = t->len;

	for (size_t i = 0; i < len; i++) {
		int high = p[i] == '%' && i + 2 < len ? digit(p[i + 1]) : -1;
		int low = high >= 0 ? digit(p[i + 2]) : -1;
		put_encoded(t, low >= 0 ? (uint8_t)(high << 4 | low) : (uint8_t)p[i]);
		i += low >= 0 ? 2 : 0;
	}
	return t->len - start;
}

static int
put_query(struct gw_sigv4_engine *e, struct http_text query, bool presigned)
{
	static const char own[] = "X-Amz-Signature";
	const char *p = query.ptr, *end = query.ptr + query.len;
	size_t count = 0;

	clear(&e->encoded);
	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		size_t len = (size_t)((amp != NULL ? amp : end) - p);
		const char *is = memchr(p, '=', len);
		size_t name_len = is != NULL ? (size_t)(is - p) : len;
		if (len > 0) {
			if (count == PAIRS_MAX)
				return SLK_LIMIT;
			struct pair *pair = &e->pairs[count++];
			pair->name = e->encoded.len;
			pair->name_len = put_part(&e->encoded, p, name_len);
			pair->value = e->encoded.len;
			pair->value_len =
				is != NULL ? put_part(&e->encoded, is + 1, len - name_len - 1) : 0;
			if (e->encoded.status != SLK_OK)
				return e->encoded.status;
			if (presigned && pair->name_len == sizeof(own) - 1 &&
				memcmp(e->encoded.ptr + pair->name, own, sizeof(own) - 1) == 0)
				count--;
		}
		p += len + (amp != NULL);
	}
	for (size_t i = 0; i < count; i++)
		e->pairs[i].base = e->encoded.ptr;
	if (count > 1)
		qsort(e->pairs, count, sizeof(e->pairs[0]), by_name_and_value);
	for (size_t i = 0; i < count; i++) {
		const struct pair *pair = &e->pairs[i];
		if (i > 0)
			put(&e->canonical, "&", 1);
		put(&e->canonical, pair->base + pair->name, pair->name_len);
		put(&e->canonical, "=", 1);
		put(&e->canonical, pair->base + pair->value, pair->value_len);
	}
	return SLK_OK;
}

/* --- headers --- */

/* Outer blanks trimmed, inner runs made one. */
static void
put_value(struct text *t, struct http_text value)
{
	bool blank = false, begun = false;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (c == ' ' || c == '\t') {
			blank = begun;
			continue;
		}
		if (blank)
			put(t, " ", 1);
		put(t, &c, 1);
		blank = false;
		begun = true;
	}
}

static bool
text_is(struct http_text text, const char *p, size_t len)
{
	return text.len == len && memcmp(text.ptr, p, len) == 0;
}

static void
put_header(struct text *t, const struct http_request *request, const char *name, size_t len)
{
	bool found = false;

	put(t, name, len);
	put(t, ":", 1);
	if ((len == 4 && memcmp(name, "host", 4) == 0) ||
		(len == 10 && memcmp(name, ":authority", 10) == 0)) {
		put_value(t, request->authority);
		found = true;
	}
	for (size_t i = 0; i < request->headers_count && !(found && len == 4 && name[0] == 'h');
		i++) {
		if (!text_is(request->headers[i].name, name, len))
			continue;
		if (found)
			put(t, ",", 1);
		put_value(t, request->headers[i].value);
		found = true;
	}
	put(t, "\n", 1);
}

int
gw_sigv4_canonical(struct gw_sigv4_engine *engine, const struct http_request *request,
	const struct gw_sigv4 *sig, const uint8_t payload[GW_SHA256_BYTES], bool normalise,
	struct slk_span *out_text)
{
	struct text *t = &engine->canonical;

	clear(t);
	put(t, request->method.ptr, request->method.len);
	put(t, "\n", 1);
	put_path(t, request->path, normalise);
	put(t, "\n", 1);
	int rc = put_query(engine, request->query, sig->presigned);
	if (rc != SLK_OK)
		return rc;
	put(t, "\n", 1);
	for (const char *p = sig->signed_headers; *p != '\0';) {
		size_t n = strcspn(p, ";");
		put_header(t, request, p, n);
		p += n + (p[n] == ';');
	}
	put(t, "\n", 1);
	put_text(t, sig->signed_headers);
	put(t, "\n", 1);
	put_hex(t, payload);
	if (t->status != SLK_OK)
		return t->status;
	*out_text = slk_span(t->ptr, t->len);
	return SLK_OK;
}

/* --- signatures --- */

static int
mac(struct gw_sigv4_engine *e, const uint8_t *key, struct slk_span text,
	uint8_t out[GW_SHA256_BYTES])
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	size_t len = 0;

	if (EVP_MAC_init(e->mac, key, GW_SHA256_BYTES, params) != 1 ||
		EVP_MAC_update(e->mac, text.ptr, text.len) != 1 ||
		EVP_MAC_final(e->mac, out, &len, GW_SHA256_BYTES) != 1 || len != GW_SHA256_BYTES)
		return SLK_INTERNAL;
	return SLK_OK;
}

int
gw_sigv4_sign(struct gw_sigv4_engine *engine, const struct http_request *request,
	const struct gw_sigv4 *sig, const uint8_t payload[GW_SHA256_BYTES], const uint8_t *key,
	uint8_t out_signature[GW_SHA256_BYTES])
{
	struct text *t = &engine->to_sign;
	struct slk_span canonical = {NULL, 0};
	uint8_t hash[GW_SHA256_BYTES];

	int rc = gw_sigv4_canonical(engine, request, sig, payload, true, &canonical);
	if (rc != SLK_OK)
		return rc;
	if (EVP_Digest(canonical.ptr, canonical.len, hash, NULL, engine->sha256, NULL) != 1)
		return SLK_INTERNAL;
	clear(t);
	put_text(t, "AWS4-HMAC-SHA256\n");
	put_text(t, sig->time);
	put_text(t, "\n");
	put_text(t, sig->date);
	put_text(t, "/");
	put_text(t, sig->region);
	put_text(t, "/");
	put_text(t, sig->service);
	put_text(t, "/aws4_request\n");
	put_hex(t, hash);
	if (t->status != SLK_OK)
		return t->status;
	return mac(engine, key, slk_span(t->ptr, t->len), out_signature);
}

static bool
fits_told_payload(const struct http_request *request, const uint8_t payload[GW_SHA256_BYTES])
{
	uint8_t told[GW_SHA256_BYTES];

	for (size_t i = 0; i < request->headers_count; i++) {
		const struct http_header *h = &request->headers[i];
		if (strcmp(h->name.ptr, "x-amz-content-sha256") == 0)
			return slk_unhex(h->value.ptr, told, sizeof(told)) == SLK_OK &&
				slk_equal_ct(told, payload, sizeof(told));
	}
	return true;
}

bool
gw_sigv4_matches(struct gw_sigv4_engine *engine, const struct http_request *request,
	const struct gw_sigv4 *sig, const uint8_t payload[GW_SHA256_BYTES], const uint8_t *key,
	struct gw_fault *out_fault)
{
	static const uint8_t nobody[GW_SHA256_BYTES];
	uint8_t signature[GW_SHA256_BYTES];

	int rc =
		gw_sigv4_sign(engine, request, sig, payload, key != NULL ? key : nobody, signature);
	bool same = rc == SLK_OK && slk_equal_ct(signature, sig->signature, sizeof(signature)) &&
		fits_told_payload(request, payload);
	slk_wipe(signature, sizeof(signature));
	if (rc == SLK_INTERNAL || rc == SLK_NO_MEMORY)
		return gw_fault_set(out_fault, "InternalFailure", "Internal Service Failure");
	if (key == NULL)
		return gw_fault_set(out_fault, "UnrecognizedClientException",
			"The security token included in the request is invalid.");
	if (!same)
		return gw_fault_set(out_fault, "InvalidSignatureException",
			"The request signature we calculated does not match the signature you "
			"provided. Check your AWS Secret Access Key and signing method. Consult "
			"the "
			"service documentation for details.");
	return true;
}

/* --- engines --- */

int
gw_sigv4_engine_new(struct gw_sigv4_engine **out_engine)
{
	struct gw_sigv4_engine *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return SLK_NO_MEMORY;
	e->pairs = calloc(PAIRS_MAX, sizeof(*e->pairs));
	e->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	e->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	e->mac = e->hmac != NULL ? EVP_MAC_CTX_new(e->hmac) : NULL;
	if (e->pairs == NULL || e->sha256 == NULL || e->mac == NULL) {
		int rc = e->pairs == NULL ? SLK_NO_MEMORY : SLK_UNSUPPORTED;
		gw_sigv4_engine_free(e);
		return rc;
	}
	*out_engine = e;
	return SLK_OK;
}

void
gw_sigv4_engine_free(struct gw_sigv4_engine *engine)
{
	if (engine == NULL)
		return;
	EVP_MAC_CTX_free(engine->mac);
	EVP_MAC_free(engine->hmac);
	EVP_MD_free(engine->sha256);
	free(engine->canonical.ptr);
	free(engine->encoded.ptr);
	free(engine->to_sign.ptr);
	free(engine->pairs);
	free(engine);
}

int
gw_hash_new(struct gw_sigv4_engine *engine, struct gw_hash **out_hash)
{
	struct gw_hash *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return SLK_NO_MEMORY;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, engine->sha256, NULL) != 1) {
		gw_hash_free(h);
		return SLK_NO_MEMORY;
	}
	*out_hash = h;
	return SLK_OK;
}

int
gw_hash_add(struct gw_hash *hash, const void *bytes, size_t len)
{
	return EVP_DigestUpdate(hash->ctx, bytes, len) == 1 ? SLK_OK : SLK_INTERNAL;
}

int
gw_hash_end(struct gw_hash *hash, uint8_t out[GW_SHA256_BYTES])
{
	return EVP_DigestFinal_ex(hash->ctx, out, NULL) == 1 ? SLK_OK : SLK_INTERNAL;
}

void
gw_hash_free(struct gw_hash *hash)
{
	if (hash == NULL)
		return;
	EVP_MD_CTX_free(hash->ctx);
	free(hash);
}
