/* Make a delivered object as deliverd makes it, of a data key that the test has: OUT and OUT.meta.json. Each line of stdin is a
 * record.
 *
 *     object_seal DATA_KEY_FILE WRAPPED_FILE none|gzip|zstd OUT <lines
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/sealed.h"
#include "object.h"

static int
fail(const char *what, int rc)
{
	fprintf(stderr, "object_seal: %s: %s\n", what, slk_status_sentence(rc));
	return 1;
}

static size_t
read_file(const char *path, uint8_t *out, size_t cap)
{
	FILE *f = fopen(path, "rb");
	size_t len = f != NULL ? fread(out, 1, cap, f) : 0;

	if (f != NULL)
		(void)fclose(f);
	return len;
}

static int
add_lines(struct dlv_object *object, struct dlv_buffer *body)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int rc = SLK_OK;

	while (rc == SLK_OK && (len = getline(&line, &cap, stdin)) > 0) {
		struct dlv_record record = {
			.data = slk_span(line, (size_t)len - (line[len - 1] == '\n'))};
		rc = dlv_object_add(object, body, &record, 1);
	}
	free(line);
	return rc;
}

static int
write_sidecar(const struct dlv_object *object, const char *path)
{
	struct dlv_metadata pairs[DLV_METADATA_MAX];
	size_t count = dlv_object_metadata(object, pairs);
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return SLK_SYSTEM;
	fputs("{\"Metadata\":{", f);
	for (size_t i = 0; i < count; i++) {
		fprintf(f, "%s\"%s\":\"", i > 0 ? "," : "", pairs[i].name);
		for (const char *c = pairs[i].value; *c != '\0'; c++)
			fprintf(f, *c == '"' ? "\\%c" : "%c", *c);
		fputc('"', f);
	}
	fputs("}}\n", f);
	return fclose(f) == 0 ? SLK_OK : SLK_SYSTEM;
}

static int
write_object(const struct dlv_object *object, const struct dlv_buffer *body, const char *path)
{
	char sidecar[4096];
	FILE *f = fopen(path, "wb");

	if (f == NULL)
		return SLK_SYSTEM;
	bool written = fwrite(body->bytes, 1, body->len, f) == body->len;
	if (fclose(f) != 0 || !written)
		return SLK_SYSTEM;
	snprintf(sidecar, sizeof(sidecar), "%s.meta.json", path);
	return write_sidecar(object, sidecar);
}

static int
run(const struct dlv_object_config *config, const char *path)
{
	struct dlv_pool *pool = NULL;
	struct dlv_buffer body;
	struct dlv_object *object = NULL;
	struct slk_error err = {0};

	int rc = dlv_pool_new(1u << 30, false, &pool);
	if (rc != SLK_OK)
		return fail("pool", rc);
	dlv_buffer_init(&body, pool);
	rc = dlv_object_new(config, &object, &err);
	if (rc == SLK_OK)
		rc = add_lines(object, &body);
	if (rc == SLK_OK)
		rc = dlv_object_end(object, &body);
	if (rc == SLK_OK)
		rc = write_object(object, &body, path);
	dlv_object_free(object);
	dlv_buffer_fini(&body);
	dlv_pool_free(pool);
	return rc == SLK_OK ? 0 : fail(err.text, rc);
}

int
main(int argc, char **argv)
{
	uint8_t raw[DLV_SEALED_KEY_BYTES];
	uint8_t wrapped[4096];
	struct slk_secret *data_key = NULL;

	if (argc != 5 || read_file(argv[1], raw, sizeof(raw)) != sizeof(raw)) {
		fputs("usage: object_seal DATA_KEY_FILE WRAPPED_FILE none|gzip|zstd OUT <lines\n",
			stderr);
		return 2;
	}
	size_t wrapped_len = read_file(argv[2], wrapped, sizeof(wrapped));
	int rc = slk_secret_from(raw, sizeof(raw), &data_key);
	if (rc != SLK_OK)
		return fail("data key", rc);
	struct dlv_object_key key = {
		data_key, slk_span(wrapped, wrapped_len), "", DLV_SEALED_CONTEXT};
	struct dlv_object_config config = {.delimiter = true, .key = &key};
	config.compression = strcmp(argv[3], "gzip") == 0 ? DLV_GZIP
		: strcmp(argv[3], "zstd") == 0            ? DLV_ZSTD
							  : DLV_UNCOMPRESSED;
	int code = run(&config, argv[4]);
	slk_secret_free(data_key);
	return code;
}
