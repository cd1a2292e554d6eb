/* sealock key rewrap: the journal's epoch keys under another master key, or newer material of it. */
#ifndef SLK_CLI_REWRAP_H
#define SLK_CLI_REWRAP_H

struct cli;

int cli_rewrap(struct cli *cli, int argc, char **argv);

#endif
