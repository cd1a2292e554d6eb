/* Drives the destinations of databases through the loop, one batch at a time, as a script says on standard input.
 *
 *     database_drive KEY=VALUE...      kind (postgres or redshift), host, port, database, user, password_file, table, columns, options,
 *                                      sslmode, ca, connect_ms, statement_ms, lock_ms; of redshift: iam_role, bucket, url,
 *                                      credentials, dir, seal (0: none, 1: client), prefix, gzip (1)
 *     deliver NUMBER FILE [CANCEL_MS]  FILE: records, each a 32-bit length (little-endian) and its bytes
 *     give_up NUMBER FILE
 *
 * For each line of input one line of output: what done said, as JSON. Ids of batches are made of their numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "databases.h"
#include "destination.h"
#include "loop.h"
#include "stores.h"
#ifdef DRIVE_REDSHIFT
#include "web.h"
#endif

struct drive {
	const struct dlv_destination_ops *ops;
	void *dest;
	struct dlv_loop *loop;
	struct dlv_pool *pool;
	struct dlv_timer timer;
	struct dlv_batch *batch;
	bool ended;
};

static _Noreturn void
die(const char *what, const struct slk_error *err)
{
	fprintf(stderr, "database_drive: %s: %s\n", what, err != NULL ? err->text : "");
	exit(2);
}

static const char *
value(int argc, char **argv, const char *key, const char *otherwise)
{
	size_t len = strlen(key);

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], key, len) == 0 && argv[i][len] == '=')
			return argv[i] + len + 1;
	return otherwise;
}

static void
print_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < 0x20)
			printf("\\u%04x", (unsigned)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void
on_done(void *arg, const struct dlv_result *result)
{
	static const char *const outcomes[] = {"delivered", "rest", "failed", "refused"};
	struct drive *drive = arg;

	printf("{\"outcome\": \"%s\", \"code\": ", outcomes[result->outcome]);
	print_text(result->code);
	printf(", \"error\": ");
	print_text(result->error.text);
	printf(", \"failed\": [");
	for (size_t i = 0; i < result->failed_count; i++) {
		printf("%s[%u, ", i > 0 ? ", " : "", result->failed[i].index);
		print_text(result->failed[i].code);
		printf(", ");
		print_text(result->failed[i].message);
		printf("]");
	}
	printf("]}\n");
	drive->ended = true;
}

static void
on_cancel(void *arg)
{
	struct drive *drive = arg;

	if (drive->ended)
		return;
	drive->ops->cancel(drive->dest, drive->batch);
	printf("{\"outcome\": \"cancelled\"}\n");
	drive->ended = true;
}

static void
gather(struct drive *drive, struct dlv_batch *batch, const char *path)
{
	struct slk_error err = {0, ""};
	FILE *file = fopen(path, "rb");
	uint8_t head[4];

	if (file == NULL)
		die(path, NULL);
	while (fread(head, 1, 4, file) == 4) {
		size_t len = slk_get_le32(head);
		uint8_t *data = malloc(len + 1);
		if (data == NULL || fread(data, 1, len, file) != len)
			die(path, NULL);
		const struct dlv_record record = {
			.data = slk_span(data, len), .sequence = batch->count, .arrival_ns = 1};
		if (drive->ops->gather(drive->dest, batch, &record, 1, &err) != SLK_OK)
			die("gather", &err);
		batch->count++;
		free(data);
	}
	fclose(file);
	if (drive->ops->seal(drive->dest, batch, &err) != SLK_OK)
		die("seal", &err);
}

static void
deliver(struct drive *drive, unsigned long number, const char *path, unsigned cancel_ms,
	bool gives_up)
{
	struct dlv_batch batch = {.number = number, .version = 1, .oldest_ns = 1};
	struct slk_error err = {0, ""};

	snprintf(batch.id, sizeof(batch.id), "00000000-0000-4000-8000-%012lx", number);
	dlv_buffer_init(&batch.body, drive->pool);
	dlv_buffer_init(&batch.raw, drive->pool);
	if (drive->ops->begin(drive->dest, &batch, &err) != SLK_OK)
		die("begin", &err);
	gather(drive, &batch, path);
	drive->batch = &batch;
	drive->ended = false;
	if (cancel_ms > 0)
		dlv_timer_set(drive->loop, &drive->timer,
			slk_mono_ns(slk_clock_system()) + cancel_ms * SLK_NS_PER_MS, on_cancel,
			drive);
	if (gives_up)
		drive->ops->give_up(drive->dest, &batch, on_done, drive);
	else
		drive->ops->deliver(drive->dest, &batch, on_done, drive);
	while (!drive->ended)
		if (dlv_loop_turn(drive->loop, -1, &err) != SLK_OK)
			die("loop", &err);
	dlv_timer_stop(drive->loop, &drive->timer);
	drive->ops->release(drive->dest, &batch);
	dlv_buffer_fini(&batch.body);
	dlv_buffer_fini(&batch.raw);
	fflush(stdout);
}

static void
read_password(const char *path, struct slk_secret **out_password)
{
	FILE *file = fopen(path, "rb");
	char text[256];

	if (file == NULL)
		die(path, NULL);
	size_t len = fread(text, 1, sizeof(text), file);
	fclose(file);
	if (slk_secret_from(text, len, out_password) != SLK_OK)
		die(path, NULL);
}

static void
read_how(int argc, char **argv, struct dlv_database_entry *how)
{
	struct slk_error err = {0, ""};
	const char *sslmode = value(argc, argv, "sslmode", NULL);

	how->host = value(argc, argv, "host", "127.0.0.1");
	how->ca = value(argc, argv, "ca", NULL);
	how->iam_role = value(argc, argv, "iam_role", NULL);
	how->connect_ms = (uint32_t)atoi(value(argc, argv, "connect_ms", "0"));
	how->statement_ms = (uint32_t)atoi(value(argc, argv, "statement_ms", "0"));
	how->lock_ms = (uint32_t)atoi(value(argc, argv, "lock_ms", "0"));
	if (sslmode != NULL && dlv_sslmode_parse(sslmode, &how->sslmode, &err) != SLK_OK)
		die("sslmode", &err);
}

static void
read_store(int argc, char **argv, struct dlv_store *store, struct dlv_s3 *s3)
{
	static const char key[] = "arn:aws:kms:us-east-1:000000000000:key/1";
	bool client = value(argc, argv, "seal", "0")[0] == '1';

	*store = (struct dlv_store){.bucket = "*",
		.dir = value(argc, argv, "dir", NULL),
		.url = value(argc, argv, "url", NULL),
		.region = value(argc, argv, "url", NULL) != NULL ? "us-east-1" : NULL,
		.credentials = value(argc, argv, "credentials", NULL),
		.path_style = true,
		.seal = client ? DLV_SEAL_CLIENT : DLV_SEAL_NONE};
	*s3 = (struct dlv_s3){.role_arn = "",
		.bucket = value(argc, argv, "bucket", "landing"),
		.prefix = value(argc, argv, "prefix", ""),
		.error_prefix = "",
		.extension = "",
		.time_zone = "UTC",
		.kms_key_arn = client ? key : NULL,
		.compression =
			value(argc, argv, "gzip", "0")[0] == '1' ? DLV_GZIP : DLV_UNCOMPRESSED};
}

/* What redshift needs beside the loop; the last call with web gives it back. */
static void
open_kind(struct drive *drive, const char *kind, struct dlv_spec *spec)
{
	drive->ops = &dlv_postgres_ops;
	if (strcmp(kind, "redshift") != 0)
		return;
#ifdef DRIVE_REDSHIFT
	struct slk_error err = {0, ""};
	struct dlv_web *web = NULL;
	drive->ops = &dlv_redshift_ops;
	spec->kind = DLV_TO_REDSHIFT;
	if (dlv_web_new(drive->loop, &web, &err) != SLK_OK)
		die("web", &err);
#else
	(void)spec;
	die("built without redshift", NULL);
#endif
}

