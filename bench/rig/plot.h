/* One picture of one group of results: a row per label and contender on a logarithmic axis of ns per operation.
 *
 *     dot   the best round, or the fastest operation
 *     bar   the middle half, tick in it: the median
 *     line  up to p99
 *
 * Written as SVG inside XHTML: no script, no font and no file of others. Each row has a title with all its figures, which
 * browsers show under the pointer and screen readers read. Colours are those of Okabe and Ito, which people with any kind
 * of colour vision can tell apart; the contender's name stands beside each row as well.
 */
#ifndef SLK_BENCH_RIG_PLOT_H
#define SLK_BENCH_RIG_PLOT_H

#include <stdio.h>

#include "load.h"

/* results[count]: of one group; rows come in their order. Nothing is written if none has a figure. */
void rig_plot_write(FILE *out, const struct rig_result *results, size_t count);

/* ns as "12.3 ns", "4.56 µs", "7.89 ms" or "1.23 s"; "–" for no figure. Returns out. */
char *rig_time_text(double ns, char *out, size_t cap);

/* Text for XHTML, in elements and in attributes: marks escaped, control characters that XML cannot hold replaced. */
void rig_text_write(FILE *out, const char *text);

#endif
