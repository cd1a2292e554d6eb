#include "sidefiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

#define PEM_FILE_MAX 65536u

/* The whole file behind what lies in text already. */
static int
append_file(const char *path, char *text, size_t cap, struct slk_error *err)
{
	size_t len = strlen(text);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return slk_fail_errno(err, "cannot read the attestation key in %s", path);
	while (len + 1 < cap && (n = read(fd, text + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	int rc =
		n < 0 ? slk_fail_errno(err, "cannot read the attestation key in %s", path) : SLK_OK;
	close(fd);
	text[len] = '\0';
	if (rc == SLK_OK && len + 1 == cap)
		rc = slk_fail(err, SLK_CONFIG, "%s is too large for public keys", path);
	return rc;
}

int
cli_attestation_pem(const char *path, const char *more, char **out_text, struct slk_error *err)
{
	char *text = calloc(1, PEM_FILE_MAX);

	if (text == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	(void)snprintf(text, PEM_FILE_MAX, "%s\n", more != NULL ? more : "");
	int rc = path != NULL ? append_file(path, text, PEM_FILE_MAX, err) : SLK_OK;
	if (rc != SLK_OK) {
		free(text);
		return rc;
	}
	*out_text = text;
	return SLK_OK;
}

int
cli_attestation_keys(const char *path, const char *more, struct seal_attest_keys **out_keys,
	struct slk_error *err)
{
	char *text = NULL;

	*out_keys = NULL;
	if (path == NULL && more == NULL)
		return SLK_OK;
	int rc = cli_attestation_pem(path, more, &text, err);
	if (rc == SLK_OK) {
		rc = seal_attest_keys_new(slk_span_str(text), out_keys, err);
		if (rc != SLK_OK && path != NULL)
			(void)slk_fail_prefix(
				err, "the attestation key in %s cannot be used", path);
	}
	free(text);
	return rc;
}

void
cli_sidefile_note(void *arg, const struct jnl_rewrap_file *file)
{
	(void)arg;
	if (!jnl_rewrap_is_used(file->state))
		cli_note("%s is passed over (%s): %s", file->name,
			jnl_rewrap_state_name(file->state), file->why.text);
}

void
cli_sidefile_row(struct cli_out *out, const struct jnl_rewrap_file *file, bool with_title)
{
	char created[CLI_TIME_MAX], used[CLI_AMOUNT_MAX], signer[17];

	if (with_title)
		cli_out_printf(out, "%-33s %-20s %-9s %10s %9s %s\n", "SIDE FILE", "CREATED",
			"STATE", "SIZE", "KEYS", "SIGNED BY");
	cli_time_format(file->created_ns, created);
	cli_bytes_format(file->bytes, used);
	slk_hex(slk_span(file->signer, 8), signer, sizeof(signer));
	cli_out_printf(out, "%-33s %.19sZ %-9s %10s %9u %s\n", file->name, created,
		jnl_rewrap_state_name(file->state), used, file->count, signer);
}

void
cli_sidefile_json(yajl_gen json, const struct jnl_rewrap_file *file)
{
	char signer[2 * SEAL_SHA256_BYTES + 1];

	slk_hex(slk_span(file->signer, sizeof(file->signer)), signer, sizeof(signer));
	cli_json_map(json);
	cli_json_str(json, "name", file->name);
	cli_json_u64(json, "number", file->number);
	cli_json_str(json, "state", jnl_rewrap_state_name(file->state));
	cli_json_bool(json, "used", jnl_rewrap_is_used(file->state));
	if (!jnl_rewrap_is_used(file->state))
		cli_json_str(json, "why", file->why.text);
	cli_json_time(json, "created", file->created_ns);
	cli_json_u64(json, "bytes", file->bytes);
	cli_json_u64(json, "keys", file->count);
	cli_json_str(json, "signer_sha256", signer);
	cli_json_str(json, "signer_arn", file->signer_arn);
	cli_json_bool(json, "chained", file->chained);
	cli_json_map_end(json);
}

bool
cli_sidefile_finding(
	const struct jnl_rewrap_file *file, char text[256], struct jnl_finding *out_finding)
{
	bool used = jnl_rewrap_is_used(file->state);

	if (used && file->chained)
		return false;
	if (used)
		(void)snprintf(text, 256,
			"the side file before this one was removed, replaced or damaged");
	else
		(void)snprintf(text, 256,
			"a side file of re-wrapped keys is passed over (%s): %.180s",
			jnl_rewrap_state_name(file->state), file->why.text);
	*out_finding = (struct jnl_finding){.status = used ? SLK_CORRUPT : file->why.status,
		.name = file->name,
		.sentence = text};
	return true;
}
