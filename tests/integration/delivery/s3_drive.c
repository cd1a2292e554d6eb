/* Objects put to a store by the loop, as the S3 destination does it.
 *
 *     s3_drive KEY=VALUE...
 *
 * Keys: url, dir, bucket, region, ca, credentials, path_style, bucket_key, sign_payload, part_mb (of the store); key, file, sse, kms_key,
 * kms_context (JSON), content_encoding, metadata (name=value); attempts, backoff_ms. Writes a line of JSON for each attempt; ends
 * with 0 whatever the outcome, with 2 if it could not begin.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "s3_target.h"
#include "web.h"

struct drive {
	struct dlv_store store;
	const char *bucket, *file;
	struct dlv_loop *loop;
	struct dlv_s3_target *target;
	struct dlv_s3_object object;
	struct dlv_metadata metadata[DLV_METADATA_MAX];
	struct dlv_s3_call *call;
	struct dlv_timer again;
	unsigned attempts, made, backoff_ms;
	struct slk_error err;
};

/* --- arguments --- */

static bool
take_store(struct dlv_store *s, const char *key, const char *value)
{
	bool yes = strcmp(value, "true") == 0;

	if (strcmp(key, "url") == 0)
		s->url = value;
	else if (strcmp(key, "dir") == 0)
		s->dir = value;
	else if (strcmp(key, "region") == 0)
		s->region = value;
	else if (strcmp(key, "ca") == 0)
		s->ca = value;
	else if (strcmp(key, "credentials") == 0)
		s->credentials = value;
	else if (strcmp(key, "path_style") == 0)
		s->path_style = yes;
	else if (strcmp(key, "bucket_key") == 0)
		s->bucket_key = yes;
	else if (strcmp(key, "sign_payload") == 0)
		s->sign_payload = yes;
	else if (strcmp(key, "part_mb") == 0)
		s->part_bytes = (uint32_t)strtoul(value, NULL, 10) << 20;
	else
		return false;
	return true;
}

/* base64, with padding. */
static const char *
encoded(const char *text)
{
	static char out[4096];

	if (strlen(text) > 3000)
		exit(2);
	EVP_EncodeBlock((uint8_t *)out, (const uint8_t *)text, (int)strlen(text));
	return out;
}

static void
take_metadata(struct drive *d, char *value)
{
	char *equals = strchr(value, '=');

	if (equals == NULL || d->object.metadata_count == DLV_METADATA_MAX)
		exit(2);
	*equals = '\0';
	d->metadata[d->object.metadata_count++] = (struct dlv_metadata){value, equals + 1};
}

static bool
take_object(struct drive *d, const char *key, char *value)
{
	if (strcmp(key, "key") == 0)
		d->object.key = value;
	else if (strcmp(key, "sse") == 0)
		d->object.sse = value;
	else if (strcmp(key, "kms_key") == 0)
		d->object.kms_key = value;
	else if (strcmp(key, "kms_context") == 0)
		d->object.kms_context = encoded(value);
	else if (strcmp(key, "content_encoding") == 0)
		d->object.content_encoding = value;
	else if (strcmp(key, "metadata") == 0)
		take_metadata(d, value);
	else
		return false;
	return true;
}

static bool
take_run(struct drive *d, const char *key, const char *value)
{
	if (strcmp(key, "bucket") == 0)
		d->store.bucket = d->bucket = value;
	else if (strcmp(key, "file") == 0)
		d->file = value;
	else if (strcmp(key, "attempts") == 0)
		d->attempts = (unsigned)strtoul(value, NULL, 10);
	else if (strcmp(key, "backoff_ms") == 0)
		d->backoff_ms = (unsigned)strtoul(value, NULL, 10);
	else
		return false;
	return true;
}

static void
take_arguments(struct drive *d, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (value == NULL)
			exit(2);
		*value++ = '\0';
		if (!take_run(d, argv[i], value) && !take_store(&d->store, argv[i], value) &&
			!take_object(d, argv[i], value)) {
			fprintf(stderr, "no such key: %s\n", argv[i]);
			exit(2);
		}
	}
}

