/* noncescan KMS_SOCKET DIR: no (key, nonce) twice in the journal in DIR? Unwraps data keys through kmsd as the caller's uid.
 * Prints one line of counts; exits 0 if there are blocks, every key block's key could be had and nothing is repeated, 1 if not, 2 on error. */
#include <inttypes.h>
#include <stdio.h>

#include "format/context.h"
#include "kmsclient/kmsclient.h"
#include "noncescan.h"

static int
unwrap(void *arg, const struct fmt_keyblock *k, struct slk_secret **out)
{
	struct fmt_context *context = NULL;
	struct slk_error err = {0};
	char key_arn[KMSC_ARN_MAX];

	if (k->key_arn.len >= sizeof(key_arn) || fmt_context_decode(k->context, &context) != SLK_OK)
		return SLK_MALFORMED;
	snprintf(key_arn, sizeof(key_arn), "%.*s", (int)k->key_arn.len,
		(const char *)k->key_arn.ptr);
	int rc = kmsc_decrypt(arg, key_arn, context, k->wrapped, out, NULL, &err);
	if (rc != SLK_OK)
		fprintf(stderr, "noncescan: epoch %" PRIx64 ": %s\n", k->epoch_id, err.text);
	fmt_context_free(context);
	return rc;
}

static void
tell(void *arg, const char *sentence)
{
	(void)arg;
	fprintf(stderr, "noncescan: %s\n", sentence);
}

int
main(int argc, char **argv)
{
	struct noncescan_report r = {0};
	struct slk_error err = {0};
	struct kmsc *kms = NULL;

	if (argc != 3) {
		fprintf(stderr, "usage: noncescan KMS_SOCKET DIR\n");
		return 2;
	}
	if (kmsc_new(argv[1], 0, &kms) != SLK_OK)
		return 2;
	struct noncescan_config config = {
		.dir = argv[2], .data_key = unwrap, .repeat = tell, .arg = kms};
	int rc = noncescan(&config, &r, &err);
	kmsc_free(kms);
	if (rc != SLK_OK) {
		fprintf(stderr, "noncescan: %s\n", err.text);
		return 2;
	}
	printf("files=%" PRIu64 " blocks=%" PRIu64 " copies=%" PRIu64 " epochs=%" PRIu64
	       " keys=%" PRIu64 " shared_keys=%" PRIu64 " refused=%" PRIu64
	       " unknown_blocks=%" PRIu64 " repeats=%" PRIu64 "\n",
		r.files, r.blocks, r.copies, r.epochs, r.keys, r.shared_keys, r.refused,
		r.unknown_blocks, r.repeats);
	return r.blocks > 0 && r.repeats == 0 && r.refused == 0 && r.shared_keys == 0 ? 0 : 1;
}
