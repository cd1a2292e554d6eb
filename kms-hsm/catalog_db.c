#include "catalog_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_NS "86400000000000"

#define KEY_COLUMNS \
	"SELECT k.id, k.state, k.manager, k.created_ns, k.backing_id, b.kcv, k.spec, k.usage," \
	" k.deletion_ns, k.deletion_days, k.deletion_left_ns, k.rotation_days, k.rotation_next_ns" \
	" FROM keys k JOIN backings b ON b.id = k.backing_id "
#define BACKING_COLUMNS \
	"SELECT b.id, b.key_id, b.kcv, b.state, b.kind, b.generation, b.created_ns, b.current_ns," \
	" b.wraps_reserved, k.spec, k.usage FROM backings b JOIN keys k ON k.id = b.key_id "

#define STREAM_COLUMNS \
	"SELECT id, name, shard_count, encrypted_kms, key_id, created_ns, state, change, " \
	"key_name," \
	" retention_hours, on_demand, shards_count FROM streams "
#define SHARD_COLUMNS \
	"SELECT number, state, hash_start, hash_end, parent, adjacent, created_s, opened_ns," \
	" closed_ns, first_sequence, end_sequence FROM shards "
#define IDENTITY_COLUMNS \
	"SELECT id, kind, name, unique_id, description, max_session_s, created_ns," \
	" coalesce(boundary_id, 0) FROM identities "
#define POLICY_COLUMNS \
	"SELECT p.id, p.name, p.description, p.created_ns, p.changed_ns," \
	" (SELECT count(*) FROM identities i WHERE i.boundary_id = p.id OR EXISTS" \
	" (SELECT 1 FROM attachments h WHERE h.policy_id = p.id AND h.identity_id = i.id))" \
	" FROM policies p "

#define ACCESS_KEY_COLUMNS \
	"SELECT a.id, a.identity_id, i.name, i.unique_id, a.sealed, a.active, a.created_ns," \
	" a.last_used_ns FROM access_keys a JOIN identities i ON i.id = a.identity_id "
#define SESSION_KEY_COLUMNS "SELECT id, sealed, created_ns FROM session_keys "
#define DELIVERY_COLUMNS \
	"SELECT id, name, version, state, failure_type, failure_details, stream, stream_id," \
	" key_type, created_ns, updated_ns FROM deliveries "
#define PROPOSAL_COLUMNS \
	"SELECT id, digest, requester, action, resource, needed, state, created_ns, expires_ns," \
	" ended_ns, ended_by, requester_uid FROM proposals "

/* Numbers of states: catalog.h. A partial index is taken only where its condition is repeated word
 * for word. */
