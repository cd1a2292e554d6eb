/* Partition keys and the shards that their MD5 names. */
#include "net/partition.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define MD5_BYTES 16u
#define KEY_CHARACTERS_MAX 256u /* of a partition key, as Kinesis counts them */
#define SENDER_SLOTS 128u /* power of two */
#define SHARD_KEY_SEARCH_MAX 10000000u
#define SHARD_KEY_SEARCH_GIVEN 1000000u /* of ranges that may be narrow */

/* The key that stands for a shard: a decimal number of at most 7 digits. */
struct shard_key {
	uint8_t len;
	char text[7];
};

/* A sender that was seen: its text and shard, so that neither is worked out for each of its
 * datagrams. */
struct sender {
	uint8_t ip[16];
	uint16_t port;
	uint8_t ip_len; /* 4, 16; 0: an empty slot */
	uint8_t text_len;
	uint32_t shard;
	char text[DP_PARTITION_ROOM_BYTES];
};

struct dp_partition {
	struct dp_partition_config config;
	dp_hash_key width; /* of a hash key range, if they are equal */
	dp_hash_key *starts; /* or where each begins; NULL */
	EVP_MD *md5;
	EVP_MD_CTX *md5_ctx;
	const struct dp_packet *packet; /* of the datagram at hand */
	uint8_t *room;
	const struct sender *sender; /* of the datagram at hand; NULL: not looked up yet */
	uint32_t fixed_shard;
	uint32_t next_shard;
	uint64_t fallback_count;
	uint64_t hash_count;
	struct shard_key *shard_keys; /* by shard; one for FIXED; NULL for the others */
	struct sender senders[SENDER_SLOTS];
};

static const char *const rule_names[] = {
	[DP_PARTITION_FIXED] = "fixed",
	[DP_PARTITION_ROUND_ROBIN] = "round-robin",
	[DP_PARTITION_SOURCE] = "source",
	[DP_PARTITION_FIELD] = "field",
};

#define RULE_COUNT (sizeof(rule_names) / sizeof(rule_names[0]))

bool
dp_partition_rule_parse(const char *text, enum dp_partition_rule *out_rule)
{
	for (size_t i = 0; i < RULE_COUNT; i++) {
		if (strcmp(text, rule_names[i]) == 0) {
			*out_rule = (enum dp_partition_rule)i;
			return true;
		}
	}
	return false;
}

const char *
dp_partition_rule_name(enum dp_partition_rule rule)
{
	return (size_t)rule < RULE_COUNT ? rule_names[rule] : "unknown";
}

/* --- the hash space --- */

#define HASH_KEY_MAX (~(dp_hash_key)0)

/* floor(2^128 / n); for n = 1 that does not fit, and is never used as a factor of anything but 0 */
static dp_hash_key
range_width(uint32_t shard_count)
{
	return HASH_KEY_MAX / shard_count + (HASH_KEY_MAX % shard_count == shard_count - 1);
}

dp_hash_key
dp_hash_key_from_md5(const uint8_t digest[16])
{
	return (dp_hash_key)slk_get_be64(digest) << 64 | slk_get_be64(digest + 8);
}

void
dp_hash_key_range(
	uint32_t index, uint32_t shard_count, dp_hash_key *out_start, dp_hash_key *out_end)
{
	dp_hash_key width = range_width(shard_count);

	*out_start = width * index;
	*out_end = index == shard_count - 1 ? HASH_KEY_MAX : width * (index + 1) - 1;
}

/* key * n / 2^128, rounded down from the upper half of key, is never too high, and at most 2 too
 * low, since the ranges are a little narrower than 2^128 / n. So no key costs a division. */
static uint32_t
shard_of(dp_hash_key key, uint32_t shard_count, dp_hash_key width)
{
	uint32_t shard = (uint32_t)(((dp_hash_key)(uint64_t)(key >> 64) * shard_count) >> 64);

	while (shard + 1 < shard_count && key >= width * (shard + 1))
		shard++;
	return shard;
}

