#include "journal/mapguard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

static struct {
	_Atomic uintptr_t page; /* 0: free */
	_Atomic bool hit;
} guards[JNL_MAPGUARD_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;

/* Async-signal-safe: atomics and two system calls. */
static void
on_sigbus(int sig, siginfo_t *info, void *context)
{
	const uintptr_t at = (uintptr_t)info->si_addr / PAGE_BYTES * PAGE_BYTES;

	(void)context;
	for (unsigned i = 0; at != 0 && i < JNL_MAPGUARD_MAX; i++) {
		if (atomic_load(&guards[i].page) != at)
			continue;
		void *page = mmap((void *)at, PAGE_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (page == MAP_FAILED)
			break;
		atomic_store(&guards[i].hit, true);
		return; /* the store is done again, and succeeds */
	}
	/* Not ours: it comes again, to whoever had it before. */
	(void)sigaction(sig, &before, NULL);
}

static int
install(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

	struct sigaction now;

	/* Somebody may have set another one since. */
	if (sigaction(SIGBUS, NULL, &now) != 0)
		return SLK_SYSTEM;
	if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_sigbus)
		return SLK_OK;
	before = now;
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) == 0 ? SLK_OK : SLK_SYSTEM;
}

int
jnl_mapguard_add(void *page, unsigned *out_slot)
{
	pthread_mutex_lock(&lock);
	int rc = install();
	unsigned slot = 0;
	while (slot < JNL_MAPGUARD_MAX && atomic_load(&guards[slot].page) != 0)
		slot++;
	if (rc == SLK_OK && slot == JNL_MAPGUARD_MAX)
		rc = SLK_LIMIT;
	if (rc == SLK_OK) {
		atomic_store(&guards[slot].hit, false);
		atomic_store(&guards[slot].page, (uintptr_t)page);
		*out_slot = slot;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void
jnl_mapguard_remove(unsigned slot)
{
	atomic_store(&guards[slot].page, 0);
}

bool
jnl_mapguard_hit(unsigned slot)
{
	return atomic_load(&guards[slot].hit);
}
