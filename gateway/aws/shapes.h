/* The input shapes of the operations that are served, made by make_shapes.py from the published service models. */
#ifndef GATEWAY_AWS_SHAPES_H
#define GATEWAY_AWS_SHAPES_H

#include "aws/shape.h"

struct gw_input {
	const char *operation;
	const struct gw_shape *shape;
	bool has_output; /* false: the answer's body is empty */
};

/* Sorted by operation; end with a NULL one. */
extern const struct gw_input *const gw_inputs_kinesis;
extern const struct gw_input *const gw_inputs_kms;
extern const struct gw_input *const gw_inputs_firehose;

#endif