uint32_t
dp_hash_key_shard(dp_hash_key key, uint32_t shard_count)
{
	return shard_of(key, shard_count, range_width(shard_count));
}

/* The last one that does not start above key. */
static uint32_t
search(dp_hash_key key, const dp_hash_key *starts, uint32_t shard_count)
{
	uint32_t low = 0, high = shard_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (starts[middle] <= key)
			low = middle;
		else
			high = middle;
	}
	return low;
}

uint32_t
dp_hash_key_find(dp_hash_key key, const dp_hash_key *starts, uint32_t shard_count)
{
	return starts != NULL ? search(key, starts, shard_count)
			      : dp_hash_key_shard(key, shard_count);
}

static void
count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static uint32_t
hash_shard(const struct dp_partition *p, dp_hash_key key)
{
	return p->starts != NULL ? search(key, p->starts, p->config.shard_count)
				 : shard_of(key, p->config.shard_count, p->width);
}

static int
hash(struct dp_partition *p, struct slk_span key, dp_hash_key *out)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	count(&p->hash_count);
	if (EVP_DigestInit_ex2(p->md5_ctx, p->md5, NULL) != 1 ||
		EVP_DigestUpdate(p->md5_ctx, key.ptr, key.len) != 1 ||
		EVP_DigestFinal_ex(p->md5_ctx, digest, NULL) != 1)
		return SLK_INTERNAL;
	*out = dp_hash_key_from_md5(digest);
	return SLK_OK;
}

/* A stream of one shard leaves nothing to find out. */
int
dp_partition_key_shard(struct dp_partition *p, struct slk_span key, uint32_t *out_shard)
{
	dp_hash_key at = 0;
	int rc = p->config.shard_count == 1 ? SLK_OK : hash(p, key, &at);

	if (rc == SLK_OK)
		*out_shard = hash_shard(p, at);
	return rc;
}

/* --- start --- */

static int
check_config(const struct dp_partition_config *c, struct slk_error *err)
{
	if (c->shard_count < 1 || c->shard_count > DP_SHARD_COUNT_MAX)
		return slk_fail(err, SLK_CONFIG, "a stream of %u shards: give 1 to %u",
			c->shard_count, DP_SHARD_COUNT_MAX);
	if ((size_t)c->rule >= RULE_COUNT)
		return slk_fail(err, SLK_CONFIG, "no such partition rule: %d", (int)c->rule);
	if (c->rule == DP_PARTITION_FIXED && !c->has_fixed_range &&
		c->fixed_shard >= c->shard_count)
		return slk_fail(err, SLK_CONFIG,
			"shard %u does not exist: the stream has %u, from 0", c->fixed_shard,
			c->shard_count);
	if (c->rule == DP_PARTITION_FIELD && (c->field < 1 || c->field > DP_PARTITION_FIELD_MAX))
		return slk_fail(err, SLK_CONFIG, "field %u is out of range: give 1 to %u", c->field,
			DP_PARTITION_FIELD_MAX);
	return SLK_OK;
}

static int
fetch_md5(struct dp_partition *p, struct slk_error *err)
{
	p->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	if (p->md5 == NULL)
		p->md5 = EVP_MD_fetch(NULL, "MD5", "-fips"); /* nothing is protected by it */
	if (p->md5 == NULL)
		return slk_fail(err, SLK_UNAVAILABLE,
			"libcrypto has no MD5, which maps partition keys to shards; load its "
			"default provider");
	p->md5_ctx = EVP_MD_CTX_new();
	return p->md5_ctx != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "no memory for MD5");
}

