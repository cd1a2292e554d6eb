/* What was lost of a journal, as people and programs read it; and `sealock journal salvage`. */
#ifndef SEALOCK_CLI_SALVAGE_H
#define SEALOCK_CLI_SALVAGE_H

#include "cli.h"
#include "journal/salvage.h"

/* A line, or an element of the array that is open in json. */
void cli_loss_out(struct cli *cli, yajl_gen json, const struct jnl_loss *loss);

int cli_journal_salvage(struct cli *cli, int argc, char **argv);

#endif
