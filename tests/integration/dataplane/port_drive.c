/* A program that puts records by libsealock and survives ingestd: port_drive STREAM NAME COUNT NOTES [RING RECORDS [trusted]]
 *
 * Puts "NAME NUMBER" for 0..COUNT - 1, or until SIGTERM, under keys k0..k15 and writes to NOTES, a line each: "acked NUMBER SHARD
 * SEQUENCE", or "unknown NUMBER" when ingestd went away with it. What is refused for a reason that passes is put again. Ends when all
 * have an answer; the last line of stdout sums up. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sealock/producer.h"

#define BATCH 512u

static struct sealock_producer *producer;
static uint64_t acked, unknown, refused, pressed;
static uint64_t again[65536]; /* numbers to be put again */
static size_t again_count;
static volatile sig_atomic_t stopped;

static void
stop(int number)
{
	(void)number;
	stopped = 1;
}

static int
take(FILE *notes)
{
	struct sealock_completion done[BATCH];
	size_t count = 0;

	do {
		int rc = sealock_producer_poll(producer, done, BATCH, &count);
		if (rc != SLK_OK)
			return rc;
		for (size_t i = 0; i < count; i++) {
			if (done[i].status == SLK_OK) {
				acked++;
				fprintf(notes, "acked %llu %u %llu\n",
					(unsigned long long)done[i].tag, done[i].shard,
					(unsigned long long)done[i].sequence);
			} else if (done[i].status == SLK_CLOSED) {
				unknown++;
				fprintf(notes, "unknown %llu\n", (unsigned long long)done[i].tag);
			} else if (slk_status_class(done[i].status) == SLK_CLASS_RETRY) {
				again[again_count++] = done[i].tag;
			} else {
				refused++;
				fprintf(stderr, "record %llu: %s\n",
					(unsigned long long)done[i].tag,
					slk_status_name(done[i].status));
			}
		}
	} while (count == BATCH);
	return SLK_OK;
}

static int
put_one(uint32_t stream, const char *name, uint64_t number, FILE *notes)
{
	char key[8], data[128];
	int rc;

	snprintf(key, sizeof(key), "k%u", (unsigned)(number % 16));
	int len = snprintf(data, sizeof(data), "%s %llu", name, (unsigned long long)number);
	const struct sealock_put put = {.stream = stream,
		.tag = number,
		.key = slk_span_str(key),
		.data = slk_span(data, (size_t)len)};
	while ((rc = sealock_producer_put(producer, &put)) != SLK_OK) {
		if (slk_status_class(rc) != SLK_CLASS_RETRY)
			return rc;
		pressed++;
		rc = sealock_producer_wait(producer, 50);
		if (rc == SLK_OK || rc == SLK_TIMEOUT)
			rc = take(notes);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static int
put_all(uint32_t stream, const char *name, uint64_t count, FILE *notes)
{
	uint64_t next = 0;
	int rc = SLK_OK;

	for (;;) {
		if (again_count > 0)
			rc = put_one(stream, name, again[--again_count], notes);
		else if (next < count && !stopped)
			rc = put_one(stream, name, next++, notes);
		else if (sealock_producer_under_way(producer) == 0)
			return SLK_OK;
		else
			rc = sealock_producer_wait(producer, 20000);
		if (rc == SLK_OK && (again_count > 0 || next >= count || stopped))
			rc = take(notes);
		if (rc != SLK_OK)
			return rc;
	}
}

int
main(int argc, char **argv)
{
	struct sealock_producer_config config = {.timeout_ms = 20000};
	struct slk_error err = {0};
	uint32_t stream = 0;

	if (argc < 5 || signal(SIGTERM, stop) == SIG_ERR)
		return 2;
	if (argc > 6) {
		config.ring_bytes = (uint32_t)strtoul(argv[5], NULL, 10);
		config.records_max = (uint32_t)strtoul(argv[6], NULL, 10);
	}
	FILE *notes = fopen(argv[4], "w");
	if (notes == NULL)
		return 2;
	setvbuf(notes, NULL, _IOLBF, 0); /* what was said stays said, whoever is killed */
	int rc = sealock_producer_new(&config, &producer, &err);
	if (rc == SLK_OK)
		rc = sealock_producer_attach_wait(
			producer, argv[1], argc > 7 ? SEALOCK_ATTACH_TRUSTED : 0, &stream, &err);
	if (rc == SLK_OK)
		rc = put_all(stream, argv[2], strtoull(argv[3], NULL, 10), notes);
	if (rc != SLK_OK)
		fprintf(stderr, "%s: %s\n", slk_status_name(rc), err.text);
	printf("acked %llu unknown %llu refused %llu pressed %llu connections %llu\n",
		(unsigned long long)acked, (unsigned long long)unknown, (unsigned long long)refused,
		(unsigned long long)pressed,
		(unsigned long long)(producer != NULL ? sealock_producer_connections(producer)
						      : 0));
	sealock_producer_free(producer);
	fclose(notes);
	return rc == SLK_OK && refused == 0 ? 0 : 1;
}
