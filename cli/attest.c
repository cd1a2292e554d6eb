#include "attest.h"

#include "base/secret.h"
#include "format/attest.h"

int
cli_attest_identify(struct cli *cli, struct kmsc_attestation *out_attestation,
	char out_pem[SEAL_ATTEST_PEM_MAX], struct slk_error *err)
{
	uint8_t digest[SEAL_SHA256_BYTES];
	struct kmsc *kms = cli_kms(cli, err);

	if (kms == NULL)
		return SLK_NO_MEMORY;
	if (slk_random(digest, sizeof(digest)) != SLK_OK)
		return slk_fail(err, SLK_SYSTEM, "no random bytes can be had");
	int rc = kmsc_attest(kms, FMT_ATTEST_IDENTIFY, digest, out_attestation, err);
	if (rc != SLK_OK)
		return rc;
	const struct slk_span der =
		slk_span(out_attestation->public_key, out_attestation->public_key_len);
	rc = seal_attest_verify(der, FMT_ATTEST_IDENTIFY, digest,
		slk_span(out_attestation->signature, out_attestation->signature_len));
	if (rc == SLK_OK)
		rc = seal_attest_pem(der, out_pem, SEAL_ATTEST_PEM_MAX);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "kmsd's signature does not fit the attestation key that it names");
	return SLK_OK;
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int
cli_attestation_key(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse, NULL,
		"Print the public key with which the appliance signs what it saw (PEM), after it "
		"proved to "
		"have the private one; the key is made in the HSM at the first use. For "
		"administrators.\v"
		"Example:\n"
		"  sealock key attestation-key >sealock-attest.pem\n"
		"  sealock journal verify --attestation-key sealock-attest.pem\n"
		"\n"
		"Keep the file apart from the journal: side files of re-wrapped keys that another "
		"key "
		"signed are then passed over.",
		cli_common_children, NULL, NULL};
	char pem[SEAL_ATTEST_PEM_MAX], hex[2 * SEAL_SHA256_BYTES + 1];
	struct kmsc_attestation attestation;
	uint8_t hash[SEAL_SHA256_BYTES];
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, cli);
	if (cli_attest_identify(cli, &attestation, pem, &err) != SLK_OK)
		return cli_fail(cli, &err);
	if (seal_sha256(slk_span(attestation.public_key, attestation.public_key_len), hash) !=
		SLK_OK) {
		(void)slk_fail(&err, SLK_INTERNAL, "SHA-256 cannot be had");
		return cli_fail(cli, &err);
	}
	slk_hex(slk_span(hash, sizeof(hash)), hex, sizeof(hex));
	if (!cli->json) {
		cli_out_text(cli->out, pem);
		return CLI_EXIT_OK;
	}
	yajl_gen json = cli_json_begin(cli->out, false);
	cli_json_map(json);
	cli_json_str(json, "arn", attestation.key_arn);
	cli_json_str(json, "spec", "ECC_NIST_P256");
	cli_json_str(json, "sha256", hex);
	cli_json_str(json, "pem", pem);
	cli_json_map_end(json);
	cli_json_end(json);
	return CLI_EXIT_OK;
}
