/* What a request says about its signature; sigv4_check.c checks it. */
#include "aws/sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/secret.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"

/* --- texts --- */

static bool
is_clean(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next name and value of a query; false at its end. */
static bool
next_pair(struct slk_span *rest, struct slk_span *out_name, struct slk_span *out_value)
{
	while (rest->len > 0) {
		const uint8_t *end = memchr(rest->ptr, '&', rest->len);
		size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
		const uint8_t *is = memchr(rest->ptr, '=', len);
		size_t name = is != NULL ? (size_t)(is - rest->ptr) : len;
		*out_name = slk_span(rest->ptr, name);
		*out_value = is != NULL ? slk_span(is + 1, len - name - 1) : slk_span(NULL, 0);
		size_t step = end != NULL ? len + 1 : len;
		*rest = slk_span(rest->ptr + step, rest->len - step);
		if (len > 0)
			return true;
	}
	return false;
}

static int
decode(struct slk_span in, bool plus, char *out, size_t cap, size_t *out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = (char)in.ptr[i];
		if (c == '%') {
			int high = i + 2 < in.len ? hex_digit((char)in.ptr[i + 1]) : -1;
			int low = i + 2 < in.len ? hex_digit((char)in.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return SLK_MALFORMED;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		if (c == '\0')
			return SLK_MALFORMED;
		if (n + 1 >= cap)
			return SLK_FULL;
		out[n++] = c;
	}
	out[n] = '\0';
	*out_len = n;
	return SLK_OK;
}

/* Does the name, once decoded, equal text? */
static bool
name_is(struct slk_span name, const char *text, bool plus)
{
	char plain[128];
	size_t len = 0;

	if (name.len > 3 * strlen(text))
		return false;
	return decode(name, plus, plain, sizeof(plain), &len) == SLK_OK && strcmp(plain, text) == 0;
}

int
gw_query_value(
	struct slk_span query, const char *name, bool plus, char *out, size_t cap, size_t *out_len)
{
	struct slk_span n, v, found = slk_span(NULL, 0);
	bool seen = false;

	while (next_pair(&query, &n, &v)) {
		if (!name_is(n, name, plus))
			continue;
		if (seen)
			return SLK_EXISTS;
		seen = true;
		found = v;
	}
	return seen ? decode(found, plus, out, cap, out_len) : SLK_NOT_FOUND;
}

static struct slk_span
span_of(struct http_text text)
{
	return slk_span(text.ptr, text.len);
}

/* --- headers --- */

static const struct http_text *
header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_count; i++)
		if (strcmp(request->headers[i].name.ptr, name) == 0)
			return &request->headers[i].value;
	return NULL;
}

static size_t
header_count(const struct http_request *request, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < request->headers_count; i++)
		n += strcmp(request->headers[i].name.ptr, name) == 0;
	return n;
}

static bool
query_has(const struct http_request *request, const char *name)
{
	char value[2];
	size_t len;

	int rc = gw_query_value(span_of(request->query), name, false, value, sizeof(value), &len);
	return rc != SLK_NOT_FOUND;
}

bool
gw_sigv4_is_there(const struct http_request *request)
{
	return header(request, "authorization") != NULL || query_has(request, "X-Amz-Algorithm") ||
		query_has(request, "X-Amz-Signature");
}

/* Is name among the signed headers? */
static bool
is_signed(const struct gw_sigv4 *sig, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = sig->signed_headers; *p != '\0';) {
		size_t n = strcspn(p, ";");
		if (n == len && memcmp(p, name, n) == 0)
			return true;
		p += n + (p[n] == ';');
	}
	return false;
}

/* --- the parts --- */

/* As they came, decoded: borrowed or in the parser's storage. */
struct parts {
	char credential[512];
	char signature[2 * GW_SHA256_BYTES + 1];
	char date[64];
	uint32_t expires_s;
	bool date_is_amz;
	bool has_credential, has_signature, has_signed, has_date;
};

static bool
incomplete(struct gw_fault *fault, const char *sentence)
{
	return gw_fault_set(fault, "IncompleteSignatureException", "%s", sentence);
}

static bool
wrong(struct gw_fault *fault, const char *sentence)
{
	return gw_fault_set(fault, "InvalidSignatureException", "%s", sentence);
}

