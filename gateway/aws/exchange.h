/* The server's handler for APIs of AWS: http/http.h says when each is called. Internal to aws/. */
#ifndef GATEWAY_AWS_EXCHANGE_H
#define GATEWAY_AWS_EXCHANGE_H

#include "http/http.h"

void gw_exchange_head(void *thread, struct http_exchange *x);
void gw_exchange_body(void *thread, struct http_exchange *x, const uint8_t *bytes, size_t len);
void gw_exchange_end(void *thread, struct http_exchange *x, int status);
void gw_exchange_done(void *thread, struct http_exchange *x, const struct http_result *result);

#endif
