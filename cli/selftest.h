/* sealock status --self-test. Thread: the process has one. */
#ifndef SLK_CLI_SELFTEST_H
#define SLK_CLI_SELFTEST_H

#include "cli.h"

/* Have the self-tests of token and kmsd run, and print how they ended, with versions and what is approved and validated.
 * Returns enum cli_exit: CLI_EXIT_FAILED also if one did not pass. */
int cli_selftest(struct cli *cli);

#endif
