/* Calls of AWS against the whole appliance: records put, beside kinesalite and beside a server that drops them; data keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "gateway/parts.h"

#define ROUNDS 7u
#define RECORDS 500u
#define DATA_BYTES 1024u
#define BODIES 8u
#define READY_TRIES 100u
/* Twice as many as are under way: Node's parser takes a request that comes while it still writes the last answer for an error. */
#define PUT_CONNECTIONS 16u
#define PUT_CALLS 160u
#define EMULATOR_CALLS 40u
#define KEY_CONNECTIONS 32u
#define KEY_CALLS 8000u

double
gwb_median(double *v, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		double x = v[i];
		unsigned k = i;
		for (; k > 0 && v[k - 1] > x; k--)
			v[k] = v[k - 1];
		v[k] = x;
	}
	return count % 2 == 1 ? v[count / 2] : (v[count / 2 - 1] + v[count / 2]) / 2;
}

/* --- sets --- */

void
gwb_set_free(struct gwb_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		free(set->requests[i].bytes);
	set->count = 0;
}

static int
add(struct gwb_set *set, const struct gwb_signer *signer, const char *service, const char *target,
	char *body)
{
	if (body == NULL)
		return SLK_NO_MEMORY;
	int rc = gwb_request_sign(
		signer, service, target, slk_span_str(body), &set->requests[set->count]);
	free(body);
	set->count += rc == SLK_OK;
	return rc;
}

int
gwb_set_puts(struct gwb_set *set, const struct gwb_signer *signer, const char *stream,
	unsigned count, unsigned records, size_t data_len)
{
	uint64_t seed = 1;
	int rc = SLK_OK;

	*set = (struct gwb_set){
		.expect = records != 0 ? "\"FailedRecordCount\":0" : "\"SequenceNumber\":\""};
	for (unsigned i = 0; rc == SLK_OK && i < count; i++)
		rc = add(set, signer, "kinesis",
			records != 0 ? "Kinesis_20131202.PutRecords" : "Kinesis_20131202.PutRecord",
			gwb_body_put(stream, records, data_len, &seed));
	return rc;
}

static const struct gwb_request *
next(void *arg, unsigned connection)
{
	struct gwb_set *set = arg;

	if (set->walkers == 0)
		return &set->requests[set->next++ % set->count];
	unsigned part = set->count / set->walkers;
	return &set->requests[connection * part + set->places[connection]++ % part];
}

static int
check(void *arg, unsigned connection, struct slk_span body)
{
	const struct gwb_set *set = arg;

	(void)connection;
	return memmem(body.ptr, body.len, set->expect, strlen(set->expect)) != NULL ? SLK_OK
										    : SLK_MALFORMED;
}

int
gwb_set_run(struct gwb_set *set, struct gwb_load *load, uint64_t calls, struct slk_hist *latency,
	uint64_t *out_ns, struct slk_error *err)
{
	const struct gwb_plan plan = {next, check, set};
	uint64_t begun_ns = slk_mono_ns(slk_clock_system());

	int rc = gwb_load_run(load, &plan, calls, latency);
	*out_ns = slk_mono_ns(slk_clock_system()) - begun_ns;
	if (rc == SLK_OK)
		return rc;
	struct slk_span last = gwb_load_answer(load);
	return slk_fail(err, rc, "a client failed (%s); the last answer begins with: %.*s",
		slk_status_name(rc), (int)(last.len < 400 ? last.len : 400),
		(const char *)last.ptr);
}

int
gwb_wait_ready(struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	const struct timespec pause = {0, 100000000};
	struct gwb_set set;
	uint64_t ns = 0;

	int rc = gwb_set_puts(&set, &site->signer, "web", 1, 0, 16);
	for (unsigned i = 0; rc == SLK_OK && i < READY_TRIES; i++) {
		struct gwb_load *load = NULL;
		rc = gwb_load_open(site->signer.port, 1, 1, ctx, &load);
		if (rc == SLK_OK)
			rc = gwb_set_run(&set, load, 1, NULL, &ns, err);
		gwb_load_close(load);
		if (rc != SLK_MALFORMED)
			break;
		rc = i + 1 < READY_TRIES ? SLK_OK : rc;
		(void)nanosleep(&pause, NULL);
	}
	gwb_set_free(&set);
	return rc;
}

/* --- puts --- */

struct contender {
	const char *name;
	struct gwb_set set;
	struct gwb_load *load;
	uint64_t calls;
	bool drops;
	double per_s[ROUNDS]; /* records */
};

static int
open_contender(
	struct contender *c, const struct gwb_signer *signer, SSL_CTX *ctx, struct slk_error *err)
{
	int rc = gwb_set_puts(&c->set, signer, "web", BODIES, RECORDS, DATA_BYTES);
	if (rc == SLK_OK)
		rc = gwb_load_open(
			signer->port, PUT_CONNECTIONS, PUT_CONNECTIONS / 2, ctx, &c->load);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "no client for %s", c->name);
}

static int
run_contender(struct contender *c, struct gwb_site *site, unsigned round, struct slk_error *err)
{
	uint64_t ns = 0;

	site->lever->dropping = c->drops;
	int rc = gwb_set_run(&c->set, c->load, c->calls, NULL, &ns, err);
	c->per_s[round] = (double)c->calls * RECORDS * 1e9 / (double)ns;
	site->lever->dropping = false;
	return rc;
}

