/* The appliance's attestation key, asked from kmsd. Thread: the process has one. */
#ifndef SLK_CLI_ATTEST_H
#define SLK_CLI_ATTEST_H

#include "cli.h"
#include "seal/attest.h"

/* Have kmsd sign a random digest (purpose "identify"), check the signature, and give the key that made it: whoever answers
 * has the private key. out_pem: SEAL_ATTEST_PEM_MAX bytes. The errors of kmsc_attest(); SLK_BAD_TAG. */
MUST_USE int cli_attest_identify(struct cli *cli, struct kmsc_attestation *out_attestation,
	char out_pem[SEAL_ATTEST_PEM_MAX], struct slk_error *err);

/* sealock key attestation-key */
int cli_attestation_key(struct cli *cli, int argc, char **argv);

#endif
