/* sealock key sign | verify | public-key | reference */
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "crypt.h"
#include "text.h"

#define PEM_LINE 64u
#define ALGORITHMS \
	"RSASSA_PSS_SHA_256 (_384, _512), RSASSA_PKCS1_V1_5_SHA_256 (_384, _512), or " \
	"ECDSA_SHA_256 (P-256), _384 (P-384), _512 (P-521)"

#define ALGORITHM_OPTION \
	{ \
		"algorithm", CLI_CRYPT_ALGORITHM, "NAME", 0, ALGORITHMS, 1 \
	}

/* The message, or (--digest) its digest. */
static int
read_message(const struct cli_crypt_args *args, uint8_t buffer[KMSC_MESSAGE_MAX],
	struct kmsc_message *out, struct slk_error *err)
{
	size_t len = 0;
	int rc = cli_bytes_read(args->in, false, buffer, KMSC_MESSAGE_MAX, &len, err);

	if (rc == SLK_INVALID && len == 0 && !args->digest)
		(void)slk_fail_prefix(
			err, "a message has 1 to 4096 bytes; of a longer one sign the --digest");
	*out = (struct kmsc_message){slk_span(buffer, len), args->digest};
	return rc;
}

static int
sign(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	uint8_t buffer[KMSC_MESSAGE_MAX];
	struct kmsc *kms = cli_kms(args->cli, err);
	struct kmsc_message message;
	struct kmsc_signature made;

	int rc = kms == NULL ? err->status : SLK_OK;
	if (rc == SLK_OK)
		rc = read_message(args, buffer, &message, err);
	if (rc == SLK_OK)
		rc = kmsc_sign(kms, args->key, args->algorithm, &message, &made, err);
	if (rc != SLK_OK)
		return rc;
	const struct slk_span bytes = slk_span(made.bytes, made.len);
	cli_json_str(json, "key_arn", made.key_arn);
	cli_json_str(json, "algorithm", made.algorithm);
	if (json != NULL && cli_bytes_is_stdout(args->out))
		return cli_bytes_json(json, "signature", bytes, err);
	return cli_bytes_write(
		args->cli, args->out, bytes, (struct cli_bytes_form){.base64 = args->base64}, err);
}

