/* Verbs of sealock delivery. Thread: the process has one. */
#ifndef SLK_CLI_DELIVERY_H
#define SLK_CLI_DELIVERY_H

#include "verb.h"
#include "kmsclient/delivery.h"

int cli_delivery(struct cli *cli, int argc, char **argv);
int cli_delivery_status(struct cli *cli, int argc, char **argv);

/* delivery_make.c */
int cli_delivery_create(struct cli *cli, int argc, char **argv);
int cli_delivery_update(struct cli *cli, int argc, char **argv);
/* delivery_show.c */
int cli_delivery_list(struct cli *cli, int argc, char **argv);
int cli_delivery_describe(struct cli *cli, int argc, char **argv);
int cli_delivery_delete(struct cli *cli, int argc, char **argv);
int cli_delivery_encrypt(struct cli *cli, int argc, char **argv);
int cli_delivery_unencrypt(struct cli *cli, int argc, char **argv);
/* tags.c */
int cli_delivery_tag(struct cli *cli, int argc, char **argv);
int cli_delivery_untag(struct cli *cli, int argc, char **argv);
int cli_delivery_tags(struct cli *cli, int argc, char **argv);

/* A delivery stream without its description, in an open map. */
void cli_delivery_shape(yajl_gen json, const struct kmsc_delivery_stream *stream);

extern const struct argp_option cli_delivery_wait_options[];
/* Print what kmsd says of the delivery stream now; with --wait, once its state and its encryption have settled. */
MUST_USE int cli_delivery_show(
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err);

#endif
