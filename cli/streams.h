/* Verbs of sealock stream that live in sources of their own: entries of stream.c's table. */
#ifndef SLK_CLI_STREAMS_H
#define SLK_CLI_STREAMS_H

#include "kmsclient/streams.h"
#include "verb.h"

/* shards.c */
int cli_stream_split(struct cli *cli, int argc, char **argv);
int cli_stream_merge(struct cli *cli, int argc, char **argv);
int cli_stream_reshard(struct cli *cli, int argc, char **argv);
int cli_stream_shards(struct cli *cli, int argc, char **argv);
/* settings.c */
int cli_stream_retention(struct cli *cli, int argc, char **argv);
int cli_stream_encrypt(struct cli *cli, int argc, char **argv);
int cli_stream_unencrypt(struct cli *cli, int argc, char **argv);
/* tags.c */
int cli_stream_tag(struct cli *cli, int argc, char **argv);
int cli_stream_untag(struct cli *cli, int argc, char **argv);
int cli_stream_tags(struct cli *cli, int argc, char **argv);

/* --- what they share (settings.c) --- */

/* --wait, for a verb's options. */
extern const struct argp_option cli_stream_wait_options[];
/* Print the stream as it is after a change; first wait for ingestd to perform it, if --wait was said: a minute, then
 * SLK_TIMEOUT. */
MUST_USE int cli_stream_show(
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err);

#endif