/* Copy text of len if it fits and is clean. */
static bool
take(const char *text, size_t len, char *out, size_t cap)
{
	if (len == 0 || len >= cap || !is_clean(text, len))
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

/* "Credential=..., SignedHeaders=..., Signature=..." in any order, with or without blanks. false: a part came twice or is none. */
static bool
read_parts(const char *p, struct gw_sigv4 *sig, struct parts *parts)
{
	while (*p != '\0') {
		p += strspn(p, " \t,");
		size_t len = strcspn(p, ", \t");
		bool *has = NULL;
		char *out = NULL;
		size_t cap = 0, name = 0;
		if (len == 0)
			continue;
		if (strncmp(p, "Credential=", 11) == 0) {
			name = 11, has = &parts->has_credential, out = parts->credential;
			cap = sizeof(parts->credential);
		} else if (strncmp(p, "SignedHeaders=", 14) == 0) {
			name = 14, has = &parts->has_signed, out = sig->signed_headers;
			cap = sizeof(sig->signed_headers);
		} else if (strncmp(p, "Signature=", 10) == 0) {
			name = 10, has = &parts->has_signature, out = parts->signature;
			cap = sizeof(parts->signature);
		}
		if (has != NULL) {
			if (*has || !take(p + name, len - name, out, cap))
				return false;
			*has = true;
		}
		p += len;
	}
	return true;
}

static bool
missing_header_parts(const char *authorization, const struct parts *parts, struct gw_fault *fault)
{
	return gw_fault_set(fault, "IncompleteSignatureException", "%s%s%s%sAuthorization=%.1024s",
		parts->has_credential ? ""
				      : "Authorization header requires 'Credential' parameter. ",
		parts->has_signature ? "" : "Authorization header requires 'Signature' parameter. ",
		parts->has_signed ? ""
				  : "Authorization header requires 'SignedHeaders' parameter. ",
		parts->has_date
			? ""
			: "Authorization header requires existence of either a 'X-Amz-Date' "
			  "or a 'Date' header. ",
		authorization);
}

static bool
own_token(struct gw_sigv4 *sig, const char *text, size_t len, struct gw_fault *fault)
{
	if (len == 0 || len >= GW_SIGV4_TOKEN_MAX || !is_clean(text, len))
		return gw_fault_set(fault, "UnrecognizedClientException",
			"The security token included in the request is invalid.");
	sig->token = strndup(text, len);
	if (sig->token == NULL)
		return gw_fault_set(fault, "InternalFailure", "Internal Service Failure");
	return true;
}

static bool
from_header(const struct http_request *request, const struct http_text *authorization,
	struct gw_sigv4 *sig, struct parts *parts, struct gw_fault *fault)
{
	const struct http_text *date = header(request, "x-amz-date");
	const struct http_text *token = header(request, "x-amz-security-token");
	size_t algorithm = strcspn(authorization->ptr, " ");

	if (header_count(request, "authorization") > 1 || header_count(request, "x-amz-date") > 1 ||
		header_count(request, "x-amz-security-token") > 1)
		return incomplete(fault,
			"Authorization, X-Amz-Date and X-Amz-Security-Token must not be repeated.");
	parts->date_is_amz = date != NULL;
	if (date == NULL)
		date = header(request, "date");
	parts->has_date = date != NULL && date->len < sizeof(parts->date);
	if (parts->has_date)
		memcpy(parts->date, date->ptr, date->len + 1);
	if (strncmp(authorization->ptr, "AWS4-", 5) == 0 &&
		(algorithm != strlen(ALGORITHM) ||
			memcmp(authorization->ptr, ALGORITHM, algorithm) != 0))
		return gw_fault_set(fault, "IncompleteSignatureException",
			"Unsupported AWS 'algorithm': '%.*s'.",
			(int)(algorithm < 64 ? algorithm : 64), authorization->ptr);
	bool is_ours = algorithm == strlen(ALGORITHM) &&
		memcmp(authorization->ptr, ALGORITHM, algorithm) == 0;
	if (is_ours && !read_parts(authorization->ptr + algorithm, sig, parts))
		return gw_fault_set(fault, "IncompleteSignatureException",
			"Authorization header has a parameter that is not valid or repeated. "
			"Authorization=%.1024s",
			authorization->ptr);
	if (!parts->has_credential || !parts->has_signature || !parts->has_signed ||
		!parts->has_date)
		return missing_header_parts(authorization->ptr, parts, fault);
	return token == NULL || own_token(sig, token->ptr, token->len, fault);
}

/* One value of the query. Absent or malformed: false. */
static bool
query_text(const struct http_request *request, const char *name, char *out, size_t cap)
{
	size_t len = 0;

	int rc = gw_query_value(span_of(request->query), name, false, out, cap, &len);
	return rc == SLK_OK && len > 0 && is_clean(out, len);
}

static bool
query_token(const struct http_request *request, struct gw_sigv4 *sig, struct gw_fault *fault)
{
	char token[GW_SIGV4_TOKEN_MAX];
	size_t len = 0;

	int rc = gw_query_value(
		span_of(request->query), "X-Amz-Security-Token", false, token, sizeof(token), &len);
	if (rc == SLK_NOT_FOUND)
		return true;
	return own_token(sig, token, rc == SLK_OK ? len : 0, fault);
}

static bool
from_query(const struct http_request *request, struct gw_sigv4 *sig, struct parts *parts,
	struct gw_fault *fault)
{
	char algorithm[64], expires[16];

	bool has_algorithm = query_text(request, "X-Amz-Algorithm", algorithm, sizeof(algorithm));
	parts->has_credential = query_text(
		request, "X-Amz-Credential", parts->credential, sizeof(parts->credential));
	parts->has_signature =
		query_text(request, "X-Amz-Signature", parts->signature, sizeof(parts->signature));
	parts->has_signed = query_text(
		request, "X-Amz-SignedHeaders", sig->signed_headers, sizeof(sig->signed_headers));
	parts->has_date = query_text(request, "X-Amz-Date", parts->date, sizeof(parts->date));
	parts->date_is_amz = true;
	if (!has_algorithm || !parts->has_credential || !parts->has_signature ||
		!parts->has_signed || !parts->has_date)
		return gw_fault_set(fault, "IncompleteSignatureException", "%s%s%s%s%s%s",
			has_algorithm
				? ""
				: "AWS query-string parameters must include 'X-Amz-Algorithm'. ",
			parts->has_credential
				? ""
				: "AWS query-string parameters must include 'X-Amz-Credential'. ",
			parts->has_signature
				? ""
				: "AWS query-string parameters must include 'X-Amz-Signature'. ",
			parts->has_signed ? ""
					  : "AWS query-string parameters must include "
					    "'X-Amz-SignedHeaders'. ",
			parts->has_date ? ""
					: "AWS query-string parameters must include 'X-Amz-Date'. ",
			"Re-examine the query-string parameters.");
	if (strcmp(algorithm, ALGORITHM) != 0)
		return gw_fault_set(fault, "IncompleteSignatureException",
			"Unsupported AWS 'algorithm': '%s'.", algorithm);
	if (!query_text(request, "X-Amz-Expires", expires, sizeof(expires)) ||
		strlen(expires) > 6 || strspn(expires, "0123456789") != strlen(expires))
		return incomplete(fault, "X-Amz-Expires should be a number");
	parts->expires_s = (uint32_t)strtoul(expires, NULL, 10);
	if (parts->expires_s < 1 || parts->expires_s > GW_SIGV4_EXPIRES_MAX_S)
		return incomplete(fault,
			"X-Amz-Expires must be at least 1 second and less than a week (604800 "
			"seconds)");
	return query_token(request, sig, fault);
}

/* --- time --- */

static bool
from_iso(const char *text, uint64_t *out_s)
{
	struct tm tm = {0};

	if (strlen(text) != 16 || strspn(text, "0123456789") != 8 || text[8] != 'T' ||
		strspn(text + 9, "0123456789") != 6 || text[15] != 'Z')
		return false;
	if (sscanf(text, "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		    &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	struct tm before = tm;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	time_t t = timegm(&tm);
	/* timegm() makes February 30 a day in March. */
	if (t < 0 || tm.tm_mday != before.tm_mday || tm.tm_hour != before.tm_hour ||
		tm.tm_min != before.tm_min)
		return false;
	*out_s = (uint64_t)t;
	return true;
}

/* RFC 9110, 5.6.7, the one form that is to be sent. */
static bool
from_imf(const char *text, uint64_t *out_s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};
	char month[4];
	int end = 0;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month,
		    &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 ||
		end == 0 || text[end] != '\0' || strlen(month) != 3)
		return false;
	const char *at = strstr(months, month);
	if (at == NULL || (at - months) % 3 != 0)
		return false;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	time_t t = timegm(&tm);
	if (t < 0)
		return false;
	*out_s = (uint64_t)t;
	return true;
}

static void
print_time(uint64_t s, char out[GW_SIGV4_TIME_MAX])
{
	time_t t = (time_t)s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
		strftime(out, GW_SIGV4_TIME_MAX, "%Y%m%dT%H%M%SZ", &tm) != GW_SIGV4_TIME_MAX - 1)
		(void)strcpy(out, "00000000T000000Z");
}

