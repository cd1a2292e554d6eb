#include "search_auth.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "search_name.h"
#include "sign.h"

#define CREDENTIALS_MAX 1024u

struct search_auth {
	const struct dlv_endpoint *endpoint;
	const struct slk_clock *clock;
	struct slk_secret *basic; /* "Basic ...", of the request under way */
	/* AWS */
	struct dlv_key_file *keys;
	struct dlv_signer *signer;
	struct dlv_signed signature;
};

void
search_auth_free(struct search_auth *auth)
{
	if (auth == NULL)
		return;
	slk_secret_free(auth->basic);
	dlv_signed_fini(&auth->signature);
	dlv_signer_free(auth->signer);
	dlv_key_file_close(auth->keys);
	free(auth);
}

/* --- URLs that are signed --- */

/* From the first slash behind the host on. */
static const char *
path_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return host + strcspn(host, "/?");
}

/* Services but S3 sign a path that is encoded twice. What needs no encoding is the same in every way. */
static bool
path_is_plain(const char *url)
{
	for (const char *c = path_of(url); *c != '\0' && *c != '?'; c++) {
		if (!isalnum((unsigned char)*c) && strchr("/-._~", *c) == NULL)
			return false;
	}
	return true;
}

/* Host as libcurl sends it: without the scheme's own port. */
static int
host_of(const char *url, char *out, size_t cap)
{
	const char *own = strncmp(url, "https://", 8) == 0 ? ":443" : ":80";
	const char *host = strstr(url, "://") + 3;
	size_t len = strcspn(host, "/?"), own_len = strlen(own);

	if (len > own_len && memcmp(host + len - own_len, own, own_len) == 0)
		len -= own_len;
	if (len >= cap)
		return SLK_TOO_LARGE;
	memcpy(out, host, len);
	out[len] = '\0';
	return SLK_OK;
}

/* --- start --- */

static int
aws_open(struct search_auth *auth, const char *url, struct slk_error *err)
{
	const struct dlv_endpoint *e = auth->endpoint;

	if (e->region == NULL)
		return slk_fail(
			err, SLK_CONFIG, "deliverd.yaml: auth: aws for %s needs a region", e->url);
	if (!path_is_plain(url))
		return slk_fail(err, SLK_CONFIG,
			"with auth: aws, index and type may have letters, digits, '-', '.' and '_' "
			"only");
	int rc = dlv_key_file_open(e->credentials, &auth->keys, err);
	if (rc != SLK_OK)
		return rc;
	rc = dlv_signer_new(e->region, e->service != NULL ? e->service : "es", &auth->signer);
	return rc == SLK_OK
		? rc
		: slk_fail(err, SLK_CONFIG, "region or service of %s cannot be signed for", e->url);
}

int
search_auth_new(const struct dlv_endpoint *endpoint, const struct slk_clock *clock, const char *url,
	struct search_auth **out_auth, struct slk_error *err)
{
	struct search_auth *auth = calloc(1, sizeof(*auth));

	if (auth == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for credentials");
	auth->endpoint = endpoint;
	auth->clock = clock;
	int rc = SLK_OK;
	if (endpoint->auth != DLV_AUTH_NONE && endpoint->credentials == NULL)
		rc = slk_fail(err, SLK_CONFIG, "deliverd.yaml: auth for %s needs credentials",
			endpoint->url);
	else if (endpoint->auth == DLV_AUTH_AWS)
		rc = aws_open(auth, url, err);
	if (rc != SLK_OK) {
		search_auth_free(auth);
		return rc;
	}
	*out_auth = auth;
	return SLK_OK;
}

/* --- Basic --- */

static int
check_owner(int fd, const char *path, struct slk_error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return slk_fail_errno(err, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return slk_fail(err, SLK_CONFIG, "%s is no file", path);
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 077) != 0)
		return slk_fail(err, SLK_DENIED,
			"%s has to belong to root or to deliverd's user, and be readable by nobody "
			"else (mode 0600)",
			path);
	return SLK_OK;
}

static int
read_credentials(const char *path, struct slk_secret **out_text, struct slk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return slk_fail_errno(err, "cannot open %s", path);
	int rc = check_owner(fd, path, err);
	if (rc == SLK_OK) {
		rc = slk_secret_from_fd(fd, CREDENTIALS_MAX, out_text);
		if (rc != SLK_OK)
			rc = slk_fail(
				err, rc, "cannot read %s: it has one line, user:password", path);
	}
	close(fd);
	return rc;
}

