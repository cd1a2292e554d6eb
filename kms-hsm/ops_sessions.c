/* Authorize for a session: the door names it by its token, which is the proof that its caller has it. */
#include <string.h>

#include "base/base64.h"
#include "session_open.h"

struct wanted {
	char stream[KMS_STREAM_MAX];
	bool over_tls;
	uint8_t token[FMT_SESSION_MAX];
	size_t token_len;
};

static void
refuse_token(struct kms_call *call)
{
	kms_call_fail(call, SLK_DENIED, "UnrecognizedClientException",
		"The security token included in the request is invalid.");
}

static void
authorize(struct kms_call *call)
{
	struct wanted *w = call->work;
	struct kms_session_parts *parts = NULL;
	struct fmt_session session;

	int rc = kms_session_open(call, slk_span(w->token, w->token_len), authorize, &session);
	if (rc == SLK_INVALID_CIPHERTEXT)
		refuse_token(call);
	else if (rc == SLK_END)
		kms_call_fail(call, SLK_DENIED, "ExpiredTokenException",
			"The security token included in the request is expired");
	if (rc != SLK_OK || kms_session_view_new(call, &session, &parts) != SLK_OK)
		return;
	if (call->source_ip[0] != '\0') { /* facts do not outlast a wait */
		call->facts.source_ip = call->source_ip;
		call->facts.over_tls = w->over_tls ? KMS_TRUE : KMS_FALSE;
	}
	call->session = kms_session_view(parts);
	kms_call_authorize_stream(call, w->stream);
	call->session = NULL; /* the call is over, and not gone yet */
	kms_session_view_free(parts);
}

void
kms_op_authorize_session(struct kms_call *call, const Kmsp__Authorize *in, const char *stream)
{
	struct wanted *w = kms_call_work(call, sizeof(*w));

	if (w == NULL)
		return;
	call->principal[0] = '\0';
	if (kms_call_take_address(call, in->source_ip, in->over_tls) != SLK_OK)
		return;
	strcpy(w->stream, stream);
	w->over_tls = in->over_tls;
	if (slk_base64_decode(SLK_BASE64_URL, slk_span_str(in->session_token), w->token,
		    sizeof(w->token), &w->token_len) == SLK_OK)
		authorize(call);
	else
		refuse_token(call);
}
