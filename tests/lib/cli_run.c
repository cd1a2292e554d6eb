#include "cli_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slk_test.h"
#include "cli.h"

#define ARGS_MAX 64

static FILE *
scratch(void)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	return f;
}

static void
slurp(FILE *f, char *out)
{
	rewind(f);
	size_t n = fread(out, 1, CLI_RUN_OUT_MAX - 1, f);
	out[n] = '\0';
	fclose(f);
}

static void
child(const char *const *args, FILE *in, FILE *out, FILE *err)
{
	char *copies[ARGS_MAX + 1] = {strdup("sealock")};
	char *argv[ARGS_MAX + 2] = {copies[0]};
	int argc = 1;

	for (; args[argc - 1] != NULL && argc <= ARGS_MAX; argc++)
		argv[argc] = copies[argc] = strdup(args[argc - 1]);
	dup2(fileno(in), STDIN_FILENO);
	dup2(fileno(out), STDOUT_FILENO);
	dup2(fileno(err), STDERR_FILENO);
	int code = cli_main(argc, argv);
	for (int i = 0; i < argc; i++)
		free(copies[i]); /* argv's pointers are the program's to change */
	fflush(NULL);
	_exit(code);
}

void
cli_run(struct cli_run *run, const char *input, const char *const *args)
{
	FILE *in = scratch();
	FILE *out = scratch();
	FILE *err = scratch();
	int status = 0;

	if (input != NULL)
		fwrite(input, 1, strlen(input), in);
	fflush(NULL);
	rewind(in);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(args, in, out, err);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	run->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fclose(in);
	slurp(out, run->out);
	slurp(err, run->err);
}
