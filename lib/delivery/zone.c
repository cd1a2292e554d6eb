/* Time zones: see zone.h.
 *
 *     header: "TZif" version(1) 0(15) isut(4) isstd(4) leap(4) times(4) types(4) chars(4), all big-endian
 *     first block, with 32-bit times: passed over
 *     header again, then: times(8 each) type of each(1 each) types{offset(4) dst(1) abbreviation(1)} chars leap(12 each)
 *                         isstd(1 each) isut(1 each)
 *     "\n" rule for what comes after the last time, as in POSIX's TZ variable "\n"
 */
#include "delivery/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "delivery/zonerule.h"

#define DATABASE "/usr/share/zoneinfo/"
#define HEADER_BYTES 44u
#define COUNT_MAX 4096u /* of anything in a file */
#define UNIX_MAX (INT64_C(1) << 40)

static bool
is_name(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/_");

	/* Times under right/ count leap seconds. */
	return len > 0 && len < DLV_ZONE_NAME_MAX && name[len] == '\0' && name[0] != '/' &&
		strncmp(name, "right/", 6) != 0;
}

static int
read_all(int fd, uint8_t *out, size_t cap, size_t *out_len)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t got = read(fd, out + len, cap - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) /* a directory of zones is no zone */
			return errno == EISDIR ? SLK_NOT_FOUND : slk_status_from_errno(errno);
		if (got == 0) {
			*out_len = len;
			return SLK_OK;
		}
		len += (size_t)got;
	}
	return SLK_TOO_LARGE;
}

int
dlv_zone_read(const char *name, uint8_t out[DLV_ZONE_FILE_MAX], size_t *out_len)
{
	char path[sizeof(DATABASE) + DLV_ZONE_NAME_MAX] = DATABASE;

	if (!is_name(name))
		return SLK_INVALID;
	memcpy(path + sizeof(DATABASE) - 1, name, strlen(name) + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno == ENOTDIR ? SLK_NOT_FOUND : slk_status_from_errno(errno);
	int rc = read_all(fd, out, DLV_ZONE_FILE_MAX, out_len);
	close(fd);
	return rc;
}

struct counts {
	uint32_t isut, isstd, leap, times, types, chars;
};

static int
read_header(struct slk_reader *r, struct counts *out)
{
	struct slk_span magic = slk_read_span(r, 4);
	uint8_t version = slk_read_u8(r);

	(void)slk_read_span(r, 15);
	out->isut = slk_read_be32(r);
	out->isstd = slk_read_be32(r);
	out->leap = slk_read_be32(r);
	out->times = slk_read_be32(r);
	out->types = slk_read_be32(r);
	out->chars = slk_read_be32(r);
	if (r->status != SLK_OK)
		return r->status;
	if (memcmp(magic.ptr, "TZif", 4) != 0)
		return SLK_MALFORMED;
	if (version < '2')
		return SLK_BAD_VERSION;
	if (out->isut > COUNT_MAX || out->isstd > COUNT_MAX || out->leap > COUNT_MAX ||
		out->times > COUNT_MAX || out->types > COUNT_MAX || out->chars > COUNT_MAX)
		return SLK_MALFORMED;
	return SLK_OK;
}

/* The second block. */
struct block {
	struct counts counts;
	struct slk_span times, indexes, types, chars, rule;
};

static int
read_block(struct slk_reader *r, struct block *out)
{
	struct counts *n = &out->counts;
	int rc = read_header(r, n);

	if (rc != SLK_OK)
		return rc;
	out->times = slk_read_span(r, n->times * 8ul);
	out->indexes = slk_read_span(r, n->times);
	out->types = slk_read_span(r, n->types * 6ul);
	out->chars = slk_read_span(r, n->chars);
	(void)slk_read_span(r, n->leap * 12ul + n->isstd + n->isut);
	if (r->status != SLK_OK)
		return r->status;
	if (n->types == 0 || n->leap != 0)
		return SLK_MALFORMED;
	if (r->len < 2 || r->ptr[0] != '\n' || r->ptr[r->len - 1] != '\n')
		return SLK_MALFORMED;
	out->rule = slk_span(r->ptr + 1, r->len - 2);
	return SLK_OK;
}

static int
take_type(const struct block *block, unsigned index, struct dlv_zone_moment *out)
{
	struct dlv_zone_moment moment = {0};

	if (index >= block->counts.types)
		return SLK_MALFORMED;
	const uint8_t *type = block->types.ptr + index * 6ul;
	moment.offset_s = (int32_t)slk_get_be32(type);
	size_t from = type[5];
	const uint8_t *end = from < block->chars.len
		? memchr(block->chars.ptr + from, '\0', block->chars.len - from)
		: NULL;
	if (end == NULL || moment.offset_s < -DLV_ZONE_OFFSET_MAX ||
		moment.offset_s > DLV_ZONE_OFFSET_MAX)
		return SLK_MALFORMED;
	size_t len = (size_t)(end - block->chars.ptr) - from;
	if (len >= sizeof(moment.abbreviation))
		return SLK_MALFORMED;
	memcpy(moment.abbreviation, block->chars.ptr + from, len);
	*out = moment;
	return SLK_OK;
}

/* How many of the times have passed. */
static size_t
times_passed(const struct block *block, int64_t unix_s)
{
	size_t low = 0;
	size_t high = block->counts.times;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((int64_t)slk_get_be64(block->times.ptr + middle * 8) <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int
dlv_zone_at(struct slk_span file, int64_t unix_s, struct dlv_zone_moment *out)
{
	struct slk_reader r = slk_reader(file);
	struct counts first;
	struct block block;

	if (unix_s < 0 || unix_s > UNIX_MAX)
		return SLK_RANGE;
	int rc = read_header(&r, &first);
	if (rc != SLK_OK)
		return rc;
	(void)slk_read_span(&r,
		first.times * 5ul + first.types * 6ul + first.chars + first.leap * 8ul +
			first.isstd + first.isut);
	rc = read_block(&r, &block);
	if (rc != SLK_OK)
		return rc;
	size_t passed = times_passed(&block, unix_s);
	if (passed == block.counts.times && block.rule.len > 0)
		return dlv_zonerule_at(block.rule, unix_s, out);
	return take_type(&block, passed == 0 ? 0 : block.indexes.ptr[passed - 1], out);
}
