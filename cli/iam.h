/* Who may do what: entries of the tables of cli.c, key.c, stream.c and policy.c, and what the sources behind them share. */
#ifndef SLK_CLI_IAM_H
#define SLK_CLI_IAM_H

#include "verb.h"

#include "kmsclient/policies.h"

/* identity.c: users and roles; holdings.c: the policies of one. A verb of both takes 0 for users, 1 for roles. */
int cli_iam_user(struct cli *cli, int argc, char **argv);
int cli_iam_role(struct cli *cli, int argc, char **argv);
int cli_iam_user_policy(struct cli *cli, int argc, char **argv);
int cli_iam_role_policy(struct cli *cli, int argc, char **argv);
int cli_iam_user_boundary(struct cli *cli, int argc, char **argv);
int cli_iam_role_boundary(struct cli *cli, int argc, char **argv);
/* managed.c */
int cli_iam_policy(struct cli *cli, int argc, char **argv);
/* access.c */
int cli_iam_access_key(struct cli *cli, int argc, char **argv);
/* assume.c */
int cli_iam_role_assume(struct cli *cli, int argc, char **argv);
#define CLI_PROFILE_MAX 64u
/* Write credentials to path, its owner's alone, as AWS's tools read ~/.aws/credentials, for the profile of that name (at most
 * CLI_PROFILE_MAX characters). secret and token (NULL: none) have no terminator. */
struct slk_secret;
MUST_USE int cli_iam_write_profile(struct cli *cli, const char *path, const char *profile,
	const char *id, const struct slk_secret *secret, const struct slk_secret *token,
	struct slk_error *err);
/* keypolicy.c */
int cli_key_policy(struct cli *cli, int argc, char **argv);
int cli_stream_policy(struct cli *cli, int argc, char **argv);
/* grant.c */
int cli_key_grant(struct cli *cli, int argc, char **argv);
/* explain.c */
int cli_policy_explain(struct cli *cli, int argc, char **argv);

/* Two entries for one verb of users and roles: user_VERB and role_VERB. */
#define CLI_VERB_OF_BOTH(verb) \
	static int user_##verb(struct cli *cli, int argc, char **argv) \
	{ \
		return cli_verb_run(cli, &verb, 0, argc, argv); \
	} \
	static int role_##verb(struct cli *cli, int argc, char **argv) \
	{ \
		return cli_verb_run(cli, &verb, 1, argc, argv); \
	}
/* One entry for any other verb: run_VERB. */
#define CLI_VERB_ENTRY(verb) \
	static int run_##verb(struct cli *cli, int argc, char **argv) \
	{ \
		return cli_verb_run(cli, &verb, 0, argc, argv); \
	}

/* The user or the role that the first word names. */
static inline struct kmsc_who
cli_verb_who(const struct cli_verb_args *args)
{
	return (struct kmsc_who){args->variant == 1, args->words[0]};
}

static inline const char *
cli_verb_kind(const struct cli_verb_args *args)
{
	return args->variant == 1 ? "role" : "user";
}

#endif
