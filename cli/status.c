/* sealock status: kmsd's own account, and ingestd's from its status socket.
 *
 * ingestd answers a connection with one JSON document (dataplane/README.md lists it); --json passes
 * it on as it is. Rates are differences between two samples. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "base/sock.h"
#include "selftest.h"
#include "shapes.h"
#include "text.h"

#define DOCUMENT_MAX (256u * 1024u)
#define ANSWER_TIMEOUT_NS (5 * SLK_NS_PER_S)
#define CONNECT_TIMEOUT_MS 5000u
#define SAMPLE_MS 500u
#define WATCH_MS 1000u

enum { OPT_WATCH = 'w', OPT_SELF_TEST = 's' };

struct sample {
	uint64_t mono_ns;
	int kms_rc;
	struct kmsc_status kms;
	struct slk_error kms_err;
	int ingest_rc;
	char *document; /* ingestd's JSON */
	size_t document_len;
	yajl_val tree;
	struct slk_error ingest_err;
};

struct status_args {
	struct cli *cli;
	bool watch, self_test;
};

static error_t
parse_status(int key, char *arg, struct argp_state *state)
{
	struct status_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_WATCH:
		args->watch = true;
		return 0;
	case OPT_SELF_TEST:
		args->self_test = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- taking a sample --- */

static void
sample_fini(struct sample *s)
{
	yajl_tree_free(s->tree);
	free(s->document);
	memset(s, 0, sizeof(*s));
}

static int
ask_ingestd(const struct cli *cli, char *buf, size_t *out_len, struct slk_error *err)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	int fd = -1;
	int rc = slk_sock_connect_within(cli->status_socket, CONNECT_TIMEOUT_MS, &fd, err);

	if (rc != SLK_OK)
		return slk_fail_prefix(err, "sealock-ingestd does not answer (does it run?)");
	rc = sock->wait_readable(sock->ctx, fd, slk_mono_ns(cli->clock) + ANSWER_TIMEOUT_NS);
	if (rc == SLK_OK)
		rc = sock->recv(sock->ctx, fd, buf, DOCUMENT_MAX, out_len);
	close(fd);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "sealock-ingestd gave no status on %s: %s",
			cli->status_socket, slk_status_sentence(rc));
	return SLK_OK;
}

static int
sample_ingestd(const struct cli *cli, struct sample *s)
{
	char why[256];

	s->document = calloc(1, DOCUMENT_MAX + 1);
	if (s->document == NULL)
		return slk_fail(&s->ingest_err, SLK_NO_MEMORY, "no memory for ingestd's status");
	int rc = ask_ingestd(cli, s->document, &s->document_len, &s->ingest_err);
	if (rc != SLK_OK)
		return rc;
	s->document[s->document_len] = '\0';
	s->tree = yajl_tree_parse(s->document, why, sizeof(why));
	if (!YAJL_IS_OBJECT(s->tree))
		return slk_fail(&s->ingest_err, SLK_MALFORMED,
			"the status of sealock-ingestd is not a JSON object");
	return SLK_OK;
}

static void
sample_take(struct cli *cli, struct sample *s)
{
	memset(s, 0, sizeof(*s));
	struct kmsc *kms = cli_kms(cli, &s->kms_err);
	s->kms_rc = kms == NULL ? SLK_NO_MEMORY : kmsc_status(kms, &s->kms, &s->kms_err);
	s->ingest_rc = sample_ingestd(cli, s);
	s->mono_ns = slk_mono_ns(cli->clock);
}

/* --- reading ingestd's document --- */

static yajl_val
member(yajl_val map, const char *name)
{
	const char *path[] = {name, NULL};

	return map == NULL ? NULL : yajl_tree_get(map, path, yajl_t_any);
}

static double
number(yajl_val map, const char *name)
{
	yajl_val v = member(map, name);

	return YAJL_IS_NUMBER(v) ? strtod(YAJL_GET_NUMBER(v), NULL) : 0;
}

static uint64_t
whole(yajl_val map, const char *name)
{
	yajl_val v = member(map, name);

	return YAJL_IS_NUMBER(v) ? strtoull(YAJL_GET_NUMBER(v), NULL, 10) : 0;
}

static const char *
string(yajl_val map, const char *name)
{
	yajl_val v = member(map, name);

	return YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : "-";
}

/* --- printing --- */

