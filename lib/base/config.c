#include "base/config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* libcyaml reports an error as several log lines; the first says what, the backtrace says where. */
struct gather {
	char text[400];
	size_t len;
};

__attribute__((format(printf, 3, 0))) static void
gather_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct gather *g = ctx;
	char line[256];

	if (level < CYAML_LOG_ERROR)
		return;
	int n = vsnprintf(line, sizeof(line), fmt, args);
	if (n < 0)
		return;
	line[strcspn(line, "\n")] = '\0';
	const char *p = line;
	if (strncmp(p, "Load: ", 6) == 0)
		p += 6;
	while (*p == ' ')
		p++;
	if (*p == '\0' || strcmp(p, "Backtrace:") == 0)
		return;
	n = snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s%s", g->len > 0 ? "; " : "", p);
	if (n > 0)
		g->len = g->len + (size_t)n < sizeof(g->text) ? g->len + (size_t)n
							      : sizeof(g->text) - 1;
}

static int
check_file(const char *path, struct slk_error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return slk_fail_errno(err, "cannot open configuration %s", path);
	int rc = SLK_OK;
	if (fstat(fd, &st) != 0)
		rc = slk_fail_errno(err, "cannot stat configuration %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = slk_fail(err, SLK_CONFIG, "configuration %s is not a regular file", path);
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		rc = slk_fail(err, SLK_DENIED,
			"configuration %s is writable by others than its owner; run: chmod go-w %s",
			path, path);
	close(fd);
	return rc;
}

/* libcyaml gives the position of the last good value when a key is unknown: look the key itself up.
 * Returns its line from 1, or 0. */
static unsigned
find_key_line(const char *path, const char *key)
{
	char line[512];
	unsigned number = 0;
	size_t len = strlen(key);
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		number++;
		const char *p = line + strspn(line, " -\t\"'{,");
		if (strncmp(p, key, len) == 0 && p[len + strspn(p + len, "\"' ")] == ':') {
			fclose(f);
			return number;
		}
	}
	fclose(f);
	return 0;
}

static int
refuse(const char *path, cyaml_err_t cerr, const struct gather *g, struct slk_error *err)
{
	static const char unexpected[] = "Unexpected key: ";
	int status = cerr == CYAML_ERR_OOM ? SLK_NO_MEMORY : SLK_CONFIG;

	if (strncmp(g->text, unexpected, sizeof(unexpected) - 1) == 0) {
		char key[64];
		snprintf(key, sizeof(key), "%.*s",
			(int)strcspn(g->text + sizeof(unexpected) - 1, ";"),
			g->text + sizeof(unexpected) - 1);
		unsigned line = find_key_line(path, key);
		if (line > 0)
			return slk_fail(err, status,
				"configuration %s, line: %u: unknown key '%s' (%s)", path, line,
				key,
				strchr(g->text, ';') != NULL ? strchr(g->text, ';') + 2
							     : "top level");
	}
	return slk_fail(
		err, status, "configuration %s: %s (%s)", path, cyaml_strerror(cerr), g->text);
}

static cyaml_config_t
cyaml_settings(struct gather *g)
{
	return (cyaml_config_t){.log_fn = gather_log,
		.log_ctx = g,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem};
}

int
slk_config_load(const char *path, const cyaml_schema_value_t *schema, void **out_data,
	struct slk_error *err)
{
	struct gather g = {.len = 0};
	cyaml_config_t settings = cyaml_settings(&g);
	void *data = NULL;

	int rc = check_file(path, err);
	if (rc != SLK_OK)
		return rc;
	cyaml_err_t cerr = cyaml_load_file(path, &settings, schema, &data, NULL);
	if (cerr != CYAML_OK)
		return refuse(path, cerr, &g, err);
	if (data == NULL) /* an empty document is no error to libcyaml */
		return slk_fail(err, SLK_CONFIG, "configuration %s is empty", path);
	*out_data = data;
	return SLK_OK;
}

void
slk_config_free(const cyaml_schema_value_t *schema, void *data)
{
	struct gather g = {.len = 0};
	cyaml_config_t settings = cyaml_settings(&g);

	if (data != NULL)
		(void)cyaml_free(&settings, schema, data, 0);
}

int
slk_config_default_text(char **text, const char *value)
{
	if (*text == NULL)
		*text = strdup(value);
	return *text != NULL ? SLK_OK : SLK_NO_MEMORY;
}

void
slk_config_default_number(uint32_t *number, uint32_t value)
{
	if (*number == 0)
		*number = value;
}

int
slk_config_check_ranges(const struct slk_config_range *ranges, size_t count, struct slk_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct slk_config_range *r = &ranges[i];
		if (r->value != 0 && (r->value < r->min || r->value > r->max))
			return slk_fail(err, SLK_CONFIG, "%s is %u to %u, not %u", r->name, r->min,
				r->max, r->value);
	}
	return SLK_OK;
}

int
slk_config_check_words(
	const char *region, const char *account, const char *log, struct slk_error *err)
{
	enum slk_log_level level;

	if (strlen(account) != 12 || strspn(account, "0123456789") != 12)
		return slk_fail(err, SLK_CONFIG, "account \"%s\" is none: twelve digits", account);
	if (strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region) ||
		strlen(region) > 32)
		return slk_fail(err, SLK_CONFIG,
			"region \"%s\" is none: small letters, digits and -", region);
	if (!slk_log_parse_level(log, &level))
		return slk_fail(
			err, SLK_CONFIG, "log is debug, info, warn or error, not \"%s\"", log);
	return SLK_OK;
}