static bool
check_time(const struct gw_sigv4_policy *policy, const struct parts *parts, struct gw_sigv4 *sig,
	struct gw_fault *fault)
{
	char limit[GW_SIGV4_TIME_MAX], now[GW_SIGV4_TIME_MAX];
	uint64_t s = 0, lives_s = policy->skew_s;

	bool ok = from_iso(parts->date, &s) || (!parts->date_is_amz && from_imf(parts->date, &s));
	if (!ok)
		return gw_fault_set(fault, "IncompleteSignatureException",
			"Date must be in ISO-8601 'basic format'. Got '%s'. See "
			"http://en.wikipedia.org/wiki/ISO_8601",
			parts->date);
	print_time(s, sig->time);
	print_time(policy->now_s, now);
	if (memcmp(sig->time, sig->date, 8) != 0)
		return gw_fault_set(fault, "InvalidSignatureException",
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
			"date from HTTP: '%s' != '%.8s', from '%s'.",
			sig->date, sig->time, sig->time);
	if (s > policy->now_s + policy->skew_s) {
		print_time(policy->now_s + policy->skew_s, limit);
		return gw_fault_set(fault, "InvalidSignatureException",
			"Signature not yet current: %s is still later than %s (%s + %u min.)",
			sig->time, limit, now, policy->skew_s / 60);
	}
	if (sig->presigned)
		lives_s = parts->expires_s;
	if (s + lives_s >= policy->now_s)
		return true;
	print_time(sig->presigned ? s + lives_s : policy->now_s - lives_s, limit);
	if (sig->presigned)
		return gw_fault_set(fault, "InvalidSignatureException",
			"Signature expired: %s is now later than %s", now, limit);
	return gw_fault_set(fault, "InvalidSignatureException",
		"Signature expired: %s is now earlier than %s (%s - %u min.)", sig->time, limit,
		now, policy->skew_s / 60);
}

