#include "sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define HASH 32u
#define NAME_MAX_ 65u /* region, service; with terminator */
#define PARAMS_MAX 8u
#define TEXTS_BYTES 32768u
#define SECRET_MAX 8192u

struct dlv_signer {
	char region[NAME_MAX_], service[NAME_MAX_];
	struct slk_secret *key; /* of the day below */
	char date[9];
	uint64_t generation;
};

int
dlv_signer_new(const char *region, const char *service, struct dlv_signer **out_signer)
{
	if (strlen(region) >= NAME_MAX_ || strlen(service) >= NAME_MAX_)
		return SLK_INVALID;
	struct dlv_signer *signer = calloc(1, sizeof(*signer));
	if (signer == NULL)
		return SLK_NO_MEMORY;
	snprintf(signer->region, sizeof(signer->region), "%s", region);
	snprintf(signer->service, sizeof(signer->service), "%s", service);
	int rc = slk_secret_new(HASH, &signer->key);
	if (rc != SLK_OK) {
		free(signer);
		return rc;
	}
	*out_signer = signer;
	return SLK_OK;
}

void
dlv_signer_free(struct dlv_signer *signer)
{
	if (signer == NULL)
		return;
	slk_secret_free(signer->key);
	free(signer);
}

/* --- the key of a day --- */

static int
mac(const void *key, size_t key_len, struct slk_span text, uint8_t out[HASH])
{
	unsigned len = HASH;

	return HMAC(EVP_sha256(), key, (int)key_len, text.ptr, text.len, out, &len) != NULL
		? SLK_OK
		: SLK_INTERNAL;
}

static int
derive(struct dlv_signer *signer, const struct dlv_keys *keys, const char *date)
{
	uint8_t *key = slk_secret_bytes(signer->key);
	size_t len = slk_secret_len(keys->secret);
	struct slk_secret *first = NULL;

	if (len > SECRET_MAX)
		return SLK_TOO_LARGE;
	int rc = slk_secret_new(len + 4, &first);
	if (rc != SLK_OK)
		return rc;
	memcpy(slk_secret_bytes(first), "AWS4", 4);
	memcpy(slk_secret_bytes(first) + 4, slk_secret_peek(keys->secret), len);
	rc = mac(slk_secret_peek(first), len + 4, slk_span_str(date), key);
	slk_secret_free(first);
	if (rc == SLK_OK)
		rc = mac(key, HASH, slk_span_str(signer->region), key);
	if (rc == SLK_OK)
		rc = mac(key, HASH, slk_span_str(signer->service), key);
	if (rc == SLK_OK)
		rc = mac(key, HASH, slk_span_str("aws4_request"), key);
	return rc;
}

static int
key_of(struct dlv_signer *signer, const struct dlv_keys *keys, uint64_t generation,
	const char *date)
{
	if (signer->generation == generation && strcmp(signer->date, date) == 0)
		return SLK_OK;
	signer->date[0] = '\0';
	int rc = derive(signer, keys, date);
	if (rc != SLK_OK)
		return rc;
	snprintf(signer->date, sizeof(signer->date), "%s", date);
	signer->generation = generation;
	return SLK_OK;
}

/* --- encoding --- */

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

static void
put_encoded(struct slk_writer *w, const char *text, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";

	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		if (is_unreserved(*c) || (keep_slash && *c == '/')) {
			slk_write_u8(w, *c);
			continue;
		}
		slk_write_u8(w, '%');
		slk_write_u8(w, (uint8_t)digits[*c >> 4]);
		slk_write_u8(w, (uint8_t)digits[*c & 15]);
	}
}

int
dlv_uri_encode(const char *text, bool keep_slash, char *out, size_t cap)
{
	struct slk_writer w = slk_writer(out, cap);

	put_encoded(&w, text, keep_slash);
	slk_write_u8(&w, '\0');
	return w.status;
}

/* --- the texts of one signature, one behind the other in memory of their own --- */

static void
put(struct slk_writer *w, const char *text)
{
	slk_write_bytes(w, text, strlen(text));
}

/* A text of its own from here on, until end_text(). */
static const char *
end_text(struct slk_writer *w, size_t from)
{
	slk_write_u8(w, '\0');
	return w->status == SLK_OK ? (const char *)w->base + from : "";
}

struct signing {
	const struct dlv_sign_request *request;
	struct dlv_signed *out;
	struct slk_writer w;
	char time[17], date[9];
	const char *query, *names; /* "a=1&b=", "host;x-amz-date" */
	char payload[2 * HASH + 1]; /* its hash, or what stands for it */
	struct dlv_web_header sorted[DLV_WEB_HEADERS_MAX + 1];
	size_t sorted_count;
};

