/* Proposals and approvals. See catalog_dual.h. */
#include "catalog_dual.h"

#include <string.h>

#include "catalog_db.h"

static int
read_state(sqlite3_stmt *s, struct kms_proposal *p)
{
	int state = sqlite3_column_int(s, 6);
	int64_t needed = sqlite3_column_int64(s, 5);

	if (state < 0 || state >= KMS_PROPOSAL_STATES || needed < 1 || needed > KMS_APPROVALS_MAX)
		return SLK_CORRUPT;
	p->state = (enum kms_proposal_state)state;
	p->needed = (uint32_t)needed;
	p->created_ns = (uint64_t)sqlite3_column_int64(s, 7);
	p->expires_ns = (uint64_t)sqlite3_column_int64(s, 8);
	p->ended_ns = (uint64_t)sqlite3_column_int64(s, 9);
	p->requester_uid = (uint32_t)sqlite3_column_int64(s, 11);
	return SLK_OK;
}

static int
proposal_row(sqlite3_stmt *s, void *out)
{
	struct kms_proposal p = {0};

	int rc = kms_db_blob(s, 0, p.id, sizeof(p.id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, p.digest, sizeof(p.digest));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 2, p.requester, sizeof(p.requester));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 3, p.action, sizeof(p.action));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 4, p.resource, sizeof(p.resource));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 10, p.ended_by, sizeof(p.ended_by));
	if (rc == SLK_OK)
		rc = read_state(s, &p);
	if (rc == SLK_OK)
		*(struct kms_proposal *)out = p;
	return rc;
}

/* --- create; each step within the transaction --- */

static int
expire(struct kms_catalog *catalog, uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_EXPIRE);

	kms_db_bind_u64(s, 1, wall_ns);
	kms_db_bind_u64(s, 2, wall_ns + KMS_PROPOSAL_AHEAD_NS);
	return kms_db_run(catalog, s);
}

static int
insert(struct kms_catalog *catalog, const struct kms_proposal *p, struct slk_span request)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_INSERT);

	kms_db_bind_id(s, 1, p->id);
	(void)sqlite3_bind_blob(s, 2, p->digest, sizeof(p->digest), SQLITE_STATIC);
	kms_db_bind_text(s, 3, p->requester);
	kms_db_bind_u64(s, 4, p->requester_uid);
	kms_db_bind_text(s, 5, p->action);
	kms_db_bind_text(s, 6, p->resource);
	(void)sqlite3_bind_blob(s, 7, request.ptr, (int)request.len, SQLITE_STATIC);
	kms_db_bind_u64(s, 8, p->needed);
	kms_db_bind_u64(s, 9, p->created_ns);
	kms_db_bind_u64(s, 10, p->expires_ns);
	return kms_db_run_one(catalog, s);
}

static int
keep_limits(struct kms_catalog *catalog)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_TRIM);
	uint64_t pending = 0;

	kms_db_bind_u64(s, 1, KMS_PROPOSALS_KEPT);
	int rc = kms_db_run(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_one(catalog, kms_db_statement(catalog, SQL_PROPOSAL_COUNT),
			kms_db_u64_row, &pending);
	return rc == SLK_OK && pending > KMS_PROPOSALS_PENDING_MAX ? SLK_LIMIT : rc;
}

int
kms_catalog_proposal_create(
	struct kms_catalog *catalog, const struct kms_proposal *proposal, struct slk_span request)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = expire(catalog, proposal->created_ns);
	if (rc == SLK_OK)
		rc = insert(catalog, proposal, request);
	if (rc == SLK_OK)
		rc = keep_limits(catalog);
	return kms_db_end(catalog, rc);
}

/* --- look up --- */

int
kms_catalog_proposal_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_proposal *out_proposal)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_GET);

	kms_db_bind_id(s, 1, id);
	return kms_db_one(catalog, s, proposal_row, out_proposal);
}

int
kms_catalog_proposal_find(struct kms_catalog *catalog,
	const uint8_t digest[KMS_PROPOSAL_DIGEST_BYTES], struct kms_proposal *out_proposal)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_FIND);

	(void)sqlite3_bind_blob(s, 1, digest, KMS_PROPOSAL_DIGEST_BYTES, SQLITE_STATIC);
	return kms_db_one(catalog, s, proposal_row, out_proposal);
}

int
kms_catalog_proposal_list(struct kms_catalog *catalog, const uint8_t *after,
	struct kms_proposal *out_proposals, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_LIST);

	kms_db_bind_after(s, 1, after);
	kms_db_bind_u64(s, 2, cap);
	return kms_db_rows(
		catalog, s, cap, sizeof(*out_proposals), proposal_row, out_proposals, out_count);
}

struct request_out {
	uint8_t *out;
	size_t cap, len;
};

static int
request_row(sqlite3_stmt *s, void *out)
{
	struct request_out *r = out;
	size_t len = (size_t)sqlite3_column_bytes(s, 0);

	if (len == 0)
		return SLK_CORRUPT;
	if (len > r->cap)
		return SLK_TOO_LARGE;
	r->len = len;
	return kms_db_blob(s, 0, r->out, len);
}

int
kms_catalog_proposal_request(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	uint8_t *out, size_t cap, size_t *out_len)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_REQUEST);
	struct request_out r = {out, cap, 0};

	kms_db_bind_id(s, 1, id);
	int rc = kms_db_one(catalog, s, request_row, &r);
	if (rc == SLK_OK)
		*out_len = r.len;
	return rc;
}

int
kms_catalog_proposal_end(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	enum kms_proposal_state state, const char *by, uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PROPOSAL_END);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_u64(s, 2, state);
	kms_db_bind_text(s, 3, by);
	kms_db_bind_u64(s, 4, wall_ns);
	return kms_db_run_one(catalog, s);
}

/* --- approvals --- */

static int
approval_row(sqlite3_stmt *s, void *out)
{
	struct kms_approval a = {.uid = (uint32_t)sqlite3_column_int64(s, 1),
		.approved_ns = (uint64_t)sqlite3_column_int64(s, 2)};

	int rc = kms_db_text(s, 0, a.principal, sizeof(a.principal));
	if (rc == SLK_OK)
		*(struct kms_approval *)out = a;
	return rc;
}

int
kms_catalog_approval_add(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	const struct kms_approval *approval)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_APPROVAL_INSERT);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_text(s, 2, approval->principal);
	kms_db_bind_u64(s, 3, approval->uid);
	kms_db_bind_u64(s, 4, approval->approved_ns);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_approval_list(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_approval *out_approvals, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_APPROVAL_LIST);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_u64(s, 2, cap);
	return kms_db_rows(
		catalog, s, cap, sizeof(*out_approvals), approval_row, out_approvals, out_count);
}