static void
close_kind(struct drive *drive)
{
#ifdef DRIVE_REDSHIFT
	dlv_web_free(dlv_loop_web(drive->loop));
#else
	(void)drive;
#endif
}

static void
run(struct drive *drive)
{
	char line[4096], path[3000];
	unsigned long number = 0;
	unsigned cancel_ms = 0;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		cancel_ms = 0;
		bool gives_up = sscanf(line, "give_up %lu %2999s", &number, path) == 2;
		if (!gives_up &&
			sscanf(line, "deliver %lu %2999s %u", &number, path, &cancel_ms) < 2)
			die(line, NULL);
		deliver(drive, number, path, cancel_ms, gives_up);
	}
}

int
main(int argc, char **argv)
{
	struct drive drive = {0};
	struct dlv_store store;
	const struct dlv_stores stores = {&store, 1};
	struct dlv_database_entry how = {0};
	struct dlv_databases databases = {&how, 1};
	struct dlv_spec spec = {.kind = DLV_TO_POSTGRES};
	struct slk_secret *password = NULL;
	struct slk_error err = {0, ""};

	read_how(argc, argv, &how);
	read_password(value(argc, argv, "password_file", ""), &password);
	spec.database = (struct dlv_database){.role_arn = "",
		.host = how.host,
		.port = (uint16_t)atoi(value(argc, argv, "port", "5432")),
		.name = value(argc, argv, "database", "postgres"),
		.user = value(argc, argv, "user", "postgres"),
		.password = password,
		.table = value(argc, argv, "table", "events"),
		.columns = value(argc, argv, "columns", ""),
		.options = value(argc, argv, "options", "")};
	if (dlv_pool_new(1ull << 32, false, &drive.pool) != SLK_OK ||
		dlv_loop_new(2, NULL, &drive.loop, &err) != SLK_OK)
		die("loop", &err);
	read_store(argc, argv, &store, &spec.s3);
	open_kind(&drive, value(argc, argv, "kind", "postgres"), &spec);
	const struct dlv_env env = {.name = "drive",
		.arn = "arn:aws:firehose:us-east-1:000000000000:deliverystream/drive",
		.account = "000000000000",
		.region = "us-east-1",
		.spec = &spec,
		.stores = &stores,
		.version = 1,
		.loop = drive.loop,
		/* Nothing is said of a host if no sslmode and no CA are given. */
		.databases = how.sslmode != DLV_SSL_DEFAULT || how.ca != NULL ||
				how.iam_role != NULL ||
				how.lock_ms + how.statement_ms + how.connect_ms > 0
			? &databases
			: NULL,
		.pool = drive.pool,
		.clock = slk_clock_system()};
	int rc = drive.ops->open(&env, &drive.dest, &err);
	if (rc != SLK_OK) {
		printf("{\"outcome\": \"not opened\", \"code\": \"%s\", \"error\": ",
			slk_status_name(rc));
		print_text(err.text);
		printf("}\n");
	} else {
		run(&drive);
		drive.ops->close(drive.dest);
	}
	close_kind(&drive);
	dlv_loop_free(drive.loop);
	dlv_pool_free(drive.pool);
	slk_secret_free(password);
	return 0;
}
