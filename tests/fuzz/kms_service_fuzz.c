/* The whole front but its sockets: any frame from any class of peer gets exactly one answer, and the service goes on.
 * First byte: who asks. The rest: the frame. */
#include "slk_test.h"

#include <stdlib.h>

#include "kms_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kms_rig rig;

static int
no_flush(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return SLK_OK;
}

static void
stop(void)
{
	rig_stop(&rig);
}

static void
start(void)
{
	char arn[KMS_ARN_MAX];

	rig_start(&rig,
		"  - {effect: Allow, principals: [user/alice], actions: ['*'], resources: "
		"['*']}\n");
	rig.ff.fs.datasync = no_flush;
	rig_new_key(&rig, arn);
	if (rig_create_alias(&rig, RIG_ROOT, "alias/a", arn)->status != SLK_OK ||
		rig_create_stream(&rig, RIG_ROOT, "s", 1, arn)->status != SLK_OK)
		abort();
	atexit(stop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uid_t peers[] = {RIG_ROOT, RIG_ALICE, RIG_BOB, RIG_INGEST, RIG_STRANGER};
	static struct kmsp_arena *arena;
	const Kmsp__Request *request = NULL;

	if (arena == NULL && kmsp_arena_new(&arena) != SLK_OK)
		abort();
	if (rig.service == NULL)
		start();
	if (size == 0 ||
		kmsp_request_unpack(arena, slk_span(data + 1, size - 1), &request) != SLK_OK)
		return 0;
	unsigned before = rig.answers;
	rig_begin(&rig, peers[data[0] % 5], request);
	for (int i = 0; i < 5 && rig.answers == before; i++)
		rig_turn(&rig);
	if (rig.answers != before + 1 || rig_last(&rig)->id != request->id)
		abort();
	return 0;
}
