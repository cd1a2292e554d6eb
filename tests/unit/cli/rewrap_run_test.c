/* Wrapping epochs anew against a scripted kmsd: what is refused, what comes later, and what is kept when it ends early. */
#include "slk_test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sock.h"
#include "kmsclient/wire.h"
#include "rewrap_rig.h"
#include "rewrap_run.h"

/* kmsd: a wrap under key letter L becomes one under B, unless L says otherwise. */
static struct {
	char path[300];
	int listen_fd, stop_pipe[2];
	pthread_t thread;
	atomic_int answers[128]; /* as rig.answers */
	atomic_int busy; /* so many ReEncrypts are answered THROTTLED first */
	atomic_int end_after; /* ReEncrypts; then it hangs up at every one. -1: never */
	atomic_int attest_status;
	atomic_uint re_encrypts, attests;
} srv;

static struct rewrap_rig rig;
static struct cli cli;
static struct jnl_rewraps *rewraps;
static struct cli_rewrap_plan plan;
static struct cli_rewrap_run *run;
static struct slk_error err;
static unsigned files, failures;
static char last_failure[600];

static int
refuse(Kmsp__Reply *r, int status)
{
	r->status = status;
	r->exception = (char *)(uintptr_t) "ScriptedException";
	r->message = (char *)(uintptr_t)slk_status_sentence(status);
	return 0;
}

/* -1: hang up. */
static int
fill_reply(const Kmsp__Request *q, Kmsp__Reply *r, Kmsp__ReEncrypted *re, Kmsp__Signature *s)
{
	static uint8_t blob[KMSC_BLOB_MAX];
	static struct jnl_attestation a;

	if (q->call_case == KMSP__REQUEST__CALL_ATTEST) {
		srv.attests++;
		if (srv.attest_status != SLK_OK)
			return refuse(r, srv.attest_status);
		memset(&a, 0, sizeof(a));
		if (rewrap_rig_attest(&rig, q->attest->digest.data, &a, NULL) != SLK_OK)
			abort();
		s->key_arn = a.key_arn;
		s->signature = (ProtobufCBinaryData){a.signature_len, a.signature};
		s->public_key = (ProtobufCBinaryData){a.public_key_len, a.public_key};
		r->result_case = KMSP__REPLY__RESULT_SIGNATURE;
		r->signature = s;
		return 0;
	}
	if (srv.end_after >= 0 && (int)srv.re_encrypts >= srv.end_after)
		return -1;
	srv.re_encrypts++;
	if (srv.busy > 0) {
		srv.busy--;
		return refuse(r, SLK_THROTTLED);
	}
	int status = srv.answers[q->re_encrypt->blob.data[0] & 127];
	if (status != SLK_OK)
		return refuse(r, status);
	memcpy(blob, q->re_encrypt->blob.data, q->re_encrypt->blob.len);
	blob[0] = 'B';
	re->blob = (ProtobufCBinaryData){q->re_encrypt->blob.len, blob};
	re->source_key_arn = (char *)(uintptr_t) "arn:key/A";
	re->key_arn = q->re_encrypt->key;
	r->result_case = KMSP__REPLY__RESULT_RE_ENCRYPTED;
	r->re_encrypted = re;
	return 0;
}

static void
serve_connection(int fd, struct kmsp_arena *arena)
{
	static uint8_t in[KMSP_REQUEST_MAX], out[KMSP_REPLY_MAX];
	const struct slk_sock_ops *ops = slk_sock_posix();

	for (;;) {
		struct pollfd p[] = {
			{.fd = fd, .events = POLLIN}, {.fd = srv.stop_pipe[0], .events = POLLIN}};
		Kmsp__Reply r = KMSP__REPLY__INIT;
		Kmsp__ReEncrypted re = KMSP__RE_ENCRYPTED__INIT;
		Kmsp__Signature s = KMSP__SIGNATURE__INIT;
		const Kmsp__Request *request;
		size_t len = 0;
		(void)poll(p, 2, -1);
		if (p[1].revents != 0 || ops->recv(ops->ctx, fd, in, sizeof(in), &len) != SLK_OK ||
			kmsp_request_unpack(arena, slk_span(in, len), &request) != SLK_OK)
			return;
		r.id = request->id;
		if (fill_reply(request, &r, &re, &s) != 0)
			return;
		if (kmsp_reply_pack(&r, out, sizeof(out), &len) != SLK_OK ||
			ops->send(ops->ctx, fd, out, len) != SLK_OK)
			return;
	}
}