static struct shard_key
decimal_key(uint32_t number)
{
	char digits[sizeof(((struct shard_key *)0)->text)];
	struct shard_key key = {0};

	do {
		digits[key.len++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	for (unsigned i = 0; i < key.len; i++)
		key.text[i] = digits[key.len - 1 - i];
	return key;
}

/* The key of the fixed shard: the first number that falls into the range, wherever that belongs now. */
static int
find_fixed_key(struct dp_partition *p, struct slk_error *err)
{
	dp_hash_key at;

	if (p->config.shard_count == 1 && !p->config.has_fixed_range) {
		p->shard_keys[0] = decimal_key(0);
		return SLK_OK;
	}
	for (uint32_t number = 0; number < SHARD_KEY_SEARCH_MAX; number++) {
		struct shard_key key = decimal_key(number);
		int status = hash(p, slk_span(key.text, key.len), &at);
		if (status != SLK_OK)
			return slk_fail(err, status, "libcrypto cannot hash a partition key");
		if (at < p->config.fixed_start || at > p->config.fixed_end)
			continue;
		p->shard_keys[0] = key;
		p->fixed_shard = hash_shard(p, at);
		return SLK_OK;
	}
	return slk_fail(err, SLK_CONFIG, "the shard is too narrow for a partition key to be found");
}

/* To the next shard that has a key; one has. */
static void
advance(struct dp_partition *p)
{
	do {
		p->next_shard = p->next_shard + 1 == p->config.shard_count ? 0 : p->next_shard + 1;
	} while (p->shard_keys[p->next_shard].len == 0);
}

/* Try 0, 1, 2, ... until every shard has its key: about n ln n numbers, 100,000 for 10,000 equal ones. */
static int
find_shard_keys(struct dp_partition *p, struct slk_error *err)
{
	uint32_t wanted = p->config.shard_count;
	uint32_t most = p->starts != NULL ? SHARD_KEY_SEARCH_GIVEN : SHARD_KEY_SEARCH_MAX;

	for (uint32_t number = 0; wanted > 0 && number < most; number++) {
		struct shard_key key = decimal_key(number);
		uint32_t shard;
		int status = dp_partition_key_shard(p, slk_span(key.text, key.len), &shard);
		if (status != SLK_OK)
			return slk_fail(err, status, "libcrypto cannot hash a partition key");
		if (p->shard_keys[shard].len == 0) {
			p->shard_keys[shard] = key;
			wanted--;
		}
	}
	if (wanted == p->config.shard_count)
		return slk_fail(err, SLK_INTERNAL, "no partition keys found for the shards");
	if (p->shard_keys[p->next_shard].len == 0)
		advance(p);
	return SLK_OK;
}

static int
make_shard_keys(struct dp_partition *p, struct slk_error *err)
{
	if (p->config.rule != DP_PARTITION_FIXED && p->config.rule != DP_PARTITION_ROUND_ROBIN)
		return SLK_OK;
	p->shard_keys = calloc(p->config.rule == DP_PARTITION_FIXED ? 1 : p->config.shard_count,
		sizeof(*p->shard_keys));
	if (p->shard_keys == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the keys of %u shards",
			p->config.shard_count);
	return p->config.rule == DP_PARTITION_FIXED ? find_fixed_key(p, err)
						    : find_shard_keys(p, err);
}

static int
take_ranges(struct dp_partition *p, const struct dp_partition_config *config, struct slk_error *err)
{
	size_t bytes = config->shard_count * sizeof(*config->starts);

	if (config->starts != NULL) {
		p->starts = malloc(bytes);
		if (p->starts == NULL)
			return slk_fail(err, SLK_NO_MEMORY, "no memory for the ranges of %u shards",
				config->shard_count);
		memcpy(p->starts, config->starts, bytes);
	}
	if (config->has_fixed_range || config->rule != DP_PARTITION_FIXED)
		return SLK_OK;
	dp_hash_key_range(config->fixed_shard, config->shard_count, &p->config.fixed_start,
		&p->config.fixed_end);
	if (p->starts == NULL)
		return SLK_OK;
	p->config.fixed_start = p->starts[config->fixed_shard];
	p->config.fixed_end = config->fixed_shard + 1 < config->shard_count
		? p->starts[config->fixed_shard + 1] - 1
		: HASH_KEY_MAX;
	return SLK_OK;
}

int
dp_partition_new(const struct dp_partition_config *config, struct dp_partition **out_partition,
	struct slk_error *err)
{
	int status = check_config(config, err);
	if (status != SLK_OK)
		return status;
	struct dp_partition *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a partition rule");
	p->config = *config;
	p->config.starts = NULL; /* the caller's */
	p->width = range_width(config->shard_count);
	p->next_shard = config->start_shard % config->shard_count;
	status = take_ranges(p, config, err);
	if (status == SLK_OK)
		status = fetch_md5(p, err);
	if (status == SLK_OK)
		status = make_shard_keys(p, err);
	if (status != SLK_OK) {
		dp_partition_free(p);
		return status;
	}
	*out_partition = p;
	return SLK_OK;
}

void
dp_partition_free(struct dp_partition *p)
{
	if (p == NULL)
		return;
	EVP_MD_CTX_free(p->md5_ctx);
	EVP_MD_free(p->md5);
	free(p->shard_keys);
	free(p->starts);
	free(p);
}

/* --- source --- */

/* "10.77.0.1:40000", "[fe80::1]:514" */
static size_t
sender_text(const struct dp_packet *packet, char out[DP_PARTITION_ROOM_BYTES])
{
	struct slk_span ip = dp_packet_source_ip(packet);
	bool ip4 = ip.len == 4;
	size_t len = ip4 ? 0 : 1;

	out[0] = '[';
	if (inet_ntop(ip4 ? AF_INET : AF_INET6, ip.ptr, out + len, DP_PARTITION_ROOM_BYTES - 1) ==
		NULL)
		return 0; /* cannot be: both families exist and the room is ample */
	len = strlen(out);
	if (!ip4)
		out[len++] = ']';
	out[len++] = ':';
	struct shard_key port = decimal_key(packet->source_port);
	memcpy(out + len, port.text, port.len);
	return len + port.len;
}

static struct sender *
sender_slot(struct dp_partition *p, struct slk_span ip, uint16_t port)
{
	uint32_t hash = (slk_get_le32(ip.ptr + ip.len - 4) ^ port) * 0x9e3779b1u;
	return &p->senders[hash >> 16 & (SENDER_SLOTS - 1)];
}

static int
fill_sender(struct dp_partition *p, struct sender *s, struct slk_span ip)
{
	s->ip_len = 0; /* empty until it is whole */
	size_t text_len = sender_text(p->packet, s->text);
	if (text_len == 0)
		return SLK_INTERNAL;
	int status = dp_partition_key_shard(p, slk_span(s->text, text_len), &s->shard);
	if (status != SLK_OK)
		return status;
	memcpy(s->ip, ip.ptr, ip.len);
	s->port = p->packet->source_port;
	s->text_len = (uint8_t)text_len;
	s->ip_len = (uint8_t)ip.len;
	return SLK_OK;
}

/* The sender of the datagram at hand; its text goes into the room once. */
static int
find_sender(struct dp_partition *p)
{
	struct slk_span ip = dp_packet_source_ip(p->packet);
	struct sender *s = sender_slot(p, ip, p->packet->source_port);

	if (s->ip_len != ip.len || s->port != p->packet->source_port ||
		memcmp(s->ip, ip.ptr, ip.len) != 0) {
		int status = fill_sender(p, s, ip);
		if (status != SLK_OK)
			return status;
	}
	memcpy(p->room, s->text, DP_PARTITION_ROOM_BYTES);
	p->sender = s;
	return SLK_OK;
}

static int
by_source(struct dp_partition *p, uint32_t *out_shard, struct slk_span *out_key)
{
	if (p->sender == NULL) {
		int status = find_sender(p);
		if (status != SLK_OK)
			return status;
	}
	*out_shard = p->sender->shard;
	*out_key = slk_span(p->room, p->sender->text_len);
	return SLK_OK;
}

/* --- field --- */

/* The bytes of one UTF-8 character (RFC 3629) at the start of s, or 0 if there is none. */
static size_t
utf8_character(struct slk_span s)
{
	uint8_t a = s.ptr[0];

	if (a < 0x80)
		return 1;
	size_t len = a >= 0xf0 ? 4 : a >= 0xe0 ? 3 : 2;
	if (a < 0xc2 || a > 0xf4 || len > s.len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s.ptr[i] & 0xc0) != 0x80)
			return 0;
	}
	uint8_t b = s.ptr[1];
	bool too_long = (a == 0xe0 && b < 0xa0) || (a == 0xf0 && b < 0x90);
	bool surrogate = a == 0xed && b >= 0xa0;
	bool too_high = a == 0xf4 && b >= 0x90;
	return too_long || surrogate || too_high ? 0 : len;
}

