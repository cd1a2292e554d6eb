/* The access key of a store: a file as the AWS CLI has it, read again when it has changed.
 *
 *     [default]
 *     aws_access_key_id = AKIA...
 *     aws_secret_access_key = ...
 *     aws_session_token = ...            # may be there
 *
 * The file belongs to who runs deliverd and is readable by nobody else. Its directory is opened once and kept, so that a file
 * that is put in its place (by rename) is found. Secrets are in locked memory. Thread: one at a time.
 */
#ifndef DELIVERY_KEYS_H
#define DELIVERY_KEYS_H

#include "base/error.h"
#include "base/secret.h"

#define DLV_KEY_ID_MAX 129u /* with terminator */
#define DLV_KEYS_FILE_MAX 16384u

struct dlv_keys {
	char key_id[DLV_KEY_ID_MAX];
	struct slk_secret *secret;
	struct slk_secret *token; /* NULL: none */
};

/* Out of the file's text; profile "default". SLK_CONFIG with a sentence that has nothing of the text in it; SLK_NO_MEMORY. */
MUST_USE int dlv_keys_parse(
	struct slk_secret *text, struct dlv_keys *out_keys, struct slk_error *err);
void dlv_keys_fini(struct dlv_keys *keys);

struct dlv_key_file;
/* path: absolute. Opens the directory; the file is read by dlv_key_file_read(). SLK_CONFIG with a sentence. */
MUST_USE int dlv_key_file_open(
	const char *path, struct dlv_key_file **out_file, struct slk_error *err);
void dlv_key_file_close(struct dlv_key_file *file); /* wipes; NULL allowed */
/* The keys of now, borrowed until the next call. One stat(2), and the file only if it is another or was changed. What cannot be
 * read any more is an error, and tried again at the next call: SLK_CONFIG, SLK_DENIED (others may read it), SLK_NOT_FOUND,
 * SLK_NO_MEMORY, with a sentence. *out_generation counts what was read. */
MUST_USE int dlv_key_file_read(struct dlv_key_file *file, const struct dlv_keys **out_keys,
	uint64_t *out_generation, struct slk_error *err);

#endif
