#include "audit.h"

#include "evidence.h"

int
cli_audit(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command commands[] = {
		{"verify", "check the chain and the signed heads (no kmsd needed)",
			cli_audit_verify},
		{"search", "find uses by who, what, key, time, outcome or request",
			cli_audit_search},
		{"tail", "show the last uses, and follow", cli_audit_tail},
		{"evidence", "write a bundle that an auditor checks offline", cli_audit_evidence},
		{0},
	};

	return cli_dispatch(cli, commands,
		"The audit log of sealock-kmsd: a line for every use of a key or a stream, allowed "
		"or refused.",
		"Example:\n"
		"  sealock audit tail -f\n"
		"  sealock audit search --outcome denied --since -1d\n"
		"  sealock audit verify",
		argc, argv);
}