/* --- the scope --- */

static bool
split_credential(char *credential, struct gw_sigv4 *sig, struct gw_fault *fault)
{
	char *part[5];
	size_t n = 0;

	/* Access key ids of others may hold slashes; the four parts of the scope cannot. */
	for (char *end = credential + strlen(credential); n < 4; n++) {
		char *slash = memrchr(credential, '/', (size_t)(end - credential));
		if (slash == NULL)
			return wrong(fault,
				"Credential must have exactly 5 slash-delimited elements, "
				"e.g. keyid/date/region/service/term");
		part[4 - n] = slash + 1;
		*slash = '\0';
		end = slash;
	}
	if (!take(credential, strlen(credential), sig->key_id, sizeof(sig->key_id)) ||
		!take(part[1], strlen(part[1]), sig->date, sizeof(sig->date)) ||
		!take(part[2], strlen(part[2]), sig->region, sizeof(sig->region)) ||
		!take(part[3], strlen(part[3]), sig->service, sizeof(sig->service)))
		return wrong(fault,
			"Credential must have exactly 5 slash-delimited elements, e.g. "
			"keyid/date/region/service/term");
	if (strcmp(part[4], TERMINATOR) != 0)
		return gw_fault_set(fault, "InvalidSignatureException",
			"Credential should be scoped with a valid terminator: 'aws4_request', not "
			"'%s'.",
			part[4]);
	return true;
}

