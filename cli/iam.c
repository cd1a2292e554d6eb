#include "iam.h"

int
cli_iam(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command nouns[] = {
		{"user", "people and programs with rights of their own", cli_iam_user},
		{"role", "rights that others take on for a while", cli_iam_role},
		{"policy", "managed policies, and who holds them", cli_iam_policy},
		{"access-key", "what users prove themselves with over the network",
			cli_iam_access_key},
		{0},
	};

	return cli_dispatch(cli, nouns,
		"Identities and their policies: who may do what. The documents are AWS IAM's; "
		"docs/policies.md has the order of a decision.",
		"Example:\n"
		"  sealock iam user create alice\n"
		"  sealock iam policy create producer producer.json\n"
		"  sealock iam policy attach producer --user alice\n"
		"  sealock policy explain --principal user/alice \\\n"
		"    --action kms:GenerateDataKey --resource alias/web",
		argc, argv);
}