static bool
is_partition_key(struct slk_span key)
{
	if (key.len == 0)
		return false;
	for (unsigned characters = 0; key.len > 0; characters++) {
		size_t len = utf8_character(key);
		if (len == 0 || characters == KEY_CHARACTERS_MAX)
			return false;
		key.ptr += len;
		key.len -= len;
	}
	return true;
}

/* Field number (from 1) of a record, or an empty span. */
static struct slk_span
find_field(struct slk_span record, uint32_t number, uint8_t separator)
{
	const uint8_t *at = record.ptr, *end = record.ptr + record.len;

	for (; number > 1; number--) {
		at = memchr(at, separator, (size_t)(end - at));
		if (at == NULL)
			return slk_span(NULL, 0);
		at++;
	}
	const uint8_t *stop = at < end ? memchr(at, separator, (size_t)(end - at)) : NULL;
	return slk_span(at, (size_t)((stop != NULL ? stop : end) - at));
}

static int
by_field(struct dp_partition *p, struct slk_span record, uint32_t *out_shard,
	struct slk_span *out_key)
{
	struct slk_span field = find_field(record, p->config.field, p->config.separator);

	if (!is_partition_key(field)) {
		count(&p->fallback_count);
		return by_source(p, out_shard, out_key);
	}
	int status = dp_partition_key_shard(p, field, out_shard);
	if (status == SLK_OK)
		*out_key = field;
	return status;
}

