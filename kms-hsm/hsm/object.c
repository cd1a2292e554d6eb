#include "hsm/object.h"

#include <assert.h>
#include <stdlib.h>

#define FIND_BATCH 256u
#define FIND_MAX 1048576u

void
hsm_object_label(const uint8_t id[HSM_KEY_ID_BYTES], char out[HSM_LABEL_BYTES + 1])
{
	memcpy(out, HSM_LABEL_PREFIX, sizeof(HSM_LABEL_PREFIX) - 1);
	slk_hex(slk_span(id, HSM_KEY_ID_BYTES), out + sizeof(HSM_LABEL_PREFIX) - 1,
		2 * HSM_KEY_ID_BYTES + 1);
}

static CK_RV
find(struct hsm_session *session, CK_ATTRIBUTE *template, CK_ULONG rows,
	CK_OBJECT_HANDLE *out_handles, CK_ULONG cap, CK_ULONG *out_count)
{
	CK_RV rv = HSM_SESSION_CALL(session, C_FindObjectsInit, template, rows);
	if (rv != CKR_OK)
		return rv;
	/* A module may give fewer than asked for and still have more. */
	CK_ULONG total = 0, got = 1;
	while (rv == CKR_OK && total < cap && got > 0) {
		rv = HSM_SESSION_CALL(
			session, C_FindObjects, out_handles + total, cap - total, &got);
		total += rv == CKR_OK ? got : 0;
	}
	CK_RV end = HSM_SESSION_CALL(session, C_FindObjectsFinal);
	*out_count = total;
	return rv != CKR_OK ? rv : end;
}

CK_RV
hsm_objects_find(struct hsm_session *session, CK_OBJECT_CLASS class, CK_KEY_TYPE type,
	const uint8_t id[HSM_KEY_ID_BYTES], CK_OBJECT_HANDLE *out_handles, CK_ULONG cap,
	CK_ULONG *out_count)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_ID, (void *)id, HSM_KEY_ID_BYTES},
	};

	return find(session, template, sizeof(template) / sizeof(template[0]), out_handles, cap,
		out_count);
}

static bool
is_key_class(CK_OBJECT_CLASS class)
{
	return class == CKO_SECRET_KEY || class == CKO_PRIVATE_KEY || class == CKO_PUBLIC_KEY;
}

CK_RV
hsm_objects_of_id(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES],
	struct hsm_object out_objects[HSM_OBJECTS_MAX], CK_ULONG *out_count)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_ID, (void *)id, HSM_KEY_ID_BYTES},
	};
	CK_OBJECT_HANDLE handles[HSM_OBJECTS_MAX];
	CK_ULONG found = 0, kept = 0;

	CK_RV rv = find(session, template, 2, handles, HSM_OBJECTS_MAX, &found);
	for (CK_ULONG i = 0; i < found && rv == CKR_OK; i++) {
		struct hsm_object o = {handles[i], 0, CK_UNAVAILABLE_INFORMATION};
		CK_ATTRIBUTE read[] = {{CKA_CLASS, &o.class, sizeof(o.class)},
			{CKA_KEY_TYPE, &o.type, sizeof(o.type)}};
		rv = HSM_SESSION_CALL(session, C_GetAttributeValue, o.handle, read, 2);
		if (rv == CKR_ATTRIBUTE_TYPE_INVALID)
			rv = CKR_OK; /* it has no key type */
		if (read[1].ulValueLen != sizeof(o.type))
			o.type = CK_UNAVAILABLE_INFORMATION;
		if (rv == CKR_OK && read[0].ulValueLen == sizeof(o.class) && is_key_class(o.class))
			out_objects[kept++] = o;
	}
	*out_count = kept;
	return rv;
}

CK_RV
hsm_object_is_labelled(struct hsm_session *session, CK_OBJECT_HANDLE handle,
	const uint8_t id[HSM_KEY_ID_BYTES], bool *out_is)
{
	char label[HSM_LABEL_BYTES], wanted[HSM_LABEL_BYTES + 1];
	CK_ATTRIBUTE read = {CKA_LABEL, label, sizeof(label)};

	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, &read, 1);
	if (rv == CKR_BUFFER_TOO_SMALL || rv == CKR_ATTRIBUTE_TYPE_INVALID) {
		*out_is = false;
		return CKR_OK;
	}
	if (rv != CKR_OK)
		return rv;
	hsm_object_label(id, wanted);
	*out_is = read.ulValueLen == sizeof(label) && memcmp(label, wanted, sizeof(label)) == 0;
	return CKR_OK;
}

