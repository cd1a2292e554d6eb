/* sealock hsm probe. Thread: the process has one. */
#ifndef SLK_CLI_HSM_PROBE_H
#define SLK_CLI_HSM_PROBE_H

#include "cli.h"

int cli_hsm_probe(struct cli *cli, int argc, char **argv);

#endif
