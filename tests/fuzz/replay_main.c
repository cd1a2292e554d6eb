/* Plain driver of a fuzz target, for builds without libFuzzer: every build runs the same entry
 * point.
 *
 *     fuzz_NAME [CORPUS_DIR | FILE]...
 *
 * Each file of the corpus is run as it is, cut at every length (at most TRUNCATIONS of them), and
 * mutated MUTATIONS times; then come random inputs. All of it follows from one fixed seed, so a
 * failure repeats. A directory that is not there counts as empty. If the target dies, the input
 * that killed it is written to fuzz-crash.bin in the working directory, and can be passed as FILE.
 * The whole run ends after TIME_LIMIT_S at the latest and says then how far it came.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX (1u << 20)
#define RANDOM_INPUT_MAX 4096u
#define TRUNCATIONS 512u
#define MUTATIONS 2000u
#define RANDOM_INPUTS 5000u
#define TIME_LIMIT_S 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static struct {
	uint64_t random_state;
	uint64_t runs;
	time_t deadline;
	const uint8_t *current; /* the input that is running, for the death callback */
	size_t current_len;
} replay = {.random_state = 0x5ea10c4b};

/* splitmix64 */
static uint64_t
next_random(void)
{
	uint64_t z = (replay.random_state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Only async-signal-safe calls. */
static void
save_input(void)
{
	static const char text[] = "fuzz replay: input written to fuzz-crash.bin\n";

	if (replay.current == NULL)
		return;
	int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (write(fd, replay.current, replay.current_len) == (ssize_t)replay.current_len &&
		write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		/* nowhere to say it */
	}
	close(fd);
}

static void
on_signal(int number)
{
	save_input();
	signal(number, SIG_DFL);
	raise(number);
}

/* The target gets a heap copy of exactly len bytes, so that a sanitizer sees an overrun of one
 * byte. */
static void
run_one(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL) {
		fprintf(stderr, "fuzz replay: out of memory\n");
		exit(1);
	}
	if (len > 0)
		memcpy(copy, data, len);
	replay.current = copy;
	replay.current_len = len;
	if (LLVMFuzzerTestOneInput(copy, len) != 0) {
		fprintf(stderr, "fuzz replay: the target returned non-zero\n");
		save_input();
		exit(1);
	}
	replay.current = NULL;
	free(copy);
	replay.runs++;
}

static bool
out_of_time(void)
{
	return replay.runs % 64 == 0 && time(NULL) >= replay.deadline;
}

static void
mutate_once(uint8_t *data, size_t *len, size_t cap)
{
	static const uint64_t edges[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff, UINT64_MAX};
	size_t at = *len > 0 ? next_random() % *len : 0;

	switch (next_random() % 6) {
	case 0: /* flip a bit */
		if (*len > 0)
			data[at] ^= (uint8_t)(1u << (next_random() % 8));
		break;
	case 1: /* another byte */
		if (*len > 0)
			data[at] = (uint8_t)next_random();
		break;
	case 2: { /* an integer of the kind that lengths break on */
		uint64_t v = edges[next_random() % (sizeof(edges) / sizeof(edges[0]))];
		size_t width = (size_t)1 << (next_random() % 4);
		if (*len - at >= width)
			memcpy(data + at, &v, width);
		break;
	}
	case 3: /* drop the rest */
		*len = at;
		break;
	case 4: { /* remove a piece */
		size_t n = *len - at < 16 ? *len - at : next_random() % 16;
		memmove(data + at, data + at + n, *len - at - n);
		*len -= n;
		break;
	}
	default: { /* insert a piece */
		size_t n = next_random() % 16;
		if (n > cap - *len)
			break;
		memmove(data + at + n, data + at, *len - at);
		for (size_t i = 0; i < n; i++)
			data[at + i] = (uint8_t)next_random();
		*len += n;
	}
	}
}

static void
run_input(const uint8_t *data, size_t len)
{
	static uint8_t work[INPUT_MAX + 4096];

	run_one(data, len);
	for (size_t i = 0; i < TRUNCATIONS && i < len && !out_of_time();
		i++) /* the first lengths, then a sample */
		run_one(data, i < TRUNCATIONS / 2 ? i : next_random() % len);
	for (unsigned i = 0; i < MUTATIONS && !out_of_time(); i++) {
		size_t n = len;
		memcpy(work, data, len);
		for (uint64_t k = 1 + next_random() % 4; k > 0; k--)
			mutate_once(work, &n, sizeof(work));
		run_one(work, n);
	}
}

/* Returns 1 if the file was run, 0 if it is not a regular file. */
static int
run_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "fuzz replay: cannot open %s: %s\n", path, strerror(errno));
		exit(1);
	}
	size_t len = 0;
	ssize_t n;
	while (len < sizeof(data) && (n = read(fd, data + len, sizeof(data) - len)) > 0)
		len += (size_t)n;
	close(fd);
	run_input(data, len);
	return 1;
}

/* In the order of names: readdir's own differs from machine to machine. */
static int
run_dir(const char *dir)
{
	struct dirent **entries = NULL;
	int files = 0;
	int count = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		files += run_file(path);
		free(entries[i]);
	}
	free(entries);
	return files;
}

static void
run_random_inputs(void)
{
	static uint8_t data[RANDOM_INPUT_MAX];

	run_one(data, 0);
	for (unsigned i = 0; i < RANDOM_INPUTS && !out_of_time(); i++) {
		size_t len = next_random() % (i % 8 == 0 ? sizeof(data) : 256);
		for (size_t k = 0; k < len; k++)
			data[k] = (uint8_t)next_random();
		run_one(data, len);
	}
}

int
main(int argc, char **argv)
{
	int files = 0;

	if (LLVMFuzzerInitialize != NULL && LLVMFuzzerInitialize(&argc, &argv) != 0) {
		fprintf(stderr, "fuzz replay: the target could not be initialised\n");
		return 1;
	}
	if (__sanitizer_set_death_callback != NULL)
		__sanitizer_set_death_callback(save_input);
	signal(SIGABRT, on_signal);
	if (__sanitizer_set_death_callback == NULL) {
		signal(SIGSEGV, on_signal);
		signal(SIGBUS, on_signal);
		signal(SIGFPE, on_signal);
	}
	replay.deadline = time(NULL) + TIME_LIMIT_S;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) != 0)
			continue;
		files += S_ISDIR(st.st_mode) ? run_dir(argv[i]) : run_file(argv[i]);
	}
	run_random_inputs();
	printf("%d corpus files, %llu inputs%s\n", files, (unsigned long long)replay.runs,
		time(NULL) >= replay.deadline ? " (stopped by the time limit)" : "");
	return 0;
}