static const char *
encoded(struct signing *s, const char *text)
{
	size_t from = s->w.len;

	put_encoded(&s->w, text, false);
	return end_text(&s->w, from);
}

static bool
is_before(const struct dlv_param *a, const struct dlv_param *b)
{
	int order = strcmp(a->name, b->name);

	return order < 0 || (order == 0 && strcmp(a->value, b->value) < 0);
}

/* By encoded name, then value. */
static void
put_params(struct signing *s)
{
	struct dlv_param sorted[PARAMS_MAX];
	size_t count = s->request->params_count;

	for (size_t i = 0; i < count; i++) {
		const struct dlv_param *param = &s->request->params[i];
		struct dlv_param now = {encoded(s, param->name), encoded(s, param->value)};
		size_t at = i;
		for (; at > 0 && is_before(&now, &sorted[at - 1]); at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = now;
	}
	size_t from = s->w.len;
	for (size_t i = 0; i < count; i++) {
		put(&s->w, i > 0 ? "&" : "");
		put(&s->w, sorted[i].name);
		put(&s->w, "=");
		put(&s->w, sorted[i].value);
	}
	s->query = end_text(&s->w, from);
}

static int
make_target(struct signing *s)
{
	size_t cap = 3 * strlen(s->request->path) + strlen(s->query) + 2;
	char *target = malloc(cap);

	if (target == NULL)
		return SLK_NO_MEMORY;
	struct slk_writer w = slk_writer(target, cap);
	put_encoded(&w, s->request->path, true);
	put(&w, s->query[0] != '\0' ? "?" : "");
	put(&w, s->query);
	slk_write_u8(&w, '\0');
	s->out->target = target;
	return w.status == SLK_OK ? SLK_OK : SLK_INTERNAL;
}

static void
make_time(struct signing *s)
{
	time_t seconds = (time_t)(s->request->wall_ns / SLK_NS_PER_S);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(s->time, sizeof(s->time), "%Y%m%dT%H%M%SZ", &tm);
	memcpy(s->date, s->time, 8);
	s->date[8] = '\0';
}

static void
add_header(struct signing *s, const char *name, const char *value)
{
	s->out->headers[s->out->headers_count++] = (struct dlv_web_header){name, value};
}

static void
make_payload(struct signing *s)
{
	if (s->request->payload_sha256 != NULL)
		slk_hex(slk_span(s->request->payload_sha256, HASH), s->payload, sizeof(s->payload));
	else
		snprintf(s->payload, sizeof(s->payload), "UNSIGNED-PAYLOAD");
}

/* Behind those of the request: what the signature adds to be signed. */
static void
add_own_headers(struct signing *s, const struct dlv_signer *signer, const struct dlv_keys *keys)
{
	size_t from = s->w.len;

	put(&s->w, s->time);
	add_header(s, "x-amz-date", end_text(&s->w, from));
	if (strcmp(signer->service, "s3") == 0) {
		from = s->w.len;
		put(&s->w, s->payload);
		add_header(s, "x-amz-content-sha256", end_text(&s->w, from));
	}
	if (keys->token != NULL) {
		from = s->w.len;
		slk_write_bytes(&s->w, slk_secret_peek(keys->token), slk_secret_len(keys->token));
		add_header(s, "x-amz-security-token", end_text(&s->w, from));
	}
}

static void
sort_headers(struct signing *s)
{
	s->sorted[0] = (struct dlv_web_header){"host", s->request->host};
	s->sorted_count = 1;
	for (size_t i = 0; i < s->out->headers_count; i++) {
		size_t at = s->sorted_count++;
		const char *name = s->out->headers[i].name;
		for (; at > 0 && strcasecmp(s->sorted[at - 1].name, name) > 0; at--)
			s->sorted[at] = s->sorted[at - 1];
		s->sorted[at] = s->out->headers[i];
	}
}

static void
put_lower(struct slk_writer *w, const char *name)
{
	for (; *name != '\0'; name++)
		slk_write_u8(
			w, (uint8_t)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name));
}

/* Outer blanks go, inner runs become one. */
static void
put_value(struct slk_writer *w, const char *value)
{
	bool blank = false, any = false;

	for (; *value != '\0'; value++) {
		if (*value == ' ' || *value == '\t') {
			blank = any;
			continue;
		}
		if (blank)
			slk_write_u8(w, ' ');
		slk_write_u8(w, (uint8_t)*value);
		blank = false;
		any = true;
	}
}

