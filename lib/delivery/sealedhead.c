/* Metadata of sealed objects: see sealedhead.h. */
#include "delivery/sealedhead.h"

#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "delivery/tree.h"

#define SUITE_TEXT "115"
#define WRAP_TEXT "12"
#define SUITE_PAIR "aws:x-amz-cek-alg" /* of the encryption context */

enum pair { SUITE, WRAPPED, WRAP, CONTEXT, COMMITMENT, MESSAGE_ID };
static const char *const names[DLV_SEALED_PAIRS] = {
	[SUITE] = "x-amz-c",
	[WRAPPED] = "x-amz-3",
	[WRAP] = "x-amz-w",
	[CONTEXT] = "x-amz-t",
	[COMMITMENT] = "x-amz-d",
	[MESSAGE_ID] = "x-amz-i",
};

/* --- writing --- */

/* Base64 with padding; the room was counted. */
static void
put_base64(struct slk_writer *w, const uint8_t *bytes, size_t len)
{
	size_t chars = slk_base64_chars(len);
	char *text = (char *)slk_write_room(w, chars + 1);

	if (text == NULL ||
		slk_base64_encode(SLK_BASE64, slk_span(bytes, len), text, chars + 1) != SLK_OK)
		return;
	w->len--; /* the terminator */
	for (; chars % 4 != 0; chars++)
		slk_write_u8(w, '=');
}

static void
put_value(struct slk_writer *w, const struct dlv_sealed_head *head, enum pair pair)
{
	switch (pair) {
	case SUITE:
		slk_write_bytes(w, SUITE_TEXT, strlen(SUITE_TEXT));
		break;
	case WRAPPED:
		put_base64(w, head->wrapped, head->wrapped_len);
		break;
	case WRAP:
		slk_write_bytes(w, WRAP_TEXT, strlen(WRAP_TEXT));
		break;
	case CONTEXT:
		slk_write_bytes(w, head->context_json, strlen(head->context_json));
		break;
	case COMMITMENT:
		put_base64(w, head->commitment, sizeof(head->commitment));
		break;
	case MESSAGE_ID:
		put_base64(w, head->message_id, sizeof(head->message_id));
		break;
	}
	slk_write_u8(w, '\0');
}

void
dlv_sealed_head_print(const struct dlv_sealed_head *head, struct dlv_sealed_text *out)
{
	struct slk_writer w = slk_writer(out->text, sizeof(out->text));

	for (unsigned i = 0; i < DLV_SEALED_PAIRS; i++) {
		out->pairs[i].name = names[i];
		out->pairs[i].value = out->text + w.len;
		put_value(&w, head, (enum pair)i);
	}
}

/* --- reading --- */

/* Stores keep names in lower case, or as they came. Two of one name are none. */
static const struct dlv_json *
find(const struct dlv_json *metadata, const char *name)
{
	const struct dlv_json *found = NULL;

	for (const struct dlv_json *pair = metadata->first; pair != NULL; pair = pair->next) {
		if (strcasecmp((const char *)pair->key.ptr, name) != 0)
			continue;
		if (found != NULL || pair->type != DLV_JSON_STRING)
			return NULL;
		found = pair;
	}
	return found;
}

static int
take_base64(const struct dlv_json *value, const char *name, uint8_t *out, size_t cap,
	size_t *out_len, struct slk_error *err)
{
	struct slk_span text = value->text;
	size_t padding = 0;

	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	int rc = text.len % 4 != 0 || text.len == 0
		? SLK_MALFORMED
		: slk_base64_decode(
			  SLK_BASE64, slk_span(text.ptr, text.len - padding), out, cap, out_len);
	if (rc == SLK_OK && slk_base64_chars(*out_len) + padding != text.len)
		rc = SLK_MALFORMED;
	if (rc == SLK_FULL)
		return slk_fail(
			err, SLK_TOO_LARGE, "the metadata %s holds more than %zu bytes", name, cap);
	return rc == SLK_OK ? SLK_OK
			    : slk_fail(err, SLK_MALFORMED, "the metadata %s is not base64", name);
}

static int
take_exact(const struct dlv_json *value, const char *name, uint8_t *out, size_t len,
	struct slk_error *err)
{
	size_t got = 0;

	int rc = take_base64(value, name, out, len, &got, err);
	if (rc == SLK_TOO_LARGE || (rc == SLK_OK && got != len))
		return slk_fail(err, SLK_MALFORMED, "the metadata %s has not %zu bytes", name, len);
	return rc;
}