/* One line, a colon, no control characters. */
static bool
is_user_and_password(const struct slk_secret *text)
{
	const uint8_t *bytes = slk_secret_peek(text);
	size_t len = slk_secret_len(text);

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] < ' ' || bytes[i] == 0x7f)
			return false;
	}
	return memchr(bytes, ':', len) != NULL && bytes[0] != ':';
}

static int
make_basic(const struct slk_secret *text, struct slk_secret **out_header)
{
	static const char scheme[] = "Basic ";
	size_t head = sizeof(scheme) - 1, len = slk_secret_len(text);
	size_t chars = slk_base64_chars(len), padded = (len + 2) / 3 * 4;
	struct slk_secret *header = NULL;

	int rc = slk_secret_new(head + padded + 1, &header);
	if (rc != SLK_OK)
		return rc;
	char *out = (char *)slk_secret_bytes(header);
	memcpy(out, scheme, head);
	rc = slk_base64_encode(
		SLK_BASE64, slk_span(slk_secret_peek(text), len), out + head, chars + 1);
	if (rc != SLK_OK) {
		slk_secret_free(header);
		return rc;
	}
	memset(out + head + chars, '=', padded - chars);
	out[head + padded] = '\0';
	*out_header = header;
	return SLK_OK;
}

static int
basic_headers(struct search_auth *auth, struct dlv_web_header *headers, size_t *count,
	struct slk_error *err)
{
	struct slk_secret *text = NULL;

	slk_secret_free(auth->basic);
	auth->basic = NULL;
	int rc = read_credentials(auth->endpoint->credentials, &text, err);
	if (rc != SLK_OK)
		return rc;
	if (!is_user_and_password(text))
		rc = slk_fail(err, SLK_CONFIG, "%s is not one line, user:password",
			auth->endpoint->credentials);
	else if (make_basic(text, &auth->basic) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for credentials");
	slk_secret_free(text);
	if (rc == SLK_OK)
		headers[(*count)++] = (struct dlv_web_header){
			"Authorization", (const char *)slk_secret_peek(auth->basic)};
	return rc;
}

/* --- SigV4 --- */

static int
sign(struct search_auth *auth, const char *url, const uint8_t *sha256, const struct dlv_keys *keys,
	uint64_t generation, const struct dlv_web_header *headers, size_t count)
{
	const struct dlv_param params[] = {{"filter_path", SEARCH_FILTER}};
	char host[256], path[SEARCH_URL_MAX];
	size_t path_len = strcspn(path_of(url), "?");

	memcpy(path, path_of(url), path_len); /* a URL of search_url() */
	path[path_len] = '\0';
	int rc = host_of(url, host, sizeof(host));
	if (rc != SLK_OK)
		return rc;
	const struct dlv_sign_request request = {
		.method = "POST",
		.host = host,
		.path = path,
		.params = params,
		.params_count = 1,
		.headers = headers,
		.headers_count = count,
		.payload_sha256 = sha256,
		.wall_ns = slk_wall_ns(auth->clock),
	};
	dlv_signed_fini(&auth->signature);
	auth->signature = (struct dlv_signed){0};
	return dlv_sign(auth->signer, keys, generation, &request, &auth->signature);
}

/* The digest is made in the loop: 10 MiB take about 6 ms. */
static int
aws_headers(struct search_auth *auth, const char *url, struct slk_span body,
	struct dlv_web_header *headers, size_t *count, struct slk_error *err)
{
	const struct dlv_keys *keys;
	uint64_t generation;
	uint8_t sha256[32];
	unsigned len = sizeof(sha256);

	int rc = dlv_key_file_read(auth->keys, &keys, &generation, err);
	if (rc != SLK_OK)
		return rc;
	if (EVP_Digest(body.ptr, body.len, sha256, &len, EVP_sha256(), NULL) != 1)
		return slk_fail(err, SLK_INTERNAL, "SHA-256 failed");
	rc = sign(auth, url, sha256, keys, generation, headers, *count);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "the request cannot be signed: %s", slk_status_sentence(rc));
	*count = auth->signature.headers_count;
	memcpy(headers, auth->signature.headers, *count * sizeof(headers[0]));
	return SLK_OK;
}

int
search_auth_headers(struct search_auth *auth, const char *url, struct slk_span body,
	struct dlv_web_header *headers, size_t *count, struct slk_error *err)
{
	switch (auth->endpoint->auth) {
	case DLV_AUTH_BASIC:
		return basic_headers(auth, headers, count, err);
	case DLV_AUTH_AWS:
		return aws_headers(auth, url, body, headers, count, err);
	case DLV_AUTH_NONE:
		break;
	}
	return SLK_OK;
}
