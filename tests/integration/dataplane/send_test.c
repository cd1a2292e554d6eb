/* sealock-send as a program, against a socket on 127.0.0.1: this test receives, and publishes a watermark file as a
 * journal's writer would. */
#include "slk_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/watermark.h"
#include "net/framing.h"
#include "tempdir.h"

#define PROGRAM SLK_BUILD_DIR "/bin/sealock-send"
#define DEADLINE_S 20
#define LANES 2u
#define BASE_RECORDS 7u /* durable in each lane before */

struct scene {
	char dir[256];
	char address[64];
	int fd;
	enum dp_framing framing;
	uint64_t records;
	uint64_t opened_ns;
	uint8_t sha256[32];
	char out[8192];
	char err[4096];
	int exit_code;
};

static void
path_of(const struct scene *s, const char *name, char out[512])
{
	snprintf(out, 512, "%s/%s", s->dir, name);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Lane 0 holds all of the sender's records, lane 1 stands still. */
static void
publish(const struct scene *s)
{
	char path[512];
	static uint8_t page[FMT_WATERMARK_PAGE_BYTES];

	path_of(s, "watermark", path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	for (unsigned lane = 0; lane < LANES; lane++) {
		const struct fmt_watermark mark = {.change_count = 2 + 2 * s->records,
			.file_id = 1,
			.records = BASE_RECORDS + (lane == 0 ? s->records : 0),
			.opened_ns = s->opened_ns};
		memset(page, 0, sizeof(page));
		fmt_watermark_encode(&mark, page);
		assert_int_equal(
			pwrite(fd, page, sizeof(page), (off_t)lane * FMT_WATERMARK_PAGE_BYTES),
			sizeof(page));
	}
	assert_int_equal(close(fd), 0);
}

static void
scene_open(struct scene *s, enum dp_framing framing)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(to);
	int room = 8 << 20;

	memset(s, 0, sizeof(*s));
	tempdir_make(s->dir, sizeof(s->dir));
	s->framing = framing;
	s->opened_ns = 1;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&to, &len), 0);
	snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(to.sin_port));
	publish(s);
}

static void
scene_close(struct scene *s)
{
	close(s->fd);
	tempdir_remove(s->dir);
}

/* Take what waits at the socket; true if there was anything. */
static bool
receive(struct scene *s, EVP_MD_CTX *sha256)
{
	static uint8_t datagram[65536];
	uint64_t before = s->records;
	ssize_t len;

	while ((len = recv(s->fd, datagram, sizeof(datagram), MSG_DONTWAIT)) >= 0) {
		struct dp_framing_iter it;
		struct slk_span record;
		enum dp_drop drop;
		enum dp_framing_step step;
		dp_framing_begin(&it, s->framing, 65536, slk_span(datagram, (size_t)len));
		while ((step = dp_framing_next(&it, &record, &drop)) != DP_FRAMING_END) {
			assert_int_equal(step, DP_FRAMING_RECORD);
			assert_int_equal(EVP_DigestUpdate(sha256, record.ptr, record.len), 1);
			assert_int_equal(EVP_DigestUpdate(sha256, "\n", 1), 1);
			s->records++;
		}
	}
	return s->records != before;
}

static pid_t
start(const struct scene *s, char *const argv[], const char *out_path, const char *err_path)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)s;
	if (freopen("/dev/null", "r", stdin) == NULL || freopen(out_path, "w", stdout) == NULL ||
		freopen(err_path, "w", stderr) == NULL)
		_exit(126);
	execv(PROGRAM, argv);
	_exit(127);
}

static void
slurp(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	out[fread(out, 1, cap - 1, f)] = '\0';
	fclose(f);
}