static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_KEY_INSERT] =
		"INSERT INTO keys (id, description, state, manager, created_ns, backing_id, spec,"
		" usage, rotation_days, rotation_next_ns) VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7,"
		" ?8, ?9)",
	[SQL_KEY_ENABLE] = "UPDATE keys SET state = 1 WHERE id = ?1 AND state = 0",
	[SQL_KEY_GET] = KEY_COLUMNS "WHERE k.id = ?1 AND k.state NOT IN (4, 5)",
	[SQL_KEY_APPLIANCE] = KEY_COLUMNS "WHERE k.manager = 1 AND k.usage = ?1",
	[SQL_KEY_LIST] =
		KEY_COLUMNS "WHERE k.id > ?1 AND k.state NOT IN (4, 5) ORDER BY k.id LIMIT ?2",
	[SQL_KEY_SWITCH] = "UPDATE keys SET state = ?2 WHERE id = ?1 AND state IN (1, 2)",
	[SQL_KEY_TURN] = "UPDATE keys SET backing_id = ?2, rotation_next_ns ="
			 " CASE WHEN rotation_days > 0 AND rotation_next_ns <= ?3"
			 " THEN ?3 + rotation_days * " DAY_NS " ELSE rotation_next_ns END"
			 " WHERE id = ?1 AND state IN (1, 2, 3)",
	[SQL_DESCRIPTION_GET] =
		"SELECT description FROM keys WHERE id = ?1 AND state NOT IN (4, 5)",
	[SQL_DESCRIPTION_SET] =
		"UPDATE keys SET description = ?2 WHERE id = ?1 AND state NOT IN (4, 5)",
	[SQL_PUBLIC_KEY_INSERT] = "INSERT INTO public_keys VALUES (?1, ?2)",
	[SQL_PUBLIC_KEY_GET] =
		"SELECT p.der FROM keys k JOIN public_keys p ON p.backing_id = k.backing_id"
		" WHERE k.id = ?1 AND k.state NOT IN (4, 5)",
	[SQL_DELETION_SCHEDULE] = "UPDATE keys SET state = 3, deletion_ns = ?2, deletion_days = ?3,"
				  " deletion_left_ns = ?4 WHERE id = ?1 AND state IN (1, 2)",
	[SQL_DELETION_CANCEL] = "UPDATE keys SET state = 2, deletion_ns = 0, deletion_days = 0,"
				" deletion_left_ns = 0 WHERE id = ?1 AND state = 3",
	[SQL_DELETION_WAITED] = "UPDATE keys SET deletion_left_ns = max(deletion_left_ns - ?1, 0)"
				" WHERE state >= 3 AND state = 3 AND deletion_left_ns > 0",
	[SQL_DELETION_DUE] =
		KEY_COLUMNS "WHERE k.state >= 3 AND k.state = 3 AND k.deletion_ns <= ?1"
			    " AND k.deletion_left_ns = 0 AND k.id > ?2 ORDER BY k.id LIMIT 1",
	[SQL_DOOM_KEY] = "UPDATE keys SET state = 4, description = '', rotation_days = 0,"
			 " rotation_next_ns = 0 WHERE id = ?1 AND state = 3",
	[SQL_ABANDON_KEY] = "UPDATE keys SET state = 4, description = '', rotation_days = 0,"
			    " rotation_next_ns = 0 WHERE id = ?1 AND state = 0 AND manager = 0",
	[SQL_DOOM_ALIASES] = "DELETE FROM aliases WHERE key_id = ?1",
	[SQL_DOOM_TAGS] = "DELETE FROM tags WHERE key_id = ?1",
	[SQL_BACKING_DOOMED] =
		BACKING_COLUMNS "WHERE k.state >= 3 AND k.state = 4 AND b.state <> 3 AND b.id > ?1"
				" ORDER BY b.id LIMIT 1",
	[SQL_BACKING_DESTROYED] =
		"UPDATE backings SET state = 3 WHERE id = ?1 AND state <> 3 AND key_id IN"
		" (SELECT id FROM keys WHERE state >= 3 AND state = 4)",
	[SQL_KEY_ENTOMB] =
		"UPDATE keys SET state = 5 WHERE id = (SELECT key_id FROM backings WHERE id = ?1)"
		" AND state = 4 AND NOT EXISTS"
		" (SELECT 1 FROM backings WHERE key_id = keys.id AND state <> 3)",
	[SQL_BACKING_INSERT] =
		"INSERT INTO backings (id, key_id, generation, kcv, kcv_cmac, created_ns,"
		" wraps_reserved, state, kind, current_ns)"
		" SELECT ?1, ?2, coalesce(max(generation), 0) + 1, zeroblob(3), zeroblob(5), ?3,"
		" 0, 0, ?4, 0 FROM backings WHERE key_id = ?2",
	[SQL_BACKING_ENABLE] = "UPDATE backings SET state = 1, kcv = ?2, kcv_cmac = ?3,"
			       " current_ns = coalesce(?4, created_ns) WHERE id = ?1 AND state = 0",
	[SQL_BACKING_RETIRE] = "UPDATE backings SET state = 2 WHERE key_id = ?1 AND state = 1",
	[SQL_BACKING_GET] = BACKING_COLUMNS "WHERE b.id = ?1",
	[SQL_BACKING_LIST] =
		BACKING_COLUMNS "WHERE b.key_id = ?1 AND b.generation > ?2 AND b.state IN (1, 2)"
				" ORDER BY b.generation LIMIT ?3",
	[SQL_BACKING_CREATING] =
		BACKING_COLUMNS "WHERE b.state = 0 AND b.id > ?1 AND k.state IN (0, 1, 2)"
				" ORDER BY b.id LIMIT 1",
	[SQL_BACKING_NEXT] = BACKING_COLUMNS "WHERE b.state = 0 AND b.key_id = ?1",
	[SQL_BACKING_ON_DEMAND] = "SELECT count(*) FROM backings WHERE key_id = ?1 AND kind = 2",
	[SQL_ROTATION_SET] = "UPDATE keys SET rotation_days = ?2, rotation_next_ns = ?3"
			     " WHERE id = ?1 AND state NOT IN (4, 5)",
	[SQL_ROTATION_CLAMP] =
		"UPDATE keys SET rotation_next_ns = ?1 + rotation_days * " DAY_NS
		" WHERE rotation_days > 0 AND rotation_next_ns > ?1 + rotation_days * " DAY_NS,
	[SQL_ROTATION_DUE] =
		KEY_COLUMNS "WHERE k.id IN (SELECT id FROM keys WHERE rotation_days > 0 AND"
			    " rotation_next_ns <= ?1 UNION ALL"
			    " SELECT key_id FROM backings WHERE state = 1 AND wraps_reserved >= ?2)"
			    " AND k.state = 1 AND k.id > ?3 AND NOT EXISTS"
			    " (SELECT 1 FROM backings n WHERE n.key_id = k.id AND n.state = 0)"
			    " ORDER BY k.id LIMIT 1",
	[SQL_TAG_SET] = "INSERT INTO tags VALUES (?1, ?2, ?3)"
			" ON CONFLICT (key_id, key) DO UPDATE SET value = excluded.value",
	[SQL_TAG_REMOVE] = "DELETE FROM tags WHERE key_id = ?1 AND key = ?2",
	[SQL_TAG_COUNT] = "SELECT count(*) FROM tags WHERE key_id = ?1",
	[SQL_TAG_LIST] = "SELECT key, value FROM tags WHERE key_id = ?1 AND key > ?2"
			 " ORDER BY key LIMIT ?3",
	[SQL_ALIAS_INSERT] = "INSERT INTO aliases VALUES (?1, ?2, ?3)",
	[SQL_ALIAS_UPDATE] = "UPDATE aliases SET key_id = ?2 WHERE name = ?1",
	[SQL_ALIAS_DELETE] = "DELETE FROM aliases WHERE name = ?1",
	[SQL_ALIAS_GET] = "SELECT name, key_id FROM aliases WHERE name = ?1",
	[SQL_ALIAS_LIST] =
		"SELECT name, key_id FROM aliases"
		" WHERE (?1 IS NULL OR key_id = ?1) AND name > ?2 ORDER BY name LIMIT ?3",
	[SQL_STREAM_INSERT] =
		"INSERT INTO streams (name, shard_count, encrypted_kms, key_id, created_ns, state,"
		" change, key_name, retention_hours, on_demand, shards_count)"
		" VALUES (?1, ?2, ?3, ?4, ?5, 1, 0, ?6, ?7, ?8, ?2)",
	[SQL_STREAM_GET] = STREAM_COLUMNS "WHERE name = ?1",
	[SQL_STREAM_SET] = "UPDATE streams SET shard_count = ?2, encrypted_kms = ?3, key_id = ?4,"
			   " state = ?5, change = ?6, key_name = ?7, retention_hours = ?8,"
			   " on_demand = ?9, shards_count = ?10 WHERE id = ?1",
	[SQL_STREAM_DELETE] = "DELETE FROM streams WHERE name = ?1",
	[SQL_STREAM_LIST] = STREAM_COLUMNS "WHERE name > ?1 AND (?3 OR instr(name, '/') = 0)"
					   " ORDER BY name LIMIT ?2",
	[SQL_STREAM_COUNT] = "SELECT count(*) FROM streams WHERE key_id = ?1",
	[SQL_STREAM_TOTALS] = "SELECT coalesce(sum(shard_count), 0), coalesce(sum(on_demand), 0)"
			      " FROM streams WHERE instr(name, '/') = 0",
	[SQL_STREAM_EVENT_INSERT] = "INSERT INTO stream_events VALUES (?1, ?2, ?3)",
	[SQL_STREAM_EVENT_TRIM] =
		"DELETE FROM stream_events WHERE stream_id = ?1 AND kind = ?2 AND at_ns <= ?3",
	[SQL_STREAM_EVENT_COUNT] = "SELECT count(*) FROM stream_events"
				   " WHERE stream_id = ?1 AND kind = ?2 AND at_ns > ?3",
	[SQL_STREAM_TAG_SET] = "INSERT INTO stream_tags VALUES (?1, ?2, ?3)"
			       " ON CONFLICT (stream_id, key) DO UPDATE SET value = excluded.value",
	[SQL_STREAM_TAG_REMOVE] = "DELETE FROM stream_tags WHERE stream_id = ?1 AND key = ?2",
	[SQL_STREAM_TAG_COUNT] = "SELECT count(*) FROM stream_tags WHERE stream_id = ?1",
	[SQL_STREAM_TAG_LIST] = "SELECT key, value FROM stream_tags WHERE stream_id = ?1"
				" AND key > ?2 ORDER BY key LIMIT ?3",
	[SQL_SHARD_INSERT] = "INSERT INTO shards VALUES"
			     " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
	[SQL_SHARD_GET] = SHARD_COLUMNS "WHERE stream_id = ?1 AND number = ?2",
	[SQL_SHARD_LIST] =
		SHARD_COLUMNS "WHERE stream_id = ?1 AND number >= ?2 AND (?3 OR (state < 3"
			      " AND opened_ns <= ?4 AND (closed_ns = 0 OR closed_ns > ?5)))"
			      " ORDER BY number LIMIT ?6",
	[SQL_SHARD_OPEN] = SHARD_COLUMNS "WHERE stream_id = ?1 AND state IN (0, 2)"
					 " ORDER BY hash_start LIMIT ?2",
	[SQL_SHARD_PENDING] = SHARD_COLUMNS "WHERE stream_id = ?1 AND state >= 2"
					    " ORDER BY number LIMIT ?2",
	[SQL_SHARD_COUNT] = "SELECT count(*) FILTER (WHERE state IN (0, 2)),"
			    " count(*) FILTER (WHERE state >= 2) FROM shards WHERE stream_id = ?1",
	[SQL_SHARD_CLOSE] =
		"UPDATE shards SET state = 2 WHERE stream_id = ?1 AND number = ?2 AND state = 0",
	[SQL_SHARD_SETTLE] =
		"UPDATE shards SET state = ?3, opened_ns = ?4, closed_ns = ?5, first_sequence = ?6,"
		" end_sequence = ?7 WHERE stream_id = ?1 AND number = ?2",
	[SQL_SHARD_PRUNE] =
		"DELETE FROM shards WHERE stream_id = ?1 AND state = 1 AND closed_ns < ?2",
	[SQL_DELIVERY_INSERT] =
		"INSERT INTO deliveries (name, version, state, failure_type, failure_details,"
		" stream, stream_id, key_type, created_ns, updated_ns, seal_id, sealed_key, sealed)"
		" VALUES (?1, 1, 0, '', '', ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)",
	[SQL_DELIVERY_COUNT] = "SELECT count(*) FROM deliveries",
	[SQL_DELIVERY_GET] = DELIVERY_COLUMNS "WHERE name = ?1",
	[SQL_DELIVERY_LIST] =
		DELIVERY_COLUMNS "WHERE name > ?1 AND (?2 = 0 OR (instr(stream, '/') > 0) ="
				 " (?2 = 1)) ORDER BY name LIMIT ?3",
	[SQL_DELIVERY_OF_STREAM] = DELIVERY_COLUMNS "WHERE stream_id = ?1 ORDER BY id LIMIT 1",
	[SQL_DELIVERY_OF_ROLE] =
		DELIVERY_COLUMNS "WHERE id IN (SELECT delivery_id FROM delivery_roles"
				 " WHERE role = ?1) ORDER BY name LIMIT 1",
	[SQL_DELIVERY_HAS_ROLE] =
		"SELECT delivery_id FROM delivery_roles WHERE delivery_id = ?1 AND role = ?2",
	[SQL_DELIVERY_SEALED] = "SELECT seal_id, sealed_key, sealed FROM deliveries"
				" WHERE id = ?1 AND version = ?2",
	[SQL_DELIVERY_UPDATE] =
		"UPDATE deliveries SET version = version + 1, updated_ns = ?3, seal_id = ?4,"
		" sealed_key = ?5, sealed = ?6 WHERE id = ?1 AND version = ?2 AND state = 2",
	[SQL_DELIVERY_SETTLE] =
		"UPDATE deliveries SET state = ?3, failure_type = ?4, failure_details = ?5"
		" WHERE id = ?1 AND version = ?2 AND state = 0",
	[SQL_DELIVERY_DOOM] = "UPDATE deliveries SET state = 3 WHERE id = ?1",
	[SQL_DELIVERY_DELETE] = "DELETE FROM deliveries WHERE id = ?1",
	[SQL_DELIVERY_KEY_SET] = "UPDATE deliveries SET key_type = ?2 WHERE id = ?1",
	[SQL_DELIVERY_ROLES_DELETE] = "DELETE FROM delivery_roles WHERE delivery_id = ?1",
	[SQL_DELIVERY_ROLE_INSERT] = "INSERT INTO delivery_roles VALUES (?1, ?2)",
	[SQL_DELIVERY_TAG_SET] =
		"INSERT INTO delivery_tags VALUES (?1, ?2, ?3)"
		" ON CONFLICT (delivery_id, key) DO UPDATE SET value = excluded.value",
	[SQL_DELIVERY_TAG_REMOVE] = "DELETE FROM delivery_tags WHERE delivery_id = ?1 AND key = ?2",
	[SQL_DELIVERY_TAG_COUNT] = "SELECT count(*) FROM delivery_tags WHERE delivery_id = ?1",
	[SQL_DELIVERY_TAG_LIST] = "SELECT key, value FROM delivery_tags WHERE delivery_id = ?1"
				  " AND key > ?2 ORDER BY key LIMIT ?3",
	[SQL_WRAP_GET] = "SELECT wraps_reserved FROM backings WHERE id = ?1",
	[SQL_WRAP_SET] =
		"UPDATE backings SET wraps_reserved = ?2 WHERE id = ?1 AND wraps_reserved < ?2",
	[SQL_ANCHOR_GET] = "SELECT run, file, position, hash, made_ns FROM journal_anchors"
			   " WHERE journal = ?1 AND lane = ?2",
	[SQL_ANCHOR_SET] = "INSERT OR REPLACE INTO journal_anchors (journal, lane, run, file,"
			   " position, hash, made_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_IDENTITY_INSERT] =
		"INSERT INTO identities (kind, name, unique_id, description, trust, max_session_s,"
		" created_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_IDENTITY_GET] = IDENTITY_COLUMNS "WHERE kind = ?1 AND name = ?2",
	[SQL_IDENTITY_LIST] = IDENTITY_COLUMNS
	"WHERE kind = ?1 AND name > ?2 COLLATE NOCASE ORDER BY name COLLATE NOCASE LIMIT ?3",
	[SQL_IDENTITY_HELD] =
		"SELECT EXISTS (SELECT 1 FROM inline_policies WHERE identity_id = ?1) OR"
		" EXISTS (SELECT 1 FROM attachments WHERE identity_id = ?1) OR"
		" EXISTS (SELECT 1 FROM access_keys WHERE identity_id = ?1)",
	[SQL_IDENTITY_DELETE] = "DELETE FROM identities WHERE id = ?1",
	[SQL_TRUST_GET] = "SELECT trust FROM identities WHERE id = ?1 AND trust IS NOT NULL",
	[SQL_TRUST_SET] = "UPDATE identities SET trust = ?2 WHERE id = ?1 AND trust IS NOT NULL",
	[SQL_BOUNDARY_SET] = "UPDATE identities SET boundary_id = ?2 WHERE id = ?1",
	[SQL_IDENTITY_TAG_SET] =
		"INSERT INTO identity_tags VALUES (?1, ?2, ?3)"
		" ON CONFLICT (identity_id, key) DO UPDATE SET value = excluded.value",
	[SQL_IDENTITY_TAG_REMOVE] = "DELETE FROM identity_tags WHERE identity_id = ?1 AND key = ?2",
	[SQL_IDENTITY_TAG_COUNT] = "SELECT count(*) FROM identity_tags WHERE identity_id = ?1",
	[SQL_IDENTITY_TAG_LIST] = "SELECT key, value FROM identity_tags WHERE identity_id = ?1"
				  " AND key > ?2 ORDER BY key LIMIT ?3",
	[SQL_IDENTITY_TAGS_DELETE] = "DELETE FROM identity_tags WHERE identity_id = ?1",
	[SQL_INLINE_PUT] =
		"INSERT INTO inline_policies VALUES (?1, ?2, ?3)"
		" ON CONFLICT (identity_id, name) DO UPDATE SET document = excluded.document",
	[SQL_INLINE_GET] =
		"SELECT document FROM inline_policies WHERE identity_id = ?1 AND name = ?2",
	[SQL_INLINE_DELETE] = "DELETE FROM inline_policies WHERE identity_id = ?1 AND name = ?2",
	[SQL_INLINE_LIST] = "SELECT name FROM inline_policies WHERE identity_id = ?1 AND name > ?2"
			    " ORDER BY name LIMIT ?3",
	[SQL_POLICY_INSERT] =
		"INSERT INTO policies (name, description, document, created_ns, changed_ns)"
		" VALUES (?1, ?2, ?3, ?4, ?4)",
	[SQL_POLICY_GET] = POLICY_COLUMNS "WHERE p.name = ?1",
	[SQL_POLICY_LIST] = POLICY_COLUMNS
	"WHERE p.name > ?1 COLLATE NOCASE ORDER BY p.name COLLATE NOCASE LIMIT ?2",
	[SQL_POLICY_TEXT] = "SELECT document FROM policies WHERE id = ?1",
	[SQL_POLICY_SET] = "UPDATE policies SET document = ?2, changed_ns = ?3 WHERE id = ?1",
	[SQL_POLICY_DELETE] = "DELETE FROM policies WHERE id = ?1",
	[SQL_ATTACH] = "INSERT INTO attachments VALUES (?1, ?2) ON CONFLICT DO NOTHING",
	[SQL_DETACH] = "DELETE FROM attachments WHERE identity_id = ?1 AND policy_id = ?2",
	[SQL_ATTACHED_LIST] = POLICY_COLUMNS "JOIN attachments a ON a.policy_id = p.id"
					     " WHERE a.identity_id = ?1 AND p.name > ?2 COLLATE "
					     "NOCASE ORDER BY p.name COLLATE NOCASE LIMIT ?3",
	[SQL_HOLDER_LIST] = IDENTITY_COLUMNS
	"WHERE id > ?2 AND (boundary_id = ?1 OR id IN"
	" (SELECT identity_id FROM attachments WHERE policy_id = ?1)) ORDER BY id LIMIT ?3",
	[SQL_KEY_POLICY_PUT] = "INSERT INTO key_policies VALUES (?1, ?2)"
			       " ON CONFLICT (key_id) DO UPDATE SET document = excluded.document",
	[SQL_KEY_POLICY_GET] = "SELECT document FROM key_policies WHERE key_id = ?1",
	[SQL_KEY_POLICY_NEXT] = "SELECT document, key_id FROM key_policies WHERE key_id > ?1 ORDER "
				"BY key_id LIMIT 1",
	[SQL_DOOM_KEY_POLICY] = "DELETE FROM key_policies WHERE key_id = ?1",
	[SQL_GRANT_INSERT] =
		"INSERT INTO grants VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[SQL_GRANT_DELETE] = "DELETE FROM grants WHERE id = ?1",
	[SQL_GRANT_NEXT] = "SELECT * FROM grants WHERE id > ?1 ORDER BY id LIMIT 1",
	[SQL_DOOM_GRANTS] = "DELETE FROM grants WHERE key_id = ?1",
	[SQL_STREAM_POLICY_PUT] =
		"INSERT INTO stream_policies VALUES (?1, ?2)"
		" ON CONFLICT (stream_id) DO UPDATE SET document = excluded.document",
	[SQL_STREAM_POLICY_GET] = "SELECT document FROM stream_policies WHERE stream_id = ?1",
	[SQL_STREAM_POLICY_NEXT] =
		"SELECT document, stream_id FROM stream_policies WHERE stream_id > ?1"
		" ORDER BY stream_id LIMIT 1",
	[SQL_STREAM_POLICY_DELETE] = "DELETE FROM stream_policies WHERE stream_id = ?1",
	[SQL_ACCESS_KEY_COUNT] = "SELECT count(*) FROM access_keys WHERE identity_id = ?1",
	[SQL_ACCESS_KEY_INSERT] =
		"INSERT INTO access_keys (id, identity_id, sealed, active, created_ns, "
		"last_used_ns)"
		" SELECT ?1, id, ?3, 1, ?4, 0 FROM identities WHERE id = ?2 AND kind = 0",
	[SQL_ACCESS_KEY_GET] = ACCESS_KEY_COLUMNS "WHERE a.id = ?1",
	[SQL_ACCESS_KEY_LIST] =
		ACCESS_KEY_COLUMNS "WHERE a.identity_id = ?1 AND a.id > ?2 ORDER BY a.id LIMIT ?3",
	[SQL_ACCESS_KEY_SWITCH] =
		"UPDATE access_keys SET active = ?3 WHERE id = ?1 AND identity_id = ?2",
	[SQL_ACCESS_KEY_DELETE] = "DELETE FROM access_keys WHERE id = ?1 AND identity_id = ?2",
	[SQL_ACCESS_KEY_USED] = "UPDATE access_keys SET last_used_ns = ?2 WHERE id = ?1",
	[SQL_SESSION_KEY_INSERT] =
		"INSERT INTO session_keys (id, sealed, created_ns) VALUES (?1, ?2, ?3)",
	[SQL_SESSION_KEY_TRIM] = "DELETE FROM session_keys WHERE number <= (SELECT number FROM"
				 " session_keys ORDER BY number DESC LIMIT 1 OFFSET ?1)",
	[SQL_SESSION_KEY_GET] = SESSION_KEY_COLUMNS "WHERE id = ?1",
	[SQL_SESSION_KEY_NEWEST] = SESSION_KEY_COLUMNS "ORDER BY number DESC LIMIT 1",
	[SQL_PROPOSAL_EXPIRE] = "UPDATE proposals SET state = 3, ended_ns = ?1 WHERE state = 0"
				" AND (expires_ns <= ?1 OR created_ns > ?2)",
	[SQL_PROPOSAL_INSERT] =
		"INSERT INTO proposals (id, digest, requester, requester_uid, action, resource,"
		" request, needed, state, created_ns, expires_ns, ended_ns, ended_by)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, 0, '')",
	[SQL_PROPOSAL_TRIM] =
		"DELETE FROM proposals WHERE state <> 0 AND id NOT IN (SELECT id FROM proposals"
		" WHERE state <> 0 ORDER BY ended_ns DESC LIMIT ?1)",
	[SQL_PROPOSAL_COUNT] = "SELECT count(*) FROM proposals WHERE state = 0",
	[SQL_PROPOSAL_GET] = PROPOSAL_COLUMNS "WHERE id = ?1",
	[SQL_PROPOSAL_FIND] = PROPOSAL_COLUMNS "WHERE digest = ?1 AND state = 0",
	[SQL_PROPOSAL_LIST] = PROPOSAL_COLUMNS "WHERE id > ?1 ORDER BY id LIMIT ?2",
	[SQL_PROPOSAL_REQUEST] = "SELECT request FROM proposals WHERE id = ?1",
	[SQL_PROPOSAL_END] = "UPDATE proposals SET state = ?2, ended_by = ?3, ended_ns = ?4"
			     " WHERE id = ?1 AND state = 0",
	[SQL_APPROVAL_INSERT] = "INSERT INTO approvals VALUES (?1, ?2, ?3, ?4)",
	[SQL_APPROVAL_LIST] =
		"SELECT principal, uid, approved_ns FROM approvals WHERE proposal_id = ?1"
		" ORDER BY approved_ns, principal LIMIT ?2",
};