CK_RV
hsm_objects_logged_in(struct hsm_session *session)
{
	CK_SESSION_INFO info = {0};

	CK_RV rv = HSM_SESSION_CALL(session, C_GetSessionInfo, &info);
	if (rv != CKR_OK)
		return rv;
	bool in = info.state == CKS_RW_USER_FUNCTIONS || info.state == CKS_RO_USER_FUNCTIONS;
	return in ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

/* --- the list --- */

struct list {
	const uint8_t *after;
	uint32_t max;
	uint8_t *entries; /* sorted */
	size_t count;
};

static void
insert(struct list *l, const uint8_t *id, uint8_t pair)
{
	size_t at = l->count;

	if (memcmp(id, l->after, HSM_KEY_ID_BYTES) <= 0)
		return;
	while (at > 0 &&
		memcmp(l->entries + (at - 1) * HSM_LIST_ENTRY_BYTES, id, HSM_KEY_ID_BYTES) >= 0)
		at--;
	uint8_t *entry = l->entries + at * HSM_LIST_ENTRY_BYTES;
	if (at < l->count && memcmp(entry, id, HSM_KEY_ID_BYTES) == 0) {
		entry[HSM_KEY_ID_BYTES] |= pair;
		return;
	}
	if (at == l->max)
		return;
	if (l->count < l->max)
		l->count++;
	memmove(entry + HSM_LIST_ENTRY_BYTES, entry, (l->count - 1 - at) * HSM_LIST_ENTRY_BYTES);
	memcpy(entry, id, HSM_KEY_ID_BYTES);
	entry[HSM_KEY_ID_BYTES] = pair;
}

static CK_RV
list_one(struct hsm_session *session, CK_OBJECT_HANDLE handle, struct list *l)
{
	uint8_t id[HSM_KEY_ID_BYTES];
	char label[HSM_LABEL_BYTES];
	CK_OBJECT_CLASS class = 0;
	CK_ATTRIBUTE read[] = {{CKA_ID, id, sizeof(id)}, {CKA_LABEL, label, sizeof(label)},
		{CKA_CLASS, &class, sizeof(class)}};

	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, read, 3);
	/* Others' objects have other lengths, or no such attributes. */
	if (rv == CKR_BUFFER_TOO_SMALL || rv == CKR_ATTRIBUTE_TYPE_INVALID ||
		rv == CKR_ATTRIBUTE_SENSITIVE)
		return CKR_OK;
	if (rv == CKR_OK && read[0].ulValueLen == sizeof(id) &&
		read[1].ulValueLen == sizeof(label) &&
		memcmp(label, HSM_LABEL_PREFIX, sizeof(HSM_LABEL_PREFIX) - 1) == 0 &&
		is_key_class(class))
		insert(l, id, class == CKO_SECRET_KEY ? 0 : 1);
	return rv;
}

/* All token objects; *out_handles is to be freed. */
static CK_RV
find_all(struct hsm_session *session, CK_OBJECT_HANDLE **out_handles, CK_ULONG *out_count)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {{CKA_TOKEN, &yes, sizeof(yes)}};
	CK_OBJECT_HANDLE *handles = NULL;
	CK_ULONG total = 0, got = 1;

	CK_RV rv = HSM_SESSION_CALL(session, C_FindObjectsInit, template, 1);
	if (rv != CKR_OK)
		return rv;
	while (rv == CKR_OK && got > 0) {
		CK_OBJECT_HANDLE *more = total < FIND_MAX
			? reallocarray(handles, total + FIND_BATCH, sizeof(*handles))
			: NULL;
		if (more == NULL) {
			rv = CKR_HOST_MEMORY;
			break;
		}
		handles = more;
		rv = HSM_SESSION_CALL(session, C_FindObjects, handles + total, FIND_BATCH, &got);
		total += rv == CKR_OK ? got : 0;
	}
	CK_RV end = HSM_SESSION_CALL(session, C_FindObjectsFinal);
	rv = rv != CKR_OK ? rv : end;
	if (rv != CKR_OK) {
		free(handles);
		return rv;
	}
	*out_handles = handles;
	*out_count = total;
	return CKR_OK;
}

CK_RV
hsm_objects_list(struct hsm_session *session, const uint8_t after[HSM_KEY_ID_BYTES], uint32_t max,
	uint8_t *out, size_t *out_len)
{
	struct list l = {.after = after, .max = max, .entries = out};
	CK_OBJECT_HANDLE *handles = NULL;
	CK_ULONG count = 0;

	CK_RV rv = find_all(session, &handles, &count);
	for (CK_ULONG i = 0; i < count && rv == CKR_OK; i++)
		rv = list_one(session, handles[i], &l);
	free(handles);
	if (rv == CKR_OK)
		rv = hsm_objects_logged_in(session);
	if (rv == CKR_OK)
		*out_len = l.count * HSM_LIST_ENTRY_BYTES;
	return rv;
}

CK_RV
hsm_rules_check(struct hsm_session *session, CK_OBJECT_HANDLE handle, const struct hsm_rule *rules,
	size_t count, struct slk_error *err)
{
	CK_BBOOL values[HSM_RULES_MAX];
	CK_ATTRIBUTE template[HSM_RULES_MAX];

	assert(count <= HSM_RULES_MAX);
	for (size_t i = 0; i < count; i++) {
		values[i] = 0xff;
		template[i] = (CK_ATTRIBUTE){rules[i].type, &values[i], sizeof(values[i])};
	}
	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, template, count);
	if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID)
		return rv;
	for (size_t i = 0; i < count; i++) {
		if (rules[i].type == CKA_LOCAL && session->token->options->profile->local_unset)
			continue;
		if (template[i].ulValueLen != sizeof(values[i]) || values[i] != rules[i].want) {
			(void)slk_fail(err, SLK_CORRUPT, "key refused: %s is not %s", rules[i].name,
				rules[i].want == CK_TRUE ? "true" : "false");
			return CKR_OK;
		}
	}
	return CKR_OK;
}
