#include "hsm/paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOFTHSM_CONF "/etc/softhsm/softhsm2.conf"
#define SOFTHSM_TOKENS "/var/lib/softhsm/tokens/" /* compiled into Debian's */
#define SOFTHSM_KEY "directories.tokendir"

/* Libraries that a module loads late, and what the C library and SoftHSM look at. */
static const struct slk_sandbox_path common[] = {
	{"/usr/lib", SLK_SANDBOX_READ},
	{"/usr/lib64", SLK_SANDBOX_READ},
	{"/usr/local/lib", SLK_SANDBOX_READ},
	{"/lib", SLK_SANDBOX_READ},
	{"/lib64", SLK_SANDBOX_READ},
	{"/etc/ld.so.cache", SLK_SANDBOX_READ},
	{"/etc/localtime", SLK_SANDBOX_READ},
	{"/sys/devices/system/cpu", SLK_SANDBOX_READ},
	{"/dev/urandom", SLK_SANDBOX_READ},
	{"/dev/random", SLK_SANDBOX_READ},
	{"/dev/null", SLK_SANDBOX_READ | SLK_SANDBOX_WRITE},
};

static int
add(struct hsm_paths *out, const char *path, unsigned access, struct slk_error *err)
{
	if (out->count == HSM_PATHS_MAX)
		return slk_fail(err, SLK_LIMIT, "more than %u paths for the HSM worker",
			(unsigned)HSM_PATHS_MAX);
	out->list[out->count++] = (struct slk_sandbox_path){path, access};
	return SLK_OK;
}

static int
add_parent(struct hsm_paths *out, const char *path, unsigned access, struct slk_error *err)
{
	if (path == NULL)
		return SLK_OK;
	char *text = out->text[out->text_count];
	int rc = slk_sandbox_parent(path, text, PATH_MAX, err);
	if (rc != SLK_OK)
		return rc;
	out->text_count++;
	return add(out, text, access, err);
}

/* "directories.tokendir = /path" of softhsm2.conf; false: not this line. */
static bool
take_tokens(char *line, char out[PATH_MAX])
{
	char *value = strchr(line, '=');

	if (value == NULL || line[strspn(line, " \t")] == '#')
		return false;
	*value++ = '\0';
	const char *key = line + strspn(line, " \t");
	if (strncmp(key, SOFTHSM_KEY, strlen(SOFTHSM_KEY)) != 0 ||
		key[strlen(SOFTHSM_KEY) + strspn(key + strlen(SOFTHSM_KEY), " \t")] != '\0')
		return false;
	value += strspn(value, " \t");
	size_t len = strcspn(value, "\r\n");
	while (len > 1 &&
		(value[len - 1] == ' ' || value[len - 1] == '\t' || value[len - 1] == '/'))
		len--;
	if (len == 0 || len >= PATH_MAX)
		return false;
	memcpy(out, value, len);
	out[len] = '\0';
	return true;
}

/* Without a configuration SoftHSM does not start at all, and says so by itself. One that cannot be read
 * here must not turn into rules for another directory. */
static int
find_tokens(const char *conf, char out[PATH_MAX], struct slk_error *err)
{
	char line[PATH_MAX + 64];

	strcpy(out, SOFTHSM_TOKENS);
	FILE *f = fopen(conf, "re");
	if (f == NULL && errno != ENOENT)
		return slk_fail(err, SLK_CONFIG,
			"cannot read SoftHSM's configuration %s for the token directory: %s%s",
			conf, strerror(errno),
			geteuid() == 0 ? "; started as root, kmsd needs CAP_DAC_READ_SEARCH for it"
				       : "");
	if (f == NULL)
		return SLK_OK;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (take_tokens(line, out))
			break;
	}
	fclose(f);
	return SLK_OK;
}

static const char *
conf_of(const char *softhsm_conf)
{
	if (softhsm_conf == NULL)
		softhsm_conf = getenv("SOFTHSM2_CONF");
	return softhsm_conf != NULL ? softhsm_conf : SOFTHSM_CONF;
}

int
hsm_paths_tokens(const char *softhsm_conf, char out[PATH_MAX], struct slk_error *err)
{
	return find_tokens(conf_of(softhsm_conf), out, err);
}

/* Whoever may not read the directory does without: the rule above it holds. */
static int
add_tokens(struct hsm_paths *out, const char *tokens, unsigned access, struct slk_error *err)
{
	DIR *dir = opendir(tokens);
	const struct dirent *e;
	int rc = SLK_OK;

	for (unsigned n = 0; rc == SLK_OK && dir != NULL && n < HSM_PATHS_TOKENS_MAX &&
		(e = readdir(dir)) != NULL;) {
		char *text = out->text[out->text_count];
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (snprintf(text, PATH_MAX, "%s/%s", tokens, e->d_name) >= PATH_MAX)
			continue;
		out->text_count++;
		n++;
		rc = add(out, text, access, err);
	}
	if (dir != NULL)
		closedir(dir);
	return rc;
}

static int
add_softhsm(const char *softhsm_conf, struct hsm_paths *out, struct slk_error *err)
{
	const unsigned access = SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE;
	const char *conf = conf_of(softhsm_conf);
	char tokens[PATH_MAX];

	int rc = find_tokens(conf, tokens, err);
	if (rc == SLK_OK)
		rc = add_parent(out, conf, SLK_SANDBOX_READ, err);
	if (rc == SLK_OK)
		rc = add_parent(out, tokens, access, err);
	return rc == SLK_OK ? add_tokens(out, tokens, access, err) : rc;
}

int
hsm_paths_find(
	const struct hsm_paths_request *request, struct hsm_paths *out, struct slk_error *err)
{
	int rc = SLK_OK;

	out->count = out->text_count = 0;
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]) && rc == SLK_OK; i++)
		rc = add(out, common[i].path, common[i].access, err);
	for (size_t i = 0; i < request->module_paths_count && rc == SLK_OK; i++)
		rc = add(out, request->module_paths[i],
			SLK_SANDBOX_READ | SLK_SANDBOX_WRITE | SLK_SANDBOX_REMOVE, err);
	if (rc == SLK_OK)
		rc = add_parent(out, request->module, SLK_SANDBOX_READ, err);
	if (rc == SLK_OK)
		rc = add_parent(out, request->pin_file, SLK_SANDBOX_READ, err);
	if (rc == SLK_OK)
		rc = add_parent(
			out, request->state_file, SLK_SANDBOX_READ | SLK_SANDBOX_WRITE, err);
	if (rc == SLK_OK && request->softhsm)
		rc = add_softhsm(request->softhsm_conf, out, err);
	return rc;
}
