/* Answers to _bulk: read within the bounds, items counted right, texts terminated; remarks made of them keep no quotation. */
#include <stdlib.h>

#include "remark.h"
#include "search_answer.h"

#define ITEMS_MAX 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check_remark(const char *said)
{
	char out[160];

	dlv_remark(slk_span_str(said), NULL, NULL, out, sizeof(out));
	must(strlen(out) < sizeof(out));
	must(strpbrk(out, "'\"`[({<") == NULL);
	for (const char *c = out; *c != '\0'; c++)
		must(*c >= ' ' && *c <= '~');
}

static void
check_item(void *arg, size_t index, const struct search_item *item)
{
	size_t *count = arg;

	must(index == (*count)++ && index < ITEMS_MAX);
	must(item->status >= 100 && item->status <= 599);
	must(memchr(item->error.type, '\0', sizeof(item->error.type)) != NULL);
	must(memchr(item->error.cause, '\0', sizeof(item->error.cause)) != NULL);
	must(memchr(item->error.reason, '\0', sizeof(item->error.reason)) != NULL);
	check_remark(item->error.reason);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct search_answer answer, again;
	size_t count = 0;
	int rc = search_answer_read(slk_span(data, size), ITEMS_MAX, check_item, &count, &answer);

	must(answer.items == count);
	must(rc == SLK_OK || rc == SLK_TRUNCATED || rc == SLK_MALFORMED || rc == SLK_LIMIT);
	must(count == 0 || answer.has_items);
	check_remark(answer.error.reason);
	/* What was cut off told nothing that the whole does not tell. */
	if (size > 0) {
		size_t fewer = search_answer_read(slk_span(data, size - 1), ITEMS_MAX, NULL, NULL,
				       &again) == SLK_OK
			? again.items
			: 0;
		must(fewer <= count);
	}
	return 0;
}