/* Why it is not well, or how it lives. */
static void
worker_text(const struct kmsc_hsm_worker *w, char *out, size_t cap)
{
	if (strcmp(w->state, "ready") != 0) {
		snprintf(out, cap, "%s%s%s", w->state, w->error[0] != '\0' ? ": " : "", w->error);
		return;
	}
	int len = snprintf(out, cap,
		"ready (pid %u): %u sessions, %u keys, %llu calls, %llu logins, %llu recoveries",
		(unsigned)w->pid, (unsigned)w->sessions, (unsigned)w->keys,
		(unsigned long long)w->calls, (unsigned long long)w->logins,
		(unsigned long long)w->recoveries);
	if (w->keys_refused > 0 && len > 0 && (size_t)len < cap)
		len += snprintf(out + len, cap - (size_t)len, ", %u KEYS REFUSED",
			(unsigned)w->keys_refused);
	if (w->failures > 0 && len > 0 && (size_t)len < cap)
		snprintf(out + len, cap - (size_t)len, ", %llu module errors (last 0x%llx)",
			(unsigned long long)w->failures, (unsigned long long)w->last_rv);
}

static void
print_workers(struct cli_out *out, const struct kmsc_status *k)
{
	char line[512];

	for (uint32_t i = 0; i < k->hsm_workers_count; i++) {
		worker_text(&k->hsm_workers[i], line, sizeof(line));
		cli_shape_line(out, i == 0 ? "hsm workers" : "", line);
	}
}

static void
print_audit(struct cli_out *out, const struct kmsc_audit *a)
{
	char line[512], when[CLI_TIME_MAX] = "not since the start";

	if (a->head_seq != 0)
		cli_time_second(a->head_unix_ns, when);
	snprintf(line, sizeof(line),
		"%llu lines, head signed %s%s%s; second sink: %s; %llu answers withheld%s",
		(unsigned long long)a->seq, when, a->head_error[0] != '\0' ? "; not now: " : "",
		a->head_error, a->second[0] != '\0' ? a->second : "none",
		(unsigned long long)a->withheld,
		a->low ? "; ITS DISK IS FULL: nothing is given out" : "");
	cli_shape_line(out, "audit", line);
	if (a->error[0] != '\0')
		cli_shape_line(out, "audit said", a->error);
	if (a->second_error[0] != '\0')
		cli_shape_line(out, "audit said", a->second_error);
}

static void
print_kms(struct cli_out *out, const struct sample *s)
{
	char age[CLI_AMOUNT_MAX];
	char line[512];

	if (s->kms_rc != SLK_OK) {
		cli_shape_line(out, "kmsd", s->kms_err.text);
		return;
	}
	const struct kmsc_status *k = &s->kms;
	cli_age_format(k->uptime_s, age);
	snprintf(line, sizeof(line),
		"up %s: %llu requests, %llu denied, %llu failed, %llu data keys issued", age,
		(unsigned long long)k->requests, (unsigned long long)k->denied,
		(unsigned long long)k->errors, (unsigned long long)k->data_keys_issued);
	cli_shape_line(out, "kmsd", line);
	snprintf(line, sizeof(line),
		"%s, profile %s, token %s (%s): %llu calls, %llu recoveries, %llu worker restarts, "
		"%u of %u workers ready",
		k->hsm_state, k->hsm_profile[0] != '\0' ? k->hsm_profile : "?", k->token_label,
		k->token_serial, (unsigned long long)k->hsm_calls,
		(unsigned long long)k->hsm_recoveries, (unsigned long long)k->hsm_worker_restarts,
		(unsigned)k->hsm_workers_ready, (unsigned)k->hsm_workers_count);
	cli_shape_line(out, "hsm", line);
	print_workers(out, k);
	if (k->hsm_error[0] != '\0')
		cli_shape_line(out, "hsm said", k->hsm_error);
	print_audit(out, &k->audit);
}

static double
rate(const struct sample *before, const struct sample *now, const char *name)
{
	double seconds = (double)(now->mono_ns - before->mono_ns) / (double)SLK_NS_PER_S;
	double difference = number(now->tree, name) - number(before->tree, name);

	/* Less than before: ingestd was restarted in between. */
	return before->ingest_rc == SLK_OK && seconds > 0 && difference > 0 ? difference / seconds
									    : 0;
}

/* "name 12, name 3" of the members that are not 0; "none" otherwise. */
static void
counters_text(yajl_val map, char *out, size_t cap)
{
	size_t len = 0;

	snprintf(out, cap, "none");
	for (size_t i = 0; YAJL_IS_OBJECT(map) && i < YAJL_GET_OBJECT(map)->len; i++) {
		const char *name = YAJL_GET_OBJECT(map)->keys[i];
		uint64_t value = whole(map, name);
		if (value == 0 || len + strlen(name) + 32 > cap)
			continue;
		len += (size_t)snprintf(out + len, cap - len, "%s%s %llu", len > 0 ? ", " : "",
			name, (unsigned long long)value);
	}
}

