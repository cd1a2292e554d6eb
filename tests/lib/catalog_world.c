#include "slk_test.h"

#include "catalog_world.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faultvfs.h"
#include "tempdir.h"

/* --- what is there before each change --- */

const uint8_t *
id_of(uint8_t number)
{
	static uint8_t ids[256][KMS_ID_BYTES];

	memset(ids[number], number, KMS_ID_BYTES);
	return ids[number];
}

const struct kms_check *
check_of(uint8_t number)
{
	static const uint8_t der[] = {0x30, 2, 5, 0};
	static struct kms_check check;

	check = (struct kms_check){.kcv_cmac = {1, 2, 3, 4, 5}};
	memset(check.kcv, number, sizeof(check.kcv));
	if (number == NEW)
		check.public_key = slk_span(der, sizeof(der));
	return &check;
}

int
begin_key(uint8_t number, const struct kms_tag *tags, size_t count)
{
	struct kms_key key = {.created_ns = WORLD_START};

	memcpy(key.id, id_of(number), sizeof(key.id));
	memcpy(key.backing_id, id_of(number), sizeof(key.backing_id));
	if (number == NEW) {
		key.spec = KMS_SPEC_ECC_NIST_P256;
		key.usage = KMS_USAGE_SIGN_VERIFY;
	}
	return kms_catalog_key_begin(catalog, &key, "a key", tags, count);
}

static void
make_key(uint8_t number)
{
	assert_ok(begin_key(number, NULL, 0));
	assert_ok(kms_catalog_key_enable(catalog, id_of(number), check_of(number)));
}

struct kms_alias
alias_of(const char *name, uint8_t key)
{
	struct kms_alias alias;

	memset(&alias, 0, sizeof(alias));
	snprintf(alias.name, sizeof(alias.name), "%s", name);
	memcpy(alias.key_id, id_of(key), sizeof(alias.key_id));
	return alias;
}

static const struct kms_tag stream_tag = {"team", "web"};

struct kms_stream
stream_of(const char *name)
{
	struct kms_stream stream = {
		.shard_count = 2, .encrypted_kms = true, .created_ns = WORLD_START};

	snprintf(stream.name, sizeof(stream.name), "%s", name);
	memcpy(stream.key_id, id_of(TURNED), sizeof(stream.key_id));
	return stream;
}

/* "u": one of its shards is being split. */
static void
make_changing_stream(void)
{
	struct kms_stream stream = stream_of("u");
	struct kms_reshard plan;
	struct kms_shard shard;

	assert_ok(kms_catalog_stream_create(catalog, &stream, NULL, 0, &stream.id));
	assert_ok(kms_catalog_stream_get(catalog, "u", &stream));
	assert_ok(kms_catalog_shard_get(catalog, stream.id, 1, &shard));
	assert_ok(kms_reshard_split(&shard, shard.end - 7, 2, WORLD_START / 1000000000, &plan));
	stream.state = KMS_STREAM_UPDATING;
	stream.change++;
	stream.shards_count += 2;
	assert_ok(kms_catalog_stream_reshard(
		catalog, &stream, &plan, KMS_EVENT_SHARD_COUNT, WORLD_START));
	kms_reshard_fini(&plan);
}

static void
name_key(uint8_t number, const char *name)
{
	const struct kms_alias alias = alias_of(name, number);
	const struct kms_tag tag = {"team", "web"};

	assert_ok(kms_catalog_alias_create(catalog, &alias, WORLD_START));
	assert_ok(kms_catalog_tags_set(catalog, id_of(number), &tag, 1));
}

/* ALICE holds HELD, has a tag and an inline policy; FREE is held by nobody. */
static void
make_identities(void)
{
	const struct kms_identity_row alice = {.name = "alice", .unique_id = "AIDA1"},
				      role = {.kind = KMS_ROLE, .name = "r", .unique_id = "AROA2"};
	const struct kms_policy_row held = {.name = "held"}, unheld = {.name = "free"};
	const struct kms_tag tag = {"team", "web"};
	uint64_t id = 0;

	assert_ok(kms_catalog_identity_create(catalog, &alice, NULL, &tag, 1, &id));
	assert_int_equal(id, ALICE);
	assert_ok(kms_catalog_identity_create(catalog, &role, "{t}", &tag, 1, &id));
	assert_int_equal(id, ROLE);
	assert_ok(kms_catalog_policy_create(catalog, &held, "{p}", &id));
	assert_int_equal(id, HELD);
	assert_ok(kms_catalog_policy_create(catalog, &unheld, "{q}", &id));
	assert_int_equal(id, UNHELD);
	assert_ok(kms_catalog_attach(catalog, ALICE, HELD));
	assert_ok(kms_catalog_inline_put(catalog, ALICE, "in", "{i}"));
}

