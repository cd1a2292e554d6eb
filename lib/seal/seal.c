#include "seal/seal.h"

#include <stdlib.h>

#include "seal/engine.h"

/* Best first; "openssl" is the last. */
static const char *const names[] = {"ipsec-mb-avx512", "ipsec-mb-avx2", "ipsec-mb-sse", "openssl"};

#define ENGINES (sizeof(names) / sizeof(names[0]))
#define IPSECMB_ENGINES (ENGINES - 1)

const char *
seal_engine_name(unsigned index)
{
	return index < ENGINES ? names[index] : NULL;
}

const struct seal_engine *
seal_engine_path(unsigned index)
{
	if (index == 0)
		return &seal_engine_openssl;
#ifdef SLK_HAVE_IPSECMB
	return seal_engine_ipsecmb_path(index - 1);
#else
	return NULL;
#endif
}

int
seal_thread_new_engine(
	const struct seal_engine *engine, struct seal_thread **out_thread, struct slk_error *err)
{
	struct seal_thread *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory for engine %s", engine->name);
	t->engine = engine;
	int rc = engine->state_new(engine, &t->state, err);
	if (rc != SLK_OK) {
		free(t);
		return rc;
	}
	rc = seal_self_test(t);
	if (rc != SLK_OK) {
		seal_thread_free(t);
		return slk_fail(err, rc,
			"engine %s: the known-answer self-test: %s; choose another engine",
			engine->name, slk_status_sentence(rc));
	}
	*out_thread = t;
	return SLK_OK;
}

static int
thread_new_named(const char *name, struct seal_thread **out_thread, struct slk_error *err)
{
	for (unsigned i = 0; seal_engine_path(i) != NULL; i++) {
		if (strcmp(seal_engine_path(i)->name, name) == 0)
			return seal_thread_new_engine(seal_engine_path(i), out_thread, err);
	}
	return slk_fail(err, SLK_UNSUPPORTED,
		"engine %s: this build lacks libipsec-mb; choose \"openssl\" or \"auto\"", name);
}

/* The widest that the CPU has. One that fails its self-test is never replaced by a narrower one:
 * the CPU or the library is then not to be trusted. */
static int
thread_new_ipsecmb(struct seal_thread **out_thread, struct slk_error *err)
{
	int rc = SLK_UNSUPPORTED;

	for (unsigned i = 0; i < IPSECMB_ENGINES && rc == SLK_UNSUPPORTED; i++)
		rc = thread_new_named(names[i], out_thread, err);
	return rc;
}

static int
thread_new_auto(struct seal_thread **out_thread, struct slk_error *err)
{
	int rc = thread_new_ipsecmb(out_thread, err);

	if (rc == SLK_UNSUPPORTED || rc == SLK_SELF_TEST)
		rc = seal_thread_new_engine(&seal_engine_openssl, out_thread, err);
	return rc;
}

int
seal_thread_new(const char *engine, struct seal_thread **out_thread, struct slk_error *err)
{
	if (engine == NULL || strcmp(engine, "auto") == 0)
		return thread_new_auto(out_thread, err);
	if (strcmp(engine, "ipsec-mb") == 0)
		return thread_new_ipsecmb(out_thread, err);
	for (unsigned i = 0; i < ENGINES; i++) {
		if (strcmp(engine, names[i]) == 0)
			return thread_new_named(names[i], out_thread, err);
	}
	return slk_fail(err, SLK_NOT_FOUND,
		"no engine is named \"%.64s\"; there are auto, ipsec-mb, %s, %s, %s and %s", engine,
		names[0], names[1], names[2], names[3]);
}

void
seal_thread_free(struct seal_thread *thread)
{
	if (thread == NULL)
		return;
	thread->engine->state_free(thread->state);
	free(thread);
}

const char *
seal_thread_engine(const struct seal_thread *thread)
{
	return thread->engine->name;
}

int
seal_key_new(
	struct seal_thread *thread, const uint8_t *key, size_t key_len, struct seal_key **out_key)
{
	if (key == NULL || (key_len != 16 && key_len != 24 && key_len != 32))
		return SLK_INVALID;
	struct seal_key *made = NULL;
	int rc = thread->engine->key_new(thread->state, key, key_len, &made);
	if (rc != SLK_OK)
		return rc;
	made->engine = thread->engine;
	*out_key = made;
	return SLK_OK;
}

void
seal_key_free(struct seal_key *key)
{
	if (key != NULL)
		key->engine->key_free(key);
}

bool
seal_item_check(const struct seal_item *item, size_t *out_len)
{
	size_t len = 0;

	if (item->aad == NULL || item->aad_len == 0 || item->aad_len > SEAL_LEN_MAX ||
		item->tag == NULL || (item->in == NULL && item->in_count > 0))
		return false;
	for (uint32_t i = 0; i < item->in_count; i++) {
		const struct iovec *in = &item->in[i];
		if (in->iov_len > SEAL_LEN_MAX - len || (in->iov_len > 0 && in->iov_base == NULL))
			return false;
		len += in->iov_len;
	}
	*out_len = len;
	return len == 0 || item->out != NULL;
}

/* A key of another engine has another layout: nothing may touch it. */
static __attribute__((noinline)) uint32_t
refuse_all(struct seal_item *items, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		items[i].status = SLK_INVALID;
	return 0;
}

uint32_t
seal_burst(struct seal_thread *thread, const struct seal_key *key, struct seal_item *items,
	uint32_t count)
{
	if (key->engine != thread->engine)
		return refuse_all(items, count);
	return thread->engine->seal(thread->state, key, items, count);
}

uint32_t
seal_open_burst(struct seal_thread *thread, const struct seal_key *key, struct seal_item *items,
	uint32_t count)
{
	if (key->engine != thread->engine)
		return refuse_all(items, count);
	return thread->engine->open(thread->state, key, items, count);
}
