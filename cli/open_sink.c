/* Where opened content goes: see open.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "open.h"

int
cli_open_sink_begin(
	struct cli_open_sink *sink, struct cli *cli, const char *path, struct slk_error *err)
{
	struct stat st;

	*sink = (struct cli_open_sink){.cli = cli, .path = path, .fd = -1};
	if (path == NULL)
		return SLK_OK;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return slk_fail(err, SLK_INVALID,
			"%s is no regular file: leave --out away and redirect stdout", path);
	int len = snprintf(sink->temporary, sizeof(sink->temporary), "%s.XXXXXX", path);
	if (len < 0 || (size_t)len >= sizeof(sink->temporary)) {
		sink->temporary[0] = '\0';
		return slk_fail(err, SLK_TOO_LARGE, "the name %.200s... is too long", path);
	}
	sink->fd = mkostemp(sink->temporary, O_CLOEXEC); /* mode 0600 */
	return sink->fd >= 0 ? SLK_OK : slk_fail_errno(err, "cannot write beside %s", path);
}

static int
write_all(int fd, struct slk_span bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);
		if (n < 0 && errno != EINTR)
			return SLK_SYSTEM;
		size_t done = n > 0 ? (size_t)n : 0;
		bytes = slk_span(bytes.ptr + done, bytes.len - done);
	}
	return SLK_OK;
}

int
cli_open_sink_put(void *arg, struct slk_span bytes, struct slk_error *err)
{
	struct cli_open_sink *sink = arg;

	if (cli_stopped())
		return slk_fail(err, SLK_CLOSED, "stopped");
	sink->bytes += bytes.len;
	if (sink->fd >= 0)
		return write_all(sink->fd, bytes) == SLK_OK
			? SLK_OK
			: slk_fail_errno(err, "cannot write %s", sink->temporary);
	if (cli_out_is_terminal(sink->cli->out))
		cli_out_safe(sink->cli->out, bytes);
	else
		cli_out_write(sink->cli->out, bytes.ptr, bytes.len);
	int rc = cli_out_status(sink->cli->out);
	return rc == SLK_OK
		? SLK_OK
		: slk_fail(err, rc, "cannot write to stdout: %s", cli_out_error(sink->cli->out));
}

int
cli_open_sink_end(struct cli_open_sink *sink, struct slk_error *err)
{
	if (sink->fd < 0)
		return SLK_OK;
	int fd = sink->fd;
	sink->fd = -1;
	bool flushed = fsync(fd) == 0;
	if (close(fd) != 0 || !flushed || rename(sink->temporary, sink->path) != 0)
		return slk_fail_errno(err, "cannot write %s", sink->path); /* drop unlinks it */
	sink->temporary[0] = '\0';
	return SLK_OK;
}

void
cli_open_sink_drop(struct cli_open_sink *sink)
{
	if (sink->fd >= 0)
		(void)close(sink->fd);
	sink->fd = -1;
	if (sink->temporary[0] != '\0')
		(void)unlink(sink->temporary);
	sink->temporary[0] = '\0';
}