/* Run the program to its end; on_receive is called after each time that something came, before it is published. */
static void
run(struct scene *s, void (*on_receive)(struct scene *), const char *const args[])
{
	char out_path[512], err_path[512];
	const char *argv[24] = {"sealock-send"};
	EVP_MD_CTX *sha256 = EVP_MD_CTX_new();
	int status = 0;
	time_t deadline = time(NULL) + DEADLINE_S;

	for (unsigned i = 0; args[i] != NULL; i++)
		argv[i + 1] = args[i];
	path_of(s, "out", out_path);
	path_of(s, "err", err_path);
	assert_int_equal(EVP_DigestInit_ex(sha256, EVP_sha256(), NULL), 1);
	pid_t pid = start(s, (char *const *)argv, out_path, err_path);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct pollfd p = {.fd = s->fd, .events = POLLIN};
		if (time(NULL) > deadline) {
			kill(pid, SIGKILL);
			fail_msg("sealock-send did not end within %d s", DEADLINE_S);
		}
		(void)poll(&p, 1, 5);
		if (receive(s, sha256)) {
			if (on_receive != NULL)
				on_receive(s);
			publish(s);
		}
	}
	(void)receive(s, sha256);
	assert_true(WIFEXITED(status));
	s->exit_code = WEXITSTATUS(status);
	assert_int_equal(EVP_DigestFinal_ex(sha256, s->sha256, NULL), 1);
	EVP_MD_CTX_free(sha256);
	slurp(out_path, s->out, sizeof(s->out));
	slurp(err_path, s->err, sizeof(s->err));
}

static void
assert_sha256_is_printed(const struct scene *s)
{
	char hex[65];
	slk_hex(slk_span(s->sha256, sizeof(s->sha256)), hex, sizeof(hex));
	assert_non_null(strstr(s->out, hex));
}

static void
numbered_lines(const char *path, unsigned count)
{
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	for (unsigned i = 0; i < count; i++)
		fprintf(f, "2026-11-24 12:00:00 status installed package-%u:amd64 1.%u-%u\n", i,
			i % 9, i % 77);
	assert_int_equal(fclose(f), 0);
}

static void
lines_arrive_in_order_and_all_are_durable(void **state)
{
	(void)state;
	for (enum dp_framing f = DP_FRAMING_DATAGRAM; f <= DP_FRAMING_LINES; f++) {
		struct scene s;
		char file[512];
		scene_open(&s, f);
		path_of(&s, "lines", file);
		numbered_lines(file, 5000);
		run(&s, NULL,
			(const char *const[]){"--to", s.address, "--framing", dp_framing_name(f),
				"--watermark", s.dir, "--window", "500", file, NULL});
		assert_string_equal(s.err, "");
		assert_int_equal(s.exit_code, 0);
		assert_int_equal(s.records, 5000);
		assert_non_null(strstr(s.out, "5000 in "));
		assert_non_null(strstr(s.out, "all durable"));
		assert_sha256_is_printed(&s);
		scene_close(&s);
	}
}

static void
line_ends_and_blank_lines_are_no_records(void **state)
{
	(void)state;
	static const uint8_t want[] = "one\ntwo\nthree\n four\nfive\n";
	struct scene s;
	char a[512], b[512];
	uint8_t sha256[32];

	scene_open(&s, DP_FRAMING_LINES);
	path_of(&s, "a", a);
	path_of(&s, "b", b);
	write_file(a, "one\r\n\ntwo\n\r\nthree\r\r\n four");
	write_file(b, "five\n");
	run(&s, NULL,
		(const char *const[]){"--to", s.address, "--framing", "lines", "--unpaced",
			"--json", "--file", a, b, NULL});
	assert_int_equal(s.exit_code, 0);
	assert_int_equal(s.records, 5);
	assert_int_equal(EVP_Digest(want, sizeof(want) - 1, sha256, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(s.sha256, sha256, 32);
	assert_sha256_is_printed(&s);
	assert_non_null(strstr(s.out, "\"records\": 5,"));
	assert_non_null(strstr(s.out, "\"bytes\": 20,"));
	assert_non_null(strstr(s.out, "\"blank_lines\": 2,"));
	assert_non_null(strstr(s.out, "\"durable\": null,"));
	scene_close(&s);
}

static void
a_line_that_fits_no_datagram_is_named(void **state)
{
	(void)state;
	struct scene s;
	char file[512];

	scene_open(&s, DP_FRAMING_DATAGRAM);
	path_of(&s, "lines", file);
	write_file(file, "short\nmuch too long for that\nshort again\n");
	run(&s, NULL,
		(const char *const[]){
			"--to", s.address, "--payload", "12", "--unpaced", file, NULL});
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.err, "line 2 of "));
	assert_non_null(strstr(s.err, "--skip-long"));
	s.records = 0;
	run(&s, NULL,
		(const char *const[]){"--to", s.address, "--payload", "12", "--unpaced",
			"--skip-long", file, NULL});
	assert_int_equal(s.exit_code, 0);
	assert_int_equal(s.records, 2);
	assert_non_null(strstr(s.out, "1 lines over 12 bytes"));
	scene_close(&s);
}

