#include "net/drop.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *sentence;
} drops[DP_DROP_COUNT] = {[DP_TAKEN] = {"taken", "taken"},
#define X(constant, name, sentence) [DP_DROP_##constant] = {name, sentence},
	DP_DROP_LIST(X)
#undef X
};

const char *
dp_drop_name(enum dp_drop drop)
{
	return (size_t)drop < DP_DROP_COUNT ? drops[drop].name : "unknown";
}

const char *
dp_drop_sentence(enum dp_drop drop)
{
	return (size_t)drop < DP_DROP_COUNT ? drops[drop].sentence : "unknown";
}
