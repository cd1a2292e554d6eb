#include "selftest.h"

#include <string.h>

#include "kmsclient/inspect.h"

struct selftest {
	struct cli *cli;
	yajl_gen json;
	unsigned passed, others;
};

static void
on_fact(void *arg, const char *name, const char *value)
{
	struct selftest *s = arg;

	if (strncmp(name, "self_test_", 10) == 0) {
		s->passed += strcmp(value, "passed") == 0;
		s->others += strcmp(value, "passed") != 0;
	}
	cli_json_str(s->json, name, value);
	if (s->cli->json)
		return;
	cli_out_printf(s->cli->out, "%-24s", name);
	cli_out_safe(s->cli->out, slk_span_str(value));
	cli_out_text(s->cli->out, "\n");
}

int
cli_selftest(struct cli *cli)
{
	struct selftest s = {.cli = cli};
	struct slk_error err = {0};
	struct kmsc *kms = cli_kms(cli, &err);
	int rc = kms == NULL ? err.status : SLK_OK;

	if (rc == SLK_OK) {
		s.json = cli->json ? cli_json_begin(cli->out, false) : NULL;
		cli_json_map(s.json);
		rc = kmsc_about(kms, true, on_fact, &s, &err);
		cli_json_map_end(s.json);
		cli_json_end(s.json);
	}
	if (rc != SLK_OK) {
		cli_out_drop(cli->out);
		return cli_fail(cli, &err);
	}
	return s.passed >= 2 && s.others == 0 ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