static void
reopen_journal(struct scene *s)
{
	s->opened_ns++;
}

static void
a_restart_of_the_journal_is_noticed(void **state)
{
	(void)state;
	struct scene s;
	char file[512];

	scene_open(&s, DP_FRAMING_DATAGRAM);
	path_of(&s, "lines", file);
	numbered_lines(file, 100);
	run(&s, reopen_journal,
		(const char *const[]){
			"--to", s.address, "--watermark", s.dir, "--window", "10", file, NULL});
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.err, "opened anew"));
	assert_true(s.records < 100);
	scene_close(&s);
}

static void
lose_one_in_seven(struct scene *s)
{
	s->records -= s->records / 7;
}

static void
a_loss_is_told_in_numbers(void **state)
{
	(void)state;
	struct scene s;
	char file[512];

	scene_open(&s, DP_FRAMING_DATAGRAM);
	path_of(&s, "lines", file);
	numbered_lines(file, 50);
	run(&s, lose_one_in_seven,
		(const char *const[]){
			"--to", s.address, "--watermark", s.dir, "--timeout", "1", file, NULL});
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.err, " of 50 records did not become durable within 1 s"));
	assert_non_null(strstr(s.out, "not all durable"));
	scene_close(&s);
}

static void
wrong_usage_is_explained(void **state)
{
	(void)state;
	static const struct {
		const char *args[7];
		const char *word;
	} cases[] = {
		{{"--unpaced", "-", NULL}, "--to is missing"},
		{{"--to", "127.0.0.1:1", "--unpaced", NULL}, "no FILE"},
		{{"--to", "127.0.0.1:1", "-", NULL},
			"--watermark DIR, --rate RECORDS or --unpaced"},
		{{"--to", "127.0.0.1:1", "--rate", "0", "-", NULL}, "is no number"},
		{{"--to", "127.0.0.1:1", "--framing", "u16", "--unpaced", "-", NULL},
			"--framing is"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;
		scene_open(&s, DP_FRAMING_DATAGRAM);
		run(&s, NULL, cases[i].args);
		assert_int_equal(s.exit_code, 2);
		assert_non_null(strstr(s.err, cases[i].word));
		assert_int_equal(s.records, 0);
		scene_close(&s);
	}
}

static void
missing_files_and_journals_are_named(void **state)
{
	(void)state;
	struct scene s;

	scene_open(&s, DP_FRAMING_DATAGRAM);
	run(&s, NULL,
		(const char *const[]){"--to", s.address, "--unpaced", "/nonexistent/lines", NULL});
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.err, "cannot open /nonexistent/lines"));
	run(&s, NULL,
		(const char *const[]){"--to", s.address, "--watermark", "/nonexistent", "-", NULL});
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.err, "/nonexistent"));
	run(&s, NULL, (const char *const[]){"--to", "localhost:5514", "--unpaced", "-", NULL});
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.err, "10.77.0.2:5514"));
	assert_int_equal(s.records, 0);
	scene_close(&s);
}

static void
help_teaches(void **state)
{
	(void)state;
	struct scene s;

	scene_open(&s, DP_FRAMING_DATAGRAM);
	run(&s, NULL, (const char *const[]){"--help", NULL});
	assert_int_equal(s.exit_code, 0);
	assert_non_null(strstr(s.out, "--watermark"));
	assert_non_null(strstr(s.out, "Examples:"));
	scene_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_arrive_in_order_and_all_are_durable),
		cmocka_unit_test(line_ends_and_blank_lines_are_no_records),
		cmocka_unit_test(a_line_that_fits_no_datagram_is_named),
		cmocka_unit_test(a_restart_of_the_journal_is_noticed),
		cmocka_unit_test(a_loss_is_told_in_numbers),
		cmocka_unit_test(wrong_usage_is_explained),
		cmocka_unit_test(missing_files_and_journals_are_named),
		cmocka_unit_test(help_teaches),
	};

	return cmocka_run_group_tests_name("dataplane_send", tests, NULL, NULL);
}
