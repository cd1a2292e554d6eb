/* sealock key encrypt | decrypt | re-encrypt | data-key | random */
#include "crypt.h"

#include <string.h>

#include "bytes.h"

#define CONTEXT_OPTION(meaning) \
	{ \
		"context", CLI_CRYPT_CONTEXT, "KEY=VALUE", 0, meaning, 1 \
	}
#define IN_OPTION(meaning) \
	{ \
		"in", CLI_CRYPT_IN, "FILE", 0, meaning, 1 \
	}
#define OUT_OPTION(meaning) \
	{ \
		"out", CLI_CRYPT_OUT, "FILE", 0, meaning, 1 \
	}
#define ALGORITHM_OPTION(meaning) \
	{ \
		"algorithm", CLI_CRYPT_ALGORITHM, "NAME", 0, meaning, 1 \
	}

static void
json_ciphertext(yajl_gen json, const struct kmsc_ciphertext *c)
{
	cli_json_str(json, "key_arn", c->key_arn);
	if (c->algorithm[0] != '\0')
		cli_json_str(json, "algorithm", c->algorithm);
	if (c->material_id[0] != '\0')
		cli_json_str(json, "material_id", c->material_id);
}

/* To --out, or else to stdout; as JSON under a name unless it went to a file. */
static int
give(const struct cli_crypt_args *args, yajl_gen json, const char *name, const char *path,
	struct slk_span bytes, struct cli_bytes_form form, struct slk_error *err)
{
	if (json != NULL && cli_bytes_is_stdout(path))
		return cli_bytes_json(json, name, bytes, err);
	return cli_bytes_write(args->cli, path, bytes, form, err);
}

static int
give_ciphertext(const struct cli_crypt_args *args, yajl_gen json, const struct kmsc_ciphertext *c,
	struct slk_error *err)
{
	json_ciphertext(json, c);
	return give(args, json, "ciphertext", args->out, slk_span(c->bytes, c->len),
		(struct cli_bytes_form){.base64 = args->base64}, err);
}

/* --- encrypt --- */

static int
encrypt(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);
	struct slk_secret *plain = NULL;
	struct kmsc_ciphertext sealed;

	int rc = kms == NULL ? err->status : SLK_OK;
	if (rc == SLK_OK)
		rc = cli_bytes_read_secret(args->in, KMSC_PLAINTEXT_MAX, &plain, err);
	if (rc == SLK_OK)
		rc = kmsc_encrypt_with(
			kms, args->key, args->algorithm, args->context, plain, &sealed, err);
	slk_secret_free(plain);
	return rc == SLK_OK ? give_ciphertext(args, json, &sealed, err) : rc;
}