int
kms_db_status(struct kms_catalog *catalog, int sqlite_rc)
{
	switch (sqlite_rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return SLK_OK;
	default:
		break;
	}
	(void)snprintf(catalog->error, sizeof(catalog->error), "%s: %s", sqlite3_errstr(sqlite_rc),
		sqlite3_errmsg(catalog->db));
	switch (sqlite_rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return (sqlite_rc == SQLITE_CONSTRAINT_FOREIGNKEY) ? SLK_NOT_FOUND : SLK_EXISTS;
	case SQLITE_FULL:
		return SLK_DISK_FULL;
	case SQLITE_NOMEM:
		return SLK_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return SLK_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		catalog->failed = true;
		return SLK_CORRUPT;
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		catalog->failed = true;
		return SLK_IO;
	default:
		return SLK_INTERNAL;
	}
}

int
kms_db_open_error(
	struct kms_catalog *catalog, const char *path, int sqlite_rc, struct slk_error *err)
{
	int rc = kms_db_status(catalog, sqlite_rc);

	if (rc == SLK_UNAVAILABLE)
		return slk_fail(err, rc, "catalog %s is in use by another process", path);
	return slk_fail(err, rc, "catalog %s: %s", path, catalog->error);
}

/* The file is made by us and for us: SQLite would take the umask, and follow a link. */
static int
prepare_file(const char *path, struct slk_error *err)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return slk_fail_errno(err, "cannot open catalog %s", path);
	int rc = SLK_OK;
	if (fstat(fd, &st) != 0)
		rc = slk_fail_errno(err, "cannot stat catalog %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = slk_fail(err, SLK_CONFIG, "catalog %s is not a regular file", path);
	else if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		rc = slk_fail(err, SLK_DENIED,
			"catalog %s must belong to uid %u and be closed to others; run: chown, "
			"chmod 600",
			path, (unsigned)geteuid());
	close(fd);
	return rc;
}

