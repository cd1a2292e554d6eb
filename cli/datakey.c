/* sealock key data create | list: data keys that programs name by a handle (format/datakey.h) */
#include "cli.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "crypt.h"
#include "format/datakey.h"
#include "seal/attest.h"

#define DEFAULT_DIR "/var/lib/sealock/data-keys"
#define KEYS_MAX 4096u
#define PATH_BYTES 4096u
#define HANDLE_TEXT (2 * FMT_DATAKEY_HANDLE_BYTES + 1)

struct data_args {
	struct cli *cli;
	const char *dir, *key, *name;
	bool wants_name;
};

enum { OPT_DIR = 'D', OPT_KEY = 'k' };

static const struct argp_option create_options[] = {
	{"key", OPT_KEY, "KEY", 0, "The master key that wraps it: id, ARN or alias", 1},
	{"dir", OPT_DIR, "DIR", 0, "Directory of data keys (" DEFAULT_DIR ")", 1},
	{0},
};
static const struct argp_option list_options[] = {
	{"dir", OPT_DIR, "DIR", 0, "Directory of data keys (" DEFAULT_DIR ")", 1},
	{0},
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct data_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_DIR:
		args->dir = arg;
		return 0;
	case OPT_KEY:
		args->key = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (!args->wants_name || args->name != NULL)
			argp_error(state, "'%s' is too much", arg);
		if (fmt_datakey_name_check(arg) != SLK_OK)
			argp_error(state, "'%s' is no name: 1 to 64 of a-z A-Z 0-9 . _ -", arg);
		args->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (args->wants_name && (args->name == NULL || args->key == NULL))
			argp_error(state, "NAME and --key KEY are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- the directory --- */

static int
handle_of(const uint8_t id[FMT_DATAKEY_ID_BYTES], char out[HANDLE_TEXT])
{
	uint8_t handle[FMT_DATAKEY_HANDLE_BYTES], hash[32];

	fmt_datakey_handle_begin(id, handle);
	int rc = seal_sha256(slk_span(handle, FMT_DATAKEY_HANDLE_HASHED), hash);
	memcpy(handle + FMT_DATAKEY_HANDLE_HASHED, hash,
		FMT_DATAKEY_HANDLE_BYTES - FMT_DATAKEY_HANDLE_HASHED);
	slk_hex(slk_span(handle, sizeof(handle)), out, HANDLE_TEXT);
	return rc;
}

struct listed {
	struct fmt_datakey key; /* blob: none */
	char handle[HANDLE_TEXT];
};

static int
read_one(int dir, const char *name, struct listed *out)
{
	uint8_t bytes[FMT_DATAKEY_FILE_MAX + 1];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return SLK_IO;
	int rc = fmt_datakey_decode(slk_span(bytes, (size_t)n), &out->key);
	out->key.blob = slk_span(NULL, 0);
	return rc == SLK_OK ? handle_of(out->key.id, out->handle) : rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->key.name, ((const struct listed *)b)->key.name);
}

/* Files of ours, by name; what cannot be read is remarked upon. *out is the caller's. */
static int
read_dir(const char *path, struct listed **out, size_t *out_count, struct slk_error *err)
{
	struct listed *list = NULL;
	size_t count = 0;
	DIR *dir = opendir(path);

	if (dir == NULL)
		return slk_fail_errno(err, "cannot read the directory of data keys, %s", path);
	for (struct dirent *e = readdir(dir); e != NULL && count < KEYS_MAX; e = readdir(dir)) {
		size_t len = strlen(e->d_name);
		if (len + 1 != FMT_DATAKEY_FILE_NAME_MAX ||
			strcmp(e->d_name + 2 * FMT_DATAKEY_ID_BYTES, FMT_DATAKEY_SUFFIX) != 0)
			continue;
		struct listed *more = realloc(list, (count + 1) * sizeof(*list));
		if (more == NULL) {
			free(list);
			closedir(dir);
			return slk_fail(err, SLK_NO_MEMORY, "out of memory");
		}
		list = more;
		int rc = read_one(dirfd(dir), e->d_name, &list[count]);
		if (rc == SLK_OK)
			count++;
		else
			cli_note("%s/%s is left out: %s", path, e->d_name, slk_status_sentence(rc));
	}
	closedir(dir);
	if (count > 1)
		qsort(list, count, sizeof(*list), by_name);
	*out = list;
	*out_count = count;
	return SLK_OK;
}

/* --- create --- */

static int
name_is_free(const struct data_args *args, struct slk_error *err)
{
	struct listed *list = NULL;
	size_t count = 0;

	int rc = read_dir(args->dir, &list, &count, err);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		if (strcmp(list[i].key.name, args->name) == 0)
			rc = slk_fail(err, SLK_EXISTS,
				"there is a data key %s in %s already; its handle is %s",
				args->name, args->dir, list[i].handle);
	free(list);
	return rc;
}

/* Whole on the disk before anybody is told its handle. */
static int
write_file(const char *dir, const struct fmt_datakey *key, struct slk_error *err)
{
	uint8_t bytes[FMT_DATAKEY_FILE_MAX];
	char name[FMT_DATAKEY_FILE_NAME_MAX], path[PATH_BYTES];
	size_t len = 0;

	fmt_datakey_file_name(key->id, name);
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return slk_fail(err, SLK_TOO_LARGE, "the path of %s is too long", dir);
	int rc = fmt_datakey_encode(key, bytes, sizeof(bytes), &len);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "the data key cannot be written: %s", slk_status_sentence(rc));
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return slk_fail_errno(err, "cannot write %s", path);
	/* No secret is in it, and programs of other users read it. */
	bool good =
		fchmod(fd, 0644) == 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0;
	if (close(fd) != 0 || !good) {
		rc = slk_fail_errno(err, "cannot write %s", path);
		(void)unlink(path);
		return rc;
	}
	rc = slk_fs_posix()->sync_dir(slk_fs_posix()->ctx, dir);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "cannot flush %s", dir);
}