struct kms_access_key_row
access_key_of(const char *id)
{
	struct kms_access_key_row row = {
		.user_row = ALICE, .sealed = {{1, 2, 3}, 3}, .created_ns = WORLD_START};

	snprintf(row.id, sizeof(row.id), "%s", id);
	return row;
}

struct kms_session_key_row
session_key_of(uint8_t number)
{
	struct kms_session_key_row row = {.sealed = {{4, 5, 6, 7}, 4}, .created_ns = WORLD_START};

	memcpy(row.id, id_of(number), sizeof(row.id));
	return row;
}

/* ALICE has one access key; session tokens are sealed under the second key. */
static void
make_credentials(void)
{
	const struct kms_access_key_row row = access_key_of("AKIA1");
	const struct kms_session_key_row first = session_key_of(1), second = session_key_of(2);

	assert_ok(kms_catalog_access_key_create(catalog, &row));
	assert_ok(kms_catalog_session_key_add(catalog, &first));
	assert_ok(kms_catalog_session_key_add(catalog, &second));
}

struct kms_grant
grant_of(uint8_t number)
{
	struct kms_grant grant = {.grantee = "arn:aws:iam::000000000000:user/alice",
		.issuer = "arn:aws:iam::000000000000:root",
		.operations = KMS_BIT(KMS_GRANT_DECRYPT),
		.created_ns = WORLD_START};

	memset(grant.id, number, sizeof(grant.id));
	memcpy(grant.key_id, id_of(TURNED), sizeof(grant.key_id));
	return grant;
}

struct kms_proposal
proposal_of(uint8_t number)
{
	struct kms_proposal p = {.requester = "arn:aws:iam::000000000000:root",
		.action = "kms:DisableKey",
		.resource = "*",
		.needed = 2,
		.created_ns = WORLD_START,
		.expires_ns = WORLD_START + 1000};

	memcpy(p.id, id_of(number), sizeof(p.id));
	memset(p.digest, number, sizeof(p.digest));
	return p;
}

static void
make_proposals(void)
{
	const struct kms_approval approval = {"arn:aws:iam::000000000000:user/alice", 1000, 2000};

	for (uint8_t number = 1; number <= 2; number++) {
		const struct kms_proposal p = proposal_of(number);
		assert_ok(kms_catalog_proposal_create(catalog, &p, slk_span_str("request")));
	}
	assert_ok(kms_catalog_approval_add(catalog, id_of(1), &approval));
	assert_ok(kms_catalog_proposal_end(
		catalog, id_of(2), KMS_PROPOSAL_REJECTED, approval.principal, WORLD_START));
}

static void
make_world(void)
{
	const struct kms_grant grant = grant_of(1);
	const struct kms_stream stream = stream_of("s");
	uint64_t id;

	make_key(TURNED);
	assert_ok(kms_catalog_backing_begin(
		catalog, id_of(TURNED), id_of(0x12), KMS_BACKING_ON_DEMAND, WORLD_START));
	assert_ok(kms_catalog_backing_switch(catalog, id_of(0x12), check_of(0x12), WORLD_START));
	name_key(TURNED, "alias/turned");
	assert_ok(kms_catalog_stream_create(catalog, &stream, &stream_tag, 1, &id));
	make_changing_stream();
	assert_ok(kms_catalog_stream_policy_put(catalog, id, "{s}"));
	assert_ok(kms_catalog_key_policy_put(catalog, id_of(TURNED), "{k}"));
	assert_ok(kms_catalog_grant_create(catalog, &grant));
	assert_ok(begin_key(NEW, NULL, 0));
	make_key(PENDING);
	name_key(PENDING, "alias/pending");
	assert_ok(kms_catalog_key_schedule(catalog, id_of(PENDING), WORLD_START, 7));
	make_key(ENDING);
	assert_ok(kms_catalog_key_schedule(catalog, id_of(ENDING), WORLD_START, 7));
	assert_ok(kms_catalog_key_doom(catalog, id_of(ENDING)));
	make_identities();
	make_credentials();
	make_proposals();
	make_key(TURNING);
	assert_ok(kms_catalog_rotation_set(catalog, id_of(TURNING), 90, WORLD_START));
	assert_ok(kms_catalog_backing_begin(
		catalog, id_of(TURNING), id_of(0x52), KMS_BACKING_AUTOMATIC, WORLD_START));
}

