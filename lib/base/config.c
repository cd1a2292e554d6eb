#include "base/config.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libcyaml reports an error as several log lines; the first says what, the backtrace says where. */
struct gather {
	char text[400];
	size_t len;
};

static void
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
		g->len = g->len + (size_t)n < sizeof(g->text) ? g->len + (size_t)n : sizeof(g->text) - 1;
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
			"configuration %s is writable by others than its owner; run: chmod go-w %s", path, path);
	close(fd);
	return rc;
}

static cyaml_config_t
cyaml_settings(struct gather *g)
{
	return (cyaml_config_t){
		.log_fn = gather_log, .log_ctx = g, .log_level = CYAML_LOG_ERROR, .mem_fn = cyaml_mem};
}

int
slk_config_load(const char *path, const cyaml_schema_value_t *schema, void **out_data, struct slk_error *err)
{
	struct gather g = {.len = 0};
	cyaml_config_t settings = cyaml_settings(&g);
	void *data = NULL;

	int rc = check_file(path, err);
	if (rc != SLK_OK)
		return rc;
	cyaml_err_t cerr = cyaml_load_file(path, &settings, schema, &data, NULL);
	if (cerr != CYAML_OK)
		return slk_fail(err, cerr == CYAML_ERR_OOM ? SLK_NO_MEMORY : SLK_CONFIG,
			"configuration %s: %s (%s)", path, cyaml_strerror(cerr), g.text);
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
