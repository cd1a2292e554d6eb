/* A scripted kmsd (fake_kmsd.h) with one user, one role, one policy, one grant and one access key in it, which answers every
 * request about such. Lists have three pages, the second of them empty. */
#ifndef SLK_TESTS_LIB_FAKE_IAM_H
#define SLK_TESTS_LIB_FAKE_IAM_H

#include "kms.pb-c.h"

#define FAKE_IAM_KEY \
	"0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01" /* where every alias leads; of account 123456789012 */
#define FAKE_IAM_PAGES 3u

struct fake_iam {
	char asked[8192]; /* by proto_text(), one after another, each with a newline */
	const char *kept; /* the document that it keeps */
	Kmsp__Request__CallCase refuse; /* SLK_DENIED for this call */
	unsigned refuse_turns; /* so many of them are answered first */
};
extern struct fake_iam fake_iam;

/* cmocka's; $SEALOCK_KMS_SOCKET leads to it meanwhile. */
int fake_iam_setup(void **state);
int fake_iam_teardown(void **state);

#endif
