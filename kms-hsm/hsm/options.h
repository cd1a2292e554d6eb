/* What the worker is told at its start, from kmsd.yaml by way of its arguments. Holds no secret. */
#ifndef KMS_HSM_HSM_OPTIONS_H
#define KMS_HSM_HSM_OPTIONS_H

#include <stdint.h>

#include "hsm/paths.h"
#include "hsm/profile.h"

struct hsm_options {
	const struct hsm_profile *profile;
	const char *module;
	const char *token_label;
	const char *token_serial; /* NULL: not compared */
	const char *pin_file; /* or what messages call the descriptor */
	int pin_fd; /* the PIN comes from here; 0: from pin_file */
	const char *state_file;
	const char *softhsm_conf; /* NULL: environment untouched */
	const char *module_parameters; /* NULL: none */
	const char *module_paths[HSM_MODULE_PATHS_MAX]; /* see hsm/paths.h */
	size_t module_paths_count;
	uint32_t sessions_count; /* 1..HSM_SESSIONS_MAX */
	uint64_t deadline_ns; /* of a module call */
	uint64_t start_deadline_ns; /* of C_Initialize, C_OpenSession, C_Login and the like */
};

#endif