static bool
check_scope(
	const struct gw_sigv4_policy *policy, const struct gw_sigv4 *sig, struct gw_fault *fault)
{
	if (strcmp(sig->service, policy->service) != 0)
		return gw_fault_set(fault, "InvalidSignatureException",
			"Credential should be scoped to correct service: '%s'. ", policy->service);
	if (strcmp(sig->region, policy->region) != 0)
		return gw_fault_set(fault, "InvalidSignatureException",
			"Credential should be scoped to a valid region, not '%s'. ", sig->region);
	return true;
}

/* --- what has to be signed --- */

static bool
unsigned_header(struct gw_fault *fault, const char *name)
{
	return gw_fault_set(fault, "InvalidSignatureException",
		"'%s' must be a 'SignedHeader' in the AWS Authorization.", name);
}

static bool
check_signed(const struct http_request *request, const struct parts *parts,
	const struct gw_sigv4 *sig, struct gw_fault *fault)
{
	bool pseudo = is_signed(sig, ":authority");

	for (const char *p = sig->signed_headers; *p != '\0'; p++)
		if (isupper((unsigned char)*p))
			return wrong(fault, "SignedHeaders must be in lower case.");
	if (pseudo && !request->has_authority_pseudo)
		return wrong(fault, "':authority' is signed, but the request has none.");
	if (!pseudo && !is_signed(sig, "host"))
		return wrong(fault,
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS "
			"Authorization.");
	if (!sig->presigned && !is_signed(sig, parts->date_is_amz ? "x-amz-date" : "date"))
		return unsigned_header(fault, parts->date_is_amz ? "X-Amz-Date" : "Date");
	for (size_t i = 0; i < request->headers_count; i++) {
		const char *name = request->headers[i].name.ptr;
		if (strncmp(name, "x-amz-", 6) == 0 && !is_signed(sig, name))
			return unsigned_header(fault, name);
	}
	return true;
}

/* The payload is hashed as received, always: what says otherwise is of another service. */
static bool
check_payload_form(const struct http_request *request, struct gw_fault *fault)
{
	const struct http_text *form = header(request, "x-amz-content-sha256");
	uint8_t hash[GW_SHA256_BYTES];

	if (form == NULL)
		return true;
	if (header_count(request, "x-amz-content-sha256") == 1 &&
		slk_unhex(form->ptr, hash, sizeof(hash)) == SLK_OK)
		return true;
	return gw_fault_set(fault, "InvalidSignatureException",
		"x-amz-content-sha256 must be the hex SHA-256 of the payload, not '%.64s'.",
		form->ptr);
}

bool
gw_sigv4_parse(const struct http_request *request, const struct gw_sigv4_policy *policy,
	struct gw_sigv4 *out, struct gw_fault *out_fault)
{
	const struct http_text *authorization = header(request, "authorization");
	struct parts parts = {.date = ""};

	memset(out, 0, sizeof(*out));
	out->presigned =
		query_has(request, "X-Amz-Algorithm") || query_has(request, "X-Amz-Signature");
	if (authorization == NULL && !out->presigned)
		return gw_fault_set(out_fault, "MissingAuthenticationTokenException",
			"Missing Authentication Token");
	if (authorization != NULL && out->presigned)
		return wrong(out_fault,
			"Found both 'X-Amz-Algorithm' as a query-string param and "
			"'Authorization' as HTTP header.");
	bool ok = out->presigned ? from_query(request, out, &parts, out_fault)
				 : from_header(request, authorization, out, &parts, out_fault);
	if (!ok || !split_credential(parts.credential, out, out_fault))
		return false;
	if (slk_unhex(parts.signature, out->signature, sizeof(out->signature)) != SLK_OK)
		return gw_fault_set(out_fault, "IncompleteSignatureException",
			"Signature must be 64 hex digits.");
	return check_scope(policy, out, out_fault) && check_time(policy, &parts, out, out_fault) &&
		check_signed(request, &parts, out, out_fault) &&
		check_payload_form(request, out_fault);
}

void
gw_sigv4_fini(struct gw_sigv4 *sig)
{
	if (sig->token != NULL)
		slk_wipe(sig->token, strlen(sig->token));
	free(sig->token);
	sig->token = NULL;
}
