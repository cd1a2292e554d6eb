/* sealock audit: its commands. Thread: the process has one. */
#ifndef SLK_CLI_AUDIT_H
#define SLK_CLI_AUDIT_H

#include "cli.h"

int cli_audit_verify(struct cli *cli, int argc, char **argv);
int cli_audit_search(struct cli *cli, int argc, char **argv);
int cli_audit_tail(struct cli *cli, int argc, char **argv);

#endif