/* The stream that the emulator is asked for, until it is there. */
static int
make_emulators_stream(struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	static const char body[] = "{\"StreamName\":\"web\",\"ShardCount\":4}";
	struct gwb_set set = {.expect = ""};
	struct gwb_load *load = NULL;
	uint64_t ns = 0;

	int rc = add(&set, &site->other, "kinesis", "Kinesis_20131202.CreateStream", strdup(body));
	if (rc == SLK_OK)
		rc = gwb_load_open(site->other.port, 1, 1, ctx, &load);
	if (rc == SLK_OK)
		rc = gwb_set_run(&set, load, 1, NULL, &ns, err);
	gwb_load_close(load);
	gwb_set_free(&set);
	if (rc == SLK_OK)
		(void)nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
	return rc;
}

static void
tell_puts(struct bench *b, const struct contender *c, unsigned count)
{
	double best[3] = {0};

	for (unsigned i = 0; i < count; i++) {
		for (unsigned r = 0; r < (bench_quick(b) ? 2 : ROUNDS); r++)
			best[i] = c[i].per_s[r] > best[i] ? c[i].per_s[r] : best[i];
		bench_note(b, "PutRecords of 500 x 1 KiB, %s: %.0f records/s at best", c[i].name,
			best[i]);
	}
	bench_goal(b, "6: PutRecords beside the server that drops", 0.6, best[0] / best[1], true);
	if (count > 2)
		bench_goal(b, "6: PutRecords beside kinesalite", 15, best[0] / best[2], true);
}

int
gwb_puts_measure(struct bench *b, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	struct contender *c = calloc(3, sizeof(*c));
	const unsigned count = site->kinesalite > 0 ? 3 : 2, rounds = bench_quick(b) ? 2 : ROUNDS;
	int rc = SLK_OK;

	if (c == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	c[0].name = "durable";
	c[1].name = "dropped";
	c[1].drops = true;
	c[2].name = GWB_KINESALITE " in memory";
	if (count > 2)
		rc = make_emulators_stream(site, ctx, err);
	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		c[i].calls = bench_quick(b) ? 8 : i < 2 ? PUT_CALLS : EMULATOR_CALLS;
		rc = open_contender(&c[i], i < 2 ? &site->signer : &site->other, ctx, err);
		if (rc == SLK_OK) /* warm */
			rc = run_contender(&c[i], site, 0, err);
	}
	for (unsigned r = 0; rc == SLK_OK && r < rounds; r++)
		for (unsigned i = 0; rc == SLK_OK && i < count; i++)
			rc = run_contender(&c[(r + i) % count], site, r, err);
	if (rc == SLK_OK)
		tell_puts(b, c, count);
	for (unsigned i = 0; i < count; i++) {
		gwb_set_free(&c[i].set);
		gwb_load_close(c[i].load);
	}
	free(c);
	return rc;
}

/* --- data keys --- */

int
gwb_data_keys_measure(struct bench *b, struct gwb_site *site, SSL_CTX *ctx, struct slk_error *err)
{
	struct gwb_set set = {.expect = "\"Plaintext\""};
	struct gwb_load *load = NULL;
	struct kb_pipe *pipe = NULL;
	double https = 0, rpc = 0;
	unsigned rounds = bench_quick(b) ? 2 : ROUNDS, calls = bench_quick(b) ? 100 : KEY_CALLS;
	char *body = NULL;

	if (asprintf(&body, "{\"KeyId\":\"%s\",\"KeySpec\":\"AES_256\"}", site->key_arn) < 0)
		body = NULL;
	int rc = add(&set, &site->signer, "kms", "TrentService.GenerateDataKey", body);
	if (rc == SLK_OK)
		rc = gwb_load_open(site->signer.port, KEY_CONNECTIONS, KEY_CONNECTIONS, ctx, &load);
	if (rc == SLK_OK)
		rc = kb_pipe_new(&site->host.kmsd, &site->key_arn, 1, 0, &pipe, err);
	for (unsigned r = 0; rc == SLK_OK && r < rounds; r++) {
		uint64_t ns = 0, begun_ns;
		rc = gwb_set_run(&set, load, calls, NULL, &ns, err);
		if (rc != SLK_OK)
			break;
		https = (double)calls * 1e9 / (double)ns > https ? (double)calls * 1e9 / (double)ns
								 : https;
		begun_ns = slk_mono_ns(slk_clock_system());
		rc = kb_pipe_run(pipe, calls, KEY_CONNECTIONS);
		ns = slk_mono_ns(slk_clock_system()) - begun_ns;
		rpc = (double)calls * 1e9 / (double)ns > rpc ? (double)calls * 1e9 / (double)ns
							     : rpc;
	}
	kb_pipe_free(pipe);
	gwb_load_close(load);
	gwb_set_free(&set);
	if (rc != SLK_OK)
		return err->text[0] != '\0' ? rc : slk_fail(err, rc, "no data keys");
	bench_note(b, "GenerateDataKey, %u under way: %.0f/s over HTTPS, %.0f/s by the local RPC",
		KEY_CONNECTIONS, https, rpc);
	bench_goal(b, "6: GenerateDataKey over HTTPS beside RPC", 0.6, https / rpc, true);
	return SLK_OK;
}
