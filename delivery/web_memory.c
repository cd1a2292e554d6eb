#include "web_memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"

#define PAGE 4096u
#define HEAD 64u /* in front of what is given out, so that all of these begin at 64 in their page */

/* At the beginning of pages of its own. */
struct large {
	struct large *next, **self;
	size_t map_len, size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */
static struct large *all;

static void *
large_new(size_t size)
{
	size_t len = (HEAD + size + PAGE - 1) / PAGE * PAGE;
	struct large *l =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (l == MAP_FAILED)
		return NULL;
	(void)madvise(l, len, MADV_DONTDUMP);
	/* By system call: AddressSanitizer replaces mlock(). Above the limit it stays unlocked, and deliveries go on. */
	(void)syscall(SYS_mlock, l, len);
	l->map_len = len;
	l->size = size;
	pthread_mutex_lock(&lock);
	l->next = all;
	l->self = &all;
	if (all != NULL)
		all->self = &l->next;
	all = l;
	pthread_mutex_unlock(&lock);
	return (uint8_t *)l + HEAD;
}

/* NULL: it is of malloc(). */
static struct large *
large_of(const void *ptr)
{
	struct large *l = NULL;

	if ((uintptr_t)ptr % PAGE != HEAD)
		return NULL;
	pthread_mutex_lock(&lock);
	for (l = all; l != NULL; l = l->next) {
		if ((const uint8_t *)l + HEAD == ptr)
			break;
	}
	pthread_mutex_unlock(&lock);
	return l;
}

static void
large_free(struct large *l)
{
	pthread_mutex_lock(&lock);
	*l->self = l->next;
	if (l->next != NULL)
		l->next->self = l->self;
	pthread_mutex_unlock(&lock);
	slk_wipe((uint8_t *)l + HEAD, l->size);
	munmap(l, l->map_len);
}

void *
dlv_web_malloc(size_t size)
{
	if (size < DLV_WEB_LARGE_BYTES)
		return malloc(size);
	return size <= SIZE_MAX / 2 ? large_new(size) : NULL;
}

void *
dlv_web_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return bytes < DLV_WEB_LARGE_BYTES ? calloc(count, size) : dlv_web_malloc(bytes);
}

char *
dlv_web_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = dlv_web_malloc(len);

	if (copy != NULL)
		memcpy(copy, text, len);
	return copy;
}

static size_t
room_of(void *ptr)
{
	const struct large *l = large_of(ptr);

	return l != NULL ? l->size : malloc_usable_size(ptr);
}

void *
dlv_web_realloc(void *ptr, size_t size)
{
	if (ptr == NULL)
		return dlv_web_malloc(size);
	size_t room = room_of(ptr);
	if (size <= room && size >= room / 2)
		return ptr;
	void *moved = dlv_web_malloc(size);
	if (moved == NULL)
		return NULL;
	memcpy(moved, ptr, room < size ? room : size);
	dlv_web_free_memory(ptr);
	return moved;
}

void
dlv_web_free_memory(void *ptr)
{
	if (ptr == NULL)
		return;
	struct large *l = large_of(ptr);
	if (l != NULL) {
		large_free(l);
		return;
	}
	slk_wipe(ptr, malloc_usable_size(ptr));
	free(ptr);
}
