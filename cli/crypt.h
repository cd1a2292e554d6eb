/* sealock key encrypt | decrypt | re-encrypt | data-key | random | sign | verify | public-key | reference: entries of key.c's table. */
#ifndef SLK_CLI_CRYPT_H
#define SLK_CLI_CRYPT_H

#include "cli.h"
#include "kmsclient/crypto.h"

int cli_key_encrypt(struct cli *cli, int argc, char **argv);
int cli_key_decrypt(struct cli *cli, int argc, char **argv);
int cli_key_re_encrypt(struct cli *cli, int argc, char **argv);
int cli_key_data_key(struct cli *cli, int argc, char **argv);
int cli_key_random(struct cli *cli, int argc, char **argv);
int cli_key_sign(struct cli *cli, int argc, char **argv);
int cli_key_verify(struct cli *cli, int argc, char **argv);
int cli_key_public(struct cli *cli, int argc, char **argv);
int cli_key_reference(struct cli *cli, int argc, char **argv);
int cli_key_data(struct cli *cli, int argc, char **argv); /* datakey.c */

/* --- what they share (crypt_args.c) --- */

/* Everything that one of them may be told; each takes the options that are its own. */
struct cli_crypt_args {
	struct cli *cli;
	const char *key; /* the argument KEY */
	bool key_optional, algorithm_needed, signature_needed;
	const char *in, *out, *plaintext_out, *signature;
	const char *algorithm, *source_algorithm, *source_key;
	struct fmt_context *context, *source_context; /* NULL while empty */
	bool base64, digest, der;
	uint32_t bytes_count;
};

enum {
	CLI_CRYPT_IN = 'i',
	CLI_CRYPT_OUT = 'o',
	CLI_CRYPT_ALGORITHM = 'a',
	CLI_CRYPT_CONTEXT = 'c',
	CLI_CRYPT_BYTES = 'n',
	CLI_CRYPT_BASE64 = 0x200,
	CLI_CRYPT_SPEC,
	CLI_CRYPT_PLAINTEXT_OUT,
	CLI_CRYPT_SIGNATURE,
	CLI_CRYPT_DIGEST,
	CLI_CRYPT_DER,
	CLI_CRYPT_SOURCE_KEY,
	CLI_CRYPT_SOURCE_ALGORITHM,
	CLI_CRYPT_SOURCE_CONTEXT,
};

/* The parser of each; its input is a struct cli_crypt_args with cli and what is needed set. */
error_t cli_crypt_parse(int key, char *arg, struct argp_state *state);
void cli_crypt_args_fini(struct cli_crypt_args *args);
/* Take one more pair, K=V, split at the first =; *context is made with the first. Wrong usage ends the process. */
void cli_take_pair(struct fmt_context **context, const char *arg, struct argp_state *state);

/* Begin and end the one JSON document of a command, if it was asked for; NULL otherwise. */
yajl_gen cli_crypt_json(struct cli *cli);
/* rc: how the command went. Fails with *err, without half a document. */
int cli_crypt_end(struct cli_crypt_args *args, yajl_gen json, int rc, const struct slk_error *err);

#endif