int
cli_key_sign(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		ALGORITHM_OPTION,
		{"in", CLI_CRYPT_IN, "FILE", 0, "The message, 1 to 4096 bytes (default: stdin)", 1},
		{"digest", CLI_CRYPT_DIGEST, 0, 0,
			"It is the message's digest already, as raw bytes", 1},
		{"out", CLI_CRYPT_OUT, "FILE", 0, "Where the signature goes (default: stdout)", 1},
		{"base64", CLI_CRYPT_BASE64, 0, 0, "Write the signature as base64", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Sign with a master key for SIGN_VERIFY, inside the HSM. Signatures of RSA keys "
		"are raw, those of ECC keys DER, as openssl takes both.\v"
		"Example:\n"
		"  sealock key sign alias/release --algorithm ECDSA_SHA_256 --in note --out "
		"note.sig\n"
		"  openssl dgst -sha256 -binary image | sealock key sign alias/release \\\n"
		"    --algorithm ECDSA_SHA_256 --digest --out image.sig\n"
		"  sealock key public-key alias/release --out release.pem\n"
		"  openssl dgst -sha256 -verify release.pem -signature image.sig image",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli, .algorithm_needed = true};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = sign(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

static int
verify(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	uint8_t buffer[KMSC_MESSAGE_MAX], signature[KMSC_SIGNATURE_MAX + 1];
	struct kmsc *kms = cli_kms(args->cli, err);
	struct kmsc_message message;
	char arn[KMSC_ARN_MAX];
	size_t len = 0;

	int rc = kms == NULL ? err->status : SLK_OK;
	if (rc == SLK_OK)
		rc = cli_bytes_read(
			args->signature, args->base64, signature, sizeof(signature), &len, err);
	if (rc == SLK_OK)
		rc = read_message(args, buffer, &message, err);
	if (rc == SLK_OK)
		rc = kmsc_verify(kms, args->key, args->algorithm, &message,
			slk_span(signature, len), arn, err);
	if (rc == SLK_BAD_TAG)
		(void)slk_fail_prefix(err, "the signature does not fit this message and key");
	if (rc != SLK_OK)
		return rc;
	cli_json_bool(json, "valid", true);
	cli_json_str(json, "key_arn", arn);
	cli_json_str(json, "algorithm", args->algorithm);
	if (json == NULL)
		cli_out_printf(args->cli->out, "the signature is valid\n");
	return SLK_OK;
}

int
cli_key_verify(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		ALGORITHM_OPTION,
		{"signature", CLI_CRYPT_SIGNATURE, "FILE", 0, "The signature", 1},
		{"in", CLI_CRYPT_IN, "FILE", 0, "The message (default: stdin)", 1},
		{"digest", CLI_CRYPT_DIGEST, 0, 0,
			"It is the message's digest already, as raw bytes", 1},
		{"base64", CLI_CRYPT_BASE64, 0, 0, "The signature is base64", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Check a signature. Exit status 0: it is valid; 1: it is not, or could not be "
		"checked.\v"
		"Example:\n"
		"  sealock key verify alias/release --algorithm ECDSA_SHA_256 --signature note.sig "
		"--in note",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {
		.cli = cli, .algorithm_needed = true, .signature_needed = true};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = verify(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

/* --- public-key --- */

/* RFC 7468: base64 in lines of 64 between two labels. Returns the length. */
static size_t
pem(const char *label, struct slk_span body, char *out, size_t cap)
{
	char digits[KMSC_PUBLIC_KEY_MAX / 3 * 4 + 8];
	char line[64];
	struct slk_writer w = slk_writer(out, cap);
	size_t len = cli_base64_len(body.len);

	cli_base64(body, digits);
	slk_write_bytes(
		&w, line, (size_t)snprintf(line, sizeof(line), "-----BEGIN %s-----\n", label));
	for (size_t at = 0; at < len; at += PEM_LINE) {
		slk_write_bytes(&w, digits + at, len - at < PEM_LINE ? len - at : PEM_LINE);
		slk_write_u8(&w, '\n');
	}
	slk_write_bytes(
		&w, line, (size_t)snprintf(line, sizeof(line), "-----END %s-----\n", label));
	return w.len;
}

static int
public_key(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);
	struct kmsc_public_key key = {.der_len = 0};
	char text[2 * KMSC_PUBLIC_KEY_MAX];

	int rc = kms == NULL ? err->status : kmsc_get_public_key(kms, args->key, &key, err);
	if (rc != SLK_OK)
		return rc;
	const struct slk_span der = slk_span(key.der, key.der_len);
	cli_json_str(json, "key_arn", key.key_arn);
	cli_json_str(json, "spec", key.spec);
	cli_json_str(json, "usage", key.usage);
	cli_json_key(json, "algorithms");
	cli_json_array(json);
	for (size_t i = 0; i < key.algorithms_count; i++)
		cli_json_text(json, key.algorithms[i]);
	cli_json_array_end(json);
	if (json != NULL && cli_bytes_is_stdout(args->out))
		return cli_bytes_json(json, "public_key", der, err);
	const struct slk_span bytes =
		args->der ? der : slk_span(text, pem("PUBLIC KEY", der, text, sizeof(text)));
	return cli_bytes_write(
		args->cli, args->out, bytes, (struct cli_bytes_form){.text = !args->der}, err);
}

int
cli_key_public(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"out", CLI_CRYPT_OUT, "FILE", 0, "Where it goes (default: stdout)", 1},
		{"der", CLI_CRYPT_DER, 0, 0, "As DER instead of PEM", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Export the public half of an RSA or ECC key (SubjectPublicKeyInfo), for whoever "
		"verifies or encrypts without kmsd. Works with the HSM away.\v"
		"Example:\n"
		"  sealock key public-key alias/release --out release.pem\n"
		"  sealock key public-key alias/release --json | jq -r '.algorithms[]'",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = public_key(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

/* --- reference --- */

/* "EC sealock:alias/web\n": by alias if it was named so, and then follows it. */
static int
reference_text(const char *name, const struct kmsc_public_key *key, char *out, size_t cap,
	struct slk_error *err)
{
	const char *slash = strrchr(key->key_arn, '/');
	bool by_alias = strncmp(name, "alias/", 6) == 0;
	int len = snprintf(out, cap, "%s sealock:%s%s\n",
		strncmp(key->spec, "RSA_", 4) == 0 ? "RSA" : "EC", by_alias ? "" : "key",
		by_alias || slash == NULL ? name : slash);

	return len > 0 && (size_t)len < cap
		? SLK_OK
		: slk_fail(err, SLK_TOO_LARGE, "the name of the key is too long for a reference");
}

static int
reference(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);
	struct kmsc_public_key key;
	char body[KMSC_NAME_MAX + 32], text[2 * KMSC_PUBLIC_KEY_MAX];

	int rc = kms == NULL ? err->status : kmsc_get_public_key(kms, args->key, &key, err);
	if (rc == SLK_OK)
		rc = reference_text(args->key, &key, body, sizeof(body), err);
	if (rc != SLK_OK)
		return rc;
	const struct slk_span written = slk_span(text,
		pem("SEALOCK KEY REFERENCE", slk_span(body, strlen(body)), text, sizeof(text)));
	cli_json_str(json, "key_arn", key.key_arn);
	cli_json_str(json, "spec", key.spec);
	if (json != NULL && cli_bytes_is_stdout(args->out)) {
		text[written.len] = '\0';
		cli_json_str(json, "reference", text);
		return SLK_OK;
	}
	return cli_bytes_write(
		args->cli, args->out, written, (struct cli_bytes_form){.text = true}, err);
}

int
cli_key_reference(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"out", CLI_CRYPT_OUT, "FILE", 0, "Where it goes (default: stdout)", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Write a PEM file that names an RSA or ECC key in the HSM, for programs that read "
		"private keys from PEM files and run OpenSSL with Sealock's provider (nginx, "
		"haproxy, "
		"PostgreSQL). It holds no secret: kmsd decides by uid who may use the key.\v"
		"Example:\n"
		"  sealock key reference alias/web --out /etc/nginx/web.key.pem",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = reference(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}
