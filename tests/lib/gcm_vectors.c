#include "gcm_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "base/bytes.h"
#include "slk_test.h"

#define NIST_DIR "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/GCM/"
#define WYCHEPROOF SLK_SOURCE_DIR "/../shared/vectors/wycheproof/testvectors_v1/aes_gcm_test.json"
#define FILE_MAX (4u << 20)

static void
field_from_hex(struct gcm_field *f, const char *hex)
{
	size_t digits = strcspn(hex, " \r\n");
	char text[2 * GCM_FIELD_MAX + 1];

	assert_true(digits % 2 == 0 && digits < sizeof(text));
	memcpy(text, hex, digits);
	text[digits] = '\0';
	f->len = digits / 2;
	assert_int_equal(slk_unhex(text, f->bytes, f->len), SLK_OK);
}

/* --- NIST --- */

/* Take one line into the case. Returns true when the line ends a case. */
static bool
take_line(struct gcm_vector *v, const char *line, bool encrypt)
{
	const struct {
		const char *name;
		struct gcm_field *field;
	} fields[] = {{"Key = ", &v->key}, {"IV = ", &v->nonce}, {"PT = ", &v->plain},
		{"AAD = ", &v->aad}, {"CT = ", &v->sealed}, {"Tag = ", &v->tag}};

	if (strncmp(line, "FAIL", 4) == 0) {
		v->refused = true;
		return true;
	}
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t n = strlen(fields[i].name);
		if (strncmp(line, fields[i].name, n) == 0) {
			field_from_hex(fields[i].field, line + n);
			return fields[i].field == (encrypt ? &v->tag : &v->plain);
		}
	}
	return false;
}

bool
gcm_vectors_nist(const char *name, gcm_vector_fn each, void *arg)
{
	struct gcm_vector v = {0};
	char path[256];
	char *line = NULL;
	size_t cap = 0;

	snprintf(path, sizeof(path), NIST_DIR "%s.rsp", name);
	FILE *f = fopen(path, "r");
	if (f == NULL) {
		print_message("skipped: no %s; install python3-cryptography-vectors\n", path);
		return false;
	}
	while (getline(&line, &cap, f) >= 0) {
		if (!take_line(&v, line, strstr(name, "Encrypt") != NULL))
			continue;
		each(arg, &v);
		memset(&v, 0, sizeof(v));
	}
	free(line);
	fclose(f);
	return true;
}

/* --- Wycheproof --- */

static const char *
text_at(yajl_val object, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val v = yajl_tree_get(object, path, yajl_t_string);

	assert_non_null(v);
	return YAJL_GET_STRING(v);
}

static yajl_val
array_at(yajl_val object, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val v = yajl_tree_get(object, path, yajl_t_array);

	assert_non_null(v);
	return v;
}

static void
take_test(yajl_val test, struct gcm_vector *v)
{
	const char *result = text_at(test, "result");

	field_from_hex(&v->key, text_at(test, "key"));
	field_from_hex(&v->nonce, text_at(test, "iv"));
	field_from_hex(&v->aad, text_at(test, "aad"));
	field_from_hex(&v->plain, text_at(test, "msg"));
	field_from_hex(&v->sealed, text_at(test, "ct"));
	field_from_hex(&v->tag, text_at(test, "tag"));
	v->refused = strcmp(result, "invalid") == 0;
	if (!v->refused)
		assert_string_equal(result, "valid");
}

static yajl_val
load(void)
{
	char error[256] = "";
	FILE *f = fopen(WYCHEPROOF, "r");

	if (f == NULL) {
		print_message("skipped: no Wycheproof vectors at %s\n", WYCHEPROOF);
		return NULL;
	}
	char *text = malloc(FILE_MAX);
	assert_non_null(text);
	size_t n = fread(text, 1, FILE_MAX - 1, f);
	fclose(f);
	text[n] = '\0';
	yajl_val root = yajl_tree_parse(text, error, sizeof(error));
	free(text);
	if (root == NULL)
		fail_msg("%s: %s", WYCHEPROOF, error);
	return root;
}

bool
gcm_vectors_wycheproof(gcm_vector_fn each, void *arg, size_t *out_count)
{
	const char *total_path[] = {"numberOfTests", NULL};
	yajl_val root = load();

	if (root == NULL)
		return false;
	yajl_val groups = array_at(root, "testGroups");
	for (size_t g = 0; g < groups->u.array.len; g++) {
		yajl_val tests = array_at(groups->u.array.values[g], "tests");
		for (size_t t = 0; t < tests->u.array.len; t++) {
			struct gcm_vector v = {0};
			take_test(tests->u.array.values[t], &v);
			each(arg, &v);
		}
	}
	yajl_val total = yajl_tree_get(root, total_path, yajl_t_number);
	assert_non_null(total);
	*out_count = (size_t)YAJL_GET_INTEGER(total);
	yajl_tree_free(root);
	return true;
}
