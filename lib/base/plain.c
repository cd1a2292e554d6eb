#include "base/plain.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"

int
slk_plain_reserve(struct slk_plain *plain, size_t len, struct slk_error *err)
{
	if (len <= plain->cap)
		return SLK_OK;
	slk_plain_free(plain);

	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t cap = (len + page - 1) / page * page;
	void *map = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for %zu bytes of records", cap);
	if (madvise(map, cap, MADV_DONTDUMP) != 0 || madvise(map, cap, MADV_WIPEONFORK) != 0 ||
		mlock(map, cap) != 0) {
		munmap(map, cap);
		return slk_fail(err, SLK_NO_MEMORY,
			"cannot lock %zu KiB of memory for decrypted records, and they are never "
			"kept in "
			"memory that may be swapped: raise the memlock limit (ulimit -l)",
			cap / 1024);
	}
	plain->ptr = map;
	plain->cap = cap;
	return SLK_OK;
}

void
slk_plain_free(struct slk_plain *plain)
{
	if (plain->ptr == NULL)
		return;
	slk_wipe(plain->ptr, plain->cap);
	munmap(plain->ptr, plain->cap);
	*plain = (struct slk_plain){NULL, 0};
}