static void *
serve(void *arg)
{
	struct kmsp_arena *arena = NULL;

	(void)arg;
	if (kmsp_arena_new(&arena) != SLK_OK)
		abort();
	for (;;) {
		struct pollfd p[] = {{.fd = srv.listen_fd, .events = POLLIN},
			{.fd = srv.stop_pipe[0], .events = POLLIN}};
		struct slk_peer peer;
		int fd;
		(void)poll(p, 2, -1);
		if (p[1].revents != 0)
			break;
		if (slk_sock_accept(srv.listen_fd, &fd, &peer) != SLK_OK)
			continue;
		serve_connection(fd, arena);
		close(fd);
	}
	kmsp_arena_free(arena);
	return NULL;
}

static void
wrote(void *arg, const char *name, uint32_t count)
{
	(void)arg;
	(void)name;
	assert_true(count > 0);
	files++;
}

static void
failed(void *arg, const struct slk_error *e)
{
	(void)arg;
	failures++;
	snprintf(last_failure, sizeof(last_failure), "%s", e->text);
}

static int
describe(void *ctx, const char *arn, struct kmsc_key *out_key)
{
	(void)ctx;
	(void)arn;
	(void)out_key;
	return SLK_DENIED;
}

static int
setup(void **state)
{
	(void)state;
	rewrap_rig_start(&rig);
	memset(&srv, 0, sizeof(srv));
	srv.end_after = -1;
	snprintf(srv.path, sizeof(srv.path), "%.80s/s", rig.dir);
	assert_int_equal(pipe(srv.stop_pipe), 0);
	assert_ok(slk_sock_listen(srv.path, 0600, &srv.listen_fd, NULL));
	assert_int_equal(pthread_create(&srv.thread, NULL, serve, NULL), 0);
	cli = (struct cli){
		.kms_socket = srv.path, .journal_dir = rig.dir, .clock = slk_clock_system()};
	rewraps = NULL;
	run = NULL;
	plan = (struct cli_rewrap_plan){.describe = describe};
	files = failures = 0;
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cli_rewrap_run_free(run);
	cli_rewrap_plan_fini(&plan);
	jnl_rewraps_free(rewraps);
	kmsc_free(cli.kms);
	assert_int_equal(write(srv.stop_pipe[1], "x", 1), 1);
	assert_int_equal(pthread_join(srv.thread, NULL), 0);
	close(srv.stop_pipe[0]);
	close(srv.stop_pipe[1]);
	close(srv.listen_fd);
	rewrap_rig_stop(&rig);
	return 0;
}

static void
begin(uint32_t file_entries)
{
	rewraps = rewrap_rig_load(&rig, true);
	plan.rewraps = rewraps;
	const struct cli_rewrap_run_config config = {.cli = &cli,
		.plan = &plan,
		.rewraps = rewraps,
		.trusted = rig.trusted,
		.to_arn = "arn:key/B",
		.file_entries = file_entries,
		.retry_ms = 1,
		.retry_limit = 3,
		.wrote = wrote,
		.failed = failed};
	assert_ok(cli_rewrap_run_new(&config, &run, &err));
}

/* The rig's epochs, and behind them copies of the first under other ids. */
static int
add(unsigned index)
{
	struct jnl_epoch_info info = rig.epochs[index < RIG_EPOCHS ? index : 0];

	info.epoch_id += index < RIG_EPOCHS ? 0 : index;
	return cli_rewrap_run_add(run, &info, &err);
}

static void
add_all(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_ok(add(i));
}

/* What lies there opens under B alone. */
static void
assert_opens_under_b(unsigned count)
{
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);

	rig.answers['A'] = SLK_DISABLED;
	for (unsigned i = 0; i < count; i++)
		assert_ok(rewrap_rig_open(&rig, r, i, NULL));
	rig.answers['A'] = SLK_OK;
	jnl_rewraps_free(r);
}