/* --- the object --- */

static int
map_body(struct drive *d)
{
	int fd = open(d->file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return slk_fail_errno(&d->err, "cannot open %s", d->file);
	d->object.body = slk_span(NULL, (size_t)st.st_size);
	if (st.st_size > 0) {
		void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes == MAP_FAILED)
			return slk_fail_errno(&d->err, "cannot map %s", d->file);
		d->object.body.ptr = bytes;
	}
	close(fd);
	return SLK_OK;
}

static int
cut_parts(struct drive *d)
{
	struct slk_span body = d->object.body;
	uint64_t bytes = dlv_s3_part_bytes(&d->store, body.len);
	size_t count = body.len == 0 ? 1 : (size_t)((body.len + bytes - 1) / bytes);
	struct dlv_s3_part *parts = calloc(count, sizeof(*parts));
	int rc = parts != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		uint64_t left = body.len - i * bytes;
		rc = dlv_s3_part_hash(&d->store,
			slk_span(body.ptr + i * bytes, (size_t)(left < bytes ? left : bytes)),
			&parts[i]);
	}
	d->object.part_bytes = bytes;
	d->object.parts = parts;
	d->object.parts_count = count;
	return rc;
}

/* --- attempts --- */

static void
print_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void done(void *arg, const struct dlv_result *result);

static void
attempt(void *arg)
{
	struct drive *d = arg;
	struct slk_span none = {NULL, 0};

	d->made++;
	if (dlv_s3_target_put(d->target, &d->object, none, done, d, &d->call) != SLK_OK)
		exit(2);
}

static void
done(void *arg, const struct dlv_result *result)
{
	static const char *const outcomes[] = {"delivered", "rest", "failed", "refused"};
	struct drive *d = arg;

	printf("{\"outcome\":\"%s\",\"code\":\"%s\",\"retry_after_ms\":%" PRIu64 ",\"text\":",
		outcomes[result->outcome], result->code,
		(uint64_t)(result->retry_after_ns / SLK_NS_PER_MS));
	print_text(result->error.text);
	printf("}\n");
	fflush(stdout);
	if (result->outcome == DLV_DELIVERED || d->made >= d->attempts) {
		dlv_loop_stop(d->loop);
		return;
	}
	dlv_timer_set(d->loop, &d->again,
		slk_mono_ns(slk_clock_system()) + d->backoff_ms * SLK_NS_PER_MS, attempt, d);
}

static int
run(struct drive *d)
{
	int rc = dlv_store_check(&d->store, &d->err);

	if (rc == SLK_OK)
		rc = map_body(d);
	if (rc == SLK_OK)
		rc = cut_parts(d);
	if (rc == SLK_OK)
		rc = dlv_s3_target_open(&d->store, d->bucket, d->loop, slk_clock_system(), NULL,
			&d->target, &d->err);
	if (rc != SLK_OK)
		return rc;
	attempt(d);
	rc = dlv_loop_run(d->loop, &d->err);
	dlv_s3_target_close(d->target);
	return rc;
}

int
main(int argc, char **argv)
{
	static struct drive d = {.attempts = 1,
		.object.content_type = "application/octet-stream",
		.file = "/dev/null",
		.store.bucket = "archive",
		.bucket = "archive"};
	struct dlv_web *web = NULL;

	d.object.metadata = d.metadata;
	take_arguments(&d, argc, argv);
	int rc = dlv_loop_new(2, NULL, &d.loop, &d.err);
	if (rc == SLK_OK)
		rc = dlv_web_new(d.loop, &web, &d.err);
	if (rc == SLK_OK)
		rc = run(&d);
	dlv_web_free(web);
	dlv_loop_free(d.loop);
	free((void *)(uintptr_t)d.object.parts);
	if (rc != SLK_OK)
		fprintf(stderr, "%s\n",
			d.err.text[0] != '\0' ? d.err.text : slk_status_sentence(rc));
	return rc == SLK_OK ? 0 : 2;
}
