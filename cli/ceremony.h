/* sealock hsm ceremony. Thread: the process has one. */
#ifndef SLK_CLI_CEREMONY_H
#define SLK_CLI_CEREMONY_H

#include "cli.h"

int cli_hsm_ceremony(struct cli *cli, int argc, char **argv);

#endif
