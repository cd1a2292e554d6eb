/* Run a command line of `sealock` in a child of the test, and look at what it printed. */
#ifndef SLK_TESTS_LIB_CLI_RUN_H
#define SLK_TESTS_LIB_CLI_RUN_H

#include <stddef.h>

#define CLI_RUN_OUT_MAX 65536u

struct cli_run {
	int code; /* exit status; 128 + n if signal n killed it */
	char out[CLI_RUN_OUT_MAX]; /* terminated; what does not fit is lost */
	char err[CLI_RUN_OUT_MAX];
};

/* args: NULL-terminated, without the program's name. input: what stdin gives, or NULL for nothing.
 */
void cli_run(struct cli_run *run, const char *input, const char *const *args);

/* cli_run_args(&run, "key", "list"): the same without stdin. */
#define cli_run_args(run, ...) cli_run((run), NULL, (const char *const[]){__VA_ARGS__, NULL})

#endif