/* --- the doors --- */

void
dp_partition_begin(struct dp_partition *p, const struct dp_packet *packet, uint8_t *room)
{
	p->packet = packet;
	p->room = room;
	p->sender = NULL;
}

static void
by_shard_key(const struct dp_partition *p, uint32_t shard, uint32_t slot, uint32_t *out_shard,
	struct slk_span *out_key)
{
	*out_shard = shard;
	*out_key = slk_span(p->shard_keys[slot].text, p->shard_keys[slot].len);
}

int
dp_partition_record(struct dp_partition *p, struct slk_span record, uint32_t *out_shard,
	struct slk_span *out_key)
{
	switch (p->config.rule) {
	case DP_PARTITION_FIXED:
		by_shard_key(p, p->fixed_shard, 0, out_shard, out_key);
		return SLK_OK;
	case DP_PARTITION_ROUND_ROBIN:
		by_shard_key(p, p->next_shard, p->next_shard, out_shard, out_key);
		advance(p);
		return SLK_OK;
	case DP_PARTITION_SOURCE:
		return by_source(p, out_shard, out_key);
	case DP_PARTITION_FIELD:
		return by_field(p, record, out_shard, out_key);
	}
	return SLK_INTERNAL;
}

uint64_t
dp_partition_fallback_count(const struct dp_partition *p)
{
	return __atomic_load_n(&p->fallback_count, __ATOMIC_RELAXED);
}

uint64_t
dp_partition_hash_count(const struct dp_partition *p)
{
	return __atomic_load_n(&p->hash_count, __ATOMIC_RELAXED);
}
