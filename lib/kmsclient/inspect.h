/* What an auditor asks: keys as the token has them, programs and self-tests (docs/evidence.md). For administrators. Outputs,
 * errors and thread: kmsclient.h. */
#ifndef SLK_KMSCLIENT_INSPECT_H
#define SLK_KMSCLIENT_INSPECT_H

#include "kmsclient/life.h"

#define KMSC_OBJECTS_MAX 8u
#define KMSC_ATTRIBUTES_MAX 16u
#define KMSC_ATTRIBUTE_MAX 32u
#define KMSC_UNTOLD 0xffffffffu

/* One object of the token. An attribute that is in neither list is one that the token does not tell. */
struct kmsc_token_object {
	char object_class[24]; /* CKO_... */
	uint32_t key_type, generated_by; /* CKK_, CKM_; KMSC_UNTOLD */
	char true_attributes[KMSC_ATTRIBUTES_MAX][KMSC_ATTRIBUTE_MAX];
	char false_attributes[KMSC_ATTRIBUTES_MAX][KMSC_ATTRIBUTE_MAX];
	size_t true_count, false_count;
	char check_value[16]; /* CKA_CHECK_VALUE, hex; "": none */
};

struct kmsc_inspection {
	char key_arn[KMSC_ARN_MAX];
	char backing_id[40]; /* CKA_ID, hex */
	char spec[32], usage[32];
	uint32_t generation;
	bool current;
	uint64_t created_ns;
	char kcv[16], token_kcv[16], token_kcv_cmac[16]; /* hex */
	struct kmsc_token_object objects[KMSC_OBJECTS_MAX];
	size_t objects_count;
};

/* backing_id: "" for the current material. SLK_NOT_FOUND: no such key, or material of it. SLK_HSM: the token has it, and not
 * as it has to be; SLK_UNAVAILABLE. */
MUST_USE int kmsc_inspect_key(struct kmsc *c, const char *key_id, const char *backing_id,
	struct kmsc_inspection *out_inspection, struct slk_error *err);

/* One fact; both are borrowed for the call. */
typedef void (*kmsc_fact_fn)(void *arg, const char *name, const char *value);
/* self_test: run the self-tests of token and front first. */
MUST_USE int kmsc_about(
	struct kmsc *c, bool self_test, kmsc_fact_fn fact, void *arg, struct slk_error *err);

#endif
