/* Says of a delivery stream what deliverd says when it has taken it up, or has let go of it: settle NAME STATE. For tests of the
 * gateway, which need a delivery stream that is ACTIVE and no delivery. Runs as deliver_user; SEALOCK_KMS_SOCKET is kmsd's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmsclient/delivery.h"

static int
settle(struct kmsc *kms, const char *name, const char *state, struct slk_error *err)
{
	struct kmsc_delivery_stream stream;
	enum kmsc_delivery_state to = strcmp(state, "ACTIVE") == 0 ? KMSC_DELIVERY_ACTIVE
		: strcmp(state, "CREATING_FAILED") == 0            ? KMSC_DELIVERY_CREATING_FAILED
								   : KMSC_DELIVERY_DELETING;

	int rc = kmsc_delivery_work(kms, name, &stream, err);
	if (rc != SLK_OK)
		return rc;
	rc = kmsc_delivery_state(kms, name, stream.version, to,
		to == KMSC_DELIVERY_CREATING_FAILED ? "KMS_ACCESS_DENIED" : "",
		to == KMSC_DELIVERY_CREATING_FAILED ? "the role may not decrypt" : "", err);
	kmsc_delivery_stream_fini(&stream);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *socket = getenv("SEALOCK_KMS_SOCKET");
	struct slk_error err = {.text = ""};
	struct kmsc *kms = NULL;

	if (argc != 3 || socket == NULL) {
		fprintf(stderr, "usage: SEALOCK_KMS_SOCKET=PATH settle NAME STATE\n");
		return 2;
	}
	int rc = kmsc_new(socket, 10000, &kms);
	if (rc == SLK_OK)
		rc = settle(kms, argv[1], argv[2], &err);
	kmsc_free(kms);
	if (rc != SLK_OK)
		fprintf(stderr, "%s\n", err.text);
	return rc == SLK_OK ? 0 : 1;
}
