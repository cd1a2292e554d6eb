/* Verbs of sealock delivery. Thread: the process has one. */
#ifndef SLK_CLI_DELIVERY_H
#define SLK_CLI_DELIVERY_H

#include "cli.h"

int cli_delivery(struct cli *cli, int argc, char **argv);
int cli_delivery_status(struct cli *cli, int argc, char **argv);

#endif
