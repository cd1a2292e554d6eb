/* What deliverd says of a delivery stream, for scripts: delivery_word active|failed|gone NAME VERSION */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmsclient/delivery.h"

int
main(int argc, char **argv)
{
	const char *socket = getenv("SEALOCK_KMS_SOCKET");
	struct slk_error err = {0};
	struct kmsc *client = NULL;

	if (argc != 4 || socket == NULL) {
		fprintf(stderr, "usage: delivery_word active|failed|gone NAME VERSION\n");
		return 2;
	}
	enum kmsc_delivery_state state = strcmp(argv[1], "active") == 0 ? KMSC_DELIVERY_ACTIVE
		: strcmp(argv[1], "gone") == 0                          ? KMSC_DELIVERY_DELETING
					       : KMSC_DELIVERY_CREATING_FAILED;
	const char *failure = state == KMSC_DELIVERY_CREATING_FAILED ? "UNKNOWN_ERROR" : "";
	int rc = kmsc_new(socket, 10000, &client);
	if (rc == SLK_OK)
		rc = kmsc_delivery_state(client, argv[2], strtoull(argv[3], NULL, 10), state,
			failure, failure, &err);
	if (rc != SLK_OK)
		fprintf(stderr, "%s\n", err.text);
	kmsc_free(client);
	return rc != SLK_OK;
}
