#include "http/counters.h"

static const struct {
	const char *name, *sentence;
} refusals[] = {
#define X(name, sentence) [HTTP_REFUSED_##name] = {#name, sentence},
	HTTP_REFUSAL_LIST(X)
#undef X
};

const char *
http_refusal_name(enum http_refusal refusal)
{
	return (unsigned)refusal < HTTP_REFUSAL_COUNT ? refusals[refusal].name : "unknown";
}

const char *
http_refusal_sentence(enum http_refusal refusal)
{
	return (unsigned)refusal < HTTP_REFUSAL_COUNT ? refusals[refusal].sentence : "";
}