/* --- the files, as a crash would leave them --- */

static const char *const parts[] = {"", "-wal", "-journal"};

static void
copy_file(const char *from, const char *to)
{
	static uint8_t bytes[1 << 22];
	int in = open(from, O_RDONLY);

	(void)unlink(to);
	if (in < 0)
		return;
	ssize_t n = read(in, bytes, sizeof(bytes));
	assert_true(n >= 0 && n < (ssize_t)sizeof(bytes));
	close(in);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(out >= 0);
	assert_int_equal(write(out, bytes, (size_t)n), n);
	close(out);
}

/* Copies the catalog with the log beside it. */
static void
copy_catalog(const char *from, const char *to)
{
	char source[400], target[400];

	for (size_t i = 0; i < COUNT(parts); i++) {
		snprintf(source, sizeof(source), "%s%s", from, parts[i]);
		snprintf(target, sizeof(target), "%s%s", to, parts[i]);
		copy_file(source, target);
	}
}

static char world_dir[256], world_path[300], crash_path[300];

int
world_setup(void **state)
{
	(void)state;
	faultvfs_install();
	tempdir_make_in_memory(world_dir, sizeof(world_dir));
	snprintf(world_path, sizeof(world_path), "%s/world.db", world_dir);
	snprintf(crash_path, sizeof(crash_path), "%s/crash.db", world_dir);
	catalog_setup(NULL);
	make_world();
	kms_catalog_close(catalog);
	catalog = NULL;
	copy_catalog(catalog_path, world_path);
	return catalog_teardown(NULL);
}

int
world_teardown(void **state)
{
	(void)state;
	tempdir_remove(world_dir);
	return 0;
}

void
world_copy(const char *from)
{
	world_disarm();
	kms_catalog_close(catalog);
	catalog = NULL;
	copy_catalog(from, catalog_path);
}

void
world_begin(void)
{
	world_copy(world_path);
	catalog_reopen();
}

const char *
world_keep(const char *name)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", world_dir, name);
	copy_catalog(catalog_path, path);
	return path;
}

void
world_power_cut(enum faultvfs_left left)
{
	char path[400], part[408];

	snprintf(path, sizeof(path), "%s/cut.db", world_dir);
	for (size_t i = 0; i < COUNT(parts); i++) {
		snprintf(part, sizeof(part), "%s%s", path, parts[i]);
		(void)unlink(part);
	}
	faultvfs_power_cut(catalog_path, path, left);
	world_copy(path);
	catalog_reopen();
}

/* --- faults --- */

const struct world_fault world_faults[WORLD_FAULTS] = {
	{"flush fails for ever", false, true, SQLITE_IOERR_FSYNC, SLK_IO},
	{"disk is full for ever", false, true, SQLITE_FULL, SLK_DISK_FULL},
	{"read fails once", true, false, 0, SLK_IO},
};

void
world_arm(const struct world_fault *fault, unsigned n)
{
	if (fault->reads)
		faultvfs_arm_reads(n, fault->for_ever);
	else
		faultvfs_arm(n, fault->for_ever, fault->code);
}

void
world_disarm(void)
{
	faultvfs_arm(0, false, SQLITE_OK);
}

/* --- what a catalog holds --- */

#define NO_ROW(what, sql) \
	{ \
		what, sql \
	}