static bool
is_repeated(const struct signing *s, size_t i)
{
	return i > 0 && strcasecmp(s->sorted[i - 1].name, s->sorted[i].name) == 0;
}

static void
make_names(struct signing *s)
{
	size_t from = s->w.len;

	for (size_t i = 0; i < s->sorted_count; i++) {
		if (is_repeated(s, i))
			continue;
		if (i > 0)
			put(&s->w, ";");
		put_lower(&s->w, s->sorted[i].name);
	}
	s->names = end_text(&s->w, from);
}

static void
put_canonical(struct signing *s)
{
	put(&s->w, s->request->method);
	put(&s->w, "\n");
	put_encoded(&s->w, s->request->path, true);
	put(&s->w, "\n");
	put(&s->w, s->query);
	for (size_t i = 0; i < s->sorted_count; i++) {
		if (is_repeated(s, i)) {
			put(&s->w, ",");
		} else {
			put(&s->w, "\n");
			put_lower(&s->w, s->sorted[i].name);
			put(&s->w, ":");
		}
		put_value(&s->w, s->sorted[i].value);
	}
	put(&s->w, "\n\n");
	put(&s->w, s->names);
	put(&s->w, "\n");
	put(&s->w, s->payload);
}

/* The canonical request and what is signed of it; then the header. */
static int
put_signature(struct signing *s, const struct dlv_signer *signer, const char *key_id)
{
	uint8_t hash[HASH];
	char hex[2 * HASH + 1], scope[160], text[320];
	size_t from = s->w.len;

	put_canonical(s);
	if (s->w.status != SLK_OK)
		return SLK_TOO_LARGE;
	s->out->canonical = slk_span(s->w.base + from, s->w.len - from);
	if (EVP_Digest(s->out->canonical.ptr, s->out->canonical.len, hash, NULL, EVP_sha256(),
		    NULL) != 1)
		return SLK_INTERNAL;
	slk_hex(slk_span(hash, HASH), hex, sizeof(hex));
	snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", s->date, signer->region,
		signer->service);
	snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", s->time, scope, hex);
	int rc = mac(slk_secret_peek(signer->key), HASH, slk_span_str(text), hash);
	if (rc != SLK_OK)
		return rc;
	slk_hex(slk_span(hash, HASH), hex, sizeof(hex));
	from = s->w.len;
	put(&s->w, "AWS4-HMAC-SHA256 Credential=");
	put(&s->w, key_id);
	put(&s->w, "/");
	put(&s->w, scope);
	put(&s->w, ", SignedHeaders=");
	put(&s->w, s->names);
	put(&s->w, ", Signature=");
	put(&s->w, hex);
	add_header(s, "Authorization", end_text(&s->w, from));
	return s->w.status == SLK_OK ? SLK_OK : SLK_TOO_LARGE;
}

static int
sign_all(struct signing *s, struct dlv_signer *signer, const struct dlv_keys *keys,
	uint64_t generation)
{
	make_time(s);
	make_payload(s);
	put_params(s);
	int rc = make_target(s);
	if (rc == SLK_OK)
		rc = key_of(signer, keys, generation, s->date);
	if (rc != SLK_OK)
		return rc;
	for (size_t i = 0; i < s->request->headers_count; i++)
		s->out->headers[s->out->headers_count++] = s->request->headers[i];
	add_own_headers(s, signer, keys);
	sort_headers(s);
	make_names(s);
	return put_signature(s, signer, keys->key_id);
}

int
dlv_sign(struct dlv_signer *signer, const struct dlv_keys *keys, uint64_t generation,
	const struct dlv_sign_request *request, struct dlv_signed *out_signed)
{
	struct dlv_signed out = {.target = NULL};
	struct signing s = {.request = request, .out = &out};

	if (request->params_count > PARAMS_MAX || request->headers_count > DLV_WEB_HEADERS_MAX - 4)
		return SLK_TOO_LARGE;
	int rc = slk_secret_new(TEXTS_BYTES, &out.texts);
	if (rc != SLK_OK)
		return rc;
	s.w = slk_writer(slk_secret_bytes(out.texts), TEXTS_BYTES);
	rc = sign_all(&s, signer, keys, generation);
	if (rc != SLK_OK) {
		dlv_signed_fini(&out);
		return rc;
	}
	*out_signed = out;
	return SLK_OK;
}

void
dlv_signed_fini(struct dlv_signed *signed_request)
{
	free(signed_request->target);
	slk_secret_free(signed_request->texts);
	*signed_request = (struct dlv_signed){.target = NULL};
}
