/* Any record that decodes must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "format/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[FMT_PROOF_RECORD_MAX];
	struct fmt_proof_record r;
	size_t len = 0;
	int rc;

	for (size_t at = 0; fmt_proof_decode(slk_span(data + at, size - at), &r) == SLK_OK;
		at += r.bytes) {
		if (r.type == FMT_PROOF_PIECES)
			rc = fmt_proof_pieces_encode(r.position, r.entries, out, sizeof(out), &len);
		else if (r.type == FMT_PROOF_STATEMENT)
			rc = fmt_proof_statement_encode(&r.statement, out, sizeof(out), &len);
		else
			rc = fmt_proof_signature_encode(&r.signature, out, sizeof(out), &len);
		if (rc != SLK_OK || len != r.bytes || memcmp(out, data + at, len) != 0)
			abort();
	}
	return 0;
}