static int
context_pairs(const struct dlv_json *object, struct fmt_context *context)
{
	for (const struct dlv_json *pair = object->first; pair != NULL; pair = pair->next) {
		if (pair->type != DLV_JSON_STRING)
			return SLK_MALFORMED;
		int rc = fmt_context_add(context, pair->key, pair->text);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

/* The KMS authenticates it; the suite in it binds suite and data key. */
static int
read_context(struct slk_span json, struct fmt_context **out, struct slk_error *err)
{
	struct fmt_context *context = NULL;
	struct dlv_tree *tree = NULL;

	int rc = dlv_tree_parse(json, &tree);
	const struct dlv_json *root = rc == SLK_OK ? dlv_tree_root(tree) : NULL;
	if (rc == SLK_OK && root->type != DLV_JSON_OBJECT)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK)
		rc = fmt_context_new(&context);
	if (rc == SLK_OK)
		rc = context_pairs(root, context);
	if (rc != SLK_OK) {
		rc = slk_fail(err, rc, "the metadata x-amz-t is no encryption context: %s",
			slk_status_sentence(rc));
	} else {
		const struct dlv_json *named = dlv_json_get(root, SUITE_PAIR);
		if (named == NULL || !slk_span_equal(named->text, slk_span_str(SUITE_TEXT)))
			rc = slk_fail(err, SLK_MALFORMED,
				"the metadata x-amz-t does not say " SUITE_PAIR " " SUITE_TEXT);
	}
	dlv_tree_free(tree);
	if (rc != SLK_OK) {
		fmt_context_free(context);
		return rc;
	}
	*out = context;
	return SLK_OK;
}

/* Which format is it? Only one may have left its marks. */
static int
check_format(const struct dlv_json *metadata, struct slk_error *err)
{
	static const char *const others[] = {
		"x-amz-key", "x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg"};
	bool ours = false;

	for (unsigned i = 0; i < DLV_SEALED_PAIRS; i++)
		ours = ours || find(metadata, names[i]) != NULL;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (find(metadata, others[i]) != NULL)
			return slk_fail(err, SLK_UNSUPPORTED,
				"the metadata have %s: the object is sealed in a format without "
				"key commitment, "
				"which is not opened here",
				others[i]);
	}
	return ours ? SLK_OK
		    : slk_fail(err, SLK_INVALID, "the metadata are not those of a sealed object");
}

static int
check_word(const struct dlv_json *value, enum pair pair, const char *word, struct slk_error *err)
{
	if (slk_span_equal(value->text, slk_span_str(word)))
		return SLK_OK;
	return slk_fail(err, SLK_UNSUPPORTED, "the metadata %s say %.*s: only %s is opened here",
		names[pair], (int)(value->text.len < 40 ? value->text.len : 40),
		(const char *)value->text.ptr, word);
}

static int
read_pairs(const struct dlv_json *metadata, struct dlv_sealed_head *head,
	struct fmt_context **out_context, struct slk_error *err)
{
	const struct dlv_json *values[DLV_SEALED_PAIRS];

	int rc = check_format(metadata, err);
	if (rc != SLK_OK)
		return rc;
	for (unsigned i = 0; i < DLV_SEALED_PAIRS; i++) {
		values[i] = find(metadata, names[i]);
		if (values[i] == NULL)
			return slk_fail(err, SLK_MALFORMED,
				"the metadata lack %s, or have it twice", names[i]);
	}
	rc = check_word(values[SUITE], SUITE, SUITE_TEXT, err);
	if (rc == SLK_OK)
		rc = check_word(values[WRAP], WRAP, WRAP_TEXT, err);
	if (rc == SLK_OK)
		rc = take_base64(values[WRAPPED], names[WRAPPED], head->wrapped,
			sizeof(head->wrapped), &head->wrapped_len, err);
	if (rc == SLK_OK)
		rc = take_exact(values[COMMITMENT], names[COMMITMENT], head->commitment,
			sizeof(head->commitment), err);
	if (rc == SLK_OK)
		rc = take_exact(values[MESSAGE_ID], names[MESSAGE_ID], head->message_id,
			sizeof(head->message_id), err);
	if (rc == SLK_OK && values[CONTEXT]->text.len >= sizeof(head->context_json))
		rc = slk_fail(err, SLK_TOO_LARGE, "the metadata x-amz-t are above %u bytes",
			DLV_SEALED_CONTEXT_MAX);
	if (rc != SLK_OK)
		return rc;
	memcpy(head->context_json, values[CONTEXT]->text.ptr, values[CONTEXT]->text.len);
	return read_context(values[CONTEXT]->text, out_context, err);
}

int
dlv_sealed_head_parse(struct slk_span json, struct dlv_sealed_head *out_head,
	struct fmt_context **out_context, struct slk_error *err)
{
	struct dlv_sealed_head head = {0};
	struct dlv_tree *tree = NULL;

	int rc = dlv_tree_parse(json, &tree);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "the metadata are no JSON text: %s", slk_status_sentence(rc));
	const struct dlv_json *root = dlv_tree_root(tree);
	const struct dlv_json *metadata =
		root->type == DLV_JSON_OBJECT ? dlv_json_get(root, "Metadata") : NULL;
	if (metadata == NULL || metadata->type != DLV_JSON_OBJECT)
		rc = slk_fail(err, SLK_INVALID,
			"the metadata have no member Metadata, as head-object prints it");
	else
		rc = read_pairs(metadata, &head, out_context, err);
	dlv_tree_free(tree);
	if (rc == SLK_OK)
		*out_head = head;
	return rc;
}
