#include "loss.h"

#include "base/status.h"

const char *
dp_loss_name(enum dp_loss loss)
{
	static const char *const names[] = {
#define X(constant, name, sentence) name,
		DP_LOSS_LIST(X)
#undef X
	};

	return (unsigned)loss < DP_LOSS_COUNT ? names[loss] : "unknown";
}

const char *
dp_loss_sentence(enum dp_loss loss)
{
	static const char *const sentences[] = {
#define X(constant, name, sentence) sentence,
		DP_LOSS_LIST(X)
#undef X
	};

	return (unsigned)loss < DP_LOSS_COUNT ? sentences[loss] : "unknown";
}

enum dp_loss
dp_loss_from_status(int status)
{
	switch (status) {
	case SLK_UNAVAILABLE:
	case SLK_TIMEOUT:
	case SLK_CLOSED:
		return DP_LOSS_KMS_UNAVAILABLE;
	case SLK_DENIED:
		return DP_LOSS_KMS_DENIED;
	case SLK_DISABLED:
		return DP_LOSS_KMS_DISABLED;
	case SLK_INVALID_STATE:
		return DP_LOSS_KMS_INVALID_STATE;
	case SLK_NOT_FOUND:
		return DP_LOSS_KMS_NOT_FOUND;
	case SLK_THROTTLED:
	case SLK_LIMIT:
		return DP_LOSS_KMS_THROTTLED;
	case SLK_DISK_FULL:
		return DP_LOSS_DISK_FULL;
	case SLK_DISK_FAILED:
		return DP_LOSS_DISK_FAILED;
	default:
		return DP_LOSS_KMS_ERROR;
	}
}