static void
print_streams(struct cli_out *out, yajl_val streams)
{
	char line[512];

	for (size_t i = 0; YAJL_IS_ARRAY(streams) && i < YAJL_GET_ARRAY(streams)->len; i++) {
		yajl_val s = YAJL_GET_ARRAY(streams)->values[i];
		yajl_val key_age = member(s, "key_age_s");
		if (YAJL_IS_NUMBER(key_age))
			snprintf(line, sizeof(line),
				"%s: key %.0f s old, %llu keys so far, %llu records",
				string(s, "name"), number(s, "key_age_s"),
				(unsigned long long)whole(s, "keys"),
				(unsigned long long)whole(s, "records"));
		else
			snprintf(line, sizeof(line),
				"%s: idle without a key, %llu keys so far, %llu records",
				string(s, "name"), (unsigned long long)whole(s, "keys"),
				(unsigned long long)whole(s, "records"));
		cli_shape_line(out, i == 0 ? "streams" : "", line);
	}
}

static void
print_ingest(struct cli_out *out, const struct sample *before, const struct sample *s)
{
	char age[CLI_AMOUNT_MAX], bytes[CLI_AMOUNT_MAX], speed[CLI_AMOUNT_MAX];
	char line[1024];
	yajl_val seal = member(s->tree, "seal_ns");

	if (s->ingest_rc != SLK_OK) {
		cli_shape_line(out, "ingestd", s->ingest_err.text);
		return;
	}
	cli_age_format(whole(s->tree, "uptime_s"), age);
	snprintf(line, sizeof(line), "up %s, engine %s", age, string(s->tree, "engine"));
	cli_shape_line(out, "ingestd", line);
	cli_bytes_format(whole(s->tree, "bytes"), bytes);
	cli_bytes_format((uint64_t)rate(before, s, "bytes"), speed);
	snprintf(line, sizeof(line), "%llu (%s); now %.0f/s (%s/s)",
		(unsigned long long)whole(s->tree, "records"), bytes, rate(before, s, "records"),
		speed);
	cli_shape_line(out, "records", line);
	snprintf(line, sizeof(line), "p50 %llu ns, p99 %llu ns per record",
		(unsigned long long)whole(seal, "p50"), (unsigned long long)whole(seal, "p99"));
	cli_shape_line(out, "sealing", line);
	counters_text(member(s->tree, "drops"), line, sizeof(line));
	cli_shape_line(out, "dropped", line);
	print_streams(out, member(s->tree, "streams"));
}

static void
json_error(yajl_gen json, const struct slk_error *err)
{
	cli_json_map(json);
	cli_json_key(json, "error");
	cli_json_map(json);
	cli_json_str(json, "code", slk_status_name(err->status));
	cli_json_str(json, "message", err->text);
	cli_json_map_end(json);
	cli_json_map_end(json);
}

static void
json_worker(yajl_gen json, const struct kmsc_hsm_worker *w)
{
	cli_json_map(json);
	cli_json_u64(json, "pid", w->pid);
	cli_json_str(json, "state", w->state);
	cli_json_str(json, "error", w->error);
	cli_json_u64(json, "sessions", w->sessions);
	cli_json_u64(json, "keys", w->keys);
	cli_json_u64(json, "keys_refused", w->keys_refused);
	cli_json_u64(json, "calls", w->calls);
	cli_json_u64(json, "module_errors", w->failures);
	cli_json_u64(json, "last_rv", w->last_rv);
	cli_json_u64(json, "logins", w->logins);
	cli_json_u64(json, "recoveries", w->recoveries);
	cli_json_map_end(json);
}

static void
json_workers(yajl_gen json, const struct kmsc_status *k)
{
	cli_json_u64(json, "workers_ready", k->hsm_workers_ready);
	cli_json_key(json, "workers");
	cli_json_array(json);
	for (uint32_t i = 0; i < k->hsm_workers_count; i++)
		json_worker(json, &k->hsm_workers[i]);
	cli_json_array_end(json);
}

static void
json_audit(yajl_gen json, const struct kmsc_audit *a)
{
	cli_json_key(json, "audit");
	cli_json_map(json);
	cli_json_u64(json, "seq", a->seq);
	cli_json_u64(json, "withheld", a->withheld);
	cli_json_bool(json, "low", a->low);
	cli_json_str(json, "error", a->error);
	cli_json_str(json, "second", a->second);
	cli_json_str(json, "second_error", a->second_error);
	cli_json_u64(json, "head_seq", a->head_seq);
	cli_json_time(json, "head_time", a->head_unix_ns);
	cli_json_str(json, "head_error", a->head_error);
	cli_json_map_end(json);
}

