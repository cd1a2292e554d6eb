#include "journal/rewraps.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/attest.h"
#include "journal/internal.h"
#include "journal/scan.h"
#include "seal/epoch.h"

/* Where an entry lies. */
struct place {
	uint64_t epoch_id;
	uint32_t file; /* index into files */
	uint32_t offset; /* of the entry in its file */
};

struct jnl_rewraps {
	struct jnl_rewraps_config config;
	char *dir;
	const struct slk_fs *fs;
	bool have_uuid;
	uint8_t uuid[16];
	struct jnl_rewrap_file *files; /* by number */
	size_t file_count;
	struct place *places; /* by epoch id, then by file */
	size_t place_count, place_cap;
	bool places_sorted;
};

static_assert(sizeof(struct place) == 16, "the header says so");
static_assert(FMT_REWRAP_MAX <= UINT32_MAX, "offsets of entries fit");

const char *
jnl_rewrap_state_name(enum jnl_rewrap_state state)
{
	static const char *const names[] = {"signed", "intact", "untrusted", "foreign", "damaged"};

	return names[state];
}

/* --- which journal is this? --- */

static int
header_of(const struct jnl_rewraps *r, uint64_t id, struct fmt_jfile_header *out)
{
	char name[FMT_JFILE_NAME_MAX], path[JNL_PATH_MAX];
	uint8_t page[FMT_JFILE_PAGE_BYTES];
	size_t len = 0;
	int fd = -1;

	fmt_jfile_name(FMT_JFILE_LANE, id, name);
	if (snprintf(path, sizeof(path), "%s/%s", r->dir, name) >= (int)sizeof(path))
		return SLK_TOO_LARGE;
	int rc = r->fs->open(r->fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = r->fs->pread(r->fs->ctx, fd, page, sizeof(page), 0, &len);
	(void)r->fs->close(r->fs->ctx, fd);
	return rc == SLK_OK ? fmt_jfile_decode(slk_span(page, len), out) : rc;
}

/* Every lane file bears the journal's uuid; the first one that can be read tells it. */
static int
learn_uuid(struct jnl_rewraps *r)
{
	struct fmt_jfile_header header;
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(r->fs, r->dir, FMT_JFILE_LANE, &ids, &count);

	for (size_t i = 0; rc == SLK_OK && !r->have_uuid && i < count; i++) {
		int one = header_of(r, ids[i], &header);
		if (one == SLK_OK) {
			memcpy(r->uuid, header.journal_uuid, sizeof(r->uuid));
			r->have_uuid = true;
		} else if (one == SLK_DENIED || one == SLK_NO_MEMORY) {
			rc = one;
		}
	}
	free(ids);
	return rc;
}

/* --- one side file --- */

static int
read_whole(const struct jnl_rewraps *r, const char *name, uint8_t **out, size_t *out_len)
{
	char path[JNL_PATH_MAX];
	uint8_t *bytes = NULL;
	uint64_t size = 0;
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", r->dir, name) >= (int)sizeof(path))
		return SLK_TOO_LARGE;
	int rc = r->fs->open(r->fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = r->fs->size(r->fs->ctx, fd, &size);
	if (rc == SLK_OK && size > FMT_REWRAP_MAX)
		rc = SLK_TOO_LARGE;
	if (rc == SLK_OK)
		bytes = malloc((size_t)size + 1);
	if (rc == SLK_OK && bytes == NULL)
		rc = SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = r->fs->pread(r->fs->ctx, fd, bytes, (size_t)size, 0, out_len);
	(void)r->fs->close(r->fs->ctx, fd);
	if (rc != SLK_OK) {
		free(bytes);
		return rc;
	}
	*out = bytes;
	return SLK_OK;
}

static void
judge(struct jnl_rewrap_file *f, enum jnl_rewrap_state state, int status, const char *sentence)
{
	f->state = state;
	if (!jnl_rewrap_is_used(state))
		(void)slk_fail(&f->why, status, "%s", sentence);
}

static int
judge_signature(
	const struct jnl_rewraps *r, const struct fmt_rewrap *side, struct jnl_rewrap_file *f)
{
	const struct seal_attest_keys *trusted = r->config.trusted;
	int rc = seal_attest_verify(side->trailer.public_key, FMT_ATTEST_REWRAP,
		side->trailer.digest, side->trailer.signature);

	if (rc == SLK_INTERNAL)
		return rc;
	if (rc != SLK_OK)
		judge(f, JNL_REWRAP_UNTRUSTED, SLK_BAD_TAG, "its signature is not right");
	else if (trusted != NULL && !seal_attest_keys_has(trusted, side->trailer.public_key))
		judge(f, JNL_REWRAP_UNTRUSTED, SLK_BAD_TAG,
			"it is signed, but not by the attestation key that was given");
	else
		judge(f, trusted != NULL ? JNL_REWRAP_SIGNED : JNL_REWRAP_INTACT, SLK_OK, "");
	return SLK_OK;
}

static int
describe(const struct jnl_rewraps *r, const struct fmt_rewrap *side, size_t bytes,
	struct jnl_rewrap_file *f)
{
	uint8_t digest[SEAL_SHA256_BYTES];
	int rc = seal_sha256(side->signed_part, digest);

	if (rc == SLK_OK)
		rc = seal_sha256(side->trailer.public_key, f->signer);
	if (rc != SLK_OK)
		return rc;
	f->bytes = bytes;
	f->created_ns = side->header.created_ns;
	f->count = side->header.count;
	memcpy(f->digest, side->trailer.digest, sizeof(f->digest));
	memcpy(f->signer_arn, side->trailer.key_arn.ptr, side->trailer.key_arn.len);
	f->signer_arn[side->trailer.key_arn.len] = '\0';
	if (memcmp(digest, side->trailer.digest, sizeof(digest)) != 0)
		judge(f, JNL_REWRAP_DAMAGED, SLK_CORRUPT, "its digest is not that of its bytes");
	else if (!r->have_uuid)
		judge(f, JNL_REWRAP_FOREIGN, SLK_CORRUPT,
			"no lane file tells which journal this is");
	else if (memcmp(r->uuid, side->header.journal_uuid, sizeof(r->uuid)) != 0)
		judge(f, JNL_REWRAP_FOREIGN, SLK_CORRUPT, "it belongs to another journal");
	else if (side->header.number != f->number)
		judge(f, JNL_REWRAP_FOREIGN, SLK_CORRUPT, "it has another number than its name");
	else
		return judge_signature(r, side, f);
	return SLK_OK;
}

/* Is the side file before this one the one that it names? */
static bool
is_chained(const struct jnl_rewraps *r, const struct fmt_rewrap *side)
{
	static const uint8_t none[FMT_REWRAP_DIGEST_BYTES];
	const uint8_t *before = none;

	for (size_t i = 0; i < r->file_count; i++)
		if (r->files[i].number < side->header.number &&
			jnl_rewrap_is_used(r->files[i].state))
			before = r->files[i].digest;
	return memcmp(before, side->header.previous, sizeof(none)) == 0;
}

static int
add_place(struct jnl_rewraps *r, uint64_t epoch_id, uint32_t file, uint32_t offset)
{
	if (r->place_count == r->place_cap) {
		size_t cap = r->place_cap == 0 ? 1024 : 2 * r->place_cap;
		struct place *bigger = realloc(r->places, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		r->places = bigger;
		r->place_cap = cap;
	}
	r->places[r->place_count++] = (struct place){epoch_id, file, offset};
	r->places_sorted = false;
	return SLK_OK;
}

static int
keep_entries(struct jnl_rewraps *r, const struct fmt_rewrap *side, uint32_t file)
{
	struct slk_reader reader = slk_reader(side->entries);
	struct fmt_rewrap_entry e;
	int rc = SLK_OK;

	for (uint32_t i = 0; rc == SLK_OK && i < side->header.count; i++) {
		size_t offset = FMT_REWRAP_HEADER_BYTES + (side->entries.len - reader.len);
		rc = fmt_rewrap_entry_decode(&reader, &e);
		if (rc == SLK_OK && (r->config.any_stream || e.stream_id == r->config.stream_id))
			rc = add_place(r, e.epoch_id, file, (uint32_t)offset);
	}
	return rc;
}

/* What cannot be helped by looking at the next file. */
static bool
is_ours(int rc)
{
	return rc == SLK_NO_MEMORY || rc == SLK_INTERNAL;
}

static int
look_at(struct jnl_rewraps *r, struct jnl_rewrap_file *f, uint32_t index)
{
	struct fmt_rewrap side;
	uint8_t *bytes = NULL;
	size_t len = 0;
	int rc = read_whole(r, f->name, &bytes, &len);

	if (rc == SLK_OK)
		rc = fmt_rewrap_decode(slk_span(bytes, len), &side);
	if (rc != SLK_OK) {
		judge(f, JNL_REWRAP_DAMAGED, rc, slk_status_sentence(rc));
		free(bytes);
		return is_ours(rc) ? rc : SLK_OK;
	}
	rc = describe(r, &side, len, f);
	if (rc == SLK_OK && jnl_rewrap_is_used(f->state)) {
		f->chained = is_chained(r, &side);
		rc = keep_entries(r, &side, index);
	}
	free(bytes);
	return rc;
}

/* --- all of them --- */

struct numbers {
	uint64_t *list;
	size_t count, cap;
};

static int
take_name(void *arg, const char *name)
{
	struct numbers *n = arg;
	uint64_t number;

	if (!fmt_rewrap_name_parse(name, &number))
		return SLK_OK;
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 16 : 2 * n->cap;
		uint64_t *bigger = realloc(n->list, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		n->list = bigger;
		n->cap = cap;
	}
	n->list[n->count++] = number;
	return SLK_OK;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool
is_known(const struct jnl_rewraps *r, uint64_t number)
{
	for (size_t i = 0; i < r->file_count; i++)
		if (r->files[i].number == number)
			return true;
	return false;
}

static int
load_one(struct jnl_rewraps *r, uint64_t number)
{
	struct jnl_rewrap_file *bigger = realloc(r->files, (r->file_count + 1) * sizeof(*r->files));

	if (bigger == NULL)
		return SLK_NO_MEMORY;
	r->files = bigger;
	struct jnl_rewrap_file *f = &r->files[r->file_count];
	*f = (struct jnl_rewrap_file){.number = number};
	fmt_rewrap_name(number, f->name);
	size_t places = r->place_count;
	int rc = look_at(r, f, (uint32_t)r->file_count);
	if (rc != SLK_OK) {
		r->place_count = places;
		return rc;
	}
	r->file_count++;
	if (r->config.seen != NULL)
		r->config.seen(r->config.arg, f);
	return SLK_OK;
}

static int
by_place(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;

	if (x->epoch_id != y->epoch_id)
		return x->epoch_id < y->epoch_id ? -1 : 1;
	return x->file < y->file ? -1 : x->file > y->file;
}

int
jnl_rewraps_refresh(struct jnl_rewraps *r, struct slk_error *err)
{
	struct numbers n = {0};
	int rc = r->fs->list(r->fs->ctx, r->dir, take_name, &n);

	if (rc == SLK_OK && !r->have_uuid)
		rc = learn_uuid(r);
	if (rc == SLK_OK && n.count > 0)
		qsort(n.list, n.count, sizeof(*n.list), by_number);
	for (size_t i = 0; rc == SLK_OK && i < n.count; i++)
		if (!is_known(r, n.list[i]))
			rc = load_one(r, n.list[i]);
	free(n.list);
	/* Also after an error: lookups count on it. */
	if (!r->places_sorted && r->place_count > 0)
		qsort(r->places, r->place_count, sizeof(*r->places), by_place);
	r->places_sorted = true;
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc, "cannot look for side files of re-wrapped keys in %s: %s",
			  r->dir, slk_status_sentence(rc));
}

int
jnl_rewraps_new(const struct jnl_rewraps_config *config, struct jnl_rewraps **out_rewraps,
	struct slk_error *err)
{
	struct jnl_rewraps *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->dir = strdup(config->dir);
	if (r == NULL || r->dir == NULL) {
		free(r);
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	r->config = *config;
	r->config.dir = r->dir;
	r->fs = config->fs != NULL ? config->fs : slk_fs_posix();
	int rc = jnl_rewraps_refresh(r, err);
	if (rc != SLK_OK) {
		jnl_rewraps_free(r);
		return rc;
	}
	*out_rewraps = r;
	return SLK_OK;
}

void
jnl_rewraps_free(struct jnl_rewraps *rewraps)
{
	if (rewraps == NULL)
		return;
	free(rewraps->files);
	free(rewraps->places);
	free(rewraps->dir);
	free(rewraps);
}

size_t
jnl_rewraps_count(const struct jnl_rewraps *rewraps)
{
	return rewraps->file_count;
}

const struct jnl_rewrap_file *
jnl_rewraps_file(const struct jnl_rewraps *rewraps, size_t index)
{
	return &rewraps->files[index];
}

int
jnl_rewraps_next(const struct jnl_rewraps *r, struct fmt_rewrap_header *out_header)
{
	struct fmt_rewrap_header h = {.number = 1};

	if (!r->have_uuid)
		return SLK_NOT_FOUND;
	memcpy(h.journal_uuid, r->uuid, sizeof(h.journal_uuid));
	for (size_t i = 0; i < r->file_count; i++) {
		if (!jnl_rewrap_is_used(r->files[i].state) || r->files[i].number < h.number)
			continue;
		h.number = r->files[i].number + 1; /* names end before this wraps around */
		memcpy(h.previous, r->files[i].digest, sizeof(h.previous));
	}
	while (is_known(r, h.number))
		h.number++;
	*out_header = h;
	return h.number > 0 ? SLK_OK : SLK_LIMIT;
}

/* --- entries --- */

/* The first place of the epoch, or where it would be. */
static size_t
first_place(const struct jnl_rewraps *r, uint64_t epoch_id)
{
	size_t low = 0, high = r->place_count;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (r->places[mid].epoch_id < epoch_id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
read_entry(const struct jnl_rewraps *r, const struct place *at, uint8_t *buf, size_t cap,
	struct fmt_rewrap_entry *out)
{
	char path[JNL_PATH_MAX];
	size_t len = 0;
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", r->dir, r->files[at->file].name) >=
		(int)sizeof(path))
		return SLK_TOO_LARGE;
	int rc = r->fs->open(r->fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = r->fs->pread(r->fs->ctx, fd, buf, cap, at->offset, &len);
	(void)r->fs->close(r->fs->ctx, fd);
	if (rc != SLK_OK)
		return rc;
	struct slk_reader reader = slk_reader(slk_span(buf, len));
	return fmt_rewrap_entry_decode(&reader, out) == SLK_OK ? SLK_OK : SLK_CORRUPT;
}

int
jnl_rewraps_entry(const struct jnl_rewraps *r, const struct jnl_epoch_info *info, unsigned index,
	struct jnl_rewrapped *out_entry)
{
	size_t first = first_place(r, info->epoch_id), end = first;
	struct fmt_rewrap_entry e;

	while (end < r->place_count && r->places[end].epoch_id == info->epoch_id)
		end++;
	if (end - first <= index)
		return SLK_NOT_FOUND;
	const struct place *at = &r->places[end - 1 - index];
	size_t cap = FMT_REWRAP_ENTRY_HEAD_BYTES + FMT_KEYBLOCK_ARN_MAX + FMT_KEYBLOCK_WRAPPED_MAX;
	uint8_t *buf = malloc(cap);
	if (buf == NULL)
		return SLK_NO_MEMORY;
	int rc = read_entry(r, at, buf, cap, &e);
	if (rc == SLK_OK &&
		(e.epoch_id != info->epoch_id || e.stream_id != info->stream_id ||
			!slk_span_equal(e.commitment, info->commitment)))
		rc = SLK_CORRUPT;
	if (rc == SLK_OK) {
		out_entry->number = r->files[at->file].number;
		memcpy(out_entry->key_arn, e.key_arn.ptr, e.key_arn.len);
		out_entry->key_arn[e.key_arn.len] = '\0';
		memcpy(out_entry->wrapped, e.wrapped.ptr, e.wrapped.len);
		out_entry->wrapped_len = e.wrapped.len;
	}
	free(buf);
	return rc;
}

/* --- unwrapping --- */

struct search {
	const struct jnl_epoch_info *info;
	jnl_decrypt_fn decrypt;
	void *ctx;
	struct slk_secret *data_key;
	int rank; /* of what is in err */
	int status; /* of the same */
	struct slk_error err;
};

/* Which of several failures is told: one that may pass, then a refusal, then a wrong key or ciphertext. */
static int
rank_of(int rc)
{
	switch (slk_status_class(rc)) {
	case SLK_CLASS_RETRY:
		return 4;
	case SLK_CLASS_CALLER:
		return 3;
	case SLK_CLASS_FATAL:
		return 2;
	default:
		return 1;
	}
}

static void
note(struct search *s, int rc, const struct slk_error *err)
{
	if (rank_of(rc) <= s->rank)
		return;
	s->rank = rank_of(rc);
	s->status = rc;
	s->err = *err;
}

/* SLK_OK: found. SLK_END: the search is over. SLK_AGAIN: another wrap may do. */
static int
try_wrap(struct search *s, struct slk_span wrapped, const char *where)
{
	uint8_t commitment[SEAL_COMMITMENT_BYTES];
	struct slk_secret *data_key = NULL, *key = NULL;
	struct slk_error err = {0};
	int rc = s->decrypt(s->ctx, s->info, wrapped, &data_key, &err);

	if (rc == SLK_OK) {
		rc = seal_epoch_derive(
			data_key, s->info->epoch_id, s->info->stream_id, &key, commitment);
		slk_secret_free(key);
		if (rc == SLK_INVALID ||
			(rc == SLK_OK &&
				!slk_span_equal(slk_span(commitment, sizeof(commitment)),
					s->info->commitment)))
			rc = SLK_BAD_COMMITMENT;
		if (rc == SLK_OK) {
			s->data_key = data_key;
			return SLK_OK;
		}
		slk_secret_free(data_key);
		(void)slk_fail(&err, rc, "%s", slk_status_sentence(rc));
	}
	if (where[0] != '\0')
		(void)slk_fail_prefix(&err, "by %s", where);
	note(s, rc, &err);
	return rc == SLK_TIMEOUT || rc == SLK_NO_MEMORY ? SLK_END : SLK_AGAIN;
}

static int
try_entries(const struct jnl_rewraps *r, struct search *s)
{
	struct jnl_rewrapped *entry = malloc(sizeof(*entry));
	char name[FMT_REWRAP_NAME_MAX];
	int rc = SLK_AGAIN;

	if (entry == NULL) {
		(void)slk_fail(&s->err, SLK_NO_MEMORY, "out of memory");
		s->status = SLK_NO_MEMORY;
		return SLK_END;
	}
	for (unsigned i = 0; rc == SLK_AGAIN && i < JNL_REWRAP_TRIES; i++) {
		int got = jnl_rewraps_entry(r, s->info, i, entry);
		if (got == SLK_NOT_FOUND)
			break;
		if (got != SLK_OK) /* damaged since, or gone: as if it had never been */
			continue;
		fmt_rewrap_name(entry->number, name);
		rc = try_wrap(s, slk_span(entry->wrapped, entry->wrapped_len), name);
	}
	free(entry);
	return rc;
}

static int
try_all(const struct jnl_rewraps *r, struct search *s)
{
	int rc = r != NULL ? try_entries(r, s) : SLK_AGAIN;

	return rc == SLK_AGAIN ? try_wrap(s, s->info->wrapped, "") : rc;
}

int
jnl_rewraps_data_key(struct jnl_rewraps *rewraps, const struct jnl_epoch_info *info,
	jnl_decrypt_fn decrypt, void *ctx, struct slk_secret **out_data_key, struct slk_error *err)
{
	struct search s = {.info = info, .decrypt = decrypt, .ctx = ctx};
	int rc = try_all(rewraps, &s);

	if (rc == SLK_AGAIN && rewraps != NULL && slk_status_class(s.status) != SLK_CLASS_RETRY) {
		size_t before = rewraps->place_count;
		/* What cannot be listed now is not news. */
		if (jnl_rewraps_refresh(rewraps, NULL) == SLK_OK && rewraps->place_count > before)
			rc = try_entries(rewraps, &s);
	}
	if (rc != SLK_OK) {
		if (err != NULL)
			*err = s.err;
		return s.status;
	}
	*out_data_key = s.data_key;
	return SLK_OK;
}