static void
a_run_ends_in_one_signed_file(void **state)
{
	(void)state;
	begin(0);
	add_all(RIG_EPOCHS);
	assert_int_equal(files, 0);
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(files, 1);
	assert_int_equal(cli_rewrap_run_totals(run).done, RIG_EPOCHS);
	assert_int_equal(cli_rewrap_run_totals(run).failed, 0);
	assert_int_equal(srv.re_encrypts, RIG_EPOCHS);
	assert_int_equal(srv.attests, 1);
	assert_int_equal(rewrap_rig_state(&rig, true), JNL_REWRAP_SIGNED);
	assert_opens_under_b(RIG_EPOCHS);
}

static void
many_epochs_become_several_files(void **state)
{
	(void)state;
	begin(20);
	add_all(50);
	assert_int_equal(files, 2);
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(files, 3);
	assert_int_equal(cli_rewrap_run_totals(run).done, 50);
	struct jnl_rewraps *r = rewrap_rig_load(&rig, true);
	assert_int_equal(jnl_rewraps_count(r), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(jnl_rewraps_file(r, i)->chained);
		assert_int_equal(jnl_rewraps_file(r, i)->count, i < 2 ? 20 : 10);
	}
	jnl_rewraps_free(r);
	assert_opens_under_b(RIG_EPOCHS);
}

static void
nothing_to_keep_writes_no_file(void **state)
{
	(void)state;
	begin(0);
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(files, 0);
	assert_int_equal(srv.attests, 0);
}

static void
a_refusal_is_counted_told_once_and_the_others_go_on(void **state)
{
	(void)state;
	struct jnl_epoch_info info;

	begin(0);
	srv.answers['X'] = SLK_DENIED;
	for (unsigned i = 0; i < 40; i++) {
		info = rig.epochs[0];
		info.epoch_id += i;
		info.wrapped = rewrap_rig_wrap(0, i % 2 == 0 ? 'A' : 'X', false);
		assert_ok(cli_rewrap_run_add(run, &info, &err));
	}
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(cli_rewrap_run_totals(run).done, 20);
	assert_int_equal(cli_rewrap_run_totals(run).failed, 20);
	assert_int_equal(failures, 1);
	assert_non_null(strstr(last_failure, "ScriptedException"));
}

/* The side file of an earlier run is under a key that has gone: the key block's is tried. */
static void
an_older_wrap_serves_where_the_newest_is_refused(void **state)
{
	(void)state;
	char name[FMT_REWRAP_NAME_MAX];

	rewrap_rig_write(&rig, 'C', false, name);
	begin(0);
	srv.answers['C'] = SLK_INVALID_STATE;
	add_all(RIG_EPOCHS);
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(cli_rewrap_run_totals(run).done, RIG_EPOCHS);
	assert_int_equal(failures, 0);
	assert_int_equal(srv.re_encrypts, 2 * RIG_EPOCHS);
	rig.answers['C'] = SLK_INVALID_STATE;
	assert_opens_under_b(RIG_EPOCHS);
}

static void
when_all_wraps_are_refused_the_newest_refusal_is_told(void **state)
{
	(void)state;
	char name[FMT_REWRAP_NAME_MAX];

	rewrap_rig_write(&rig, 'C', false, name);
	begin(0);
	srv.answers['C'] = SLK_DENIED;
	srv.answers['A'] = SLK_DISABLED;
	assert_ok(add(0));
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(cli_rewrap_run_totals(run).failed, 1);
	assert_non_null(strstr(last_failure, slk_status_sentence(SLK_DENIED)));
	assert_int_equal(files, 0);
}

static void
what_may_pass_is_asked_again(void **state)
{
	(void)state;
	begin(0);
	srv.busy = 10;
	add_all(20);
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(cli_rewrap_run_totals(run).done, 20);
	assert_int_equal(srv.re_encrypts, 30);
}

