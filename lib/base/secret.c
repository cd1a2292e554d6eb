#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECRET_MAX 262144u

struct slk_secret {
	struct slk_secret *next; /* while it is kept */
	uint8_t *bytes;
	size_t len;
	void *map; /* guard page, data pages, guard page */
	size_t map_len;
	size_t data_len;
};

static struct {
	struct slk_secret *first;
	unsigned count, limit;
} kept;

/* By system call: AddressSanitizer replaces mlock() by a function that does nothing. */
static int
lock_pages(void *ptr, size_t len)
{
	return (int)syscall(SYS_mlock, ptr, len);
}

/* The secret ends within 63 bytes of the upper guard page, at a cache line: an overrun soon faults.
 */
static void
place(struct slk_secret *s, uint8_t *data, size_t len)
{
	s->len = len;
	s->bytes = data + (s->data_len - len) / 64 * 64;
}

static struct slk_secret *
take_kept(size_t len, size_t page)
{
	struct slk_secret *s = kept.first;

	if (s == NULL || len > page)
		return NULL;
	kept.first = s->next;
	kept.count--;
	place(s, (uint8_t *)s->map + page, len);
	return s;
}

int
slk_secret_new(size_t len, struct slk_secret **out_secret)
{
	if (len == 0 || len > SECRET_MAX)
		return SLK_INVALID;

	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t data_len = (len + page - 1) / page * page;
	struct slk_secret *s = take_kept(len, page);
	if (s != NULL) {
		*out_secret = s;
		return SLK_OK;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return SLK_NO_MEMORY;
	s->map_len = data_len + 2 * page;
	s->data_len = data_len;
	s->map = mmap(NULL, s->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->map == MAP_FAILED) {
		free(s);
		return SLK_NO_MEMORY;
	}
	uint8_t *data = (uint8_t *)s->map + page;
	if (mprotect(data, data_len, PROT_READ | PROT_WRITE) != 0 ||
		madvise(data, data_len, MADV_DONTDUMP) != 0 ||
		madvise(data, data_len, MADV_WIPEONFORK) != 0 || lock_pages(data, data_len) != 0) {
		int saved = errno;
		munmap(s->map, s->map_len);
		free(s);
		errno = saved;
		return SLK_NO_MEMORY;
	}
	place(s, data, len);
	*out_secret = s;
	return SLK_OK;
}

int
slk_secret_from(const void *bytes, size_t len, struct slk_secret **out_secret)
{
	struct slk_secret *s = NULL;
	int rc = slk_secret_new(len, &s);

	if (rc != SLK_OK)
		return rc;
	memcpy(s->bytes, bytes, len);
	*out_secret = s;
	return SLK_OK;
}

int
slk_secret_from_fd(int fd, size_t max_len, struct slk_secret **out_secret)
{
	struct slk_secret *buf = NULL;
	size_t len = 0;
	int rc = slk_secret_new(max_len + 2, &buf);

	if (rc != SLK_OK)
		return rc;
	for (;;) {
		ssize_t n = read(fd, buf->bytes + len, buf->len - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = slk_status_from_errno(errno);
			goto out;
		}
		len += (size_t)n;
		if (n == 0 || len == buf->len)
			break;
	}
	if (len > 0 && buf->bytes[len - 1] == '\n')
		len--;
	if (len == 0)
		rc = SLK_TRUNCATED;
	else if (len > max_len)
		rc = SLK_TOO_LARGE;
	else
		rc = slk_secret_from(buf->bytes, len, out_secret);
out:
	slk_secret_free(buf);
	return rc;
}

void
slk_secret_free(struct slk_secret *secret)
{
	if (secret == NULL)
		return;
	slk_wipe(secret->bytes, secret->len);
	if (kept.count < kept.limit && secret->map_len == 3 * secret->data_len) {
		secret->next = kept.first;
		kept.first = secret;
		kept.count++;
		return;
	}
	munmap(secret->map, secret->map_len);
	free(secret);
}

void
slk_secret_keep(unsigned count)
{
	kept.limit = count;
	while (kept.count > count) {
		struct slk_secret *s = kept.first;
		kept.first = s->next;
		kept.count--;
		munmap(s->map, s->map_len);
		free(s);
	}
}

uint8_t *
slk_secret_bytes(struct slk_secret *secret)
{
	return secret->bytes;
}

const uint8_t *
slk_secret_peek(const struct slk_secret *secret)
{
	return secret->bytes;
}

size_t
slk_secret_len(const struct slk_secret *secret)
{
	return secret->len;
}

void
slk_wipe(void *ptr, size_t len)
{
	if (len > 0)
		explicit_bzero(ptr, len);
}

bool
slk_equal_ct(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

int
slk_random(void *out, size_t len)
{
	uint8_t *p = out;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return SLK_SYSTEM;
		p += n;
		len -= (size_t)n;
	}
	return SLK_OK;
}

int
slk_process_harden(struct slk_error *err)
{
	static const struct rlimit none = {0, 0};

	umask(077);
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return slk_fail_errno(err, "cannot switch core dumps off");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return slk_fail_errno(err, "cannot make the process undumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return slk_fail_errno(err, "cannot give up new privileges");
	return SLK_OK;
}