static int
set_up(struct kms_catalog *catalog, const char *path, struct slk_error *err)
{
	static const char *const pragmas[] = {
		"PRAGMA locking_mode = EXCLUSIVE", /* one process; also no shared-memory file */
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL", /* a commit is flushed before it returns */
		"PRAGMA temp_store = MEMORY", /* the sandbox gives it no other directory */
		"PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF",
		"PRAGMA cache_size = -512", "PRAGMA wal_autocheckpoint = 256",
		"BEGIN EXCLUSIVE; COMMIT", /* takes the lock now, not at the first change */
	};

	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++) {
		int rc = sqlite3_exec(catalog->db, pragmas[i], NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return kms_db_open_error(
				catalog, path, sqlite3_extended_errcode(catalog->db), err);
	}
	return SLK_OK;
}

int
kms_db_open(const char *path, struct kms_catalog *catalog, struct slk_error *err)
{
	int rc = prepare_file(path, err);

	if (rc != SLK_OK)
		return rc;
	int src = sqlite3_open_v2(path, &catalog->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
	if (src != SQLITE_OK)
		return kms_db_open_error(catalog, path, src, err);
	(void)sqlite3_extended_result_codes(catalog->db, 1);
	(void)sqlite3_db_config(catalog->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	rc = set_up(catalog, path, err);
	if (rc == SLK_OK)
		rc = kms_db_upgrade(catalog, path, err);
	for (int i = 0; rc == SLK_OK && i < SQL_COUNT; i++) {
		src = sqlite3_prepare_v3(catalog->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
			&catalog->statements[i], NULL);
		if (src != SQLITE_OK)
			rc = kms_db_open_error(catalog, path, src, err);
	}
	return rc;
}

void
kms_db_close(struct kms_catalog *catalog)
{
	for (int i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize(catalog->statements[i]);
	(void)sqlite3_close_v2(catalog->db);
}

sqlite3_stmt *
kms_db_statement(struct kms_catalog *catalog, enum kms_sql sql)
{
	sqlite3_stmt *statement = catalog->statements[sql];

	(void)sqlite3_reset(
		statement); /* repeats the error of the last step, which was handled there */
	(void)sqlite3_clear_bindings(statement);
	return statement;
}

int
kms_db_run(struct kms_catalog *catalog, sqlite3_stmt *statement)
{
	if (catalog->failed) {
		(void)snprintf(catalog->error, sizeof(catalog->error),
			"an earlier error took the catalog out of service; restart sealock-kmsd");
		return SLK_IO;
	}
	int rc = kms_db_status(catalog, sqlite3_step(statement));
	(void)sqlite3_reset(statement);
	return rc;
}

int
kms_db_row(struct kms_catalog *catalog, sqlite3_stmt *statement)
{
	int src = sqlite3_step(statement);

	if (src == SQLITE_ROW)
		return SLK_OK;
	int rc = kms_db_status(catalog, src);
	(void)sqlite3_reset(statement);
	return rc == SLK_OK ? SLK_NOT_FOUND : rc;
}

int
kms_db_run_one(struct kms_catalog *catalog, sqlite3_stmt *statement)
{
	int rc = kms_db_run(catalog, statement);

	if (rc != SLK_OK)
		return rc;
	return sqlite3_changes(catalog->db) == 1 ? SLK_OK : SLK_NOT_FOUND;
}

int
kms_db_rows(struct kms_catalog *catalog, sqlite3_stmt *statement, size_t cap, size_t element_bytes,
	int (*read_row)(sqlite3_stmt *, void *), void *out, size_t *out_count)
{
	size_t count = 0;
	int rc = SLK_OK;

	while (count < cap) {
		rc = kms_db_row(catalog, statement);
		if (rc == SLK_OK)
			rc = read_row(statement, (uint8_t *)out + count * element_bytes);
		if (rc != SLK_OK)
			break;
		count++;
	}
	(void)sqlite3_reset(statement);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND)
		return rc;
	*out_count = count;
	return SLK_OK;
}

int
kms_db_u64_row(sqlite3_stmt *statement, void *out_u64)
{
	*(uint64_t *)out_u64 = (uint64_t)sqlite3_column_int64(statement, 0);
	return SLK_OK;
}

int
kms_db_one(struct kms_catalog *catalog, sqlite3_stmt *statement,
	int (*read_row)(sqlite3_stmt *, void *), void *out)
{
	int rc = kms_db_row(catalog, statement);

	if (rc == SLK_OK)
		rc = read_row(statement, out);
	(void)sqlite3_reset(statement);
	return rc;
}

int
kms_db_begin(struct kms_catalog *catalog)
{
	return kms_db_run(catalog, kms_db_statement(catalog, SQL_BEGIN));
}

int
kms_db_end(struct kms_catalog *catalog, int rc)
{
	if (rc == SLK_OK)
		rc = kms_db_run(catalog, kms_db_statement(catalog, SQL_COMMIT));
	if (rc != SLK_OK && sqlite3_get_autocommit(catalog->db) == 0) {
		char error[sizeof(catalog->error)];
		memcpy(error, catalog->error, sizeof(error));
		(void)sqlite3_step(kms_db_statement(catalog, SQL_ROLLBACK));
		(void)sqlite3_reset(catalog->statements[SQL_ROLLBACK]);
		memcpy(catalog->error, error, sizeof(error));
	}
	return rc;
}

int
kms_db_blob(sqlite3_stmt *statement, int column, void *out, size_t len)
{
	if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
		return SLK_CORRUPT;
	const void *bytes = sqlite3_column_blob(statement, column);
	if (bytes == NULL || (size_t)sqlite3_column_bytes(statement, column) != len)
		return SLK_CORRUPT;
	memcpy(out, bytes, len);
	return SLK_OK;
}

int
kms_db_text(sqlite3_stmt *statement, int column, char *out, size_t cap)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	if (text == NULL)
		return SLK_CORRUPT;
	size_t len = (size_t)sqlite3_column_bytes(statement, column);
	if (len >= cap || memchr(text, '\0', len) != NULL)
		return SLK_CORRUPT;
	memcpy(out, text, len);
	out[len] = '\0';
	return SLK_OK;
}

void
kms_db_bind_id(sqlite3_stmt *statement, int at, const uint8_t *id)
{
	(void)sqlite3_bind_blob(statement, at, id, id != NULL ? 16 : 0, SQLITE_STATIC);
}

void
kms_db_bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	(void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

void
kms_db_bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
	(void)sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

void
kms_db_bind_after(sqlite3_stmt *statement, int at, const uint8_t *after)
{
	if (after != NULL)
		kms_db_bind_id(statement, at, after);
	else
		(void)sqlite3_bind_zeroblob(statement, at, 0); /* below every id */
}
