#include "heapcount.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_uint_least64_t count;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

#include <stdbool.h>

/* <sanitizer/allocator_interface.h>, which GCC's package leaves out. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));

static void
on_malloc(const volatile void *ptr, size_t size)
{
	(void)ptr;
	(void)size;
	atomic_fetch_add(&count, 1);
}

static void
on_free(const volatile void *ptr)
{
	(void)ptr;
}

uint64_t
heapcount(void)
{
	static atomic_bool installed;

	if (!atomic_exchange(&installed, true))
		(void)__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
	return atomic_load(&count);
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t items, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size);
void *calloc(size_t items, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **out, size_t alignment, size_t size);

void *
malloc(size_t size)
{
	atomic_fetch_add(&count, 1);
	return __libc_malloc(size);
}

void *
calloc(size_t items, size_t size)
{
	atomic_fetch_add(&count, 1);
	return __libc_calloc(items, size);
}

void *
realloc(void *old, size_t size)
{
	atomic_fetch_add(&count, 1);
	return __libc_realloc(old, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	atomic_fetch_add(&count, 1);
	return __libc_memalign(alignment, size);
}

int
posix_memalign(void **out, size_t alignment, size_t size)
{
	void *ptr = aligned_alloc(alignment, size);

	if (ptr == NULL)
		return ENOMEM;
	*out = ptr;
	return 0;
}

uint64_t
heapcount(void)
{
	return atomic_load(&count);
}

#endif
