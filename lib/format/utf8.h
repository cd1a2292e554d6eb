/* Is this text? Strict UTF-8 for names and contexts that come from outside. Thread: any; pure. */
#ifndef SLK_FORMAT_UTF8_H
#define SLK_FORMAT_UTF8_H

#include <stdbool.h>

#include "base/bytes.h"

/* Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) without NUL.
 * Empty text is text. */
bool fmt_utf8_is_text(struct slk_span in);

#endif