static void
json_kms(yajl_gen json, const struct kmsc_status *k)
{
	cli_json_map(json);
	cli_json_u64(json, "uptime_s", k->uptime_s);
	cli_json_u64(json, "requests", k->requests);
	cli_json_u64(json, "denied", k->denied);
	cli_json_u64(json, "errors", k->errors);
	cli_json_u64(json, "data_keys_issued", k->data_keys_issued);
	cli_json_u64(json, "policy_decisions", k->policy_decisions);
	cli_json_key(json, "hsm");
	cli_json_map(json);
	cli_json_bool(json, "ok", k->hsm_ok);
	cli_json_str(json, "state", k->hsm_state);
	cli_json_str(json, "error", k->hsm_error);
	cli_json_str(json, "token_label", k->token_label);
	cli_json_str(json, "token_serial", k->token_serial);
	cli_json_str(json, "module", k->module);
	cli_json_u64(json, "calls", k->hsm_calls);
	cli_json_u64(json, "recoveries", k->hsm_recoveries);
	cli_json_u64(json, "worker_restarts", k->hsm_worker_restarts);
	cli_json_str(json, "profile", k->hsm_profile);
	json_workers(json, k);
	cli_json_map_end(json);
	json_audit(json, &k->audit);
	cli_json_map_end(json);
}

static void
print_json(yajl_gen json, const struct sample *s)
{
	cli_json_map(json);
	cli_json_key(json, "kms");
	if (s->kms_rc == SLK_OK)
		json_kms(json, &s->kms);
	else
		json_error(json, &s->kms_err);
	cli_json_key(json, "ingest");
	if (s->ingest_rc == SLK_OK &&
		json != NULL) /* checked above to be a document; passed on as it is */
		yajl_gen_number(json, s->document, s->document_len);
	else
		json_error(json, &s->ingest_err);
	cli_json_map_end(json);
	cli_json_next(json);
}

static bool
healthy(const struct sample *s)
{
	return s->kms_rc == SLK_OK && s->kms.hsm_ok && s->ingest_rc == SLK_OK;
}

static int
show_once(struct cli *cli)
{
	struct sample before = {0}, now;

	sample_take(cli, &now);
	if (!cli->json && now.ingest_rc == SLK_OK) { /* a rate takes two looks */
		before = now;
		(void)cli_pause(SAMPLE_MS);
		sample_take(cli, &now);
	}
	if (cli->json) {
		yajl_gen json = cli_json_begin(cli->out, true);
		print_json(json, &now);
		cli_json_end(json);
	} else {
		print_kms(cli->out, &now);
		print_ingest(cli->out, &before, &now);
	}
	int code = healthy(&now) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	sample_fini(&before);
	sample_fini(&now);
	return code;
}

static int
watch(struct cli *cli)
{
	struct sample before = {0}, now;
	yajl_gen json = cli->json ? cli_json_begin(cli->out, true) : NULL;
	bool terminal = cli_out_is_terminal(cli->out);

	do {
		sample_take(cli, &now);
		if (cli->json) {
			print_json(json, &now);
		} else {
			cli_out_text(cli->out, terminal ? "\033[H\033[J" : "");
			print_kms(cli->out, &now);
			print_ingest(cli->out, &before, &now);
			cli_out_text(cli->out, terminal ? "\nCtrl-C ends.\n" : "\n");
		}
		sample_fini(&before);
		before = now;
	} while (cli_out_flush(cli->out) == SLK_OK && cli_pause(WATCH_MS));
	int code = healthy(&before) ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	sample_fini(&before);
	cli_json_end(json);
	return code;
}

int
cli_status(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"watch", OPT_WATCH, 0, 0, "Again every second, until Ctrl-C", 1},
		{"self-test", OPT_SELF_TEST, 0, 0,
			"Run the self-tests of the token and of kmsd now, and say what is approved "
			"and what is validated (administrators)",
			1},
		{0},
	};
	static const struct argp argp = {options, parse_status, NULL,
		"Say how sealock-kmsd, its HSM and sealock-ingestd are: rates, ages of data keys, "
		"what was dropped and why.\v"
		"Examples:\n"
		"  sealock status --watch\n"
		"  sealock status --json | jq .kms.hsm.state\n"
		"\n"
		"Exit status 1: one of them does not answer, or the HSM is not ready.",
		cli_common_children, NULL, NULL};
	struct status_args args = {.cli = cli};

	cli_parse(&argp, argc, argv, &args);
	if (args.self_test)
		return cli_selftest(cli);
	cli_catch_stop();
	return args.watch ? watch(cli) : show_once(cli);
}