int
cli_key_encrypt(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		IN_OPTION("What to encrypt, 1 to 4096 bytes (default: stdin)"),
		OUT_OPTION("Where the ciphertext goes (default: stdout)"),
		CONTEXT_OPTION("A pair of the encryption context; may be given more than once"),
		ALGORITHM_OPTION("RSAES_OAEP_SHA_1 or RSAES_OAEP_SHA_256, for RSA keys"),
		{"base64", CLI_CRYPT_BASE64, 0, 0, "Write the ciphertext as base64", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Encrypt a few bytes under a master key, inside the HSM. KEY is its id, its ARN, "
		"or an alias. The same context is needed to decrypt; it is not secret, and is "
		"written to the audit log.\v"
		"Example:\n"
		"  sealock key encrypt alias/web --context app=web --in token --out token.sealed\n"
		"  sealock key decrypt --context app=web --in token.sealed\n"
		"\n"
		"For more than 4096 bytes take a data key: see 'sealock key data-key --help'.",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = encrypt(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

/* --- decrypt --- */

static int
give_plaintext(const struct cli_crypt_args *args, yajl_gen json, const struct kmsc_plaintext *plain,
	struct slk_error *err)
{
	cli_json_str(json, "key_arn", plain->key_arn);
	cli_json_str(json, "algorithm", plain->algorithm);
	if (plain->material_id[0] != '\0')
		cli_json_str(json, "material_id", plain->material_id);
	return give(args, json, "plaintext", args->out,
		slk_span(slk_secret_peek(plain->bytes), slk_secret_len(plain->bytes)),
		(struct cli_bytes_form){.text = true}, err);
}

static int
decrypt(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	uint8_t sealed[KMSC_BLOB_MAX];
	struct kmsc *kms = cli_kms(args->cli, err);
	struct kmsc_plaintext plain = {.bytes = NULL};
	size_t len = 0;

	int rc = kms == NULL ? err->status : SLK_OK;
	if (rc == SLK_OK)
		rc = cli_bytes_read(args->in, args->base64, sealed, sizeof(sealed), &len, err);
	if (rc == SLK_OK)
		rc = kmsc_decrypt_with(kms, args->key, args->algorithm, args->context,
			slk_span(sealed, len), &plain, err);
	if (rc == SLK_INVALID_CIPHERTEXT) /* kmsd says no more, on purpose */
		(void)slk_fail_prefix(
			err, "this is not what was encrypted with this key and context");
	if (rc == SLK_OK)
		rc = give_plaintext(args, json, &plain, err);
	slk_secret_free(plain.bytes);
	return rc;
}

int
cli_key_decrypt(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		IN_OPTION("The ciphertext (default: stdin)"),
		OUT_OPTION("Where the plaintext goes, as a file of mode 0600 (default: stdout)"),
		CONTEXT_OPTION("A pair of the encryption context that it was encrypted with"),
		ALGORITHM_OPTION("RSAES_OAEP_SHA_1 or RSAES_OAEP_SHA_256, for RSA keys"),
		{"base64", CLI_CRYPT_BASE64, 0, 0, "The ciphertext is base64", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "[KEY]",
		"Decrypt what a master key encrypted. A ciphertext names its key itself; KEY is "
		"needed for RSA keys, and otherwise says which key it has to be.\v"
		"Example:\n"
		"  sealock key decrypt --context app=web --in token.sealed --out token\n"
		"  sealock key decrypt alias/rsa --algorithm RSAES_OAEP_SHA_256 <sealed >plain",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli, .key_optional = true};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = decrypt(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

/* --- re-encrypt --- */

static int
re_encrypt(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	const struct kmsc_re_encryption how = {args->source_key, args->source_algorithm,
		args->source_context, args->key, args->algorithm, args->context};
	uint8_t sealed[KMSC_BLOB_MAX];
	struct kmsc *kms = cli_kms(args->cli, err);
	struct kmsc_re_encrypted out;
	size_t len = 0;

	int rc = kms == NULL ? err->status : SLK_OK;
	if (rc == SLK_OK)
		rc = cli_bytes_read(args->in, args->base64, sealed, sizeof(sealed), &len, err);
	if (rc == SLK_OK)
		rc = kmsc_re_encrypt(kms, &how, slk_span(sealed, len), &out, err);
	if (rc != SLK_OK)
		return rc;
	cli_json_str(json, "source_key_arn", out.source_key_arn);
	cli_json_str(json, "source_algorithm", out.source_algorithm);
	if (out.source_material_id[0] != '\0')
		cli_json_str(json, "source_material_id", out.source_material_id);
	return give_ciphertext(args, json, &out.ciphertext, err);
}

int
cli_key_re_encrypt(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		IN_OPTION("The ciphertext (default: stdin)"),
		OUT_OPTION("Where the new ciphertext goes (default: stdout)"),
		{"source-context", CLI_CRYPT_SOURCE_CONTEXT, "KEY=VALUE", 0,
			"A pair of the context that it was encrypted with", 1},
		CONTEXT_OPTION("A pair of the context for the new ciphertext"),
		{"source-key", CLI_CRYPT_SOURCE_KEY, "KEY", 0,
			"The key that it was encrypted under; needed for RSA keys", 1},
		{"source-algorithm", CLI_CRYPT_SOURCE_ALGORITHM, "NAME", 0,
			"How it was encrypted, for RSA keys", 1},
		ALGORITHM_OPTION("How to encrypt it, for RSA keys"),
		{"base64", CLI_CRYPT_BASE64, 0, 0, "Both ciphertexts are base64", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Encrypt a ciphertext anew under KEY, or under the newest generation of the same "
		"key, with another context if you like. The plaintext does not leave the HSM host, "
		"and between symmetric keys not its worker.\v"
		"Example:\n"
		"  sealock key re-encrypt alias/next --source-context app=web --context app=web "
		"\\\n"
		"    --in token.sealed --out token.next",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = re_encrypt(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

/* --- data-key, random --- */

static int
data_key(const struct cli_crypt_args *args, yajl_gen json, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);
	bool with_plaintext = args->plaintext_out != NULL;
	struct slk_secret *plain = NULL;
	struct kmsc_ciphertext sealed;

	int rc = kms == NULL ? err->status : SLK_OK;
	if (rc == SLK_OK)
		rc = kmsc_data_key(kms, args->key, args->context,
			args->bytes_count != 0 ? args->bytes_count : 32, &sealed,
			with_plaintext ? &plain : NULL, err);
	if (rc == SLK_OK)
		rc = give_ciphertext(args, json, &sealed, err);
	if (rc == SLK_OK && with_plaintext)
		rc = give(args, json, "plaintext", args->plaintext_out,
			slk_span(slk_secret_peek(plain), slk_secret_len(plain)),
			(struct cli_bytes_form){.base64 = args->base64}, err);
	slk_secret_free(plain);
	return rc;
}

int
cli_key_data_key(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"spec", CLI_CRYPT_SPEC, "NAME", 0, "AES_256 (default) or AES_128", 1},
		{"bytes", CLI_CRYPT_BYTES, "N", 0, "Or 1 to 1024 bytes", 1},
		CONTEXT_OPTION("A pair of the encryption context; may be given more than once"),
		OUT_OPTION("Where the encrypted data key goes (default: stdout)"),
		{"plaintext-out", CLI_CRYPT_PLAINTEXT_OUT, "FILE", 0,
			"Where the data key itself goes, as a file of mode 0600; without this it "
			"does not leave kmsd",
			1},
		{"base64", CLI_CRYPT_BASE64, 0, 0, "Write both as base64", 1},
		{0},
	};
	static const struct argp argp = {options, cli_crypt_parse, "KEY",
		"Draw a data key in the HSM and encrypt it under a master key. Keep the encrypted "
		"one beside your data; decrypt it when you need it.\v"
		"Example:\n"
		"  sealock key data-key alias/web --context file=7 --out 7.key --plaintext-out "
		"/dev/shm/7\n"
		"  sealock key decrypt --context file=7 --in 7.key --out /dev/shm/7",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	if (cli_bytes_is_stdout(args.out) && args.plaintext_out != NULL &&
		cli_bytes_is_stdout(args.plaintext_out) && !cli->json) {
		(void)slk_fail(&err, SLK_INVALID,
			"two things cannot go to stdout at once: give --out FILE, or --json");
		return cli_crypt_end(&args, NULL, SLK_INVALID, &err);
	}
	yajl_gen json = cli_crypt_json(cli);
	int rc = data_key(&args, json, &err);
	return cli_crypt_end(&args, json, rc, &err);
}

static int
draw(const struct cli_crypt_args *args, yajl_gen json, uint32_t bytes_count, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);
	struct slk_secret *bytes = NULL;

	int rc = kms == NULL ? err->status : kmsc_random(kms, bytes_count, &bytes, err);
	if (rc == SLK_OK)
		rc = give(args, json, "bytes", args->out,
			slk_span(slk_secret_peek(bytes), slk_secret_len(bytes)),
			(struct cli_bytes_form){.base64 = args->base64}, err);
	slk_secret_free(bytes);
	return rc;
}

static error_t
parse_random(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG) /* a number, where the others have a key */
		return cli_crypt_parse(CLI_CRYPT_BYTES, arg, state);
	return cli_crypt_parse(key, arg, state);
}

int
cli_key_random(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		OUT_OPTION("Where they go, as a file of mode 0600 (default: stdout)"),
		{"base64", CLI_CRYPT_BASE64, 0, 0, "Write them as base64", 1},
		{0},
	};
	static const struct argp argp = {options, parse_random, "N",
		"Draw N random bytes, 1 to 1024, from the HSM.\v"
		"Example:\n"
		"  sealock key random 32 --base64",
		cli_common_children, NULL, NULL};
	struct cli_crypt_args args = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	int rc = draw(&args, json, args.bytes_count, &err);
	return cli_crypt_end(&args, json, rc, &err);
}