/* Each of these finds nothing, whatever happened. */
static const struct {
	const char *what, *sql;
} laws[] = {
	NO_ROW("pages fit together",
		"SELECT 1 FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
	NO_ROW("what is named is there", "SELECT 1 FROM pragma_foreign_key_check"),
	NO_ROW("a key's backing key is its own",
		"SELECT 1 FROM keys k WHERE NOT EXISTS"
		" (SELECT 1 FROM backings b WHERE b.id = k.backing_id AND b.key_id = k.id)"),
	NO_ROW("a made key has one Current, which it names",
		"SELECT 1 FROM keys k WHERE k.state IN (1, 2, 3) AND"
		" (SELECT group_concat(hex(b.id)) FROM backings b WHERE b.key_id = k.id AND "
		"b.state = 1)"
		" IS NOT hex(k.backing_id)"),
	NO_ROW("a backing key that was Current has a check value",
		"SELECT 1 FROM backings WHERE state IN (1, 2) AND kcv = zeroblob(3)"),
	NO_ROW("a made pair has a public key",
		"SELECT 1 FROM keys WHERE spec <> 0 AND state IN (1, 2, 3)"
		" AND backing_id NOT IN (SELECT backing_id FROM public_keys)"),
	NO_ROW("a key that is Creating has no Current",
		"SELECT 1 FROM keys k JOIN backings b ON b.key_id = k.id WHERE k.state = 0 AND "
		"b.state <> 0"),
	NO_ROW("a deletion has an end, and nothing else has",
		"SELECT 1 FROM keys WHERE (state IN (0, 1, 2) AND (deletion_ns <> 0 OR "
		"deletion_left_ns <> 0))"
		" OR (state = 3 AND deletion_ns = 0)"),
	NO_ROW("what ends has no aliases and tags",
		"SELECT 1 FROM keys WHERE state IN (4, 5) AND (id IN (SELECT key_id FROM aliases)"
		" OR id IN (SELECT key_id FROM tags) OR description <> '')"),
	NO_ROW("a Destroyed key has no backing key any more",
		"SELECT 1 FROM keys k WHERE k.state = 5 AND EXISTS"
		" (SELECT 1 FROM backings b WHERE b.key_id = k.id AND b.state <> 3)"),
	NO_ROW("what ends has no policy",
		"SELECT 1 FROM keys WHERE state IN (4, 5) AND (id IN (SELECT key_id FROM "
		"key_policies) OR id IN (SELECT key_id FROM grants))"),
	NO_ROW("a role has a trust policy and a user has none",
		"SELECT 1 FROM identities WHERE (kind = 1) <> (trust IS NOT NULL)"),
	NO_ROW("only users have access keys, and at most two",
		"SELECT 1 FROM identities i WHERE (SELECT count(*) FROM access_keys a"
		" WHERE a.identity_id = i.id) > (CASE i.kind WHEN 0 THEN 2 ELSE 0 END)"),
	NO_ROW("a proposal ended or waits",
		"SELECT 1 FROM proposals WHERE (state = 0) <> (ended_ns = 0)"),
	NO_ROW("an approval is of a proposal, and nobody approves her own",
		"SELECT 1 FROM approvals a LEFT JOIN proposals p ON p.id = a.proposal_id"
		" WHERE p.id IS NULL OR p.requester = a.principal"),
	NO_ROW("a Destroying key has one",
		"SELECT 1 FROM keys k WHERE k.state = 4 AND NOT EXISTS"
		" (SELECT 1 FROM backings b WHERE b.key_id = k.id AND b.state <> 3)"),
};

static void
hold_laws(sqlite3 *db)
{
	for (size_t i = 0; i < COUNT(laws); i++) {
		sqlite3_stmt *s = NULL;
		assert_int_equal(sqlite3_prepare_v2(db, laws[i].sql, -1, &s, NULL), SQLITE_OK);
		if (sqlite3_step(s) != SQLITE_DONE)
			fail_msg("it does not hold that %s", laws[i].what);
		sqlite3_finalize(s);
	}
}

static void
add_bytes(struct world_dump *out, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(out->bytes) - out->len);
	if (len > 0)
		memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
}

static void
dump_table(sqlite3 *db, const char *table, struct world_dump *out)
{
	char sql[128];
	sqlite3_stmt *s = NULL;

	snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY 1, 2", table);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(s); i++) {
			const int head[] = {sqlite3_column_type(s, i), sqlite3_column_bytes(s, i)};
			add_bytes(out, head, sizeof(head));
			add_bytes(out, sqlite3_column_blob(s, i), (size_t)head[1]);
		}
	}
	sqlite3_finalize(s);
}

void
world_dump(struct world_dump *out)
{
	static const char *const tables[] = {"keys", "backings", "public_keys", "tags", "aliases",
		"streams", "shards", "stream_tags", "stream_events", "identities", "identity_tags",
		"inline_policies", "policies", "attachments", "key_policies", "stream_policies",
		"grants", "access_keys", "session_keys", "proposals", "approvals",
		"sqlite_sequence"};
	sqlite3 *db = NULL;

	copy_catalog(catalog_path, crash_path);
	assert_int_equal(sqlite3_open_v2(crash_path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	out->len = 0;
	for (size_t i = 0; i < COUNT(tables); i++)
		dump_table(db, tables[i], out);
	hold_laws(db);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

bool
world_same(const struct world_dump *a, const struct world_dump *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}