static void
when_kmsd_goes_away_what_was_done_is_kept(void **state)
{
	(void)state;
	int rc = SLK_OK;

	begin(0);
	srv.end_after = KMSC_BATCH_MAX;
	for (unsigned i = 0; rc == SLK_OK && i < 40; i++)
		rc = add(i);
	assert_int_equal(rc, SLK_UNAVAILABLE);
	assert_true(err.text[0] != '\0');
	struct slk_error later = {0};
	assert_ok(cli_rewrap_run_finish(run, true, &later));
	assert_int_equal(cli_rewrap_run_totals(run).done, KMSC_BATCH_MAX);
	assert_int_equal(files, 1);
	assert_opens_under_b(RIG_EPOCHS);
}

static void
without_a_signature_nothing_is_written(void **state)
{
	(void)state;
	begin(0);
	srv.attest_status = SLK_DENIED;
	add_all(RIG_EPOCHS);
	assert_int_equal(cli_rewrap_run_finish(run, false, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "3 keys were wrapped anew, but not kept"));
	assert_int_equal(files, 0);
	assert_int_equal(cli_rewrap_run_totals(run).done, 0);
	srv.attest_status = SLK_OK;
	assert_ok(cli_rewrap_run_finish(run, false, &err)); /* they are still there */
	assert_int_equal(cli_rewrap_run_totals(run).done, RIG_EPOCHS);
}

static void
a_signature_of_somebody_else_is_not_taken(void **state)
{
	(void)state;
	begin(0);
	rig.signer = &rig.theirs;
	add_all(RIG_EPOCHS);
	assert_int_equal(cli_rewrap_run_finish(run, false, &err), SLK_BAD_TAG);
	assert_int_equal(files, 0);
}

static void
a_key_block_that_cannot_be_used_is_counted(void **state)
{
	(void)state;
	struct jnl_epoch_info info = rig.epochs[0];

	begin(0);
	info.context = slk_span("\xff\xff", 2);
	assert_ok(cli_rewrap_run_add(run, &info, &err));
	assert_ok(add(1));
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	assert_int_equal(cli_rewrap_run_totals(run).failed, 1);
	assert_int_equal(cli_rewrap_run_totals(run).done, 1);
	assert_int_equal(srv.re_encrypts, 1);
}

static void
a_second_run_at_the_same_time_is_refused(void **state)
{
	(void)state;
	struct cli_rewrap_run *second = NULL;

	begin(0);
	const struct cli_rewrap_run_config config = {
		.cli = &cli, .plan = &plan, .rewraps = rewraps, .to_arn = "arn:key/B"};
	assert_int_equal(cli_rewrap_run_new(&config, &second, &err), SLK_EXISTS);
	assert_null(second);
}

static void
files_belong_to_whom_the_directory_belongs(void **state)
{
	(void)state;
	char path[600];
	struct stat st;

	if (geteuid() != 0)
		skip(); /* only root may write for others */
	assert_int_equal(chown(rig.dir, 64903, 64912), 0);
	begin(0);
	add_all(RIG_EPOCHS);
	assert_ok(cli_rewrap_run_finish(run, false, &err));
	snprintf(path, sizeof(path), "%s/rewrap-00000000000000000001.slr", rig.dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 64903);
	assert_int_equal(st.st_gid, 64912);
	assert_int_equal(st.st_mode & 07777, 0640);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_run_ends_in_one_signed_file),
		CASE(many_epochs_become_several_files),
		CASE(nothing_to_keep_writes_no_file),
		CASE(a_refusal_is_counted_told_once_and_the_others_go_on),
		CASE(an_older_wrap_serves_where_the_newest_is_refused),
		CASE(when_all_wraps_are_refused_the_newest_refusal_is_told),
		CASE(what_may_pass_is_asked_again),
		CASE(when_kmsd_goes_away_what_was_done_is_kept),
		CASE(without_a_signature_nothing_is_written),
		CASE(a_signature_of_somebody_else_is_not_taken),
		CASE(a_key_block_that_cannot_be_used_is_counted),
		CASE(a_second_run_at_the_same_time_is_refused),
		CASE(files_belong_to_whom_the_directory_belongs),
	};

	return cmocka_run_group_tests_name("cli_rewrap_run", tests, NULL, NULL);
}
