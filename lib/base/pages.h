/* Pages of text over HTTP for Prometheus and balancers: GET PATH, on an address of its own, and nothing else.
 *
 * A thread of the program serves one connection at a time, for two seconds at most. There is no authentication: name a loopback
 * address, or let a firewall decide; nothing of a record, no key and no principal belongs into a page. Thread: as said.
 */
#ifndef SLK_BASE_PAGES_H
#define SLK_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/status.h"

struct slk_address {
	struct sockaddr_storage storage;
	socklen_t len;
};
/* "127.0.0.1:9464" or "[::1]:9464"; names are not looked up. */
bool slk_address_parse(const char *text, struct slk_address *out_address);

struct slk_page {
	const char *path; /* "/metrics" */
	/* *out_text: malloc'd, *out_len bytes. SLK_OK: 200; SLK_UNAVAILABLE: the text with 503; else 503. */
	int (*make)(void *arg, char **out_text, size_t *out_len);
	void *arg;
};

struct slk_pages;
/* program: for answers to other questions. pages and what they name are borrowed. SLK_SYSTEM with a sentence, SLK_NO_MEMORY. */
MUST_USE int slk_pages_new(const char *program, const struct slk_address *address,
	const struct slk_page *pages, size_t count, struct slk_pages **out_pages,
	struct slk_error *err);
/* The thread's function; ends after slk_pages_stop(). arg: struct slk_pages. */
void *slk_pages_run(void *arg);
void slk_pages_stop(struct slk_pages *pages); /* thread: any */
void slk_pages_free(struct slk_pages *pages); /* after the thread has ended; NULL allowed */

#endif