static int
create(const struct data_args *args, yajl_gen json, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);
	struct fmt_context *context = NULL;
	struct kmsc_ciphertext sealed;
	struct fmt_datakey key = {0};
	char handle[HANDLE_TEXT];

	int rc = kms == NULL ? err->status : name_is_free(args, err);
	if (rc != SLK_OK)
		return rc;
	strcpy(key.name, args->name);
	rc = slk_random(key.id, sizeof(key.id));
	if (rc == SLK_OK)
		rc = fmt_datakey_context(args->name, &context);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot make a data key: %s", slk_status_sentence(rc));
	rc = kmsc_data_key(kms, args->key, context, 32, &sealed, NULL, err);
	fmt_context_free(context);
	if (rc != SLK_OK)
		return rc;
	key.blob = slk_span(sealed.bytes, sealed.len);
	rc = write_file(args->dir, &key, err);
	if (rc == SLK_OK)
		rc = handle_of(key.id, handle);
	if (rc != SLK_OK)
		return rc;
	cli_json_str(json, "name", key.name);
	cli_json_str(json, "handle", handle);
	cli_json_str(json, "key_arn", sealed.key_arn);
	if (json == NULL)
		cli_out_printf(args->cli->out, "%s\n", handle);
	return SLK_OK;
}

static int
run_create(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {create_options, parse, "NAME",
		"Draw a data key, wrapped by a master key, keep it in a file, and print the handle "
		"that "
		"programs with Sealock's OpenSSL provider put where they put a key, with the "
		"cipher "
		"SEALOCK-AES-256-GCM. Neither file nor handle holds a secret: kmsd unwraps the key "
		"for "
		"whoever has kms:Decrypt.\v"
		"Example:\n"
		"  sealock key data create backup --key alias/web\n"
		"  openssl enc -sealock-aes-256-gcm -K HANDLE -in dump -out dump.sealed",
		cli_common_children, NULL, NULL};
	struct data_args args = {.cli = cli, .dir = DEFAULT_DIR, .wants_name = true};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	yajl_gen json = cli_crypt_json(cli);
	struct cli_crypt_args none = {.cli = cli};
	int rc = create(&args, json, &err);
	return cli_crypt_end(&none, json, rc, &err);
}

/* --- list --- */

static void
print_list(struct cli *cli, const struct listed *list, size_t count)
{
	yajl_gen json = cli->json ? cli_json_begin(cli->out, false) : NULL;

	cli_json_array(json);
	for (size_t i = 0; i < count; i++) {
		cli_json_map(json);
		cli_json_str(json, "name", list[i].key.name);
		cli_json_str(json, "handle", list[i].handle);
		cli_json_map_end(json);
		if (!cli->json)
			cli_out_printf(cli->out, "%-24s  %s\n", list[i].key.name, list[i].handle);
	}
	cli_json_array_end(json);
	if (json != NULL)
		cli_json_end(json);
}

static int
run_list(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {list_options, parse, NULL,
		"List the data keys of a directory with their handles.\v"
		"Example:\n"
		"  sealock key data list",
		cli_common_children, NULL, NULL};
	struct data_args args = {.cli = cli, .dir = DEFAULT_DIR};
	struct slk_error err = {0};
	struct listed *list = NULL;
	size_t count = 0;

	cli_parse(&argp, argc, argv, &args);
	if (read_dir(args.dir, &list, &count, &err) != SLK_OK)
		return cli_fail(cli, &err);
	print_list(cli, list, count);
	free(list);
	return cli_finish(cli);
}

int
cli_key_data(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "draw a data key and print its handle", run_create},
		{"list", "list the data keys with their handles", run_list},
		{0},
	};

	return cli_dispatch(cli, verbs, "Data keys that programs name by a handle.",
		"Example:\n"
		"  sealock key data create backup --key alias/web",
		argc, argv);
}
