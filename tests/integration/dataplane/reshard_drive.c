/* Puts into streams while they change: reshard_drive ACKS STREAM...
 *
 * One producer on $SEALOCK_INGEST_SOCKET, WINDOW records under way per stream, eight keys each, until SIGTERM. What has no
 * answer when ingestd goes away is left alone: it may be stored or not. ACKS gets a line "STREAM KEY NUMBER SHARD SEQUENCE
 * ENCRYPTION" per acknowledgement, and at the end "refused STREAM STATUS COUNT" per kind of refusal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sealock/producer.h"

#define STREAMS_MAX 4
#define KEYS 8
#define WINDOW 8u
#define BATCH 64
#define STATUSES 256 /* -status of base/status.h */
#define PAUSE_NS 1000000 /* the load shall find what is lost, not fill the disk */

struct feed {
	const char *name;
	uint32_t number;
	bool attached;
	uint32_t under_way;
	unsigned turn;
	unsigned long next[KEYS];
	unsigned long refused[STATUSES];
};

static volatile sig_atomic_t stopping;

static void
on_term(int signal)
{
	(void)signal;
	stopping = 1;
}

static void
die(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, slk_status_name(rc));
	exit(1);
}

static void
refuse(struct feed *f, int status)
{
	f->refused[-status & (STATUSES - 1)]++;
}

/* The tag says what it was: stream, key, number. */
static void
put_one(struct sealock_producer *p, struct feed *f, unsigned stream)
{
	unsigned k = f->turn % KEYS;
	char key[160], data[200];

	if (!f->attached) {
		int rc = sealock_producer_attach(p, f->name, 0, &f->number);
		if (rc != SLK_OK)
			die("attach", rc);
		f->attached = true;
	}
	snprintf(key, sizeof(key), "%s-%d-%u", f->name, (int)getpid(), k);
	snprintf(data, sizeof(data), "%s %lu", key, f->next[k]);
	const struct sealock_put put = {.stream = f->number,
		.tag = (uint64_t)f->next[k] << 8 | stream << 4 | k,
		.key = slk_span_str(key),
		.data = slk_span_str(data)};
	int rc = sealock_producer_put(p, &put);
	if (rc == SLK_OK) {
		f->under_way++;
		f->turn++;
		f->next[k]++;
	} else if (rc != SLK_AGAIN) { /* it is gone, for now: ask again */
		refuse(f, rc);
		sealock_producer_detach(p, f->number);
		f->attached = false;
	}
}

static void
take(struct sealock_producer *p, struct feed *feeds, FILE *acks)
{
	struct sealock_completion done[BATCH];
	size_t count = 0;
	int rc = sealock_producer_poll(p, done, BATCH, &count);

	if (rc != SLK_OK)
		die("poll", rc);
	for (size_t i = 0; i < count; i++) {
		struct feed *f = &feeds[done[i].tag >> 4 & 15];
		f->under_way--;
		if (done[i].status == SLK_OK)
			fprintf(acks, "%s %s-%d-%u %llu %u %llu %d\n", f->name, f->name,
				(int)getpid(), (unsigned)(done[i].tag & 15),
				(unsigned long long)(done[i].tag >> 8), done[i].shard,
				(unsigned long long)done[i].sequence, (int)done[i].encryption);
		else if (done[i].status != SLK_CLOSED)
			refuse(f, done[i].status);
	}
	fflush(acks);
}

int
main(int argc, char **argv)
{
	const struct timespec pause = {0, PAUSE_NS};
	struct feed feeds[STREAMS_MAX] = {{0}};
	struct sealock_producer *p = NULL;
	struct slk_error err = {0};
	unsigned count = (unsigned)argc - 2, under_way = 0;

	if (argc < 3 || argc > 2 + STREAMS_MAX) {
		fprintf(stderr, "usage: reshard_drive ACKS STREAM...\n");
		return 2;
	}
	FILE *acks = fopen(argv[1], "w");
	if (acks == NULL) {
		perror(argv[1]);
		return 1;
	}
	signal(SIGTERM, on_term);
	int rc = sealock_producer_new_lazy(&(struct sealock_producer_config){0}, &p, &err);
	if (rc != SLK_OK)
		die(err.text, rc);
	for (unsigned i = 0; i < count; i++)
		feeds[i].name = argv[2 + i];
	do {
		under_way = 0;
		for (unsigned i = 0; i < count; i++) {
			if (!stopping && feeds[i].under_way < WINDOW)
				put_one(p, &feeds[i], i);
			under_way += feeds[i].under_way;
		}
		sealock_producer_flush(p);
		nanosleep(&pause, NULL);
		take(p, feeds, acks);
	} while (!stopping || under_way > 0);
	for (unsigned i = 0; i < count; i++)
		for (unsigned s = 0; s < STATUSES; s++)
			if (feeds[i].refused[s] > 0)
				fprintf(acks, "refused %s %s %lu\n", feeds[i].name,
					slk_status_name(-(int)s), feeds[i].refused[s]);
	sealock_producer_free(p);
	return fclose(acks) == 0 ? 0 : 1;
}
